"""Finds private names of torch in source code: names that may change in any release."""

from __future__ import annotations

import ast
import pkgutil
from collections.abc import Iterable, Iterator

TORCH = ("torch", "torchvision")
BY_NAME = {"getattr", "hasattr", "setattr", "delattr", "setdefault", "import_module", "resolve_name", "attrgetter"}
"""Functions that take a name as text."""


Nodes = list[ast.AST]
"""All nodes of a module."""


def nodes_of(source: str) -> Nodes:
    """Parse a module."""
    return list(ast.walk(ast.parse(source)))


def private_names(nodes: Nodes, own: set[str]) -> Iterator[str]:
    """Private names in a module that are torch's, or may be: an attribute of any object, unless it is one of `own`."""
    origins = imported(nodes)
    yield from (origin for origin in origins.values() if of_torch(origin))
    yield from (name for name in accessed(nodes, origins) if of_torch(name) or last_private(name) - own)
    yield from (name for name in named_in_text(nodes) if of_torch(name) or private_parts(name) - own)
    yield from overridden(nodes, origins)


def defined(modules: Iterable[Nodes]) -> set[str]:
    """Every name that the sources define: functions, attributes, variables, parameters."""
    names: set[str] = set()
    for node in (node for nodes in modules for node in nodes):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                names.add(name)
            case ast.Attribute(attr=name, ctx=ast.Store()) | ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
    return names


def imported(nodes: Nodes) -> dict[str, str]:
    """What each imported name of a module stands for, `import a.b` under the name `a.b`."""
    origins = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            origins.update({alias.asname or alias.name: alias.name for alias in node.names})
        elif isinstance(node, ast.ImportFrom):
            origins.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return origins


def accessed(nodes: Nodes, origins: dict[str, str]) -> Iterator[str]:
    """Dotted names that end in a private one, and keywords, but for those of an imported module that is not torch's."""
    for node in nodes:
        if isinstance(node, ast.Attribute) and private_parts(node.attr):  # `a._b.c` has `a._b` in it
            name = resolved(ast.unparse(node), origins)
            root = name.split(".")[0]
            if root in TORCH or root not in origins:
                yield name
        elif isinstance(node, ast.keyword) and node.arg is not None:
            yield node.arg


def named_in_text(nodes: Nodes) -> Iterator[str]:
    """Texts that are torch's dotted names, and those that a function takes as the name of an attribute or module."""
    for node in nodes:
        match node:
            case ast.Constant(value=str(text)) if text.replace(".", "").isidentifier() and of_torch(text):
                yield text
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=values) if name in BY_NAME:
                texts = [value.value for value in values if isinstance(value, ast.Constant)]
                yield from (text for text in texts if isinstance(text, str))


def overridden(nodes: Nodes, origins: dict[str, str]) -> Iterator[str]:
    """Private methods of torch's classes that a class derived from them defines again."""
    for node in (node for node in nodes if isinstance(node, ast.ClassDef)):
        names = [resolved(ast.unparse(base), origins) for base in node.bases]
        bases = [pkgutil.resolve_name(name) for name in names if name.split(".")[0] in TORCH]
        methods = {method.name for method in node.body if isinstance(method, ast.FunctionDef)}
        yield from (name for base in bases for name in methods if private_parts(name) and hasattr(base, name))


def resolved(name: str, origins: dict[str, str]) -> str:
    """A dotted name with what its first part stands for."""
    root, dot, rest = name.partition(".")
    return origins.get(root, root) + dot + rest


def private_parts(name: str) -> set[str]:
    """The parts of a dotted name that begin with an underscore, but for Python's own, such as `__init__`."""
    return {part for part in name.split(".") if part[:1] == "_" and part.strip("_") and part[-2:] != "__"}


def last_private(name: str) -> set[str]:
    """The last part of a dotted name, if it is private."""
    return private_parts(name.rpartition(".")[2])


def of_torch(name: str) -> bool:
    """Whether a dotted name is a private one of torch or torchvision."""
    return name.split(".")[0] in TORCH and bool(private_parts(name))

"""Runs the user's own Python source: only where that was allowed, and without leaving it in `sys.modules`."""

from __future__ import annotations

import ast
import hashlib
import importlib.abc
import linecache
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from nnclassify.errors import one_line
from nnclassify.files.paths import is_regular

_MARK = "__nnclassify_user_code__"
"""A name among the globals of a user's module, by which its frames are recognized in a traceback."""
_trusted: ContextVar[bool] = ContextVar("trusted", default=False)


def trust() -> None:
    """Allow user code to run from here on: for the command line, which serves one user and ends."""
    _trusted.set(True)


def is_trusted() -> bool:
    """Return whether user code may run here."""
    return _trusted.get()


@contextmanager
def trusting(allowed: bool) -> Iterator[None]:
    """Allow user code within the context if `allowed`, or if it was allowed before."""
    token = _trusted.set(allowed or _trusted.get())
    try:
        yield
    finally:
        _trusted.reset(token)


def described(cause: BaseException) -> str | None:
    """Return an error of user code, with its file and line; None if no user code raised it."""
    if isinstance(cause, SyntaxError) and cause.filename in linecache.cache:
        return f"{cause.filename}:{cause.lineno}: {type(cause).__name__}: {cause.msg}"
    frames = traceback.walk_tb(cause.__traceback__)
    places = [f"{frame.f_code.co_filename}:{line}" for frame, line in frames if _MARK in frame.f_globals]
    return f"{places[-1]}: {type(cause).__name__}: {one_line(cause)}" if places else None


def run(file: str, source: str) -> dict[str, Any]:
    """Run source as a module and return its globals. Tracebacks show these lines, even if the file differs."""
    digest = hashlib.sha256(source.encode()).hexdigest()
    module = ModuleType(f"{Path(file).stem}_{digest[:12]}")
    module.__file__ = file
    setattr(module, _MARK, True)
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    code = compile(source, file, "exec", dont_inherit=True)
    sys.modules[module.__name__] = module  # dataclasses look their module up there
    exec(code, module.__dict__)
    return module.__dict__


def local_modules(source: str, folder: Path, read: Callable[[Path], str]) -> dict[str, str]:
    """Return the content of the modules of a folder that source imports, also indirectly, by their paths within it.

    Args:
        source: The source. What cannot be parsed imports nothing; running it reports the error.
        folder: The folder.
        read: Returns the content of a file.
    """
    found: dict[str, str] = {}
    waiting = [("", source)]
    while waiting:
        package, text = waiting.pop()
        for name in _imported(text, package):
            path = name.replace(".", "/")
            for place in (f"{path}.py", f"{path}/__init__.py"):
                if place not in found and is_regular(folder / place):
                    found[place] = read(folder / place)
                    waiting.append((name if place.endswith("__init__.py") else name.rpartition(".")[0], found[place]))
    return dict(sorted(found.items()))


def _imported(source: str, package: str) -> set[str]:
    """Return the modules that source of a package imports, and what may be one of them, with the packages around."""
    try:
        nodes = [*ast.walk(ast.parse(source))]
    except (SyntaxError, ValueError):
        return set()
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            around = package.split(".")[: max(0, len(package.split(".")) - node.level + 1)] if node.level else []
            base = ".".join([*filter(None, around), *([node.module] if node.module else [])])
            names |= {base, *(f"{base}.{alias.name}".lstrip(".") for alias in node.names)}
    return {".".join(name.split(".")[:count]) for name in names for count in range(1, name.count(".") + 2)} - {""}


class _Recorded(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports modules of a folder from their recorded content."""

    def __init__(self, folder: Path, sources: Mapping[str, str]) -> None:
        self.folder, self.sources = folder, sources

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        """Return where a module is, or None if it is not recorded."""
        if (place := self._place(fullname)) is None:
            return None
        spec = ModuleSpec(fullname, self, origin=str(self.folder / place), is_package=place.endswith("__init__.py"))
        spec.has_location = True
        return spec

    def get_source(self, fullname: str) -> str:
        """Return the content of a module."""
        place = self._place(fullname)
        assert place is not None  # only modules that were found are loaded
        return self.sources[place]

    def exec_module(self, module: ModuleType) -> None:
        """Run the content of a module in it."""
        file, source = str(module.__file__), self.get_source(module.__name__)
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        setattr(module, _MARK, True)
        exec(compile(source, file, "exec", dont_inherit=True), module.__dict__)

    def _place(self, fullname: str) -> str | None:
        path = fullname.replace(".", "/")
        return next((place for place in (f"{path}/__init__.py", f"{path}.py") if place in self.sources), None)


@contextmanager
def importable(folder: Path, sources: Mapping[str, str]) -> Iterator[None]:
    """Make the modules of a folder importable within the context; afterwards they are removed from `sys.modules`.

    Args:
        folder: The folder.
        sources: The recorded content of modules, by their paths within it; it comes before that of the files.
    """
    before, bytecode = set(sys.modules), sys.dont_write_bytecode
    recorded = _Recorded(folder, sources)
    sys.meta_path.insert(0, recorded)
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.meta_path.remove(recorded)
        sys.path.remove(str(folder))
        sys.path_importer_cache.pop(str(folder), None)
        sys.dont_write_bytecode = bytecode
        for name in set(sys.modules) - before:
            if _MARK in vars(sys.modules[name]) or _lies_in(sys.modules[name], folder):
                del sys.modules[name]


def _lies_in(module: ModuleType, folder: Path) -> bool:
    """Return whether a module, or a package without a file, is in a folder but not in an environment within it."""
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", [])]
    paths = [Path(place) for place in places if isinstance(place, str)]
    return any(path.is_relative_to(folder) and "site-packages" not in path.parts for path in paths)

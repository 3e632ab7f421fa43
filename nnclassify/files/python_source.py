"""Runs the user's own Python source: only where that was allowed, and without leaving it in `sys.modules`."""

from __future__ import annotations

import hashlib
import linecache
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any

from nnclassify.errors import one_line

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


def is_own(value: Any, module: str) -> bool:
    """Return whether a class or function was defined in a module of that name."""
    return getattr(value, "__module__", None) == module


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Make the modules of a folder importable within the context; afterwards they are removed from `sys.modules`."""
    before, bytecode = set(sys.modules), sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
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

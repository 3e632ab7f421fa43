"""Hides what Windows or macOS lack, in this process by `hide()`, or in a program that it starts."""

from __future__ import annotations

import builtins
import contextlib
import importlib
import io
import os
import pathlib
import signal
import sys
import types
from collections.abc import Callable
from typing import Any

with contextlib.suppress(ImportError):  # joblib asks for it; it is another psutil where os lacks what it uses here
    importlib.import_module("psutil")

LACKING = ("geteuid", "getuid", "link", "memfd_create", "sysconf", "sysconf_names", "fork", "getppid")
SIGNALS = ("SIGUSR1", "SIGUSR2", "SIGHUP", "SIGKILL")


def hide() -> None:
    """From now on: no opening of folders, no hard links, no user ids, no /proc, no fcntl but msvcrt, few signals."""
    import platformdirs
    import torch  # noqa: F401 - what it asks of this system is its own affair

    import nnclassify.files.cache
    import nnclassify.files.lock

    platformdirs.user_data_path("any")  # likewise: it imports the part for this system
    flock: Any = __import__("fcntl")
    sys.modules["fcntl"] = None  # type: ignore[assignment]  # so that importing it fails
    sys.modules["msvcrt"] = _msvcrt(flock)
    for module in (nnclassify.files.lock, nnclassify.files.cache):
        vars(module)["sys"] = types.SimpleNamespace(platform="win32", stderr=sys.stderr, stdout=sys.stdout)
    for name in LACKING:
        if hasattr(os, name):
            delattr(os, name)
    for name in SIGNALS:
        if hasattr(signal, name):
            delattr(signal, name)
    os.open = _without_folders(os.open)
    for module in (builtins, io):
        vars(module)["open"] = _without_proc(open)
    setattr(pathlib.Path, "hardlink_to", _no_links)  # noqa: B010 - it is declared a method


def _msvcrt(fcntl: Any) -> types.ModuleType:
    module = types.ModuleType("msvcrt")
    modes = {1: fcntl.LOCK_EX, 2: fcntl.LOCK_EX | fcntl.LOCK_NB}
    vars(module).update(LK_LOCK=1, LK_NBLCK=2, locking=lambda file, mode, size: fcntl.flock(file, modes[mode]))
    return module


def _without_folders(opened: Callable[..., int]) -> Callable[..., int]:
    def open_file(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if pathlib.Path(path).is_dir():
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, *rest, **options)

    return open_file


def _without_proc(opened: Callable[..., Any]) -> Callable[..., Any]:
    def open_file(path: Any, *rest: Any, **options: Any) -> Any:
        if str(path).startswith(("/proc/", "/sys/")):
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return opened(path, *rest, **options)

    return open_file


def _no_links(link: pathlib.Path, target: Any) -> None:
    raise NotImplementedError("hard links are not here")


def main() -> None:
    """`nnclassify`, on such a system."""
    for name in SIGNALS:
        if hasattr(signal, name):
            delattr(signal, name)
    from nnclassify.process import exit_on_signals

    exit_on_signals()
    hide()
    from nnclassify.cli.main import main as run_command_line

    run_command_line()


if __name__ == "__main__":
    main()

"""How much memory there is for examples."""

from __future__ import annotations

import os
from pathlib import Path


def available_memory() -> int | None:
    """Bytes that can be taken without swapping, within the limit of a container; None: this system does not say."""
    amounts = [amount for amount in (_of_the_system(), _of_the_container()) if amount is not None]
    return min(amounts, default=None)


def _of_the_system() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):  # not Linux, or a very old one
        pages = getattr(os, "sysconf_names", {}).keys() & {"SC_PHYS_PAGES"}
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if pages else None


def _of_the_container(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What a control group leaves (`Documentation/admin-guide/cgroup-v2.rst`); file pages in its count can be freed."""
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = int((folder / "memory.current").read_text(encoding="ascii"))
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
    except (OSError, ValueError):  # no control groups, or of the first version
        return None
    return None if limit == "max" else max(0, int(limit) - used + int(statistics.get("file", 0)))

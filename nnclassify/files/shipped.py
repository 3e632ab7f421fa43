"""The configs and tables that ship with the package."""

from __future__ import annotations

import re
from pathlib import Path

from nnclassify.errors import InputError, SaveError, one_line, suggestion

SCHEMA_LINE = "# yaml-language-server: $schema="
"""Tells an editor where the JSON schema is: in a shipped config by a path relative to it."""

PACKAGE = Path(__file__).parents[1]
SHIPPED = [PACKAGE / "configs", PACKAGE.parent / "configs"]
"""Where they lie: in the wheel, and in a checkout."""


def shipped_configs() -> dict[str, Path]:
    """The shipped configs by name: `digits_cnn`, ...; then `smoke/model_mlp`, ..."""
    folder = next((folder for folder in SHIPPED if folder.is_dir()), None)
    if folder is None:
        return {}
    paths = sorted(folder.glob("*.yaml")) + sorted(folder.glob("*/*.yaml"))
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}


def find_shipped(name: str) -> Path:
    """The shipped config of that name.

    Raises:
        InputError: There is none.
    """
    known = shipped_configs()
    path = known.get(name.removesuffix(".yaml"))
    if path is None:
        hint = suggestion(name, known)
        raise InputError(f"{name}: no shipped config of that name{hint}; `nnclassify configs` lists them")
    return path


def summaries() -> dict[str, str]:
    """The first line of the header of each shipped config, by its name."""
    return {
        name: path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ") for name, path in shipped_configs().items()
    }


def listing() -> str:
    """One line per shipped config: its name and its summary."""
    known = summaries()
    width = max(map(len, known), default=0)
    return "\n".join(f"{name.ljust(width)}  {summary}" for name, summary in known.items())


def copy_shipped(name: str, target: Path | None) -> Path:
    """Copy a shipped config to a file or into a folder; left out, here. Returns the copy.

    Raises:
        InputError: There is no such config or folder, or the file is there already.
        SaveError: The copy cannot be written.
    """
    source = find_shipped(name)
    target = target or Path(source.name)
    try:
        if target.is_dir():
            target = target / source.name
        if not target.parent.is_dir():
            raise InputError(f"{target.parent}: no such folder; create it first")
        with target.open("x", encoding="utf-8") as file:  # never over another file
            file.write(text_of(source))
    except FileExistsError as cause:
        raise InputError(f"{target}: already exists; name another file") from cause
    except (OSError, ValueError) as cause:  # the latter of a NUL character
        raise SaveError(f"{target}: not saved ({one_line(cause)}); free space or fix permissions") from cause
    return target


def text_of(source: Path) -> str:
    """The text of a shipped config, for another folder: its schema by the absolute path."""
    text = source.read_text(encoding="utf-8")
    return re.sub(
        f"(?m)^{re.escape(SCHEMA_LINE)}(.*)$", lambda line: f"{SCHEMA_LINE}{(source.parent / line[1]).resolve()}", text
    )

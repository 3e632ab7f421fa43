"""The configs and tables that ship with the package."""

from __future__ import annotations

from pathlib import Path

from nnclassify.errors import InputError, suggestion

SHIPPED = [Path(__file__).parent / "configs", Path(__file__).parent.parent / "configs"]
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


def listing() -> str:
    """One line a shipped config: its name, and the first line of its header."""
    known = shipped_configs()
    width = max(map(len, known), default=0)
    return "\n".join(
        f"{name.ljust(width)}  {path.read_text(encoding='utf-8').splitlines()[0].lstrip('# ')}"
        for name, path in known.items()
    )


def copy_shipped(name: str, target: Path | None) -> Path:
    """Copy a shipped config to a file or into a folder; left out, here. Returns the copy.

    Raises:
        InputError: There is no such config or folder, or the file is there already.
    """
    source = find_shipped(name)
    target = target or Path(source.name)
    if target.is_dir():
        target = target / source.name
    if target.exists():
        raise InputError(f"{target}: is there already; name another file")
    if not target.parent.is_dir():
        raise InputError(f"{target.parent}: no such folder; expected one that is there")
    target.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    return target

"""The configs that ship with the package."""

from __future__ import annotations

import re
from pathlib import Path

from nnclassify.errors import InputError, suggestion
from nnclassify.files.atomic_write import write_new
from nnclassify.files.paths import is_folder

SCHEMA_LINE = "# yaml-language-server: $schema="
"""Comment that tells editors the path of the JSON schema; in shipped configs, it is relative to the config."""

PACKAGE = Path(__file__).parents[1]
SHIPPED = [PACKAGE / "configs", PACKAGE.parent / "configs"]
"""Folder of the shipped configs: in the wheel, or in a checkout."""
SMOKE = "smoke/"
"""What the names of smoke tests begin with."""


def shipped_configs() -> dict[str, Path]:
    """Return the shipped configs by name: `digits_cnn`, ...; then `smoke/model_mlp`, ..."""
    folder = next((folder for folder in SHIPPED if folder.is_dir()), None)
    if folder is None:
        return {}
    paths = sorted(folder.glob("*.yaml")) + sorted(folder.glob("*/*.yaml"))
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}


def shipped_config(name: str) -> Path | None:
    """Return the shipped config with a name, also as `NAME.yaml` or `configs/NAME.yaml`, or None."""
    return shipped_configs().get(name.removesuffix(".yaml").removeprefix("configs/"))


def find_shipped(name: str) -> Path:
    """Return the shipped config with this name.

    Raises:
        InputError: There is no such config.
    """
    path = shipped_config(name)
    if path is None:
        hint = suggestion(name, shipped_configs())
        raise InputError(f"{name}: no shipped config of that name{hint}; `nnclassify configs` lists them")
    return path


def summaries() -> dict[str, str]:
    """Return the first header line of each shipped config, by name."""
    return {
        name: path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ") for name, path in shipped_configs().items()
    }


def listing() -> str:
    """Return one line per shipped config: its name and its summary; those of smoke tests share the last line."""
    found = summaries()
    known = {name: summary for name, summary in found.items() if not name.startswith(SMOKE)}
    width = max(map(len, known), default=0)
    known[f"{SMOKE}..."] = f"{len(found) - len(known)} tiny configs for smoke tests; `configs --json` lists them."
    return "\n".join(f"{name.ljust(width)}  {summary}" for name, summary in known.items())


def copy_shipped(name: str, target: Path | None) -> Path:
    """Copy a shipped config to a file or folder, by default the working directory; return the path of the copy.

    Raises:
        InputError: There is no such config or folder, or the file already exists.
        SaveError: The copy cannot be written.
    """
    source = find_shipped(name)
    target = target or Path(source.name)
    if is_folder(target):
        target = target / source.name
    write_new(target, text_of(source))
    return target


def text_of(source: Path) -> str:
    """Return the text of a shipped config for use in another folder, with the absolute path of the schema."""
    text = source.read_text(encoding="utf-8")
    return re.sub(
        f"(?m)^{re.escape(SCHEMA_LINE)}(.*)$", lambda line: f"{SCHEMA_LINE}{(source.parent / line[1]).resolve()}", text
    )

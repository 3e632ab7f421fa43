"""Write a changed config: the YAML text with some values replaced; comments and order are kept."""

from __future__ import annotations

import codecs
import io
import os
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from nnclassify.config.run_config import LoadedConfig
from nnclassify.config.yaml_reader import decoded, path_of_key
from nnclassify.diagnosis.findings import Change
from nnclassify.errors import InputError, SaveError, one_line
from nnclassify.files.paths import look


def edited(text: str, change: Change) -> str:
    """Return the YAML text with the values at dotted paths replaced; None removes a key."""
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 120
    document = yaml.load(text)
    for path, value in change.items():
        _set(document, list(path_of_key(path)), value)
    out = io.StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def written_like(raw: bytes, text: str) -> bytes:
    """Encode a text with the line ends, the encoding and the byte-order mark of a file."""
    encoding = "utf-8-sig" if raw.startswith(codecs.BOM_UTF8) else "utf-8"
    for mark, name in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if raw.startswith(mark):
            encoding, text = name, f"\ufeff{text}"
    return text.replace("\n", "\r\n" if "\r\n" in decoded(raw) else "\n").encode(encoding)


def _set(node: Any, path: list[str | int], value: Any) -> None:
    """Replace or add one value; `dataset: iris` becomes `{name: iris}` if an option is added to it."""
    for part in path[:-1]:
        child = node.get(part) if isinstance(node, dict) else node[part]
        if not isinstance(child, dict | list):
            child = CommentedMap() if child is None else CommentedMap(name=child)
            child.fa.set_flow_style()
            node[part] = child
        node = child
    if value is None and isinstance(node, dict):
        node.pop(path[-1], None)
    else:
        node[path[-1]] = _flow(value)


def _flow(value: Any) -> Any:
    """Mappings and lists on one line, as the configs write them."""
    if isinstance(value, dict):
        mapping = CommentedMap({key: _flow(inner) for key, inner in value.items()})
        mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, list):
        sequence = CommentedSeq(_flow(inner) for inner in value)
        sequence.fa.set_flow_style()
        return sequence
    return value


def refuse_existing(option: str, target: Path) -> None:
    """Refuse to overwrite a file, and report before minutes of trials a folder that cannot be written to.

    Raises:
        InputError: It already exists, or its folder does not, or is closed to the user.
    """
    if look(target) is not None or target.is_symlink():
        raise InputError(f"{option} {target}: already exists; name another file")
    if not target.parent.is_dir():
        raise InputError(f"{option} {target}: no such folder; create it first")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise InputError(f"{option} {target}: the folder cannot be written to; name a file in another one")


def write_fixed(loaded: LoadedConfig, target: Path, change: Change) -> None:
    """Write the changed config, including what `--set` overrode, since the trials used it.

    Raises:
        SaveError: It cannot be written.
    """
    everything = {**loaded.source.overrides(), **change}
    try:
        raw = Path(loaded.source.file).read_bytes()
        text = decoded(raw).replace("\r\n", "\n")  # else the first half of a line end would stay in comments
        target.write_bytes(written_like(raw, edited(text, everything)))
    except OSError as cause:
        raise SaveError(f"{target}: not saved ({one_line(cause)}); free space or fix permissions") from cause

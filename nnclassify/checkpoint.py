"""Checkpoints: one file that stands alone, written so that a kill at any moment leaves a good one.

Primitives and tensors only. Written to a temporary file in the same folder, flushed, fsynced, renamed, the
folder fsynced; the generation before is kept as `<name>.previous.pt`. Read with the zip's checksums tested
first, `weights_only=True`, and a SHA-256 over the content compared: `torch.load` alone accepts flipped bits.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnclassify.errors import CheckpointError, SaveError, one_line

FORMAT = "nnclassify-checkpoint"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """A trained net and all that is needed to use it.

    Attributes:
        config: The resolved config, as `RunConfig.model_dump(mode="json")`.
        class_names: In the order of the class indices.
        class_counts: Training examples of each class; a loss may depend on them.
        transform: `Transform.state()`.
        model: The weights to use: the average, where there is one.
        epoch: The epoch they are of, from 1.
        history: `Row.state()` of every epoch so far.
        training: What an exact resume needs; None in `best.pt`.
    """

    config: dict[str, Any]
    class_names: list[str]
    class_counts: list[int]
    transform: dict[str, Any]
    model: dict[str, Tensor]
    epoch: int
    history: list[dict[str, Any]]
    training: dict[str, Any] | None = None
    format: str = field(default=FORMAT)
    format_version: int = field(default=FORMAT_VERSION)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the file before it stays until the new one is whole, and then as `.previous.pt`.

    Raises:
        SaveError: It could not be written; the one before is untouched.
    """
    content = vars(checkpoint)
    partial = path.with_suffix(".partial")
    try:
        with partial.open("wb") as file:
            torch.save({**content, "sha256": content_digest(content)}, file)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            path.replace(previous(path))
        partial.replace(path)
        sync_folder(path.parent)
    except (OSError, RuntimeError) as cause:
        partial.unlink(missing_ok=True)
        raise SaveError(
            f"{path}: not saved ({one_line(cause)}); free space or mend permissions, then resume"
        ) from cause


def previous(path: Path) -> Path:
    """Where the generation before is kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and make sure that it is what was written.

    Raises:
        CheckpointError: It is missing, no checkpoint, damaged, or of a later format.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected a checkpoint such as checkpoints/<run>/best.pt")
    if not zipfile.is_zipfile(path):
        raise CheckpointError(f"{path}: not a checkpoint (not a zip file); expected one that `train` wrote")
    try:
        _check_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except Exception as cause:  # a damaged file fails in as many ways as it has bytes
        raise CheckpointError(f"{path}: damaged ({one_line(cause)}); use the generation before it") from cause
    return _checked(path, content)


def _check_archive(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise CheckpointError(f"{path}: holds compressed entries, which no checkpoint of ours does; not read")
        if (bad := archive.testzip()) is not None:
            raise CheckpointError(f"{path}: damaged (checksum of {bad}); use the generation before it")


def _checked(path: Path, content: Any) -> Checkpoint:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a checkpoint of nnclassify; expected one that `train` wrote")
    if content.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format version {content.get('format_version')}; this nnclassify reads {FORMAT_VERSION}: use the "
            "release that wrote it"
        )
    digest = content.pop("sha256", None)
    if digest != content_digest(content):
        raise CheckpointError(f"{path}: damaged (SHA-256 differs); use the generation before it")
    try:
        checkpoint = Checkpoint(**content)
    except TypeError as cause:
        raise CheckpointError(f"{path}: not a whole checkpoint ({one_line(cause)})") from cause
    if bad := [name for name, weight in checkpoint.model.items() if not weight.isfinite().all()]:
        raise CheckpointError(f"{path}: weight {bad[0]} holds NaN or infinity; use an earlier checkpoint")
    return checkpoint


def content_digest(content: Any) -> str:
    """SHA-256 over names, shapes, types and bytes, the same for the same content."""
    digest = hashlib.sha256()
    for part in _parts(content):
        digest.update(part)
    return digest.hexdigest()


def _parts(value: Any) -> Iterator[bytes | memoryview]:
    if isinstance(value, Tensor):
        yield f"tensor {value.dtype} {tuple(value.shape)}".encode()
        yield value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
    elif isinstance(value, dict):
        yield f"dict {len(value)}".encode()
        for key in sorted(value, key=repr):
            yield repr(key).encode()
            yield from _parts(value[key])
    elif isinstance(value, list | tuple):
        yield f"{type(value).__name__} {len(value)}".encode()
        for item in value:
            yield from _parts(item)
    else:
        yield f"{type(value).__name__} {value!r}".encode()

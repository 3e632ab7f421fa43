"""Checkpoints: self-contained files, written so that a kill at any time leaves a valid one.

They contain primitives and tensors only. `files/atomic_write.py` writes a checkpoint and reads it back before it
replaces the previous one, which is kept as `<name>.previous.pt`. To read one, `files/pt_check.py` checks it before
`torch.load` with `weights_only=True`; then a SHA-256 over the content is compared, since `torch.load` accepts
flipped bits, and the content is validated by `runs/schema.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnclassify.errors import CheckpointError, TrainingError, one_line, shell_command
from nnclassify.files.atomic_write import previous, write_whole
from nnclassify.files.pt_check import check_archive, plain_content
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.schema import FORMAT, FORMAT_VERSION, checked, packed_history
from nnclassify.runs.schema import Checkpoint as Checkpoint


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, keeping the previous one under another name.

    Raises:
        TrainingError: A weight is NaN or infinite, so the checkpoint would be useless.
        SaveError: The file could not be written or read back; the previous one is unchanged.
    """
    moved: dict[int, Tensor] = {}
    content = plain({**vars(checkpoint), "history": packed_history(checkpoint.history)}, moved)
    if checkpoint.calibration is None:
        del content["calibration"]  # as every release wrote it
    if (bad := _not_finite(content)) is not None:
        raise TrainingError(
            f"{path}: not saved, weight {bad} holds NaN or infinity; the previous checkpoint is kept; try a lower "
            "optimizer.lr, or clip_grad_norm: 1"
        )
    size = sum({tensor.data_ptr(): tensor.nbytes for tensor in moved.values()}.values())
    whole = {**content, "sha256": content_digest(content)}
    write_whole(path, lambda file: torch.save(whole, file), size=size, keep_previous=True, check=load_checkpoint)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read and validate a checkpoint.

    Raises:
        CheckpointError: The file is missing, damaged, not a checkpoint, or of a later format.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected a checkpoint such as checkpoints/<run>/best.pt")
    try:
        check_archive(path)
        return _checked(path, torch.load(path, map_location="cpu", weights_only=True))
    except CheckpointError:
        raise
    except PermissionError as cause:
        raise CheckpointError(f"{path}: cannot be read ({cause.strerror}); fix permissions") from cause
    except Exception as cause:  # a damaged file can raise almost anything
        raise CheckpointError(
            f"{path}: damaged, or not a checkpoint ({one_line(cause)}); expected a complete file written by `train`"
        ) from cause


@dataclass(frozen=True)
class Found:
    """A checkpoint that could be read.

    Attributes:
        path: Path that it was read from.
        checkpoint: The checkpoint.
        notes: What is wrong with the latest version, if it could not be read.
    """

    path: Path
    checkpoint: Checkpoint
    notes: tuple[str, ...] = ()


def load_newest(path: Path) -> Found:
    """Read a checkpoint, or its previous version if it is damaged or missing.

    Raises:
        CheckpointError: Neither version can be read (the message says what is wrong with the latest); the user has
            no permission; or the checkpoint belongs to another run than `last.pt` next to it.
    """
    found = _newest(path)
    folder = RunFolder(path.parent)
    if path == folder.best and not _is_of_run(found.checkpoint, folder):
        raise CheckpointError(
            f"{found.path}: belongs to another run than {folder.last.name} next to it; to restore this run's own: "
            f"{shell_command('train', '--resume', folder.path)}; to use this one, copy it to another folder"
        )
    return found


def _is_of_run(checkpoint: Checkpoint, folder: RunFolder) -> bool:
    """Return whether a checkpoint belongs to the same run as a folder's `last.pt`; True if that has no identity."""
    last = plain_content(folder.last)
    return not last or checkpoint.run_id == last.get("run_id")


def _newest(path: Path) -> Found:
    try:
        return Found(path, load_checkpoint(path))
    except CheckpointError as damage:
        older = previous(path)
        if isinstance(damage.__cause__, PermissionError) or not older.is_file():
            raise
        try:
            checkpoint = load_checkpoint(older)
        except CheckpointError as older_damage:
            raise CheckpointError(f"{damage}; the previous one cannot be used either: {older_damage}") from older_damage
        return Found(older, checkpoint, (f"{damage}: using {older} from epoch {checkpoint.epoch}",))


def _checked(path: Path, content: Any) -> Checkpoint:
    said = content.get("format") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(said, str) or said != FORMAT:
        raise CheckpointError(f"{path}: not a checkpoint of nnclassify; expected one written by `train`")
    version = content.get("format_version")
    if type(version) is not int or version > FORMAT_VERSION:
        found = version if type(version) is int else type(version).__name__
        raise CheckpointError(
            f"{path}: format_version {found}; this nnclassify reads up to {FORMAT_VERSION}: use the release that wrote "
            "it"
        )
    digest = content.pop("sha256", None)
    if not isinstance(digest, str) or digest != content_digest(content):
        raise CheckpointError(f"{path}: damaged (SHA-256 differs); use the previous checkpoint")
    try:
        checkpoint = checked(content)
    except ValueError as cause:
        raise CheckpointError(f"{path}: not a valid checkpoint ({cause})") from cause
    if (bad := _not_finite(vars(checkpoint))) is not None:
        raise CheckpointError(f"{path}: weight {bad} holds NaN or infinity; use an earlier checkpoint")
    return checkpoint


def _not_finite(content: dict[str, Any]) -> str | None:
    """Return the name of the first weight with NaN or infinity, in the network, its average or its best state, or
    None."""
    training = content["training"] or {}
    for weights in (content["model"], training.get("model"), training.get("averaged"), training.get("best_model")):
        for name, weight in weights.items() if isinstance(weights, dict) else ():
            if isinstance(weight, Tensor) and not weight.isfinite().all():
                return str(name)
    return None


def plain(value: Any, moved: dict[int, Tensor] | None = None) -> Any:
    """Return a value as dicts, lists, tuples, primitives and CPU tensors: state dicts have attributes, and graphs.

    A tensor that appears twice remains one: `moved` holds those that have already been moved.
    """
    moved = {} if moved is None else moved
    if isinstance(value, Tensor):
        if id(value) not in moved:
            moved[id(value)] = _dense(value.detach().cpu())
        return moved[id(value)]
    if isinstance(value, dict):
        return {key: plain(child, moved) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(child, moved) for child in value)
    return value


def _dense(tensor: Tensor) -> Tensor:
    """Return a tensor with every element stored once, without a negative bit; expanded tensors repeat elements."""
    tensor = tensor.resolve_conj().resolve_neg()
    extent = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size != 1 and stride != extent:
            return tensor.contiguous()
        extent *= size
    return tensor


def content_digest(content: Any) -> str:
    """Return a SHA-256 over names, shapes, types and bytes."""
    digest = hashlib.sha256()
    for part in _parts(content):
        digest.update(part)
    return digest.hexdigest()


def _parts(value: Any) -> Iterator[bytes | memoryview]:
    if isinstance(value, Tensor):
        yield f"tensor {value.dtype} {tuple(value.shape)}".encode()
        numbers = value.detach().cpu().contiguous()
        yield numbers.as_strided((numbers.numel(),), (1,)).view(torch.uint8).numpy().data
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

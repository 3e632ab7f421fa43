"""Checkpoints: one file that stands alone, written so that a kill at any moment leaves a good one.

Primitives and tensors only. Written as `storage` writes; the generation before is kept as `<name>.previous.pt`.
Read after `archive` has looked at it, with `weights_only=True`, and a SHA-256 over the content compared:
`torch.load` alone accepts flipped bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch import Tensor

from nnclassify.archive import check_archive
from nnclassify.errors import CheckpointError, TrainingError, one_line
from nnclassify.history import Row
from nnclassify.storage import previous, write_whole

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
        split_digests: `Splits.digests()` of the data that it was trained on; None where an earlier release wrote it.
    """

    config: dict[str, Any]
    class_names: list[str]
    class_counts: list[int]
    transform: dict[str, Any]
    model: dict[str, Tensor]
    epoch: int
    history: list[dict[str, Any]]
    training: dict[str, Any] | None = None
    split_digests: dict[str, str] | None = None
    format: str = field(default=FORMAT)
    format_version: int = field(default=FORMAT_VERSION)

    __pydantic_config__ = ConfigDict(arbitrary_types_allowed=True, extra="forbid")


_SCHEMA: TypeAdapter[Checkpoint] = TypeAdapter(Checkpoint)
_ROWS = TypeAdapter(list[Row])


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the file before it stays until the new one is whole, and then as its generation before.

    Raises:
        TrainingError: A weight holds NaN or infinity: there is nothing worth keeping.
        SaveError: It could not be written; the one before is untouched.
    """
    content = plain(vars(checkpoint))
    if (bad := _not_finite(content)) is not None:
        raise TrainingError(
            f"{path}: not saved, weight {bad} holds NaN or infinity; the checkpoint before it is kept; try a lower "
            "optimizer.lr, or clip_grad_norm: 1"
        )
    size = sum({tensor.data_ptr(): tensor.nbytes for tensor in _tensors(content)}.values())
    whole = {**content, "sha256": content_digest(content)}
    write_whole(path, lambda file: torch.save(whole, file), size=size, keep_previous=True)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and make sure that it is what was written.

    Raises:
        CheckpointError: It is missing, no checkpoint, damaged, or of a later format.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected a checkpoint such as checkpoints/<run>/best.pt")
    try:
        check_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as cause:  # a damaged file fails in as many ways as it has bytes
        raise CheckpointError(
            f"{path}: damaged, or not a checkpoint ({one_line(cause)}); expected one that `train` wrote, whole"
        ) from cause
    return _checked(path, content)


@dataclass(frozen=True)
class Found:
    """A checkpoint that could be read.

    Attributes:
        path: Where it was read from.
        checkpoint: What it holds.
        notes: What is wrong with a later generation that could not be read; empty where there is none.
    """

    path: Path
    checkpoint: Checkpoint
    notes: tuple[str, ...] = ()


def load_newest(path: Path) -> Found:
    """Read a checkpoint; where it is damaged or missing, the generation before it.

    Raises:
        CheckpointError: Neither can be read; names what is wrong with the later one.
    """
    try:
        return Found(path, load_checkpoint(path))
    except CheckpointError as damage:
        older = previous(path)
        if not older.is_file():
            raise
        try:
            checkpoint = load_checkpoint(older)
        except CheckpointError as older_damage:
            raise CheckpointError(f"{damage}; but that is no better: {older_damage}") from older_damage
        return Found(older, checkpoint, (f"{damage}: using {older}, of epoch {checkpoint.epoch}",))


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
        checkpoint = _SCHEMA.validate_python(content)
        rows = _ROWS.validate_python(checkpoint.history)
    except ValidationError as cause:
        problem = cause.errors(include_url=False)[0]
        place = ".".join(map(str, problem["loc"]))
        raise CheckpointError(f"{path}: not a whole checkpoint ({place}: {problem['msg']})") from cause
    if (bad := _not_finite(vars(checkpoint))) is not None:
        raise CheckpointError(f"{path}: weight {bad} holds NaN or infinity; use an earlier checkpoint")
    return replace(checkpoint, history=[row.state() for row in rows])


def _not_finite(content: dict[str, Any]) -> str | None:
    """The first weight that is not finite, of the network, its average or its best state; None: all are."""
    training = content["training"] or {}
    for weights in (content["model"], training.get("model"), training.get("averaged"), training.get("best_model")):
        for name, weight in weights.items() if isinstance(weights, dict) else ():
            if isinstance(weight, Tensor) and not weight.isfinite().all():
                return str(name)
    return None


def plain(value: Any) -> Any:
    """The same in dicts, lists, tuples, primitives and detached tensors: state dicts hide attributes and graphs."""
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, dict):
        return {key: plain(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(child) for child in value)
    return value


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _tensors(child)


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

"""One copy of the examples per node: its first process reads them, and all processes map them into memory.

The copy is in a file without a name (`memfd_create`), which disappears with the processes, however they end.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import torch

from nnclassify.data import Examples, Splits
from nnclassify.data.encoding import TableEncoder
from nnclassify.data.image_format import ImageFormat
from nnclassify.data.image_stream import StreamedImages
from nnclassify.data.names import ExampleNames
from nnclassify.distributed.ranks import Ranks
from nnclassify.errors import DataError, NNClassifyError

SPLITS = ("train", "validation", "test")


def read_once(ranks: Ranks, read: Callable[[], Splits]) -> Splits:
    """Return the examples of a run; on each node, one process reads them.

    Args:
        ranks: The processes of the run.
        read: Function that reads the examples.

    Raises:
        NNClassifyError: `read` has failed; raised in every process.
        TrainingError: Another process has ended.
    """
    if ranks.world_size == 1 or sys.platform != "linux":
        return read()
    read_here = ranks.rank == ranks.first_of_node
    file, problem, failure = os.memfd_create("examples") if read_here else None, "", None
    if file is not None:
        try:
            with os.fdopen(os.dup(file), "wb") as stream:
                torch.save(_packed(read()), stream)
        except NNClassifyError as error:
            failure, problem = error, str(error)
    answers: list[tuple[str, str]] = ranks.all_gather_object((problem, f"/proc/{os.getpid()}/fd/{file}"))
    if failure is not None:
        raise failure
    for other_problem, _ in answers:
        if other_problem:
            raise DataError(other_problem)
    splits = _unpacked(torch.load(answers[ranks.first_of_node][1], mmap=True, weights_only=True))
    ranks.all_gather_object(())  # wait until all have mapped it
    if file is not None:
        os.close(file)
    return splits


KINDS = (Examples, ExampleNames, ImageFormat)
"""What is packed by its fields."""


def _packed(splits: Splits) -> dict[str, Any]:
    """Return splits as tensors and primitives; storages that splits share are stored once."""
    whole = {**vars(splits), "validation": None} if splits.validation_is_test else vars(splits)
    encoder = None if splits.encoder is None else splits.encoder.state()
    return {**_fields(whole), "encoder": encoder, "validation_is_test": splits.validation_is_test}


def _fields(whole: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in whole.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, StreamedImages):
        return value.state()
    return _fields(vars(value)) if isinstance(value, KINDS) else value


def _unpacked(packed: dict[str, Any]) -> Splits:
    validation_is_test = packed.pop("validation_is_test")
    for name in SPLITS:
        if (split := packed[name]) is not None:
            inputs = split["inputs"]
            inputs = StreamedImages.from_state(inputs) if isinstance(inputs, dict) else inputs
            packed[name] = Examples(**{**split, "inputs": inputs, "names": ExampleNames(**split["names"])})
    if packed["image_format"] is not None:
        packed["image_format"] = ImageFormat(**packed["image_format"])
    if packed["encoder"] is not None:
        packed["encoder"] = TableEncoder.from_state(packed["encoder"])
    return Splits(**{**packed, "validation": packed["test"]} if validation_is_test else packed)

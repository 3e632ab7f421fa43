"""One copy of the examples per node: its first process reads them, and all processes map them into memory.

The copy is in a file without a name (`memfd_create`), which disappears with the processes, however they end. Of what is
already in a file, such as cached images, there is no copy: all processes map that file.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any

import torch

from nnclassify.data import Examples, Splits
from nnclassify.data.images.image_stream import StreamedImages
from nnclassify.data.names import ExampleNames
from nnclassify.data.splitting import Groups
from nnclassify.data.tables.table_encoder import TableEncoder
from nnclassify.distributed.mapped_files import MappedFiles, mapped
from nnclassify.distributed.ranks import Ranks
from nnclassify.files.images.image_format import ImageFormat

SPLITS = ("train", "validation", "test")


def read_once(ranks: Ranks, read: Callable[[], Splits]) -> Splits:
    """Return the examples of a run; on each node, one process reads them.

    Args:
        ranks: The processes of the run.
        read: Function that reads the examples.

    Raises:
        NNClassifyError: `read` has failed, which `Ranks.telling` tells the other processes.
        OtherProcessError: It has failed in another process.
        TrainingError: Another process has ended.
    """
    if ranks.world_size == 1 or sys.platform != "linux":
        return read()
    with contextlib.ExitStack() as open_files:
        path = _written(read(), open_files) if ranks.rank == ranks.first_of_node else ""
        paths = ranks.all_gather_object(path)
        splits = _unpacked(torch.load(paths[ranks.first_of_node], mmap=True, weights_only=True))
        ranks.all_gather_object(())  # wait until all have mapped it
    return splits


def _written(splits: Splits, open_files: contextlib.ExitStack) -> str:
    """Write splits to a file in memory, and return its path; it is open until `open_files` ends."""
    file = os.memfd_create("examples")
    open_files.callback(os.close, file)
    files = open_files.enter_context(contextlib.closing(MappedFiles()))
    with os.fdopen(os.dup(file), "wb") as stream:
        torch.save(_packed(splits, files), stream)
    return f"/proc/{os.getpid()}/fd/{file}"


KINDS = (Examples, ExampleNames, ImageFormat)
"""What is packed by its fields."""


def _packed(splits: Splits, files: MappedFiles) -> dict[str, Any]:
    """Return splits as tensors and primitives; storages that splits share are stored once."""
    whole = {**vars(splits), "validation": None} if splits.validation_is_test else vars(splits)
    encoder = None if splits.encoder is None else splits.encoder.state()
    return {**_fields(whole, files), "encoder": encoder, "validation_is_test": splits.validation_is_test}


def _fields(whole: dict[str, Any], files: MappedFiles) -> dict[str, Any]:
    return {name: _plain(value, files) for name, value in whole.items()}


def _plain(value: Any, files: MappedFiles) -> Any:
    if isinstance(value, StreamedImages):
        return value.state()
    if isinstance(value, Groups):
        return {"codes": torch.from_numpy(value.codes), "names": value.names}
    if isinstance(value, torch.Tensor):
        return files.place_of(value) or value
    return _fields(vars(value), files) if isinstance(value, KINDS) else value


def _restored(fields: dict[str, Any], known: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Map the tensors that are in files; `known` has those of other splits, since splits share them."""
    places = {name: value for name, value in fields.items() if isinstance(value, dict) and "file" in value}
    for place in places.values():
        if str(place) not in known:
            known[str(place)] = mapped(place)
    return {**fields, **{name: known[str(place)] for name, place in places.items()}}


def _unpacked(packed: dict[str, Any]) -> Splits:
    validation_is_test, known = packed.pop("validation_is_test"), dict[str, torch.Tensor]()
    for name in SPLITS:
        if (split := packed[name]) is not None:
            split = _restored(split, known)
            names = ExampleNames(**_restored(split["names"], known))
            groups = split["groups"] and Groups(split["groups"]["codes"].numpy(), split["groups"]["names"])
            inputs = split["inputs"]
            inputs = StreamedImages.from_state(inputs) if isinstance(inputs, dict) else inputs
            packed[name] = Examples(**{**split, "inputs": inputs, "names": names, "groups": groups})
    if packed["image_format"] is not None:
        packed["image_format"] = ImageFormat(**packed["image_format"])
    if packed["encoder"] is not None:
        packed["encoder"] = TableEncoder.from_state(packed["encoder"])
    return Splits(**{**packed, "validation": packed["test"]} if validation_is_test else packed)

"""Compute the outputs of a network for a split, for validation, evaluation and prediction."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from nnclassify.data import Examples
from nnclassify.data.batches import prepared
from nnclassify.data.transform import Transform, Tta
from nnclassify.device import Placement
from nnclassify.errors import DataError
from nnclassify.models.layers import evaluating

MAX_BATCH, MAX_BATCH_BYTES = 1000, 64 * 2**20
"""Maximum number of examples in a batch, and of bytes of its inputs. The batch size of the config is for training."""
CHECKED_AT_ONCE = 2048
"""Number of examples whose values are checked at a time."""
CPU_BATCH, CPU_BATCH_BYTES = 16, 2 * 2**20
"""Limits on a CPU, which keep the outputs of a layer in the cache: at least this many examples, at most this many
bytes."""


def check_tta(tta: Tta, input_shape: tuple[int, ...]) -> None:
    """Check that test-time augmentation applies to the inputs.

    Raises:
        DataError: The examples are not images, or too small.
    """
    if tta != "none" and (len(input_shape) != 3 or min(input_shape[1:]) < 2):
        raise DataError(
            f"evaluation.tta: found {tta} for examples of shape {input_shape}; expected images of at least 2x2 "
            "pixels: set evaluation.tta: none"
        )


def check_values(examples: Examples, transform: Transform, origin: str) -> None:
    """Check that the network can compute with the examples, whose values are known to be finite.

    Raises:
        DataError: A normalized value is too large for float32; the message says where it is.
    """
    if not (transform.shift.isfinite() & transform.scale.isfinite()).all():
        row = int(examples.select(torch.arange(len(examples)))[0].flatten(1).abs().amax(dim=1).argmax())
        raise DataError(
            f"{examples.location(row, origin)}: a value too large to normalize; correct it or remove the example"
        )
    if examples.inputs.dtype == torch.uint8:
        return
    for rows in torch.arange(len(examples)).split(CHECKED_AT_ONCE):
        for row, problem in transform.too_large(examples.select(rows)[0]).items():
            place = examples.location(int(rows[row]), origin)
            raise DataError(f"{place}: {problem}; correct it or remove the example")


def views(inputs: Tensor, tta: Tta) -> Iterator[tuple[float, Tensor]]:
    """Yield the views that test-time augmentation averages over: weights that sum to 1, each with inputs `(B, ...)`.

    The six views of `mirror_translate` and their weights are from Jordan, 2024 (arXiv:2404.00498, section 3.5).
    """
    moved: list[Tensor] = []
    if tta == "mirror_translate":
        height, width = inputs.shape[2:]
        padded = functional.pad(inputs, (1, 1, 1, 1), mode="reflect")
        moved = [padded[:, :, start : start + height, start : start + width] for start in (0, 2)]
    share = 0.5 if moved else 1.0
    for weight, view in [(share, inputs), *((share / 2, view) for view in moved)]:
        if tta == "none":
            yield weight, view
        else:
            yield from ((weight / 2, view), (weight / 2, view.flip(3)))


def outputs_of(
    model: nn.Module, examples: Examples, transform: Transform, placement: Placement, tta: Tta = "none"
) -> Tensor:
    """Compute the outputs `(N, num_outputs)` of a split in evaluation mode, in order, and move them to the CPU.

    The network is returned to the mode that it was in.
    """
    # The one synchronization point:
    return torch.cat(list(outputs_by_batch(model, examples, transform, placement, tta))).cpu()


def outputs_by_batch(
    model: nn.Module, examples: Examples, transform: Transform, placement: Placement, tta: Tta = "none"
) -> Iterator[Tensor]:
    """Yield the outputs in batches, `(B, num_outputs)` on the device; see `outputs_of`."""
    with evaluating(model):
        for rows in torch.arange(len(examples)).split(_batch_size(transform.input_shape, placement)):
            inputs, _ = prepared(examples, rows, transform, placement)
            with torch.no_grad(), placement.autocast():
                outputs = sum(weight * model(view).to(placement.dtype) for weight, view in views(inputs, tta))
            yield outputs


def _batch_size(input_shape: tuple[int, ...], placement: Placement) -> int:
    example_bytes = placement.dtype.itemsize * math.prod(input_shape)
    most = min(MAX_BATCH, max(1, MAX_BATCH_BYTES // example_bytes))
    return most if placement.device.type != "cpu" else min(most, max(CPU_BATCH, CPU_BATCH_BYTES // example_bytes))

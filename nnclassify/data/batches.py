"""Turns examples into batches on the device.

The order of an epoch depends on (seed, epoch) only, and the augmentation on (seed, epoch, example) only. Neither chunks
nor workers nor resuming in the middle of an epoch change what a step sees.

Examples are prepared in chunks of several batches: a tiny network with a batch size of 1 would otherwise spend more
time waiting for its batch than computing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nnclassify.data import Examples
from nnclassify.data.augment import Augment, Augmentation
from nnclassify.data.mixing import Mixing, soft_targets
from nnclassify.data.transform import Transform
from nnclassify.device import Placement, chunk_limits, fits_on
from nnclassify.seeds import torch_rng


@dataclass(frozen=True)
class Chunk:
    """Several consecutive batches.

    Attributes:
        inputs: Normalized inputs, `(M, ...)`.
        targets: Class indices `(M,)`, or multi-hot `(M, K)`; soft, in floating point `(M, K)`, if images are mixed.
        batch_size: Examples per batch; the last one may have fewer.
        group_size: Batches per call of the training step; groups begin at multiples of it.
        first_batch: Position of the first batch in the epoch, from 0.
    """

    inputs: Tensor
    targets: Tensor
    batch_size: int
    group_size: int = 1
    first_batch: int = 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Iterate over the groups: inputs `(M, ...)` and targets `(M,)` up to the next multiple of `group_size`.

        An incomplete last batch is a group of its own.
        """
        count = len(self.targets)
        start, batch, whole = 0, self.first_batch, count - count % self.batch_size
        while start < count:
            num_batches = self.group_size - batch % self.group_size
            end = min(start + num_batches * self.batch_size, whole if start < whole else count)
            yield self.inputs[start:end], self.targets[start:end]
            start, batch = end, batch + num_batches

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Iterate over the batches: inputs `(B, ...)` and targets `(B,)`."""
        return zip(self.inputs.split(self.batch_size), self.targets.split(self.batch_size), strict=True)

    def split_at(self, num_examples: int) -> tuple[Chunk, Chunk]:
        """Split into the first `num_examples`, a multiple of the batch size, and the rest."""
        rest = self.first_batch + num_examples // self.batch_size
        return (
            replace(self, inputs=self.inputs[:num_examples], targets=self.targets[:num_examples]),
            replace(self, inputs=self.inputs[num_examples:], targets=self.targets[num_examples:], first_batch=rest),
        )


class Batches:
    """The training examples as normalized batches on the device.

    Attributes:
        num_examples: Examples per epoch.
        batch_size: Examples per update.
        num_classes: Number of classes; needed for soft targets only.
    """

    def __init__(
        self,
        examples: Examples,
        transform: Transform,
        placement: Placement,
        *,
        batch_size: int,
        seed: int,
        shuffle: bool = True,
        augment: Augment | None = None,
        min_batch: int = 1,
        num_classes: int = 0,
    ) -> None:
        self.examples = to_device_if_fits(examples, placement.device)
        self.transform = transform
        self.placement = placement
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.augment = augment
        self.num_classes = num_classes
        rest = len(examples) % batch_size
        # Batch norm cannot normalize a single example, so a last batch this small is left out.
        too_small = 0 < rest < min_batch and len(examples) > rest
        self.num_examples = len(examples) - rest if too_small else len(examples)

    def __len__(self) -> int:
        """Return the number of updates per epoch."""
        return math.ceil(self.num_examples / self.batch_size)

    def order(self, epoch: int) -> Tensor:
        """Return the rows of an epoch (from 1) in training order, `(num_examples,)`."""
        if not self.shuffle:
            return torch.arange(self.num_examples)
        rows = torch.randperm(len(self.examples), generator=torch_rng(self.seed, "order", epoch))
        return rows[: self.num_examples]

    def epoch(self, epoch: int, first_batch: int = 0, group_size: int = 1) -> Iterator[Chunk]:
        """Iterate over the chunks of an epoch (from 1), starting at a batch (from 0); each chunk holds complete groups.

        Chunks start at fixed positions in the epoch, and each is prepared in full even if a resumed run starts
        within it. So a batch is always in the same group, at the same offset from the start of an allocation: matrix
        products round differently if their inputs have a different alignment to 64 bytes.

        While a chunk is used, files of the next one are read.
        """
        order, chunk_batches = self.order(epoch), self._chunk_batches(group_size)
        mixing = Mixing.draw(self.augment, self.seed, epoch, len(self.examples))
        prepare = self._preparation(epoch, mixing)
        starts = range(first_batch // chunk_batches * chunk_batches, len(self), chunk_batches)
        chunks = [slice(start * self.batch_size, (start + chunk_batches) * self.batch_size) for start in starts]
        try:
            for place, start in enumerate(starts):
                chunk = Chunk(*prepare(order[chunks[place]]), self.batch_size, group_size, start)
                following = [order[rows] for rows in chunks[place + 1 : place + 2]]
                partners = [mixing.partners[rows] for rows in following] if mixing is not None else []
                self.examples.read_ahead(*following, *partners)
                yield chunk if start >= first_batch else chunk.split_at((first_batch - start) * self.batch_size)[1]
        finally:
            self.examples.read_ahead()

    def preparation(self, epoch: int) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """Return the function from rows `(B,)` of the split to their inputs and targets in an epoch (from 1)."""
        return self._preparation(epoch, Mixing.draw(self.augment, self.seed, epoch, len(self.examples)))

    def _preparation(self, epoch: int, mixing: Mixing | None) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        augmentation = Augmentation.draw(self.augment, self.seed, epoch, len(self.examples))

        def alone(rows: Tensor) -> tuple[Tensor, Tensor]:
            return prepared(self.examples, rows, self.transform, self.placement, augmentation)

        def prepare(rows: Tensor) -> tuple[Tensor, Tensor]:
            inputs, targets = alone(rows)
            if mixing is None:
                return inputs, targets
            others, their_targets = alone(mixing.partners[rows])
            inputs, shares = mixing.mix(inputs, others, rows)
            shares = shares.to(self.placement.device, self.placement.dtype, non_blocking=True)
            return inputs, soft_targets(targets, their_targets, shares, self.num_classes)

        return prepare

    def _chunk_batches(self, group_size: int) -> int:
        batch_bytes = self.batch_size * math.prod(self.transform.input_shape) * self.placement.dtype.itemsize
        most_bytes, most_examples = chunk_limits(self.placement.device)  # at least one batch
        batches = min(most_examples // self.batch_size, most_bytes // batch_bytes)
        return group_size * max(1, batches // group_size)


def prepared(
    examples: Examples,
    rows: Tensor,
    transform: Transform,
    placement: Placement,
    augmentation: Augmentation | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the normalized inputs `(B, ...)` and the targets of rows `(B,)` of a split, on the device."""
    raw, targets = examples.select(rows)
    raw = raw.to(placement.device, non_blocking=True)
    if augmentation is not None:
        image_format = transform.image_format
        raw = augmentation.apply(raw, rows, None if image_format is None else image_format.max_value)
    inputs = placement.to_memory_format(transform(raw, placement.dtype))
    if augmentation is not None:
        inputs = augmentation.cut(inputs, rows)
    return inputs, targets.to(placement.device, non_blocking=True)


def to_device_if_fits(examples: Examples, device: torch.device) -> Examples:
    """Move examples that are read in every epoch to the GPU if they fit."""
    return examples.to(device) if fits_on(device, len(examples) * examples.example_bytes) else examples

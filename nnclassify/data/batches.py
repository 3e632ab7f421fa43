"""Examples to batches on the device.

The order of an epoch is a function of (seed, epoch), and the augmentation of (seed, epoch, example): so
neither chunks, nor workers, nor a resume in mid-epoch can change what a step sees.

Examples are prepared in chunks of several batches: a tiny net would otherwise wait for the preparation of
its one example longer than it computes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nnclassify.data import Examples
from nnclassify.data.augment import Augment, Augmentation
from nnclassify.data.transform import Transform
from nnclassify.device import Placement, chunk_limits, holds
from nnclassify.seeds import torch_rng


@dataclass(frozen=True)
class Chunk:
    """A few batches in a row.

    Attributes:
        inputs: Prepared, `(M, ...)`.
        targets: `(M,)`.
        batch_size: Examples of each batch; the last one may have fewer.
        group_size: Batches that one call of the training step takes; groups begin at multiples of it.
        first_batch: The place of the first batch in its epoch, from 0.
    """

    inputs: Tensor
    targets: Tensor
    batch_size: int
    group_size: int = 1
    first_batch: int = 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The groups: inputs `(M, ...)` and targets `(M,)` of the batches up to the next multiple of `group_size`.

        A last batch that is not whole stands alone.
        """
        count = len(self.targets)
        start, batch, whole = 0, self.first_batch, count - count % self.batch_size
        while start < count:
            num_batches = self.group_size - batch % self.group_size
            end = min(start + num_batches * self.batch_size, whole if start < whole else count)
            yield self.inputs[start:end], self.targets[start:end]
            start, batch = end, batch + num_batches

    def parted(self, num_examples: int) -> tuple[Chunk, Chunk]:
        """Split off the first examples, as many as asked for, a multiple of the batch size."""
        rest = self.first_batch + num_examples // self.batch_size
        return (
            replace(self, inputs=self.inputs[:num_examples], targets=self.targets[:num_examples]),
            replace(self, inputs=self.inputs[num_examples:], targets=self.targets[num_examples:], first_batch=rest),
        )


class Batches:
    """The training examples, batch by batch, prepared and on the device.

    Attributes:
        num_examples: Examples an epoch.
        batch_size: Examples an update.
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
    ) -> None:
        self.examples = resident(examples, placement.device)
        self.transform = transform
        self.placement = placement
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.augment = augment
        rest = len(examples) % batch_size
        # Batch norm cannot normalize over one example: such a last batch waits for another epoch's order.
        too_small = 0 < rest < min_batch and len(examples) > rest
        self.num_examples = len(examples) - rest if too_small else len(examples)

    def __len__(self) -> int:
        """Updates an epoch."""
        return math.ceil(self.num_examples / self.batch_size)

    def order(self, epoch: int) -> Tensor:
        """The rows of an epoch (from 1) in their order, `(num_examples,)`."""
        if not self.shuffle:
            return torch.arange(self.num_examples)
        rows = torch.randperm(len(self.examples), generator=torch_rng(self.seed, "order", epoch))
        return rows[: self.num_examples]

    def epoch(self, epoch: int, first_batch: int = 0, group_size: int = 1) -> Iterator[Chunk]:
        """The chunks of an epoch (from 1), from a batch (from 0) on, each of whole groups of batches.

        Chunks lie at fixed places of the epoch, and each is prepared whole, also where a resume begins within it: so a
        batch is in the same group, and at the same offset from the start of an allocation. Matrix products round
        otherwise where their inputs begin elsewhere between two multiples of 64 bytes.
        """
        order = self.order(epoch)
        augmentation = Augmentation.draw(self.augment, self.seed, epoch, len(self.examples))
        chunk_batches = self._chunk_batches(group_size)
        for start in range(first_batch // chunk_batches * chunk_batches, len(self), chunk_batches):
            rows = order[start * self.batch_size : (start + chunk_batches) * self.batch_size]
            raw, targets = self.examples.select(rows)
            raw = raw.to(self.placement.device, non_blocking=True)
            if augmentation is not None:
                raw = augmentation.apply(raw, rows)
            inputs = self.placement.to_memory_format(self.transform(raw, self.placement.dtype))
            if augmentation is not None:
                inputs = augmentation.cut(inputs, rows)
            targets = targets.to(self.placement.device, non_blocking=True)
            chunk = Chunk(inputs, targets, self.batch_size, group_size, start)
            yield chunk if start >= first_batch else chunk.parted((first_batch - start) * self.batch_size)[1]

    def _chunk_batches(self, group_size: int) -> int:
        batch_bytes = self.batch_size * math.prod(self.transform.input_shape) * self.placement.dtype.itemsize
        most_bytes, most_examples = chunk_limits(self.placement.device)  # one batch at least
        batches = min(most_examples // self.batch_size, most_bytes // batch_bytes)
        return group_size * max(1, batches // group_size)


def resident(examples: Examples, device: torch.device) -> Examples:
    """Examples that are read again and again: on a GPU with room for them."""
    return examples.on(device) if holds(device, len(examples) * examples.inputs[:1].nbytes) else examples

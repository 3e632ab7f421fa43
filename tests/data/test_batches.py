"""Tests that the order depends on (seed, epoch) only, and the augmentation on (seed, epoch, example) only."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nnclassify.data import Examples
from nnclassify.data import batches as batches_module
from nnclassify.data.augment import Augment, Augmentation
from nnclassify.data.batches import Batches, to_device_if_fits
from nnclassify.data.transform import Transform, fit_normalization
from nnclassify.device import resolve_placement


def batches_of(num_examples: int = 23, **options: Any) -> Batches:
    """Pictures `(N, 1, 4, 5)` whose pixels all differ, not normalized."""
    inputs = torch.arange(num_examples * 20, dtype=torch.float32).reshape(num_examples, 1, 4, 5)
    rows = torch.arange(num_examples)
    shift_, scale = fit_normalization(inputs, rows, "none")
    transform = Transform((1, 4, 5), None, None, shift_, scale)
    placement = resolve_placement("cpu", "float32")
    return Batches(Examples(inputs, rows, rows), transform, placement, **{"batch_size": 5, "seed": 3, **options})


def seen(batches: Batches, epoch: int, first_batch: int = 0) -> list[tuple[Tensor, Tensor]]:
    return [batch for chunk in batches.epoch(epoch, first_batch) for batch in chunk]


def test_an_epoch_holds_every_example_once_and_the_last_batch_is_ragged() -> None:
    found = seen(batches_of(), 1)
    assert [len(targets) for _, targets in found] == [5, 5, 5, 5, 3]
    assert sorted(torch.cat([targets for _, targets in found]).tolist()) == list(range(23))
    for inputs, targets in found:
        assert torch.equal(inputs[:, 0, 0, 0], targets * 20.0)  # inputs and targets stay together


@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_a_batch_begins_at_the_same_offset_wherever_an_epoch_goes_on(batch_size: int) -> None:
    """Of 64 bytes, which an allocation is aligned to: matrix products round otherwise elsewhere."""
    batches = batches_of(batch_size=batch_size)
    whole = [inputs.data_ptr() % 64 for inputs, _ in seen(batches, 2)]
    assert len(set(whole)) > 1
    for first in range(len(batches)):
        assert [inputs.data_ptr() % 64 for inputs, _ in seen(batches, 2, first)] == whole[first:]


def test_order_is_a_function_of_seed_and_epoch() -> None:
    assert torch.equal(batches_of().order(4), batches_of().order(4))
    assert not torch.equal(batches_of().order(4), batches_of().order(5))
    assert not torch.equal(batches_of().order(4), batches_of(seed=4).order(4))
    assert batches_of(shuffle=False).order(4).tolist() == list(range(23))


@pytest.mark.parametrize("augment", [None, Augment(flip=True, crop=2), Augment(flip="alternate", cutout=2)])
def test_chunks_and_a_start_in_mid_epoch_change_nothing(
    augment: Augment | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = seen(batches_of(augment=augment), 2)
    later = seen(batches_of(augment=augment), 2, first_batch=2)
    monkeypatch.setattr(batches_module, "chunk_limits", lambda device: (1, 4096))
    single = seen(batches_of(augment=augment), 2)
    for (a, b), (c, d) in [*zip(whole, single, strict=True), *zip(whole[2:], later, strict=True)]:
        assert torch.equal(a, c) and torch.equal(b, d)


def test_augmentation_is_a_function_of_seed_epoch_and_example() -> None:
    images = torch.arange(8 * 30.0).reshape(8, 1, 5, 6)
    augment = Augment(flip=True, crop=2)
    drawn = Augmentation.draw(augment, seed=0, epoch=1, num_examples=8)
    again = Augmentation.draw(augment, seed=0, epoch=1, num_examples=8)
    other = Augmentation.draw(augment, seed=0, epoch=2, num_examples=8)
    assert drawn is not None and again is not None and other is not None
    rows = torch.tensor([6, 1])
    assert torch.equal(drawn.apply(images, torch.arange(8))[rows], again.apply(images[rows], rows))
    assert not torch.equal(drawn.apply(images, torch.arange(8)), other.apply(images, torch.arange(8)))


def test_batch_norm_never_meets_a_batch_of_one() -> None:
    assert [len(targets) for _, targets in seen(batches_of(21, min_batch=2), 1)] == [5, 5, 5, 5]
    assert [len(targets) for _, targets in seen(batches_of(22, min_batch=2), 1)] == [5, 5, 5, 5, 2]
    orders = [set(batches_of(21, min_batch=2).order(epoch).tolist()) for epoch in range(1, 9)]
    assert len(set.intersection(*orders)) < 20  # another example waits in each epoch


def test_examples_on_a_device_are_the_same_rows_in_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = torch.arange(40).reshape(10, 4)
    examples = Examples(storage, torch.arange(10) % 3, torch.tensor([7, 2, 9]))
    monkeypatch.setattr("nnclassify.data.examples.MOVED_AT_ONCE", 2)
    monkeypatch.setattr(batches_module, "fits_on", lambda device, num_bytes: num_bytes == 3 * 4 * 8)
    moved = to_device_if_fits(examples, torch.device("cpu"))
    assert moved.inputs.shape == (3, 4)  # and no others of the storage
    for rows in (torch.arange(3), torch.tensor([2, 0])):
        assert all(torch.equal(a, b) for a, b in zip(moved.select(rows), examples.select(rows), strict=True))

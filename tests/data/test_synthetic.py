"""Tests of the synthetic datasets: their shape, and the rule behind their labels."""

from __future__ import annotations

import math

import pytest
import torch
from builders import config_of

from nnclassify.data import Examples, Splits
from nnclassify.errors import DataError


def splits_of(name: str, **options: object) -> Splits:
    splits: Splits = config_of(dataset={"name": name, **options}).dataset.build(0)
    return splits


def everything(examples: Examples) -> tuple[torch.Tensor, torch.Tensor]:
    return examples.select(torch.arange(len(examples)))


def test_more_values_than_there_is_memory_for_are_refused_before_they_are_drawn() -> None:
    with pytest.raises(
        DataError, match=r"dataset: 2000 examples of 2147483647 values take 68719\.5 GB of memory, and "
    ):
        splits_of("blobs", num_features=2**31 - 1)


def test_xor_corners() -> None:
    splits = splits_of("xor", num_examples=100, noise=0.01)
    inputs, targets = everything(splits.train)
    corners = inputs.round().long()
    assert (inputs - corners).abs().max() < 0.06
    assert torch.equal(corners[:, 0] ^ corners[:, 1], targets)
    assert splits.class_counts() == [50, 50]


def test_rgb_is_light_above_half_luma() -> None:
    splits = splits_of("rgb")
    inputs, targets = everything(splits.train)
    assert splits.class_names == ["dark", "light"]
    assert (inputs == inputs.round()).all() and inputs.min() >= 0 and inputs.max() <= 255
    luma = 0.299 * inputs[:, 0] + 0.587 * inputs[:, 1] + 0.114 * inputs[:, 2]
    assert torch.equal((luma >= 128).long(), targets)


def test_circles_have_two_radii() -> None:
    inputs, targets = everything(splits_of("circles", noise=0.0, factor=0.25).train)
    radii = inputs.norm(dim=1)
    assert radii[targets == 0].mean() == pytest.approx(1.0) and radii[targets == 1].mean() == pytest.approx(0.25)


def test_spirals_turn_with_the_radius() -> None:
    inputs, targets = everything(splits_of("spirals", noise=0.0, num_classes=3, turns=0.4).train)
    radius = inputs.norm(dim=1)
    angle = 2 * math.pi * (0.4 * radius + targets.double() / 3)
    assert torch.allclose(inputs, torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1), atol=1e-9)


def test_blobs_options() -> None:
    splits = splits_of("blobs", num_classes=4, num_features=5, num_examples=40, num_test=8)
    assert (splits.num_classes, splits.input_shape, len(splits.train)) == (4, (5,), 40)
    assert splits.test is not None and len(splits.test) == 8


@pytest.mark.parametrize("name", ["xor", "rgb", "moons", "circles", "blobs", "spirals"])
def test_train_and_test_are_drawn_apart(name: str) -> None:
    splits = splits_of(name, num_examples=50)
    assert splits.test is not None and len(splits.test) == 50
    train, test = everything(splits.train)[0], everything(splits.test)[0]
    assert not (train[:, None] == test[None]).all(dim=2).any()

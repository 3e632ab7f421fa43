"""Tests of the effect of augmentation on images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from builders import trainer_of
from torch import Tensor

from nnclassify.data.augment import Augment, Augmentation, shift
from nnclassify.errors import DataError


def test_shift_is_numpys_reflection() -> None:
    image = torch.arange(2 * 3 * 4 * 5, dtype=torch.uint8).reshape(2, 3, 4, 5)
    shifted = shift(image, torch.tensor([[0, 4], [3, 1]]), border=2)
    padded = np.pad(image.numpy(), [(0, 0), (0, 0), (2, 2), (2, 2)], mode="reflect")
    assert np.array_equal(shifted[0].numpy(), padded[0, :, 0:4, 4:9])
    assert np.array_equal(shifted[1].numpy(), padded[1, :, 3:7, 1:6])
    assert shifted.dtype == torch.uint8


def test_no_shift_leaves_the_image() -> None:
    image = torch.arange(60, dtype=torch.uint8).reshape(1, 3, 4, 5)
    assert torch.equal(shift(image, torch.tensor([[2, 2]]), border=2), image)


def test_flip_mirrors_about_half_of_the_images() -> None:
    drawn = Augmentation.draw(Augment(flip=True), seed=0, epoch=1, num_examples=1000)
    assert drawn is not None and drawn.flips is not None
    assert 400 < int(drawn.flips.sum()) < 600
    image = torch.arange(6.0).reshape(1, 1, 2, 3).expand(1000, 1, 2, 3)
    changed = drawn.apply(image, torch.arange(1000))
    assert torch.equal(changed[drawn.flips][0, 0], torch.tensor([[2.0, 1.0, 0.0], [5.0, 4.0, 3.0]]))
    assert torch.equal(changed[~drawn.flips][0], image[0])


def test_alternating_flips_follow_from_the_first_epoch() -> None:
    def flips(seed: int, epoch: int) -> Tensor:
        drawn = Augmentation.draw(Augment(flip="alternate"), seed, epoch, num_examples=1000)
        assert drawn is not None and drawn.flips is not None
        return drawn.flips

    assert 400 < int(flips(0, 1).sum()) < 600
    assert torch.equal(flips(0, 2), ~flips(0, 1)) and torch.equal(flips(0, 3), flips(0, 1))
    assert not torch.equal(flips(1, 1), flips(0, 1))


def test_cutout_is_a_square_of_zeros_within_the_image() -> None:
    drawn = Augmentation.draw(Augment(cutout=3), seed=0, epoch=1, num_examples=400)
    assert drawn is not None and drawn.centers is not None
    cut = drawn.cut(torch.ones(400, 2, 6, 8), torch.arange(400)) == 0
    for image, (down, right) in zip(cut, drawn.centers.tolist(), strict=True):
        row, column = int(down * 6), int(right * 8)
        expected = np.zeros((6, 8), dtype=bool)
        expected[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = True
        assert np.array_equal(image[0].numpy(), expected) and torch.equal(image[0], image[1])
    assert cut.any(dim=0).all()  # anywhere, the corners too


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        ({"crop": 8}, r"dataset.augment.crop: found 8 for images of 8x8 pixels; expected at most 7"),
        ({"cutout": 9}, r"dataset.augment.cutout: found 9 for images of 8x8 pixels; expected at most 8"),
    ],
)
def test_an_augmentation_larger_than_the_images_is_refused(augment: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        trainer_of(dataset={"name": "digits", "limit": 50, "augment": augment})

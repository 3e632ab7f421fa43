"""Tests of Pillow's resizing as tensor operations: bit for bit what Pillow does."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from nnclassify.files.images.image_format import ImageFormat
from nnclassify.inference.export.resize import _resized, _widened, resized, rows_first

SIZES = [(1, 1), (5, 90), (64, 48), (31, 33), (60, 4), (200, 7), (900, 8), (300, 90), (24, 20)]


@pytest.mark.parametrize(
    ("resize", "interpolation", "fraction"),
    [*itertools.product(["squash", "crop", "pad"], ["bilinear", "bicubic"], [1.0]), ("crop", "bicubic", 0.875)],
)
def test_images_of_any_size_are_resized_as_pillow_does(resize: str, interpolation: str, fraction: float) -> None:
    settings = {"resize": resize, "interpolation": interpolation, "crop_fraction": fraction}
    image_format = ImageFormat(24, 20, "rgb", **settings)  # type: ignore[arg-type] # texts in place of literals
    rng = np.random.default_rng(0)
    for height, width in SIZES:
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        given = torch.tensor(pixels).permute(2, 0, 1)[None].double()
        sides = (torch.tensor(float(height)), torch.tensor(float(width)))
        image = _widened(given, image_format) if resize == "pad" else (given, *sides)
        found = _resized(*image, image_format)[0]
        np.testing.assert_array_equal(found.numpy(), image_format.convert(Image.fromarray(pixels)))


@pytest.mark.parametrize(("version", "is_first"), [("12.2.0", 0), ("12.3.0", 1), ("13.0.0", 2), ("14.1.0.dev0", 2)])
def test_newer_releases_resize_the_rows_of_high_images_first(version: str, is_first: int) -> None:
    factors = rows_first(version) or (0, 0, 0, 0)
    sizes = [(900, 8, 24, 20), (115, 32, 63, 11)]  # with Pillow 12.3, only the first
    assert sum(np.dot(factors, size) > 0 for size in sizes) == is_first


class _Padded(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return resized(images, ImageFormat(24, 20, "rgb", resize="pad"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch.export about its own internals
def test_a_program_pads_the_smallest_images() -> None:
    free = dict.fromkeys(range(3), torch.export.Dim.DYNAMIC)
    given = (torch.zeros(2, 37, 38, 3, dtype=torch.uint8),)
    program = torch.export.export(_Padded(), given, dynamic_shapes={"images": free}).module()
    for height, width in [(1, 1), (1, 2), (2, 1), (90, 1), (200, 7), (64, 48)]:
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        wanted = ImageFormat(24, 20, "rgb", resize="pad").convert(Image.fromarray(pixels))
        np.testing.assert_array_equal(program(torch.tensor(pixels)[None])[0].numpy(), wanted)

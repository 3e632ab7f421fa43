from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from nnclassify.diagnosis.audit.near_images import near_pairs
from nnclassify.seeds import torch_rng


def textures(count: int, side: int = 32) -> Tensor:
    """Smooth random color images, uint8 `(N, 3, H, W)`."""
    coarse = torch.rand(count, 3, 6, 6, generator=torch_rng(0, "textures"))
    fine = functional.interpolate(coarse, (side, side), mode="bicubic") + 0.05 * torch.rand(
        count, 3, side, side, generator=torch_rng(0, "grain")
    )
    return (170 * fine).clamp(0, 255).to(torch.uint8)


def cropped(image: Image.Image) -> Image.Image:
    return image.crop((2, 0, 31, 30)).resize(image.size, Image.Resampling.BICUBIC)


def compressed(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=40)
    return Image.open(io.BytesIO(file.getvalue())).convert("RGB")


def brightened(image: Image.Image) -> Image.Image:
    return image.point(lambda value: min(255, round(1.4 * value)))


CHANGES = (cropped, compressed, brightened)


def test_copies_are_found_and_nothing_else() -> None:
    images = textures(120)
    pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images[:30]]
    copies = [np.asarray(CHANGES[place % 3](picture)).copy() for place, picture in enumerate(pictures)]
    changed = torch.stack([torch.from_numpy(copy).permute(2, 0, 1) for copy in copies])
    found = near_pairs(torch.cat([images, changed]))
    pairs = {(pair.first, pair.second) for pair in found}
    assert pairs <= {(row, 120 + row) for row in range(30)} and len(pairs) >= 29
    assert all(pair.score > 0.94 for pair in found)


@pytest.mark.parametrize("images", [textures(1), torch.full((5, 1, 8, 8), 9, dtype=torch.uint8), textures(3)])
def test_few_and_blank_images_have_none(images: Tensor) -> None:
    assert near_pairs(images) == []


def test_several_copies_of_one_image_are_found() -> None:
    images = textures(60)
    picture = Image.fromarray(images[0].permute(1, 2, 0).numpy())
    copies = [torch.from_numpy(np.asarray(change(picture)).copy()).permute(2, 0, 1) for change in CHANGES[1:]]
    found = near_pairs(torch.cat([images, torch.stack(copies)]))
    assert {(0, 60), (0, 61)} <= {(pair.first, pair.second) for pair in found} <= {(0, 60), (0, 61), (60, 61)}

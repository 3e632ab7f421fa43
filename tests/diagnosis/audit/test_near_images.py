from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from nnclassify.diagnosis.audit.near_images import _slopes, _view, near_pairs
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
    assert all(pair.score > 0.963 for pair in found)


def test_copies_of_small_images_are_found() -> None:
    """Of 8x8 pixels, a crop moves every pixel, and compression changes more than 6% of what varies in half of them."""
    coarse = torch.rand(200, 1, 6, 6, generator=torch_rng(0, "small"))
    images = (255 * functional.interpolate(coarse, (8, 8), mode="bicubic").clamp(0, 1)).to(torch.uint8)
    pictures = [Image.fromarray(image[0].numpy()) for image in images[:40]]
    changes = (lambda image: compressed(image).convert("L"), lambda image: image.crop((1, 0, 8, 7)).resize((8, 8)))
    copies = [np.asarray(changes[place % 2](picture)).copy() for place, picture in enumerate(pictures)]
    found = near_pairs(torch.cat([images, torch.stack([torch.from_numpy(copy)[None] for copy in copies])]))
    pairs = {(pair.first, pair.second) for pair in found}
    assert pairs <= {(row, 200 + row) for row in range(40)} and len(pairs) >= 38


def test_slopes_are_the_derivatives_of_a_view() -> None:
    image, crop = textures(1, side=8).float().mean(dim=1, keepdim=True), torch.tensor([[0.9, 0.85, 0.03, -0.07]])
    exact = torch.autograd.functional.jacobian(lambda crop: _view(image, crop).flatten(), crop)[:, 0]
    slopes = _slopes(image, _view(image, crop), crop)[0]
    assert torch.allclose(slopes, exact, atol=0.02 * float(exact.abs().max()))


@pytest.mark.parametrize("images", [textures(1), torch.full((5, 1, 8, 8), 9, dtype=torch.uint8), textures(3)])
def test_few_and_blank_images_have_none(images: Tensor) -> None:
    assert near_pairs(images) == []


def test_several_copies_of_one_image_are_found() -> None:
    images = textures(60)
    picture = Image.fromarray(images[0].permute(1, 2, 0).numpy())
    copies = [torch.from_numpy(np.asarray(change(picture)).copy()).permute(2, 0, 1) for change in CHANGES[1:]]
    found = near_pairs(torch.cat([images, torch.stack(copies)]))
    assert {(0, 60), (0, 61)} <= {(pair.first, pair.second) for pair in found} <= {(0, 60), (0, 61), (60, 61)}

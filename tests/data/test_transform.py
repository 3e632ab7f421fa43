"""Tests of normalization against values by hand."""

from __future__ import annotations

import pytest
import torch

from nnclassify.data.transform import Normalize, Transform, fit_normalization
from nnclassify.files.images.image_format import ImageFormat

TABLE = torch.tensor([[0.0, 10.0, 7.0], [2.0, 30.0, 7.0], [4.0, 20.0, 7.0], [100.0, 100.0, 100.0]], dtype=torch.float64)
TRAIN = torch.arange(3)  # the last row belongs to another split


@pytest.mark.parametrize(
    ("normalize", "shift", "scale"),
    [
        ("standard", [2.0, 20.0, 7.0], [(8 / 3) ** 0.5, (200 / 3) ** 0.5, 1.0]),
        ("minmax", [0.0, 10.0, 7.0], [4.0, 20.0, 1.0]),
        ("unit", [0.0, 0.0, 0.0], [30.0, 30.0, 30.0]),
        ("none", [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]),
    ],
)
def test_table_is_normalised_by_the_training_rows(normalize: Normalize, shift: list[float], scale: list[float]) -> None:
    found_shift, found_scale = fit_normalization(TABLE, TRAIN, normalize)
    assert found_shift.tolist() == pytest.approx(shift)
    assert found_scale.tolist() == pytest.approx(scale)


@pytest.mark.parametrize("shape", [(600, 2), (600, 2, 3, 5)])
@pytest.mark.parametrize("low", [0, 255])
def test_statistics_of_bytes_are_exact(shape: tuple[int, ...], low: int) -> None:
    raw = torch.randint(low, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    rows = torch.arange(1, 600, 2)
    values = raw[rows].transpose(0, 1).flatten(1).to(torch.int64)  # by channel or column, in Python's integers below
    count = values.shape[1]
    variances = [(count * int((row**2).sum()) - int(row.sum()) ** 2) / count**2 for row in values]
    shift, scale = fit_normalization(raw, rows, "standard")
    assert shift.flatten().tolist() == [int(row.sum()) / count for row in values]
    assert scale.flatten().tolist() == pytest.approx([variance**0.5 or 1.0 for variance in variances], rel=1e-12)


@pytest.mark.parametrize("normalize", ["standard", "minmax", "unit"])
def test_images_are_normalised_by_channel(normalize: Normalize) -> None:
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3000, 3, 2, 4), generator=rng, dtype=torch.uint8)
    images[:, 1] //= 2
    shift, scale = fit_normalization(images, torch.arange(2999), normalize)
    train = images[:2999].double()
    expected = {
        "standard": (train.mean((0, 2, 3)), train.std((0, 2, 3), correction=0)),
        "minmax": (train.amin((0, 2, 3)), train.amax((0, 2, 3)) - train.amin((0, 2, 3))),
        "unit": (torch.zeros(3), torch.full((3,), 255.0)),
    }[normalize]
    assert shift.flatten().tolist() == pytest.approx(expected[0].tolist())
    assert scale.flatten().tolist() == pytest.approx(expected[1].tolist())


@pytest.mark.parametrize("value", [0.1, 1e9, -3e-7])
def test_a_constant_column_is_only_shifted(value: float) -> None:
    _, scale = fit_normalization(torch.full((1000, 1), value, dtype=torch.float64), torch.arange(1000), "standard")
    assert scale.tolist() == [1.0]


def test_columns_that_differ_in_a_late_digit_are_told_apart() -> None:
    rows = torch.tensor([[1e9], [1e9 + 1]], dtype=torch.float64)
    transform = Transform((1,), None, None, *fit_normalization(rows, torch.arange(2), "standard"))
    assert transform(rows, torch.float32).tolist() == [[-1.0], [1.0]]


def test_transform_survives_its_state() -> None:
    image_format = ImageFormat(4, 5, "gray", "pad")
    transform = Transform((1, 4, 5), image_format, None, *torch.tensor([3.0, 2.0]).double().reshape(2, 1, 1, 1))
    again = Transform.from_state(transform.state())
    assert (again.input_shape, again.image_format) == (transform.input_shape, image_format)
    raw = torch.arange(20, dtype=torch.uint8).reshape(1, 1, 4, 5)
    assert torch.equal(again(raw, torch.float32), (raw.float() - 3) / 2)


def test_transform_leaves_the_raw_inputs_alone() -> None:
    raw = TABLE.clone()
    Transform((3,), None, None, *fit_normalization(raw, TRAIN, "standard"))(raw, torch.float64)
    assert torch.equal(raw, TABLE)


@pytest.mark.parametrize("offset", [2.0**53, 1.2e18])
def test_large_values_that_differ_by_rounding_alone_stay_near_zero(offset: float) -> None:
    values = torch.full((43, 1), offset, dtype=torch.float64) + torch.arange(43)[:, None] * 2
    shift, scale = fit_normalization(values, torch.arange(43), "standard")
    assert ((values - shift) / scale).abs().max() < 1e-12

"""Devices and precisions that are not to be had are refused in words."""

from __future__ import annotations

import pytest

from nnclassify.device import find_device, find_placement
from nnclassify.errors import DeviceError


@pytest.mark.parametrize("wanted", ["gpu", "cuda:x", "cuda:-1", "meta", ""])
def test_a_device_of_another_kind_is_named(wanted: str) -> None:
    with pytest.raises(DeviceError, match=f"device: found {wanted!r}, expected auto, cpu, cuda, cuda:N or mps"):
        find_device(wanted)


def test_a_cuda_device_that_is_not_here_is_named() -> None:
    with pytest.raises(DeviceError, match=r"device: cuda:99 is not here \(CUDA devices: \d+\); use `device: auto`"):
        find_device("cuda:99")


def test_float16_needs_a_gpu() -> None:
    with pytest.raises(DeviceError, match="precision: float16 needs a GPU"):
        find_placement("cpu", "float16", convolutional=False)

"""Devices and precisions that are not to be had are refused in words."""

from __future__ import annotations

import pytest
import torch

from nnclassify.device import find_device, find_placement, set_products
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


@pytest.mark.parametrize(("precision", "expected"), [("auto", ("high", True)), ("float32", ("highest", False))])
def test_auto_multiplies_in_tf32_on_cuda(precision: str, expected: tuple[str, bool]) -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        set_products(torch.device("cpu"), precision)
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before
        set_products(torch.device("cuda"), precision)
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == expected
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]
        torch.backends.cudnn.deterministic = False

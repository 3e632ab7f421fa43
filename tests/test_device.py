"""Tests that devices and precisions that are not available are rejected with a message."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from nnclassify.config.run_config import load_config, located
from nnclassify.device import resolve_device, resolve_placement, set_matmul_precision
from nnclassify.errors import DeviceError
from nnclassify.training.build import build_components


@pytest.mark.parametrize("wanted", ["gpu", "cuda:x", "cuda:-1", "meta", ""])
def test_a_device_of_another_kind_is_named(wanted: str) -> None:
    with pytest.raises(DeviceError, match=f"device: found {wanted!r}, expected auto, cpu, cuda, cuda:N or mps"):
        resolve_device(wanted)


def test_a_cuda_device_that_is_not_here_is_named() -> None:
    with pytest.raises(
        DeviceError, match=r"device: cuda:99 is not available \(CUDA devices: \d+\); use `device: auto`"
    ):
        resolve_device("cuda:99")


def test_a_device_or_precision_that_is_not_here_is_named_with_its_line(here: Path) -> None:
    for line, option in ((3, "device: cuda:99"), (3, "precision: float16\ndevice: cpu")):
        Path("a.yaml").write_text(f"dataset: xor\nmodel: mlp\n{option}\n")
        loaded = load_config("a.yaml")
        with pytest.raises(DeviceError, match=rf"^a\.yaml:{line}: {option.split(':')[0]}: "), located(loaded.source):
            build_components(loaded.config)


def test_float16_needs_a_gpu() -> None:
    with pytest.raises(DeviceError, match="precision: float16 needs a GPU"):
        resolve_placement("cpu", "float16")


@pytest.mark.parametrize(("precision", "expected"), [("auto", ("high", True)), ("float32", ("highest", False))])
def test_auto_multiplies_in_tf32_on_cuda(precision: str, expected: tuple[str, bool]) -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        set_matmul_precision(torch.device("cpu"), precision)
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before
        set_matmul_precision(torch.device("cuda"), precision)
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == expected
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]
        torch.backends.cudnn.deterministic = False


@pytest.mark.parametrize(
    ("convolution", "expected"),
    [
        (nn.Conv2d(3, 8, 3, stride=2), True),
        (nn.Conv2d(8, 8, 1, stride=2), True),
        (nn.Conv2d(4, 8, 1), True),
        (nn.Conv2d(4, 8, 1, stride=2), False),
        (nn.Conv2d(7, 8, 1, stride=(1, 2)), False),
        (nn.Linear(3, 8), False),
    ],
)
def test_images_are_channels_last_where_no_convolution_writes_past_its_memory(
    convolution: nn.Module, expected: bool
) -> None:
    assert (
        resolve_placement("cpu", "float32").with_memory_format_for(nn.Sequential(convolution)).channels_last == expected
    )


@pytest.mark.slow
@pytest.mark.parametrize("width", [2, 3, 4, 6])
def test_narrow_resnets_train_on_a_cpu_without_avx512(width: int) -> None:
    """In a process of its own: the fault of such a CPU is an abort."""
    training = (
        "import sys; sys.path.insert(0, 'tests'); from builders import trainer_of\n"
        "dataset = {'name': 'digits'}\n"
        f"model = {{'name': 'resnet', 'width': {width}, 'stages': [1, 1]}}\n"
        "_, trainer = trainer_of(dataset=dataset, model=model, epochs=1)\n"
        "trainer.fit()"
    )
    old = {**os.environ, "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run([sys.executable, "-c", training], env=old, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

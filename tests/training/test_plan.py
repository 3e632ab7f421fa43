"""Tests of the execution plan: counts decide, so the same config is always executed in the same way."""

from __future__ import annotations

import pytest
import torch
from builders import trainer_of
from torch import nn

from nnclassify.training.plan import MAX_GROUP, REPAY, Workload, compiles, group_size, num_threads, workload_of

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_workload_counts_layers_operations_and_steps() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 5))
    work = workload_of(model, (3, 4, 4), batch_size=10, epochs=3, examples=25)
    assert work.num_layers == 4
    assert work.flops == 10 * (2 * 2 * 3 * 9 * 16 + 2 * 8 * 5)
    assert (work.num_steps, work.whole_batches) == (9, 2)


@pytest.mark.parametrize(
    ("whole_batches", "batch_bytes", "size"), [(1800, 8, 256), (80, 8, 128), (1, 8, 1), (0, 8, 1), (1800, 2**19, 2)]
)
def test_tiny_steps_share_a_call(whole_batches: int, batch_bytes: int, size: int) -> None:
    tiny = Workload(3, 100.0, 1000, whole_batches)
    assert group_size(tiny, CPU, batch_bytes) == size <= MAX_GROUP
    assert num_threads(tiny) == 1


def test_large_steps_stand_alone() -> None:
    large = Workload(3, 1e9, 1000, 80)
    assert group_size(large, CPU, 8) == 1
    assert num_threads(large) is None


def test_auto_compiles_long_runs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnclassify.training.plan._has_cpp_compiler", lambda: True)
    short, long = (Workload(5, 100.0, steps, 80) for steps in (10_000, 10_000_000))
    assert REPAY > 1
    assert not compiles("auto", short, CPU, kept=False)
    assert compiles("auto", long, CPU, kept=False)
    assert not compiles("off", long, CPU, kept=True)
    assert compiles("on", short, CPU, kept=False)
    monkeypatch.setattr("nnclassify.training.plan._has_cpp_compiler", lambda: False)
    assert not compiles("auto", long, CPU, kept=False)


def test_auto_takes_what_an_earlier_run_compiled() -> None:
    assert compiles("auto", Workload(5, 100.0, 10_000, 80), CPU, kept=True)
    assert not compiles("auto", Workload(5, 100.0, 100, 80), CPU, kept=True)
    assert not compiles("auto", Workload(5, 1e10, 10_000, 80), CPU, kept=True)


def test_on_cuda_auto_records_all_but_the_shortest_runs_and_the_largest_steps() -> None:
    assert compiles("auto", Workload(5, 1e9, 1000, 80), CUDA, kept=False)
    assert not compiles("auto", Workload(5, 1e9, 600, 80), CUDA, kept=False)  # saves 0.30 s, costs 0.16 s: not twice
    assert compiles("auto", Workload(5, 1e9, 650, 80), CUDA, kept=False)  # saves 0.325 s
    assert not compiles("auto", Workload(5, 1e13, 100_000, 80), CUDA, kept=False)
    assert not compiles("off", Workload(5, 1e9, 1000, 80), CUDA, kept=False)


@pytest.mark.parametrize(
    ("whole_batches", "batch_bytes", "size"),
    [(80, 8, 16), (3, 8, 3), (80, 2**22, 4), (80, 3 * 2**20, 5), (80, 2**28, 1)],
)
def test_steps_share_a_cuda_graph(whole_batches: int, batch_bytes: int, size: int) -> None:
    assert group_size(Workload(3, 1e9, 1000, whole_batches), CUDA, batch_bytes) == size


def test_threads_are_those_of_the_plan() -> None:
    before = torch.get_num_threads()
    try:
        for threads, expected in ((2, 2), (None, 1)):  # of a tiny network
            _, trainer = trainer_of(threads=threads)
            assert trainer.plan.num_threads == torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before)

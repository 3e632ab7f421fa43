"""What is compiled, in which groups: counts decide, so the same config always runs the same way."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nnclassify.planning import MAX_GROUP, REPAY, Workload, plan, workload_of

CPU = torch.device("cpu")


def test_workload_counts_layers_operations_and_steps() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 5))
    work = workload_of(model, (3, 4, 4), batch_size=10, epochs=3, examples=25)
    assert work.num_layers == 4
    assert work.flops == 10 * (2 * 2 * 3 * 9 * 16 + 2 * 8 * 5)
    assert (work.num_steps, work.whole_batches) == (9, 2)


@pytest.mark.parametrize(("whole_batches", "group"), [(1800, 8), (7, 7), (1, 1), (0, 1), (1407, 7)])
def test_groups_leave_few_batches_over(whole_batches: int, group: int) -> None:
    assert plan("on", Workload(3, 100.0, 1000, whole_batches), CPU).group_size == group <= MAX_GROUP


def test_large_steps_stand_alone() -> None:
    planned = plan("on", Workload(3, 1e9, 1000, 80), CPU)
    assert (planned.group_size, planned.threads) == (1, None)


def test_auto_compiles_long_runs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnclassify.planning._has_cpp_compiler", lambda: True)
    assert REPAY > 1
    assert not plan("auto", Workload(5, 100.0, 10_000, 80), CPU).compiled
    assert plan("auto", Workload(5, 100.0, 10_000_000, 80), CPU).compiled
    assert not plan("off", Workload(5, 100.0, 10_000_000, 80), CPU).compiled
    monkeypatch.setattr("nnclassify.planning._has_cpp_compiler", lambda: False)
    assert not plan("auto", Workload(5, 100.0, 10_000_000, 80), CPU).compiled

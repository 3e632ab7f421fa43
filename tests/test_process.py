"""Tests of what the command line sets in its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from builders import config_of
from programs import forked

from nnclassify.errors import DeviceError
from nnclassify.process import (
    _quotas,
    configure_threads,
    default_threads,
    has_lost_threads,
    num_cores,
    preserve_process_state,
    stop_on_signals,
)
from nnclassify.seeds import random_state, set_random_state
from nnclassify.training.plan import begin_plan

SPINNING = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="torch has GNU OpenMP on Linux")
@pytest.mark.parametrize(
    ("own", "spins"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "77"}, "77"), ({"OMP_WAIT_POLICY": "passive"}, "0")],
)
def test_threads_that_wait_soon_sleep_unless_the_user_says_otherwise(own: dict[str, str], spins: str) -> None:
    code = "from nnclassify.process import configure; configure(); import torch"
    inherited = {name: value for name, value in os.environ.items() if name not in SPINNING}
    environment = {**inherited, **own, "OMP_DISPLAY_ENV": "verbose"}  # it prints what it has read
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert f"GOMP_SPINCOUNT = '{spins}'" in done.stderr


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, []),
        ({"cpu.max": "max 100000\n"}, []),
        ({"cpu.max": "150000 100000\n"}, [2]),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, []),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, [1]),
    ],
)
def test_quotas_of_containers_are_read_in_both_versions(
    tmp_path: Path, files: dict[str, str], cores: list[int]
) -> None:
    (tmp_path / "cpu").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert list(_quotas(tmp_path)) == cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="not on this system")
def test_cores_are_those_that_the_process_may_use() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        assert num_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert num_cores() <= len(before)


def test_a_chosen_number_of_threads_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnclassify.process.num_cores", lambda: 0)  # fewer than there are threads
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    configure_threads()
    assert (os.environ["OMP_NUM_THREADS"], default_threads()) == ("1", torch.get_num_threads())
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    assert default_threads() == 0


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="not on this system")
@pytest.mark.parametrize("at_start", [signal.SIG_DFL, signal.SIG_IGN])
def test_a_closed_terminal_stops_a_run_unless_nohup_started_it(at_start: signal.Handlers) -> None:
    asked: list[int] = []
    before = signal.signal(signal.SIGHUP, at_start)
    try:
        with stop_on_signals(asked.append):
            os.kill(os.getpid(), signal.SIGHUP)
        assert asked == ([] if at_start == signal.SIG_IGN else [signal.SIGHUP])
        assert signal.getsignal(signal.SIGHUP) == at_start
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="not on this system")
def test_a_process_that_was_forked_from_one_with_threads_uses_one() -> None:
    """With several, it would wait forever for threads that are only in its parent."""
    before, large = torch.get_num_threads(), torch.ones(1000, 1000)

    def threads_of_a_call() -> int:
        with preserve_process_state():
            large.exp().sum()
            return torch.get_num_threads()

    torch.set_num_threads(2)
    try:
        with preserve_process_state():
            assert torch.get_num_threads() == 2 and not has_lost_threads()
            large.exp().sum()  # starts them
        assert forked(threads_of_a_call) == 1
    finally:
        torch.set_num_threads(before)


def test_several_threads_are_refused_where_a_fork_has_lost_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnclassify.process._threaded", os.getpid() + 1)
    assert begin_plan(config_of(threads=1)).num_threads == 1
    with pytest.raises(DeviceError, match=r"threads: found 2, .*forked.*spawn or forkserver"):
        begin_plan(config_of(threads=2))


def test_a_run_goes_on_where_there_are_fewer_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its checkpoint has the random state of each GPU of the machine that it began on."""
    restored = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: restored.append((state, device)))
    states = [torch.tensor([value], dtype=torch.uint8) for value in (3, 4)]
    set_random_state({**random_state(), "cuda": states})
    assert restored == [(states[0], 0)]

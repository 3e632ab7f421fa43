"""Tests of the note that other programs use a run's cores."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import cast

import pytest
import torch

from nnclassify.runs import contention
from nnclassify.training.trainer import Trainer

on_linux = pytest.mark.skipif(contention._now() is None, reason="only Linux tells how long a thread waits")
pytestmark = [pytest.mark.slow, on_linux]  # half a second each, while three processes use a core


def notes_on_one_core(monkeypatch: pytest.MonkeyPatch, num_others: int, num_threads: int = 2) -> list[str]:
    """Keep the core busy for half a second that other programs use as well, and return what is noted of it."""
    monkeypatch.setattr(contention, "SECONDS", 0.2)
    notes: list[str] = []
    observer, before = contention.Contention(notes.append), os.sched_getaffinity(0)
    plan, placement = SimpleNamespace(num_threads=num_threads), SimpleNamespace(device=torch.device("cpu"))
    trainer = cast(Trainer, SimpleNamespace(plan=plan, placement=placement))
    os.sched_setaffinity(0, {min(before)})  # of this thread, and of the processes that it starts
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(num_others)]
    try:
        observer.run_started(trainer)
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            observer.steps_done(trainer, 1)
    finally:
        os.sched_setaffinity(0, before)
        for other in others:
            other.kill()
            other.wait()
    return notes


def test_a_run_in_two_threads_that_waits_for_its_core_is_noted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    (note,) = notes_on_one_core(monkeypatch, num_others=3)  # it has a quarter of the core
    assert note.startswith("other programs use the cores too: the run waited for a core ")
    assert "Its 2 threads" in note
    assert note.endswith("--resume --set threads=1")


def test_a_run_in_one_thread_loses_nothing_but_its_share_and_is_not_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert notes_on_one_core(monkeypatch, num_others=3, num_threads=1) == []

"""Tests of what `train` says before and shortly after it starts."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from builders import trainer_of

from nnclassify.cli.introduction import Introduction
from nnclassify.training.history import Row

ROW = Row(1, 10, 0.5, 0.5, None, None, 0.1, 5.5, 100.0, None)


@pytest.mark.parametrize(
    ("once", "seconds", "expected"),
    [
        (None, 5.5, "time: 5.5 s per epoch; about 22.0 s for the remaining 4"),
        (5.25, 5.5, "time: 0.25 s per epoch; about 1.0 s for the remaining 4"),  # 5.25 s of it were compiling
        (0.0, 0.002, "time: 0.002 s per epoch; about 0.0 s for the remaining 4"),
    ],
)
def test_the_time_that_is_left_leaves_out_what_is_done_once(once: float | None, seconds: float, expected: str) -> None:
    said: list[str] = []
    trainer: Any = trainer_of(epochs=5)[1]
    trainer.step_function.fast_steps = None if once is None else SimpleNamespace(seconds=once)
    Introduction(said.append, verbose=False).epoch_done(trainer, replace(ROW, seconds=seconds))
    assert said == [expected]

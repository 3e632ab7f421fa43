"""Draws the values of the next trial, different from those of all others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from nnclassify.config.search import Choices, IntRange, LogRange, Parameter, SearchSpace
from nnclassify.seeds import stream_seed

Direction = Literal["minimize", "maximize"]
GUIDED, ATTEMPTS = 20, 200
"""Attempts at values that no trial has: the first ones guided by the trials so far, the others at random."""
DIGITS = 4
"""Significant digits of a number: more would be in the way of whoever reads them, and change no result."""
VALUES = "values"
"""The attribute of a trial that holds its values by key of the config."""


def draw(space: SearchSpace, trials: Sequence[FrozenTrial], direction: Direction, seed: int) -> FrozenTrial | None:
    """Return a new trial with values that no trial has, or None if none were found: all combinations have been tried.

    The values depend on the seed, the number of trials and their results only: a search that was killed draws the same.

    Args:
        space: What is searched.
        trials: All trials so far.
        direction: `minimize` or `maximize`.
        seed: The seed of the search.
    """
    known = {as_text(trial.user_attrs[VALUES]) for trial in trials}
    study = optuna.create_study(direction=direction)
    study.add_trials(trials)
    for attempt in range(ATTEMPTS):
        study.sampler = _sampler(stream_seed(seed, "tune", len(trials), attempt) % 2**32, is_guided=attempt < GUIDED)
        trial = study.ask()
        values = space.drawn(partial(_suggested, trial))
        if as_text(values) not in known:
            return create_trial(
                state=TrialState.RUNNING,
                params=trial.params,
                distributions=trial.distributions,
                user_attrs={VALUES: values},
            )
    return None


def as_text(values: Any) -> str:
    """Return values as text that is the same for equal ones."""
    return json.dumps(values, sort_keys=True)


def _sampler(seed: int, *, is_guided: bool) -> BaseSampler:
    return TPESampler(seed=seed) if is_guided else RandomSampler(seed=seed)


def _suggested(trial: Trial, parameter: Parameter) -> Any:
    domain = parameter.domain
    if isinstance(domain, Choices):
        return trial.suggest_categorical(parameter.name, list(domain.values))
    low, high = domain.ends()
    if isinstance(domain, IntRange):
        last = int(high) - int(high - low) % domain.step
        return trial.suggest_int(parameter.name, int(low), last, step=domain.step, log=domain.log)
    value = trial.suggest_float(parameter.name, low, high, log=isinstance(domain, LogRange))
    return min(max(float(f"{value:.{DIGITS}g}"), low), high)

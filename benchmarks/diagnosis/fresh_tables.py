"""Tables of the third held-out set, drawn from a seed: measures in the units they came in, and answers that overlap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.diagnosis.tables import write_named

Generator = np.random.Generator


def write_fresh_tables(folder: Path) -> None:
    """Write the tables of `held_out_3`."""
    rng = np.random.default_rng(20261127)
    _write_sugar(folder, rng)
    _write_ferry(folder, rng)
    _write_salaries(folder, rng)
    _write_traces(folder, rng)
    _write_soils(folder, rng)
    _write_words(folder, rng)
    _write_mislabeled(folder, rng)


def _answers(rng: Generator, logits: Any) -> Any:
    """Answers drawn with the probabilities of logits `(N,)`."""
    return np.where(rng.random(len(logits)) < 1 / (1 + np.exp(-logits)), "yes", "no")


def _write_sugar(folder: Path, rng: Generator) -> None:
    """A clinic's eight measures in their own units, in the manner of the Pima table: about 77% can be told."""
    z = rng.normal(size=(768, 8))
    z[:, 5] += 0.3 * z[:, 1]
    logits = -0.85 + 1.15 * z[:, 1] + 0.7 * z[:, 5] + 0.4 * z[:, 0] + 0.35 * z[:, 6] + 0.15 * z[:, 7]
    scale, mean = np.array([3.4, 32, 19, 16, 115, 7.9, 0.33, 11.8]), np.array([3.8, 121, 69, 20, 80, 32, 0.47, 33])
    write_named(folder / "sugar", np.maximum(z * scale + mean, 0), _answers(rng, logits))


def _write_ferry(folder: Path, rng: Generator) -> None:
    """Who was saved from a ferry: by sex, class, age and fare, with interactions."""
    sex, rank = rng.integers(0, 2, 891), rng.integers(1, 4, 891)
    age, kin = rng.gamma(4.5, 6.6, 891), rng.poisson(0.9, 891)
    fare = rng.lognormal(4.4 - 0.8 * rank, 0.5)
    logits = 0.6 + 2.7 * (sex - 0.5) * (1.6 - 0.3 * rank) - 0.7 * (rank - 1) + 1.6 * (age < 12) - 0.3 * kin
    write_named(folder / "ferry", np.column_stack([sex, rank, age, kin, fare]), _answers(rng, logits))


def _write_salaries(folder: Path, rng: Generator) -> None:
    """Four thousand salaries, a quarter of them high; some columns are zero but for a few large values."""
    age, years, hours = rng.uniform(17, 80, 4000), rng.normal(10, 2.6, 4000), rng.normal(40, 12, 4000)
    gain = np.where(rng.random(4000) < 0.08, rng.lognormal(8.5, 1.0, 4000), 0)
    weight, married = rng.lognormal(12, 0.5, 4000), rng.integers(0, 2, 4000)
    logits = -3.6 + 0.4 * (years - 10) + 2.4 * married + 0.03 * (hours - 40) - ((age - 48) / 16) ** 2
    logits += 0.0004 * gain
    write_named(folder / "salaries", np.column_stack([age, weight, years, gain, hours, married]), _answers(rng, logits))


def _write_traces(folder: Path, rng: Generator) -> None:
    """Three sources by six readings, in amperes and in units a million times as large."""
    labels = rng.integers(0, 3, 600)
    centers = np.array([[2, 0, 1, -1, 0, 0], [-1, 2, 0, 1, 0, 0], [-1, -2, -1, 0, 1, 0]])
    inputs = centers[labels] + rng.normal(size=(600, 6))
    names = np.array(["arc", "motor", "radio"])[labels]
    write_named(folder / "traces", inputs, names)
    write_named(folder / "traces_tiny", 1e-6 * inputs, names)


def _write_soils(folder: Path, rng: Generator) -> None:
    """Six soils by ten shares, drawn about two centers each, so that a straight line does not part them."""
    labels = rng.integers(0, 6, 1500)
    centers = 2.0 * rng.normal(size=(12, 10))
    inputs = centers[labels + 6 * rng.integers(0, 2, 1500)] + rng.normal(size=(1500, 10))
    write_named(folder / "soils", inputs, np.array([f"s{label}" for label in labels]))


def _write_words(folder: Path, rng: Generator) -> None:
    """How often each of fifty words is in a message; 30% of the messages are unwanted."""
    spam = rng.random(1200) < 0.3
    rates = np.where(spam[:, None], rng.gamma(0.5, 0.5, 50), rng.gamma(0.5, 0.5, 50))
    write_named(folder / "words", rng.poisson(rates).astype(np.float64), np.where(spam, "spam", "mail"))


def _write_mislabeled(folder: Path, rng: Generator) -> None:
    """Three groups that a curve parts; a quarter of the labels is drawn anew."""
    inputs = rng.uniform(-2, 2, size=(1500, 2))
    groups = np.digitize(inputs[:, 1] - np.sin(2 * inputs[:, 0]), [-0.7, 0.7])
    labels = np.where(rng.random(1500) < 0.25, rng.integers(0, 3, 1500), groups)
    write_named(folder / "mislabeled", inputs, np.array([f"g{label}" for label in labels]))

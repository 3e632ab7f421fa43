"""Tables whose best accuracy is far from 100%: overlapping classes, mistaken labels, few rows; drawn from a seed.

What is said to be reached at best is the mean accuracy of the classes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.diagnosis.tables import write_named

Generator = np.random.Generator


def write_noisy_tables(folder: Path) -> None:
    """Write every table as `<folder>/<name>.csv`."""
    rng = np.random.default_rng(97)
    _write_clinic(folder, rng)
    _write_income(folder, rng)
    _write_voyage(folder, rng)
    _write_stations(folder, rng)
    _write_crossed(folder, rng)
    _write_grades(folder, rng)
    _write_genes(folder, rng)
    _write_churn(folder, rng)
    _write_parities(folder, rng)


def _drawn(rng: Generator, logits: Any) -> Any:
    """Labels 0 and 1 drawn with these log-odds: nobody can foretell them all."""
    return (rng.random(len(logits)) < 1 / (1 + np.exp(-logits))).astype(int)


def _write_clinic(folder: Path, rng: Generator) -> None:
    """Two outcomes by eight measures of patients, about 73% at best; the same with labels gone wrong."""
    count = 1500
    columns = [
        rng.poisson(3.8, count),
        rng.normal(120, 31, count),
        rng.normal(70, 12, count),
        rng.normal(29, 10, count),
        rng.lognormal(4.8, 0.7, count),
        rng.normal(32, 7, count),
        rng.gamma(2.0, 0.23, count),
        21 + rng.gamma(1.5, 8.0, count),
    ]
    births, glucose, *_, mass, pedigree, age = columns
    logits = 0.045 * (glucose - 120) + 0.1 * (mass - 32) + 0.15 * (births - 4) + 1.2 * pedigree + 0.02 * age - 2.0
    labels = _drawn(rng, logits)
    inputs, names = np.column_stack(columns), np.array(["negative", "positive"])
    write_named(folder / "clinic", inputs, names[labels])
    write_named(folder / "clinic_scrambled", inputs, names[rng.permutation(labels)])


def _write_income(folder: Path, rng: Generator) -> None:
    """A quarter of "over", by age, schooling, hours and two columns with a few huge values; about 82% at best."""
    count = 3000
    age, school, hours = rng.uniform(18, 75, count), rng.integers(4, 17, count), rng.normal(40, 11, count)
    gain = np.where(rng.random(count) < 0.08, rng.lognormal(8.8, 0.8, count), 0.0)
    weight = rng.lognormal(12.0, 0.5, count)
    logits = 0.55 * (school - 11) + 0.09 * (hours - 40) - 0.004 * (age - 50) ** 2 + 4.0 * (gain > 5000) - 0.7
    inputs = np.column_stack([age, school, hours, gain, weight])
    write_named(folder / "income", inputs, np.array(["under", "over"])[_drawn(rng, logits)])


def _write_voyage(folder: Path, rng: Generator) -> None:
    """Two outcomes by sex, class, age, fare and relatives; about 78% at best."""
    count = 1400
    female, rank = (rng.random(count) < 0.36).astype(float), rng.integers(1, 4, count)
    age, relatives = np.clip(rng.normal(30, 14, count), 1, 80), rng.poisson(0.9, count)
    fare = rng.lognormal(4.6 - 0.9 * rank, 0.5)
    logits = 3.4 * female - 1.2 * (rank - 2) - 1.6 * female * (rank == 3) + 2.5 * (age < 10) - 0.5 * relatives - 1.2
    inputs = np.column_stack([female, rank, age, fare, relatives])
    write_named(folder / "voyage", inputs, np.array(["lost", "saved"])[_drawn(rng, logits)])


def _write_stations(folder: Path, rng: Generator) -> None:
    """Three kinds of weather in kelvin, pascal, shares and meters per second, 85% at best; the same one row off."""
    labels = rng.integers(0, 3, 1200)
    centers = rng.normal(scale=0.95, size=(3, 5))
    inputs = centers[labels] + rng.normal(size=(1200, 5))
    units, zeros = np.array([6.0, 700.0, 0.15, 3.0, 0.02]), np.array([288.0, 101_325.0, 0.6, 8.0, 1.2])
    names = np.array(["dry", "fog", "rain"])
    write_named(folder / "stations", zeros + units * inputs, names[labels])
    write_named(folder / "stations_off", zeros + units * inputs, names[np.roll(labels, 1)])


def _write_crossed(folder: Path, rng: Generator) -> None:
    """The sign of a product of two columns, three more that say nothing, every sixth label mistaken."""
    inputs = rng.normal(size=(1600, 5))
    labels = (inputs[:, 0] * inputs[:, 1] > 0).astype(int)
    labels = np.where(rng.random(1600) < 1 / 6, 1 - labels, labels)
    write_named(folder / "crossed", inputs, np.array(["even", "odd"])[labels])


def _write_grades(folder: Path, rng: Generator) -> None:
    """Four grades along one hidden line, each overlapping its neighbors: about 75% at best; sorted as well."""
    skill = rng.normal(size=1400)
    inputs = np.column_stack([skill + rng.normal(scale=scale, size=1400) for scale in (0.5, 0.6, 0.8, 1.5)])
    labels = np.digitize(skill, [-0.7, 0.0, 0.7])
    order = np.argsort(labels, kind="stable")
    names = np.array(["d", "c", "b", "a"])
    write_named(folder / "grades", inputs, names[labels])
    write_named(folder / "grades_sorted", inputs[order], names[labels][order])


def _write_genes(folder: Path, rng: Generator) -> None:
    """More columns than a small net can tell apart: 240 rows by 60, of which four say anything."""
    inputs = rng.normal(size=(240, 60))
    logits = 1.6 * inputs[:, :4] @ np.array([1.0, -1.0, 1.0, -1.0])
    write_named(folder / "genes", inputs, np.array(["mild", "severe"])[_drawn(rng, logits)])


def _write_churn(folder: Path, rng: Generator) -> None:
    """One customer in nine leaves, and looks much like those who stay."""
    leaves = rng.random(2400) < 0.11
    inputs = rng.normal(size=(2400, 6)) + leaves[:, None] * np.array([0.9, -0.7, 0.6, 0.0, 0.0, 0.4])
    write_named(folder / "churn", inputs, np.where(leaves, "leaves", "stays"))


def _write_parities(folder: Path, rng: Generator) -> None:
    """Whether an odd number of three, or four, noisy bits is set."""
    for bits in (3, 4):
        values = rng.integers(0, 2, (800, bits))
        inputs = values + rng.normal(scale=0.12, size=(800, bits))
        write_named(folder / f"parity_{bits}", inputs, np.array(["even", "odd"])[values.sum(1) % 2])

"""Tables of the fifth held-out set, drawn from a seed: one rule in several units, a column that misleads, rare rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.diagnosis.tables import write_named

Generator = np.random.Generator


def write_blind_tables(folder: Path) -> None:
    """Write the tables and tensors of `held_out_5`."""
    rng = np.random.default_rng(7)
    _write_quadrics(folder, rng)
    _write_threshold(folder, rng)
    _write_plots(folder, rng)
    _write_rare(folder, rng)
    _write_flipped(folder, rng)
    _write_linear(folder, rng)
    _write_sextants(folder, rng)
    _write_ink(folder)


def _write_quadrics(folder: Path, rng: Generator) -> None:
    """Two classes that a quadric parts: as drawn, in large units, beside noise in 10,000s, and in 0 to 1."""
    inputs = rng.normal(size=(1500, 5))
    labels = (1.5 * inputs[:, 0] + inputs[:, 1] ** 2 - 1 + 0.7 * inputs[:, 2] * inputs[:, 3] > 0).astype(int)
    large = inputs * np.array([3e3, 2.5e3, 3e3, 2e3, 3e3]) + np.array([0, 500, -700, 0, 0])
    incomes = 6e4 + 2.5e4 * rng.normal(size=1500)
    write_named(folder / "quadric", inputs, labels)
    write_named(folder / "quadric_large", large, labels)
    write_named(folder / "quadric_income", np.column_stack([inputs, incomes]), labels)
    write_named(folder / "quadric_unit", 1 / (1 + np.exp(-inputs)), labels)


def _write_threshold(folder: Path, rng: Generator) -> None:
    """A number from 0 to 100,000, and whether it is above half of that."""
    numbers = rng.permutation(np.concatenate([rng.uniform(0, 5e4, 1000), rng.uniform(5e4, 1e5, 1000)]))
    write_named(folder / "threshold", numbers[:, None], (numbers > 5e4).astype(int))


def _write_plots(folder: Path, rng: Generator) -> None:
    """Three species by four measures, and the plot they grew on (m4), which says nothing; and with labels shuffled."""
    species = rng.integers(0, 3, 900)
    centers = np.array([[0, 0, 0, 1], [2, 1, 0, 0], [1, 3, 1, 0]])
    measures = centers[species] + 0.7 * rng.normal(size=(900, 4))
    inputs = np.column_stack([measures, rng.integers(0, 3, 900)])
    write_named(folder / "plots", inputs, species)
    write_named(folder / "plots_shuffled", inputs, rng.permutation(species))


def _write_rare(folder: Path, rng: Generator) -> None:
    """A class of 8%, which overlaps with the other one."""
    is_rare = rng.random(2000) < 0.08
    inputs = rng.normal(size=(2000, 6))
    inputs[is_rare, :3] += 1.6
    write_named(folder / "rare_eight", inputs, is_rare.astype(int))


def _write_flipped(folder: Path, rng: Generator) -> None:
    """Two classes that a parabola parts, a quarter of the labels flipped: 75% is all that can be told."""
    inputs = rng.normal(size=(3000, 4))
    labels = inputs[:, 0] + inputs[:, 1] ** 2 > 1
    write_named(folder / "flipped", inputs, (labels ^ (rng.random(3000) < 0.25)).astype(int))


def _write_linear(folder: Path, rng: Generator) -> None:
    """Two classes that a plane parts, but for noise."""
    inputs, weights = rng.normal(size=(1000, 8)), rng.normal(size=8)
    write_named(folder / "linear", inputs, (inputs @ weights + 0.3 * rng.normal(size=1000) > 0).astype(int))


def _write_sextants(folder: Path, rng: Generator) -> None:
    """Six groups on a circle, numbered in no order."""
    groups = rng.integers(0, 6, 1200)
    angles = groups * np.pi / 3
    inputs = 4 * np.column_stack([np.cos(angles), np.sin(angles)]) + 0.7 * rng.normal(size=(1200, 2))
    write_named(folder / "sextants", inputs, np.array([3, 0, 5, 1, 4, 2])[groups])


def _write_ink(folder: Path) -> None:
    """The UCI digits in 0 to 1, white on black, and the test images black on white as well."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    inputs = (digits.data / 16).astype(np.float32)
    np.save(folder / "ink.npy", inputs[:1200])
    np.save(folder / "ink_labels.npy", digits.target[:1200])
    np.save(folder / "ink_test.npy", inputs[1200:])
    np.save(folder / "ink_test_labels.npy", digits.target[1200:])
    np.save(folder / "ink_test_inverted.npy", 1 - inputs[1200:])

"""Tests of whether a linear model is suggested."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nnclassify.config.suggest import linearity
from nnclassify.config.suggest.linearity import is_linear, num_compared
from nnclassify.data import Splits
from nnclassify.data.tensor_files import Tensors

Array = NDArray[np.float64]


def splits_of(inputs: Array, targets: NDArray[np.bool_]) -> Splits:
    np.savez("t.npz", x=inputs, y=targets.astype(int))
    options = {"name": "tensors", "train_inputs": "t.npz:x", "train_targets": "t.npz:y", "validation": 0, "test": 0.1}
    return Tensors.model_validate(options).build(0)


def test_rare_classes_count_as_much_as_common_ones(here: Path) -> None:
    rng = np.random.default_rng(0)
    common, rare = rng.normal(size=(900, 2)), 0.3 * rng.normal(size=(50, 2))
    splits = splits_of(np.concatenate([common, rare]), np.arange(950) >= 900)
    # 900 / (2 pi) > 50 / (2 pi 0.3^2): the common class is the more probable one everywhere. A circle of radius
    # r = 0.66 around the rare one has a balanced accuracy of (1 - exp(-r^2 / 0.18) + exp(-r^2 / 2)) / 2 = 0.86.
    assert not is_linear(splits)


def test_where_some_examples_are_compared_a_linear_model_has_to_be_better(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(480, 1))
    splits = splits_of(inputs, inputs[:, 0] + rng.normal(size=480) > 0)  # the best a model of any kind can do is a line
    assert is_linear(splits)
    monkeypatch.setattr(linearity, "FEW", 100)
    monkeypatch.setattr(linearity, "COMPARED", 200)
    assert not is_linear(splits)
    small = 0.1 * rng.normal(size=480)
    along = inputs[:, 0]  # nearly the same feature twice: a line finds their difference, and a usual kernel does not
    assert is_linear(splits_of(np.stack([along, along + small], axis=1), small > 0))


@pytest.mark.parametrize(("num_features", "limit"), [(10, 2000), (500, 2000), (2000, 1000), (200_000, 500)])
def test_fewer_examples_of_many_features_are_compared(num_features: int, limit: int) -> None:
    assert num_compared(num_features) == limit  # 1000^2 * 2000 multiplications


def test_where_a_few_values_are_far_from_all_others_a_tree_says_that_no_line_will_do(here: Path) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.uniform(size=(200, 1))
    inputs[:10] *= 1e5  # the others differ by less than 1e-4 standard deviations
    splits = splits_of(inputs, (inputs[:, 0] > 0.5) & (inputs[:, 0] < 1))
    assert not is_linear(splits)

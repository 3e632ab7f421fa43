"""Tests of numbers that are far apart, and of the quantiles that bring them together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.preprocessing import quantile_transform

from nnclassify.data.tables.encoding import FormattedNumberColumn, NumberColumn
from nnclassify.data.tables.quantiles import NUM_QUANTILES, QuantileTransform
from nnclassify.data.tables.table_datasets import Csv
from nnclassify.data.tables.table_encoder import TableEncoder
from nnclassify.errors import DataError


def test_quantiles_become_those_of_a_normal_distribution() -> None:
    values = np.exp(3 * np.random.default_rng(0).normal(size=(500, 1)))
    wanted = quantile_transform(values, n_quantiles=NUM_QUANTILES, output_distribution="normal")[:, 0]
    found = QuantileTransform.fitted(values[:, 0])(values[:, 0])
    is_inside = np.abs(wanted) < 1.8
    np.testing.assert_allclose(found[is_inside], wanted[is_inside], atol=0.05)  # other interpolation between quantiles
    assert (np.diff(found[np.argsort(values[:, 0])]) >= 0).all()


def test_a_marker_of_missing_values_leaves_the_others_apart() -> None:
    transform = QuantileTransform.fitted(np.array([*range(99), 999999.0]))
    assert transform(np.array([50.0]))[0] - transform(np.array([40.0]))[0] > 0.2
    assert transform(np.array([999999.0, 1e308])).tolist() == [transform.outputs[-1]] * 2


def test_a_number_that_is_several_quantiles_has_one_place_among_the_others() -> None:
    transform = QuantileTransform.fitted(np.array([0.0] * 90 + [*range(1, 11)]))
    first, second = transform(np.array([0.0, 1.0]))
    assert transform.quantiles[0] == 0 and first < second and abs(first) < 0.5
    assert QuantileTransform.fitted(np.full(5, 7.0))(np.array([-1.0, 7.0, 9.0])).tolist() == [0, 0, 0]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), st.floats(allow_nan=False))
@example([0.0, 1.0, 1.0, 1.0, 1.0, -3.4e14, -6.7e14, -1.3e15, -4.5e14, 2.6e-306], 0.0)
def test_the_outputs_are_finite_and_in_order_up_to_rounding(values: list[float], other: float) -> None:
    transform = QuantileTransform.fitted(np.array(values))
    found = transform(np.sort([*values, other]))  # within -2.2..2.2, where numbers are 4.4e-16 apart
    assert np.isfinite(found).all() and (np.diff(found) >= -1e-15).all()


def test_a_column_is_the_same_after_a_checkpoint(tmp_path: Path) -> None:
    rows = [f"{10.0**index};${10**index:,}.50;{'ab'[index % 2]}" for index in range(9)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["x;price;label", *rows]))
    table = Csv(path=str(path), delimiter=";", numbers=["price"], quantile_transform=["x", "price"], test=0)
    encoder = table.build(0).encoder
    assert encoder is not None and isinstance(encoder.columns[1], FormattedNumberColumn)
    again = TableEncoder.from_state(encoder.state())
    assert again == encoder and not again.is_plain
    high, low = again.row(["1e30", "$0.10"], "", ".")
    assert [high, low] == pytest.approx([2.166, -2.166], abs=1e-3)  # of 1 - 1 / 66, and of 1 / 66


def test_a_checkpoint_without_quantiles_is_read() -> None:
    state = [{"name": "x", "fill": "2.0", "marks_missing": False, "kind": "number"}]
    assert TableEncoder.from_state(state).columns == (NumberColumn(name="x", fill="2.0"),)


@pytest.mark.parametrize("quantiles", [[0.0], [1.0, 1.0], [2.0, 1.0], [0.0, float("inf")]])
def test_damaged_quantiles_are_refused(quantiles: list[float]) -> None:
    state = {"name": "x", "kind": "number", "quantile_transform": {"quantiles": quantiles, "outputs": [0.0, 1.0]}}
    with pytest.raises(ValueError, match=r"not increasing|1 quantiles of a column, but 2 outputs"):
        TableEncoder.from_state([state])
    with pytest.raises(ValueError, match="no quantiles of 'x'"):
        TableEncoder.from_state([{"name": "x", "kind": "number", "quantile_transform": {}}])


def test_a_column_of_texts_has_no_quantiles(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,label\nred,a\nblue,b\nred,a\n")
    with pytest.raises(DataError, match="column 'x': categories; expected numbers: remove the column"):
        Csv(path=str(tmp_path / "t.csv"), categories="auto", quantile_transform=["x"], test=0).build(0)
    with pytest.raises(DataError, match=r"no column 'y' \(dataset.quantile_transform\)"):
        Csv(path=str(tmp_path / "t.csv"), categories="auto", quantile_transform=["y"], test=0).build(0)

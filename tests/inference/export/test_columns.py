"""Tests of the columns of a table as numbers: the features are those of `TableEncoder`."""

from __future__ import annotations

import math

import numpy as np
import torch

from nnclassify.data.tables.encoding import (
    AnyColumn,
    DateColumn,
    NumberColumn,
    OneHotColumn,
    OrdinalColumn,
    YesNoColumn,
)
from nnclassify.data.tables.quantiles import QuantileTransform
from nnclassify.data.tables.table_encoder import TableEncoder
from nnclassify.inference.export.columns import ColumnFeatures, code, codes_of_texts

COLUMNS: tuple[AnyColumn, ...] = (
    NumberColumn(name="weight", fill="2.5", marks_missing=True),
    OneHotColumn(name="color", categories=("blue", "red"), fill="red", marks_missing=True),
    OneHotColumn(name="zone", categories=("1", "2.50")),
    OrdinalColumn(name="size", categories=("small", "large")),
    YesNoColumn(name="member", fill="no"),
    NumberColumn(name="bytes", fill="3.0", quantile_transform=QuantileTransform((0.0, 2.0, 1e6), (-1.0, 0.5, 2.0))),
    NumberColumn(name="same", quantile_transform=QuantileTransform((5.0,), (0.0,))),
    DateColumn(name="when", parts=("days", "year", "month", "day", "weekday", "hour")),
)
ROWS = [
    ["1.5", "red", "1", "small", "Yes", "1.5", "5", "2024-02-29T23:59"],
    ["", " blue ", "2.5", "large", "0", "", "4", "1969-12-31T00:01:59"],
    ["-3", "", "7", "small", "", "-7", "5", "1900-03-01"],
    ["1e3", "pink", "1.0", "large", "TRUE", "1e9", "5", "2000-12-31T12:00"],
]


def test_features_are_those_of_the_encoder() -> None:
    encoder = TableEncoder(COLUMNS)
    codes = [[code(column, text) for column, text in zip(COLUMNS, row, strict=True)] for row in ROWS]
    found = ColumnFeatures(encoder)(torch.tensor(codes, dtype=torch.float64))
    np.testing.assert_allclose(found.numpy(), [encoder.row(row, "", ".") for row in ROWS], rtol=0, atol=1e-9)


def test_what_predict_refuses_gives_nan() -> None:
    encoder = TableEncoder((OrdinalColumn(name="size", categories=("small",)), NumberColumn(name="weight")))
    codes = [[code(encoder.columns[0], text), value] for text, value in (("huge", 1.0), ("", 1.0), ("small", math.nan))]
    assert ColumnFeatures(encoder)(torch.tensor(codes, dtype=torch.float64)).isnan().any(dim=1).tolist() == [True] * 3


def test_texts_of_a_column() -> None:
    codes, others = codes_of_texts(OneHotColumn(name="zone", categories=("1", "2.50")))
    assert others == 2
    assert (codes["1"], codes["1.0"], codes["2.5"], codes["2.50"]) == (0, 0, 1, 1)
    assert math.isnan(codes["NaN"]) and math.isnan(codes[""])
    codes, others = codes_of_texts(YesNoColumn(name="member"))
    assert (codes["yes"], codes["No"], codes["TRUE"], others) == (1, 0, 1, math.inf)

"""The columns of a table as numbers that a runtime without texts can take, and what the network sees of them.

A number stands for itself, a date for its days since 1970-01-01, a category or rank for its place among those of the
training split, from 0, and yes and no for 1 and 0. NaN stands for a missing value, infinity for one that `predict`
refuses.
"""

from __future__ import annotations

import math
from datetime import timedelta

import torch
from torch import Tensor, nn

from nnclassify.data.images.image_listing import clean_name
from nnclassify.data.labels import matched
from nnclassify.data.tables.csv_rows import MISSING, as_number
from nnclassify.data.tables.encoding import (
    EPOCH,
    NO,
    YES,
    AnyColumn,
    DateColumn,
    FormattedNumberColumn,
    NumberColumn,
    NumericColumn,
    OneHotColumn,
    OrdinalColumn,
    YesNoColumn,
    date_of,
)
from nnclassify.data.tables.quantiles import QuantileTransform
from nnclassify.data.tables.table_encoder import TableEncoder

TextColumn = OneHotColumn | OrdinalColumn | YesNoColumn
"""The kinds of columns that a runtime with texts takes as texts."""
RESERVED = ("probabilities", "class_index", "class_name", "labels")
"""The names of the outputs of an ONNX model."""
LAST_DIGIT = timedelta(days=1) // timedelta(milliseconds=1)
"""Milliseconds of a day: a date and time is exact to that."""


def code(column: AnyColumn, text: str, decimal: str = ".") -> float:
    """Return the number that stands for a text of a column."""
    text = clean_name(text)
    if column.is_missing(text):
        return math.nan
    if (numbers := column.numbers(text, decimal)) is None:
        return math.inf
    if isinstance(column, DateColumn):
        date = date_of(text, column.format)
        assert date is not None
        return (date - EPOCH) / timedelta(days=1)
    if isinstance(column, OneHotColumn):
        (place,) = matched([text], column.categories)
        return float(len(column.categories) if place is None else place)
    return numbers[0]


def codes_of_texts(column: TextColumn) -> tuple[dict[str, float], float]:
    """Return the number that stands for each usual text of a column, and the one for all other texts."""
    words = [*MISSING, *YES, *NO] if isinstance(column, YesNoColumn) else [*MISSING]
    texts = [] if isinstance(column, YesNoColumn) else list(column.categories)
    numbers = [number for text in texts if (number := as_number(text)) is not None]
    if len(numbers) == len(texts):
        texts += [repr(number) for number in numbers]
        texts += [str(int(number)) for number in numbers if number == int(number)]
    words += ["NaN", "NaT", "-NaN"]  # as programs write them
    texts += [spelled for word in words for spelled in (word, word.upper(), word.capitalize(), word.title())]
    others = float(len(column.categories)) if isinstance(column, OneHotColumn) else math.inf
    found = {text: code(column, text) for text in dict.fromkeys(texts)}
    return {text: number for text, number in found.items() if number != others}, others


class ColumnFeatures(nn.Module):
    """Makes the features of a table from the numbers of its columns, as `TableEncoder` does from its texts."""

    def __init__(self, encoder: TableEncoder) -> None:
        super().__init__()
        self.columns = encoder.columns

    def forward(self, codes: Tensor) -> Tensor:
        """Map float64 `(N, num_columns)` to features `(N, num_features)`; a value that is refused gives NaN."""
        features: list[Tensor] = []
        for column, given in zip(self.columns, codes.split(1, dim=1), strict=True):
            is_missing = given.isnan()
            known = given if column.fill is None else given.where(~is_missing, code(column, column.fill))
            known = known.where(known.abs() != math.inf, math.nan)
            features.append(_features(column, known))
            if column.marks_missing:
                features.append(is_missing.to(codes.dtype))
        return torch.cat(features, dim=1)


def _features(column: AnyColumn, codes: Tensor) -> Tensor:
    """Map the numbers of a column, `(N, 1)`, to its features `(N, k)`; NaN remains NaN."""
    if isinstance(column, DateColumn):
        return torch.cat([_PARTS[part](codes) for part in column.parts], dim=1)
    if isinstance(column, OneHotColumn):
        places = torch.arange(len(column.categories) + 1, dtype=codes.dtype, device=codes.device)
        return (codes == places).to(codes.dtype).where(~codes.isnan(), math.nan)
    if isinstance(column, NumericColumn) and column.quantile_transform is not None:
        return _transformed(column.quantile_transform, codes)
    return codes


def _transformed(transform: QuantileTransform, values: Tensor) -> Tensor:
    """Map numbers `(N, 1)` as a quantile transform does: by the sum of how far each has come between two quantiles."""
    quantiles, outputs = (values.new_tensor(points) for points in (transform.quantiles, transform.outputs))
    if len(quantiles) == 1:
        return outputs.where(~values.isnan(), math.nan)
    parts = ((values - quantiles[:-1]) / quantiles.diff()).clamp(0, 1)  # (N, pieces)
    return outputs[:1] + (parts * outputs.diff()).sum(dim=1, keepdim=True)


def _year_month_day(days: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return year, month and day of days since 1970-01-01, whole numbers.

    Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days: an era is 400 years, which
    begin in March.
    """
    shifted = days + 719468
    era = torch.floor(shifted / 146097)
    of_era = shifted - era * 146097
    leaps = torch.floor(of_era / 1460) - torch.floor(of_era / 36524) + torch.floor(of_era / 146096)
    year = torch.floor((of_era - leaps) / 365)
    of_year = of_era - (365 * year + torch.floor(year / 4) - torch.floor(year / 100))
    place = torch.floor((5 * of_year + 2) / 153)  # of the month, March is 0
    day = of_year - torch.floor((153 * place + 2) / 5) + 1
    month = torch.where(place < 10, place + 3, place - 9)
    return year + era * 400 + (month <= 2).to(days.dtype), month, day


def _milliseconds(days: Tensor) -> Tensor:
    return torch.round(days * LAST_DIGIT)


def _whole_days(days: Tensor) -> Tensor:
    return torch.floor(_milliseconds(days) / LAST_DIGIT)


def _weekday(days: Tensor) -> Tensor:
    from_monday = _whole_days(days) + 3  # 1970-01-01 was a Thursday
    return from_monday - 7 * torch.floor(from_monday / 7)


def _hour(days: Tensor) -> Tensor:
    minutes = torch.floor((_milliseconds(days) - _whole_days(days) * LAST_DIGIT) / 60_000)
    hours = torch.floor(minutes / 60)
    return hours + (minutes - hours * 60) / 60


_PARTS = {
    "days": lambda days: days,
    "year": lambda days: _year_month_day(_whole_days(days))[0],
    "month": lambda days: _year_month_day(_whole_days(days))[1],
    "day": lambda days: _year_month_day(_whole_days(days))[2],
    "weekday": _weekday,
    "hour": _hour,
}
"""See `encoding._PARTS`, of which these are the same functions of days."""


def describe(column: AnyColumn) -> dict[str, object]:
    """Return what a program needs to know to fill in a column, for metadata."""
    about: dict[str, object] = {
        "name": column.name,
        "input": input_name(column.name),
        "kind": column.kind,
        "may_be_missing": column.fill is not None,
    }
    if isinstance(column, OneHotColumn | OrdinalColumn):
        about["categories"] = list(column.categories)
    if isinstance(column, DateColumn):
        about["unit"] = "days since 1970-01-01"
    return about


def input_name(column: str) -> str:
    """Return the name of the input of an ONNX model that takes a column."""
    return f"{column} (column)" if column in RESERVED or not column else column


def is_text(column: AnyColumn) -> bool:
    """Return whether a runtime with texts takes the column as texts."""
    return not isinstance(column, NumberColumn | FormattedNumberColumn | DateColumn)

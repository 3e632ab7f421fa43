"""From the text of a column of a table to numbers.

Every column has a kind: a number, a number with a unit, a category, a rank, yes or no, a date. What a kind needs to
know, such as the categories or the value that replaces a missing one, is fixed from the training split and stored in
the checkpoint.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import ConfigDict, Field

from nnclassify.data.images.image_listing import clean_name
from nnclassify.data.labels import AMBIGUOUS, classes_of, matched
from nnclassify.data.splitting import Values
from nnclassify.data.tables.csv_rows import MISSING, as_number, why_no_number
from nnclassify.data.tables.number_formats import TIME, NumberFormat
from nnclassify.data.tables.quantiles import QuantileTransform
from nnclassify.errors import DataError, MissingValueError, some, suggestion

DatePart = Literal["days", "year", "month", "day", "weekday", "hour"]

MAX_NAMED = 10
"""Categories that a message lists."""
EPOCH = datetime(1970, 1, 1)
YES, NO = ("yes", "true", "y", "t", "on", "1", "1.0"), ("no", "false", "n", "f", "off", "0", "0.0")
"""Spellings of yes and no, in lower case."""
ISO = "ISO 8601"
"""The date format `2024-01-31`, also with a time: `2024-01-31 12:30:00`."""

_MONTHS = {
    word: month
    for month, words in {
        "January": "januar janvier janv enero ene gennaio gen januari janeiro",
        "February": "februar février févr febrero febbraio februari fevereiro fev",
        "March": "märz mär mrz mars marzo mar maart mrt março",
        "April": "avril avr abril abr aprile",
        "May": "mai mayo maggio mag mei maio",
        "June": "juni juin junio giugno giu junho",
        "July": "juli juillet juil julio luglio lug julho",
        "August": "août agosto ago augustus",
        "September": "sept septembre septiembre settembre set setembro",
        "October": "oktober okt octobre octubre ottobre ott outubro out",
        "November": "novembre noviembre novembro",
        "December": "dezember dez décembre déc diciembre dic dicembre dezembro",
    }.items()
    for word in words.split()
}
"""Months in German, French, Spanish, Italian, Dutch and Portuguese, also short, where they are not as in English."""

_PARTS: dict[str, Callable[[datetime], float]] = {
    "days": lambda date: (date - EPOCH) / timedelta(days=1),
    "year": lambda date: date.year,
    "month": lambda date: date.month,
    "day": lambda date: date.day,
    "weekday": lambda date: date.weekday(),
    "hour": lambda date: date.hour + date.minute / 60,
}


class Feature(NamedTuple):
    """What a network sees of a column.

    Attributes:
        name: Its name, such as `color=red`.
        keeps_scale: Whether it is 0 or 1 and is not normalized.
    """

    name: str
    keeps_scale: bool


@dataclass(frozen=True, kw_only=True)
class Column(ABC):
    """A column of a table, and how a text in it becomes numbers.

    Attributes:
        name: Its name.
        fill: The text that replaces a missing value; None: a missing value is an error.
        marks_missing: Whether one more feature is 1 where the value was missing.
    """

    name: str
    fill: str | None = None
    marks_missing: bool = False

    keeps_scale: ClassVar[bool] = False
    """Whether its features are 0 or 1 and are not normalized."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    @abstractmethod
    def numbers(self, text: str, decimal: str) -> list[float] | None:
        """Return the features of a text that is not missing; None if it is not of this kind."""

    def scaled(self, numbers: Values) -> Values:
        """Return features `(N,)` of numbers `(N,)`, of a column of one number; most are the numbers themselves."""
        return numbers

    def unscaled(self, features: Values) -> Values:
        """Return the numbers of features, the inverse of `scaled`."""
        return features

    def expected(self, text: str, decimal: str) -> str:
        """Return what was found and what was expected, for a text that is not of this kind."""
        return f"found {text[:40]!r}, expected another value"

    def problem(self, text: str, decimal: str) -> str | None:
        """Return what is wrong with a text that is not missing, or None."""
        return self.expected(text, decimal) if self.numbers(text, decimal) is None else None

    def fitted(self, counts: Mapping[str, int]) -> Self:
        """Return the column with what is fixed from the training split; of most kinds that is nothing.

        Args:
            counts: The training rows of each text; missing values are left out.
        """
        return self

    def fill_for(self, counts: Mapping[str, int]) -> str:
        """Return the text that replaces a missing value: the most frequent one.

        Args:
            counts: The training rows of each text; missing values are left out.
        """
        return clean_name(max(counts, key=lambda text: (counts[text], text)))

    def feature_names(self) -> list[str]:
        """Return the names of the features, without the one that marks missing values."""
        return [self.name]

    def features(self) -> list[Feature]:
        """Return the features, the one that marks missing values included."""
        found = [Feature(name, self.keeps_scale) for name in self.feature_names()]
        return [*found, Feature(f"{self.name} (missing)", True)] if self.marks_missing else found

    def is_missing(self, text: str) -> bool:
        """Return whether a text stands for a missing value."""
        return text.lower() in MISSING

    def is_unseen(self, text: str) -> bool:
        """Return whether a text is a category without an indicator of its own."""
        return False

    def encoded(self, text: str, where: str, decimal: str = ".") -> list[float]:
        """Return the features of a text.

        Raises:
            MissingValueError: The value is missing, and nothing replaces it.
            DataError: It is of another kind.
        """
        text, is_missing = clean_name(text), False
        if self.is_missing(text):
            if self.fill is None:
                raise MissingValueError(f"{where}: {why_no_number(text)[1]}")
            text, decimal, is_missing = self.fill, ".", True
        if (numbers := self.numbers(text, decimal)) is None:
            raise DataError(f"{where}: {self.expected(text, decimal)}")
        features: list[float] = self.scaled(np.array(numbers)).tolist()
        return features + [float(is_missing)] * self.marks_missing


@dataclass(frozen=True, kw_only=True)
class NumericColumn(Column):
    """Numbers, one feature.

    Attributes:
        quantile_transform: What brings them closer together where they are far apart; None: they are features as they
            are.
    """

    quantile_transform: QuantileTransform | None = None

    def scaled(self, numbers: Values) -> Values:
        """Return the features of numbers."""
        return numbers if self.quantile_transform is None else self.quantile_transform(numbers)

    def unscaled(self, features: Values) -> Values:
        """Return the numbers of features."""
        return features if self.quantile_transform is None else self.quantile_transform.inverse(features)

    def with_quantiles(self, values: Values) -> Self:
        """Return the column with the quantiles of numbers of the training split, if it takes any."""
        is_wanted = self.quantile_transform is not None
        return replace(self, quantile_transform=QuantileTransform.fitted(values)) if is_wanted else self


@dataclass(frozen=True, kw_only=True)
class NumberColumn(NumericColumn):
    """Numbers, one feature."""

    kind: Literal["number"] = "number"

    @property
    def is_plain(self) -> bool:
        """Whether it is a number that must be there, and so a feature as it is."""
        return self.fill is None and self.quantile_transform is None

    def numbers(self, text: str, decimal: str) -> list[float] | None:
        """Return the number."""
        value = as_number(text, decimal)
        return None if value is None else [value]

    def expected(self, text: str, decimal: str) -> str:
        """Return what is wrong with a text that is not a finite number."""
        return why_no_number(text, decimal)[1]

    def fitted_to(self, values: Values, *, may_be_missing: bool) -> NumberColumn:
        """Return the column whose missing values, NaN, are replaced by the median of the others."""
        is_missing = np.isnan(values)
        if is_missing.all():
            raise DataError(all_missing(self.name))
        column = self.with_quantiles(values[~is_missing])
        if not may_be_missing:
            return column
        fill = repr(float(np.median(values[~is_missing])))
        return replace(column, fill=fill, marks_missing=bool(is_missing.any()))


@dataclass(frozen=True, kw_only=True)
class FormattedNumberColumn(NumberFormat, NumericColumn):
    """Numbers that are all written in the same format, with a unit or separators, or as times: one feature."""

    kind: Literal["formatted_number"] = "formatted_number"

    def numbers(self, text: str, decimal: str) -> list[float] | None:
        """Return the number; of a time, the hours."""
        value = self.value(text)
        value = as_number(text, decimal) if value is None else value
        return None if value is None else [value]

    def expected(self, text: str, decimal: str) -> str:
        """Return what is wrong with a text that is not a number in this format."""
        as_trained = "a time such as 19:30" if self.unit == TIME else f"a number as in the other rows ({self})"
        return f"found {text[:40]!r}, expected {as_trained}"

    def fitted(self, counts: Mapping[str, int]) -> Self:
        """Return the column with the quantiles of the training split, if it takes any."""
        return self.with_quantiles(self._values(counts))

    def fill_for(self, counts: Mapping[str, int]) -> str:
        """Return the median of the numbers."""
        return repr(float(np.median(self._values(counts)))).replace(".", self.decimal)

    def _values(self, counts: Mapping[str, int]) -> Values:
        return np.array(
            [value for text in counts for value in (self.numbers(clean_name(text), ".") or []) * counts[text]]
        )


@dataclass(frozen=True, kw_only=True)
class OneHotColumn(Column):
    """Categories: a feature for each, which is 1 in its rows, and one for all that have none of their own.

    Attributes:
        categories: The categories of the training split, sorted by value if all are numbers, otherwise by name.
        most: How many categories have a feature of their own, the most frequent ones; None: all.
    """

    categories: tuple[str, ...] = ()
    most: int | None = None
    kind: Literal["one_hot"] = "one_hot"

    keeps_scale: ClassVar[bool] = True

    def is_missing(self, text: str) -> bool:
        """Return whether a text stands for a missing value; a word that may be a category, such as `none`, does not."""
        return is_missing_category(text)

    @cached_property
    def _place_of(self) -> dict[str, int | None]:
        """The places of the texts met so far."""
        return {}

    def _place(self, text: str) -> int | None:
        if text not in self._place_of:
            self._place_of[text] = matched([text], self.categories)[0]
        return self._place_of[text]

    def is_unseen(self, text: str) -> bool:
        """Return whether a text is a category without an indicator of its own."""
        return not self.is_missing(clean_name(text)) and self._place(clean_name(text)) is None

    def numbers(self, text: str, decimal: str) -> list[float]:
        """Return the indicators of the categories, then that of all others, which were never seen or are rare."""
        place = self._place(text)
        chosen = len(self.categories) if place is None else place
        return [float(index == chosen) for index in range(len(self.categories) + 1)]

    def feature_names(self) -> list[str]:
        """Return a name for each category, and one for all others."""
        return [*(f"{self.name}={category}" for category in self.categories), f"{self.name} (other)"]

    def fitted(self, counts: Mapping[str, int]) -> Self:
        """Return the column with the categories of the training split, or the most frequent of them."""
        found = classes_of(counts)
        kept = {name for name, _ in found.rows(counts).most_common(self.most)}
        return replace(self, categories=tuple(name for name in found.names if name in kept))


@dataclass(frozen=True, kw_only=True)
class OrdinalColumn(Column):
    """Categories that have an order: one feature, the place in it, from 0.

    Attributes:
        categories: The categories, the lowest first.
    """

    categories: tuple[str, ...]
    kind: Literal["ordinal"] = "ordinal"

    def is_missing(self, text: str) -> bool:
        """Return whether a text stands for a missing value and is not one of the categories."""
        return text.lower() in MISSING and matched([text], self.categories) == [None]

    def numbers(self, text: str, decimal: str) -> list[float] | None:
        """Return the place of the category."""
        (place,) = matched([text], self.categories)
        return None if place is None else [float(place)]

    def expected(self, text: str, decimal: str) -> str:
        """Return what is wrong with a text that has no place in the order."""
        return f"found {text!r}, expected one of {some(self.categories, MAX_NAMED)}{suggestion(text, self.categories)}"


@dataclass(frozen=True, kw_only=True)
class YesNoColumn(Column):
    """Yes or no, in any of the usual spellings: one feature, 1 or 0."""

    kind: Literal["yes_no"] = "yes_no"

    keeps_scale: ClassVar[bool] = True

    def numbers(self, text: str, decimal: str) -> list[float] | None:
        """Return 1 or 0."""
        return [float(text.lower() in YES)] if text.lower() in YES + NO else None

    def expected(self, text: str, decimal: str) -> str:
        """Return what is wrong with a text that is neither yes nor no."""
        return f"found {text[:40]!r}, expected yes or no, true or false, 1 or 0"


@dataclass(frozen=True, kw_only=True)
class DateColumn(Column):
    """Dates: one feature for each part, by default the days since 1970-01-01.

    Attributes:
        format: How the dates are written, as in `datetime.strptime`, or `ISO 8601`, which is always understood.
        parts: The features.
    """

    format: str = ISO
    parts: tuple[DatePart, ...] = ("days",)
    kind: Literal["date"] = "date"

    def numbers(self, text: str, decimal: str) -> list[float] | None:
        """Return the parts of the date."""
        date = date_of(text, self.format)
        return None if date is None else [float(_PARTS[part](date)) for part in self.parts]

    def expected(self, text: str, decimal: str) -> str:
        """Return what is wrong with a text that is not a date in this format."""
        example = "2024-01-31" if self.format == ISO else f"{datetime(2024, 1, 31).strftime(self.format)}"
        return f"found {text[:40]!r}, expected a date such as {example}"

    def feature_names(self) -> list[str]:
        """Return the column's name with each part."""
        return [f"{self.name} ({'days since 1970-01-01' if part == 'days' else part})" for part in self.parts]


def is_missing_category(text: str) -> bool:
    """Return whether a text can only stand for a missing value; `none` and `-` may be categories."""
    return text.lower() in MISSING and text.lower() not in AMBIGUOUS


AnyColumn = Annotated[
    NumberColumn | FormattedNumberColumn | OneHotColumn | OrdinalColumn | YesNoColumn | DateColumn,
    Field(discriminator="kind"),
]


def date_of(text: str, format: str = ISO) -> datetime | None:  # noqa: A002 - strptime's own name for it
    """Return the date that a text gives in a format, or in ISO 8601, or None."""
    text = with_offset(text)
    for parse in (datetime.fromisoformat, lambda found: datetime.strptime(_in_english(found, format), format)):
        try:
            date = parse(text)
        except ValueError:
            continue
        return date if date.tzinfo is None else date.astimezone(UTC).replace(tzinfo=None)
    return None


def with_offset(text: str) -> str:
    """Return a date with its time zone, such as ` UTC` or ` GMT+2`, as `+0000` or `+0200`; others are left."""
    day_and_time = re.fullmatch(
        r"(.*:\d\d(?:\.\d+)?(?: ?[AaPp][Mm])?) ?(?:(?:UTC|GMT|Z)|(?:UTC|GMT)?([+-])(\d\d?)(?::?(\d\d))?)", text
    )
    if day_and_time is None:
        return text
    before, sign, hours, minutes = day_and_time.groups()
    return f"{before}{sign or '+'}{int(hours or 0):02}{minutes or '00'}"


def _in_english(text: str, format: str) -> str:  # noqa: A002
    """Return a date with its month in English, short and without a point if the format has short months."""
    is_short = "%b" in format
    if not (is_short or "%B" in format):
        return text

    def month(found: re.Match[str]) -> str:
        name = _MONTHS.get(found[1].casefold())
        return found[0] if name is None else name[:3] if is_short else name + found[2]

    return re.sub(r"([^\W\d_]+)(\.?)", month, text)


def all_missing(name: str) -> str:
    """Return the error of a column without a value in the training split."""
    return f"column {name!r}: every value in the training split is missing; list it in dataset.ignore"

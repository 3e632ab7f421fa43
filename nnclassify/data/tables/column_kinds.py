"""Which kind a column of a table is of: what the config says, or what its texts show."""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import (
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)

from nnclassify.data.tables.csv_rows import MISSING, as_number, why_no_number
from nnclassify.data.tables.encoding import (
    ISO,
    NO,
    YES,
    AnyColumn,
    DateColumn,
    DatePart,
    FormattedNumberColumn,
    NumberColumn,
    OneHotColumn,
    OrdinalColumn,
    YesNoColumn,
    date_of,
    is_missing_category,
    with_offset,
)
from nnclassify.data.tables.number_formats import number_format
from nnclassify.errors import DataError
from nnclassify.settings import PositiveInt, Settings

DAYS: tuple[str, ...] = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%Y", "%m-%d-%Y")
DAYS += ("%Y/%m/%d", "%Y.%m.%d", "%d.%m.%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y")
DAYS += ("%d. %b %Y", "%d. %B %Y", "%a, %d %b %Y", "%A, %B %d, %Y", "%d%b%Y", "%d/%b/%Y", "%d/%b/%y")
MONTHS = ("%Y-%m", "%m/%Y", "%b %Y", "%B %Y", "%b-%Y", "%b-%y")
CLOCKS = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p", "%H:%M:%S.%f")
TIMES = ("", *map("".join, itertools.product((" ", ", ", ":"), CLOCKS, ("", "%z"))))
DATES = (*map("".join, itertools.product(DAYS, TIMES)), *MONTHS)
DATES += ("%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S %z %Y")
"""Formats that dates are recognized in, beside ISO 8601."""
YEARS = range(1900, 2101)
"""Of months without a day, such as `2024-01`: other numbers are more likely to be codes."""

FEW_CATEGORIES, MIN_ROWS, MAX_CATEGORIES = 20, 4, 1000
"""Texts of more categories than the first, in fewer rows per category than the second, are no categories but names; nor
are those of more categories than the last."""

Category = Literal["one_hot", "yes_no"] | PositiveInt | Annotated[list[str], Field(min_length=2)]


def _categories(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """Read the option; whatever is wrong with it has one message."""
    try:
        return read(value)
    except ValidationError:
        raise ValueError(
            "auto, a list of columns, or for each column one_hot, yes_no, a number of categories, or the list of them"
        ) from None


Categories = Annotated[Literal["auto"] | list[str] | dict[str, Category], WrapValidator(_categories)]


def _days() -> list[DatePart]:
    return ["days"]


class Dates(Settings):
    """How the dates of a column are written, and what is learned from them."""

    format: str | None = None
    """Format, as in Python's `strptime`, such as `%d.%m.%Y`. Default: recognized; ISO 8601 always is. Names of months
    may also be German, French, Spanish, Italian, Dutch or Portuguese."""
    parts: Annotated[list[DatePart], Field(min_length=1)] = Field(default_factory=_days)
    """Numbers made of a date: `days` since 1970-01-01, `year`, `month` (1 to 12), `day` (1 to 31), `weekday`
    (0 for Monday) and `hour`."""

    @field_validator("format")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        date = datetime(2024, 12, 31, tzinfo=UTC)
        with warnings.catch_warnings():  # Python 3.13 warns of formats without a year, which are refused here
            warnings.simplefilter("ignore", DeprecationWarning)
            try:
                is_read = value is None or datetime.strptime(date.strftime(value), value).year == date.year
            except (ValueError, re.error):
                is_read = False
        if not is_read:
            raise ValueError("a format of strptime with a year, such as '%d.%m.%Y'")
        return value


def _form(value: Any) -> str:
    return "pairs" if isinstance(value, dict) else "list"


DateColumns = Annotated[
    Annotated[list[str], Field(min_length=1), Tag("list")] | Annotated[dict[str, Dates], Tag("pairs")],
    Discriminator(_form),
]


Kind = Category | Dates | Literal["number"]
"""What a config says of a column; `number`: a number in a format that is recognized."""


def declared_kinds(
    categories: Categories | None, dates: Sequence[str] | Mapping[str, Dates] | None, numbers: Sequence[str] | None
) -> dict[str, Kind]:
    """Return what the config says of columns by name."""
    if isinstance(categories, dict):
        found: dict[str, Kind] = dict(categories)
    else:
        found = dict.fromkeys(categories if isinstance(categories, list) else (), "one_hot")
    of_dates = dates if isinstance(dates, Mapping) else {name: Dates() for name in dates or ()}
    return {**found, **of_dates, **dict.fromkeys(numbers or (), "number")}


def column_of(name: str, kind: Kind | None, counts: Mapping[str, int], decimal: str = ".") -> AnyColumn:
    """Return the column of a kind; where the config does not say which, of the one that its texts show.

    Args:
        name: The column.
        kind: What the config says.
        counts: The rows of each of its texts.
        decimal: The decimal separator of the file.

    Raises:
        DataError: Dates may be written in two ways, numbers are not all written in the same way, or there are too many
            different texts for categories.
    """
    if kind == "number":
        return _declared_number(name, counts, decimal)
    if isinstance(kind, Dates):
        written = kind.format or date_format(name, counts) or ISO
        return DateColumn(name=name, format=written, parts=tuple(kind.parts))
    if isinstance(kind, list):
        return OrdinalColumn(name=name, categories=tuple(kind))
    if kind == "yes_no" or (kind is None and _is_yes_or_no(counts)):
        return YesNoColumn(name=name)
    if kind is None and (form := date_format(name, counts)) is not None:
        return DateColumn(name=name, format=form)
    return OneHotColumn(name=name, most=kind) if isinstance(kind, int) else _categories_of(name, kind, counts, decimal)


def _categories_of(name: str, kind: Kind | None, counts: Mapping[str, int], decimal: str) -> AnyColumn:
    """Return the column of categories; with too many texts for them, of formatted numbers if no kind is stated, or
    raise a `DataError`."""
    present = {text: count for text, count in counts.items() if not is_missing_category(text)}
    found, rows = len(present), sum(present.values())
    if found > min(MAX_CATEGORIES, max(FEW_CATEGORIES, rows / MIN_ROWS)):
        if kind is None and (numbers := formatted_column(name, present, decimal)) is not None:
            return numbers
        _, _, hint = why_no_number(next(iter(present)))[1].partition("; ")
        raise DataError(
            f"{found} different texts in {rows} rows are too many for categories; remove the column (dataset.ignore), "
            f"or keep the most frequent ones: dataset.categories: {{{name}: {FEW_CATEGORIES}}}"
            + (f"; or if {next(iter(present))[:40]!r} is a number, {hint}" if hint else "")
        )
    return OneHotColumn(name=name)


def formatted_column(
    name: str, texts: Iterable[str], decimal: str, *, is_certain: bool = False
) -> FormattedNumberColumn | None:
    """Return a column of numbers in the format of its texts, or None if they are not clearly numbers in one format."""
    form = number_format((text for text in texts if text.lower() not in MISSING), decimal, is_certain=is_certain)
    return None if form is None else FormattedNumberColumn(name=name, **asdict(form))


def _declared_number(name: str, texts: Iterable[str], decimal: str) -> AnyColumn:
    """Return the column of numbers in the format of its texts, which must all be written in the same way."""
    column = formatted_column(name, texts, decimal, is_certain=True)
    if column is None:
        present = [text for text in texts if text.lower() not in MISSING]
        odd = next((text for text in present if not number_format([text], decimal, is_certain=True)), present[0])
        raise DataError(
            f"numbers are not all written in the same way, or with different units (such as {odd[:40]!r}); "
            "write them in the same way, or remove the column from dataset.numbers"
        )
    return column


def _is_yes_or_no(texts: Iterable[str]) -> bool:
    return all(text.lower() in (*YES, *NO, *MISSING) for text in texts)


def date_format(name: str, texts: Iterable[str]) -> str | None:
    """Return the format that the dates of a column are written in, or None if they are not dates.

    Raises:
        DataError: There are two, which read a text as different dates.
    """
    texts = [text for text in texts if text.lower() not in MISSING]
    first = next((text for text in texts if date_of(text) is None), None)
    if first is None:
        return ISO if texts else None
    found = _shape(first)
    likely = [form for form, shape in _shapes().items() if shape == found]
    fits = [form for form in likely if _are_dates(texts, form)]
    for form in fits[1:]:
        if (text := next((text for text in texts if date_of(text, fits[0]) != date_of(text, form)), None)) is not None:
            raise DataError(
                f"{text!r} may be a date as {fits[0]} or as {form}; set "
                f"dataset.dates: {{{name}: {{format: '{fits[0]}'}}}}, or the other"
            )
    return fits[0] if fits else None


def _are_dates(texts: Sequence[str], form: str) -> bool:
    dates = (date_of(text, form) for text in texts)
    return all(date is not None and (form not in MONTHS or date.year in YEARS) for date in dates)


def _shape(text: str) -> str:
    """Return a date with `a` for each word and `0` for each number: few formats have the same."""
    text = re.sub(r"[^\W\d_]+\.?", "a", re.sub(r"\s+", " ", with_offset(text)))
    return re.sub(r"(?<=:0)[+-]0|(?<= a)[+-]0", "+0", re.sub(r"\d+", "0", text))


@cache
def _shapes() -> dict[str, str]:
    """Return the shape of each format in which dates are recognized."""
    date = datetime(2024, 12, 31, 10, 30, tzinfo=UTC)
    return {form: _shape(date.strftime(form)) for form in DATES}


def times_of(name: str, kind: Kind | None, texts: Sequence[str], decimal: str) -> dict[str, float | None]:
    """Return the place in time of each text of a column, all of numbers or all of dates; None if one has none.

    Args:
        name: The column.
        kind: What the config says of it.
        texts: Its texts.
        decimal: The decimal separator.

    Raises:
        DataError: Dates may be written in two ways.
    """
    present = [text for text in texts if text.lower() not in MISSING]
    times: dict[str, float | None] = dict.fromkeys(texts)
    numbers = {text: as_number(text, decimal) for text in present}
    if not isinstance(kind, Dates) and None not in numbers.values():
        return times | numbers
    written = (kind.format if isinstance(kind, Dates) else None) or date_format(name, present) or ISO
    for text in present:
        if (date := date_of(text, written)) is not None:
            times[text] = (date - datetime(1970, 1, 1)).total_seconds()
    return times


def kind_text(column: AnyColumn) -> str:
    """Return the words of a note for the kind of a recognized column."""
    if isinstance(column, DateColumn):
        century = "; years 69 to 99 are 1969 to 1999, 00 to 68 are 2000 to 2068" if "%y" in column.format else ""
        return f"dates ({column.format}{century}; days since 1970-01-01)"
    if isinstance(column, YesNoColumn):
        return "yes or no"
    if isinstance(column, FormattedNumberColumn) and (form := str(column)):
        return f"numbers ({form})"
    return "numbers" if isinstance(column, NumberColumn | FormattedNumberColumn) else "categories"

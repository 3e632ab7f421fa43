"""Guess which column of a table is the label, only where there is one candidate."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from nnclassify.config.suggest.column_facts import ColumnFacts, column_series, is_split
from nnclassify.config.suggest.table_format import LABEL_NAMES
from nnclassify.data.labels import why_no_class
from nnclassify.data.tables.column_kinds import YEARS
from nnclassify.data.tables.csv_rows import as_number
from nnclassify.errors import InputError, some

MANY_VALUES = 10
"""Of more numbers, a label is not guessed next to columns of words."""


def guessed_label(path: str, columns: Sequence[ColumnFacts], num_rows: int, decimal: str, *, has_names: bool) -> str:
    """Return the only candidate for the label: a column with a usual name, otherwise the last one if it may hold
    classes. The names of a table without a header (not `has_names`) say nothing.

    Raises:
        InputError: There are several, or none.
    """
    columns = [facts for facts in columns if not is_split(facts)] or columns
    names = [facts.name for facts in columns]
    named = [
        facts.name
        for facts in columns
        if has_names
        and facts.name.lower() in LABEL_NAMES
        and not why_no_class([*facts.class_counts()], num_rows, decimal)[1]
    ]
    if len(named) > 1 and names[-1] in named:
        named = [name for name in named if name.lower() != "y"] or named
    if len(named) == 1:
        return named[0]
    if len(named) > 1:
        raise InputError(f"{path}: columns {some(named)} may all be the label; choose one with --label")
    last = columns[-1]
    possible = [facts for facts in columns if _why_no_label(facts, num_rows, decimal) is None]
    why = _why_no_label(last, num_rows, decimal) or _why_feature(columns, possible, decimal, has_names=has_names)
    why = why or _why_measured(last, possible, decimal)
    if why is None:
        return last.name
    is_named = last.name.lower() in LABEL_NAMES
    found = "the last column" if is_named else f"no column is called {', '.join(LABEL_NAMES)}, and the last one"
    no_header = "" if has_names else "the first line is no header; "
    shown = [f"{facts.shown} ({len(facts.class_counts())} values)" for facts in possible]
    listed = f"columns that may hold classes: {some(shown, 20)}" if shown else f"columns: {some(names, 20)}"
    raise InputError(
        f"{path}: {no_header}{found}, {last.name!r}, does not look like classes ({why}); choose the label with "
        f"--label; {listed}"
    )


def _why_no_label(facts: ColumnFacts, num_rows: int, decimal: str) -> str | None:
    """Return why a column cannot be the label, or None."""
    classes = facts.class_counts()
    odd, is_hopeless = why_no_class(list(classes), num_rows, decimal)
    if is_hopeless:
        return odd
    if classes.total() < num_rows:
        spelled = next((f": {text!r}" for text in facts.missing if text), "")
        return f"{facts.num_missing} of {num_rows} values missing, first in line {facts.first_missing}{spelled}"
    return None if len(classes) > 1 else "it has one value only"


def _why_measured(facts: ColumnFacts, possible: Sequence[ColumnFacts], decimal: str) -> str | None:
    """Return why the numbers of a column are rather measured than classes, where another column may hold classes in
    words: they are many, or years; None if they are not."""
    numbers = [as_number(text, decimal) for text in facts.counts]
    values = [value for value in numbers if value is not None]
    has_words = any(as_number(text, decimal) is None for other in possible for text in other.counts)
    if len(values) < len(numbers) or not has_words:
        return None
    if len(values) > MANY_VALUES:
        return f"{len(values)} different numbers, next to columns of words"
    return "years, next to columns of words" if all(value in YEARS for value in values) else None


def _why_feature(
    columns: Sequence[ColumnFacts], possible: Sequence[ColumnFacts], decimal: str, *, has_names: bool
) -> str | None:
    """Return why the last column is rather a feature like others, next to one that may be the label; None if it is not.

    With a header, the label is not numbered like the features, nor beside a column that is called like what people
    predict.
    """
    if not has_names:
        return _why_first(columns, possible, decimal) or _why_before(columns, possible, decimal)
    series = [column_series(facts.name) for facts in columns]
    odd = next((facts for facts, name in zip(columns, series, strict=True) if name != series[-1]), None)
    is_numbered = "#" in series[-1] and series.count(series[-1]) == len(columns) - 1
    if odd in possible and odd and is_numbered:
        return f"numbered like all columns but {odd.name!r}"
    named = [facts.name for facts in possible if _PREDICTED.fullmatch(facts.name)]
    return f"{named[0]!r} may be the label as well" if named and columns[-1].name not in named else None


_PREDICTED = re.compile(
    r"(?i)(class|target)es|labels?|(.*[ _])?(label|class|target|outcome|diagnosis|verdict)|species|survived|churn(ed)?|"
    r"exited|attrition|default(ed)?|is[ _]?(fraud|spam)|fraud|spam|sentiment|defective"
)
"""Names of columns that people predict, besides `LABEL_NAMES`."""


def _why_first(columns: Sequence[ColumnFacts], possible: Sequence[ColumnFacts], decimal: str) -> str | None:
    """Return why the first column of a table without a header may be the label as well: many begin with the label."""
    first, *between, last = columns
    if first not in possible or len(first.counts) > MANY_VALUES:
        return None
    has_values_of_others = any(facts.counts.keys() == last.counts.keys() for facts in between)
    are_small = all(len(facts.counts) <= MANY_VALUES and all(map(str.isdigit, facts.counts)) for facts in columns)
    are_letters = all(len(text) == 1 and text.isalpha() for facts in columns for text in facts.counts)
    if len(first.counts) > len(last.counts) and not (has_values_of_others and are_small):
        return None
    if has_values_of_others or (are_letters and between):
        return f"values like those of features, and the first column, {first.name!r}, may be the label as well"
    return None


def _why_before(columns: Sequence[ColumnFacts], possible: Sequence[ColumnFacts], decimal: str) -> str | None:
    """Return why the column before the last one of a table without a header may be the label as well: it has words, and
    stands between numbers, as before a score or a weight of each row."""
    *others, before, last = [None, *columns]
    if before not in possible or _are_numbers(before, decimal) or not _are_numbers(last, decimal):
        return None
    numbers = itertools.takewhile(lambda facts: facts is not None and _are_numbers(facts, decimal), reversed(others))
    if 2 * sum(1 for _ in numbers) < len(columns) and _count_from_one(last, decimal):
        return None
    return f"numbers, and the column of words before it, {before.name!r}, may be the label as well"


def _are_numbers(facts: ColumnFacts | None, decimal: str) -> bool:
    return facts is not None and all(as_number(text, decimal) is not None for text in facts.counts)


def _count_from_one(facts: ColumnFacts, decimal: str) -> bool:
    """Return whether the numbers of a column are those of classes: 0 or 1 and so on, or -1 and 1."""
    numbers = sorted({as_number(text, decimal) or 0.0 for text in facts.counts})
    counted_up = [min(numbers[0], 1) + step for step in range(len(numbers))]
    return numbers == [-1, 1] or (numbers == counted_up and numbers[0] in (0, 1) and len(numbers) <= MANY_VALUES)

"""What a table holds: which column is the label, and of what kind and use the others are."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from nnclassify.config.suggest.table_format import LABEL_NAMES, is_missing, opened
from nnclassify.data.column_kinds import column_of, formatted_column
from nnclassify.data.columns import give_away, is_identifier, is_unnamed
from nnclassify.data.csv_header import HEADER_AGAIN
from nnclassify.data.csv_rows import TextRows, as_number
from nnclassify.data.encoding import (
    ISO,
    AnyColumn,
    DateColumn,
    FormattedNumberColumn,
    NumberColumn,
    OneHotColumn,
    date_of,
)
from nnclassify.data.image_labels import COLUMNS
from nnclassify.data.labels import classes_of, missing_labels, why_no_class
from nnclassify.data.number_formats import LIMIT
from nnclassify.data.split_names import SPLIT_NAMES, split_of
from nnclassify.data.suspected_groups import is_group_column
from nnclassify.errors import DataError, InputError, counted, some

MANY_ROWS = 20
"""In fewer rows, a column with a value for each class is a coincidence."""
LOOKED_AT = 100_000
"""Rows that are looked at; training reads all."""
MOSTLY = 0.9
"""A column is one of numbers where this fraction of its values are: the others are errors."""
DECORATED = re.compile(
    r"[$€£¥]? ?[+-]?\d{1,3}([,.'\u2019 \u00a0\u202f]\d{3})+([.,]\d+)?"
    r"|[$€£¥] ?[+-]?\d+([.,]\d+)?"
    r"|[+-]?[\d.,]*\d ?[%$€£¥]"
)
"""Numbers that are written for people: `1,234.5`, `$12`, `40%`."""
PLAIN = "write all in the same format to use the column"
MAX_CODES, CODE_ROWS = 50, 100
"""A column of this many whole numbers at most, with this many rows each, is taken for codes of categories."""
MIN_DAYS = 5
"""Different numbers such as `20240131` that are dates rather than a coincidence."""
FEW_CATEGORIES = 20
"""Categories that are kept of a column that has too many."""


@dataclass
class ColumnFacts:
    """What a column holds.

    Attributes:
        name: Its name.
        counts: The rows of each of its texts, missing values left out.
        missing: The rows of each spelling of a missing value.
        first_missing: The line of the first of them; 0 if there is none.
        column: Its kind; None: it is not used.
        why_ignored: The reason for that.
        is_trimmed: Whether only its most frequent categories are kept.
        is_coded: Whether it holds numbers that are taken for codes of categories.
    """

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    first_missing: int = 0
    column: AnyColumn | None = None
    why_ignored: str = ""
    is_trimmed: bool = False
    is_coded: bool = False

    @property
    def num_rows(self) -> int:
        """Rows with a value."""
        return self.counts.total()

    @property
    def num_missing(self) -> int:
        """Rows without a value."""
        return self.missing.total()

    def class_counts(self) -> Counter[str]:
        """Return the rows of each class, if this is the label: words such as `none` may be classes."""
        never = missing_labels([*self.missing])
        return self.counts + Counter({text: count for text, count in self.missing.items() if text not in never})

    def num_features(self) -> int:
        """Inputs of the network that it becomes."""
        if self.column is None:
            return 0
        one_hot = min(len(self.counts), FEW_CATEGORIES) + 1 if self.is_trimmed else len(self.counts) + 1
        return (one_hot if isinstance(self.column, OneHotColumn) else 1) + bool(self.num_missing)

    def shown_missing(self) -> str:
        """Return its name, how many values are missing, and what stands there if something does."""
        spelled = some([repr(text) for text in self.missing if text], 3)
        return f"{self.shown} {self.num_missing:,}" + f" ({spelled})" * bool(spelled)

    @property
    def shown(self) -> str:
        """Its name in messages."""
        return self.name or "''"


@dataclass(frozen=True)
class TableFacts:
    """What a table holds.

    Attributes:
        path: The file.
        written: What of its format has to be stated: delimiter, decimal mark, encoding, column names.
        num_rows: The rows that were looked at.
        columns: The columns but for the label.
        label: The label column, or the columns of multi-hot targets.
        guessed: Whether the label was guessed.
        classes: The training examples of each class; empty for multi-hot targets.
    """

    path: str
    written: dict[str, Any]
    num_rows: int
    columns: list[ColumnFacts]
    label: str | list[str]
    guessed: bool
    classes: dict[str, int]

    @property
    def used(self) -> list[ColumnFacts]:
        """The columns to learn from."""
        return [facts for facts in self.columns if facts.column is not None]

    @property
    def identifier(self) -> str | None:
        """The column that names the rows, or None."""
        found = [facts for facts in self.columns if facts.why_ignored == IDENTIFIER and not facts.num_missing]
        return found[0].name if found and len(found[0].counts) == self.num_rows else None

    @property
    def group(self) -> str | None:
        """The column that names the group of each row, such as its patient; None if there is none, or several."""
        found = [facts.name for facts in self.columns if facts.why_ignored == GROUP]
        return found[0] if len(found) == 1 and self.split is None else None

    @property
    def time(self) -> str | None:
        """The column of dates that the rows are in order of, or None if there is none, or several."""
        found = [facts.name for facts in self.columns if facts.why_ignored == TIME]
        return found[0] if found else None

    @property
    def split(self) -> ColumnFacts | None:
        """The column that gives the split of each row, or None."""
        return next((facts for facts in self.columns if facts.why_ignored == SPLIT), None)


IDENTIFIER = "a different text in every row"
SPLIT = "says which split each row is for"
INDEX = "an index of the rows"
COPY, CONSTANT = "says the label", "always"
"""The beginning of the reason not to use a column that is the label in other words, and one with a single value."""
GROUP = "names the group of each row: no group is in two splits"
TIME = "the rows are in order of it: the newest are the test split"
MIN_TIMES, OLDEST = 20, 0.7
"""Rows in order of time have at least so many dates, and all classes among this fraction of them, the oldest."""
MIN_GROUPS, GROUP_ROWS = 10, 2
"""A column called like groups is one with at least so many of them, of so many rows each on average."""


def table_facts(
    path: str, label: str | list[str] | None, stated: Mapping[str, Any] = MappingProxyType({})
) -> TableFacts:
    """Read the first rows of a table, and find out what its columns hold.

    Args:
        path: The file.
        label: The label column or columns; None: the only candidate.
        stated: Options that say how it is written.

    Raises:
        DataError: It cannot be read, or has no rows.
        InputError: Which column is the label is not clear.
    """
    table, written = opened(path, [label] if isinstance(label, str) else label, stated)
    rows = itertools.islice(table.rows(), LOOKED_AT + 1)
    header = [*(table.format.columns or ())] or [cell.strip() for cell in next(rows, (0, []))[1]]
    columns = [ColumnFacts(name) for name in header]
    num_rows = _counted(table, columns, rows)
    columns = [facts for facts in columns if facts.name or facts.counts]  # others are ignored, as by the reader
    _refuse_twice(table, [facts.name for facts in columns])
    decimal = table.format.decimal
    has_names = "columns" not in written or "columns" in stated
    found = label if label is not None else _guessed_label(path, columns, num_rows, decimal, has_names=has_names)
    labels = [found] if isinstance(found, str) else found
    if absent := [name for name in labels if name not in header]:
        raise InputError(f"{path}: no column {absent[0]!r} (--label); columns: {some(header, 20)}")
    features = [facts for facts in columns if facts.name not in labels]
    is_certain = _is_certain(table, columns)
    for facts in features:
        _decide(facts, num_rows, decimal, is_certain=is_certain)
    if not isinstance(found, str):
        return TableFacts(path, written, num_rows, features, found, guessed=False, classes={})
    of_label = next(facts for facts in columns if facts.name == found)
    of_label.counts = of_label.class_counts()
    if num_rows >= MANY_ROWS:
        _leave_out_copies(table, header, columns, of_label, is_guessed=label is None)
        _find_time(table, header, columns, of_label)
    classes = classes_of(of_label.counts, decimal).rows(of_label.counts)
    if len(classes) < 2:
        only = some([*classes]) or "no label"
        missing = f", and missing labels such as {next(iter(of_label.missing))!r}" if of_label.missing else ""
        raise DataError(
            f"{path}: column {found!r}: only one class ({only}){missing}; choose another label with --label"
        )
    return TableFacts(path, written, num_rows, features, found, label is None, classes)


def _refuse_twice(table: TextRows, names: Sequence[str]) -> None:
    """Refuse columns with the same name, and several without one, as below a title."""
    if names.count("") > 1:
        raise DataError(
            f"{table.where(1)}: {names.count('')} columns have no name; expected the names of the columns in the first "
            "line: remove lines above it, such as a title, or name the columns"
        )
    if twice := [repr(name) for name, count in Counter(names).items() if count > 1]:
        raise DataError(f"{table.where(1)}: column {some(twice)} appears twice; give each column a different name")


def _counted(table: TextRows, columns: Sequence[ColumnFacts], rows: Iterable[tuple[int, list[str]]]) -> int:
    """Count the texts of each column, and return the number of rows; a few of another length are left to the reader.

    Raises:
        DataError: There are no rows, the header is repeated, or most rows have another length.
    """
    num_rows, others, header = 0, {}, [facts.name for facts in columns]
    for line, row in rows:
        if row == header:
            raise DataError(f"{table.where(line)}: {HEADER_AGAIN}")
        if len(row) != len(columns):
            others[line] = len(row)
            continue
        if not any(cell.strip() for cell in row):
            continue  # as the reader does
        num_rows += 1
        for facts, cell in zip(columns, row, strict=True):
            _count(facts, cell.strip(), line)
    if len(others) > num_rows:
        line, width = next(iter(others.items()))
        raise DataError(
            f"{table.where(1)}: {counted(len(columns), 'column')}, but {counted(width, 'field')} in line {line}; "
            "expected the names of the columns in the first line: remove lines above it, such as comments"
            + ", or name the column of row names too"
            * (width == len(columns) + 1)
        )
    if num_rows == 0:
        raise DataError(f"{table.where(0)}: no rows after the header; expected at least one of each class")
    return num_rows


def _leave_out_copies(
    table: TextRows, header: Sequence[str], columns: Sequence[ColumnFacts], label: ColumnFacts, *, is_guessed: bool
) -> None:
    """Leave out the columns that say the label in other words: one text for each of its texts, or one-hot.

    Raises:
        InputError: The label was guessed, and is one column of several of a one-hot label.
    """
    suspects = [facts for facts in columns if facts is not label and 2 <= len(facts.counts) <= len(label.counts)]
    places, codes = [header.index(facts.name) for facts in (label, *suspects)], dict[str, int]()
    rows = itertools.islice(table.rows(), 0 if table.format.columns else 1, LOOKED_AT + 1)
    cells = [
        [codes.setdefault(row[place].strip(), len(codes)) for place in places]
        for _, row in rows
        if len(row) == len(header)
    ]
    coded = np.array(cells, dtype=np.float64)
    given_away = give_away(coded[:, 1:], coded[:, 0].astype(np.int64)).tolist()
    for facts in itertools.compress(suspects, given_away):
        facts.column, facts.why_ignored = None, f"{COPY} {label.name!r} in other words"
    pairs = [len(np.unique(coded[:, [0, place]], axis=0)) for place in (np.flatnonzero(given_away) + 1).tolist()]
    if any(num_pairs > len(label.counts) for num_pairs in pairs) and is_guessed:
        names = [*(facts.name for facts in itertools.compress(suspects, given_away)), label.name]
        raise InputError(
            f"{table.where()}: exactly one of the columns {some(names)} is set in each row, like one label in several "
            "columns; write the class of each row into one column, or choose the label with --label"
        )


def _find_time(table: TextRows, header: Sequence[str], columns: Sequence[ColumnFacts], label: ColumnFacts) -> None:
    """Set aside the date that the rows are in order of: splits drawn at random would learn from the future.

    A column that names groups or splits comes first, and so does a test split that every class is known for.
    """
    ordered = [(facts, step) for facts in columns if (step := _order(facts)) is not None]
    if len(ordered) != 1 or any(facts.why_ignored in (GROUP, SPLIT) for facts in columns):
        return
    (facts, step), place = ordered[0], header.index(label.name)
    rows = itertools.islice(table.rows(), 0 if table.format.columns else 1, LOOKED_AT + 1)
    labels = [row[place].strip() for _, row in rows if len(row) == len(header)][::step]
    if {*labels[: int(OLDEST * len(labels))]} >= {*label.counts}:
        facts.column, facts.why_ignored = None, TIME


def _order(facts: ColumnFacts) -> Literal[1, -1] | None:
    """Return 1 if a column holds dates from the oldest to the newest, -1 if the newest comes first, or None."""
    if not isinstance(facts.column, DateColumn) or facts.num_missing or len(facts.counts) < MIN_TIMES:
        return None
    dates = [facts.column.numbers(text, ".") or [] for text in facts.counts]
    return 1 if dates == sorted(dates) else -1 if dates == sorted(dates, reverse=True) else None


def _count(facts: ColumnFacts, text: str, line: int) -> None:
    if is_missing(text):
        facts.missing[text] += 1
        facts.first_missing = facts.first_missing or line
    else:
        facts.counts[text] += 1


def _guessed_label(path: str, columns: Sequence[ColumnFacts], num_rows: int, decimal: str, *, has_names: bool) -> str:
    """Return the only candidate for the label: a column with a usual name, otherwise the last one if it may hold
    classes. The names of a table without a header (not `has_names`) say nothing.

    Raises:
        InputError: There are several, or none.
    """
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
    if (why := _why_no_label(last, num_rows, decimal)) is None:
        return last.name
    is_named = last.name.lower() in LABEL_NAMES
    found = "the last column" if is_named else f"no column is called {', '.join(LABEL_NAMES)}, and the last one"
    possible = [facts for facts in columns if _why_no_label(facts, num_rows, decimal) is None]
    shown = [f"{facts.shown} ({len(facts.class_counts())} values)" for facts in possible]
    listed = f"columns that may hold classes: {some(shown, 20)}" if shown else f"columns: {some(names, 20)}"
    raise InputError(
        f"{path}: {found}, {last.name!r}, does not look like classes ({why}); choose the label with --label; {listed}"
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


def _is_certain(table: TextRows, columns: Sequence[ColumnFacts]) -> bool:
    """Return whether the decimal separator is certain: numbers of some column have it, or commas separate columns."""
    written = table.format
    texts = (text for facts in columns for text in facts.counts if written.decimal in text)
    return written.delimiter == "," or any(as_number(text, written.decimal) is not None for text in texts)


def _decide(facts: ColumnFacts, num_rows: int, decimal: str, *, is_certain: bool) -> None:
    """Find out what kind of column this is, and whether it is of use.

    Args:
        facts: The column.
        num_rows: The rows of the table.
        decimal: The decimal separator of the table.
        is_certain: Whether numbers are known to be written with it.
    """
    texts = list(facts.counts)
    values = {text: as_number(text, decimal) for text in texts}
    num_numbers = sum(facts.counts[text] for text, value in values.items() if value is not None)
    is_numeric = num_numbers == facts.num_rows
    is_unique = len(texts) == facts.num_rows > 1
    is_mostly_numeric = num_numbers >= MOSTLY * facts.num_rows
    is_whole = all(value is not None and value.is_integer() for value in values.values())
    if len(texts) < 2 and not (texts and facts.num_missing):
        facts.why_ignored = f"{CONSTANT} {texts[0]!r}" if texts else "no values"
    elif role := _role(facts, is_index=is_whole and is_unique and not facts.num_missing):
        facts.why_ignored = role
    elif not is_numeric and (column := _formatted(facts, decimal, is_certain=is_certain)):
        facts.column = column
    elif decorated := _decorated(facts, decimal):
        facts.why_ignored = f"numbers in several formats, such as {decorated[:40]!r}; {PLAIN}"
    elif is_unique and (is_identifier(facts.name) or not (is_mostly_numeric or _is_date(facts))):
        facts.why_ignored = IDENTIFIER + " that has one" * bool(facts.num_missing)
    elif is_numeric:
        _decide_number(facts, decimal)
    elif is_mostly_numeric or _are_no_categories(facts, values):
        odd = next(text for text in texts if as_number(text, decimal) is None)
        where = " in the first row, as in a second header" if odd == texts[0] and facts.counts[odd] == 1 else ""
        facts.why_ignored = f"numbers, but also texts such as {odd[:40]!r}{where}; {PLAIN}"
    else:
        _decide_text(facts)


def _decide_number(facts: ColumnFacts, decimal: str) -> None:
    if _are_days([*facts.counts]):
        facts.column = DateColumn(name=facts.name, format=ISO)
        return
    facts.is_coded = _holds_codes(facts, decimal)
    facts.column = OneHotColumn(name=facts.name) if facts.is_coded else NumberColumn(name=facts.name)


def _role(facts: ColumnFacts, *, is_index: bool) -> str:
    """Return the role of a column that is not a feature, such as an identifier; empty if it may be a feature."""
    if facts.name.lower() in COLUMNS["split"] and not facts.num_missing:
        found = splits_of(facts.counts)
        odd = next((text for text, split in found.items() if not split), None)
        if "train" in found.values():
            return SPLIT if odd is None else f"names splits, but {odd[:40]!r} is none of {', '.join(SPLIT_NAMES)}"
    if _names_groups(facts):
        return GROUP
    return INDEX if is_unnamed(facts.name) and is_index else ""


def _names_groups(facts: ColumnFacts) -> bool:
    num_groups = len(facts.counts)
    is_repeated = facts.num_rows >= GROUP_ROWS * num_groups and not facts.num_missing
    return is_group_column(facts.name) and num_groups >= MIN_GROUPS and is_repeated


def splits_of(texts: Iterable[str]) -> dict[str, str]:
    """Return the split that each text names, an empty text if none."""
    return {text: split_of(text) or "" for text in texts}


def _are_no_categories(facts: ColumnFacts, values: Mapping[str, float | None]) -> bool:
    """Return whether numbers are too many to be categories, and most rows have one, in a column that has texts too."""
    numbers = [text for text, value in values.items() if value is not None]
    return len(numbers) > FEW_CATEGORIES and 2 * sum(facts.counts[text] for text in numbers) > facts.num_rows


def _formatted(facts: ColumnFacts, decimal: str, *, is_certain: bool) -> FormattedNumberColumn | None:
    """Return the column of numbers in the format of its texts, or None; a few that may be limits are categories."""
    column = formatted_column(facts.name, facts.counts, decimal, is_certain=is_certain)
    return None if column and column.unit == LIMIT and len(facts.counts) <= FEW_CATEGORIES else column


def _decorated(facts: ColumnFacts, decimal: str) -> str | None:
    """Return the first number with a unit or separators if a column has such numbers, too many for categories."""
    if len(facts.counts) <= FEW_CATEGORIES:
        return None
    texts = [text for text in facts.counts if as_number(text, decimal) is None]
    written = [text for text in texts if DECORATED.fullmatch(text)]
    num_rows = facts.num_rows - sum(facts.counts[text] for text in {*texts} - {*written})
    return written[0] if written and num_rows >= MOSTLY * facts.num_rows else None


def _holds_codes(facts: ColumnFacts, decimal: str) -> bool:
    """Return whether the numbers may be codes of categories: a few whole numbers with many rows each, or padded with
    zeros, as postcodes are.

    Their order means nothing where they are codes; where it does, so many rows teach it to one feature per number.
    """
    texts = [*facts.counts]
    if are_padded(texts):
        return 3 <= len(texts) <= FEW_CATEGORIES
    values = {as_number(text, decimal) for text in texts}
    is_whole = all(value is not None and value >= 0 and value.is_integer() for value in values)
    return is_whole and 3 <= len(values) <= min(MAX_CODES, facts.num_rows / CODE_ROWS)


def are_padded(texts: Sequence[str]) -> bool:
    """Return whether texts are whole numbers of the same length, and some begin with zeros."""
    is_padded = len({*map(len, texts)}) == 1 and any(text.startswith("0") for text in texts) and len(texts[0]) > 1
    return is_padded and all(map(str.isdigit, texts))


def _are_days(texts: Sequence[str]) -> bool:
    """Return whether whole numbers are dates such as `20240131`, all between 1900 and 2100."""
    dates = [date_of(text) if len(text) == 8 and text.isdigit() else None for text in texts]
    return len(texts) >= MIN_DAYS and all(date is not None and 1900 <= date.year <= 2100 for date in dates)


def _is_date(facts: ColumnFacts) -> bool:
    try:
        return isinstance(column_of(facts.name, None, facts.counts), DateColumn)
    except DataError:
        return False


def _decide_text(facts: ColumnFacts) -> None:
    try:
        facts.column = column_of(facts.name, None, facts.counts)
        return
    except DataError as error:
        frequent = sum(count for _, count in facts.counts.most_common(FEW_CATEGORIES))
        if frequent < facts.num_rows / 2:
            first = next(iter(facts.counts))
            many = f"{len(facts.counts):,} different texts, such as {first[:40]!r}"
            facts.why_ignored = many if "too many" in str(error) else str(error)
            return
    facts.column, facts.is_trimmed = OneHotColumn(name=facts.name, most=FEW_CATEGORIES), True

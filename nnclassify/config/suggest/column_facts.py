"""What a column of a table holds, and of what kind and use it is."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nnclassify.data.images.image_listing import clean_name
from nnclassify.data.images.image_lists import COLUMNS
from nnclassify.data.labels import missing_labels
from nnclassify.data.split_names import SPLIT_NAMES, split_of
from nnclassify.data.suspected_groups import is_group_column
from nnclassify.data.tables.column_kinds import column_of, date_format, formatted_column
from nnclassify.data.tables.columns import is_identifier, is_unnamed
from nnclassify.data.tables.csv_rows import as_number, float_of
from nnclassify.data.tables.encoding import (
    ISO,
    AnyColumn,
    DateColumn,
    FormattedNumberColumn,
    NumberColumn,
    NumericColumn,
    OneHotColumn,
    date_of,
)
from nnclassify.data.tables.number_formats import LIMIT
from nnclassify.errors import DataError, counted, some

MOSTLY = 0.9
"""A column is one of numbers where this fraction of its values are: the others are errors."""
DECORATED = re.compile(
    r"[$€£¥]? ?[+-]?\d{1,3}([,.'\u2019 \u00a0\u202f]\d{3})+([.,]\d+)?"
    r"|[$€£¥] ?[+-]?\d+([.,]\d+)?"
    r"|[+-]?[\d.,]*\d ?[%$€£¥]"
)
"""Numbers that are written for people: `1,234.5`, `$12`, `40%`."""
_NUMBERS = re.compile(r"\[?\s*[-+\d.eE]+([\s,;]+[-+\d.eE]+){7,}\s*\]?")
"""A list of at least eight numbers."""
PLAIN = "write all in the same format to use the column"
MAX_CODES, CODE_ROWS, NAMED_CODE_ROWS = 50, 100, 10
"""A column of this many whole numbers at most, with this many rows each, is taken for codes of categories; one that is
called like codes needs fewer rows."""
_CODES = re.compile(
    r"(.*[_ .-]|.*(?-i:[a-z](?=[A-Z])))?(code|type|kind|category|zip|plz|post(al)?|district|region|store|shop)"
    r"([_ .-]?(code|id|no|nr|nbr|num|number))?[_ .-]?\d*",
    re.I,
)
"""Names of columns of codes, such as `zip_code` or `StoreType`."""
SCALE, SCALE_RANGE = 8, 4
"""So many columns of whole numbers with the same largest value, this much above 0 at least, are on one scale, as pixels
are; fewer values may be letters, as the bases of DNA."""
MOST_COUNTS, RARE = 0.9, 0.1
"""Columns are taken for counts if the first fraction of them have the distribution of counts; the largest count has at
most the second fraction of the rows of the most common one."""
FAR_APART = 100
"""A column of a larger `spread` has its quantiles transformed: of normally distributed numbers it is 5 to 8, of
exponentially distributed ones up to 25, of amounts whose logarithm has a standard deviation of 1.5 about 300. On made
tables of smaller spreads, the accuracy rose or fell by what the label depends on: the numbers or their logarithms."""
MIN_VALUES = 5
"""A column with fewer values, and more gaps, may have none in the training split."""
MIN_DAYS = 5
"""Different numbers such as `20240131` that are dates rather than a coincidence."""
FEW_CATEGORIES = 20
"""Categories that are kept of a column that has too many."""
IDENTIFIER = "a different text in every row"
SPLIT = "says which split each row is for"
INDEX = "an index of the rows"
CONSTANT = "always"
"""The beginning of the reason not to use a column with a single value."""
GROUP = "names the group of each row: no group is in two splits"
MOST_SPLITS = 5
"""A column of any name whose values all name splits, `train` among them, and are this many at most, names splits."""
MIN_GROUPS, GROUP_ROWS = 10, 2
"""A column called like groups is one with at least so many of them, of so many rows each on average."""


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
        follows_label: Whether it has one value in each class, and fewer values than there are classes.
        spread: Of numbers, how many times as far from the median the farthest one is as most others; see `_spread`.
    """

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    first_missing: int = 0
    column: AnyColumn | None = None
    why_ignored: str = ""
    is_trimmed: bool = False
    is_coded: bool = False
    follows_label: bool = False
    spread: float = 0.0

    @property
    def is_far_apart(self) -> bool:
        """Whether it holds numbers of which some are so far from most others that these would be practically equal."""
        return isinstance(self.column, NumericColumn) and self.spread >= FAR_APART

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


def decide(facts: ColumnFacts, decimal: str, *, is_certain: bool) -> None:
    """Find out what kind of column this is, and whether it is of use.

    Args:
        facts: The column.
        decimal: The decimal separator of the table.
        is_certain: Whether numbers are known to be written with it.
    """
    _decide_kind(facts, decimal, is_certain=is_certain)
    if isinstance(facts.column, OneHotColumn):
        _count_words(facts)
    if isinstance(facts.column, NumericColumn):
        facts.spread = _spread(facts, facts.column, decimal)


def _spread(facts: ColumnFacts, column: NumericColumn, decimal: str) -> float:
    """Return the largest distance of a number from the median, relative to the median of those that are not 0."""
    numbers = [(column.numbers(clean_name(text), decimal) or [math.nan])[0] for text in facts.counts]
    values, rows = np.array(numbers), np.array([*facts.counts.values()])
    values, rows = values[np.isfinite(values)] / 8, rows[np.isfinite(values)]  # no sum of two overflows
    distances = np.abs(values - np.median(np.repeat(values, rows)))
    distances, rows = distances[distances > 0], rows[distances > 0]
    if not len(distances):
        return 0.0
    with np.errstate(over="ignore"):
        return float(min(distances.max() / np.median(np.repeat(distances, rows)), np.finfo(np.float64).max))


def _decide_kind(facts: ColumnFacts, decimal: str, *, is_certain: bool) -> None:
    texts = list(facts.counts)
    values = {text: as_number(text, decimal) for text in texts}
    num_numbers = sum(facts.counts[text] for text, value in values.items() if value is not None)
    is_numeric = num_numbers == facts.num_rows
    is_unique = len(texts) == facts.num_rows > 1
    is_mostly_numeric = num_numbers >= MOSTLY * facts.num_rows
    is_whole = all(value is not None and value.is_integer() for value in values.values())
    if reason := _why_empty(facts) or _why_lists(texts):
        facts.why_ignored = reason
    elif role := _role(facts, is_index=is_whole and is_unique and not facts.num_missing):
        facts.why_ignored = role
    elif not is_numeric and (column := _formatted(facts, decimal, is_certain=is_certain)):
        facts.column = column
    elif decorated := _decorated(facts, decimal):
        facts.why_ignored = f"numbers in several formats, such as {decorated[:40]!r}; {PLAIN}"
    elif is_unique and (
        is_identifier(facts.name) or not (is_mostly_numeric or _is_date(facts) or _are_no_categories(facts, values))
    ):
        facts.why_ignored = IDENTIFIER + " that has one" * bool(facts.num_missing)
    elif is_numeric:
        _decide_number(facts, decimal)
    elif is_mostly_numeric or _are_no_categories(facts, values):
        odd = next(text for text in texts if as_number(text, decimal) is None)
        is_header = odd == texts[0] and facts.counts[odd] == 1 and float_of(odd) is None
        where = " in the first row, as in a second header" * is_header
        facts.why_ignored = f"numbers, but also texts such as {odd[:40]!r}{where}; {PLAIN}"
    else:
        _decide_text(facts)


def _why_empty(facts: ColumnFacts) -> str:
    """Return why there is nothing to learn from a column: it has one value, or hardly any; empty if there may be."""
    if facts.num_rows < min(MIN_VALUES, facts.num_missing) or not facts.num_rows:
        return f"a value in {counted(facts.num_rows, 'row')} only" if facts.num_rows else "no values"
    return f"{CONSTANT} {next(iter(facts.counts))!r}" if len(facts.counts) == 1 and not facts.num_missing else ""


def _why_lists(texts: Sequence[str]) -> str:
    """Return why a column of lists of numbers, such as the pixels of images, is not used; empty if it is none."""
    if not all(map(_NUMBERS.fullmatch, texts)):
        return ""
    count = len(re.findall(r"[^\s,;\[\]]+", texts[0]))
    return f"lists of {count} numbers; write each number into a column of its own, or the lists as x into an .npz"


def is_split(facts: ColumnFacts) -> bool:
    """Return whether a column says which split each row is for."""
    return _role(facts, is_index=False) == SPLIT


def _decide_number(facts: ColumnFacts, decimal: str) -> None:
    if _are_days([*facts.counts]):
        facts.column = DateColumn(name=facts.name, format=ISO)
        return
    if _lose_digits(facts, decimal) and len(facts.counts) > FEW_CATEGORIES:
        facts.why_ignored = "whole numbers of so many digits that some are the same as float64, as keys have"
        return
    facts.is_coded = _lose_digits(facts, decimal) or _holds_codes(facts, decimal)
    facts.column = OneHotColumn(name=facts.name) if facts.is_coded else NumberColumn(name=facts.name)


def _role(facts: ColumnFacts, *, is_index: bool) -> str:
    """Return the role of a column that is not a feature, such as an identifier; empty if it may be a feature."""
    is_named = facts.name.lower() in COLUMNS["split"]
    if (is_named or 2 <= len(facts.counts) <= MOST_SPLITS) and not facts.num_missing:
        found = splits_of(facts.counts)
        odd = next((text for text, split in found.items() if not split), None)
        names_several = odd is None and len({*found.values()}) > 1
        if "train" in found.values() and (is_named or names_several):
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


def _lose_digits(facts: ColumnFacts, decimal: str) -> bool:
    """Return whether whole numbers have so many digits that some are the same as float64, as keys of databases are."""
    long = [as_number(text, decimal) for text in facts.counts if re.fullmatch(r"\d{16,}", text, re.ASCII)]
    return len({*long}) < len(long)


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
    rows = NAMED_CODE_ROWS if _CODES.fullmatch(facts.name) else CODE_ROWS
    return 3 <= len(_whole_numbers(facts, decimal)) <= min(MAX_CODES, facts.num_rows / rows)


def _whole_numbers(facts: ColumnFacts, decimal: str) -> dict[float, int]:
    """Return the rows of each number of a column, in order, if all are whole and none is negative; else nothing."""
    rows = Counter[float]()
    for text, count in facts.counts.items():
        value = as_number(text, decimal)
        if value is None or value < 0 or not value.is_integer():
            return {}
        rows[value] += count
    return dict(sorted(rows.items()))


def find_scales(columns: Sequence[ColumnFacts], decimal: str) -> None:
    """Take whole numbers for numbers, not codes, where many columns are on one scale, as pixels are, or are counts.

    Their order means something there, and a feature for each number of each column would be too many to learn from.
    """
    numeric = [facts for facts in columns if facts.is_coded or isinstance(facts.column, NumberColumn)]
    rows_of = {facts.name: found for facts in numeric if (found := _whole_numbers(facts, decimal))}
    largest = {name: max(rows) for name, rows in rows_of.items()}
    shared = {value for value, count in Counter(largest.values()).items() if count >= SCALE and value >= SCALE_RANGE}
    scale_of: dict[str, float] = {}
    for name, value in largest.items():
        if value in shared:
            scale_of[column_series(name)] = max(value, scale_of.get(column_series(name), value))
    coded = [facts for facts in numeric if facts.is_coded and not _are_certain_codes(facts)]
    are_many = sum(largest[facts.name] >= SCALE_RANGE for facts in coded) >= SCALE
    are_counts = are_many and sum(_is_count(rows_of[facts.name]) for facts in coded) >= MOST_COUNTS * len(coded)
    for facts in coded:
        if are_counts or largest[facts.name] <= scale_of.get(column_series(facts.name), -1):
            facts.is_coded, facts.column = False, NumberColumn(name=facts.name)


def column_series(name: str) -> str:
    """Return what the names of columns have in common that are numbered, such as `pixel0` and `pixel1`."""
    return re.sub(r"\d+", "#", name)


def _are_certain_codes(facts: ColumnFacts) -> bool:
    return are_padded([*facts.counts]) or _CODES.fullmatch(facts.name) is not None


def _is_count(rows: Mapping[float, int]) -> bool:
    """Return whether numbers have the distribution of counts: from 0 or 1, fewer rows the further from the most common
    number, but for chance, and few at the end. Codes in alphabetical order are as common as they happen to be."""
    counts = [*rows.values()]
    mode = counts.index(max(counts))
    outward = [*itertools.pairwise(counts[mode:]), *itertools.pairwise(counts[mode::-1])]
    is_falling = all(further <= nearer + 3 * math.sqrt(nearer) for nearer, further in outward)
    return min(rows) <= 1 and is_falling and counts[-1] <= RARE * counts[mode]


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
        return date_format(facts.name, facts.counts) is not None
    except DataError:  # of two formats, `_decide_text` says
        return True


def _decide_text(facts: ColumnFacts) -> None:
    try:
        facts.column = column_of(facts.name, None, facts.counts)
        return
    except DataError as error:
        frequent = sum(count for _, count in facts.counts.most_common(FEW_CATEGORIES))
        are_many = "too many" in str(error)
        if frequent < facts.num_rows / 2 or not are_many:
            first = next(iter(facts.counts))
            many = f"{len(facts.counts):,} different texts, such as {first[:40]!r}"
            facts.why_ignored = many if are_many else str(error)
            return
    facts.column, facts.is_trimmed = OneHotColumn(name=facts.name, most=FEW_CATEGORIES), True


def _count_words(facts: ColumnFacts) -> None:
    """Count words such as `none`, which may mean a missing value, as the categories that they are in such a column."""
    present = facts.class_counts()
    facts.missing = Counter({text: count for text, count in facts.missing.items() if text not in present})
    facts.counts = present

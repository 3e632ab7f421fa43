"""Turns the labels of a column into classes: equivalent spellings, their order, and warnings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from nnclassify.data.images.image_listing import clean_name, look_alike
from nnclassify.data.tables.csv_rows import MISSING, as_number
from nnclassify.errors import some

AMBIGUOUS = ("none", "missing", "-", "--", ".", "unknown", "unlabeled", "unlabelled")
"""Words for a missing value that may also be class names: `none` among kinds of attack, `-` next to `+`."""

_JOINT = re.compile(r"[;,|+&/]| and ")
"""What stands between several classes in one label."""

MANY_JOINED = 8
"""Class names that are so many, made of half as many words, may each be several classes."""
MANY_CLASSES, MANY_NUMBERS, FEW_ROWS = 20, 5, 5
"""A numeric label with more classes, and fewer rows per class, than these is suspected to be continuous."""


@dataclass(frozen=True)
class Classes:
    """The classes of a table.

    Attributes:
        names: The class names, sorted by value if all are numbers, otherwise by name.
        index: The class index of each spelling.
        notes: Lines on spellings that were merged, or that look alike and were not.
    """

    names: list[str]
    index: dict[str, int]
    notes: list[str] = field(default_factory=list)

    def rows(self, counts: Mapping[str, int]) -> Counter[str]:
        """Return the rows of each class from those of each spelling."""
        rows = Counter(dict.fromkeys(self.names, 0))
        for text, count in counts.items():
            rows[self.names[self.index[text]]] += count
        return rows


def classes_of(counts: Mapping[str, int], decimal: str = ".") -> Classes:
    """Return the classes for the spellings of a column, `{label: rows}`.

    Surrounding spaces and decomposed accents are ignored. If all labels are numbers, equal numbers are the same
    class.
    """
    notes = []
    stripped: dict[str, int] = {}
    for label, count in counts.items():
        stripped[clean_name(label)] = stripped.get(clean_name(label), 0) + count
    if len(stripped) < len(counts):
        spaced = next(label for label in counts if label != clean_name(label))
        notes.append(
            f"spaces around labels and decomposed accents are ignored: {spaced!a} is taken as {clean_name(spaced)!r}"
        )
    values = {label: _value(label, decimal) for label in stripped}
    groups = grouped({label: label for label in stripped} if None in values.values() else values)
    # The most frequent spelling, and the shortest among equally frequent ones.
    name = {group: min(group, key=lambda label: (-stripped[label], len(label), label)) for group in groups}
    notes += [
        f"labels {_listed(group)} are the same number and are used as one class: {name[group]!r}"
        for group in groups
        if group[1:]
    ]
    names = sorted_labels(list(name.values()), decimal)
    place = {label: index for index, label in enumerate(names)}
    of = {label: place[name[group]] for group in groups for label in group}
    notes += _look_alikes(names, decimal)
    return Classes(names, {label: of[clean_name(label)] for label in counts}, notes)


def sorted_labels(labels: Sequence[str], decimal: str = ".") -> list[str]:
    """Sort classes by value if all are numbers, otherwise by name."""
    values = {label: as_number(label, decimal) for label in labels}
    if None in values.values():
        return sorted(labels)
    return sorted(labels, key=lambda label: (values[label], label))


def matched(found: Sequence[str], known: Sequence[str]) -> list[int | None]:
    """Return the index of each class among the known ones, by name or, if all are numbers, by value; None if
    unknown."""
    place: dict[Hashable, int] = {clean_name(name): index for index, name in enumerate(known)}
    numbers = [_value(name, ".") for name in known]
    if None not in numbers:
        place |= {number: index for index, number in enumerate(numbers)}
    return [place.get(clean_name(name), place.get(_value(name, "."))) for name in found]


def missing_labels(names: Sequence[str]) -> list[str]:
    """Return the spellings that always mean a missing label."""
    return [name for name in names if name.lower() in MISSING and name.lower() not in AMBIGUOUS]


def label_notes(names: Sequence[str]) -> list[str]:
    """Return notes on class names that may not be intended."""
    plus_and_minus = "+" in names
    quoted = all(len(name) > 2 and name[0] == name[-1] == "'" for name in names)
    notes = ["single quotes are kept as part of the class names"] if quoted else []
    notes += [
        f"class {name!r} may mark missing labels: if it does, remove those rows"
        for name in names
        if name.lower() in AMBIGUOUS and not (plus_and_minus and name == "-")
    ]
    return notes + _joined(names)


def _joined(names: Sequence[str]) -> list[str]:
    """Return a note if some class names are several of the others in a row, or many names are made of few words, as
    where an example has several classes."""
    parts = {name: [part.strip() for part in _JOINT.split(name)] for name in names}
    joined = [name for name, several in parts.items() if len(several) > 1 and {*several} <= {*names}]
    found = "join others"
    words = {word for name in names for word in re.split(rf"{_JOINT.pattern}|\s+", name) if word}
    if not joined and len(names) >= MANY_JOINED and 2 * len(words) <= len(names):
        joined, found = [name for name in names if re.search(rf"{_JOINT.pattern}|\s", name)], "share their words"
    if not joined:
        return []
    return [
        f"classes such as {joined[0]!r} {found}: if an example may have several classes, write a column of 0 and 1 "
        "for each class, and list these columns as the label"
    ]


def why_no_class(names: Sequence[str], num_rows: int, decimal: str = ".") -> tuple[str, bool]:
    """Return a warning on a label with these classes, if any, and whether it is too continuous to learn from."""
    values = [as_number(name, decimal) for name in names]
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(names):
        if len(names) > max(MANY_CLASSES, num_rows / 2):
            return f"{len(names)} classes for {num_rows} rows: almost every row has a different label", True
        return "", False
    real = any(value != int(value) for value in numbers)
    found = f"{len(names)} different numbers in {num_rows} rows"
    if len(names) > max(MANY_NUMBERS if real else MANY_CLASSES, num_rows / 2):
        return f"{found}: looks continuous, a number and not a class; write classes as text", True
    if len(names) > MANY_CLASSES and (real or num_rows < FEW_ROWS * len(names)):
        return f"{found}: looks continuous; each number is used as a class", False
    return "", False


def _value(label: str, decimal: str) -> Decimal | None:
    """Return the exact number that a label spells: different codes of twenty digits may be equal as floats."""
    return None if as_number(label, decimal) is None else Decimal(label.replace(decimal, "."))


def grouped(keys: Mapping[str, Hashable]) -> list[tuple[str, ...]]:
    """Return the labels with the same key, sorted."""
    groups: dict[Hashable, list[str]] = {}
    for label, key in keys.items():
        groups.setdefault(key, []).append(label)
    return [tuple(sorted(group)) for group in groups.values()]


def _look_alikes(names: Sequence[str], decimal: str) -> list[str]:
    """Return notes on classes whose names look the same."""
    keys: dict[str, Hashable] = {}
    for name in names:
        keys[name] = look_alike(name) if (value := _value(name, decimal)) is None else value
    return [
        f"labels {_listed(group)} differ only in case, spaces or spelling, and are {len(group)} classes: write them "
        "the same way if they are one"
        for group in grouped(keys)
        if group[1:]
    ]


def _listed(labels: Sequence[str]) -> str:
    return some([*map(repr, labels)], 5)

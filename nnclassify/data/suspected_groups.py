"""Groups that a dataset seems to have, by a column or by the names of its files, and how many its splits divide."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import PurePosixPath

WORDS = {
    *("animal", "client", "customer", "donor", "family", "group", "hospital", "household", "individual", "participant"),
    *("patient", "person", "recording", "scene", "session", "site", "speaker", "subject", "user", "video", "writer"),
}
ID_WORDS = {"code", "id", "identifier", "index", "key", "name", "no", "nr", "num", "number", "uuid"}
"""Words beside those of `WORDS` in the name of a column of groups, as in `patient_id`."""
MIN_GROUPS = 5
"""A column of fewer values may be a property: sites A and B, or groups of a trial."""
REPEATED_ROWS, REPEATED_FILES = 0.2, 0.5
"""Least fraction of the examples that are in groups of several: anything may be called twice by chance."""
MANY_NAMES = 10
"""Least number of groups whose names have no number in them, per class 3: cameras and sources have such names too."""

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_LAST = re.compile(r"(.*?)(?:[\W_]*\d+|[\W_]+[A-Za-z])[)\]]?", re.DOTALL)
"""A name, then a number or a single letter: `patient12`, `_03`; `IMG_0001`, `_b`; `scene4-frame`, `007`."""
PATTERNS = (r"([^/]*?)[\W_]*\d+[)\]]?\.\w+$", r"([^/]*?)[\W_]+[A-Za-z]\.\w+$", r"([^/]+)/[^/]*$")
"""Values of `dataset.group` to suggest, of which the first is taken that finds the same groups."""


@dataclass(frozen=True)
class SuspectedGroups:
    """Groups that examples seem to belong to.

    Attributes:
        source: What is in a group, in words.
        num_groups: The groups of several examples.
        num_divided: Those with examples in several splits.
        example: One of them, with its splits.
        option: The value of `dataset.group` that keeps each in one split; None: none is known.
    """

    source: str
    num_groups: int
    num_divided: int
    example: str
    option: str | None = None


def is_group_column(name: str) -> bool:
    """Return whether a column is called like one of groups: `patient`, `PatientID`, `user_id`, but not `group_size`."""
    words = [word.lower() for word in _WORD.findall(name)]
    if len(words) == 1:
        words = [words[0].removesuffix("id")]
    others = [word for word in words if word not in ID_WORDS]
    return len(others) == 1 and others[0] in WORDS


def groups_of_column(name: str, cells: Mapping[str, Sequence[str]], num_classes: int) -> SuspectedGroups | None:
    """Return the groups of a column, if its values repeat and are divided by the splits.

    Args:
        name: The column.
        cells: Its text for each example of each split; empty: there is none.
        num_classes: The number of classes: a column with no more values may be the label itself.
    """
    counts = Counter(filter(None, chain(*cells.values())))
    repeated = {key for key, count in counts.items() if count > 1}
    share = sum(counts[key] for key in repeated) / max(1, counts.total())
    if len(counts) <= max(num_classes, MIN_GROUPS - 1) or share < REPEATED_ROWS:
        return None
    return _divided(f"rows with the same {name!r}", cells, repeated, name)


def groups_of_names(names: Mapping[str, Sequence[str]], class_names: Sequence[str]) -> SuspectedGroups | None:
    """Return the groups of files whose names differ only in the last number or letter, if the splits divide them.

    Args:
        names: The path of each example of each split.
        class_names: The classes. Files that are called by their class alone, such as `cat_001.jpg`, are no groups.
    """
    classes = frozenset(class_names)
    paths = [*chain(*names.values())]
    found = [_key(path, classes) for path in paths]
    counts = Counter((folder, key) for folder, key in found if key)
    repeated = {key for (_, key), count in counts.items() if count > 1}  # many people number each class from 1
    num_repeated = sum(count for count in counts.values() if count > 1)
    numbered = sum(any(sign.isdigit() for sign in key) for key in repeated)
    are_many = numbered > max(len(classes), 2) or len(repeated) >= max(MANY_NAMES, 3 * len(classes))
    if not are_many or num_repeated < REPEATED_FILES * len(paths):
        return None
    each = iter(key for _, key in found)
    keys = {split: [*islice(each, len(of_split))] for split, of_split in names.items()}
    option = next((pattern for pattern in PATTERNS if _finds(pattern, paths, [key for _, key in found])), None)
    return _divided("files whose names differ only in the last number or letter", keys, repeated, option)


def _key(path: str, classes: frozenset[str]) -> tuple[str, str]:
    """Return the class folder of a path, and what comes before the last number or letter below it; empty: nothing."""
    parts = PurePosixPath(path).with_suffix("").parts
    below = next((place + 1 for place, part in enumerate(parts[:-1]) if part in classes), 0)
    match = _LAST.fullmatch("/".join(parts[below:]))
    return "/".join(parts[:below][-1:]), match[1] if match else ""


def _finds(pattern: str, paths: Sequence[str], keys: Sequence[str]) -> bool:
    """Return whether a pattern finds a group in every path, and the same ones."""
    found = [match and match[1] for match in map(re.compile(pattern).search, paths)]
    return all(found) and len({*zip(found, keys, strict=True)}) == len({*found}) == len({*keys})


def _divided(
    source: str, keys: Mapping[str, Sequence[str]], repeated: set[str], option: str | None
) -> SuspectedGroups | None:
    """Return the groups, if any has examples in several splits."""
    splits_of: dict[str, list[str]] = {}
    for split, found in keys.items():
        for key in dict.fromkeys(found):
            if key in repeated:
                splits_of.setdefault(key, []).append(split)
    divided = {key: splits for key, splits in splits_of.items() if len(splits) > 1}
    if not divided:
        return None
    key = min(divided)
    return SuspectedGroups(source, len(repeated), len(divided), f"{key} ({', '.join(divided[key])})", option)

"""Groups of image files by a pattern in their paths, such as the patient in `cat/patient12_03.png`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nnclassify.data.splitting import Groups
from nnclassify.errors import DataError, counted


def one_group(value: str) -> str:
    """Validate that a regular expression has one group in parentheses, or one that has a name."""
    try:
        pattern = re.compile(value)
    except re.error as cause:
        raise ValueError(f"a regular expression ({cause})") from None
    if 1 not in (pattern.groups, len(pattern.groupindex)):
        raise ValueError("a regular expression with one group in parentheses, such as '(patient[0-9]+)_'")
    return value


def groups_in(paths: Sequence[str], expression: str) -> Groups:
    """Return the group of each path: the text that the group of a regular expression matches.

    Raises:
        DataError: A path does not match, or its group is empty.
    """
    return Groups.of(texts_in(paths, expression, "group"))


def texts_in(paths: Sequence[str], expression: str, option: str) -> list[str]:
    """Return the text that the group of a regular expression matches in each path.

    Args:
        paths: The paths.
        expression: The regular expression; see `one_group`.
        option: The option of `dataset` that it stands in, for the message.

    Raises:
        DataError: A path does not match, or its group is empty.
    """
    pattern = re.compile(expression)
    key = next(iter(pattern.groupindex), 1)
    found = [match[key] if match else None for match in map(pattern.search, paths)]
    if missing := [path for path, group in zip(paths, found, strict=True) if not group]:
        which = "none" if len(missing) == len(paths) else f"{len(paths) - len(missing)}"
        raise DataError(
            f"dataset.{option}: {expression!r} matches {which} of {counted(len(paths), 'path')}, not {missing[0]!r}; "
            "expected a group in each path",
            ("dataset", option),
        )
    return [group for group in found if group is not None]

"""Names of classes, columns and runs, which may contain anything, as terminals and plots show them."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

from nnclassify.errors import printable

ELLIPSIS = "…"
MAX_PER_COLUMN = 4
"""Characters that a name may have per column, on average, counted from either end."""
_JOINER = "\u200d"


def num_columns(text: str) -> int:
    """Return the width of a text in terminal columns: two for a Chinese character or emoji, none for an accent."""
    if text.isascii():
        return len(text)
    return sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def readable(name: str, limit: int) -> str:
    """Return a name on one line of at most `limit` columns, with control characters escaped, shortened in the middle.

    An empty name, or one that consists of spaces, is quoted.
    """
    shown = printable(name)
    if len(shown) > 2 * MAX_PER_COLUMN * limit:  # accents without end have no width
        shown = f"{shown[: MAX_PER_COLUMN * limit]}{ELLIPSIS}{shown[-MAX_PER_COLUMN * limit :]}"
    if not num_columns(shown.strip()):
        shown = repr(shown)
    return shown if num_columns(shown) <= limit else _cut(shown, limit)


def readable_names(names: Sequence[str], limit: int) -> list[str]:
    """Apply `readable` to each name, and append the index to names that would look the same."""
    shown = [readable(name, limit) for name in names]
    counts = Counter(shown)
    return [name if counts[name] == 1 else f"{name} [{index}]" for index, name in enumerate(shown)]


def _cut(text: str, limit: int) -> str:
    """Return the beginning and the end of a text, without splitting what is drawn as one character."""
    clusters = _clusters(text)
    head = _within(clusters, limit // 2)
    tail = _within(clusters[::-1], limit - 1 - num_columns("".join(head)))
    return "".join([*head, ELLIPSIS, *reversed(tail)])


def _within(clusters: Sequence[str], limit: int) -> list[str]:
    taken: list[str] = []
    for cluster in clusters:
        limit -= num_columns(cluster)
        if limit < 0:
            break
        taken.append(cluster)
    return taken


def _clusters(text: str) -> list[str]:
    """Split a text into what is drawn as one character each: accents stay on their letters, joined emoji together."""
    clusters: list[str] = []
    for character in text:
        if clusters and (_columns_of(character) == 0 or clusters[-1].endswith(_JOINER)):
            clusters[-1] += character
        else:
            clusters.append(character)
    return clusters

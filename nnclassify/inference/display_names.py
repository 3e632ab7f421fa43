"""Names that others gave to classes, columns and runs, as a terminal and a plot show them."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

from nnclassify.errors import printable

ELLIPSIS = "…"
_JOINER = "\u200d"


def num_columns(text: str) -> int:
    """Columns that a terminal takes for a text: two for a Chinese character or an emoji, none for an accent."""
    if text.isascii():
        return len(text)
    return sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def readable(name: str, limit: int) -> str:
    """A name on one line, at most `limit` columns wide: control characters as escapes, and cut in the middle.

    An empty name, or one of nothing but spaces, is shown in quotes.
    """
    shown = printable(name)
    if not num_columns(shown.strip()):
        shown = repr(shown)
    return shown if num_columns(shown) <= limit else _cut(shown, limit)


def readable_names(names: Sequence[str], limit: int) -> list[str]:
    """Each of the names as `readable`; where two look alike once they are cut, each has its index added."""
    shown = [readable(name, limit) for name in names]
    counts = Counter(shown)
    return [name if counts[name] == 1 else f"{name} [{index}]" for index, name in enumerate(shown)]


def _cut(text: str, limit: int) -> str:
    """The beginning and the end of a text. What is drawn as one character is not cut in two."""
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
    """Characters with the accents on them, and joined emoji."""
    clusters: list[str] = []
    for character in text:
        if clusters and (_columns_of(character) == 0 or clusters[-1].endswith(_JOINER)):
            clusters[-1] += character
        else:
            clusters.append(character)
    return clusters

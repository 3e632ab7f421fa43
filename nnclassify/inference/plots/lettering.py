"""Text in plots: drawn as written, in any script for which the machine has a font."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from matplotlib import font_manager, style

MAIN_FONT = "DejaVu Sans"
"""The default font of matplotlib, which includes it."""
_NO_LETTERS = ("Last Resort", "cm", "STIX")
"""Prefixes of the names of fonts that have boxes or mathematical symbols in place of letters."""


@contextlib.contextmanager
def lettering(names: Iterable[str] = ()) -> Iterator[None]:
    """Context manager in which text in figures is drawn as written: a `$` does not start a formula.

    Settings in a matplotlibrc, such as `text.usetex`, are ignored. A character that no font has is drawn as a box.

    Args:
        names: Texts that may be in other scripts than Latin, Greek, Cyrillic, Arabic or Hebrew.
    """
    ours: dict[str, Any] = {"text.parse_math": False, "font.family": [MAIN_FONT, *_fonts_for(set().union(*names))]}
    with warnings.catch_warnings(), style.context(["default", ours]):
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from", category=UserWarning)
        yield


def _fonts_for(characters: set[str]) -> list[str]:
    """Find fonts on this machine that together contain as many of the characters as possible."""
    missing = {ord(character) for character in characters} - _letters_of(font_manager.findfont(MAIN_FONT))
    chosen = []
    for name, path in _fonts() if missing else ():
        if found := missing & _letters_of(path):
            chosen.append(name)
            missing -= found
        if not missing:
            break
    return chosen


def _fonts() -> list[tuple[str, str]]:
    """Return the names and files of the upright fonts on this machine, sans-serif fonts first, like the main font."""
    plain = {
        font.name: font.fname
        for font in font_manager.fontManager.ttflist
        if font.style == "normal" and not font.name.startswith(_NO_LETTERS)
    }
    return sorted(plain.items(), key=lambda font: ("Sans" not in font[0], "Mono" in font[0], font[0]))


def _letters_of(path: str) -> set[int]:
    """Return the characters of a font; none for a bitmap font, such as one with colored emoji."""
    try:
        font = font_manager.get_font(path)
    except (OSError, RuntimeError):  # a font that was removed, or that is made of pixels
        return set()
    return set(font.get_charmap()) if font.scalable else set()

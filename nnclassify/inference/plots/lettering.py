"""Text in plots: every text is drawn as it is written, in any script that a font of the machine has."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from matplotlib import font_manager, style

MAIN_FONT = "DejaVu Sans"
"""Comes with matplotlib."""
_NO_LETTERS = ("Last Resort", "cm", "STIX")
"""How the names of fonts begin that have boxes, or mathematical signs at places of letters."""


@contextlib.contextmanager
def lettering(names: Iterable[str] = ()) -> Iterator[None]:
    """Within it, figures are made and saved so that a text is drawn as written: a `$` begins no formula.

    What stands in a matplotlibrc, such as `text.usetex`, does not count. What no font has is drawn as a box.

    Args:
        names: Texts that may be in other scripts than Latin, Greek, Cyrillic, Arabic or Hebrew.
    """
    ours: dict[str, Any] = {"text.parse_math": False, "font.family": [MAIN_FONT, *_fonts_for(set().union(*names))]}
    with warnings.catch_warnings(), style.context(["default", ours]):
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from", category=UserWarning)
        yield


def _fonts_for(characters: set[str]) -> list[str]:
    """Fonts of this machine that together have the characters, as far as there are such."""
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
    """Names and files of this machine's upright fonts, those without serifs first, as the main font is."""
    plain = {
        font.name: font.fname
        for font in font_manager.fontManager.ttflist
        if font.style == "normal" and not font.name.startswith(_NO_LETTERS)
    }
    return sorted(plain.items(), key=lambda font: ("Sans" not in font[0], "Mono" in font[0], font[0]))


def _letters_of(path: str) -> set[int]:
    """The characters of a font; none of one that cannot be drawn at any size, such as one of colored emoji."""
    try:
        font = font_manager.get_font(path)
    except (OSError, RuntimeError):  # a font that was removed, or that is made of pixels
        return set()
    return set(font.get_charmap()) if font.scalable else set()

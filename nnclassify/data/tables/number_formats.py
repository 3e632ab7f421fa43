"""Numbers as people write them in a table: `$12`, `12,345`, `(1,250)`, `45%`, `1.2e3 kg`, `7:30 PM`."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

CURRENCIES = "$€£¥₹₽₩₺₴₪฿¢"
CODES = "USD|EUR|GBP|JPY|CHF|CNY|INR|AUD|CAD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|MXN|ZAR|KRW|RUB|TRY|SGD|HKD|Rs\\.?"
TIME = "h:mm"
"""The unit of times of day and durations, which are read as hours."""
LIMIT = "<>"
"""The unit of numbers of which some are limits, such as `<5` of a laboratory, which is read as 5."""
SEPARATORS = ("'", "\u2019", " ", "\u00a0", "\u202f", "\u2009")
"""What separates thousands, apart from a comma where decimals have a point, and a point where they have a comma."""
MAX_UNIT = 16

_WRITTEN = re.compile(
    rf"(?P<sign>[+-]?) ?(?P<before>[A-Z]{{0,3}}[{CURRENCIES}]|%|(?:{CODES})(?![A-Za-z]))?[ \u00a0]?(?P<minus>[+-]?)"
    r"(?P<number>(?:[0-9](?:[0-9.,' \u2019\u00a0\u202f\u2009]*[0-9])?[.,]?|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?)"
    rf"\s?(?P<after>[^\W\d_][^\d.,;:+_()]{{0,{MAX_UNIT - 1}}}|[%‰°\"{CURRENCIES}][A-Za-z]?)?"
)
_NEGATIVE = re.compile(r"\((?P<inside>[^()+-]*)\)|(?P<before>[^+-]*[.,][0-9]{2})-")
"""Negative numbers in accounts: `(1,234)`, and `1,234.50-`. Without decimals, `2-` may be a grade."""
_LIMIT = re.compile(r"(?:[<>]=?|[\u2264\u2265])\s*(?=[0-9.,])")
_SCALES = {"K": 1e3, "k": 1e3, "M": 1e6, "B": 1e9}
_TIME = re.compile(
    r"(?:([0-9]{1,6}) days?,? )?([0-9]{1,6}):([0-5][0-9])(?::([0-5][0-9](?:\.[0-9]+)?))?(?: ?([AaPp])\.?[Mm]\.?)?"
)


@dataclass(frozen=True)
class NumberFormat:
    """How the numbers of a column are written.

    Attributes:
        unit: What stands before or after each number, such as `$` or `kg`; `h:mm` for times, `<>` for numbers of which
            some are limits.
        decimal: The decimal separator.
        thousands: The separator of thousands; empty if there is none.
        is_scaled: Whether K, M and B at the end of numbers stand for thousands, millions and billions.
    """

    unit: str = ""
    decimal: str = "."
    thousands: str = ""
    is_scaled: bool = False

    def value(self, text: str) -> float | None:
        """Return the finite number in a text, with or without the unit, or None; times are in hours."""
        if self.unit == TIME:
            time = _time(text)
            return NumberFormat().value(text) if time is None else time[0]
        text, scale = _unscaled(text) if self.is_scaled else (text, 1.0)
        parts = _parts(text)
        if parts is None or parts[0] not in (_singular(self.unit), ""):
            return None
        _, sign, digits = parts
        if self._number.fullmatch(digits) is None:
            return None
        plain = digits.replace(self.thousands, "") if self.thousands else digits
        value = scale * float(sign + plain.replace(self.decimal, "."))
        return value if math.isfinite(value) else None

    @cached_property
    def _number(self) -> re.Pattern[str]:
        group = rf"[0-9]{{1,3}}(?:{re.escape(self.thousands)}[0-9]{{2,3}})*{re.escape(self.thousands)}[0-9]{{3}}|"
        point = re.escape(self.decimal)
        whole = f"(?:{group if self.thousands else ''}[0-9]+)"
        return re.compile(rf"(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?")

    def __str__(self) -> str:
        if self.unit == TIME:
            return "times, in hours"
        thousands = f"thousands separated by {self.thousands!r}" if self.thousands else ""
        comma = "decimal commas" if self.decimal == "," else ""
        unit = "limits such as <5 are read as 5" if self.unit == LIMIT else self.unit
        scales = "K, M and B for thousands, millions and billions" if self.is_scaled else ""
        return ", ".join(part for part in (unit, thousands, comma, scales) if part)


def number_format(texts: Iterable[str], decimal: str, *, is_certain: bool = False) -> NumberFormat | None:
    """Return the format that all numbers of a column are written in.

    Args:
        texts: The texts of the column, without missing values.
        decimal: The decimal separator of the file.
        is_certain: Whether the column is known to have that separator, so that `1,234` is not ambiguous.

    Returns:
        The format; None if they are not numbers with the same unit, or if `1,234` may be two different numbers.
    """
    texts = [*texts]
    times = [*map(_time, texts)]
    if all(times) and len({is_half for _, is_half in filter(None, times)}) == 1:
        return NumberFormat(TIME)
    if len({scale for _, scale in map(_unscaled, texts)}) > 1:
        form = _common_format([text for text, _ in map(_unscaled, texts)], decimal, is_certain=is_certain)
        return form and replace(form, is_scaled=True)
    return _common_format(texts, decimal, is_certain=is_certain)


def _common_format(texts: Sequence[str], decimal: str, *, is_certain: bool) -> NumberFormat | None:
    """Return the format of numbers that are no times, and have no letters for thousands or millions; or None."""
    units = set()
    for text in texts:
        if (parts := _parts(text)) is None:
            return None
        if parts[0] or parts[2].strip("0"):  # zero is zero in every unit
            units.add(parts[0])
        if len(units) > 1 and units != {"", LIMIT}:
            return None
    fits = [*_fitting(texts, max(units, default=""), decimal)]
    likely = [form for form in fits if not _is_thousands(texts, form.decimal)] or fits
    return likely[0] if texts and (len(likely) == 1 or (likely and is_certain)) else None


def _fitting(texts: Sequence[str], unit: str, decimal: str) -> Iterator[NumberFormat]:
    """Yield the formats in which all texts are numbers, that of the file first; none that reads the same numbers."""
    known = []
    for mark, other in ((decimal, "," if decimal == "." else "."), ("," if decimal == "." else ".", decimal)):
        for thousands in ("", other, *SEPARATORS):
            form = NumberFormat(unit, mark, thousands)
            values = [*itertools.takewhile(lambda value: value is not None, map(form.value, texts))]
            if len(values) == len(texts) and values not in known:
                known.append(values)
                yield form


def _is_thousands(texts: Sequence[str], mark: str) -> bool:
    """Return whether a mark probably separates thousands: each one is followed by three digits, and some numbers have
    none."""
    fractions = {len(text.partition(mark)[2]) for text in (_digits(text) for text in texts) if mark in text}
    return fractions == {3} and any(mark not in _digits(text) for text in texts)


def _digits(text: str) -> str:
    parts = _parts(text)
    return parts[2] if parts else ""


def _unscaled(text: str) -> tuple[str, float]:
    """Return a number without K, M or B at its end, and by what to multiply it."""
    text = text.strip()
    scale = _SCALES.get(text[-1:]) if text[-2:-1].isdigit() else None
    return (text, 1.0) if scale is None else (text[:-1], scale)


def _singular(unit: str) -> str:
    """Return a unit without the `s` of a plural, such as `year` for `years`."""
    return unit[:-1] if len(unit) > 2 and unit.endswith("s") else unit


def _parts(text: str) -> tuple[str, str, str] | None:
    """Return the unit, the sign and the digits of a number, or None if the text is not one; both signs for minus, and
    an en dash in their place, are one."""
    text = text.strip().replace("\u2212", "-").replace("\u2013", "-")
    if limit := _LIMIT.match(text):
        plain = _parts(text[limit.end() :])
        return None if plain is None or plain[0] else (LIMIT, *plain[1:])
    if negative := _NEGATIVE.fullmatch(text):
        text = f"-{(negative['inside'] or negative['before'] or '').strip()}"
    found = _WRITTEN.fullmatch(text)
    if found is None or (found["sign"] and found["minus"]) or (found["before"] and found["after"]):
        return None
    if found["after"] and found["number"].endswith((".", ",")):
        return None  # 12.jpg is a file
    return (
        _singular((found["before"] or found["after"] or "").strip()),
        found["sign"] or found["minus"],
        found["number"],
    )


def _time(text: str) -> tuple[float, bool] | None:
    """Return the hours of a time such as `19:30` or `7:30 PM`, and whether it is AM or PM; None if it is no time."""
    found = _TIME.fullmatch(text.strip())
    if found is None or (found[5] and not 1 <= int(found[2]) <= 12):
        return None
    hours, half = int(found[2]) + 24 * int(found[1] or 0), found[5]
    whole = hours % 12 + 12 * (half in "Pp") if half else hours
    return whole + int(found[3]) / 60 + float(found[4] or 0) / 3600, half is not None

"""Fractions as percentages: the one spelling that results, findings and plots share."""

from __future__ import annotations


def percent(fraction: float) -> str:
    """Return a fraction as a percentage with one decimal, such as `49.2%`.

    One decimal is as much as a test split of a few hundred examples can tell; JSON and CSV have all digits. Limits and
    levels that are exact, such as a 95% interval, are written out without a decimal.
    """
    return f"{fraction:.1%}"

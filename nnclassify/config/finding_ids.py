"""The ids of all findings, so that a config which accepts an unknown one is refused before anything else is imported.

`diagnosis/pages.py` has the page of each; a test compares the two.
"""

from __future__ import annotations

import difflib
import unicodedata

_FIRST_AND_LAST = ((101, 103), (111, 119), (201, 207), (301, 310), (401, 408), (501, 506), (601, 614))
FINDING_IDS = [f"NN{number}" for first, last in _FIRST_AND_LAST for number in range(first, last + 1)]
"""By hundreds: data, outputs and loss, architecture, optimization, outcome, while training."""


def no_such_finding(found: str) -> str:
    """What to say of an id that no finding has."""
    meant = unicodedata.normalize("NFKC", found).upper()  # the wide digits of Japanese and Chinese
    near = difflib.get_close_matches(meant, FINDING_IDS, 1, 0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"no such finding{hint}; expected one of {', '.join(FINDING_IDS)}"

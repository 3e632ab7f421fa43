"""The ids of all findings, to check the `accept` key of a config without importing `diagnosis`.

`diagnosis/pages.py` has the page of each finding; a test compares the ids.
"""

from __future__ import annotations

import difflib
import unicodedata

_FIRST_AND_LAST = ((101, 103), (111, 123), (131, 138), (201, 208), (301, 312), (401, 408), (501, 507), (601, 615))
FINDING_IDS = [f"NN{number}" for first, last in _FIRST_AND_LAST for number in range(first, last + 1)]
"""By hundreds: data, outputs and loss, architecture, optimization, outcome, while training."""


def no_such_finding(found: str) -> str:
    """Return the error message for an unknown id, with a suggestion."""
    meant = unicodedata.normalize("NFKC", found).upper()  # full-width digits
    near = difflib.get_close_matches(meant, FINDING_IDS, 1, 0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"no such finding{hint}; expected one of {', '.join(FINDING_IDS)}"

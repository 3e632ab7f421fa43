"""Findings for data that cannot be read or learned from.

They are faults, so `check` ends with exit code 4 where `train` ends with 2 for the same message: why a network cannot
learn from its data is what `check` is asked for, and a finding has a page and its place in the JSON output.
"""

from __future__ import annotations

from nnclassify.config.yaml_reader import YamlSource
from nnclassify.diagnosis.findings import Evidence, Finding
from nnclassify.diagnosis.outcome_pages import LABELS, MISSING_VALUE, UNREADABLE
from nnclassify.errors import DataError, LabelError, MissingValueError, one_line


def unreadable(error: DataError, source: YamlSource) -> list[Finding]:
    """Return the findings for an error of reading the data, one per line of the message."""
    page = UNREADABLE
    if isinstance(error, MissingValueError):
        page = MISSING_VALUE
    elif isinstance(error, LabelError):
        page = LABELS
    place = source.where(("dataset",))
    return [Finding(page, "fault", Evidence(one_line(line, 400)), path="dataset", place=place) for line in error.lines]

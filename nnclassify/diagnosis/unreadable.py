"""Findings for data that cannot be read or learned from."""

from __future__ import annotations

from nnclassify.config.yaml_reader import YamlSource
from nnclassify.diagnosis.findings import Evidence, Finding, finding_of
from nnclassify.diagnosis.outcome_pages import LABELS, MISSING_VALUE, UNREADABLE
from nnclassify.errors import DataError, LabelError, MissingValueError, one_line


def unreadable(error: DataError, source: YamlSource) -> list[Finding]:
    """The findings for an error of reading the data, one per line of the message."""
    page = UNREADABLE
    if isinstance(error, MissingValueError):
        page = MISSING_VALUE
    elif isinstance(error, LabelError):
        page = LABELS
    place = source.where(("dataset",))
    return [
        finding_of(page, "fault", Evidence(one_line(line, 400)), path="dataset", place=place) for line in error.lines
    ]

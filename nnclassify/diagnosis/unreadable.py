"""Data that cannot be read or learned from, as findings."""

from __future__ import annotations

from nnclassify.diagnosis.findings import Evidence, Finding, finding_of
from nnclassify.diagnosis.pages_outcome import LABELS, MISSING_VALUE, UNREADABLE
from nnclassify.errors import DataError, LabelError, MissingValueError, one_line
from nnclassify.yaml_source import YamlSource


def unreadable(error: DataError, source: YamlSource) -> Finding:
    """The finding that an error of reading the data is."""
    page = UNREADABLE
    if isinstance(error, MissingValueError):
        page = MISSING_VALUE
    elif isinstance(error, LabelError):
        page = LABELS
    return finding_of(page, "fault", Evidence(one_line(error, 400)), path="dataset", place=source.where(("dataset",)))

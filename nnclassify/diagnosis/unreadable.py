"""Data that cannot be read or learned from, as findings."""

from __future__ import annotations

from nnclassify.diagnosis.findings import Evidence, Finding, Page, finding_of
from nnclassify.errors import DataError, LabelError, MissingValueError, one_line
from nnclassify.yaml_source import YamlSource

MISSING_VALUE = Page(
    id="NN101",
    title="a value that is missing or not a number",
    looks_at="Empty cells, NaN and infinity in inputs and labels.",
    why="One NaN reaches every weight in one update, and the net says NaN from then on.",
    source="IEEE 754-2019, section 6.2: operations on a NaN give a NaN",
    fix="Fill the value in, or remove the row.",
)
LABELS = Page(
    id="NN102",
    title="labels that are no class indices",
    looks_at="Labels under 0, not under the number of classes, with a fraction, or a class number that no example has.",
    why="Labels are positions among the outputs, counted from 0: shifted or divided, they point at others, or at none.",
    source="torch.nn.CrossEntropyLoss: 'class indices in the range [0, C)'",
    fix="Number the classes 0..K-1 without gaps, as integers.",
)
UNREADABLE = Page(
    id="NN103",
    title="data that cannot be read",
    looks_at="Files that are missing, damaged, of another kind, or do not belong together.",
    why="Nothing can be learned from what cannot be read.",
    source="the error itself",
    fix="As the message says.",
)
PAGES = (MISSING_VALUE, LABELS, UNREADABLE)


def unreadable(error: DataError, source: YamlSource) -> Finding:
    """The finding that an error of reading the data is."""
    page = UNREADABLE
    if isinstance(error, MissingValueError):
        page = MISSING_VALUE
    elif isinstance(error, LabelError):
        page = LABELS
    return finding_of(page, "fault", Evidence(one_line(error, 400)), path="dataset", place=source.where(("dataset",)))

"""What a run folder holds, read for a page. A file that is missing, damaged or of an earlier release leaves a gap."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from nnclassify.config.yaml_reader import read_yaml
from nnclassify.errors import ConfigError, one_line
from nnclassify.files.csv_cells import name_in, read_csv
from nnclassify.files.json_files import read_json
from nnclassify.inference.report.examples import ShownExamples, read_examples
from nnclassify.inference.report.scored import Scored, read_scored
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.provenance import Provenance, read_provenance
from nnclassify.settings import flat
from nnclassify.training.history import Row, read_rows

State = Literal["finished", "running", "failed", "interrupted"]
Content = TypeVar("Content")

NOT_FINITE = "NN601"
"""The finding of a run that diverged, which earlier releases recorded alone."""
MAX_BYTES = 2**27
"""Larger tables of examples are not read: it would take longer than all else."""


@dataclass(frozen=True)
class Data:
    """The examples of a run, counted.

    Attributes:
        counts: The number of examples of each class in each split: `counts[split][class]`.
        duplicates: The names of examples whose content is also in another split, each with the name of its twin.
        skipped: The reason for each example that could not be read, by its name.
    """

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Audit:
    """What `nnclassify audit` wrote into the folder of a run.

    Attributes:
        findings: Its findings, as JSON objects.
        flags: The examples and columns that something is odd about: the rows of `audit.csv` by column, the oddest of a
            kind first.
    """

    findings: list[dict[str, Any]]
    flags: list[dict[str, str]]


@dataclass(frozen=True)
class RunContents:
    """A run folder as a page sees it.

    Attributes:
        folder: The folder.
        state: Whether the run has finished, or what became of it.
        result: The content of `result.json`; empty if the run has not finished.
        rows: The history.
        config: The values of the resolved config by dotted path.
        provenance: The origin of these values, the command and the environment; None if unknown.
        scored: What is predicted for the examples of a split; None if unknown.
        examples: What is shown of these examples.
        findings: The findings of the monitor and of the comparison with the baselines, as JSON objects.
        data: The examples, counted.
        audit: What is wrong with them; None if the data was not audited into the folder.
        check: What `nnclassify check` wrote into the folder; empty if it did not.
        problems: The files that could not be read, one line each.
    """

    folder: RunFolder
    state: State
    result: dict[str, Any]
    rows: list[Row]
    config: dict[str, Any]
    provenance: Provenance | None
    scored: Scored | None
    examples: ShownExamples
    findings: list[dict[str, Any]]
    data: Data
    audit: Audit | None
    check: dict[str, Any]
    problems: list[str]

    @property
    def checked(self) -> list[dict[str, Any]]:
        """The findings of `nnclassify check`, as JSON objects."""
        return _findings(self.check)

    @property
    def name(self) -> str:
        """The name of the run."""
        return RunFolder(self.folder.path.resolve()).name

    @property
    def best(self) -> Row | None:
        """The row of the best epoch, if known; of an unfinished run, the last row."""
        number = at(self.result, "best_epoch")
        is_known = isinstance(number, int) and 1 <= number <= len(self.rows)
        return self.rows[number - 1] if is_known else next(iter(self.rows[-1:]), None)


def at(content: Any, *keys: str) -> Any:
    """Return the value at a path of nested JSON objects; None if it is not there."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def number_at(content: Any, *keys: str) -> float | None:
    """Return the finite number at a path of nested JSON objects; None if there is none."""
    value = at(content, *keys)
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    return float(value) if is_number else None


def interval_at(content: Any, *keys: str) -> tuple[float, float] | None:
    """Return the interval at a path of nested JSON objects; None if there is none."""
    value = at(content, *keys)
    if not isinstance(value, list) or len(value) != 2:
        return None
    low, high = (number_at({"": bound}, "") for bound in value)
    return None if low is None or high is None else (low, high)


def read_run(folder: RunFolder, examples: ShownExamples | None = None, scored: Scored | None = None) -> RunContents:
    """Read a run folder.

    Args:
        folder: The folder.
        examples: What is shown of the examples, if that is known already.
        scored: What is predicted for them, if that is known already.
    """
    problems: list[str] = []
    result, provenance = _object(folder.result, problems), read_provenance(folder.provenance)
    findings = _findings(_object(folder.diagnosis, problems)) or _findings(result)
    return RunContents(
        folder,
        _state(folder, result, provenance, findings),
        result,
        _read(folder.history, partial(read_rows, may_be_cut=True), [], problems),
        _config(folder.config, problems),
        provenance,
        scored or read_scored(folder.predictions),
        examples or read_examples(folder.examples),
        findings,
        read_data(folder),
        _audit(folder, problems),
        _object(folder.check, problems),
        problems,
    )


def _state(
    folder: RunFolder, result: dict[str, Any], provenance: Provenance | None, findings: list[dict[str, Any]]
) -> State:
    if result:
        return "finished"
    has_failed = provenance is not None and bool(provenance.failure)
    if has_failed or any(one.get("id") == NOT_FINITE for one in findings):
        return "failed"
    return "running" if folder.is_locked() else "interrupted"


def _read(path: Path, read: Callable[[Path], Content], missing: Content, problems: list[str]) -> Content:
    """Return the content of a file, or what stands for a missing one if it cannot be read."""
    try:
        return read(path)
    except FileNotFoundError:
        return missing
    except (OSError, ValueError) as cause:
        problems.append(f"{path.name}: cannot be read ({one_line(cause)})")
        return missing


def _object(path: Path, problems: list[str]) -> dict[str, Any]:
    found: Any = _read(path, read_json, {}, problems)
    return found if isinstance(found, dict) else {}


def _findings(content: dict[str, Any]) -> list[dict[str, Any]]:
    found = content.get("findings")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _audit(folder: RunFolder, problems: list[str]) -> Audit | None:
    header, *rows = list(read_csv(folder.path / "audit.csv")) or [[]]
    if not {"name", "finding"} <= set(header):
        return None
    flags = [dict(zip(header, map(name_in, row), strict=True)) for row in rows if len(row) == len(header)]
    return Audit(_findings(_object(folder.path / "audit.json", problems)), flags)


def _config(path: Path, problems: list[str]) -> dict[str, Any]:
    try:
        return flat(read_yaml(path).data)
    except ConfigError as error:
        problems.append(error.lines[0])
        return {}


def read_data(folder: RunFolder) -> Data:
    """Count the examples in `manifest.csv` and `skipped.csv`."""
    rows = [row for row in _table(folder.manifest) if len(row) == 5]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for (split, name), count in Counter((row[1], row[2]) for row in rows).items():
        counts[split][name_in(name)] = count
    duplicates = [(name_in(row[0]), name_in(row[4])) for row in rows if row[4]]
    skipped = {name_in(row[0]): name_in(row[1]) for row in _table(folder.skipped) if len(row) == 2}
    return Data(dict(counts), duplicates, skipped)


def _table(path: Path) -> list[list[str]]:
    """Return the rows of a table without its header; none if it is missing or too large."""
    try:
        return list(read_csv(path))[1:] if path.stat().st_size <= MAX_BYTES else []
    except OSError:
        return []

"""The history of a run: one row per epoch, in `history.jsonl`, and as a table in `results.csv`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter

from nnclassify.errors import one_line
from nnclassify.files.atomic_write import save_error, write_text
from nnclassify.files.paths import content_of

PositiveCount = Annotated[int, Field(strict=True, ge=1, lt=2**53)]
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]


@dataclass(frozen=True)
class Row:
    """One epoch.

    Attributes:
        epoch: From 1.
        step: Optimizer updates so far.
        train_loss: Mean over the epoch, as the examples were met.
        train_accuracy: Share of correct predictions over the epoch, 0..1.
        validation_loss: After the epoch; None where there is no such split.
        validation_accuracy: After the epoch, 0..1; None where there is no such split.
        lr: Of the epoch's last update.
        seconds: Of training, validation apart.
        examples_per_second: Of training.
        validation_metric: The metric that `select_by` names, where that is neither of the two above; else None.
    """

    epoch: PositiveCount
    step: PositiveCount
    train_loss: Finite
    train_accuracy: Share
    validation_loss: float | None
    validation_accuracy: Share | None
    lr: NonNegative
    seconds: NonNegative
    examples_per_second: NonNegative
    validation_metric: Finite | None = None

    __pydantic_config__ = ConfigDict(extra="forbid")

    def state(self) -> dict[str, Any]:
        """Primitives, for JSON and for a checkpoint."""
        state = asdict(self)
        if self.validation_metric is None:
            del state["validation_metric"]
        return state

    def validated(self, metric: str) -> float | None:
        """The validation figure of that name: the loss, the accuracy, or what `select_by` named."""
        known = {"loss": self.validation_loss, "accuracy": self.validation_accuracy}
        return known.get(metric, self.validation_metric)


_ROW = TypeAdapter(Row)


def read_rows(path: Path, *, may_be_cut: bool = False) -> list[Row]:
    """The whole history.

    Args:
        path: `history.jsonl`.
        may_be_cut: Leave out a last line without an end: its process was killed, or is writing it now.

    Raises:
        OSError, ValueError: It cannot be read, or is no history.
    """
    content = content_of(path)
    if may_be_cut:
        content = content[: content.rfind(b"\n") + 1]
    return [_ROW.validate_json(line) for line in content.splitlines()]


def whole_history(path: Path, known: list[Row], note: Callable[[str], None]) -> list[Row]:
    """The history of a run, which goes beyond its best epoch; what the checkpoint knows of it where it cannot be read.

    Args:
        path: `history.jsonl`.
        known: The rows in the checkpoint.
        note: Receives why the history ends at the checkpoint's epoch.
    """
    try:
        rows = read_rows(path)
    except (OSError, ValueError) as cause:
        note(f"{path}: cannot be read ({one_line(cause)}); the curves end at the epoch of the checkpoint")
        return known
    if repr(rows[: len(known)]) != repr(known):  # in words, since NaN is not equal to itself
        note(f"{path}: not the history of this checkpoint; the curves end at the epoch of the checkpoint")
        return known
    return rows


def append_row(path: Path, row: Row) -> None:
    """Add one row.

    Raises:
        SaveError: It could not be written.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row.state()) + "\n")
    except OSError as cause:
        raise save_error(path, cause) from cause


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write a whole history, in place of what was there.

    Raises:
        SaveError: It could not be written.
    """
    write_text(path, "".join(json.dumps(row.state()) + "\n" for row in rows))


def write_table(path: Path, rows: Iterable[Row]) -> None:
    """Write a whole history as CSV, in place of what was there: the keys of `history.jsonl` as columns.

    Numbers are written so that reading them gives the same bits; a cell is empty where a figure is unknown.

    Raises:
        SaveError: It could not be written; the file before is untouched.
    """
    states = [row.state() for row in rows]
    columns = dict.fromkeys(key for state in states for key in state)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(states)
    write_text(path, text.getvalue())

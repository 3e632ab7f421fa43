"""The history of a run: one row per epoch, in `history.jsonl` and, as a table, in `results.csv`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from nnclassify.errors import InputError, one_line
from nnclassify.files.atomic_write import save_error, write_text
from nnclassify.files.paths import content_of

PositiveCount = Annotated[int, Field(strict=True, ge=1, lt=2**53)]
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]


@dataclass(frozen=True)
class Row:
    """The figures of one epoch.

    Attributes:
        epoch: Number of the epoch, from 1.
        step: Number of optimizer steps so far.
        train_loss: Mean loss over the epoch, computed before each update.
        train_accuracy: Fraction of correct predictions over the epoch, 0..1, computed before each update.
        validation_loss: Validation loss after the epoch; None without a validation split.
        validation_accuracy: Validation accuracy after the epoch, 0..1; None without a validation split.
        lr: Learning rate of the epoch's last step.
        seconds: Training time, without validation.
        examples_per_second: Training examples per second.
        validation_metric: Value of the `select_by` metric if it is neither loss nor accuracy, else None.
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

    @property
    def scheduler_loss(self) -> float:
        """The loss that a scheduler may use: of validation, or of training without validation."""
        return self.train_loss if self.validation_loss is None else self.validation_loss

    def state(self) -> dict[str, Any]:
        """Return a dict of primitives, for JSON and checkpoints."""
        state = asdict(self)
        if self.validation_metric is None:
            del state["validation_metric"]
        return state

    def validated(self, metric: str) -> float | None:
        """Return the validation value of a metric: the loss, the accuracy, or the `select_by` metric."""
        known = {"loss": self.validation_loss, "accuracy": self.validation_accuracy}
        return known.get(metric, self.validation_metric)


_ROW = TypeAdapter(Row)


def read_rows(path: Path, *, may_be_cut: bool = False) -> list[Row]:
    """Read the complete history.

    Args:
        path: `history.jsonl`.
        may_be_cut: Ignore an incomplete last line: the process was killed, or is still writing it.

    Raises:
        OSError, ValueError: The file cannot be read, or is not a history.
    """
    content = content_of(path)
    if may_be_cut:
        content = content[: content.rfind(b"\n") + 1]
    rows: list[Row] = []
    for number, line in enumerate(content.splitlines(), 1):
        try:
            rows.append(_ROW.validate_json(line))
        except ValidationError as cause:
            raise ValueError(f"line {number} is not an epoch of a run") from cause
    return rows


def whole_history(path: Path, known: list[Row], note: Callable[[str], None]) -> list[Row]:
    """Return the complete history of a run, which continues after its best epoch, or `known` if it cannot be read.

    Args:
        path: `history.jsonl`.
        known: The rows in the checkpoint.
        note: Function that shows the user why the history ends at the checkpoint's epoch.
    """
    try:
        rows = read_rows(path)
    except (OSError, ValueError) as cause:
        note(f"{path}: cannot be read ({one_line(cause)}); the curves end at the epoch of the checkpoint")
        return known
    if repr(rows[: len(known)]) != repr(known):  # compared as text, since NaN is not equal to itself
        note(f"{path}: not the history of this checkpoint; the curves end at the epoch of the checkpoint")
        return known
    return rows


def history_frame(rows: Iterable[dict[str, Any]]) -> Any:
    """Return a history as a pandas data frame, with the columns of `results.csv` and the epoch as its index.

    Args:
        rows: `Row.state()` of every epoch.

    Raises:
        InputError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as cause:
        raise InputError("history_frame: pandas is not installed; run: pip install 'nnclassify[notebook]'") from cause
    return pandas.DataFrame(list(rows)).set_index("epoch")


def append_row(path: Path, row: Row) -> None:
    """Append one row.

    Raises:
        SaveError: The file could not be written.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row.state()) + "\n")
    except OSError as cause:
        raise save_error(path, cause) from cause


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write a complete history, replacing the file.

    Raises:
        SaveError: The file could not be written.
    """
    write_text(path, "".join(json.dumps(row.state()) + "\n" for row in rows))


def write_table(path: Path, rows: Iterable[Row]) -> None:
    """Write a complete history as CSV, replacing the file, with the keys of `history.jsonl` as columns.

    Numbers are written with all their digits, so reading them restores the same bits. Unknown values are empty cells.

    Raises:
        SaveError: The file could not be written; the previous one is unchanged.
    """
    states = [row.state() for row in rows]
    columns = dict.fromkeys(key for state in states for key in state)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(states)
    write_text(path, text.getvalue())

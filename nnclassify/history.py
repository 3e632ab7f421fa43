"""The history of a run: one row an epoch, in `history.jsonl`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from nnclassify.storage import save_error, write_text


@dataclass(frozen=True)
class Row:
    """One epoch.

    Attributes:
        epoch: From 1.
        step: Optimizer updates so far.
        train_loss: Mean over the epoch, as the examples were met.
        train_accuracy: Likewise, 0..1.
        validation_loss: After the epoch; None where there is no such split.
        validation_accuracy: Likewise.
        lr: Of the epoch's last update.
        seconds: Of training, validation apart.
        examples_per_second: Of training.
    """

    epoch: int
    step: int
    train_loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    lr: float
    seconds: float
    examples_per_second: float

    def state(self) -> dict[str, Any]:
        """Primitives, for JSON and for a checkpoint."""
        return asdict(self)


_ROWS = TypeAdapter(list[Row])


def read_rows(path: Path) -> list[Row]:
    """The whole history.

    Raises:
        OSError, ValueError: It cannot be read, or is no history.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    return _ROWS.validate_python([json.loads(line) for line in lines])


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

"""Run folders made by hand, for tests of what is read from them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnclassify.files.csv_cells import cell, write_csv
from nnclassify.runs.folder import RunFolder
from nnclassify.training.history import Row, write_rows

CONFIG = "dataset: {name: blobs}\nmodel: {name: mlp, hidden: [8]}\nepochs: 3\n"


def row_of(epoch: int, **values: Any) -> Row:
    """An epoch whose loss falls."""
    usual = {
        "epoch": epoch,
        "step": epoch,
        "train_loss": 1 / epoch,
        "train_accuracy": 0.5,
        "validation_loss": 1.1 / epoch,
        "validation_accuracy": 0.4,
        "lr": 0.1,
        "seconds": 0.5,
        "examples_per_second": 100.0,
    }
    return Row(**{**usual, **values})


def write_run(path: Path, *, epochs: int = 3, result: dict[str, Any] | None = None, config: str = CONFIG) -> RunFolder:
    """Write a run that has trained some epochs, and finished if there is a result."""
    path.mkdir(parents=True, exist_ok=True)
    folder = RunFolder(path)
    folder.config.write_text(config)
    write_rows(folder.history, [row_of(epoch) for epoch in range(1, epochs + 1)])
    if result is not None:
        folder.result.write_text(json.dumps({"best_epoch": epochs, **result}))
    return folder


def write_answers(
    folder: RunFolder, classes: Sequence[str], answers: Sequence[tuple[str, int, int, float]], split: str = "test"
) -> None:
    """Write the predictions: name, true class, predicted class and its probability of each example."""
    cells = [cell(name) for name in classes]
    rows = [["split", "name", "true", "predicted", *(f"p({name})" for name in cells), "loss"]]
    for name, true, predicted, share in answers:
        rest = (1 - share) / max(1, len(classes) - 1)
        shares = [share if index == predicted else rest for index in range(len(classes))]
        loss = 1 - shares[true]
        rows.append(
            [split, cell(name), cells[true], cells[predicted], *(f"{one:.6g}" for one in shares), f"{loss:.6g}"]
        )
    write_csv(folder.predictions, rows)

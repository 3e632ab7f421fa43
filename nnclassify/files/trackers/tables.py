"""A run as CSV tables, for spreadsheets and scripts."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from nnclassify.files.csv_cells import cell, write_csv
from nnclassify.files.trackers.base import Epoch, Log, LoggedRun, Outcome, Tracker


class CsvTables(Tracker):
    """CSV files in the folder `csv` of the run: `epochs.csv`, a row per epoch, and `run.csv`, a row per parameter of
    the config and per result.
    """

    name: Literal["csv"] = "csv"

    def open(self, run: LoggedRun) -> Log:
        """Write the files again from the history."""
        (run.folder / "csv").mkdir(exist_ok=True)
        return _Tables(run)


class _Tables(Log):
    def __init__(self, run: LoggedRun) -> None:
        self.folder = run.folder / "csv"
        self.parameters = [["key", "value"], *([cell(key), cell(str(value))] for key, value in run.parameters.items())]
        (self.folder / "epochs.csv").unlink(missing_ok=True)
        write_csv(self.folder / "run.csv", self.parameters)

    def add(self, epochs: Sequence[Epoch]) -> None:
        """Log epochs that follow those before."""
        with (self.folder / "epochs.csv").open("a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if epochs and file.tell() == 0:
                writer.writerow(["epoch", *epochs[0].names])
            writer.writerows([epoch.number, *(epoch.figures.get(name, "") for name in epoch.names)] for epoch in epochs)

    def finish(self, results: Mapping[str, float], plots: Sequence[Path], last: int) -> None:
        """Log the results and the plots."""
        rows = [*self.parameters, *([name, repr(value)] for name, value in results.items())]
        write_csv(self.folder / "run.csv", [*rows, *([f"plot/{path.stem}", cell(str(path))] for path in plots)])

    def close(self, outcome: Outcome) -> None:
        """Do nothing: every row has been written."""

"""Runs side by side, for Python: what `nnclassify compare` prints, with the curves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnclassify.errors import duration, printable
from nnclassify.evaluation.percent import percent
from nnclassify.files.json_files import plain
from nnclassify.inference.compare import ComparedRun, compare
from nnclassify.inference.differences import Difference, differences
from nnclassify.inference.report.card import Card, Table
from nnclassify.inference.report.comparison import curves
from nnclassify.process import preserve_process_state
from nnclassify.runs.folder import CHECKPOINTS


@dataclass(frozen=True)
class Comparison(Sequence[ComparedRun]):
    """Several runs, side by side.

    Attributes:
        runs: The runs, in the order given.
        differences: Whether their test accuracies differ by more than chance, for each pair of configs.
        notes: Notes about the runs, one line each.
    """

    runs: list[ComparedRun]
    differences: list[Difference]
    notes: list[str]

    def __getitem__(self, index: Any) -> Any:
        """Return one run, or a list of them for a slice."""
        return self.runs[index]

    def __len__(self) -> int:
        return len(self.runs)

    def figures(self) -> dict[str, Any]:
        """Return what `compare --json` prints."""
        return plain(
            {
                "runs": [run.figures() for run in self.runs],
                "test_differences": [each.figures() for each in self.differences],
            }
        )

    def __repr__(self) -> str:
        known = [(run.name, run.accuracies["test"]) for run in self.runs]
        return (
            f"Comparison({', '.join(name if share is None else f'{name} {percent(share)}' for name, share in known)})"
        )

    def _repr_html_(self) -> str:
        names, histories = [printable(run.name) for run in self.runs], [run.rows for run in self.runs]
        notes = [*(f"{difference.sentence()}." for difference in self.differences), *self.notes]
        tables = [Table.of("", ["", *names], list(_rows(self.runs)))]
        return Card("Comparison", tables=tables, charts=list(curves(histories, names)), notes=notes).html()


@preserve_process_state()
def compared(runs: Sequence[str], root: Path = CHECKPOINTS, note: Callable[[str], None] | None = None) -> Comparison:
    """Compare runs; see `compare`. Without `note`, what it would be called with is in the result."""
    notes: list[str] = []
    found = compare(runs, note or notes.append, root)
    return Comparison(found, differences(found), notes)


def _rows(runs: Sequence[ComparedRun]) -> Iterator[list[str]]:
    """Yield what is known of each run, and where their configs differ."""
    for split in ("train", "validation", "test"):
        shares = [run.accuracies[split] for run in runs]
        yield [f"{split} accuracy", *("-" if share is None else percent(share) for share in shares)]
    yield ["parameters", *(f"{run.parameters:,}" for run in runs)]
    yield ["epochs", *(f"{run.epochs:,}" for run in runs)]
    yield ["training time", *(duration(run.seconds) for run in runs)]
    for key in (key for key in runs[0].differences if key not in ("name", "epochs")):  # these are shown already
        values = [run.differences[key] for run in runs]
        yield [key, *("-" if value is None else str(value) for value in values)]

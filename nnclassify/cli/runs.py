"""The command `runs`: list the runs in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnclassify.cli.options import JsonOption
from nnclassify.cli.printing import note, print_json

if TYPE_CHECKING:
    from nnclassify.runs.listing import ListedRun


def list_runs(
    root: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="The folder that contains the runs. Default: checkpoints/.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the runs in a folder, newest last.

    Prints the config, epochs, accuracies, time of the last save, and state of each run.
    """
    from nnclassify.runs.folder import CHECKPOINTS
    from nnclassify.runs.listing import listed

    found = [] if root is None and not CHECKPOINTS.exists() else listed(root or CHECKPOINTS)
    for run in found:
        if run.problem is not None:
            note(f"{run.name}: {run.problem}")
    if as_json:
        print_json({"root": str(root or CHECKPOINTS), "runs": found}, "runs")
    elif found:
        print(_table(found))
    else:
        note(f"{root or CHECKPOINTS}: no runs here; train one first: nnclassify train digits_cnn")


def _table(runs: Sequence[ListedRun]) -> str:
    from nnclassify.cli.table import table
    from nnclassify.evaluation.percent import percent

    rows = [
        [
            run.name,
            f"{run.dataset or '?'} {run.model or '?'}"
            if run.state not in ("checkpoint", "search", "not a run")
            else "-",
            "-" if run.epochs is None else f"{run.epochs_done}/{run.epochs}",
            *("-" if share is None else percent(share) for share in (run.validation_accuracy, run.test_accuracy)),
            "-" if run.saved_at is None else f"{run.saved_at.astimezone():%Y-%m-%d %H:%M}",
            run.state,
        ]
        for run in runs
    ]
    return table(["run", "config", "epochs", "validation", "test", "saved", "state"], rows)

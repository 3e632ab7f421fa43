"""The commands that take runs: `evaluate`, `plots`, `compare` and `report`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnclassify.cli.options import (
    NEWEST_RUN,
    ChosenRun,
    DeviceOption,
    JsonOption,
    RunsArgument,
    RunsOption,
    TrustOption,
    complete_run,
    load_noted,
    takes_options,
)
from nnclassify.cli.outputs import check_output, check_plot, refuse_input
from nnclassify.cli.printing import note, print_json, print_result
from nnclassify.errors import InputError, printable

if TYPE_CHECKING:
    from nnclassify.inference.classifier import Classifier
    from nnclassify.inference.predictions import Predicted


@dataclass(frozen=True)
class WhichExamples:
    """The examples to evaluate a network on."""

    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            metavar="SPLIT",
            help="train, validation or test. "
            "Default: test (validation with show_test: off); for new data, all examples.",
        ),
    ] = None
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="DATA",
            help="New labeled data to evaluate as it is: a folder of images, a table with its labels, or an .npz file.",
        ),
    ] = None
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            metavar="COLUMN",
            help="Column of the labels in DATA, a table or a list of images. Default: as in training.",
        ),
    ] = None


TEST_SPLIT = WhichExamples()
TableOption = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="Write a row per example: names, classes, probabilities.")
]
ByOption = Annotated[
    list[str] | None,
    typer.Option(
        "--by", metavar="COLUMN", help="Also slice by a column of the table that is not a feature. Repeatable."
    ),
]
ImportanceOption = Annotated[
    bool, typer.Option("--importance", help="Print the accuracy that is lost if a column of a table is shuffled.")
]


@takes_options
def evaluate(
    run: ChosenRun = NEWEST_RUN,
    which: WhichExamples = TEST_SPLIT,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    table: TableOption = None,
    importance: ImportanceOption = False,
    by: ByOption = None,
    trust: TrustOption = False,
) -> None:
    """Evaluate a trained classifier on a split, or on new data."""
    if which.split not in (None, "train", "validation", "test"):
        raise InputError(f"--split: found {which.split!r}, expected train, validation or test")
    check_output("--csv", table, "predictions.csv", [] if which.data is None else [which.data])
    path, changes = run.found()
    from nnclassify.cli.text import evaluation_text
    from nnclassify.inference.evaluation_examples import examples_to_evaluate
    from nnclassify.inference.explained import explained

    classifier = load_noted(path, device, changes)
    refuse_input("--csv", table, classifier.config.places().values())
    chosen = examples_to_evaluate(classifier, which.split, which.data, which.label)
    for text in chosen.notes:
        note(text)
    found = explained(classifier, chosen, by or (), note, with_importance=importance)
    about = {"run": str(path), "data": which.data, "split": chosen.split, "notes": chosen.notes}
    what = chosen.split if which.data is None else f"{chosen.split} of {which.data}"
    as_text = partial(evaluation_text, path, what, found)
    print_result({**about, **found.figures()}, "evaluate", as_text, as_json=as_json)
    # An override may evaluate the network in another way than the run does.
    _save_predictions(classifier, found.predicted, table, of_run=chosen.is_unchanged and not changes)


def _save_predictions(classifier: Classifier, predicted: Predicted, table: Path | None, *, of_run: bool) -> None:
    """Write what was predicted for each example, to a file and into the folder of the run."""
    from nnclassify.inference.predictions import save_evaluated, write_predictions

    if table is not None:
        write_predictions(table, [predicted], classifier.class_names)
    if of_run:
        save_evaluated(classifier.path, predicted, classifier.class_names, note)


@takes_options
def draw_plots(
    run: ChosenRun = NEWEST_RUN,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Draw all plots of a run.

    Draws those of `train` again, and those that take longer: confused classes, heatmaps of mistakes, and the importance
    of columns, as far as they apply.
    """
    path, changes = run.found()
    from nnclassify.inference.plots.save import draw_again

    drawn = [str(plot) for plot in draw_again(path, changes, device, note)]
    told = {"run": str(path), "plots": drawn}
    print_result(told, "plots", lambda: "\n".join(map(printable, drawn)), as_json=as_json)


def compare(
    runs: RunsArgument = None,
    run_options: RunsOption = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="The file to save the plot of the curves to.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare runs in a table and a plot.

    Prints parameters, time, accuracies, the differences between the configs, and whether their test accuracies differ
    by more than chance. Plots the curves.
    """
    from nnclassify.cli.overrides import all_runs

    runs = all_runs(runs, run_options)
    check_plot("--plot", plot, "curves.png")
    from nnclassify.cli.text import comparison_text
    from nnclassify.inference.comparison import compared

    found = compared(runs, note=note)
    if not as_json:
        print(comparison_text(found.runs, found.differences))
    elif plot is None:
        print_json(found.figures(), "compare")
        return
    from nnclassify.inference.plots.comparison import save_compared_curves
    from nnclassify.runs.folder import CHECKPOINTS

    path = plot or (CHECKPOINTS if CHECKPOINTS.is_dir() else Path()) / "compare.png"
    drawn = str(save_compared_curves(found.runs, path, found.differences))
    told = {**found.figures(), "curves": drawn}
    print_result(told, "compare", lambda: f"\ncurves: {printable(drawn)}", as_json=as_json)


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN", help="Runs or run folders. Default: the newest run.", autocompletion=complete_run
        ),
    ] = None,
    run_options: RunsOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="The page to write. Default: report.html in the folder of the run."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a page about a run, or about several side by side.

    Reads the run folders only. The page is one file that needs no connection; send it, or open it from anywhere.
    """
    check_output("--out", out, "report.html")
    from nnclassify.cli.overrides import all_runs
    from nnclassify.inference.report.page import write_report

    chosen = all_runs(runs, run_options) if runs or run_options else []
    path = write_report(chosen, out, note=note)
    print_result({"report": str(path)}, "report", lambda: printable(str(path)), as_json=as_json)

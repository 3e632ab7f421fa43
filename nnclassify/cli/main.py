"""The command line: parse, call, print, exit code. Nothing else happens here.

Every command imports what it needs when it runs: `--help` and the shell's completion load neither torch nor
matplotlib.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnclassify import __version__
from nnclassify.cli.configs import JsonOption, complete_config, configs_app, print_json
from nnclassify.cli.streams import has_color, output_failure
from nnclassify.errors import (
    InputError,
    NNClassifyError,
    SaveError,
    TrainingError,
    is_out_of_memory,
    one_line,
    printable,
)
from nnclassify.files.paths import is_regular, look

if TYPE_CHECKING:
    from nnclassify.inference.classifier import Classifier
    from nnclassify.inference.predict import Prediction

app = typer.Typer(
    name="nnclassify",
    help="Train, evaluate and use classifiers from one YAML file.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Start with: nnclassify train digits_cnn",
)
app.add_typer(configs_app, name="configs")


def main() -> None:
    """Run the command line and end the process with its exit code: see `_ended_by`."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # where it keeps its cache is not the user's concern
    try:
        app()
        code = 0
    except SystemExit as end:  # typer's own, with the code of a command or of wrong usage
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:
        code = _ended_by(error)
    if (failure := output_failure()) is not None:
        _note(f"error: standard output: not written ({one_line(failure)}); free space, or write it somewhere else")
        code = code or SaveError.exit_code
    sys.exit(code)


def _ended_by(error: BaseException) -> int:
    """Say what ended a command, a line per problem and never a traceback; the exit code."""
    if isinstance(error, NNClassifyError):
        for line in error.lines:
            _note(f"error: {line}")
        return error.exit_code
    if is_out_of_memory(error):
        _say(f"error: out of memory ({one_line(error)}); {LESS_MEMORY}")
        return TrainingError.exit_code
    if isinstance(error, KeyboardInterrupt):
        _note("interrupted")
        return 130
    from nnclassify.cli.bug_report import report

    _say(f"error: {report(error)}")
    return 1


LESS_MEMORY = "use a smaller batch_size, dataset.size, dataset.limit or model"


def _note(text: str) -> None:
    if os.environ.get("RANK", "0") == "0":  # of several processes, one speaks
        _say(text)


def _say(text: str) -> None:
    print(printable(text), file=sys.stderr)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"nnclassify {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    try:
        Path.cwd()
    except OSError as cause:  # MKL would end the process with a message of its own
        raise InputError(f"the current folder cannot be used ({one_line(cause)}); change to one that exists") from cause


def _complete_run(incomplete: str) -> list[str]:
    from nnclassify.runs.folder import runs

    with contextlib.suppress(NNClassifyError):  # a shell that completes a word is no place for messages
        return [run.name for run in runs() if run.name.startswith(incomplete)]
    return []


SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one value, such as optimizer.lr=0.1."),
]
RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="A run under checkpoints/, a run folder or a checkpoint file. Default: the newest run.",
        autocompletion=_complete_run,
    ),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]


@app.command()
def train(
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG", help="A YAML file, a shipped config or a run.", autocompletion=complete_config
        ),
    ],
    overrides: SetOption = None,
    as_json: JsonOption = False,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw the pictures in the run folder.")] = True,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the newest run that fits the config.")] = False,
    monitor: Annotated[bool, typer.Option("--monitor/--no-monitor", help="Warn when training goes wrong.")] = True,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Print the device, number type and execution mode.")
    ] = False,
) -> None:
    """Train a classifier from a config into checkpoints/<name>/."""
    from nnclassify.config.run_config import load_config
    from nnclassify.runs.resumable import resumable

    changes = overrides or []
    folder, loaded = resumable(config, changes, _note) if resume else (None, load_config(config, changes))
    from nnclassify import run  # after the config is known to be right: torch is slow to import
    from nnclassify.cli.progress import EpochLines, Execution, ProgressBar
    from nnclassify.cli.text import result_text

    progress = ProgressBar() if sys.stderr.isatty() else EpochLines()
    looking = [Execution(_note), progress] if verbose else [progress]
    result = run.train_with_others(loaded, folder, looking, progress.note, monitor)
    if result is None:
        return
    if as_json:
        print_json(result.figures())
    else:
        print(result_text(result, plots))
    if plots:  # last: they take seconds, and what was printed stays whatever becomes of them
        from nnclassify.run import save_run_plots

        save_run_plots(result, _note)


@app.command()
def check(
    config: Annotated[
        str,
        typer.Argument(metavar="CONFIG", help="A YAML file or a shipped config.", autocompletion=complete_config),
    ],
    overrides: SetOption = None,
    as_json: JsonOption = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Print every finding, with its reason.")] = False,
    fix: Annotated[Path | None, typer.Option(metavar="OUT.yaml", help="Write the config with what helped.")] = None,
    lr_range: Annotated[Path | None, typer.Option(metavar="OUT.png", help="Draw the learning-rate range test.")] = None,
    minutes: Annotated[
        float, typer.Option(min=0.1, max=10_000, help="Processor time for the check, in minutes.")
    ] = 1.0,
) -> None:
    """Say why a net would not learn, before it is trained: the cause, the evidence, the line of YAML to change."""
    from nnclassify.diagnosis.command import check as check_config

    checked = check_config(config, overrides or [], fix, lr_range, minutes)
    for note in checked.diagnosis.notes:
        _note(note)
    if as_json:
        print_json(checked.state())
    else:
        print(checked.text(verbose=verbose, color=has_color()))
    raise typer.Exit(checked.exit_code)


@app.command()
def explain(
    finding: Annotated[str, typer.Argument(metavar="ID", help="A finding, such as NN201.")], as_json: JsonOption = False
) -> None:
    """Print the page of a finding: what it looks at, why it matters, the fix, examples."""
    from nnclassify.diagnosis.pages import page_of, page_text

    page = page_of(finding)
    if as_json:
        print_json(vars(page))
    else:
        print(page_text(page))


@app.command()
def evaluate(
    run: RunArgument = None,
    split: Annotated[
        str | None,
        typer.Option(help="train, validation or test. Default: test if there is one; all examples of other data."),
    ] = None,
    overrides: SetOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Evaluate a trained classifier on a split of its dataset."""
    if split not in (None, "train", "validation", "test"):
        raise InputError(f"--split: found {split!r}, expected train, validation or test")
    from nnclassify.cli.text import evaluation_text
    from nnclassify.inference.evaluate import evaluate as evaluate_examples
    from nnclassify.inference.scored import scored

    path = _find(run)
    classifier = _load(path, device).overridden(overrides or [])
    chosen = scored(classifier, split)
    for note in chosen.notes:
        _note(note)
    evaluation = evaluate_examples(classifier, chosen.examples)
    if as_json:
        print_json({"run": str(path), "split": chosen.split, "notes": chosen.notes, **evaluation.figures()})
    else:
        print(evaluation_text(path, chosen.split, evaluation))


def _find(run: str | None) -> Path:
    """The checkpoint that RUN means; says which, where that is not plain."""
    from nnclassify.runs.folder import find_checkpoint

    return find_checkpoint(run, note=_note)


def _load(path: Path, device: str) -> Classifier:
    """The trained net; says so, where its newest generation is damaged."""
    from nnclassify.inference.classifier import Classifier

    classifier = Classifier.load(path, device)
    for note in classifier.notes:
        _note(note)
    return classifier


def _not_options(context: typer.Context, inputs: list[str]) -> list[str]:
    """Values may begin with a minus; what begins with one and is no value or file is an option that does not exist."""
    from nnclassify.errors import suggestion

    for text in inputs:
        if text.startswith("-") and not _NEGATIVE.match(text) and not os.path.lexists(text):
            known = [name for parameter in context.command.params for name in parameter.opts if name[0] == "-"]
            hint = suggestion(text, known)
            raise InputError(f"{text}: no such option and no such file{hint}; see `nnclassify predict --help`")
    return inputs


_NEGATIVE = re.compile(r"-(\d|\.\d|inf|nan|$|,)", re.IGNORECASE)
"""The beginning of values whose first is negative; `-` alone and `-,1` are reported as values."""


@app.command(context_settings={"ignore_unknown_options": True})
def predict(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Pictures, folders, CSV or tensor files, or values such as -1.5,2,3.",
            callback=_not_options,
        ),
    ],
    run: Annotated[
        str | None,
        typer.Option(help="A run, a run folder or a checkpoint; left out, the newest.", autocompletion=_complete_run),
    ] = None,
    top_k: Annotated[int, typer.Option(min=1, help="Classes to name for each input.")] = 1,
    overrides: SetOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    as_csv: Annotated[
        bool,
        typer.Option(
            "--csv",
            help="Print CSV on stdout; a name that a spreadsheet would run as a formula starts with an apostrophe.",
        ),
    ] = False,
) -> None:
    """Predict the classes of inputs with a trained classifier."""
    if as_json and as_csv:
        raise InputError("--json and --csv: choose one")
    from nnclassify.inference.predict import CSV_KEYS
    from nnclassify.inference.predict import predict as predict_inputs

    classifier = _load(_find(run), device).overridden(overrides or [], allowed=["evaluation", *CSV_KEYS])
    if classifier.is_multi_hot and top_k > 1:
        raise InputError("--top-k: each class is predicted by itself (multi-hot targets); --json and --csv name all")
    predictions = list(predict_inputs(classifier, inputs, top_k, _note))
    _print_predictions(predictions, as_json=as_json, as_csv=as_csv)
    if any(prediction.error is not None for prediction in predictions):
        raise typer.Exit(InputError.exit_code)


def _print_predictions(predictions: list[Prediction], *, as_json: bool, as_csv: bool) -> None:
    """Print what was predicted, and on stderr why an input was not read."""
    from nnclassify.cli.text import predictions_csv, predictions_text

    errors = [prediction.error for prediction in predictions if prediction.error is not None]
    if as_json:
        print_json({"predictions": [prediction.figures() for prediction in predictions]})
    elif len(errors) < len(predictions):
        print(predictions_csv(predictions) if as_csv else predictions_text(predictions))
    for error in errors:
        _note(f"error: {error}")


@app.command("plots")
def draw_plots(
    run: RunArgument = None,
    overrides: SetOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Draw the plots of a run again: curves, confusion matrix, samples, mistakes, decision regions."""
    path = _find(run)
    from nnclassify.inference.plots.redraw import draw_again

    drawn = [str(plot) for plot in draw_again(path, overrides or [], device, _note)]
    if as_json:
        print_json({"run": str(path), "plots": drawn})
    else:
        print("\n".join(map(printable, drawn)))


@app.command()
def compare(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Runs, run folders or checkpoints.", autocompletion=_complete_run),
    ],
    plot: Annotated[Path | None, typer.Option(help="Where to draw the curves.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Put runs side by side: config differences, size, time, accuracies, curves."""
    if plot is not None and not (plot.name and plot.parent.is_dir() and (is_regular(plot) or look(plot) is None)):
        raise InputError(f"--plot {plot}: expected a file, such as curves.png, in a folder that exists")
    if plot is not None:
        from nnclassify.inference.plots.figures import format_of

        format_of(plot)  # before anything is read
    from nnclassify.cli.text import comparison_text
    from nnclassify.inference.compare import compare as compare_runs

    compared = compare_runs(runs, _note)
    if not as_json:
        print(comparison_text(compared))
    elif plot is None:
        print_json({"runs": [run.figures() for run in compared]})
        return
    from nnclassify.inference.plots.comparison import save_compared_curves
    from nnclassify.runs.folder import CHECKPOINTS

    path = plot or (CHECKPOINTS if CHECKPOINTS.is_dir() else Path()) / "compare.png"
    drawn = save_compared_curves(compared, path)
    if as_json:
        print_json({"runs": [run.figures() for run in compared], "curves": str(drawn)})
    else:
        print(f"\ncurves: {printable(str(drawn))}")

"""The command line: parse, call, print, exit code.

Commands import what they need when they run: `--help` and shell completion import neither torch nor matplotlib.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from nnclassify import __version__
from nnclassify.cli import (
    audit,
    export,
    init,
    learning_curve,
    lesson,
    predict,
    preview,
    receipt,
    runs,
    serve,
    summary,
    train,
    tune,
    use,
)
from nnclassify.cli.bug_report import report as report_bug
from nnclassify.cli.configs import configs_app
from nnclassify.cli.options import PRECEDENCE
from nnclassify.cli.printing import note, say
from nnclassify.cli.streams import output_failure
from nnclassify.errors import (
    InputError,
    Interrupted,
    NNClassifyError,
    SaveError,
    TrainingError,
    WorkerError,
    exhausted,
    one_line,
)
from nnclassify.files.python_source import described

USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
"""The base class of errors of usage: click's or, in newer releases of typer, of the copy of click in it."""

app = typer.Typer(
    name="nnclassify",
    help="Train, evaluate and use classifiers from one YAML file.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Start with: nnclassify train digits_cnn",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(epilog=PRECEDENCE)(train.train)
app.command()(init.init)
app.command(epilog=PRECEDENCE)(train.check)
app.command(epilog=PRECEDENCE)(audit.audit)
app.command()(train.explain)
app.command()(use.evaluate)
app.command(context_settings={"ignore_unknown_options": True})(predict.predict)
app.command("plots")(use.draw_plots)
app.command()(use.compare)
app.command()(use.report)
app.command()(export.export)
app.command(epilog=PRECEDENCE)(summary.summary)
app.command(epilog=PRECEDENCE)(preview.preview)
app.command("learning-curve", epilog=PRECEDENCE)(learning_curve.learning_curve)
app.command(epilog=PRECEDENCE)(tune.tune)
app.command()(lesson.lesson)
app.command("runs")(runs.list_runs)
app.command()(serve.serve)
app.command()(receipt.receipt)
app.command()(receipt.reproduce)
app.add_typer(configs_app, name="configs")


def main() -> None:
    """Run the command line, and exit with its exit code."""
    try:
        _refuse_files_like_options(sys.argv[1:])
        ended = app(standalone_mode=False)  # raises usage errors, which typer prints in four lines
        code = ended if isinstance(ended, int) else 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except USAGE_ERROR as error:
        code = _told_usage(error)
    except typer.Abort as aborted:  # in older releases of typer, Ctrl-C
        code = _ended_by(aborted.__cause__ or aborted)
    except BaseException as error:
        code = _ended_by(error)
    if (failure := output_failure()) is not None:
        note(f"error: standard output: not written ({one_line(failure)}); free space, or write to another disk")
        code = code or SaveError.exit_code
    sys.exit(code)


def _refuse_files_like_options(words: Sequence[str]) -> None:
    """Refuse a file such as `-data.csv`, which would be taken for the options `-d`, `-a` and so on.

    Raises:
        InputError: A word is such a file, and not the value of an option.
    """
    for before, word in itertools.pairwise(["", *words]):
        if word == "--":
            return
        if re.match(r"-[^-\d.]", word) and not before.startswith("-") and os.path.lexists(word):
            raise InputError(f"{word}: would be read as options; for the file, write ./{word}")


def _ended_by(error: BaseException) -> int:
    """Print the error that ended a command, one line per problem and never a traceback, and return the exit code."""
    if isinstance(error, NNClassifyError):
        if not _is_told_by_another(error):
            for line in error.lines:
                say(f"error: {line}")
        return error.exit_code
    if (limit := exhausted(error)) is not None:
        say(f"error: {limit}")
        return TrainingError.exit_code
    if isinstance(error, KeyboardInterrupt):
        note("interrupted")
        return 130
    if (raised := described(error)) is not None:  # in the forward pass of a user's own network or loss
        note(f"error: {raised}")
        return TrainingError.exit_code
    say(f"error: {report_bug(error)}")
    return 1


def _told_usage(error: Any) -> int:
    """Print what is wrong with a command line, or the help that it asks for by giving no arguments."""
    message, command = error.format_message(), error.ctx
    if command is None:
        note(f"error: {message.rstrip('.')}")
    elif message == command.get_help():
        error.show()
    else:
        path = command.command_path
        note(f"error: {path}: {message.rstrip('.')} (see {path} -h)")
    return InputError.exit_code


def _is_told_by_another(error: NNClassifyError) -> bool:
    """Return whether another process says why this one ends: the first of the run or, before they have met, the first
    on this machine, which has the same config."""
    has_met = isinstance(error, WorkerError | Interrupted)
    return os.environ.get("RANK" if has_met else "LOCAL_RANK", "0") != "0"


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

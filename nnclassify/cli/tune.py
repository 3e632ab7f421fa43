"""The command `tune`: search for the values of a config that give the best validation figure."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from nnclassify.cli.options import UNCHANGED, Changes, ConfigArgument, JsonOption, TrustOption, takes_options
from nnclassify.cli.printing import print_result
from nnclassify.cli.streams import is_terminal
from nnclassify.errors import InputError, Interrupted, TrainingError, printable
from nnclassify.process import from_launcher

if TYPE_CHECKING:
    from nnclassify.config.run_config import LoadedConfig
    from nnclassify.tune.result import TuneResult
    from nnclassify.tune.study import Study


@takes_options
def tune(
    config: ConfigArgument,
    changes: Changes = UNCHANGED,
    trials: Annotated[
        int,
        typer.Option(
            "--trials", min=1, max=100_000, metavar="N", help="Number of trials in the study, earlier ones included."
        ),
    ] = 30,
    study: Annotated[
        str | None, typer.Option("--study", metavar="NAME", help="Name of the study. Default: <name>-tune.")
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune/--no-prune", help="Stop trials early that are worse than most others.")
    ] = True,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw the plots of the study.")] = True,
    as_json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Search for better values of a config.

    The `search` section of the config, or search.KEY=RANGE, gives the ranges: search.optimizer.lr='{log: [1e-4, 1]}'.
    Trials are compared by the validation metric of `select_by`; the test split is not used. They are in
    checkpoints/<name>-tune/, with the best config, best.yaml. Started again, the command continues; started several
    times at once, the processes share the trials.
    """
    overrides = changes.gathered()
    _check(study)
    from nnclassify.config.run_config import load_config

    loaded = load_config(config, overrides)
    from nnclassify.tune.result import TuneResult, conclusions, write_result

    try:
        result = TuneResult.of(_searched(loaded, trials, study, prune=prune))
    except Interrupted as stop:
        raise Interrupted("interrupted; start the same command again to continue", stop.exit_code - 128) from stop
    write_result(result)
    if result.best is not None and plots:
        from nnclassify.tune.plots import save_tune_plots

        save_tune_plots(result)
    print_result(result.figures(), "tune", lambda: "\n".join(map(printable, conclusions(result))), as_json=as_json)
    _fail_if_all_failed(result)


def _check(study: str | None) -> None:
    """Check what the command needs before anything is read."""
    from nnclassify.settings import NAME_PATTERN  # imports pydantic, which `--help` does not need

    if find_spec("optuna") is None:
        raise InputError("tune: Optuna is not installed; run: pip install 'nnclassify[tune]'")
    if study is not None and not re.fullmatch(NAME_PATTERN, study):
        raise InputError(f"--study: found {study!r}, expected up to 100 letters, digits, dots, dashes or underscores")
    if from_launcher("WORLD_SIZE", 1) > 1:
        raise InputError("tune: started by torchrun; start the command several times instead, which share the trials")


def _searched(loaded: LoadedConfig, num_trials: int, name: str | None, *, prune: bool) -> Study:
    import optuna

    from nnclassify.cli.tune_progress import TrialBar, TrialLines
    from nnclassify.runs.folder import CHECKPOINTS
    from nnclassify.tune.search import search

    optuna.logging.set_verbosity(optuna.logging.ERROR)  # its messages are about the journal, not about the trials
    shown = TrialBar(num_trials) if is_terminal(sys.stderr) else TrialLines(num_trials)
    try:
        return search(loaded, num_trials, CHECKPOINTS, shown, name=name, prune=prune, note=shown.note)
    finally:
        shown.close()


def _fail_if_all_failed(result: TuneResult) -> None:
    """Raise a TrainingError if every trial that has ended has failed."""
    counts = result.counts()
    if counts["failed"] and not counts["completed"] + counts["pruned"]:
        from nnclassify.tune.study import outcome_of

        reason = next(outcome.error for trial in result.trials if (outcome := outcome_of(trial)) is not None)
        raise TrainingError(f"{result.study.folder.path}: all {counts['failed']} trials have failed: {reason}")

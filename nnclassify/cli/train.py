"""The commands `train` and `check`, which take a config, and `explain`, which describes a finding of `check`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnclassify.cli.group import resumed_group, started_group, train_group
from nnclassify.cli.options import (
    UNCHANGED,
    Changes,
    ConfigArgument,
    ConfigOrRunArgument,
    JsonOption,
    TrustOption,
    complete_run,
    takes_options,
)
from nnclassify.cli.printing import note, print_json, print_result
from nnclassify.cli.streams import has_color, is_terminal
from nnclassify.files.paths import check_new_folder

if TYPE_CHECKING:
    from nnclassify.config.run_config import LoadedConfig
    from nnclassify.run import RunResult
    from nnclassify.runs.folder import RunFolder


ResumedRunOption = Annotated[
    str | None,
    typer.Option("--run", metavar="RUN", help="With --resume: the run to continue.", autocompletion=complete_run),
]


SeedsOption = Annotated[
    str | None,
    typer.Option(
        "--seeds", metavar="N", help="Train N runs with different seeds, or one per seed of a list such as 0,3,7."
    ),
]
FoldsOption = Annotated[
    int | None,
    typer.Option(
        "--folds", min=2, metavar="N", help="Train one run per fold, with N folds: short for dataset.folds=N."
    ),
]


@takes_options
def train(
    config: ConfigOrRunArgument = None,
    changes: Changes = UNCHANGED,
    as_json: JsonOption = False,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw the plots of the run.")] = True,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Write report.html.")] = True,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the newest run that fits the config.")] = False,
    run: ResumedRunOption = None,
    seeds: SeedsOption = None,
    folds: FoldsOption = None,
    monitor: Annotated[bool, typer.Option("--monitor/--no-monitor", help="Warn when training goes wrong.")] = True,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Print the plan before training: data, network, device and execution.")
    ] = False,
    trust: TrustOption = False,
) -> None:
    """Train a classifier from a config into checkpoints/<name>/."""
    from nnclassify.cli.overrides import config_and_overrides

    config, words = config_and_overrides(config, changes.words, run, takes_run=resume)
    overrides = replace(changes, words=words).gathered(folds=None if folds is None else str(folds))
    train_run = partial(_trained, monitor=monitor, report=report, verbose=verbose, plots=plots)
    group = resumed_group(config, overrides, seeds, folds, is_run=run is not None) if resume else None
    if group is None:
        folder, loaded = _loaded(config, overrides, resume=resume, is_run=run is not None)
        group = started_group(loaded, seeds, folds) if folder is None else None
    if group is None:
        train_run(loaded, resume=folder, show=partial(_show, as_json=as_json, plots=plots))
    else:
        train_group(group, overrides if resume else [], train_run, as_json=as_json)


def _show(result: RunResult, *, as_json: bool, plots: bool) -> None:
    if as_json:
        print_json(result.figures(), "train")
    else:
        from nnclassify.cli.text import result_text

        print(result_text(result, plots))


def _loaded(
    config: str, changes: Sequence[str], *, resume: bool, is_run: bool
) -> tuple[RunFolder | None, LoadedConfig]:
    """Return the run to continue (None: start a new one) and the config."""
    from nnclassify.config.run_config import load_config
    from nnclassify.runs.resumable import resumable, resumable_run

    if not resume:
        return None, load_config(config, changes)
    return resumable_run(config, changes, note) if is_run else resumable(config, changes, note)


def _trained(
    loaded: LoadedConfig,
    *,
    resume: RunFolder | None,
    into: RunFolder | None = None,
    show: Callable[[RunResult], None] = lambda result: None,
    monitor: bool,
    report: bool,
    verbose: bool,
    plots: bool,
) -> None:
    """Train or continue a run, show its result and draw its plots."""
    from nnclassify.cli.introduction import Introduction
    from nnclassify.cli.progress import EpochLines, ProgressBar
    from nnclassify.run import save_run_plots, train_distributed

    at_terminal = is_terminal(sys.stderr)
    progress = ProgressBar() if at_terminal else EpochLines()
    say = progress.note if at_terminal or verbose else (lambda text: None)
    introduction = Introduction(say, verbose=verbose)
    result = train_distributed(
        loaded,
        resume=resume,
        into=into,
        note=progress.note,
        announce=introduction.announce,
        observers=[introduction, progress],
        with_monitor=monitor,
        with_report=report,
    )
    if result is None:
        return
    show(result)
    if plots:  # last, because plots take seconds: the results are printed even if drawing fails
        save_run_plots(result, note, redraw=not loaded.config.log)


@takes_options
def check(
    config: ConfigArgument,
    changes: Changes = UNCHANGED,
    as_json: JsonOption = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Print all findings, with explanations.")] = False,
    fix: Annotated[
        Path | None,
        typer.Option("--fix", metavar="OUT.yaml", help="Write a copy of the config with the changes that helped."),
    ] = None,
    lr_range: Annotated[
        Path | None, typer.Option("--lr-range", metavar="OUT.png", help="Plot the learning-rate range test.")
    ] = None,
    minutes: Annotated[
        float, typer.Option("--minutes", metavar="MINUTES", min=0.1, max=10_000, help="Time limit, in CPU time.")
    ] = 1.0,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Write check.json there, such as for the report of a run."),
    ] = None,
    trust: TrustOption = False,
) -> None:
    """Find out why a network does not learn.

    Prints the cause, the evidence, and the line of YAML to change.
    """
    overrides = changes.gathered()
    if out is not None:
        check_new_folder("--out", out)
    from nnclassify.diagnosis.command import check as check_config

    checked = check_config(config, overrides, fix, lr_range, minutes)
    if out is not None:
        checked.save(out)
    for text in checked.diagnosis.notes:
        note(text)
    as_text = partial(checked.text, verbose=verbose, color=has_color())
    print_result(checked.figures(), "check", as_text, as_json=as_json)
    raise typer.Exit(checked.exit_code)


def explain(
    finding: Annotated[str, typer.Argument(metavar="ID", help="A finding, such as NN201.")], as_json: JsonOption = False
) -> None:
    """Explain a finding of `check`, `audit` or `train`.

    Prints what it looks at, why it matters, what to do, and an example.
    """
    from nnclassify.diagnosis.pages import page_of, page_text

    page = page_of(finding)
    print_result(vars(page), "explain", lambda: page_text(page), as_json=as_json)

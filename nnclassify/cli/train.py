"""Commands that take a config: train it, check it, explain what was found.

Each imports what it needs when it runs: `--help` and the shell's completion load neither torch nor matplotlib.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nnclassify.cli.options import JsonOption, SetOption, complete_config
from nnclassify.cli.printing import note, print_json
from nnclassify.cli.streams import has_color


def train(
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG", help="A YAML file, a shipped config or a run.", autocompletion=complete_config
        ),
    ],
    overrides: SetOption = None,
    as_json: JsonOption = False,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw the plots of the run.")] = True,
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
    folder, loaded = resumable(config, changes, note) if resume else (None, load_config(config, changes))
    from nnclassify import run  # after the config is known to be right: torch is slow to import
    from nnclassify.cli.progress import EpochLines, Execution, ProgressBar
    from nnclassify.cli.text import result_text

    progress = ProgressBar() if sys.stderr.isatty() else EpochLines()
    looking = [Execution(note), progress] if verbose else [progress]
    result = run.train_with_others(loaded, folder, looking, progress.note, monitor)
    if result is None:
        return
    if as_json:
        print_json(result.figures())
    else:
        print(result_text(result, plots))
    if plots:  # last: they take seconds, and what was printed stays whatever becomes of them
        from nnclassify.run import save_run_plots

        save_run_plots(result, note)


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
    for text in checked.diagnosis.notes:
        note(text)
    if as_json:
        print_json(checked.state())
    else:
        print(checked.text(verbose=verbose, color=has_color()))
    raise typer.Exit(checked.exit_code)


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

"""Options and arguments that several commands share, and their shell completion."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from nnclassify.errors import NNClassifyError
from nnclassify.files import python_source, shipped


def complete_config(incomplete: str) -> list[str]:
    """Return the shipped configs that start with `incomplete`, for shell completion."""
    return [name for name in shipped.shipped_configs() if name.startswith(incomplete)]


def complete_run(incomplete: str) -> list[str]:
    """Return the runs that start with `incomplete`, for shell completion."""
    from nnclassify.runs.folder import runs

    with contextlib.suppress(NNClassifyError):  # a message would appear in the middle of the command line
        return [run.name for run in runs() if run.name.startswith(incomplete)]
    return []


def _allow_code(allowed: bool) -> bool:
    if allowed:
        python_source.trust()
    return allowed


JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout, and nothing else.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one value, such as optimizer.lr=0.1."),
]
RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        help="A run under checkpoints/, a run folder or a checkpoint file. Default: the newest run.",
        autocompletion=complete_run,
    ),
]
TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust", help="Run the Python code that the config or the checkpoint names or holds.", callback=_allow_code
    ),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
RunOption = Annotated[
    str | None,
    typer.Option("--run", metavar="RUN", help="Same as RUN; use one or the other.", autocompletion=complete_run),
]
ConfigArgument = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG",
        help="A YAML file, a shipped config, or your data: a folder or table.",
        autocompletion=complete_config,
    ),
]
ConfigOrRunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="CONFIG",
        help="A YAML file, a shipped config, your data (a folder or table); with --resume also a run.",
        autocompletion=complete_config,
    ),
]
Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Override values, such as optimizer.lr=0.1: the same as --set."),
]
RunWords = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Override values, such as evaluation.tta=mirror: the same as --set."),
]
EpochsOption = Annotated[str | None, typer.Option(metavar="N", help="Short for epochs=N.")]
LrOption = Annotated[str | None, typer.Option(metavar="LR", help="Short for optimizer.lr=LR.")]
SeedOption = Annotated[str | None, typer.Option(metavar="N", help="Short for seed=N.")]
BatchSizeOption = Annotated[str | None, typer.Option(metavar="N", help="Short for batch_size=N.")]
LabelOption = Annotated[
    str | None, typer.Option("--label", metavar="COLUMN", help="Label column of a table: short for dataset.label.")
]
DeviceKeyOption = Annotated[str | None, typer.Option(metavar="DEVICE", help="Short for device=DEVICE.")]
PRECEDENCE = (
    "KEY=VALUE, --set and the short options such as --lr override the config. "
    "If --set is repeated for a key, the last value is used; setting a key to different values in two forms is an "
    "error."
)
"""The last paragraph of the help of commands that take a config."""

"""Options and arguments that several commands have, and how the shell completes them."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from nnclassify.errors import NNClassifyError
from nnclassify.files import shipped


def complete_config(incomplete: str) -> list[str]:
    """The shipped configs that begin so, for the shell's completion."""
    return [name for name in shipped.shipped_configs() if name.startswith(incomplete)]


def complete_run(incomplete: str) -> list[str]:
    """The runs that begin so, for the shell's completion."""
    from nnclassify.runs.folder import runs

    with contextlib.suppress(NNClassifyError):  # a shell that completes a word is no place for messages
        return [run.name for run in runs() if run.name.startswith(incomplete)]
    return []


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
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
RunOption = Annotated[
    str | None,
    typer.Option("--run", metavar="RUN", help="The same as RUN; give one of the two.", autocompletion=complete_run),
]
ConfigArgument = Annotated[
    str,
    typer.Argument(metavar="CONFIG", help="A YAML file or a shipped config.", autocompletion=complete_config),
]
ConfigOrRunArgument = Annotated[
    str | None,
    typer.Argument(metavar="CONFIG", help="A YAML file, a shipped config or a run.", autocompletion=complete_config),
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
DeviceKeyOption = Annotated[str | None, typer.Option(metavar="DEVICE", help="Short for device=DEVICE.")]
PRECEDENCE = (
    "KEY=VALUE, --set and the short options such as --lr override the config. "
    "The last --set of a key counts; a key that two forms set to different values is an error."
)
"""What the help of a command that takes a config ends with."""

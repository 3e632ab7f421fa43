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


JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one value, such as optimizer.lr=0.1."),
]
RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="A run under checkpoints/, a run folder or a checkpoint file. Default: the newest run.",
        autocompletion=complete_run,
    ),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]

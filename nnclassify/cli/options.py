"""Options and arguments that several commands share, and their shell completion."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Any

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
RunWords = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Override values, such as evaluation.tta=mirror: the same as --set."),
]
LabelOption = Annotated[
    str | None, typer.Option("--label", metavar="COLUMN", help="Label column of a table: short for dataset.label.")
]
PRECEDENCE = (
    "KEY=VALUE, --set and the short options such as --lr override the config. "
    "If --set is repeated for a key, the last value is used; setting a key to different values in two forms is an "
    "error."
)
"""The last paragraph of the help of commands that take a config."""


@dataclass(frozen=True)
class Changes:
    """What a command line changes in a config: the options that `takes_changes` gives to a command."""

    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Override values, such as optimizer.lr=0.1: the same as --set."),
    ] = None
    overrides: SetOption = None
    epochs: Annotated[str | None, typer.Option(metavar="N", help="Short for epochs=N.")] = None
    lr: Annotated[str | None, typer.Option(metavar="LR", help="Short for optimizer.lr=LR.")] = None
    seed: Annotated[str | None, typer.Option(metavar="N", help="Short for seed=N.")] = None
    batch_size: Annotated[str | None, typer.Option(metavar="N", help="Short for batch_size=N.")] = None
    device: Annotated[str | None, typer.Option(metavar="DEVICE", help="Short for device=DEVICE.")] = None
    label: LabelOption = None

    def gathered(self, **more: str | None) -> list[str]:
        """Return the overrides in the order in which they apply, with more short options; see `overrides.gathered`."""
        from nnclassify.cli.overrides import gathered

        short = asdict(self)
        return gathered(short.pop("overrides"), short.pop("words"), **short, **more)


UNCHANGED = Changes()


def takes_changes(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command, in place of its parameter `changes`, the options and words of `Changes`."""
    options = inspect.signature(Changes, eval_str=True).parameters

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        command(changes=Changes(**{name: given.pop(name) for name in options}), **given)

    own = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for name, parameter in own.parameters.items():
        parameters += options.values() if name == "changes" else [parameter]
    vars(with_options)["__signature__"] = own.replace(parameters=parameters)  # what typer reads
    return with_options

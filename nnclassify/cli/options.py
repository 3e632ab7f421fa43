"""Options and arguments that several commands share, and their shell completion."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnclassify.cli.printing import note
from nnclassify.errors import NNClassifyError
from nnclassify.files import python_source, shipped

if TYPE_CHECKING:
    from nnclassify.inference.classifier import Classifier
    from nnclassify.inference.predict import Caution


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
    typer.Option("--set", metavar="KEY=VALUE", help="The same as KEY=VALUE. Repeatable."),
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
DeviceOption = Annotated[str, typer.Option("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps.")]
ConfigArgument = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG",
        help="A YAML file, a shipped config, or your data: a folder, a table or an .npz file.",
        autocompletion=complete_config,
    ),
]
ConfigOrRunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="CONFIG",
        help="A YAML file, a shipped config, or your data (folder, table or .npz file); with --resume, also a run.",
        autocompletion=complete_config,
    ),
]
RunWords = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Override values, such as evaluation.tta=mirror."),
]
RunsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="RUN", help="Runs, run folders or checkpoints.", autocompletion=complete_run),
]
RunsOption = Annotated[
    list[str] | None,
    typer.Option("--run", metavar="RUN", help="The same as RUN. Repeatable.", autocompletion=complete_run),
]
LabelOption = Annotated[
    str | None,
    typer.Option(
        "--label",
        metavar="COLUMN",
        help="Column of the labels in a table or a list of images: short for dataset.label.",
    ),
]
PRECEDENCE = (
    "KEY=VALUE, --set and the short options such as --lr override the config. "
    "If --set is repeated for a key, the last value is used; setting a key to different values in two forms is an "
    "error."
)
"""The last paragraph of the help of commands that take a config."""


@dataclass(frozen=True)
class Changes:
    """What a command line changes in a config: see `takes_options`."""

    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Override values, such as optimizer.lr=0.1."),
    ] = None
    overrides: SetOption = None
    epochs: Annotated[str | None, typer.Option("--epochs", metavar="N", help="Short for epochs=N.")] = None
    lr: Annotated[str | None, typer.Option("--lr", metavar="LR", help="Short for optimizer.lr=LR.")] = None
    seed: Annotated[str | None, typer.Option("--seed", metavar="N", help="Short for seed=N.")] = None
    batch_size: Annotated[str | None, typer.Option("--batch-size", metavar="N", help="Short for batch_size=N.")] = None
    device: Annotated[str | None, typer.Option("--device", metavar="DEVICE", help="Short for device=DEVICE.")] = None
    label: LabelOption = None

    def gathered(self, **more: str | None) -> list[str]:
        """Return the overrides in the order in which they apply, with more short options; see `overrides.gathered`."""
        from nnclassify.cli.overrides import gathered

        short = asdict(self)
        return gathered(short.pop("overrides"), short.pop("words"), **short, **more)


UNCHANGED = Changes()


@dataclass(frozen=True)
class ChosenRun:
    """The run that a command uses, and what is overridden in its config."""

    run: RunArgument = None
    words: RunWords = None
    overrides: SetOption = None
    run_option: Annotated[
        str | None,
        typer.Option(
            "--run", metavar="RUN", help="The same as RUN; use one or the other.", autocompletion=complete_run
        ),
    ] = None

    def found(self) -> tuple[Path, list[str]]:
        """Find the checkpoint, with a note if the name is ambiguous or left out; and return the overrides.

        Raises:
            InputError: Words are ambiguous or contradict each other.
            CheckpointError: There is no such run.
        """
        from nnclassify.cli.overrides import run_and_overrides

        run, changes = run_and_overrides(self.run, self.words, self.run_option, self.overrides)
        return find_run(run), changes


NEWEST_RUN = ChosenRun()


@dataclass(frozen=True)
class CautionOptions:
    """How cautious predictions are."""

    min_confidence: Annotated[
        float | None,
        typer.Option(
            "--min-confidence",
            metavar="P",
            help="Answer `unsure` where the predicted class has a lower probability, such as 0.8.",
        ),
    ] = None
    risk: Annotated[
        float | None,
        typer.Option(
            "--risk",
            metavar="R",
            help="Answer `unsure` so that at most this fraction of the other answers is wrong, such as 0.05.",
        ),
    ] = None
    sets: Annotated[
        float | None,
        typer.Option(
            "--sets",
            metavar="C",
            help="Also print sets of classes that contain the true class this often, such as 0.9.",
        ),
    ] = None

    def of(self, classifier: Classifier) -> Caution:
        """Return what this means for a network; see `Classifier.caution`."""
        return classifier.caution(self.min_confidence, self.risk, self.sets)


INCAUTIOUS = CautionOptions()


def find_run(run: str | None) -> Path:
    """Find the checkpoint of a run, with a note if the name is ambiguous or left out."""
    from nnclassify.runs.folder import find_checkpoint

    return find_checkpoint(run, note=note)


def load_noted(path: Path, device: str, overrides: Sequence[str], *, to_predict: bool = False) -> Classifier:
    """Load a classifier with other settings, with a note if its newest generation is damaged.

    Args:
        path: The checkpoint.
        device: auto, cpu, cuda, cuda:N or mps.
        overrides: `KEY=VALUE` each.
        to_predict: Whether the inputs are not those of its dataset, of which only the format of CSV files can be set.
    """
    from nnclassify.inference.classifier import Classifier
    from nnclassify.inference.predict import CSV_KEYS

    classifier = Classifier.load(path, device)
    for text in classifier.notes:
        note(text)
    return classifier.overridden(overrides, ["evaluation", *CSV_KEYS] if to_predict else ["dataset", "evaluation"])


def takes_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command, in place of each parameter whose type is a dataclass of options, the options of that class."""
    own = inspect.signature(command, eval_str=True)
    types = {name: parameter.annotation for name, parameter in own.parameters.items()}
    groups = {name: each for name, each in types.items() if isinstance(each, type) and is_dataclass(each)}
    options = {name: inspect.signature(group, eval_str=True).parameters for name, group in groups.items()}

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        chosen = {
            name: group(**{option: given.pop(option) for option in options[name]}) for name, group in groups.items()
        }
        command(**chosen, **given)

    parameters: list[inspect.Parameter] = []
    for name, parameter in own.parameters.items():
        parameters += options[name].values() if name in options else [parameter]
    vars(with_options)["__signature__"] = own.replace(parameters=parameters)  # what typer reads
    return with_options

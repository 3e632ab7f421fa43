"""The command `summary`: show the network of a config before training."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from nnclassify.cli.options import (
    UNCHANGED,
    Changes,
    JsonOption,
    TrustOption,
    complete_config,
    complete_run,
    takes_options,
)
from nnclassify.cli.printing import note, print_result
from nnclassify.errors import bytes_text

if TYPE_CHECKING:
    from nnclassify.training.summary import Summary


@takes_options
def summary(
    config: Annotated[
        str | None,
        typer.Argument(
            metavar="CONFIG",
            help="A YAML file, a shipped config, your data (a folder, a table or an .npz file), or a run.",
            autocompletion=complete_config,
        ),
    ] = None,
    changes: Changes = UNCHANGED,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="A run, in place of CONFIG.", autocompletion=complete_run),
    ] = None,
    as_json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Summarize the network of a config or a run.

    Prints its layers, output shapes, parameters, operations and memory, and how it would be executed.
    """
    from nnclassify.cli.overrides import config_and_overrides
    from nnclassify.runs.resumable import config_or_own

    config, words = config_and_overrides(config, changes.words, run, takes_run=True)
    loaded = config_or_own(config, replace(changes, words=words).gathered(), note, is_run=run is not None)
    from nnclassify.training.summary import summarize  # after the config is checked: torch is slow to import

    found = summarize(loaded)
    print_result(vars(found), "summary", lambda: _text(found), as_json=as_json)


def _text(found: Summary) -> str:
    from nnclassify.cli.table import table

    rows = [
        [layer.name, layer.kind, str(layer.output_shape), f"{layer.parameters:,}", f"{layer.multiply_adds:,}"]
        for layer in found.layers
    ]
    names = {"activations": f"activations of a batch of {found.batch_size} (estimated)"}
    held = {names.get(name, name): size for name, size in vars(found.memory).items()}
    return "\n".join(
        [
            table(["layer", "kind", "output shape", "parameters", "multiply-adds"], rows),
            "",
            f"parameters: {found.parameters:,}, {found.trainable_parameters:,} of them trainable",
            f"operations: {found.multiply_adds:,} multiply-adds per example (forward; matrix products, convolutions)",
            "memory: " + ", ".join(f"{name} {bytes_text(size)}" for name, size in held.items() if size),
            "plan: " + ", ".join(f"{name} {value}" for name, value in found.plan.items()),
        ]
    )

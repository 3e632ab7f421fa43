"""The command `summary`: show the network of a config before training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnclassify.cli.options import UNCHANGED, Changes, ConfigArgument, JsonOption, TrustOption, takes_options
from nnclassify.cli.printing import print_json
from nnclassify.errors import bytes_text

if TYPE_CHECKING:
    from nnclassify.training.summary import Summary


@takes_options
def summary(
    config: ConfigArgument,
    changes: Changes = UNCHANGED,
    as_json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Summarize the network of a config.

    Prints its layers, output shapes, parameters, operations and memory, and how it would be executed.
    """
    from nnclassify.config.run_config import load_config

    loaded = load_config(config, changes.gathered())
    from nnclassify.training.summary import summarize  # after the config is checked: torch is slow to import

    found = summarize(loaded)
    if as_json:
        print_json(vars(found), "summary")
    else:
        print(_text(found))


def _text(found: Summary) -> str:
    from nnclassify.cli.table import table

    rows = [
        [layer.name, layer.kind, str(layer.output_shape), f"{layer.parameters:,}", f"{layer.multiply_adds:,}"]
        for layer in found.layers
    ]
    memory = found.memory
    held = {
        "parameters": memory.parameters,
        "gradients": memory.gradients,
        "optimizer": memory.optimizer,
        "average": memory.average,
        f"activations of a batch of {found.batch_size} (estimated)": memory.activations,
    }
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

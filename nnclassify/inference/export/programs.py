"""The network as a program of torch.export, which the forms torch and onnx are made of."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from nnclassify.errors import ModelError, one_line
from nnclassify.inference.export.about import Comparison, Export, about
from nnclassify.inference.export.network import ExportedNetwork, Takes, exported_network

FREE_SIZE = 37
"""A height and width of the example images, which no size of a network is likely to equal."""
METADATA = "nnclassify.json"
"""The entry of a `.pt2` file that holds its metadata."""


def program_of(export: Export) -> ExportedProgram:
    """Return the network as a program that takes any number of examples.

    Raises:
        ModelError: torch.export does not support the network.
    """
    taken = export.examples.taken
    network = exported_network(export.classifier, taken)
    free = {0: Dim.DYNAMIC} | {place + 1: Dim.DYNAMIC for place, size in enumerate(taken.shape) if size is None}
    return traced(network, example_inputs(taken), free, "torch")


def traced(network: ExportedNetwork, inputs: Tensor, free: Mapping[int, object], form: str) -> ExportedProgram:
    """Trace a network.

    Args:
        network: The network.
        inputs: Example inputs.
        free: The dimensions of the inputs that may change.
        form: The form that it is for, for messages.

    Raises:
        ModelError: torch.export does not support the network.
    """
    try:
        with quiet(), torch.no_grad():
            return torch.export.export(network, (inputs,), dynamic_shapes={"inputs": free})
    except Exception as cause:  # a user's own network may do anything
        raise ModelError(
            f"--to {form}: torch.export does not support the network ({one_line(cause)}); its forward must not "
            "branch on the values of tensors"
        ) from cause


def example_inputs(taken: Takes) -> Tensor:
    """Return two inputs of zeros."""
    return torch.zeros(
        2, *(FREE_SIZE + place if size is None else size for place, size in enumerate(taken.shape)), dtype=taken.dtype
    )


def quiet() -> warnings.catch_warnings[None]:
    """Silence the warnings of torch's exporters about their own internals."""
    return warnings.catch_warnings(action="ignore")


def write_program(export: Export, path: Path) -> None:
    """Write a `.pt2` file.

    Raises:
        ModelError: torch.export does not support the network.
    """
    with quiet():
        torch.export.save(program_of(export), path, extra_files={METADATA: json.dumps(about(export))})


def compare_program(export: Export, path: Path) -> Comparison:
    """Load a `.pt2` file and compare it with the classifier.

    Raises:
        InputError: It gives other answers.
    """
    comparison = Comparison(export, "torch")
    with quiet(), torch.no_grad():
        network = torch.export.load(path, extra_files={METADATA: ""}).module()
        for batch in export.examples.batches:
            for count in {1, len(batch.inputs)}:
                probabilities, predictions = network(batch.inputs[:count])
                comparison.add(probabilities, predictions, batch, count)
    return comparison

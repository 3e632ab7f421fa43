"""The weights in a safetensors file, with all that is needed to use them in its metadata."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch

from nnclassify.config.run_config import RunConfig
from nnclassify.inference.export.about import Comparison, Export, about
from nnclassify.inference.export.network import exported_network

SHIFT, SCALE = "transform.shift", "transform.scale"
"""The names of the two tensors that normalize raw inputs: `(raw - shift) / scale`."""
NETWORK = "network."
"""The beginning of the names of the weights."""


def write_weights(export: Export, path: Path) -> None:
    """Write a safetensors file."""
    from safetensors.torch import save_file

    classifier = export.classifier
    tensors = {
        f"{NETWORK}{name}": tensor.contiguous().clone() for name, tensor in classifier.model.state_dict().items()
    }
    tensors |= {SHIFT: classifier.transform.shift.contiguous(), SCALE: classifier.transform.scale.contiguous()}
    shape = list(classifier.transform.input_shape)
    told = json.dumps(about(export) | {"num_outputs": classifier.loss_fn.num_outputs, "input_shape": shape})
    save_file(tensors, path, {"format": "pt", "license": export.license or "not stated", "nnclassify": told})


def compare_weights(export: Export, path: Path) -> Comparison:
    """Build the network anew from the file alone, and compare it with the classifier.

    Raises:
        InputError: It gives other answers.
    """
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        told = json.loads(file.metadata()["nnclassify"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    config = RunConfig.model_validate(told["config"])
    model = config.model.build(tuple(told["input_shape"]), told["num_outputs"]).to(export.classifier.placement.dtype)
    model.load_state_dict({name.removeprefix(NETWORK): t for name, t in tensors.items() if name.startswith(NETWORK)})
    transform = replace(export.classifier.transform, shift=tensors[SHIFT], scale=tensors[SCALE])
    rebuilt = replace(export.classifier, config=config, model=model.eval(), transform=transform)
    network = exported_network(rebuilt, export.examples.taken)
    comparison = Comparison(export, "safetensors")
    with torch.no_grad():
        for batch in export.examples.batches:
            probabilities, predictions = network(batch.inputs)
            comparison.add(probabilities, predictions, batch, len(batch.inputs))
    return comparison

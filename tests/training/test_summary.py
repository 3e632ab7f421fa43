"""Tests of `nnclassify summary` against counts by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nnclassify.config.run_config import load_config
from nnclassify.training.summary import Summary, summarize


def summary_of(folder: Path, text: str) -> Summary:
    (folder / "run.yaml").write_text(f"{text}\nprecision: float32\nthreads: 1\nepochs: 1\n")
    return summarize(load_config(str(folder / "run.yaml")))


def rows(summary: Summary, *kinds: str) -> list[tuple[Any, ...]]:
    """Kind, output shape of an example, parameters and multiply-adds of the layers of some kinds."""
    return [
        (layer.kind, layer.output_shape[1:], layer.parameters, layer.multiply_adds)
        for layer in summary.layers
        if layer.kind in kinds
    ]


def test_an_mlp(tmp_path: Path) -> None:
    config = "dataset: iris\nmodel: {name: mlp, hidden: [5]}\noptimizer: {name: adam, lr: 0.1}\nbatch_size: 8\nema: 0.9"
    config += "\ndevice: cpu"
    found = summary_of(tmp_path, config)
    assert [(layer.kind, layer.output_shape) for layer in found.layers] == [
        ("Linear", (8, 5)), ("ReLU", (8, 5)), ("Linear", (8, 3)),
    ]  # fmt: skip
    assert rows(found, "Linear") == [("Linear", (5,), 4 * 5 + 5, 4 * 5), ("Linear", (3,), 5 * 3 + 3, 5 * 3)]
    assert (found.parameters, found.trainable_parameters, found.multiply_adds) == (43, 43, 35)
    memory = found.memory
    assert (memory.parameters, memory.gradients, memory.average) == (4 * 43, 4 * 43, 4 * 43)
    assert memory.optimizer == 4 * (2 * 43 + 4)  # two averages per parameter, a step per tensor
    assert memory.activations == 4 * 8 * (5 + 5 + 3)
    assert found.plan["execution"] == "eager" and found.plan["device"] == "cpu"


def test_a_cnn_with_batch_norm(tmp_path: Path) -> None:
    block = "{channels: 6, kernel: 3, padding: same, pool: max, batch_norm: true}"
    config = (
        f"dataset: {{name: digits, limit: 100}}\nmodel: {{name: cnn, blocks: [{block}], hidden: []}}\nbatch_size: 16"
    )
    found = summary_of(tmp_path, f"{config}\noptimizer: {{name: sgd, lr: 0.1}}\ndevice: cpu")
    assert rows(found, "Conv2d", "BatchNorm2d", "MaxPool2d", "Linear") == [
        ("Conv2d", (6, 8, 8), 9 * 6 + 6, 9 * 6 * 64),
        ("BatchNorm2d", (6, 8, 8), 2 * 6, 0),
        ("MaxPool2d", (6, 4, 4), 0, 0),
        ("Linear", (10,), 96 * 10 + 10, 96 * 10),
    ]
    assert found.parameters == 60 + 12 + 970 and found.multiply_adds == 9 * 6 * 64 + 960
    buffers = 4 * 2 * 6 + 8  # running mean and variance, and a count of batches in 64 bits
    assert (found.memory.parameters, found.memory.optimizer) == (4 * 1042 + buffers, 0)
    # Convolution and norm; pool, ReLU, and the flattened copy of what lies in channels_last; the last layer.
    assert found.memory.activations == 4 * 16 * (2 * 384 + 3 * 96 + 10)


def test_a_resnet(tmp_path: Path) -> None:
    model = "{name: resnet, width: 4, stages: [1, 1]}"
    found = summary_of(tmp_path, f"dataset: {{name: digits, limit: 100}}\nmodel: {model}\nbatch_size: 16\ndevice: cpu")
    convolutions = [(4, 8, 9 * 1), (4, 8, 9 * 4), (4, 8, 9 * 4), (8, 4, 9 * 4), (8, 4, 9 * 8), (8, 4, 4)]
    assert rows(found, "Conv2d") == [
        ("Conv2d", (channels, size, size), channels * weights, channels * weights * size * size)
        for channels, size, weights in convolutions
    ]
    assert found.multiply_adds == sum(row[3] for row in rows(found, "Conv2d", "Linear"))
    assert found.parameters == sum(layer.parameters for layer in found.layers)

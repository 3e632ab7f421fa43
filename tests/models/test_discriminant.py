"""Tests of the linear discriminant, and of linear models that start as it."""

from __future__ import annotations

import pytest
import torch
from builders import config_of
from torch import Tensor

from nnclassify.errors import ConfigError, ModelError
from nnclassify.models.discriminant import RIDGE, directions, discriminant
from nnclassify.models.layers import MAX_SCORE, discriminate
from nnclassify.models.mlp import Mlp
from nnclassify.training.build import build_components

START = {"name": "mlp", "hidden": [], "init": "discriminant"}


def test_of_many_columns_an_equation_for_each_example_gives_the_same_directions() -> None:
    """The identity of Woodbury against the inverse itself."""
    generator = torch.Generator().manual_seed(0)
    apart, means = (torch.randn(rows, 30, generator=generator, dtype=torch.float64) for rows in (20, 3))
    within = apart.T @ apart / 20
    within += torch.eye(30) * RIDGE * within.diagonal().mean()
    expected = torch.linalg.inv(within) @ means.T
    assert torch.allclose(directions(apart, means), expected)


def test_a_linear_model_starts_as_the_discriminant_of_its_normalized_inputs() -> None:
    components = build_components(config_of(dataset="wine", model=START))
    train = components.splits.train
    raw, targets = train.select(torch.arange(len(train)))
    inputs: Tensor = components.transform(raw, torch.float64)
    weights, offsets = discriminant(inputs.clone(), targets, 3)
    outputs = components.model.double()(inputs)
    expected = inputs @ weights + offsets
    expected *= min(1.0, MAX_SCORE / float(expected.abs().max()))
    torch.testing.assert_close(outputs, expected, atol=1e-4, rtol=1e-4)
    assert (outputs.argmax(dim=1) == targets).double().mean() > 0.98


def test_a_class_that_is_not_in_the_sample_starts_as_a_rare_one() -> None:
    network = Mlp(init="discriminant").build((2,), 3)  # type: ignore[arg-type]
    discriminate(network, lambda: [(torch.eye(2).repeat(4, 1), torch.tensor([0, 1] * 4))])
    assert network(torch.eye(2)).argmax(dim=1).tolist() == [0, 1]
    assert network(torch.eye(2)).abs().max().item() == pytest.approx(MAX_SCORE)  # all examples of a class are the same


@pytest.mark.parametrize(
    "model",
    [
        {**START, "hidden": [4]},
        {"name": "mlp", "hidden": [{"units": 4, "init": "discriminant"}]},
        {**START, "name": "cnn", "blocks": [{"channels": 2}]},
    ],
)
def test_it_is_for_models_without_hidden_layers(model: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="found discriminant, which is for an mlp without hidden layers"):
        config_of(dataset="digits", model=model)


def test_it_needs_an_output_per_class() -> None:
    with pytest.raises(ModelError, match="one output per class"):
        build_components(config_of(dataset="breast_cancer", model=START, loss="bce_with_logits"))

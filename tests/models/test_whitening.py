"""Tests of whitening weights: the covariance of the outputs is the identity."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from builders import config_of
from pydantic import TypeAdapter
from torch import Tensor, nn

from nnclassify.errors import ModelError
from nnclassify.models import AnyModel
from nnclassify.training.build import build_components

EXACT = {"name": "whitening", "eps": 1e-9}


def images() -> Tensor:
    """Two hundred, their channels mixed and shifted."""
    noise = torch.randn(200, 2, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.einsum("ij,njhw->nihw", torch.tensor([[3.0, 1.0], [0.5, 0.2]], dtype=torch.float64), noise) + 4


def whitened(inputs: Tensor, **model: Any) -> nn.Module:
    settings: Any = TypeAdapter(AnyModel).validate_python(model)
    network: nn.Module = settings.build(tuple(inputs.shape[1:]), 3).double()
    settings.fit(network, lambda: ((batch, torch.zeros(len(batch))) for batch in inputs.split(64)))
    return network


def covariance(columns: Tensor) -> Tensor:
    """Of `(M, F)`, `(F, F)`."""
    return torch.cov(columns.T, correction=0)


def test_a_convolution_whitens_its_patches() -> None:
    block = {"channels": 16, "kernel": 2, "init": EXACT, "batch_norm": False}
    conv = whitened(images(), name="cnn", blocks=[block]).get_submodule("block_0_conv")
    outputs = conv(images()).detach().permute(0, 2, 3, 1).flatten(0, 2)
    torch.testing.assert_close(covariance(outputs)[:8, :8], torch.eye(8, dtype=torch.float64), atol=1e-5, rtol=0)
    assert torch.equal(conv.get_parameter("weight")[8:], -conv.get_parameter("weight")[:8])
    assert [parameter.requires_grad for parameter in conv.parameters()] == [False, True]


def test_a_later_layer_whitens_what_it_is_given() -> None:
    inputs = images()[:, :, 0, 0]
    network = whitened(inputs, name="mlp", hidden=[5, {"units": 6, "init": EXACT}], activation="tanh")
    assert isinstance(network, nn.Sequential)
    outputs = network[:3](inputs).detach()[:, :3]  # hidden_0_linear, hidden_0_activation, hidden_1_linear
    torch.testing.assert_close(covariance(outputs), torch.eye(3, dtype=torch.float64), atol=1e-5, rtol=0)


def test_eps_shrinks_the_directions_of_little_variance() -> None:
    inputs = torch.tensor(
        [[-3.0, 0.0], [3.0, 0.0], [0.0, 0.1], [0.0, -0.1]], dtype=torch.float64
    )  # variances 4.5, 0.005
    network = whitened(inputs, name="mlp", hidden=[{"units": 4, "init": {"name": "whitening", "eps": 0.5}}])
    weight = network.get_parameter("hidden_0_linear.weight").detach().abs()
    torch.testing.assert_close(weight[0], torch.tensor([1 / 5**0.5, 0.0], dtype=torch.float64))
    torch.testing.assert_close(weight[1], torch.tensor([0.0, 1 / 0.505**0.5], dtype=torch.float64))


@pytest.mark.parametrize("channels", [7, 18])
def test_units_that_make_no_pairs_are_refused(channels: int) -> None:
    with pytest.raises(ModelError, match=r"^model.blocks.1st: init whitening with \d+ units of 8 inputs each; .* 16: "):
        whitened(images(), name="cnn", blocks=[{"channels": channels, "kernel": 2, "init": "whitening"}])


def test_parts_whiten_over_the_training_examples() -> None:
    components = build_components(config_of(model={"name": "mlp", "hidden": [{"units": 4, "init": EXACT}]}))
    train = components.splits.train
    inputs = components.transform(train.inputs[train.indices], torch.float64).float()
    outputs = components.model.get_submodule("hidden_0_linear")(inputs).detach()[:, :2]
    torch.testing.assert_close(covariance(outputs), torch.eye(2), atol=1e-4, rtol=0)

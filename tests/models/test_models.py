"""Tests of the networks: a shape that does not fit is rejected before training, with the layer and both shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from builders import trainer_of
from pydantic import TypeAdapter
from torch import nn
from torch.nn import functional

from nnclassify.config.reference import families
from nnclassify.errors import ModelError
from nnclassify.models import AnyModel
from nnclassify.models.cnn import Block, Cnn, shape_after
from nnclassify.models.layers import Dropout, check_forward


def build(num_outputs: int = 3, shape: tuple[int, ...] = (3, 8, 8), **model: Any) -> torch.nn.Module:
    network: torch.nn.Module = TypeAdapter(AnyModel).validate_python(model).build(shape, num_outputs)
    return network


def test_mlp_layers_follow_the_yaml() -> None:
    hidden = [5, {"units": 4, "activation": "tanh", "dropout": 0.5, "batch_norm": True}]
    network = build(shape=(2,), name="mlp", hidden=hidden, output="sigmoid")
    assert list(dict(network.named_children())) == [
        "hidden_0_linear",
        "hidden_0_activation",
        "hidden_1_linear",
        "hidden_1_norm",
        "hidden_1_activation",
        "hidden_1_dropout",
        "output_linear",
        "output_activation",
    ]
    assert sum(parameter.numel() for parameter in network.parameters()) == (2 * 5 + 5) + (5 * 4 + 4) + 8 + (4 * 3 + 3)


@pytest.mark.parametrize(
    ("init", "check"),
    [
        ("zeros", lambda w: (w == 0).all()),
        ({"name": "constant", "value": 0.3}, lambda w: (w == 0.3).all()),
        ({"name": "uniform", "bound": 0.01}, lambda w: w.abs().max() <= 0.01 and w.std() > 0.004),
        ({"name": "normal", "std": 0.5}, lambda w: abs(w.std() - 0.5) < 0.02),
        ("kaiming_normal", lambda w: abs(w.std() - (2 / 100) ** 0.5) < 0.01),
        ("xavier_uniform", lambda w: w.abs().max() <= (6 / 200) ** 0.5),
    ],
)
def test_init(init: Any, check: Any) -> None:
    network = build(100, (100,), name="mlp", init=init)
    assert check(network.get_parameter("output_linear.weight").detach())
    assert (network.get_parameter("output_linear.bias") == 0).all()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            {"name": "cnn", "blocks": [{"channels": 2, "kernel": 9}]},
            r"model.blocks.1st: kernel 9 on \(3, 8, 8\) leaves",
        ),
        ({"name": "cnn", "blocks": [{"channels": 2, "padding": "same", "stride": 2}]}, "padding 'same' with stride 2"),
        ({"name": "torchvision", "architecture": "resnet19"}, "did you mean 'resnet18'"),
    ],
)
def test_a_network_that_cannot_be_is_refused(model: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build(**model)


@pytest.mark.parametrize("hidden", [[2**31 - 1, 2**31 - 1], [2**31 - 1, 100_000]])
def test_a_network_larger_than_any_memory_is_refused_before_it_is_built(hidden: list[int]) -> None:
    with pytest.raises(
        ModelError, match=r"^model: (2.15e\+14 parameters need 1.72e\+06 GB|cannot be built \(.*147483)"
    ):
        build(name="mlp", hidden=hidden)


def test_a_network_larger_than_this_machines_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnclassify.models.base.available_memory", lambda: 8 * (192 * 3 + 3) - 1)
    with pytest.raises(ModelError, match=r"^model: 579 parameters need 4.63e-06 GB for weights and gradients, and"):
        build(name="mlp")
    monkeypatch.setattr("nnclassify.models.base.available_memory", lambda: 8 * (192 * 3 + 3))
    assert build(name="mlp").get_parameter("output_linear.weight").shape == (3, 192)


@pytest.mark.slow
def test_a_image_size_that_a_network_does_not_take_is_refused() -> None:
    network = build(shape=(3, 32, 32), name="torchvision", architecture="alexnet")
    with pytest.raises(ModelError, match=r"model: layer features.\d+ \(MaxPool2d\) does not accept inputs of shape"):
        check_forward(network, torch.zeros(2, 3, 32, 32), 3)


def test_an_input_that_no_layer_has_seen_is_refused_in_good_english() -> None:
    class Picky(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            assert inputs.shape[-1] == 224, "wrong height"
            return inputs

    with pytest.raises(ModelError, match=r"^model: the network does not accept inputs of shape \(2, 32\)"):
        check_forward(Picky(), torch.zeros(2, 32), 3)


def test_batch_norm_in_a_hidden_layer_needs_two_examples() -> None:
    with pytest.raises(ModelError, match="batch_size: found 1 with batch norm in a hidden layer"):
        trainer_of(model={"name": "mlp", "hidden": [4], "batch_norm": True}, batch_size=1)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_same_padding_is_torchs_for_odd_and_even_kernels(kernel: int) -> None:
    block = Block(channels=2, kernel=kernel, padding="same", batch_norm=False, activation="none")
    network = Cnn(blocks=[block]).network((3, 9, 7), 2)
    conv = network.get_submodule("block_0_conv")
    assert isinstance(conv, nn.Conv2d)
    images = torch.randn(2, 3, 9, 7, generator=torch.Generator().manual_seed(0))
    padded = network.get_submodule("block_0_pad")(images) if kernel % 2 == 0 else images
    expected = functional.conv2d(images, conv.weight, conv.bias, padding="same")
    assert torch.allclose(conv(padded), expected, atol=1e-6)


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_dirac_copies_its_inputs(kernel: int) -> None:
    block = {"channels": 5, "kernel": kernel, "padding": "same", "bias": False, "batch_norm": False, "init": "dirac"}
    network = build(name="cnn", blocks=[{**block, "activation": "none"}])
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    padded = network.get_submodule("block_0_pad")(images) if kernel == 2 else images
    outputs = network.get_submodule("block_0_conv")(padded)
    assert torch.equal(outputs[:, :3], images)
    assert outputs[:, 3:].std() > 0.1  # the other channels start as ever


def test_every_option_of_a_block_and_of_the_output() -> None:
    pooled = {"channels": 4, "padding": "same", "bias": False, "pool": "max", "pool_after": "convolution"}
    last = {"channels": 6, "padding": "same", "pool": "avg", "pool_size": 3, "batch_norm": False}
    norm = {"scale": False, "momentum": 0.4, "eps": 1e-12}
    network = build(
        name="cnn", blocks=[pooled, last], norm=norm, activation="gelu", output_bias=False, output_scale=0.25
    )
    names = ["conv", "pool", "norm", "activation"]
    assert list(dict(network.named_children()))[:4] == [f"block_0_{name}" for name in names]
    conv, pool, batch_norm = (network.get_submodule(f"block_0_{name}") for name in names[:3])
    assert isinstance(batch_norm, nn.BatchNorm2d)
    assert (batch_norm.eps, batch_norm.momentum, batch_norm.weight.requires_grad) == (1e-12, 0.4, False)
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = functional.gelu(batch_norm(functional.max_pool2d(conv(images), 2)))
    found = functional.avg_pool2d(functional.gelu(network.get_submodule("block_1_conv")(found)), 3).flatten(1)
    expected = found @ network.get_parameter("output_linear.weight").T * 0.25
    assert found.shape == (2, 6) and "output_linear.bias" not in dict(network.named_parameters())
    assert isinstance(pool, nn.MaxPool2d)
    torch.testing.assert_close(network.train()(images), expected)


@pytest.mark.parametrize(
    ("options", "hidden", "output"),
    [
        ({}, None, None),
        ({"init": "xavier_uniform"}, 0, 0),
        ({"bias_init": 0.5}, 0.5, 0.5),
        ({"bias_init": 0}, 0, 0),
        ({"init": "xavier_uniform", "bias_init": "default"}, None, None),
        ({"output_bias_init": -2}, None, -2),
        ({"bias_init": 3, "output_bias_init": "default"}, 3, None),
    ],
)
def test_biases_start_at_what_is_asked(options: dict[str, Any], hidden: float | None, output: float | None) -> None:
    """None: torch's own, which are small, and never all alike."""
    block = {"channels": 5, "batch_norm": False}
    network = build(name="cnn", blocks=[block], hidden=[7], **options)
    for name, start in (("block_0_conv", hidden), ("hidden_0_linear", hidden), ("output_linear", output)):
        bias = network.get_parameter(f"{name}.bias").detach()
        assert (bias == start).all() if start is not None else 0 < bias.std() < 0.5


def test_biases_that_start_elsewhere_leave_the_weights_as_they_are() -> None:
    networks = []
    choices: list[dict[str, Any]] = [{}, {"bias_init": 0.5, "output_bias_init": "default"}]
    for options in choices:
        torch.manual_seed(0)
        networks.append(build(name="mlp", hidden=[5, 4], init="kaiming_normal", **options))
    for name, parameter in networks[0].named_parameters():
        assert torch.equal(parameter, networks[1].get_parameter(name)) == name.endswith("weight")


def test_relu_before_max_pooling_is_the_same_after_it() -> None:
    blocks = [{"channels": 4, "batch_norm": False, "pool": "max"}]
    network = Cnn.model_validate({"name": "cnn", "blocks": blocks}).build((2, 9, 9), 3)
    assert [name for name, _ in network.named_children()][:3] == ["block_0_conv", "block_0_pool", "block_0_activation"]
    images = torch.randn(5, 2, 9, 9).round(decimals=1)  # a round number is often there twice
    conv = network.get_submodule("block_0_conv")
    as_written = functional.max_pool2d(functional.relu(conv(images)), 2)
    found = nn.Sequential(*list(network.children())[:3])(images)
    weight = conv.get_parameter("weight")
    gradients = [torch.autograd.grad(outputs.square().sum(), weight)[0] for outputs in (found, as_written)]
    assert torch.equal(found, as_written) and torch.equal(*gradients)


@pytest.mark.parametrize("head", ["average", "max"])
def test_a_head_pools_each_channel_over_the_image(head: str) -> None:
    network = build(shape=(3, 5, 4), name="cnn", blocks=[{"channels": 6}], head=head).eval()
    images = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    features = network.get_submodule("block_0_activation")(
        network.get_submodule("block_0_norm")(network.get_submodule("block_0_conv")(images))
    ).flatten(2)
    pooled = features.mean(dim=2) if head == "average" else features.max(dim=2).values
    linear = network.get_submodule("output_linear")
    assert isinstance(linear, nn.Linear) and linear.in_features == 6
    torch.testing.assert_close(network(images), linear(pooled))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "timm")) for name in families()["model"]]
)
def test_dropout_on_outputs_acts_in_training_alone(name: str, files: Path, trusted: None) -> None:
    options: dict[str, Any] = {
        "cnn": {"blocks": [{"channels": 2}]},
        "timm": {"architecture": "test_resnet"},
        "python": {"file": str(files / "user.py"), "class": "Net"},
    }
    torch.manual_seed(0)
    network = build(shape=(3, 32, 32), output_dropout=0.5, output="sigmoid", name=name, **options.get(name, {}))
    inputs = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert (network.train()(inputs) == 0.5).any()  # a zeroed output, through the sigmoid
    assert not (network.eval()(inputs) == 0.5).any()
    assert "output_dropout" in dict(network.named_children())


def test_the_output_scale_comes_before_the_activation_of_any_model() -> None:
    network = build(shape=(2,), name="mlp", output="sigmoid", output_scale=2.0)
    inputs = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    expected = torch.sigmoid(2 * network.get_submodule("output_linear")(inputs))
    torch.testing.assert_close(network(inputs), expected)


def test_the_cifar_cnn_ends_in_200_features() -> None:
    blocks = [Block(channels=16, kernel=4, pool="max"), Block(channels=8, kernel=4, pool="avg")]
    assert shape_after((), blocks[1], shape_after((), blocks[0], (3, 32, 32))) == (8, 5, 5)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keeps_its_share_and_the_mean(p: float) -> None:
    torch.manual_seed(0)
    inputs = torch.ones(1001, 101, requires_grad=True)
    outputs = Dropout(p)(inputs)
    outputs.sum().backward()
    kept = outputs != 0
    assert abs(float(kept.double().mean()) - (1 - p)) < 5 * (p * (1 - p) / inputs.numel()) ** 0.5  # five deviations
    torch.testing.assert_close(outputs[kept], torch.full_like(outputs[kept], 1 / (1 - p)))
    assert inputs.grad is not None and torch.equal(inputs.grad, outputs)


@pytest.mark.parametrize("p", [0.0, 1e-12, 1 - 1e-12, 1.0])
def test_dropout_at_its_ends_keeps_all_or_nothing(p: float) -> None:
    outputs = Dropout(p)(torch.ones(100))
    assert (outputs != 0).double().mean() == round(1 - p)
    assert torch.equal(Dropout(p).eval()(torch.ones(9)), torch.ones(9))

"""Tests of cifar_fast against an independent training loop, written from the paper (Jordan, 2024, arXiv:2404.00498).

Whitening, flips, views and slow weights each have tests by hand beside their modules; here they work together.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nnclassify.config.run_config import load_config
from nnclassify.training.build import Components, build_components, build_trainer
from nnclassify.training.trainer import Trainer

BATCH, STEPS = 4, 12
KILOSTEP = 1024 * (1 + 1 / (1 - 0.85))
"""What the paper's rates for 1024 examples are divided by: a momentum of 0.85 with Nesterov's step."""
LR, DECAY = 11.5 / KILOSTEP, 0.0153 * BATCH / KILOSTEP


class PaperNet(nn.Module):
    """Figure 1 of the paper, with whitening and convolutions given."""

    def __init__(self, weights: list[Tensor]) -> None:
        super().__init__()
        self.whiten_bias = nn.Parameter(torch.zeros(24))
        self.register_buffer("whiten", weights[0])
        self.convs = nn.ParameterList(nn.Parameter(weight) for weight in weights[1:7])
        self.shifts = nn.ParameterList(nn.Parameter(torch.zeros(len(weight))) for weight in weights[1:7])
        self.head = nn.Parameter(weights[7])

    def forward(self, images: Tensor) -> Tensor:
        """`(N, 3, 32, 32)` to `(N, 10)`."""
        values = functional.gelu(functional.conv2d(images, self.get_buffer("whiten"), self.whiten_bias))
        for place, (conv, bias) in enumerate(zip(self.convs, self.shifts, strict=True)):
            values = functional.conv2d(values, conv, padding=1)
            if place % 2 == 0:
                values = functional.max_pool2d(values, 2)
            mean, variance = values.mean((0, 2, 3)), values.var((0, 2, 3), correction=0)
            values = (values - mean[:, None, None]) / (variance + 1e-12).sqrt()[:, None, None] + bias[:, None, None]
            values = functional.gelu(values)
        return functional.max_pool2d(values, 3).flatten(1) @ self.head.T / 9


def paper_training(net: PaperNet, batches: list[tuple[Tensor, Tensor]], bias_steps: int) -> dict[str, Tensor]:
    """Triangular rates, Nesterov's momentum, decays apart from the rates, slow weights; returns those."""
    momenta = {name: torch.zeros_like(weight) for name, weight in net.named_parameters()}
    slow = copy.deepcopy(dict(net.named_parameters()))
    for step, (images, targets) in enumerate(batches):
        factor = np.interp(step, [0, 0.23 * STEPS, STEPS], [0.2, 1, 0.07])
        wanted = functional.one_hot(targets, 10) * 0.8 + 0.02
        loss = -(wanted * net(images).log_softmax(1)).sum()
        gradients = torch.autograd.grad(loss, list(net.parameters()))
        with torch.no_grad():
            for (name, weight), gradient in zip(net.named_parameters(), gradients, strict=True):
                if name == "whiten_bias" and step >= bias_steps:
                    continue
                lr = LR * (64 if name.startswith("shifts") else 1)
                pull = gradient + DECAY / lr * weight
                momenta[name] = 0.85 * momenta[name] + pull
                weight.sub_(factor * lr * (pull + 0.85 * momenta[name]))
            if (step + 1) % 5 == 0:
                kept = 0.95**5 * ((step + 1) / STEPS) ** 3
                for name, weight in net.named_parameters():
                    slow[name].mul_(kept).add_((1 - kept) * weight)
                    weight.copy_(slow[name])
    return {name: weight.detach() for name, weight in slow.items()}


@pytest.fixture
def built(here: Path) -> tuple[Components, Trainer]:
    """The shipped config over 12 random images, 3 batches an epoch."""
    rng = np.random.default_rng(0)
    np.save("inputs.npy", rng.integers(0, 256, (3 * BATCH, 3, 32, 32), dtype=np.uint8))
    np.save("targets.npy", np.arange(3 * BATCH) % 10)
    files = "{name: tensors, train_inputs: inputs.npy, train_targets: targets.npy, test: 0, validation: 0"
    changes = [
        "dataset=" + files + ", augment: {flip: alternate, crop: 2}}",
        *(f"batch_size={BATCH}", f"epochs={STEPS // 3}", "precision=float32", "compile=off"),
        *(f"optimizer.lr={1.5 * BATCH / 1024}", f"optimizer.weight_decay={0.001996 * BATCH / 1024}"),
    ]
    components = build_components(load_config("cifar_fast", ["device=cpu", *changes]).config)
    return components, build_trainer(components)


def test_the_network_is_the_papers(built: tuple[Components, Trainer]) -> None:
    model = built[0].model
    sizes = [tuple(layer.weight.shape) for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    widths = [(24, 64), (64, 64), (64, 256), (256, 256), (256, 256), (256, 256)]
    assert sizes == [(24, 3, 2, 2), *((after, before, 3, 3) for before, after in widths)]
    assert model.get_parameter("output_linear.weight").shape == (10, 256)
    learned = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert 1.96e6 < learned < 1.98e6  # "1.97 million parameters"
    images = torch.randn(2, 64, 15, 15)
    assert torch.equal(model.get_submodule("block_2_conv")(images), images)


@pytest.mark.slow
def test_training_is_the_papers(built: tuple[Components, Trainer]) -> None:
    components, trainer = built
    weights = [value.detach().clone() for value in components.model.parameters() if value.ndim > 1]
    epochs = range(1, STEPS // 3 + 1)
    batches = [pair for epoch in epochs for chunk in trainer.train_batches.epoch(epoch) for pair in chunk]
    expected = paper_training(PaperNet(weights), batches, bias_steps=9)
    trainer.fit()
    found = dict(trainer.evaluated_model().named_parameters())
    names = {"whiten_bias": "block_0_conv.bias", "head": "output_linear.weight"}
    names |= {f"convs.{place}": f"block_{place + 1}_conv.weight" for place in range(6)}
    names |= {f"shifts.{place}": f"block_{place + 1}_norm.bias" for place in range(6)}
    assert expected.keys() == names.keys()
    for theirs, ours in names.items():
        start = dict(PaperNet(weights).named_parameters())[theirs]
        moved = (expected[theirs] - start).norm()
        assert moved > 0 and (found[ours] - expected[theirs]).norm() < 0.02 * moved, ours

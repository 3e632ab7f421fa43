"""What somebody who knows PyTorch would write for one job: a script with a bare loop, from start to end."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


def main(folder: Path) -> None:
    """Train the network in `folder` on the arrays beside it, and print its test accuracy."""
    options = json.loads((folder / "options.json").read_text())
    shift, scale, model = torch.load(folder / "parts.pt", weights_only=False)

    def data(name: str) -> tuple[Tensor, Tensor]:
        inputs = torch.from_numpy(np.load(folder / f"{name}_inputs.npy"))
        targets = torch.from_numpy(np.load(folder / f"{name}_targets.npy"))
        return ((inputs - shift) / scale).float(), targets

    (inputs, targets), (test_inputs, test_targets) = data("train"), data("test")
    optimizer = _optimizer(model, options["optimizer"])
    for _ in range(options["epochs"]):
        for rows in torch.randperm(len(inputs)).split(options["batch_size"]):
            loss = _loss(options["loss"], model(inputs[rows]), targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        outputs = torch.cat([model(batch) for batch in test_inputs.split(1000)])
    threshold = 0.0 if options["loss"] == "bce_with_logits" else 0.5
    predictions = outputs[:, 0] > threshold if outputs.shape[1] == 1 else outputs.argmax(1)
    print(float((predictions == test_targets).double().mean()))


def _optimizer(model: nn.Module, options: dict[str, Any]) -> torch.optim.Optimizer:
    rate = options["lr"]
    if options["name"] == "sgd":
        momentum, nesterov = options["momentum"], options["nesterov"]
        return torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum, nesterov=nesterov)
    kind = torch.optim.Adam if options["name"] == "adam" else torch.optim.AdamW
    return kind(model.parameters(), lr=rate)


def _loss(name: str, outputs: Tensor, targets: Tensor) -> Tensor:
    if name == "bce":
        return functional.binary_cross_entropy(outputs[:, 0], targets.float())
    if name == "bce_with_logits":
        return functional.binary_cross_entropy_with_logits(outputs[:, 0], targets.float())
    if name == "mse":
        return functional.mse_loss(outputs, functional.one_hot(targets, outputs.shape[1]).float())
    return functional.cross_entropy(outputs, targets)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

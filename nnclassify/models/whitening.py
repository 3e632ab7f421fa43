"""Weights that whiten a layer's inputs: set from the training examples, before anything is learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from nnclassify.models.base import Sample


@torch.no_grad()
def whiten(network: nn.Module, name: str, sample: Sample, eps: float) -> None:
    """Set the weights of the layer of that name, of a network of layers one after another, in place.

    Rows are the eigenvectors of the covariance of the layer's inputs (of a convolution: of its patches), each over
    the root of its eigenvalue plus `eps`, the largest first; then the same with the other sign (Jordan, 2024,
    arXiv:2404.00498, section 3.2, after Page, 2019).
    """
    layer = network.get_submodule(name)
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    was_training = network.training
    covariance = _covariance(network.eval(), name, layer, sample)
    network.train(was_training)
    eigenvalues, eigenvectors = torch.linalg.eigh(covariance)  # ascending; eigenvectors are columns
    filters = (eigenvectors / (eigenvalues.clamp(min=0) + eps).sqrt()).T.flip(0)[: len(layer.weight) // 2]
    layer.weight.copy_(torch.cat([filters, -filters]).reshape(layer.weight.shape))


def _covariance(network: nn.Module, name: str, layer: nn.Linear | nn.Conv2d, sample: Sample) -> Tensor:
    """Covariance `(F, F)` of what the layer sees at each of its positions, in float64, on the CPU."""
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for batch in sample():
        inputs = batch
        for child_name, child in network.named_children():
            if child_name == name:
                break
            inputs = child(inputs)
        if isinstance(layer, nn.Conv2d):
            assert not isinstance(layer.padding, str)  # ours are in pixels
            patches = functional.unfold(inputs, layer.kernel_size, padding=layer.padding, stride=layer.stride)
            inputs = patches.transpose(1, 2).flatten(0, 1)
        columns = inputs.cpu().double()
        count, total, squares = count + len(columns), total + columns.sum(dim=0), squares + columns.T @ columns
    mean = total / count
    return squares / count - torch.outer(mean, mean)

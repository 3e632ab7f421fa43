"""Loads weights into a network, after a comparison."""

from __future__ import annotations

from torch import Tensor, nn


def check_weights(network: nn.Module, weights: dict[str, Tensor]) -> None:
    """Check that weights fit a network.

    Raises:
        ValueError: Names, shapes or number types differ.
    """
    own = network.state_dict()
    if differing := sorted(own.keys() ^ weights.keys()):
        raise ValueError(f"{differing[0]}: a weight that only one of the two models has")
    for name, tensor in own.items():
        found = weights[name]
        if (found.shape, found.dtype) != (tensor.shape, tensor.dtype):
            raise ValueError(
                f"{name}: {found.dtype} of shape {tuple(found.shape)}; expected {tensor.dtype}, {tuple(tensor.shape)}"
            )


def load_weights(network: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load weights into a network.

    Raises:
        ValueError: As for `check_weights`.
    """
    check_weights(network, weights)
    network.load_state_dict(weights)

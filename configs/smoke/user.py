"""A network and a loss of the user's own: see model_python.yaml and loss_python.yaml."""

import math

from torch import Tensor, nn


class Net(nn.Module):
    """A hidden layer."""

    def __init__(self, input_shape: tuple[int, ...], num_classes: int, width: int = 16) -> None:
        super().__init__()
        self.hidden = nn.Linear(math.prod(input_shape), width)
        self.last = nn.Linear(width, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map `(N, *input_shape)` to `(N, num_classes)`."""
        outputs: Tensor = self.last(self.hidden(inputs.flatten(1)).relu())
        return outputs


def smooth(outputs: Tensor, targets: Tensor, amount: float = 0.1) -> Tensor:
    """Cross-entropy with label smoothing: outputs `(N, K)` and targets `(N,)` to one loss per example, `(N,)`."""
    return nn.functional.cross_entropy(outputs, targets, reduction="none", label_smoothing=amount)

"""A network with one hidden layer."""

from torch import nn


class Net(nn.Module):
    """32 ReLU units, and an output per class."""

    def __init__(self, input_shape, num_classes):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(input_shape[0], 32), nn.ReLU(), nn.Linear(32, num_classes))

    def forward(self, x):
        """Compute the outputs, `(N, K)`."""
        return self.layers(x)

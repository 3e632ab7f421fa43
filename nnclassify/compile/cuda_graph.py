"""Training steps as a CUDA graph: captured once, then replayed, several steps per launch.

A small network's step consists of a few dozen kernels of microseconds each, and the CPU takes longer to launch a
kernel than the GPU to run it. The captured step is the eager one, with learning rates read from GPU memory (see
`optim/rates.py`). It needs no compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nnclassify.errors import DeviceError, one_line

Results = tuple[Tensor, Tensor]
Step = Callable[[Tensor, Tensor, Tensor], Results]
"""Function of (inputs `(B, ...)`, targets `(B,)`, rates `(R,)`) that updates the network in place and returns
outputs `(B, num_outputs)` and losses `(B,)`."""
Steps = Callable[[tuple[Tensor, ...]], Results]
"""Function of these arguments of several steps, stacked, that returns their results, concatenated."""


@dataclass
class CudaGraphSteps:
    """A CUDA graph of several training steps.

    Attributes:
        step: The function for one step, on tensors with fixed addresses.
        group_size: Number of steps per replay; smaller groups are replayed step by step.
        device: The CUDA device.
        is_exact: False, since some CUDA kernels add in a varying order.
    """

    step: Step
    group_size: int
    device: torch.device
    _seen: set[int] = field(default_factory=set, init=False)
    _replayed: dict[int, Steps] = field(default_factory=dict, init=False)

    is_exact = False

    def run(self, inputs: Tensor, targets: Tensor, rates: Tensor) -> Results:
        """Take N steps, with the shapes of `CompiledSteps.run`; does not synchronize.

        Raises:
            DeviceError: The step cannot be captured; no tensor was changed.
        """
        size = self.group_size if len(inputs) == self.group_size else 1
        parts = list(zip(inputs.split(size), targets.split(size), rates.split(size), strict=True))
        # Capture at the second call: in the first, libraries create plans and workspaces, which cannot be
        # captured.
        if size in self._seen and size not in self._replayed:
            self._replayed[size] = captured(self._steps, parts[0], self.device)
        self._seen.add(size)
        take = self._replayed.get(size, self._steps)
        return joined([take(part) for part in parts])

    def set_aside(self, reason: str) -> str:
        """Return an empty text: a captured graph ends with its process, so there is nothing to record."""
        return ""

    def _steps(self, given: tuple[Tensor, ...]) -> Results:
        return joined([self.step(*of_step) for of_step in zip(*given, strict=True)])


def captured(steps: Steps, given: tuple[Tensor, ...], device: torch.device) -> Steps:
    """Capture steps without taking them; return the function that replays them with values of the same shapes.

    Raises:
        DeviceError: The steps cannot be captured.
    """
    places = tuple(values.clone() for values in given)
    # torch raises many exceptions, and all of them mean the same here.
    try:
        replay, (outputs, losses) = capture(lambda: steps(places), device)
    except Exception as cause:
        raise DeviceError(f"compile: this step cannot be captured as a CUDA graph ({one_line(cause)})") from cause

    def replayed(given: tuple[Tensor, ...]) -> Results:
        for place, values in zip(places, given, strict=True):
            place.copy_(values)
        replay()
        return outputs.clone(), losses.clone()  # the next replay overwrites them

    return replayed


def capture(work: Callable[[], Results], device: torch.device) -> tuple[Callable[[], None], Results]:
    """Capture `work` without running it; return the function that replays its kernels, and the tensors of its
    results."""
    graph = torch.cuda.CUDAGraph()
    # Use a new stream: torch's own stays on the first device that ever captured a graph. With `thread_local`,
    # other threads may use the GPU during the capture.
    stream = torch.cuda.Stream(device)
    with torch.cuda.device(device), torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        found = work()
    return graph.replay, found


def joined(results: list[Results]) -> Results:
    """Concatenate the outputs and losses of several steps."""
    outputs, losses = zip(*results, strict=True)
    return torch.cat(outputs), torch.cat(losses)

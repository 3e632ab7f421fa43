"""Training steps as a CUDA graph: recorded once, then replayed in one launch, several steps a replay.

A small network's step is a few dozen kernels of microseconds each, and the CPU takes longer to launch one than the GPU
to run it. What is recorded is the eager step, at learning rates that it reads from memory (`optim/rates.py` has what
that takes). No compiler is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nnclassify.errors import DeviceError, one_line

Results = tuple[Tensor, Tensor]
Step = Callable[[Tensor, Tensor, Tensor], Results]
"""(inputs `(B, ...)`, targets `(B,)`, rates `(R,)`) to outputs `(B, num_outputs)` and losses `(B,)`; changes the
network in place."""


class CapturedSteps:
    """Several training steps in one replay.

    Attributes:
        step: One step, over tensors that stay where they are.
        group_size: Steps of a replay; fewer are replayed one by one.
        device: A CUDA device.
        is_exact: Not all of CUDA's kernels add in the same order each time.
    """

    is_exact = False

    def __init__(self, step: Step, group_size: int, device: torch.device) -> None:
        self.step = step
        self.group_size = group_size
        self.device = device
        self._seen: set[int] = set()
        self._recordings: dict[int, Recording] = {}

    def run(self, inputs: Tensor, targets: Tensor, rates: Tensor) -> Results:
        """Take N steps, of the shapes that `CompiledSteps.run` names; does not synchronize.

        Raises:
            DeviceError: The step cannot be recorded; nothing was changed.
        """
        size = self.group_size if len(inputs) == self.group_size else 1
        parts = list(zip(inputs.split(size), targets.split(size), rates.split(size), strict=True))
        # The first time, libraries make plans and workspaces, which cannot be recorded; the second, before any step.
        if size in self._seen and size not in self._recordings:
            self._recordings[size] = Recording.of(self._steps, parts[0], self.device)
        self._seen.add(size)
        take = self._recordings[size].run if size in self._recordings else self._steps
        return joined([take(part) for part in parts])

    def set_aside(self, reason: str) -> str:
        """Nothing is kept of a recording: it ends with its process."""
        return ""

    def _steps(self, given: tuple[Tensor, ...]) -> Results:
        return joined([self.step(*of_step) for of_step in zip(*given, strict=True)])


@dataclass(frozen=True)
class Recording:
    """What was recorded once, at fixed places of the GPU's memory.

    Attributes:
        given: Where it reads.
        found: Where it writes.
        replay: Runs it.
    """

    given: tuple[Tensor, ...]
    found: Results
    replay: Callable[[], None]

    @classmethod
    def of(
        cls, steps: Callable[[tuple[Tensor, ...]], Results], given: tuple[Tensor, ...], device: torch.device
    ) -> Recording:
        """Record steps; none is taken.

        Raises:
            DeviceError: They cannot be recorded.
        """
        places = tuple(values.clone() for values in given)
        # Whatever cannot be recorded, there is one thing to do about it.
        try:
            replay, found = record(lambda: steps(places), device)
        except Exception as cause:
            raise DeviceError(f"compile: this step cannot be captured as a CUDA graph ({one_line(cause)})") from cause
        return cls(places, found, replay)

    def run(self, given: tuple[Tensor, ...]) -> Results:
        """Replay over values of the same shapes."""
        for place, values in zip(self.given, given, strict=True):
            place.copy_(values)
        self.replay()
        outputs, losses = self.found
        return outputs.clone(), losses.clone()  # the next replay writes over them


def record(work: Callable[[], Results], device: torch.device) -> tuple[Callable[[], None], Results]:
    """A function that runs the kernels of some work again, and where they leave its results; none is run yet."""
    graph = torch.cuda.CUDAGraph()
    # torch's own stream for recording lies on the first device that ever recorded. Other threads may use the GPU
    # meanwhile: only this one's forbidden calls end the recording.
    stream = torch.cuda.Stream(device)
    with torch.cuda.device(device), torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        found = work()
    return graph.replay, found


def joined(results: list[Results]) -> Results:
    """Outputs and losses of steps, one after another."""
    outputs, losses = zip(*results, strict=True)
    return torch.cat(outputs), torch.cat(losses)

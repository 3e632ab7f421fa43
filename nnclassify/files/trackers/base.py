"""What all trackers share: the settings class that opens a log, and the log of one run.

A run is logged at most once per epoch, whatever stops it: a log that is opened again is brought to the epochs of the
checkpoint that the run continues from. Most logs are written again from the history; where a tool cannot forget, only
what it lacks is added, since a resumed run repeats the same epochs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal

from nnclassify.settings import Settings

Outcome = Literal["finished", "failed", "interrupted"]
"""How a run has ended."""


@dataclass(frozen=True)
class Epoch:
    """The figures of one epoch.

    Attributes:
        number: The number of the epoch, from 1.
        figures: Finite numbers by name, such as `train/loss`.
        names: The names of all figures, the same in every epoch: a loss need not be finite.
    """

    number: int
    figures: Mapping[str, float]
    names: Sequence[str]


@dataclass(frozen=True)
class LoggedRun:
    """A run to log.

    Attributes:
        folder: The run folder.
        id: The identity of the run, which it keeps when it is resumed.
        name: The name of the run; for a run of a group, after the name of the group.
        group: The name of its group; None for a run of its own.
        parameters: The resolved config, by dotted key.
    """

    folder: Path
    id: str
    name: str
    group: str | None
    parameters: Mapping[str, Any]

    def plain_parameters(self) -> dict[str, str | int | float | bool]:
        """Return the parameters; what is no number and no switch as text."""
        return {
            key: value if isinstance(value, str | int | float | bool) else str(value)
            for key, value in self.parameters.items()
        }


class Log(ABC):
    """The open log of one run."""

    @abstractmethod
    def add(self, epochs: Sequence[Epoch]) -> None:
        """Log epochs that follow those before."""

    @abstractmethod
    def finish(self, results: Mapping[str, float], plots: Sequence[Path], last: int) -> None:
        """Log the results of a run and its plots.

        Args:
            results: Finite numbers by name, such as `result/test/accuracy`.
            plots: The images, PNG files.
            last: The number of the last epoch.
        """

    @abstractmethod
    def close(self, outcome: Outcome) -> None:
        """Write what is not written yet, and let go of files and processes."""


class Tracker(Settings):
    """A tool that a run is logged with."""

    package: ClassVar[str | None] = None
    """The package that it needs, which is also the name of the extra; None: none."""

    def missing(self) -> str | None:
        """Return the package that is not installed; None if nothing is missing."""
        return None if self.package is None or find_spec(self.package) is not None else self.package

    @abstractmethod
    def open(self, run: LoggedRun) -> Log:
        """Open the log of a run, whose epochs so far are then added."""

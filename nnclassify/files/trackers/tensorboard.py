"""A run in TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from nnclassify.files.trackers.base import Epoch, Log, LoggedRun, Outcome, Tracker

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Tensorboard(Tracker):
    """Event files in the folder `tensorboard` of the run. `tensorboard --logdir checkpoints` shows all runs."""

    name: Literal["tensorboard"] = "tensorboard"
    package: ClassVar[str | None] = "tensorboard"

    def open(self, run: LoggedRun) -> Log:
        """Write the event files again from the history; a TensorBoard that has read the earlier ones forgets them."""
        from torch.utils.tensorboard import SummaryWriter

        folder = run.folder / "tensorboard"
        for earlier in folder.glob("events.out.tfevents.*"):
            earlier.unlink()
        return _Events(SummaryWriter(str(folder), purge_step=0), run)


class _Events(Log):
    def __init__(self, writer: SummaryWriter, run: LoggedRun) -> None:
        self.writer = writer
        self.run = run

    def add(self, epochs: Sequence[Epoch]) -> None:
        """Log epochs that follow those before."""
        for epoch in epochs:
            for name, value in epoch.figures.items():
                self.writer.add_scalar(name, value, epoch.number)
        self.writer.flush()

    def finish(self, results: Mapping[str, float], plots: Sequence[Path], last: int) -> None:
        """Log the results and the plots."""
        import numpy as np
        from PIL import Image

        for path in plots:
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
            self.writer.add_image(f"plots/{path.stem}", pixels, last, dataformats="HWC")
        self.writer.add_hparams(self.run.plain_parameters(), dict(results), run_name=".")

    def close(self, outcome: Outcome) -> None:
        """Write what is not written yet, and let go of it."""
        self.writer.close()

"""A run in Weights & Biases."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from nnclassify.files.trackers.base import Epoch, Log, LoggedRun, Outcome, Tracker

Name = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^/\\#?%:]+$")]


class Wandb(Tracker):
    """A run of Weights & Biases, in the folder `wandb` of the run. It is not sent anywhere; `wandb sync` does that."""

    name: Literal["wandb"] = "wandb"
    package: ClassVar[str | None] = "wandb"
    project: Name = "nnclassify"
    """The project that the run belongs to."""
    entity: Name | None = None
    """The user or team that the project belongs to. Default: that of the account."""
    mode: Literal["offline", "online"] = "offline"
    """Whether to write files only, or to send the run while it trains."""

    def open(self, run: LoggedRun) -> Log:
        """Continue the run with the same identity; its files are written again unless they have been sent."""
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        for earlier in (run.folder / "wandb").glob(f"offline-run-*-{run.id}"):
            if not any(earlier.glob("*.synced")):
                shutil.rmtree(earlier)
        settings = wandb.Settings(
            silent=True,
            console="off",
            symlink=False,
            disable_git=True,
            disable_code=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_disable_machine_info=True,
            x_save_requirements=False,
        )
        opened = wandb.init(
            project=self.project,
            entity=self.entity,
            id=run.id,
            name=run.name,
            group=run.group,
            config=dict(run.parameters),
            dir=run.folder,
            mode=self.mode,
            resume="allow" if self.mode == "online" else None,
            reinit="create_new",
            settings=settings,
        )
        return _Run(opened)


class _Run(Log):
    def __init__(self, run: Any) -> None:
        self.run = run

    def add(self, epochs: Sequence[Epoch]) -> None:
        """Log epochs that follow those before."""
        for epoch in epochs:
            if epoch.number >= self.run.step:  # an online run may have these epochs
                self.run.log(dict(epoch.figures), step=epoch.number)

    def finish(self, results: Mapping[str, float], plots: Sequence[Path], last: int) -> None:
        """Log the results and the plots."""
        import wandb

        self.run.log({f"plots/{path.stem}": wandb.Image(str(path)) for path in plots}, step=last)
        self.run.summary.update(dict(results))

    def close(self, outcome: Outcome) -> None:
        """Write what is not written yet, and let go of it."""
        self.run.finish(exit_code=int(outcome != "finished"))

"""A run in Trackio."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from nnclassify.files.trackers.base import Epoch, Log, LoggedRun, Outcome, Tracker

ID_KEY = "nnclassify_run_id"


class Trackio(Tracker):
    """A run of Trackio, in its local store (`TRACKIO_DIR`). `trackio show` shows it."""

    name: Literal["trackio"] = "trackio"
    package: ClassVar[str | None] = "trackio"
    project: Annotated[str, Field(min_length=1, max_length=100)] = "nnclassify"
    """The project that the run belongs to."""
    space: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """A Space of Hugging Face to send the run to. Default: none, and nothing is sent."""

    def open(self, run: LoggedRun) -> Log:
        """Write the run again from the history."""
        import trackio

        with _network(allowed=self.space is not None):
            _remove(self.project, run)
            opened = trackio.init(
                self.project,
                name=run.name,
                group=run.group,
                space_id=self.space,
                config={**run.plain_parameters(), ID_KEY: run.id},
                embed=False,
                auto_log_cpu=False,
                auto_log_gpu=False,
            )
        return _Run(opened)


@contextmanager
def _network(*, allowed: bool) -> Iterator[None]:
    """Keep Trackio from sending the run where an environment variable says, and from asking who is logged in."""
    if allowed:
        yield
        return
    from unittest import mock

    from huggingface_hub import constants

    variables = {
        key: value for key, value in os.environ.items() if key not in ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")
    }
    with mock.patch.dict(os.environ, variables, clear=True), mock.patch.object(constants, "HF_HUB_OFFLINE", True):
        yield


def _remove(project: str, run: LoggedRun) -> None:
    """Remove the run with this identity from the local store."""
    import trackio
    from trackio.sqlite_storage import SQLiteStorage

    if SQLiteStorage.get_project_db_path(project).exists():
        for earlier in trackio.Api().runs(project):
            if earlier.name == run.name and (earlier.config or {}).get(ID_KEY) == run.id:
                earlier.delete()


class _Run(Log):
    def __init__(self, run: Any) -> None:
        self.run = run

    def add(self, epochs: Sequence[Epoch]) -> None:
        """Log epochs that follow those before."""
        for epoch in epochs:
            self.run.log(dict(epoch.figures), step=epoch.number)

    def finish(self, results: Mapping[str, float], plots: Sequence[Path], last: int) -> None:
        """Log the results and the plots."""
        import trackio

        images = {f"plots/{path.stem}": trackio.Image(path) for path in plots}
        self.run.log({**results, **images}, step=last)

    def close(self, outcome: Outcome) -> None:
        """Write what is not written yet, and let go of it."""
        import trackio

        finish: Any = trackio.finish  # it has no types
        finish()

"""A run in MLflow."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from nnclassify.files.lock import waiting_lock
from nnclassify.files.trackers.base import Epoch, Log, LoggedRun, Outcome, Tracker

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ID_TAG, GROUP_TAG, PARENT_TAG = "nnclassify.run_id", "nnclassify.group", "mlflow.parentRunId"
STATES: dict[Outcome, str] = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


class Mlflow(Tracker):
    """A run of MLflow, in a local SQLite file unless `uri` says otherwise. `mlflow ui` shows it. The runs of a group
    are the children of one run."""

    name: Literal["mlflow"] = "mlflow"
    package: ClassVar[str | None] = "mlflow"
    uri: Annotated[str, Field(min_length=1, max_length=4096)] = "sqlite:///mlflow.db"
    """The store, as `mlflow ui --backend-store-uri` takes it, or the address of a server."""
    experiment: Annotated[str, Field(min_length=1, max_length=200)] = "nnclassify"
    """The experiment that the run is added to."""

    def open(self, run: LoggedRun) -> Log:
        """Continue the run with the same identity, which keeps the epochs that it has, or create it."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of each table that it creates
        with _creation(self.uri):
            client = MlflowClient(self.uri)
            known = client.get_experiment_by_name(self.experiment)
            experiment = client.create_experiment(self.experiment) if known is None else known.experiment_id
        found = _tagged(client, experiment, ID_TAG, run.id)
        return _Run(client, _created(client, experiment, run) if found is None else found)


def _creation(uri: str) -> AbstractContextManager[None]:
    """Return a context in which other processes do not create the same tables: MLflow fails if two of them do."""
    _, is_file, path = uri.partition("sqlite:///")
    return waiting_lock(Path(f"{path}.lock")) if is_file else nullcontext()


def _tagged(client: MlflowClient, experiment: str, tag: str, value: str) -> Run | None:
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return next(iter(client.search_runs([experiment], f"tags.`{tag}` = '{quoted}'", max_results=1)), None)


def _created(client: MlflowClient, experiment: str, run: LoggedRun) -> Run:
    from mlflow.entities import Param

    tags = {ID_TAG: run.id, "nnclassify.folder": str(run.folder)}
    if run.group is not None:
        where = str(run.folder.parent.resolve())
        parent = _tagged(client, experiment, GROUP_TAG, where)
        if parent is None:
            parent = client.create_run(experiment, run_name=run.group, tags={GROUP_TAG: where})
            client.set_terminated(parent.info.run_id)
        tags[PARENT_TAG] = parent.info.run_id
    created = client.create_run(experiment, run_name=run.name, tags=tags)
    parameters = [Param(_allowed(key), str(value)[:6000]) for key, value in run.parameters.items()]
    for first in range(0, len(parameters), 100):  # the most that a request may have
        client.log_batch(created.info.run_id, params=parameters[first : first + 100])
    return created


def _allowed(key: str) -> str:
    """Return a key without the characters that MLflow refuses, such as those of a column's name."""
    return re.sub(r"[^\w./ -]", "_", key)[:250]


class _Run(Log):
    def __init__(self, client: MlflowClient, run: Run) -> None:
        self.client = client
        self.id = run.info.run_id
        self.results = {name for name in run.data.metrics if name.startswith("result/")}
        self.last = max((metric.step for metric in client.get_metric_history(self.id, "steps")), default=0)
        client.update_run(self.id, status="RUNNING")

    def add(self, epochs: Sequence[Epoch]) -> None:
        """Log epochs that follow those before."""
        lacking = [epoch for epoch in epochs if epoch.number > self.last]
        self._log((name, value, epoch.number) for epoch in lacking for name, value in epoch.figures.items())

    def finish(self, results: Mapping[str, float], plots: Sequence[Path], last: int) -> None:
        """Log the results and the plots."""
        self._log((name, value, last) for name, value in results.items() if name not in self.results)
        for path in plots:
            self.client.log_artifact(self.id, str(path), "plots")

    def close(self, outcome: Outcome) -> None:
        """Write what is not written yet, and let go of it."""
        self.client.set_terminated(self.id, STATES[outcome])

    def _log(self, figures: Iterable[tuple[str, float, int]]) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        metrics = [Metric(name, float(value), now, step) for name, value, step in figures]
        for first in range(0, len(metrics), 1000):  # the most that a request may have
            self.client.log_batch(self.id, metrics=metrics[first : first + 1000])

"""The tracker family: the tools besides the run folder that a run is logged with."""

from typing import Annotated

from pydantic import Field

from nnclassify.files.trackers.base import Epoch, Log, LoggedRun, Outcome, Tracker
from nnclassify.files.trackers.mlflow import Mlflow
from nnclassify.files.trackers.tables import CsvTables
from nnclassify.files.trackers.tensorboard import Tensorboard
from nnclassify.files.trackers.trackio import Trackio
from nnclassify.files.trackers.wandb import Wandb
from nnclassify.settings import ByName

AnyTracker = Annotated[Tensorboard | CsvTables | Mlflow | Wandb | Trackio, Field(discriminator="name"), ByName]

__all__ = ["AnyTracker", "Epoch", "Log", "LoggedRun", "Outcome", "Tracker"]

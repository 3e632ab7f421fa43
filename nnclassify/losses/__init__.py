"""The loss family: the loss functions, and the conversion of outputs to probabilities."""

from typing import Annotated

from pydantic import Field

from nnclassify.losses.functions import (
    Bce,
    BceWithLogits,
    CrossEntropy,
    Focal,
    Loss,
    Mse,
    Nll,
)
from nnclassify.losses.loss_function import MULTI_HOT_THRESHOLD, LossFunction, MultiHotLoss, multi_hot
from nnclassify.losses.python import PythonLoss
from nnclassify.settings import ByName

AnyLoss = Annotated[
    CrossEntropy | Nll | Bce | BceWithLogits | Mse | Focal | PythonLoss, Field(discriminator="name"), ByName
]

__all__ = [
    "MULTI_HOT_THRESHOLD",
    "AnyLoss",
    "Bce",
    "BceWithLogits",
    "CrossEntropy",
    "Loss",
    "LossFunction",
    "Mse",
    "MultiHotLoss",
    "multi_hot",
]

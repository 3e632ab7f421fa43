"""Prepares images as pretrained weights expect them, and says where a run prepares them differently."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from nnclassify.config.run_config import RunConfig
from nnclassify.data import AnyDataset, Splits
from nnclassify.data.transform import fit_normalization
from nnclassify.errors import DataError
from nnclassify.models.preprocessing import Preprocessing


def normalization(dataset: AnyDataset, splits: Splits, preprocessing: Preprocessing | None) -> tuple[Tensor, Tensor]:
    """Return shift and scale of the inputs, from the training split or from pretrained weights.

    Raises:
        DataError: Inputs are not images in known units.
    """
    if dataset.normalize != "weights":
        return fit_normalization(splits.train.inputs, splits.train.indices, dataset.normalize, splits.encoder)
    if splits.image_format is None or preprocessing is None:
        where = ("dataset", "normalize")
        raise DataError("dataset.normalize: weights needs images in 0..255 or 0..1; set another normalization", where)
    white = splits.image_format.max_value
    mean, std = (torch.tensor(values, dtype=torch.float64) for values in (preprocessing.mean, preprocessing.std))
    return white * mean.reshape(-1, 1, 1), white * std.reshape(-1, 1, 1)


def differences(config: RunConfig, splits: Splits, preprocessing: Preprocessing) -> Iterator[str]:
    """Yield a line for each way in which images are not prepared as when the weights were trained."""
    dataset = config.dataset
    whose = f"the weights of {getattr(config.model, 'architecture', 'the model')} were trained with"
    if dataset.normalize != "weights":
        mean, std = (", ".join(f"{value:g}" for value in values) for values in (preprocessing.mean, preprocessing.std))
        yield (
            f"dataset.normalize: {dataset.normalize}, as the config says; {whose} mean {mean} and std {std}; set "
            "weights to use these"
        )
    height, width = splits.input_shape[1:]
    if (height, width) != (preprocessing.height, preprocessing.width):
        advice = "; remove dataset.size to use that" if hasattr(dataset, "size") else ""
        yield f"images have {height}x{width} pixels; {whose} {preprocessing.height}x{preprocessing.width}{advice}"

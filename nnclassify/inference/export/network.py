"""The one module that every form exports: raw inputs to calibrated probabilities and classes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor, nn

from nnclassify.data.transform import LARGEST
from nnclassify.evaluation.outputs import views
from nnclassify.files.images.image_depth import BIT_DEPTHS, OVERSHOOT
from nnclassify.files.images.image_format import ImageFormat
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.export.columns import ColumnFeatures
from nnclassify.inference.export.resize import resized
from nnclassify.losses import MULTI_HOT_THRESHOLD


class Kind(StrEnum):
    """What an exported network takes."""

    IMAGES = "images"
    """Images `(N, H, W, C)` of any size."""
    TENSORS = "inputs"
    """Arrays of the shape and number type of the training data."""
    COLUMNS = "columns"
    """The columns of a table with categories, dates or missing values: see `export.columns`."""


@dataclass(frozen=True)
class Takes:
    """The inputs of an exported network.

    Attributes:
        kind: Their kind, whose value is the name of the input.
        shape: The shape of one example; None where it is free.
        dtype: Their number type.
    """

    kind: Kind
    shape: tuple[int | None, ...]
    dtype: torch.dtype


def takes(classifier: Classifier, dtype: torch.dtype) -> Takes:
    """Return what an exported network takes.

    Args:
        classifier: The trained network.
        dtype: The number type of the raw inputs that it was trained on.
    """
    transform = classifier.transform
    if transform.encoder is not None:
        return Takes(Kind.COLUMNS, (transform.num_columns,), torch.float64)
    if transform.image_format is None or dtype != torch.uint8:
        return Takes(Kind.TENSORS, transform.input_shape, dtype)
    deep = deep_dtype(transform.image_format)
    return Takes(Kind.IMAGES, (None, None, transform.input_shape[0] if deep is None else 1), deep or dtype)


def deep_dtype(image_format: ImageFormat) -> torch.dtype | None:
    """Return the number type of images with more than 8 bits per pixel; None if the network takes bytes."""
    if image_format.white is None:
        return None
    return torch.int32 if is_whole(image_format) else torch.float32


def is_whole(image_format: ImageFormat) -> bool:
    """Return whether images with more than 8 bits per pixel hold integers of a usual bit depth."""
    whites = [2**bits - 1 for bits in BIT_DEPTHS if bits > 8]
    return image_format.black == 0 and image_format.white in whites


def scaled_to_bytes(values: Tensor, image_format: ImageFormat) -> Tensor:
    """Scale the values of images with more than 8 bits per pixel to whole numbers of 0..255, as `to_bytes` does, in
    float64; NaN out of their range."""
    if image_format.white is None:
        return values
    values = values.double()
    # Tensors, because an exporter may round a number of Python to float32.
    black, white = values.new_tensor(image_format.black), values.new_tensor(image_format.white)
    if is_whole(image_format):
        return torch.floor(values * 256 / (white + 1)).where((values >= 0) & (values <= white), math.nan)
    span = white - black
    over = OVERSHOOT * span
    factor = 255 / span.where(span > 0, 1.0)
    scaled = torch.round((values - black) * factor).clamp(0, 255)
    return scaled.where((values >= black - over) & (values <= white + over), math.nan)


class ImageInput(nn.Module):
    """Images `(N, H, W, C)` of any size to raw inputs `(N, C, height, width)`."""

    def __init__(self, image_format: ImageFormat, dtype: torch.dtype) -> None:
        super().__init__()
        self.image_format = image_format
        self.dtype = dtype

    def forward(self, images: Tensor) -> Tensor:
        """Scale to bytes, then resize; NaN stays in its image."""
        pixels = resized(scaled_to_bytes(images, self.image_format), self.image_format).to(self.dtype)
        return pixels.expand(-1, self.image_format.shape()[0], -1, -1)  # deep images are gray


class ExportedNetwork(nn.Module):
    """Raw inputs to probabilities and predictions, of operations that every runtime has.

    An input that `predict` refuses gets probabilities of NaN, and -1 for a class.
    """

    def __init__(self, classifier: Classifier, prepare: nn.Module, *, may_refuse: bool) -> None:
        super().__init__()
        self.prepare = prepare
        self.network = classifier.model
        self.transform = classifier.transform
        self.loss_fn = classifier.loss_fn
        self.dtype = classifier.placement.dtype
        self.tta = classifier.config.evaluation.tta
        self.is_multi_hot = classifier.is_multi_hot
        self.may_refuse = may_refuse

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities, float32 `(N, K)`, and the classes, int64 `(N,)`, or 0 and 1 `(N, K)`."""
        raw = self.prepare(inputs)
        is_fit = _is_fit(raw, self.transform(raw.double(), torch.float64)) if self.may_refuse else None
        normalized = self.transform(raw, self.dtype)
        outputs = sum(weight * self.network(view) for weight, view in views(normalized, self.tta))
        assert isinstance(outputs, Tensor)
        probabilities, predictions = self._answers(outputs)
        probabilities = probabilities.float()
        if is_fit is not None:
            probabilities = probabilities.where(is_fit[:, None], math.nan)
            predictions = predictions.where(is_fit.view(-1, *[1] * (predictions.ndim - 1)), -1)
        return probabilities, predictions

    def _answers(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        loss_fn = self.loss_fn
        probabilities = loss_fn.tempered(outputs)
        if self.is_multi_hot:
            return probabilities, (loss_fn.uncalibrated(outputs) >= MULTI_HOT_THRESHOLD).long()
        if loss_fn.decision is not None:
            return probabilities, (probabilities[:, 1] > loss_fn.decision).long()
        return probabilities, loss_fn.most_probable(outputs)


def _is_fit(raw: Tensor, normalized: Tensor) -> Tensor:
    """Return which raw inputs `(N, ...)` are numbers that float32 can compute with; see `Transform.too_large`."""
    fits = (normalized.abs() <= LARGEST) & (raw.abs() <= torch.finfo(torch.float32).max)
    return fits.flatten(1).all(dim=1)


def exported_network(classifier: Classifier, taken: Takes, *, resizes: bool = True) -> ExportedNetwork:
    """Return the module to export.

    Args:
        classifier: The trained network, in full precision on the CPU.
        taken: What it takes.
        resizes: Whether it takes images of any size; False: bytes `(N, C, height, width)` that are resized already.
    """
    transform = classifier.transform
    prepare: nn.Module = nn.Identity()
    if taken.kind is Kind.IMAGES and transform.image_format is not None and resizes:
        prepare = ImageInput(transform.image_format, classifier.placement.dtype)
    if taken.kind is Kind.COLUMNS and transform.encoder is not None:
        prepare = ColumnFeatures(transform.encoder)
    may_refuse = taken.dtype != torch.uint8 and (taken.kind is not Kind.IMAGES or resizes)
    return ExportedNetwork(classifier, prepare, may_refuse=may_refuse).eval()

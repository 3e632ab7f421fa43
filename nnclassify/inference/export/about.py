"""What an exported file says about itself: its inputs, classes, license and config."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nnclassify.errors import InputError
from nnclassify.files.version import __version__
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.export.columns import describe
from nnclassify.inference.export.examples import Batch, RealExamples
from nnclassify.inference.export.network import Kind
from nnclassify.losses import MULTI_HOT_THRESHOLD, MultiHotLoss

FORMAT, FORMAT_VERSION = "nnclassify-export", 1
TOLERANCE = 1e-5
"""Largest difference of a probability from the classifier's, in float32."""


@dataclass(frozen=True)
class Export:
    """What every form is made of.

    Attributes:
        classifier: The trained network, in full precision on the CPU.
        examples: What the exported file is compared on.
        name: The name of the run.
        license: The license that the user gave; None: not stated.
        note: Called with each note, one line.
    """

    classifier: Classifier
    examples: RealExamples
    name: str
    license: str | None
    note: Callable[[str], object]


def about(export: Export) -> dict[str, Any]:
    """Return the metadata of an exported file, which JSON can represent."""
    classifier, taken = export.classifier, export.examples.taken
    transform = classifier.transform
    image_format = transform.image_format if taken.kind is Kind.IMAGES else None
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": export.name,
        "license": export.license,
        "nnclassify": __version__,
        "torch": torch.__version__,
        "classes": classifier.class_names,
        "is_multi_hot": classifier.is_multi_hot,
        "input": {
            "name": taken.kind.value,
            "dtype": str(taken.dtype).removeprefix("torch."),
            "shape": ["N", *(size or name for size, name in zip(taken.shape, "HWC", strict=False))],
            "image_format": None if image_format is None else vars(image_format),
            "columns": transform.columns if transform.encoder is None else None,
            "encoded_columns": None if transform.encoder is None else [*map(describe, transform.encoder.columns)],
        },
        "temperature": classifier.loss_fn.temperature,
        "decision_threshold": classifier.loss_fn.decision,
        "config": classifier.config.model_dump(mode="json", exclude_none=True),
    }


class Comparison:
    """How far the answers of an exported file are from those of the classifier.

    Attributes:
        largest: The largest difference of a probability.
        count: The number of examples that were compared.
    """

    def __init__(self, export: Export, form: str) -> None:
        self.largest = 0.0
        self.count = 0
        self._loss_fn = export.classifier.loss_fn
        self._form = form

    def add(self, probabilities: Tensor, predictions: Tensor, batch: Batch, count: int) -> None:
        """Compare the answers to the first `count` examples of a batch.

        Raises:
            InputError: Probabilities are further apart than allowed, or other classes are predicted.
        """
        wanted = batch.answers[:count]
        largest = float((probabilities.double() - wanted.double()).abs().nan_to_num(nan=torch.inf).max())
        self.largest = max(self.largest, largest)
        self.count += count if count == len(batch.inputs) else 0
        if largest > TOLERANCE:
            self._refuse(f"probabilities differ by up to {largest:.2g} (at most {TOLERANCE:g} is allowed)")
        is_other = predictions != batch.predictions[:count]
        if bool((is_other & (self._margin(wanted) > 2 * TOLERANCE)).any()):
            self._refuse(f"other classes are predicted for {int(is_other.sum())} examples")

    def _margin(self, probabilities: Tensor) -> Tensor:
        """Return how far a probability is from changing the prediction, in the shape of the predictions."""
        if isinstance(self._loss_fn, MultiHotLoss):
            return (probabilities - MULTI_HOT_THRESHOLD).abs()
        if self._loss_fn.decision is not None:
            return (probabilities[:, 1] - self._loss_fn.decision).abs()
        highest = probabilities.topk(2, dim=1).values
        return highest[:, 0] - highest[:, 1]

    def _refuse(self, found: str) -> None:
        raise InputError(f"--to {self._form}: the exported network is not the same: {found}; nothing was written")

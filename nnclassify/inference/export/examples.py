"""Real examples of a run's data, as an exported network takes them, and what the classifier answers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from nnclassify.data import Examples, Splits
from nnclassify.data.base import Dataset
from nnclassify.data.images.image_listing import clean_name
from nnclassify.data.tables.table_datasets import Csv
from nnclassify.files.images.image_depth import is_deep, values_of
from nnclassify.files.images.image_format import ImageFormat
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.evaluate import splits_of
from nnclassify.inference.export.columns import code
from nnclassify.inference.export.network import Kind, Takes, deep_dtype, takes

if TYPE_CHECKING:
    from PIL import Image

COMPARED = 256
"""The number of examples that an exported network is compared on; all, if the run has fewer."""
RESIZED = 4
"""Images that are also compared at another size."""


@dataclass(frozen=True)
class Batch:
    """Some examples of the same shape.

    Attributes:
        inputs: What the exported network takes, `(B, ...)`.
        raw: What the classifier makes of them before it normalizes, `(B, *input_shape)`.
        texts: The texts of the columns of a table, a list per example; None: it has no texts.
        answers: The probabilities that the classifier answers, `(B, K)`.
        predictions: Its predictions, `(B,)` or multi-hot `(B, K)`.
    """

    inputs: Tensor
    raw: Tensor
    texts: list[list[str]] | None
    answers: Tensor
    predictions: Tensor


@dataclass(frozen=True)
class RealExamples:
    """What an exported network is compared on.

    Attributes:
        taken: What the network takes.
        batches: The examples.
        splits: The data of the run.
    """

    taken: Takes
    batches: list[Batch]
    splits: Splits

    def __len__(self) -> int:
        return sum(len(batch.inputs) for batch in self.batches)


def real_examples(classifier: Classifier) -> RealExamples:
    """Read examples from all over the data of a run, first of its training split.

    Raises:
        DataError: The data cannot be read.
    """
    splits = splits_of(classifier)
    parts = list(_parts(splits))
    taken = takes(classifier, parts[0][1].inputs.dtype)
    found: list[tuple[Tensor, Tensor, list[str] | None]] = []
    for name, examples in parts:
        found += _of_split(classifier, taken, name, examples)
    batches = []
    for _, group in itertools.groupby(found, key=lambda one: tuple(one[0].shape)):
        inputs, raw, texts = zip(*group, strict=True)
        answers = classifier.answers(torch.stack(raw))
        rows = [row for row in texts if row is not None] or None
        batches.append(Batch(torch.stack(inputs), torch.stack(raw), rows, answers.probabilities, answers.predictions))
    return RealExamples(taken, batches, splits)


def _parts(splits: Splits) -> Iterator[tuple[str, Examples]]:
    """Yield the examples to compare on, of each split that they are in."""
    left = COMPARED
    for name in ("train", "validation", "test"):
        examples = splits.split(name)
        if examples is not None and len(examples) and left:
            rows = examples.spaced_rows(left)
            left -= len(rows)
            indices = examples.indices[rows]
            yield name, Examples(examples.inputs, examples.targets, indices, examples.names)


def _of_split(
    classifier: Classifier, taken: Takes, name: str, examples: Examples
) -> Iterator[tuple[Tensor, Tensor, list[str] | None]]:
    """Yield the input, the raw example and the texts of each example."""
    dataset, image_format = classifier.config.dataset, classifier.transform.image_format
    rows = examples.select(torch.arange(len(examples)))[0]
    if taken.kind is Kind.IMAGES and image_format is not None:
        yield from _images(dataset, image_format, examples, rows)
    elif taken.kind is Kind.COLUMNS:
        yield from _columns(classifier, dataset, name, examples)
    else:
        yield from ((row, row, None) for row in rows)


def _images(
    dataset: Dataset, image_format: ImageFormat, examples: Examples, rows: Tensor
) -> Iterator[tuple[Tensor, Tensor, None]]:
    """Yield each image as its file has it, or as the dataset has it, and some of them cut to another size."""
    from PIL import Image

    for place, (name, row) in enumerate(zip(examples.all_names(), rows, strict=True)):
        file = dataset.file_of(name)
        image = Image.fromarray(_channels_last(row)) if file is None else image_format.open_upright(file)
        if deep_dtype(image_format) is not None and not is_deep(image):
            continue  # of 8 bits, among images with more
        parts = [image]
        if place < RESIZED:
            parts.append(image.crop((0, 0, max(1, image.width * 4 // 5), max(1, image.height * 2 // 3))))
        for part in parts:
            yield image_values(part, image_format), torch.tensor(image_format.convert(part)), None


def _channels_last(pixels: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return an image `(C, H, W)` as Pillow takes it: `(H, W, 3)`, or `(H, W)` of a gray one."""
    found: np.ndarray[Any, np.dtype[np.uint8]] = pixels.permute(1, 2, 0).numpy()
    return found[:, :, 0] if found.shape[2] == 1 else found


def image_values(image: Image.Image, image_format: ImageFormat) -> Tensor:
    """Return the values `(H, W, C)` of an image that an exported network takes."""
    dtype = deep_dtype(image_format)
    values = np.asarray(image_format.recolored(image)) if dtype is None else values_of(image)
    found = torch.tensor(values if dtype is None else values.astype(np.float64))
    return (found if found.ndim == 3 else found[:, :, None]).to(dtype or torch.uint8)


def _columns(
    classifier: Classifier, dataset: Dataset, split: str, examples: Examples
) -> Iterator[tuple[Tensor, Tensor, list[str]]]:
    """Yield the numbers that stand for the columns of each row, its features, and the texts of the file."""
    encoder = classifier.transform.encoder
    assert encoder is not None
    decimal = dataset.decimal if isinstance(dataset, Csv) else "."
    texts = zip(*(dataset.column_texts(column.name, split, examples) for column in encoder.columns), strict=True)
    features = examples.select(torch.arange(len(examples)))[0]
    for row, given in zip(features, texts, strict=True):
        codes = [code(column, text, decimal) for column, text in zip(encoder.columns, given, strict=True)]
        yield torch.tensor(codes, dtype=torch.float64), row, [clean_name(text) for text in given]

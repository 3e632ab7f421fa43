"""Predictions for a user's own inputs: images, folders of them, CSV rows, values, tensor files."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnclassify.data.csv_inputs import inputs_of, listed, numbers_of
from nnclassify.data.csv_rows import CsvFile, CsvFormat, as_number
from nnclassify.data.image_depth import OVERSHOOT
from nnclassify.data.image_format import PictureFormat
from nnclassify.data.image_listing import list_pictures, passed_over
from nnclassify.data.image_reading import Decoded, frames_note, read_pictures, shape_of
from nnclassify.data.tables import Csv
from nnclassify.data.tensor_files import load_tensor
from nnclassify.errors import DataError, InputError
from nnclassify.files.paths import is_folder, is_regular, why_no_file
from nnclassify.inference.classifier import Classifier
from nnclassify.losses import MULTI_HOT_THRESHOLD

Note = Callable[[str], object]

INPUTS_AT_ONCE, VALUES_AT_ONCE = 1000, 2**26
"""Inputs are predicted this many at a time, or fewer large ones: 64 MB as bytes, 256 MB as floats."""
CSV_KEYS = ("dataset.delimiter", "dataset.decimal", "dataset.encoding")
"""What may be another way in a CSV file to predict than in the one trained on."""
TENSOR_FILES = (".pt", ".pth", ".npy", ".npz")

Top = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Prediction:
    """What a net says of one input.

    Attributes:
        input: The file, the row, or the values.
        top: Class and probability, the most probable first; empty where the input could not be read.
        error: Why it could not be read.
        labels: Where targets are multi-hot: the classes that are predicted, the most probable first; else None.
    """

    input: str
    top: Top = ()
    error: str | None = None
    labels: tuple[str, ...] | None = None

    def figures(self) -> dict[str, Any]:
        """For JSON."""
        if self.error is not None:
            return {"input": self.input, "error": self.error}
        top = [{"label": name, "probability": share} for name, share in self.top]
        if self.labels is not None:
            return {"input": self.input, "labels": list(self.labels), "top": top}
        return {"input": self.input, **top[0], "top": top}


@dataclass(frozen=True)
class RawInput:
    """One input before the net sees it: a raw tensor of the net's input shape, or why there is none."""

    name: str
    values: Tensor | None = None
    error: str | None = None


def predict(
    classifier: Classifier, inputs: Sequence[str], top_k: int = 1, note: Note = lambda text: None
) -> Iterator[Prediction]:
    """Predict every input; one that cannot be read becomes a prediction with an `error`.

    Args:
        classifier: The trained net.
        inputs: Paths of images, folders, CSV or tensor files; or values such as `173,158,114`.
        top_k: Classes to name of each, at most K; all, where targets are multi-hot.
        note: Receives, one line each, what is not predicted or not used whole: files beside images, later frames.
    """
    raw = itertools.chain.from_iterable(_read(classifier, item, note) for item in inputs)
    at_once = _at_once(classifier.transform.input_shape)
    top_k = len(classifier.class_names) if classifier.is_multi_hot else top_k
    while batch := list(itertools.islice(raw, at_once)):
        yield from _answers(classifier, batch, top_k)


def _answers(classifier: Classifier, batch: Sequence[RawInput], top_k: int) -> Iterator[Prediction]:
    """A prediction for each input, in order."""
    values = [item.values for item in batch if item.values is not None]
    answers = iter(_answered(classifier, torch.stack(values), top_k) if values else ())
    for item in batch:
        if item.values is None:
            yield Prediction(item.name, error=item.error)
        elif isinstance(answer := next(answers), str):
            yield Prediction(item.name, error=f"{item.name}: {answer}")
        else:
            yield Prediction(item.name, answer, labels=_labels(answer) if classifier.is_multi_hot else None)


def _labels(top: Top) -> tuple[str, ...]:
    return tuple(label for label, probability in top if probability >= MULTI_HOT_THRESHOLD)


def _answered(classifier: Classifier, raw: Tensor, top_k: int) -> list[Top | str]:
    """The most probable classes of each row, or why the net cannot compute with it: the others are answered."""
    answers: dict[int, Top | str] = dict(classifier.transform.too_large(raw))
    rows = [row for row in range(len(raw)) if row not in answers]
    if rows:
        probabilities = classifier.probabilities(raw[rows])
        finite = probabilities.isfinite().all(dim=1).tolist()
        for row, top, is_finite in zip(rows, _top(probabilities, classifier.class_names, top_k), finite, strict=True):
            answers[row] = top if is_finite else "the net's outputs are not finite: it was trained on other values"
    return [answers[row] for row in range(len(raw))]


def _top(probabilities: Tensor, class_names: list[str], top_k: int) -> list[Top]:
    """The most probable classes of each row of `(B, K)`."""
    # A stable sort, so that a tie goes to the same class as in evaluation.
    shares, order = probabilities.sort(dim=1, descending=True, stable=True)
    pairs = zip(order[:, :top_k].tolist(), shares[:, :top_k].tolist(), strict=True)
    return [tuple((class_names[index], share) for index, share in zip(*row, strict=True)) for row in pairs]


def _read(classifier: Classifier, item: str, note: Note) -> Iterator[RawInput]:
    path = Path(item)
    try:
        if path.suffix.lower() in TENSOR_FILES or ".npz:" in item:
            yield from _tensor_inputs(classifier, item)
        elif classifier.transform.picture is not None:
            yield from _picture_inputs(classifier, path, note)
        elif _is(Path.is_file, path):
            yield from _csv_inputs(classifier, path)
        else:
            yield RawInput(item, _values(classifier, item))
    except (InputError, DataError) as error:
        yield RawInput(item, error=str(error))


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    try:
        return kind(path)
    except OSError:  # hundreds of values are too long for a file name
        return False


def _picture_inputs(classifier: Classifier, path: Path, note: Note) -> Iterator[RawInput]:
    picture = classifier.transform.picture
    assert picture is not None
    for batch, decoded in _decoded(iter(_pictures_at(path, note)), picture):
        for text in frames_note([batch[row] for row in decoded.frames]):
            note(text)
        raw = torch.from_numpy(decoded.pixels)
        if picture.max_value == 1:  # the net was trained on float images in 0..1
            raw = raw.float() / 255
        for row, file in enumerate(batch):
            yield RawInput(str(file), None if row in decoded.errors else raw[row], decoded.errors.get(row))


def _pictures_at(path: Path, note: Note) -> list[Path]:
    """An image, or all images of a folder."""
    if is_regular(path):
        return [path]
    if not is_folder(path):
        raise InputError(f"{path}: {why_no_file(path)}; expected an image or a folder of images")
    listing = list_pictures(path)
    for text in passed_over([listing]):
        note(text)
    if not listing.pictures:
        raise InputError(f"{path}: an empty folder; expected images in it")
    return listing.pictures


def _at_once(shape: tuple[int, ...]) -> int:
    """How many inputs of a shape are held at a time."""
    return max(1, min(INPUTS_AT_ONCE, VALUES_AT_ONCE // math.prod(shape)))


def _decoded(paths: Iterator[Path], picture: PictureFormat) -> Iterator[tuple[list[Path], Decoded]]:
    """Images a batch at a time, in order; while one is used, the next is decoded."""
    at_once = _at_once(shape_of(1, picture))
    with ThreadPoolExecutor(1) as ahead:
        waiting: deque[tuple[list[Path], Future[Decoded]]] = deque()
        while True:
            if batch := list(itertools.islice(paths, at_once)):
                waiting.append((batch, ahead.submit(read_pictures, batch, picture)))
            if not waiting:
                return
            if len(waiting) > 1 or not batch:
                done, decoding = waiting.popleft()
                yield done, decoding.result()


def _tensor_inputs(classifier: Classifier, item: str) -> Iterator[RawInput]:
    inputs, shape = load_tensor(item), classifier.transform.input_shape
    if inputs.is_complex() or inputs.dtype == torch.uint64:
        raise InputError(f"{item}: {inputs.dtype}; expected real numbers, such as uint8 or float32")
    if inputs.dtype in (torch.uint16, torch.uint32):
        inputs = inputs.long()  # torch computes next to nothing with these
    inputs = _shaped(inputs, shape, item)
    finite = inputs.reshape(len(inputs), -1).isfinite().all(dim=1).tolist()
    picture = classifier.transform.picture
    if picture is not None and all(finite):
        inputs = _in_units(inputs, picture.max_value, item)
    for row, values in enumerate(inputs):
        name = f"{item}[{row}]"
        yield RawInput(name, values) if finite[row] else RawInput(name, error=f"{name}: holds NaN or infinity")


def _shaped(inputs: Tensor, shape: tuple[int, ...], item: str) -> Tensor:
    """One example or several as `(N, *shape)`; images whose channels come last are turned."""
    found = tuple(inputs.shape)
    if inputs.numel() == 0:
        raise InputError(f"{item}: shape {found}, no example; expected at least one")
    for candidate in (inputs, inputs[None]):
        if tuple(candidate.shape[1:]) == shape:
            return candidate
        if candidate.ndim == 4 and tuple(candidate.permute(0, 3, 1, 2).shape[1:]) == shape:
            return candidate.permute(0, 3, 1, 2)
    raise InputError(f"{item}: shape {found}; this net takes (N, {', '.join(map(str, shape))})")


def _in_units(inputs: Tensor, white: int, item: str) -> Tensor:
    """Images in the units that the net was trained in: 0..255 or 0..1.

    Integers and uint8 are in 0..255, booleans and floats up to 1 in 0..1. Floats may lie a little outside, as resizing
    leaves them.
    """
    low, high = float(inputs.min()), float(inputs.max())
    is_share = high <= 1 + OVERSHOOT if inputs.is_floating_point() else inputs.dtype == torch.bool
    own = 1 if is_share else 255
    if low < -OVERSHOOT * high or high > (1 + OVERSHOOT) * own:
        raise InputError(f"{item}: values from {low:g} to {high:g}; this net takes images in 0..{white}")
    return inputs if own == white else inputs.float() * (white / own)


def _csv_inputs(classifier: Classifier, path: Path) -> Iterator[RawInput]:
    """Rows of a CSV file, written like the one that the net was trained on."""
    _check_flat(classifier, str(path))
    names, (num_features,) = classifier.transform.feature_names, classifier.transform.input_shape
    for line, numbers in inputs_of(CsvFile(path, _written(classifier)), names, num_features):
        where = f"{path}:{line}"
        if isinstance(numbers, DataError):
            yield RawInput(where, error=str(numbers))
        else:
            yield RawInput(where, torch.tensor(numbers, dtype=torch.float64))


def _written(classifier: Classifier) -> CsvFormat:
    dataset = classifier.config.dataset
    return dataset.format() if isinstance(dataset, Csv) else CsvFormat()


def _check_flat(classifier: Classifier, where: str) -> None:
    shape = classifier.transform.input_shape
    if len(shape) != 1:
        raise InputError(f"{where}: this net takes tensors of shape {shape}; give a .pt or .npy file")


def _values(classifier: Classifier, item: str) -> Tensor:
    """Values of the command line, separated by commas, or as in the file that the net was trained on."""
    _check_flat(classifier, item)
    names, (num_features,), written = (
        classifier.transform.feature_names,
        classifier.transform.input_shape,
        _written(classifier),
    )
    as_file = written.delimiter in item
    texts = item.split(written.delimiter if as_file else ",")
    decimal = written.decimal if as_file else "."
    if len(texts) != num_features:
        if len(texts) == 1 and as_number(item, decimal) is None:
            what = why_no_file(Path(item))
            raise InputError(f"{item}: {what}, and no values; this net takes {num_features} values{listed(names)}")
        raise InputError(f"{item}: {len(texts)} values; this net takes {num_features}{listed(names)}")
    return torch.tensor(numbers_of(texts, names, item, decimal), dtype=torch.float64)

"""Predict the classes of files, values, images, arrays and data frames; `inputs` reads them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral
from pathlib import Path
from typing import Any, NotRequired, Protocol, overload

import torch
from torch import Tensor
from typing_extensions import TypedDict  # pydantic requires it before Python 3.12

from nnclassify.config.run_config import RunConfig
from nnclassify.data.csv_rows import CsvFormat
from nnclassify.data.tables import Csv
from nnclassify.data.transform import Transform
from nnclassify.errors import InputError, counted
from nnclassify.inference.inputs import InputReader, Note, RawInput, at_once, items_of
from nnclassify.losses import MULTI_HOT_THRESHOLD

CSV_KEYS = ("dataset.delimiter", "dataset.decimal", "dataset.encoding")
"""The options in which a CSV file to predict may differ from the training file."""

Top = tuple[tuple[str, float], ...]


class ClassProbability(TypedDict):
    """A class with its probability."""

    label: str
    probability: float


class PredictionFigures(TypedDict):
    """The prediction for one input; `error` instead of the others where it could not be read."""

    input: str
    error: NotRequired[str]
    label: NotRequired[str]
    labels: NotRequired[list[str]]
    probability: NotRequired[float]
    top: NotRequired[list[ClassProbability]]
    unsure: NotRequired[bool]
    set: NotRequired[tuple[str, ...]]
    unlike: NotRequired[bool]


@dataclass(frozen=True)
class Prediction:
    """The prediction for one input.

    Attributes:
        input: The file, row or values.
        top: Pairs of class and probability, most probable first (with a decision threshold, the predicted class);
            with a prediction set, at least its classes; empty if the input could not be read.
        error: The reason why the input could not be read, or None.
        labels: With multi-hot targets, the predicted classes, most probable first; otherwise None.
        probabilities: The probabilities of all classes, `(K,)`; empty if the input could not be read.
        file: The image file, if the input is one.
        unsure: Whether the network is less confident than asked for; None if that was not asked.
        classes: The prediction set, most probable first; None if that was not asked.
        unlike: Whether the input is unlike the training data; None if the network cannot tell.
    """

    input: str
    top: Top = ()
    error: str | None = None
    labels: tuple[str, ...] | None = None
    probabilities: Tensor = field(default_factory=lambda: torch.zeros(0), repr=False, compare=False)
    file: Path | None = field(default=None, repr=False, compare=False)
    unsure: bool | None = None
    classes: tuple[str, ...] | None = None
    unlike: bool | None = None

    @property
    def label(self) -> str:
        """The most probable class; with a decision threshold, the predicted one.

        Raises:
            InputError: The input could not be read.
        """
        return self._first()[0]

    @property
    def probability(self) -> float:
        """The probability of `label`.

        Raises:
            InputError: The input could not be read.
        """
        return self._first()[1]

    @property
    def predicted(self) -> tuple[str, ...]:
        """The predicted classes: `label`, or with multi-hot targets any number; none on an error or if unsure."""
        if self.unsure:
            return ()
        return tuple(label for label, _ in self.top[:1]) if self.labels is None else self.labels

    def _first(self) -> tuple[str, float]:
        if self.error is not None:
            raise InputError(self.error)
        return self.top[0]

    def figures(self) -> dict[str, Any]:
        """Return the prediction for JSON."""
        if self.error is not None:
            return {"input": self.input, "error": self.error}
        top = [{"label": name, "probability": share} for name, share in self.top]
        first = top[0] if self.labels is None else {"labels": list(self.labels)}
        asked = {"unsure": self.unsure, "set": self.classes, "unlike": self.unlike}
        return {"input": self.input, **first, "top": top, **{key: of for key, of in asked.items() if of is not None}}


class Predictions(Sequence[Prediction]):
    """The predictions for several inputs, in order.

    Attributes:
        classes: The names of the K classes, in the order of `probabilities`.
        notes: A line for each file or frame that was not used.
    """

    def __init__(self, predictions: Sequence[Prediction], classes: Sequence[str], notes: Sequence[str] = ()) -> None:
        self._predictions = list(predictions)
        self.classes = list(classes)
        self.notes = list(notes)

    @overload
    def __getitem__(self, index: int) -> Prediction: ...

    @overload
    def __getitem__(self, index: slice) -> Predictions: ...

    def __getitem__(self, index: int | slice) -> Prediction | Predictions:
        """Return one prediction, or a slice of them."""
        if isinstance(index, slice):
            return Predictions(self._predictions[index], self.classes, self.notes)
        return self._predictions[index]

    def __len__(self) -> int:
        return len(self._predictions)

    def __repr__(self) -> str:
        return f"Predictions({self._predictions!r})"

    def _repr_html_(self) -> str:
        from nnclassify.inference.report.card import MAX_ROWS, Card, Cell, Table  # only notebooks need it

        has_sets = any(one.classes is not None for one in self)
        rows: list[list[Cell]] = []
        for one in self[:MAX_ROWS]:
            label = one.error if one.error is not None else ", ".join(one.labels or [one.label]) or "none"
            classes = [", ".join(one.classes or ())] * has_sets
            told = ["unsure"] * bool(one.unsure) + ["unlike the training data"] * bool(one.unlike)
            rows.append([one.input, label, one.top[0][1] if one.top else "", *classes, ", ".join(told)])
        header = ["input", "prediction", "probability", *["prediction set"] * has_sets, ""]
        table = replace(Table.of("", header, rows), num_left_out=max(0, len(self) - MAX_ROWS))
        return Card("Predictions", [counted(len(self), "input")], tables=[table], notes=self.notes).html()

    @property
    def errors(self) -> list[str]:
        """The error of each input that could not be read, one line each."""
        return [prediction.error for prediction in self if prediction.error is not None]

    @property
    def probabilities(self) -> Tensor:
        """The probabilities of all classes for all inputs, `(N, K)`.

        Raises:
            InputError: An input could not be read.
        """
        if errors := self.errors:
            more = f" (and {counted(len(errors) - 1, 'other input')})" if len(errors) > 1 else ""
            raise InputError(f"{errors[0]}{more}")
        rows = [prediction.probabilities for prediction in self]
        return torch.stack(rows) if rows else torch.zeros(0, len(self.classes))


@dataclass(frozen=True)
class Answers:
    """What a network answers for N inputs.

    Attributes:
        probabilities: The probabilities of the classes, `(N, K)`.
        predictions: The predicted classes `(N,)`, or multi-hot predictions `(N, K)`.
        is_unlike: Whether each input is unlike the training data, bool `(N,)`; None if that is unknown.
    """

    probabilities: Tensor
    predictions: Tensor
    is_unlike: Tensor | None = None


@dataclass(frozen=True)
class Caution:
    """How cautious predictions are.

    Attributes:
        min_confidence: The probability of the predicted class below which a prediction is unsure; None: none is.
        sets: Function of probabilities `(N, K)` to prediction sets, bool `(N, K)`; None: no sets.
    """

    min_confidence: float | None = None
    sets: Callable[[Tensor], Tensor] | None = None


class TrainedNetwork(Protocol):
    """The part of a `Classifier` that `predict` needs."""

    @property
    def config(self) -> RunConfig:
        """The config of the run."""

    @property
    def transform(self) -> Transform:
        """The transform from raw inputs to network inputs."""

    @property
    def class_names(self) -> list[str]:
        """The names of the classes, in the order of the outputs."""

    @property
    def is_multi_hot(self) -> bool:
        """Whether an example may belong to several classes, or to none."""

    def answers(self, raw: Tensor) -> Answers:
        """Compute the answers for raw inputs `(N, ...)`."""


def predict(
    network: TrainedNetwork,
    inputs: object,
    top_k: int = 1,
    note: Note = lambda text: None,
    found: Callable[[int], object] = lambda count: None,
    caution: Caution = Caution(),
) -> Iterator[Prediction]:
    """Predict each input; one that cannot be read becomes a prediction with an `error`.

    Args:
        network: The trained network.
        inputs: See `Classifier.predict`.
        top_k: The number of classes in each `Prediction.top`, at most K; with multi-hot targets always K.
        note: Called with a line for each file that is not an image, and for each image with further frames.
        found: Called with the number of examples of an input, if it is known before they are read.
        caution: How cautious the predictions are.

    Raises:
        InputError: The inputs are of an unsupported type, or `top_k` is less than 1.
    """
    if not isinstance(top_k, Integral) or top_k < 1:
        raise InputError(f"top_k: found {top_k!r}, expected a whole number, at least 1")
    reader = reader_of(network, note, found)
    raw = itertools.chain.from_iterable(reader.read(name, item) for name, item in items_of(inputs))
    most = at_once(network.transform.input_shape)
    top_k = len(network.class_names) if network.is_multi_hot else top_k
    while batch := list(itertools.islice(raw, most)):
        yield from predictions_of(network, batch, top_k, caution)


def predictions_of(
    network: TrainedNetwork, batch: Sequence[RawInput], top_k: int, caution: Caution
) -> Iterator[Prediction]:
    """Yield a prediction for each input of a batch, in order; see `predict`."""
    values = [item.values for item in batch if item.values is not None]
    answers = iter(_answered(network, torch.stack(values), top_k, caution) if values else ())
    for item in batch:
        if item.values is None:
            yield Prediction(item.name, error=item.error)
        elif isinstance(answer := next(answers), str):
            yield Prediction(item.name, error=f"{item.name}: {answer}")
        else:
            yield replace(answer, input=item.name, file=item.file)


def _answered(network: TrainedNetwork, raw: Tensor, top_k: int, caution: Caution) -> list[Prediction | str]:
    """Return the prediction for each row, without the name of its input, or the reason why it has none."""
    found: dict[int, Prediction | str] = dict(network.transform.too_large(raw))
    rows = [row for row in range(len(raw)) if row not in found]
    if rows:
        answers = network.answers(raw[rows])
        finite = answers.probabilities.isfinite().all(dim=1).tolist()
        predictions = _judged(network, answers, top_k, caution)
        for row, prediction, is_finite in zip(rows, predictions, finite, strict=True):
            not_finite = "the outputs of the network are not finite: the inputs are too far from the training data"
            found[row] = prediction if is_finite else not_finite
    return [found[row] for row in range(len(raw))]


def _judged(network: TrainedNetwork, answers: Answers, top_k: int, caution: Caution) -> Iterator[Prediction]:
    """Yield the prediction of each answer, without the name of its input."""
    sets = None if caution.sets is None else caution.sets(answers.probabilities)
    unlike = [None] * len(answers.probabilities) if answers.is_unlike is None else answers.is_unlike.tolist()
    # In a set are the most probable classes, but a decision threshold may predict another one.
    most = top_k if sets is None else max(top_k, int(sets.sum(dim=1).max()) + 1)
    for row, (order, shares) in enumerate(_ranked(answers, most)):
        names = [network.class_names[index] for index in order]
        is_in_set = [False] * len(order) if sets is None else sets[row, order].tolist()
        ranked = list(zip(names, shares, is_in_set, strict=True))
        top = tuple((name, share) for place, (name, share, is_in) in enumerate(ranked) if place < top_k or is_in)
        labels = tuple(name for name, share in top if share >= MULTI_HOT_THRESHOLD)
        yield Prediction(
            "",
            top,
            labels=labels if network.is_multi_hot else None,
            probabilities=answers.probabilities[row],
            unsure=None if caution.min_confidence is None else shares[0] < caution.min_confidence,
            classes=None if sets is None else tuple(name for name, _, is_in in ranked if is_in),
            unlike=unlike[row],
        )


def _ranked(answers: Answers, most: int) -> Iterator[tuple[list[int], list[float]]]:
    """Yield at most `most` classes of each row with their probabilities, most probable first; with a decision
    threshold, the predicted class."""
    keys = answers.probabilities
    if answers.predictions.ndim == 1:
        keys = keys.scatter(1, answers.predictions[:, None], torch.inf)
    # A stable sort, so that a tie goes to the same class as in evaluation.
    order = keys.sort(dim=1, descending=True, stable=True).indices[:, :most]
    yield from zip(order.tolist(), answers.probabilities.gather(1, order).tolist(), strict=True)


def reader_of(network: TrainedNetwork, note: Note, found: Callable[[int], object] = lambda count: None) -> InputReader:
    """Return what reads inputs for a network; see `InputReader` for `note` and `found`."""
    dataset = network.config.dataset
    if isinstance(dataset, Csv):
        return InputReader(network.transform, dataset.format(), note, found, dataset.other_columns())
    return InputReader(network.transform, CsvFormat(), note, found)

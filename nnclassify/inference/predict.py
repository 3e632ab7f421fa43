"""What is predicted for inputs, and how cautious predictions are; `classifier` makes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NotRequired, overload

import torch
from torch import Tensor
from typing_extensions import TypedDict  # pydantic requires it before Python 3.12

from nnclassify.errors import InputError, counted

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
        input: The file, row or values; for a row of a table, the text in the column of `dataset.id`, if there is one.
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


NO_CAUTION = Caution()

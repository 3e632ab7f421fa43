"""What a server says of its network: for the page, for `/model`, and for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, Field

from nnclassify.data.tables.csv_rows import as_number
from nnclassify.data.tables.encoding import AnyColumn, NumberColumn, OneHotColumn, OrdinalColumn
from nnclassify.inference.attribution import table_columns
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.predict import Caution, PredictionFigures
from nnclassify.inference.report.examples import read_examples
from nnclassify.runs.folder import RunFolder
from nnclassify.serve.limits import Limits

GRID = 64
"""Points along each side of the decision map."""
MAX_DRAWN = 64
"""Side of the largest gray image that the page lets one draw."""
Kind = Literal["image", "table", "tensor"]


class ImageFacts(BaseModel):
    """How an image becomes an input."""

    height: int
    width: int
    mode: str
    resize: str
    drawable: bool
    """Whether the page lets one draw it: a small gray image."""


class ColumnFacts(BaseModel):
    """A column of a table."""

    name: str
    kind: str
    """number, one_hot, ordinal, yes_no or date."""
    categories: list[str] = Field(default_factory=list)
    may_be_missing: bool = False
    typical: float | None = None
    """A usual value of a number."""


class InputFacts(BaseModel):
    """What the network takes."""

    kind: Kind
    shape: list[int]
    image: ImageFacts | None = None
    columns: list[ColumnFacts] = Field(default_factory=list)
    named: bool = False
    """Whether the columns have names; otherwise they are numbered from 1."""
    has_map: bool = False
    """Whether `/map` has the decisions in the plane of two features."""


class LimitFacts(BaseModel):
    """The limits of a request."""

    bytes: int
    pixels: int
    inputs: int
    seconds: float


class ModelFacts(BaseModel):
    """The network that answers."""

    run: str
    model: str
    num_parameters: int
    classes: list[str]
    multi_hot: bool
    """Whether an input may belong to several classes, or to none."""
    min_confidence: float | None
    """The probability of the predicted class below which an answer is `unsure`; null: none is."""
    decision_rule: str | None
    """When the less probable of two classes is predicted, in a sentence; null without a decision threshold."""
    has_sets: bool
    """Whether answers have prediction sets."""
    knows_unlike: bool
    """Whether inputs unlike the training data are marked."""
    input: InputFacts
    limits: LimitFacts


class MapFacts(BaseModel):
    """The decisions in the plane of two features, on a grid; rows from the lowest value of the second feature."""

    x: list[float]
    """The lowest and the highest value of the first feature."""
    y: list[float]
    size: int
    labels: list[list[int]]
    """The index of the predicted class, `size` rows of `size`."""
    probabilities: list[list[float]]
    """The probability of the predicted class."""


class PredictFacts(BaseModel):
    """The answer of `/predict`: one prediction per input, in order."""

    predictions: list[PredictionFigures]
    notes: list[str]
    """What is to be said of inputs that are predicted all the same, such as a category never seen in training."""


class ErrorFacts(BaseModel):
    """Why a request is refused."""

    error: str
    """The first problem: where it is, what was found, and what was expected."""
    errors: list[str]
    """One sentence per problem."""


class HealthFacts(BaseModel):
    """That the server answers."""

    status: Literal["ok"]


def model_facts(classifier: Classifier, caution: Caution, limits: Limits) -> ModelFacts:
    """Return what is known of a network."""
    calibration = classifier.calibration
    return ModelFacts(
        run=classifier.path.absolute().parent.name,
        model=classifier.config.model.name,
        num_parameters=sum(each.numel() for each in classifier.model.parameters()),
        classes=classifier.class_names,
        multi_hot=classifier.is_multi_hot,
        min_confidence=caution.min_confidence,
        decision_rule=classifier.decision_rule,
        has_sets=caution.sets is not None,
        knows_unlike=calibration is not None and calibration.novelty is not None,
        input=_input_facts(classifier),
        limits=LimitFacts(
            bytes=limits.max_bytes, pixels=limits.max_pixels, inputs=limits.max_inputs, seconds=limits.seconds
        ),
    )


def _input_facts(classifier: Classifier) -> InputFacts:
    transform = classifier.transform
    shape, image = list(transform.input_shape), transform.image_format
    if image is not None:
        drawable = image.mode == "gray" and max(image.height, image.width) <= MAX_DRAWN
        facts = ImageFacts(
            height=image.height, width=image.width, mode=image.mode, resize=image.resize, drawable=drawable
        )
        return InputFacts(kind="image", shape=shape, image=facts)
    if len(shape) > 1:
        return InputFacts(kind="tensor", shape=shape)
    named = transform.columns is not None
    return InputFacts(kind="table", shape=shape, columns=_columns(classifier), named=named, has_map=has_map(classifier))


def has_map(classifier: Classifier) -> bool:
    """Return whether the inputs are two numbers, of which each class has its part of the plane."""
    transform = classifier.transform
    return transform.input_shape == (2,) and transform.encoder is None and not classifier.is_multi_hot


def _columns(classifier: Classifier) -> list[ColumnFacts]:
    transform, usual = classifier.transform, _usual_values(classifier)
    if transform.encoder is not None:
        places = [place.start for place in transform.encoder.slices]
        return [
            _column_facts(column, usual[place]) for column, place in zip(transform.encoder.columns, places, strict=True)
        ]
    names = transform.feature_names or [str(number + 1) for number in range(len(usual))]
    return [ColumnFacts(name=name, kind="number", typical=value) for name, value in zip(names, usual, strict=True)]


def _usual_values(classifier: Classifier) -> list[float]:
    """Return a value of each feature that is in the middle of the training data, to three digits."""
    transform = classifier.transform
    is_mean = classifier.config.dataset.normalize == "standard"
    middle = transform.shift if is_mean else transform.shift + transform.scale / 2
    return [float(f"{value:.3g}") for value in middle.expand(transform.input_shape).tolist()]


def _column_facts(column: AnyColumn, usual: float) -> ColumnFacts:
    return ColumnFacts(
        name=column.name,
        kind=column.kind,
        categories=list(column.categories) if isinstance(column, OneHotColumn | OrdinalColumn) else [],
        may_be_missing=column.fill is not None,
        typical=float(f"{column.unscaled(np.array(usual)):.3g}") if isinstance(column, NumberColumn) else None,
    )


def decision_map(classifier: Classifier) -> MapFacts:
    """Return the decisions in the plane of two features."""
    x, y = _ranges(classifier)
    plane = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)
    answers = classifier.answers(plane)
    shares = answers.probabilities.gather(1, answers.predictions[:, None]).double()
    return MapFacts(
        x=[float(x[0]), float(x[-1])],
        y=[float(y[0]), float(y[-1])],
        size=GRID,
        labels=answers.predictions.reshape(GRID, GRID).tolist(),
        probabilities=[[round(share, 4) for share in row] for row in shares.reshape(GRID, GRID).tolist()],
    )


def _ranges(classifier: Classifier) -> list[torch.Tensor]:
    """Return the coordinates of the grid along both features: around the training data, as far as it is known."""
    transform, normalize = classifier.transform, classifier.config.dataset.normalize
    shift, scale = (value.expand(2) for value in (transform.shift, transform.scale))
    points = _kept_points(classifier)
    if normalize == "standard":
        points += [shift - 2 * scale, shift + 2 * scale]
    elif normalize != "none" or not points:
        points += [shift, shift + scale]
    values = torch.stack(points)
    low, high = values.amin(dim=0), values.amax(dim=0)
    margin = 0.15 * (high - low).clamp(min=1e-6)
    ends = zip((low - margin).tolist(), (high + margin).tolist(), strict=True)
    return [torch.linspace(start, end, GRID, dtype=torch.float64) for start, end in ends]


def _kept_points(classifier: Classifier) -> list[torch.Tensor]:
    """Return the rows of two numbers that the run kept for its report, where it did."""
    kept = read_examples(RunFolder(classifier.path.parent).examples)
    names, decimal = [name for name, _ in table_columns(classifier)], getattr(classifier.config.dataset, "decimal", ".")
    if {*kept.columns} != {*names}:
        return []
    places = [kept.columns.index(name) for name in names]
    rows = ([as_number(row[place], decimal) for place in places] for row in kept.values.values())
    return [torch.tensor(row, dtype=torch.float64) for row in rows if None not in row]


def request_schema(facts: ModelFacts) -> dict[str, Any]:
    """Return the JSON schema of what `POST /predict` takes."""
    one = {"image": _image_schema, "table": _row_schema, "tensor": _tensor_schema}[facts.input.kind](facts.input)
    what, media_type = {
        "image": ("Image files of any size, in any format that Pillow reads.", "image/*"),
        "table": ("CSV files, written like the training file.", "text/csv"),
        "tensor": ("NumPy files (.npy).", "application/octet-stream"),
    }[facts.input.kind]
    file = {"type": "string", "format": "binary"}
    files = {"type": "array", "minItems": 1, "items": file, "description": what}
    inputs = {"type": "array", "minItems": 1, "maxItems": facts.limits.inputs, "items": one}
    return {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["inputs"],
                    "additionalProperties": False,
                    "properties": {"inputs": inputs},
                }
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "additionalProperties": False,
                    "properties": {"file": files},
                },
                "encoding": {"file": {"contentType": media_type}},
            },
        },
    }  # fmt: skip


def _nested(shape: Sequence[int], number: dict[str, Any]) -> dict[str, Any]:
    schema = number
    for size in reversed(shape):
        schema = {"type": "array", "minItems": size, "maxItems": size, "items": schema}
    return schema


def _image_schema(facts: InputFacts) -> dict[str, Any]:
    channels, height, width = facts.shape
    shape = [height, width] if channels == 1 else [height, width, channels]
    return _nested(shape, {"type": "integer", "minimum": 0, "maximum": 255})


def _tensor_schema(facts: InputFacts) -> dict[str, Any]:
    return _nested(facts.shape, _NUMBER)


_NUMBER = {"type": "number", "minimum": -1e6, "maximum": 1e6}
"""Larger numbers are accepted too, as long as the network can compute with them."""


def _row_schema(facts: InputFacts) -> dict[str, Any]:
    columns = [_column_schema(column) for column in facts.columns]
    number = len(columns)
    row = {"type": "array", "minItems": number, "maxItems": number, "prefixItems": columns}
    if not facts.named:
        return row
    names = [column.name for column in facts.columns]
    return {"anyOf": [
        {"type": "object", "required": names, "properties": dict(zip(names, columns, strict=True))}, row,
    ]}  # fmt: skip


def _column_schema(column: ColumnFacts) -> dict[str, Any]:
    missing: list[dict[str, Any]] = [{"type": "null"}] if column.may_be_missing else []
    kinds: dict[str, dict[str, Any]] = {
        "number": _NUMBER,
        "one_hot": {"enum": column.categories, "description": "Any other text counts as a category of its own."},
        "ordinal": {"enum": column.categories},
        "yes_no": {"type": "boolean"},
        "date": {"type": "string", "format": "date"},
    }
    schema = kinds[column.kind]
    return {"anyOf": [schema, *missing]} if missing else schema

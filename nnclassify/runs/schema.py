"""The schema of checkpoints: every value with its type and range, and the consistency of the values.

A file with correct checksums may still be handmade. Checkpoints are validated before they are used, and after they
are written, before the previous one is given up.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Annotated, Any, Literal, NotRequired

import torch
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from pydantic_core import ArgsKwargs
from torch import Tensor
from typing_extensions import TypedDict  # pydantic requires it before Python 3.12

from nnclassify.config.run_config import RunConfig
from nnclassify.data.transform import Transform
from nnclassify.errors import one_line
from nnclassify.evaluation.calibration import Calibration
from nnclassify.training.history import PositiveCount, Row

FORMAT: Literal["nnclassify-checkpoint"] = "nnclassify-checkpoint"
FORMAT_VERSION: Literal[1, 2] = 2
"""Version 2 has a packed history and may have a `run_id`, which runs begun by an early release do not have."""
CLOSED = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True, allow_inf_nan=False)
"""No unknown keys, no strings in place of numbers, no NaN."""

Count = Annotated[int, Field(strict=True, ge=0, lt=2**53)]
NonNegative = Annotated[float, Field(ge=0)]
Weights = dict[str, Tensor]
Number = int | float | bool | None


def _numbers(dtype: torch.dtype, size: int, value: Tensor) -> Tensor:
    if value.dtype != dtype or value.shape != (size,):
        raise ValueError(f"{value.dtype} of shape {tuple(value.shape)}; expected {dtype} of shape ({size},)")
    return value


def _as_list(types: tuple[type, ...], value: list[Any]) -> list[Any]:
    """Validate a list with one type per position."""
    if len(value) != len(types) or any(type(item) is not kind for item, kind in zip(value, types, strict=True)):
        raise ValueError(f"expected {', '.join(kind.__name__ for kind in types)}")
    return value


def _numpy_state(value: list[Any]) -> list[Any]:
    _numbers(torch.int64, 624, _as_list((str, Tensor, int, int, float), value)[1])
    if (
        value[0] != "MT19937"
        or not 0 <= value[2] <= 624
        or value[3] not in (0, 1)
        or not value[1].ge(0).logical_and(value[1] < 2**32).all()
    ):
        raise ValueError("not a state of NumPy's generator")
    return value


def _python_state(value: list[Any]) -> list[Any]:
    gauss = value[-1] if value else None
    words = _numbers(torch.int64, 625, _as_list((int, Tensor, type(None) if gauss is None else float), value)[1])
    if value[0] != 3 or not words.ge(0).logical_and(words < 2**32).all() or int(words[-1]) > 624:
        raise ValueError("not a state of Python's generator")
    return value


@with_config(CLOSED)
class OptimizerState(TypedDict):
    """`torch.optim.Optimizer.state_dict()`; a state is a tensor or a step count."""

    state: dict[Count, dict[str, Tensor | Number]]
    param_groups: list[dict[str, Number | str | list[Count] | tuple[Number, ...]]]


@with_config(CLOSED)
class ScalerState(TypedDict):
    """`torch.amp.GradScaler.state_dict()`; empty without a scaler."""

    scale: NotRequired[Annotated[float, Field(gt=0)]]
    growth_factor: NotRequired[Annotated[float, Field(gt=1)]]
    backoff_factor: NotRequired[Annotated[float, Field(gt=0, lt=1)]]
    growth_interval: NotRequired[PositiveCount]
    _growth_tracker: NotRequired[Count]


@with_config(CLOSED)
class TotalsState(TypedDict):
    """`Totals.state()`."""

    loss: float
    weight: NonNegative
    hits: Count
    count: Count


@with_config(CLOSED)
class RandomState(TypedDict):
    """`seeds.random_state()`."""

    torch: Annotated[Tensor, AfterValidator(partial(_numbers, torch.uint8, len(torch.get_rng_state())))]
    cuda: list[Tensor]
    numpy: Annotated[list[Any], AfterValidator(_numpy_state)]
    python: Annotated[list[Any], AfterValidator(_python_state)]


@with_config(CLOSED)
class MachineState(TypedDict):
    """`resume.machine_state()`."""

    device: str
    threads: PositiveCount
    processes: PositiveCount
    torch: str


@with_config(ConfigDict(**{**CLOSED, "allow_inf_nan": True}))
class TrainingState(TypedDict):
    """`Trainer.state()`, the best weights and the machine: everything that an exact resume needs."""

    model: Weights
    averaged: Weights | None
    optimizers: Annotated[list[OptimizerState], Field(min_length=1)]
    scaler: ScalerState
    is_compiled: NotRequired[bool]
    has_compiled: NotRequired[bool]
    autocast: NotRequired[Literal["float16", "bfloat16", "float32", "float64"]]
    device_type: NotRequired[str]
    step: Count
    epoch: PositiveCount
    batch: Count
    totals: TotalsState
    epoch_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    best_epoch: Count
    best: Annotated[list[float], Field(min_length=2, max_length=2)]
    best_model: Weights | None
    random: RandomState
    machine: MachineState


@with_config(CLOSED)
class TransformState(TypedDict):
    """`Transform.state()`."""

    input_shape: Annotated[list[PositiveCount], Field(min_length=1, max_length=8)]
    picture: dict[str, Any] | None
    feature_names: list[str] | None
    shift: Tensor
    scale: Tensor
    columns: NotRequired[list[dict[str, Any]]]


@with_config(CLOSED)
class DistanceState(TypedDict):
    """`Distance`."""

    means: Tensor
    whitening: Tensor


@with_config(CLOSED)
class NoveltyState(TypedDict):
    """`Novelty.state()`."""

    distances: dict[Literal["inputs", "last_layer"], DistanceState]
    limits: Tensor


@with_config(CLOSED)
class CalibrationState(TypedDict):
    """`Calibration.state()`."""

    num_examples: PositiveCount
    temperature: Annotated[float, Field(gt=0)]
    threshold: Annotated[float, Field(ge=0, le=1)] | None
    scores: Tensor | None
    risks: Tensor | None
    novelty: NoveltyState | None


_CONFIG, _ROWS = TypeAdapter(RunConfig), TypeAdapter(list[Row])
_TRAINING, _TRANSFORM = TypeAdapter(TrainingState), TypeAdapter(TransformState)
_CALIBRATION = TypeAdapter(CalibrationState)


def _validated(adapter: TypeAdapter[Any], value: Any) -> Any:
    """Validate a value; the first problem becomes one line."""
    try:
        return adapter.validate_python(value)
    except ValidationError as cause:
        problem = cause.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, problem["loc"]))
        text = one_line(problem["msg"]).removeprefix("Value error, ")
        raise ValueError(f"{place}: {text}" if place else text) from cause


@with_config(CLOSED)
class PackedHistory(TypedDict):
    """A history as numbers: as dicts, a thousand epochs take longer to write and read than a tiny network to train.

    `rows` is float64 with one row per epoch; a missing column is None in all epochs.
    """

    columns: Annotated[list[str], Field(max_length=100)]
    rows: Tensor


_PACKED = TypeAdapter(PackedHistory)
_WHOLE_NUMBERS, _OPTIONAL = ("epoch", "step"), ("validation_loss", "validation_accuracy")


def packed_history(history: list[dict[str, Any]]) -> PackedHistory:
    """Pack a history whose rows have the same keys and lack the same values."""
    columns = [name for name, value in history[0].items() if value is not None] if history else []
    rows = torch.tensor([[row[name] for name in columns] for row in history], dtype=torch.float64)
    return PackedHistory(columns=columns, rows=rows.reshape(len(history), len(columns)))


def unpacked_history(packed: Any) -> list[dict[str, Any]]:
    """Unpack a history packed by `packed_history`.

    Raises:
        ValueError: It is not a history.
    """
    columns, rows = _validated(_PACKED, packed).values()
    if rows.dtype != torch.float64 or rows.ndim != 2 or rows.shape[1] != len(columns):
        raise ValueError(f"history: {rows.dtype} of shape {tuple(rows.shape)}, with {len(columns)} columns")
    whole, absent = [name in _WHOLE_NUMBERS for name in columns], dict.fromkeys(_OPTIONAL)
    return [
        absent
        | {
            name: int(value) if is_whole and value.is_integer() else value
            for name, value, is_whole in zip(columns, row, whole, strict=True)
        }
        for row in rows.tolist()
    ]


def _whole_config(value: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as cause:
        raise ValueError(f"not plain data ({cause})") from cause
    _validated(_CONFIG, value)
    return value


def _whole_transform(value: dict[str, Any]) -> dict[str, Any]:
    return Transform.from_state(_validated(_TRANSFORM, value)).state()  # with the entries that were added later


def _whole_history(value: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = _validated(_ROWS, value)
    if [row.epoch for row in rows] != list(range(1, len(rows) + 1)):
        raise ValueError("its epochs are not 1, 2, 3, ...")
    if any(before.step >= after.step for before, after in pairwise(rows)):
        raise ValueError("its steps do not increase")
    return [_as_saved(row) for row in rows]


def _as_saved(row: Row) -> dict[str, Any]:
    """Return the same as `Row.state`, which is slow for thousands of rows."""
    return {name: value for name, value in vars(row).items() if value is not None or name in _OPTIONAL}


def _whole_training(value: dict[str, Any]) -> dict[str, Any]:
    """Check that redundant values in the state of a run agree."""
    state: dict[str, Any] = _validated(_TRAINING, value)
    totals = state["totals"]
    counted = {totals["count"] > 0, totals["weight"] > 0, state["batch"] > 0}
    if totals["hits"] > totals["count"] or len(counted) > 1:
        raise ValueError("totals: more correct predictions than examples, or not for this batch")
    if (state["best_epoch"] == 0) != (state["best_model"] is None):
        raise ValueError("best_epoch and best_model do not match")
    if state["best_epoch"] > 0 and not all(map(math.isfinite, state["best"])):
        raise ValueError("best: holds NaN or infinity")
    return state


def _whole_calibration(value: dict[str, Any]) -> dict[str, Any]:
    return Calibration.from_state(_validated(_CALIBRATION, value)).state()


def _different(value: list[str]) -> list[str]:
    if len(set(value)) != len(value):
        raise ValueError("a name appears twice")
    return value


@dataclass(frozen=True)
class Checkpoint:
    """A trained network and everything that is needed to use it.

    Attributes:
        config: The resolved config, as `RunConfig.model_dump(mode="json")`.
        class_names: Names of the classes, in the order of the class indices.
        class_counts: Number of training examples per class, which a loss may depend on.
        transform: `Transform.state()`.
        model: The weights to use: the average, if there is one.
        epoch: The epoch of these weights, from 1; 0 in a `last.pt` written before the end of the first epoch.
        history: `Row.state()` of every epoch so far.
        training: Everything that an exact resume needs; None in `best.pt`.
        split_digests: `Splits.digests()` of its data; None if an early release wrote the checkpoint.
        run_id: Identity of the run, equal in all its checkpoints; None if an early release began it.
        calibration: `Calibration.state()`, added to `best.pt` after training; None if the run has no validation split
            of its own. The file then has no such entry, and neither has `last.pt`.
    """

    config: Annotated[dict[str, Any], AfterValidator(_whole_config)]
    class_names: Annotated[list[str], Field(min_length=2), AfterValidator(_different)]
    class_counts: list[Count]
    transform: Annotated[dict[str, Any], AfterValidator(_whole_transform)]
    model: Annotated[Weights, Field(min_length=1)]
    epoch: Count
    history: Annotated[list[dict[str, Any]], AfterValidator(_whole_history)]
    training: Annotated[dict[str, Any], AfterValidator(_whole_training)] | None = None
    split_digests: dict[str, str] | None = None
    run_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    calibration: Annotated[dict[str, Any], AfterValidator(_whole_calibration)] | None = None
    format: Literal["nnclassify-checkpoint"] = FORMAT
    format_version: Literal[1, 2] = FORMAT_VERSION

    __pydantic_config__ = ConfigDict(**{**CLOSED, "strict": False})  # strict dataclasses do not accept dicts


_SCHEMA = TypeAdapter(Checkpoint)


def checked(content: dict[str, Any]) -> Checkpoint:
    """Validate a file's content, without `sha256`, and return the checkpoint.

    Raises:
        ValueError: A value is missing, unknown, of another type, out of range, or inconsistent with others.
    """
    if content.get("format_version") != 1:
        content = {**content, "history": unpacked_history(content.get("history"))}
    checkpoint: Checkpoint = _validated(_SCHEMA, ArgsKwargs((), content))
    if (disagreement := next(_disagreements(checkpoint), None)) is not None:
        raise ValueError(disagreement)
    return checkpoint


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and bool((one == other).all())


def _disagreements(checkpoint: Checkpoint) -> Iterator[str]:
    names, counts, rows, training = (
        len(checkpoint.class_names),
        checkpoint.class_counts,
        len(checkpoint.history),
        checkpoint.training,
    )
    if len(counts) != names or not all(counts):
        yield f"class_counts: {counts} for {names} classes; expected one positive count per class"
    if not (0 if training else 1) <= checkpoint.epoch <= rows:
        yield f"epoch: {checkpoint.epoch}, with a history of {rows} epochs"
    if checkpoint.run_id is not None and checkpoint.format_version == 1:
        yield "run_id: belongs to format version 2"
    if training is None:
        return
    if not checkpoint.epoch == rows == training["epoch"] - 1 or training["best_epoch"] > rows:
        yield f"training: epoch {training['epoch']}, best {training['best_epoch']}, with a history of {rows} epochs"
    evaluated = training["model"] if training["averaged"] is None else training["averaged"]
    if evaluated.keys() != checkpoint.model.keys() or not all(
        _same(evaluated[name], weight) for name, weight in checkpoint.model.items()
    ):
        yield "model: not the weights that were trained"
    if training["step"] != training["batch"] + (checkpoint.history[-1]["step"] if rows else 0):
        yield f"training: step {training['step']} with {training['batch']} batches after the history's last"

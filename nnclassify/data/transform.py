"""Normalization: from raw examples to network inputs.

The same `Transform` is used for training, evaluation and prediction. It is fitted to the training split and stored
in the checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, TypeAdapter

from nnclassify.data.tables.table_encoder import TableEncoder
from nnclassify.files.images.image_format import ImageFormat
from nnclassify.settings import PositiveFloat, Settings

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Tta = Literal["none", "mirror", "mirror_translate"]
Normalize = Literal["standard", "minmax", "unit", "none"]

LARGEST = 1.8e19
"""Larger normalized values have no square in float32, so the first products of a network are infinite."""

CONSTANT = 1e-12
"""Smallest standard deviation relative to the mean: below it, the deviation is rounding error, not information."""

STATISTICS_CHUNK, STATISTICS_VALUES = 2048, 2**22
"""Examples read at a time for the statistics, and their values, to limit memory: eight bytes per value. Neither affects
the result for images; sums of float values are rounded by chunk."""


class Costs(Settings):
    """The costs of the two kinds of mistakes between two classes, of which the second is the positive one."""

    false_positive: PositiveFloat = 1.0
    """Cost of predicting the second class for an example of the first."""
    false_negative: PositiveFloat = 1.0
    """Cost of predicting the first class for an example of the second."""


Threshold = Annotated[float, Field(gt=0, lt=1)] | Literal["f1"] | Costs | None


class EvaluationSettings(Settings):
    """How the network is evaluated: in validation, by `evaluate` and by `predict`."""

    tta: Tta = "none"
    """Test-time augmentation: views of an image whose outputs are averaged. `mirror`: the image and its mirror image;
    `mirror_translate`: half of the weight on these two, half on both shifted by one pixel down and right, and up and
    left."""
    threshold: Threshold = None
    """Of two classes: the probability above which the second is predicted. `f1` and costs, such as `{false_positive: 1,
    false_negative: 5}`, choose it after training: the highest F1 of the second class, or the lowest cost, on the
    validation split; 0.5 if that has examples of one class alone. It acts in `evaluate` and `predict`; during training
    it is 0.5. Default: 0.5."""


@dataclass(frozen=True)
class Transform:
    """Raw inputs `(N, ...)` to network inputs `(N, ...)`: `(raw - shift) / scale`.

    Attributes:
        input_shape: Shape of one example: `(C, H, W)` or `(num_features,)`.
        image_format: How an image file becomes a raw input; None if the examples are not images.
        feature_names: Names of the columns, in order; None if they have no names.
        shift: Float64, broadcastable to `input_shape`, in raw units.
        scale: Float64, same shape, positive.
        encoder: How the texts of a table become its features; None if every column is a number and a feature.
    """

    input_shape: tuple[int, ...]
    image_format: ImageFormat | None
    feature_names: list[str] | None
    shift: Tensor
    scale: Tensor
    encoder: TableEncoder | None = None

    @property
    def columns(self) -> list[str] | None:
        """Names of the columns that an example is read from, in order; None if they have no names."""
        return self.feature_names if self.encoder is None else self.encoder.names

    @property
    def num_columns(self) -> int:
        """The number of columns that an example of a table is read from."""
        return self.input_shape[0] if self.encoder is None else len(self.encoder.columns)

    def __call__(self, raw: Tensor, dtype: torch.dtype) -> Tensor:
        """Normalize raw inputs of any number type and convert them to `dtype`.

        Tables are float64 and are normalized in float64: values of a column may differ in the tenth digit only.
        """
        import torch

        if raw.dtype == torch.float64:
            shift, scale = (value.to(raw.device, non_blocking=True) for value in (self.shift, self.scale))
            return raw.sub(shift).div_(scale).to(dtype)
        shift, scale = (value.to(raw.device, dtype, non_blocking=True) for value in (self.shift, self.scale))
        return raw.to(dtype).sub_(shift).div_(scale) if raw.dtype == torch.uint8 else (raw.to(dtype) - shift) / scale

    def too_large(self, raw: Tensor) -> dict[int, str]:
        """Return a message for each row of raw inputs `(N, ...)` with a value too large to compute with."""
        import torch

        if raw.dtype == torch.uint8:
            return {}
        normalized = ((raw.double() - self.shift) / self.scale).abs().flatten(1)
        fits = (normalized <= LARGEST) & (raw.flatten(1).abs() <= torch.finfo(torch.float32).max)
        rows = (~fits).any(dim=1).nonzero().flatten().tolist()
        found = {}
        for row in rows:
            place = int((~fits[row]).nonzero()[0])
            name = f"column {self.feature_names[place]!r}: " if self.feature_names else ""
            value, size = float(raw[row].flatten()[place]), float(normalized[row, place])
            found[row] = f"{name}{value:.6g}, {size:.2g} after normalizing, is too large for float32 computation"
        return found

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint: primitives and tensors."""
        image_format = None if self.image_format is None else dict(vars(self.image_format))
        return {
            "input_shape": list(self.input_shape),
            "picture": image_format,
            "feature_names": self.feature_names,
            "shift": self.shift,
            "scale": self.scale,
            **({} if self.encoder is None else {"columns": self.encoder.state()}),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Transform:
        """Restore a transform from `state()`.

        Raises:
            ValueError: The state is invalid.
        """
        shape, names, shift, scale = tuple(state["input_shape"]), state["feature_names"], state["shift"], state["scale"]
        image_format = None if state["picture"] is None else TypeAdapter(ImageFormat).validate_python(state["picture"])
        if image_format is not None and (shape != image_format.shape() or not image_format.is_sound()):
            raise ValueError("the image format does not fit the input shape, or white is not above black")
        if names is not None and shape != (len(names),):
            raise ValueError("the feature names do not fit the input shape")
        _check_statistics(shape, shift, scale)
        columns = state.get("columns")
        encoder = None if columns is None else TableEncoder.from_state(columns)
        if encoder is not None and encoder.feature_names != names:
            raise ValueError("the columns of the table do not fit the feature names")
        return cls(shape, image_format, names, shift, scale, encoder)


def _check_statistics(shape: tuple[int, ...], shift: Tensor, scale: Tensor) -> None:
    """Reject statistics that are not finite, do not fit one example, or divide by 0."""
    import torch

    for value in (shift, scale):
        # Use NumPy's broadcast_shapes: torch's imports sympy, which takes half a second.
        if value.dtype != torch.float64 or np.broadcast_shapes(tuple(value.shape), shape) != shape:
            raise ValueError("the transform's shift or scale does not fit its input shape")
    if not (shift.isfinite() & scale.isfinite() & (scale > 0)).all():
        raise ValueError("the transform's shift or scale is not finite, or a scale is not positive")


def fit_normalization(
    inputs: Tensor, indices: Tensor, normalize: Normalize, encoder: TableEncoder | None = None
) -> tuple[Tensor, Tensor]:
    """Compute shift and scale from the training rows `indices` of raw `inputs` `(M, ...)`.

    Images `(N, C, H, W)` get one pair per channel, tables `(N, num_features)` one per column. `standard` uses the mean
    and the standard deviation; `minmax` maps the smallest value to 0 and the largest to 1; `unit` does the same with
    one pair for all columns, and with 0 and 255 for uint8 images. A constant column is only shifted; with `standard`,
    one whose values differ by rounding alone (see `CONSTANT`) is also divided by its mean, if that is above 1. Features
    of an `encoder` that are 0 or 1, such as the indicators of categories, stay so.

    Returns:
        Shift and scale, float64 tensors that broadcast against one example.
    """
    import torch

    shape = [inputs.shape[1], *[1] * (inputs.ndim - 2)]
    if normalize == "none":
        return torch.zeros(shape, dtype=torch.float64), torch.ones(shape, dtype=torch.float64)
    if normalize == "unit" and inputs.dtype == torch.uint8:
        return torch.zeros(shape, dtype=torch.float64), torch.full(shape, 255.0, dtype=torch.float64)
    if encoder is not None:
        is_kept = torch.tensor([feature.keeps_scale for feature in encoder.features])
        shift, scale = torch.zeros(shape, dtype=torch.float64), torch.ones(shape, dtype=torch.float64)
        if not is_kept.all():
            shift[~is_kept], scale[~is_kept] = fit_normalization(inputs[:, ~is_kept], indices, normalize)
        return shift, scale
    if normalize == "standard":
        shift, scale = _mean_and_std(inputs, indices)
    else:
        low, high = _extremes(inputs, indices)
        if normalize == "unit":
            low, high = low.min().repeat(len(low)), high.max().repeat(len(high))
        shift, scale = low, high - low
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return shift.reshape(shape), scale.reshape(shape)


def _mean_and_std(inputs: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Compute per channel or column in float64; uint8 pixels are summed as integers and so exactly. A deviation that is
    rounding alone is replaced by the absolute mean, or 1."""
    import torch

    dims = [dim for dim in range(inputs.ndim) if dim != 1]
    count = len(indices) * max(1, math.prod(inputs.shape[2:]))
    if inputs.dtype == torch.uint8:
        total, squares = _sums_of_bytes(inputs, indices)
        mean = total / count
        squares -= count * mean.square()
    else:
        chunks = indices.split(STATISTICS_CHUNK)
        mean = sum(inputs.index_select(0, rows).sum(dim=dims, dtype=torch.float64) for rows in chunks) / torch.tensor(
            count
        )
        shape = [-1, *[1] * (inputs.ndim - 2)]
        squares = torch.zeros_like(mean)
        for rows in chunks:
            squares += (inputs.index_select(0, rows).double() - mean.reshape(shape)).square_().sum(dim=dims)
    std = squares.div(count).clamp_(min=0).sqrt()
    # The mean of large values is rounded too, so that they are far from it in units of 1, if close relative to it.
    return mean, torch.where((std > 0) & (std <= CONSTANT * mean.abs()), mean.abs().clamp(min=1), std)


def _images_at_once(inputs: Tensor) -> int:
    return max(1, min(STATISTICS_CHUNK, STATISTICS_VALUES // max(1, math.prod(inputs.shape[1:]))))


def _sums_of_bytes(inputs: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the exact sums of uint8 values and of their squares, per channel or column."""
    import torch

    total, squares = torch.zeros(2, inputs.shape[1], dtype=torch.float64).unbind()
    if inputs.ndim == 2:
        for rows in indices.split(256):  # 256 x 255^2 < 2^24, so float32 sums that many exactly
            values = inputs.index_select(0, rows).float()
            total += values.sum(dim=0)
            squares += values.square_().sum(dim=0)
        return total, squares
    values = torch.arange(256)
    for rows in indices.split(_images_at_once(inputs)):
        channels = inputs.index_select(0, rows).transpose(0, 1).flatten(1)
        counts = torch.stack([channel.bincount(minlength=256) for channel in channels])
        total += (counts * values).sum(dim=1)
        squares += (counts * values.square()).sum(dim=1)
    return total, squares


def _extremes(inputs: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    import torch

    dims = [dim for dim in range(inputs.ndim) if dim != 1]
    lows, highs = [], []
    for rows in indices.split(_images_at_once(inputs)):
        values = inputs.index_select(0, rows)
        lows.append(values.amin(dim=dims))
        highs.append(values.amax(dim=dims))
    return torch.stack(lows).amin(0).double(), torch.stack(highs).amax(0).double()

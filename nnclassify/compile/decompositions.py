"""Operators written out so that the compiler makes fast loops of them: of torch's own forms it makes slow ones.

Each takes what the operator of its name takes (ATen's, positionally) and computes the same. For a case that it does
not cover it returns NotImplemented, and torch's own form is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from nnclassify.compile.torch_private import force_stride_order

aten = torch.ops.aten


def batch_norm(
    inputs: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Any:
    """`aten.native_batch_norm`. Mean first, then the squares of what is left: torch's way, one example at a time
    (Welford), divides once an example. The running statistics are updated where the operator's schema hides it."""
    if not training:
        return NotImplemented
    dims = [dim for dim in range(inputs.ndim) if dim != 1]
    shape = [1, -1, *[1] * (inputs.ndim - 2)]
    values = inputs.float() if inputs.dtype in (torch.bfloat16, torch.float16) else inputs
    mean = _kept(values.mean(dims))
    rest = values - mean.reshape(shape)
    var = rest.square().mean(dims)
    inverse = _kept((var + eps).rsqrt())
    outputs = rest * inverse.reshape(shape)
    if weight is not None:
        outputs = outputs * weight.reshape(shape)
    if bias is not None:
        outputs = outputs + bias.reshape(shape)
    if running_mean is not None and running_var is not None:
        count = inputs.numel() // inputs.shape[1]
        running_mean.lerp_(mean, momentum)
        running_var.lerp_(var * (count / (count - 1)), momentum)
    return outputs.to(inputs.dtype), mean, inverse


def max_pool(
    inputs: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    ceil_mode: bool = False,
) -> Any:
    """`aten.max_pool2d_with_indices`; where windows lie side by side, its second result is the place in the window,
    from 0, as a number of the inputs' type: masks of one type are fast."""
    if not _side_by_side(kernel, stride, padding, dilation, ceil_mode):
        return NotImplemented
    size_h, size_w = _pair(kernel)
    height, width = inputs.shape[2] // size_h * size_h, inputs.shape[3] // size_w * size_w
    best = inputs[:, :, 0:height:size_h, 0:width:size_w]
    places = torch.zeros_like(best)
    for place in range(1, size_h * size_w):
        row, column = divmod(place, size_w)
        values = inputs[:, :, row:height:size_h, column:width:size_w]
        better = (values > best) | (values != values)  # NaN wins; of isnan() the compiler makes a slow loop
        best, places = torch.where(better, values, best), torch.where(better, float(place), places)
    return best.clone(), _kept(places)


def max_pool_backward(
    gradient: Tensor,
    inputs: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    places: Tensor,
) -> Any:
    """`aten.max_pool2d_with_indices_backward`, after `max_pool`."""
    if not _side_by_side(kernel, stride, padding, dilation, ceil_mode):
        return NotImplemented
    size_h, size_w = _pair(kernel)
    height, width = inputs.shape[2:]
    # A window of no gradient is added where the last ones leave rows or columns over; what is too much of it is cut.
    for dim, whole in ((3, -(-width // size_w)), (2, -(-height // size_h))):
        if places.shape[dim] < whole:
            none = torch.zeros_like(places.narrow(dim, 0, 1))
            gradient, places = torch.cat([gradient, none], dim), torch.cat([places, none], dim)
    gradient = _kept(gradient, places.stride())
    rows = torch.arange(size_h, dtype=torch.float32, device=inputs.device)[:, None, None]
    columns = torch.arange(size_w, dtype=torch.float32, device=inputs.device)
    here = places[:, :, :, None, :, None] == rows * size_w + columns
    spread = torch.where(here, gradient[:, :, :, None, :, None], 0.0)
    count, channels, windows_h, _, windows_w, _ = spread.shape
    # Kept while the place in the window has axes of its own: read without them, each value would cost divisions.
    strides = list(spread.stride())
    if inputs.stride(1) == 1:  # (N, H, W, C) in memory
        parts = (size_h * windows_w * size_w, windows_w * size_w, size_w, 1)
        strides = [spread[0].numel(), 1, *(channels * part for part in parts)]
    spread = _kept(spread, strides).reshape(count, channels, windows_h * size_h, windows_w * size_w)
    return spread[:, :, :height, :width]


def add(inputs: Tensor, other: Any, *, alpha: Any = 1) -> Any:
    """`aten.add`, its factor written out: some releases of the compiler make `addmm` of a sum with a matrix product,
    and lose the factor (torch 2.11 to 2.14: every SGD step of a layer that meets its gradient directly)."""
    return NotImplemented if isinstance(alpha, int | float) and alpha == 1 else inputs + other * alpha


def add_(inputs: Tensor, other: Any, *, alpha: Any = 1) -> Any:
    """The same in place."""
    return NotImplemented if isinstance(alpha, int | float) and alpha == 1 else inputs.add_(other * alpha)


def _kept(values: Tensor, stride: Sequence[int] | None = None) -> Tensor:
    """The same values, computed once, there (asked for in a layout, they are); else wherever they are used, again."""
    return force_stride_order(values, values.stride() if stride is None else stride)


def _pair(sizes: Sequence[int]) -> tuple[int, int]:
    return (sizes[0], sizes[-1])


def _side_by_side(
    kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], ceil_mode: bool
) -> bool:
    """Whether each value is in one window at most, and each window is whole and small."""
    same = not stride or _pair(stride) == _pair(kernel)
    return same and not any(padding) and set(dilation) == {1} and not ceil_mode and kernel[0] * kernel[-1] <= 9


DECOMPOSITIONS: dict[Any, Callable[..., Any]] = {
    aten.add.Tensor: add,
    aten.add_.Tensor: add_,
    aten.native_batch_norm.default: batch_norm,
    aten.max_pool2d_with_indices.default: max_pool,
    aten.max_pool2d_with_indices_backward.default: max_pool_backward,
}

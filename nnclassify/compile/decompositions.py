"""Decompositions of operators that the compiler turns into faster loops than torch's own decompositions.

Each function takes the positional arguments of the ATen operator of its name and computes the same result. It
returns NotImplemented in cases that it does not cover; torch's own implementation is then used.
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
    """Decompose `aten.native_batch_norm` in training mode.

    The variance is computed from the deviations from the mean. torch's one-pass algorithm (Welford) divides once per
    example. The running statistics are updated in place, although the operator's schema does not say so.
    """
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
    """Decompose `aten.max_pool2d_with_indices` for windows that do not overlap.

    The second result is the position of the maximum within its window, from 0, in the number type of the inputs,
    because masks of a single type are fast.
    """
    if not _side_by_side(kernel, stride, padding, dilation, ceil_mode):
        return NotImplemented
    size_h, size_w = _pair(kernel)
    height, width = inputs.shape[2] // size_h * size_h, inputs.shape[3] // size_w * size_w
    best = inputs[:, :, 0:height:size_h, 0:width:size_w]
    places = torch.zeros_like(best)
    for place in range(1, size_h * size_w):
        row, column = divmod(place, size_w)
        values = inputs[:, :, row:height:size_h, column:width:size_w]
        better = (values > best) | (values != values)  # NaN wins; isnan() would compile to a slow loop
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
    """Decompose `aten.max_pool2d_with_indices_backward` for the positions that `max_pool` returns."""
    if not _side_by_side(kernel, stride, padding, dilation, ceil_mode):
        return NotImplemented
    size_h, size_w = _pair(kernel)
    height, width = inputs.shape[2:]
    # If the windows leave rows or columns over, append a window without gradient, and crop it at the end.
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
    # Store the result while the position in the window has its own axes; computed later, each value would cost
    # divisions.
    strides = list(spread.stride())
    if inputs.stride(1) == 1:  # (N, H, W, C) in memory
        parts = (size_h * windows_w * size_w, windows_w * size_w, size_w, 1)
        strides = [spread[0].numel(), 1, *(channels * part for part in parts)]
    spread = _kept(spread, strides).reshape(count, channels, windows_h * size_h, windows_w * size_w)
    return spread[:, :, :height, :width]


def convolution_backward(
    gradient: Tensor, inputs: Tensor, weight: Tensor, bias_sizes: Sequence[int] | None, *options: Any
) -> Any:
    """Decompose `aten.convolution_backward` in float32 with a bias, whose gradient the compiler then sums itself.

    oneDNN adds it up value by value in channels_last, with AVX2 in a fifth of its time for the weight's gradient; in
    bfloat16 its sum is as fast as the compiler's.
    """
    *geometry, (of_inputs, of_weight, of_bias) = options
    if not of_bias or gradient.dtype != torch.float32:
        return NotImplemented
    wanted = [of_inputs, of_weight, False]
    found = aten.convolution_backward.default(gradient, inputs, weight, None, *geometry, wanted)
    return found[0], found[1], gradient.sum([dim for dim in range(gradient.ndim) if dim != 1])


def add(inputs: Tensor, other: Any, *, alpha: Any = 1) -> Any:
    """Decompose `aten.add` with a factor into a product and a sum.

    Some compiler releases convert a sum with a matrix product to `addmm` and drop the factor (torch 2.11 to 2.14:
    every SGD step of a layer whose gradient is a matrix product).
    """
    return NotImplemented if isinstance(alpha, int | float) and alpha == 1 else inputs + other * alpha


def add_(inputs: Tensor, other: Any, *, alpha: Any = 1) -> Any:
    """Decompose `aten.add_` like `add`."""
    return NotImplemented if isinstance(alpha, int | float) and alpha == 1 else inputs.add_(other * alpha)


def _kept(values: Tensor, stride: Sequence[int] | None = None) -> Tensor:
    """Compute the values once and store them, with the given strides; by default, the compiler recomputes them at
    each use."""
    return force_stride_order(values, values.stride() if stride is None else stride)


def _pair(sizes: Sequence[int]) -> tuple[int, int]:
    return (sizes[0], sizes[-1])


def _side_by_side(
    kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], ceil_mode: bool
) -> bool:
    """Return whether windows are small and complete and do not overlap."""
    same = not stride or _pair(stride) == _pair(kernel)
    return same and not any(padding) and set(dilation) == {1} and not ceil_mode and kernel[0] * kernel[-1] <= 9


DECOMPOSITIONS: dict[Any, Callable[..., Any]] = {
    aten.add.Tensor: add,
    aten.add_.Tensor: add_,
    aten.convolution_backward.default: convolution_backward,
    aten.native_batch_norm.default: batch_norm,
    aten.max_pool2d_with_indices.default: max_pool,
    aten.max_pool2d_with_indices_backward.default: max_pool_backward,
}

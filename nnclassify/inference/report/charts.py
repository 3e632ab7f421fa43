"""Charts as geometry: paths, ticks and points in the coordinates of an SVG, and the values that its script reads."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from nnclassify.evaluation.percent import percent

WIDTH, HEIGHT = 420, 240
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 10, 28
"""Size and margins of a chart, in units of its SVG."""
MAX_POINTS = 400
"""Epochs drawn; of more, evenly spaced ones, with the best and the last."""
LOG_RATIO = 50
"""A loss that falls by more than this factor is drawn on a logarithmic axis."""


@dataclass(frozen=True)
class Tick:
    """A tick of an axis: its place, and its label."""

    place: float
    label: str


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        name: What it shows.
        kind: The class of its style: `train` or `validation`, or `run-0`, `run-1`, ...
        path: The `d` of its SVG path.
        places: The vertical place of each point; None: it has no value there.
        texts: The value of each point, as it is read out.
    """

    name: str
    kind: str
    path: str
    places: list[float | None]
    texts: list[str]


@dataclass(frozen=True)
class Chart:
    """A chart of lines over the epochs.

    Attributes:
        title: Its title.
        lines: The lines.
        epochs: The epoch of each point.
        xs: The horizontal place of each point.
        x_ticks: The ticks of the horizontal axis.
        y_ticks: The ticks of the vertical axis.
        mark: The index of the point of the best epoch, or None.
        is_log: Whether the vertical axis is logarithmic.
    """

    title: str
    lines: list[Line]
    epochs: list[int]
    xs: list[float]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    mark: int | None = None
    is_log: bool = False
    width: int = field(default=WIDTH, init=False)
    height: int = field(default=HEIGHT, init=False)
    bottom: int = field(default=HEIGHT - BOTTOM, init=False)
    left: int = field(default=LEFT, init=False)
    right: int = field(default=WIDTH - RIGHT, init=False)
    top: int = field(default=TOP, init=False)

    def data(self) -> dict[str, Any]:
        """Return what the script reads out, for JSON."""
        lines = [{"name": line.name, "kind": line.kind, "ys": line.places, "texts": line.texts} for line in self.lines]
        return {"epochs": self.epochs, "xs": self.xs, "lines": lines, "mark": self.mark}

    def readout(self) -> str:
        """Return the values at the mark, or at the last epoch, in words."""
        place = len(self.epochs) - 1 if self.mark is None else self.mark
        values = [f"{line.name} {line.texts[place]}" for line in self.lines if line.texts[place]]
        return f"epoch {self.epochs[place]:,}: {', '.join(values)}"


@dataclass(frozen=True)
class Series:
    """The values of a line, one per row; None where there is none."""

    name: str
    kind: str
    values: Sequence[float | None]


def thinned(count: int, keep: Sequence[int] = ()) -> list[int]:
    """Return about MAX_POINTS of `count` indices: evenly spaced, with the first, the last and those of `keep`."""
    if count <= MAX_POINTS:
        return list(range(count))
    evenly = (round(place * (count - 1) / (MAX_POINTS - 1)) for place in range(MAX_POINTS))
    return sorted({*evenly, *(index for index in keep if 0 <= index < count)})


def line_chart(
    title: str,
    epochs: Sequence[int],
    series: Sequence[Series],
    *,
    is_share: bool = False,
    may_be_log: bool = False,
    mark: int | None = None,
) -> Chart | None:
    """Draw lines over epochs.

    Args:
        title: The title.
        epochs: The epoch of each value, rising.
        series: The lines; those without any finite value are left out.
        is_share: Whether values are fractions, which are written as percentages.
        may_be_log: Whether the axis is logarithmic if the values span more than `LOG_RATIO`.
        mark: The index of the best epoch.

    Returns:
        None if there is no finite value.
    """
    shown = [one for one in series if any(map(_is_finite, one.values))]
    known = [value for one in shown for value in one.values if _is_finite(value)]
    if not known:
        return None
    low, high = min(known), max(known)
    is_log = may_be_log and low > 0 and high / low > LOG_RATIO
    ticks = _log_ticks(low, high) if is_log else _ticks(low, high, within_one=is_share)
    bounds = (math.log10(ticks[0]), math.log10(ticks[-1])) if is_log else (ticks[0], ticks[-1])

    def height_of(value: float | None) -> float | None:
        if not _is_finite(value):
            return None
        share = ((math.log10(value) if is_log else value) - bounds[0]) / (bounds[1] - bounds[0])
        return round(HEIGHT - BOTTOM - min(max(share, 0.0), 1.0) * (HEIGHT - TOP - BOTTOM), 1)

    xs = [_place(epoch, epochs[0], epochs[-1]) for epoch in epochs]
    texts = percent if is_share else "{:.4g}".format
    lines = []
    for one in shown:
        ys = [height_of(value) for value in one.values]
        told = ["" if value is None else texts(value) for value in one.values]
        lines.append(Line(one.name, one.kind, _path(xs, ys), ys, told))
    label = (lambda value: f"{value:.0%}") if is_share and ticks[1] - ticks[0] >= 0.01 else texts
    y_ticks = [Tick(height_of(tick) or 0.0, label(tick)) for tick in ticks]
    return Chart(title, lines, list(epochs), xs, _epoch_ticks(epochs), y_ticks, mark, is_log)


def _is_finite(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _place(epoch: int, first: int, last: int) -> float:
    """Return the horizontal place of an epoch; a single one is in the middle."""
    share = 0.5 if first == last else (epoch - first) / (last - first)
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _path(xs: Sequence[float], ys: Sequence[float | None]) -> str:
    """Return an SVG path; a value without a neighbor becomes a short stroke, which round caps show as a dot."""
    parts, is_open = [], False
    for place, (x, y) in enumerate(zip(xs, ys, strict=True)):
        if y is None:
            is_open = False
            continue
        parts.append(f"{'L' if is_open else 'M'}{x:g} {y:g}")
        follows = place + 1 < len(ys) and ys[place + 1] is not None
        if not is_open and not follows:
            parts.append(f"L{x:g} {y:g}")
        is_open = True
    return "".join(parts)


def _step(span: float, count: int) -> float:
    """Return a round step, 1, 2 or 5 times a power of ten, that divides a span into at most about `count` parts."""
    raw = span / count
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)


def _ticks(low: float, high: float, *, within_one: bool) -> list[float]:
    """Return round ticks that enclose the values."""
    is_within_one = within_one and low >= 0 and high <= 1
    if high - low < 1e-9 * max(1.0, abs(high)):
        low, high = low - max(abs(low) * 0.1, 0.05), high + max(abs(high) * 0.1, 0.05)
    if is_within_one:
        low, high = max(low, 0.0), min(high, 1.0)
    step = _step(high - low, 4)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    skip = max(1, math.ceil((last - first) / 5))
    last = first + skip * math.ceil((last - first) / skip)
    return [10.0 ** min(power, sys.float_info.max_10_exp) for power in range(first, last + 1, skip)]


def _epoch_ticks(epochs: Sequence[int]) -> list[Tick]:
    first, last = epochs[0], epochs[-1]
    step = 1 if first == last else max(1, int(_step(last - first, 5)))
    marked = range(-(-first // step) * step, last + 1, step)
    return [Tick(_place(epoch, first, last), f"{epoch:,}") for epoch in marked]

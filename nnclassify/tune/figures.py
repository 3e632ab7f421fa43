"""The result of a search for JSON; apart from what finds it, which needs Optuna."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NotRequired

from typing_extensions import TypedDict  # pydantic requires it before Python 3.12


@dataclass(frozen=True)
class Edge:
    """A best value at the edge of its range.

    Attributes:
        parameter: The name of the parameter.
        value: The value.
        side: `lower` or `upper`.
        range: The range that was searched.
        next_range: The range to search next; None if the option allows no other values.
    """

    parameter: str
    value: float
    side: str
    range: dict[str, Any]
    next_range: dict[str, Any] | None


class TrialFigures(TypedDict):
    """A trial of a search; one that is still running has no figures yet."""

    trial: int
    state: str
    value: NotRequired[float | None]
    loss: NotRequired[float | None]
    epochs: NotRequired[int]
    seconds: NotRequired[float]
    error: NotRequired[str | None]
    values: dict[str, Any]


class TuneFigures(TypedDict):
    """The trials of a search, and the best of them."""

    study: str
    select_by: str
    counts: dict[str, int]
    best: TrialFigures | None
    best_config: str | None
    edges: list[Edge]
    importance: dict[str, float]
    trials: list[TrialFigures]

"""The table of metrics: those of a network with their intervals, beside the baselines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nnclassify.cli.table import table
from nnclassify.errors import counted, printable
from nnclassify.evaluation.baselines import Baselines
from nnclassify.evaluation.metrics import METRICS
from nnclassify.evaluation.percent import percent
from nnclassify.inference.evaluate import Evaluation

IN_SHORT = ("accuracy", "balanced_accuracy")
"""The metrics that `train` shows; `evaluate` shows all."""


def metrics_lines(
    title: str, evaluation: Evaluation, found: Baselines | None, names: Iterable[str] | None = None
) -> list[str]:
    """Return the table of metrics, and below it what the table cannot say.

    Args:
        title: What the metrics are for, over the first column.
        evaluation: The evaluation of the network.
        found: The baselines on the same examples, if they are known.
        names: The metrics to show, as far as they have a value; None: all.
    """
    known = sorted(evaluation.metrics, key=lambda name: name == "loss")  # accuracy first
    shown = known if names is None else [name for name in names if name in known]
    columns = _columns(found, is_multi_hot=evaluation.is_multi_hot)
    rows = [[*_of_network(evaluation, name), *(column.get(name, "") for _, column in columns)] for name in shown]
    lines = [table([title, "network", "95% interval", *(head for head, _ in columns)], rows)]
    if evaluation.num_groups is not None:
        lines.append(f"intervals of examples from {counted(evaluation.num_groups, 'group')}, which are not independent")
    if evaluation.is_multi_hot:
        lines.append("accuracy counts examples that are right in all classes")
    if found is not None and found.linear_where_correct is not None:
        right, share = found.num_correct, percent(found.linear_where_correct)
        lines.append(f"of the {right:,} that the network gets right, the linear model also gets {share} right")
    return lines


def undefined_lines(evaluation: Evaluation) -> list[str]:
    """Return a line for each metric without a value on the split."""
    return [printable(f"no {METRICS[name].label}: {reason}") for name, reason in evaluation.undefined.items()]


def _of_network(evaluation: Evaluation, name: str) -> Sequence[str]:
    interval = evaluation.intervals.get(name)
    ends = "-" if interval is None else " to ".join(_shown(name, end) for end in interval)
    return METRICS[name].label, _shown(name, evaluation.metrics[name]), ends


def _columns(found: Baselines | None, *, is_multi_hot: bool) -> list[tuple[str, dict[str, str]]]:
    """Return the head and the known metrics of each baseline."""
    if found is None:
        return []
    of_each = {
        "linear model": (found.linear, found.linear_balanced_accuracy),
        "boosted trees": (found.boosted, found.boosted_balanced_accuracy),
        f"most common {'classes' if is_multi_hot else 'class'}": (found.majority, found.majority_balanced_accuracy),
    }
    return [
        (head, {name: percent(value) for name, value in zip(IN_SHORT, values, strict=True) if value is not None})
        for head, values in of_each.items()
        if values[0] is not None
    ]


def _shown(name: str, value: float) -> str:
    return percent(value) if name.endswith("accuracy") else f"{value:.4f}"

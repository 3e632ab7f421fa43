"""The page about several runs side by side."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from nnclassify.errors import counted, duration, printable, some
from nnclassify.evaluation.percent import percent
from nnclassify.inference.compare import ComparedRun, RunGroup, grouped
from nnclassify.inference.differences import differences
from nnclassify.inference.display_names import readable, readable_names
from nnclassify.inference.report.charts import Chart, Series, line_chart, thinned
from nnclassify.inference.report.classes import MAX_LABEL, class_rows
from nnclassify.inference.report.contents import RunContents, number_at
from nnclassify.inference.report.findings import MAX_NAME, value_text
from nnclassify.inference.report.sections import MAX_VALUE
from nnclassify.inference.report.sentences import advice, class_names, judged, result_sentence, task_sentence
from nnclassify.inference.report.templating import rendered
from nnclassify.training.history import Row

SECTIONS = (
    ("summary", "Summary"),
    ("figures", "Figures"),
    ("curves", "Learning curves"),
    ("differences", "Differences"),
    ("classes", "Classes"),
    ("runs", "Each run"),
)
CURVES = (
    ("validation loss", "validation_loss", False),
    ("validation accuracy", "validation_accuracy", True),
    ("training loss", "train_loss", False),
    ("training accuracy", "train_accuracy", True),
)
"""The title, the field of a row, and whether it is a fraction."""
MAX_LINES = 6
"""Runs whose curves are told apart by their lines."""


def comparison_page(runs: Sequence[RunContents], compared: Sequence[ComparedRun]) -> str:
    """Return the page about several runs as HTML.

    Args:
        runs: The runs, at least two.
        compared: The same runs, compared by their checkpoints; empty if that is not possible.
    """
    names = readable_names([run.name for run in runs], MAX_NAME)
    named = list(zip(runs, names, strict=True))
    charts, groups = list(curves([run.rows for run in runs], names)), grouped(compared)
    views = {
        "names": names,
        "results": [_result(run, name) for run, name in named],
        "best": _mean(groups[0]) if len(groups) == 1 else _best(named),
        "task": task_sentence(runs[0]) if _has_one_task(runs) else "",
        "told_of_all": [*verdicts(compared, groups), *_cautions(named)],
        "charts": charts,
        "differences": _differences(runs),
        "classes": _classes(runs),
        "told": [{"name": name, "result": result_sentence(run), "advice": list(advice(run))} for run, name in named],
        "problems": [printable(f"{name}: {text}") for run, name in named for text in run.problems],
    }
    data = {"charts": [chart.data() for chart in charts], "classes": {}, "cells": {}, "examples": []}
    title = f"{counted(len(runs), 'run')} side by side - nnclassify report"
    return rendered("compare.html.j2", title, SECTIONS, data, views)


def _result(run: RunContents, name: str) -> dict[str, Any]:
    found = judged(run)
    best = run.best
    validation = number_at(run.result, "validation", "accuracy")
    if validation is None and best is not None:
        validation = best.validation_accuracy
    return {
        "name": name,
        "share": None if found is None else found.accuracy,
        "interval": None if found is None else found.interval,
        "text": "-" if found is None else percent(found.accuracy),
        "range": "" if found is None or found.interval is None else " to ".join(map(percent, found.interval)),
        "split": "" if found is None else found.split,
        "model": readable(str(run.config.get("model.name", "-")), MAX_LABEL),
        "state": run.state,
        "epochs": f"{len(run.rows):,}",
        "best": "-" if best is None or run.state != "finished" else f"{best.epoch:,}",
        "time": duration(sum(row.seconds for row in run.rows)),
        "train": "-" if best is None else percent(best.train_accuracy),
        "validation": "-" if validation is None else percent(validation),
    }


def _has_one_task(runs: Sequence[RunContents]) -> bool:
    return len({frozenset(class_names(run)) for run in runs}) == 1


def _best(named: Sequence[tuple[RunContents, str]]) -> str:
    """Say which run is best; whether the difference may be chance is said below."""
    known = [(found, name) for run, name in named if (found := judged(run)) is not None]
    ranked = sorted(known, key=lambda pair: -pair[0].accuracy)
    if len(ranked) < 2:
        return "Fewer than two of these runs have a result, so there is nothing to compare."
    if not _has_one_task([run for run, _ in named]):
        return "These runs have different classes, so their figures cannot be compared."
    if len({found.split for found, _ in ranked}) > 1:
        return "These runs were measured on different splits, so their figures cannot be compared."
    (first, name), (second, other) = ranked[:2]
    if first.accuracy == second.accuracy:
        return f"{name} and {other} are equally good: {percent(first.accuracy)} right on the {first.split} split."
    shares = f"{percent(first.accuracy)} right on the {first.split} split, {other} {percent(second.accuracy)}"
    return f"{name} is best: {shares}."


def _mean(group: RunGroup) -> str:
    """Say what runs of one config reach on average."""
    mean = group.mean("test")
    if mean is None:
        return f"These are {len(group.runs)} runs of one config."
    interval = group.interval()
    known = "" if interval is None else f"; 95% interval of the mean {' to '.join(map(percent, interval))}"
    return (
        f"On average right in {percent(mean[0])} of the test examples, over {len(group.runs)} runs of one config; "
        f"standard deviation {percent(mean[1])}{known}."
    )


def verdicts(compared: Sequence[ComparedRun], groups: Sequence[RunGroup]) -> Iterator[str]:
    """Say what several runs of a config reach on average, and whether configs differ by more than chance."""
    if len(groups) < 2:
        return
    yield from (f"{printable(group.name)}: {_mean(group)}" for group in groups if len(group.runs) > 1)
    for difference in differences(compared):
        yield re.sub("^no verdict", "No verdict", f"{printable(difference.sentence())}.")


def _cautions(named: Sequence[tuple[RunContents, str]]) -> Iterator[str]:
    unfinished = [f"{name} ({run.state})" for run, name in named if run.state != "finished"]
    if unfinished:
        yield f"Caution: these runs have not finished: {some(unfinished, 5)}."


def curves(histories: Sequence[list[Row]], names: Sequence[str]) -> Iterator[Chart]:
    """Yield the charts of several runs, a line each.

    Args:
        histories: The rows of each run.
        names: What each run is called.
    """
    shown = [
        (rows, Series(name, f"run-{number}", ()))
        for number, (rows, name) in enumerate(zip(histories, names, strict=True))
    ][:MAX_LINES]
    for title, field, is_share in CURVES:
        known = [(rows, line) for rows, line in shown if any(getattr(row, field) is not None for row in rows)]
        if known:
            kept = thinned(max(len(rows) for rows, _ in known))
            series = [
                replace(line, values=[getattr(rows[place], field) if place < len(rows) else None for place in kept])
                for rows, line in known
            ]
            epochs = [place + 1 for place in kept]
            chart = line_chart(title, epochs, series, is_share=is_share, may_be_log=not is_share)
            if chart is not None:
                yield chart


def _differences(runs: Sequence[RunContents]) -> list[dict[str, Any]]:
    """Return the values of the config that are not the same in all runs."""
    keys = dict.fromkeys(key for run in runs for key in run.config)
    rows = []
    for key in keys:
        values = ["-" if key not in run.config else readable(value_text(run.config[key]), MAX_VALUE) for run in runs]
        if len(set(values)) > 1:
            rows.append({"key": readable(key, MAX_NAME), "values": values})
    return rows


def _classes(runs: Sequence[RunContents]) -> list[dict[str, Any]]:
    """Return the recall of each class in each run; empty if their classes differ."""
    scored = [run.scored for run in runs if run.scored is not None]
    if len(scored) < len(runs) or any(one.class_names != scored[0].class_names for one in scored):
        return []
    names = readable_names(scored[0].class_names, MAX_NAME)
    recalls = [[row.recall for row in class_rows(one)] for one in scored]
    return [
        {"name": name, "recalls": list(values)} for name, values in zip(names, zip(*recalls, strict=True), strict=True)
    ]

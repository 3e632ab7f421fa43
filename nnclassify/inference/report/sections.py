"""What each section of the page about a run shows, ready for its template: texts, shares and geometry."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nnclassify.data.tables.csv_rows import as_number
from nnclassify.errors import counted, duration, printable, shell_command, some
from nnclassify.evaluation import boosting
from nnclassify.evaluation.baselines import MAX_EXAMPLES
from nnclassify.evaluation.metrics import IN_DIGITS, METRICS
from nnclassify.evaluation.percent import percent
from nnclassify.inference.display_names import num_columns, readable, readable_names
from nnclassify.inference.report.charts import Chart, Series, line_chart, thinned
from nnclassify.inference.report.classes import MAX_LABEL, alternatives, class_rows, matrix, of_size
from nnclassify.inference.report.confidence import confidence_gap, confidence_section
from nnclassify.inference.report.contents import RunContents, at, interval_at, number_at
from nnclassify.inference.report.findings import MAX_NAME, audited, checked, finding, no_findings, value_text
from nnclassify.inference.report.scored import Scored
from nnclassify.inference.report.sentences import advice, judged, most_common, result_sentence, task_sentence, thing
from nnclassify.training.history import Row

SECTIONS = (
    ("summary", "Summary"),
    ("figures", "Figures"),
    ("curves", "Learning curves"),
    ("confusion", "Confusion matrix"),
    ("mistakes", "Mistakes"),
    ("classes", "Classes"),
    ("slices", "Weak spots"),
    ("calibration", "How sure it is"),
    ("findings", "Findings"),
    ("data-section", "Data"),
    ("config", "Config"),
    ("environment", "Environment"),
)
"""The id and the name of each section."""
MAX_UPRIGHT = 4
"""Maximum width of class names that stand upright above a confusion matrix."""
MAX_VALUE = 200
"""Maximum length of a value of the config."""
MAX_TOLD_BYTES = 500_000
"""Size of the names and values of the examples that cells of the confusion matrix name."""
MAX_CLASSES = 1000
"""Classes in the table; of more, those with the lowest recall are shown."""
MAX_SLICES = 20
"""Slices on the page."""


def sections(run: RunContents) -> dict[str, Any]:
    """Return the variables of the template `run.html.j2`."""
    scored = run.scored
    charts = list(_charts(run))
    return {
        "run_name": readable(run.name, MAX_NAME),
        "facts": list(_facts(run)),
        "banner": _banner(run),
        "task": task_sentence(run),
        "result": result_sentence(run),
        "hero": _hero(run),
        "advice": list(advice(run)),
        "figures": _figures(run),
        "charts": charts,
        "chart_notes": _chart_notes(run, charts),
        "matrix": None if scored is None or scored.is_multi_hot else _matrix(run, scored),
        "matrix_gap": _matrix_gap(run),
        "mistakes": _mistakes(run),
        "classes": [] if scored is None else _classes(scored),
        "classes_left_out": 0 if scored is None else max(0, len(scored.class_names) - MAX_CLASSES),
        "calibration": None if scored is None or scored.is_multi_hot else confidence_section(run, scored),
        "calibration_gap": confidence_gap(run),
        "slices": _slices(run),
        "findings": [finding(one) for one in run.findings],
        "no_findings": no_findings(run),
        "check": {"text": checked(run), "findings": [finding(one) for one in run.checked]},
        "data_view": _data(run),
        "audit": audited(run),
        "config": _config(run),
        "commands": list(_commands(run)),
        "environment": _environment(run),
        "problems": [printable(text) for text in run.problems],
    }


def page_data(run: RunContents, views: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the script of the page reads: curves, and the examples in each cell of the confusion matrix."""
    data: dict[str, Any] = {"charts": [chart.data() for chart in views["charts"]], "classes": {}, "cells": {}}
    scored = run.scored
    if scored is None or scored.is_multi_hot:
        return {**data, "examples": []}
    size, names = 0, readable_names(scored.class_names, MAX_NAME)
    examples: list[list[str]] = []
    for at_cell, rows in scored.listed.items():
        for row in rows:
            told = _told(run, scored, row)
            size += sum(len(text.encode()) for text in told)
            if size > MAX_TOLD_BYTES:
                break
            data["cells"].setdefault("{}-{}".format(*at_cell), []).append(len(examples))
            data["classes"] |= {label: names[label] for label in at_cell}
            images = run.examples.images
            examples.append([*told[:3], images.get(scored.names[row], ""), told[3]])
    return {**data, "examples": examples}


def _told(run: RunContents, scored: Scored, row: int) -> list[str]:
    """Return what is said about an example in a cell: its name, confidence and loss, and its values in a table."""
    name = scored.names[row]
    confidence, loss = percent(scored.confidences[row]), _number(scored.losses[row])
    pairs = zip(run.examples.columns, run.examples.values.get(name, []), strict=False)
    values = ", ".join(f"{readable(column, MAX_LABEL)} {_written(value)}" for column, value in pairs)
    return [readable(name, MAX_NAME), confidence, loss, values]


def _written(value: str) -> str:
    """Return a value of a row, or that its field is empty."""
    return readable(value, MAX_LABEL) if value else "(empty)"


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else str(value)


def _facts(run: RunContents) -> Iterator[str]:
    """Yield what the run was, in a few words each."""
    names = [str(run.config[key]) for key in ("dataset.name", "model.name") if key in run.config]
    yield from (readable(name, MAX_LABEL) for name in names)
    if run.rows:
        seconds = sum(row.seconds for row in run.rows)
        yield f"{counted(len(run.rows), 'epoch')} in {duration(seconds)}"
    if run.provenance is not None and run.provenance.started_at:
        yield printable(run.provenance.started_at[:10])


def _banner(run: RunContents) -> str:
    """Say that the run has not finished."""
    epochs = run.config.get("epochs")
    done = f"after {counted(len(run.rows), 'epoch')}" + (f" of {epochs:,}" if isinstance(epochs, int) else "")
    done = done if run.rows else "in its first epoch"
    resume = f"`{shell_command('train', '--resume', run.name)}` continues it"
    why = (run.provenance.failure if run.provenance is not None else "") or "a number became NaN or infinite"
    return {
        "finished": "",
        "failed": f"Training failed {done}: {printable(why)}.",
        "running": f"This run is still training: the page shows it {done}.",
        "interrupted": f"This run was stopped {done}; {printable(resume)}.",
    }[run.state]


def _hero(run: RunContents) -> dict[str, Any] | None:
    """Return the accuracy beside that of simpler methods."""
    found = judged(run)
    if found is None:
        return None
    bars = [{"name": "this network", "share": found.accuracy, "interval": found.interval}]
    names = {"boosted": "gradient-boosted trees", "linear": "a linear model", "majority": most_common(run)}
    for key, name in names.items():
        share = number_at(run.result, "baselines", key)
        if share is not None and found.split == "test":
            around = interval_at(run.result, "baselines", "intervals", key)
            bars.append({"name": name, "share": share, "interval": around})
    interval = "" if found.interval is None else " to ".join(map(percent, found.interval))
    label = {"test": "test accuracy", "validation": "validation accuracy", "train": "training accuracy"}[found.split]
    with_texts = [{**one, "text": percent(float(str(one["share"])))} for one in bars]
    return {"accuracy": percent(found.accuracy), "label": label, "interval": interval, "bars": with_texts}


def _figures(run: RunContents) -> dict[str, Any]:
    """Return the table of metrics by split, with intervals."""
    splits = [split for split in ("train", "validation", "test") if isinstance(at(run.result, split), dict)]
    rows = []
    for name, metric in METRICS.items():
        cells = [_figure(run, split, name) for split in splits]
        if any(cells):
            rows.append({"name": metric.label, "cells": cells})
    notes = list(_figure_notes(run, splits))
    return {"splits": splits, "rows": rows, "notes": notes, "gap": "No figures: the run has not finished."}


def _figure_notes(run: RunContents, splits: Sequence[str]) -> Iterator[str]:
    looks = number_at(run.result, "test_looks")
    if looks is not None:
        yield f"Networks that have looked at this test set so far: {looks:,.0f}."
    if any(split in ("validation", "test") for split in splits):
        yield "The range beside a figure is its 95% interval, where it is known."
    if run.best is not None and "train" in splits:
        yield f"The training figures are from epoch {run.best.epoch:,}, measured during training."
    yield from _of_options(run)
    num_train = sum(run.data.counts.get("train", {}).values())
    if num_train > MAX_EXAMPLES and number_at(run.result, "baselines", "linear") is not None:
        trees = f", and trees to at most {boosting.MAX_EXAMPLES:,}" if at(run.result, "baselines", "boosted") else ""
        yield f"A linear model is fitted to at most {MAX_EXAMPLES:,} of the {num_train:,} training examples{trees}."
    reasons = [at(run.result, split, "undefined") for split in splits]
    lacking = {str(text) for found in reasons if isinstance(found, dict) for text in found.values()}
    yield from (f"No value: {readable(text, MAX_VALUE)}." for text in sorted(lacking))


def _of_options(run: RunContents) -> Iterator[str]:
    """Yield what options make of the figures: a decision threshold, and a test split that is not shown."""
    threshold = number_at(run.result, "calibration", "threshold")
    threshold = number_at(run.config, "evaluation.threshold") if threshold is None else threshold
    if threshold is not None and run.scored is not None and len(run.scored.class_names) == 2:
        second = readable(run.scored.class_names[1], MAX_NAME)
        yield (
            f"The network answers {second} if its probability is above {percent(threshold)}, the decision threshold "
            "of the config. It acts after training, so it is in these figures, and not in the curves."
        )
    hidden = sum(run.data.counts.get("test", {}).values())
    is_seen = isinstance(at(run.result, "test"), dict) or (run.scored is not None and run.scored.split == "test")
    if hidden and not is_seen and run.config.get("show_test") is False:
        command = printable(shell_command("evaluate", run.name, "--split", "test"))
        unseen = counted(hidden, "test example")
        yield f"Nobody has looked at the {unseen} yet (show_test: off); `{command}` shows the result."


def _figure(run: RunContents, split: str, name: str) -> dict[str, str] | None:
    value = number_at(run.result, split, name)
    if value is None:
        return None
    text = METRICS[name].text
    bounds = interval_at(run.result, "intervals", split, name)
    if bounds is None and name == "accuracy" and (found := judged(run)) is not None and found.split == split:
        bounds = found.interval
    return {"value": text(value), "interval": "" if bounds is None else " to ".join(map(text, bounds))}


def _charts(run: RunContents) -> Iterator[Chart]:
    best = run.best
    if best is None:
        return
    kept = thinned(len(run.rows), [best.epoch - 1])
    rows = [run.rows[place] for place in kept]
    mark = kept.index(best.epoch - 1) if run.state == "finished" and len(rows) > 1 else None
    select_by = str(run.config.get("select_by", "accuracy"))
    metric = METRICS.get(select_by, METRICS["accuracy"])
    is_share = metric.name not in IN_DIGITS
    losses = [_series("training", rows, "train_loss"), _series("validation", rows, "validation_loss")]
    accuracies = [_series("training", rows, "train_accuracy"), _series("validation", rows, "validation_accuracy")]
    wanted = [
        ("loss", False, losses),
        ("accuracy", True, accuracies),
        (metric.label, is_share, [_series("validation", rows, "validation_metric")]),
        ("learning rate", False, [_series("learning rate", rows, "lr")] * (len({row.lr for row in rows}) > 1)),
    ]
    epochs = [row.epoch for row in rows]
    for title, shares, series in wanted:
        chart = line_chart(title, epochs, series, is_share=shares, may_be_log=title == "loss", mark=mark)
        if chart is not None:
            yield chart


def _series(name: str, rows: Sequence[Row], field: str) -> Series:
    kind = "train" if name == "training" else "validation"
    return Series(name, kind, [getattr(row, field) for row in rows])


def _chart_notes(run: RunContents, charts: Sequence[Chart]) -> list[str]:
    notes = []
    if charts and charts[0].mark is not None:
        notes.append(f"Dashed: epoch {charts[0].epochs[charts[0].mark]:,}, whose weights are kept.")
    if charts and len(charts[0].epochs) < len(run.rows):
        notes.append(f"{len(charts[0].epochs):,} of {len(run.rows):,} epochs are drawn; results.csv has all.")
    return notes


def _matrix(run: RunContents, scored: Scored) -> dict[str, Any]:
    found = matrix(scored)
    names = readable_names(scored.class_names, MAX_LABEL)
    labels = [names[index] for index in found.classes]
    return {
        "split": scored.split,
        "things": thing(run, 2),
        "classes": labels,
        "upright": max(map(num_columns, labels)) <= MAX_UPRIGHT,
        "rows": list(zip(labels, found.rows, strict=True)),
        "left_out": found.num_left_out,
        "largest": [
            {"key": cell.key, "count": cell.count, "true": names[cell.at[0]], "predicted": names[cell.at[1]]}
            for cell in found.largest
        ],
    }


def _matrix_gap(run: RunContents) -> str:
    if run.scored is not None:
        return "No confusion matrix: an example may belong to several classes. The table of classes has their figures."
    return "No confusion matrix: predictions.csv is missing or too large, or the run has no test or validation split."


def _mistakes(run: RunContents) -> dict[str, Any]:
    scored = run.scored
    if scored is None:
        return {"groups": [], "text": "No mistakes are known: there are no predictions.", "columns": []}
    wrong, count = len(scored.mistakes), len(scored)
    if not wrong:
        text = f"None of the {count:,} {scored.split} {thing(run, 2)} is predicted wrongly."
        return {"groups": [], "text": text, "columns": []}
    verb = "is" if wrong == 1 else "are"
    text = f"{wrong:,} of {count:,} {scored.split} {thing(run, 2)} {verb} predicted wrongly ({percent(wrong / count)})."
    if not run.examples.images and not run.examples.values:
        text += " Only their names are known: the run kept no images or values of them."
    wanted = [("Most confident mistakes (highest loss)", scored.highest), ("Near misses (lowest loss)", scored.lowest)]
    groups = [
        {"title": title, "examples": examples, "has_images": any(one["image"] for one in examples)}
        for title, rows in wanted
        if (examples := [_example(run, scored, row) for row in rows])
    ]
    return {"groups": groups, "text": text, "columns": list(_columns(run))}


def _columns(run: RunContents) -> Iterator[dict[str, Any]]:
    """Yield the name of each column of the rows that are shown, and whether it has numbers alone."""
    for place, name in enumerate(run.examples.columns):
        texts = [values[place] for values in run.examples.values.values() if place < len(values)]
        yield {"name": readable(name, MAX_LABEL), "is_number": all(not text or _is_number(text) for text in texts)}


def _is_number(text: str) -> bool:
    return as_number(text) is not None or as_number(text, ",") is not None


def _example(run: RunContents, scored: Scored, row: int) -> dict[str, Any]:
    def named(labels: Sequence[int]) -> str:
        return readable(", ".join(scored.class_names[label] for label in labels) or "no class", MAX_LABEL)

    name = scored.names[row]
    values = [_written(value) for value in run.examples.values.get(name, [])]
    return {
        "name": readable(name, MAX_NAME),
        "true": named(scored.true[row]),
        "predicted": named(scored.predicted[row]),
        "confidence": percent(scored.confidences[row]),
        "loss": _number(scored.losses[row]),
        "image": run.examples.images.get(name, ""),
        "values": values + ["-"] * (len(run.examples.columns) - len(values)),
    }


def _classes(scored: Scored) -> list[dict[str, Any]]:
    names = readable_names(scored.class_names, MAX_NAME)
    by_name = dict(zip(scored.class_names, names, strict=True))
    rows = list(zip(class_rows(scored), names, strict=True))
    if len(rows) > MAX_CLASSES:
        rows = sorted(rows, key=lambda pair: pair[0].recall)[:MAX_CLASSES]
    return [
        {
            **vars(row),
            "name": name,
            "taken_for": alternatives([by_name[other] for other in row.taken_for]),
            "num_taken": f"{row.num_taken:,}{' each' if len(row.taken_for) > 1 else ''}",
        }
        for row, name in rows
    ]


def _slices(run: RunContents) -> dict[str, Any]:
    """Return the parts of the split on which the network is significantly less accurate."""
    found = at(run.result, "slices")
    if not isinstance(found, list):
        return {"rows": [], "text": "Not known: slices of the examples were not compared."}
    rows = [row for part in found if (row := _slice(part)) is not None]
    if not rows:
        return {"rows": [], "text": "The network is not significantly less accurate on any slice of the examples."}
    more = f" {counted(len(rows) - MAX_SLICES, 'other')} are left out." if len(rows) > MAX_SLICES else ""
    text = (
        "Parts of the examples on which the network is significantly less accurate than on the others; p-values are "
        f"corrected for the number of slices.{more}"
    )
    return {"rows": rows[:MAX_SLICES], "text": text}


def _slice(part: Any) -> dict[str, str] | None:
    shares = [number_at(part, key) for key in ("accuracy", "accuracy_of_others", "num_examples", "p_value")]
    accuracy, others, count, p_value = (-1.0 if share is None else share for share in shares)
    if None in shares:
        return None
    mistakes = at(part, "mistakes")
    worst = mistakes[0] if isinstance(mistakes, list) and mistakes else ""
    return {
        "name": readable(f"{at(part, 'name')} = {at(part, 'value')}", MAX_NAME),
        "count": f"{count:,.0f}",
        "accuracy": percent(accuracy),
        "others": percent(others),
        "p_value": "< 1e-9" if p_value < 1e-9 else f"{p_value:.1g}",
        "worst": readable(str(worst), MAX_NAME) if worst else "",
    }


def _data(run: RunContents) -> dict[str, Any]:
    splits = [
        {
            "name": printable(name),
            "count": sum(counts.values()),
            "classes": f"{len(counts):,}",
            "smallest": of_size(counts, min(counts.values())),
            "largest": of_size(counts, max(counts.values())),
        }
        for name, counts in run.data.counts.items()
    ]
    return {"splits": splits, "notes": list(_data_notes(run))}


def _data_notes(run: RunContents) -> Iterator[str]:
    if run.data.counts:
        twins = [f"{readable(one, MAX_NAME)} = {readable(other, MAX_NAME)}" for one, other in run.data.duplicates]
        number = counted(len(twins), "example")
        yield f"Also in another split, with the same content: {number}{f' ({some(twins)})' if twins else ''}."
    if run.data.skipped:
        listed = [f"{readable(name, MAX_NAME)}: {readable(why, MAX_VALUE)}" for name, why in run.data.skipped.items()]
        yield f"Left out because they could not be read: {counted(len(listed), 'file')} ({some(listed)})."


def _config(run: RunContents) -> dict[str, Any] | None:
    """Return the values of the config: those that somebody set with their origin, and the defaults."""
    if not run.config:
        return None
    origins = None if run.provenance is None else run.provenance.origins
    rows = [
        {
            "key": readable(key, MAX_NAME),
            "value": readable(value_text(value), MAX_VALUE),
            "origin": "" if origins is None else printable(origins.get(key, _by_run(key, value))),
        }
        for key, value in run.config.items()
    ]
    if origins is None:
        note = "Which values are defaults is not known: the run was started by an earlier release."
        unknown = [{**row, "origin": "unknown"} for row in rows]
        return {"set": unknown, "defaults": [], "note": note, "defaults_title": ""}
    defaults = [row for row in rows if not row["origin"]]
    title = f"{counted(len(defaults), 'value')} left at {'its default' if len(defaults) == 1 else 'their defaults'}"
    return {"set": [row for row in rows if row["origin"]], "defaults": defaults, "note": "", "defaults_title": title}


def _by_run(key: str, value: Any) -> str:
    """Return the origin of a value that a run decides and writes down: `compile` is `auto` by default."""
    return "chosen by the run" if key == "compile" and value != "auto" else ""


def _commands(run: RunContents) -> Iterator[dict[str, str]]:
    yield {
        "text": "This command trains it again from the resolved config in its folder; on the same machine with the "
        "same releases, the result is the same, bit for bit:",
        "command": printable(shell_command("train", run.folder.config)),
    }
    if run.provenance is not None and run.provenance.command:
        yield {"text": "It was started with:", "command": printable(run.provenance.command)}


def _environment(run: RunContents) -> list[tuple[str, str]]:
    found = {} if run.provenance is None else dict(run.provenance.environment)
    plan = at(run.result, "plan")
    if isinstance(plan, dict):
        wanted = {"execution": "execution", "dtype": "number type", "autocast": "multiplies in"}
        found |= {name: str(plan[key]) for key, name in wanted.items() if key in plan}
    speed = number_at(run.result, "examples_per_second")
    if speed is not None:
        found["examples per second"] = f"{speed:,.0f}"
    return [(readable(name, MAX_NAME), readable(value, MAX_NAME)) for name, value in found.items()]

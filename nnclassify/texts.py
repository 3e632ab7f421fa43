"""Results as text, for people: what the command line prints where it is not asked for JSON."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from nnclassify.compare import ComparedRun
from nnclassify.diagnosis.texts import findings_text
from nnclassify.errors import printable
from nnclassify.evaluate import Evaluation
from nnclassify.predict import Prediction
from nnclassify.run import RunResult
from nnclassify.streams import has_color

_FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula."""
MAX_SHOWN_CLASSES = 20
"""A confusion matrix of more classes does not fit a terminal."""


def result_text(result: RunResult, with_plots: bool) -> str:
    """What a finished run reached."""
    figures = result.figures()
    lines = [f"run: {result.folder.path}" + (f", pictures in {result.folder.plots}" if with_plots else "")]
    lines.append(f"best epoch: {result.best_epoch} of {figures['epochs']}, trained in {figures['train_seconds']:.1f} s")
    for split in ("train", "validation", "test"):
        if figures[split] is not None:
            lines.append(f"{split}: accuracy {figures[split]['accuracy']:.2%}, loss {figures[split]['loss']:.4f}")
    if result.baselines is not None:
        line, majority = result.baselines.linear, result.baselines.majority
        lines[-1] += f" (a linear model {line:.2%}, always the most common class {majority:.2%})"
    if result.test is not None:
        low, high = result.test.accuracy_interval
        count = result.test.num_examples
        lines.append(f"95 % interval of the test accuracy: {low:.2%} to {high:.2%} ({count} examples)")
    if result.findings:
        lines.append(f"diagnosis:\n{findings_text(result.findings, colour=has_color())}")
    return "\n".join(lines)


def evaluation_text(path: Path, split: str, evaluation: Evaluation) -> str:
    """The figures of one split, its classes, and the confusion matrix where it fits."""
    low, high = evaluation.accuracy_interval
    lines = [
        f"{printable(str(path))} on {split} ({evaluation.num_examples} examples)",
        f"accuracy {evaluation.accuracy:.2%} (95 % interval {low:.2%} to {high:.2%}), loss {evaluation.loss:.4f}",
        "",
    ]
    rows = [
        [report.name, f"{report.precision:.3f}", f"{report.recall:.3f}", f"{report.f1:.3f}", str(report.support)]
        for report in evaluation.classes
    ]
    lines.append(table(["class", "precision", "recall", "f1", "support"], rows))
    if len(rows) <= MAX_SHOWN_CLASSES:
        names = [report.name for report in evaluation.classes]
        counts = [[name, *map(str, row)] for name, row in zip(names, evaluation.confusion, strict=True)]
        lines += ["", "confusion (rows: true class)", table(["", *names], counts)]
    return "\n".join(lines)


def predictions_text(predictions: Sequence[Prediction]) -> str:
    """One line per input that could be read."""
    return "\n".join(
        printable(f"{prediction.input}: " + ", ".join(f"{label} {share:.2%}" for label, share in prediction.top))
        for prediction in predictions
        if prediction.top
    )


def predictions_csv(predictions: Sequence[Prediction]) -> str:
    """One CSV row per input and class named."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["input", "label", "probability"])
    for prediction in predictions:
        name = _cell(prediction.input)
        writer.writerows([name, _cell(label), f"{share:.6f}"] for label, share in prediction.top)
    return text.getvalue().rstrip("\n")


def _cell(name: str) -> str:
    """A name on one line, and as text where a spreadsheet would run it as a formula: with an apostrophe before it."""
    shown = printable(name)
    begins = unicodedata.normalize("NFKC", shown[:1])  # some take the wide signs of Chinese and Japanese too
    return f"'{shown}" if begins in _FORMULA and not _are_numbers(shown) else shown


def _are_numbers(text: str) -> bool:
    try:
        return all(float(part) is not None for part in text.split(","))
    except ValueError:
        return False


def comparison_text(compared: Sequence[ComparedRun]) -> str:
    """A row a run, then the config values that differ."""
    rows = [
        [run.name, f"{run.parameters:,}", str(run.epochs), f"{run.seconds:.1f}"]
        + [_percent(accuracy) for accuracy in run.accuracies.values()]
        for run in compared
    ]
    text = table(["run", "parameters", "epochs", "seconds", "train", "validation", "test"], rows)
    if not compared or not compared[0].differences:
        return text
    differences = [[key, *(str(run.differences[key]) for run in compared)] for key in compared[0].differences]
    return f"{text}\n\ndifferences\n{table(['', *(run.name for run in compared)], differences)}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Plain columns: the first to the left, the others to the right; names are shown on one line."""
    lines = [[printable(cell) for cell in line] for line in (header, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        ).rstrip()
        for line in lines
    )

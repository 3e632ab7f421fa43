"""Results as text: what the command line prints without `--json`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from nnclassify.cli.metrics_table import IN_SHORT, metrics_lines, undefined_lines
from nnclassify.cli.streams import has_color
from nnclassify.cli.table import table
from nnclassify.diagnosis.report import findings_text
from nnclassify.errors import counted, printable, shell_command
from nnclassify.evaluation.confusion import ClassReport, largest_confusions
from nnclassify.evaluation.metrics import METRICS
from nnclassify.evaluation.percent import percent
from nnclassify.evaluation.slices import Slice
from nnclassify.files.csv_cells import cell
from nnclassify.inference.attribution import ColumnImportance
from nnclassify.inference.compare import ComparedRun, grouped
from nnclassify.inference.differences import Difference
from nnclassify.inference.display_names import num_columns, readable, readable_names
from nnclassify.inference.evaluate import Evaluation
from nnclassify.inference.explained import ExplainedEvaluation
from nnclassify.inference.failures import Mistake
from nnclassify.inference.predict import Prediction
from nnclassify.run import RunResult
from nnclassify.runs.looks import in_words

MAX_SHOWN_CLASSES = 20
"""Above this number of classes, a confusion matrix does not fit a terminal: only the worst classes and the largest
confusions are shown."""
MAX_SHOWN_SLICES, MAX_SLICES_IN_LINE, MAX_SHOWN_MISTAKES = 10, 3, 5
"""Number of slices in a table and in a line, and of mistakes in a table."""
MAX_NAME, MAX_VALUE, MAX_WIDTH = 40, 20, 120
"""Maximum width of a name and of a value in a table, and of a table, in columns."""


def result_text(result: RunResult, with_plots: bool) -> str:
    """Describe the result of a finished run."""
    figures = result.figures()
    report = f", report {result.folder.report}" if result.folder.report.is_file() else ""
    plots = f", plots in {result.folder.plots}" if with_plots else ""
    lines = [f"run: {result.folder.path}{report}{plots}"]
    lines.append(f"best epoch: {result.best_epoch} of {figures['epochs']}, trained in {figures['train_seconds']:.1f} s")
    for split in ("train", "validation", "test"):
        if figures[split] is not None:
            lines.append(f"{split}: accuracy {percent(figures[split]['accuracy'])}, loss {_loss(figures[split])}")
            lines[-1] += _selected(figures[split], result.components.config.select_by) + _looks(result, split)
    calibration = result.analyses.get("calibration") or {}
    lines += _threshold_line(calibration.get("threshold"), result.components.splits.class_names[-1])
    lines += _test_lines(result)
    lines += _slices_line(result.analyses.get("slices") or [], result.folder.name)
    if result.findings:
        lines.append(f"diagnosis:\n{findings_text(result.findings, color=has_color())}")
    return "\n".join(lines)


def _test_lines(result: RunResult) -> list[str]:
    """Return the metrics of the test split, or where they can be seen."""
    if result.test is not None:
        return metrics_lines(counted(result.test.num_examples, "test example"), result.test, result.baselines, IN_SHORT)
    run = shell_command("evaluate", result.folder.name, "--split", "test")
    hint = f"test: not shown (show_test: off); run: {run}"
    return [hint] if result.components.splits.test is not None else []


def _looks(result: RunResult, split: str) -> str:
    """Return whether the test split was shown during training, and how often it was looked at, from the second on."""
    looks = in_words(result.analyses.get("test_looks"))
    seen = "shown after every epoch (validation: test): too high if anything was chosen by it"
    seen = seen if result.components.splits.validation_is_test else ""
    return "".join(f"; {text}" for text in (seen, looks) if text and split == "test")


def _slices_line(slices: Sequence[dict[str, Any]], run: str) -> list[str]:
    """Return a line on the slices with most avoidable mistakes; none if no slice is significantly worse."""
    if not slices:
        return []
    worst = [f"{_slice_name(part)} {percent(part['accuracy'])}" for part in slices[:MAX_SLICES_IN_LINE]]
    more = len(slices) - len(worst)
    others = f"; {more:,} more: {shell_command('evaluate', run)}" if more else ""
    return [printable(f"significantly less accurate on {', '.join(worst)}{others}")]


def _slice_name(part: dict[str, Any]) -> str:
    return readable(f"{part['name']}={part['value']}", MAX_NAME)


def _slices_table(slices: Sequence[Slice]) -> str:
    """Return the slices with most avoidable mistakes, or that there is none."""
    if not slices:
        return "no slice of the examples is significantly less accurate than the others"
    rows = [
        [
            _slice_name(part.figures()),
            f"{part.num_examples:,}",
            percent(part.accuracy),
            percent(part.accuracy_of_others),
            "< 1e-9" if part.p_value < 1e-9 else f"{part.p_value:.1g}",
            readable(part.mistakes[0], MAX_NAME),
        ]
        for part in slices[:MAX_SHOWN_SLICES]
    ]
    more = f"\nand {len(slices) - len(rows):,} more; --json has all" if len(slices) > len(rows) else ""
    header = ["significantly less accurate on", "examples", "correct", "others", "p", "worst mistake"]
    return f"{table(header, rows)}{more}"


def _failures(found: ExplainedEvaluation) -> list[str]:
    """Return the tables of mistakes, slices and columns, separated by empty lines."""
    if not found.highest:
        return ["no mistakes"]
    columns = [] if found.importance is None else ["", _importance_table(found.importance)]
    return [_mistakes_table(found.highest), "", _slices_table(found.slices), *columns]


def _mistakes_table(mistakes: Sequence[Mistake]) -> str:
    """Return the wrong predictions with the highest loss."""
    rows = [
        [
            *(readable(text, MAX_NAME) for text in (mistake.name, mistake.predicted)),
            percent(mistake.probability),
            readable(mistake.true, MAX_NAME),
            f"{mistake.loss:.3f}",
        ]
        for mistake in mistakes[:MAX_SHOWN_MISTAKES]
    ]
    header = ["mistakes with the highest loss", "predicted", "probability", "true", "loss"]
    return table(*_with_values(header, rows, mistakes))


def _with_values(
    header: Sequence[str], rows: Sequence[list[str]], mistakes: Sequence[Mistake]
) -> tuple[list[str], list[list[str]]]:
    """Return a table of mistakes with as many columns of their rows as fit its width, the most important ones first."""
    lines = [[*header], *([*row] for row in rows)]
    width = max(map(num_columns, table(header, rows).splitlines()))
    for name in mistakes[0].row:
        cells = [name, *(mistake.row[name] or "(empty)" for mistake in mistakes[: len(rows)])]
        cells = [readable(value, MAX_VALUE) for value in cells]
        width += 2 + max(map(num_columns, cells))
        if width > MAX_WIDTH:
            break
        lines = [[*line, value] for line, value in zip(lines, cells, strict=True)]
    return lines[0], lines[1:]


def _importance_table(columns: Sequence[ColumnImportance]) -> str:
    """Return the accuracy that is lost if each column of a table is shuffled."""
    rows = [[readable(column.name, MAX_NAME), percent(column.lost), percent(column.deviation)] for column in columns]
    return table(["shuffled column", "accuracy lost", "standard deviation"], rows)


def _loss(figures: dict[str, Any]) -> str:
    """Return the loss; an earlier release may have continued with one that was not finite, which JSON has as null."""
    return "not finite" if figures["loss"] is None else f"{figures['loss']:.4f}"


def _selected(figures: dict[str, Any], select_by: str) -> str:
    """Return the metric that selected the best epoch, unless it is the loss or the accuracy."""
    value = None if select_by in ("loss", "accuracy") else figures.get(select_by)
    return "" if value is None else f", {METRICS[select_by].label} {value:.4f}"


def evaluation_text(path: Path, split: str, found: ExplainedEvaluation) -> str:
    """Describe an evaluation: metrics, calibration, classes, the confusion matrix if it fits, and failures."""
    evaluation = found.evaluation
    lines = [
        f"{printable(str(path))} on {split} ({counted(evaluation.num_examples, 'example')})",
        *metrics_lines("", evaluation, found.baselines),
        *undefined_lines(evaluation),
        *([looks] if (looks := in_words(evaluation.test_looks)) else []),
        *_calibration_lines(found.calibration, evaluation.classes[-1].name),
        "",
    ]
    has_all = len(evaluation.classes) <= MAX_SHOWN_CLASSES
    lines.append(_class_table(evaluation.classes) if has_all else _worst_classes(evaluation.classes))
    if not evaluation.is_multi_hot:
        lines += ["", _confusion_table(evaluation) if has_all else _largest_confusions(evaluation)]
    return "\n".join([*lines, "", *_failures(found)])


def _calibration_lines(figures: Mapping[str, Any], last_class: str) -> list[str]:
    """Describe how far the probabilities can be trusted, and from which probability the second of two classes is
    predicted."""
    before, after, temperature = figures["before"], figures.get("after"), figures["temperature"]
    error, brier = (f"expected calibration error {percent(before['ece'])}", f"Brier score {before['brier']:.4f}")
    lines = [f"probabilities are not calibrated ({figures.get('reason')}): {error}, {brier}"]
    if after is not None:
        error = f"expected calibration error {percent(after['ece'])} ({percent(before['ece'])} before)"
        lines = [f"calibrated at temperature {temperature:.3g}: {error}, Brier score {after['brier']:.4f}"]
    if (of_level := figures.get("sets", {}).get("0.9")) is not None:
        covered, size = percent(of_level["coverage"]), f"{of_level['mean_size']:.2f}"
        lines.append(f"sets (--sets 0.9) contain the true class for {covered} of the examples; mean size {size}")
    if figures.get("unlike"):
        lines.append(f"unlike the training data: {percent(figures['unlike'])} of the examples")
    return [*lines, *_threshold_line(figures["threshold"], last_class)]


def _threshold_line(threshold: float | None, last_class: str) -> list[str]:
    """Return a line on the decision threshold, which names the class that false positives are predicted as."""
    if threshold is None:
        return []
    return [f"{readable(last_class, MAX_NAME)} is predicted if its probability exceeds {threshold:.3g}"]


def _class_table(classes: Sequence[ClassReport]) -> str:
    rows = []
    for report in classes:
        shares = (f"{share:.3f}" for share in (report.precision, report.recall, report.f1))
        rows.append([readable(report.name, MAX_NAME), *shares, str(report.support)])
    return table(["class", "precision", "recall", "f1", "support"], rows)


def _worst_classes(classes: Sequence[ClassReport]) -> str:
    """Return the table of the nonempty classes with the lowest F1; in a tie, larger classes come first."""
    known = sorted((report for report in classes if report.support), key=lambda report: (report.f1, -report.support))
    shown = known[:MAX_SHOWN_CLASSES]
    others = len(classes) - len(shown)
    return f"classes with the lowest f1\n{_class_table(shown)}\nand {others:,} more; --json has all"


def _confusion_table(evaluation: Evaluation) -> str:
    """Return the confusion matrix; if the class names are too wide, the columns are numbered."""
    names = readable_names([report.name for report in evaluation.classes], MAX_NAME)
    heads = names
    if sum(max(num_columns(name), 4) + 2 for name in names) > MAX_WIDTH:
        heads = [str(number) for number in range(1, len(names) + 1)]
        names = [f"{number} {name}" for number, name in zip(heads, names, strict=True)]
    counts = [[name, *map(str, row)] for name, row in zip(names, evaluation.confusion, strict=True)]
    return f"confusion (rows: true class)\n{table(['', *heads], counts)}"


def _largest_confusions(evaluation: Evaluation) -> str:
    classes = evaluation.classes
    largest = largest_confusions(evaluation.confusion, MAX_SHOWN_CLASSES)
    rows = [
        [
            f"{readable(classes[entry.target].name, MAX_NAME)} -> {readable(classes[entry.predicted].name, MAX_NAME)}",
            str(entry.count),
            percent(entry.count / classes[entry.target].support),
        ]
        for entry in largest
    ]
    return f"largest confusions\n{table(['true -> predicted', 'examples', 'of the true class'], rows)}"


def prediction_line(prediction: Prediction) -> str:
    """Return the line of an input that could be read: its top classes, or for multi-hot targets the predicted ones."""
    top = _top_of(prediction)
    known = f"unsure ({top})" if prediction.unsure else top
    in_set = "" if prediction.classes is None else f"; set: {', '.join(prediction.classes)}"
    unlike = "; unlike the training data" if prediction.unlike else ""
    return printable(f"{prediction.input}: {known}{in_set}{unlike}")


def _top_of(prediction: Prediction) -> str:
    count = len(prediction.top) if prediction.labels is None else len(prediction.labels)
    if not count:
        label, share = prediction.top[0]
        return f"no class (most probable: {label} {percent(share)})"
    return ", ".join(f"{label} {percent(share)}" for label, share in prediction.top[:count])


def prediction_rows(predictions: Iterable[Prediction]) -> Iterator[list[str]]:
    """Yield the header, then a row per input that could be read and top class.

    Columns of 0 and 1 say, where that is known, if the class is predicted (multi-hot targets), if the prediction is
    unsure, if the class is in the prediction set, and if the input is unlike the training data.
    """
    known = (prediction for prediction in predictions if prediction.error is None)
    first = next(known, None)
    yield ["input", "label", "probability", *([] if first is None else _marks(first, ""))]
    for prediction in chain([] if first is None else [first], known):
        name = cell(prediction.input)
        for label, share in prediction.top:
            marks = (str(int(mark)) for mark in _marks(prediction, label).values())
            yield [name, cell(label), f"{share:.6f}", *marks]


def _marks(prediction: Prediction, label: str) -> dict[str, bool]:
    """Return what is known of a prediction and one of its classes, by column."""
    marks = {
        "predicted": None if prediction.labels is None else label in prediction.labels,
        "unsure": prediction.unsure,
        "in_set": None if prediction.classes is None else label in prediction.classes,
        "unlike": prediction.unlike,
    }
    return {column: mark for column, mark in marks.items() if mark is not None}


def comparison_text(compared: Sequence[ComparedRun], differences: Sequence[Difference] = ()) -> str:
    """Return a table with a row per run, a table of the config values that differ, and whether accuracies do."""
    rows = [
        [run.name, f"{run.parameters:,}", str(run.epochs), f"{run.seconds:.1f}"]
        + ["-" if accuracy is None else percent(accuracy) for accuracy in run.accuracies.values()]
        for run in compared
    ]
    header = ["run", "parameters", "epochs", "seconds", "train", "validation", "test"]
    for name in dict.fromkeys(run.select_by for run in compared if run.select_by != "accuracy"):
        for split in ("validation", "test"):
            header.append(f"{split} {METRICS[name].label}")
            for row, run in zip(rows, compared, strict=True):
                row.append(f"{run.metrics[split][name]:.4f}" if name in run.metrics[split] else "-")
    text = table(header, rows) + _means_table(compared) + _examples_table(compared)
    if compared and compared[0].differences:
        keys = list(compared[0].differences)
        cells = [["", *keys]] + [[run.name, *(_value(run.differences[key]) for key in keys)] for run in compared]
        first, *others = zip(*cells, strict=True) if len(compared) <= len(keys) else cells
        text += f"\n\ndifferences\n{table(first, others)}"
    return "\n".join([text, *([""] if differences else []), *(printable(each.sentence()) for each in differences)])


def _means_table(compared: Sequence[ComparedRun]) -> str:
    """Return a table of the mean accuracy over the seeds and folds of each config; empty if none has several."""
    splits, rows = ("train", "validation", "test"), []
    for group in grouped(compared):
        if len(group.runs) > 1 and any(means := [group.mean(split) for split in splits]):
            shown = ["-" if mean is None else f"{percent(mean[0])} ({percent(mean[1])})" for mean in means]
            interval = group.interval()
            rows.append([group.label, *shown, "-" if interval is None else " to ".join(map(percent, interval))])
    header = ["mean (standard deviation)", *splits, "95% interval of the test mean"]
    return f"\n\n{table(header, rows)}" if rows else ""


def _examples_table(compared: Sequence[ComparedRun]) -> str:
    """Return a table of the test examples that only one of two runs gets right; empty if they are unknown."""
    known = [(run.name, run.examples) for run in compared if run.examples is not None]
    rows = [
        [name, *(str(count) for count in (those.num_common, len(those.only_here), len(those.only_first)))]
        for name, those in known
    ]
    header = ["run", "test examples in common", "correct only here", f"correct only in {compared[0].name}"]
    return f"\n\n{table(header, rows)}" if rows else ""


def _value(value: Any) -> str:
    return "-" if value is None else readable(str(value), MAX_NAME)

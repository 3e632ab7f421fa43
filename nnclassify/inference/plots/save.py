"""Draw and save the plots of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from nnclassify.errors import SaveError, one_line
from nnclassify.evaluation.metrics import METRICS
from nnclassify.inference.attribution import MAX_COLUMNS, column_importance
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.evaluate import evaluate, splits_of
from nnclassify.inference.plots.attribution import importance, mistake_heatmaps
from nnclassify.inference.plots.calibration import calibration
from nnclassify.inference.plots.confusion import confusion
from nnclassify.inference.plots.examples import confusions, mistakes, samples
from nnclassify.inference.plots.figures import COLORS, QUIET, add_curve, add_legend, finish_curves, save, title
from nnclassify.inference.plots.regions import decision_regions
from nnclassify.inference.predictions import Predicted
from nnclassify.runs.checkpoint import load_newest
from nnclassify.runs.folder import RunFolder
from nnclassify.training.history import Row, whole_history


def save_plots(
    folder: Path,
    rows: Sequence[Row],
    best_epoch: int,
    classifier: Classifier,
    test: Predicted | None,
    *,
    redraw: bool = True,
    is_thorough: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> list[Path]:
    """Draw the plots that apply to a run: always the learning curves, the others if there is a test split.

    Args:
        folder: The folder to save them in, `plots/` of the run.
        rows: The history.
        best_epoch: The epoch of the classifier.
        classifier: The trained classifier.
        test: The test split and its evaluation, or None.
        redraw: Whether to redraw plots that exist already.
        is_thorough: Whether to draw what takes longer, too: confused classes, heatmaps, the importance of columns.
        note: Called with each plot that does not apply to the run.

    Returns:
        The files that were written.

    Raises:
        SaveError: A file could not be written.
    """
    run, names = folder.parent.name, classifier.class_names
    jobs: Jobs = {"curves": lambda: curves(rows, best_epoch, run, classifier.config.select_by)}
    if test is not None:
        jobs |= _plots_of_test(classifier, test, run, note)
        jobs |= _thorough_plots(classifier, test, run) if is_thorough else {}
    written = [run, *names, *(classifier.transform.columns or [])]
    written += test.examples.all_names() if "samples" in jobs and test is not None else []
    paths = []
    try:
        folder.mkdir(exist_ok=True)
        for name, draw in jobs.items():
            path = folder / f"{name}.png"
            if redraw or not path.is_file():
                paths.append(save(draw, path, written))
    except OSError as cause:
        raise SaveError(f"{folder}: plots not saved ({one_line(cause)}); free space or fix permissions") from cause
    return paths


Jobs = dict[str, Callable[[], Figure]]
"""What draws each plot, by the name of its file."""


def _plots_of_test(classifier: Classifier, test: Predicted, run: str, note: Callable[[str], None]) -> Jobs:
    examples, evaluation, names = test.examples, test.evaluation, classifier.class_names
    jobs: Jobs = {}
    if classifier.is_multi_hot:
        note("no confusion matrix: targets are multi-hot; `nnclassify evaluate` prints the metrics of each class")
    else:
        jobs["confusion"] = lambda: confusion(evaluation.confusion, names, run)
    jobs["calibration"] = lambda: calibration(classifier.loss_fn, evaluation, run)
    if classifier.transform.image_format is not None:
        jobs["samples"] = lambda: samples(examples, evaluation, names, run)
        jobs["mistakes"] = lambda: mistakes(examples, evaluation, names, run)
    if classifier.transform.input_shape == (2,) and not classifier.is_multi_hot:
        jobs["decision_regions"] = lambda: decision_regions(classifier, examples, run)
    return jobs


def _thorough_plots(classifier: Classifier, test: Predicted, run: str) -> Jobs:
    """Return what draws confused classes and heatmaps of mistakes, or for a table the importance of its columns."""
    examples, evaluation = test.examples, test.evaluation
    if len(classifier.transform.input_shape) == 1 and classifier.transform.num_columns <= MAX_COLUMNS:
        return {"importance": lambda: importance(column_importance(classifier, examples), run)}
    if classifier.transform.image_format is None or classifier.is_multi_hot or evaluation.accuracy == 1:
        return {}
    return {
        "confusions": lambda: confusions(examples, evaluation, classifier.class_names, run),
        "heatmaps": lambda: mistake_heatmaps(classifier, test, run),
    }


def curves(rows: Sequence[Row], best_epoch: int, run: str = "", select_by: str = "accuracy") -> Figure:
    """Draw loss, accuracy and the metric that selects the best epoch over the epochs; validation is dashed."""
    has_metric = any(row.validation_metric is not None for row in rows)
    figure = Figure(figsize=(15 if has_metric else 10, 4.5), layout="constrained")
    loss, accuracy, *others = figure.subplots(1, 3 if has_metric else 2)
    epochs = [row.epoch for row in rows]
    training, validation = {"color": COLORS[0], "label": "training"}, {"color": COLORS[6], "label": "validation"}
    add_curve(loss, epochs, [row.train_loss for row in rows], **training)
    add_curve(loss, epochs, [row.validation_loss for row in rows], linestyle="--", **validation)
    add_curve(accuracy, epochs, [row.train_accuracy for row in rows], **training)
    add_curve(accuracy, epochs, [row.validation_accuracy for row in rows], linestyle="--", **validation)
    for axes in others:
        add_curve(axes, epochs, [row.validation_metric for row in rows], linestyle="--", **validation)
        axes.set_title(METRICS[select_by].label)
    if len(rows) > 1:
        for axes in (loss, accuracy, *others):
            axes.axvline(best_epoch, color=QUIET, linewidth=1, linestyle=":", label=f"best epoch ({best_epoch})")
    loss.set_title("loss")
    accuracy.set_title("accuracy")
    finish_curves([loss], [accuracy], others)
    figure.suptitle(title(run, "learning curves"))
    handles = {str(line.get_label()): line for line in [*accuracy.get_lines(), *loss.get_lines()]}
    add_legend(figure, [*handles.values()], [*handles], columns=3)
    return figure


def draw_again(path: Path, overrides: Sequence[str], device: str, note: Callable[[str], None]) -> list[Path]:
    """Redraw all plots of the run that a checkpoint belongs to, also those that take longer.

    Args:
        path: The checkpoint.
        overrides: `a.b=value` each, such as the new location of the data.
        device: auto, cpu, cuda, cuda:N or mps.
        note: Called with each note about the files and the data of the run, one line each.

    Returns:
        The files that were written.

    Raises:
        CheckpointError: The checkpoint cannot be used.
        DataError: The data is missing, or is not that of the run.
        SaveError: A plot could not be written.
    """
    found = load_newest(path)
    classifier = Classifier.from_checkpoint(found.checkpoint, found.path, device).overridden(overrides)
    folder = RunFolder(path.parent)
    splits = splits_of(classifier)
    for text in (*found.notes, *splits.notes):
        note(text)
    shown = splits.test if classifier.config.show_test else None
    test = None if shown is None else Predicted("test", shown, evaluate(classifier, shown))
    rows = whole_history(folder.history, [Row(**row) for row in found.checkpoint.history], note)
    return save_plots(folder.plots, rows, found.checkpoint.epoch, classifier, test, is_thorough=True, note=note)

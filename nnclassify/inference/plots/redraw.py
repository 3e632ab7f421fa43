"""Redraw the plots of a run from its folder and its data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from nnclassify.inference.classifier import Classifier
from nnclassify.inference.evaluate import evaluate, splits_of
from nnclassify.inference.plots.save import save_plots
from nnclassify.inference.predictions import Predicted
from nnclassify.runs.checkpoint import load_newest
from nnclassify.runs.folder import RunFolder
from nnclassify.training.history import Row, whole_history


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

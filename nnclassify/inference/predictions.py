"""`predictions.csv`: what a trained net predicts for each example of a split, by the example's name.

Columns: split, name, true, predicted, `p(CLASS)` of each class, loss. With multi-hot targets, `true(CLASS)` and
`predicted(CLASS)` of each class, 0 or 1, instead of true and predicted. Numbers have six significant digits, so a row
takes about ten bytes per class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from torch import Tensor

from nnclassify.data import Examples
from nnclassify.errors import SaveError
from nnclassify.files.csv_cells import cell, read_csv, write_csv
from nnclassify.inference.evaluate import Evaluation
from nnclassify.runs.folder import RunFolder

ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Predicted:
    """A split and what was predicted for it.

    Attributes:
        split: `train`, `validation`, `test`, or `all` of other data.
        examples: The examples.
        evaluation: Their evaluation, in the same order.
    """

    split: str
    examples: Examples
    evaluation: Evaluation


def write_predictions(path: Path, predicted: Sequence[Predicted], class_names: Sequence[str]) -> None:
    """Write the predictions for one or more splits.

    Raises:
        SaveError: The file could not be written; the file before is untouched.
    """
    rows = chain.from_iterable(_rows(one, class_names) for one in predicted)
    write_csv(path, chain([_header(class_names, is_multi_hot=predicted[0].evaluation.is_multi_hot)], rows))


def save_evaluated(
    checkpoint: Path, predicted: Predicted, class_names: Sequence[str], note: Callable[[str], None]
) -> None:
    """Bring the predictions in the folder of a run up to date with an evaluation of its `best.pt`.

    Args:
        checkpoint: The checkpoint that was evaluated; predictions of any other than `best.pt` are not kept.
        predicted: The evaluated split of the run; the file keeps the rows of the others.
        class_names: The classes, in the order of the outputs.
        note: Receives why the file could not be written, which the evaluation does not depend on.
    """
    folder = RunFolder(checkpoint.parent)
    if checkpoint != folder.best or not folder.config.is_file():
        return
    header = _header(class_names, is_multi_hot=predicted.evaluation.is_multi_hot)
    rows = read_csv(folder.predictions)
    others = [row for row in rows if row and row[0] != predicted.split] if next(rows, None) == header else []
    try:
        write_csv(folder.predictions, chain([header], others, _rows(predicted, class_names)))
    except SaveError as error:
        note(str(error))


def read_correct(path: Path, split: str) -> dict[str, bool]:
    """Return by name whether each example of a split is predicted correctly; empty if there is no such file.

    With multi-hot targets, an example is predicted correctly if all its classes are.
    """
    rows = read_csv(path)
    header = next(rows, [])
    true, predicted = (
        [column for column, name in enumerate(header) if name == what or name.startswith(f"{what}(")]
        for what in ("true", "predicted")
    )
    pairs = list(zip(true, predicted, strict=False))
    whole = (row for row in rows if len(row) == len(header))
    return {row[1]: all(row[this] == row[that] for this, that in pairs) for row in whole if row[0] == split}


def _header(class_names: Sequence[str], *, is_multi_hot: bool) -> list[str]:
    answers = [["true"], ["predicted"]]
    if is_multi_hot:
        answers = [_columns(what, class_names) for what in ("true", "predicted")]
    return ["split", "name", *chain(*answers), *_columns("p", class_names), "loss"]


def _columns(what: str, class_names: Iterable[str]) -> list[str]:
    return [f"{what}({cell(name)})" for name in class_names]


def _rows(predicted: Predicted, class_names: Sequence[str]) -> Iterator[list[str]]:
    evaluation, cells = predicted.evaluation, [cell(name) for name in class_names]
    columns = (
        predicted.examples.all_targets().cpu(),
        evaluation.predictions,
        evaluation.probabilities,
        evaluation.losses,
    )
    names = map(cell, predicted.examples.all_names())
    for targets, labels, probabilities, losses in zip(*(column.split(ROWS_AT_ONCE) for column in columns), strict=True):
        answers = zip(_answers(targets, cells), _answers(labels, cells), strict=True)
        numbers = zip(probabilities.tolist(), losses.tolist(), strict=True)
        for (true, label), (shares, loss), name in zip(answers, numbers, names, strict=False):  # names last: they go on
            yield [predicted.split, name, *true, *label, *(f"{share:.6g}" for share in shares), f"{loss:.6g}"]


def _answers(labels: Tensor, cells: Sequence[str]) -> list[list[str]]:
    """Return the cells of class indices `(B,)`, or of multi-hot rows `(B, K)`."""
    if labels.ndim == 1:
        return [[cells[label]] for label in labels.tolist()]
    return [[str(int(is_of)) for is_of in row] for row in labels.tolist()]

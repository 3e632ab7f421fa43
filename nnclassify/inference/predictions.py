"""`predictions.csv`: what a trained network predicts for each example of a split, by the example's name.

Columns: split, name, true, predicted, `p(CLASS)` of each class, loss. With multi-hot targets, `true(CLASS)` and
`predicted(CLASS)` of each class, 0 or 1, instead of true and predicted. Numbers have six significant digits, so a row
takes about ten bytes per class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

from torch import Tensor

from nnclassify.data import Examples
from nnclassify.errors import SaveError
from nnclassify.files.csv_cells import cell, name_in, read_csv, write_csv
from nnclassify.inference.evaluate import Evaluation
from nnclassify.runs.folder import RunFolder

Labels = tuple[int, ...]
"""The indices of the classes of an example: one, or any number with multi-hot targets."""

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


@dataclass(frozen=True)
class PredictionRows:
    """The rows of a split in `predictions.csv`, of N examples and K classes.

    Attributes:
        split: The name of the split.
        cells: The cells of the K classes.
        is_multi_hot: Whether an example may belong to several classes, or to none.
        rows: The cells of each example.
    """

    split: str
    cells: list[str]
    is_multi_hot: bool
    rows: list[list[str]]

    @property
    def names(self) -> list[str]:
        """The name of each example."""
        return [name_in(row[1]) for row in self.rows]

    @cached_property
    def true(self) -> list[Labels]:
        """The classes of each example."""
        return self._labels(0)

    @cached_property
    def predicted(self) -> list[Labels]:
        """The predicted classes of each example."""
        return self._labels(1)

    @property
    def probabilities(self) -> list[list[float]]:
        """The probability of each class, by example."""
        return [[*map(float, row[-1 - len(self.cells) : -1])] for row in self.rows]

    @property
    def losses(self) -> list[float]:
        """The loss of each example."""
        return [float(row[-1]) for row in self.rows]

    def _labels(self, place: int) -> list[Labels]:
        if self.is_multi_hot:
            start = 2 + place * len(self.cells)
            return [
                tuple(label for label, value in enumerate(row[start : start + len(self.cells)]) if value == "1")
                for row in self.rows
            ]
        places = {name: (label,) for label, name in enumerate(self.cells)}
        return [places[row[2 + place]] for row in self.rows]


def read_predictions(path: Path, *splits: str) -> PredictionRows | None:
    """Read the first of some splits that `predictions.csv` has examples of.

    Returns:
        Its rows; None if the file is missing or damaged, or has none of the splits.
    """
    rows = read_csv(path)
    header = next(rows, [])
    if header[:2] != ["split", "name"]:
        return None
    found: dict[str, list[list[str]]] = {split: [] for split in splits}
    for row in rows:
        if len(row) == len(header) and row[0] in found:
            found[row[0]].append(row)
    chosen = next((split for split in splits if found[split]), None)
    if chosen is None:
        return None
    cells = [name[2:-1] for name in header if name.startswith("p(") and name.endswith(")")]
    read = PredictionRows(chosen, cells, header[2] != "true", found[chosen])
    try:
        _ = read.true, read.predicted, read.losses
    except (ValueError, KeyError):  # edited by hand
        return None
    return read


def read_correct(path: Path, split: str) -> dict[str, bool]:
    """Return by name whether each example of a split is predicted correctly; empty if there is no such file.

    With multi-hot targets, an example is predicted correctly if all its classes are.
    """
    read = read_predictions(path, split)
    if read is None:
        return {}
    triples = zip(read.names, read.true, read.predicted, strict=True)
    return {name: true == predicted for name, true, predicted in triples}


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

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
class SplitPredictions:
    """What `predictions.csv` has on a split of N examples and K classes.

    Attributes:
        split: The name of the split.
        class_names: The names of the K classes.
        names: The name of each example.
        true: The classes of each example.
        predicted: The predicted classes of each example.
        confidences: The probability of the predicted class; with multi-hot targets, of the least certain decision.
            Empty if they were not read.
        losses: The loss of each example.
        is_multi_hot: Whether an example may belong to several classes, or to none.
    """

    split: str
    class_names: list[str]
    names: list[str]
    true: list[Labels]
    predicted: list[Labels]
    confidences: list[float]
    losses: list[float]
    is_multi_hot: bool

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def is_correct(self) -> list[bool]:
        """Whether each example is predicted correctly: with multi-hot targets, if all its classes are."""
        return [true == predicted for true, predicted in zip(self.true, self.predicted, strict=True)]


def read_predictions(path: Path, *splits: str, with_confidences: bool = False) -> SplitPredictions | None:
    """Read the first of some splits that `predictions.csv` has examples of.

    Args:
        path: The file.
        splits: The names of the splits.
        with_confidences: Whether to read the probabilities, which takes long if there are many classes.

    Returns:
        None if the file is missing or damaged, or has none of the splits.
    """
    lines = read_csv(path)
    header = next(lines, [])
    if header[:2] != ["split", "name"]:
        return None
    found: dict[str, list[list[str]]] = {split: [] for split in splits}
    for row in lines:
        if len(row) == len(header) and row[0] in found:
            found[row[0]].append(row)
    chosen = next((split for split in splits if found[split]), None)
    if chosen is None:
        return None
    rows, is_multi_hot = found[chosen], header[2] != "true"
    cells = [name[2:-1] for name in header if name.startswith("p(") and name.endswith(")")]
    try:
        true, predicted = (_labels(rows, cells, place, is_multi_hot=is_multi_hot) for place in (0, 1))
        shares = ([*map(float, row[-1 - len(cells) : -1])] for row in rows if with_confidences)
        if is_multi_hot:
            confidences = [min(max(share, 1 - share) for share in of_row) for of_row in shares]
        else:
            confidences = [
                of_row[label] for of_row, (label,) in zip(shares, predicted, strict=False)
            ]  # may not be read
        losses = [float(row[-1]) for row in rows]
    except (ValueError, KeyError):  # edited by hand
        return None
    class_names, names = [name_in(cell) for cell in cells], [name_in(row[1]) for row in rows]
    return SplitPredictions(chosen, class_names, names, true, predicted, confidences, losses, is_multi_hot)


def _labels(rows: Sequence[list[str]], cells: Sequence[str], place: int, *, is_multi_hot: bool) -> list[Labels]:
    """Return the true classes of each row (`place` 0) or the predicted ones (1)."""
    if is_multi_hot:
        columns = slice(2 + place * len(cells), 2 + (place + 1) * len(cells))
        return [tuple(label for label, value in enumerate(row[columns]) if value == "1") for row in rows]
    places = {name: (label,) for label, name in enumerate(cells)}
    return [places[row[2 + place]] for row in rows]


def read_correct(path: Path, split: str) -> dict[str, bool]:
    """Return by name whether each example of a split is predicted correctly; empty if there is no such file.

    With multi-hot targets, an example is predicted correctly if all its classes are.
    """
    read = read_predictions(path, split)
    return {} if read is None else dict(zip(read.names, read.is_correct, strict=True))


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

"""Confusion matrices, and the precision, recall and F1 of each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


def confusion_matrix(predictions: Tensor, targets: Tensor, num_classes: int) -> list[list[int]]:
    """Count examples by true class (rows) and predicted class (columns), `(K, K)`."""
    cells = torch.bincount(targets * num_classes + predictions, minlength=num_classes**2)
    rows: list[list[int]] = cells.reshape(num_classes, num_classes).tolist()
    return rows


@dataclass(frozen=True)
class ClassReport:
    """Precision, recall, F1 and number of examples of one class; a ratio with denominator 0 is 0."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int

    @classmethod
    def of(cls, name: str, num_correct: int, num_predicted: int, support: int) -> ClassReport:
        """Compute the report of a class from the examples of it that are found, all that are predicted, and all."""
        precision, recall = (num_correct / whole if whole else 0.0 for whole in (num_predicted, support))
        f1 = 2 * num_correct / (support + num_predicted) if support + num_predicted else 0.0
        return ClassReport(name, precision, recall, f1, support)


def class_reports(confusion: list[list[int]], class_names: list[str]) -> list[ClassReport]:
    """Compute the report of each class from counts `(K, K)`."""
    return [
        ClassReport.of(name, confusion[index][index], sum(row[index] for row in confusion), sum(confusion[index]))
        for index, name in enumerate(class_names)
    ]


def multi_hot_reports(confusion: Sequence[list[list[int]]], class_names: list[str]) -> list[ClassReport]:
    """Compute the report of each class from counts `(K, 2, 2)`."""
    pairs = zip(confusion, class_names, strict=True)
    return [class_reports(table, ["", name])[1] for table, name in pairs]


@dataclass(frozen=True)
class Confusion:
    """The number of examples of class `target` that are predicted as class `predicted`, both as indices."""

    target: int
    predicted: int
    count: int


def largest_confusions(confusion: Sequence[Sequence[int]], limit: int) -> list[Confusion]:
    """Return the nonzero cells off the diagonal of a confusion matrix, largest first, at most `limit`."""
    matrix = torch.tensor(confusion)
    cells = matrix.fill_diagonal_(0).flatten()
    order = cells.sort(descending=True, stable=True).indices[: min(limit, int(cells.count_nonzero()))]
    return [Confusion(cell // len(matrix), cell % len(matrix), int(cells[cell])) for cell in order.tolist()]

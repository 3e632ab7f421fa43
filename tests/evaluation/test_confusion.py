"""Tests of the confusion matrix and the per-class figures, against values by hand and scikit-learn."""

from __future__ import annotations

import pytest
import torch
from sklearn import metrics as sklearn_metrics

from nnclassify.evaluation.confusion import class_reports, confusion_matrix, largest_confusions, multi_hot_reports


def test_confusion_matrix_has_a_row_for_each_true_class() -> None:
    targets, predictions = torch.tensor([0, 0, 1, 2, 2, 2]), torch.tensor([0, 1, 1, 2, 2, 0])
    assert confusion_matrix(predictions, targets, 3) == [[1, 1, 0], [0, 1, 0], [1, 0, 2]]


def test_class_reports_by_hand() -> None:
    first, second, third = class_reports([[1, 1, 0], [0, 0, 0], [1, 0, 2]], ["a", "b", "c"])
    assert (first.precision, first.recall, first.f1, first.support) == (0.5, 0.5, 0.5, 2)
    assert (second.precision, second.recall, second.f1, second.support) == (0.0, 0.0, 0.0, 0)
    assert (third.precision, third.recall, third.f1) == pytest.approx((1.0, 2 / 3, 0.8))
    assert third.support == 3


def test_they_are_those_of_scikit_learn() -> None:
    rng = torch.Generator().manual_seed(0)
    targets, predictions = torch.randint(4, (2, 50), generator=rng)  # class 4 has no examples and is never predicted
    counts = confusion_matrix(predictions, targets, 5)
    assert counts == sklearn_metrics.confusion_matrix(targets, predictions, labels=range(5)).tolist()
    by_class = sklearn_metrics.precision_recall_fscore_support(targets, predictions, labels=range(5), zero_division=0)
    for report, *expected in zip(class_reports(counts, [*"abcde"]), *by_class, strict=True):
        assert [report.precision, report.recall, report.f1, report.support] == pytest.approx(expected)


def test_of_multi_hot_answers_too() -> None:
    predictions, targets = torch.randint(2, (2, 50, 4), generator=torch.Generator().manual_seed(0))
    tables = [confusion_matrix(*pair, 2) for pair in zip(predictions.T, targets.T, strict=True)]
    assert tables == sklearn_metrics.multilabel_confusion_matrix(targets, predictions).tolist()
    f1 = [report.f1 for report in multi_hot_reports(tables, [*"abcd"])]
    assert f1 == pytest.approx(sklearn_metrics.f1_score(targets, predictions, average=None))


def test_the_largest_confusions_come_first() -> None:
    largest = largest_confusions([[9, 1, 0], [3, 9, 0], [0, 2, 9]], 2)
    assert [(entry.target, entry.predicted, entry.count) for entry in largest] == [(1, 0, 3), (2, 1, 2)]

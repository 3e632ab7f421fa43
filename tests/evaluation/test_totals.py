"""Tests of sums over an epoch against values by hand and an independent formula."""

from __future__ import annotations

import math

import pytest
import torch
from builders import config_of

from nnclassify.evaluation.totals import Totals, score


def test_weighted_mean_loss_divides_by_the_weights() -> None:
    loss_fn = config_of(loss={"name": "cross_entropy", "class_weights": [1.0, 3.0]}).loss.build([1, 1])
    outputs = torch.tensor([[0.0, 0.0], [math.log(3.0), 0.0]])  # losses log 2 and, of class 1, log 4
    figures = score(outputs, torch.tensor([0, 1]), loss_fn)
    assert figures.loss == pytest.approx((math.log(2) + 3 * math.log(4)) / 4)
    assert figures.accuracy == 0.5


def test_totals_are_the_same_in_any_batches() -> None:
    loss_fn = config_of().loss.build([1, 1, 1])
    rng = torch.Generator().manual_seed(0)
    outputs, targets = torch.randn(23, 3, generator=rng), torch.randint(3, (23,), generator=rng)
    totals = Totals.zeros(torch.device("cpu"))
    for batch, wanted in zip(outputs.split(5), targets.split(5), strict=True):
        totals.add(loss_fn(batch, wanted), batch, wanted, loss_fn)
    whole = score(outputs, targets, loss_fn)
    assert totals.mean_loss() == pytest.approx(whole.loss, rel=1e-7)
    assert totals.mean_loss() == pytest.approx(float(torch.nn.functional.cross_entropy(outputs.double(), targets)))
    assert totals.accuracy() == whole.accuracy
    again = Totals.from_state(totals.state(), torch.device("cpu"))
    assert again.state() == totals.state()


def test_totals_of_nothing_are_nan() -> None:
    totals = Totals.zeros(torch.device("cpu"))
    assert math.isnan(totals.mean_loss()) and math.isnan(totals.accuracy())


def test_weighted_losses_are_counted_by_hand() -> None:
    loss_fn = config_of(loss={"name": "cross_entropy", "class_weights": [1.0, 3.0]}).loss.build([1, 1])
    totals = Totals.zeros(torch.device("cpu"))
    totals.add(torch.tensor([1.0, 6.0]), torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1]), loss_fn)
    assert (totals.mean_loss(), totals.accuracy()) == (7 / 4, 0.5)
    assert totals.mean_loss() == 7 / 4  # counted once

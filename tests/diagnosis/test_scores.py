import math

import pytest
import torch

from nnclassify.diagnosis.trials.scores import NO_SCORES, Scores, gain_noise, pooled


def scores(right: list[int], groups: list[int]) -> Scores:
    return Scores(sum(right) / len(right), torch.tensor(right).double(), torch.tensor(groups))


def test_the_score_is_the_mean_recall_and_its_noise_that_of_the_recalls() -> None:
    """2 of 2 and 1 of 4; with one more right and one more wrong of each 3 of 4 and 2 of 6."""
    found = scores([1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1])
    assert found.balanced_accuracy == 0.625
    assert found.noise == pytest.approx(math.sqrt(0.75 * 0.25 / 2 + 1 / 3 * 2 / 3 / 4) / 2)


def test_examples_that_two_nets_agree_on_leave_no_doubt_about_the_gain() -> None:
    """Of 98 examples two are gained and one is lost: Agresti and Min's variance, of one class."""
    before, after = [1] + [0] * 97, [0, 1, 1] + [0] * 95
    found = gain_noise([scores(before, [0] * 98)], [scores(after, [0] * 98)])
    assert found == pytest.approx(math.sqrt((4 / 100 - (1 / 100) ** 2) / 100))


def test_seeds_that_differ_by_chance_are_averaged_before_examples_are_paired() -> None:
    """Of each seed another half of the examples is right; on average every example is right half of the time."""
    first, second = scores([1, 0] * 50, [0] * 100), scores([0, 1] * 50, [0] * 100)
    assert gain_noise([first, second], [second, first]) < 0.2 * gain_noise([first], [second])


def test_an_error_has_nothing_right() -> None:
    right = scores([1, 1, 0, 1], [0, 0, 1, 1])
    wrong = scores([0, 0, 0, 0], [0, 0, 1, 1])
    assert NO_SCORES.balanced_accuracy == 0.0
    assert gain_noise([NO_SCORES], [right]) == gain_noise([wrong], [right])


def test_the_examples_of_all_folds_judge_together() -> None:
    both = pooled([scores([1, 0], [0, 1]), scores([1, 1, 0, 0], [0, 1, 0, 1])])
    assert both.balanced_accuracy == pytest.approx((2 / 3 + 1 / 3) / 2) and both.accuracy == 0.5

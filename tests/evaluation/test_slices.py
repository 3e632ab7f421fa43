"""Slices: the statistics against scipy, planted slices, and false alarms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nnclassify.evaluation.significance import ALPHA
from nnclassify.evaluation.slices import UNKNOWN, Property, Slice, weak_slices


def found(right: np.ndarray, *properties: Property) -> list[Slice]:
    """The weak slices, where the loss is the row and the name its number."""
    return weak_slices(right, np.arange(float(len(right))), properties, lambda rows: [*map(str, rows)])


def of_codes(codes: np.ndarray, name: str = "kind") -> Property:
    return Property(name, [f"{name} {label}" for label in range(int(codes.max()) + 1)], codes)


@pytest.mark.parametrize(
    ("num_right", "num", "others_right", "others"), [(2, 15, 60, 70), (0, 12, 30, 31), (70, 90, 9, 9)]
)
def test_a_p_value_is_that_of_fishers_exact_test(num_right: int, num: int, others_right: int, others: int) -> None:
    right = np.repeat([True, False, True, False], [num_right, num - num_right, others_right, others - others_right])
    codes = np.repeat([0, UNKNOWN, 1], [num, 0, others])
    table = [[num_right, num - num_right], [others_right, others - others_right]]
    expected = stats.fisher_exact(table, alternative="less").pvalue
    reported = [part.p_value for part in found(right, Property("kind", ["here", "there"], codes))]
    (corrected,) = {min(1.0, (2 if others >= 10 else 1) * expected)}
    assert reported == (pytest.approx([corrected]) if corrected < ALPHA else [])


def test_a_planted_slice_is_found_with_its_counts_and_its_worst_mistakes() -> None:
    right = np.ones(200, dtype=bool)
    right[[3, 4, 5, 6, 7, 8, 150]] = False
    (part,) = found(right, of_codes(np.repeat([0, 1], [20, 180])), of_codes(np.arange(200) % 2, "parity"))
    assert (part.name, part.value, part.num_examples, part.num_correct) == ("kind", "kind 0", 20, 14)
    assert (part.num_others, part.num_others_correct, part.mistakes) == (180, 179, ("8", "7", "6"))
    assert part.accuracy == 0.7
    assert part.num_avoidable == pytest.approx(20 * 179 / 180 - 14)


def test_unknown_examples_are_in_no_slice_and_not_among_the_others() -> None:
    right = np.repeat([False, True, False], [15, 85, 900])
    (part,) = found(right, of_codes(np.repeat([0, 1, UNKNOWN], [15, 85, 900])))
    assert (part.num_examples, part.num_others) == (15, 85)


def test_small_slices_and_properties_of_one_value_are_not_tested() -> None:
    right = np.repeat([False, True], [9, 91])
    assert found(right, of_codes(np.repeat([0, 1], [9, 91])), of_codes(np.zeros(100, dtype=np.int64))) == []


def test_numbers_have_a_slice_per_value_or_fifths() -> None:
    few = Property.of_numbers("few", np.array([3.0, 1.0, np.nan, 3.0]))
    assert (few.labels, few.codes.tolist()) == (["1", "3"], [1, 0, UNKNOWN, 1])
    many = Property.of_numbers("many", np.arange(100.0))
    assert many.labels == ["0 to 19", "20 to 39", "40 to 59", "60 to 79", "80 to 99"]
    assert np.bincount(many.codes).tolist() == [20] * 5


def test_frequent_values_are_not_divided() -> None:
    skewed = Property.of_numbers("skewed", np.concatenate([np.zeros(80), np.arange(1.0, 21.0)]))
    assert (skewed.labels, np.bincount(skewed.codes).tolist()) == (["0", "1 to 20"], [80, 20])


def simulated(seed: int, accuracy_of_slice: float) -> list[Slice]:
    """A split of 2,000 examples of four properties, 40 slices, of which one is predicted with another accuracy."""
    rng = np.random.default_rng(seed)
    numbers = [Property.of_numbers(f"number {index}", rng.normal(size=2000)) for index in range(3)]
    kinds = of_codes(rng.integers(0, 25, size=2000))
    right = rng.random(2000) < np.where(kinds.codes == 7, accuracy_of_slice, 0.9)
    return found(right, *numbers, kinds)


@pytest.mark.slow
def test_without_a_weak_slice_at_most_one_evaluation_in_twenty_reports_one() -> None:
    alarms = sum(bool(simulated(seed, 0.9)) for seed in range(1000))
    assert alarms <= 50


@pytest.mark.slow
def test_a_slice_of_80_examples_that_is_20_points_worse_is_found() -> None:
    hits = sum("kind 7" in {part.value for part in simulated(seed, 0.7)} for seed in range(300))
    assert hits >= 0.8 * 300

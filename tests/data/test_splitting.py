"""Tests of splits: seeded, stratified and disjoint; and of what is rejected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import config_of
from hypothesis import assume, given
from hypothesis import strategies as st

from nnclassify.data import Examples, Splits
from nnclassify.data.split_checks import check_classes, check_range
from nnclassify.data.splitting import (
    Groups,
    grouped_sides,
    grouped_split,
    nested_subset,
    newest_split,
    num_units,
    stratified_folds,
    stratified_split,
)
from nnclassify.errors import ConfigError, DataError
from nnclassify.seeds import numpy_rng


def splits_of(seed: int = 0, **dataset: Any) -> Splits:
    splits: Splits = config_of(dataset=dataset).dataset.build(seed)
    return splits


@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    fraction=st.floats(0, 0.99),
    seed=st.integers(0, 1000),
)
def test_stratified_split_takes_the_same_share_of_each_class(counts: list[int], fraction: float, seed: int) -> None:
    targets = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    rows = np.arange(len(targets))
    kept, held_out = stratified_split(targets, rows, fraction, numpy_rng(seed))
    assert sorted([*kept, *held_out]) == rows.tolist()
    for label, count in enumerate(counts):
        taken = int((targets[held_out] == label).sum())
        assert abs(taken - fraction * count) < 1 or taken == count - 1
        assert taken < count


def test_stratified_split_holds_out_the_rounded_number() -> None:
    targets = np.repeat([0, 1, 2], [50, 50, 50])
    kept, held_out = stratified_split(targets, np.arange(150), 0.2, numpy_rng(0))
    assert (len(kept), len(held_out)) == (120, 30)
    assert np.bincount(targets[held_out]).tolist() == [10, 10, 10]


def test_splits_follow_from_the_seed() -> None:
    first, again, other = splits_of(0, name="iris"), splits_of(0, name="iris"), splits_of(1, name="iris")
    assert torch.equal(first.train.indices, again.train.indices)
    assert not torch.equal(first.train.indices, other.train.indices)


def test_the_datasets_own_seed_fixes_the_splits() -> None:
    dataset = config_of(dataset={"name": "iris", "seed": 5}).dataset
    assert torch.equal(dataset.build(1).train.indices, dataset.build(2).train.indices)
    assert torch.equal(dataset.build(1).train.indices, splits_of(5, name="iris").train.indices)


IRIS_TEST = [
    *(8, 11, 18, 20, 23, 35, 36, 41, 42, 44, 54, 63, 65, 68, 71, 76, 79, 89, 90, 97, 111, 113, 119, 120, 126, 138, 141),
    *(144, 145, 148),
]


def test_the_splits_of_a_seed_never_change() -> None:
    """So that runs made before resume bit for bit. They are those of before there were groups and folds."""
    splits = splits_of(0, name="iris")
    assert splits.validation is not None and splits.test is not None
    assert splits.test.indices.tolist() == IRIS_TEST
    assert splits.validation.indices.tolist() == [0, 3, 15, 21, 52, 56, 80, 98, 103, 106, 115, 142]
    few = splits_of(7, name="iris", limit=30, validation=0.2)
    assert few.validation is not None and few.validation.indices.tolist() == [20, 29, 51, 55, 100, 138]
    assert few.train.indices[:12].tolist() == [13, 15, 17, 19, 22, 24, 36, 43, 50, 53, 59, 61]


def test_the_split_of_multi_hot_targets_never_changes() -> None:
    targets = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0]] * 4)
    _, held_out = stratified_split(targets, np.arange(24), 0.25, numpy_rng(3, "split", "test"))
    assert held_out.tolist() == [0, 1, 9, 12, 13, 22]


def test_the_groups_and_folds_of_a_seed_never_change() -> None:
    targets, groups = np.arange(40) % 3, Groups(np.arange(40) // 4, [f"g{code}" for code in range(10)])
    _, held_out = grouped_split(targets, groups, np.arange(40), 0.3, numpy_rng(0, "split", "test"))
    assert held_out.tolist() == [*range(20, 32)]
    of_groups = stratified_folds(targets, groups, 5, numpy_rng(0, "split", "folds"))
    assert of_groups[::4].tolist() == [2, 4, 4, 3, 2, 3, 1, 0, 1, 0]
    of_examples = stratified_folds(targets[:15], None, 5, numpy_rng(0, "split", "folds"))
    assert of_examples.tolist() == [4, 1, 4, 3, 0, 3, 2, 3, 2, 0, 4, 0, 1, 2, 1]


def grouped(sizes: list[int], num_classes: int, seed: int) -> tuple[Any, Groups]:
    """Examples of random classes in shuffled order, in groups of these sizes."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return rng.integers(0, num_classes, len(codes)), Groups(codes, [f"g{code}" for code in range(len(sizes))])


SIZES = st.lists(st.integers(1, 12), min_size=2, max_size=40)


@given(sizes=SIZES, num_classes=st.integers(1, 4), fraction=st.floats(0, 0.9), seed=st.integers(0, 1000))
def test_a_grouped_split_divides_no_group(sizes: list[int], num_classes: int, fraction: float, seed: int) -> None:
    targets, groups = grouped(sizes, num_classes, seed)
    rows = np.flatnonzero(np.random.default_rng(seed).random(len(targets)) < 0.9)
    assume(num_units(targets[rows], Groups(groups.codes[rows], groups.names), num_classes)[1].min() > 1)
    kept, held_out = grouped_split(targets, groups, rows, fraction, numpy_rng(seed))
    assert sorted([*kept, *held_out]) == rows.tolist()
    assert not groups.among(kept) & groups.among(held_out)
    assert set(targets[kept]) == set(targets[rows])
    again = grouped_split(targets, groups, rows, fraction, numpy_rng(seed))
    assert again[1].tolist() == held_out.tolist()


@given(sizes=SIZES, fraction=st.floats(0.01, 0.9), seed=st.integers(0, 1000))
def test_the_fraction_of_a_grouped_split_is_met_within_one_group(sizes: list[int], fraction: float, seed: int) -> None:
    targets, groups = grouped(sizes, 1, seed)
    _, held_out = grouped_split(targets, groups, np.arange(len(targets)), fraction, numpy_rng(seed))
    assert abs(len(held_out) - fraction * len(targets)) <= max(sizes)


def test_a_grouped_split_of_a_thousand_groups_is_stratified() -> None:
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(1000), rng.integers(1, 20, 1000))
    targets = (rng.random(len(codes)) < rng.random(1000)[codes]).astype(np.int64)  # groups of very different mixtures
    groups = Groups(codes, [str(code) for code in range(1000)])
    kept, held_out = grouped_split(targets, groups, np.arange(len(codes)), 0.2, numpy_rng(0))
    assert not set(codes[kept]) & set(codes[held_out])
    fractions = np.bincount(targets[held_out]) / np.bincount(targets)
    assert np.abs(fractions - 0.2).max() < 0.001


def test_seeds_hold_out_different_groups() -> None:
    targets, groups = grouped([*range(1, 60)], 2, 0)
    everything = np.arange(len(targets))
    found = [groups.among(grouped_split(targets, groups, everything, 0.2, numpy_rng(seed))[1]) for seed in range(8)]
    assert len(set().union(*found)) > 40


def test_one_group_cannot_be_split() -> None:
    targets, groups = np.array([0, 1, 0, 1]), Groups(np.zeros(4, dtype=np.int64), ["a"])
    with pytest.raises(DataError, match=r"^dataset\.group: 1 group of 4 examples, none of which can be held out"):
        grouped_split(targets, groups, np.arange(4), 0.25, numpy_rng(0))


def test_the_only_group_of_a_class_is_trained_on() -> None:
    """Class 2 is in the last group alone, which must be kept however the others are assigned."""
    targets = np.array([0, 1] * 10 + [2, 2])
    codes = np.array([*np.repeat(np.arange(10), 2), 10, 10])
    sides = [grouped_sides(targets, codes, (0.5, 0.5), numpy_rng(seed), whole=[1]) for seed in range(20)]
    assert {int(side[-1]) for side in sides} == {0}


@given(sizes=SIZES, num_classes=st.integers(1, 4), num_folds=st.integers(2, 6), seed=st.integers(0, 1000))
def test_folds_divide_no_group(sizes: list[int], num_classes: int, num_folds: int, seed: int) -> None:
    targets, groups = grouped(sizes, num_classes, seed)
    assume(num_units(targets, groups, num_classes)[1].min() > 1)
    folds = stratified_folds(targets, groups, num_folds, numpy_rng(seed))
    assert len(set(folds)) == min(num_folds, len(sizes))
    assert all(len(set(folds[groups.codes == code])) == 1 for code in range(len(sizes)))
    assert np.bincount(folds).max() - len(targets) / num_folds <= max(sizes)


@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=6), num_folds=st.integers(2, 7), seed=st.integers(0, 1000)
)
def test_folds_have_the_same_share_of_each_class(counts: list[int], num_folds: int, seed: int) -> None:
    targets = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    folds = stratified_folds(targets, None, num_folds, numpy_rng(seed))
    table = np.array(
        [[((folds == fold) & (targets == label)).sum() for fold in range(num_folds)] for label in set(targets)]
    )
    assert np.ptp(table, axis=1).max() <= 1
    assert np.ptp(table.sum(axis=0)) <= 1


def test_each_example_is_tested_in_one_fold() -> None:
    folds = [splits_of(0, name="iris", folds=5, fold=fold) for fold in range(1, 6)]
    tested = [row for splits in folds if splits.test is not None for row in splits.test.indices.tolist()]
    assert sorted(tested) == list(range(150))
    assert [splits.class_counts() for splits in folds] == [[36, 36, 36]] * 5
    assert torch.equal(splits_of(0, name="iris", folds=5).train.indices, folds[0].train.indices)


@given(
    times=st.lists(st.integers(0, 9), min_size=2, max_size=40).filter(lambda times: len(set(times)) > 1),
    fraction=st.floats(0, 0.95),
)
def test_the_newest_are_held_out(times: list[int], fraction: float) -> None:
    values, rows = np.array(times, dtype=np.float64), np.arange(len(times))
    kept, held_out = newest_split(values, rows, fraction)
    assert sorted([*kept, *held_out]) == rows.tolist()
    assert len(kept)
    if round(fraction * len(times)) == 0:
        assert len(held_out) == 0
    else:
        assert values[kept].max() < values[held_out].min()
        assert abs(len(held_out) - fraction * len(times)) <= max(np.bincount(times))


def test_examples_of_the_same_time_stay_together() -> None:
    times = np.array([3.0, 1.0, 2.0, 2.0, 2.0, 1.0])
    assert newest_split(times, np.arange(6), 0.5)[1].tolist() == [0, 2, 3, 4]
    assert newest_split(times, np.arange(6), 0.2)[1].tolist() == [0]
    with pytest.raises(DataError, match=r"^dataset\.time: all 3 examples have the same time"):
        newest_split(times, np.array([2, 3, 4]), 0.2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fold": 2}, "fold: found 2 without folds; set folds too"),
        ({"folds": 3, "fold": 4}, "fold: found 4, expected a fold from 1 to 3"),
        ({"folds": 3, "test": 0.3}, "test: found 0.3 with folds: 3"),
        ({"folds": 1}, "folds: found 1, expected"),
    ],
)
def test_options_of_folds_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_of(dataset={"name": "iris", **options})


def test_too_many_folds_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"^dataset\.folds: 151 folds of 150 examples; expected at least one example per"
    ):
        splits_of(0, name="iris", folds=151)


def test_each_example_is_in_one_split() -> None:
    splits = splits_of(name="wine", validation=0.2, test=0.25)
    assert splits.validation is not None and splits.test is not None
    rows = torch.cat([splits.train.indices, splits.validation.indices, splits.test.indices])
    assert sorted(rows.tolist()) == list(range(178))
    assert len(splits.test) == round(0.25 * 178)


def test_validation_changes_nothing_about_the_test_split() -> None:
    with_validation, without = splits_of(name="wine", validation=0.2), splits_of(name="wine", validation=0.0)
    assert with_validation.test is not None and without.test is not None
    assert torch.equal(with_validation.test.indices, without.test.indices)


def test_limit_is_stratified_and_seeded() -> None:
    splits = splits_of(name="iris", limit=30, validation=0.0)
    assert splits.class_counts() == [10, 10, 10]
    assert splits.test is not None and len(splits.test) == 30


def test_validation_test_shows_the_test_split() -> None:
    splits = splits_of(name="iris", validation="test")
    assert splits.validation is splits.test and splits.validation_is_test


def test_no_validation_and_no_test() -> None:
    splits = splits_of(name="iris", validation=0, test=0)
    assert (splits.validation, splits.test, len(splits.train)) == (None, None, 150)


@pytest.mark.parametrize(
    ("targets", "found"), [([0, 1, 3], "label 3 of example 2"), ([0, -1], "label -1 of example 1")]
)
def test_a_label_outside_the_classes_is_named(targets: list[int], found: str) -> None:
    with pytest.raises(DataError, match=rf"{found} is not a class; expected 0\.\.2"):
        check_range(np.array(targets), ["a", "b", "c"], "mine")


@pytest.mark.parametrize(
    ("targets", "names", "message"),
    [
        ([], ["a", "b"], "no training examples; expected"),
        ([0, 0], ["a"], r"only one class \(a\); expected at least two"),
        ([0, 0], ["a", "b"], "no training examples of class b; add"),
    ],
)
def test_targets_that_cannot_be_learned_from_are_refused(targets: list[int], names: list[str], message: str) -> None:
    with pytest.raises(DataError, match=f"^mine: {message}"):
        check_classes(np.array(targets, dtype=np.int64), names, "mine")


def test_a_class_without_test_example_is_told(here: Path) -> None:
    rows = [f"{row},{'ab'[row % 2]}" for row in range(20)] + ["5,rare"]
    (here / "t.csv").write_text("\n".join(["x,label", *rows]))
    table = {"name": "csv", "path": "t.csv"}
    told = [note for note in config_of(dataset=table).dataset.build(0).notes if "in the test split" in note]
    assert [note.split(";")[0] for note in told] == [
        "t.csv: no example of class rare in the test split: its metrics cover the other classes only"
    ]
    assert not any(
        "in the test split" in note for note in config_of(dataset={**table, "test": 0}).dataset.build(0).notes
    )


def test_a_fold_without_a_class_says_what_to_decrease(here: Path) -> None:
    rows = [f"{row},{'ab'[row % 2]}" for row in range(20)] + ["5,rare", "6,rare"]
    (here / "t.csv").write_text("\n".join(["x,label", *rows]))
    folds = [splits_of(name="csv", path="t.csv", folds=4, fold=fold).notes for fold in range(1, 5)]
    told = [note for notes in folds for note in notes if "no example of class rare in the test split" in note]
    assert len(told) == 2 and all(note.endswith("add examples, or decrease dataset.folds") for note in told)


def test_a_digest_tells_examples_and_their_order_from_others() -> None:
    inputs, targets = torch.arange(12.0).reshape(6, 2), torch.tensor([0, 1, 0, 1, 0, 1])
    same = Examples(inputs.clone(), targets.clone(), torch.arange(6)).digest()
    assert Examples(torch.cat([inputs, inputs]), torch.cat([targets, targets]), torch.arange(6, 12)).digest() == same
    changed = inputs.clone()
    changed[5, 1] += 1
    others = [
        Examples(inputs, targets, torch.tensor([1, 0, 2, 3, 4, 5])),
        Examples(inputs, targets, torch.arange(5)),
        Examples(inputs, 1 - targets, torch.arange(6)),
        Examples(changed, targets, torch.arange(6)),
        Examples(inputs.double(), targets, torch.arange(6)),
    ]
    assert len({same, *(examples.digest() for examples in others)}) == 6


def test_a_share_of_the_training_split_is_stratified_nested_and_drawn_by_the_seed_of_the_run() -> None:
    def trained_on(share: float, seed: int) -> set[str]:
        splits = config_of(dataset={"name": "digits", "limit": 400, "seed": 3, "share": share}).dataset.build(seed)
        assert splits.validation is not None and splits.validation.digest() == validation
        assert max(splits.class_counts()) - min(splits.class_counts()) <= 3
        return set(splits.train.all_names())

    whole = config_of(dataset={"name": "digits", "limit": 400, "seed": 3}).dataset.build(0)
    assert whole.validation is not None
    validation = whole.validation.digest()
    small, half, everything = (trained_on(share, seed=0) for share in (0.1, 0.5, 1.0))
    assert small < half < everything == set(whole.train.all_names())
    assert (len(small), len(half), len(everything)) == (36, 180, 360)
    assert small != trained_on(0.1, seed=1)


def test_a_share_keeps_every_class_and_whole_groups() -> None:
    targets, groups = np.array([0] * 95 + [1] * 5), np.arange(100) // 5
    rng = np.random.default_rng
    assert set(targets[nested_subset(targets, None, 0.02, rng(0))]) == {0, 1}
    rows = nested_subset(targets, groups, 0.3, rng(0))
    assert len(rows) == 30 and set(np.bincount(groups[rows], minlength=20)) == {0, 5} and 99 in rows


def test_an_epoch_of_a_share_repeats_its_examples() -> None:
    splits = config_of(dataset={"name": "digits", "limit": 200, "share": 0.25}).dataset.build(0)
    assert (len(splits.train), len(splits.training_epoch())) == (45, 180)
    assert splits.training_epoch().indices.bincount().max() == 4

"""The splits: seeded, stratified, apart; and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import config_of
from hypothesis import given
from hypothesis import strategies as st

from nnclassify.data import Examples, Splits
from nnclassify.data.base import check_classes, check_range
from nnclassify.data.splitting import stratified_split
from nnclassify.errors import DataError
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

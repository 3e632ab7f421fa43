from dataclasses import replace

import numpy as np
import pytest
import torch
from builders import config_of

from nnclassify.data import Splits
from nnclassify.data.splitting import Groups
from nnclassify.diagnosis.measure import Snapshot
from nnclassify.diagnosis.trials.folds import held_out_split, two_folds
from nnclassify.diagnosis.trials.runner import as_many_updates, total_steps
from nnclassify.diagnosis.trials.stand_in import StandIn, is_alike


def splits_of(num_examples: int, validation: float = 0.1) -> Splits:
    """Moons, of which a fifth is for the test."""
    dataset = {"name": "moons", "num_examples": num_examples, "validation": validation}
    return config_of(dataset=dataset).dataset.build(0)


@pytest.mark.parametrize(("num_examples", "held_out"), [(4000, 400), (600, 135), (150, 0)])
def test_examples_are_kept_out_of_training_where_there_are_enough(num_examples: int, held_out: int) -> None:
    """400: the validation split is large enough. 135: a quarter of 540. 0: of so few, halves take turns."""
    splits = splits_of(num_examples)
    found = held_out_split(splits)
    assert (0 if found.validation is None else len(found.validation)) == held_out


def test_neither_the_test_split_nor_what_is_trained_on_judges() -> None:
    splits = splits_of(600)
    found = held_out_split(replace(splits, validation=splits.test))
    assert found.validation is not None and splits.test is not None
    rows = [set(part.indices.tolist()) for part in (found.train, found.validation)]
    assert not rows[0] & rows[1] and rows[0] | rows[1] == set(splits.train.indices.tolist())
    assert found.validation is not splits.test


def test_halves_take_turns() -> None:
    splits = splits_of(150)
    first, second = two_folds(splits)
    assert first.validation is not None and torch.equal(first.validation.indices, second.train.indices)
    assert sorted([*first.train.indices.tolist(), *second.train.indices.tolist()]) == splits.train.indices.tolist()
    assert two_folds(splits_of(40)) == []


@pytest.mark.parametrize("groups_per_class", [30, 1])
def test_no_group_is_trained_on_and_judged(groups_per_class: int) -> None:
    splits = splits_of(600)
    codes = splits.train.targets.numpy() * groups_per_class + np.arange(len(splits.train.targets)) % groups_per_class
    grouped = replace(splits, train=replace(splits.train, groups=Groups(codes, [str(code) for code in range(60)])))
    parts = [part for part in [held_out_split(grouped), *two_folds(grouped)] if part.validation is not None]
    assert len(parts) == (3 if groups_per_class > 1 else 0)
    for part in parts:
        assert part.validation is not None and 0.2 < len(part.validation) / len(splits.train) < 0.6
        assert not set(codes[part.train.indices]) & set(codes[part.validation.indices])


def test_a_run_has_as_many_updates_with_fewer_examples() -> None:
    config = config_of(epochs=10, batch_size=10)
    fewer = as_many_updates(config, 100, 75)
    assert (total_steps(config, 100), fewer.epochs, total_steps(fewer, 75)) == (100, 13, 104)


def test_a_stand_in_is_narrower_and_keeps_narrow_layers() -> None:
    model = {"name": "mlp", "hidden": [1024, 2, 100]}
    narrower = StandIn(8)(config_of(model=model))
    assert [layer["units"] for layer in narrower.model.model_dump()["hidden"]] == [128, 2, 48]
    assert str(StandIn(4)) == "a network of a quarter of its width"


def test_a_stand_in_in_which_the_gradient_fades_otherwise_stands_for_nothing() -> None:
    def net(first_gradient: float) -> Snapshot:
        return Snapshot(0.7, (), {"first": first_gradient, "last": 1.0}, 0.5, True, torch.tensor([0]))

    assert is_alike(net(0.5), net(0.2)) and not is_alike(net(0.5), net(1e-5))

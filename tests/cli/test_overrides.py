"""Tests of overrides without `--set`, of short options, and of which run a command uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnclassify.cli.overrides import (
    all_runs,
    config_and_overrides,
    gathered,
    inputs_and_overrides,
    run_and_overrides,
)
from nnclassify.config.run_config import load_config
from nnclassify.errors import ConfigError, InputError


def test_words_and_short_options_override_as_set_does() -> None:
    changes = gathered(["epochs=3"], ["optimizer={name: sgd, momentum: 0.5}"], lr="0.1", seed="7", batch_size="8")
    config = load_config("xor_1", changes).config
    assert (config.epochs, config.seed, config.batch_size) == (3, 7, 8)
    assert config.optimizer.model_dump(include={"name", "lr", "momentum"}) == {
        "name": "sgd",
        "lr": 0.1,
        "momentum": 0.5,
    }


def test_the_last_of_one_form_counts() -> None:
    assert load_config("xor_1", gathered(["epochs=3", "epochs=4"], [])).config.epochs == 4
    assert load_config("xor_1", gathered([], ["epochs=3", "epochs=4"])).config.epochs == 4
    assert load_config("xor_1", gathered(["epochs=3"], ["epochs=3"], epochs="3")).config.epochs == 3


def test_a_key_within_a_value_may_be_added_or_repeated() -> None:
    changes = gathered(["optimizer=sgd", "model.hidden=[3]"], ["optimizer.name=sgd", "model.hidden.0=3"], lr="0.50")
    config = load_config("xor_1", changes).config
    assert config.optimizer.model_dump(include={"name", "lr"}) == {"name": "sgd", "lr": 0.5}
    assert gathered(["optimizer.lr=0.5"], [], lr="0.50") == ["optimizer.lr=0.5", "optimizer.lr=0.50"]


@pytest.mark.parametrize(
    ("set_options", "words", "lr", "text"),
    [
        ([], ["optimizer.lr=0.2"], "0.1", "optimizer.lr=0.2 and --lr 0.1: both set optimizer.lr; leave one of them"),
        (["epochs=1"], ["epochs=2"], None, "--set epochs=1 and epochs=2: both set epochs; leave one of them out"),
        (["model.hidden.0=1"], ["model.hidden.1st=2"], None, "--set model.hidden.0=1 and model.hidden.1st=2: both set"),
        (["optimizer.lr=1"], ["optimizer=sgd"], None, "--set optimizer.lr=1 and optimizer=sgd: the second replaces"),
        (
            ["optimizer=sgd"],
            ["optimizer.name=adam"],
            None,
            "--set optimizer=sgd and optimizer.name=adam: both set optimizer.name; leave one of them out",
        ),
        (["optimizer={lr: 1}"], [], "2", "--set optimizer={lr: 1} and --lr 2: both set optimizer.lr; leave one of"),
        (["model.hidden=[1]"], ["model.hidden.1st=2"], None, "--set model.hidden=[1] and model.hidden.1st=2: both set"),
    ],
)
def test_two_forms_that_disagree_are_refused(
    set_options: list[str], words: list[str], lr: str | None, text: str
) -> None:
    with pytest.raises(InputError) as error:
        gathered(set_options, words, lr=lr)
    assert str(error.value).startswith(text)


def test_errors_name_the_override_as_it_was_written() -> None:
    changes = gathered(["epochs=0"], ["seed=-1", "modle.hidden=3", "foo", "batch_size=[1"], lr="x", device="tpu:3")
    with pytest.raises(ConfigError) as error:
        load_config("xor_1", changes)
    origins = ["foo", "batch_size=[1", "--device tpu:3", "--set epochs=0", "--lr x", "modle.hidden=3", "seed=-1"]
    assert sorted(problem.split(": ")[0] for problem in error.value.problems) == sorted(origins)


@pytest.mark.parametrize(
    ("words", "run", "overrides"),
    [
        (["digits"], "digits", []),
        (["digits", "evaluation.tta=mirror"], "digits", ["evaluation.tta=mirror"]),
        (["dataset.path=new.csv", "digits"], "digits", ["dataset.path=new.csv"]),
        (["dataset.path=new.csv"], None, ["dataset.path=new.csv"]),
        (["runs/lr=0.1/best.pt"], "runs/lr=0.1/best.pt", []),
        (["alpha=1"], "alpha=1", []),  # no key of a config begins so
        (["seed=1"], "seed=1", []),  # a run of that name is there, and a seed cannot be set here
        (["seed=2"], None, ["seed=2"]),  # none is there: the error says what can be set
    ],
)
def test_runs_and_overrides_are_told_apart(words: list[str], run: str | None, overrides: list[str], here: Path) -> None:
    (here / "checkpoints/seed=1").mkdir(parents=True)
    assert run_and_overrides(words[0], words[1:], None, None) == (run, overrides)


def test_images_with_an_equals_sign_are_inputs(here: Path) -> None:
    for name in ("x=1.png", "seed=1.png"):
        (here / name).write_text("")
    words = ["x=1.png", "-1,2", "seed=1.png", "y=2.png", "./dataset.x=1", "dataset.decimal=,"]
    assert inputs_and_overrides(words, None) == (words[:5], words[5:])


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("dataset.x=1", "dataset.x=1: both an override and a run or a file; write --set dataset.x=1, or ./dataset.x=1"),
        ("datset.x=2", "datset.x=2: no such file or run, and no key of the config begins with 'datset'; did you mean"),
        ("dataset.x=2", "INPUT: missing; expected images"),
    ],
)
def test_words_that_may_be_either_are_refused(word: str, text: str, here: Path) -> None:
    (here / "dataset.x=1").write_text("")
    with pytest.raises(InputError) as error:
        inputs_and_overrides([word], None)
    assert str(error.value).startswith(text)


def test_a_run_is_named_in_either_way_but_only_once() -> None:
    assert run_and_overrides("a", ["dataset.path=b"], "a", []) == ("a", ["dataset.path=b"])
    assert run_and_overrides(None, None, "a", None) == ("a", [])
    assert all_runs(None, ["a", "b"]) == all_runs(["a", "b"], None) == ["a", "b"]
    assert config_and_overrides("a", ["epochs=2"], "a", takes_run=True) == ("a", ["epochs=2"])
    assert config_and_overrides("epochs=2", None, "a", takes_run=True) == ("a", ["epochs=2"])
    for refused in (
        lambda: run_and_overrides("a", None, "b", None),
        lambda: run_and_overrides("a", ["b"], None, None),
        lambda: all_runs(["a"], ["b"]),
        lambda: all_runs(None, None),
        lambda: config_and_overrides("b", None, "a", takes_run=True),
        lambda: config_and_overrides(None, None, "a", takes_run=False),
        lambda: config_and_overrides(None, ["epochs=2"], None, takes_run=False),
    ):
        with pytest.raises(InputError):
            refused()

"""Tests of the `search` section: what it may say, what is wrong with it, and which values it draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nnclassify.config.run_config import LoadedConfig, load_config, search_space
from nnclassify.config.search import Choices, Parameter
from nnclassify.errors import ConfigError

BASE = "dataset: {name: iris, validation: 0.2}\nmodel: {name: mlp, hidden: [8]}\nsearch:\n"


def loaded(here: Path, section: str, *overrides: str) -> LoadedConfig:
    path = here / "a.yaml"
    path.write_text(BASE + section)
    return load_config("a.yaml", overrides)


def problems(here: Path, section: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(here, section, *overrides)
    return caught.value.problems


def drawn(here: Path, section: str, **chosen: Any) -> dict[str, Any]:
    def draw(parameter: Parameter) -> Any:
        if parameter.name in chosen:
            return chosen[parameter.name]
        return next(iter(parameter.domain.values)) if isinstance(parameter.domain, Choices) else parameter.samples()[0]

    return search_space(loaded(here, section).source)[0].drawn(draw)


def test_a_run_keeps_nothing_of_its_search(here: Path) -> None:
    config = loaded(here, "  optimizer.lr: {log: [1e-4, 1]}\n").config
    assert config.search is not None and list(config.search) == ["optimizer.lr"]
    assert "search" not in config.to_yaml() and "search" not in config.model_dump()


def test_every_kind_of_range_is_drawn(here: Path) -> None:
    section = (
        "  optimizer.lr: {log: [1e-4, 1]}\n  model.dropout: {range: [0, 0.5]}\n"
        "  batch_size: {int: [16, 256], log: on}\n"
        "  epochs: {int: [2, 10], step: 4}\n  model.hidden: [[16], [32, 32]]\n  dataset.normalize: [none, standard]\n"
    )
    assert drawn(here, section) == {
        "batch_size": 16,
        "epochs": 2,
        "optimizer.lr": 1e-4,
        "model.dropout": 0,
        "model.hidden": [16],
        "dataset.normalize": "none",
    }


MEMBERS = """\
  optimizer: [adam, {name: sgd, lr: {log: [0.01, 10]}}]
  optimizer.momentum: {range: [0.5, 0.9]}
  optimizer.lr: {log: [1e-4, 0.1]}
"""


def test_a_range_holds_only_for_the_members_that_have_its_key(here: Path) -> None:
    assert drawn(here, MEMBERS) == {"optimizer": "adam", "optimizer.lr": 1e-4}
    sgd = drawn(here, MEMBERS, optimizer="sgd")
    assert sgd == {"optimizer": "sgd", "optimizer.momentum": 0.5, "optimizer.lr": 0.01}


def test_the_keys_of_one_entry_of_a_list_are_searched(here: Path) -> None:
    (here / "a.yaml").write_text(
        "dataset: iris\nmodel: {name: mlp, hidden: [4, 6]}\n"
        "search:\n  model.hidden.0.units: {int: [2, 9]}\n  model.hidden.2nd.dropout: {range: [0, 0.5]}\n"
    )
    space = search_space(load_config("a.yaml").source)[0]
    values = space.drawn(lambda parameter: parameter.samples()[1])
    assert values == {"model.hidden.0.units": 9, "model.hidden.1.dropout": 0.5}
    config = load_config("a.yaml", [f"{key}={value}" for key, value in values.items()]).config
    assert config.model.model_dump()["hidden"][0]["units"] == 9
    assert {key: config.model.model_dump()["hidden"][1][key] for key in ("units", "dropout")} == {
        "units": 6,
        "dropout": 0.5,
    }


def test_an_override_replaces_an_entry(here: Path) -> None:
    source = loaded(here, "  optimizer.lr: {log: [1e-4, 1]}\n", "search.optimizer.lr={log: [1e-5, 10]}").source
    (parameter,) = search_space(source)[0].parameters
    assert parameter.samples() == [1e-5, 10]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("optimizer.lr: 0.1", "found 0.1, expected {log: [low, high]}, {range: [low, high]}, {int: [low, high]} or"),
        ("optimizer.lr: {lgo: [1, 2]}", "or a list of choices; did you mean 'log'?"),
        ("optimizer: {lr: {log: [1, 2]}}", "a key within optimizer is written `optimizer.lr: ...`"),
        ("optimizer.lr: {log: [0, 1]}", "log.1st: found 0, expected more than 0"),
        ("optimizer.lr: {log: [1]}", "log: found [1], expected at least 2 in the list"),
        ("optimizer.lr: {log: [1, 0.1]}", "found 1 and 0.1, expected two numbers, the smaller one first"),
        ("optimizer.lr: {log: [1, 2], step: 1}", "step: unknown key"),
        ("optimizer.lr: {range: [0, .inf]}", "range.2nd: found inf, expected a finite number"),
        ("batch_size: {range: [1.5, 8.5]}", "found 1.5, expected a whole number; found 8.5, expected a"),
        ("batch_size: {int: [0, 8]}", "batch_size: found 0, expected at least 1"),
        ("epochs: {int: [1, 9], log: on, step: 2}", "found both log and step; remove one of them"),
        ("optimizer.beta1: {range: [0.5, 1]}", "optimizer.beta1: found 1, expected less than 1"),
        ("optimizer.momentum: {range: [0, 0.9]}", "optimizer.momentum: unknown key"),
        ("optimizer.lrr: {range: [0.1, 0.9]}", "unknown key; did you mean 'lr'?"),
        ("nonsense: [1, 2]", "search.nonsense: unknown key"),
        ("model.activation: [relu, tanhh]", "model.activation.2nd: found 'tanhh', expected one of"),
        ("model.hidden: [[8], [0]]", "model.hidden.2nd: model.hidden.1st: found 0, expected at least 1"),
        ("optimizer: [adam, {name: sgd, momentum: {range: [0, 2]}}]", "optimizer.2nd.momentum: found 2, expected less"),
        ("loss: [cross_entropy, nll]", "loss.2nd: loss: found nll after model.output: none"),
        ("model.hidden: [[8]]", "found one choice, expected at least two"),
        ("model.hidden: []", "found an empty list, expected"),
        ("model.hidden: [[8], [8]]", "found [8] twice, expected different choices"),
        ("seed: [1, 2]", "cannot be searched: the best of several seeds is luck"),
        ("dataset: [iris, wine]", "cannot be searched: trials on different validation examples cannot be compared"),
        ("dataset.validation: [0.1, 0.2]", "cannot be searched: trials on different validation examples"),
        ("dataset.limit: [50, 90]", "cannot be searched: trials on different validation examples"),
        ("optimizer..lr: [1, 2]", "expected a key such as optimizer.lr"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(entry: str, problem: str, here: Path) -> None:
    (found,) = problems(here, f"  {entry}\n")
    assert found.startswith("a.yaml:4: search.") and problem in found


def test_all_problems_are_named_at_once_in_the_order_of_the_file(here: Path) -> None:
    found = problems(here, "  epochs: 3\n  optimizer.lr: {log: [0, 1]}\nbatch_size: 0\n", "search.ema={range: [0, 1]}")
    assert [problem[:10] for problem in found[:3]] == ["a.yaml:4: ", "a.yaml:5: ", "a.yaml:6: "]
    assert found[3].endswith("]}: found 0, expected more than 0; found 1, expected less than 1")


@pytest.mark.parametrize("section", ["3", "[a]", "text"])
def test_the_section_is_a_mapping(section: str, here: Path) -> None:
    (found,) = problems(here, "", f"search={section}")
    assert "expected `key: value` pairs" in found


def test_an_empty_section_searches_nothing(here: Path) -> None:
    (found,) = problems(here, "", "search={}")
    assert found == "--set search={}: found nothing to search; add a key, such as optimizer.lr"

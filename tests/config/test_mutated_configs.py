"""Tests of shipped configs with one error each: either everything can be built, or each problem is one line."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from nnclassify.config.run_config import RunConfig, load_config
from nnclassify.errors import ConfigError, ConfigPath, NNClassifyError
from nnclassify.files.shipped import shipped_configs
from nnclassify.models.layers import check_forward
from nnclassify.schedulers import ScheduleState

CONFIGS = [name for name in shipped_configs() if "torchvision" not in name]
NUMBERS = [
    0,
    -1,
    1,
    2,
    3,
    8,
    0.1,
    1000,
    2**31 - 1,
    2**31,
    2**63,
    10**99,
    1e3,
    0.5,
    1e308,
    1e-308,
    -0.0,
    float("inf"),
    float("nan"),
]
TEXTS = [
    "",
    " ",
    "on",
    "no",
    "x" * 3000,
    "a\nb",
    "\x1b[31m",
    "名前",
    "\u2028",
    "0,1",
    "4 4",
    "32x32",
    "10%",
    "~/x",
    "$HOME",
]
NAMES = [
    "name",
    "mlp",
    "cnn",
    "mse",
    "nll",
    "relu",
    "test",
    "same",
    "dirac",
    "whitening",
    "alternate",
    "balanced",
    "<<",
]
NESTS: list[Any] = [
    [],
    [[]],
    [[4, 4]],
    {},
    {"name": None},
    {"name": ["mlp"]},
    [None],
    [True],
    ["a"] * 30,
    {"": 1},
    {"a": {"b": 1}},
]
ODD = [None, True, False, *NUMBERS, *TEXTS, *NAMES, *NESTS]
CHANGES = st.tuples(
    st.integers(0, 10**6),
    st.sampled_from(["set", "alike", "alike", "alike", "drop", "add", "wrap", "swap"]),
    st.sampled_from(ODD),
)

OVERRIDES = st.sampled_from([[], [], [], *([f"epochs={text}"] for text in TEXTS)])


def places(data: Any, path: ConfigPath = ()) -> Iterator[ConfigPath]:
    """Every path below a value."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, child in items:
        yield (*path, key)
        yield from places(child, (*path, key))


def change(data: dict[str, Any], where: int, how: str, odd: Any) -> None:
    """Change one place of a config's data, in place."""
    paths = list(places(data))
    if not paths:
        return
    path, other = paths[where % len(paths)], paths[where * 7 % len(paths)]
    node, value = parent_of(data, path), copy.deepcopy(parent_of(data, other)[other[-1]])
    if how == "drop":
        del node[path[-1]]
    elif how == "alike":
        alike = [other for other in ODD if type(other) is type(node[path[-1]])]
        node[path[-1]] = copy.deepcopy(alike[where * 31 % len(alike)])
    elif how == "add" and isinstance(node, dict):
        node[str(odd)[:50]] = value
    else:
        node[path[-1]] = {"wrap": [node[path[-1]]], "swap": value}.get(how, copy.deepcopy(odd))


def parent_of(data: Any, path: ConfigPath) -> Any:
    """The mapping or list that a path's last part is in."""
    for part in path[:-1]:
        data = data[part]
    return data


def build(config: RunConfig) -> None:
    """Build all that needs no data, and pass two examples through it."""
    loss_fn = config.loss.build([5, 5, 5])
    is_table = config.dataset.name in ("blobs", "xor", "rgb", "iris", "wine", "csv") or config.model.name == "mlp"
    shape = (6,) if is_table else (3, 16, 16)
    model = config.model.build(shape, loss_fn.num_outputs)
    check_forward(model, torch.zeros(2, *shape), loss_fn.num_outputs)
    config.optimizer.build([pair for pair in model.named_parameters() if pair[1].requires_grad])
    assert all(0 <= config.scheduler.factor(ScheduleState(step, 100, 10)) <= 1 for step in (0, 50, 99))


@seed(0)
@given(name=st.sampled_from(CONFIGS), changes=st.lists(CHANGES, min_size=1, max_size=2), override=OVERRIDES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
def test_a_config_with_something_wrong_in_it_is_refused_in_lines_or_can_be_built(
    name: str, changes: list[Any], override: list[str], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnclassify.models.base.available_memory", lambda: 10**8)
    data = yaml.safe_load(shipped_configs()[name].read_text())
    data.pop("accept", None)  # a third of all places, and of one kind
    for where, how, odd in changes:
        change(data, where, how, odd)
    (here / "c.yaml").write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    started = time.process_time()
    try:
        config = load_config("c.yaml", override).config
        assert time.process_time() - started < 1
        build(config)
    except ConfigError as error:
        assert time.process_time() - started < 1
        assert error.problems and all(text.isprintable() and len(text) < 1500 for text in error.problems)
        assert all(text.startswith(("c.yaml:", "--set ")) for text in error.problems)
    except NNClassifyError as error:
        assert error.path and "\n" not in str(error)

"""From YAML to a checked config and back; every problem in one line, all of them at once."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nnclassify.config import RunConfig, load_config
from nnclassify.errors import ConfigError, NNClassifyError
from nnclassify.shipped import shipped_configs

ROOT = Path(__file__).parent.parent
GOOD = "dataset: iris\nmodel: {name: mlp, hidden: [4]}\n"


def load(text: str, here: Path, *overrides: str) -> RunConfig:
    (here / "c.yaml").write_text(text)
    return load_config("c.yaml", overrides).config


def problems(text: str, here: Path, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text, here, *overrides)
    return caught.value.problems


def test_a_name_alone_is_a_member_with_its_defaults(here: Path) -> None:
    config = load("dataset: iris\nmodel: mlp\nloss: focal\noptimizer: sgd\nscheduler: cosine\n", here)
    assert config == load(
        "dataset: {name: iris}\nmodel: {name: mlp}\nloss: {name: focal, gamma: 2}\n"
        "optimizer: {name: sgd}\nscheduler: {name: cosine}\n",
        here,
    )


def test_numbers_are_those_of_yaml_1_2(here: Path) -> None:
    assert load(GOOD + "optimizer: {name: sgd, lr: 1e-3}\n", here).optimizer.lr == 0.001
    assert load(GOOD + "epochs: 0x10\n", here).epochs == 16
    assert load(GOOD + "name: no\n", here).name == "no"


def test_overrides_add_replace_and_expand(here: Path) -> None:
    config = load(GOOD, here, "optimizer.lr=1e-4", "dataset.validation=0.3", "model.hidden=[7, {units: 3}]", "loss=mse")
    assert (config.optimizer.name, config.optimizer.lr) == ("adam", 1e-4)
    assert config.dataset.validation == 0.3
    assert config.model == load("dataset: iris\nmodel: {name: mlp, hidden: [7, {units: 3}]}\n", here).model
    assert config.loss.name == "mse"
    assert load(GOOD, here, "model.hidden.0=9") == load(GOOD.replace("4", "9"), here)
    assert load(GOOD + "patience: 3\n", here, "patience=").patience is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "c.yaml: found nothing, expected `key: value` lines with at least dataset and model"),
        ("- a\n", "c.yaml: found a list, expected `key: value` lines with at least dataset and model"),
        ("a: [1\n", "c.yaml:2: not YAML (expected ',' or ']', but got '<stream end>'); check indentation, colons and"
         " brackets"),
        ("model: mlp\n", "c.yaml:1: dataset: missing; add it"),
        (GOOD + "epochs: 3\nepochs: 4\n", "c.yaml:4: epochs: duplicate key, first on line 3; remove one"),
        (GOOD + "epochs: 0\n", "c.yaml:3: epochs: found 0, expected at least 1"),
        (GOOD + "epochs: three\n", "c.yaml:3: epochs: found 'three', expected a whole number"),
        (GOOD + "epochs: 2.5\n", "c.yaml:3: epochs: found 2.5, expected a whole number"),
        (GOOD + "epochs: true\n", "c.yaml:3: epochs: found true, expected a whole number"),
        (GOOD + "epochs:\n", "c.yaml:3: epochs: found nothing, expected a whole number"),
        (GOOD + "ema: 1\n", "c.yaml:3: ema: found 1, expected less than 1"),
        (GOOD + "clip_grad_norm: 0\n", "c.yaml:3: clip_grad_norm: found 0, expected more than 0"),
        (GOOD + "clip_grad_norm: .nan\n", "c.yaml:3: clip_grad_norm: found nan, expected a finite number"),
        (GOOD + "shuffle: 1\n", "c.yaml:3: shuffle: found 1, expected true or false"),
        (GOOD + "device: gpu\n", "c.yaml:3: device: found 'gpu', expected auto, cpu, cuda, cuda:N or mps"),
        (GOOD + "threads: 0\n", "c.yaml:3: threads: found 0, expected at least 1"),
        (GOOD + "name: a/b\n", "c.yaml:3: name: found 'a/b', expected up to 100 letters, digits, dots, dashes or"
         " underscores, the first a letter or digit"),
        (GOOD + "loss: crossentropy\n", "c.yaml:3: loss: found 'crossentropy', expected one of cross_entropy, nll, bce,"
         " bce_with_logits, mse, focal; did you mean 'cross_entropy'?"),
        (GOOD + "loss: 3\n", "c.yaml:3: loss: found 3, expected a name or `key: value` pairs"),
        (GOOD + "precision: float8\n", "c.yaml:3: precision: found 'float8', expected one of auto, float32, float64,"
         " bfloat16, float16; did you mean 'float64'?"),
        (GOOD + "scheduler: multistep\n", "c.yaml:3: scheduler.milestones: missing; add it"),
        (GOOD + "scheduler: {name: multistep, milestones: []}\n",
         "c.yaml:3: scheduler.milestones: found [], expected at least 1 in the list"),
        (GOOD + "scheduler: {name: multistep, milestones: [3, 2]}\n",
         "c.yaml:3: scheduler.milestones: found [3, 2], expected ascending epochs"),
        (GOOD + "loss: bce\n", "c.yaml:3: loss: found bce after model.output: none; bce expects outputs in 0..1: set"
         " model.output: sigmoid, or use loss: bce_with_logits"),
        (GOOD + "x: !!python/object:os.system 1\n", "c.yaml:3: tag 'tag:yaml.org,2002:python/object:os.system' is not"
         " allowed; write a plain value"),
        ("dataset: iris\nmodel: {name: mlp, hidden: [4, 0]}\n",
         "c.yaml:2: model.hidden.1: found 0, expected at least 1"),
        ("dataset: iris\nmodel: {name: mlp, hidden: 4}\n", "c.yaml:2: model.hidden: found 4, expected a list"),
        ("dataset: {name: iris, validation: half}\nmodel: mlp\n",
         "c.yaml:1: dataset.validation: found 'half', expected a share such as 0.1, or `test`"),
        (GOOD + "batch_size: 99999999999999999999\n",
         "c.yaml:3: batch_size: found 99999999999999999999, expected at most 2147483647"),
        ("dataset: {name: csv, path: t.csv, delimiter: ''}\nmodel: mlp\n",
         "c.yaml:1: dataset.delimiter: found '', expected one character, no quote and no line break"),
        ("dataset: {name: folder, root: r, size: [8]}\nmodel: mlp\n",
         "c.yaml:1: dataset.size: found [8], expected a whole number or at least 2 in the list"),
        ("dataset: {name: tensors, train_inputs: x, train_targets: y, class_names: [a, a]}\nmodel: mlp\n",
         "c.yaml:1: dataset.class_names: found ['a', 'a'], expected names that differ ('a' is there twice)"),
        ("dataset: {name: iris, validation: 1.5}\nmodel: mlp\n",
         "c.yaml:1: dataset.validation: found 1.5, expected less than 1 or text"),
    ],
)  # fmt: skip
def test_a_problem_is_one_line_with_its_place(text: str, expected: str, here: Path) -> None:
    assert problems(text, here) == [expected]


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("epoch", "epochs"),
        ("Epochs", "epochs"),
        ("batchsize", "batch_size"),
        ("learning_rate", "optimizer.lr"),
        ("schedule", "scheduler"),
        ("early_stopping", "patience"),
        ("optimiser", "optimizer"),
        ("momentum", "optimizer.momentum"),
        ("hidden", "model.hidden"),
        ("num_epochs", "epochs"),
    ],
)
def test_an_unknown_key_brings_the_nearest_one(key: str, meant: str, here: Path) -> None:
    (problem,) = problems(GOOD + f"{key}: 3\n", here)
    assert problem.startswith(f"c.yaml:3: {key}: unknown key; did you mean {meant!r}?; expected one of name, dataset")


def test_an_unknown_option_brings_the_nearest_one(here: Path) -> None:
    (problem,) = problems(GOOD + "optimizer: {name: sgd, learning_rate: 3}\n", here)
    assert problem.startswith("c.yaml:3: optimizer.learning_rate: unknown key; did you mean 'lr'?; expected one of ")


def test_all_problems_of_a_config_are_told_together_in_order(here: Path) -> None:
    text = "dataset: {name: irris}\nepochs: -1\nmodel: {name: mlp, hidden: [0], layers: 3}\nloss: {name: mse, x: 1}\n"
    found = problems(text, here, "batch_size=0")
    assert [problem.partition(": ")[0] for problem in found] == [
        "c.yaml:1", "c.yaml:2", "c.yaml:3", "c.yaml:3", "c.yaml:4", "--set batch_size=0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("epochs", "--set epochs: expected key=value, such as optimizer.lr=0.1"),
        ("=3", "--set =3: expected key=value, such as optimizer.lr=0.1"),
        ("a..b=3", "--set a..b=3: expected key=value, such as optimizer.lr=0.1"),
        ("epochs=[1", "--set epochs=[1:1: not YAML (expected ',' or ']', but got '<stream end>'); check indentation,"
         " colons and brackets"),
        ("epochs=x", "--set epochs=x: epochs: found 'x', expected a whole number"),
        ("model.hidden.5=3", "--set model.hidden.5=3: model.hidden has no part 5"),
    ],
)  # fmt: skip
def test_a_bad_override_is_named(override: str, expected: str, here: Path) -> None:
    assert problems(GOOD, here, override) == [expected]


def test_one_average_is_enough(here: Path) -> None:
    (problem,) = problems(GOOD + "ema: 0.9\nlookahead: {every: 5}\n", here)
    assert problem.startswith("c.yaml:4: lookahead: found it beside ema; one average is evaluated and kept")


def test_patience_needs_a_split_to_choose_by(here: Path) -> None:
    for validation in ("0", "test"):
        (problem,) = problems(GOOD + "patience: 3\n", here, f"dataset.validation={validation}")
        assert problem.startswith("c.yaml:3: patience: found it without a split to choose by")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nope.yaml", "nope.yaml: no such file and no shipped config of that name"),
        ("digits_cn", "did you mean 'digits_cnn'?"),
        (".", ".: a folder; expected a YAML file"),
    ],
)
def test_a_config_that_is_not_there(name: str, message: str, here: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(name)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00",
        b"a: " * 200_000,
        b"[" * 5000,
        b"a: &a [x, x]\nb: &b [*a, *a, *a, *a]\n" + b"".join(
            f"{chr(99 + i)}: &{chr(99 + i)} [{', '.join([f'*{chr(98 + i)}'] * 9)}]\n".encode() for i in range(9)
        ),
        b"a: *nowhere\n",
        b"? [1]\n: 2\n",
        b"x: " + b"9" * 5000 + b"\n",
        b"\x00",
        b"a: b\n--- \nc: d\n",
    ],
)  # fmt: skip
def test_hostile_yaml_is_refused_quickly(content: bytes, here: Path) -> None:
    (here / "c.yaml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config("c.yaml")
    assert all("\n" not in problem and len(problem) < 500 for problem in caught.value.problems)


@pytest.mark.parametrize("name", shipped_configs())
def test_every_shipped_config_is_right_and_says_what_it_is(name: str) -> None:
    path = shipped_configs()[name]
    assert path.read_text().startswith("# ")
    config = load_config(name).config
    assert RunConfig.model_validate(yaml.safe_load(config.to_yaml())) == config


WORDS = st.sampled_from(
    ["name", "dataset", "model", "iris", "mlp", "hidden", "loss", "epochs", "optimizer", "lr", "device"]
)
SCALARS = WORDS | st.integers(-5, 5) | st.floats() | st.booleans() | st.none() | st.text(string.printable, max_size=5)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=12
)


@given(data=st.fixed_dictionaries({"dataset": VALUES, "model": VALUES}, optional={"loss": VALUES, "epochs": VALUES}))
@example(data={"dataset": {"name": []}, "model": {"name": {}}})
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
def test_any_data_is_a_config_or_an_error_in_lines(data: Any, here: Path) -> None:
    (here / "c.yaml").write_text(yaml.safe_dump(data))
    try:
        load_config("c.yaml")
    except ConfigError as error:
        assert error.problems and all("\n" not in problem for problem in error.problems)


@given(text=st.text(alphabet=string.printable + "é\u2028\x85", max_size=60), override=st.text(max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
def test_any_text_and_any_override_is_a_config_or_an_error(text: str, override: str, here: Path) -> None:
    (here / "c.yaml").write_text(text, encoding="utf-8")
    for overrides in ([], [override], [f"model.{override}=3"]):
        try:
            load_config("c.yaml", overrides)
        except NNClassifyError as error:
            assert str(error)

"""Tests of configs, from YAML and back to YAML: all problems are reported at once, one line each."""

from __future__ import annotations

import string
import time
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from nnclassify.config.reference import all_settings
from nnclassify.config.run_config import RunConfig, load_config
from nnclassify.config.yaml_reader import Override
from nnclassify.errors import ConfigError, NNClassifyError
from nnclassify.files.shipped import shipped_configs

ROOT = Path(__file__).parents[2]
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
    "model", ["{name: mlp, hidden: [4, 6]}", "{name: cnn, blocks: [{channels: 2}], hidden: [4, 6]}"]
)
def test_an_override_expands_a_number_of_units(model: str, here: Path) -> None:
    text = f"dataset: digits\nmodel: {model}\n"
    expected = load(text.replace("[4, 6]", "[{units: 9, dropout: 0.5}, 6]"), here)
    assert load(text, here, "model.hidden.0.units=9", "model.hidden.1st.dropout=0.5") == expected
    (problem,) = problems(text, here, "model.hidden.0.unit=9")
    assert "did you mean 'units'?" in problem
    (problem,) = problems(
        text + "scheduler: {name: multistep, milestones: [2, 3]}\n", here, "scheduler.milestones.0.x=1"
    )
    assert problem == "--set scheduler.milestones.0.x=1: scheduler.milestones.1st has no key 'x'"


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
         " bce_with_logits, mse, focal, python; did you mean 'cross_entropy'?"),
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
        (GOOD + "x: !!python/object:os.system 1\n",
         "c.yaml:3: x: tag 'tag:yaml.org,2002:python/object:os.system' is not"
         " allowed; write a plain value"),
        ("dataset: iris\nmodel: {name: mlp, hidden: [4, 0]}\n",
         "c.yaml:2: model.hidden.2nd: found 0, expected at least 1"),
        ("dataset: iris\nmodel: {name: mlp, hidden: 4}\n",
         "c.yaml:2: model.hidden: found 4, expected a list; write `hidden: [4]`"),
        ("dataset: {name: iris, validation: half}\nmodel: mlp\n",
         "c.yaml:1: dataset.validation: found 'half', expected a fraction such as 0.1, or `test`"),
        (GOOD + "batch_size: 99999999999999999999\n",
         "c.yaml:3: batch_size: found 99999999999999999999, expected at most 2147483647"),
        ("dataset: {name: csv, path: t.csv, delimiter: ''}\nmodel: mlp\n",
         "c.yaml:1: dataset.delimiter: found '', expected one character, no quote and no line break, "
         r"such as ';' or '|'; \t for a tab"),
        ("dataset: {name: folder, root: r, size: [8]}\nmodel: mlp\n",
         "c.yaml:1: dataset.size: found [8], expected a whole number or at least 2 in the list"),
        ("dataset: {name: tensors, train_inputs: x, train_targets: y, class_names: [a, a]}\nmodel: mlp\n",
         "c.yaml:1: dataset.class_names: found ['a', 'a'], expected unique names ('a' appears twice)"),
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


IRIS, SGD = "dataset: iris\n", GOOD + "optimizer: {name: sgd, "


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (IRIS + "model: {name: mlp, hidden: 100}\n", "write `hidden: [100]`"),
        (IRIS + "model: {name: mlp, hidden: '4, 4'}\n", "write `hidden: [4, 4]`"),
        (IRIS + "model: {name: mlp, hidden: 4 4}\n", "write `hidden: [4, 4]`"),
        (IRIS + "model: {name: mlp, hidden: ['4']}\n", "write `4` without quotes"),
        ("dataset: {name: folder, root: r, size: 32x32}\nmodel: mlp\n", "write `size: [32, 32]`"),
        ("dataset: {name: folder, root: r, size: '32'}\nmodel: mlp\n", "write `size: 32` without quotes"),
        ("dataset: {name: iris, validation: 10%}\nmodel: mlp\n", "write `validation: 0.1`"),
        (GOOD + "ema: 0,9\n", "write `ema: 0.9` with a decimal point"),
        (GOOD + "epochs: 1,000\n", "write `epochs: 1000`"),
        (GOOD + "name: 5\n", "write `name: '5'` in quotes"),
        (GOOD + "epochs: \u201c3\u201d\n", "write `epochs: 3` without quotes"),
        (GOOD + "epochs: \uff13\n", "write `epochs: 3`"),
        (GOOD + "ema: 9e\u22121\n", "write `ema: 9e-1`"),
    ],
)
def test_a_value_that_is_right_but_for_its_form_is_written_out(text: str, hint: str, here: Path) -> None:
    (problem,) = problems(text, here)
    assert problem.endswith(f"; {hint}")


def test_a_comma_in_braces_cuts_a_number(here: Path) -> None:
    found = problems(SGD + "lr: 0,1}\n", here)
    assert any("optimizer.1: unknown key, part of a number" in text and text.endswith("lr: 0.1") for text in found)
    found = problems("dataset: {name: xor, num_examples: 1,000}\nmodel: mlp\n", here)
    assert any(text.endswith("num_examples: 1.000 (or 1000, if the comma separates thousands)") for text in found)


def test_an_indentation_that_only_looks_like_spaces_is_named(here: Path) -> None:
    (problem,) = problems("dataset: xor\nmodel:\n\u00a0 name: mlp\n  hidden: [2]\n", here)
    assert problem.startswith("c.yaml:4: not YAML") and problem.endswith(
        "line 3 begins with a space that is not a plain one; replace it"
    )


@pytest.mark.parametrize("word", ["on", "yes", "ON", "true"])
def test_switches_take_the_words_that_people_write(word: str, here: Path) -> None:
    config = load(SGD + f"momentum: 0.9, nesterov: {word}}}\ncompile: {word}\nname: {word}_x\n", here)
    assert config.optimizer == load(SGD + "momentum: 0.9, nesterov: true}\n", here).optimizer
    assert config.compile == "on"
    assert load(GOOD + "shuffle: off\ncompile: false\n", here).compile == "off"


def test_a_number_without_a_fraction_is_whole(here: Path) -> None:
    config = load(GOOD + "epochs: 1e3\nbatch_size: 32.0\nseed: 010\n", here)
    assert (config.epochs, config.batch_size, config.seed) == (1000, 32, 10)


def test_a_file_from_windows_is_read(here: Path) -> None:
    for encoding in ("utf-16", "utf-8-sig"):
        (here / "w.yaml").write_bytes(GOOD.replace("\n", "\r\n").encode(encoding))
        assert load_config("w.yaml").config == load(GOOD, here)


def test_home_is_expanded_in_paths(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/users/ann")
    monkeypatch.setenv("USERPROFILE", "/users/ann")
    folder = load("dataset: {name: folder, root: ~/pics}\nmodel: mlp\n", here).dataset
    assert folder == load("dataset: {name: folder, root: x}\nmodel: mlp\n", here, "dataset.root=~/pics").dataset
    assert folder.name == "folder" and folder.root == "/users/ann/pics"


@pytest.mark.parametrize(
    ("text", "start"),
    [
        (SGD + "nesterov: true}\n", "optimizer.nesterov: found true with momentum 0"),
        (SGD + "decoupled: true}\n", "optimizer.decoupled: found true with weight_decay 0"),
        (GOOD + "lookahead: {share: 1}\n", "lookahead.share: found 1, which averages nothing"),
        (GOOD + "checkpoint_every: {}\n", "checkpoint_every.steps: missing, as is minutes"),
        (GOOD + "scheduler: {name: plateau, end: 1}\n", "scheduler.end: found 1, so the"),
        (IRIS + "model: {name: mlp, dropout: 0.5}\n", "model.dropout: found 0.5 without a hidden layer"),
        (IRIS + "model: {name: mlp, batch_norm: true}\n", "model.batch_norm: found true without a hidden layer"),
        (IRIS + "model: {name: mlp, hidden: [4], norm: {eps: 1e-3}}\n", "model.norm: found options of batch norm"),
        ("dataset: digits\nmodel: {name: cnn, blocks: [{channels: 2, pool_size: 3}]}\n",
         "model.blocks.1st.pool_size: found 3 without pooling"),
        ("dataset: digits\nmodel: {name: cnn, blocks: [{channels: 2, padding: same, stride: 2}]}\n",
         "model.blocks.1st.padding: found 'same' with stride 2"),
        ("dataset: digits\nmodel: {name: cnn, blocks: [{channels: 2, padding: 3}]}\n",
         "model.blocks.1st.padding: found 3 with kernel 3"),
        ("dataset: {name: iris, validation: test, test: 0}\nmodel: mlp\n", "dataset.validation: found 'test' with"),
        ("dataset: {name: tensors, train_inputs: x, train_targets: y, test_inputs: z}\nmodel: mlp\n",
         "dataset.test_inputs: set without test_targets"),
        ("dataset: {name: iris, validation: 0}\nmodel: mlp\nselect_by: loss\n", "select_by: found 'loss', which needs"),
    ],
)  # fmt: skip
def test_an_option_that_would_be_ignored_is_refused(text: str, start: str, here: Path) -> None:
    (problem,) = problems(text, here)
    assert problem.partition(": ")[2].startswith(start)


def test_a_run_that_ignored_an_option_can_be_used(here: Path) -> None:
    (here / "c.yaml").write_text(SGD + "nesterov: true}\n")
    assert load_config("c.yaml", of_run=True).config.optimizer.name == "sgd"


def test_what_a_short_run_never_comes_to_is_said(here: Path) -> None:
    groups = "groups: [{match: '*.bias', epochs: 9}]"
    (here / "c.yaml").write_text(SGD + groups + "}\nscheduler: {name: step, every: 9, warmup: 9}\npatience: 9\n")
    assert load_config("c.yaml", ["epochs=10"]).notes == ()
    starts = ["scheduler.warmup: ", "scheduler: the learning rate drops", "patience: 9 epochs", "optimizer.groups.1st."]
    for note, start in zip(load_config("c.yaml", ["epochs=3"]).notes, starts, strict=True):
        assert note.startswith("c.yaml:") and note.partition(": ")[2].startswith(start)


def test_an_unknown_option_brings_the_nearest_one(here: Path) -> None:
    (problem,) = problems(GOOD + "optimizer: {name: sgd, learning_rate: 3}\n", here)
    assert problem.startswith("c.yaml:3: optimizer.learning_rate: unknown key; did you mean 'lr'?; expected one of ")


def test_all_problems_of_a_config_are_told_together_in_order(here: Path) -> None:
    text = "dataset: {name: irris}\nepochs: -1\nmodel: {name: mlp, hidden: [0], layers: 3}\nloss: {name: mse, x: 1}\n"
    found = problems(text, here, "batch_size=0")
    assert [problem.partition(": ")[0] for problem in found] == [
        "c.yaml:1", "c.yaml:2", "c.yaml:3", "c.yaml:3", "c.yaml:4", "--set batch_size=0",
    ]  # fmt: skip


def test_a_wrong_name_hides_nothing(here: Path) -> None:
    """Of no member in particular: what is wrong for all of them; of one whose name is near: all that is."""
    rest = "hidden: [0, {units: 2, init: {name: nrmal, std: 0}}], what: 1"
    for name, extra in (("nope", []), ("mpl", []), ("cn", ["blocks"])):
        found = problems(f"dataset: iris\nmodel: {{name: {name}, {rest}}}\nloss: mse\n", here, "loss.x=1")
        assert found.pop().startswith("--set loss.x=1: unknown key")
        keys = [problem.split(": ")[1].removeprefix("model.") for problem in found]
        assert keys == [*extra, "hidden.1st", "hidden.2nd.init.name", "hidden.2nd.init.std", "name", "what"]


def test_keys_that_are_right_are_held_against_each_other_whatever_else_is_wrong(here: Path) -> None:
    text = "dataset: {name: iris, validation: 0}\nmodel: {name: mlp, hidden: [0]}\nloss: bce\npatience: 3\n"
    found = problems(text + "patience: 4\n", here, "epochs=0", "nonsense", "model.hidden.7=1")
    starts = [
        "c.yaml:2: model.hidden.1st: found 0, expected at least 1",
        "c.yaml:4: patience: needs a validation split",
        "c.yaml:5: patience: duplicate key, first on line 4; remove one",
        "--set nonsense: expected key=value",
        "--set model.hidden.7=1: model.hidden.8th: no such entry",
        "--set epochs=0: found 0, expected at least 1",
    ]
    for problem, start in zip(found, starts, strict=True):
        assert problem.startswith(start)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("epochs", "--set epochs: expected key=value, such as optimizer.lr=0.1"),
        ("=3", "--set =3: expected key=value, such as optimizer.lr=0.1"),
        ("a..b=3", "--set a..b=3: expected key=value, such as optimizer.lr=0.1"),
        ("epochs=[1", "--set epochs=[1: not YAML (expected ',' or ']', but got '<stream end>'); check indentation,"
         " colons and brackets"),
        ("epochs=x", "--set epochs=x: found 'x', expected a whole number"),
        ("model.hidden.5=3", "--set model.hidden.5=3: model.hidden.6th: no such entry; the list has 1, counted as 0 or"
         " 1st"),
    ],
)  # fmt: skip
def test_a_bad_override_is_named(override: str, expected: str, here: Path) -> None:
    assert problems(GOOD, here, override) == [expected]


@pytest.mark.parametrize(
    ("origin", "rest"),
    [
        ("log=[csv]", "log=[csv]: is wrong"),
        ("--set log=[csv]", "--set log=[csv]: is wrong"),
        ("--log csv", "--log csv: log: is wrong"),
    ],
)
def test_a_key_that_the_override_names_is_not_repeated(origin: str, rest: str, here: Path) -> None:
    (here / "c.yaml").write_text(GOOD)
    source = load_config("c.yaml", [Override("log=[csv]", origin)]).source
    assert source.message(("log", 0), "log: is wrong") == rest
    assert source.message(("log", 0), "log.1st: is wrong") == f"{origin}: log.1st: is wrong"
    assert source.message(("model",), "model: is wrong") == "c.yaml:2: model: is wrong"


def test_one_average_is_enough(here: Path) -> None:
    (problem,) = problems(GOOD + "ema: 0.9\nlookahead: {every: 5}\n", here)
    assert problem.startswith("c.yaml:4: lookahead: found both lookahead and ema, but only one average")


def test_patience_needs_a_split_to_choose_by(here: Path) -> None:
    for validation in ("0", "test"):
        (problem,) = problems(GOOD + "patience: 3\n", here, f"dataset.validation={validation}")
        assert problem.startswith("c.yaml:3: patience: needs a validation split")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nope.yaml", "nope.yaml: no such file and no shipped config of that name"),
        ("digits_cn", "did you mean 'digits_cnn'?"),
        ("runs", "runs: a folder of runs (a, b); name one of them, or give a YAML file"),
        ("run", "run: a run folder; give its run/config.yaml, or continue it with: nnclassify train run --resume"),
    ],
)
def test_a_config_that_is_not_there(name: str, message: str, here: Path) -> None:
    Path("run").mkdir()
    Path("run/config.yaml").touch()
    for file in ("runs/a/last.pt", "runs/b/best.pt"):
        Path(file).parent.mkdir(parents=True)
        Path(file).touch()
    with pytest.raises(ConfigError) as caught:
        load_config(name)
    assert message in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00",
        b"a: " * 70_000,
        b"[" + b"4, " * 30_000 + b"4]",
        b"a: 1\n" * 20_000,
        GOOD.encode() + b"".join(b"epoch%d: 1\n" % index for index in range(1500)),
        GOOD.encode() + b"accept: [" + b"q, " * 3000 + b"]\n",
        GOOD.encode() + b"name: " + b"x " * 40_000,
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
    started = time.process_time()
    with pytest.raises(ConfigError) as caught:
        load_config("c.yaml")
    assert time.process_time() - started < 2  # it takes half a second; 90 once
    assert len(caught.value.problems) <= 51
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
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_data_is_a_config_or_an_error_in_lines(data: Any, here: Path) -> None:
    (here / "c.yaml").write_text(yaml.safe_dump(data))
    try:
        load_config("c.yaml")
    except ConfigError as error:
        assert error.problems and all("\n" not in problem for problem in error.problems)


@given(text=st.text(alphabet=string.printable + "é\u2028\x85", max_size=60), override=st.text(max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_and_any_override_is_a_config_or_an_error(text: str, override: str, here: Path) -> None:
    (here / "c.yaml").write_text(text, encoding="utf-8")
    for overrides in ([], [override], [f"model.{override}=3"]):
        try:
            load_config("c.yaml", overrides)
        except NNClassifyError as error:
            assert str(error)


def test_no_option_loses_its_meaning_where_none_is_left_out() -> None:
    """A config is written without its Nones: so what may be None must be None by default."""
    for member in all_settings().values():
        for name, field in member.model_fields.items():
            if NoneType in get_args(field.annotation) and field.get_default(call_default_factory=True) is not None:
                with pytest.raises(ValidationError) as refused:
                    member.model_validate({name: None})
                assert (name,) in [error["loc"] for error in refused.value.errors()], (member, name)


def test_an_unknown_finding_is_refused_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text("dataset: iris\nmodel: mlp\naccept:\n  - NN302\n  - NN620\n")
    with pytest.raises(ConfigError) as refused:
        load_config(str(path))
    (line,) = refused.value.lines
    assert line.startswith(f"{path}:5: accept.2nd: found NN620: no such finding; did you mean NN6")
    assert load_config(str(path), of_run=True).config.accept == ["NN302", "NN620"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{costs: {fp: 1}}", ["threshold.costs: unknown key; expected one of false_positive, false_negative"]),
        (
            "{false_positives: 1}",
            [
                "threshold.false_positives: unknown key; did you mean 'false_positive'?; expected one of "
                "false_positive, false_negative"
            ],
        ),
        ("{false_positive: a}", ["threshold.false_positive: found 'a', expected a number"]),
        ("{false_negative: 0}", ["threshold.false_negative: found 0, expected more than 0"]),
        (
            "f2",
            ["threshold: found 'f2', expected a number or 'f1' or `key: value` pairs (false_positive, false_negative)"],
        ),
    ],
)
def test_a_value_of_several_forms_is_judged_by_the_form_that_it_has(
    value: str, expected: list[str], here: Path
) -> None:
    found = problems(GOOD + f"evaluation: {{threshold: {value}}}\n", here)
    assert found == [f"c.yaml:3: evaluation.{problem}" for problem in expected]


def test_a_wrong_entry_of_a_list_is_named_alone_where_a_number_is_allowed_too(here: Path) -> None:
    found = problems("dataset: {name: folder, root: ., size: [9, -1]}\nmodel: mlp\n", here)
    assert found == ["c.yaml:1: dataset.size.2nd: found -1, expected at least 1"]


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("model: {name: mlp, momentum: 0.9}", "'optimizer.momentum'"),
        ("model: {name: mlp, batch_size: 3}", "'batch_size', beside 'model'"),
        ("optimizer: {name: sgd, epochs: 3}", "'epochs', beside 'optimizer'"),
        ("model: {name: mlp, hiden: [3]}", "'hidden'"),
        ("hidden: [3]", "'model.hidden'"),
    ],
)
def test_a_key_in_the_wrong_section_is_suggested_where_it_belongs(line: str, meant: str, here: Path) -> None:
    model = "" if line.startswith("model") else "model: mlp\n"
    Path("run.yaml").write_text(f"dataset: blobs\n{model}{line}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=f"unknown key; did you mean {meant}\\?"):
        load_config("run.yaml")

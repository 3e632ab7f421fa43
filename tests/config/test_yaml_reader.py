"""Tests that a config file or an override is read as a mapping, or rejected with an error that says what is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nnclassify.config.run_config import RunConfig, load_config
from nnclassify.config.yaml_reader import YamlSource, parse_yaml, read_yaml
from nnclassify.config.yaml_writer import written
from nnclassify.errors import ConfigError

any_input = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

MARKS = [*":-?,[]{}#&*!|>'\"%@`~\n\t \x00\x85é", ": ", "\n  ", "- ", "&a ", "*a", "<<: ", "---", "...", "%YAML 1.2\n"]
WORDS = ["a", "epochs", "1e3", "0x1f", "0o7", ".inf", "-.nan", "!!int ", "!!float ", "!!bool ", "!!null ", '"\\x41"']
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from([*MARKS, *WORDS])).map("".join))


@any_input
@example(b"!!int")
@example(b"epochs: !!float x")
@example(b'a: "\\UFFFFFFFF"')
@example(b"%YAML " + b"9" * 5000 + b".1\n---\na: 1")
@given(st.one_of(st.binary(), TEXTS.map(str.encode)))
def test_any_file_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    try:
        assert isinstance(read_yaml(path).data, dict)
    except ConfigError as error:
        assert error.problems and all(str(path) in problem and "\n" not in problem for problem in error.problems)


@pytest.mark.parametrize(
    ("text", "value"), [("a: &x 1\nb: &x 2\nc: *x\n", {"a": 1, "b": 2, "c": 2}), ("&x a: &x b", {"a": "b"})]
)
def test_an_alias_means_the_last_anchor_of_its_name(tmp_path: Path, text: str, value: object) -> None:
    (tmp_path / "a.yaml").write_text(text)
    assert read_yaml(tmp_path / "a.yaml").data == value


@any_input
@given(TEXTS)
def test_any_override_is_applied_or_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text("dataset: iris\nmodel: {name: mlp, hidden: [4]}\n")
    for assignment in (text, f"epochs={text}", f"model.hidden.0={text}", f"model.{text}=1"):
        try:
            assert isinstance(load_config(str(tmp_path / "a.yaml"), [assignment]).config, RunConfig)
        except ConfigError as error:
            assert error.problems


@pytest.mark.parametrize(
    ("text", "value"), [("[1, 2]", [1, 2]), ("{a: -.Inf}", {"a": float("-inf")}), ("!!int '3'", 3)]
)
def test_words_make_yaml(text: str, value: object) -> None:
    """The strategies would prove nothing if no text of theirs were ever right."""
    assert parse_yaml(text, "here") == value


@pytest.mark.parametrize("text", ["!!bool maybe", "!!null x", "!!int five", "!!float x"])
def test_a_tag_that_its_text_contradicts_is_a_message(text: str) -> None:
    with pytest.raises(ConfigError, match=r"tag '.+' is not allowed; write a plain value"):
        parse_yaml(text, "here")


def test_an_override_is_named_where_its_key_is_wrong_at_a_shorter_path(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("dataset: xor\nmodel: {name: mlp, hidden: [4]}\n")
    with pytest.raises(ConfigError, match=r"^--set model\.depth\.size=1: model\.depth: unknown key"):
        load_config(str(tmp_path / "a.yaml"), ["model.depth.size=1"])


@pytest.mark.parametrize(("text", "value"), [("|", "|"), ("\t", "\t"), (";", ";"), ("' '", " "), ("", None), ("1", 1)])
def test_an_override_is_yaml_but_for_delimiters_that_yaml_takes_for_nothing(text: str, value: object) -> None:
    source = YamlSource("c.yaml", {})
    source.override(f"key={text}")
    assert source.data["key"] == value


def test_a_key_that_is_no_utf_8_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text('dataset: xor\nmodel: mlp\n"\\udcff": 1\n')
    with pytest.raises(ConfigError, match=r"--set \\xff=1: expected key=value") as error:
        load_config(str(tmp_path / "a.yaml"), ["\udcff=1"])
    assert error.value.problems[0].endswith(
        "a.yaml:3: found a key that is not a name; expected `key: value` with up to 200 characters"
    )


AMBIGUOUS = ["yes", "On", "n", "1e3", "1e-3", "010", "0o17", "1_000", "1:30", "2001-01-01", "~", "null", "", "=", "<<"]


def test_what_is_written_is_read_back_and_by_a_reader_of_yaml_1_1_too() -> None:
    """Once a column named '1e3' was a number in the config of its run."""
    data = {"texts": [*AMBIGUOUS, "a: b", "#x", "'q'", "é", "a\nb", "\u2028", "x " * 90], "floats": [1e-5, 1e17, 0.1]}
    text = written({**data, "rest": [None, True, 3, {}, [], {"a": [1]}]})
    assert text.isascii() and yaml.safe_load(text)["texts"] == data["texts"]
    assert yaml.safe_load(text) == parse_yaml(text, "text")


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_a_version_changes_no_meaning(version: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"%YAML {version}\n---\na: [yes, 010, 1e3, 1:30, 2001-01-01, 1_000]\n")
    assert read_yaml(tmp_path / "a.yaml").data == {"a": ["yes", 10, 1000, "1:30", "2001-01-01", "1_000"]}


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    with pytest.raises(ConfigError, match=r"a\.yaml: cannot be read \(not a regular file\)"):
        read_yaml(tmp_path / "a.yaml")

"""Tests of `schema.json`, which the shipped configs name for editors."""

import json
from pathlib import Path

import pytest
from conftest import ROOT
from ruamel import yaml
from typer.testing import CliRunner

from nnclassify.cli.configs import configs_app
from nnclassify.config.reference import json_schema
from nnclassify.files.shipped import SCHEMA_LINE, copy_shipped, shipped_configs, summaries


def named_schema(path: Path) -> Path:
    (line,) = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith(SCHEMA_LINE)]
    return (path.parent / line.removeprefix(SCHEMA_LINE)).resolve()


def test_the_schema_in_the_repository_is_current() -> None:
    assert json.loads((ROOT / "schema.json").read_text(encoding="utf-8")) == json_schema(), (
        "run: python -m nnclassify configs schema > schema.json"
    )


@pytest.mark.parametrize("name", shipped_configs())
def test_a_shipped_config_names_the_schema_after_its_summary(name: str) -> None:
    assert named_schema(shipped_configs()[name]) == ROOT / "schema.json"
    assert "$schema" not in summaries()[name]


def test_a_copied_config_still_names_the_schema(tmp_path: Path) -> None:
    copy = copy_shipped("smoke/model_mlp", tmp_path)
    assert named_schema(copy) == ROOT / "schema.json"
    shipped = shipped_configs()["smoke/model_mlp"].read_text(encoding="utf-8")
    assert copy.read_text(encoding="utf-8").replace(str(ROOT / "schema.json"), "../../schema.json") == shipped


def test_a_config_that_is_shown_into_a_file_names_the_schema(tmp_path: Path) -> None:
    shown = CliRunner().invoke(configs_app, ["show", "smoke/model_mlp"])
    (tmp_path / "mine.yaml").write_text(shown.stdout, encoding="utf-8")
    assert named_schema(tmp_path / "mine.yaml") == ROOT / "schema.json"


def test_a_config_is_shown_with_short_options() -> None:
    shown = CliRunner().invoke(configs_app, ["show", "xor_1", "seed=3", "--epochs", "5", "--lr", "0.3"])
    config = yaml.YAML(typ="safe").load(shown.stdout)
    assert (config["epochs"], config["optimizer"]["lr"], config["seed"]) == (5, 0.3, 3)

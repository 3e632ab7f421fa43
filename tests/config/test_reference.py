"""Tests that the YAML reference is complete and that the committed one is up to date."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nnclassify.config.reference import all_settings, families, field_docs, json_schema, markdown
from nnclassify.settings import fields_of, names_of

ROOT = Path(__file__).parents[2]
REFERENCE = markdown()
MEMBERS = [(family, name) for family, members in families().items() for name in members]


def section(title: str) -> str:
    return REFERENCE.partition(f"### {title}\n")[2].partition("\n#")[0]


@pytest.mark.parametrize(("family", "name"), MEMBERS)
def test_member_appears_with_every_option(family: str, name: str) -> None:
    own = section(f"{family}: {name}")
    member = families()[family][name]
    assert " ".join((member.__doc__ or "").split()) in " ".join(own.split())
    listed = own + "".join(section(f"Options of {base}") for base in re.findall(r"\[(\w+)\]\(#options-of-", own))
    for key in fields_of(member).keys() - {"name"}:
        assert f"| `{key}` |" in listed


@pytest.mark.parametrize("key", ["normalize", "limit", "output_scale", "groups", "warmup"])
def test_option_that_a_whole_family_shares_is_listed_once(key: str) -> None:
    assert REFERENCE.count(f"| `{key}` |") == 1


@pytest.mark.parametrize("settings", all_settings().values())
def test_every_option_has_a_docstring(settings: type) -> None:
    exempt = {"name"} if names_of(settings) else set()
    assert fields_of(all_settings()[settings.__name__]).keys() - exempt <= set(field_docs(settings))


def test_committed_reference_is_up_to_date() -> None:
    assert (ROOT / "REFERENCE.md").read_text() == REFERENCE, "run: nnclassify configs reference > REFERENCE.md"


def test_schema_allows_what_the_yaml_allows() -> None:
    schema = json_schema()
    loss = schema["properties"]["loss"]["anyOf"]
    assert {"enum": [name for name in families()["loss"] if name != "python"]} in loss  # which needs a file
    assert {"$ref": "#/$defs/Mse"} in loss
    dataset = schema["properties"]["dataset"]["anyOf"][0]["enum"]
    assert "iris" in dataset and "csv" not in dataset  # csv needs a path
    assert schema["required"] == ["dataset", "model"]


def test_schema_takes_a_hidden_layer_as_a_number() -> None:
    items = json_schema()["$defs"]["Mlp"]["properties"]["hidden"]["items"]
    assert {choice.get("type") for choice in items["anyOf"]} == {"integer", None}

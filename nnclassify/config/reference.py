"""The reference of the YAML, written from the settings classes: as JSON schema for editors, as markdown for people.

What a field means is said once, in the docstring under it; it is read from the source when a reference is asked
for, so no other command pays for it.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from itertools import pairwise
from typing import Any

from nnclassify.config.run_config import RunConfig
from nnclassify.config.yaml_reader import yaml_text
from nnclassify.settings import MAX_INT, Settings, names_of, settings_in

Schema = dict[str, Any]

FAMILIES = ("dataset", "model", "loss", "optimizer", "scheduler")
"""The keys of a config whose value is a member of a family."""


def families() -> dict[str, dict[str, type[Any]]]:
    """The members of every family by name."""
    return {
        family: {
            name: member
            for member in settings_in(RunConfig.model_fields[family].annotation)
            for name in names_of(member)
        }
        for family in FAMILIES
    }


def field_docs(settings: type[Settings]) -> dict[str, str]:
    """What each field of a class means, those it inherits included: the docstring under the field."""
    docs: dict[str, str] = {}
    for base in reversed(settings.__mro__):
        if not issubclass(base, Settings):
            continue
        definition = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(definition, ast.ClassDef)
        for field, text in pairwise(definition.body):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=key)), ast.Expr(value=ast.Constant(value=str(doc))):
                    docs[key] = " ".join(doc.split())
    return docs


def all_settings() -> dict[str, type[Settings]]:
    """Every settings class that a config can hold, by class name."""
    found: dict[str, type[Settings]] = {}
    waiting: list[type[Settings]] = [RunConfig]
    while waiting:
        settings = waiting.pop(0)
        if settings.__name__ not in found:
            found[settings.__name__] = settings
            waiting += [inner for field in settings.model_fields.values() for inner in settings_in(field.annotation)]
    return found


def json_schema() -> Schema:
    """The JSON schema of a config, with a description of every key; for an editor's completion and checks."""
    schema = RunConfig.model_json_schema()
    definitions: dict[str, Schema] = schema["$defs"]
    for name, settings in all_settings().items():
        part = schema if settings is RunConfig else definitions[name]
        part["description"] = inspect.cleandoc(settings.__doc__ or "")
        for key, text in field_docs(settings).items():
            if key in part["properties"]:
                part["properties"][key]["description"] = text
        if names_of(settings):
            part["required"] = ["name", *part.get("required", [])]
    for part in (schema, *definitions.values()):
        for field in part["properties"].values():
            _allow_name_alone(field, definitions)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _allow_name_alone(field: Schema, definitions: dict[str, Schema]) -> None:
    """`loss: mse` is `loss: {name: mse}`, where the member needs nothing else."""
    for holder in (field, *field.get("anyOf", [])):
        if "discriminator" not in holder:
            continue
        members = [definitions[choice["$ref"].rpartition("/")[2]] for choice in holder.pop("oneOf")]
        alone = [name for member in members if member["required"] == ["name"] for name in _allowed(member)]
        holder["anyOf"] = [{"enum": alone}, *({"$ref": f"#/$defs/{member['title']}"} for member in members)]
        del holder["discriminator"]


def _allowed(member: Schema) -> list[str]:
    name = member["properties"]["name"]
    return [name["const"]] if "const" in name else list(name["enum"])


def markdown() -> str:
    """The reference for people: each key with its type, its default and its meaning."""
    schema = json_schema()
    lines = [
        "# Reference of the YAML",
        "",
        "Written by `nnclassify configs reference` from the settings classes: change those, not this file.",
        "`nnclassify configs schema` prints the same as JSON schema, for an editor's completion.",
        "",
        "A member of a family may be written as its name alone, where it needs nothing else: `loss: mse`.",
    ]
    lines += _section("## A config", schema)
    known = families()
    for family in FAMILIES:
        lines += ["", f"## {family}"]
        for name, member in known[family].items():
            lines += _section(f"### {family}: {name}", schema["$defs"][member.__name__])
    shown = {"RunConfig", *(member.__name__ for members in known.values() for member in members.values())}
    lines += ["", "## Parts"]
    for name, settings in all_settings().items():
        if name not in shown:
            tags = f" ({', '.join(names_of(settings))})" if names_of(settings) else ""
            lines += _section(f"### {name}{tags}", schema["$defs"][name])
    return "\n".join(lines) + "\n"


def _section(title: str, part: Schema) -> list[str]:
    lines = ["", title, "", part["description"], ""]
    fields = {key: field for key, field in part["properties"].items() if key != "name" or "description" in field}
    if not fields:
        return [*lines, "No options."]
    lines += ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    required = part.get("required", [])
    for key, field in fields.items():
        default = "required" if key in required else _default(field.get("default"))
        cells = [f"`{key}`", _type_text(field), default, field["description"].replace("|", "or")]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _default(value: Any) -> str:
    if value is None or value == {}:
        return ""
    if isinstance(value, dict) and "name" in value:
        value = value["name"]
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _type_text(field: Schema) -> str:
    """A field's values in words."""
    if "anyOf" in field:
        texts = [_type_text(choice) for choice in field["anyOf"] if choice.get("type") != "null"]
        refs = [text for text in texts if text.startswith("[")]
        return "a member" if len(refs) > 1 else " or ".join(dict.fromkeys(texts))
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in field or "enum" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        return f"list of {_type_text(field['items'])}"
    plain = {"integer": "whole number", "number": "number", "boolean": "`true` or `false`", "string": "text"}
    return plain[field["type"]] + "".join(
        f" {words} {yaml_text(field[key])}" for key, words in _LIMITS.items() if abs(field.get(key, MAX_INT)) < MAX_INT
    )


_LIMITS = {
    "minimum": "from",
    "exclusiveMinimum": "above",
    "maximum": "to",
    "exclusiveMaximum": "below",
}

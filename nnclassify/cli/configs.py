"""The commands under `configs`: the shipped configs, and the reference and the schema of the YAML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nnclassify.cli.options import PRECEDENCE, UNCHANGED, Changes, JsonOption, complete_config, takes_options
from nnclassify.cli.printing import print_json, print_result
from nnclassify.errors import InputError, printable, shell_command, suggestion
from nnclassify.files import shipped

configs_app = typer.Typer(
    help="List, show or copy the shipped configs.",
    rich_markup_mode=None,
    invoke_without_command=True,
)


@configs_app.callback()
def list_configs(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the shipped configs."""
    if context.invoked_subcommand is not None:
        if as_json:
            raise InputError(f"configs --json {context.invoked_subcommand}: put --json at the end")
        return
    told = {"configs": [{"name": name, "summary": text} for name, text in shipped.summaries().items()]}
    print_result(told, "configs", shipped.listing, as_json=as_json)


ShippedName = Annotated[str, typer.Argument(metavar="NAME", help="A shipped config.", autocompletion=complete_config)]


@configs_app.command("show", epilog=PRECEDENCE)
@takes_options
def show_config(
    name: ShippedName,
    changes: Changes = UNCHANGED,
    as_json: JsonOption = False,
) -> None:
    """Print a shipped config.

    With overrides, prints the resolved config with all defaults.
    """
    path = shipped.find_shipped(name)
    text = shipped.text_of(path)
    if changes != UNCHANGED:
        from nnclassify.config.run_config import load_config

        text = load_config(str(path), changes.gathered()).config.to_yaml()
    if as_json:
        print_json({"name": name, "yaml": text}, "configs-show")
    else:
        typer.echo(text, nl=False)


@configs_app.command("copy")
def copy_config(
    name: ShippedName,
    target: Annotated[
        Path | None, typer.Argument(metavar="TARGET", help="A file or a folder. Default: the working directory.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Copy a shipped config, to edit it."""
    copy = shipped.copy_shipped(name, target)
    text = f"copied to {copy}; train it with: {shell_command('train', copy)}"
    print_result({"name": name, "path": str(copy)}, "configs-copy", lambda: printable(text), as_json=as_json)


@configs_app.command("reference")
def print_reference(as_json: JsonOption = False) -> None:
    """Print the YAML reference in Markdown.

    It lists each key with its values, default and meaning.
    """
    from nnclassify.config.reference import markdown

    if as_json:
        print_json({"markdown": markdown()}, "configs-reference")
    else:
        typer.echo(markdown(), nl=False)


@configs_app.command("schema")
def print_schema(
    command: Annotated[
        str | None,
        typer.Option(
            "--command",
            metavar="NAME",
            help="Print the schema of the --json output of a command instead, such as train.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the JSON schema of the YAML.

    Editors use it to complete and check keys. With --json, it is printed on one line.
    """
    schema = _schema(command)
    if as_json:
        print_json(schema)
    else:
        typer.echo(json.dumps(schema, indent=2))


def _schema(command: str | None) -> dict[str, Any]:
    """Return the schema of the YAML, or of what a command prints with --json."""
    if command is None:
        from nnclassify.config.reference import json_schema

        return json_schema()
    from nnclassify.cli.json_schemas import MODELS, output_schema

    name = "-".join(command.split())
    if name not in MODELS:
        raise InputError(
            f"--command {command}: no such output{suggestion(name, MODELS)}; expected one of {', '.join(MODELS)}"
        )
    return output_schema(name)

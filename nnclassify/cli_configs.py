"""The command line's `configs` commands: the shipped configs, the reference and the schema of the YAML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from nnclassify import shipped

configs_app = typer.Typer(
    help="The shipped configs: list them, show one, copy one.",
    rich_markup_mode=None,
    invoke_without_command=True,
)


def complete_config(incomplete: str) -> list[str]:
    """The shipped configs that begin so, for the shell's completion."""
    return [name for name in shipped.shipped_configs() if name.startswith(incomplete)]


@configs_app.callback()
def list_configs(context: typer.Context) -> None:
    """List the shipped configs."""
    if context.invoked_subcommand is not None:
        return
    typer.echo(shipped.listing())


ShippedName = Annotated[str, typer.Argument(metavar="NAME", help="A shipped config.", autocompletion=complete_config)]


@configs_app.command("show")
def show_config(name: ShippedName) -> None:
    """Print a shipped config."""
    typer.echo(shipped.find_shipped(name).read_text(encoding="utf-8"), nl=False)


@configs_app.command("copy")
def copy_config(
    name: ShippedName, target: Annotated[Path | None, typer.Argument(help="Where to; left out, here.")] = None
) -> None:
    """Copy a shipped config, to change it."""
    copy = shipped.copy_shipped(name, target)
    typer.echo(f"copied to {copy}; train it with: nnclassify train {copy}")


@configs_app.command("reference")
def print_reference() -> None:
    """Print the reference of the YAML: every key, its values, default and meaning, in markdown."""
    from nnclassify.reference import markdown

    typer.echo(markdown(), nl=False)


@configs_app.command("schema")
def print_schema() -> None:
    """Print the JSON schema of the YAML, for an editor's completion."""
    from nnclassify.reference import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))

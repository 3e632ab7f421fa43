"""`nnclassify init DATA`: a config for a user's own data, written so that it can be edited."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from nnclassify.cli.options import JsonOption, LabelOption
from nnclassify.cli.printing import print_json
from nnclassify.errors import printable, shell_command


def init(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="A folder with one subfolder per class, a table or an .npz file.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The file to write. Default: <name of the data>.yaml.")
    ] = None,
    label: LabelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Inspect your own data, and write a config that suits it."""
    from nnclassify.config.run_config import load_source
    from nnclassify.config.suggest.suggest import suggested_source
    from nnclassify.files.atomic_write import write_new

    suggestion, source = suggested_source(data, label)
    splits = load_source(source, suggestion.name).config.dataset.build(0)  # never write what `train` would refuse
    suggestion = replace(suggestion, found=[*suggestion.found, *splits.notes])
    target = out or Path(f"{suggestion.name}.yaml")
    write_new(target, suggestion.yaml())
    if as_json:
        print_json({"found": suggestion.found, "path": str(target), "yaml": suggestion.yaml()}, "init")
        return
    for line in suggestion.found:
        print(printable(line))
    print(printable(f"wrote {target}; train it with: {shell_command('train', target)}"))

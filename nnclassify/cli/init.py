"""`nnclassify init DATA`: a config for a user's own data, written so that it can be edited."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from nnclassify.cli.options import UNCHANGED, Changes, JsonOption, takes_options
from nnclassify.cli.printing import note, print_json
from nnclassify.errors import printable, shell_command


@takes_options
def init(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="A folder with one subfolder per class, a table or an .npz file.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The file to write. Default: <name of the data>.yaml.")
    ] = None,
    changes: Changes = UNCHANGED,
    as_json: JsonOption = False,
) -> None:
    """Inspect your own data, and write a config that suits it.

    Values that you choose, such as epochs=3, are written into it.
    """
    from nnclassify.config.run_config import suggested_config
    from nnclassify.files.atomic_write import write_new

    suggestion, loaded = suggested_config(data, changes.gathered())
    for text in loaded.notes:
        note(text)
    splits = loaded.config.dataset.build(0)  # never write what `train` would refuse
    suggestion = replace(suggestion, found=[*suggestion.found, *splits.notes])
    target = out or Path(f"{suggestion.name}.yaml")
    write_new(target, suggestion.yaml())
    if as_json:
        print_json({"found": suggestion.found, "path": str(target), "yaml": suggestion.yaml()}, "init")
        return
    for line in suggestion.found:
        print(printable(line))
    print(printable(f"wrote {target}; train it with: {shell_command('train', target)}"))

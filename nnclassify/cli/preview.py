"""The command `preview`: show what the network of a config sees of its data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnclassify.cli.options import UNCHANGED, Changes, ConfigArgument, JsonOption, TrustOption, takes_options
from nnclassify.cli.outputs import check_plot, refuse_input
from nnclassify.cli.printing import note, print_json
from nnclassify.errors import InputError, printable

if TYPE_CHECKING:
    from nnclassify.inference.preview import Preview

MAX_FEATURES, MAX_EXAMPLES, MAX_NAME = 40, 4, 30
"""Limits of a table on a terminal: the number of features and of examples, and the width of a name."""
DEFAULT = Path("preview.png")
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="The file to draw. Default for images: preview.png.")
]


@takes_options
def preview(
    config: ConfigArgument,
    split: Annotated[str, typer.Option("--split", metavar="SPLIT", help="train, validation or test.")] = "train",
    out: OutOption = None,
    changes: Changes = UNCHANGED,
    as_json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Show what the network of a config sees of its data.

    Draws images after resizing and augmentation; prints the values of a table, raw and normalized.
    """
    if split not in ("train", "validation", "test"):
        raise InputError(f"--split: found {split!r}, expected train, validation or test")
    check_plot("--out", out, "preview.png")
    from nnclassify.config.run_config import load_config

    loaded = load_config(config, changes.gathered())
    refuse_input("--out", out or DEFAULT, loaded.config.places().values())
    from nnclassify.inference.preview import preview as preview_of  # after the config is checked: torch is slow

    found = preview_of(loaded, split)
    for text in found.notes:
        note(text)
    out = out or (DEFAULT if found.is_images else None)
    if out is not None:
        _save(found, out)
    if as_json:
        print_json({**found.figures(), "plot": None if out is None else str(out)}, "preview")
        return
    if not found.is_images:
        print(_text(found))
    if out is not None:
        print(f"preview: {printable(str(out))}")


def _save(found: Preview, out: Path) -> None:
    from nnclassify.inference.plots.figures import save
    from nnclassify.inference.plots.preview import preview_images, preview_text

    names = [found.run, *found.names, *found.labels, *([] if found.is_images else found.feature_names)]
    save(lambda: preview_images(found) if found.is_images else preview_text(found, _text(found)), out, names)


def _text(found: Preview) -> str:
    """Return a row per feature, and for each example its raw value and what the network sees."""
    from nnclassify.cli.table import table
    from nnclassify.inference.display_names import readable

    heads, classes, columns = ["feature"], ["class"], [found.feature_names]
    for row in range(min(MAX_EXAMPLES, len(found.names))):
        heads += [readable(found.names[row], MAX_NAME), "input"]
        classes += [readable(found.labels[row], MAX_NAME), ""]
        columns += [[f"{value:.6g}" for value in found.raw[row].flatten().tolist()]]
        columns += [[f"{value:.4f}" for value in found.inputs[0, row].flatten().tolist()]]
    rows = [[readable(cells[0], MAX_NAME), *cells[1:]] for cells in zip(*columns, strict=True)]
    more = len(rows) - MAX_FEATURES
    lines = [
        f"{found.split}: {found.how}; `input` is what the network sees",
        "",
        table(heads, [classes, *rows[:MAX_FEATURES]]),
    ]
    return "\n".join([*lines, *([f"and {more:,} more features; --json has all"] if more > 0 else [])])

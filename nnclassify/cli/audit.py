"""The command `audit`: what is wrong with the data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnclassify.cli.options import UNCHANGED, Changes, ConfigArgument, JsonOption, TrustOption, takes_options
from nnclassify.cli.outputs import refuse_input
from nnclassify.cli.printing import note, print_json
from nnclassify.cli.streams import has_color
from nnclassify.errors import printable
from nnclassify.files.paths import check_new_folder

if TYPE_CHECKING:
    from nnclassify.diagnosis.audit.audit import Audit

TABLE, SUMMARY = "audit.csv", "audit.json"
OF_DATA = ("dataset.", "dataset=", "seed=", "accept=")
"""Overrides that change what is audited without a network."""


@takes_options
def audit(
    config: ConfigArgument,
    changes: Changes = UNCHANGED,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="The folder to write to, such as a run's. Default: audit_<name>."),
    ] = None,
    network: Annotated[
        bool,
        typer.Option("--network", help="Judge labels by the network of the config, trained on five folds: slower."),
    ] = False,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw duplicates and label errors.")] = True,
    as_json: JsonOption = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Print why each finding matters.")] = False,
    trust: TrustOption = False,
) -> None:
    """Find out what is wrong with the data.

    Looks for duplicates, label errors, contradictions, outliers, poor images, columns that give the label away, and
    differences between train and test. Writes audit.csv, audit.json and plots.
    """
    from nnclassify.config.run_config import load_config

    if out is not None:
        check_new_folder("--out", out)
    overrides = changes.gathered()
    loaded = load_config(config, overrides)
    folder = out or Path(f"audit_{loaded.name}")
    refuse_input("--out", folder / TABLE, loaded.config.places().values())
    if not network and (unused := [text for text in overrides if not text.startswith(OF_DATA)]):
        note(f"{', '.join(unused)}: changes nothing, because a quick classifier judges the labels; or use --network")
    from nnclassify.diagnosis.audit.audit import audit as audit_of  # after the config is checked: torch is slow
    from nnclassify.diagnosis.audit.report import audit_figures, audit_text

    found = audit_of(loaded, note, with_network=network)
    for text in found.notes:
        note(text)
    written = _write(found, folder, plots=plots)
    if as_json:
        print_json({**audit_figures(found), "files": written}, "audit")
    else:
        print(audit_text(found, verbose=verbose, color=has_color()))
        print(printable(f"written: {', '.join(str(path) for path in written)}"))
    raise typer.Exit(4 if found.has_fault else 0)


def _write(found: Audit, folder: Path, *, plots: bool) -> list[Path]:
    """Write the files of an audit into a folder, and return them."""
    from nnclassify.diagnosis.audit.report import audit_figures, audit_rows
    from nnclassify.files.atomic_write import save_error
    from nnclassify.files.csv_cells import write_csv
    from nnclassify.files.json_files import write_json

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise save_error(folder, cause) from cause
    write_csv(folder / TABLE, audit_rows(found))
    write_json(folder / SUMMARY, audit_figures(found), indent=1)
    written = [folder / TABLE, folder / SUMMARY]
    if plots:
        from nnclassify.diagnosis.audit.plots import save_plots

        written += save_plots(found, folder)
    return written

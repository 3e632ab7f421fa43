"""The command `export`: a trained network for another runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nnclassify.cli.options import NEWEST_RUN, ChosenRun, JsonOption, TrustOption, takes_options
from nnclassify.cli.outputs import check_output
from nnclassify.cli.printing import note, print_json
from nnclassify.errors import printable


@takes_options
def export(
    chosen: ChosenRun = NEWEST_RUN,
    to: Annotated[
        str, typer.Option("--to", metavar="FORMAT", help="onnx, safetensors, torch (.pt2) or html.")
    ] = "onnx",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="The file to write. Default: export/<run> in the run folder."),
    ] = None,
    license_text: Annotated[
        str | None, typer.Option("--license", metavar="TEXT", help="The license to state in the file, such as MIT.")
    ] = None,
    as_json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Export a trained network for another runtime.

    Preprocessing and calibration are part of the file. It is read back in its own runtime and compared with the network
    on 256 examples of the run's data: the probabilities differ by at most 1e-5, or nothing is written. A model card is
    written beside it. KEY=VALUE may say where the data is, such as dataset.root=DATA.
    """
    from nnclassify.inference.export.export import FORMS, check_form, export_run

    check_form(to, out)
    check_output("--out", out, f"model{FORMS[to].suffix}")
    path, changes = chosen.found()
    made = export_run(path, to, out, license_text=license_text, overrides=changes, note=note)
    if as_json:
        print_json(vars(made), "export")
        return
    print(printable(f"{to}: {made.path} ({made.num_bytes:,} bytes)"))
    if made.largest_difference is not None:
        print(f"compared on {made.compared} examples: probabilities differ by at most {made.largest_difference:.2g}")
    print(printable(f"model card: {made.card}"))

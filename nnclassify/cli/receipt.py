"""The commands `receipt` and `reproduce`: say what a run came from and what came out, and train it again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnclassify.cli.options import JsonOption, RunArgument, RunWords, SetOption, TrustOption, find_run
from nnclassify.cli.outputs import check_output
from nnclassify.cli.printing import note, print_result
from nnclassify.errors import TrainingError, printable, shell_command

if TYPE_CHECKING:
    from nnclassify.inference.receipt import Reproduction
    from nnclassify.runs.folder import RunFolder


def receipt(
    run: RunArgument = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="The file to write. Default: receipt.json in the run folder."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a receipt, from which others can repeat a run.

    Contains the config, digests of data, weights and predictions, the environment, the seeds and the metrics.
    """
    check_output("--out", out, "receipt.json")
    from nnclassify.files.atomic_write import write_text
    from nnclassify.inference.receipt import receipt_of
    from nnclassify.runs.folder import RunFolder

    folder = RunFolder(find_run(run).parent)
    path = out or folder.path / "receipt.json"
    made = receipt_of(folder)
    write_text(path, made.model_dump_json(indent=1) + "\n")
    told = {"run": str(folder.path), "receipt": str(path), "sha256": made.sha256}
    text = f"receipt: {path}; train it again with: {shell_command('reproduce', path)}"
    print_result(told, "receipt", lambda: printable(text), as_json=as_json)


def reproduce(
    path: Annotated[Path, typer.Argument(metavar="RECEIPT", help="A file written by `nnclassify receipt`.")],
    words: RunWords = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Train a run again from its receipt.

    Says whether the same bits came out, or predictions that differ no more than those of another seed would, or
    neither, which ends with exit code 3. KEY=VALUE may say where the data is, such as dataset.root=DATA. A receipt that
    was altered, or is about other data, is refused.
    """
    from nnclassify.cli.overrides import gathered

    folder, found = reproduced(path, gathered(overrides, words))
    told = {"receipt": str(path), "run": str(folder.path), **vars(found)}
    print_result(told, "reproduce", lambda: "\n".join(map(printable, _lines(found))), as_json=as_json)
    if found.verdict == "not_reproduced":
        raise typer.Exit(TrainingError.exit_code)


def reproduced(path: Path, overrides: Sequence[str] = ()) -> tuple[RunFolder, Reproduction]:
    """Train the run of a receipt again, and compare what comes out.

    Raises:
        InputError: The receipt was altered, or an override would train another run.
        DataError: The data is not that of the receipt.
        NNClassifyError: See `train`.
    """
    from nnclassify.config.run_config import located
    from nnclassify.data.base import told_where_to_look
    from nnclassify.inference.receipt import check_data, config_of, read_receipt, receipt_of, reproduction
    from nnclassify.run import train
    from nnclassify.runs.group_summary import result_of
    from nnclassify.training.build import build_components

    before = read_receipt(path)
    loaded = config_of(before, path, overrides)
    with located(loaded.source), told_where_to_look(loaded.config.dataset):
        check_data(before, path, build_components(loaded.config).splits)
    folder = train(loaded, note=note, with_monitor=False).folder
    now = receipt_of(folder, before.receipt)  # which refuses a damaged result
    return folder, reproduction(before, now, (result_of(folder) or {})["intervals"])


def _lines(found: Reproduction) -> list[str]:
    from nnclassify.evaluation.percent import percent

    heads = {
        "same_bits": "same bits",
        "within_spread": "same results, other bits",
        "not_reproduced": "not reproduced",
    }
    lines = [f"{heads[found.verdict]}: {found.why}"]
    lines += [
        f"{split} accuracy: {percent(was)} in the receipt, {percent(now)} here"
        for split, (was, now) in found.accuracies.items()
    ]
    lines += [f"{name}: {was} in the receipt, {now} here" for name, (was, now) in found.environment.items()]
    return lines

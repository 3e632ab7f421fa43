"""The command `learning-curve`: would more data, more epochs or a wider network help?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnclassify.cli.options import UNCHANGED, Changes, ConfigArgument, JsonOption, TrustOption, takes_options
from nnclassify.cli.outputs import check_plot, refuse_input
from nnclassify.cli.printing import note, print_result
from nnclassify.errors import Interrupted, printable

if TYPE_CHECKING:
    from nnclassify.config.run_config import LoadedConfig
    from nnclassify.runs.folder import RunFolder

SharesOption = Annotated[
    int,
    typer.Option(
        "--shares",
        metavar="N",
        min=3,
        max=12,
        help="Number of shares of the training split: 1, 1/2, 1/4 and so on.",
    ),
]
TrialsOption = Annotated[
    bool | None,
    typer.Option(
        "--trials/--no-trials",
        help="Also train with twice the epochs, and twice the width. Default: if that takes less than 10 minutes.",
    ),
]


@takes_options
def learning_curve(
    config: ConfigArgument,
    changes: Changes = UNCHANGED,
    shares: SharesOption = 5,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", min=1, max=100, help="Number of seeds per share.")] = 3,
    trials: TrialsOption = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="The file to save the plot to. Default: in the folder of the runs."
        ),
    ] = None,
    as_json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Find out whether more data, epochs or width would help.

    Trains on growing shares of the training split, for the same number of updates each, and says what twice the data
    would probably give. The runs are in checkpoints/<name>-learning-curve/; started again, the command trains only
    those that are missing.
    """
    check_plot("--plot", plot, "curve.png")
    from nnclassify.config.run_config import load_config

    loaded = load_config(config, changes.gathered())
    refuse_input("--plot", plot, loaded.config.places().values())
    from nnclassify.diagnosis.learning_curve import learning_curve as measure
    from nnclassify.runs.folder import CHECKPOINTS

    try:
        curve = measure(loaded, _train, CHECKPOINTS, num_shares=shares, num_seeds=seeds, with_trials=trials, note=note)
    except Interrupted as stop:
        raise Interrupted("interrupted; start the same command again to continue", stop.exit_code - 128) from stop
    from nnclassify.diagnosis.learning_curve_plot import save_learning_curve
    from nnclassify.files.json_files import write_json

    drawn = save_learning_curve(curve, plot or curve.folder / "learning_curve.png")
    write_json(curve.folder / "learning_curve.json", curve.figures())
    told, lines = {**curve.figures(), "plot": str(drawn)}, [*curve.conclusions(), f"plot: {drawn}"]
    print_result(told, "learning-curve", lambda: "\n".join(map(printable, lines)), as_json=as_json)


def _train(loaded: LoadedConfig, resume: RunFolder | None, into: RunFolder) -> object:
    """Train one run, whose notes are those of all."""
    from nnclassify.run import train

    return train(loaded, resume=resume, into=into, with_monitor=False, with_report=False)

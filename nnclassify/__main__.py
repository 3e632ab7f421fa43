"""The program: `nnclassify`, or `python -m nnclassify`."""

import gc
import logging
import os

from nnclassify.cli import streams
from nnclassify.process import die_with_parent, end_on_signals

ALLOCATIONS_BEFORE_COLLECTION = 50_000
"""Python's own few hundred have it look for garbage in what torch imports, for a fifth of the start-up, and every few
batches of a tiny net."""


def main() -> None:
    """Run the command line; signals and streams are set up before it is imported."""
    end_on_signals()
    streams.install()
    gc.set_threshold(ALLOCATIONS_BEFORE_COLLECTION)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its remarks on fonts and cache folders help no user
    if "TORCHELASTIC_RUN_ID" in os.environ:  # before torch is imported: the launcher may end in these seconds
        die_with_parent()
    from nnclassify.cli.main import main as run_command_line

    run_command_line()


if __name__ == "__main__":
    main()

"""The program: `nnclassify`, or `python -m nnclassify`."""

import os

from nnclassify.cli import streams
from nnclassify.process import configure, die_with_parent, exit_on_signals


def main() -> None:
    """Run the command line; signals and streams are set up before it is imported."""
    exit_on_signals()
    streams.install()
    configure()
    if "TORCHELASTIC_RUN_ID" in os.environ:  # before torch is imported: the launcher may end in these seconds
        die_with_parent()
    from nnclassify.cli.main import main as run_command_line

    run_command_line()


if __name__ == "__main__":
    main()

"""The program: `nnclassify`, or `python -m nnclassify`."""

import os

from nnclassify.cli import streams


def main() -> None:
    """Run the command line; streams and signals are set up before it is imported."""
    streams.install()
    # Imported late, since it loads libffi, which may keep its own file open, with the descriptor of a closed stream.
    from nnclassify.process import configure, die_with_parent, exit_on_signals

    exit_on_signals()
    configure()
    if "TORCHELASTIC_RUN_ID" in os.environ:  # before torch is imported: the launcher may end in these seconds
        die_with_parent()
    from nnclassify.cli.main import main as run_command_line

    run_command_line()


if __name__ == "__main__":
    main()

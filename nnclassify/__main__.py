"""The program: `nnclassify`, or `python -m nnclassify`."""

import os

from nnclassify.signals import die_with_parent, end_on_signals


def main() -> None:
    """Run the command line, deaf to no signal while it is imported."""
    end_on_signals()
    if "TORCHELASTIC_RUN_ID" in os.environ:  # before torch is imported: the launcher may end in these seconds
        die_with_parent()
    from nnclassify.cli import main as run_command_line

    run_command_line()


if __name__ == "__main__":
    main()

"""The program: `nnclassify`, or `python -m nnclassify`."""

from nnclassify.signals import end_on_signals


def main() -> None:
    """Run the command line, deaf to no signal while it is imported."""
    end_on_signals()
    from nnclassify.cli import main as run_command_line

    run_command_line()


if __name__ == "__main__":
    main()

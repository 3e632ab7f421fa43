"""Every command explains itself."""

import pytest
from typer.testing import CliRunner

from nnclassify.cli.main import app


@pytest.mark.parametrize("command", [[], ["train"], ["predict"], ["configs", "show"]], ids=" ".join)
def test_h_is_help(command: list[str]) -> None:
    short, long = (CliRunner().invoke(app, [*command, flag]) for flag in ("-h", "--help"))
    assert (short.exit_code, short.output) == (0, long.output) and short.output.startswith("Usage:")

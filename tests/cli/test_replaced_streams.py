"""The streams of the command line."""

from __future__ import annotations

import subprocess
import sys

REPLACED = """
import gc, os, sys
from nnclassify.cli import streams
sys.stdout, sys.stderr = (os.fdopen(number, "w") for number in (1, 2))
streams.install()
gc.collect()
print("out")
print("\\x1b[2J", file=sys.stderr)
"""


def test_streams_that_nothing_else_refers_to_are_still_written() -> None:
    done = subprocess.run([sys.executable, "-c", REPLACED], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\n", "\\x1b[2J\n")

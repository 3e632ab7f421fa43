"""Tests of what the command line sets in its process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SPINNING = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="torch has GNU OpenMP on Linux")
@pytest.mark.parametrize(
    ("own", "spins"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "77"}, "77"), ({"OMP_WAIT_POLICY": "passive"}, "0")],
)
def test_threads_that_wait_soon_sleep_unless_the_user_says_otherwise(own: dict[str, str], spins: str) -> None:
    code = "from nnclassify.process import configure; configure(); import torch"
    inherited = {name: value for name, value in os.environ.items() if name not in SPINNING}
    environment = {**inherited, **own, "OMP_DISPLAY_ENV": "verbose"}  # it prints what it has read
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert f"GOMP_SPINCOUNT = '{spins}'" in done.stderr

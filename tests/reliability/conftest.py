"""What the reliability tests share: runs trained once, counts, and a table of the counts at the end.

torch is imported and the runs are trained once in each process of pytest, and the trials are forked from it: so a trial
costs what it trains, not the seconds that torch takes to start. Every test says how many of its trials begin with the
real command instead.
"""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reliability import runs
from reliability.outcome import Outcome

MEMORY = Path("/dev/shm")
"""Where the runs go if TMPDIR names no other place: processes are lost here, not power, so no disk is waited for."""


def pytest_configure(config: pytest.Config) -> None:
    """Fork beside the thread by which xdist talks to its workers: from Python 3.12 on, that warns."""
    config.addinivalue_line("filterwarnings", "ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture(scope="session")
def scale(pytestconfig: pytest.Config) -> float:
    """The share of the full counts that is tried."""
    return float(pytestconfig.getoption("--scale"))


@pytest.fixture(scope="session", autouse=True)
def trained_once() -> Iterator[None]:
    """The runs, trained here, so that the trials, which are forked, need not import what training imports late."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")  # a forked child must not inherit a pool of compilers
        if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK):
            patch.setattr(tempfile, "tempdir", str(MEMORY))
        runs.warm_up()
        gc.collect()
        gc.freeze()  # a collection in a child would touch, and so copy, every object of this process
        yield
        gc.unfreeze()


@pytest.fixture
def outcome(record_property: Callable[[str, object], None]) -> Outcome:
    """The counts of a test, which the table at the end shows."""
    return Outcome(record_property)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the counts as a table, in the form of RESULTS.md."""
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        counts = dict(report.user_properties)
        if "done" in counts:
            name = report.nodeid.rpartition("::")[2]
            terminalreporter.write_line(f"| {name} | {counts['done']} | {counts['remark']} | {report.duration:.0f} s |")

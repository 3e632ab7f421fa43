"""`python -m benchmarks.reliability --scale S`: run R1 to R13, print the table, exit 1 where something fell short.

torch is imported and both runs are trained once, here; each row is a process forked from this one, and forks its
trials in turn. So a trial costs what it trains, not the seconds that torch takes to start. Every row says how many
of its trials begin with the real command instead.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import pkgutil
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: a forked child must not inherit a pool of threads
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # nor a pool of compilers

import benchmarks.reliability as package
from benchmarks.reliability import rows, runs
from benchmarks.reliability.outcome import Outcome

MEMORY = Path("/dev/shm")
"""Where the runs go if TMPDIR names no other place: processes are lost here, not power, so no disk is waited for."""

SHOWN_FAILURES = 20


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=0.1, help="1: the full counts")
    parser.add_argument("--only", nargs="*", default=[], help="such as R1 R5")
    parser.add_argument("--jobs", type=int, default=1, help="rows at a time")
    arguments = parser.parse_args()
    modules = {
        f"R{int(info.name[1:3])}": importlib.import_module(f"{package.__name__}.{info.name}")
        for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name)
        if info.name[:1] == "r" and info.name[1:3].isdigit()
    }
    wanted = {name: module.run for name, module in modules.items() if not arguments.only or name in arguments.only}
    if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK):
        tempfile.tempdir = str(MEMORY)
    started = time.monotonic()
    runs.warm_up()
    gc.collect()
    gc.freeze()  # a collection in a child would touch, and so copy, every object of this process
    fell_short = False
    for outcome, seconds in rows.run_all(wanted, arguments.scale, arguments.jobs):
        print(_row(outcome, seconds), flush=True)
        for failure in outcome.failures[:SHOWN_FAILURES]:
            print(f"    {failure}", file=sys.stderr, flush=True)
        fell_short |= not outcome.cases or outcome.done < outcome.cases or bool(outcome.failures)
    print(f"{time.monotonic() - started:.0f} s", flush=True)
    gc.unfreeze()
    return int(fell_short)


def _row(outcome: Outcome, seconds: float) -> str:
    failed = f", {len(outcome.failures)} failures" if outcome.failures else ""
    counts = f"{outcome.done:,} of {outcome.cases:,}{failed}"
    return f"| {outcome.name} | {outcome.what} | {counts} | {outcome.remark} | {seconds:.0f} s |"


if __name__ == "__main__":
    sys.exit(main())

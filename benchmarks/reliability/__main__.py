"""`python -m benchmarks.reliability --scale S`: run R1 to R13, print the table, exit 1 where something fell short."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: a forked child must not inherit a pool of threads

import benchmarks.reliability as package
from benchmarks.reliability.outcome import Outcome


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=0.1, help="1: the full counts")
    parser.add_argument("--only", nargs="*", default=[], help="such as R1 R5")
    arguments = parser.parse_args()
    names = sorted(
        info.name
        for info in pkgutil.iter_modules(package.__path__)
        if info.name[:1] == "r" and info.name[1:3].isdigit()
    )
    outcomes = []
    for name in names:
        number = f"R{int(name[1:3])}"
        if arguments.only and number not in arguments.only:
            continue
        started = time.monotonic()
        outcome: Outcome = importlib.import_module(f"{package.__name__}.{name}").run(arguments.scale)
        outcomes.append(outcome)
        print(_row(outcome, time.monotonic() - started), flush=True)
        for failure in outcome.failures[:5]:
            print(f"    {failure}", file=sys.stderr, flush=True)
    return int(any(outcome.failures for outcome in outcomes))


def _row(outcome: Outcome, seconds: float) -> str:
    failed = f", {len(outcome.failures)} failures" if outcome.failures else ""
    counts = f"{outcome.done} of {outcome.cases}{failed}"
    return f"| {outcome.name} | {outcome.what} | {counts} | {outcome.remark} | {seconds:.0f} s |"


if __name__ == "__main__":
    sys.exit(main())

"""Time training epochs of every job and contender, interleaved in one run, and print the table."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.speed.jobs import JOBS, prepare
from benchmarks.speed.measure import measure, table_rows
from nnclassify.config import validate


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--peers", action="store_true", help="time the other tools too (extra `bench`)")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--rounds", type=int, default=5, help="epochs of each contender after the warm-up")
    parser.add_argument("--only", default="", help="jobs whose name holds this")
    parser.add_argument("--set", dest="overrides", action="append", default=[], help="override of every config")
    parser.add_argument("--run-set", dest="run_overrides", action="append", default=[], help="of nnclassify alone")
    arguments = parser.parse_args()
    if arguments.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            sys.exit("skipped: no CUDA device is here; nothing was measured")
    print("| job | contender | ratio to bare | spread | to reach | examples a second | test accuracy |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for job in JOBS:
        if arguments.only not in job.name:
            continue
        contenders = ["bare", "nnclassify", *(job.peers if arguments.peers else ())]
        with tempfile.TemporaryDirectory() as folder:
            loaded = prepare(job, Path(folder), arguments.overrides)
            source = loaded.source
            for assignment in [f"device={arguments.device}", *arguments.run_overrides]:
                source.override(assignment)
            figures = measure(job, validate(source), contenders, arguments.rounds)
        print("\n".join(table_rows(job, figures)), flush=True)


if __name__ == "__main__":
    main()

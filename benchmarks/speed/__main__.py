"""Time training epochs of every job and contender, and whole commands; print the tables and write RESULTS.md."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import torch

from benchmarks.speed.jobs import JOBS, LARGE, prepare, prepare_noise
from benchmarks.speed.measure import measure, table_rows
from benchmarks.speed.whole import auto_against_off, growth, memory, peak_share, pictures, start, whole_runs
from nnclassify.config.run_config import validate

RESULTS = Path(__file__).parent / "RESULTS.md"
EPOCHS = """| job | contender | ratio to bare | spread | to reach | examples a second | test accuracy |
| --- | --- | --- | --- | --- | --- | --- |"""
WHOLE = """| what | median | spread | to reach | |
| --- | --- | --- | --- | --- |"""


def main() -> None:
    """Parse, measure, print, write."""
    arguments = _arguments()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("unmeasured: no CUDA device")
    lines: list[str] = []

    def tell(text: str) -> None:
        print(text, flush=True)
        lines.append(text)
        if arguments.write:
            RESULTS.write_text("\n".join(lines) + "\n")

    command = f"python -m benchmarks.speed{' --peers' * arguments.peers} --rounds {arguments.rounds} --write"
    tell(f"# Speed\n\n`{command}`; {_machine(arguments.device)}.\n")
    tell("Training epochs, warm, validation apart; interleaved in one run, medians over its rounds.\n")
    tell(EPOCHS)
    for rows in _epochs(arguments):
        tell("\n".join(rows))
    tell(f"\nWhole commands.\n\n{WHOLE}")
    for row in _whole(arguments):
        tell(row)
    if arguments.device == "cpu":
        tell("\nOn a GPU: unmeasured here; `--device cuda` measures the jobs above there, and resnet18 at 224 pixels.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--peers", action="store_true", help="time the other tools too (extra `bench`)")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--rounds", type=int, default=5, help="epochs of each contender after the warm-up")
    parser.add_argument("--jobs", nargs="*", default=[""], help="jobs whose name holds one of these; `none`")
    parser.add_argument(
        "--whole",
        nargs="*",
        default=["start", "predict", "memory", "growth", "peak", "auto", "train"],
        help="whole commands to time; `none`",
    )
    parser.add_argument("--pictures", type=Path, help="a folder root/<split>/<class>/*, for `predict`: its test split")
    parser.add_argument("--data", dest="overrides", action="append", default=[], help="override of MNIST configs")
    parser.add_argument("--cifar", dest="cifar", action="append", default=[], help="override of CIFAR configs")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md")
    return parser.parse_args()


def _overrides(name: str, arguments: argparse.Namespace) -> list[str]:
    """Where a config's data lies here."""
    kinds: dict[str, list[str]] = {"mnist": arguments.overrides, "cifar": arguments.cifar}
    return next((found for kind, found in kinds.items() if name.startswith(kind)), [])


def _epochs(arguments: argparse.Namespace) -> Iterator[list[str]]:
    on_cuda = arguments.device == "cuda"
    for job in [*JOBS, *([LARGE] if on_cuda else [])]:
        if not any(part in job.name for part in arguments.jobs):
            continue
        peers = [*(job.peers if arguments.peers else ()), *(job.on_cuda if on_cuda else ())]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            loaded = (
                prepare_noise(job, folder) if job is LARGE else prepare(job, folder, _overrides(job.config, arguments))
            )
            loaded.source.override(f"device={arguments.device}")
            contenders = ["bare", "compile on", "auto", "off", *peers]
            figures = measure(job, validate(loaded.source), contenders, arguments.rounds)
        yield table_rows(job, figures)


def _whole(arguments: argparse.Namespace) -> Iterator[str]:
    rounds = max(2, arguments.rounds - 1)
    cifar: list[str] = arguments.cifar
    single: dict[str, Callable[[], str]] = {
        "start": lambda: start(rounds).row(),
        "memory": lambda: memory(cifar).row(),
        "growth": lambda: growth(rounds, cifar).row(),
        "peak": lambda: peak_share(rounds, cifar).row(),
    }
    for name in arguments.whole:
        if name == "train":
            for ratio in whole_runs(rounds, lambda config: _overrides(config, arguments)):
                yield ratio.row()
        elif name == "auto":
            yield from (ratio.row() for ratio in auto_against_off(rounds))
        elif name == "predict":
            if arguments.pictures is None:
                yield "| predict and evaluate, 10,000 images | unmeasured: no --pictures | | at most 1 | |"
            else:
                yield from (ratio.row() for ratio in pictures(rounds, arguments.pictures / "test"))
        elif name in single:
            yield single[name]()


def _machine(device: str) -> str:
    facts = f"{os.cpu_count()} cores, torch {torch.__version__}, Python {platform.python_version()}"
    where = f"{torch.cuda.get_device_name()}, " if device == "cuda" else ""
    return f"{where}{facts}, {date.today():%B %Y}"


if __name__ == "__main__":
    main()

"""Contenders in processes of their own, timed an epoch each in turn: A B A B, so that a slow minute hits all alike."""

from __future__ import annotations

import multiprocessing
import statistics
import sys
from multiprocessing.connection import Connection

from benchmarks.speed.jobs import Job
from nnclassify.config.run_config import RunConfig
from nnclassify.errors import one_line

Figures = dict[str, list[float]]
"""Of each contender: seconds of each epoch after the warm-up, and last its test accuracy."""


def work(connection: Connection, contender: str, config: RunConfig, num_epochs: int) -> None:
    """One contender in a process of its own: an epoch for each message."""
    from benchmarks.speed.contenders import CONTENDERS
    from benchmarks.speed.peers import PEERS

    try:
        for figure in {**CONTENDERS, **PEERS}[contender](config, num_epochs):
            connection.send(figure)
            connection.recv()
    except (EOFError, BrokenPipeError):  # all has been measured
        return
    except Exception as cause:  # a peer that is not installed, or cannot do this job: the others go on
        connection.send(f"not measured: {one_line(cause)}")


def measure(job: Job, config: RunConfig, contenders: list[str], rounds: int) -> Figures:
    """Time every contender that is installed; says on stderr which is not."""
    config = config.model_copy(update={"epochs": max(config.epochs, rounds + 1)})
    context = multiprocessing.get_context("spawn")
    ends: dict[str, Connection] = {}
    for contender in contenders:
        ends[contender], other = context.Pipe()
        context.Process(target=work, args=(other, contender, config, rounds + 1)).start()
        other.close()
        # The first epoch is the warm-up, where the compiler and the caches are filled.
        first = ends[contender].recv()
        if isinstance(first, str):
            print(f"{job.name}: {contender} {first}", file=sys.stderr)
            del ends[contender]
    figures: Figures = {contender: [] for contender in ends}
    for _ in range(rounds + 1):
        for contender, end in list(ends.items()):
            end.send("go")
            figure = end.recv()
            if isinstance(figure, str):
                print(f"{job.name}: {contender} {figure}", file=sys.stderr)
                del ends[contender], figures[contender]
            else:
                figures[contender].append(figure)
    return figures


def table_rows(job: Job, figures: Figures) -> list[str]:
    """Rows of the table: the ratio of each contender to the bare loop, with its spread and accuracy."""
    lines = []
    bare = figures["bare"]
    for contender, seen in figures.items():
        ratios = sorted(before / now for before, now in zip(bare[:-1], seen[:-1], strict=True))
        rate = job.limit / statistics.median(seen[:-1])
        target = f"{job.target:g}" if contender == "auto" else ""
        lines.append(
            f"| {job.name} | {contender} | {statistics.median(ratios):.2f} | {ratios[0]:.2f}-{ratios[-1]:.2f} "
            f"| {target} | {rate:,.0f} | {seen[-1]:.1%} |"
        )
    return lines

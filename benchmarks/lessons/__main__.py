"""Tells every lesson with several seeds and writes what came out: `python -m benchmarks.lessons [LESSON...]`."""

from __future__ import annotations

import argparse
import os

from nnclassify.evaluation.percent import percent
from nnclassify.lessons.outcome import Outcome, outcome
from nnclassify.lessons.pages import find_lesson, lessons


def line_of(told: Outcome) -> str:
    """Return an outcome as a row of a Markdown table."""
    front = told.lesson.front
    passed = told.broken_fails and told.fixed_learns and told.cause_is_named
    cells = [
        told.lesson.name,
        str(told.seed),
        f"{percent(told.broken[0].figure)} < {front.broken_below:.0%}",
        f"{percent(told.fixed[0].figure)} > {front.fixed_above:.0%}",
        f"{front.finding or 'no fault'} ({front.found_by})",
        f"{told.seconds:.1f}",
        "yes" if passed else "NO",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Parse the arguments, tell the lessons, and print a table and a summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lessons", nargs="*", help="names of lessons; default: all")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    print("| lesson | seed | broken | fixed | cause | processor seconds | passed |\n|" + " --- |" * 7)
    longest, failed = 0.0, []
    for name in arguments.lessons or lessons():
        for seed in range(arguments.seeds):
            told = outcome(find_lesson(name), seed)
            print(line_of(told), flush=True)
            longest = max(longest, told.seconds)
            if not (told.broken_fails and told.fixed_learns and told.cause_is_named):
                failed.append(f"{name} (seed {seed})")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"\nlongest: {longest:.1f} processor seconds; load {load}; failed: {', '.join(failed) or 'none'}")


if __name__ == "__main__":
    main()

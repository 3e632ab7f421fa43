"""Run the documents: `python -m benchmarks.documents [PAGE...] [--images]`.

Prints each command with its time, and what differs from the page. `--images` makes the images of the pages again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.documents.pages import ROOT, pages
from benchmarks.documents.runner import copy_images, missing_images, prepare, run


def main() -> None:
    """Run the pages that are named, or all of them; exit code 1 if one is not as it says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*", type=Path, default=pages())
    parser.add_argument("--images", action="store_true", help="write the images of the pages")
    arguments = parser.parse_args()
    problems = 0
    for page in (page.resolve() for page in arguments.pages):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
            shell = prepare(Path(place) / "page")
            print(page.relative_to(ROOT))
            start = time.monotonic()
            for ran in run(page, shell):
                print(f"  {time.monotonic() - start:6.1f} s  {ran.command.line:4}  {ran.command.text}", flush=True)
                if ran.problem is not None:
                    problems += 1
                    print(f"{ran.problem}:\n{ran.printed}")
                start = time.monotonic()
            if missing := missing_images(page, shell):
                problems += 1
                print(f"not drawn: {', '.join(missing)}")
            if arguments.images:
                copy_images(page, shell)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()

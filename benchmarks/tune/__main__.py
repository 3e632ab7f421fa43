"""Search the learning rate of iris_mlp over six powers of ten, killed five times on the way, and train the best config.

    python -m benchmarks.tune           # minutes; writes RESULTS.md

The kills come at a random moment of a trial. No trial may be lost, and none trained twice. Then `best.yaml` is trained,
which looks at the test split for the first time.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

KILLS, TRIALS = 5, 30
COMMAND = [sys.executable, "-m", "nnclassify"]
SEARCH = [
    "tune",
    "iris_mlp",
    "search.optimizer.lr={log: [1e-5, 10]}",
    "dataset.validation=0.2",
    "--trials",
    str(TRIALS),
]


def wait_for_trial(folder: Path, number: int) -> None:
    """Wait until a trial has been begun."""
    while not (folder / f"checkpoints/iris_mlp-tune/trials/{number}").is_dir():
        time.sleep(0.01)


def searched(folder: Path) -> dict[str, Any]:
    """Run the search, killed on the way, and return its result."""
    moments = random.Random(0)
    for kill in range(KILLS):
        process = subprocess.Popen([*COMMAND, *SEARCH], cwd=folder, stderr=subprocess.DEVNULL)
        wait_for_trial(folder, 1 + (kill + 1) * TRIALS // (KILLS + 2))
        time.sleep(moments.uniform(0, 1.5))
        process.kill()
        process.wait()
    done = subprocess.run([*COMMAND, *SEARCH, "--json"], cwd=folder, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    """Search, train the best config, and write what came of it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        result = searched(folder)
        train = [*COMMAND, "train", result["best_config"], "--json", "--no-plots", "--no-report"]
        done = subprocess.run(train, cwd=folder, check=True, capture_output=True, text=True)
    trained, trials = json.loads(done.stdout), result["trials"]
    different = len({json.dumps(trial["values"]) for trial in trials})
    first = next(trial["trial"] for trial in trials if trial["state"] == "completed" and trial["value"] >= 0.96)
    told = ", ".join(f"{number} {state}" for state, number in result["counts"].items() if number)
    rate = result["best"]["values"]["optimizer.lr"]
    lines = [
        "# A search for the learning rate of iris_mlp",
        "",
        f"From 1e-5 to 10, {TRIALS} trials, killed {KILLS} times; written by `python -m benchmarks.tune`.",
        "",
        "| | |",
        "| --- | --- |",
        f"| trials | {len(trials)}, {different} of them different: {told} |",
        f"| best validation accuracy | {result['best']['value']:.1%}, with optimizer.lr {rate} |",
        f"| first trial with 96% or better | {first} |",
        f"| `best.yaml`, trained: validation accuracy | {trained['validation']['accuracy']:.1%} |",
        f"| `best.yaml`, trained: test accuracy | {trained['test']['accuracy']:.1%} |",
        "",
    ]
    Path(__file__).with_name("RESULTS.md").write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()

"""Receipts of honest and of altered runs: `python -m benchmarks.receipts`, some minutes.

Trains 50 small runs, reproduces each from its receipt, and alters each receipt in one of the ways below, mostly with a
new SHA-256 over the altered content. An altered receipt counts as refused if it is refused before training, or if
training does not reproduce it.
"""

from __future__ import annotations

import base64
import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nnclassify.cli.receipt import reproduced
from nnclassify.config.run_config import load_config
from nnclassify.errors import NNClassifyError
from nnclassify.inference.receipt import Answers, Receipt, receipt_of
from nnclassify.run import train

NUM_RUNS = 50
CONFIGS = ("xor_2", "xor_3", "iris_mlp", "spirals", "rgb")
Content = dict[str, Any]


def _better(content: Content) -> None:
    """Claim a better accuracy, and predictions that agree with it."""
    split = "test" if "test" in content["answers"] else next(iter(content["answers"]))
    count = content["data"][split]["num_examples"]
    bits = Answers(**content["answers"][split]).bits(count)
    wrong = np.flatnonzero(~bits)
    bits[wrong[: max(1, len(wrong) // 2)]] = True
    if not len(wrong):
        bits[0] = False
    content["answers"][split]["correct"] = base64.b64encode(np.packbits(bits).tobytes()).decode()
    content["figures"][split]["accuracy"] = float(bits.mean())


def _metric(content: Content) -> None:
    content["figures"]["train"]["loss"] *= 0.9


def _weights(content: Content) -> None:
    content["weights"] = content["weights"][::-1]


def _seed(content: Content) -> None:
    content["config"]["seed"] += 1
    content["seeds"]["seed"] += 1


def _epochs(content: Content) -> None:
    content["config"]["epochs"] += 1


def _data(content: Content) -> None:
    content["data"]["train"]["digest"] = "0" * 64


def _predictions(content: Content) -> None:
    for answers in content["answers"].values():
        answers["sha256"] = "f" * 64
    if not content["answers"]:
        _metric(content)


WAYS: list[tuple[Callable[[Content], None], bool]] = [
    (_better, True),
    (_metric, True),
    (_metric, False),
    (_weights, True),
    (_seed, True),
    (_epochs, True),
    (_data, True),
    (_predictions, True),
    (_weights, False),
    (_better, False),
]
"""What is altered, and whether the receipt gets a new SHA-256."""


def _verdict(path: Path) -> str:
    try:
        return reproduced(path)[1].verdict
    except NNClassifyError as error:
        return f"refused: {error.lines[0].partition(': ')[2]}"


def _receipt(number: int) -> Receipt:
    config = CONFIGS[number % len(CONFIGS)]
    epochs = "10" if config in ("iris_mlp", "rgb") else "60"
    return receipt_of(train(load_config(config, [f"seed={number}", f"epochs={epochs}"]), with_monitor=False).folder)


def main() -> None:
    """Print a line per run and the two counts."""
    verified = refused = 0
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        os.environ["XDG_DATA_HOME"] = folder
        for number in range(NUM_RUNS):
            receipt, path = _receipt(number), Path("receipt.json")
            path.write_text(receipt.model_dump_json(), encoding="utf-8")
            honest = _verdict(path)
            change, is_sealed = WAYS[number // len(CONFIGS) % len(WAYS)]
            content = receipt.model_dump(mode="json")
            change(content)
            altered = Receipt.model_validate(content)
            path.write_text((altered.sealed() if is_sealed else altered).model_dump_json(), encoding="utf-8")
            found = _verdict(path)
            verified += honest == "same_bits"
            refused += found == "not_reproduced" or found.startswith("refused")
            print(
                f"{receipt.run} seed {number}: {honest}; {change.__name__[1:]}, sealed {is_sealed}: {found}", flush=True
            )
    print(f"honest runs verified: {verified} of {NUM_RUNS}; altered receipts refused: {refused} of {NUM_RUNS}")


if __name__ == "__main__":
    main()

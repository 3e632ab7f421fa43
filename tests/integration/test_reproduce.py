"""The commands `receipt` and `reproduce`: what they print, and how they end."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nnclassify.inference.receipt import Receipt

pytestmark = pytest.mark.slow
Program = Callable[..., subprocess.CompletedProcess[str]]


def test_a_receipt_is_reproduced_or_refused(nnclassify: Program, place: Path) -> None:
    assert nnclassify("train", "xor_2", "epochs=20", "name=mine", "--no-plots").returncode == 0
    made = nnclassify("receipt", "mine", "--out", "mine.json")
    assert made.stdout == "receipt: mine.json; train it again with: nnclassify reproduce mine.json\n"
    honest = nnclassify("reproduce", "mine.json")
    assert honest.returncode == 0 and honest.stdout.startswith("same bits: weights, predictions and metrics are those")
    content = json.loads((place / "mine.json").read_text())
    content["figures"]["train"]["loss"] *= 0.5
    (place / "altered.json").write_text(json.dumps(content))
    refused = nnclassify("reproduce", "altered.json")
    assert refused.returncode == 2 and refused.stderr.startswith("error: altered.json: altered since it was written: ")
    (place / "sealed.json").write_text(Receipt.model_validate(content).sealed().model_dump_json())
    other = nnclassify("reproduce", "sealed.json", "--json")
    assert other.returncode == 3 and json.loads(other.stdout)["verdict"] == "not_reproduced"

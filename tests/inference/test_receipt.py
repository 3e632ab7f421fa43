"""Receipts: what they hold, what is refused, and what training again says about them."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import BLOBS, config_of, loaded

from nnclassify import run
from nnclassify.cli.receipt import reproduced
from nnclassify.errors import CheckpointError, DataError, InputError
from nnclassify.inference.receipt import Answers, Receipt, Version, read_receipt, receipt_of, reproduction
from nnclassify.runs.folder import RunFolder

Content = dict[str, Any]


def trained(**values: Any) -> RunFolder:
    usual = {"dataset": {**BLOBS, "std": 1.5, "validation": 0.2}, "compile": "off"}
    config = config_of(**{**usual, **values})
    return run.train(replace(loaded(config), name="run"), with_report=False).folder


@pytest.fixture(scope="module")
def receipt(tmp_path_factory: pytest.TempPathFactory) -> Receipt:
    """That of one run, for tests that change what it says."""
    with contextlib.chdir(tmp_path_factory.mktemp("receipt")):
        return receipt_of(trained())


def written(receipt: Receipt, change: Callable[[Content], object] = lambda content: None, *, seal: bool = True) -> Path:
    """Write a receipt with changed content; with `seal`, its SHA-256 is that of the changed content."""
    content = receipt.model_dump(mode="json")
    change(content)
    changed = Receipt.model_validate(content)
    path = Path("receipt.json")
    path.write_text((changed.sealed() if seal else changed).model_dump_json())
    return path


def with_answers(content: Content, split: str, change: Callable[[np.ndarray], object]) -> Content:
    """Change which examples are predicted correctly, and the accuracy with them."""
    count = content["data"][split]["num_examples"]
    bits = Answers(**content["answers"][split]).bits(count)
    change(bits)
    content["answers"][split]["correct"] = base64.b64encode(np.packbits(bits).tobytes()).decode()
    content["figures"][split]["accuracy"] = float(bits.mean())
    return content


def said_elsewhere(content: Content) -> Content:
    """Claim another torch, which excuses other weights; return the figures."""
    content["environment"]["torch"], content["weights"] = "2.0", "0" * 64
    figures: Content = content["figures"]
    return figures


def from_elsewhere(content: Content) -> None:
    """Claim wrong predictions where they are correct, too."""
    said_elsewhere(content)
    with_answers(content, "test", lambda bits: np.logical_not(bits, out=bits))


@pytest.mark.parametrize("version", [1, 2])
def test_a_run_comes_out_again_bit_for_bit(version: Version, here: Path) -> None:
    folder = trained(seed=3)
    receipt = receipt_of(folder, version)
    assert receipt.seeds == {"seed": 3} and receipt.data["test"].num_examples == 30
    result = json.loads(folder.result.read_text())
    assert receipt.figures["test"] == result["test"]
    assert receipt.answers["test"].bits(30).mean() == pytest.approx(result["test"]["accuracy"])
    assert read_receipt(written(receipt)) == receipt
    again, found = reproduced(written(receipt))
    assert found.verdict == "same_bits" and again.name == "run-reproduced" and found.environment == {}
    assert receipt_of(again, version).answers == receipt.answers and receipt_of(again).weights == receipt.weights


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["figures"]["test"].update(loss=0.001),
        lambda content: content.update(weights="0" * 64),
        lambda content: content["config"]["optimizer"].update(lr=0.051),
        lambda content: content.update(best_epoch=1, epochs=1),
        lambda content: content["answers"]["test"].update(sha256="0" * 64),
        lambda content: with_answers(content, "test", lambda bits: bits.fill(True)),
        from_elsewhere,
        lambda content: said_elsewhere(content)["test"].update(log_loss=0.001),
        lambda content: said_elsewhere(content)["test"].update(f1_macro=0.3),
        lambda content: said_elsewhere(content)["train"].update(accuracy=0.5),
    ],
)
def test_a_receipt_that_was_altered_and_sealed_again_is_not_reproduced(
    here: Path, receipt: Receipt, change: Callable[[Content], object]
) -> None:
    path = written(receipt, change)
    assert reproduced(path)[1].verdict == "not_reproduced"


@pytest.mark.parametrize(
    ("change", "seal", "message"),
    [
        (lambda content: content["figures"]["test"].update(accuracy=0.99), False, "does not match its SHA-256"),
        (lambda content: content["figures"]["test"].update(accuracy=0.5), True, "its test accuracy is 50.0%, but "),
        (lambda content: content["config"].update(seed=1), True, "its seeds are not those of its config"),
        (lambda content: content["data"]["test"].update(num_examples=99), True, "not those of 99 test examples"),
        (lambda content: content["data"].pop("test"), True, "predictions for the test split, but no digest of it"),
    ],
)
def test_a_receipt_that_contradicts_itself_is_refused(
    here: Path, receipt: Receipt, change: Callable[[Content], object], seal: bool, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_receipt(written(receipt, change, seal=seal))


def test_what_is_no_receipt_is_refused(here: Path) -> None:
    Path("other.json").write_text('{"receipt": 1, "run": "a"}')
    with pytest.raises(
        InputError, match=r"other.json: not a receipt of `nnclassify receipt` \(config: Field required\)"
    ):
        read_receipt(Path("other.json"))
    with pytest.raises(InputError, match="cannot be read"):
        read_receipt(Path("missing.json"))


def test_other_data_is_refused_before_training(here: Path) -> None:
    path = written(receipt_of(trained()), lambda content: content["data"]["test"].update(digest="0" * 64))
    with pytest.raises(DataError, match="the test split here is not that of the receipt"):
        reproduced(path)
    with pytest.raises(InputError, match=r"optimizer\.lr: cannot be set here"):
        reproduced(written(receipt_of(RunFolder(Path("checkpoints/run")))), ["optimizer.lr=1"])


def test_another_environment_may_change_the_bits(here: Path) -> None:
    folder = trained()
    receipt, other = receipt_of(folder), receipt_of(trained(seed=1))
    intervals = json.loads(folder.result.read_text())["intervals"]
    elsewhere = receipt.model_copy(update={"weights": "0" * 64, "environment": {**receipt.environment, "torch": "9"}})
    found = reproduction(elsewhere, receipt, intervals)
    assert found.verdict == "within_spread" and found.environment == {"torch": ("9", receipt.environment["torch"])}
    assert reproduction(receipt, other, intervals).verdict == "not_reproduced"


def test_a_run_that_is_not_finished_has_no_receipt(here: Path) -> None:
    folder = trained()
    folder.result.unlink()
    with pytest.raises(
        CheckpointError, match="the run is not finished; continue it with: nnclassify train --resume run"
    ):
        receipt_of(folder)


def test_a_run_without_its_config_has_no_receipt(here: Path) -> None:
    folder = trained()
    folder.config.unlink()
    with pytest.raises(CheckpointError, match=r"run/config.yaml: missing; `nnclassify train --resume run` writes it"):
        receipt_of(folder)


def test_examples_that_are_called_otherwise_change_no_receipt(here: Path) -> None:
    rows = [f"{value},{value % 7},{'low' if value < 30 else 'high'}" for value in range(60)]
    Path("table.csv").write_text("\n".join(["a,b,label", *rows]))
    folder = trained(dataset={"name": "csv", "path": "table.csv", "test": 0.3, "validation": 0.3})
    path = written(receipt_of(folder))
    Path("table.csv").write_text("\n\n".join(["a,b,label", *rows]))  # rows are called by their lines
    again, found = reproduced(path)
    assert found.verdict == "same_bits" and again.predictions.read_text() != folder.predictions.read_text()

"""Receipts: a small file that says what a run was made from and what came out, so that others can train it again.

A receipt holds the config, the digests of the data, the environment, the metrics, which examples were predicted
correctly, and the digests of weights, predictions, and of all that. To reproduce it is to train its config, to make the
receipt of that run, and to compare the two.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nnclassify.config.run_config import LoadedConfig, load_config, load_source
from nnclassify.config.yaml_reader import YamlSource
from nnclassify.data import Splits
from nnclassify.errors import CheckpointError, DataError, InputError, shell_command, some
from nnclassify.evaluation.intervals import wilson_interval
from nnclassify.evaluation.metrics import METRICS
from nnclassify.evaluation.percent import percent
from nnclassify.evaluation.significance import ALPHA, mcnemar_between_seeds
from nnclassify.files.csv_cells import read_csv
from nnclassify.files.json_files import first_problem
from nnclassify.files.paths import content_of
from nnclassify.inference.predictions import read_correct
from nnclassify.runs.checkpoint import content_digest, load_checkpoint
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.group_summary import result_of
from nnclassify.runs.manifest import read_manifest
from nnclassify.runs.provenance import read_provenance
from nnclassify.runs.recorders import COMPILED_AT_FIRST
from nnclassify.settings import flat

OF_THE_BITS = ("nnclassify", "torch", "machine", "instructions", "device", "threads", "processes", "steps")
"""Entries of the environment that decide the last bits of a result."""

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Version = Literal[1, 2]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SplitFacts(_Part):
    """A split of the data: its digest, and its number of examples."""

    digest: Digest
    num_examples: Annotated[int, Field(ge=1)]


class Answers(_Part):
    """What the network predicts for a split.

    Attributes:
        sha256: The digest of the rows of `predictions.csv`, in the order of the alphabet; since version 2 of the format
            without the names of the examples.
        correct: A bit per example, in the order of `manifest.csv`: whether it is predicted correctly; in base64.
    """

    sha256: Digest
    correct: str

    def bits(self, count: int) -> np.ndarray:
        """Return whether each of `count` examples is predicted correctly, `(count,)`.

        Raises:
            ValueError: There are not as many bits.
        """
        packed = np.frombuffer(base64.b64decode(self.correct, validate=True), dtype=np.uint8)
        if len(packed) != -(-count // 8):
            raise ValueError(f"{8 * len(packed)} bits for {count} examples")
        return np.unpackbits(packed, count=count).astype(bool)


class Receipt(_Part):
    """The receipt of a run.

    Attributes:
        receipt: The version of the format; see `Answers`.
        run: The name of the run.
        config: The config, as in `config.yaml`.
        seeds: Every seed in the config, by dotted path.
        environment: What the run was executed with; see `Provenance`.
        data: The splits, by name.
        epochs: The number of epochs.
        best_epoch: The epoch of the weights.
        figures: The metrics by split and by name, as in `result.json`.
        answers: What is predicted for the validation and test splits, by split.
        weights: The digest of the weights.
        sha256: The digest of everything above.
    """

    receipt: Version = 2
    run: str
    config: dict[str, Any]
    seeds: dict[str, int]
    environment: dict[str, str]
    data: dict[str, SplitFacts]
    epochs: int
    best_epoch: int
    figures: dict[str, dict[str, Any] | None]
    answers: dict[str, Answers]
    weights: Digest
    sha256: str = ""

    def sealed(self) -> Receipt:
        """Return the receipt with the digest of its content."""
        return self.model_copy(update={"sha256": self.digest()})

    def digest(self) -> str:
        """Return the digest of everything but the digest itself."""
        content = self.model_dump(mode="json", exclude={"sha256"})
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def contradiction(self) -> str:
        """Return what in the receipt contradicts something else in it; empty if nothing does."""
        if self.seeds != _seeds(self.config):
            return "its seeds are not those of its config"
        for split, answers in self.answers.items():
            if (facts := self.data.get(split)) is None:
                return f"it has predictions for the {split} split, but no digest of it"
            try:
                share = float(answers.bits(facts.num_examples).mean())
            except (ValueError, binascii.Error):
                return f"its predictions are not those of {facts.num_examples} {split} examples"
            told = (self.figures.get(split) or {}).get("accuracy")
            if told is not None and abs(told - share) > 1e-6:
                return f"its {split} accuracy is {percent(told)}, but {percent(share)} of its predictions are correct"
        return ""


def _seeds(config: dict[str, Any]) -> dict[str, int]:
    return {key: value for key, value in flat(config).items() if key.rpartition(".")[2] == "seed"}


def receipt_of(folder: RunFolder, version: Version = 2) -> Receipt:
    """Make the receipt of a finished run from its folder.

    Args:
        folder: The folder of the run.
        version: The version of the format, such as that of a receipt to compare with.

    Raises:
        CheckpointError: The run is not finished, or a file is missing or damaged.
        ConfigError: Its config is damaged.
    """
    result, best = _result(folder), load_checkpoint(folder.best)
    manifest, provenance = read_manifest(folder.manifest), read_provenance(folder.provenance)
    if manifest is None or provenance is None or best.split_digests is None:
        missing = folder.manifest if manifest is None else folder.provenance
        raise CheckpointError(f"{missing}: missing or damaged, so no receipt can be made; train the run again")
    if not folder.config.is_file():
        again = shell_command("train", "--resume", folder.name)
        raise CheckpointError(f"{folder.config}: missing; `{again}` writes it again")
    if best.epoch != result.get("best_epoch"):
        raise CheckpointError(f"{folder.best}: not the weights that {folder.result} is about; train the run again")
    config = load_config(str(folder.config), of_run=True).config.model_dump(mode="json", exclude_none=True)
    steps = "compiled, later eager" if content_of(folder.config).startswith(COMPILED_AT_FIRST.encode()) else "all alike"
    parts = {split: manifest.part(split).names for split in best.split_digests}
    digests = {split: digest for split, digest in best.split_digests.items() if parts[split]}
    answers = {split: _answers(folder, split, parts[split], version) for split in digests}
    return Receipt(
        receipt=version,
        run=folder.name,
        config=config,
        seeds=_seeds(config),
        environment={**provenance.environment, "steps": steps},
        data={split: SplitFacts(digest=digest, num_examples=len(parts[split])) for split, digest in digests.items()},
        epochs=result["epochs"],
        best_epoch=best.epoch,
        figures={split: result[split] for split in ("train", "validation", "test")},
        answers={split: found for split, found in answers.items() if found is not None},
        weights=content_digest(best.model),
    ).sealed()


def _result(folder: RunFolder) -> dict[str, Any]:
    if (found := result_of(folder)) is not None:
        return found
    if not folder.config.is_file():
        raise CheckpointError(f"{folder.path}: contains no config.yaml; expected a run folder")
    hint = shell_command("train", "--resume", folder.name)
    raise CheckpointError(f"{folder.path}: the run is not finished; continue it with: {hint}")


def _answers(folder: RunFolder, split: str, names: list[str], version: Version) -> Answers | None:
    """Return what `predictions.csv` has on a split; None if it has not each of its examples."""
    is_correct = read_correct(folder.predictions, split)
    if not is_correct.keys() >= set(names):
        return None
    # Rows of a table are called by their lines, which an empty line before them changes, but not what they hold.
    named = (row for row in read_csv(folder.predictions) if row and row[0] == split)
    rows = sorted(json.dumps(row if version == 1 else [split, *row[2:]]) for row in named)
    packed = np.packbits([is_correct[name] for name in names]).tobytes()
    digest = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    return Answers(sha256=digest, correct=base64.b64encode(packed).decode())


def read_receipt(path: Path) -> Receipt:
    """Read a receipt.

    Raises:
        InputError: It cannot be read, is no receipt, or was altered.
    """
    try:
        receipt = Receipt.model_validate_json(content_of(path))
    except OSError as cause:
        raise InputError(f"{path}: cannot be read ({cause.strerror or cause}); expected a receipt") from cause
    except ValidationError as error:
        raise InputError(f"{path}: not a receipt of `nnclassify receipt` ({first_problem(error)})") from error
    if receipt.sha256 != receipt.digest():
        raise InputError(f"{path}: altered since it was written: its content does not match its SHA-256")
    if contradiction := receipt.contradiction():
        raise InputError(f"{path}: altered since it was written: {contradiction}")
    return receipt


PLACES = ("device", "dataset.cache")
"""Keys that may be other than in the receipt, besides those that say where files are."""


def config_of(receipt: Receipt, path: Path, overrides: Sequence[str]) -> LoadedConfig:
    """Return the config of a receipt, which trains with as many threads as its run did.

    Args:
        receipt: The receipt.
        path: Its file, for messages.
        overrides: `a.b=value` each: where files are, or the device.

    Raises:
        ConfigError: The config, or an override, is wrong.
        InputError: An override would train another run.
    """
    name = f"{receipt.run}-reproduced"
    threads = receipt.environment.get("threads", "")
    known = {**receipt.config, **({"threads": int(threads)} if threads.isdecimal() else {})}
    before = load_source(YamlSource(str(path), known), name, of_run=True).config
    loaded = load_source(YamlSource(str(path), known), name, overrides, of_run=True)
    old, new = (flat(config.model_dump(mode="json", exclude_none=True)) for config in (before, loaded.config))
    allowed = {*before.places(), *PLACES}
    changed = sorted(key for key in {*old, *new} if old.get(key) != new.get(key) and key not in allowed)
    if changed:
        raise InputError(f"{changed[0]}: cannot be set here, since the receipt is about another value of it")
    return LoadedConfig(loaded.config, loaded.source, name)


def check_data(receipt: Receipt, path: Path, splits: Splits) -> None:
    """Check that data is that of a receipt.

    Raises:
        DataError: It is not; the message lists the splits.
    """
    found = splits.digests()
    problems = [
        f"{path}: the {split} split here is not that of the receipt (its digest differs), so runs cannot be compared"
        for split, facts in receipt.data.items()
        if found.get(split) != facts.digest
    ]
    if problems:
        raise DataError(problems)


Intervals = Mapping[str, Mapping[str, tuple[float, float]] | None]
"""The 95% interval of each metric, by split and by name, as in `result.json`."""
Verdict = Literal["same_bits", "within_spread", "not_reproduced"]


@dataclass(frozen=True)
class Reproduction:
    """How a run compares with the receipt that it was trained from.

    Attributes:
        verdict: `same_bits`: weights, predictions and metrics are the same. `within_spread`: another environment has
            changed the bits, the predictions differ by no more than those of another seed would, and the metrics by no
            more than those of other examples. `not_reproduced`: neither.
        why: Why, in words.
        environment: What differs in the environment: what it was, and what it is here, by name.
        accuracies: The accuracy in the receipt and here, by split.
    """

    verdict: Verdict
    why: str
    environment: dict[str, tuple[str, str]]
    accuracies: dict[str, tuple[float, float]]


def reproduction(before: Receipt, now: Receipt, intervals: Intervals) -> Reproduction:
    """Compare the receipt of a run with that of a run that was trained from it, whose metrics have these intervals."""
    names = [name for name in OF_THE_BITS if before.environment.get(name) != now.environment.get(name)]
    environment = {name: (before.environment.get(name, "-"), now.environment.get(name, "-")) for name in names}
    verdict, why = _verdict(before, now, environment, intervals)
    return Reproduction(verdict, why, environment, _accuracies(before, now))


def _verdict(
    before: Receipt, now: Receipt, environment: dict[str, tuple[str, str]], intervals: Intervals
) -> tuple[Verdict, str]:
    common = before.answers.keys() & now.answers.keys()
    shown = [split for split in now.figures if before.figures.get(split) and now.figures[split]]
    is_same = all(before.answers[split] == now.answers[split] for split in common) and all(
        before.figures[split] == now.figures[split] for split in shown
    )
    if before.weights == now.weights:
        if is_same and (before.epochs, before.best_epoch) == (now.epochs, now.best_epoch):
            return "same_bits", "weights, predictions and metrics are those of the receipt, bit for bit"
        why = "the weights are those of the receipt, but not its metrics or predictions: it was altered"
        return "not_reproduced", why
    if not environment and now.environment.get("device") == "cpu":  # a GPU may add in another order each time
        why = "the environment is that of the receipt, but the weights are not: it was altered, or training varies here"
        return "not_reproduced", why
    if not common:
        return "not_reproduced", "the weights differ, and the receipt has no predictions to compare"
    for split in sorted(common):
        count = before.data[split].num_examples
        was, is_now = before.answers[split].bits(count), now.answers[split].bits(count)
        p_value = mcnemar_between_seeds(int((was & ~is_now).sum()), int((~was & is_now).sum()))
        if p_value < ALPHA:
            why = f"{split} predictions differ by more than those of another seed would (p = {p_value:.1g})"
            return "not_reproduced", why
    if far := _far_figures(before, now, intervals):
        return "not_reproduced", f"metrics of the receipt are far from those here: {some(far, 5)}"
    return "within_spread", "the bits differ, but the predictions differ no more than those of another seed would"


def _far_figures(before: Receipt, now: Receipt, intervals: Intervals) -> list[str]:
    """Return the metrics of a receipt that are far outside of the intervals of those here.

    Only accuracies can be compared example by example. What another seed or environment changes in the other metrics is
    less than what other examples would, so none of them is further outside of its interval here than half its width.
    """
    train = (now.figures.get("train") or {}).get("accuracy")
    count = now.data["train"].num_examples
    of_train = {} if train is None else {"accuracy": wilson_interval(round(train * count), count)}
    far = []
    for split, known in {**intervals, "train": of_train}.items():
        was, is_now = before.figures.get(split) or {}, now.figures.get(split) or {}
        for name, (low, high) in (known or {}).items():
            margin, told = (high - low) / 2, was.get(name)
            if told is not None and name in is_now and not low - margin <= told <= high + margin:
                text = METRICS[name].text
                far.append(f"{split} {METRICS[name].label} {text(told)} instead of {text(is_now[name])}")
    return far


def _accuracies(before: Receipt, now: Receipt) -> dict[str, tuple[float, float]]:
    pairs = {split: ((before.figures.get(split) or {}), (now.figures.get(split) or {})) for split in now.figures}
    return {
        split: (was["accuracy"], is_now["accuracy"])
        for split, (was, is_now) in pairs.items()
        if "accuracy" in was and "accuracy" in is_now
    }

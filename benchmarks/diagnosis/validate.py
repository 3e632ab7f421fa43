"""Train the cases of a set, without `check`: python -m benchmarks.diagnosis.validate --set held_out_2.

A faulty case holds where each seed reaches at most 95% of the median of its healthy twin's, on held-out examples. A
healthy one holds where its median is at least 95% of the best that variants reach with seed 0: a third of the learning
rate, three times it, twice the epochs, and a plain network; slow ones are not compared. Scores are mean accuracies of
the classes of the best epoch, as a user gets it; a run that fails has 0.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.diagnosis.cases import Values
from benchmarks.diagnosis.sets import SETS, Case, cases_of, load_case, with_changes, write_files
from nnclassify.errors import NNClassifyError
from nnclassify.evaluation.metrics import balanced_accuracy
from nnclassify.evaluation.outputs import outputs_of
from nnclassify.evaluation.percent import percent
from nnclassify.training.build import Components, build_components, build_trainer
from nnclassify.training.history import Row
from nnclassify.training.trainer import Observer, Trainer

SHARE = 0.95
PLAIN_NET: Values = {
    "model": {"name": "mlp", "hidden": [64]},
    "loss": "cross_entropy",
    "optimizer": {"name": "adam", "lr": 0.003},
    "dataset.normalize": "standard",
    "batch_size": 32,
    "epochs": 60,
}
Reached = dict[str, list[float]]


class BestEpoch(Observer):
    """Keeps the weights of the best epoch, as `best.pt` does."""

    weights: dict[str, Any]

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """Copy the weights of the best epoch so far."""
        if trainer.is_best:
            self.weights = copy.deepcopy(trainer.evaluated_model().state_dict())


def main() -> None:
    """Train what is not in the file of figures yet, the quick cases first, and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", choices=SETS, default="held_out_2")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="cases whose name holds this text")
    parser.add_argument("--without-slow", action="store_true", help="leave out the networks that need minutes")
    parser.add_argument("--no-variants", action="store_true", help="do not train other variants of healthy cases")
    parser.add_argument("--figures", type=Path, help="keep the figures in this file, and train nothing that is in it")
    parser.add_argument("--mnist", default="data", help="the folder that holds MNIST and cifar10/")
    options = parser.parse_args()
    figures = options.figures.resolve() if options.figures is not None else None
    known: Reached = json.loads(figures.read_text()) if figures is not None and figures.exists() else {}
    data = str(Path(options.mnist).resolve())
    quick = cases_of(options.set, with_slow=False)
    names = {case.name for case in quick}
    slow = [] if options.without_slow else [case for case in cases_of(options.set) if case.name not in names]
    print("| case | held-out accuracy by seed | against | holds |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder))
        os.chdir(folder)
        for case in (case for case in [*quick, *slow] if options.only in case.name):
            with_variants = not options.no_variants and case.name in names
            print(_line(case, options.seeds, data, known, with_variants), flush=True)
            if figures is not None:
                figures.write_text(json.dumps(known, indent=1))


def _line(case: Case, seeds: int, data: str, known: Reached, with_variants: bool) -> str:
    """A row of the table: what a case reaches, and what it is held against."""
    found = _reached(case.name, case.config, seeds, data, known)
    if case.twin is not None and case.twin_config is not None:
        against = _reached(case.twin, case.twin_config, seeds, data, known)
        holds = max(found) <= SHARE * statistics.median(against)
        return f"| {case.name} | {_text(found)} | twin {_text(against)} | {'yes' if holds else 'NO'} |"
    if not with_variants:
        return f"| {case.name} | {_text(found)} | - | not compared |"
    variants = _variants(case.config)
    others = {name: _reached(f"{case.name}/{name}", it, 1, data, known) for name, it in variants.items()}
    best = max(others, key=lambda name: others[name])
    holds = statistics.median(found) >= SHARE * others[best][0]
    return f"| {case.name} | {_text(found)} | {best} {_text(others[best])} | {'yes' if holds else 'NO'} |"


def _variants(config: Values) -> dict[str, Values]:
    """What else a reasonable person would try."""
    optimizer = config["optimizer"]
    rates = {f"lr x {factor:g}": {"optimizer.lr": optimizer["lr"] * factor} for factor in (1 / 3, 3.0)}
    changes = {**rates, "epochs x 2": {"epochs": 2 * config["epochs"]}, "plain network": PLAIN_NET}
    return {name: with_changes(config, change) for name, change in changes.items()}


def _reached(name: str, config: Values, seeds: int, data: str, known: Reached) -> list[float]:
    """The held-out accuracy with each seed, from the figures or by training."""
    while len(known.setdefault(name, [])) < seeds:
        known[name].append(round(_trained(name, config, len(known[name]), data), 3))
    return known[name][:seeds]


def _trained(name: str, config: Values, seed: int, data: str) -> float:
    plain = with_changes(config, {"threads": 1, "compile": "off"})
    started = time.perf_counter()
    try:
        components = build_components(load_case(plain, name, seed, data).config)
        best = BestEpoch()
        build_trainer(components, [best]).fit()
        components.model.load_state_dict(best.weights)
        return _held_out(components)
    except NNClassifyError as error:
        print(f"<!-- {name}, seed {seed}: {error} -->", flush=True)
        return 0.0
    finally:
        if (seconds := time.perf_counter() - started) > 30:
            print(f"<!-- {name}, seed {seed}: {seconds:.0f} s -->", flush=True)


def _held_out(components: Components) -> float:
    """The mean accuracy of the classes on test examples; 0 where outputs are not finite."""
    if components.splits.test is None:
        raise ValueError("a case without test examples cannot be validated")
    outputs = outputs_of(components.model, components.splits.test, components.transform, components.placement)
    if not bool(torch.isfinite(outputs).all()):
        return 0.0
    return balanced_accuracy(components.loss_fn.predictions(outputs), components.splits.test.all_targets())


def _text(values: list[float]) -> str:
    return ", ".join(percent(value) for value in values)


if __name__ == "__main__":
    main()

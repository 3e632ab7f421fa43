"""`python -m benchmarks.calibration RUN...`: do probabilities, prediction sets, risks and flags keep what they promise?

For each run with a validation split of its own: the scores before and after calibration on its test split, and the
calibration error over 200 random divisions of validation and test examples; how often sets contain the true class on
the test split, and on average over the divisions, with the sampling error that divisions of such sizes have; the errors
among the answered examples; and how often test examples, noise and other images are flagged as unlike the training
data.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from nnclassify.data import Examples, Splits
from nnclassify.evaluation.calibration import Calibration, calibrated
from nnclassify.evaluation.conformal import ConformalScores, coverage_of, true_scores
from nnclassify.evaluation.novelty import MAX_FIT, Novelty
from nnclassify.evaluation.reliability import reliability
from nnclassify.evaluation.temperature import fit_temperature
from nnclassify.inference.classifier import Classifier, load_run
from nnclassify.inference.evaluate import splits_of
from nnclassify.losses.loss_function import LossFunction

COVERAGES, RISKS = (0.8, 0.9, 0.95, 0.99), (0.01, 0.02, 0.05, 0.1)
DIVISIONS, NUM_OTHERS = 200, 500


def main() -> None:
    """Measure each run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--others", type=Path, help="a folder of other images, which should be flagged")
    arguments = parser.parse_args()
    for run in arguments.runs:
        classifier = load_run(run).calibrated(None)
        for line in _measured(classifier, splits_of(classifier), arguments.others):
            print(line, flush=True)


def _measured(classifier: Classifier, splits: Splits, others: Path | None) -> Iterator[str]:
    validation, test = splits.validation, splits.test
    assert validation is not None and test is not None and not splits.validation_is_test, "no validation split"
    outputs, features = classifier.outputs_and_features(validation)
    test_outputs, test_features = classifier.outputs_and_features(test)
    targets, test_targets = validation.all_targets(), test.all_targets()
    found = Calibration.fit(outputs, targets, classifier.loss_fn, None, None)
    loss_fn = calibrated(classifier.loss_fn, found)
    before, shares = classifier.loss_fn.probabilities(test_outputs), loss_fn.probabilities(test_outputs)
    changed = int((loss_fn.predictions(test_outputs) != classifier.loss_fn.predictions(test_outputs)).sum())
    yield f"{classifier.path}: temperature {found.temperature:.4f}; predictions changed: {changed}"
    yield f"  {len(outputs):,} validation examples, {len(test_outputs):,} test examples"
    for name, probabilities in (("before", before), ("after", shares)):
        scores = reliability(probabilities, test_targets, probabilities.argmax(dim=1)).summary()
        yield f"  {name:6} " + ", ".join(f"{score} {value:.5f}" for score, value in scores.items())
    yield _errors(classifier.loss_fn, outputs, targets, test_outputs, test_targets)
    yield from _sets(found, loss_fn.probabilities(outputs), targets, shares, test_targets)
    correct, confidence = loss_fn.predictions(test_outputs) == test_targets, shares.amax(dim=1)
    assert found.risks is not None
    for risk in RISKS:
        if (threshold := found.risks.threshold_for(risk)) is None:
            yield f"  risk {risk:.0%}: not shown by the validation split"
        else:
            answered = confidence >= threshold
            wrong = float((~correct[answered]).double().mean())
            yield f"  risk {risk:.0%}: {float(answered.double().mean()):.1%} answered, {wrong:.2%} of these wrong"
    some = replace(splits.train, indices=splits.train.indices[splits.train.spaced_rows(MAX_FIT)])
    novelty = Novelty.fit(classifier.outputs_and_features(some)[1], some.all_targets(), outputs, features)
    if novelty is not None:
        flagged = {"test": float(novelty.is_unlike(test_outputs, test_features).double().mean())}
        for name, raw in _strange(classifier, test, others):
            rows = Examples(raw, torch.zeros(len(raw), dtype=torch.int64), torch.arange(len(raw)))
            flagged[name] = float(novelty.is_unlike(*classifier.outputs_and_features(rows)).double().mean())
        yield "  unlike the training data: " + ", ".join(f"{name} {share:.1%}" for name, share in flagged.items())


def _errors(loss_fn: LossFunction, *known: Tensor) -> str:
    """Say how calibration changes the calibration error over random divisions: on one split that may be chance."""
    outputs, targets, test_outputs, test_targets = known
    every, labels, count = torch.cat([outputs, test_outputs]), torch.cat([targets, test_targets]), len(targets)
    errors = []
    for order in _divisions(len(labels)):
        fitted, judged = order[:count], order[count:]
        found = Calibration(count, fit_temperature(every[fitted], labels[fitted], loss_fn))
        both = (each.probabilities(every[judged]) for each in (loss_fn, calibrated(loss_fn, found)))
        errors.append([reliability(each, labels[judged], each.argmax(dim=1)).summary()["ece"] for each in both])
    before, after = np.mean(errors, axis=0)
    lowered = statistics.mean(after < before for before, after in errors)
    return f"  ece over {DIVISIONS} divisions: {before:.5f} to {after:.5f}, lowered in {lowered:.0%} of them"


def _divisions(count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randperm(count, generator=generator) for _ in range(DIVISIONS)]


def _sets(found: Calibration, validation: Tensor, targets: Tensor, test: Tensor, test_targets: Tensor) -> Iterator[str]:
    """Compare the coverage on the test split, and over random divisions, with what is expected."""
    assert found.scores is not None
    probabilities, every = torch.cat([validation, test]), torch.cat([targets, test_targets])
    scores, count = true_scores(probabilities, every), len(targets)
    orders = _divisions(len(every))
    for coverage in COVERAGES:
        on_test = coverage_of(found.scores.sets(test, coverage), test_targets)
        divided = []
        for order in orders:
            limit = ConformalScores.of(scores[order[:count]]).limit(coverage)
            divided.append(float((scores[order[count:]] <= limit).double().mean()))
        expected = math.ceil((count + 1) * coverage) / (count + 1)
        # That of a beta-distributed coverage (Vovk, 2012), and of counting it in the test examples.
        error = math.sqrt(expected * (1 - expected) * (1 / (count + 2) + 1 / len(test)))
        yield (
            f"  sets {coverage:.0%}: on test {on_test['coverage']:.2%} "
            f"(expected {expected:.2%} +- {1.96 * error:.2%}), "
            f"{on_test['mean_size']:.2f} classes; over {DIVISIONS} divisions {statistics.mean(divided):.2%}"
        )


def _strange(classifier: Classifier, test: Examples, others: Path | None) -> Iterator[tuple[str, Tensor]]:
    """Yield inputs that are no examples of the data: noise, columns drawn apart; letters and other images."""
    raw, _ = test.select(torch.arange(min(NUM_OTHERS, len(test))))
    rng = np.random.default_rng(0)
    if raw.ndim == 2:
        apart = np.stack([rng.permutation(column) for column in raw.numpy().T], axis=1)
        yield "columns shuffled apart", torch.from_numpy(apart)
        yield "ten times as large", raw * 10
        return
    shape = tuple(raw.shape)
    yield "uniform noise", torch.from_numpy(rng.integers(0, 256, shape)).to(raw.dtype)
    yield "inverted", (255 - raw.float()).to(raw.dtype)
    yield "letters", _images(_letters(), shape, raw.dtype)
    if others is not None:
        paths = sorted(path for path in others.rglob("*") if path.is_file())
        chosen = paths[:: max(1, len(paths) // NUM_OTHERS)][:NUM_OTHERS]
        yield str(others), _images([Image.open(path) for path in chosen], shape, raw.dtype)


def _letters() -> list[Image.Image]:
    images = []
    for letter in "ABCDEFGHJKLMNPRTUVWXYZ":
        image = Image.new("L", (64, 64))
        ImageDraw.Draw(image).text((32, 32), letter, 255, ImageFont.load_default(52), anchor="mm")
        images.append(image)
    return images


def _images(images: list[Image.Image], shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Return images as raw inputs `(N, C, H, W)` of a network whose inputs have that shape."""
    mode, size = ("L" if shape[1] == 1 else "RGB"), (shape[3], shape[2])
    arrays = [np.array(image.convert(mode).resize(size, Image.Resampling.BILINEAR)) for image in images]
    return torch.from_numpy(np.stack(arrays).reshape(len(arrays), *size[::-1], -1)).permute(0, 3, 1, 2).to(dtype)


if __name__ == "__main__":
    main()

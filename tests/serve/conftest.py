"""Networks that answer, and clients that ask in the same process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import config_of
from fastapi.testclient import TestClient

from nnclassify.evaluation.calibration import Calibration
from nnclassify.evaluation.novelty import Novelty
from nnclassify.inference.classifier import Classifier
from nnclassify.serve.command import Settings, guarded_app
from nnclassify.serve.metrics import Metrics
from nnclassify.training.build import build_components

PEOPLE = {
    "label": "buys",
    "categories": {"city": "one_hot", "size": ["small", "large"], "member": "yes_no"},
    "dates": ["since"],
    "missing": "fill",
}
CONFIGS: dict[str, dict[str, Any]] = {
    "digits": {"dataset": {"name": "digits", "limit": 100}},
    "iris": {"dataset": {"name": "iris"}},
    "moons": {"dataset": {"name": "moons", "num_examples": 60}},
    "people": {"dataset": {"name": "csv", "path": "people.csv", **PEOPLE}},
    "signals": {"dataset": {"name": "tensors", "train_inputs": "x.npy", "train_targets": "y.npy"}},
    "tags": {
        "dataset": {"name": "csv", "path": "tags.csv", "label": ["red", "green"]},
        "loss": {"name": "bce_with_logits"},
    },
}
Serve = Callable[..., TestClient]


def write_data(folder: Path) -> None:
    """Write the files of `CONFIGS`: a table with gaps, signals `(N, 2, 5)`, and rows of several classes."""
    people = ["41,Rome,small,yes,2020-01-31,yes", ",Oslo,large,no,2021-03-04,no", "29,,small,no,,yes"]
    (folder / "people.csv").write_text("\n".join(["age,city,size,member,since,buys", *people * 20, ""]))
    rng = np.random.default_rng(0)
    np.save(folder / "x.npy", rng.normal(size=(60, 2, 5)))
    np.save(folder / "y.npy", np.arange(60) % 2)
    tags = [f"{x:.2f},{y:.2f},{int(x > 0)},{int(y > 0)}" for x, y in rng.normal(size=(60, 2))]
    (folder / "tags.csv").write_text("\n".join(["x,y,red,green", *tags, ""]))


def untrained(folder: Path, name: str) -> Classifier:
    """An untrained network of `CONFIGS`, which knows what is unlike its training data."""
    with contextlib.chdir(folder):
        built = build_components(config_of(**CONFIGS[name]))
    names = built.splits.class_names
    parts = (built.config, built.model.eval(), built.loss_fn, built.transform, names, built.placement)
    classifier = Classifier(Path(name) / "best.pt", *parts)
    outputs, features = classifier.outputs_and_features(built.splits.train)
    novelty = Novelty.fit(features, built.splits.train.all_targets(), outputs, features)
    return classifier.calibrated(Calibration(len(outputs), 1.0, novelty=novelty))


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Classifier]:
    """`network(name)`: a network of `CONFIGS`."""
    folder = tmp_path_factory.mktemp("data")
    write_data(folder)
    return cache(partial(untrained, folder))


@pytest.fixture
def serve(network: Callable[[str], Classifier]) -> Iterator[Serve]:
    """`serve(network, **settings)`: a client of a server that runs in this process."""
    with contextlib.ExitStack() as clients:

        def start(which: str | Classifier, **settings: Any) -> TestClient:
            classifier = network(which) if isinstance(which, str) else which
            metrics = Metrics(classifier.class_names)
            asked = Settings(hosts=["testserver"], **settings)
            app = guarded_app(classifier, asked, metrics, lambda error: f"a bug: {error!r}")
            return clients.enter_context(TestClient(app))

        yield start

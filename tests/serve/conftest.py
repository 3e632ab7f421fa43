"""Networks that answer, and clients that ask in the same process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from builders import config_of
from fastapi.testclient import TestClient

from nnclassify.evaluation.calibration import Calibration
from nnclassify.evaluation.novelty import Novelty
from nnclassify.inference.classifier import Classifier
from nnclassify.serve.command import Settings, guarded_app
from nnclassify.serve.metrics import Metrics
from nnclassify.training.build import build_components

DATASETS: dict[str, dict[str, Any]] = {
    "digits": {"name": "digits", "limit": 100},
    "iris": {"name": "iris"},
    "moons": {"name": "moons", "num_examples": 60},
}
Serve = Callable[..., TestClient]


@cache
def untrained(name: str) -> Classifier:
    """An untrained network on a dataset, which knows what is unlike its training data."""
    built = build_components(config_of(dataset=DATASETS[name]))
    names = built.splits.class_names
    parts = (built.config, built.model.eval(), built.loss_fn, built.transform, names, built.placement)
    classifier = Classifier(Path(name) / "best.pt", *parts)
    outputs, features = classifier.outputs_and_features(built.splits.train)
    novelty = Novelty.fit(features, built.splits.train.all_targets(), outputs, features)
    return classifier.calibrated(Calibration(len(outputs), 1.0, novelty=novelty))


@pytest.fixture(scope="session")
def network() -> Callable[[str], Classifier]:
    """`network(name)`: a network on one of `DATASETS`."""
    return untrained


@pytest.fixture
def serve(network: Callable[[str], Classifier]) -> Iterator[Serve]:
    """`serve(network, **settings)`: a client of a server that runs in this process."""
    with ExitStack() as clients:

        def start(which: str | Classifier, **settings: Any) -> TestClient:
            classifier = network(which) if isinstance(which, str) else which
            metrics = Metrics(classifier.class_names)
            asked = Settings(hosts=["testserver"], **settings)
            app = guarded_app(classifier, asked, metrics, lambda error: f"a bug: {error!r}")
            return clients.enter_context(TestClient(app))

        yield start

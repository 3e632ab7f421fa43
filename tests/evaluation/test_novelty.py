"""Inputs unlike the training data: distances by hand, and what is flagged."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis
from torch import Tensor, nn

from nnclassify.evaluation.features import features_of, recorded_features
from nnclassify.evaluation.novelty import RIDGE, Novelty


def drawn(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs, features around one place per class, and classes."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(count) % 3
    features = torch.randn(count, 4, generator=generator) * torch.tensor([1.0, 2.0, 0.5, 1.0])
    features[torch.arange(count), targets] += 8
    return features[:, :3], features, targets


def test_the_distance_is_that_of_mahalanobis_from_the_nearest_class() -> None:
    outputs, features, targets = drawn(300, 0)
    novelty = Novelty.fit(features, targets, outputs, features)
    assert novelty is not None
    means = [features[targets == one].double().mean(dim=0) for one in range(3)]
    apart = (features - torch.stack(means)[targets]).double()
    within = (apart.T @ apart / 300).numpy()
    inverse = np.linalg.inv(within + RIDGE * within.diagonal().mean() * np.eye(4))
    expected = [min(mahalanobis(row, mean, inverse) for mean in means) for row in features[:9].double()]
    assert novelty.scores(outputs[:9], features[:9])[0].tolist() == pytest.approx(expected, rel=1e-4)


def test_few_of_what_is_like_the_validation_split_and_all_of_what_is_not_are_flagged() -> None:
    _, features, targets = drawn(600, 0)
    novelty = Novelty.fit(features, targets, *drawn(2000, 1)[:2])
    assert novelty is not None
    new_outputs, new_features, _ = drawn(2000, 2)
    assert 0 < novelty.is_unlike(new_outputs, new_features).double().mean() < 0.025
    assert novelty.is_unlike(new_outputs, new_features + 20).all()
    assert novelty.is_unlike(new_outputs - 20, new_features).all()


def test_a_single_output_has_the_distance_alone_and_without_features_there_is_none() -> None:
    outputs, features, targets = drawn(60, 0)
    of_one = Novelty.fit(features, targets, outputs[:, :1], features)
    assert of_one is not None and len(of_one.limits) == 1
    assert Novelty.fit(None, targets, outputs[:, :1], None) is None
    without = Novelty.fit(None, targets, outputs, None)
    assert without is not None and len(without.limits) == 1 and not without.is_unlike(outputs, features).any()


def test_of_a_few_examples_none_is_flagged() -> None:
    outputs, features, targets = drawn(9, 0)
    novelty = Novelty.fit(features, targets, outputs, features)
    assert novelty is not None and novelty.means is not None and len(novelty.means) == 1
    assert not novelty.is_unlike(outputs, features).any()


def test_features_are_the_inputs_of_the_last_linear_layer() -> None:
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    inputs = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    with recorded_features(model) as recorded:
        model(inputs[:4])
        model(inputs[4:])
    found = features_of(recorded, 7, "none")
    assert found is not None and torch.allclose(found, model[:2](inputs).detach())
    assert features_of(recorded, 8, "none") is None and not model[2]._forward_pre_hooks
    with recorded_features(nn.ReLU()) as recorded:
        pass
    assert features_of(recorded, 0, "none") is None

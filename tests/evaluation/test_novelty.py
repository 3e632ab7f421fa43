"""Inputs unlike the training data: distances by hand, and what is flagged."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis
from torch import Tensor, nn

from nnclassify.evaluation.features import features_of, recorded_features
from nnclassify.evaluation.novelty import RIDGE, Distance, Novelty


def drawn(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs, features around one place per class, and classes."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(count) % 3
    features = torch.randn(count, 4, generator=generator) * torch.tensor([1.0, 2.0, 0.5, 1.0])
    features[torch.arange(count), targets] += 8
    return features[:, :3], features, targets


def test_the_distance_is_that_of_mahalanobis_from_the_nearest_class() -> None:
    _, features, targets = drawn(300, 0)
    means = [features[targets == one].double().mean(dim=0) for one in range(3)]
    apart = (features - torch.stack(means)[targets]).double()
    within = (apart.T @ apart / 300).numpy()
    inverse = np.linalg.inv(within + RIDGE * within.diagonal().mean() * np.eye(4))
    expected = [min(mahalanobis(row, mean, inverse) for mean in means) for row in features[:9].double()]
    assert Distance.fit(features, targets)(features[:9]).tolist() == pytest.approx(expected, rel=1e-4)
    assert len(Distance.fit(features[:9], targets[:9]).means) == 1  # too few for a mean per class
    assert len(Distance.fit(features, torch.ones(300, 2)).means) == 1  # multi-hot


def fitted(count: int) -> Novelty:
    _, features, targets = drawn(600, 0)
    outputs, validation, _ = drawn(count, 1)
    found = Novelty.fit({"inputs": features}, targets, outputs, {"inputs": validation})
    assert found is not None
    return found


def test_few_of_what_is_like_the_validation_split_and_all_of_what_is_not_are_flagged() -> None:
    novelty = fitted(2000)
    outputs, features, _ = drawn(2000, 2)
    assert 0 < novelty.is_unlike(outputs, {"inputs": features}).double().mean() < 0.025
    assert novelty.is_unlike(outputs, {"inputs": features + 20}).all()
    assert novelty.is_unlike(outputs - 20, {"inputs": features}).all()


def test_of_a_few_validation_examples_none_is_flagged() -> None:
    outputs, features, _ = drawn(20, 1)
    assert not fitted(20).is_unlike(outputs, {"inputs": features}).any()


def test_a_single_output_has_distances_alone_and_without_features_there_is_no_score() -> None:
    outputs, features, targets = drawn(60, 0)
    of_one = Novelty.fit({"inputs": features}, targets, outputs[:, :1], {"inputs": features})
    assert of_one is not None and len(of_one.limits) == 1
    assert Novelty.fit({}, targets, outputs[:, :1], {}) is None
    without = Novelty.fit({}, targets, outputs, {})
    assert without is not None and len(without.limits) == 1 and not without.is_unlike(outputs, {}).any()


def test_features_that_overflow_have_no_distance_and_an_input_whose_score_is_nan_is_flagged() -> None:
    _, features, targets = drawn(600, 0)
    outputs, validation, _ = drawn(300, 1)
    too_large = features.clone()
    too_large[5, 0] = torch.inf
    train = {"inputs": features, "last_layer": too_large}
    found = Novelty.fit(train, targets, outputs, {"inputs": validation, "last_layer": validation})
    assert found is not None and set(found.distances) == {"inputs"}
    assert found.is_unlike(outputs[:1], {"inputs": torch.full((1, 4), torch.nan)}).tolist() == [True]


def test_features_are_the_inputs_of_the_network_and_of_its_last_linear_layer() -> None:
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    inputs = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    with recorded_features(model) as recorded:
        model(inputs[:4])
        model(inputs[4:])
    found = features_of(recorded, 7, "none")
    assert torch.equal(found["inputs"], inputs) and torch.allclose(found["last_layer"], model[:2](inputs).detach())
    assert features_of(recorded, 8, "none") == {} and not model[2]._forward_pre_hooks and not model._forward_pre_hooks


def test_features_of_images_are_averaged_down_and_of_their_first_view() -> None:
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with recorded_features(model := nn.Flatten()) as recorded:
        for view in (images, images.flip(3)):
            model(view)
    found = features_of(recorded, 2, "mirror")
    assert [*found] == ["inputs"] and found["inputs"].shape == (2, 3 * 9 * 9)
    assert torch.allclose(found["inputs"], torch.nn.functional.adaptive_avg_pool2d(images, 9).flatten(1))

import pytest
import torch
from builders import config_of

from nnclassify.datasets import Examples
from nnclassify.diagnosis.closed_form import Baselines, baselines
from nnclassify.parts import Parts, build_parts


def held_against(parts: Parts) -> Examples:
    assert parts.splits.test is not None
    return parts.splits.test


def found(**values: object) -> Baselines:
    parts = build_parts(config_of(**values))
    return baselines(parts.splits, parts.transform, held_against(parts))


def test_a_line_parts_blobs_and_not_rings() -> None:
    assert found().linear > 0.9
    assert found(dataset="circles").linear < 0.6


def test_the_majority_is_the_share_of_the_commonest_training_class() -> None:
    parts = build_parts(config_of(dataset="breast_cancer"))
    commonest = int(torch.tensor(parts.splits.class_counts()).argmax())
    share = float((held_against(parts).all_targets() == commonest).double().mean())
    assert found(dataset="breast_cancer").majority == pytest.approx(share)


def test_the_mean_accuracy_of_the_classes_does_not_follow_their_sizes() -> None:
    both = found(dataset={"name": "iris"})
    assert both.linear_by_class == pytest.approx(both.linear, abs=0.02)  # iris: classes of one size
    both = found(dataset="breast_cancer")
    assert abs(both.linear_by_class - both.linear) > 0.005

import pytest
import torch
from builders import config_of

from nnclassify.diagnosis.closed_form import Baselines, baselines
from nnclassify.parts import build_parts


def found(**values: object) -> Baselines:
    parts = build_parts(config_of(**values))
    baseline = baselines(parts.splits, parts.transform)
    assert baseline is not None
    return baseline


def test_a_line_parts_blobs_and_not_rings() -> None:
    assert found().linear > 0.9
    assert found(dataset="circles").linear < 0.6


def test_the_majority_is_the_share_of_the_commonest_training_class() -> None:
    parts = build_parts(config_of(dataset="breast_cancer"))
    assert parts.splits.test is not None
    commonest = int(torch.tensor(parts.splits.class_counts()).argmax())
    share = float((parts.splits.test.all_targets() == commonest).double().mean())
    assert found(dataset="breast_cancer").majority == pytest.approx(share)


def test_without_a_test_split_there_is_nothing_to_hold_against() -> None:
    parts = build_parts(config_of(dataset={"name": "iris", "test": 0}))
    assert baselines(parts.splits, parts.transform) is None

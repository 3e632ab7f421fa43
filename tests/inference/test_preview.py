"""Tests that a preview shows the same inputs as the first steps of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from builders import config_of, loaded, trainer_of
from PIL import Image

from nnclassify.errors import DataError
from nnclassify.inference.plots.figures import save
from nnclassify.inference.plots.preview import preview_images
from nnclassify.inference.preview import Preview, preview

DIGITS: dict[str, Any] = {"name": "digits", "limit": 60, "augment": {"flip": True, "crop": 2, "cutout": 3}}


def preview_of(split: str = "train", **values: Any) -> Preview:
    return preview(loaded(config_of(**values)), split)


def test_it_is_what_the_first_step_of_training_gets() -> None:
    found = preview_of(dataset=DIGITS, batch_size=32)
    _, trainer = trainer_of(dataset=DIGITS, batch_size=32)
    chunk = next(trainer.train_batches.epoch(1))
    assert found.inputs.shape == (5, 18, 1, 8, 8) and torch.equal(found.inputs[0], chunk.inputs[:18])
    assert found.labels == found.seen_labels[4] == [str(target) for target in chunk.targets[:18].tolist()]
    assert len({found.inputs[epoch].sum().item() for epoch in range(5)}) == 5


def test_normalization_is_undone_for_display() -> None:
    found = preview_of(dataset={"name": "digits", "limit": 60})
    assert len(found.inputs) == 1
    assert torch.allclose(found.displayed()[0], found.raw.double(), atol=1e-3)
    assert found.how == "8x8 gray, resize squash; normalize standard"


def test_mixed_images_have_mixed_classes() -> None:
    found = preview_of(dataset={"name": "digits", "limit": 60, "augment": {"mixup": 1.0}})
    assert any("%, " in label for label in found.seen_labels[0]) and all(label.isdigit() for label in found.labels)


def test_other_splits_are_not_augmented() -> None:
    found = preview_of("test", dataset=DIGITS)
    assert len(found.inputs) == 1 and "augment" not in found.how
    with pytest.raises(DataError, match="--split validation: the dataset does not have one"):
        preview_of("validation", dataset={**DIGITS, "validation": 0})


def test_a_table_has_its_values_and_what_becomes_of_them() -> None:
    found = preview_of(dataset="iris")
    first = found.figures()["examples"][0]
    shift, scale = found.transform.shift, found.transform.scale
    assert first["input"] == pytest.approx(((torch.tensor(first["raw"]).double() - shift) / scale).tolist(), abs=1e-5)
    assert found.feature_names[0] == "sepal length (cm)" and first["class"] in ("setosa", "versicolor", "virginica")


@pytest.mark.slow
@pytest.mark.parametrize("dataset", [DIGITS, {"name": "digits", "limit": 12, "validation": 0}])
def test_images_are_drawn(dataset: dict[str, Any], tmp_path: Path) -> None:
    found = preview_of(dataset=dataset)
    path = save(lambda: preview_images(found), tmp_path / "preview.png", found.names)
    with Image.open(path) as image:
        assert image.width > 1000

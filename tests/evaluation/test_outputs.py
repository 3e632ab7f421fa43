"""Tests of the views of an image that test-time augmentation averages over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from builders import config_of, loaded, trainer_of
from torch import Tensor, nn

from nnclassify import run
from nnclassify.data import Examples
from nnclassify.data.transform import Transform, Tta
from nnclassify.device import resolve_placement
from nnclassify.errors import DataError, NNClassifyError
from nnclassify.evaluation.outputs import outputs_of, views
from nnclassify.inference.classifier import Classifier, predict
from nnclassify.inference.evaluate import evaluate, splits_of

DIGITS = {"name": "digits", "limit": 100}
CNN = {"name": "cnn", "blocks": [{"channels": 4, "pool": "max"}]}


def images() -> Tensor:
    """`(5, 2, 4, 6)`."""
    return torch.randn(5, 2, 4, 6, generator=torch.Generator().manual_seed(0))


def by_hand(model: nn.Module, inputs: Tensor, tta: Tta) -> Tensor:
    """The weighted mean, with NumPy's reflection and slices."""

    def mirrored(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Tensor:
        both = (torch.from_numpy(values.copy()), torch.from_numpy(values[..., ::-1].copy()))
        return torch.stack([model(view) for view in both]).mean(dim=0)

    plain = inputs.numpy()
    padded = np.pad(plain, [(0, 0), (0, 0), (1, 1), (1, 1)], mode="reflect")
    down_right, up_left = padded[:, :, :-2, :-2], padded[:, :, 2:, 2:]
    expected = {
        "none": model(inputs),
        "mirror": mirrored(plain),
        "mirror_translate": mirrored(plain) / 2 + (mirrored(down_right) + mirrored(up_left)) / 4,
    }
    found: Tensor = expected[tta]
    return found.detach()


@pytest.mark.parametrize("tta", ["none", "mirror", "mirror_translate"])
def test_outputs_are_the_mean_over_the_views(tta: Tta) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.GELU(), nn.Flatten(), nn.Linear(24, 2))
    rows = torch.arange(5)
    transform = Transform((2, 4, 6), None, None, torch.zeros(2, 1, 1), torch.ones(2, 1, 1))
    placement = resolve_placement("cpu", "float32").with_memory_format_for(nn.Conv2d(1, 1, 1))
    outputs = outputs_of(model, Examples(images(), rows, rows), transform, placement, tta)
    torch.testing.assert_close(outputs, by_hand(model, images(), tta))
    assert sum(weight for weight, _ in views(images(), tta)) == 1


def test_training_evaluation_and_prediction_use_the_same_views(here: Path) -> None:
    config = config_of(dataset={**DIGITS, "validation": "test"}, model=CNN, evaluation={"tta": "mirror_translate"})
    result = run.train(loaded(config))
    classifier = Classifier.load(result.folder.best)
    test = splits_of(classifier).test
    assert test is not None
    with_views = evaluate(classifier, test)
    plain = evaluate(classifier.overridden(["evaluation.tta=none"]), test)
    assert result.rows[-1].validation_loss == pytest.approx(with_views.loss, rel=1e-6)
    assert with_views.loss != plain.loss
    np.save(here / "one.npy", test.select(torch.arange(1))[0].numpy())
    for net, evaluation in ((classifier, with_views), (classifier.overridden(["evaluation.tta=none"]), plain)):
        (prediction,) = predict(net, ["one.npy"])
        assert prediction.top[0][1] == pytest.approx(float(evaluation.probabilities[0].max()), abs=1e-6)


def test_views_of_a_table_are_refused() -> None:
    with pytest.raises(DataError, match=r"^evaluation.tta: found mirror for examples of shape \(2,\); expected images"):
        trainer_of(evaluation={"tta": "mirror"})


def test_what_was_trained_cannot_be_overridden(here: Path) -> None:
    result = run.train(loaded(config_of()))
    with pytest.raises(
        NNClassifyError,
        match=(
            r"^--set model.hidden=\[4\]: a trained run cannot be changed; only "
            r"dataset"
        ),
    ):
        result.classifier.overridden(["model.hidden=[4]"])
    with pytest.raises(NNClassifyError, match=r"only evaluation\.\* can be set here"):
        result.classifier.overridden(["dataset.limit=4"], allowed=["evaluation"])

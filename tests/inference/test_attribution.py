"""What predictions rest on: against formulas by hand, scikit-learn, and evidence planted in images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from builders import config_of
from PIL import Image
from sklearn.inspection import permutation_importance
from torch import Tensor, nn

from nnclassify.data import Examples
from nnclassify.data.tables.encoding import NumberColumn, OneHotColumn
from nnclassify.data.tables.table_encoder import TableEncoder
from nnclassify.data.transform import Transform
from nnclassify.errors import DataError, InputError
from nnclassify.inference.attribution import column_importance, grad_cam, heatmaps, integrated_gradients, last_map
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.plots.attribution import save_input_heatmaps
from nnclassify.training.build import build_components


def classifier_of(network: nn.Module | None = None, **values: Any) -> Classifier:
    """An untrained classifier, or one with another network."""
    built = build_components(config_of(**values))
    names = built.splits.class_names
    network = (network or built.model).eval()
    return Classifier(Path("best.pt"), built.config, network, built.loss_fn, built.transform, names, built.placement)


IMAGES: dict[str, Any] = {"name": "digits", "limit": 40}
CNN: dict[str, Any] = {
    "name": "cnn",
    "blocks": [{"channels": 6, "padding": "same", "pool": "max"}, {"channels": 4, "padding": "same"}],
    "hidden": [],
}


def digits(count: int = 5) -> Tensor:
    return config_of(dataset=IMAGES).dataset.build(0).train.select(torch.arange(count))[0]


def test_grad_cam_before_an_average_is_the_weighted_sum_of_the_maps() -> None:
    """For global average pooling and a linear layer, its weights are the gradients (Zhou et al., 2016)."""
    classifier = classifier_of(dataset=IMAGES, model={**CNN, "head": "average"})
    raw, classes = digits(), torch.tensor([3, 0, 1, 2, 9])
    layer = last_map(classifier.model, classifier.transform(raw, torch.float32))
    assert layer is classifier.model.get_submodule("block_1_activation")
    *features, _, _, last = classifier.model.children()  # average, flatten
    maps = nn.Sequential(*features)(classifier.transform(raw, torch.float32))
    assert isinstance(last, nn.Linear)
    weights = last.weight[classes] / 16
    expected = torch.einsum("bk,bkhw->bhw", weights, maps).relu()
    found = grad_cam(classifier, layer, raw, classes)
    assert torch.allclose(found, nn.functional.interpolate(expected[:, None], (8, 8), mode="bilinear")[:, 0], atol=1e-6)


def test_integrated_gradients_add_up_to_the_difference_from_black() -> None:
    classifier = classifier_of(dataset=IMAGES, model={"name": "mlp", "hidden": [16], "activation": "tanh"})
    raw, classes = digits(), torch.tensor([3, 0, 1, 2, 9])
    rows = torch.arange(5)
    both = [
        classifier.outputs(Examples(images, classes, rows))[rows, classes] for images in (raw, torch.zeros_like(raw))
    ]
    found = integrated_gradients(classifier, raw, classes).sum(dim=(1, 2, 3))
    assert torch.allclose(found, both[0] - both[1], atol=2e-3)


@pytest.mark.parametrize(
    ("model", "method"),
    [
        (CNN, "Grad-CAM"),
        ({"name": "resnet", "width": 4, "stages": [1, 1]}, "Grad-CAM"),
        ({"name": "mlp", "hidden": [8]}, "integrated gradients"),
    ],
)
def test_a_heatmap_has_the_size_of_the_image_and_a_method(model: dict[str, Any], method: str) -> None:
    found = heatmaps(classifier_of(dataset=IMAGES, model=model), digits(), torch.arange(5))
    assert (found.method, found.values.shape) == (method, (5, 8, 8))
    assert set(found.values.abs().amax(dim=(1, 2)).tolist()) <= {0.0, 1.0}


def test_the_residual_stage_is_explained_not_a_convolution_in_it() -> None:
    classifier = classifier_of(dataset=IMAGES, model={"name": "resnet", "width": 4, "stages": [1, 1]})
    layer = last_map(classifier.model, classifier.transform(digits(1), torch.float32))
    assert layer is classifier.model.get_submodule("stage_1_block_0")


class Strokes(nn.Module):
    """Two outputs: how much of an image is a horizontal, and how much a vertical stroke."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1, bias=False)
        kernel = torch.tensor([[-1.0, -1, -1], [2, 2, 2], [-1, -1, -1]])
        with torch.no_grad():
            self.conv.weight.copy_(torch.stack([kernel, kernel.T])[:, None])

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.conv(images)
        return maps.relu().mean(dim=(2, 3))


def test_planted_evidence_is_found() -> None:
    classifier = classifier_of(Strokes(), dataset={**IMAGES, "normalize": "unit"}, model=CNN)
    raw = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    raw[:, 0, 1, 0:4], raw[:, 0, 3:8, 6] = 255, 255  # horizontal: top left; vertical: bottom right
    found = heatmaps(classifier, raw, torch.tensor([0, 1])).values
    assert found[0, :3, :4].sum() > 0.7 * found[0].sum()
    assert found[1, 2:, 5:].sum() > 0.7 * found[1].sum()


def test_attention_is_explained_by_integrated_gradients() -> None:
    class Attention(nn.Module):
        def forward(self, maps: Tensor) -> Tensor:
            return maps.flatten(2).mean(dim=2)

    network = nn.Sequential(nn.Conv2d(1, 10, 4, 4), Attention())
    found = heatmaps(classifier_of(network, dataset=IMAGES, model=CNN), digits(), torch.arange(5))
    assert found.method == "integrated gradients"


def test_a_network_on_tables_has_no_heatmap() -> None:
    with pytest.raises(InputError, match="takes no images"):
        heatmaps(classifier_of(), torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64))


class Weighted(nn.Module):
    """Two classes, told apart by the sign of a weighted sum."""

    def __init__(self, weights: list[float]) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights))

    def forward(self, inputs: Tensor) -> Tensor:
        score = inputs @ self.weights
        return torch.stack([-score, score], dim=1)


def table(weights: list[float], encoder: TableEncoder | None = None) -> Classifier:
    """A classifier of a table whose values are not normalized."""
    base = classifier_of(Weighted(weights))
    width = len(weights)
    names = [f"x{number}" for number in range(width)] if encoder is None else encoder.feature_names
    transform = Transform((width,), None, names, torch.zeros(width).double(), torch.ones(width).double(), encoder)
    return Classifier(base.path, base.config, base.model, base.loss_fn, transform, ["no", "yes"], base.placement)


def test_the_importance_of_columns_is_that_of_scikit_learn() -> None:
    values = np.random.default_rng(0).normal(size=(400, 3))
    weights = np.array([2.0, 0.5, 0.0])
    targets = (values @ weights + 0.3 > 0).astype(np.int64)

    class Estimator:
        def fit(self, inputs: Any, targets: Any) -> None:
            raise NotImplementedError

        def score(self, inputs: Any, targets: Any) -> float:
            return float(((inputs @ weights > 0) == targets).mean())

    expected = permutation_importance(Estimator(), values, targets, n_repeats=60, random_state=0)
    examples = Examples(torch.from_numpy(values), torch.from_numpy(targets), torch.arange(400))
    found = column_importance(table([2.0, 0.5, 0.0]), examples, num_repeats=60)
    assert [column.name for column in found] == ["x0", "x1", "x2"]
    assert [column.lost for column in found] == pytest.approx(expected.importances_mean, abs=0.006)
    assert [column.deviation for column in found] == pytest.approx(expected.importances_std, abs=0.006)


def test_a_category_is_shuffled_as_a_whole() -> None:
    """Every row has one color: shuffled one by one, some would have none or several, and lose another accuracy."""
    encoder = TableEncoder((OneHotColumn(name="color", categories=("blue", "red")), NumberColumn(name="age")))
    codes = torch.arange(90) % 3
    raw = torch.cat([nn.functional.one_hot(codes, 3).double(), torch.ones(90, 1).double()], dim=1)
    found = column_importance(
        table([1.0, -1.0, -1.0, 0.0], encoder), Examples(raw, (codes == 0).long(), torch.arange(90)), num_repeats=50
    )
    assert [column.name for column in found] == ["color", "age"]
    assert found[0].lost == pytest.approx(4 / 9, abs=0.02) and found[1].lost == 0  # 1 - (1/9 + 4/9)


def test_images_to_predict_are_drawn_beside_their_evidence(tmp_path: Path) -> None:
    classifier = classifier_of(dataset=IMAGES, model=CNN)
    Image.new("L", (9, 5), 200).save(tmp_path / "gray.png")
    save_input_heatmaps(tmp_path / "out.png", classifier, [str(tmp_path / "gray.png"), str(tmp_path / "missing.png")])
    with Image.open(tmp_path / "out.png") as drawn:
        assert drawn.width > 500
    with pytest.raises(DataError, match=r"missing.png: no such file"):
        save_input_heatmaps(tmp_path / "no.png", classifier, [str(tmp_path / "missing.png")])
    with pytest.raises(InputError, match="takes no images"):
        save_input_heatmaps(tmp_path / "no.png", classifier_of(), ["1,2"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "layer"),
    [
        ("resnet18", "layer4"),
        ("vgg11", "features.19"),
        ("mobilenet_v3_small", "features"),
        ("convnext_tiny", "features"),
        ("vit_b_16", None),
        ("swin_t", None),
    ],
)
def test_the_last_maps_of_networks_of_torchvision_are_found(architecture: str, layer: str | None) -> None:
    network = torchvision.models.get_model(architecture, weights=None).eval()
    found = last_map(network, torch.rand(1, 3, 224, 224))
    assert found is (None if layer is None else network.get_submodule(layer))

"""What a prediction rests on: the parts of an image, or the columns of a table.

- Grad-CAM (Selvaraju et al., 2017, arXiv:1610.02391) for networks with convolutions: where the last feature maps have
  evidence for a class.
- Integrated gradients (Sundararajan, Taly and Yan, 2017, arXiv:1703.01365) for all other networks on images: how much
  each pixel adds to the output of a class, compared with a black image.
- Permutation importance (Breiman, 2001) for tables: the accuracy that is lost if the values of a column are shuffled;
  and the influence of columns on the losses of some rows, by their gradients.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from nnclassify.data import Examples
from nnclassify.errors import InputError
from nnclassify.evaluation.totals import exact
from nnclassify.inference.classifier import Classifier
from nnclassify.seeds import torch_rng

NUM_STEPS = 64
"""Points of the path from black to the image at which integrated gradients are computed."""
AT_ONCE = 32
"""Images whose gradients are computed at a time."""
MAX_EXAMPLES, NUM_REPEATS = 5000, 5
"""Evenly spaced examples whose columns are shuffled, and how many times."""
MAX_COLUMNS = 300
"""Most columns of a table whose importance is computed."""
MAX_VALUES = 2**22
"""Values of a table whose influence is computed at once."""

Method = Literal["Grad-CAM", "integrated gradients"]


@dataclass(frozen=True)
class Heatmaps:
    """The evidence for a class in each of B images.

    Attributes:
        values: The evidence at each pixel, `(B, H, W)`, -1..1: positive for the class, negative against it. The largest
            absolute value of each image is 1, or 0 if nothing speaks for the class.
        method: How it was computed.
    """

    values: Tensor
    method: Method

    def in_words(self) -> str:
        """Return the method and what the colors mean."""
        against = "; blue: against it" if self.method == "integrated gradients" else ""
        return f"{self.method}; red: evidence for the class{against}"


def heatmaps(classifier: Classifier, raw: Tensor, classes: Tensor) -> Heatmaps:
    """Compute where images show evidence for classes.

    Args:
        classifier: The trained network.
        raw: Raw images `(B, C, H, W)`.
        classes: The class of each image to explain, `(B,)`.

    Raises:
        InputError: The network does not take images.
    """
    if len(classifier.transform.input_shape) != 3:
        raise InputError(f"{classifier.path}: a heatmap shows parts of an image, but this network takes no images")
    inputs = _prepared(classifier, raw[:1])
    layer = last_map(classifier.model, inputs)
    parts = zip(raw.split(AT_ONCE), classes.split(AT_ONCE), strict=True)
    if layer is None:
        found = [integrated_gradients(classifier, *part).sum(dim=1) for part in parts]
    else:
        found = [grad_cam(classifier, layer, *part) for part in parts]
    values = torch.cat(found).float().cpu()
    largest = values.abs().amax(dim=(1, 2), keepdim=True)
    return Heatmaps(values / largest.clamp(min=1e-12), "integrated gradients" if layer is None else "Grad-CAM")


def _prepared(classifier: Classifier, raw: Tensor) -> Tensor:
    """Return raw inputs as inputs of the network, on its device."""
    placement = classifier.placement
    return placement.to_memory_format(classifier.transform(raw.to(placement.device), placement.dtype))


def _scores(classifier: Classifier, outputs: Tensor, classes: Tensor) -> Tensor:
    """Return the output of each example for its class, `(B,)`; a single output speaks for the second class."""
    if outputs.shape[1] == 1:
        return outputs[:, 0] * (2 * classes.to(outputs.device) - 1)
    return outputs.gather(1, classes.to(outputs.device)[:, None])[:, 0]


@contextmanager
def _watched(model: nn.Module) -> Iterator[list[tuple[nn.Module, Tensor]]]:
    """Collect the feature maps `(B, channels, height, width)` of more than one pixel, in the order of computation."""
    seen: list[tuple[nn.Module, Tensor]] = []

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        if "attention" in type(module).__name__.lower():
            seen.clear()  # what comes before attention is no longer in its place
        elif isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] * output.shape[3] > 1:
            seen.append((module, output))

    handles = [module.register_forward_hook(note) for module in model.modules()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def last_map(model: nn.Module, inputs: Tensor) -> nn.Module | None:
    """Return the module with the last feature maps of the size that the last convolution returns; None: there is none.

    That is the last activation after it, or the residual block or stage that it is in.
    """
    with torch.no_grad(), _watched(model) as seen:
        model(inputs)
    places = [place for place, (module, _) in enumerate(seen) if isinstance(module, nn.Conv2d)]
    if not places:
        return None
    size = seen[places[-1]][1].shape[2:]
    return [module for module, maps in seen[places[-1] :] if maps.shape[2:] == size and module is not model][-1]


def grad_cam(classifier: Classifier, layer: nn.Module, raw: Tensor, classes: Tensor) -> Tensor:
    """Compute the class activation maps of images, enlarged to their size, `(B, H, W)`, not negative.

    Each feature map is weighted by the mean gradient of the output with respect to it. Before an activation, that is of
    convolutions and their normalization, only the positive part of a map counts.
    """
    inputs = _prepared(classifier, raw).requires_grad_()
    with torch.enable_grad(), _watched(classifier.model) as seen:
        outputs = classifier.model(inputs)
        maps = [output for module, output in seen if module is layer][-1]
        (gradients,) = torch.autograd.grad(_scores(classifier, outputs, classes).sum(), maps)
    weights = gradients.float().mean(dim=(2, 3), keepdim=True)
    evidence = maps.detach().float()
    if isinstance(layer, nn.Conv2d | nn.BatchNorm2d):
        evidence = evidence.relu()
    small = (weights * evidence).sum(dim=1, keepdim=True).relu()
    return functional.interpolate(small, raw.shape[2:], mode="bilinear", align_corners=False)[:, 0]


def integrated_gradients(classifier: Classifier, raw: Tensor, classes: Tensor) -> Tensor:
    """Compute how much each value of an image adds to the output of a class, compared with black, `(B, C, H, W)`.

    The values of an image add up to the difference between its output and that of a black image.
    """
    inputs, black = _prepared(classifier, raw), _prepared(classifier, torch.zeros_like(raw))
    total = torch.zeros_like(inputs, dtype=torch.float32)
    for step in range(NUM_STEPS):
        point = (black + (inputs - black) * ((step + 0.5) / NUM_STEPS)).detach().requires_grad_()
        with torch.enable_grad():
            scores = _scores(classifier, classifier.model(point), classes)
            (gradients,) = torch.autograd.grad(scores.sum(), point)
        total += gradients.float()
    return (inputs - black).float() * total / NUM_STEPS


@dataclass(frozen=True)
class ColumnImportance:
    """How much a network relies on a column of a table.

    Attributes:
        name: The name of the column.
        lost: The accuracy that is lost if its values are shuffled: the mean over several times.
        deviation: The standard deviation over these.
    """

    name: str
    lost: float
    deviation: float


def column_importance(
    classifier: Classifier, examples: Examples, num_repeats: int = NUM_REPEATS
) -> list[ColumnImportance]:
    """Compute the permutation importance of each column of a table, the most important one first.

    A column of categories is shuffled as a whole. Of columns that say the same, each seems less important than it is.

    Raises:
        InputError: The network does not take tables, or the table has too many columns.
    """
    transform = classifier.transform
    if len(transform.input_shape) != 1 or transform.num_columns > MAX_COLUMNS:
        what = "this network takes no table" if len(transform.input_shape) != 1 else f"over {MAX_COLUMNS} columns"
        raise InputError(f"{classifier.path}: {what}, so the importance of columns is not computed")
    raw, targets = examples.select(examples.spaced_rows(MAX_EXAMPLES))

    def accuracy(inputs: Tensor) -> float:
        outputs = classifier.outputs(Examples(inputs, targets, torch.arange(len(inputs))))
        return float(exact(classifier.loss_fn.predictions(outputs), targets).double().mean())

    whole, found = accuracy(raw), []
    for index, (name, place) in enumerate(table_columns(classifier)):
        lost = []
        for repeat in range(num_repeats):
            shuffled = raw.clone()
            order = torch.randperm(len(raw), generator=torch_rng(0, "importance", index, repeat))
            shuffled[:, place] = raw[order][:, place]
            lost.append(whole - accuracy(shuffled))
        spread = torch.tensor(lost, dtype=torch.float64)
        found.append(ColumnImportance(name, float(spread.mean()), float(spread.std(correction=0))))
    return sorted(found, key=lambda column: -column.lost)


def column_influence(classifier: Classifier, examples: Examples, rows: Tensor) -> list[float]:
    """Return how much the losses of some rows of a table depend on each of its columns, by one gradient.

    It is the mean absolute change of the loss, to first order, if the features of a column had their mean over the
    examples instead. So it costs about as much as a training step, where `column_importance` evaluates many times.

    Args:
        classifier: The trained network.
        examples: The examples.
        rows: The rows `(B,)`, numbered within the examples; of very wide tables, the first ones are used.
    """
    most = max(1, MAX_VALUES // classifier.transform.input_shape[0])
    usual = _prepared(classifier, examples.select(examples.spaced_rows(most))[0]).mean(dim=0)
    raw, targets = examples.select(rows[:most])
    inputs = _prepared(classifier, raw).requires_grad_()
    with torch.enable_grad():
        losses = classifier.loss_fn(classifier.model(inputs), targets.to(inputs.device))
        (gradients,) = torch.autograd.grad(losses.sum(), inputs, allow_unused=True, materialize_grads=True)
    changes = gradients.detach() * (inputs.detach() - usual)
    return [float(changes[:, place].sum(dim=1).abs().mean()) for _, place in table_columns(classifier)]


def table_columns(classifier: Classifier) -> list[tuple[str, slice]]:
    """Return the name of each column, and the place of its features."""
    transform = classifier.transform
    if transform.encoder is not None:
        return [*zip(transform.encoder.names, transform.encoder.slices, strict=True)]
    places = range(transform.num_columns)
    names = transform.feature_names or [f"feature {place + 1}" for place in places]
    return [(name, slice(place, place + 1)) for name, place in zip(names, places, strict=True)]

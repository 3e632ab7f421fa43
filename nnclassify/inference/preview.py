"""What a network sees of its examples: after resizing, augmentation and normalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NotRequired

import torch
from torch import Tensor
from typing_extensions import TypedDict  # pydantic requires it before Python 3.12

from nnclassify.config.run_config import LoadedConfig, located
from nnclassify.data import Splits
from nnclassify.data.augment import Augment
from nnclassify.data.batches import Batches
from nnclassify.data.transform import Transform
from nnclassify.errors import DataError
from nnclassify.evaluation.percent import percent
from nnclassify.training.build import build_components

NUM_EXAMPLES, NUM_EPOCHS = 18, 5
"""The number of examples, and of epochs in which augmented ones are shown."""
MIN_SHARE = 0.005
"""The smallest part of a class in a mixed example that is named."""


class Range(TypedDict):
    """The lowest and the highest value of an image."""

    min: float
    max: float


# Not in the form of a class: one of the keys is a word of Python.
PreviewExample = TypedDict(
    "PreviewExample", {"name": str, "class": str, "raw": Range | list[float], "input": Range | list[float]}
)


class PreviewFigures(TypedDict):
    """Examples as a network receives them."""

    split: str
    shape: list[int]
    prepared: str
    features: NotRequired[list[str]]
    examples: list[PreviewExample]


@dataclass(frozen=True)
class Preview:
    """Some examples of a split, as a network sees them.

    Attributes:
        run: The name of the config.
        split: The name of the split.
        how: How inputs are prepared, in words.
        transform: The transform from raw inputs to network inputs.
        names: The name of each example.
        labels: The class of each example.
        raw: The raw inputs, resized but not augmented, `(N, ...)`.
        inputs: The network inputs in the first epochs, `(E, N, ...)`; E is 1 if they are the same in every epoch.
        seen_labels: The class of each example in each epoch, which differs from `labels` if images are mixed.
        notes: Notes about the data, one line each.
    """

    run: str
    split: str
    how: str
    transform: Transform
    names: list[str]
    labels: list[str]
    raw: Tensor
    inputs: Tensor
    seen_labels: list[list[str]]
    notes: list[str]

    @property
    def is_images(self) -> bool:
        """Whether the examples are images `(C, H, W)`."""
        return self.raw.ndim == 4

    @property
    def feature_names(self) -> list[str]:
        """The names of the values of an example, or their indices."""
        return self.transform.feature_names or [str(index) for index in range(self.raw[0].numel())]

    def displayed(self) -> Tensor:
        """Return the network inputs with normalization undone, in raw units, `(E, N, ...)`."""
        return self.inputs.double() * self.transform.scale + self.transform.shift

    def figures(self) -> PreviewFigures:
        """Return the preview for JSON."""
        named = zip(self.names, self.labels, self.raw, self.inputs[0], strict=True)
        examples: list[PreviewExample] = [
            {"name": name, "class": label, "raw": self._values(raw), "input": self._values(inputs)}
            for name, label, raw, inputs in named
        ]
        figures: PreviewFigures = {
            "split": self.split,
            "shape": list(self.raw.shape[1:]),
            "prepared": self.how,
            "examples": examples,
        }
        if not self.is_images:
            figures["features"] = self.feature_names
        return figures

    def _values(self, example: Tensor) -> Range | list[float]:
        """Return the values of a row of a table, the range of an image."""
        if self.is_images:
            return {"min": float(example.min()), "max": float(example.max())}
        values: list[float] = example.flatten().tolist()
        return values


def preview(loaded: LoadedConfig, split: str = "train") -> Preview:
    """Prepare the first examples of the first epoch of training, or evenly spaced examples of another split.

    Raises:
        DataError: The data cannot be read, or the dataset does not have the split.
    """
    with located(loaded.source):
        components = build_components(loaded.config)
    config, splits, transform = components.config, components.splits, components.transform
    examples = splits.split(split)
    if examples is None:
        raise DataError(f"--split {split}: the dataset does not have one; set dataset.{split}, or choose another")
    augment = config.dataset.augmentation() if split == "train" else None
    batches = Batches(
        examples,
        transform,
        components.placement,
        batch_size=config.batch_size,
        seed=config.seed,
        shuffle=config.shuffle,
        augment=augment,
        num_classes=splits.num_classes,
    )
    rows = batches.order(1)[:NUM_EXAMPLES] if split == "train" else examples.spaced_rows(NUM_EXAMPLES)
    is_augmented = augment not in (None, Augment())
    num_epochs = NUM_EPOCHS if is_augmented else 1
    seen = [batches.preparation(epoch)(rows) for epoch in range(1, num_epochs + 1)]
    raw, targets = examples.select(rows)
    return Preview(
        run=loaded.name,
        split=split,
        how=_how(transform, config.dataset.normalize, augment if is_augmented else None),
        transform=transform,
        names=examples.names_of(rows),
        labels=_labels(targets, splits),
        raw=raw,
        inputs=torch.stack([inputs.cpu().contiguous().float() for inputs, _ in seen]),
        seen_labels=[_labels(of_epoch.cpu(), splits) for _, of_epoch in seen],
        notes=[*loaded.notes, *splits.notes, *components.notes],
    )


def _how(transform: Transform, normalize: str, augment: Augment | None) -> str:
    """Say how inputs are prepared."""
    shape = transform.input_shape
    parts = [f"{shape[0]} values" if len(shape) == 1 else f"values of shape {shape}"]
    if (image_format := transform.image_format) is not None:
        parts = [f"{image_format.height}x{image_format.width} {image_format.mode}, resize {image_format.resize}"]
    parts.append(f"normalize {normalize}")
    if augment is not None:
        changed = augment.model_dump(exclude_defaults=True)
        options = (key if value is True else f"{key} {value}" for key, value in changed.items())
        parts.append("augment " + ", ".join(options))
    return "; ".join(parts)


def _labels(targets: Tensor, splits: Splits) -> list[str]:
    """Return the classes of class indices `(N,)`, or of rows `(N, K)` of 0 and 1 or of the shares of mixed classes."""
    names = splits.class_names
    if targets.ndim == 1:
        return [names[target] for target in targets.tolist()]
    return [_several(row, names) for row in targets.tolist()]


def _several(row: list[float], names: list[str]) -> str:
    parts = [(name, share) for name, share in zip(names, row, strict=True) if share >= MIN_SHARE]
    if all(share == 1 for _, share in parts):
        return ", ".join(name for name, _ in parts) or "no class"
    return ", ".join(f"{name} {percent(share)}" for name, share in sorted(parts, key=lambda part: -part[1]))

"""Options that networks of torchvision and timm share: pretrained weights, and how the body learns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from nnclassify.errors import ModelError, counted
from nnclassify.files.paths import is_regular, why_no_file
from nnclassify.models.base import Model
from nnclassify.models.cnn import image_shape
from nnclassify.models.preprocessing import Body
from nnclassify.models.weight_files import WEIGHT_FILES, load_fitting, read_weights
from nnclassify.settings import PlacePath, PositiveFloat

if TYPE_CHECKING:
    from torch import nn


class PretrainedModel(Model):
    """Options of networks that may start from pretrained weights.

    With `weights`, images are prepared as when the weights were trained, unless the dataset says otherwise: `size`,
    `resize`, `interpolation` and `crop_fraction` of a folder, and `normalize: weights`.
    """

    weights: Annotated[PlacePath, Field(min_length=1)] | None = None
    """Pretrained weights: a name, or a file (.pt, .pth or .safetensors) with a state dict of this architecture, whose
    head is not used. Default: random initialization."""
    freeze_until: Annotated[int, Field(ge=2, le=2**31 - 1)] | None = None
    """First epoch in which the body, all layers except the new head, is trained. Until then, its weights and batch-norm
    statistics are frozen. Default: the body is trained from the start."""
    body_lr: PositiveFloat = 1.0
    """Factor applied to the learning rate of the body."""

    is_bounded = True

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Yield errors for options of a pretrained body without pretrained weights."""
        if self.weights is None and self.freeze_until is not None:
            yield "freeze_until", "set without weights, which would freeze random weights; set weights, or remove it"
        if self.weights is None and self.body_lr != 1:
            yield "body_lr", "set without weights; set weights, or remove it"

    def network(self, input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
        """`(N, 3, H, W)` to `(N, num_outputs)`.

        Raises:
            ModelError: There is no such network, or images do not have three channels.
        """
        channels, _, _ = image_shape(self.name_of(), input_shape)
        if channels != 3:
            found = f"model: {self.name_of()} on images with {counted(channels, 'channel')}"
            raise ModelError(f"{found}; expected 3: set dataset.mode: rgb", ("model",))
        return self.create(num_outputs)

    @abstractmethod
    def create(self, num_outputs: int) -> nn.Module:
        """Return the network with a new head and random weights.

        Raises:
            ModelError: There is no such network, or its package is not installed.
        """

    @abstractmethod
    def head_modules(self, network: nn.Module) -> list[str]:
        """Return the names of the modules of the new head, in a network that `create` returned."""

    @abstractmethod
    def named_file(self, name: str) -> Path:
        """Return the file of named pretrained weights, downloaded if it is missing.

        Raises:
            ModelError: There are none, or they cannot be downloaded.
        """

    def weights_file(self) -> Path | None:
        """Return the file that `weights` names; None if it is not a file but the name of weights."""
        path = Path(self.weights or "")
        return path if path.suffix.lower() in WEIGHT_FILES else None

    def places(self) -> dict[str, str]:
        """Return the file of the weights, unless they have a name."""
        return {} if self.weights_file() is None else super().places()

    def weights_path(self) -> Path:
        """Return the file of the weights, downloaded if it is missing.

        Raises:
            ModelError: There is none, or it cannot be downloaded.
        """
        path = self.weights_file() or self.named_file(self.weights or "")
        if not is_regular(path):
            text = f"model.weights: {path}: {why_no_file(path)}; expected a state dict in {', '.join(WEIGHT_FILES)}"
            raise ModelError(text, ("model", "weights"))
        return path

    def fetch_pretrained(self) -> None:
        """Download the weights if they are missing."""
        if self.weights is not None:
            self.weights_path()

    def load_pretrained(self, network: nn.Module) -> None:
        """Load the weights of the body."""
        if self.weights is None:
            return
        path, (inner, _) = self.weights_path(), _inner(network)
        load_fitting(inner, read_weights(path), self.head_modules(inner), f"model.weights: {path}")

    def body(self, network: nn.Module) -> Body | None:
        """Return the parameters of the body, all but those of the head, and how they learn."""
        if self.weights is None:
            return None
        inner, prefix = _inner(network)
        head = tuple(f"{prefix}{name}." for name in self.head_modules(inner))
        names = frozenset(name for name, _ in network.named_parameters() if not name.startswith(head))
        return Body(names, self.body_lr, self.freeze_until or 1)


def _inner(network: nn.Module) -> tuple[nn.Module, str]:
    """Return the network that `create` returned within the one of `Model.build`, and the prefix of its names there."""
    children = dict(network.named_children())
    return (children["network"], "network.") if "network" in children else (network, "")

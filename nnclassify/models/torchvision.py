"""Any classifier of torchvision.models, by name, with a new head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nnclassify.errors import ModelError, suggestion
from nnclassify.models.preprocessing import Preprocessing
from nnclassify.models.pretrained import PretrainedModel
from nnclassify.models.weight_files import WEIGHT_FILES, downloaded

if TYPE_CHECKING:
    from torch import nn


class Torchvision(PretrainedModel):
    """A network from torchvision.models with a new head for these classes; it needs images of three channels.

    `weights: DEFAULT` and names such as IMAGENET1K_V1 are downloaded on first use, into the cache of torch.hub. For
    a file, the preprocessing is that of torchvision's weights with the same file name, or else of DEFAULT.
    """

    name: Literal["torchvision"] = "torchvision"
    architecture: str = "resnet18"
    """Name of the model in torchvision.models, such as resnet18 or mobilenet_v3_small."""

    def create(self, num_outputs: int) -> nn.Module:
        """Return the network with a new last layer."""
        from torchvision import models

        self._check_architecture()
        options: dict[str, Any] = {}
        if self.architecture in ("googlenet", "inception_v3"):  # one output; their weights expect other images
            is_new = self.weights is None
            options = {"aux_logits": False, "init_weights": is_new, "transform_input": not is_new}
        network: nn.Module = models.get_model(self.architecture, weights=None, **options)
        _replace_head(network, num_outputs)
        return network

    def head_modules(self, network: nn.Module) -> list[str]:
        """Return the name of the last layer."""
        return [_last_layer(network)[0]]

    def preprocessing(self) -> Preprocessing | None:
        """Return what torchvision's own transforms do for the weights."""
        if self.weights is None:
            return None
        preset = self._entry().transforms()
        (size,), (resized,) = preset.crop_size, preset.resize_size
        interpolation: Literal["bilinear", "bicubic"] = (
            "bicubic" if preset.interpolation.value == "bicubic" else "bilinear"
        )
        return Preprocessing(size, size, tuple(preset.mean), tuple(preset.std), interpolation, size / resized)

    def named_file(self, name: str) -> Path:
        """Return torchvision's file in the cache of torch.hub, downloaded if it is missing."""
        url = self._entry().url
        return downloaded(url, Path(url).name, f"{name} of {self.architecture}")

    def _check_architecture(self) -> None:
        from torchvision import models

        names = models.list_models(module=models)
        if self.architecture not in names:
            raise ModelError(
                f"model.architecture: found {self.architecture!r}{suggestion(self.architecture, names)}; expected one "
                "of torchvision.models' classifiers",
                ("model", "architecture"),
            )

    def _entry(self) -> Any:
        """Return the member of torchvision's enumeration that `weights` names; for a file, the likeliest one."""
        from torchvision.models import get_model_weights

        self._check_architecture()
        known = get_model_weights(self.architecture)
        names, file = list(known.__members__), self.weights_file()
        if file is not None:
            same = [entry for entry in known if Path(entry.url).name == file.name]
            return next(iter(same), known["DEFAULT"])
        if self.weights not in names:
            files = f"or a file ({', '.join(WEIGHT_FILES)})"
            text = f"model.weights: found {self.weights!r}; expected one of {', '.join(names)}, {files}"
            raise ModelError(text, ("model", "weights"))
        return known[self.weights]


def _last_layer(network: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    """Return the output layer: the last Linear, or SqueezeNet's last 1x1 convolution."""
    from torch import nn

    layers = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    linear = [pair for pair in layers if isinstance(pair[1], nn.Linear)]
    return (linear or layers)[-1]


def _replace_head(network: nn.Module, num_outputs: int) -> None:
    """Replace the output layer by a new one."""
    from torch import nn

    name, old = _last_layer(network)
    if isinstance(old, nn.Linear):
        head: nn.Module = nn.Linear(old.in_features, num_outputs, bias=old.bias is not None)
    else:
        head = nn.Conv2d(old.in_channels, num_outputs, kernel_size=1)
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, head)

"""Classifiers from torchvision.models, by name, with a new head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from nnclassify.errors import ModelError, counted, one_line, suggestion
from nnclassify.models.base import Model
from nnclassify.models.cnn import image_shape

if TYPE_CHECKING:
    from torch import nn


class Torchvision(Model):
    """A network from torchvision.models with a new last layer for these classes; requires images with three
    channels."""

    name: Literal["torchvision"] = "torchvision"
    architecture: str = "resnet18"
    """Name of the model in torchvision.models, such as resnet18 or mobilenet_v3_small."""
    weights: str | None = None
    """Pretrained weights: `DEFAULT`, or a name such as IMAGENET1K_V1. Default: random initialization."""

    is_bounded = True

    def network(self, input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
        """Build the network, `(N, 3, H, W)` to `(N, num_outputs)`.

        Raises:
            ModelError: The architecture or its weights do not exist, the weights cannot be downloaded, or the images
                are not RGB.
        """
        from torchvision import models

        channels, _, _ = image_shape("torchvision", input_shape)
        if channels != 3:
            found = f"model: torchvision on images with {counted(channels, 'channel')}"
            raise ModelError(f"{found}; expected 3: set dataset.mode: rgb", ("model",))
        names = models.list_models(module=models)
        if self.architecture not in names:
            raise ModelError(
                f"model.architecture: found {self.architecture!r}{suggestion(self.architecture, names)}; expected one "
                "of torchvision.models' classifiers",
                ("model", "architecture"),
            )
        extra = {"aux_logits": True} if self.architecture in ("googlenet", "inception_v3") else {}
        if extra and self.weights is None:
            extra = {"aux_logits": False, "init_weights": True}
        try:
            network: nn.Module = models.get_model(self.architecture, weights=self._weights(), **extra)
        except ModelError:
            raise
        except Exception as cause:  # every architecture fails in its own way
            raise ModelError(
                f"model {self.architecture}: weights {self.weights!r} could not be downloaded ({one_line(cause)}); put "
                "the "
                "file under ~/.cache/torch/hub/checkpoints, or remove `weights`"
            ) from cause
        if extra:
            setattr(network, "aux_logits", False)  # noqa: B010 - a single output, like all other networks
        _replace_head(network, num_outputs)
        return network

    def _weights(self) -> Any:
        from torchvision.models import get_model_weights

        if self.weights is None:
            return None
        known = get_model_weights(self.architecture)
        allowed = list(known.__members__)
        if self.weights not in allowed:
            text = f"model.weights: found {self.weights!r}; expected one of {', '.join(allowed)}"
            raise ModelError(text, ("model", "weights"))
        return known[self.weights]


def _replace_head(network: nn.Module, num_outputs: int) -> None:
    """Replace the ImageNet classifier by a new last layer: the last Linear, or SqueezeNet's last 1x1 convolution."""
    from torch import nn

    heads = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and not name.startswith(("aux", "AuxLogits"))
    ]
    linear = [pair for pair in heads if isinstance(pair[1], nn.Linear)]
    name, old = (linear or heads)[-1]
    if isinstance(old, nn.Linear):
        head: nn.Module = nn.Linear(old.in_features, num_outputs, bias=old.bias is not None)
    else:
        head = nn.Conv2d(old.in_channels, num_outputs, kernel_size=1)
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, head)

"""Any classifier of timm, by name, with a new head. timm is an extra: `pip install 'nnclassify[timm]'`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nnclassify.errors import ModelError, suggestion
from nnclassify.models.preprocessing import Preprocessing
from nnclassify.models.pretrained import PretrainedModel
from nnclassify.models.weight_files import WEIGHT_FILES, downloaded

if TYPE_CHECKING:
    from torch import nn


class Timm(PretrainedModel):
    """A network from timm (PyTorch Image Models) with a new head for these classes; it needs images of three channels.

    `weights: pretrained` is downloaded on first use, into the cache of torch.hub, unless the file is in the cache of
    the Hugging Face Hub. timm is an extra: `pip install 'nnclassify[timm]'`.
    """

    name: Literal["timm"] = "timm"
    architecture: str = "resnet18"
    """Name of the model in timm, such as resnet18, or resnet18.a1_in1k for certain pretrained weights."""

    has_outline: ClassVar[bool] = False

    def create(self, num_outputs: int) -> nn.Module:
        """Return timm's network with this many outputs."""
        network: nn.Module = self._library().create_model(self.architecture, num_classes=num_outputs)
        return network

    def head_modules(self, network: nn.Module) -> list[str]:
        """Return the names of the modules that timm calls the classifier; distilled networks have two."""
        classifier: Any = getattr(network, "get_classifier")()  # noqa: B009 - not every nn.Module has it
        parts = classifier if isinstance(classifier, tuple | list) else [classifier]
        return [name for name, module in network.named_modules() if any(module is part for part in parts)]

    def preprocessing(self) -> Preprocessing | None:
        """Return what timm's own transforms do for the weights."""
        if self.weights is None:
            return None
        library = self._library()
        if self.weights != "pretrained" and self.weights_file() is None:
            files = f"or a file ({', '.join(WEIGHT_FILES)})"
            text = f"model.weights: found {self.weights!r}; expected pretrained, {files}"
            raise ModelError(text, ("model", "weights"))
        known = library.get_pretrained_cfg(self.architecture)
        found = library.data.resolve_data_config({}, pretrained_cfg=known.to_dict() if known is not None else {})
        _, height, width = found["input_size"]
        interpolation: Literal["bilinear", "bicubic"] = "bicubic" if found["interpolation"] == "bicubic" else "bilinear"
        return Preprocessing(
            height, width, tuple(found["mean"]), tuple(found["std"]), interpolation, min(1.0, found["crop_pct"])
        )

    def named_file(self, name: str) -> Path:
        """Return timm's file in the cache of the Hugging Face Hub or of torch.hub, downloaded if it is missing."""
        known = self._library().get_pretrained_cfg(self.architecture)
        hub, url = getattr(known, "hf_hub_id", None), getattr(known, "url", None)
        if hub:
            file = known.hf_hub_filename or "model.safetensors"
            cached = importlib.import_module("huggingface_hub").try_to_load_from_cache(hub, file)
            if isinstance(cached, str):
                return Path(cached)
            return downloaded(
                f"https://huggingface.co/{hub}/resolve/main/{file}",
                f"{hub.rpartition('/')[2]}{Path(file).suffix}",
                f"{name} of {self.architecture}",
            )
        if url:
            return downloaded(url, Path(url).name, f"{name} of {self.architecture}")
        text = f"model.weights: timm has no pretrained weights of {self.architecture}; remove `weights`"
        raise ModelError(text, ("model", "weights"))

    def _library(self) -> Any:
        """Return timm, after checking that it has the network.

        Raises:
            ModelError: It is not installed, or has no such network.
        """
        try:
            library: Any = importlib.import_module("timm")
            importlib.import_module("timm.data")
        except ImportError as cause:
            text = "model: timm is not installed; run: pip install 'nnclassify[timm]'"
            raise ModelError(text, ("model", "name")) from cause
        if not library.is_model(self.architecture):
            names = library.list_models()
            raise ModelError(
                f"model.architecture: found {self.architecture!r}{suggestion(self.architecture, names)}; expected a "
                "model of timm",
                ("model", "architecture"),
            )
        return library

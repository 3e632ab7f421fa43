"""A narrower network of the same kind, in place of one that is too slow for a trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnclassify.config.run_config import RunConfig
from nnclassify.diagnosis.measure import Snapshot
from nnclassify.models.base import DenseModel
from nnclassify.models.cnn import Cnn
from nnclassify.models.resnet import Resnet

LEAST = {"units": 48, "channels": 8, "width": 8}
"""Minimum width: narrower networks differ in kind, since a few ReLU units die together and every class needs some."""
ALIKE = 30.0
"""How much the decay of signal and gradient over the layers may differ between a network and its stand-in."""


@dataclass(frozen=True)
class StandIn:
    """A function that divides the width of every layer; narrow layers are kept.

    Attributes:
        factor: The factor to divide by.
    """

    factor: int

    def __call__(self, config: RunConfig) -> RunConfig:
        """Return the config with narrower layers."""
        model = config.model
        update: dict[str, Any] = {}
        if isinstance(model, DenseModel):
            update["hidden"] = [self._narrowed(layer, "units") for layer in model.hidden]
        if isinstance(model, Cnn):
            update["blocks"] = [self._narrowed(block, "channels") for block in model.blocks]
        if isinstance(model, Resnet):
            update["width"] = self._fewer(model.width, "width")
        return config.model_copy(update={"model": model.model_copy(update=update)})

    def _narrowed(self, layer: Any, key: str) -> Any:
        return layer.model_copy(update={key: self._fewer(getattr(layer, key), key)})

    def _fewer(self, width: int, key: str) -> int:
        return max(min(width, LEAST[key]), width // self.factor)

    def __str__(self) -> str:
        """Return the stand-in in words."""
        return f"a network of {FACTORS[self.factor]} of its width"


FACTORS = {2: "half", 4: "a quarter", 8: "an eighth", 16: "a sixteenth", 32: "a thirty-second"}
"""The factors that widths are divided by, smallest first, and what remains, in words."""


def is_alike(network: Snapshot, stand_in: Snapshot) -> bool:
    """Return whether signal and gradient decay alike over the layers of an untrained network and its stand-in."""
    pairs = ((network.gradient_ratio, stand_in.gradient_ratio), (network.output_spread, stand_in.output_spread))
    faded = [max(one, 1e-12) / max(other, 1e-12) for one, other in pairs]
    return all(1 / ALIKE < ratio < ALIKE for ratio in faded) or all(max(pair) < 1e-3 for pair in pairs[:1])

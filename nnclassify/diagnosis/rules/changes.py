"""Changes to a model that rules propose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnclassify.diagnosis.findings import Change
from nnclassify.diagnosis.rules.rule import RuleInputs


def layers_changed(given: RuleInputs, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """Return the lists `model.hidden` and `model.blocks` with a function applied to the options set of every layer."""
    model = given.config.model
    lists = {key: getattr(model, key) for key in ("hidden", "blocks") if getattr(model, key, None)}
    return {
        f"model.{key}": [_brief(change(layer.model_dump(mode="json", exclude_unset=True))) for layer in layers]
        for key, layers in lists.items()
    }


def _brief(layer: dict[str, Any]) -> Any:
    """Return `64` for a layer that sets nothing but 64 units."""
    return layer["units"] if layer.keys() == {"units"} else layer


def with_option(given: RuleInputs, key: str, value: Any) -> Change:
    """Set an option on the model, and remove it from every layer that sets its own."""

    def without(layer: dict[str, Any]) -> dict[str, Any]:
        return {name: kept for name, kept in layer.items() if name != key}

    own = any(key in layer.model_fields_set for layer in _layers(given))
    return {f"model.{key}": value, **(layers_changed(given, without) if own else {})}


def _layers(given: RuleInputs) -> list[Any]:
    model = given.config.model
    return [*getattr(model, "hidden", []), *getattr(model, "blocks", [])]


def without_biases(given: RuleInputs) -> Change:
    """Leave the initial biases that are set to their defaults; empty if none is set."""
    options = ("bias_init", "output_bias_init")
    return {f"model.{key}": None for key in options if isinstance(getattr(given.config.model, key, None), float | int)}


def without_scale(given: RuleInputs) -> Change:
    """Set the factor of the outputs to its default; empty if that is what it is."""
    return {"model.output_scale": 1.0} if given.config.model.output_scale != 1 else {}


def with_batch_norm(given: RuleInputs) -> Change:
    """Add batch norm to every layer."""
    return layers_changed(given, lambda layer: {**layer, "batch_norm": True})


def wider(given: RuleInputs, units: int = 64) -> Change:
    """Widen every layer with fewer units than this; add a hidden layer if there is none."""
    if not given.hidden_layers:
        return {"model.hidden": [units]}

    def widened(layer: dict[str, Any]) -> dict[str, Any]:
        key = "units" if "units" in layer else "channels"
        return {**layer, key: max(layer[key], units)}

    return layers_changed(given, widened)

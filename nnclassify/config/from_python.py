"""Configs passed from Python: a path, a dict or settings, checked with the same messages as a YAML file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from nnclassify.config.run_config import LoadedConfig, RunConfig, load_config, load_source
from nnclassify.config.yaml_reader import MAX_DEPTH, YamlSource
from nnclassify.errors import ConfigError, InputError
from nnclassify.settings import Settings

AnyConfig = str | os.PathLike[str] | Mapping[str, Any] | RunConfig | LoadedConfig
"""A YAML file, the name of a shipped config, a dict, or a config that was loaded or built before."""
Overrides = Sequence[str] | Mapping[str, Any]
"""`["optimizer.lr=0.1"]` as on the command line, or `{"optimizer.lr": 0.1}`."""

NAME = "run"
"""The name of a run whose config has neither a name nor a file."""


def load_any(config: AnyConfig, overrides: Overrides = ()) -> LoadedConfig:
    """Load, override and check a config. The argument is not modified.

    Raises:
        ConfigError: The config is wrong; the message lists all problems, one per line.
        InputError: The config is of an unsupported type, or its path cannot be accessed.
    """
    changes = assignments(overrides)
    if isinstance(config, str | os.PathLike):
        return load_config(os.fspath(config), changes)
    if isinstance(config, LoadedConfig):
        return load_any(config.config, changes) if changes else config
    if not isinstance(config, RunConfig | Mapping):
        refuse_data(config)
        raise InputError(f"config: found a {type(config).__name__}; expected a path, a name, a dict or a RunConfig")
    return load_source(YamlSource("config", as_yaml(config)), NAME, changes)


def refuse_data(config: object) -> None:
    """Refuse data in memory in place of a config.

    Raises:
        InputError: It is a data frame, an array, a list or a tuple.
    """
    if hasattr(config, "shape") or isinstance(config, list | tuple):
        raise InputError(
            f"config: found a {type(config).__name__}; expected a path, a name, a dict or a RunConfig; to train on "
            "data in memory: nnclassify.sklearn.NNClassifier().fit(X, y)"
        )


def assignments(overrides: Overrides) -> list[str]:
    """Convert overrides to `KEY=VALUE` strings, as on the command line.

    Raises:
        InputError: The overrides are of an unsupported type.
    """
    if isinstance(overrides, str) or not isinstance(overrides, Sequence | Mapping):
        raise InputError(f"overrides: found {overrides!r}; expected a list such as ['epochs=5'], or a dict")
    if isinstance(overrides, Mapping):
        return [f"{key}={json.dumps(as_yaml(value), ensure_ascii=False)}" for key, value in overrides.items()]
    return [str(assignment) for assignment in overrides]


def as_yaml(value: Any, depth: int = 0) -> Any:
    """Convert a value to what a YAML file would contain; of settings, only the options that were set."""
    if depth > MAX_DEPTH:
        raise ConfigError([f"config: more than {MAX_DEPTH} levels"])
    if isinstance(value, Settings):
        return as_yaml(_explicit(value), depth)
    if isinstance(value, Mapping):
        return {str(key): as_yaml(child, depth + 1) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [as_yaml(child, depth + 1) for child in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if getattr(value, "ndim", None) == 0:  # a number of NumPy's or torch's
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ConfigError([f"config: found a {type(value).__name__}; expected text, a number, a list or a dict"])


def _explicit(settings: Settings) -> dict[str, Any]:
    """Return the options that were set, and the name that selects the class in YAML."""
    wanted = settings.model_fields_set | ({"name"} if getattr(settings, "name", None) else set())
    fields = type(settings).model_fields
    return {field.alias or name: getattr(settings, name) for name, field in fields.items() if name in wanted}

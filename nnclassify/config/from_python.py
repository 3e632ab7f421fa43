"""A config that Python hands over: a path, a dict, or settings; what is wrong with it is told as of a file."""

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
"""A YAML file, the name of a shipped config, its content as a dict, or one that was loaded or built already."""
Overrides = Sequence[str] | Mapping[str, Any]
"""`["optimizer.lr=0.1"]` as on the command line, or `{"optimizer.lr": 0.1}`."""

NAME = "run"
"""What a run is called whose config has neither a name nor a file."""


def load_any(config: AnyConfig, overrides: Overrides = ()) -> LoadedConfig:
    """Override and check a config, which is left as it is.

    Raises:
        ConfigError: Every problem at once, one line each.
        InputError: It is of no kind that is known, or a path cannot be looked at.
    """
    changes = assignments(overrides)
    if isinstance(config, str | os.PathLike):
        return load_config(os.fspath(config), changes)
    if isinstance(config, LoadedConfig):
        return load_any(config.config, changes) if changes else config
    if not isinstance(config, RunConfig | Mapping):
        raise InputError(f"config: found a {type(config).__name__}; expected a path, a name, a dict or a RunConfig")
    return load_source(YamlSource("config", _as_yaml(config)), NAME, changes)


def assignments(overrides: Overrides) -> list[str]:
    """Overrides as the command line has them.

    Raises:
        InputError: They are something else.
    """
    if isinstance(overrides, str) or not isinstance(overrides, Sequence | Mapping):
        raise InputError(f"overrides: found {overrides!r}; expected a list such as ['epochs=5'], or a dict")
    if isinstance(overrides, Mapping):
        return [f"{key}={json.dumps(_as_yaml(value), ensure_ascii=False)}" for key, value in overrides.items()]
    return [str(assignment) for assignment in overrides]


def _as_yaml(value: Any, depth: int = 0) -> Any:
    """The value as a YAML file would give it; of settings, what their author set."""
    if depth > MAX_DEPTH:
        raise ConfigError([f"config: more than {MAX_DEPTH} levels"])
    if isinstance(value, Settings):
        return _as_yaml(_explicit(value), depth)
    if isinstance(value, Mapping):
        return {str(key): _as_yaml(child, depth + 1) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_as_yaml(child, depth + 1) for child in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if getattr(value, "ndim", None) == 0:  # a number of NumPy's or torch's
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ConfigError([f"config: found a {type(value).__name__}; expected text, a number, a list or a dict"])


def _explicit(settings: Settings) -> dict[str, Any]:
    """Every option that was set, and the name by which the YAML chooses the member."""
    wanted = settings.model_fields_set | ({"name"} if getattr(settings, "name", None) else set())
    return {key: getattr(settings, key) for key in type(settings).model_fields if key in wanted}

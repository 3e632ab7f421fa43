"""Parameters of the estimator that are sections of a config: `optimizer__lr` is `optimizer.lr` in YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nnclassify.config.from_python import as_yaml

SECTIONS = ("model", "loss", "optimizer", "scheduler", "dataset", "evaluation", "lookahead")
"""Parameters with options of their own."""


def nested(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every option of a section that is set, at every depth: `dataset__augment__flip`."""
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield f"{name}__{key}", child
            yield from nested(f"{name}__{key}", child)


def with_option(section: Any, path: Sequence[str], value: Any) -> Any:
    """Return a copy of a section with another value of an option.

    Args:
        section: A dict, the name of a member, settings or None.
        path: The keys that lead to the option.
        value: The value.
    """
    if not path:
        return value
    options = as_options(section)
    return {**options, path[0]: with_option(options.get(path[0]), path[1:], value)}


def as_options(section: Any) -> dict[str, Any]:
    """Return a section as a dict: a name selects a member of a family, and None sets nothing."""
    plain = as_yaml(section)
    if plain is None:
        return {}
    return plain if isinstance(plain, dict) else {"name": plain}

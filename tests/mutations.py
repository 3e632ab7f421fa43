"""Checkpoints that were changed on purpose, with every checksum made valid again."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnclassify.runs.checkpoint import content_digest

Place = tuple[Any, ...]
"""The keys and indices that lead to a value."""


def content_of(path: Path) -> dict[str, Any]:
    """What a checkpoint holds, its SHA-256 apart."""
    content: dict[str, Any] = torch.load(path, weights_only=True)
    del content["sha256"]
    return content


def forge(path: Path, content: dict[str, Any]) -> None:
    """Write that content, with its right SHA-256."""
    path.unlink(missing_ok=True)
    torch.save({**content, "sha256": content_digest(content)}, path)


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Where every value is, containers included."""
    yield at
    if isinstance(value, dict | list | tuple):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(child, (*at, key))


OTHERS: list[Any] = [
    *(None, True, 0, 1, -1, -3, 2, 7, 2**31, 2**62, 2**63 - 1, 0.5, -0.5, 1e308, float("nan"), float("inf")),
    *("", "x", "1", "\x1b[2J\n", [], {}, (), [[]], ["a", "b"], {"a": 1}, {0: {}}, [0, 1], (1, 2)),
    *(torch.tensor(1.0), torch.tensor([1, 2]), torch.zeros(0), torch.zeros(2, 3), torch.tensor(True)),
]


def _other_tensor(tensor: Tensor, rng: random.Random) -> Tensor:
    """Another shape, number type, layout or value."""
    other = torch.float64 if tensor.dtype != torch.float64 else torch.float32
    changes: list[Callable[[], Tensor]] = [
        lambda: tensor.to(other),
        lambda: tensor.to(torch.int64) + 1,
        lambda: tensor[None],
        lambda: tensor.reshape(-1)[:-1],
        lambda: torch.cat([tensor.reshape(-1)] * 2),
        lambda: torch.full_like(tensor, float("nan")) if tensor.is_floating_point() else tensor - 2**40,
        lambda: tensor * 0 - 1,
        lambda: tensor.reshape(-1, 1).expand(-1, 3),
        lambda: torch.as_strided(tensor.clone(), (1,), (3,)),
    ]
    return rng.choice(changes)()


def _replace(parent: Any, key: Any, rng: random.Random) -> None:
    parent[key] = rng.choice(OTHERS)


def _change_tensor(parent: Any, key: Any, rng: random.Random) -> None:
    if isinstance(parent[key], Tensor):
        parent[key] = _other_tensor(parent[key], rng)


def _delete(parent: Any, key: Any, rng: random.Random) -> None:
    del parent[key]


def _add(parent: Any, key: Any, rng: random.Random) -> None:
    if isinstance(parent[key], dict):
        parent[key][rng.choice(["x", 3, -1, True])] = rng.choice(OTHERS)


def _rename(parent: Any, key: Any, rng: random.Random) -> None:
    if isinstance(parent, dict):
        parent[rng.choice(["x", 99, f"{key}x"])] = parent.pop(key)


def _repeat(parent: Any, key: Any, rng: random.Random) -> None:
    if isinstance(parent[key], str | list):
        parent[key] = parent[key] * rng.choice([0, 2])


def _scale(parent: Any, key: Any, rng: random.Random) -> None:
    if type(parent[key]) in (int, float, Tensor):
        parent[key] = parent[key] * rng.choice([0, -1, 2, 10, 0.5])


CHANGES = [_replace, _change_tensor, _delete, _add, _rename, _repeat, _scale]


def mutation(content: dict[str, Any], rng: random.Random) -> tuple[str, dict[str, Any]]:
    """One random change of a checkpoint's content, and which."""
    every = [at for at in places(content) if at]
    before = content_digest(content)
    while True:
        depth, change = rng.randint(1, 6), rng.choice(CHANGES)
        at = rng.choice([at for at in every if len(at) <= depth])
        copied = copy.deepcopy(content)
        parent: Any = copied
        for key in at[:-1]:
            parent = parent[key]
        if isinstance(parent, dict | list):
            change(parent, at[-1], rng)
        if content_digest(copied) != before:
            return f"{change.__name__} {'.'.join(map(str, at))}", copied

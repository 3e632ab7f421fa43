"""A set of cases is a YAML file of healthy configs, and of faults as changes to them.

    healthy:
      NAME: {source: TEXT, slow: false, reached: [...], config: {...}}
    faulty:
      - {twin: NAME, name: TEXT, source: TEXT, causes: [ID, ...], change: {DOTTED.PATH: VALUE}, reached: [...]}

Only `config`, `twin`, `name`, `causes` and `change` are required. `reached` is what `python -m
benchmarks.diagnosis.validate` found, a figure per seed. A healthy config is slow where it needs minutes, and then so
are its faults.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Values = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """A healthy config, what is done to it, and which findings name that."""

    twin: str
    name: str
    change: Values
    causes: tuple[str, ...]


Set = tuple[dict[str, Values], list[Fault]]


def read_cases(path: Path) -> dict[str, Any]:
    """The file as it stands, with what the cases say of themselves."""
    cases: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return cases


def read_set(path: Path, *, with_slow: bool = True) -> Set:
    """The healthy configs by name, and the faults."""
    cases = read_cases(path)
    healthy = {
        name: case["config"] for name, case in cases["healthy"].items() if with_slow or not case.get("slow", False)
    }
    faults = [
        Fault(case["twin"], case["name"], case["change"], tuple(case["causes"]))
        for case in cases["faulty"]
        if case["twin"] in healthy
    ]
    return healthy, faults

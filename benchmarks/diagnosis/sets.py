"""The sets of cases: which there are, and how a case becomes a config on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from faulty_tables import write_tables

from benchmarks.diagnosis.blind_tables import write_blind_tables
from benchmarks.diagnosis.cases import Values, read_set
from benchmarks.diagnosis.fresh_tables import write_fresh_tables
from benchmarks.diagnosis.mixed_tables import write_mixed_files
from benchmarks.diagnosis.multi_hot_tables import write_multi_hot_tables
from benchmarks.diagnosis.noisy_tables import write_noisy_tables
from benchmarks.diagnosis.odd_tables import write_odd_tables
from benchmarks.diagnosis.tables import write_held_out_files
from nnclassify.config.run_config import LoadedConfig, load_config

SETS = {
    name: Path(__file__).with_name(f"{name}.yaml")
    for name in (
        "own",
        "held_out",
        "held_out_2",
        "held_out_3",
        "held_out_4",
        "held_out_5",
        "tutorials",
        "multi_hot",
        "odd",
    )
}
"""`own` was written beside the rules, `held_out` to `held_out_5` apart, the others after them."""


@dataclass(frozen=True)
class Case:
    """A config to diagnose; a faulty one has causes and a healthy twin."""

    set_name: str
    name: str
    config: Values
    causes: tuple[str, ...] = ()
    twin: str | None = None
    twin_config: Values | None = None


def write_files(folder: Path) -> None:
    """Write every table, tensor and picture that cases learn from."""
    write_tables(folder)
    write_held_out_files(folder)
    write_noisy_tables(folder)
    write_multi_hot_tables(folder)
    write_odd_tables(folder)
    write_fresh_tables(folder)
    write_mixed_files(folder)
    write_blind_tables(folder)


def cases_of(set_name: str, *, with_slow: bool = True) -> list[Case]:
    """The cases of a set, the faulty ones first."""
    healthy, faults = read_set(SETS[set_name], with_slow=with_slow)
    faulty = [
        Case(
            set_name,
            f"{fault.twin}+{fault.name}",
            with_changes(healthy[fault.twin], fault.change),
            fault.causes,
            fault.twin,
            healthy[fault.twin],
        )
        for fault in faults
    ]
    return faulty + [Case(set_name, name, config) for name, config in healthy.items()]


def with_changes(config: Values, change: Values) -> Values:
    """A config with the values at dotted paths changed."""
    changed_config: Values = yaml.safe_load(yaml.safe_dump(config))
    for path, value in change.items():
        *parents, last = path.split(".")
        node: Any = changed_config
        for parent in parents:
            if not isinstance(node.get(parent), dict):
                node[parent] = {"name": node[parent]} if parent in node else {}
            node = node[parent]
        node[last] = value
    return changed_config


def load_case(config: Values, name: str, seed: int, data: str) -> LoadedConfig:
    """Write a case as `case.yaml` where we stand, with the folder that holds MNIST and cifar10/, and load it."""
    config = with_changes(config, {"seed": seed})
    if isinstance(config["dataset"], dict) and config["dataset"]["name"] == "mnist":
        config = with_changes(config, {"dataset.root": data})
    if isinstance(config["dataset"], dict) and config["dataset"].get("root") == "cifar10":
        config = with_changes(config, {"dataset.root": f"{data}/cifar10"})
    Path("case.yaml").write_text(f"# {name}\n" + yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return load_config("case.yaml")

"""Score `nnclassify check` on the sets: python -m benchmarks.diagnosis [--set NAME] [--seeds N] [--only TEXT].

`own` is the set that the rules were written beside; `held_out` to `held_out_5` were written apart from them,
`tutorials`, `multi_hot` (multi-hot targets) and `odd` after them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import yaml

from benchmarks.diagnosis.sets import SETS, Case, cases_of, load_case, write_files
from nnclassify.config.run_config import LoadedConfig, validate
from nnclassify.config.yaml_reader import YamlSource
from nnclassify.diagnosis.check import Diagnosis, diagnose
from nnclassify.diagnosis.trials.runner import changed, run_trial
from nnclassify.training.build import build_components

REPAIRED = 0.95
"""A repair counts where its mean accuracy of the classes is this share of the healthy twin's."""
MAX_STEPS = 5000
OF_THE_DATA = ("NN101", "NN102", "NN103", "NN113", "NN117", "NN118", "NN119")
"""Causes that no change of the config can take away: the user has to mend the data."""

NOT_DECIDED = "NN506"
"""The finding that says that the time was too short for a verdict."""


@dataclass(frozen=True)
class Score:
    """One case: what was found, and whether that was right.

    A note, such as that it depends on the seed whether a network learns, accuses nobody: `detected` counts faults
    alone.
    """

    set_name: str
    name: str
    seed: int
    is_faulty: bool
    detected: bool
    named: bool
    repaired: bool | None
    seconds: float
    undecided: bool = False


def main() -> None:
    """Run the cases and print a Markdown table for each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", choices=[*SETS, "all"], default="all", help="which cases; `all` prints a table each")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", default="", help="cases whose name holds this text")
    parser.add_argument("--part", default="0/1", help="i/n: every n-th case from the i-th, to share among processes")
    parser.add_argument("--without-slow", action="store_true", help="leave out the networks that need minutes")
    parser.add_argument("--no-repair", action="store_true", help="do not train the repaired configs")
    parser.add_argument("--scores", type=Path, help="keep the scores in this file, and skip those that are in it")
    parser.add_argument("--mnist", default="data", help="the folder that holds MNIST and cifar10/")
    options = parser.parse_args()
    mnist = str(Path(options.mnist).resolve())
    kept = options.scores.resolve() if options.scores is not None else None
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder))
        os.chdir(folder)
        part, parts = map(int, options.part.split("/"))
        names = list(SETS) if options.set == "all" else [options.set]
        chosen = [case for name in names for case in cases_of(name, with_slow=not options.without_slow)]
        cases = [case for case in chosen if options.only in case.name][part::parts]
        scores = [] if kept is None or not kept.exists() else _read(kept)
        known = {(score.set_name, score.name, score.seed) for score in scores}
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            for case in cases:
                if (case.set_name, case.name, seed) not in known:
                    scores.append(_score(case, seed, mnist, not options.no_repair))
                    _keep(scores[-1], kept)
    for name in names:
        if of_set := [score for score in scores if score.set_name == name]:
            print(f"\nSet `{name}`:\n\n{table(of_set)}")


def _read(kept: Path) -> list[Score]:
    return [Score(**json.loads(line)) for line in kept.read_text(encoding="utf-8").splitlines()]


def _keep(score: Score, kept: Path | None) -> None:
    if kept is not None:
        with kept.open("a") as file:
            file.write(json.dumps(vars(score)) + "\n")


def _score(case: Case, seed: int, mnist: str, with_repair: bool) -> Score:
    loaded = load_case(case.config, case.name, seed, mnist)
    diagnosis = diagnose(loaded)
    detected, is_faulty = diagnosis.has_fault, case.twin is not None
    named = any(finding.id in case.causes for finding in diagnosis.findings[:3])
    repaired = None
    is_mendable = any(cause not in OF_THE_DATA for cause in case.causes)
    if with_repair and case.twin_config is not None and detected and is_mendable and diagnosis.before is not None:
        repaired = _is_repaired(diagnosis, loaded, load_case(case.twin_config, f"{case.name}'s twin", seed, mnist))
    undecided = not detected and any(finding.id == NOT_DECIDED for finding in diagnosis.findings)
    wrong = detected != is_faulty or (is_faulty and not named) or repaired is False
    ids = " ".join(f"{finding.id}:{finding.severity}" for finding in diagnosis.findings)
    mark = "UNDECIDED" if undecided else "WRONG" if wrong else "ok"
    repair = diagnosis.repair
    skills = "-" if repair is None else f"{repair.skill_before:.2f}->{repair.skill_after:.2f}"
    text = f"{mark} {case.name} seed {seed}: {ids} skill {skills} repaired {repaired} {diagnosis.seconds:.0f} s"
    print(f"{text} {diagnosis.change if wrong else ''}", flush=True)
    return Score(case.set_name, case.name, seed, is_faulty, detected, named, repaired, diagnosis.seconds, undecided)


def _is_repaired(diagnosis: Diagnosis, loaded: LoadedConfig, twin: LoadedConfig) -> bool:
    """Whether the mended config trains as well as the healthy twin."""
    mended = _reached(changed(loaded.source, loaded.config, diagnosis.change).to_yaml())
    healthy = _reached(twin.config.to_yaml())
    return mended >= REPAIRED * healthy


@cache
def _reached(text: str) -> float:
    """The mean accuracy of the classes after training a config, on test or validation examples.

    On training examples only where there are no others: a repair that merely memorizes is none. Many faults share one.
    """
    config = validate(YamlSource("case.yaml", yaml.safe_load(text)))
    components = build_components(config)
    total = config.epochs * -(-len(components.splits.train) // config.batch_size)
    splits = replace(components.splits, validation=components.splits.test or components.splits.validation)
    outcome = run_trial(replace(components, splits=splits), min(total, MAX_STEPS), 15.0)
    return outcome.held_out.balanced_accuracy


def _share(values: list[bool]) -> str:
    return f"{sum(values)}/{len(values)} ({sum(values) / len(values):.1%})" if values else "-"


def table(scores: list[Score]) -> str:
    """The figures, as Markdown: of a faulty case each seed counts, of a healthy one any seed that accuses it.

    What is not decided is neither found nor a false alarm, and counted in rows of its own.
    """
    faulty = [score for score in scores if score.is_faulty]
    healthy: dict[str, list[Score]] = {}
    for score in scores:
        if not score.is_faulty:
            healthy.setdefault(score.name, []).append(score)
    seconds = [score.seconds for score in scores]
    rows = [
        ("faulty: a fault is found", _share([score.detected for score in faulty])),
        ("faulty: its cause is among the first three findings", _share([score.named for score in faulty])),
        (
            "found, not in the data alone, and repaired: trains as well as its healthy twin",
            _share([score.repaired for score in faulty if score.repaired is not None]),
        ),
        (
            "healthy: a false alarm with any of its seeds",
            _share([any(score.detected for score in of_case) for of_case in healthy.values()]),
        ),
        ("faulty: not decided", _share([score.undecided for score in faulty])),
        (
            "healthy: not decided with any of its seeds",
            _share([any(score.undecided for score in of_case) for of_case in healthy.values()]),
        ),
        ("seconds a case: median, longest", f"{statistics.median(seconds):.1f}, {max(seconds):.1f}"),
    ]
    return "\n".join(["| figure | result |", "| --- | --- |", *(f"| {name} | {result} |" for name, result in rows)])


if __name__ == "__main__":
    main()

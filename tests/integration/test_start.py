"""Tests of the start of the program: its duration, its imports, its options."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from nnclassify import __version__
from nnclassify.cli.main import app

Program = Any
ROOT = Path(__file__).parent.parent.parent

SHORT = ["--batch-size", "--device", "--epochs", "--lr", "--seed"]
OPTIONS = {
    "nnclassify": ["--help", "--install-completion", "--show-completion", "--version"],
    "train": [
        *["CONFIG", "WORDS", "--help", "--json", "--monitor", "--no-monitor", "--no-plots", "--plots", "--resume"],
        *["--label", "--run", "--set", "--trust", "--verbose", *SHORT],
        *["--folds", "--no-report", "--report", "--seeds"],
    ],
    "learning-curve": [
        *["CONFIG", "WORDS", "--help", "--json", "--label", "--no-trials", "--plot", "--seeds", "--set", "--shares"],
        *["--trials", "--trust", *SHORT],
    ],
    "tune": [
        *["CONFIG", "WORDS", "--help", "--json", "--label", "--no-plots", "--no-prune", "--plots", "--prune", "--set"],
        *["--study", "--trials", "--trust", *SHORT],
    ],
    "audit": [
        *["CONFIG", "WORDS", "--help", "--json", "--label", "--network", "--no-plots", "--out", "--plots", "--set"],
        *["--trust", "--verbose", *SHORT],
    ],
    "init": ["DATA", "WORDS", "--help", "--json", "--label", "--out", "--set", *SHORT],
    "preview": ["CONFIG", "WORDS", "--help", "--json", "--label", "--out", "--set", "--split", "--trust", *SHORT],
    "check": [
        *[
            "CONFIG",
            "WORDS",
            "--fix",
            "--help",
            "--json",
            "--label",
            "--lr-range",
            "--minutes",
            "--out",
            "--set",
            "--trust",
            "--verbose",
            *SHORT,
        ],
    ],
    "explain": ["FINDING", "--help", "--json"],
    "lesson": ["NAME", "--all", "--help", "--hints", "--json", "--out", "--plot", "--quiz", "--seed"],
    "evaluate": [
        "RUN",
        "WORDS",
        "--by",
        "--csv",
        "--data",
        "--device",
        "--help",
        "--importance",
        "--label",
        "--json",
        "--run",
        "--set",
        "--trust",
        "--split",
    ],
    "predict": [
        *["INPUTS", "--copy-to", "--csv", "--device", "--help", "--json", "--run", "--save-csv", "--set", "--trust"],
        *["--top-k", "--heatmap", "--min-confidence", "--risk", "--sets"],
    ],
    "plots": ["RUN", "WORDS", "--device", "--help", "--json", "--run", "--set", "--trust"],
    "compare": ["RUNS", "--help", "--json", "--plot", "--run"],
    "export": ["RUN", "WORDS", "--help", "--json", "--license", "--out", "--run", "--set", "--to", "--trust"],
    "report": ["RUNS", "--help", "--json", "--out", "--run"],
    "serve": [
        *["RUN", "WORDS", "--allow-host", "--device", "--help", "--host", "--json", "--max-inputs", "--max-mb"],
        *["--max-megapixels", "--min-confidence", "--port", "--queue", "--risk", "--run", "--set", "--sets"],
        *["--timeout", "--top-k", "--trust", "--workers"],
    ],
    "receipt": ["RUN", "--help", "--json", "--out"],
    "reproduce": ["PATH", "WORDS", "--help", "--json", "--set", "--trust"],
    "summary": ["CONFIG", "WORDS", "--help", "--json", "--label", "--run", "--set", "--trust", *SHORT],
    "runs": ["ROOT", "--help", "--json"],
    "configs": ["--help", "--json"],
    "configs show": ["NAME", "WORDS", "--help", "--json", "--label", "--set", *SHORT],
    "configs copy": ["NAME", "TARGET", "--help", "--json"],
    "configs reference": ["--help", "--json"],
    "configs schema": ["--command", "--help", "--json"],
}
"""The command line is an interface: scripts rely on it. Change this list only on purpose."""

IMPORTS = """\
import sys
from nnclassify.cli.main import main
heavy = {"torch", "torch._dynamo", "sympy", "torchvision", "matplotlib", "sklearn", "PIL", "scipy", "optuna"}
for command in sys.argv[1:] or [""]:
    sys.argv = ["nnclassify", *command.split()]
    try:
        main()
    except SystemExit:
        pass
    print("\\nheavy:", sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
"""Runs command lines in one process, and says after each which heavy libraries have been imported so far."""


def options_of(command: Any, name: str) -> dict[str, list[str]]:
    found = {name: sorted({"--help", *(flag for p in command.params for flag in flags_of(p))})}
    for child, subcommand in getattr(command, "commands", {}).items():
        found |= options_of(subcommand, child if name == "nnclassify" else f"{name} {child}")
    return found


def flags_of(parameter: Any) -> list[str]:
    if parameter.param_type_name == "option":
        return [*parameter.opts, *parameter.secondary_opts]
    return [str(parameter.name).upper()]


def test_the_command_lines_options_are_frozen() -> None:
    assert options_of(typer.main.get_command(app), "nnclassify") == {k: sorted(v) for k, v in OPTIONS.items()}


def imported(*commands: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Command lines, with what they import on standard error."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run([sys.executable, "-c", IMPORTS, *commands], capture_output=True, text=True, env=variables)


@pytest.mark.slow
def test_these_import_nothing_heavy(here: Path) -> None:
    commands = ["--help", "--version", "configs", "configs show digits_cnn", "train --help", "train nope", "lesson"]
    commands += ["configs schema", "predict", "runs"]
    done = imported(*commands)
    assert done.stderr.count("\nheavy: []\n") == len(commands), done.stderr


def test_help_imports_no_pydantic() -> None:
    """It and what it needs would be a third of the time to start."""
    code = "import sys, nnclassify.cli.main; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.slow
def test_training_and_predicting_import_no_compiler_and_draw_nothing_unasked(here: Path, nnclassify: Program) -> None:
    config = ROOT / "configs" / "smoke" / "model_mlp.yaml"
    done = imported(f"train {config} --no-plots", "predict 1,2")
    heavy = done.stderr.rstrip().splitlines()[-1]
    assert "'torch'" in heavy and not any(name in heavy for name in ("_dynamo", "sympy", "matplotlib"))
    assert "exit code" not in done.stderr and "run: checkpoints/model_mlp" in done.stdout, done.stderr


@pytest.mark.slow
def test_training_on_a_table_of_scikit_learn_does_not_import_it(here: Path) -> None:
    """The import takes longer than the training."""
    done = imported("train iris_mlp epochs=1 --no-plots", "evaluate", "predict 1,2,3,4")
    assert "accuracy" in done.stdout and "setosa" in done.stdout, done.stderr
    heavy = done.stderr.rstrip().splitlines()[-1]
    assert "'torch'" in heavy and not any(name in heavy for name in ("sklearn", "scipy")), done.stderr


def test_completion_imports_nothing_heavy_and_knows_the_configs(here: Path) -> None:
    words = {"COMP_WORDS": "nnclassify train digits", "COMP_CWORD": "2"}
    done = imported(_NNCLASSIFY_COMPLETE="complete_bash", **words)
    assert "digits_cnn" in done.stdout
    assert done.stderr.rstrip().endswith("heavy: []"), done.stderr


@pytest.mark.slow
def test_help_takes_at_most_three_times_as_long_as_importing_typer(here: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    commands = {"typer": ["-c", "import typer"], "help": ["-m", "nnclassify", "--help"]}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(7):
        for name, arguments in commands.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], capture_output=True, check=True, env=environment)
            seconds[name].append(time.perf_counter() - started)
    assert min(seconds["help"]) <= 3 * min(seconds["typer"])


@pytest.mark.slow
def test_version(nnclassify: Program) -> None:
    done = nnclassify("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"nnclassify {__version__}\n", "")


@pytest.mark.slow
def test_configs_are_listed_shown_and_copied(nnclassify: Program, place: Path) -> None:
    listed = nnclassify("configs")
    names = [line.split()[0] for line in listed.stdout.splitlines()]
    assert names == [*sorted(path.stem for path in (ROOT / "configs").glob("*.yaml")), "smoke/..."]
    shown = nnclassify("configs", "show", "digits_cnn")
    shipped = (ROOT / "configs/digits_cnn.yaml").read_text()
    assert shown.stdout.replace(str(ROOT / "schema.json"), "../schema.json") == shipped
    copied = nnclassify("configs", "copy", "digits_cnn")
    assert copied.returncode == 0 and (place / "digits_cnn.yaml").read_text() == shown.stdout
    again = nnclassify("configs", "copy", "digits_cnn")
    assert again.returncode == 2 and "already exists" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (["configs"], ["configs"]),
        (["runs"], ["root", "runs"]),
        (["configs", "show", "xor_1"], ["name", "yaml"]),
        (["configs", "copy", "xor_1"], ["name", "path"]),
        (["configs", "reference"], ["markdown"]),
        (["explain", "NN116"], ["id", "title", "why", "source", "looks_at", "fix", "example", "near_miss"]),
    ],
)
def test_these_print_json_too(arguments: list[str], keys: list[str], here: Path) -> None:
    done = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    assert sorted(json.loads(done.stdout)) == sorted(["schema", *keys])


def test_every_command_has_json() -> None:
    assert all("--json" in options for name, options in OPTIONS.items() if name != "nnclassify")

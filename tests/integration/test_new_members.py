"""Tests that a new member of a family needs only its class: no table of rules, rates or names has to list it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from mutations import content_of

from nnclassify.runs.checkpoint import content_digest

pytestmark = pytest.mark.slow

MEMBERS = {
    "dataset": "quadrants",
    "model": "gated",
    "loss": "margin",
    "optimizer": "sign_momentum",
    "scheduler": "triangle",
}
PLAIN = {"dataset": "iris", "model": "{name: mlp, hidden: [8]}"}


def start(place: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line with the toy members."""
    environment |= {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "XDG_CACHE_HOME": str(place / "cache")}
    command = [sys.executable, "-W", "error", str(ROOT / "tests/toy_members.py"), *arguments]
    return subprocess.run(
        command, cwd=place, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300
    )


def done(place: Path, *arguments: str) -> Any:
    """What a command that succeeds prints as JSON."""
    found = start(place, *arguments, "--json")
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def end_of(run: str) -> str:
    """A digest of all that a run ends with, times apart."""
    training = content_of(Path(run) / "last.pt")["training"]
    return content_digest({key: training[key] for key in ("model", "optimizers", "random", "step", "best")})


@pytest.mark.parametrize("family", ["optimizer", "all"])
def test_a_new_member_trains_resumes_predicts_and_is_checked(family: str, here: Path) -> None:
    keys = MEMBERS if family == "all" else {**PLAIN, family: MEMBERS[family]}
    lines = [f"{key}: {value}" for key, value in keys.items()]
    (here / "toy.yaml").write_text("\n".join([*lines, "epochs: 40\nbatch_size: 16\ncheckpoint_every: {steps: 5}\n"]))
    stopped = start(here, "train", "toy.yaml", STOP_AT="55")
    assert stopped.returncode == 128 + signal.SIGTERM, stopped.stderr
    resumed = done(here, "train", "toy.yaml", "--resume", "--no-plots")
    whole = done(here, "train", "toy.yaml", "--no-plots")
    assert resumed["run"] != whole["run"]
    assert end_of(resumed["run"]) == end_of(whole["run"])
    assert whole["test"]["accuracy"] > 0.8
    values = "0.5,0.5" if "quadrants" in keys.values() else "5.1,3.5,1.4,0.2"
    (prediction,) = done(here, "predict", "--run", whole["run"], values)["predictions"]
    assert prediction["label"] == ("d" if "quadrants" in keys.values() else "setosa")
    assert not [one for one in done(here, "check", "toy.yaml")["findings"] if one["severity"] == "fault"]


def test_an_optimizer_without_an_update_rule_is_not_compiled(here: Path) -> None:
    (here / "toy.yaml").write_text("dataset: iris\nmodel: mlp\noptimizer: sign_momentum\ncompile: on\n")
    refused = start(here, "train", "toy.yaml")
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert "toy.yaml:4: compile: found on, but no rule in optim/update_rules.py" in line

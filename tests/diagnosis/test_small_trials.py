"""Tests of `check` on few examples, whose trials have no validation split."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnclassify.config.run_config import load_config
from nnclassify.diagnosis.check import diagnose

pytestmark = pytest.mark.slow


def test_a_trial_without_validation_selects_no_epoch(here: Path) -> None:
    """`select_by: log_loss`, as `init` suggests for few rows, was reported as a run that stops with an error."""
    rows = [f"{number % 17},{number % 5},{'ab'[number % 17 > 8]}" for number in range(120)]
    Path("t.csv").write_text("\n".join(["x,z,label", *rows, ""]))
    found = diagnose(load_config("t.csv"), minutes=0.02)
    assert "NN503" not in [finding.id for finding in found.findings]

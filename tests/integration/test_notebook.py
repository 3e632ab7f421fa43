"""The notebook that ships in docs/, in a real Jupyter kernel: its outputs, and progress with and without widgets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
EXECUTE = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": "."}}).execute()
nbformat.write(notebook, "executed.ipynb")
"""
TEXT_BAR = """
import sys, warnings
warnings.simplefilter("error")
sys.modules["ipywidgets"] = None
import nnclassify
nnclassify.train("iris_mlp", root="runs", overrides={"epochs": 2}, report=False, progress=True).plan
"""


def executed(notebook: Path, folder: Path) -> list[list[dict[str, Any]]]:
    """Execute a notebook in a folder; return the outputs of each of its cells with code."""
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    command = [sys.executable, "-c", EXECUTE, str(notebook)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    cells = json.loads((folder / "executed.ipynb").read_text(encoding="utf-8"))["cells"]
    return [cell["outputs"] for cell in cells if cell["cell_type"] == "code"]


def text_of(outputs: list[dict[str, Any]], kind: str) -> str:
    """Return what the outputs of a cell are as text/html or another type."""
    return "".join("".join(output.get("data", {}).get(kind, "")) for output in outputs)


def test_the_notebook_ships_without_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    of_code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(of_code) > 5
    assert [cell["outputs"] for cell in of_code] == [[]] * len(of_code)


@pytest.mark.slow
def test_the_notebook_runs_and_shows_what_it_says(tmp_path: Path) -> None:
    train, frame, compared, loaded, predicted, evaluated, search, best = executed(NOTEBOOK, tmp_path)
    assert "application/vnd.jupyter.widget-view+json" in str(train)
    assert "confusion matrix of the test split" in text_of(train, "text/html")
    assert "<svg" in text_of(train, "text/html")
    assert "validation_accuracy" in text_of(frame, "text/html")
    assert "digits_cnn-2" in text_of(compared, "text/html")
    assert "90,250 parameters" in text_of(loaded, "text/html")
    assert text_of(predicted, "text/html").count('class="bar"') == 5
    assert "macro F1" in text_of(evaluated, "text/html")
    assert text_of(search, "text/plain") == "{'optimizer__lr': 0.03}"
    assert "Classifier" in text_of(best, "text/html")
    streams = [output for cell in (frame, compared, loaded, predicted, evaluated, search, best) for output in cell]
    assert [output for output in streams if output["output_type"] == "stream"] == []
    assert "warning" not in str(train).lower()


@pytest.mark.slow
def test_without_widgets_progress_is_text_and_no_warning(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(TEXT_BAR)])
    (tmp_path / "bar.ipynb").write_text(nbformat.writes(notebook), encoding="utf-8")
    (outputs,) = executed(tmp_path / "bar.ipynb", tmp_path)
    printed = "".join("".join(output["text"]) for output in outputs if output["output_type"] == "stream")
    assert "epoch 2/2" in printed
    assert "arning" not in printed

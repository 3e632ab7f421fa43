"""Tests of exported networks: they answer as the trained ones do, in their own runtimes, or nothing is written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import nnclassify
from nnclassify.errors import InputError, ModelError
from nnclassify.inference.export import export as exporting
from nnclassify.inference.export.about import TOLERANCE, Export
from nnclassify.inference.export.export import export_run
from nnclassify.inference.export.weights import write_weights

TABLE = """weight,color,joined,class
1.5,red,2021-03-04,a
2.5,blue,2020-01-31,b
,red,2022-12-01,a
3.5,"deep, blue",2019-05-06,b
"""
COLUMNS = ["weight", "color", "joined"]


def _trained(root: Path, **config: object) -> Path:
    quick = {"epochs": 1, "batch_size": 8, "device": "cpu", "optimizer": {"name": "adam", "lr": 0.01}}
    result = nnclassify.train({**quick, **config}, root, report=False, monitor=False)
    return result.folder.best


@pytest.fixture(scope="module")
def table_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("table")
    header, *rows = TABLE.splitlines()
    (folder / "table.csv").write_text("\n".join([header, *rows * 10]) + "\n")
    dataset = {"name": "csv", "path": str(folder / "table.csv"), "label": "class", "test": 0.2, "missing": "fill"}
    kinds = {"categories": {"color": "one_hot"}, "dates": ["joined"], "quantile_transform": ["weight"]}
    return _trained(folder, dataset={**dataset, **kinds}, model={"name": "mlp", "hidden": [4]})


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    blocks = [{"channels": 4, "pool": "max"}]
    dataset = {"name": "digits", "validation": 0.2, "limit": 300}
    return _trained(tmp_path_factory.mktemp("digits"), dataset=dataset, model={"name": "cnn", "blocks": blocks})


def test_weights_and_their_card(digits_run: Path, tmp_path: Path) -> None:
    made = export_run(digits_run, "safetensors", tmp_path / "digits.safetensors", license_text="CC *BY*")
    assert made.compared >= 256 and made.largest_difference == pytest.approx(0, abs=TOLERANCE)
    length = int.from_bytes(made.path.read_bytes()[:8], "little")
    metadata = json.loads(made.path.read_bytes()[8 : 8 + length])["__metadata__"]
    about = json.loads(metadata["nnclassify"])
    assert about["classes"] == [*"0123456789"] and about["config"]["dataset"]["name"] == "digits"
    assert metadata["license"] == "CC *BY*"
    card = made.card.read_text()
    assert f"on {made.compared} real examples" in card and r"CC \*BY\*" in card and "## Limits" in card
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits.safetensors", "digits.safetensors.md"]


def test_a_network_that_answers_otherwise_is_not_written(
    digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(export: Export, path: Path) -> None:
        with torch.no_grad():
            next(export.classifier.model.parameters()).add_(0.1)  # after the answers were computed
        write_weights(export, path)

    form = exporting.FORMS["safetensors"]
    monkeypatch.setitem(exporting.FORMS, "safetensors", exporting.Form(form.suffix, wrong, form.compare))
    with pytest.raises(InputError, match=r"not the same: probabilities differ by up to .*; nothing was written"):
        export_run(digits_run, "safetensors", tmp_path / "digits.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_forms_and_packages_are_checked_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"found 'onx'; did you mean 'onnx'\?; expected one of onnx, safetensors"):
        export_run(tmp_path / "best.pt", "onx")
    with pytest.raises(InputError, match=r"a\.HTML: found the ending of --to html, expected \.onnx for --to onnx"):
        export_run(tmp_path / "best.pt", "onnx", tmp_path / "a.HTML")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"onnx is not installed; run: pip install 'nnclassify\[export\]'"):
        export_run(tmp_path / "best.pt", "onnx")


def test_a_page_names_the_layer_that_is_too_large(tmp_path: Path) -> None:
    best = _trained(tmp_path, dataset={"name": "xor"}, model={"name": "mlp", "hidden": [10, 50_000]})
    with pytest.raises(
        ModelError, match=r"over the limit of 2 MB; the largest layer is hidden_1_linear, .*\(50000, 10"
    ):
        export_run(best, "html")
    assert not (best.parent / "export").exists() or not list((best.parent / "export").iterdir())


FRESH = """
import json, sys

sys.modules["nnclassify"] = None  # importing it fails
import numpy as np, onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1])
rows = json.loads(sys.argv[2])
feed = {}
for place, given in enumerate(session.get_inputs()):
    kind = object if given.type == "tensor(string)" else np.float64
    feed[given.name] = np.array([row[place] for row in rows], dtype=kind)[:, None]
probabilities, index, names = session.run(None, feed)
about = session.get_modelmeta().custom_metadata_map
classes = json.loads(about["classes"])
print(json.dumps([probabilities.tolist(), index.tolist(), names.tolist(), about["license"], classes]))
"""


@pytest.mark.slow
def test_onnx_takes_texts_in_a_process_without_nnclassify(table_run: Path, tmp_path: Path) -> None:
    made = export_run(table_run, "onnx", tmp_path / "table.onnx", license_text="MIT")
    days = [float(np.datetime64(day).astype(int)) for day in ("2021-03-04", "2019-05-06")]  # since 1970-01-01
    rows = [[1.5, "red", days[0]], [float("nan"), "deep, blue", days[1]], [1.0, "never seen", days[0]]]
    command = [sys.executable, "-I", "-c", FRESH, str(made.path), json.dumps(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, timeout=120)
    probabilities, index, names, license_text, classes = json.loads(done.stdout)
    frame = [["1.5", "red", "2021-03-04"], ["", "deep, blue", "2019-05-06"], ["1", "never seen", "2021-03-04"]]
    wanted = nnclassify.load(table_run).predict(np.array(frame, dtype=object))
    np.testing.assert_allclose(probabilities, wanted.probabilities, rtol=0, atol=TOLERANCE)
    assert names == [prediction.label for prediction in wanted] == [classes[place] for place in index]
    assert license_text == "MIT"


@pytest.mark.slow
def test_a_program_of_torch_takes_images_of_any_size(digits_run: Path, tmp_path: Path) -> None:
    from PIL import Image

    made = export_run(digits_run, "torch", tmp_path / "digits.pt2")
    network = torch.export.load(made.path).module()
    classifier = nnclassify.load(digits_run, device="cpu")
    for height, width in ((8, 8), (1, 3), (50, 20)):
        pixels = np.random.default_rng(height).integers(0, 256, (height, width), dtype=np.uint8)
        (prediction,) = classifier.predict(Image.fromarray(pixels))
        probabilities, index = network(torch.tensor(pixels)[None, :, :, None])
        torch.testing.assert_close(probabilities[0], prediction.probabilities, rtol=0, atol=TOLERANCE)
        assert classifier.classes[int(index[0])] == prediction.label


@pytest.mark.slow
@pytest.mark.parametrize("browser", ["chromium", "node"])
def test_a_page_answers_in_a_browser_and_in_node(
    digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, browser: str
) -> None:
    if shutil.which(browser) is None:
        pytest.skip(f"no {browser}")
    if browser == "node":
        monkeypatch.setattr("nnclassify.inference.export.page.BROWSERS", ())
    made = export_run(digits_run, "html", tmp_path / "digits.html")
    assert made.compared >= 256 and made.largest_difference is not None and made.largest_difference <= TOLERANCE
    page = made.path.read_text()
    assert "http" not in page.replace("http-equiv", "") and made.num_bytes < 2_000_000


@pytest.mark.slow
def test_a_page_of_a_table_answers_in_node(table_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("node") is None:
        pytest.skip("no node")
    monkeypatch.setattr("nnclassify.inference.export.page.BROWSERS", ())
    made = export_run(table_run, "html", tmp_path / "table.html")
    assert made.compared and made.largest_difference is not None and made.largest_difference <= TOLERANCE


@pytest.mark.slow
def test_a_page_that_cannot_be_compared_says_so(
    table_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    monkeypatch.setattr(shutil, "which", lambda name: None)
    made = export_run(table_run, "html", tmp_path / "table.html", note=notes.append)
    assert made.largest_difference is None and "no browser" in notes[0]
    assert "was not compared" in made.card.read_text()


@pytest.mark.slow
def test_what_a_browser_prints_is_read_as_utf_8_in_every_locale(tmp_path: Path) -> None:
    """Such as on Windows: the page has the names of classes, and its answers after them."""
    browser = tmp_path / "browser"
    browser.write_text("#!/bin/sh\nprintf '\\344\\270\\201<pre id=\"compared\">[1.5]</pre>'\n")
    browser.chmod(0o700)
    code = "import sys; from nnclassify.inference.export.page import _in_browser; from pathlib import Path\n"
    code += "print(_in_browser(sys.argv[1], '', Path(sys.argv[2])))"
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code, browser, tmp_path],
        env={**os.environ, **ascii_only},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "[1.5]\n", done.stderr

"""Tests of the schemas of `--json`: the files are current, every output names one, and real outputs keep to it."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from jsonschema import Draft202012Validator, ValidationError

from nnclassify.cli.json_schemas import MODELS, output_schema
from nnclassify.cli.main import app

Program = Any
OUTSIDE = {"serve", "lesson-site"}
"""Printed by a command that does not end, and by one that takes minutes: both have their own lines below."""
CONFIG = (
    "dataset: {name: digits, limit: 120, folds: 3, fold: 1, validation: 0.4}\nmodel: mlp\nepochs: 3\ncompile: off\n"
    "optimizer: {name: adam, lr: 0.01}\n"
)
TABLE = "dataset: {name: csv, path: table.csv, label: label, features: [a, b]}\nmodel: mlp\nepochs: 1\n"
MULTI_HOT = TABLE.replace("label: label", "label: [red, round]") + "loss: bce_with_logits\n"
COMMANDS: list[tuple[str, int, str]] = [
    ("train", 0, "train mine.yaml --no-plots --no-report"),
    ("train-group", 0, "train mine.yaml name=many epochs=1 --seeds 2 --no-plots --no-report"),
    ("evaluate", 0, "evaluate mine"),
    ("predict", 0, "predict image.png missing.png --run mine --sets 0.9 --min-confidence 0.5"),
    ("predict", 0, "predict image.png --run mine --risk 0.7"),
    ("train", 0, "train two.yaml --no-plots --no-report"),
    ("train", 0, "train two.yaml name=rare dataset.label=rare --no-plots --no-report"),
    ("evaluate", 0, "evaluate two --data table.csv --by site --importance"),
    ("predict", 0, "predict 1,2 --run two --sets 0.8"),
    ("train", 0, "train several.yaml --no-plots --no-report"),
    ("evaluate", 0, "evaluate several"),
    ("predict", 0, "predict 1,2 --run several"),
    ("compare", 0, "compare mine many/seed-0"),
    ("compare", 0, "compare mine many/seed-0 --plot curves.png"),
    ("plots", 0, "plots many/seed-0"),
    ("report", 0, "report mine"),
    ("receipt", 0, "receipt mine"),
    ("reproduce", 0, "reproduce checkpoints/mine/receipt.json"),
    ("tune", 0, 'tune two.yaml search.optimizer.lr={"log":[0.001,1]} --trials 2 --no-plots'),
    ("learning-curve", 0, "learning-curve iris_mlp epochs=1 --shares 3 --seeds 1 --no-trials"),
    ("export", 0, "export mine --to safetensors --out mine.safetensors"),
    ("runs", 0, "runs"),
    ("summary", 0, "summary mine.yaml"),
    ("summary", 0, "summary --run mine model.dropout=0.1"),
    ("preview", 0, "preview iris_mlp"),
    ("preview", 0, "preview mine.yaml"),
    ("check", 4, "check mine.yaml --minutes 0.1"),
    ("audit", 0, "audit iris_mlp --no-plots"),
    ("explain", 0, "explain NN201"),
    ("init", 0, "init table.csv --out made.yaml"),
    ("configs", 0, "configs"),
    ("configs-show", 0, "configs show xor_1"),
    ("configs-copy", 0, "configs copy xor_1"),
    ("configs-reference", 0, "configs reference"),
    ("lessons", 0, "lesson"),
    ("lesson", 0, "lesson renumbered-classes"),
    ("lesson-files", 0, "lesson renumbered-classes --out lesson"),
]


def validate(name: str, content: Any) -> None:
    Draft202012Validator(output_schema(name)).validate(content)


@pytest.mark.parametrize("name", MODELS)
def test_the_schema_in_the_repository_is_current(name: str) -> None:
    """Renew it with: python -m nnclassify configs schema --command NAME > docs/json/NAME.json."""
    assert json.loads((ROOT / "docs/json" / f"{name}.json").read_text()) == output_schema(name)
    Draft202012Validator.check_schema(output_schema(name))


def test_the_table_in_the_documents_has_a_row_per_schema() -> None:
    assert sorted(path.stem for path in (ROOT / "docs/json").iterdir()) == sorted(MODELS)
    lines = (ROOT / "docs/json.md").read_text(encoding="utf-8").splitlines()
    about = {name: output_schema(name)["description"] for name in MODELS}
    rows = [f"| `{name}` | [{name}.json](json/{name}.json) | {text} |" for name, text in about.items()]
    assert [line for line in lines if line.startswith("| `")] == rows


def test_every_object_that_a_command_prints_names_its_schema() -> None:
    named, unnamed = set(), []
    for path in (ROOT / "nnclassify/cli").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "print_json",
                "print_json_list",
                "print_result",
            ):
                names = [each.value for each in node.args[1:] if isinstance(each, ast.Constant)]
                named.update(names)
                unnamed += [] if names else [ast.unparse(node)]
    assert named == set(MODELS)
    # The one of `print_result`, whose callers name it, and the one that prints a schema.
    assert sorted(unnamed) == ["print_json(content, schema)", "print_json(schema)"]
    assert named == OUTSIDE | {name for name, _, _ in COMMANDS}


def test_an_undocumented_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="'more' was unexpected"):
        validate("report", {"schema": "nnclassify/report/1", "report": "a.html", "more": 1})
    with pytest.raises(ValidationError, match="'nnclassify/report/1' was expected"):
        validate("report", {"schema": "nnclassify/report/2", "report": "a.html"})


def test_the_site_of_the_lessons_keeps_to_its_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("nnclassify.lessons.site.write_site", lambda out, seed, note: out / "index.html")
    app(["lesson", "--all", "--out", str(tmp_path), "--json"], standalone_mode=False)
    printed = json.loads(capsys.readouterr().out)
    validate("lesson-site", printed)
    assert printed["index"] == str(tmp_path / "index.html") and "memorizing" in printed["lessons"]


@pytest.mark.slow
def test_every_command_prints_what_its_schema_says(nnclassify: Program, place: Path) -> None:
    from PIL import Image

    (place / "mine.yaml").write_text(CONFIG)
    (place / "two.yaml").write_text(TABLE)
    (place / "several.yaml").write_text(MULTI_HOT)
    rows = [f"{i},{-i},{i % 2},{i % 3 // 2},{'ns'[i % 5 > 2]},{'xy'[i % 2]},{'xy'[i % 2]}\n" for i in range(60)]
    rows.append("60,-60,1,1,n,x,z\n")  # no metric that needs every class has a value where this row is not
    (place / "table.csv").write_text("a,b,red,round,site,label,rare\n" + "".join(rows))
    Image.new("L", (8, 8)).save(place / "image.png")
    wrong = []
    for name, code, line in COMMANDS:
        done = nnclassify(*line.split(), "--json")
        try:
            assert done.returncode in (code, 2 if name == "predict" else code, 0), done.stderr
            validate(name, json.loads(done.stdout))
        except (AssertionError, ValueError, ValidationError) as error:
            wrong.append(f"{line}: {str(error)[:300]}")
    validate("serve", first_object(place, "serve", "mine", "--port", "0", "--json"))
    assert wrong == []


def first_object(place: Path, *arguments: str) -> Any:
    """What a server prints first; it is stopped as soon as it answers."""
    command = [sys.executable, "-W", "error", "-m", "nnclassify", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=place, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = json.loads(process.stdout.readline())
        for _ in range(600):  # until then, a signal ends the command like any other
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{printed['url']}/health"):
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    return printed


@pytest.mark.slow
@pytest.mark.parametrize("line", ["train nope", "evaluate nope", "configs show nope", "check nope", "runs nope"])
def test_a_command_that_fails_prints_no_object(line: str, nnclassify: Program) -> None:
    done = nnclassify(*line.split(), "--json")
    assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("error: ")

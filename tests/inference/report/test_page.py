"""The page about a run: what it says, and that it is whole whatever the run folder holds."""

from __future__ import annotations

import copy
import itertools
import json
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from run_folders import row_of, write_answers, write_run

import nnclassify
import nnclassify.errors
from nnclassify.errors import CheckpointError
from nnclassify.files.csv_cells import write_csv
from nnclassify.inference.report.page import save_report
from nnclassify.run import train_isolated
from nnclassify.runs.folder import RunFolder
from nnclassify.training.history import write_rows
from nnclassify.training.trainer import Observer, Trainer

VOID = {"meta", "img", "link", "br", "hr", "input"}
MAX_BYTES = 1_500_000


class Page(HTMLParser):
    """The elements of a page; an element that is not closed, or closed twice, fails."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: Counter[str] = Counter()
        self.headings: list[int] = []
        self.sources: list[str] = []
        self.words: list[str] = []
        self.html = path.read_text(encoding="utf-8")
        self.feed(self.html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        named = dict(attrs)
        assert not [name for name in named if name.startswith("on") or name == "style"]
        self.ids[named.get("id") or ""] += 1
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["script"], ["style"]):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def page_of(folder: RunFolder) -> Page:
    page = Page(save_report(folder))
    assert [name for name, count in page.ids.items() if count > 1 and name] == []
    assert page.headings[0] == 1
    assert all(after <= before + 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
    assert all(source.startswith(("#", "data:image/")) for source in page.sources)
    assert page.tags["script"] == 2
    assert len(page.html.encode()) < MAX_BYTES
    return page


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    config = {"dataset": {"name": "rgb", "num_examples": 200}, "model": {"name": "mlp", "hidden": [4]}, "epochs": 2}
    return nnclassify.train(config, root=tmp_path_factory.mktemp("runs"), overrides=["optimizer.lr=0.02"]).folder


def test_a_run_has_a_page_with_its_figures_and_origins(trained: RunFolder) -> None:
    html = trained.report.read_text(encoding="utf-8")
    text = page_of(trained).text
    assert "test images" not in text  # colors are rows of three numbers
    assert "The task: tell 2 classes of rows apart (dark, light)." in text
    assert "95% interval" in text
    assert "optimizer.lr 0.02 --set optimizer.lr=0.02" in text
    assert f"nnclassify train {trained.config}" in text
    assert trained.report.read_text(encoding="utf-8") == html  # made again from the folder alone


def test_the_data_is_not_needed_to_make_the_page_again(trained: RunFolder) -> None:
    shown = json.loads(trained.examples.read_text())
    assert shown["split"] == "test"
    assert len(shown["columns"]) == 3
    name = next(iter(shown["values"]))
    assert name in trained.predictions.read_text()


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    names = [
        "</script><script>alert(1)</script>",
        "\" onmouseover='x' {{ 7*7 }}",
        "a\u202eb\x00\x1b[31m",
        "x" * 9000,
        "-->",
    ]
    run = write_run(tmp_path / "<b>run", result={"test": {"accuracy": 0.2, "loss": 1.0}})
    write_answers(run, names, [(f"{name}.png", index, (index + 1) % 5, 0.9) for index, name in enumerate(names)])
    page = page_of(run)
    assert "</script><script>alert(1)" not in page.html
    assert "</script><script>alert(1)</script>" in page.text
    assert "{{ 7*7 }}" in page.text
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e]", page.html)
    assert "\\u202e" in page.text


@pytest.mark.slow
def test_a_thousand_classes_fit_a_page(tmp_path: Path) -> None:
    run = write_run(tmp_path, result={"test": {"accuracy": 0.5}})
    classes = [f"class number {number}" for number in range(1000)]
    write_answers(run, classes, [(f"image {n}.jpg", n, n // 2, 0.5) for n in range(200)])
    page = page_of(run)
    assert "The 20 classes with the most mistakes; 980 others are left out." in page.text
    assert page.tags["tr"] > 1000


@pytest.mark.slow
def test_long_names_fit_a_page(tmp_path: Path) -> None:
    run = write_run(tmp_path, result={"test": {"accuracy": 0.5}})
    answers = [(f"{number}" + "\N{GRINNING FACE}" * 300 + "a" + "\u0301" * 900, 0, 1, 0.5) for number in range(4000)]
    write_answers(run, ["a", "b"], answers)
    assert "4,000 of 4,000" in page_of(run).text


def test_thousands_of_epochs_are_thinned(tmp_path: Path) -> None:
    run = write_run(tmp_path, epochs=1)
    write_rows(run.history, [row_of(epoch) for epoch in range(1, 5_001)])
    assert "epochs are drawn; results.csv has all" in page_of(run).text
    assert len(run.report.read_bytes()) < 200_000


def test_a_run_without_a_test_split_is_judged_on_validation(tmp_path: Path) -> None:
    run = write_run(tmp_path, result={"validation": {"accuracy": 0.75}, "test": None})
    write_answers(
        run, ["a", "b"], [("w", 0, 0, 0.9), ("x", 0, 0, 0.8), ("y", 1, 1, 0.7), ("z", 1, 0, 0.6)], "validation"
    )
    text = page_of(run).text
    assert "It is right about 8 times in 10: 75.0% of 4 validation examples that it was not trained on." in text
    assert "without a test result" in text


def test_a_test_split_that_is_evaluated_later_is_the_result(tmp_path: Path) -> None:
    run = write_run(tmp_path, result={"validation": {"accuracy": 0.75}, "test": None})  # `show_test: off`
    write_answers(run, ["a", "b"], [("x", 0, 0, 0.9), ("y", 1, 0, 0.8)])
    assert "It is right about 5 times in 10: 50.0% of 2 test examples that it was not trained on." in page_of(run).text


def test_probabilities_before_and_after_calibration_stand_side_by_side(tmp_path: Path) -> None:
    scores = {"ece": 0.25, "brier": 0.5, "log_loss": 0.75}
    bins = [[2, 0.5, 0.25], "damaged", [-1, 0.5, 0.5], [10**400, 0.5, 0.5], [1, 7.5, 0.5], [1, 0.75, 0.5]]
    sets = {"0.9": {"coverage": 0.875, "mean_size": 1.5}}
    of_test = {"before": scores, "after": scores, "bins_before": bins, "bins_after": bins, "sets": sets}
    run = write_run(tmp_path, result={"test": {"accuracy": 0.5}, "calibration": {"temperature": 2.0, "test": of_test}})
    write_answers(run, ["a", "b"], [("x", 0, 0, 0.9), ("y", 1, 0, 0.8)])
    text = page_of(run).text
    assert "750.0% sure" not in text
    assert "temperature 2, fitted to the validation split" in text
    assert "test expected calibration error 0.2500 0.2500" in text
    assert "90% 87.5% 1.50" in text


def test_weak_slices_and_looks_are_told(tmp_path: Path) -> None:
    part = {
        "name": "class",
        "value": "a",
        "num_examples": 1000,
        "accuracy": 0.5,
        "accuracy_of_others": 0.75,
        "p_value": 1e-12,
    }
    result = {"test": {"accuracy": 0.5}, "slices": [{**part, "mistakes": ["x.png"]}, {"name": 1}], "test_looks": 7}
    text = page_of(write_run(tmp_path, result=result)).text
    assert "class = a 1,000 50.0% 75.0% < 1e-9 x.png" in text
    assert "this was look 7 at this test set" in text


def test_an_audit_of_the_data_is_shown(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    assert "The data was not audited." in page_of(run).text
    (tmp_path / "audit.csv").write_text(
        "name,split,finding,score,given,suggested\n3.png,train,label_error,0.9,<cat>,dog\n"
    )
    finding = {
        "id": "NN131",
        "severity": "warning",
        "title": "labels that are probably wrong",
        "evidence": {"text": "1 of 9"},
    }
    (tmp_path / "audit.json").write_text(json.dumps({"findings": [finding]}))
    text = page_of(run).text
    assert "warning labels that are probably wrong NN131 1 of 9" in text
    assert "label error (1) name split score given suggested 3.png train 0.9 <cat> dog" in text


def test_a_check_of_the_config_is_shown(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    assert "The config was not checked. Run nnclassify check" in page_of(run).text
    (tmp_path / "check.json").write_text(json.dumps({"decided": True, "findings": []}))
    assert "nnclassify check found nothing that keeps this network from learning." in page_of(run).text
    (tmp_path / "check.json").write_text(json.dumps({"decided": False, "findings": []}))
    assert "nnclassify check had too little time" in page_of(run).text
    finding = {
        "id": "NN402",
        "severity": "fault",
        "title": "a rate",
        "evidence": {"text": "lr 9"},
        "change": {"x.y": 1},
    }
    (tmp_path / "check.json").write_text(json.dumps({"decided": True, "findings": [finding]}))
    assert "fault a rate NN402 lr 9 To try: x.y: 1" in page_of(run).text


def test_a_run_without_held_out_examples_says_so(tmp_path: Path) -> None:
    run = write_run(tmp_path, result={"train": {"accuracy": 1.0, "loss": 0.1}})
    rows = [row_of(epoch, train_accuracy=1.0, validation_loss=None, validation_accuracy=None) for epoch in (1, 2, 3)]
    write_rows(run.history, rows)
    text = page_of(run).text
    assert "It is right every time: 100.0% of the examples that it was trained on." in text
    assert "how it does on other examples is unknown" in text
    assert "No confusion matrix" in text


def test_multi_hot_targets_have_figures_by_class(tmp_path: Path) -> None:
    run = write_run(tmp_path, result={"test": {"accuracy": 0.5}})
    run.predictions.write_text(
        "split,name,true(a),true(b),predicted(a),predicted(b),p(a),p(b),loss\n"
        "test,one,1,1,1,0,0.9,0.4,0.7\ntest,two,0,0,0,0,0.1,0.2,0.2\n"
    )
    text = page_of(run).text
    assert "It is right in every class about 5 times in 10" in text
    assert "No confusion matrix: an example may belong to several classes." in text
    assert "one a, b a 60.0%" in text  # its name, true classes, predicted classes and confidence


def test_a_run_that_was_stopped_says_so(tmp_path: Path) -> None:
    text = page_of(write_run(tmp_path / "run", epochs=2)).text
    assert "This run was stopped after 2 epochs of 3; nnclassify train --resume run continues it." in text
    assert "No figures: the run has not finished." in text


def test_a_run_that_diverged_says_so(tmp_path: Path) -> None:
    run = write_run(tmp_path, epochs=1)
    finding = {
        "id": "NN601",
        "severity": "fault",
        "title": "a number that is not finite",
        "evidence": {"text": "step 7"},
    }
    run.diagnosis.write_text(json.dumps({"findings": [finding]}))
    text = page_of(run).text
    assert "Training failed after 1 epoch of 3" in text
    assert "fault a number that is not finite NN601 step 7" in text


def test_a_run_that_diverges_gets_a_page(tmp_path: Path) -> None:
    config = {
        "dataset": {"name": "rgb", "num_examples": 60, "normalize": "none"},
        "model": {"name": "mlp", "hidden": [8]},
        "optimizer": {"name": "sgd", "lr": 1e30},
        "epochs": 3,
    }
    with pytest.raises(nnclassify.errors.TrainingError):
        nnclassify.train(config, root=tmp_path)
    assert "Training failed in its first epoch: epoch 1, step 1: " in page_of(RunFolder(tmp_path / "run")).text


class _InTheWay(Observer):
    """Makes a folder where the page belongs."""

    def run_ended(self, trainer: Trainer) -> None:
        Path("run/report.html").mkdir()


def test_a_page_that_cannot_be_written_costs_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = {"dataset": "xor", "model": {"name": "mlp", "hidden": [2]}, "epochs": 1}
    result = train_isolated(config, root=".", observers=[_InTheWay()])
    assert json.loads(result.folder.result.read_text())["best_epoch"] == 1
    assert any(note.startswith("no report: run/report.html: ") for note in result.notes)


def test_an_empty_and_a_damaged_folder_give_a_page(tmp_path: Path) -> None:
    run = write_run(tmp_path, epochs=0)
    assert "No epoch was completed" in page_of(run).text
    for path in run.files():
        path.write_bytes(b"\xff{[damaged\n")
    text = page_of(run).text
    assert "result.json: cannot be read" in text
    assert "history.jsonl: cannot be read" in text


@pytest.mark.parametrize(
    "result",
    [
        {"test": 3, "plan": [], "intervals": {"test": {"accuracy": ["a", None]}}},
        {"best_epoch": -1},
        {"test": {"accuracy": 10**400}},
    ],
)
def test_a_result_of_another_shape_leaves_gaps(tmp_path: Path, result: dict[str, object]) -> None:
    assert page_of(write_run(tmp_path, result=result)).headings


@pytest.mark.slow
@pytest.mark.parametrize("name", ["examples.json", "provenance.json", "diagnosis.json", "result.json"])
def test_a_value_of_another_type_leaves_a_page(trained: RunFolder, name: str, tmp_path: Path) -> None:
    folder = RunFolder(Path(shutil.copytree(trained.path, tmp_path / "run")))
    content = json.loads((folder.path / name).read_text())
    others: Iterator[object] = itertools.cycle([10**400, [], "x", {"a": 1}, None, float("nan"), -1])
    for place in places(content):
        changed = with_value(content, place, next(others))
        (folder.path / name).write_text(json.dumps(changed))
        folder.report.unlink()
        save_report(folder)
        assert "<h1" in folder.report.read_text() and "</html>" in folder.report.read_text(), place


def places(content: object) -> list[tuple[str | int, ...]]:
    """The places of the values in nested JSON; the first item stands for a list."""
    inner = (
        content.items() if isinstance(content, dict) else enumerate(content[:1]) if isinstance(content, list) else ()
    )
    return [(), *((key, *place) for key, value in inner for place in places(value))]


def with_value(content: Any, place: tuple[str | int, ...], value: object) -> Any:
    """Nested JSON with another value at a place."""
    if not place:
        return value
    copied = copy.copy(content)
    copied[place[0]] = with_value(content[place[0]], place[1:], value)
    return copied


def test_a_page_is_made_quickly(trained: RunFolder) -> None:
    save_report(trained)  # imports
    assert _seconds(trained) < 0.3


def _seconds(run: RunFolder) -> float:
    started = time.process_time()
    save_report(run)
    return time.process_time() - started


@pytest.mark.slow
def test_a_page_about_ten_thousand_examples_is_made_in_under_a_second(tmp_path: Path) -> None:
    run = write_run(tmp_path, result={"test": {"accuracy": 0.5}, "baselines": {"linear": 0.25, "boosted": 0.375}})
    write_answers(run, list("abcdefghij"), [(str(n), n % 10, (n // 2) % 10, 0.9) for n in range(10_000)])
    rows = [[str(n), "train", "a", "0", ""] for n in range(50_000)]
    write_csv(run.manifest, [["name", "split", "class", "hash", "duplicate_of"], *rows])
    assert min(_seconds(run) for _ in range(3)) < 0.8
    fitted = "A linear model is fitted to at most 10,000 of the 50,000 training examples, and trees to at most 25,000."
    assert fitted in page_of(run).text


def test_several_runs_stand_side_by_side(tmp_path: Path) -> None:
    for name, accuracy in (("one", 0.5), ("two", 0.75)):
        run = write_run(
            tmp_path / name, result={"test": {"accuracy": accuracy}}, config=f"model: mlp\nseed: {accuracy}\n"
        )
        write_answers(run, ["a", "b"], [(str(n), n % 2, int(n < 4 * accuracy) and n % 2, 0.9) for n in range(4)])
    path = nnclassify.report("one", "two", root=tmp_path)
    assert path == tmp_path / "report.html"
    text = Page(path).text
    assert "two is best: 75.0% right on the test split, one 50.0%." in text
    assert "seed 0.5 0.75" in text


def test_the_seeds_of_a_group_have_a_mean(tmp_path: Path) -> None:
    config = {"dataset": {"name": "rgb", "num_examples": 60}, "model": {"name": "mlp", "hidden": [2]}, "epochs": 1}
    runs = [nnclassify.train(config, root=tmp_path, overrides=[f"seed={seed}"]).folder.path for seed in (0, 1)]
    text = Page(nnclassify.report(*runs, root=tmp_path)).text
    assert re.search("On average right in [0-9.]+% of the test examples, over 2 runs of one config; standard", text)
    assert "seed 0 1" in text


def test_a_page_goes_where_it_is_wanted(trained: RunFolder, tmp_path: Path) -> None:
    assert nnclassify.report(trained.path, out=tmp_path / "page.html") == tmp_path / "page.html"
    with pytest.raises(CheckpointError, match="no such run"):
        nnclassify.report("absent", root=tmp_path)


@pytest.mark.parametrize(
    ("num_correct", "majority", "balanced", "told"),
    [
        (9, 0.8, None, "It may be no better than always answering the most common class (80.0%): there are too few"),
        (7, 0.8, None, "It is no better than always answering the most common class (80.0%): nothing shows"),
        (
            7,
            0.8,
            0.8,
            "(80.0%), but it tells the classes apart: its balanced accuracy, the mean over the classes, is 80",
        ),
    ],
)
def test_beside_the_most_common_class(
    tmp_path: Path, num_correct: int, majority: float, balanced: float | None, told: str
) -> None:
    of_test = {"accuracy": num_correct / 10, **({} if balanced is None else {"balanced_accuracy": balanced})}
    intervals = {"test": {} if balanced is None else {"balanced_accuracy": [0.7, 0.9]}}
    found = {"majority": majority, "majority_balanced_accuracy": 0.5}
    folder = write_run(tmp_path, result={"test": of_test, "intervals": intervals, "baselines": found})
    write_answers(folder, ["a", "b"], [(f"x{i}", 0, int(i >= num_correct), 0.9) for i in range(10)])
    assert told in page_of(folder).text


@pytest.mark.parametrize(
    ("p_value", "told"),
    [(0.04, "It is better than a linear model (60.0%) and"), (0.06, "It is not clearly better than a")],
)
def test_baselines_are_compared_on_the_same_examples(tmp_path: Path, p_value: float, told: str) -> None:
    p_values = {"linear": p_value, "majority": 0.001}
    found = {"majority": 0.1, "linear": 0.6, "p_values": p_values}
    folder = write_run(tmp_path, result={"test": {"accuracy": 0.7}, "intervals": {"test": {}}, "baselines": found})
    write_answers(folder, ["a", "b"], [(f"x{i}", 0, int(i >= 7), 0.9) for i in range(10)])
    assert told in page_of(folder).text


def test_a_single_example_is_one(tmp_path: Path) -> None:
    folder = write_run(tmp_path, result={"test": {"accuracy": 1.0}})
    write_answers(folder, ["a", "b"], [("x", 0, 0, 0.9)])
    assert "100.0% of 1 test example that it was not trained on" in page_of(folder).text


def test_names_that_a_spreadsheet_would_run_are_shown_as_they_are(tmp_path: Path) -> None:
    run = write_run(tmp_path, result={"test": {"accuracy": 0.5}})
    write_answers(run, ["=cat", "dog"], [("=cat/1.png", 0, 1, 0.9), ("dog/2.png", 1, 1, 0.8)])
    rows = [["name", "split", "class", "hash", "duplicate_of"], ["'=cat/1.png", "test", "'=cat", "0", "'=cat/3.png"]]
    write_csv(run.manifest, [*rows, ["dog/2.png", "test", "dog", "1", ""]])
    write_csv(run.skipped, [["name", "reason"], ["'-a.png", "empty"]])
    run.examples.write_text(json.dumps({"split": "test", "images": {"'=cat/1.png": "data:image/png;base64,AA=="}}))
    page = page_of(run)
    assert "=cat/1.png = =cat/3.png" in page.text and "-a.png: empty" in page.text
    assert "data:image/png;base64,AA==" in page.sources
    assert "'=" not in page.html and "'-" not in page.text


def test_a_validation_split_that_is_the_test_split_is_a_caution(tmp_path: Path) -> None:
    result = {"validation": {"accuracy": 0.5}, "test": {"accuracy": 0.5}}
    for validation, is_told in (("test", True), ("0.1", False)):
        config = f"dataset: {{name: digits, validation: {validation}}}\nmodel: mlp\n"
        run = write_run(tmp_path / validation, result=result, config=config)
        assert ("Caution: the test split was also the validation split" in page_of(run).text) is is_told


def test_a_threshold_and_hidden_test_examples_are_told_beside_the_figures(tmp_path: Path) -> None:
    config = "dataset: blobs\nmodel: mlp\nshow_test: false\nevaluation: {threshold: 0.3}\n"
    run = write_run(tmp_path / "run", result={"validation": {"accuracy": 0.75}, "test": None}, config=config)
    write_answers(run, ["no", "yes"], [("x", 0, 0, 0.9), ("y", 1, 0, 0.8)], "validation")
    header = ["name", "split", "class", "hash", "duplicate_of"]
    write_csv(run.manifest, [header, ["x", "validation", "no", "0", ""], ["z", "test", "no", "1", ""]])
    command = "nnclassify evaluate run --split test"
    hidden = f"Nobody has looked at the 1 test example yet (show_test: off); {command} shows the result."
    text = page_of(run).text
    assert "The network answers yes if its probability is above 30.0%, the decision threshold of the config." in text
    assert hidden in text
    chosen = {"validation": {"accuracy": 0.75}, "test": None, "calibration": {"threshold": 0.4, "temperature": 2.0}}
    run.result.write_text(json.dumps({"best_epoch": 3, **chosen}))
    text = page_of(run).text
    assert "above 40.0%" in text and "fitted to the validation split. These figures come from the same examples" in text
    write_answers(run, ["no", "yes"], [("z", 0, 0, 0.9)])  # evaluated later
    assert hidden not in page_of(run).text


def test_classes_that_are_equally_bad_are_counted(tmp_path: Path) -> None:
    run = write_run(tmp_path, result={"test": {"accuracy": 0.5}})
    answers = [(f"a{n}", 0, 0, 0.9) for n in range(6)] + [(f"b{n}", 1, 2 * (n % 2), 0.9) for n in range(6)]
    write_answers(run, ["a", "b", "c"], [*answers, *[(f"c{n}", 2, 0, 0.9) for n in range(6)]])
    text = page_of(run).text
    assert "Most reliable for a (100.0% found); weakest for b (0.0%, most often taken for a or c) and 1 more." in text
    assert "a or c 3 each" in text and "a 6" in text


def test_runs_of_different_tasks_have_no_common_one(tmp_path: Path) -> None:
    calibrated = {"validation": {"accuracy": 0.75}, "test": {"accuracy": 0.5}}
    for name, classes in (("one", ["a", "b"]), ("two", ["c", "d"])):
        run = write_run(tmp_path / name, result=calibrated)
        write_answers(run, classes, [("x", 0, 0, 0.9), ("y", 1, 0, 0.8)])
    text = Page(nnclassify.report("one", "two", root=tmp_path)).text
    assert "These runs have different classes, so their figures cannot be compared." in text
    assert "The task" not in text
    assert "75.0% 50.0% test" in text  # a decision threshold acts in the results, not in the history (40%)


def test_a_class_name_with_a_comma_is_in_quotes_among_others(tmp_path: Path) -> None:
    run = write_run(tmp_path, result={"test": {"accuracy": 1.0}})
    write_answers(run, ["a,b", "c"], [("x", 0, 0, 0.9), ("y", 1, 1, 0.8)])
    assert "The task: tell 2 classes of examples apart ('a,b', c)." in page_of(run).text

"""Tests of new labeled data for a trained network: all of it is evaluated, in the classes of the run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from builders import config_of, loaded
from PIL import Image

import nnclassify
from nnclassify import run
from nnclassify.errors import DataError, InputError, LabelError
from nnclassify.files.json_files import plain
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.evaluation_examples import EvaluationExamples, examples_to_evaluate, recorded_baselines

COLORS = {"bus": 200, "car": 20, "ärger 🚗": 110}


def paint(root: str, count: int = 4, names: tuple[str, ...] = tuple(COLORS), shade: int = 0) -> None:
    for name in names:
        folder = Path(root, name)
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            Image.new("L", (9, 8), COLORS.get(name, 0) + shade + number).save(folder / f"{number}.png")


def write(path: str, rows: list[str]) -> None:
    Path(path).write_text("\n".join([*rows, ""]), encoding="utf-8")


@pytest.fixture(scope="module", autouse=True)
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Runs on a folder, a table and an array, in the folder that tests stand in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("labeled"))
        paint("photos", 10, shade=20)
        write(
            "t.csv",
            ["a,b,label", *(f"{row % 10},{row * 7 % 13},{'low' if row % 10 < 5 else 'high'}" for row in range(60))],
        )
        np.savez("t.npz", x=np.arange(80, dtype=np.float32).reshape(40, 2), y=np.arange(40) // 20 + 1)
        files = {"train_inputs": "t.npz:x", "train_targets": "t.npz:y"}
        datasets = [{"name": "folder", "root": "photos", "size": 8}, {"name": "csv", "path": "t.csv"}]
        for name, dataset in zip(("folder", "csv", "npz"), [*datasets, {"name": "tensors", **files}], strict=True):
            run.train(loaded(config_of(dataset=dataset, epochs=1), name), with_monitor=False)
        yield


def chosen(name: str, data: str, split: str | None = None) -> EvaluationExamples:
    return examples_to_evaluate(Classifier.load(Path(f"checkpoints/{name}/best.pt"), "cpu"), split, data)


@pytest.mark.slow
def test_every_image_is_evaluated_in_the_class_of_its_folder() -> None:
    paint("new")
    found = chosen("folder", "new")
    assert (found.split, len(found.examples), found.notes) == ("all", 12, [])
    assert found.examples.all_targets().tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert found.examples.name_of(11) == "ärger 🚗/3.png"


def test_the_label_column_of_a_list_of_images_may_have_another_name() -> None:
    paint("listed")
    write("listed/l.csv", ["id,kind", *(f"{name}/{number}.png,{name}" for name in COLORS for number in range(4))])
    classifier = Classifier.load(Path("checkpoints/folder/best.pt"), "cpu")
    found = examples_to_evaluate(classifier, None, "listed/l.csv", "kind").examples
    assert found.all_targets().tolist() == [0] * 4 + [1] * 4 + [2] * 4
    with pytest.raises(DataError, match=r"listed/l.csv:1: no column 'sort' \(dataset.label\); columns: id, kind"):
        examples_to_evaluate(classifier, None, "listed/l.csv", "sort")


def test_the_label_column_of_new_data_may_have_another_name() -> None:
    write("kinds.csv", ["a,b,kind", "1,2,low", "9,2,high"])
    classifier = Classifier.load(Path("checkpoints/csv/best.pt"), "cpu")
    assert examples_to_evaluate(classifier, None, "kinds.csv", "kind").examples.all_targets().tolist() == [1, 0]
    assert nnclassify.evaluate(classifier, data="kinds.csv", label="kind").num_examples == 2
    with pytest.raises(InputError, match=r"kinds.csv: no label column label; .*; name it with --label"):
        chosen("csv", "kinds.csv")
    with pytest.raises(InputError, match=r"--label kind: names the label column of --data FILE"):
        examples_to_evaluate(classifier, label="kind")
    with pytest.raises(
        InputError, match="new: --label kind: only a table with one label column, or a list of images, takes it"
    ):
        paint("new")
        examples_to_evaluate(Classifier.load(Path("checkpoints/folder/best.pt"), "cpu"), None, "new", "kind")


def test_classes_may_lack_examples_but_not_be_unknown() -> None:
    paint("one", 2, ("car",))
    found = chosen("folder", "one")
    assert found.examples.all_targets().tolist() == [1, 1]
    assert found.notes == ["one: no examples of class bus, ärger 🚗; the metrics cover the other classes only"]
    paint("unknown", 1, ("bus", "fox", "wolf"))
    with pytest.raises(
        DataError, match="unknown/fox, unknown/wolf: not classes of the trained network; expected bus, car"
    ):
        chosen("folder", "unknown")


def test_the_test_folder_is_chosen_and_said_where_there_are_several() -> None:
    paint("splits/train", 3)
    paint("splits/Test", 1)
    found = chosen("folder", "splits")
    assert (found.split, len(found.examples)) == ("test", 3)
    assert found.notes[0].startswith("splits: evaluated: its test split of 3 examples; --split also takes train")
    assert len(chosen("folder", "splits", "train").examples) == 9
    with pytest.raises(DataError, match="--split validation: splits has test, train"):
        chosen("folder", "splits", "validation")
    paint("only/test", 1)
    assert (chosen("folder", "only").split, len(chosen("folder", "only").examples)) == ("all", 3)


def test_images_without_class_folders_are_left_to_predict() -> None:
    paint("flat", 1, (".",))
    with pytest.raises(DataError, match=r"flat: no class folder; .+ without labels, use `nnclassify predict`"):
        chosen("folder", "flat")
    write("flat/labels.csv", ["id,kind", "0,bus"])
    assert chosen("folder", "flat").examples.all_names() == ["0.png"]
    write("flat/labels.csv", ["file,kind", "C:\\\\me\\\\0.PNG,bus"])
    assert chosen("folder", "flat").examples.all_names() == ["0.png"]


def test_images_may_be_listed_in_a_file() -> None:
    paint("listed", 2)
    write("listed/labels.csv", ["file,label", "car/0.png,bus", "car/1.png,car", "bus/1.png,bus"])
    found = chosen("folder", "listed/labels.csv")
    assert found.examples.all_names() == ["car/0.png", "car/1.png", "bus/1.png"]
    assert found.examples.all_targets().tolist() == [0, 1, 0]
    write("listed/test.txt", ["car/0.png 1", "bus/1.png 0"])
    with pytest.raises(LabelError, match="listed: class '0', '1' is not one of the run's: bus, car"):
        chosen("folder", "listed/test.txt")
    write("listed/labels.csv", ["file,label,split", "car/0.png,fox,test", "car/1.png,car,test"])
    with pytest.raises(LabelError, match="class 'fox' is not one of the run's: bus, car"):
        chosen("folder", "listed/labels.csv")


def test_a_table_is_evaluated_whole_by_column_names() -> None:
    write("new.csv", ["label,b,note,a", *["low,1,x,3", "high,2,y,9"] * 25])
    found = chosen("csv", "new.csv")
    assert (found.split, len(found.examples)) == ("all", 50)
    assert found.examples.select(found.examples.indices[:1])[0].tolist() == [[3, 1]]


def test_a_table_may_be_written_otherwise_and_lack_columns_that_the_network_does_not_take() -> None:
    write(
        "own.csv", ["key,a,c,junk,label", *(f"k{row},{row},{'ab'[row % 2]},{row},{'xy'[row % 2]}" for row in range(40))]
    )
    dataset = {"name": "csv", "path": "own.csv", "categories": ["c"], "id": "key", "ignore": ["junk"]}
    run.train(loaded(config_of(dataset=dataset, epochs=1), "own"), with_monitor=False)
    Path("other.csv").write_text("label;c;a\nx;b;1,5\ny;new;2,5\n", encoding="utf-16")
    found = chosen("own", "other.csv")
    assert found.examples.inputs.tolist() == [[1.5, 0, 1, 0], [2.5, 0, 0, 1]]
    assert any("'new'" in note for note in found.notes)


def test_a_table_without_labels_is_left_to_predict() -> None:
    write("rows.csv", ["a,b", "1,2"])
    with pytest.raises(InputError, match=r"rows\.csv: no label column label; columns: a, b; .+`nnclassify predict`"):
        chosen("csv", "rows.csv")
    write("rows.csv", ["a,b,label", "1,2,middle"])
    with pytest.raises(LabelError, match=r"rows\.csv: class 'middle' is not one of the run's: high, low"):
        chosen("csv", "rows.csv")


def test_arrays_are_numbered_as_in_training() -> None:
    np.savez("new.npz", inputs=np.zeros((3, 2), np.float32), labels=[2, 2, 1])
    assert chosen("npz", "new.npz").examples.all_targets().tolist() == [1, 1, 0]
    np.savez("new.npz", x_test=np.zeros((1, 2), np.float32), y_test=[2])  # alone, 2 of 0..2
    assert chosen("npz", "new.npz").examples.all_targets().tolist() == [1]
    np.savez("new.npz", a=np.zeros((1, 2)), b=[2])
    with pytest.raises(InputError, match=r"new\.npz: holds the arrays a, b; expected inputs and targets"):
        chosen("npz", "new.npz")


def test_images_in_an_array_are_scaled_to_the_range_of_the_run() -> None:
    np.savez("images.npz", images=np.full((2, 3, 8, 8), 0.5, np.float32), labels=[0, 1])
    assert chosen("folder", "images.npz").examples.inputs.unique().tolist() == [127.5]


@pytest.mark.parametrize(
    ("name", "data", "text"), [("csv", "photos", "a folder, but"), ("folder", "t.txt", "a file, but")]
)
def test_data_of_another_kind_is_refused(name: str, data: str, text: str) -> None:
    Path("t.txt").write_text("1,2")
    with pytest.raises(InputError, match=f"{data}: {text} this network takes"):
        chosen(name, data)
    with pytest.raises(InputError, match="nowhere: no such file; expected"):
        chosen(name, "nowhere")


def test_the_front_door_takes_a_path() -> None:
    paint("new")
    found = nnclassify.evaluate("checkpoints/folder", data=Path("new"), device="cpu")
    assert (found.num_examples, found.split, sum(map(sum, found.confusion))) == (12, "all", 12)


def test_the_baselines_of_the_test_split_are_those_that_the_run_recorded() -> None:
    folder = Path("checkpoints/csv")
    found = recorded_baselines(folder / "best.pt")
    assert found is not None and found.boosted is not None and found.majority > 0
    assert json.loads((folder / "result.json").read_text())["baselines"] == plain(vars(found))
    assert recorded_baselines(folder / "last.pt") is None and recorded_baselines(Path("nowhere/best.pt")) is None


@pytest.mark.parametrize("linear", ['"x"', "[]", "null", "NaN", "1" + "0" * 400])
def test_damaged_baselines_are_none(linear: str, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(
        f'{{"baselines": {{"linear": {linear}, "majority": 0.5, "linear_balanced_accuracy": 0.5}}}}'
    )
    assert recorded_baselines(tmp_path / "best.pt") is None

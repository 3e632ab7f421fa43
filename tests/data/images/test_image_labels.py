"""Tests of images whose classes are listed in a CSV file."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest
from builders import config_of
from PIL import Image

from nnclassify.data import Splits
from nnclassify.data.images.image_labels import label_file, lists_images
from nnclassify.errors import ConfigError, DataError

ACCENT = unicodedata.normalize("NFC", "é")


def paint(*files: str) -> None:
    for file in files:
        path = Path("root") / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2), (sum(map(ord, file)) % 256, len(file), 0)).save(path, "PNG")


def build(table: str, **dataset: Any) -> Splits:
    Path("labels.csv").write_text(table, encoding="utf-8")
    options = {
        "name": "folder",
        "root": "root",
        "labels": "labels.csv",
        "size": 2,
        "validation": 0,
        "test": 0,
        **dataset,
    }
    splits: Splits = config_of(dataset=options).dataset.build(0)
    return splits


def test_the_classes_are_those_of_the_file_in_its_order(here: Path) -> None:
    paint("x 1.png", f"d{ACCENT}p/🐈.png", "a.png", "unlisted.png")
    splits = build(f"File,Label\nx 1.png,007\n./d{ACCENT}p\\🐈.png,cat\na.png,007\n")
    assert splits.train.all_names() == ["x 1.png", f"d{ACCENT}p/🐈.png", "a.png"]
    assert (splits.class_names, splits.train.all_targets().tolist()) == (["007", "cat"], [0, 1, 0])
    assert splits.notes == ["root: 1 image that labels.csv does not list not used (unlisted.png)"]


def test_a_split_column_is_used(here: Path) -> None:
    paint(*(f"{number}.png" for number in range(8)))
    rows = "0.png;a;train\n1.png;b;Training\n6.png;a;train\n7.png;b;train\n"
    rows += "2.png;a;val\n3.png;b;valid\n4.png;a;TEST\n5.png;b;testing\n"
    splits = build("image;class;set\n" + rows, validation=None)
    assert splits.train.all_names() == ["0.png", "1.png", "6.png", "7.png"]
    assert splits.validation is not None and splits.validation.all_names() == ["2.png", "3.png"]
    assert splits.test is not None and splits.test.all_names() == ["4.png", "5.png"]
    drawn = build("image;class;set\n" + rows, validation=0.5)
    assert len(drawn.train) == 2 and any(
        "labels.csv: its validation images are not used" in note for note in drawn.notes
    )


def test_names_match_in_another_case_if_only_one_does(here: Path) -> None:
    paint("ONE.PNG", "two.png")
    splits = build("file,label\none.png,cat\ntwo.png,dog\n")
    assert splits.train.all_names() == ["ONE.PNG", "two.png"]
    assert splits.notes == ["labels.csv: 1 file listed in another case"]
    paint("One.png")
    with pytest.raises(DataError, match=r"several files have this name: ONE\.PNG, One\.png"):
        build("file,label\none.png,cat\ntwo.png,dog\n")


def test_names_match_without_their_ending_and_in_other_forms_of_accents(here: Path) -> None:
    paint("one.png", f"caf{ACCENT}.png")
    splits = build(f"id,label\none,a\ncaf{unicodedata.normalize('NFD', ACCENT)}.png,b\n")
    assert splits.train.all_names() == ["one.png", f"caf{ACCENT}.png"]
    assert splits.notes == ["labels.csv: 1 file listed without the ending of the name"]


def test_files_are_found_in_the_only_folder_that_has_them_and_the_other_column_holds_the_classes(here: Path) -> None:
    paint("images/one.png", "images/two.png")
    splits = build("id,breed\none,pug\ntwo,beagle\n")
    assert splits.class_names == ["beagle", "pug"]
    assert splits.train.all_names() == ["images/one.png", "images/two.png"]


def test_the_list_of_the_training_images_is_taken_next_to_others(here: Path) -> None:
    paint("train/a.png", "train/b.png", "test/c.png")
    for name in ("train.csv", "test.csv", "sample_submission.csv"):
        Path("root", name).write_text("image_id,breed\na,cat\n", encoding="utf-8")
    assert label_file(Path("root")) == Path("root/train.csv")
    Path("root/labels.csv").write_text("image_id,breed\na,cat\n", encoding="utf-8")
    assert label_file(Path("root")) is None  # which of the two?


def test_every_missing_file_is_named_or_skipped(here: Path) -> None:
    paint("a.png", "b.png", "two.png", "two.jpg")
    table = "file,label\na.png,a\ngone.png,b\nb.png,b\nlost.png,a\ntwo,a\n"
    with pytest.raises(DataError) as caught:
        build(table)
    assert [line.partition(": ")[0] for line in caught.value.lines] == ["labels.csv:3", "labels.csv:5", "labels.csv:6"]
    assert "several files have this name: two.jpg, two.png (3 such files)" in caught.value.lines[-1]
    splits = build(table, on_bad_file="skip")
    assert splits.train.all_names() == ["a.png", "b.png"] and [*splits.skipped] == ["gone.png", "lost.png", "two"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", r"labels.csv:1: no column file and no column label; expected file,label .* found nothing"),
        ("file,what,x\na.png,a,b\n", r"labels.csv:1: no column label; expected .* found file, what"),
        (
            "age,sex,y\n1,f,0\n",
            r"labels.csv:1: no column file; .*; for a table, nnclassify train labels.csv --label COLUMN",
        ),
        ("file,label\na.png,\nb.png,b\n", r"labels.csv:2: column 'label' is empty"),
        ("file,label\na.png\n", r"labels.csv:2: 1 values, expected 2"),
        ("file,label,split\na.png,a,later\n", r"labels.csv:2: found 'later', expected train, validation or test"),
        ("file,label,split\na.png,a,test\nb.png,b,test\n", r"labels.csv: no training images"),
        ("file,label\na.png,a\n./a.png,b\n", r"labels.csv:3: a.png is also in line 2"),
    ],
)
def test_a_wrong_list_is_one_line(table: str, message: str, here: Path) -> None:
    paint("a.png", "b.png")
    with pytest.raises(DataError, match=message) as caught:
        build(table)
    assert len(caught.value.lines) == 1


def test_a_validation_folder_beside_a_list_is_refused(here: Path) -> None:
    with pytest.raises(ConfigError, match=r"dataset.validation: a folder, but dataset.labels lists the images"):
        build("file,label\n", validation="val")


def test_of_two_columns_the_one_of_images_may_have_any_name(here: Path) -> None:
    paint("a.png", "b.PNG")
    splits = build("Klasse;Datei\ncat;a.png\ndog;b.PNG\n")
    assert splits.class_names == ["cat", "dog"] and splits.train.all_names() == ["a.png", "b.PNG"]


def test_files_in_numbered_parts_are_found(here: Path) -> None:
    paint("x_part_1/a.png", "x_part_1/c.png", "x_part_2/b.png", "x_part_2/c.png", "x_part_2/D.png")
    splits = build("file,label\na,cat\nb.png,dog\nd.png,dog\n")
    assert splits.train.all_names() == ["x_part_1/a.png", "x_part_2/b.png", "x_part_2/D.png"]
    assert "labels.csv: the files are in root/x_part_1, root/x_part_2" in splits.notes
    with pytest.raises(DataError, match=r"labels.csv:3: root/c: no such file"):  # it is in both
        build("file,label\na,cat\nc,dog\nb,dog\n")


@pytest.mark.parametrize(
    ("table", "read"),
    [
        ("img/0.png 1\nimg/1.png 0\nimg/2.png 1\n", "column 1 as file, column 2 as label"),
        ("cat,img/0.png\ndog,img/1.png\ncat,img/2.png\n", "column 2 as file, column 1 as label"),
        (
            "img/0.png,cat,train\nimg/1.png,dog,train\nimg/2.png,cat,train\n",
            "file, column 3 as split, column 2 as label",
        ),
        ("0\t1.000\timg/0.png\n1\t0.000\timg/1.png\n2\t1.000\timg/2.png\n", "column 3 as file, column 2 as label"),
        ("img/0.png\tn01\t3\nimg/1.png\tn02\t3\nimg/2.png\tn01\t4\n", "column 1 as file, column 2 as label"),
    ],
)
def test_a_list_without_a_header_loses_no_row(table: str, read: str, here: Path) -> None:
    paint("img/0.png", "img/1.png", "img/2.png")
    splits = build(table)
    assert splits.train.all_names() == ["img/0.png", "img/1.png", "img/2.png"]
    targets = splits.train.all_targets().tolist()
    assert targets[0] == targets[2] != targets[1]
    assert read in splits.notes[0] and "no header line" in splits.notes[0]
    assert len(splits.notes) == 1 or "columns not used" in splits.notes[1]


@pytest.mark.parametrize("header", ["", "file label\n"])
def test_spaces_that_separate_columns_may_stand_in_names_too(header: str, here: Path) -> None:
    paint("a b/0.png", "1.png", "c d e.png")
    splits = build(f"{header}1.png 1\na b/0.png 0\nc d e.png 1\n")
    assert splits.train.all_names() == ["1.png", "a b/0.png", "c d e.png"]
    assert (splits.class_names, splits.train.all_targets().tolist()) == (["0", "1"], [1, 0, 1])


def test_one_hot_columns_are_the_classes(here: Path) -> None:
    paint("0.png", "1.png", "2.png", "3.png")
    splits = build("image, cat, dog, split\n0, 0.0, 1.0, train\n1, 1.0, 0.0, train\n2, 0, 1, train\n3, 1, 0, test\n")
    assert (splits.class_names, splits.train.all_targets().tolist()) == (["cat", "dog"], [1, 0, 1])
    assert splits.test is not None and splits.test.all_targets().tolist() == [0]
    assert splits.notes[0] == "labels.csv: one-hot classes: cat, dog"
    with pytest.raises(DataError, match=r"labels.csv:3: 2 of the classes cat, dog; expected one"):
        build("image,cat,dog\n0,0,1\n1,1,1\n2,1,0\n")
    with pytest.raises(DataError, match=r"labels.csv:4: 0 of the classes cat, dog; expected one"):
        build("image,cat,dog\n0,0,1\n1,0,1\n2,0,0\n")


def test_the_column_of_classes_may_be_named(here: Path) -> None:
    paint("0.png", "1.png", "2.png")
    table = "image_id,dx,label\n0,nv,a\n1,mel,a\n2,nv,b\n"
    assert build(table, label="dx").class_names == ["mel", "nv"] and build(table).class_names == ["a", "b"]
    with pytest.raises(
        DataError, match=r"labels.csv:1: no column 'age' \(dataset.label\); columns: image_id, dx, label"
    ):
        build(table, label="age")
    with pytest.raises(DataError, match=r"no column label; .+ name the column of classes: dataset.label=COLUMN"):
        build("image_id,dx,age\n0,nv,5\n1,mel,5\n2,nv,6\n")
    with pytest.raises(ConfigError, match=r"label: the column of a list, but dataset.labels names none"):
        config_of(dataset={"name": "folder", "root": "root", "label": "dx"})


def test_drives_of_windows_are_the_same_in_any_case(here: Path) -> None:
    paint("cat/0.png", "dog/1.png")
    splits = build("file,label\nc:\\pics\\cat\\0.png,cat\nC:\\pics\\dog\\1.png,dog\n")
    assert splits.train.all_names() == ["cat/0.png", "dog/1.png"]


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"train.csv": "id,label\n0,a\n1,b\n", "sample_submission.csv": "id,label\n2,a\n"}, "train.csv"),
        ({"sampleSubmission.csv": "id,label\n2,a\n"}, None),
        ({"meta.csv": "id,dx\n0,a\n1,b\n", "pixels.csv": "p0,p1\n1,2\n"}, "meta.csv"),
        ({"one.csv": "id,dx\n0,a\n1,b\n", "two.csv": "id,dx\n0,a\n1,b\n"}, None),
    ],
)
def test_the_list_next_to_flat_folders_is_found(files: dict[str, str], found: str | None, here: Path) -> None:
    paint("train_images/0.png", "train_images/1.png", "test_images/2.png", "train_records/x.rec")
    for name, text in files.items():
        Path("root", name).write_text(text, encoding="utf-8")
    label = "label" if found == "train.csv" or found is None else "dx"
    assert label_file(Path("root"), "dx" if "one.csv" in files else label) == (found and Path("root", found))


def test_a_list_without_a_header_whose_label_is_not_clear_is_refused(here: Path) -> None:
    paint("0.png", "1.png")
    with pytest.raises(DataError, match=r"no header line, and not one image and one label in 0.png, cat, red; add a"):
        build("0.png,cat,red\n1.png,dog,blue\n")


@pytest.mark.parametrize(
    ("lead", "note"),
    [
        ("C:\\Users\\me\\photos\\", "C:/Users/me/photos/"),
        ("/home/me/photos/", "/home/me/photos/"),
        ("root/", "root/"),
        ("../root/./", None),
    ],
)
def test_a_list_from_another_place_finds_its_files(lead: str, note: str | None, here: Path) -> None:
    paint("img/0.png", "img/1.png", "img/2.png", "other/0.png")
    splits = build("file,label\n" + "".join(f"{lead}img/{number}.png,{number % 2}\n" for number in range(3)))
    assert [name.removeprefix("../root/") for name in splits.train.all_names()] == [f"img/{n}.png" for n in range(3)]
    assert splits.train.all_targets().tolist() == [0, 1, 0]
    assert note is None or splits.notes[0] == f"labels.csv: the files are listed in {note}, and taken from root"


def test_a_list_of_another_place_may_lack_a_folder_and_the_endings(here: Path) -> None:
    paint("img/0.png", "img/1.png")
    splits = build("file,label\nD:\\x\\0,a\nD:\\x\\1,b\n")
    assert splits.train.all_names() == ["img/0.png", "img/1.png"]


def test_absolute_paths_within_the_root_are_relative_to_it(here: Path) -> None:
    paint("0.png", "1.png", "2.png")
    splits = build("file,label\n" + "".join(f"{here}/root/{number}.png,{number % 2}\n" for number in range(3)))
    assert (splits.train.all_names(), splits.notes) == (["0.png", "1.png", "2.png"], [])


def test_columns_that_are_not_used_are_named(here: Path) -> None:
    paint("0.png", "1.png")
    assert build(",file,label,age,sex\n0,0.png,a,5,m\n1,1.png,b,6,f\n").notes == [
        "labels.csv: columns not used: age, sex"
    ]


def test_missing_labels_in_a_list_are_refused(here: Path) -> None:
    paint("0.png", "1.png", "2.png")
    with pytest.raises(DataError) as error:
        build("file,label\n0.png,a\n1.png,nan\n2.png,\n")
    missing = "column 'label': 'nan' looks like a missing label; fill it in, remove the row, or rename the class"
    assert error.value.lines == ["labels.csv:4: column 'label' is empty", f"labels.csv:3: {missing}"]


def test_a_list_may_begin_with_the_line_of_its_delimiter(here: Path) -> None:
    paint("0.png", "1.png")
    assert build("sep=;\nfile;label\n0.png;a\n1.png;b\n").train.all_names() == ["0.png", "1.png"]


@pytest.mark.parametrize("name", ["labels.CSV", "labels.tsv", "train.txt"])
def test_the_only_list_beside_images_may_have_other_endings(name: str, here: Path) -> None:
    paint("img/0.png", "img/1.png")
    Path("root", name).write_text("img/0.PNG\ta\nimg/1.PNG\tb\n", encoding="utf-8")
    Path("root/notes.md").write_text("file\tlabel\n", encoding="utf-8")
    Path("root/README.txt").write_text("Photographs of 2024, taken in Rome.\nFree to use.\n", encoding="utf-8")
    assert label_file(Path("root")) == Path("root", name)


@pytest.mark.parametrize(
    "file", ["img/0.PNG", "img/0", "C:/me/img/0.png", f"img/{unicodedata.normalize('NFD', ACCENT)}.png"]
)
def test_a_table_that_lists_images_is_recognized(file: str, here: Path) -> None:
    paint("img/0.png", f"img/{ACCENT}.png")
    Path("root/l.csv").write_text(f"file,label\n{file},a\n", encoding="utf-8")
    assert lists_images(Path("root/l.csv"))
    Path("root/l.csv").write_text("id,label\n7,a\n", encoding="utf-8")
    assert not lists_images(Path("root/l.csv"))


@pytest.mark.parametrize("header", ["id_code,diagnosis", "ImageID,ClassId", "image_name,tags", "img path,Species"])
def test_columns_have_their_usual_names(header: str, here: Path) -> None:
    paint("0a.png", "1b.png")
    splits = build(f"{header}\n0a,x\n1b,y\n")
    assert (splits.class_names, splits.train.all_names()) == (["x", "y"], ["0a.png", "1b.png"])


def test_fields_in_quotes_may_have_another_delimiter(here: Path) -> None:
    paint("a.png", "b.png")
    for header in ("file;label", '"file";"label"'):
        assert build(f'{header}\n"a.png";"x"\n"b.png";"y"\n').class_names == ["x", "y"]
    with pytest.raises(DataError, match=r"labels\.csv:2: not CSV"):
        build('file,label\n"a.png"x,y\n')


def test_files_next_to_their_list_are_found_first(here: Path) -> None:
    paint("train/0.png", "train/1.png", "test/0.png", "test/1.png")
    Path("root/train/metadata.csv").write_text("file_name,label\n0.png,x\n1.png,y\n", encoding="utf-8")
    splits = build("", labels="root/train/metadata.csv")
    assert splits.train.all_names() == ["train/0.png", "train/1.png"]


def test_measurements_are_no_classes(here: Path) -> None:
    paint(*(f"{number}.png" for number in range(12)))
    with pytest.raises(DataError, match=r"labels\.csv: labels: 12 different numbers in 12 rows: looks continuous"):
        build("file,label\n" + "".join(f"{number}.png,{number * 0.37}\n" for number in range(12)))


def test_rows_of_delimiters_alone_are_nothing_and_a_wrong_row_makes_no_other_table(here: Path) -> None:
    paint("a.png", "b.png")
    assert build("file,label\na.png,x\n,\nb.png,y\n , \n").class_names == ["x", "y"]
    Path("root/list.csv").write_text("file,label\na.png,x\nb.png,\n", encoding="utf-8")
    assert lists_images(Path("root/list.csv"))


def test_paths_may_tell_the_classes_and_the_splits(here: Path) -> None:
    paint("cat.0.png", "dog.1.png", "cat.2.png")
    options = {"name": "folder", "root": "root", "classes": "([a-z]+)[.]", "size": 2, "validation": 0, "test": 0}
    splits = config_of(dataset=options).dataset.build(0)
    assert (splits.class_names, splits.train.all_targets().tolist()) == (["cat", "dog"], [0, 0, 1])
    paint("testing/dog.3.png")
    splits = config_of(dataset=options).dataset.build(0)
    assert splits.test is not None and splits.test.all_names() == ["testing/dog.3.png"]
    paint("4.png")
    with pytest.raises(DataError, match=r"dataset.classes: '.+' matches 4 of 5 paths, not '4.png'"):
        config_of(dataset=options).dataset.build(0)
    with pytest.raises(ConfigError, match=r"classes: dataset.labels lists the classes too"):
        config_of(dataset={**options, "labels": "labels.csv"})


def test_a_column_of_another_name_that_names_splits_is_used(here: Path) -> None:
    paint(*(f"{number}.png" for number in range(4)))
    rows = ["0.png,a,train", "1.png,b,train", "2.png,a,test", "3.png,b,test"]
    splits = build("\n".join(["file,label,split_type", *rows]))
    assert splits.test is not None and splits.test.all_names() == ["2.png", "3.png"]
    rows = ["0.png,a,train", "1.png,b,bus", "2.png,a,train", "3.png,b,bus"]
    assert len(build("\n".join(["file,label,vehicle", *rows])).train) == 4


def test_a_list_without_header_and_endings_is_told_what_it_lacks(here: Path) -> None:
    paint("pie/1.png", "cake/2.png")
    with pytest.raises(DataError, match=r"found pie, pie/1: rename .* if this line is an image and its class, add a h"):
        build("pie, pie/1\ncake, cake/2\n")

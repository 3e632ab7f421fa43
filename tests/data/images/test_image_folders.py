"""Tests of folders as users have them: which folders are splits and classes, and what is skipped with a note."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from builders import config_of
from PIL import Image

from nnclassify.data import Splits
from nnclassify.data.images.image_folders import find_labeled, find_layout
from nnclassify.data.images.image_labels import label_file
from nnclassify.data.images.image_listing import list_images
from nnclassify.errors import DataError


def paint(*files: str) -> None:
    """An image for each path under `root`; no two are alike."""
    for file in files:
        path = Path("root") / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2), (sum(map(ord, file)) % 256, len(file), 0)).save(path, "PNG")


def build(**dataset: Any) -> Splits:
    options = {"name": "folder", "root": "root", "size": 2, "validation": 0, "test": 0, **dataset}
    splits: Splits = config_of(dataset=options).dataset.build(0)
    return splits


def counts(splits: Splits) -> tuple[list[str], list[int], int, int]:
    """Classes, training images of each, and how many are validated and tested on."""
    return splits.class_names, splits.class_counts(), len(splits.validation or ()), len(splits.test or ())


def said(splits: Splits, *words: str) -> bool:
    return any(all(word in note for word in words) for note in splits.notes)


def test_images_of_all_depths_are_used_and_said(here: Path) -> None:
    paint("a/0.png", "a/2019/may/1.png", "a/2020/2.png", "b/3.png")
    splits = build()
    assert counts(splits) == (["a", "b"], [3, 1], 0, 0)
    assert said(splits, "2 folders within class folders", "root/a/2019/may", "used")


def test_folders_that_every_class_contains_may_be_the_classes(here: Path) -> None:
    paint(*(f"20{year}/{name}/{year}.png" for year in (19, 20) for name in ("cat", "dog")))
    assert said(build(), "every class folder contains folders cat, dog; if these are the classes, move them to root/<c")
    paint("2019/cow/3.png", "2021/cow/4.png")
    assert not said(build(), "every class folder")


@pytest.mark.parametrize(
    "names", [("fold1", "fold2"), ("HAM_part_1", "HAM_part_2"), ("Batch-B", "batch-a"), ("Teil 1", "Teil 2")]
)
def test_numbered_parts_of_a_dataset_are_refused_as_classes(names: tuple[str, str], here: Path) -> None:
    paint(*(f"{name}/{number}.png" for number, name in enumerate(names)), "cat/2.png")
    with pytest.raises(DataError, match=rf"root: {names[0]}, {names[1]}: numbered parts .*; name the table of their"):
        build()
    paint(*(f"{name}/dog/3.png" for name in names))
    with pytest.raises(DataError, match=r"merge them into root/<class>/ \(dataset.folds is for cross-validation\)"):
        build()


@pytest.mark.parametrize(
    "names", [("part_1", "counterpart_1"), ("class1", "class2"), ("apart1", "apart2"), ("part", "parts")]
)
def test_other_numbered_folders_are_classes(names: tuple[str, str], here: Path) -> None:
    paint(f"{names[0]}/0.png", f"{names[1]}/1.png")
    assert build().class_names == sorted(names)


def test_images_in_numbered_parts_are_found_by_the_table_next_to_them(here: Path) -> None:
    paint("part_1/a.png", "part_2/b.png", "part_2/c.png")
    Path("root/labels.csv").write_text("file,label\npart_1/a.png,cat\npart_2/b.png,dog\npart_2/c.png,dog\n")
    assert label_file(Path("root")) == Path("root/labels.csv")


@pytest.mark.parametrize("name", ["unlabeled", "Unlabelled Images", "no_label", "unsup"])
def test_images_without_labels_are_no_class(name: str, here: Path) -> None:
    paint("cat/0.png", "dog/1.png", f"{name}/2.png")
    splits = build()
    assert counts(splits)[:2] == (["cat", "dog"], [1, 1])
    assert said(splits, f"root/{name}: not used: by its name, its images have no labels")
    known = find_labeled(Path("root"), ["cat", "dog", name])
    assert len(known.splits["train"].paths) == 3


@pytest.mark.parametrize(
    ("train", "test", "validation"),
    [
        ("Trainingsdaten", "Testdaten", "Validierungsdaten"),
        ("Trainings-Bilder", "Test-Bilder", "Validierung"),
        ("entraînement", "test", "validation"),
        ("données d'entraînement", "données de test", "données de validation"),
        ("datos_de_entrenamiento", "datos_de_prueba", "datos_de_validación"),
        ("addestramento", "prova", "validazione"),
        ("treino", "teste", "validação"),
        ("trainingsset", "testset", "validatieset"),
        ("images_train", "images_test", "images_val"),
        ("TrainData", "TestData", "ValData"),
    ],
)
def test_splits_are_recognized_in_seven_languages(train: str, test: str, validation: str, here: Path) -> None:
    paint(*(f"{train}/{name}/{place}.png" for name in "ab" for place in "012"))
    paint(*(f"{test}/{name}/0.png" for name in "ab"), *(f"{validation}/{name}/0.png" for name in "ab"))
    found = find_layout(Path("root"), None)
    assert found.class_names == ["a", "b"]
    assert {split: len(part.paths) for split, part in found.splits.items()} == {"train": 6, "test": 2, "validation": 2}


def test_links_are_followed_once(here: Path) -> None:
    paint("a/0.png", "b/1.png", "../store/2.png", "../store/3.png")
    Path("root/c").symlink_to(here / "store")
    Path("root/a/loop").symlink_to(here / "root")
    Path("root/b/copy.png").symlink_to("../a/0.png")
    splits = build()
    assert counts(splits)[:2] == (["a", "b", "c"], [1, 2, 2])
    assert said(splits, "1 repeated link", "root/a/loop")


@pytest.mark.parametrize(("target", "why"), [("nowhere", "a broken link"), ("x.png", ".* symbolic links")])
def test_a_dangling_image_is_named_and_a_dangling_class_too(target: str, why: str, here: Path) -> None:
    paint("a/0.png", "b/1.png")
    Path("root/b/x.png").symlink_to(target)
    with pytest.raises(DataError, match=rf"root/b/x.png: not a readable image \({why}"):
        build()
    Path("root/c").symlink_to("nowhere")
    with pytest.raises(DataError, match=r"root/c: a broken link"):
        build()


def test_two_links_to_one_class_are_refused(here: Path) -> None:
    paint("a/0.png", "b/1.png")
    Path("root/c").symlink_to("a")
    with pytest.raises(DataError, match=r"root/a and root/c: two classes, but the same folder"):
        build()


def test_system_files_texts_and_pipes_are_passed_over_and_counted(here: Path) -> None:
    paint("a/0.png", "a/.ipynb_checkpoints/0.png", "a/._0.png", "b/1.png", "__MACOSX/a/0.png")
    for file in ("a/Thumbs.db", "b/desktop.ini", "b/.DS_Store", "b/notes.TXT", "a/boxes.xml", "labels.csv"):
        (Path("root") / file).write_text("x")
    os.mkfifo("root/a/pipe.png")
    splits = build()
    assert counts(splits) == (["a", "b"], [1, 1], 0, 0)
    assert said(splits, "5 system files")
    assert said(splits, "2 text files", "a/boxes.xml", "b/notes.TXT")
    assert said(splits, "1 special file", "a/pipe.png")
    assert said(splits, "1 file next to the class folders not used", "root/labels.csv")
    assert said(splits, "1 hidden or system folder not used", "root/__MACOSX")


@pytest.mark.parametrize(
    "names",
    [
        ("train", "test", "val"),
        ("Train", "TEST", "Valid"),
        ("training", "Testing", "validation"),
        ("training_set", "test_set", "eval"),
        ("train_images", "testing", "Dev"),
        ("seg_train/seg_train", "seg_test/seg_test", "seg-val"),
        ("train2017", "test2017", "val2017"),
    ],
)
def test_split_folders_are_used_whatever_their_case(names: tuple[str, str, str], here: Path) -> None:
    train, test, validation = names
    paint(f"{train}/a/0.png", f"{train}/a/1.png", f"{train}/b/2.png", f"{test}/a/3.png", f"{test}/b/4.png")
    paint(f"{validation}/a/5.png", f"{validation}/b/6.png", f"{validation}/b/7.png")
    assert counts(build(validation=None)) == (["a", "b"], [2, 1], 3, 2)
    drawn = build(validation=0.4)
    assert counts(drawn)[1:3] == ([1, 1], 1) and said(drawn, "are not used, since dataset.validation is 0.4")


def test_splits_within_classes_are_splits(here: Path) -> None:
    paint("a/train/0.png", "a/train/deep/1.png", "a/Test/2.png", "b/train/3.png", "b/test/4.png", "b/val/5.png")
    splits = build(validation=None)
    assert counts(splits) == (["a", "b"], [2, 1], 1, 2)
    assert said(splits, "root: no validation images of class a")
    assert splits.train.all_names() == ["a/train/0.png", "a/train/deep/1.png", "b/train/3.png"]


@pytest.mark.parametrize("other", ["a/1.png", "b/2019/1.png", "c/1.png", "a/TRAIN/1.png"])
def test_splits_within_some_classes_alone_are_refused(other: str, here: Path) -> None:
    paint("a/train/0.png", "a/test/1.png", "b/train/2.png", other)
    with pytest.raises(DataError, match=r"root/a/test: a split within a class|two folders for the same split"):
        build()


def test_the_default_survives_being_written_and_read(here: Path) -> None:
    paint("train/a/0.png", "train/b/1.png", "val/a/2.png", "val/b/3.png")
    config = config_of(dataset={"name": "folder", "root": "root", "size": 2, "test": 0})
    again = config_of(**config.model_dump(mode="json", exclude_none=True))
    assert counts(again.dataset.build(0)) == (["a", "b"], [1, 1], 2, 0)


def test_a_class_called_train_is_a_class_where_it_holds_no_folders(here: Path) -> None:
    paint("bus/0.png", "car/1.png", "train/2.png", "test/bus/3.png", "test/train/4.png")
    splits = build()
    assert counts(splits) == (["bus", "car", "train"], [1, 1, 1], 0, 2)
    assert said(splits, "root/train: used as a class named train")
    assert said(splits, "root/test: no images of class car")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["train/1.png", "test/2.png"], r"root/train: no class folder, but 1 file; expected one folder"),
        (["test/a/1.png", "val/a/2.png"], r"root: no class folder"),
        (
            ["train/2019/0.png", "train/2020/0.png", "bus/1.png"],
            r"root/train: contains folders and is next to root/bus",
        ),
        (["train/a/0.png", "Train/b/0.png"], r"root/Train and root/train: two folders for the same split"),
        (["val/a/0.png", "valid/a/0.png", "train/a/1.png"], r"root/val and root/valid: two folders for the same split"),
        (["d/cat/0.png", "d/dog/1.png"], r"root: only one class \(d\), which contains folders; did you mean root/d\?"),
        (["d/e/cat/0.png", "d/e/dog/1.png"], r"root: only one class \(d\), .*; did you mean root/d/e\?"),
        (["images/0.png", "labels/0.png"], r"root: images next to labels, as in a dataset for object detection"),
        (["train/JPEGImages/0.png", "train/Annotations/0.png"], r"root/train: JPEGImages next to Annotations"),
        (["0.png"], r"root: no class folder, but 1 file"),
        (["cat/images/0.png", "cat/masks/0.png", "dog/images/1.png"], r"root/cat: images next to masks"),
        (["trainA/0.png", "trainB/1.png", "testA/2.png"], r"root: testA, trainA: splits by their names, not classes"),
        (
            ["train_cat/0.png", "test_cat/1.png", "x/2.png"],
            r"root: test_cat, train_cat: splits by .* root/train/<class>/",
        ),
        (["cat-val/0.png", "cat-train/1.png"], r"root: cat-train, cat-val: splits by their names"),
        (["train/a/0.png", "train/val/a/1.png"], r"root/train/val: a split by its name, within root/train; move it"),
        (["train2017/1.png", "val2017/2.png"], r"root/train2017: no class folder, but 1 file"),
        (["train/a/0.png", "train/b/1.png", "test/c/2.png"], r"root/test/c: not a class of the training folder"),
        (["a /0.png", "a/1.png"], r"root/a and root/a : names that differ only in surrounding spaces"),
        (["caf\u00e9/0.png", "cafe\u0301/1.png"], r"names that differ only in .* how accents are written"),
    ],
)
def test_folders_that_can_be_understood_in_two_ways_are_refused(files: list[str], message: str, here: Path) -> None:
    paint(*files)
    with pytest.raises(DataError, match=message) as caught:
        build()
    assert "\n" not in str(caught.value)


def test_unlabeled_images_and_other_folders_beside_train_are_said(here: Path) -> None:
    paint("train/a/0.png", "train/b/1.png", "test/7.png", "val/a/2.png", "extra/x.png")
    splits = build(validation=None)
    assert counts(splits) == (["a", "b"], [1, 1], 1, 0)
    assert said(splits, "root/test: not used: it has no class folders")
    assert said(splits, "root/extra: next to root/train, not used")
    assert said(splits, "root/val: no images of class b")


def test_names_match_whatever_their_accents_spaces_and_case(here: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    paint(f"train/{decomposed}/0.png", "train/b /1.png", "train/Cat/2.png")
    paint(f"test/{composed}/3.png", "test/b/4.png", "test/cat/5.png")
    splits = build()
    assert counts(splits) == (["Cat", "b", composed], [1, 1, 1], 0, 3)
    assert said(splits, "root/test/cat: used as class Cat")


def test_classes_that_differ_in_case_are_two_classes(here: Path) -> None:
    paint("a/0.png", "A/1.png")
    splits = build()
    assert counts(splits)[0] == ["A", "a"] and said(splits, "A and a differ only in case")
    paint("a\u200b/0.png")
    assert said(build(), "A and a and a\u200b differ only in case, spaces or spelling")


def test_a_name_that_is_not_utf_8_is_read(here: Path) -> None:
    paint("a/0.png", "b/1.png")
    Path("root/a").rename("root/caf\udce9")
    Path("root/b/1.png").rename("root/b/\udcff.png")
    assert counts(build())[:2] == (["b", "caf\udce9"], [1, 1])


def test_the_order_is_that_of_the_parts_of_a_path(here: Path) -> None:
    paint("b.png", "a/c.png", "a-b.png", "a/B/x.png", "a.png")
    files = [str(path.relative_to("root")) for path in list_images(Path("root")).paths]
    assert files == ["a/B/x.png", "a/c.png", "a-b.png", "a.png", "b.png"]


def test_folders_without_end_are_refused(here: Path) -> None:
    deep = Path("root/a", *["d"] * 120)
    deep.mkdir(parents=True)
    with pytest.raises(DataError, match=r"more than 100 nested folders"):
        build()


def test_all_bad_files_of_all_splits_are_counted(here: Path) -> None:
    paint("train/a/0.png", "train/b/1.png", "test/a/2.png", "test/b/3.png")
    for file in ("train/a/x.png", "train/b/y.png", "test/a/z.png", "test/b/z.png"):
        (Path("root") / file).write_bytes(b"")
    with pytest.raises(DataError, match=r"root/test/a/z.png: .*an empty file") as caught:
        build()
    assert len(caught.value.lines) == 4 and "(4 such files)" in caught.value.lines[-1]
    assert said(build(on_bad_file="skip"), "skipped: root/train/b/y.png")


def test_a_test_folder_without_any_image_is_refused(here: Path) -> None:
    paint("train/a/0.png", "train/b/1.png")
    Path("root/test/a").mkdir(parents=True)
    with pytest.raises(DataError, match=r"root/test/a: no images, here or in any other class"):
        build()


def test_files_next_to_the_split_folders_are_said(here: Path) -> None:
    paint("train/a/0.png", "train/b/0.png", "test/a/1.png", "test/b/1.png", "lost.png")
    assert said(build(), "1 file next to the split folders not used", "root/lost.png")


@pytest.mark.parametrize(
    ("images", "others"),
    [
        ("leftImg8bit", "gtFine"),
        ("img", "GT"),
        ("images", "images_masks"),
        ("train", "train_masks"),
        ("image", "ground-truth"),
    ],
)
def test_images_next_to_their_masks_are_no_classes(images: str, others: str, here: Path) -> None:
    for folder in (images, others):
        Path("root", folder).mkdir(parents=True)
        Image.new("RGB", (2, 2)).save(Path("root", folder, "1.png"))
    with pytest.raises(DataError, match=f"root: {images} next to {others}, as in a dataset for object detection"):
        find_layout(Path("root"), None)


@pytest.mark.parametrize("test", ["test1/0.png", "test/images/0.png", "Test/Test/0.png", "test2017/0.png"])
def test_a_split_without_class_folders_is_not_used(test: str, here: Path) -> None:
    paint("train/a/0.png", "train/b/1.png", "meta/0.png", test)
    splits = build()
    assert counts(splits) == (["a", "b"], [1, 1], 0, 0)
    assert said(splits, f"root/{test.split('/')[0]}: not used: it has no class folders")
    assert said(splits, "root/meta: next to root/train, not used")


def test_a_split_whose_name_is_one_word_of_several_and_has_no_class_folders_is_not_used(here: Path) -> None:
    paint("abc_train/abc_train/a/0.png", "abc_train/abc_train/b/1.png", "abc_test/abc_test/2.png")
    splits = build()
    assert counts(splits) == (["a", "b"], [1, 1], 0, 0)
    assert said(splits, "root/abc_test: not used: it has no class folders")


def test_a_class_with_a_number_is_no_split(here: Path) -> None:
    paint("set 1/0.png", "set 2/1.png", "DevOps/2.png")
    assert build().class_names == ["DevOps", "set 1", "set 2"]


@pytest.mark.parametrize("name", ["#recycle", "@eaDir", "System Volume Information", "__pycache__"])
def test_folders_of_network_drives_are_no_classes(name: str, here: Path) -> None:
    paint("a/0.png", "b/1.png", f"{name}/2.png")
    assert build().class_names == ["a", "b"]


@pytest.mark.parametrize(
    ("file", "advice"),
    [
        ("metadata.csv", "name it: dataset.labels=root/train/metadata.csv"),
        ("metadata.jsonl", "write them to a CSV file: file,label"),
        ("labels.xlsx", "if root/train/labels.xlsx lists the images with their classes"),
        ("cat.zip", "unpack root/train/cat.zip"),
    ],
)
def test_what_may_tell_the_classes_of_a_split_without_class_folders_is_named(
    file: str, advice: str, here: Path
) -> None:
    paint("train/0.png", "train/1.png", "test/0.png")
    Path("root/train", file).write_text("", encoding="utf-8")
    with pytest.raises(DataError, match=r"root/train: no class folder, but 3 files; .*; (if .*; )?") as caught:
        build()
    assert advice in str(caught.value)


def test_a_folder_with_the_other_classes_again_is_no_class(here: Path) -> None:
    paint("cat/0.png", "dog/1.png", "all/cat/0.png", "all/dog/1.png")
    splits = build()
    assert counts(splits) == (["cat", "dog"], [1, 1], 0, 0)
    assert said(splits, "root/all: not used: it holds images of cat, dog again")
    paint("all/dog/2.png")
    with pytest.raises(
        DataError, match=r"root/all: contains folders cat, dog, like the classes next to it, with other"
    ):
        build()


@pytest.mark.parametrize(
    ("names", "is_refused"),
    [
        (("Original Images", "Augmented Images"), True),
        (("rps", "rps-test-set"), True),
        (("NCT-100K", "CRC-VAL-7K"), True),
        (("color", "segmented"), True),
        (("bee", "wasp"), False),
    ],
)
def test_versions_and_splits_that_contain_the_same_folders_are_no_classes(
    names: tuple[str, str], is_refused: bool, here: Path
) -> None:
    paint(*(f"{name}/{inner}/0.png" for name in names for inner in ("cat", "dog")))
    if not is_refused:
        assert counts(build()) == (sorted(names), [2, 2], 0, 0)
        return
    with pytest.raises(
        DataError, match=r"both contain folders cat, dog, as versions or splits .+\(nnclassify train '?root/"
    ):
        build()
    paint(*(f"{names[0]}/{inner}/0.png" for inner in ("cat", "dog")), f"{names[0]}/beside.png")
    assert len(build().class_names) == 2


def test_folders_of_patients_that_contain_the_classes_are_no_classes(here: Path) -> None:
    paint(*(f"patient{n:02}/study1_{('negative', 'positive')[n % 2]}/{n}.png" for n in range(8)))
    with pytest.raises(DataError, match=r"patient00, .*: groups by their names, not classes, .* study1_negative"):
        build()
    splits = build(classes="([^/]+)/[^/]+$", group="^([^/]+)/")
    assert counts(splits)[:2] == (["study1_negative", "study1_positive"], [4, 4])
    assert len(build(classes="^([^/]+)/").class_names) == 8


@pytest.mark.parametrize(("count", "is_refused"), [(10, False), (20, True)])
def test_many_numbered_folders_that_contain_the_same_folders_are_no_classes(
    count: int, is_refused: bool, here: Path
) -> None:
    paint(*(f"{n}/{inner}/{n}{inner}.png" for n in range(count) for inner in ("in", "out")))
    if is_refused:
        with pytest.raises(DataError, match="groups by their names, not classes"):
            build()
    else:
        assert len(build().class_names) == count


def test_people_whose_folders_contain_folders_of_their_own_are_classes(here: Path) -> None:
    paint(*(f"person{n}/day{n}/{n}{m}.png" for n in range(6) for m in "ab"))
    assert len(build().class_names) == 6


def test_folders_without_images_do_not_hide_the_only_one_with_classes(here: Path) -> None:
    paint("images/cat/0.png", "images/dog/1.png")
    for name in ("meta/train.txt", "parts/parts.txt"):
        Path("root", name).parent.mkdir()
        Path("root", name).write_text("cat/0\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"did you mean root/images\?; no images in meta, parts"):
        build()


def test_runs_next_to_the_images_are_no_class(here: Path) -> None:
    paint("cat/0.png", "dog/1.png", "checkpoints/pics/plots/curves.png")
    assert build().class_names == ["cat", "checkpoints", "dog"]
    Path("root/checkpoints/pics/config.yaml").touch()
    splits = build()
    assert splits.class_names == ["cat", "dog"] and said(splits, "not used (root/checkpoints)")
    assert [*list_images(Path("root")).paths.names()] == ["cat/0.png", "dog/1.png"]


def test_labeled_classes_may_be_wrapped_in_a_folder_of_the_same_name(here: Path) -> None:
    paint("root/cat/0.png", "root/dog/1.png")
    layout = find_labeled(Path("root"), ["cat", "dog"])
    assert [*layout.splits["train"].paths.names()] == ["root/cat/0.png", "root/dog/1.png"]

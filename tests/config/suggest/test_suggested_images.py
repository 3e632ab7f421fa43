"""Tests of what is found in a folder of images, and of the suggested config."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nnclassify.config.run_config import load_config
from nnclassify.config.suggest.images import image_facts, suggested_blocks
from nnclassify.config.suggest.suggest import suggest
from nnclassify.data.images.image_datasets import Folder
from nnclassify.errors import DataError, InputError, LabelError
from nnclassify.models.cnn import Cnn


def paint(root: str, classes: dict[str, int], size: tuple[int, int] = (20, 30), mode: str = "RGB") -> None:
    """Write `{class: images}`, each image of random pixels; size is width and height."""
    rng = np.random.default_rng(0)
    for name, count in classes.items():
        (Path(root) / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).convert(mode).save(Path(root) / name / f"{index}.png")


def test_classes_sizes_modes_and_formats_are_counted(here: Path) -> None:
    paint("pets", {"cat": 3, "dog": 2})
    found = suggest("pets").found
    assert found[0] == "pets: 2 classes, 5 images: cat 3, dog 2"
    assert found[1] == "pets: 20x30 pixels; PNG 5; RGB 5"


def test_broken_files_are_named_and_skipped(here: Path) -> None:
    paint("pets", {"cat": 3, "dog": 3})
    whole = Path("pets/cat/0.png").read_bytes()
    Path("pets/dog/half.png").write_bytes(whole[: len(whole) // 2])
    found = suggest("pets").found
    assert "pets: 1 file cannot be read as an image (pets/dog/half.png); skipped" in found
    dataset = load_config("pets").config.dataset
    assert isinstance(dataset, Folder) and dataset.on_bad_file == "skip"


def test_identical_files_are_named_together(here: Path) -> None:
    paint("pets", {"cat": 2, "dog": 2})
    Path("pets/dog/copy.png").write_bytes(Path("pets/cat/1.png").read_bytes())
    assert any("cat/1.png = dog/copy.png" in line for line in suggest("pets").found)


@pytest.mark.parametrize(
    ("size", "mode", "wanted"),
    [((20, 20), "RGB", (20, "rgb")), ((30, 20), "L", ([20, 30], "gray")), ((500, 400), "RGB", (128, "rgb"))],
)
def test_small_images_keep_their_size_and_gray_ones_their_channel(
    here: Path, size: tuple[int, int], mode: str, wanted: tuple[object, str]
) -> None:
    paint("pets", {"cat": 2, "dog": 2}, size, mode)
    dataset = load_config("pets").config.dataset
    assert isinstance(dataset, Folder) and (dataset.size, dataset.mode) == wanted


def test_own_splits_are_used(here: Path) -> None:
    for split, count in {"train": 4, "Valid": 2, "test": 3}.items():
        paint(f"pets/{split}", {"cat": count, "dog": count})
    suggestion = suggest("pets")
    assert suggestion.found[0] == "pets: 2 classes, 8 images, and 4 for validation and 6 for test: cat 4, dog 4"
    assert "validation:" not in suggestion.yaml() and "  test:" not in suggestion.yaml()


def test_a_table_that_lists_images_is_not_learned_from_itself(here: Path) -> None:
    paint("pets/all", {"x": 6})
    rows = [f"all/x/{index}.png,{['cat', 'dog'][index % 2]}" for index in range(6)]
    Path("pets/list.csv").write_text("\n".join(["file,label", *rows]))
    dataset = load_config("pets/list.csv").config.dataset
    assert isinstance(dataset, Folder) and (dataset.root, dataset.labels) == ("pets", "pets/list.csv")
    assert suggest("pets/list.csv").name == "list" and dataset.build(0).class_names == ["cat", "dog"]


def test_unbalanced_classes_are_weighted(here: Path) -> None:
    paint("pets", {"cat": 40, "dog": 5}, (4, 4))
    config = load_config("pets").config
    assert config.loss.model_dump()["class_weights"] == "balanced" and config.select_by == "balanced_accuracy"


def test_larger_images_have_more_blocks_up_to_a_limit() -> None:
    num_blocks = [len(suggested_blocks(100, 3, side, side)[0]) for side in (4, 8, 32, 128, 4096)]
    assert num_blocks == [1, 2, 4, 6, 6]


def test_the_network_fits_every_shape(here: Path) -> None:
    for size in ((1, 1), (3, 40), (8, 8), (200, 100)):
        paint(f"pets_{size[0]}", {"cat": 3, "dog": 3}, size)
        config = load_config(f"pets_{size[0]}").config
        assert isinstance(config.model, Cnn)
        splits = config.dataset.build(0)
        images = splits.train.inputs.index_select(0, splits.train.indices)
        assert config.model.build(splits.input_shape, 2)(images.float()).shape == (len(splits.train), 2)


def test_a_folder_without_classes_or_readable_images_is_refused(here: Path) -> None:
    Path("empty").mkdir()
    with pytest.raises(DataError, match="no class folder"):
        suggest("empty")
    paint("pets", {"cat": 1, "dog": 1})
    for path in Path("pets").rglob("*.png"):
        path.write_bytes(b"no image")
    with pytest.raises(InputError, match="none of the 2 images can be read"):
        suggest("pets")


def test_a_large_folder_is_sampled_evenly(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnclassify.config.suggest.images.MAX_OPENED", 4)
    paint("pets", {"cat": 9}, (2, 2))
    facts = image_facts(sorted(Path("pets/cat").iterdir()))
    assert (facts.num_files, facts.num_opened, len(facts.sizes)) == (9, 3, 3)


def test_a_list_of_labels_beside_images_in_one_folder_is_used(here: Path) -> None:
    paint("pets", {"images": 20})
    Path("pets/labels.csv").write_text("file,label\n" + "".join(f"images/{i}.png,{'ab'[i % 2]}\n" for i in range(20)))
    assert suggest("pets").found[0] == "pets: 2 classes, 20 images: a 10, b 10"
    dataset = load_config("pets").config.dataset
    assert isinstance(dataset, Folder) and dataset.labels == "pets/labels.csv"
    assert dataset.build(0).class_names == ["a", "b"]


def test_images_of_one_pixel_are_not_cropped(here: Path) -> None:
    paint("dots", {"a": 9, "b": 9}, (1, 1))
    splits = load_config("dots").config.dataset.build(0)
    assert splits.input_shape == (3, 1, 1)


def test_masks_next_to_their_images_are_named(here: Path) -> None:
    paint("scans", {"benign": 3, "other_mask": 3})
    Path("scans/benign/1_mask.png").write_bytes(Path("scans/benign/0.png").read_bytes())
    found = [line for line in suggest("scans").found if "like masks" in line]
    assert found == [
        "scans: 1 file named like masks of the images next to them (scans/benign/1_mask.png): used as images; if they "
        "are masks, move them away"
    ]


def test_a_folder_of_tables_is_no_list_of_images(here: Path) -> None:
    Path("titanic").mkdir()
    for name in ("people", "places"):
        Path(f"titanic/{name}.csv").write_text("id,sex,survived\n1,male,0\n")
    with pytest.raises(
        DataError, match=r"but titanic/people.csv, titanic/places.csv: to train on a table, give it instead"
    ):
        suggest("titanic")


def test_an_override_names_the_list_of_the_images(here: Path) -> None:
    paint("pets", {"all": 8})
    for name in ("a", "b"):
        rows = [f"all/{index}.png,{name}{index % 2}" for index in range(8)]
        Path(f"pets/{name}.csv").write_text("\n".join(["file,label", *rows]))
    dataset = load_config("pets", ["dataset.labels=pets/b.csv"]).config.dataset
    assert isinstance(dataset, Folder) and dataset.labels == "pets/b.csv"


def test_an_image_that_holds_nan_is_skipped_and_named(here: Path) -> None:
    for number in range(12):
        pixels = np.full((8, 8), number / 12, dtype=np.float32)
        pixels[0, 0] = np.nan if number == 4 else 0
        path = Path("root", "ab"[number % 2], f"{number}.tif")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    found = suggest("root")
    assert "root: 1 file cannot be read as an image (root/a/4.tif); skipped" in found.found
    assert "on_bad_file: skip" in found.yaml()
    assert len(load_config("root").config.dataset.build(0).train) > 0


def test_a_list_that_is_not_recognized_is_named(here: Path) -> None:
    paint("pets", {"img": 6})
    Path("pets/l.tsv").write_text("img/0.png\ta\tx\nimg/1.png\tb\ty\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"pets: only one class \(img\).+ name it: dataset.labels=pets/l.tsv"):
        suggest("pets")
    with pytest.raises(DataError, match=r"pets/l.tsv:1: no header line, and not one image and one label"):
        load_config("pets", ["dataset.labels=pets/l.tsv"])


def test_classes_of_one_image_hold_none_out(here: Path) -> None:
    paint("pets", {f"breed {number}": 1 for number in range(12)})
    splits = load_config("pets").config.dataset.build(0)
    assert len(splits.train) == 12 and splits.validation is None
    with pytest.raises(
        DataError, match=r"none of 12 examples can be held out, since each class keeps one; add examples"
    ):
        load_config("pets", ["dataset.validation=0.1"]).config.dataset.build(0)


def test_a_class_of_which_no_image_can_be_read_is_named_with_the_reason(here: Path) -> None:
    paint("pets", {"cat": 3, "dog": 2})
    for path in Path("pets/dog").iterdir():
        path.write_bytes(b"<!DOCTYPE html><html>404</html>")
    why = r"class dog \(2 examples could not be read; the first: pets/dog/0\.png: .*an HTML page"
    with pytest.raises(LabelError, match=f"no training examples of {why}"):
        load_config("pets").config.dataset.build(0)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="modes are POSIX's")
def test_a_file_that_the_user_may_not_read_is_skipped_and_a_folder_is_an_error(as_user: Path) -> None:
    paint("pets", {"cat": 3, "dog": 3})
    Path("pets/cat/0.png").chmod(0)
    reason = r"pets/cat/0\.png: not a readable image \(.*Permission denied.*\); fix permissions"
    assert re.fullmatch(reason, next(iter(image_facts([Path("pets/cat/0.png")]).unreadable.values())))
    Path("pets/dog").chmod(0)
    with pytest.raises(DataError, match=r"pets/dog: cannot be read \(.*Permission denied.*\); fix permissions"):
        suggest("pets")
    Path("pets/dog").chmod(0o700)


def test_classes_in_the_names_of_images_have_a_command(here: Path) -> None:
    paint("all", {"": 12})
    for index in range(12):
        Path(f"all/{index}.png").rename(f"all/{['cat', 'dog'][index % 2]}.{index}.png")
    with pytest.raises(DataError, match=r"tell their classes \(cat, dog\): nnclassify train all '(.+)'$") as refused:
        suggest("all")
    override = re.search(r"train all '(.+)'$", str(refused.value))
    assert override is not None
    dataset = load_config("all", [override[1]]).config.dataset
    assert dataset.build(0).class_names == ["cat", "dog"] and str(dataset.origin()) == "all"
    with pytest.raises(InputError, match=r"dataset.classes: found '\(cat', expected a regular expression \(missing"):
        load_config("all", ["dataset.classes=(cat"])


def test_a_label_chooses_the_list_and_its_column_even_next_to_nested_folders(here: Path) -> None:
    paint("faces/aligned", {"all": 8})
    Path("faces/boxes.csv").write_text("image_id,x\n0.png,1\n", encoding="utf-8")
    rows = [f"{index}.png,{index % 2},{1 - 2 * (index % 2)}" for index in range(8)]
    Path("faces/attributes.csv").write_text("\n".join(["image_id,bald,smiling", *rows]) + "\n", encoding="utf-8")
    dataset = load_config("faces", ["dataset.label=smiling"]).config.dataset
    assert dataset.build(0).class_names == ["-1", "1"]
    with pytest.raises(InputError, match=r"--label beard: no list of images with such a column"):
        suggest("faces", "beard")


@pytest.mark.parametrize("names", [("img_{}.png",), ("train_{}.png", "test_{}.png"), ("a{}.png", "note.png")])
def test_other_names_of_images_tell_no_classes(names: tuple[str, ...], here: Path) -> None:
    paint("all", {"": 12})
    for index in range(12):
        Path(f"all/{index}.png").rename("all/" + names[index % len(names)].format(index))
    with pytest.raises(DataError, match=r"no class folder, but \d+ files; (?!.*tell their classes)"):
        suggest("all")


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("data_batch_1.bin", r"CIFAR-10 in binary: rows = numpy.fromfile\(FILE, 'uint8'\).reshape\(-1, 3073\)"),
        ("data_batch_1", "CIFAR-10: nnclassify train cifar_cnn"),
        ("fine_label_names.txt", r"CIFAR-100 in binary: .* 3074\); the labels are rows\[:, 1\]"),
        ("train_X.bin", r"STL-10: .*reshape\(-1, 3, 96, 96\).swapaxes\(2, 3\)"),
        ("train_32x32.mat", r"SVHN: found = scipy.io.loadmat\(FILE\)"),
    ],
)
def test_downloaded_files_are_named_with_what_reads_them(tmp_path: Path, file: str, told: str) -> None:
    (tmp_path / file).write_bytes(b"1")
    with pytest.raises(DataError, match=f"; for the files of {told}"):
        suggest(str(tmp_path))

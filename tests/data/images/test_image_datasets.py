"""Tests of image folders, and of MNIST and CIFAR in their original formats."""

from __future__ import annotations

import socket
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from archives import IDX_FOLDERS, NUM_TEST, NUM_TRAIN, stripes, write_cifar, write_idx
from builders import config_of
from PIL import Image

from nnclassify.data import Splits
from nnclassify.data.images.image_reading import decode_images
from nnclassify.errors import DataError, InputError
from nnclassify.files.images.image_format import ImageFormat


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without network."""

    def refuse(*args: object, **options: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def build(**dataset: Any) -> Splits:
    splits: Splits = config_of(dataset={"validation": 0, **dataset}).dataset.build(0)
    return splits


def paint(path: Path, shade: int, size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (shade, 0, 0)).save(path)


def paint_split(root: Path, names: list[str], each: int = 4) -> None:
    for shade, name in enumerate(names):
        for index in range(each):
            paint(root / name / f"{index}.png", 50 * shade + index)


@pytest.mark.parametrize("name", IDX_FOLDERS)
def test_idx_files_that_are_there_need_no_network(name: str, here: Path, offline: None) -> None:
    write_idx(here / "data", name)
    splits = build(name=name)
    pixels, targets = stripes(NUM_TRAIN, 10, 28 * 28)
    assert np.array_equal(splits.train.inputs.numpy(), pixels.reshape(NUM_TRAIN, 1, 28, 28))
    assert splits.train.all_targets().tolist() == targets.tolist()
    assert splits.test is not None and len(splits.test) == NUM_TEST
    if name == "mnist":
        assert splits.class_names == [str(digit) for digit in range(10)]


@pytest.mark.parametrize(("name", "num_classes"), [("cifar10", 10), ("cifar100", 100)])
def test_a_cifar_archive_that_is_there_needs_no_network(
    name: str, num_classes: int, here: Path, offline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "data").mkdir()
    archive = write_cifar(here / "data", num_classes, monkeypatch)
    splits = build(name=name)
    archive.unlink()
    again = build(name=name)  # from what was unpacked
    count = len(splits.train)
    pixels, targets = stripes(count, num_classes, 3072)
    assert torch.equal(splits.train.inputs, again.train.inputs)
    assert np.array_equal(splits.train.inputs.numpy(), pixels.reshape(count, 3, 32, 32))
    assert splits.train.all_targets().tolist() == targets.tolist()
    assert splits.class_names[3] == "thing_3"


def test_cifar_is_downloaded_once(tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served = tmp_path / "served"
    served.mkdir()
    archive = write_cifar(served, 10, monkeypatch)
    requests: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(served))

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            requests.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr("torchvision.datasets.CIFAR10.url", f"http://127.0.0.1:{server.server_port}/{archive.name}")
        first, second = build(name="cifar10"), build(name="cifar10")
        server.shutdown()
    assert torch.equal(first.train.inputs, second.train.inputs)
    assert set(requests) == {f"/{archive.name}"}


@pytest.mark.parametrize("name", [*IDX_FOLDERS, "cifar10", "cifar100"])
def test_no_files_and_no_network_is_one_error_that_names_the_files(name: str, here: Path, offline: None) -> None:
    with pytest.raises(
        DataError, match=rf"^data: {name} is missing or damaged.*put data/\S+.*there yourself"
    ) as caught:
        build(name=name)
    assert "\n" not in str(caught.value)


def test_a_folder_with_train_and_test(here: Path) -> None:
    paint_split(here / "root/train", ["cat", "dog"])
    paint_split(here / "root/test", ["cat", "dog"], each=2)
    splits = build(name="folder", root="root", size=8)
    assert splits.class_names == ["cat", "dog"]
    assert splits.train.inputs[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 50, 51, 52, 53]
    assert splits.train.inputs.dtype == torch.uint8
    assert splits.test is not None and splits.test.all_targets().tolist() == [0, 0, 1, 1]


def test_a_folder_in_one_piece_is_split(here: Path) -> None:
    paint_split(here / "root", ["cat", "dog"], each=10)
    (here / "root/.hidden").mkdir()
    (here / "root/cat/.DS_Store").write_text("x")
    splits = build(name="folder", root="root", size=[8, 4], mode="gray", test=0.2)
    assert splits.test is not None
    assert (len(splits.train), len(splits.test), splits.input_shape) == (16, 4, (1, 8, 4))


def test_a_validation_folder(here: Path) -> None:
    paint_split(here / "root/train", ["cat", "dog"])
    paint_split(here / "root/val", ["cat", "dog"], each=1)
    splits = build(name="folder", root="root", size=8, validation="val", test=0)
    assert splits.validation is not None and splits.validation.inputs[:, 0, 0, 0].tolist() == [0, 50]
    assert (len(splits.train), splits.test) == (8, None)


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_a_corrupt_or_truncated_image_is_named_or_skipped(content: bytes | None, here: Path) -> None:
    paint_split(here / "root", ["cat", "dog"])
    bad = here / "root/dog/2.png"
    bad.write_bytes(bad.read_bytes()[:-30] if content is None else content)
    with pytest.raises(DataError, match=r"root/dog/2\.png: not a readable image .*on_bad_file: skip"):
        build(name="folder", root="root", test=0)
    splits = build(name="folder", root="root", test=0, on_bad_file="skip")
    assert splits.class_counts() == [4, 3]
    assert [*splits.skipped] == ["dog/2.png"] and splits.skipped["dog/2.png"].startswith(
        "root/dog/2.png: not a readable"
    )
    assert splits.notes == [f"skipped: {splits.skipped['dog/2.png']}"]


def test_a_split_whose_every_image_is_bad_is_none(here: Path) -> None:
    paint_split(here / "root/train", ["cat", "dog"])
    paint_split(here / "root/test", ["cat", "dog"], each=1)
    for name in ["cat", "dog"]:
        (here / "root/test" / name / "0.png").write_bytes(b"")
    assert build(name="folder", root="root", on_bad_file="skip").test is None


def test_a_class_whose_every_image_is_bad_cannot_be_skipped_away(here: Path) -> None:
    paint_split(here / "root", ["cat", "dog"], each=1)
    (here / "root/dog/0.png").write_bytes(b"")
    with pytest.raises(DataError, match="no training examples of class dog"):
        build(name="folder", root="root", test=0, on_bad_file="skip")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "train/ant").mkdir(), r"train/ant: empty class; add images"),
        (lambda root: paint(root / "test/ant/0.png", 0), r"test/ant: not a class of the training folder; expected cat"),
        (lambda root: root.rename(root.with_name("gone")), r"root: no such folder \(dataset.root\); expected train/"),
    ],
)
def test_a_bad_folder_is_named(spoil: Any, message: str, here: Path) -> None:
    paint_split(here / "root/train", ["cat", "dog"])
    paint_split(here / "root/test", ["cat", "dog"])
    spoil(here / "root")
    with pytest.raises(DataError, match=message):
        build(name="folder", root="root", size=8)


def test_a_folder_without_classes_is_refused(here: Path) -> None:
    paint(here / "root/0.png", 0)
    with pytest.raises(DataError, match=r"root: no class folder, but 1 file; expected one folder of images per class"):
        build(name="folder", root="root")


@pytest.mark.parametrize("name", ["folder", "mnist"])
def test_a_root_that_cannot_be_looked_at_is_a_message(name: str, here: Path) -> None:
    with pytest.raises(InputError, match=r"x\.\.\.: cannot be read \(File name too long\)"):
        build(name=name, root="x" * 300)


@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "bmp", "webp", "tif", "ppm", "tga"])
def test_every_common_format_is_read(tmp_path: Path, ending: str) -> None:
    """A name that Pillow does not open by ended the search: whatever stood behind it could not be read."""
    Image.new("RGB", (8, 8), (200, 100, 0)).save(tmp_path / f"a.{ending}")
    pixels = ImageFormat(8, 8, "rgb").decode(tmp_path / f"a.{ending}").pixels
    assert pixels.shape == (3, 8, 8)
    assert abs(pixels.mean(axis=(1, 2)) - [200, 100, 0]).max() <= 3


def test_small_and_large_files_are_read_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(150)]  # more than are read in one go
    for number, path in enumerate(paths):
        Image.new("L", (3, 2), number).save(path)
    paths[70].write_bytes(b"no image")
    paths[71].unlink()
    picture = ImageFormat(2, 3, "gray")
    one_by_one = decode_images(paths, picture)
    monkeypatch.setattr("nnclassify.data.images.image_reading.SMALL_FILE", 0)
    decoded = decode_images(paths, picture)
    pixels, errors = decoded.pixels, decoded.facts.errors
    assert (pixels == one_by_one.pixels).all() and list(errors) == list(one_by_one.facts.errors) == [70, 71]
    assert pixels[:, 0, 1, 2].tolist() == [0 if row in errors else row for row in range(150)]

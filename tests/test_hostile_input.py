"""Tests of hostile input that once got further than it should have."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from nnclassify.config.run_config import load_config
from nnclassify.data.tables.csv_rows import number
from nnclassify.data.tables.table_datasets import Csv
from nnclassify.data.targets import numbering_of
from nnclassify.data.tensor_files import load_tensor
from nnclassify.diagnosis.pages import page_of
from nnclassify.errors import ConfigError, DataError, InputError
from nnclassify.files.images.image_format import ImageFormat


@pytest.mark.parametrize("text", ["9" * 5000, "0x" + "f" * 5000])
def test_a_number_of_thousands_of_digits_is_a_message(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(f"dataset: iris\nmodel: mlp\nepochs: {text}\n")
    with pytest.raises(ConfigError, match=r"a\.yaml:3: epochs: a number of \d+ digits"):
        load_config(str(tmp_path / "a.yaml"))


@pytest.mark.parametrize("index", ["²", "9" * 5000])
def test_an_override_with_an_odd_index_is_a_message(tmp_path: Path, index: str) -> None:
    (tmp_path / "a.yaml").write_text("dataset: iris\nmodel: mlp\n")
    with pytest.raises(ConfigError):
        load_config(str(tmp_path / "a.yaml"), [f"model.hidden.{index}=3"])


def test_a_image_that_is_a_program_is_not_run(tmp_path: Path) -> None:
    """Pillow hands EPS to Ghostscript, whatever the file's name says."""
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    with pytest.raises(InputError, match="not a readable image"):
        ImageFormat(8, 8, "rgb").decode(tmp_path / "a.png")


def test_an_npz_that_inflates_a_thousandfold_is_not_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros(80 * 2**20, dtype=np.uint8))
    with pytest.raises(DataError, match="inflates to 80 MB"):
        load_tensor(str(tmp_path / "a.npz"))


def test_a_compressed_tensor_file_is_not_read(tmp_path: Path) -> None:
    torch.save(torch.zeros(1000), tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as stored, zipfile.ZipFile(tmp_path / "b.pt", "w", 8) as deflated:
        for name in stored.namelist():
            deflated.writestr(name, stored.read(name))
    with pytest.raises(DataError, match="compressed"):
        load_tensor(str(tmp_path / "b.pt"))


def test_one_label_of_a_billion_names_no_billion_classes() -> None:
    with pytest.raises(DataError, match="label 1000000000 among 3 examples"):
        numbering_of(np.array([0, 1, 10**9]), None, "y.npy", [])


def test_a_delimiter_is_one_character() -> None:
    for delimiter in ("", ";;", "\n", '"'):
        with pytest.raises(ValidationError):
            Csv(path="a.csv", delimiter=delimiter)


def test_digits_with_underscores_are_no_number() -> None:
    with pytest.raises(DataError, match="found '1_000', expected a number"):
        number("1_000", "a.csv:2")


@pytest.mark.parametrize("finding", ["NN1", "NN１１６"])  # noqa: RUF001 - digits of another script
def test_a_finding_that_is_none_is_a_message(finding: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"dataset: iris\nmodel: mlp\naccept: [{finding}]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"accept\.1st: found '{finding}', expected a finding, such as NN302"):
        load_config(str(tmp_path / "a.yaml"))


@pytest.mark.parametrize("finding", ["NN１１６", "116", "NN1166", "nn-116"])  # noqa: RUF001 - digits of another script
def test_a_finding_that_is_nearly_one_is_suggested(finding: str) -> None:
    with pytest.raises(InputError, match=f"{finding}: no such finding; did you mean NN116"):
        page_of(finding)

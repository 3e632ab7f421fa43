"""Tests of folders of tables, of one file or more per split, and of folders of several kinds of data."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nnclassify.config.run_config import load_config, suggested_config
from nnclassify.config.suggest.suggest import suggest
from nnclassify.data.tables.table_datasets import Csv
from nnclassify.errors import DataError, InputError


def write(path: str, count: int, header: str = "a,b,label") -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{row % 7}.5,{row % 5}.5,{'uv'[row % 2]}" for row in range(count)]
    width = header.count(",") + 1
    Path(path).write_text("\n".join([header, *(",".join(row.split(",")[:width]) for row in rows)]) + "\n")
    return path


def dataset_of(path: str) -> Csv:
    dataset = load_config(path).config.dataset
    assert isinstance(dataset, Csv)
    return dataset


def test_files_called_like_splits_are_the_splits(here: Path) -> None:
    for name, count in (("train", 60), ("valid", 10), ("Test", 20)):
        write(f"d/{name}.csv", count)
    Path("d/README.md").write_text("notes")
    dataset = dataset_of("d")
    assert (dataset.path, dataset.validation, dataset.test) == ("d/train.csv", "d/valid.csv", "d/Test.csv")
    assert [len(part) for part in vars(dataset.build(0)).values() if hasattr(part, "indices")] == [60, 10, 20]


def test_a_test_file_without_labels_is_not_used_and_named(here: Path) -> None:
    write("d/train.csv", 60), write("d/test.csv", 20, "a,b"), write("d/sample_submission.csv", 20, "id,label")
    suggestion, loaded = suggested_config("d", [])
    assert loaded.config.dataset.test == 0.2  # type: ignore[union-attr]
    assert suggestion.found[-1] == "d/test.csv: not used for training: no label label; `nnclassify predict` takes it"


def test_parts_of_parquet_tables_are_read_together(here: Path) -> None:
    parquet, pa = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    Path("hub/data").mkdir(parents=True)
    for name, count in (("train-00000-of-00002", 40), ("train-00001-of-00002", 30), ("test-00000-of-00001", 10)):
        columns = {"a": np.arange(count) % 7 + 0.5, "label": np.arange(count) % 2}
        parquet.write_table(pa.table(columns), f"hub/data/{name}.parquet")
    splits = dataset_of("hub").build(0)
    assert splits.test is not None and splits.validation is not None
    assert (len(splits.train) + len(splits.validation), len(splits.test)) == (70, 10)
    Path("hub/data/train-00001-of-00002.parquet").unlink()
    with pytest.raises(DataError, match=r"train-\*.parquet: 1 parts of 2, by their names; expected all of one table"):
        suggest("hub")


def test_arrays_next_to_folders_of_images_are_refused(here: Path) -> None:
    for kind in ("cats", "dogs"):
        Path("d", kind).mkdir(parents=True)
        Image.new("L", (4, 4)).save(f"d/{kind}/0.png")
    np.save("d/X_train.npy", np.zeros((4, 2)))
    np.save("d/y_train.npy", np.arange(4) % 2)
    with pytest.raises(
        InputError, match=r"d: both arrays \(d/X_train.npy, d/y_train.npy\) and images \(d/cats, d/dogs\)"
    ):
        suggest("d")


def test_files_of_torch_are_no_single_arrays(here: Path) -> None:
    Path("d.pt").touch()
    with pytest.raises(InputError, match=r"d.pt: a file of torch.save; if it is a tensor .*; if it holds both, "):
        suggest("d.pt")

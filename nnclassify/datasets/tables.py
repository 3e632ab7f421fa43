"""Tables: a CSV file of the user's, and the small ones that scikit-learn carries."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from nnclassify.datasets.base import PictureDataset, Pool, Source, UnsplitDataset
from nnclassify.errors import DataError, MissingValueError, one_line, suggestion
from nnclassify.settings import DELIMITER_PATTERN, FilePath
from nnclassify.shipped import SHIPPED
from nnclassify.transforms import PictureFormat


class Csv(UnsplitDataset):
    """A CSV file with a header; numbers as features, text or numbers as labels."""

    name: Literal["csv"] = "csv"
    path: FilePath
    """The file, relative to where the user stands; else the name of a table that ships."""
    label: str = "label"
    """The column with the class."""
    features: list[str] | None = None
    """The columns to learn from; left out, all others."""
    delimiter: Annotated[str, Field(pattern=DELIMITER_PATTERN)] = ","
    """What stands between two columns."""

    def read(self, seed: int) -> Source:
        """Read and check every row.

        Raises:
            DataError: With file, line and column: a missing value, a ragged row, a text for a number.
        """
        import torch

        path = find_table(self.path)
        header, rows = _rows(path, self.delimiter)
        label_column = _column(path, header, self.label, "label")
        names = self.features if self.features is not None else [name for name in header if name != self.label]
        columns = [_column(path, header, name, "features") for name in names]
        if not columns:
            raise DataError(f"{path}: no feature column beside the label; expected at least one")
        values, labels = [], []
        for line, row in rows:
            values.append([number(row[column], f"{path}:{line}: column {header[column]!r}") for column in columns])
            labels.append(row[label_column].strip())
            if not labels[-1]:
                raise MissingValueError(f"{path}:{line}: column {self.label!r}: no label; fill it in or remove the row")
        class_names = sorted_labels(set(labels))
        index = {name: number for number, name in enumerate(class_names)}
        targets = np.array([index[label] for label in labels], dtype=np.int64)
        inputs = torch.from_numpy(np.array(values, dtype=np.float64).reshape(len(values), len(columns)))
        return Source(train=Pool(targets, inputs), class_names=class_names, feature_names=list(names))

    def origin(self, split: str = "train") -> str:
        """The file."""
        return self.path


def find_table(path: str) -> Path:
    """The file of that path, or the shipped table of that name.

    Raises:
        DataError: Neither is there.
    """
    for candidate in [Path(path), *(folder / path for folder in SHIPPED)]:
        if candidate.is_file():
            return candidate
    raise DataError(f"{path}: no such file; expected a CSV file (looked in {Path.cwd()})")


def _rows(path: Path, delimiter: str) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The header and the rows with their line numbers, every row as long as the header."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as cause:
        raise DataError(f"{path}: cannot be read ({one_line(cause)}); expected a CSV file in UTF-8") from cause
    if "\0" in text:
        raise DataError(f"{path}: contains NUL bytes; expected a CSV file in UTF-8")
    lines = _lines(path, text, delimiter)
    header = [name.strip() for name in next(lines, (1, []))[1]]
    if not header:
        raise DataError(f"{path}: empty; expected a header line and rows")
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise DataError(f"{path}:1: column {twice[0]!r} appears twice; give each column a name of its own")
    return header, _even(path, lines, len(header))


def _lines(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as cause:
        raise DataError(f"{path}:{reader.line_num}: not CSV ({one_line(cause)})") from cause


def _even(path: Path, lines: Iterator[tuple[int, list[str]]], width: int) -> Iterator[tuple[int, list[str]]]:
    for line, row in lines:
        if len(row) != width:
            raise DataError(f"{path}:{line}: {len(row)} values; expected {width}, as in the header")
        yield line, row


def _column(path: Path, header: Sequence[str], name: str, option: str) -> int:
    if name in header:
        return header.index(name)
    raise DataError(
        f"{path}:1: no column {name!r} (dataset.{option}){suggestion(name, header)}; columns: {', '.join(header[:20])}"
    )


def number(text: str, where: str) -> float:
    """A finite number.

    Raises:
        MissingValueError: With `where`: nothing there, NaN or infinity.
        DataError: A text.
    """
    text = text.strip()
    if not text:
        raise MissingValueError(f"{where}: missing value; fill it in or remove the row")
    try:
        value = float(text.replace("_", "?"))  # Python takes 1_000 for a number; nobody else does
    except ValueError:
        raise DataError(f"{where}: found {text[:40]!r}, expected a number") from None
    if not math.isfinite(value):
        raise MissingValueError(f"{where}: found {text!r}, expected a finite number")
    return value


def sorted_labels(labels: set[str]) -> list[str]:
    """Classes in order: by value where all are numbers, else by name."""
    try:
        return sorted(labels, key=lambda label: (float(label), label))
    except ValueError:
        return sorted(labels)


class Iris(UnsplitDataset):
    """150 irises of three species by four lengths (Fisher, 1936; scikit-learn's copy)."""

    name: Literal["iris"] = "iris"

    def read(self, seed: int) -> Source:
        """From scikit-learn's package: nothing is downloaded."""
        from sklearn.datasets import load_iris

        return _bunch(load_iris())


class Wine(UnsplitDataset):
    """178 wines of three growers by 13 measurements (UCI; scikit-learn's copy)."""

    name: Literal["wine"] = "wine"

    def read(self, seed: int) -> Source:
        """From scikit-learn's package: nothing is downloaded."""
        from sklearn.datasets import load_wine

        return _bunch(load_wine())


class BreastCancer(UnsplitDataset):
    """569 tumours, malignant or benign, by 30 measurements (Wisconsin; scikit-learn's copy)."""

    name: Literal["breast_cancer"] = "breast_cancer"

    def read(self, seed: int) -> Source:
        """From scikit-learn's package: nothing is downloaded."""
        from sklearn.datasets import load_breast_cancer

        return _bunch(load_breast_cancer())


class Digits(PictureDataset, UnsplitDataset):
    """1,797 handwritten digits, 8x8 pixels (UCI; scikit-learn's copy), brought from 0..16 to uint8 0..255."""

    name: Literal["digits"] = "digits"

    def read(self, seed: int) -> Source:
        """From scikit-learn's package: nothing is downloaded. Pictures `(1797, 1, 8, 8)`."""
        import torch
        from sklearn.datasets import load_digits

        bunch = load_digits()
        pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
        return Source(
            train=Pool(bunch.target.astype(np.int64), torch.from_numpy(pixels)),
            class_names=[str(name) for name in bunch.target_names],
            picture=PictureFormat(height=8, width=8, mode="gray"),
        )


def _bunch(bunch: Any) -> Source:
    import torch

    return Source(
        train=Pool(bunch.target.astype(np.int64), torch.from_numpy(bunch.data.astype(np.float64))),
        class_names=[str(name) for name in bunch.target_names],
        feature_names=[str(name) for name in bunch.feature_names],
    )

"""Tables: a CSV file of the user's, and the small ones that scikit-learn carries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field

from nnclassify.data.base import ImageDataset, RawDataset, UnsplitDataset, UnsplitExamples
from nnclassify.data.columns import column_notes, flat_notes, outlier_notes
from nnclassify.data.csv_rows import CsvFile, CsvFormat
from nnclassify.data.csv_table import read_table
from nnclassify.data.image_format import ImageFormat
from nnclassify.data.labels import label_notes, why_no_class
from nnclassify.data.names import ExampleNames
from nnclassify.data.transform import Transform
from nnclassify.errors import DataError
from nnclassify.files.paths import is_regular, why_no_file
from nnclassify.files.shipped import SHIPPED
from nnclassify.settings import FilePath, all_different


def _one_character(value: str) -> str:
    r"""One character; `\t` in two, as shells pass it on, is a tab, and spaces behind a delimiter never count."""
    value = {r"\t": "\t", "tab": "\t"}.get(value.lower(), value if value == " " else value.rstrip(" "))
    if len(value) != 1 or value in '"\r\n\0':
        raise ValueError(r"one character, no quote and no line break, such as ';' or '|'; \t for a tab")
    return value


def _text_encoding(value: str) -> str:
    try:
        "".encode(value)
    except (LookupError, ValueError):
        raise ValueError("a text encoding, such as utf-8, utf-16, cp1252 or latin-1") from None
    return value


class Csv(UnsplitDataset):
    """A CSV file with a header; features are numbers, labels are text or numbers."""

    name: Literal["csv"] = "csv"
    path: FilePath
    """Path of the file, relative to the working directory, or the name of a table included in the package."""
    label: str | Annotated[list[str], Field(min_length=2), AfterValidator(all_different)] = "label"
    """Name of the label column; or a list of columns of 0 and 1, one per class (multi-hot targets): each example then
    has any number of classes, with loss bce_with_logits, bce or mse."""
    features: Annotated[list[str], Field(min_length=1)] | None = None
    """Names of the feature columns. Default: all columns except the label and the `id`."""
    id: str | None = None
    """Name of a column with a different text in every row, by which rows are called in `manifest.csv` and
    `predictions.csv`; it is never a feature. Default: rows are called by their line in the file."""
    delimiter: Annotated[str, AfterValidator(_one_character)] = ","
    """Field delimiter, such as `;`, or `\\t` for a tab. Spaces after it are ignored."""
    decimal: Literal[".", ","] = "."
    """Decimal separator of the numbers."""
    encoding: Annotated[str, AfterValidator(_text_encoding)] = "utf-8"
    """Text encoding, such as utf-8, utf-16, cp1252 or latin-1."""
    columns: Annotated[list[str], Field(min_length=1), AfterValidator(all_different)] | None = None
    """Column names, in order, of a file without a header. Default: the first line is the header."""

    def read(self, seed: int) -> RawDataset:
        """Read and check every row.

        Raises:
            DataError: One line per problem, each with file, line and column: a missing value, a ragged row, a text for
                a number, a label that is missing or not a class.
        """
        import torch

        table = read_table(CsvFile(find_table(self.path), self.format()), self._labels(), self.features, self.id)
        names = ExampleNames(lines=torch.from_numpy(table.lines))
        names = names if table.ids is None else names.with_texts(table.ids)
        return RawDataset(
            train=UnsplitExamples(table.targets, torch.from_numpy(table.values), names),
            class_names=table.class_names,
            feature_names=table.feature_names,
            notes=table.notes,
        )

    def examine(self, source: RawDataset) -> list[str]:
        """What is odd about the labels and columns of a table to learn from.

        Raises:
            DataError: The label is no class.
        """
        inputs = source.train.inputs
        assert not callable(inputs)
        found = [] if self.is_multi_hot else self._examine_classes(source)
        values, names = inputs.numpy(), source.feature_names or []
        odd_columns = column_notes(names, values, source.train.targets)
        if self.normalize == "standard":
            odd_columns += flat_notes(names, values)
        if source.train.names.lines is not None:
            odd_columns += outlier_notes(names, values, source.train.names.lines.numpy())
        return found + [f"{self.path}: {note}" for note in odd_columns]

    def _examine_classes(self, source: RawDataset) -> list[str]:
        odd, hopeless = why_no_class(source.class_names, len(source.train.targets), self.decimal)
        if hopeless:
            raise DataError(f"{self.path}: column {self.label!r}: {odd}; choose another dataset.label")
        notes = [*([odd] if odd else []), *label_notes(source.class_names)]
        return [f"{self.path}: column {self.label!r}: {note}" for note in notes]

    @property
    def is_multi_hot(self) -> bool:
        """Whether there are several label columns."""
        return isinstance(self.label, list)

    def _labels(self) -> list[str]:
        return self.label if isinstance(self.label, list) else [self.label]

    def as_trained(self, transform: Transform) -> Self:
        """The same file, the features of the run found by name wherever they stand."""
        names = transform.feature_names
        return self if names is None else self.model_copy(update={"features": list(names)})

    def format(self) -> CsvFormat:
        """How the file is written."""
        columns = None if self.columns is None else tuple(self.columns)
        return CsvFormat(self.delimiter, self.decimal, self.encoding, columns)

    def origin(self, split: str = "train") -> str:
        """The file."""
        return self.path


def find_table(path: str) -> Path:
    """The file of that path, or the shipped table of that name.

    Raises:
        DataError: Neither is there.
    """
    for candidate in [Path(path), *(folder / path for folder in SHIPPED)]:
        if is_regular(candidate):
            return candidate
    raise DataError(f"{path}: {why_no_file(Path(path))}; expected a CSV file (looked in {Path.cwd()})")


class Iris(UnsplitDataset):
    """150 irises of three species, by four lengths in cm (Fisher, 1936), from scikit-learn."""

    name: Literal["iris"] = "iris"

    def read(self, seed: int) -> RawDataset:
        """From scikit-learn's package: nothing is downloaded."""
        from sklearn.datasets import load_iris

        return _bunch(load_iris())


class Wine(UnsplitDataset):
    """178 wines from three growers, by 13 measurements (UCI), from scikit-learn."""

    name: Literal["wine"] = "wine"

    def read(self, seed: int) -> RawDataset:
        """From scikit-learn's package: nothing is downloaded."""
        from sklearn.datasets import load_wine

        return _bunch(load_wine())


class BreastCancer(UnsplitDataset):
    """569 tumors, malignant or benign, by 30 measurements (Wisconsin), from scikit-learn."""

    name: Literal["breast_cancer"] = "breast_cancer"

    def read(self, seed: int) -> RawDataset:
        """From scikit-learn's package: nothing is downloaded."""
        from sklearn.datasets import load_breast_cancer

        return _bunch(load_breast_cancer())


class Digits(ImageDataset, UnsplitDataset):
    """1,797 handwritten digits, 8x8 pixels (UCI), from scikit-learn; values rescaled from 0..16 to uint8 0..255."""

    name: Literal["digits"] = "digits"

    def read(self, seed: int) -> RawDataset:
        """From scikit-learn's package: nothing is downloaded. Images `(1797, 1, 8, 8)`."""
        import torch
        from sklearn.datasets import load_digits

        bunch = load_digits()
        pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
        return RawDataset(
            train=UnsplitExamples(bunch.target.astype(np.int64), torch.from_numpy(pixels)),
            class_names=[str(name) for name in bunch.target_names],
            image_format=ImageFormat(height=8, width=8, mode="gray"),
        )


def _bunch(bunch: Any) -> RawDataset:
    import torch

    return RawDataset(
        train=UnsplitExamples(bunch.target.astype(np.int64), torch.from_numpy(bunch.data.astype(np.float64))),
        class_names=[str(name) for name in bunch.target_names],
        feature_names=[str(name) for name in bunch.feature_names],
    )

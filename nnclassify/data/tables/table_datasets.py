"""Tables: a CSV file of the user's, and the small ones that scikit-learn carries."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, PrivateAttr

from nnclassify.data.base import EMPTY_TEST, VALIDATION, Dataset, ImageDataset, RawDataset, UnsplitDataset
from nnclassify.data.duplicates import parts_of
from nnclassify.data.examples import Examples, Splits
from nnclassify.data.labels import label_notes, why_no_class
from nnclassify.data.split_names import SPLIT_NAMES, split_of
from nnclassify.data.splitting import Rows
from nnclassify.data.suspected_groups import SuspectedGroups, groups_of_column, is_group_column
from nnclassify.data.tables.column_kinds import Categories, Category, DateColumns, declared_kinds
from nnclassify.data.tables.columns import column_notes, flat_notes, marker_notes, outlier_notes
from nnclassify.data.tables.csv_header import Wanted, cells_by_line, header_and_rows, rows_at
from nnclassify.data.tables.csv_rows import MISSING, CsvFormat, Problems, TextRows
from nnclassify.data.tables.csv_table import Table, read_table
from nnclassify.data.tables.encoding import NumberColumn, is_missing_category
from nnclassify.data.tables.frames import shards_of
from nnclassify.data.tables.table_encoder import TableEncoder
from nnclassify.data.tables.table_files import RECOGNIZED, open_table
from nnclassify.data.tables.table_pools import TablePools, in_classes_of
from nnclassify.data.transform import Transform
from nnclassify.data.unsplit import UnsplitExamples
from nnclassify.errors import DataError, some, suggestion
from nnclassify.files.images.image_format import ImageFormat
from nnclassify.files.paths import is_regular, why_no_file
from nnclassify.files.shipped import SHIPPED
from nnclassify.settings import Fraction, PlacePath, all_different


def _one_character(value: str) -> str:
    """Check that the delimiter is one character; `\\t`, as shells pass it on, is a tab, and spaces after it do not
    count."""
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
    """A table in a CSV file, which gzip, bzip2 or xz may have compressed, or in a Parquet file. Features are numbers,
    categories or dates; labels are text or numbers."""

    name: Literal["csv"] = "csv"
    path: PlacePath
    """Path of the file, relative to the working directory, or the name of a table included in the package. All parts of
    a table in Parquet files, such as `train-00000-of-00002.parquet`, are `train-*.parquet`."""
    label: str | Annotated[list[str], Field(min_length=2), AfterValidator(all_different)] = "label"
    """Name of the label column; or a list of columns of 0 and 1, one per class (multi-hot targets): each example then
    has any number of classes, with loss bce_with_logits, bce or mse."""
    features: Annotated[list[str], Field(min_length=1)] | None = None
    """Names of the feature columns. Default: all columns except the label, those of `id`, `split`, `group` and `time`,
    and those of `ignore`."""
    ignore: Annotated[list[str], Field(min_length=1), AfterValidator(all_different)] | None = None
    """Names of columns that are not features."""
    categories: Categories | None = None
    """Columns that hold categories: a list of names, each category of which becomes a feature of its own (one-hot); or
    for each name `one_hot`, `yes_no`, the number of most frequent categories to keep, or the list of its categories
    from the lowest to the highest, which becomes one feature. With `auto`, columns of text are recognized as
    categories, yes or no, or dates, and a note says so. Default: every column that is not in `dates` holds numbers."""
    dates: DateColumns | None = None
    """Columns that hold dates: a list of names, or for each name its format and the numbers that are made of it.
    Default: the days since 1970-01-01."""
    numbers: Annotated[list[str], Field(min_length=1), AfterValidator(all_different)] | None = None
    """Columns of numbers that are written with a unit (`$12`, `45%`, `1.2e3 kg`), with thousands separators (`12,345`),
    or as times (`19:30`, `7:30 PM`, which are read as hours), in the same way in every row. The format is recognized,
    and kept in the checkpoint. Default: none; with `categories: auto`, columns of too many texts for categories."""
    quantile_transform: Annotated[list[str], Field(min_length=1), AfterValidator(all_different)] | None = None
    """Columns of numbers whose values are far apart, such as amounts, or in which 999999 marks missing values:
    normalized as they are, most of their values would be practically equal. Quantiles of the training split are mapped
    to those of a normal distribution, and numbers between two quantiles in proportion, as scikit-learn's
    `QuantileTransformer` does. Numbers beyond those of the training split are treated like its smallest or largest.
    Default: none."""
    missing: Literal["error", "fill"] = "error"
    """What to do with missing values: stop with an error that names them; or replace them by the median, or the most
    frequent category, of the training split. A feature then marks them in columns where the training split has some."""
    split: str | None = None
    """Name of a column that says of each row whether it is for training (`train`), validation (`val`) or test
    (`test`)."""
    validation: Fraction | PlacePath = VALIDATION
    """Fraction of the training examples held out for validation, stratified by class; 0 for no validation split; or a
    file like `path`. With `test`, the test split is evaluated after every epoch, and nothing is selected by it."""
    test: Fraction | PlacePath = 0.2  # type: ignore[assignment]  # wider than a fraction: `test_fraction` has that
    """Fraction of the examples held out for testing, stratified by class, or 0 for no test split; or a file like
    `path`."""
    group: str | None = None
    """Name of a column that says which rows belong together, such as those of one patient; they are kept in one split.
    It is never a feature."""
    time: str | None = None
    """Name of a column of dates or numbers by which the splits are drawn: the newest rows are the test split, and the
    newest of the others the validation split; rows of the same time are kept in one split. It is never a feature, since
    its values in the test split are outside of those in the training split."""
    id: str | None = None
    """Name of a column with a different text in every row, by which rows are called in `manifest.csv`, in
    `predictions.csv` and by `predict`; it is never a feature. Default: rows are called by their line in the file."""
    delimiter: Annotated[str, AfterValidator(_one_character)] = ","
    """Field delimiter, such as `;`, or `\\t` for a tab. Spaces after it are ignored. Recognized if it is not set."""
    decimal: Literal[".", ","] = "."
    """Decimal separator of the numbers. Recognized if it is not set."""
    encoding: Annotated[str, AfterValidator(_text_encoding)] = "utf-8"
    """Text encoding, such as utf-8, utf-16, cp1252 or latin-1. UTF-16 and cp1252 are recognized if it is not set."""
    columns: Annotated[list[str], Field(min_length=1), AfterValidator(all_different)] | None = None
    """Column names, in order, of a file without a header. Default: the first line is the header."""

    takes_named_validation = True

    _encoder: TableEncoder | None = PrivateAttr(None)

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Options of which one is ignored."""
        yield from super().conflicts()
        if self.time is not None and self.group is not None:
            yield "time", "set together with group, whose rows may be older and newer; set one of them"
        if self.time is not None and self.folds is not None:
            yield "folds", "set together with time, whose newest rows are the test split; set one of them"
        if self.features is not None and self.ignore is not None:
            yield "ignore", "set together with features; set one of them"
        categories, dates = (value if isinstance(value, list | dict) else () for value in (self.categories, self.dates))
        if twice := [name for name in self.numbers or () if name in (*categories, *dates)]:
            yield "numbers", f"{twice[0]!r} is also listed in categories or dates; list it once"
        if odd := [name for name in self.quantile_transform or () if name in (*categories, *dates)]:
            yield "quantile_transform", f"{odd[0]!r} is also listed in categories or dates; expected columns of numbers"
        if self.split is not None:
            files = {"validation": self._file("validation"), "test": self._file("test")}
            yield from ((key, "a file, with `split`; set one of them") for key, file in files.items() if file)
        elif self.validation == "test" and self.test == 0:
            yield "validation", EMPTY_TEST

    def read(self, seed: int) -> RawDataset:
        """Read and check every row.

        Raises:
            DataError: One line per problem, each with file, line and column: a missing value, a ragged row, a text for
                a number, a label that is missing or not a class.
        """
        return self.read_rows(*self._opened(self.path))

    def read_rows(
        self,
        opened: TextRows,
        recognized: Mapping[str, str] | None = None,
        notes: Sequence[str] = (),
        kinds: Mapping[str, Category] | None = None,
    ) -> RawDataset:
        """Read and check every row of a table that has been opened, or that is in memory.

        Args:
            opened: The table.
            recognized: See `Splits`.
            notes: What there is to say about how it was opened.
            kinds: The kind of each column about which the table itself tells, and not the config.

        Raises:
            DataError: See `read`.
        """
        wanted, notes = self._wanted(), list(notes)
        wanted = replace(wanted, kinds={**(kinds or {}), **wanted.kinds})
        table = read_table(opened, wanted)
        pools = TablePools(self._encoder, may_be_missing=wanted.may_be_missing)
        parts: Mapping[str, Rows | None] = {"train": None}
        if self.split is not None:
            parts = _parts(table, self.split, opened, notes, self.validation)
        examples = {name: pools.pool(table, rows) for name, rows in parts.items()}
        like_it = replace(wanted, known=[raw.column for raw in table.columns])
        if "split" in like_it.aside:
            like_it = replace(like_it, aside={key: name for key, name in wanted.aside.items() if key != "split"})
        for part in ("validation", "test"):
            if (file := self._file(part)) is not None:
                other, _, found = self._opened(file, opened.format)
                of_part = in_classes_of(read_table(other, like_it), table.class_names, file)
                examples[part] = pools.pool(of_part, prefix=f"{part}/")
                notes += [*found, *of_part.notes]
        return RawDataset(
            train=examples["train"],
            test=examples.get("test"),
            validation=examples.get("validation"),
            class_names=table.class_names,
            feature_names=table.names if self._encoder is None else self._encoder.feature_names,
            notes=[*notes, *table.notes],
            table=table,
            encoder=self._encoder,
            recognized=dict(recognized or {}),
            finish=pools.finish,
        )

    def _wanted(self) -> Wanted:
        """Return what to read from the file."""
        aside = {"id": self.id, "split": self.split, "group": self.group, "time": self.time}
        return Wanted(
            labels=self._labels(),
            features=self.features,
            ignored=self.ignore or (),
            aside={option: name for option, name in aside.items() if name is not None},
            kinds=declared_kinds(self.categories, self.dates, self.numbers),
            quantile_transform=self.quantile_transform or (),
            recognize=self.categories == "auto",
            may_be_missing=self.missing == "fill",
            known=None if self._encoder is None else self._encoder.columns,
        )

    def _opened(self, file: str, usual: CsvFormat | None = None) -> tuple[TextRows, dict[str, str], list[str]]:
        """Open the table, or the file of a split, which may be written in another way; see `open_table`.

        Args:
            file: The file.
            usual: How it is written, unless it shows something else. Default: as the config says.
        """
        labels, stated = self._labels(), self.model_fields_set if file == self.path else ()
        texts = () if self._encoder is None else self._encoder.columns
        no_numbers = [column.name for column in texts if not isinstance(column, NumberColumn)]
        ignored = {*labels, *(self.ignore or ()), *no_numbers}
        return open_table(find_table(file), usual or self.format(), stated, labels, ignored)

    def _file(self, part: str) -> str | None:
        """Return the file of validation or test examples, or None if they are drawn."""
        value = self.validation if part == "validation" else self.test
        return value if isinstance(value, str) and value != "test" else None

    def examine(self, source: RawDataset) -> list[str]:
        """Return what is unusual about the labels and columns of a training table."""
        table = source.table
        assert table is not None
        found = [] if self.is_multi_hot else self._examine_classes(source)
        texts = [raw.column.name for raw in table.columns if raw.texts is not None]
        odd_columns = column_notes(table.names, table.values, table.targets, texts)
        numbers = [index for index, raw in enumerate(table.columns) if raw.texts is None]
        names, values = [table.names[index] for index in numbers], table.values[:, numbers]
        if self.normalize == "standard":
            odd_columns += flat_notes(names, values)
        odd_columns += marker_notes(names, values)
        far = [index for index, name in enumerate(names) if name not in (self.quantile_transform or ())]
        odd_columns += outlier_notes([names[index] for index in far], values[:, far], table.lines)
        return found + [f"{self.path}: {note}" for note in odd_columns]

    def _examine_classes(self, source: RawDataset) -> list[str]:
        decimal = source.recognized.get("decimal", self.decimal)
        odd, hopeless = why_no_class(source.class_names, len(source.train.targets), decimal)
        if hopeless:
            raise DataError(f"{self.path}: column {self.label!r}: {odd}; choose another dataset.label")
        notes = [*([odd] if odd else []), *label_notes(source.class_names)]
        return [f"{self.path}: column {self.label!r}: {note}" for note in notes]

    def suspected_groups(self, splits: Splits) -> Iterator[SuspectedGroups]:
        """Yield the groups of each column that is called like one of groups, also one that is not a feature."""
        labels, used = self._labels(), {*self._labels(), self.id, self.split, self.time}
        table, _, _ = self._opened(self.path)
        header, _ = header_and_rows(table, labels)
        names = [name for name in header if name not in used and is_group_column(name)] if self.group is None else []
        files = {part: self.origin(part) for part in parts_of(splits)}
        others = {*files.values()} - {self.path} if names else ()
        tables = {self.path: table} | {file: self._opened(file, table.format)[0] for file in others}
        for name in names:
            cells_of = {file: cells_by_line(one, labels, name) for file, one in tables.items()}
            cells = {
                part: [cells_of[files[part]].get(line, "") for line in examples.names.lines_of(examples.indices)]
                for part, examples in parts_of(splits).items()
            }
            cells = {part: ["" if text.lower() in MISSING else text for text in texts] for part, texts in cells.items()}
            found = groups_of_column(name, cells, splits.num_classes)
            yield from () if found is None else (found,)

    def column_texts(self, column: str, split: str, examples: Examples) -> list[str]:
        """Return the text of a column of the file for each example of a split; empty if missing."""
        labels, file = self._labels(), self.origin(split if split in SPLIT_NAMES else "train")
        table, _, _ = self._opened(file)
        header, _ = header_and_rows(table, labels)
        if column not in header:
            raise DataError(f"{file}: no column {column!r}{suggestion(column, header)}; columns: {some(header, 20)}")
        cells = cells_by_line(table, labels, column)
        texts = [cells.get(line, "") for line in examples.names.lines_of(examples.indices)]
        return ["" if is_missing_category(text) else text for text in texts]

    def written_rows(
        self, columns: Sequence[str], split: str, examples: Examples, transform: Transform
    ) -> list[list[str]]:
        """Return the texts of columns of the file for each example of a split; see `Dataset.written_rows`."""
        file, lines = self.origin(split if split in SPLIT_NAMES else "train"), examples.names.lines_of(examples.indices)
        table, _, _ = self._opened(file)
        found = rows_at(table, self._labels(), columns, lines)
        kinds = transform.encoder or TableEncoder(tuple(NumberColumn(name=name) for name in transform.columns or ()))
        kind_of = dict(zip(kinds.names, zip(kinds.columns, kinds.slices, strict=True), strict=True))
        if (gone := next((line for line in lines if line not in found), None)) is not None:
            raise DataError(f"{table.where(gone)}: no such row anymore: the file has changed since it was read")
        for index, name in enumerate(columns):
            column, place = kind_of[name]
            features = examples.inputs[:, place].index_select(0, examples.indices).tolist()
            for line, known in zip(lines, features, strict=True):
                where, text = table.where(line), found[line][index]
                if column.encoded(text, where, table.format.decimal) != known:
                    raise DataError(f"{where}: column {name!r} is now {text!r}: the file has changed since it was read")
        return [found[line] for line in lines]

    def test_fraction(self) -> float:
        """Return the fraction drawn for the test split if it has no file of its own."""
        return 0.0 if isinstance(self.test, str) else self.test

    @property
    def is_multi_hot(self) -> bool:
        """Whether there are several label columns."""
        return isinstance(self.label, list)

    def _labels(self) -> list[str]:
        return self.label if isinstance(self.label, list) else [self.label]

    def other_columns(self) -> list[str]:
        """Return the columns that the settings name besides the features, such as the label."""
        named = [self.split, self.group, self.time, self.id]
        return [*self._labels(), *(self.ignore or ()), *(name for name in named if name is not None)]

    def column_names(self) -> list[str]:
        """Return the columns of the file."""
        return header_and_rows(self._opened(self.path)[0], self._labels())[0]

    def as_trained(self, transform: Transform) -> Self:
        """Return the settings for a file whose columns are found by name, in any order, and encoded as in training."""
        if transform.feature_names is None:
            return self
        encoder = transform.encoder
        trained = self if encoder else self.model_copy(update={"features": transform.feature_names, "ignore": None})
        trained = trained.model_copy()
        trained._encoder = encoder
        return trained

    def without_files_of(self, before: Dataset) -> dict[str, Any]:
        """Return the settings without the run's own files of splits, to read another table."""
        if not isinstance(before, Csv) or self.path == before.path:
            return {}
        kept = [part for part in ("validation", "test") if (file := self._file(part)) and file == before._file(part)]
        return {part: Csv.model_fields[part].default for part in kept}

    def left_to_data(self, resolved: Dataset) -> dict[str, Any]:
        """Return the options of the file format that the config leaves open."""
        left = [key for key in RECOGNIZED if key not in self.model_fields_set]
        return {key: getattr(resolved, key) for key in left} if isinstance(resolved, Csv) else {}

    def format(self) -> CsvFormat:
        """Return the format of the file."""
        columns = None if self.columns is None else tuple(self.columns)
        return CsvFormat(self.delimiter, self.decimal, self.encoding, columns)

    def origin(self, split: str = "train") -> str:
        """Return the file."""
        return self._file(split) or self.path if split != "train" else self.path


def _parts(
    table: Table, column: str, opened: TextRows, notes: list[str], validation: float | str | None
) -> dict[str, Rows]:
    """Return the rows of each split that a column names.

    Raises:
        DataError: A row is of none, or none is for training.
    """
    texts = table.aside["split"]
    split_by_text = {text: split_of(text) or "" for text in {*texts}}
    splits = np.array([split_by_text[text] for text in texts])
    problems = Problems(opened.where())
    for row in np.flatnonzero(splits == "").tolist():
        where, expected = opened.where(int(table.lines[row])), "train, val or test"
        problems.add(0, f"{where}: column {column!r}: found {texts[row]!r}, expected {expected}", kind=texts[row])
    problems.raise_all()
    parts = {name: np.flatnonzero(splits == name) for name in SPLIT_NAMES if (splits == name).any()}
    if "train" not in parts:
        raise DataError(f"{opened.where()}: column {column!r}: no row is for training; expected some with 'train'")
    if "validation" in parts and validation in (0, "test"):
        count = len(parts.pop("validation"))
        notes.append(
            f"{opened.where()}: {count} validation rows are not used, since dataset.validation is {validation}"
        )
    return parts


def find_table(path: str) -> Path:
    """Return the file with that path, or the shipped table with that name; `data/train-*.parquet` are parts of a table.

    Raises:
        DataError: Neither is there.
    """
    for candidate in [Path(path), *(folder / path for folder in SHIPPED)]:
        if is_regular(candidate) or shards_of(candidate):
            return candidate
    raise DataError(f"{path}: {why_no_file(Path(path))}; expected a CSV file (looked in {Path.cwd()})")


class SklearnTable(UnsplitDataset):
    """A table that scikit-learn's package carries.

    Its file is read without scikit-learn, whose import takes longer than training on the table.
    """

    file_name: ClassVar[str]
    features: ClassVar[tuple[str, ...]]

    def read(self, seed: int) -> RawDataset:
        """Read the dataset from scikit-learn's package; nothing is downloaded."""
        import torch

        with _sklearn_file(self.file_name).open(encoding="utf-8") as file:
            class_names = next(file).strip().split(",")[2:]  # after the numbers of rows and of features
            rows = np.loadtxt(file, delimiter=",")
        return RawDataset(
            train=UnsplitExamples(rows[:, -1].astype(np.int64), torch.from_numpy(rows[:, :-1].copy())),
            class_names=class_names,
            feature_names=list(self.features),
        )


def _sklearn_file(name: str) -> Path:
    spec = find_spec("sklearn")
    assert spec is not None and spec.origin is not None  # a dependency
    return Path(spec.origin).parent / "datasets" / "data" / name


class Iris(SklearnTable):
    """150 irises of three species, by four lengths in cm (Fisher, 1936), from scikit-learn."""

    file_name = "iris.csv"
    features = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")

    name: Literal["iris"] = "iris"


class Wine(SklearnTable):
    """178 wines from three growers, by 13 measurements (UCI), from scikit-learn."""

    file_name = "wine_data.csv"
    features = (
        *("alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids"),
        *("nonflavanoid_phenols", "proanthocyanins", "color_intensity", "hue", "od280/od315_of_diluted_wines"),
        "proline",
    )

    name: Literal["wine"] = "wine"


_OF_CELLS = (
    *("radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave points", "symmetry"),
    "fractal dimension",
)


class BreastCancer(SklearnTable):
    """569 tumors, malignant or benign, by 30 measurements (Wisconsin), from scikit-learn."""

    file_name = "breast_cancer.csv"
    features = (
        *(f"mean {cell}" for cell in _OF_CELLS),
        *(f"{cell} error" for cell in _OF_CELLS),
        *(f"worst {cell}" for cell in _OF_CELLS),
    )

    name: Literal["breast_cancer"] = "breast_cancer"


class Digits(ImageDataset, UnsplitDataset):
    """1,797 handwritten digits, 8x8 pixels (UCI), from scikit-learn; values rescaled from 0..16 to uint8 0..255."""

    name: Literal["digits"] = "digits"

    def read(self, seed: int) -> RawDataset:
        """Read the dataset from scikit-learn's package; nothing is downloaded. Images are `(1797, 1, 8, 8)`."""
        import torch

        rows = _digits()
        pixels = np.rint(rows[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
        return RawDataset(
            train=UnsplitExamples(rows[:, -1].astype(np.int64), torch.from_numpy(pixels)),
            class_names=[str(name) for name in range(10)],
            image_format=ImageFormat(height=8, width=8, mode="gray"),
        )


@cache  # compressed text takes longer to read than an epoch of a small network
def _digits() -> np.ndarray:
    with gzip.open(_sklearn_file("digits.csv.gz"), "rt", encoding="utf-8") as file:
        return np.loadtxt(file, delimiter=",")  # (1797, 65): 64 values from 0 to 16, and the digit

"""The base class of datasets: common options, and drawing the splits."""

from __future__ import annotations

import contextlib
import os
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, field_validator

from nnclassify.data.augment import Augment
from nnclassify.data.examples import DatasetFacts
from nnclassify.data.examples import Examples as Examples
from nnclassify.data.examples import Splits as Splits
from nnclassify.data.split_checks import (
    check_classes,
    check_different,
    check_range,
    divided_groups,
    ever_present,
    older_examples,
    untested,
)
from nnclassify.data.splitting import (
    Rows,
    counts_of,
    limited,
    num_units,
    stratified_folds,
)
from nnclassify.data.suspected_groups import SuspectedGroups
from nnclassify.data.tables.csv_table import Table
from nnclassify.data.transform import Normalize, Transform
from nnclassify.data.unsplit import Drawn, UnsplitExamples
from nnclassify.errors import DataError, LabelError, counted, some
from nnclassify.models.preprocessing import Preprocessing
from nnclassify.seeds import numpy_rng
from nnclassify.settings import Fraction, PositiveInt, Seed, Settings

IN_MEMORY = "X"
"""The file in the config of a network that `NNClassifier` trained on data in memory."""


@contextlib.contextmanager
def told_where_to_look(dataset: Settings) -> Iterator[None]:
    """Return a context that adds to an error about the data of an existing run how to say where the data is now."""
    try:
        yield
    except DataError as error:
        lost = [key for key, place in dataset.places().items() if not os.access(place, os.F_OK)]
        if not lost:
            raise
        new = " ".join(f"dataset.{key}=NEW" for key in lost)
        raise DataError([f"{problem}; if it has moved, add {new}" for problem in error.problems], error.path) from error


@dataclass(frozen=True)
class RawDataset(DatasetFacts):
    """What `Dataset.read` returns. A `test` or `validation` of None is drawn from `train`; `table` is what a table was
    before it was encoded."""

    train: UnsplitExamples
    test: UnsplitExamples | None = None
    validation: UnsplitExamples | None = None
    table: Table | None = None
    finish: Callable[[RawDataset], RawDataset] = lambda raw: raw
    """Called after all splits have been taken, to add what is known only then and to reject bad files."""

    def splits(
        self,
        train: Examples,
        validation: Examples | None = None,
        test: Examples | None = None,
        epoch_examples: int | None = None,
    ) -> Splits:
        """Return the splits that were taken, with what is known of the dataset."""
        facts = {known.name: getattr(self, known.name) for known in fields(DatasetFacts)}
        return Splits(train, validation, test, epoch_examples, **facts)


MAX_FOLDS = 1000
FAR = 0.05
"""A note is shown if the fraction of a split differs by more than this from what the config asks for."""
VALIDATION = 0.1
"""Fraction of the training examples held out for validation if the config does not set one."""


OF_THE_DRAWING = ("group", "time", "folds", "fold")
"""Options that say how splits are drawn."""
OF_THE_SPLITS = ("limit", "share", "validation", "test", "split", *OF_THE_DRAWING)
"""Options that say which examples are used, and in which split."""
OF_THE_TEXT = ("delimiter", "decimal", "encoding")
"""Options of a table's text format. They are recognized again for another table."""


class Dataset(Settings):
    """Options that every dataset has."""

    validation: Fraction | str | None = VALIDATION
    """Fraction of the training examples held out for validation, stratified by class; 0 for no validation split. With
    `test`, the test split is evaluated after every epoch, and nothing is selected by it."""
    normalize: Normalize | Literal["weights"] = "standard"
    """How inputs are scaled: `standard` (zero mean and unit variance on the training split), `minmax`, `unit` or
    `none`; or `weights`, by the mean and standard deviation that the model's pretrained weights were trained with.
    Default: `weights` for images and a model with such weights, else `standard`."""
    limit: PositiveInt | None = None
    """Maximum number of training examples, and of test examples; a stratified subset is used."""
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    """Fraction of the training split to train on, as `nnclassify learning-curve` does: a stratified subset, drawn by
    the `seed` of the run, that includes those of smaller fractions. Validation and test splits stay the same, and an
    epoch has as many updates as with the whole training split. Default: all of it."""
    seed: Seed | None = None
    """Random seed of the splits and of generated data. Default: the `seed` of the run."""

    takes_named_validation: ClassVar[bool] = False

    @field_validator("validation")
    @classmethod
    def _share_or_test(cls, value: float | str | None) -> float | str | None:
        named = value is None or (isinstance(value, str) and value != "test")
        if named and not cls.takes_named_validation:
            raise ValueError("a fraction such as 0.1, or `test`")
        return value

    @abstractmethod
    def read(self, seed: int) -> RawDataset:
        """Read or generate the examples.

        Raises:
            DataError: Something is missing, damaged or cannot be learned from.
        """

    def read_labeled(self, class_names: list[str], seed: int) -> RawDataset:
        """Read labeled examples for a trained network, to be evaluated as they are.

        Unlike for training, classes may lack examples. `class_names` are those of the network; the ones that are read
        are matched with them by name.

        Raises:
            DataError: Something is missing or damaged.
        """
        return self.read(seed)

    def examine(self, source: RawDataset) -> list[str]:
        """Return warnings about the training examples, one line each.

        Raises:
            DataError: The examples cannot be learned from.
        """
        return []

    def build(self, seed: int) -> Splits:
        """Read and check the data, and draw the splits."""
        of_data = seed if self.seed is None else self.seed
        return self.draw_splits(self.read(of_data), of_data, seed)

    def draw_splits(self, source: RawDataset, seed: int, share_seed: int = 0) -> Splits:
        """Check the data and draw the splits: seeded, stratified, no example in two splits.

        Args:
            source: The data.
            seed: The seed of the splits.
            share_seed: The seed of the subset that is trained on, if the config asks for one.

        Raises:
            DataError: The examples cannot be learned from.
        """
        for split, pool in (("train", source.train), ("test", source.test), ("validation", source.validation)):
            if pool is not None:
                check_range(pool.targets, source.class_names, self.origin(split))
        source.notes.extend(self.examine(source))
        drawn = self._draw(source, seed)
        num_whole = len(drawn["train"].rows)
        if self.share is not None:
            drawn["train"] = drawn["train"].reduced(self.share, numpy_rng(share_seed, "split", "share"))
        source.notes.extend(f"{self.origin()}: {note}" for note in [*divided_groups(drawn), *older_examples(drawn)])
        train, test = drawn["train"].take(), drawn["test"].take() or None
        validation = test if self.validation == "test" else drawn["validation"].take() or None
        source = source.finish(source)
        if 0 in train.inputs.shape[1:]:
            raise DataError(
                f"{self.origin_of_inputs()}: examples of shape {tuple(train.inputs.shape[1:])} have no values; "
                "expected at least one"
            )
        if source.image_format is not None:
            check_different(train, self.origin_of_inputs())
        # Check after reading: skipped files may leave a class without examples.
        targets = train.all_targets().numpy()
        check_classes(targets, source.class_names, self.origin(), source.skipped)
        notes = ever_present(targets, source.class_names)
        if test is not None and drawn["test"].pool is source.train:
            notes += untested(test.all_targets().numpy(), source.class_names, by_folds=self.which_fold() is not None)
        source.notes.extend(f"{self.origin()}: {note}" for note in notes)
        return source.splits(train, validation, test, None if self.share is None else num_whole)

    def _check_validation(self, train_rows: Rows, validation_rows: Rows) -> None:
        """Reject an empty validation split if the config asks for one; with the default, a tiny table may have none."""
        wanted = self.validation not in (0, "test") and "validation" in self.model_fields_set
        if wanted and len(validation_rows) == 0:
            why, advice = f"{self.validation} of {len(train_rows)} examples is less than one", "raise it"
            if not isinstance(self.validation, str) and round((self.validation or 0) * len(train_rows)) > 0:
                why = f"none of {len(train_rows)} examples can be held out, since each class keeps one"
                advice = "add examples"
            raise DataError(
                f"dataset.validation: {why}; {advice}, or set 0",
                ("dataset", "validation"),
            )

    def places(self) -> dict[str, str]:
        """Return the files and folders of the data; `validation: test` is not a file."""
        return {key: place for key, place in super().places().items() if (key, place) != ("validation", "test")}

    def suited_to(self, preprocessing: Preprocessing | None) -> Self:
        """Return the dataset with the image options that pretrained weights expect, unless the config sets them."""
        return self

    def as_trained(self, transform: Transform) -> Self:
        """Return the same dataset, read as the run read it: with its image format or its columns."""
        return self

    def without_files_of(self, before: Dataset) -> dict[str, Any]:
        """Options that name files of splits of other data: they are not moved with it."""
        return {}

    def suspected_groups(self, splits: Splits) -> Iterator[SuspectedGroups]:
        """Yield groups that examples seem to belong to, by what they are called, and that its splits divide."""
        yield from ()

    def unsplit(self) -> Self:
        """Return the same dataset without options about how splits are drawn, to read examples that are not split."""
        return self.model_copy(update={key: None for key in OF_THE_DRAWING if key in type(self).model_fields})

    def left_to_data(self, resolved: Dataset) -> dict[str, Any]:
        """Options that this config leaves to the data, with the values that a run of it found; see `recognized`."""
        return {}

    def for_data(self, **places: str | None) -> Self:
        """Return a dataset that reads other data in the same way, without splitting or limiting it.

        Args:
            places: The options that name a file or folder.
        """
        fields = type(self).model_fields
        reset = {key: fields[key].get_default() for key in OF_THE_SPLITS if key in fields}
        stated = self.model_fields_set.difference(reset, OF_THE_TEXT) | places.keys()
        values: dict[str, Any] = {**dict(self), **reset, **places}
        kind: Any = type(self)  # mypy takes the return type of model_construct for Dataset
        made: Self = kind.model_construct(stated, **values)
        return made

    @property
    def is_multi_hot(self) -> bool:
        """Whether an example may have several classes, or none; targets are then `(N, K)` of 0 and 1."""
        return False

    def test_fraction(self) -> float:
        """Return the fraction to hold out for testing if the data has no test split of its own."""
        return 0.0

    def which_fold(self) -> tuple[int, int] | None:
        """Return the number of folds and the fold to test on, counted from 1; None without cross-validation."""
        return None

    def origin(self, split: str = "train") -> str:
        """Return the source of a split's labels for messages: a file, a folder, or the dataset's name."""
        return self.name_of()

    def origin_of_inputs(self, split: str = "train") -> str:
        """Return the source of a split's inputs for messages."""
        return self.origin(split)

    def file_of(self, name: str) -> Path | None:
        """Return the file of an example by its name; None if examples are not files of their own."""
        return None

    def other_columns(self) -> list[str]:
        """Return the columns of the table that the settings name besides the features, such as the label."""
        return []

    def column_names(self) -> list[str]:
        """Return the columns of the table; empty if there is no table in a file."""
        return []

    def column_texts(self, column: str, split: str, examples: Examples) -> list[str]:
        """Return the text of a column of the table, a feature or not, for each example of a split; empty if missing.

        Raises:
            DataError: There is no such column.
        """
        raise DataError(f"{self.origin()}: no table in a file, so there is no column {column!r}")

    def written_rows(
        self, columns: Sequence[str], split: str, examples: Examples, transform: Transform
    ) -> list[list[str]] | None:
        """Return the texts of columns of the table for each example of a split, as they are written there.

        None if the examples were not read from texts, so that there is no more to tell than their inputs.

        Args:
            columns: The names of the columns.
            split: The name of the split.
            examples: The examples.
            transform: How the columns became the inputs of the network.

        Raises:
            DataError: The file cannot be read again, or has changed since.
        """
        return None

    def augmentation(self) -> Augment | None:
        """Return the augmentation of the training images, or None if the dataset has no such option."""
        augment = getattr(self, "augment", None)
        return augment if isinstance(augment, Augment) else None

    def _draw(self, source: RawDataset, seed: int) -> dict[str, Drawn]:
        """Draw the rows of each split that is not given."""
        train_rows, test_pool, test_rows = self._draw_test(source, seed)
        train_rows = limited(source.train.targets, train_rows, self.limit, seed)
        train_rows, validation_pool, validation_rows = self._draw_validation(source, train_rows, seed)
        self._check_validation(train_rows, validation_rows)
        return {
            "train": Drawn(source.train, train_rows),
            "validation": Drawn(validation_pool, validation_rows),
            "test": Drawn(test_pool, test_rows),
        }

    def _draw_test(self, source: RawDataset, seed: int) -> tuple[Rows, UnsplitExamples, Rows]:
        everything = np.arange(len(source.train.targets))
        if source.test is not None and self.which_fold() is not None:
            raise DataError(
                f"dataset.folds: {self.origin('test')} has a test split of its own; remove it, or remove folds",
                ("dataset", "folds"),
            )
        if source.test is not None:
            rows = np.arange(len(source.test.targets))
            return everything, source.test, limited(source.test.targets, rows, self.limit, seed)
        if (chosen := self.which_fold()) is not None:
            train_rows, test_rows = self._draw_fold(source, seed, *chosen)
        else:
            train_rows, test_rows = self._hold_out(source, everything, self.test_fraction(), seed, "test")
        return train_rows, source.train, limited(source.train.targets, test_rows, self.limit, seed)

    def _draw_fold(self, source: RawDataset, seed: int, num_folds: int, fold: int) -> tuple[Rows, Rows]:
        """Return the rows of all other folds, and those of a fold, counted from 1.

        Raises:
            DataError: There are too few examples or groups, in all or of a class.
        """
        pool = source.train
        unit = "example" if pool.groups is None else "group"
        total, of_class = num_units(pool.targets, pool.groups, len(source.class_names))
        if total < num_folds:
            raise DataError(
                f"dataset.folds: {num_folds} folds of {counted(total, unit)}; expected at least one {unit} per fold",
                ("dataset", "folds"),
            )
        if rare := [name for name, count in zip(source.class_names, of_class, strict=True) if count == 1]:
            raise DataError(
                f"dataset.folds: only one {unit} of class {some(rare, 5)}; expected at least two, since one fold is "
                "left out of training",
                ("dataset", "folds"),
            )
        folds = stratified_folds(pool.targets, pool.groups, num_folds, numpy_rng(seed, "split", "folds"))
        return np.flatnonzero(folds != fold - 1), np.flatnonzero(folds == fold - 1)

    def _draw_validation(self, source: RawDataset, train_rows: Rows, seed: int) -> tuple[Rows, UnsplitExamples, Rows]:
        if source.validation is not None:
            return train_rows, source.validation, np.arange(len(source.validation.targets))
        fraction = 0.0 if isinstance(self.validation, str) else self.validation
        if fraction is None:
            fraction = VALIDATION
        kept, held_out = self._hold_out(source, train_rows, fraction, seed, "validation")
        return kept, source.train, held_out

    def _hold_out(self, source: RawDataset, rows: Rows, fraction: float, seed: int, split: str) -> tuple[Rows, Rows]:
        """Return the kept rows and those of a split, with a note if its size is far from what was asked for."""
        kept, held_out = source.train.hold_out(rows, fraction, numpy_rng(seed, "split", split))
        counts = [counts_of(source.train.targets[part], len(source.class_names)) for part in (kept, held_out)]
        lost = [name for name, left, out in zip(source.class_names, *counts, strict=True) if out and not left]
        if source.train.times is not None and lost:  # other ways of drawing keep examples of each class
            raise LabelError(
                f"dataset.time: all examples of class {some(lost, 5)} are in the newest {fraction:.0%}, held out for "
                f"{split}; decrease dataset.{split}, or remove the class",
                ("dataset", "time"),
            )
        found = len(held_out) / max(1, len(rows))
        if (source.train.groups is not None or source.train.times is not None) and abs(found - fraction) > FAR:
            whole = "groups" if source.train.times is None else "examples of the same time"
            source.notes.append(
                f"{self.origin()}: {found:.0%} of the examples are held out for {split}, not {fraction:.0%}: {whole} "
                "are not divided"
            )
        return kept, held_out


EMPTY_TEST = "found 'test' with test: 0, so the test split is empty; increase test, or set validation: 0"


class UnsplitDataset(Dataset):
    """A dataset that may have no test split of its own; one is then drawn at random."""

    test: Fraction = 0.2
    """Fraction of the examples held out for testing, stratified by class, where the data has no test split of its own;
    0 for no test split."""
    folds: Annotated[int, Field(ge=2, le=MAX_FOLDS)] | None = None
    """Number of folds for cross-validation: the examples are divided into folds, stratified by class, and the test
    split is one of them, `fold`. A run per fold tests every example once. Replaces `test`."""
    fold: Annotated[int, Field(ge=1, le=MAX_FOLDS)] | None = None
    """The fold that is the test split, from 1 to `folds`. Default: the command `train` trains a run on each fold; any
    other use of the config is of fold 1."""

    def test_fraction(self) -> float:
        """Return the `test` option."""
        return self.test

    def which_fold(self) -> tuple[int, int] | None:
        """Return the options `folds` and `fold`."""
        return None if self.folds is None else (self.folds, self.fold or 1)

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Yield errors for options of folds, and for `validation: test` with an empty test split."""
        if self.folds is None and self.fold is not None:
            yield "fold", f"found {self.fold} without folds; set folds too, such as folds: 5"
        if self.folds is not None and (self.fold or 1) > self.folds:
            yield "fold", f"found {self.fold}, expected a fold from 1 to {self.folds}"
        if self.folds is not None and self.test != UnsplitDataset.model_fields["test"].default:
            yield "test", f"found {self.test} with folds: {self.folds}, of which one is the test split; remove test"
        if self.validation == "test" and self.test == 0 and not self.takes_named_validation:
            yield "validation", EMPTY_TEST


class ImageDataset(Dataset):
    """A dataset of images, which can be augmented."""

    augment: Augment = Field(default_factory=Augment)
    """Random augmentation of the training images."""

    def suited_to(self, preprocessing: Preprocessing | None) -> Self:
        """Return the dataset with images normalized as for pretrained weights, where the config leaves that open."""
        if preprocessing is None or "normalize" in self.model_fields_set:
            return self
        return self.model_copy(update={"normalize": "weights"})


Size = Annotated[int, Field(ge=1, le=4096)]

"""Arrays and data frames in memory as the examples of a dataset, and as inputs of a trained network.

Columns of numbers, and images, are read as a tensor file of them would be (`dataset: tensors`), and other tables as
their CSV file would be (`dataset: csv`). So everything that is done with a trained network works as with files.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from nnclassify.data.base import IN_MEMORY, Dataset, RawDataset
from nnclassify.data.tables.column_kinds import Category
from nnclassify.data.tables.csv_rows import CsvFormat
from nnclassify.data.tables.frames import FrameRows
from nnclassify.data.tables.table_datasets import Csv
from nnclassify.data.tables.table_encoder import replaced_note
from nnclassify.data.tensor_files import Tensors, as_tensor
from nnclassify.errors import ConfigError, InputError, suggestion
from nnclassify.process import preserve_process_state

if TYPE_CHECKING:
    from torch import Tensor

    from nnclassify.inference.classifier import Classifier

Array = np.ndarray[Any, Any]

OF_ANY_DATA = ("validation", "normalize", "limit", "share", "seed")
OF_IMAGES = ("augment", "white")
OF_COLUMNS = ("features", "ignore", "categories", "dates", "quantile_transform", "missing", "group", "time", "decimal")
"""Options of `dataset` that data in memory can have."""
NUMBERS = (np.float64, np.float32, np.uint8)
"""Number types that are kept; others become the first."""


@dataclass(frozen=True)
class TrainingData:
    """What `fit` is given.

    Attributes:
        inputs: Numbers `(N, ...)`, or the cells `(N, F)` of a table, as objects.
        codes: The class index of each example, `(N,)`.
        classes: The labels of the K classes, sorted.
        names: Names of the columns, or None.
        label: What the labels are called.
        kinds: The kind of each column that its type tells; None if the inputs are numbers.
    """

    inputs: Array
    codes: np.ndarray[Any, np.dtype[np.int64]]
    classes: Array
    names: list[str] | None
    label: str
    kinds: Mapping[str, Category] | None

    @property
    def class_names(self) -> list[str]:
        """The labels of the classes as texts."""
        return [str(label) for label in self.classes.tolist()]

    def section(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the `dataset` section of the config.

        Raises:
            ConfigError: An option is about files, or unknown.
        """
        allowed = [*OF_ANY_DATA, *(OF_IMAGES if self.kinds is None else OF_COLUMNS)]
        what = "arrays" if self.kinds is None else "a table in memory"
        problems = [
            f"dataset.{key}: not an option of {what}{suggestion(key, allowed)}; expected one of {', '.join(allowed)}"
            for key in options
            if key not in allowed
        ]
        if isinstance(options.get("validation"), str):
            problems.append(f"dataset.validation: found {options['validation']!r}, expected a fraction such as 0.1")
        if problems:
            raise ConfigError(problems)
        if self.kinds is None:
            places = {"name": "tensors", "train_inputs": IN_MEMORY, "train_targets": self.label}
            return {**places, "class_names": self.class_names, "test": 0, **options}
        return {"name": "csv", "path": IN_MEMORY, "label": self.label, "test": 0, "categories": "auto", **options}

    def read(self, dataset: Dataset) -> RawDataset:
        """Return the examples.

        Raises:
            DataError: A value is missing, infinite, or of another kind than its column.
        """
        if isinstance(dataset, Tensors):
            inputs = np.require(self.inputs, requirements=["C", "W"])  # torch warns about read-only arrays
            return dataset.of_arrays(as_tensor(inputs, "X"), self.codes, self.class_names, self.names)
        assert isinstance(dataset, Csv)
        cells = np.column_stack([self.inputs, self.codes.astype(object)])
        rows = FrameRows("X", [*(self.names or []), self.label], cells)
        source = dataset.read_rows(rows, kinds=self.kinds)
        # The reader numbers the classes that occur; the estimator may know others.
        numbers = np.array([int(name) for name in source.class_names])
        train = replace(source.train, targets=numbers[source.train.targets])
        return replace(source, train=train, class_names=self.class_names)


@preserve_process_state()
def training_data(
    estimator: Any, X: Any, y: Any, options: Mapping[str, Any], *, classes: Any = None, reset: bool = True
) -> TrainingData:
    """Check what `fit` is given, as scikit-learn does.

    Args:
        estimator: The estimator, whose `n_features_in_` and `feature_names_in_` are set, or compared if not `reset`.
        X: Inputs `(N, ...)`.
        y: Labels `(N,)`.
        options: The `dataset` options.
        classes: All labels; None: those of `y`.
        reset: Whether the estimator forgets what it was fitted to.

    Raises:
        ValueError, TypeError: The data cannot be used.
    """
    label = str(getattr(y, "name", None) or "y")
    kinds = _kinds_of(X) if _is_table(X, options) else None
    inputs, labels = _validated(estimator, X, y, is_table=kinds is not None, reset=reset)
    found = _distinct(labels)
    classes = found if classes is None else np.unique(np.asarray(classes))
    if not np.isin(found, classes).all():
        strange = [str(one) for one in found.tolist() if one not in classes]
        raise ValueError(f"y contains labels that are not in classes: {', '.join(strange)}")
    if len(classes) < 2:
        raise ValueError(f"NNClassifier can't train when only one class is present: {classes[0]!s}")
    is_named = kinds is not None or hasattr(estimator, "feature_names_in_")
    names = _names_of(estimator, inputs.shape[1]) if is_named else None
    label = _unused(label, names or ())
    codes = np.searchsorted(classes, labels).astype(np.int64)
    return TrainingData(inputs, codes, classes, names, label, kinds)


def _validated(estimator: Any, X: Any, y: Any = "no_validation", *, is_table: bool, reset: bool) -> Any:
    """Return the inputs, and the labels if they are given, as scikit-learn checks them."""
    if is_table:
        return validate_data(estimator, _as_objects(X), y, reset=reset, dtype=object, ensure_all_finite=False)
    return validate_data(estimator, X, y, reset=reset, dtype=list(NUMBERS), allow_nd=True)


def _distinct(labels: Array) -> Array:
    """Return the labels that occur, sorted; refuse labels that are not those of classes, or have no order."""
    try:
        found: Array = np.unique(labels)
    except TypeError as cause:
        types = ", ".join(sorted({type(label).__name__ for label in labels.tolist()}))
        raise TypeError(
            f"y: found labels of different types ({types}), which have no order; convert them: y.astype(str)"
        ) from cause
    check_classification_targets(labels)
    return found


def raw_inputs(estimator: Any, X: Any, classifier: Classifier) -> Tensor:
    """Read the inputs of a trained network, `(N, ...)`, as `Classifier.predict` reads arrays.

    Raises:
        ValueError: They do not fit the network.
        InputError: A value is missing, or of another kind than its column.
    """
    import torch

    from nnclassify.inference.inputs import InputReader

    is_table = isinstance(classifier.config.dataset, Csv)
    inputs = _validated(estimator, X, is_table=is_table, reset=False)
    names = _names_of(estimator, inputs.shape[1]) if is_table else []
    if is_table:
        inputs = FrameRows("X", names, inputs)
    notes: list[str] = []
    reader = InputReader(classifier.transform, CsvFormat(), notes.append, expected=names)  # all are those of `fit`
    found = list(reader.read("X", inputs))
    if wrong := [one.error for one in found if one.error is not None]:
        raise InputError("\n".join(wrong[:5]))
    encoder = classifier.transform.encoder
    asked_for = [replaced_note(column) for column in encoder.columns if column.marks_missing] if encoder else []
    for note in (note for note in notes if note not in asked_for):
        warnings.warn(note, UserWarning, stacklevel=4)
    raw = torch.stack([one.values for one in found if one.values is not None])
    if large := classifier.transform.too_large(raw):
        row, text = next(iter(large.items()))
        raise InputError(f"X[{row}]: {text}")
    return raw


def _names_of(estimator: Any, num_columns: int) -> list[str]:
    """Return the names of the columns of a table; they are numbered if they have none."""
    names = [str(name) for name in getattr(estimator, "feature_names_in_", ())]
    return names or [f"x{place}" for place in range(num_columns)]


def _is_table(X: Any, options: Mapping[str, Any]) -> bool:
    """Return whether some columns are not numbers, or an option asks for the reader of tables."""
    if any(key in options for key in OF_COLUMNS) or _kinds_of(X):
        return True
    if not (hasattr(X, "__array__") or isinstance(X, Sequence)):
        return False  # scikit-learn says what is wrong with it
    array = np.asarray(X)
    if array.dtype.kind in "fiubc" or array.ndim != 2:
        return False
    if array.dtype.kind in "mM":  # dates, of which NumPy would make nanoseconds
        return True
    try:
        array.astype(np.float64)
    except (TypeError, ValueError):
        return True
    return False


def _as_objects(X: Any) -> Any:
    """Return a table of which every cell keeps the type of its column: dates and numbers share no type but object."""
    if hasattr(X, "columns") and hasattr(X, "astype"):
        return X.astype(object)
    return X.astype(str) if getattr(getattr(X, "dtype", None), "kind", None) in ("m", "M") else X


def _kinds_of(X: Any) -> dict[str, Category]:
    """Return the kind of each categorical column of a pandas data frame; ordered ones keep their order."""
    kinds: dict[str, Category] = {}
    if hasattr(X, "dtypes") and hasattr(X, "columns"):
        for name, dtype in zip(X.columns, X.dtypes, strict=True):
            if (categories := getattr(dtype, "categories", None)) is not None:
                is_ordinal = getattr(dtype, "ordered", False) and len(categories) > 1
                kinds[str(name)] = [str(one) for one in categories] if is_ordinal else "one_hot"
    return kinds


def _unused(name: str, names: Sequence[str]) -> str:
    while name in names:
        name = f"{name}_"
    return name

"""Newly collected labeled data for a trained network: which dataset reads a folder, a table or an .npz file."""

from __future__ import annotations

from pathlib import Path

from nnclassify.data import Dataset
from nnclassify.data.array_names import array_names, named_pair
from nnclassify.data.images.image_datasets import Folder
from nnclassify.data.images.image_labels import label_file, lists_images
from nnclassify.data.images.image_listing import subfolders
from nnclassify.data.tables.table_datasets import Csv
from nnclassify.data.tables.table_files import open_table
from nnclassify.data.tensor_files import Tensors, load_tensor
from nnclassify.errors import InputError, some
from nnclassify.files.images.image_format import ImageFormat
from nnclassify.files.paths import is_folder, is_regular, why_no_file
from nnclassify.inference.classifier import Classifier

ARRAY_ENDING, LIST_ENDINGS = ".npz", (".csv", ".tsv")


def dataset_at(classifier: Classifier, path: str, label: str | None = None) -> Dataset:
    """Return the dataset that reads labeled data as the network reads its inputs.

    Args:
        classifier: The trained network.
        path: A folder of images, with class folders or a CSV file that lists them; that file; a table with the label
            column; or an .npz file.
        label: The label column of a table or of a list of images; None: the one of the training data.

    Raises:
        InputError: There is nothing at the path, or the network does not take such data.
        DataError: The file is damaged.
    """
    location = Path(path).expanduser()
    image_format, shape = classifier.transform.image_format, classifier.transform.input_shape
    kinds = "a folder of images" if image_format is not None else "a table" if len(shape) == 1 else "arrays"
    if not is_folder(location) and not is_regular(location):
        raise InputError(f"{path}: {why_no_file(location)}; expected {kinds} with labels, or an .npz file")
    own, ending = classifier.config.dataset, location.suffix.lower()
    if image_format is not None and ending != ARRAY_ENDING:
        listed = label_file(location, label) if is_folder(location) else location
        known = own.label if label is None and isinstance(own, Folder) else None
        column = known if known is not None and listed is not None and lists_images(listed, known) else label
        is_list = listed is not None and lists_images(listed, column)
        if is_folder(location) and (is_list or label is None):
            return _folder(own, image_format, location, listed if is_list else None, column)
        if is_list or (not is_folder(location) and ending in LIST_ENDINGS):
            return _folder(own, image_format, location.parent, location, column)
    if label is not None and (classifier.is_multi_hot or len(shape) != 1 or ending == ARRAY_ENDING):
        raise InputError(f"{path}: --label {label}: only a table with one label column, or a list of images, takes it")
    if ending == ARRAY_ENDING:
        return _arrays(classifier, str(location))
    if is_folder(location) or len(shape) != 1:
        kind = "a folder" if is_folder(location) else "a file"
        raise InputError(
            f"{path}: {kind}, but this network takes {kinds}; expected {kinds} with labels, or an .npz file"
        )
    return _table(own, str(location), classifier.transform.columns, label)


def _folder(own: Dataset, image_format: ImageFormat, root: Path, labels: Path | None, label: str | None) -> Dataset:
    """Return a folder of images whose classes are its subfolders, or are listed in a column of a CSV file."""
    listed = {"labels": None, "label": None} if labels is None else {"labels": str(labels), "label": label}
    places = {"root": str(root), **listed}
    if isinstance(own, Folder):
        is_named = labels is None and not (own.classes is None or subfolders(root))
        return own.for_data(**places, classes=own.classes if is_named else None)
    options = {name: getattr(image_format, name) for name in Folder.model_fields if hasattr(image_format, name)}
    return Folder.model_validate({**options, "size": [image_format.height, image_format.width], **places})


def _table(own: Dataset, path: str, columns: list[str] | None, label: str | None) -> Dataset:
    dataset = own.for_data(path=path) if isinstance(own, Csv) else Csv(path=path)
    if label is not None:
        dataset = dataset.model_copy(update={"label": label})
    labels = [dataset.label] if isinstance(dataset.label, str) else dataset.label
    opened, _, _ = open_table(Path(path), dataset.format(), names=[*labels, *(columns or ())])
    _, cells = next(opened.rows(), (0, []))
    header = dataset.columns or [cell.strip() for cell in cells]
    if set(labels).isdisjoint(header) and not set(columns or ()).isdisjoint(header):
        raise InputError(
            f"{path}: no label column {some(labels)}; columns: {some(header, 20)}; name it with --label; to classify "
            "rows without labels, use `nnclassify predict`"
        )
    # Columns that the network does not take may be absent.
    return dataset.model_copy(update={"ignore": None, "id": dataset.id if dataset.id in header else None})


def _arrays(classifier: Classifier, path: str) -> Dataset:
    own, image_format = classifier.config.dataset, classifier.transform.image_format
    names = array_names(path)
    pairs = {split: pair for split in ("train", "validation", "test") if (pair := named_pair(names, split))}
    whole = named_pair(names) or pairs.get("train") or pairs.get("test")
    if whole is None:
        raise InputError(
            f"{path}: holds the arrays {some(names, 10)}; expected inputs and targets, such as x and y, or x_test and "
            "y_test"
        )
    others = {split: pair for split, pair in pairs.items() if pair != whole}
    files = {
        f"{split}_{kind}": f"{path}:{array}"
        for split, pair in {"train": whole, **others}.items()
        for kind, array in zip(("inputs", "targets"), pair, strict=True)
    }
    is_numbered = isinstance(own, Tensors) and own.class_names is None
    shape = tuple(load_tensor(files["train_inputs"]).shape[1:])
    is_gray = image_format is not None and (1, *shape) == classifier.transform.input_shape
    return Tensors.model_validate(
        {
            **files,
            "targets": "multi_hot" if classifier.is_multi_hot else "classes",
            "class_names": None if is_numbered else classifier.class_names,
            "axes": "NHW" if is_gray else own.axes if isinstance(own, Tensors) else None,
            "white": None if image_format is None else image_format.max_value,
        }
    )

"""Tensor files: inputs and targets prepared by the user, memory-mapped rather than copied."""

from __future__ import annotations

import io
import itertools
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field

from nnclassify.data.augment import Augment
from nnclassify.data.base import ImageDataset, RawDataset, UnsplitDataset
from nnclassify.data.images.image_listing import clean_name
from nnclassify.data.labels import missing_labels
from nnclassify.data.names import INDICES, ExampleNames
from nnclassify.data.splitting import Groups, Labels
from nnclassify.data.targets import class_indices, numbering_of, read_labels, read_multi_hot
from nnclassify.data.transform import Transform
from nnclassify.data.unsplit import UnsplitExamples
from nnclassify.errors import DataError, LabelError, MissingValueError, one_line, some
from nnclassify.files.images.image_format import ImageFormat
from nnclassify.files.paths import MAX_INFLATION, SMALL_BYTES, is_regular, why_no_file
from nnclassify.files.pt_check import check_archive
from nnclassify.settings import PlacePath, all_different

if TYPE_CHECKING:
    from torch import Tensor


class Tensors(ImageDataset, UnsplitDataset):
    """Tensors from .pt, .npy or .npz files: inputs `(N, ...)`, uint8 or float, images `(N, C, H, W)`, and targets."""

    name: Literal["tensors"] = "tensors"
    train_inputs: PlacePath
    """File of the training inputs. Name an array of an .npz after a colon: `data.npz:images`."""
    train_targets: PlacePath
    """File of the training targets: class indices `(N,)`, class names `(N,)` in an .npy or .npz file, or rows `(N, K)`;
    see `targets`."""
    test_inputs: PlacePath | None = None
    """File of the test inputs. Default: a fraction (`test`) of the training examples is held out."""
    test_targets: PlacePath | None = None
    """File of the test targets."""
    validation_inputs: PlacePath | None = None
    """File of the validation inputs. Default: a fraction (`validation`) of the training examples is held out."""
    validation_targets: PlacePath | None = None
    """File of the validation targets."""
    targets: Literal["classes", "multi_hot"] = "classes"
    """`classes`: one class per example, given as an index or a one-hot row; `multi_hot`: rows of 0 and 1, any number
    of classes per example, with loss bce_with_logits, bce or mse."""
    class_names: Annotated[list[str], Field(min_length=1), AfterValidator(all_different)] | None = None
    """Names of the classes, in order of index. Default: the indices; or the names in the target files, sorted."""
    group: PlacePath | None = None
    """File of the group of each training example, such as its patient: integers `(N,)`. Examples of a group are kept in
    one split."""
    axes: Literal["NCHW", "NHWC", "NHW"] | None = None
    """Order of the axes of the inputs if they are images: channels first, channels last, or gray images without an axis
    of channels. Default: as the shape shows, and `(N, H, W)` are no images."""
    white: Literal[1, 255] | None = None
    """Pixel value of white, by which images are scaled. Default: determined from `train_inputs`: 255 for uint8; for
    floats 1, or 255 if any value is above 1."""

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Yield errors for inputs without targets, and for a fraction beside inputs of its own."""
        for split in ("test", "validation"):
            inputs, targets = f"{split}_inputs", f"{split}_targets"
            given = [key for key in (inputs, targets) if getattr(self, key) is not None]
            if len(given) == 1:
                other = targets if given == [inputs] else inputs
                yield given[0], f"set without {other}; set both or neither"
            elif given and getattr(self, split) != Tensors.model_fields[split].default:
                found = getattr(self, split)
                shown = repr(found) if isinstance(found, str) else f"{found:g}"
                yield split, f"found {shown} with {inputs}, which are the {split} split; remove one of them"
            elif given and split == "test" and self.folds is not None:
                yield "folds", f"found {self.folds} with test_inputs, which are the test split; remove one of them"
        if self.test_inputs is None and self.test_targets is None:
            yield from super().conflicts()

    def as_trained(self, transform: Transform) -> Self:
        """Return the same files with the run's value of white."""
        image_format = transform.image_format
        return self if image_format is None else self.model_copy(update={"white": image_format.max_value})

    def read(self, seed: int) -> RawDataset:
        """Map the files into memory.

        Raises:
            DataError: A file is missing, damaged or of another type, or inputs and targets do not match.
        """
        return self._read(None)

    def read_labeled(self, class_names: list[str], seed: int) -> RawDataset:
        """Map the files into memory, with the class indices of a trained network."""
        are_numbers = all(name.removeprefix("-").isdecimal() for name in class_names)
        own_labels = self.class_names is None and not self.is_multi_hot and are_numbers
        return self._read([int(name) for name in class_names] if own_labels else None)

    def _read(self, classes: list[int] | None) -> RawDataset:
        """Map the files into memory; without the label of each class, the training labels determine it."""
        notes: list[str] = []
        read: Callable[[Tensor, str], Labels] = read_multi_hot
        if not self.is_multi_hot:
            read = partial(read_labels, notes=notes)
        files = self._files()
        texts = {file: found for _, file in files.values() if (found := texts_of(file)) is not None}
        class_names = self.class_names or sorted({*itertools.chain(*texts.values())})
        pairs = {"train": self._pair(*files["train"], read, notes, texts, class_names)}
        inputs, labels = pairs["train"]
        if inputs.ndim != 4 and self.augmentation() not in (None, Augment()):
            raise DataError(
                f"dataset.augment: examples of shape {tuple(inputs.shape[1:])}; only images can be augmented"
            )
        classes = classes or numbering_of(labels, len(class_names) or None, self.train_targets, notes)
        own = white_of(inputs)
        white = self.white or own
        for split in [split for split in files if split != "train"]:
            pairs[split] = self._pair(*files[split], read, notes, texts, class_names)
            if pairs[split][0].shape[1:] != inputs.shape[1:]:
                raise DataError(
                    f"{files[split][0]}: examples of shape {tuple(pairs[split][0].shape[1:])}; expected "
                    f"{tuple(inputs.shape[1:])}, as in {self.train_inputs}"
                )
        pools = {}
        for split in reversed(pairs):  # the notes on the training inputs come last
            (own_inputs, own_labels), (inputs_file, targets_file) = pairs[split], files[split]
            scaled = _with_white(own_inputs, white_of(own_inputs), white, inputs_file, notes)
            names = INDICES if len(pairs) == 1 else ExampleNames(f"{split}/")
            pools[split] = UnsplitExamples(class_indices(own_labels, classes, targets_file), scaled, names)
        return RawDataset(
            train=replace(pools["train"], groups=self._groups(len(labels))),
            test=pools.get("test"),
            validation=pools.get("validation"),
            class_names=class_names or [*map(str, classes)],
            image_format=_image_format(inputs, own, white),
            notes=notes,
        )

    def of_arrays(
        self, inputs: Tensor, targets: Labels, class_names: list[str], feature_names: list[str] | None = None
    ) -> RawDataset:
        """Check inputs `(N, ...)` that are in memory, with class indices `(N,)`, as those of files are checked.

        Raises:
            DataError: An input is not finite.
        """
        notes: list[str] = []
        inputs = _checked(channels_first(inputs, self.axes, self.train_inputs, notes), self.train_inputs, notes)
        own = white_of(inputs)
        white = self.white or own
        return RawDataset(
            train=UnsplitExamples(targets, _with_white(inputs, own, white, self.train_inputs, notes)),
            class_names=class_names,
            feature_names=feature_names,
            image_format=_image_format(inputs, own, white),
            notes=notes,
        )

    @property
    def is_multi_hot(self) -> bool:
        """Whether `targets` is `multi_hot`."""
        return self.targets == "multi_hot"

    def _groups(self, num_examples: int) -> Groups | None:
        """Read the group of each training example, one integer each."""
        if self.group is None:
            return None
        groups = load_tensor(self.group)
        if groups.is_floating_point() or groups.is_complex() or groups.shape != (num_examples,):
            raise DataError(
                f"{self.group}: {groups.dtype} of shape {tuple(groups.shape)}; expected the group of each training "
                f"example: {num_examples} integers"
            )
        names, codes = np.unique(groups.long().numpy(), return_inverse=True)
        return Groups(codes, [str(name) for name in names])

    def _files(self) -> dict[str, tuple[str, str]]:
        """Return the files of inputs and targets of each split that has its own."""
        pairs = {
            "train": (self.train_inputs, self.train_targets),
            "validation": (self.validation_inputs, self.validation_targets),
            "test": (self.test_inputs, self.test_targets),
        }
        return {
            split: (inputs, targets)
            for split, (inputs, targets) in pairs.items()
            if inputs is not None and targets is not None
        }

    def _pair(
        self,
        inputs_path: str,
        targets_path: str,
        read: Callable[[Tensor, str], Labels],
        notes: list[str],
        texts: Mapping[str, Sequence[str]],
        class_names: Sequence[str],
    ) -> tuple[Tensor, Labels]:
        inputs, of_text = load_tensor(inputs_path), texts.get(targets_path)
        targets = load_tensor(targets_path) if of_text is None else _places(of_text, class_names, targets_path)
        if inputs.ndim < 2 or inputs.numel() == 0:
            advice = "; reshape one value per example to (N, 1)" * (inputs.ndim == 1 and len(inputs) > 0)
            shape = tuple(inputs.shape)
            raise DataError(f"{inputs_path}: shape {shape}; expected (N, ...) without zero dimensions{advice}")
        labels = read(targets, targets_path)
        if len(inputs) != len(labels):
            raise DataError(
                f"{targets_path}: {len(labels)} targets for the {len(inputs)} inputs of {inputs_path}; "
                "expected one per input"
            )
        return _checked(channels_first(inputs, self.axes, inputs_path, notes), inputs_path, notes), labels

    def origin(self, split: str = "train") -> str:
        """Return the file of the targets."""
        return self._files().get(split, (self.train_inputs, self.train_targets))[1]

    def origin_of_inputs(self, split: str = "train") -> str:
        """Return the file of the inputs."""
        return self._files().get(split, (self.train_inputs, self.train_targets))[0]


def texts_of(path: str) -> list[str] | None:
    """Return the class name of each example where labels `(N,)` or `(N, 1)` in an .npy or .npz file are texts, else
    None."""
    location, key = _location_of(path)
    if location.suffix.lower() not in (".npy", ".npz") or not is_regular(location):
        return None
    try:
        found, _ = _load_numpy(location, key)
        are_texts = found.dtype.kind in "US" and found.shape in ((len(found),), (len(found), 1))
        return [clean_name(text) for text in found.astype(str).ravel().tolist()] if are_texts else None
    except Exception:  # whatever is wrong with the file is told when it is loaded
        return None


def _location_of(path: str) -> tuple[Path, str]:
    """Return the file and the name of the array, empty without one, of a path such as `data.npz:images`."""
    named = re.fullmatch(r"(.+?\.npz):(.+)", path, re.I | re.S)
    return (Path(path), "") if named is None else (Path(named[1]), named[2])


def _places(texts: Sequence[str], class_names: Sequence[str], path: str) -> Tensor:
    """Return the class index of each label, by name.

    Raises:
        LabelError: A label is missing, or is none of the classes.
    """
    import torch

    place_of = {name: place for place, name in enumerate(class_names)}
    absent = missing_labels([*dict.fromkeys(texts)])
    for row, text in enumerate(texts):
        if text in absent:
            raise LabelError(f"{path}: label {text!r} of example {row} looks like a missing label; remove the example")
        if text not in place_of:
            known = some(class_names, 10)
            raise LabelError(f"{path}: label {text!r} of example {row} is not a class; expected {known}")
    return torch.tensor([place_of[text] for text in texts])


def _checked(inputs: Tensor, path: str, notes: list[str]) -> Tensor:
    """Return inputs as uint8 or floats: whole numbers of images in 0..255 become uint8, and others floats; note if some
    are too large for that.

    Raises:
        MissingValueError: An input is not finite.
        DataError: The inputs are complex.
    """
    import torch

    if inputs.dtype == torch.uint8:
        return inputs
    if inputs.is_complex():
        raise DataError(f"{path}: {inputs.dtype}; expected real inputs, such as uint8 or float32")
    if not inputs.is_floating_point():
        is_bytes = (
            inputs.ndim == 4
            and inputs.dtype not in (torch.bool, torch.uint64)
            and inputs.min() >= 0
            and inputs.max() <= 255
        )
        is_exact = inputs.dtype in (torch.bool, torch.int8, torch.int16)
        found = inputs.to(torch.uint8 if is_bytes else torch.float32 if is_exact else torch.float64)
        if found.dtype == torch.float64 and float(found.abs().max()) > LARGEST_EXACT:
            notes.append(
                f"{path}: integers up to {float(found.abs().max()):.3g} are rounded to 53 bits; if their last digits "
                "mean something, subtract an offset from them"
            )
        return found
    finite = torch.stack([chunk.isfinite().all() for chunk in inputs.split(4096)])
    if not finite.all():
        rows = (~inputs.reshape(len(inputs), -1).isfinite().all(dim=1)).nonzero()
        raise MissingValueError(f"{path}: example {int(rows[0])} holds NaN or infinity; correct or remove it")
    return inputs


def channels_first(inputs: Tensor, axes: str | None, path: str, notes: list[str]) -> Tensor:
    """Return images as `(N, C, H, W)`, and other inputs as they are.

    Most programs except torch write `(N, H, W, C)`. That is unambiguous if three values come last, after two larger
    sides, or if one or four come after two equal sides; otherwise the shape is used as it is, with a note.

    Args:
        inputs: The inputs.
        axes: The order of their axes, if the config states it.
        path: The file, for messages.
        notes: List to which a line is appended where the axes are not stated.

    Raises:
        DataError: The inputs do not have these axes.
    """
    if axes is not None:
        if inputs.ndim != len(axes):
            raise DataError(f"{path}: shape {tuple(inputs.shape)}; expected {len(axes)} axes (dataset.axes: {axes})")
        return inputs[:, None] if axes == "NHW" else inputs.permute(*map(axes.index, "NCHW")).contiguous()
    if inputs.ndim != 4 or inputs.shape[3] not in (1, 3, 4) or inputs.shape[1] in (1, 3):
        return inputs
    _, height, width, channels = inputs.shape
    sides_are_large, is_square = min(height, width) > 4, height == width
    is_certain = sides_are_large or is_square if channels == 3 else sides_are_large and is_square
    if is_certain:
        notes.append(
            f"{path}: images (N, {height}, {width}, {channels}) have their channels last; transposed to (N, C, H, W)"
        )
        return inputs.permute(0, 3, 1, 2).contiguous()
    notes.append(
        f"{path}: read as {height} channels of {width}x{channels}; if the images are (N, H, W, C), set "
        "dataset.axes: NHWC"
    )
    return inputs


def white_of(inputs: Tensor) -> int | None:
    """Return the value of white in images `(N, C, H, W)`: 255 for uint8; for floats 1, or 255 if a value is above 1.

    Returns None for examples that are not images, and for images that the user has already normalized.
    """
    import torch

    if inputs.ndim != 4 or inputs.shape[1] not in (1, 3):
        return None
    if inputs.dtype == torch.uint8:
        return 255
    low, high = inputs.amin(), inputs.amax()
    if low < 0 or high > 255:
        return None
    return 1 if high <= 1 else 255


def _with_white(inputs: Tensor, own: int | None, white: int | None, path: str, notes: list[str]) -> Tensor:
    """Scale images from 0..own to 0..white."""
    if white is None or own is None or own == white:
        return inputs
    notes.append(f"{path}: images in 0..{own}, scaled to 0..{white}")
    return inputs.float() * (white / own)


def _image_format(inputs: Tensor, own: int | None, white: int | None) -> ImageFormat | None:
    """Return the format of images in 0..own, scaled to 0..white; None if they are not images."""
    if own is None or white is None:
        return None
    channels, height, width = inputs.shape[1:]
    return ImageFormat(height, width, "rgb" if channels == 3 else "gray", max_value=white)


def load_tensor(path: str) -> Tensor:
    """Load one tensor from a .pt, .npy or .npz file, memory-mapped if the format allows it. No pickle is executed.

    Raises:
        DataError: The file is missing, damaged, of another type, or does not contain one tensor.
    """
    location, key = _location_of(path)
    if not is_regular(location):
        raise DataError(f"{location}: {why_no_file(location)}; expected a tensor in .pt, .npy or .npz")
    try:
        is_torch = location.suffix.lower() in (".pt", ".pth")
        return _load_torch(location) if is_torch else as_tensor(*_load_numpy(location, key))
    except DataError:
        raise
    except Exception as cause:  # zipfile, pickle, struct and numpy raise different exceptions
        are_objects = "Object arrays" in str(cause)
        where, hint = (path, f": {OBJECTS}") if are_objects else (location, "")
        raise DataError(f"{where}: cannot be read ({one_line(cause)}); expected one tensor{hint}") from cause


def npy_array(content: bytes, name: str) -> np.ndarray[Any, Any]:
    """Return the array of an .npy file in memory. No pickle is executed.

    Raises:
        DataError: It is damaged, or no .npy file.
    """
    file = io.BytesIO(content)
    try:
        return np.lib.format.read_array(file, allow_pickle=False)
    except Exception as cause:  # numpy raises whatever its parsers do
        raise DataError(f"{name}: cannot be read ({one_line(cause)}); expected an .npy file") from cause


LARGEST_EXACT = 2.0**53
"""The largest integer up to which float64 holds all."""
OBJECTS = "save its objects as numbers, or labels as texts (labels.astype(str))"
"""What to do with an array of Python objects, which are not read."""


def _load_torch(location: Path) -> Tensor:
    import torch

    check_archive(location)
    loaded = torch.load(location, map_location="cpu", weights_only=True, mmap=True)
    if not isinstance(loaded, torch.Tensor):
        raise DataError(f"{location}: holds a {type(loaded).__name__}; expected one tensor")
    return signed(loaded.detach().resolve_conj().resolve_neg())


def _check_inflated(location: Path) -> None:
    """Reject an archive whose arrays are too large for its size: two megabytes can inflate to two gigabytes."""
    with zipfile.ZipFile(location) as archive:
        for entry in archive.infolist():
            if entry.file_size > max(SMALL_BYTES, MAX_INFLATION * entry.compress_size):
                raise DataError(f"{location}: {entry.filename} inflates to {entry.file_size >> 20} MB; not read")


def _load_numpy(location: Path, key: str) -> tuple[np.ndarray[Any, Any], str]:
    """Return an array, and its name for messages."""
    if location.suffix.lower() == ".npy":
        # Mode c (copy on write): the file is safe, and torch gets a writable array.
        return np.lib.format.open_memmap(location, mode="c"), str(location)
    if location.suffix.lower() != ".npz":
        raise DataError(f"{location}: expected a tensor in .pt, .npy or .npz")
    _check_inflated(location)
    with location.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        names = arrays.files
        if not names:
            raise DataError(f"{location}: contains no array; expected at least one")
        if key not in names and (key or len(names) != 1):
            raise DataError(f"{location}: holds {', '.join(names)}; name one after a colon: {location}:{names[0]}")
        return arrays[key or names[0]], f"{location}:{key or names[0]}"


def as_tensor(array: np.ndarray[Any, Any], location: Path | str) -> Tensor:
    """Convert an array of numbers to a tensor in native byte order.

    Raises:
        DataError: The array contains something else.
    """
    import torch

    if array.dtype.kind not in "fiubc":
        is_named = array.dtype.kind in "US" and array.ndim == 1
        hint = ": number the classes from 0, and list their names in dataset.class_names" * is_named
        raise DataError(f"{location}: an array of type {array.dtype}; expected numbers{hint}")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return signed(torch.from_numpy(array))


def signed(tensor: Tensor) -> Tensor:
    """Return unsigned integers of more than 8 bits, for which torch has hardly any operations, as signed ones, unless
    int64 does not hold them."""
    import torch

    wider = {torch.uint16: torch.int32, torch.uint32: torch.int64, torch.uint64: torch.int64}
    found = tensor.to(wider.get(tensor.dtype, tensor.dtype))
    return tensor if tensor.dtype == torch.uint64 and (found < 0).any() else found

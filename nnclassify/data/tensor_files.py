"""Tensor files: inputs and targets prepared by the user, memory-mapped rather than copied."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field

from nnclassify.data.augment import Augment
from nnclassify.data.base import ImageDataset, RawDataset, UnsplitDataset, UnsplitExamples
from nnclassify.data.image_format import ImageFormat
from nnclassify.data.names import INDICES, TEST, TRAIN
from nnclassify.data.splitting import Groups, Labels
from nnclassify.data.targets import (
    Columns,
    Numbering,
    columns_of,
    numbering_of,
    read_labels,
    read_multi_hot,
)
from nnclassify.data.transform import Transform
from nnclassify.errors import DataError, MissingValueError, one_line
from nnclassify.files.paths import MAX_INFLATION, SMALL_BYTES, is_regular, why_no_file
from nnclassify.files.pt_check import check_archive
from nnclassify.settings import FilePath, all_different

if TYPE_CHECKING:
    from torch import Tensor


class Tensors(ImageDataset, UnsplitDataset):
    """Tensors from .pt, .npy or .npz files: inputs `(N, ...)`, uint8 or float, images `(N, C, H, W)`, and targets."""

    name: Literal["tensors"] = "tensors"
    train_inputs: FilePath
    """File of the training inputs. Name an array of an .npz after a colon: `data.npz:images`."""
    train_targets: FilePath
    """File of the training targets: class indices `(N,)`, or rows `(N, K)`; see `targets`."""
    test_inputs: FilePath | None = None
    """File of the test inputs. Default: a fraction (`test`) of the training examples is held out."""
    test_targets: FilePath | None = None
    """File of the test targets."""
    targets: Literal["classes", "multi_hot"] = "classes"
    """`classes`: one class per example, given as an index or a one-hot row; `multi_hot`: rows of 0 and 1, any number
    of classes per example, with loss bce_with_logits, bce or mse."""
    class_names: Annotated[list[str], Field(min_length=1), AfterValidator(all_different)] | None = None
    """Names of the classes, in order of index. Default: the indices."""
    group: FilePath | None = None
    """File of the group of each training example, such as its patient: integers `(N,)`. Examples of a group are kept in
    one split."""
    white: Literal[1, 255] | None = None
    """Pixel value of white, by which images are scaled. Default: determined from `train_inputs`: 255 for uint8; for
    floats 1, or 255 if any value is above 1."""

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Yield errors for test inputs without test targets, and for `test` beside test inputs."""
        own_test = self.test_inputs is not None
        if own_test != (self.test_targets is not None):
            given, other = ("test_inputs", "test_targets") if own_test else ("test_targets", "test_inputs")
            yield given, f"set without {other}; set both or neither"
        elif own_test and self.test != Tensors.model_fields["test"].default:
            yield "test", f"found {self.test:g} with test_inputs, which are the test split; remove one of them"
        elif own_test and self.folds is not None:
            yield "folds", f"found {self.folds} with test_inputs, which are the test split; remove one of them"
        elif not own_test:
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
        notes: list[str] = []
        read = read_multi_hot if self.is_multi_hot else read_labels
        inputs, labels = _pair(self.train_inputs, self.train_targets, read, notes)
        if inputs.ndim != 4 and self.augmentation() not in (None, Augment()):
            raise DataError(
                f"dataset.augment: examples of shape {tuple(inputs.shape[1:])}; only images can be augmented"
            )
        numbering = self._numbering(labels, notes)
        own = white_of(inputs)
        white = self.white or own
        test = None
        if self.test_inputs is not None and self.test_targets is not None:
            test_inputs, test_labels = _pair(self.test_inputs, self.test_targets, read, notes)
            if test_inputs.shape[1:] != inputs.shape[1:]:
                raise DataError(
                    f"{self.test_inputs}: examples of shape {tuple(test_inputs.shape[1:])}; expected "
                    f"{tuple(inputs.shape[1:])}, as in {self.train_inputs}"
                )
            test_inputs = _with_white(test_inputs, white_of(test_inputs), white, self.test_inputs, notes)
            test = UnsplitExamples(numbering.indices(test_labels, self.test_targets), test_inputs, TEST)
        inputs = _with_white(inputs, own, white, self.train_inputs, notes)
        names = INDICES if test is None else TRAIN
        return RawDataset(
            train=UnsplitExamples(
                numbering.indices(labels, self.train_targets), inputs, names, self._groups(len(labels))
            ),
            test=test,
            class_names=self.class_names or [str(label) for label in numbering.labels],
            image_format=None if own is None or white is None else _image_format(inputs, white),
            notes=notes,
        )

    @property
    def is_multi_hot(self) -> bool:
        """Whether `targets` is `multi_hot`."""
        return self.targets == "multi_hot"

    def _groups(self, num_examples: int) -> Groups | None:
        """Read the group of each training example.

        Raises:
            DataError: The file does not hold one integer per example.
        """
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

    def _numbering(self, labels: Labels, notes: list[str]) -> Numbering | Columns:
        num_names = len(self.class_names or ()) or None
        if self.is_multi_hot:
            return columns_of(labels, num_names, self.train_targets)
        return numbering_of(labels, num_names, self.train_targets, notes)

    def origin(self, split: str = "train") -> str:
        """Return the file of the targets."""
        return self.test_targets if split == "test" and self.test_targets is not None else self.train_targets

    def origin_of_inputs(self, split: str = "train") -> str:
        """Return the file of the inputs."""
        return self.test_inputs if split == "test" and self.test_inputs is not None else self.train_inputs


def _pair(
    inputs_path: str, targets_path: str, read: Callable[[Tensor, str, list[str]], Labels], notes: list[str]
) -> tuple[Tensor, Labels]:
    inputs, targets = load_tensor(inputs_path), load_tensor(targets_path)
    if inputs.ndim < 2 or inputs.numel() == 0:
        raise DataError(f"{inputs_path}: shape {tuple(inputs.shape)}; expected (N, ...) without zero dimensions")
    labels = read(targets, targets_path, notes)
    if len(inputs) != len(labels):
        raise DataError(
            f"{targets_path}: {len(labels)} targets for the {len(inputs)} inputs of {inputs_path}; "
            "expected one per input"
        )
    return _channels_first(_checked(inputs, inputs_path), inputs_path, notes), labels


def _checked(inputs: Tensor, path: str) -> Tensor:
    import torch

    if inputs.dtype == torch.uint8:
        return inputs
    if not inputs.is_floating_point():
        raise DataError(f"{path}: {inputs.dtype}; expected uint8 or float inputs, such as float32")
    finite = torch.stack([chunk.isfinite().all() for chunk in inputs.split(4096)])
    if not finite.all():
        rows = (~inputs.reshape(len(inputs), -1).isfinite().all(dim=1)).nonzero()
        raise MissingValueError(f"{path}: example {int(rows[0])} holds NaN or infinity; correct or remove it")
    return inputs


def _channels_first(inputs: Tensor, path: str, notes: list[str]) -> Tensor:
    """Transpose images `(N, H, W, C)`, as most programs except torch write them, to `(N, C, H, W)`.

    The layout is unambiguous if three values come last, after two larger sides, or if one or four come after two
    equal sides; otherwise the shape is used as it is, with a note.
    """
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
        f"{path}: read as {height} channels of {width}x{channels}; if the images are (N, H, W, C), transpose them"
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


def _image_format(inputs: Tensor, white: int) -> ImageFormat:
    channels, height, width = inputs.shape[1:]
    return ImageFormat(height, width, "rgb" if channels == 3 else "gray", max_value=white)


def load_tensor(path: str) -> Tensor:
    """Load one tensor from a .pt, .npy or .npz file, memory-mapped if the format allows it. No pickle is executed.

    Raises:
        DataError: The file is missing, damaged, of another type, or does not contain one tensor.
    """
    file, _, key = path.partition(".npz:")
    location = Path(f"{file}.npz" if key else path)
    if not is_regular(location):
        raise DataError(f"{location}: {why_no_file(location)}; expected a tensor in .pt, .npy or .npz")
    try:
        is_torch = location.suffix.lower() in (".pt", ".pth")
        return _load_torch(location) if is_torch else _load_numpy(location, key)
    except DataError:
        raise
    except Exception as cause:  # zipfile, pickle, struct and numpy raise different exceptions
        raise DataError(f"{location}: cannot be read ({one_line(cause)}); expected one tensor") from cause


def _load_torch(location: Path) -> Tensor:
    import torch

    check_archive(location)
    loaded = torch.load(location, map_location="cpu", weights_only=True, mmap=True)
    if not isinstance(loaded, torch.Tensor):
        raise DataError(f"{location}: holds a {type(loaded).__name__}; expected one tensor")
    return loaded.detach().resolve_conj().resolve_neg()


def _check_inflated(location: Path) -> None:
    """Reject an archive whose arrays are too large for its size: two megabytes can inflate to two gigabytes."""
    with zipfile.ZipFile(location) as archive:
        for entry in archive.infolist():
            if entry.file_size > max(SMALL_BYTES, MAX_INFLATION * entry.compress_size):
                raise DataError(f"{location}: {entry.filename} inflates to {entry.file_size >> 20} MB; not read")


def _load_numpy(location: Path, key: str) -> Tensor:
    if location.suffix.lower() == ".npy":
        # Mode c (copy on write): the file is safe, and torch gets a writable array.
        return as_tensor(np.lib.format.open_memmap(location, mode="c"), location)
    if location.suffix.lower() != ".npz":
        raise DataError(f"{location}: expected a tensor in .pt, .npy or .npz")
    _check_inflated(location)
    with location.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        names = arrays.files
        if not names:
            raise DataError(f"{location}: contains no array; expected at least one")
        if key not in names and (key or len(names) != 1):
            raise DataError(f"{location}: holds {', '.join(names)}; name one after a colon: {location}:{names[0]}")
        return as_tensor(arrays[key or names[0]], location)


def as_tensor(array: np.ndarray[Any, Any], location: Path | str) -> Tensor:
    """Convert an array of numbers to a tensor in native byte order.

    Raises:
        DataError: The array contains something else.
    """
    import torch

    if array.dtype.kind not in "fiubc":
        raise DataError(f"{location}: an array of type {array.dtype}; expected numbers")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return torch.from_numpy(array)

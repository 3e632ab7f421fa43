"""Tensor files: inputs and targets that the user has prepared, mapped into memory, not copied."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import AfterValidator

from nnclassify.archive import check_archive
from nnclassify.datasets.base import PictureDataset, Pool, Source, UnsplitDataset
from nnclassify.datasets.drawing import Labels
from nnclassify.errors import DataError, LabelError, MissingValueError, one_line
from nnclassify.settings import FilePath, all_different
from nnclassify.transforms import Augment, PictureFormat

if TYPE_CHECKING:
    from torch import Tensor


SMALL_BYTES, MAX_INFLATION = 64 * 2**20, 100
"""An array in an .npz may be this large however small it was packed, and this many times its packed size."""


class Tensors(PictureDataset, UnsplitDataset):
    """Inputs `(N, ...)`, uint8 or float, and targets `(N,)` from .pt, .npy or .npz files."""

    name: Literal["tensors"] = "tensors"
    train_inputs: FilePath
    """The training inputs; an array in an .npz is named after a colon: `data.npz:images`."""
    train_targets: FilePath
    """The training targets: class indices."""
    test_inputs: FilePath | None = None
    """The test inputs; left out, a share of the training ones."""
    test_targets: FilePath | None = None
    """The test targets."""
    class_names: Annotated[list[str], AfterValidator(all_different)] | None = None
    """The classes by name, in the order of their indices; left out, their numbers."""

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Half of a test split, or two of them."""
        own_test = self.test_inputs is not None
        if own_test != (self.test_targets is not None):
            given, other = ("test_inputs", "test_targets") if own_test else ("test_targets", "test_inputs")
            yield given, f"found it without {other}; give both or neither"
        elif own_test and self.test != Tensors.model_fields["test"].default:
            yield "test", f"found {self.test:g} beside test_inputs, which are the test split; leave one of the two out"
        elif not own_test:
            yield from super().conflicts()

    def read(self, seed: int) -> Source:
        """Map the files.

        Raises:
            DataError: A file is missing, damaged or of another kind; inputs and targets do not match.
        """
        inputs, targets = _pair(self.train_inputs, self.train_targets)
        if inputs.ndim != 4 and self.augmentation() not in (None, Augment()):
            raise DataError(
                f"dataset.augment: examples of shape {tuple(inputs.shape[1:])}; only pictures can be augmented"
            )
        names = self.class_names or numbered_classes(targets, self.train_targets)
        test = None
        if self.test_inputs is not None and self.test_targets is not None:
            test_inputs, test_targets = _pair(self.test_inputs, self.test_targets)
            if test_inputs.shape[1:] != inputs.shape[1:]:
                raise DataError(
                    f"{self.test_inputs}: examples of shape {tuple(test_inputs.shape[1:])}; expected "
                    f"{tuple(inputs.shape[1:])}, as in {self.train_inputs}"
                )
            test = Pool(test_targets, test_inputs)
        return Source(train=Pool(targets, inputs), test=test, class_names=names, picture=_picture(inputs))

    def origin(self, split: str = "train") -> str:
        """The file with the targets."""
        return self.test_targets if split == "test" and self.test_targets is not None else self.train_targets


def numbered_classes(targets: Labels, path: str) -> list[str]:
    """The classes by number; there are no more of them than examples.

    Raises:
        DataError: A label that is too large for every class to have an example.
    """
    highest = int(targets.max(initial=-1))
    if highest >= max(len(targets), 1):
        raise DataError(
            f"{path}: label {highest} among {len(targets)} examples; expected 0, 1, ..., each at least once"
        )
    return [str(index) for index in range(highest + 1)]


def _pair(inputs_path: str, targets_path: str) -> tuple[Tensor, Labels]:
    inputs, targets = load_tensor(inputs_path), load_tensor(targets_path)
    if inputs.ndim < 2 or inputs.numel() == 0:
        raise DataError(f"{inputs_path}: shape {tuple(inputs.shape)}; expected (N, ...) with N and the rest over 0")
    if targets.ndim != 1 or targets.is_floating_point() or targets.is_complex():
        raise LabelError(
            f"{targets_path}: {targets.dtype} of shape {tuple(targets.shape)}; expected class indices: integers (N,)"
        )
    if len(inputs) != len(targets):
        raise DataError(
            f"{targets_path}: {len(targets)} targets for the {len(inputs)} inputs of {inputs_path}; expected as many"
        )
    return _checked(inputs, inputs_path), targets.long().numpy()


def _numbered(targets: Labels, path: str) -> list[str]:
    """A name for each class up to the highest index; more classes than targets would leave some empty."""
    highest = int(targets.max(initial=-1))
    if highest >= len(targets):
        row = int(targets.argmax())
        raise DataError(f"{path}: label {highest} of example {row}; expected class indices from 0, without gaps")
    return [str(index) for index in range(highest + 1)]


def _checked(inputs: Tensor, path: str) -> Tensor:
    import torch

    if inputs.dtype == torch.uint8:
        return inputs
    if not inputs.is_floating_point():
        raise DataError(f"{path}: {inputs.dtype}; expected uint8 or float inputs")
    finite = torch.stack([chunk.isfinite().all() for chunk in inputs.split(4096)])
    if not finite.all():
        rows = (~inputs.reshape(len(inputs), -1).isfinite().all(dim=1)).nonzero()
        raise MissingValueError(f"{path}: example {int(rows[0])} holds NaN or infinity; mend or remove it")
    return inputs


def _picture(inputs: Tensor) -> PictureFormat | None:
    """Pictures are `(N, C, H, W)` with one or three channels, in 0..255 as uint8 or 0..1 as float."""
    import torch

    if inputs.ndim != 4 or inputs.shape[1] not in (1, 3):
        return None
    max_value = 255
    if inputs.dtype != torch.uint8:
        if inputs.amin() < 0 or inputs.amax() > 255:
            return None  # already normalised by a recipe that only the user knows
        max_value = 1 if inputs.amax() <= 1 else 255
    channels, height, width = inputs.shape[1:]
    return PictureFormat(height, width, "rgb" if channels == 3 else "gray", max_value=max_value)


def load_tensor(path: str) -> Tensor:
    """One tensor from a .pt, .npy or .npz file, mapped where the format allows it; pickles are not executed.

    Raises:
        DataError: The file is missing, damaged, of another kind, or holds something else.
    """
    file, _, key = path.partition(".npz:")
    location = Path(f"{file}.npz" if key else path)
    if not location.is_file():
        raise DataError(f"{location}: no such file; expected a tensor in .pt, .npy or .npz")
    try:
        return _load_torch(location) if location.suffix in (".pt", ".pth") else _load_numpy(location, key)
    except DataError:
        raise
    except Exception as cause:  # zipfile, pickle, struct and numpy each raise their own
        raise DataError(f"{location}: cannot be read ({one_line(cause)}); expected one tensor") from cause


def _load_torch(location: Path) -> Tensor:
    import torch

    check_archive(location)
    loaded = torch.load(location, map_location="cpu", weights_only=True, mmap=True)
    if not isinstance(loaded, torch.Tensor):
        raise DataError(f"{location}: holds a {type(loaded).__name__}; expected one tensor")
    return loaded.detach()


def _check_inflated(location: Path) -> None:
    """Two megabytes can inflate to two gigabytes."""
    with zipfile.ZipFile(location) as archive:
        for entry in archive.infolist():
            if entry.file_size > max(SMALL_BYTES, MAX_INFLATION * entry.compress_size):
                raise DataError(f"{location}: {entry.filename} inflates to {entry.file_size >> 20} MB; not read")


def _load_numpy(location: Path, key: str) -> Tensor:
    import torch

    if location.suffix == ".npy":
        # Mode c: pages are private when written to, so the file is safe and torch gets a writable array.
        return torch.from_numpy(np.lib.format.open_memmap(location, mode="c"))
    _check_inflated(location)
    with location.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        names = arrays.files
        if key not in names and len(names) != 1:
            raise DataError(f"{location}: holds {', '.join(names)}; name one after a colon: {location}:{names[0]}")
        return torch.from_numpy(arrays[key or names[0]])

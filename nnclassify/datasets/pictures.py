"""Pictures: the classic sets through torchvision, and a user's own folder."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from nnclassify.datasets.base import PictureDataset, Pool, Size, Source, UnsplitDataset
from nnclassify.datasets.decoded import MIN_PICTURES, fingerprint, keep_decoded, load_decoded
from nnclassify.datasets.drawing import Labels, Rows
from nnclassify.errors import DataError, InputError, one_line
from nnclassify.settings import FilePath, Fraction
from nnclassify.transforms import Mode, PictureFormat, Resize

if TYPE_CHECKING:
    from torch import Tensor

SMALL_FILE = 8192
"""Bytes, on average: a JPEG of about 170 pixels a side."""


class Downloaded(PictureDataset):
    """A dataset that torchvision reads, and downloads where it is not there yet."""

    root: FilePath = "data"
    """The folder that holds the dataset, relative to where the user stands; downloads go there."""

    def read(self, seed: int) -> Source:
        """Read both splits with torchvision's own class; no network is touched where the files are there.

        Raises:
            DataError: The files are not there and cannot be downloaded, or are damaged.
        """
        train, test = self._open(train=True), self._open(train=False)
        inputs, test_inputs = _channels_first(train.data), _channels_first(test.data)
        for split, pixels, targets in (("train", inputs, train.targets), ("test", test_inputs, test.targets)):
            if len(pixels) != len(targets):
                raise DataError(f"{self.root}: {self.name_of()} {split}: {len(pixels)} pictures, {len(targets)} labels")
        channels, height, width = inputs.shape[1:]
        if test_inputs.shape[1:] != inputs.shape[1:]:
            raise DataError(f"{self.root}: {self.name_of()}: pictures of another size in the test split")
        return Source(
            train=Pool(np.asarray(train.targets, dtype=np.int64), inputs),
            test=Pool(np.asarray(test.targets, dtype=np.int64), test_inputs),
            class_names=[str(name).split(" - ")[0] for name in train.classes],  # MNIST's are "0 - zero"
            picture=PictureFormat(height, width, "rgb" if channels == 3 else "gray"),
        )

    def _open(self, train: bool) -> Any:
        import torchvision.datasets

        classes = {
            "mnist": torchvision.datasets.MNIST,
            "fashion_mnist": torchvision.datasets.FashionMNIST,
            "kmnist": torchvision.datasets.KMNIST,
            "cifar10": torchvision.datasets.CIFAR10,
            "cifar100": torchvision.datasets.CIFAR100,
        }
        dataset = classes[self.name_of()]
        root = Path(self.root)
        made = [
            folder for folder in (root / dataset.__name__ / "raw", root / dataset.__name__, root) if not folder.exists()
        ]
        try:
            return dataset(self.root, train=train, download=True)
        except Exception as cause:  # torchvision raises what urllib, tarfile, pickle and its own checks raise
            for folder in made:
                with contextlib.suppress(OSError):  # torchvision may have made it or not, and left something in it
                    folder.rmdir()
            raise DataError(
                f"{self.root}: {self.name_of()} is not there, or damaged, and could not be downloaded "
                f"({one_line(cause)}); put {self.files()} there by hand, or set dataset.root to where they are"
            ) from cause

    def origin(self, split: str = "train") -> str:
        """The folder and the split."""
        return f"{self.root}: {self.name_of()} {split}"

    def files(self) -> str:
        """The files that belong under `root`, for the error message."""
        folder = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}.get(self.name_of(), "")
        idx = "{train,t10k}-{images-idx3,labels-idx1}-ubyte"
        return f"{self.root}/{folder}/raw/{idx}"


def _channels_first(data: Any) -> Tensor:
    """torchvision's array, `(N, H, W)` or `(N, H, W, 3)`, as uint8 `(N, C, H, W)`."""
    import torch

    pixels = torch.as_tensor(data)
    return pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2).contiguous()


class Mnist(Downloaded):
    """70,000 handwritten digits, 28x28 gray (LeCun et al., 1998)."""

    name: Literal["mnist"] = "mnist"


class FashionMnist(Downloaded):
    """70,000 pieces of clothing, 28x28 gray (Xiao et al., 2017)."""

    name: Literal["fashion_mnist"] = "fashion_mnist"


class Kmnist(Downloaded):
    """70,000 cursive Japanese characters, 28x28 gray (Clanuwat et al., 2018)."""

    name: Literal["kmnist"] = "kmnist"


class Cifar10(Downloaded):
    """60,000 small photographs of ten things, 32x32 colour (Krizhevsky, 2009)."""

    name: Literal["cifar10"] = "cifar10"

    def files(self) -> str:
        """The archive, or the folder in it."""
        return f"{self.root}/cifar-10-python.tar.gz or {self.root}/cifar-10-batches-py/"


class Cifar100(Downloaded):
    """60,000 small photographs of a hundred things, 32x32 colour (Krizhevsky, 2009)."""

    name: Literal["cifar100"] = "cifar100"

    def files(self) -> str:
        """The archive, or the folder in it."""
        return f"{self.root}/cifar-100-python.tar.gz or {self.root}/cifar-100-python/"


class Folder(PictureDataset, UnsplitDataset):
    """A folder of pictures: root/train/<class>/* and root/test/<class>/*, or one root/<class>/* to be split."""

    name: Literal["folder"] = "folder"
    root: FilePath
    """The folder, relative to where the user stands."""
    size: Size | Annotated[list[Size], Field(min_length=2, max_length=2)] = 32
    """What every picture is brought to, in pixels: one number for squares, or [height, width]."""
    mode: Mode = "rgb"
    """Colour or gray."""
    resize: Resize = "squash"
    """How another aspect ratio is met."""
    validation: Fraction | str = 0.1
    """The share of the training pictures held out to choose by; `test`: see there; else a folder with one
    folder a class, relative to root."""
    test: Fraction = 0.2
    """The share held out to test on where root has no `test` folder."""
    on_bad_file: Literal["error", "skip"] = "error"
    """What to do about a picture that cannot be read: stop and name it, or leave it out and say so."""

    takes_validation_folder = True

    def origin(self, split: str = "train") -> str:
        """The folder."""
        return self.root

    def picture_format(self) -> PictureFormat:
        """Size, mode and resize in one."""
        height, width = (self.size, self.size) if isinstance(self.size, int) else self.size
        return PictureFormat(height, width, self.mode, self.resize)

    def read(self, seed: int) -> Source:
        """List the files; they are decoded when the splits are known.

        Raises:
            DataError: No such folder, no class, an empty class, a class in test that is not in train.
        """
        root = Path(self.root)
        if not root.is_dir():
            raise DataError(f"{root}: no such folder (dataset.root); expected train/<class>/* or <class>/*")
        train_root = root / "train" if (root / "train").is_dir() else root
        class_names = [entry.name for entry in _entries(train_root) if entry.is_dir()]
        if not class_names:
            raise DataError(f"{train_root}: no class folder; expected one folder of pictures a class")
        notes: list[str] = []
        has_test = train_root != root and (root / "test").is_dir()
        own_validation = isinstance(self.validation, str) and self.validation != "test"
        return Source(
            train=self._pool(train_root, class_names, notes),
            test=self._pool(root / "test", class_names, notes) if has_test else None,
            validation=self._pool(root / str(self.validation), class_names, notes) if own_validation else None,
            class_names=class_names,
            picture=self.picture_format(),
            notes=notes,
        )

    def _pool(self, root: Path, class_names: list[str], notes: list[str]) -> Pool:
        if not root.is_dir():
            raise DataError(f"{root}: no such folder; expected one folder of pictures a class")
        paths, targets = list_pictures(root, class_names)

        def load(rows: Rows) -> tuple[Tensor, Rows]:
            import torch

            wanted = [paths[row] for row in rows]
            inputs, errors = read_or_recall(wanted, self.picture_format())
            if errors and self.on_bad_file == "error":
                first = next(iter(errors.values()))
                more = f" ({len(errors)} such files)" if len(errors) > 1 else ""
                raise DataError(f"{first}{more}; mend it, or set dataset.on_bad_file: skip")
            notes.extend(f"skipped: {wanted[row]} could not be read" for row in errors)
            good = np.array([row for row in range(len(rows)) if row not in errors], dtype=np.int64)
            return torch.from_numpy(inputs[good] if errors else inputs), rows[good]

        return Pool(targets, load)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What a folder holds, sorted by name; an entry knows whether it is a file without another look at the disk."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as cause:
        raise DataError(f"{folder}: cannot be read ({one_line(cause)}); mend permissions") from cause


def list_pictures(root: Path, class_names: list[str]) -> tuple[list[Path], Labels]:
    """Every file under root/<class>/, in order, and its class index `(N,)`.

    Raises:
        DataError: A class folder that is empty or not among the classes.
    """
    found = [entry.name for entry in _entries(root) if entry.is_dir()]
    if strange := [name for name in found if name not in class_names]:
        raise DataError(f"{root / strange[0]}: not a class of the training folder; expected {', '.join(class_names)}")
    paths: list[Path] = []
    targets: list[int] = []
    for index, name in enumerate(class_names):
        folder = root / name
        files = [folder / entry.name for entry in _entries(folder) if entry.is_file()] if folder.is_dir() else []
        if not files:
            raise DataError(f"{folder}: empty class; add pictures, or remove the folder everywhere")
        paths += files
        targets += [index] * len(files)
    return paths, np.array(targets, dtype=np.int64)


def read_or_recall(
    paths: Sequence[Path], picture: PictureFormat
) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], dict[int, str]]:
    """As `read_pictures`, but what an earlier run decoded is taken from the cache; only whole lists are kept."""
    key = fingerprint(paths, picture) if len(paths) >= MIN_PICTURES else None
    kept = None if key is None else load_decoded(key, len(paths))
    if kept is not None:
        return kept, {}
    pixels, errors = read_pictures(paths, picture)
    if key is not None and not errors:
        keep_decoded(key, pixels)
    return pixels, errors


def read_pictures(
    paths: Iterable[Path], picture: PictureFormat
) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], dict[int, str]]:
    """Decode pictures, large ones on all cores.

    Returns:
        Pixels, uint8 `(N, C, H, W)`, and for each row that could not be read what was wrong with it.
    """
    paths = list(paths)
    channels = 3 if picture.mode == "rgb" else 1
    pixels = np.zeros((len(paths), channels, picture.height, picture.width), dtype=np.uint8)
    errors: dict[int, str] = {}

    # Threads that decode small files only wait for each other in Python: two take twice as long as one.
    sizes = [path.stat().st_size for path in paths[:: len(paths) // 50 + 1] if path.is_file()]
    num_readers, at_once = (1, 64) if sum(sizes) < SMALL_FILE * len(sizes) else (os.cpu_count() or 1, 1)

    def read(first: int) -> None:
        for row in range(first, min(first + at_once, len(paths))):
            try:
                pixels[row] = picture.read(paths[row])
            except InputError as error:
                errors[row] = str(error)

    # Odd metadata harms no pixel, and on pictures too large `read` has the last word. For good: the filters are those
    # of the whole process, and threads that set them back undo each other.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    with ThreadPoolExecutor(num_readers) as pool:
        for _ in pool.map(read, range(0, len(paths), at_once)):
            pass
    return pixels, dict(sorted(errors.items()))

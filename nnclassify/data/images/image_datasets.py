"""Image datasets: MNIST, CIFAR and others from torchvision, and folders of images."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, field_validator

from nnclassify.data.base import ImageDataset, RawDataset, Size, UnsplitDataset
from nnclassify.data.duplicates import parts_of
from nnclassify.data.examples import Splits
from nnclassify.data.images.image_folders import Layout, find_labeled, find_layout
from nnclassify.data.images.image_labels import labeled_layout, named_layout
from nnclassify.data.images.image_store import CacheOptions, Reader
from nnclassify.data.images.path_groups import groups_in, one_group
from nnclassify.data.names import TEST, TRAIN
from nnclassify.data.suspected_groups import SuspectedGroups, groups_of_names
from nnclassify.data.transform import Transform
from nnclassify.data.unsplit import UnsplitExamples
from nnclassify.errors import DataError, one_line
from nnclassify.files.images.image_format import ImageFormat, Interpolation, Mode, Resize, is_color
from nnclassify.files.paths import is_folder, look
from nnclassify.models.preprocessing import Preprocessing
from nnclassify.settings import FilePath, Fraction, NumBytes, PlacePath

if TYPE_CHECKING:
    from torch import Tensor


IDX = "raw/{train,t10k}-{images-idx3,labels-idx1}-ubyte"


class Downloaded(ImageDataset):
    """A dataset from torchvision, downloaded on first use."""

    root: PlacePath = "data"
    """Folder that holds the dataset, relative to the working directory. Downloads are saved there."""

    source: ClassVar[str]
    """The name of torchvision's class."""
    needs: ClassVar[tuple[str, ...]]
    """What belongs under `root`: any of these, where braces stand for several files."""

    def read(self, seed: int) -> RawDataset:
        """Read both splits with torchvision's class; the network is used only if files are missing.

        Raises:
            DataError: The files are damaged, or are missing and cannot be downloaded.
        """
        train, test = self._open(train=True), self._open(train=False)
        inputs, test_inputs = _channels_first(train.data), _channels_first(test.data)
        for split, pixels, targets in (("train", inputs, train.targets), ("test", test_inputs, test.targets)):
            if len(pixels) != len(targets):
                raise DataError(f"{self.root}: {self.name_of()} {split}: {len(pixels)} images, {len(targets)} labels")
        channels, height, width = inputs.shape[1:]
        if test_inputs.shape[1:] != inputs.shape[1:]:
            raise DataError(
                f"{self.root}: {self.name_of()}: the test images have a different size than the training images"
            )
        return RawDataset(
            train=UnsplitExamples(np.asarray(train.targets, dtype=np.int64), inputs, TRAIN),
            test=UnsplitExamples(np.asarray(test.targets, dtype=np.int64), test_inputs, TEST),
            class_names=[str(name).split(" - ")[0] for name in train.classes],  # MNIST's are "0 - zero"
            image_format=ImageFormat(height, width, "rgb" if channels == 3 else "gray"),
        )

    def _open(self, train: bool) -> Any:
        import torchvision.datasets

        root = Path(self.root)
        folders = (root / self.source / "raw", root / self.source, root)
        made = [folder for folder in folders if look(folder) is None]
        try:
            with warnings.catch_warnings():  # older releases of torchvision unpack archives as Python 3.12 warns of
                warnings.filterwarnings(
                    "ignore", message="Python 3.14 will, by default, filter", category=DeprecationWarning
                )
                return getattr(torchvision.datasets, self.source)(self.root, train=train, download=True)
        except Exception as cause:  # torchvision raises what urllib, tarfile, pickle and its own checks raise
            for folder in made:
                with contextlib.suppress(OSError):  # torchvision may have left files in it, or not created it
                    folder.rmdir()
            needed = " or ".join(f"{self.root}/{name}" for name in self.needs)
            raise DataError(
                f"{self.root}: {self.name_of()} is missing or damaged, and could not be downloaded "
                f"({one_line(cause)}); put {needed} there yourself, or set dataset.root to the folder that holds them"
            ) from cause

    def origin(self, split: str = "train") -> str:
        """Return the folder, the name and the split."""
        return f"{self.root}: {self.name_of()} {split}"


def _channels_first(data: Any) -> Tensor:
    """Convert torchvision's array, `(N, H, W)` or `(N, H, W, 3)`, to uint8 `(N, C, H, W)`."""
    import torch

    pixels = torch.as_tensor(data)
    return pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2).contiguous()


class Mnist(Downloaded):
    """70,000 handwritten digits, 28x28 pixels, grayscale (LeCun et al., 1998)."""

    name: Literal["mnist"] = "mnist"
    source = "MNIST"
    needs = (f"MNIST/{IDX}",)


class FashionMnist(Downloaded):
    """70,000 pieces of clothing, 28x28 pixels, grayscale (Xiao et al., 2017)."""

    name: Literal["fashion_mnist"] = "fashion_mnist"
    source = "FashionMNIST"
    needs = (f"FashionMNIST/{IDX}",)


class Kmnist(Downloaded):
    """70,000 cursive Japanese characters, 28x28 pixels, grayscale (Clanuwat et al., 2018)."""

    name: Literal["kmnist"] = "kmnist"
    source = "KMNIST"
    needs = (f"KMNIST/{IDX}",)


class Cifar10(Downloaded):
    """60,000 photographs of objects in ten classes, 32x32 pixels, color (Krizhevsky, 2009)."""

    name: Literal["cifar10"] = "cifar10"
    source = "CIFAR10"
    needs = ("cifar-10-python.tar.gz", "cifar-10-batches-py/")


class Cifar100(Downloaded):
    """60,000 photographs of objects in 100 classes, 32x32 pixels, color (Krizhevsky, 2009)."""

    name: Literal["cifar100"] = "cifar100"
    source = "CIFAR100"
    needs = ("cifar-100-python.tar.gz", "cifar-100-python/")


class Folder(ImageDataset, UnsplitDataset):
    """A folder of images: root/train/<class>/* and root/test/<class>/*, or root/<class>/* to be split, or
    root/<class>/train/* and root/<class>/test/*; or images that a CSV file lists."""

    name: Literal["folder"] = "folder"
    root: PlacePath
    """The folder, relative to the working directory."""
    labels: PlacePath | None = None
    """CSV file that lists the images and their classes, relative to the working directory: a header, the columns
    `file` (relative to root) and `label`, and if there is a column `split`, `train`, `validation` or `test` in it.
    Default: the folders are the classes."""
    label: str | None = None
    """Column of `labels` that holds the classes. Default: the one called `label`, `class`, `target` or the like, or a
    column of 0 and 1 for each class (one-hot)."""
    classes: Annotated[str, AfterValidator(one_group)] | None = None
    """Regular expression with one group in parentheses, searched for in the path of each image relative to root: the
    text that the group matches is the class, as with `([a-z]+)[.][0-9]+` in `cat.0.jpg`. Default: the folders are the
    classes."""
    size: Size | Annotated[list[Size], Field(min_length=2, max_length=2)] = 32
    """Size in pixels that every image is resized to: one number for a square, or [height, width]."""
    mode: Mode = "rgb"
    """Load images in color (`rgb`) or grayscale (`gray`)."""
    resize: Resize = "squash"
    """How to resize an image of a different aspect ratio."""
    interpolation: Interpolation = "bilinear"
    """How to interpolate between pixels when resizing."""
    crop_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """With `resize: crop`: fraction of the shorter side that is kept; the rest is cut off at the borders."""
    background: str = "white"
    """Color that shows through transparent pixels: a name such as `black`, or `#808080`."""
    validation: Fraction | PlacePath | None = None
    """Fraction of the training images held out for validation; or a folder with one subfolder per class, relative to
    root; or `test`, to evaluate the test split after every epoch and select nothing by it. Default: the folder `val`,
    `valid` or `validation` in root if there is one, else 0.1."""
    test: Fraction = 0.2
    """Fraction of the images held out for testing where root has no `test` folder."""
    value_range: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    """Pixel values mapped to black and white in 16-bit, 32-bit and floating-point grayscale images, such as [0, 4095].
    Default: determined from the whole dataset."""
    group: Annotated[str, AfterValidator(one_group)] | None = None
    """Regular expression with one group in parentheses, searched for in the path of each image relative to root, such
    as `/(patient[0-9]+)_`. Images for which the group matches the same text are kept in one split."""
    on_bad_file: Literal["error", "skip"] = "error"
    """What to do with an image that cannot be read: stop with an error that names it, or skip it and report it. A run
    lists what it skipped, and why, in `skipped.csv`."""
    cache: FilePath = "auto"
    """Where images are kept once they are decoded and resized: `auto`, in the cache folder of the system; a folder,
    which must belong to the user alone; or `off`, to decode each image whenever it is used. Images that fit neither
    there nor into memory are decoded whenever they are used."""
    cache_limit: NumBytes = 20_000_000_000
    """Size of all images in the cache, such as 20 GB; the least recently used are removed."""

    takes_named_validation = True

    @field_validator("background")
    @classmethod
    def _color(cls, value: str) -> str:
        if not is_color(value):
            raise ValueError("a color such as white or #808080")
        return value

    @field_validator("cache", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return "off" if value is False else value

    @field_validator("value_range")
    @classmethod
    def _black_below_white(cls, value: list[float] | None) -> list[float] | None:
        if value is not None and value[0] >= value[1]:
            raise ValueError("two numbers, the smaller first, such as [0, 4095]")
        return value

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Yield errors for a fraction of a crop that is not made, and a validation folder beside a list of images."""
        yield from super().conflicts()
        if self.labels is not None and isinstance(self.validation, str) and self.validation != "test":
            yield "validation", "a folder, but dataset.labels lists the images: name the split in its column split"
        if self.label is not None and self.labels is None:
            yield "label", "the column of a list, but dataset.labels names none; remove it, or name the list"
        if self.classes is not None and self.labels is not None:
            yield "classes", "dataset.labels lists the classes too; remove one of them"
        if self.crop_fraction < 1 and self.resize != "crop":
            yield "crop_fraction", f"found {self.crop_fraction:g} with resize: {self.resize}; set resize: crop"

    def suited_to(self, preprocessing: Preprocessing | None) -> Self:
        """Return the folder with images of the size, crop and normalization of the weights, where that is left open."""
        if preprocessing is None:
            return self
        asked: dict[str, Any] = {
            "size": [preprocessing.height, preprocessing.width],
            "interpolation": preprocessing.interpolation,
            "resize": "crop",
        }
        if self.resize == "crop" or "resize" not in self.model_fields_set:
            asked["crop_fraction"] = preprocessing.crop_fraction
        update = {key: value for key, value in asked.items() if key not in self.model_fields_set}
        return super().suited_to(preprocessing).model_copy(update=update)

    def origin(self, split: str = "train") -> str:
        """Return the folder."""
        return self.root

    def file_of(self, name: str) -> Path | None:
        """Return the image file of an example."""
        return Path(self.root) / name

    def image_format(self) -> ImageFormat:
        """Return the image format given by `size`, `mode`, `resize` and `value_range`."""
        height, width = (self.size, self.size) if isinstance(self.size, int) else self.size
        black, white = self.value_range or (0.0, None)
        return ImageFormat(
            *(height, width, self.mode, self.resize),
            black=black,
            white=white,
            interpolation=self.interpolation,
            crop_fraction=self.crop_fraction,
            background=self.background,
        )

    def as_trained(self, transform: Transform) -> Self:
        """Return the same folder with the pixel range that the run used for 16-bit, 32-bit and float images."""
        image_format = transform.image_format
        if image_format is None or image_format.white is None:
            return self
        return self.model_copy(update={"value_range": [image_format.black, image_format.white]})

    def read(self, seed: int) -> RawDataset:
        """List the files; they are decoded once the splits are drawn.

        Raises:
            DataError: There is no such folder, no class, an empty class, or a test class without training images.
        """
        root = self._existing_root()
        named = self.validation if isinstance(self.validation, str) and self.validation != "test" else None
        if self.classes is not None:
            layout = named_layout(root, self.classes)
        elif self.labels is None:
            layout = find_layout(root, named)
        else:
            layout = labeled_layout(root, Path(self.labels), self.label, skip_missing=self.on_bad_file == "skip")
        if self.validation is not None and named is None and "validation" in layout.splits:
            layout.notes.append(
                f"{layout.splits.pop('validation').root}: its validation images are not used, since dataset.validation "
                f"is {self.validation}; remove that option to use them"
            )
        return self._source(root, layout)

    def read_labeled(self, class_names: list[str], seed: int) -> RawDataset:
        """List the files of the classes that a network knows; see `find_labeled` and `labeled_layout`."""
        root, skips = self._existing_root(), self.on_bad_file == "skip"
        if self.classes is not None:
            return self._source(root, named_layout(root, self.classes, needs_train=False))
        if self.labels is None:
            return self._source(root, find_labeled(root, class_names))
        layout = labeled_layout(root, Path(self.labels), self.label, skip_missing=skips, needs_train=False)
        return self._source(root, layout)

    def _source(self, root: Path, layout: Layout) -> RawDataset:
        """Return the images of a layout, which are decoded once the splits are drawn."""
        options = CacheOptions(self.cache, self.cache_limit)
        reader = Reader(self.image_format(), root, options, is_limited=self.limit is not None)
        reader.unread |= layout.missing
        pools = {name: self._grouped(reader.pool(split)) for name, split in layout.splits.items()}
        return RawDataset(
            train=pools["train"],
            test=pools.get("test"),
            validation=pools.get("validation"),
            class_names=layout.class_names,
            image_format=reader.image_format,
            notes=layout.notes,
            finish=partial(self._finish, reader),
        )

    def suspected_groups(self, splits: Splits) -> Iterator[SuspectedGroups]:
        """Yield groups of files whose names differ only in a last number or letter, if `group` is not set."""
        names = {split: examples.all_names() for split, examples in parts_of(splits).items()}
        found = None if self.group is not None else groups_of_names(names, splits.class_names)
        yield from () if found is None else (found,)

    def _grouped(self, images: UnsplitExamples) -> UnsplitExamples:
        """Return images with their groups, if the config has a pattern for them."""
        import torch

        if self.group is None:
            return images
        return replace(images, groups=groups_in(images.names.of(torch.arange(len(images.targets))), self.group))

    def _existing_root(self) -> Path:
        root = Path(self.root)
        if not is_folder(root):
            raise DataError(f"{root}: no such folder (dataset.root); expected train/<class>/* or <class>/*")
        return root

    def _finish(self, reader: Reader, source: RawDataset) -> RawDataset:
        """Report unreadable files, and complete the image format, once everything is read."""
        if self.on_bad_file == "error":
            reader.refuse_unread()
        notes = [*source.notes, *reader.notes()]
        return replace(source, image_format=reader.image_format, notes=notes, skipped=reader.skipped())

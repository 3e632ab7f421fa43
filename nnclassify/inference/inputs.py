"""Read a user's inputs as raw tensors: files, values, images, arrays, rows of numbers, data frames."""

from __future__ import annotations

import csv
import itertools
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nnclassify.data.array_names import array_names, named_pair
from nnclassify.data.images.image_listing import list_images, passed_over
from nnclassify.data.images.image_reading import Decoded, decode_images, frames_note, ignore_warnings
from nnclassify.data.tables.csv_inputs import inputs_of, listed, numbers_of
from nnclassify.data.tables.csv_rows import CsvFormat, TextRows, as_number
from nnclassify.data.tables.encoding import NumberColumn
from nnclassify.data.tables.frames import FrameRows, text_of
from nnclassify.data.tables.table_files import open_table
from nnclassify.data.tensor_files import as_tensor, load_tensor, npy_array
from nnclassify.data.transform import Transform
from nnclassify.errors import DataError, InputError, one_line
from nnclassify.files.images.image_depth import OVERSHOOT
from nnclassify.files.images.image_format import MAX_PIXELS, ImageFormat
from nnclassify.files.paths import is_folder, is_regular, why_no_file

Note = Callable[[str], object]

INPUTS_AT_ONCE, VALUES_AT_ONCE = 1000, 2**26
"""Limits of a batch: the number of inputs, and of their values (64 MB as bytes, 256 MB as floats)."""
TENSOR_FILES = (".pt", ".pth", ".npy", ".npz")
EXPECTED = "expected paths, PIL images, arrays, rows of numbers or a data frame"


@dataclass(frozen=True)
class RawInput:
    """One input: a raw tensor of the network's input shape, or the reason why it could not be read.

    Attributes:
        name: The name of the input.
        values: The tensor, or None.
        error: The reason, or None.
        file: The image file, if it is one.
    """

    name: str
    values: Tensor | None = None
    error: str | None = None
    file: Path | None = None


@dataclass(frozen=True)
class FileContent:
    """A file in memory: an image, a CSV file, or an .npy file, by what the network takes.

    Attributes:
        name: Its name in results and messages; no file is looked up by it.
        content: Its bytes.
        max_pixels: A larger image is an error.
    """

    name: str
    content: bytes
    max_pixels: int = MAX_PIXELS


def at_once(shape: tuple[int, ...]) -> int:
    """Return the batch size for inputs of a shape."""
    return max(1, min(INPUTS_AT_ONCE, VALUES_AT_ONCE // math.prod(shape)))


def items_of(inputs: object) -> Iterator[tuple[str, object]]:
    """Yield each item with its name: `inputs[2]`, or `inputs` for a single item.

    A path, an image, an array, a data frame and a row of numbers are single items; any other iterable contains items.

    Raises:
        InputError: An item is of an unsupported type.
    """
    if _is_item(inputs):
        yield "inputs", inputs
        return
    if isinstance(inputs, dict | bytes | bytearray | memoryview) or not isinstance(inputs, Iterable):
        raise InputError(f"inputs: found {_kind(inputs)}; {EXPECTED}")
    items = list(inputs)
    if items and all(isinstance(item, Real) for item in items):
        yield "inputs", items
        return
    for place, item in enumerate(items):
        if not (_is_item(item) or isinstance(item, list | tuple)):
            raise InputError(f"inputs[{place}]: found {_kind(item)}; {EXPECTED}")
        yield f"inputs[{place}]", item


def _is_item(item: object) -> bool:
    is_object = isinstance(item, Image.Image | torch.Tensor | FileContent) or _is_frame(item)
    return is_object or _is_path(item) or (hasattr(item, "__array__") and not _holds_paths(item))


def _is_path(item: object) -> bool:
    return isinstance(item, str | os.PathLike)


def _is_frame(item: object) -> bool:
    """Return whether an item is a table with named columns, from any library."""
    return hasattr(item, "columns") and hasattr(item, "__array__")


def _holds_paths(item: Any) -> bool:
    """Return whether an item is an array of paths, or a column of a table with paths."""
    array = np.asarray(item)
    return array.ndim == 1 and array.dtype.kind in "OU" and len(array) > 0 and all(map(_is_path, array.tolist()))


def _kind(item: object) -> str:
    return "None" if item is None else f"a {type(item).__name__}"


@dataclass(frozen=True)
class InputReader:
    """Reads inputs as raw tensors for a network.

    Attributes:
        transform: The transform of the network.
        written: The format of the CSV file that the network was trained on.
        note: Called with a line for each file that is not an image, and for each image with further frames.
        found: Called with the number of examples of an item before the first of them is read, if it is known.
        expected: Columns of the training file that are no inputs; others of a table are noted where they are ignored.
        identifier: The column of a table that names its rows.
    """

    transform: Transform
    written: CsvFormat
    note: Note
    found: Callable[[int], object] = lambda count: None
    expected: Sequence[str] = ()
    identifier: str | None = None
    noted: set[str] = field(default_factory=set)

    def read(self, name: str, item: Any) -> Iterator[RawInput]:
        """Yield the examples of one item; one that cannot be read becomes a `RawInput` with an `error`.

        Args:
            name: The name of the item in results; paths name themselves.
            item: See `items_of`.
        """
        try:
            if _is_path(item):
                yield from self._named(os.fspath(item))
            elif isinstance(item, FileContent):
                yield from self._content(item)
            elif isinstance(item, Image.Image):
                yield RawInput(name, self._image(name, item))
            elif isinstance(item, FrameRows) or _is_frame(item):
                yield from self._rows(item if isinstance(item, FrameRows) else FrameRows.of(name, item))
            elif self.transform.encoder is not None:
                yield from self._cells(item.numpy(force=True) if isinstance(item, Tensor) else item, name)
            else:
                yield from self._tensor(_tensor_of(item, name), name, is_file=False)
        except (InputError, DataError) as error:
            yield RawInput(name if not _is_path(item) else str(item), error=str(error))

    def _named(self, item: str) -> Iterator[RawInput]:
        """Read what a user names in text: a file, a folder, or values."""
        if not item.strip():
            raise InputError(f"{item!r}: an empty text; this network takes {self._takes()}")
        path = Path(item)
        if path.suffix.lower() in TENSOR_FILES or ".npz:" in item.lower():
            content = load_tensor(_inputs_in(item))
            is_table = self.transform.encoder is not None
            yield from self._cells(content.numpy(), item) if is_table else self._tensor(content, item)
        elif self.transform.image_format is not None:
            yield from self._images(path, self.transform.image_format)
        elif _is_file(path):
            self._refuse_image(path)
            yield from self._rows(self._opened(path))
        else:
            yield RawInput(item, self._values(item))

    def _content(self, file: FileContent) -> Iterator[RawInput]:
        """Read a file in memory."""
        image_format = self.transform.image_format
        if image_format is not None:
            decoded = image_format.decode(file.name, file.content, file.max_pixels)
            for text in frames_note([Path(file.name)] * decoded.has_frames):
                self.note(text)
            yield RawInput(file.name, _raw_pixels(decoded.pixels, image_format))
        elif len(self.transform.input_shape) == 1:
            self._refuse_image(Path(file.name))
            yield from self._rows(self._opened(Path(file.name), file.content))
        else:
            array = npy_array(file.content, file.name)
            yield from self._tensor(_tensor_of(array, file.name), file.name)

    def _images(self, path: Path, image_format: ImageFormat) -> Iterator[RawInput]:
        paths = _image_paths(path, self.note)
        self.found(len(paths))
        for batch, decoded in _decoded(iter(paths), image_format):
            for text in frames_note([batch[row] for row in decoded.facts.frames]):
                self.note(text)
            raw = _raw_pixels(decoded.pixels, image_format)
            for row, file in enumerate(batch):
                error = decoded.facts.errors.get(row)
                yield RawInput(str(file), None if error else raw[row], error, file)

    def _image(self, name: str, image: Image.Image) -> Tensor:
        image_format = self.transform.image_format
        if image_format is None:
            raise self._no_images(name)
        ignore_warnings()
        return _raw_pixels(image_format.decode_image(image, name), image_format)

    def _refuse_image(self, file: Path) -> None:
        """Raise an error for an image where values are expected, instead of reading its bytes as text."""
        if file.suffix.lower() in Image.registered_extensions():
            raise self._no_images(str(file))

    def _no_images(self, name: str) -> InputError:
        return InputError(f"{name}: an image; this network takes {self._takes()}")

    def _takes(self) -> str:
        shape, transform = self.transform.input_shape, self.transform
        values = f"{transform.num_columns} values{listed(transform.columns)}"
        return values if len(shape) == 1 else f"tensors of shape {shape}"

    def _tensor(self, inputs: Tensor, item: str, *, is_file: bool = True) -> Iterator[RawInput]:
        if inputs.is_complex() or inputs.dtype == torch.uint64:
            raise InputError(f"{item}: {inputs.dtype}; expected real numbers, such as uint8 or float32")
        if inputs.dtype in (torch.uint16, torch.uint32):
            inputs = inputs.long()  # torch supports few operations on these types
        of_images = self.transform.image_format is not None
        hint = "; image files and PIL images may be of any size" if of_images else ""
        inputs, is_batch = _shaped(inputs, self.transform.input_shape, item, hint)
        self.found(len(inputs))
        is_finite = inputs.reshape(len(inputs), -1).isfinite().all(dim=1)
        image_format = self.transform.image_format
        if image_format is not None and is_finite.any():
            inputs = _in_units(inputs, is_finite, image_format.max_value, item)
        for row, (values, is_sound) in enumerate(zip(inputs, is_finite.tolist(), strict=True)):
            name = f"{item}[{row}]" if is_batch or is_file else item
            yield RawInput(name, values) if is_sound else RawInput(name, error=f"{name}: holds NaN or infinity")

    def _opened(self, path: Path, content: bytes | None = None) -> TextRows:
        """Open a table, which need not be written like the training file."""
        transform = self.transform
        encoded = transform.encoder.columns if transform.encoder is not None else ()
        texts = [column.name for column in encoded if not isinstance(column, NumberColumn)]
        names, width = transform.columns or (), transform.num_columns
        table, _, notes = open_table(path, self.written, (), names, texts, width=width, content=content)
        for text in notes:
            self.note(text)
        return table

    def _rows(self, rows: TextRows) -> Iterator[RawInput]:
        """Read the rows of a data frame, of a Parquet file, or of a CSV file."""
        self._check_flat(rows.where())
        transform = self.transform
        encoder, note = transform.encoder, self._note_once
        named = (self.expected, self.identifier)
        for name, numbers in inputs_of(rows, transform.columns, transform.num_columns, encoder, note, *named):
            if isinstance(numbers, DataError):
                yield RawInput(name, error=str(numbers))
            else:
                yield RawInput(name, torch.tensor(numbers, dtype=torch.float64))

    def _cells(self, item: Any, name: str) -> Iterator[RawInput]:
        """Read an array of one example or several, of numbers and texts, as a table without names."""
        cells = np.asarray(item, dtype=object)
        is_batch, expected = cells.ndim == 2, self.transform.num_columns
        if cells.ndim not in (1, 2) or cells.shape[-1] != expected:
            raise InputError(
                f"{name}: shape {cells.shape}; this network takes (N, {expected}){listed(self.transform.columns)}"
            )
        for row, values in enumerate(cells if is_batch else cells[None]):
            where = f"{name}[{row}]" if is_batch else name
            try:
                yield RawInput(where, self._encoded([text_of(value) for value in values], where, "."))
            except DataError as error:
                yield RawInput(where, error=str(error))

    def _encoded(self, texts: Sequence[str], where: str, decimal: str) -> Tensor:
        encoder = self.transform.encoder
        if encoder is None:
            numbers = numbers_of(texts, self.transform.columns, where, decimal)
        else:
            numbers = encoder.row(texts, where, decimal, self._note_once)
        return torch.tensor(numbers, dtype=torch.float64)

    def _note_once(self, text: str) -> None:
        """Note what may be said of thousands of rows."""
        if text not in self.noted:
            self.noted.add(text)
            self.note(text)

    def _check_flat(self, where: str) -> None:
        shape = self.transform.input_shape
        if len(shape) != 1:
            raise InputError(f"{where}: this network takes tensors of shape {shape}; give a .pt or .npy file")

    def _values(self, item: str) -> Tensor:
        """Read values separated by commas, or written as in the training file."""
        self._check_flat(item)
        names, num_columns = self.transform.columns, self.transform.num_columns
        as_file = self.written.delimiter in item
        texts = _split(item, self.written.delimiter if as_file else ",")
        decimal = self.written.decimal if as_file else "."
        if len(texts) != num_columns:
            if len(texts) == 1 and as_number(item, decimal) is None:
                what = why_no_file(Path(item))
                raise InputError(
                    f"{item}: {what}, and not a list of values; this network takes {num_columns} values{listed(names)}"
                )
            raise InputError(f"{item}: {len(texts)} values; this network takes {num_columns}{listed(names)}")
        return self._encoded(texts, item, decimal)


def _inputs_in(item: str) -> str:
    """Return a tensor file, or the array of inputs in an .npz file that also holds targets."""
    is_archive = item.lower().endswith(".npz") and is_regular(Path(item))
    pair = named_pair(array_names(item)) if is_archive else None
    return item if pair is None else f"{item}:{pair[0]}"


def _split(item: str, delimiter: str) -> list[str]:
    """Return the values of a line; a value in quotes may contain the delimiter."""
    if '"' not in item or "\n" in item:
        return item.split(delimiter)
    return next(csv.reader([item], delimiter=delimiter, skipinitialspace=True))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # hundreds of values are too long for a file name
        return False


def _raw_pixels(pixels: np.ndarray[Any, np.dtype[np.uint8]], image_format: ImageFormat) -> Tensor:
    """Convert decoded images to the range that the network was trained on: uint8, or floats in 0..1."""
    raw = torch.from_numpy(np.require(pixels, requirements=["C", "W"]))
    return raw.float() / 255 if image_format.max_value == 1 else raw


def _image_paths(path: Path, note: Note) -> Sequence[Path]:
    """List an image, or all images in a folder."""
    if is_regular(path):
        return [path]
    if not is_folder(path):
        raise InputError(f"{path}: {why_no_file(path)}; expected an image or a folder of images")
    listing = list_images(path)
    for text in passed_over([listing]):
        note(text)
    if not listing.paths:
        raise InputError(f"{path}: an empty folder; expected images")
    return listing.paths


def _decoded(paths: Iterator[Path], image_format: ImageFormat) -> Iterator[tuple[list[Path], Decoded]]:
    """Yield decoded images in batches, in order; the next batch is decoded while one is used."""
    most = at_once((1, *image_format.shape()))
    with ThreadPoolExecutor(1) as ahead:
        waiting: deque[tuple[list[Path], Future[Decoded]]] = deque()
        while True:
            if batch := list(itertools.islice(paths, most)):
                waiting.append((batch, ahead.submit(decode_images, batch, image_format)))
            if not waiting:
                return
            if len(waiting) > 1 or not batch:
                done, decoding = waiting.popleft()
                yield done, decoding.result()


def _tensor_of(item: Any, name: str) -> Tensor:
    """Convert an array, a tensor or rows of numbers to a tensor on the CPU, sharing memory where possible."""
    if isinstance(item, Tensor):
        return item.detach().cpu().to_dense().resolve_conj().resolve_neg()
    try:
        array = np.require(item, requirements=["C", "W"])  # torch warns about read-only arrays
        return as_tensor(array.astype(np.float64) if array.dtype == np.longdouble else array, name)
    except (TypeError, ValueError) as cause:
        raise InputError(f"{name}: not an array of numbers ({one_line(cause)}); {EXPECTED}") from cause


def _shaped(inputs: Tensor, shape: tuple[int, ...], item: str, hint: str) -> tuple[Tensor, bool]:
    """Return inputs as `(N, *shape)`, and whether they were a batch; `hint` ends the message about another shape.

    Images may have their channels last; gray images may lack the channel axis.
    """
    found = tuple(inputs.shape)
    if inputs.numel() == 0:
        raise InputError(f"{item}: found no examples (shape {found}), expected at least one")
    for candidate, is_batch in ((inputs, True), (inputs[None], False)):
        for turned in _arrangements(candidate, shape):
            if tuple(turned.shape[1:]) == shape:
                return turned, is_batch
    raise InputError(f"{item}: shape {found}; this network takes (N, {', '.join(map(str, shape))}){hint}")


def _arrangements(inputs: Tensor, shape: tuple[int, ...]) -> Iterator[Tensor]:
    """Yield the possible layouts of inputs `(N, ...)`: as given, channels last, without a channel axis."""
    yield inputs
    if inputs.ndim == 4:
        yield inputs.permute(0, 3, 1, 2)
    if inputs.ndim == 3 and len(shape) == 3:
        yield inputs[:, None]


def _in_units(inputs: Tensor, is_finite: Tensor, white: int, item: str) -> Tensor:
    """Scale images to the range that the network was trained on: 0..255 or 0..1.

    Integers are in 0..255, booleans and floats up to 1 in 0..1, as those that are finite say. Floats may lie slightly
    outside of the range, which resizing can cause.
    """
    sound = inputs if is_finite.all() else inputs[is_finite]
    low, high = float(sound.min()), float(sound.max())
    is_share = high <= 1 + OVERSHOOT if inputs.is_floating_point() else inputs.dtype == torch.bool
    own = 1 if is_share else 255
    if low < -OVERSHOOT * high or high > (1 + OVERSHOOT) * own:
        raise InputError(f"{item}: values from {low:g} to {high:g}; this network takes images in 0..{white}")
    return inputs if own == white else inputs.float() * (white / own)

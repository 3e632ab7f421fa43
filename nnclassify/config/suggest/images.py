"""A folder of images: what it holds, and a CNN that suits it."""

from __future__ import annotations

import hashlib
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnclassify.config.suggest.document import Entry, Suggestion
from nnclassify.config.suggest.recipe import IMAGE_STEPS, Recipe, loss_entries, recipe_for
from nnclassify.data.images.folder_checks import where_classes_may_be
from nnclassify.data.images.image_folders import Layout, find_layout
from nnclassify.data.images.image_labels import label_file, labeled_layout, named_layout
from nnclassify.data.images.image_listing import subfolders
from nnclassify.data.images.image_reading import read_each
from nnclassify.data.images.path_groups import one_group
from nnclassify.data.splitting import counts_of
from nnclassify.errors import DataError, InputError, counted, some
from nnclassify.files.images.image_depth import GRAY_MODES, is_deep, values_of
from nnclassify.files.images.image_format import look_at

if TYPE_CHECKING:
    from PIL import Image

MAX_OPENED = 20_000
"""Files that are opened; of a larger folder, every n-th one is."""
SMALL = 64
"""Pixels: images that all have the same size up to this one are not resized."""
SIDES = (128, 96, 64, 48, 32)
"""Sizes in pixels to choose from otherwise."""
TEST, VALIDATION = 0.2, 0.1


@dataclass
class ImageFacts:
    """What the files of a folder are.

    Attributes:
        num_files: All images.
        num_opened: Those that were opened.
        sizes: Height and width of each that could be read.
        modes: Pillow's mode of each.
        formats: The file format of each.
        unreadable: What is wrong with those that could not be read.
        copies: Groups of files with the same bytes.
        masks: Files such as `1_mask.png` next to `1.png`.
    """

    num_files: int
    num_opened: int = 0
    sizes: list[tuple[int, int]] = field(default_factory=list)
    modes: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    unreadable: dict[Path, str] = field(default_factory=dict)
    copies: list[list[Path]] = field(default_factory=list)
    masks: list[Path] = field(default_factory=list)

    @property
    def is_gray(self) -> bool:
        """Whether no image has color."""
        return bool(self.modes) and set(self.modes) <= GRAY_MODES

    def median_size(self) -> tuple[int, int]:
        """Return the median height and width."""
        heights, widths = zip(*self.sizes, strict=True)
        return int(statistics.median(heights)), int(statistics.median(widths))


def suggest_for_folder(
    root: str, name: str, labels: Path | None = None, label: str | None = None, classes: str | None = None
) -> Suggestion:
    """Look at a folder of images, and suggest a config.

    Args:
        root: The folder.
        name: The name of the runs.
        labels: A table that lists the images with their classes. Default: the only one in a folder without classes.
        label: Its column of classes. Default: see `Folder.label`.
        classes: The pattern of the class in the path of each image; None: paths do not tell it.

    Raises:
        DataError: It is no folder of classes.
        InputError: No image in it can be read, or there is a label but no list.
    """
    labels = labels or (label_file(Path(root), label) if classes is None else None)
    layout = _layout_of(Path(root), labels, label, classes)
    _refuse_one_class(Path(root), layout, labels)
    paths = [path for split in layout.splits.values() for path in split.paths]
    facts = image_facts(paths)
    if not facts.sizes:
        first = next(iter(facts.unreadable.values()), "no file")
        raise InputError(f"{root}: none of the {facts.num_opened} images can be read; the first: {first}")
    train = layout.splits["train"]
    counts = counts_of(train.targets, len(layout.class_names)).tolist()
    channels = 1 if facts.is_gray else 3
    held_out = (0.0 if "test" in layout.splits else TEST) + (0.0 if "validation" in layout.splits else VALIDATION)
    num_train = max(1, int(len(train.paths) * (1 - held_out)))
    for size in _sizes_for(facts):
        height, width = (size, size) if isinstance(size, int) else size
        blocks, recipe = suggested_blocks(num_train, channels, height, width)
        if not recipe.is_slow:
            break
    places = [
        Entry("root", root),
        *([] if labels is None else [Entry("labels", str(labels), "lists the images and their classes")]),
        *([] if label is None else [Entry("label", label)]),
        *([] if classes is None else [Entry("classes", classes, "the class in the path of each image")]),
    ]
    entries = [
        Entry("dataset", _dataset_entries(places, layout, facts, size)),
        Entry("model", cnn_entries(blocks, height, width)),
        *loss_entries(counts),
        *recipe.entries(),
    ]
    return Suggestion(name, _found(root, layout, facts, counts), entries)


def _layout_of(root: Path, labels: Path | None, label: str | None, classes: str | None) -> Layout:
    """Return the splits and classes of a folder: see `suggest_for_folder`."""
    if classes is not None:
        try:
            pattern = one_group(classes)
        except ValueError as cause:
            raise InputError(f"dataset.classes: found {classes!r}, expected {cause}") from cause
        return named_layout(root, pattern)
    if labels is not None:
        return labeled_layout(root, labels, label, skip_missing=False)
    if label is not None:
        raise InputError(
            f"{root}: --label {label}: no list of images with such a column; only the file of dataset.labels, or a "
            "table, has a label column: folder names are the classes"
        )
    return find_layout(root, None)


def _refuse_one_class(root: Path, layout: Layout, labels: Path | None) -> None:
    """Refuse a folder with one class, and name what may tell the classes, which the reader would not name."""
    if len(layout.class_names) > 1 or labels is not None:
        return
    only = layout.class_names[0]
    if beside := where_classes_may_be(root, *(path for path in subfolders(root) if path.name == only)):
        raise DataError(f"{root}: only one class ({only}); expected at least two classes{beside}")


def validation_entry(num_train: float) -> Entry:
    """Return the validation split: a fraction of the training examples, none where that is less than one."""
    if round(VALIDATION * num_train) < 1:
        return Entry("validation", 0, "too few examples to hold some out")
    return Entry("validation", VALIDATION, "fraction of the training examples; selects the best epoch")


def image_facts(paths: Sequence[Path]) -> ImageFacts:
    """Open images, as many as `MAX_OPENED`, and compare the bytes of all files of the same size."""
    opened = list(paths[:: -(-len(paths) // MAX_OPENED) or 1])
    facts = ImageFacts(len(paths), len(opened))
    for path, found in zip(opened, read_each(opened, partial(look_at, look=_size_mode_format)), strict=True):
        if isinstance(found, InputError):
            facts.unreadable[path] = str(found)
            continue
        size, mode, kind = found
        facts.sizes.append(size)
        facts.modes[mode] += 1
        facts.formats[kind] += 1
    facts.copies, facts.masks = copies(paths), masks(opened)
    return facts


def _size_mode_format(image: Image.Image) -> tuple[tuple[int, int], str, str]:
    """Height and width, mode and format, once the whole file has been decoded: a truncated one fails, as does NaN."""
    size, mode = (image.height, image.width), image.mode
    image.draft(image.mode, (32, 32))  # lets JPEG decode at a fraction of its size
    image.load()
    if is_deep(image):
        values_of(image)  # NaN is an error
    return size, mode, image.format or "unknown format"


def masks(paths: Sequence[Path]) -> list[Path]:
    """Return the files that are named after another one in their folder, with `_mask` behind its name."""
    names = {path.with_suffix("") for path in paths}
    found = ((path, _MASK.fullmatch(path.stem)) for path in paths)
    return [path for path, match in found if match is not None and path.with_name(match[1]) in names]


_MASK = re.compile(r"(.+)[_-](?:mask|segmentation)(?:_\d+)?", re.I)


def copies(paths: Iterable[Path]) -> list[list[Path]]:
    """Return groups of files with the same content, each in the order of the paths."""
    by_size: dict[int, list[Path]] = {}
    for path in paths:
        if path.is_file():
            by_size.setdefault(path.stat().st_size, []).append(path)
    groups: dict[tuple[int, bytes], list[Path]] = {}
    for size, same_size in by_size.items():
        for path in same_size if len(same_size) > 1 else ():
            try:
                digest = hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
            except OSError:
                continue  # it is named among the files that cannot be read
            groups.setdefault((size, digest), []).append(path)
    return [group for group in groups.values() if len(group) > 1]


def _sizes_for(facts: ImageFacts) -> list[int | list[int]]:
    """Sizes to resize to, the best first: the images' own if it is small and the same, else common ones below it."""
    if len(set(facts.sizes)) == 1 and max(facts.sizes[0]) <= SMALL:
        height, width = facts.sizes[0]
        return [height if height == width else [height, width]]
    shorter = min(facts.median_size())
    return [side for side in SIDES if side <= shorter] or [SIDES[-1]]


def suggested_blocks(num_examples: int, channels: int, height: int, width: int) -> tuple[list[dict[str, Any]], Recipe]:
    """Return the convolutional blocks for images `(C, H, W)`, narrower ones where training would take too long."""
    for first_channels in (32, 16):
        blocks = _blocks(height, width, first_channels)
        recipe = recipe_for(num_examples, _multiply_adds(blocks, channels, height, width), IMAGE_STEPS)
        if not recipe.is_slow:
            break
    return blocks, recipe


def _blocks(height: int, width: int, channels: int) -> list[dict[str, Any]]:
    """Convolutional blocks that halve the image down to about 4 pixels a side, and double the channels."""
    blocks: list[dict[str, Any]] = [{"channels": channels, "kernel": 3, "padding": "same"}]
    side = min(height, width)
    while side >= 8 and len(blocks) < 6:
        side //= 2
        blocks[-1]["pool"] = "max"
        channels = min(256, channels * 2)
        blocks.append({"channels": channels, "kernel": 3, "padding": "same"})
    return blocks


def _multiply_adds(blocks: list[dict[str, Any]], channels: int, height: int, width: int) -> float:
    """Multiplications of the convolutions for one image `(C, H, W)`."""
    total = 0
    for block in blocks:
        total += height * width * 9 * channels * block["channels"]
        channels = block["channels"]
        if "pool" in block:
            height, width = height // 2, width // 2
    return total


def _dataset_entries(places: Sequence[Entry], layout: Layout, facts: ImageFacts, size: int | list[int]) -> list[Entry]:
    side = min(size) if isinstance(size, list) else size
    median = "x".join(map(str, facts.median_size()[::-1]))
    is_own = len(set(facts.sizes)) == 1 and size in (facts.sizes[0][0], list(facts.sizes[0]))
    entries = [
        Entry("name", "folder"),
        *places,
        Entry("size", size, "the size of all images" if is_own else f"pixels; the median image is {median}"),
        Entry("mode", "gray" if facts.is_gray else "rgb"),
    ]
    num_train = len(layout.splits["train"].paths)
    if "validation" not in layout.splits:
        for_test = 0 if "test" in layout.splits else TEST * num_train
        counts = counts_of(layout.splits["train"].targets, len(layout.class_names))
        spare = int((counts - 1).clip(0).sum()) - round(for_test)  # each class keeps one
        entries.append(validation_entry(num_train - for_test if spare > 0 else 0))
    if "test" not in layout.splits:
        entries.append(Entry("test", TEST, "fraction of all images; reported at the end, selects nothing"))
    if facts.unreadable:
        entries.append(Entry("on_bad_file", "skip", f"{counted(len(facts.unreadable), 'file')} cannot be read"))
    elif facts.num_opened < facts.num_files:
        entries.append(Entry("on_bad_file", "skip", f"{facts.num_opened:,} of {facts.num_files:,} images were opened"))
    augment: dict[str, Any] = {"crop": max(1, side // 16)} if side > 1 else {}
    if not facts.is_gray:
        augment["flip"] = True
    if augment:
        comment = "" if facts.is_gray else "flip: remove if left and right differ in meaning"
        entries.append(Entry("augment", augment, comment))
    return entries


def cnn_entries(blocks: list[dict[str, Any]], height: int, width: int) -> list[Entry]:
    """Return the model section of a CNN with these blocks."""
    entries = [Entry("name", "cnn"), Entry("blocks", blocks)]
    if min(height, width) > 40:
        return [*entries, Entry("head", "average"), Entry("hidden", [128]), Entry("dropout", 0.2)]
    return [*entries, Entry("hidden", [128]), Entry("dropout", 0.3)]


def _found(root: str, layout: Layout, facts: ImageFacts, counts: Sequence[int]) -> list[str]:
    classes = some([f"{name} {count:,}" for name, count in zip(layout.class_names, counts, strict=True)], 10)
    num_files = {name: len(split.paths) for name, split in layout.splits.items()}
    own = [f"{num_files[name]:,} for {name}" for name in ("validation", "test") if name in num_files]
    noun = "files" if facts.unreadable else "images"
    beside = f", and {' and '.join(own)}" if own else ""
    lines = [f"{root}: {counted(len(layout.class_names), 'class')}, {num_files['train']:,} {noun}{beside}: {classes}"]
    heights, widths = zip(*facts.sizes, strict=True)
    smallest, largest = min(facts.sizes), max(facts.sizes)
    sizes = f"{smallest[1]}x{smallest[0]} pixels"
    if smallest != largest:
        sizes = f"{min(widths)} to {max(widths)} pixels wide and {min(heights)} to {max(heights)} high"
    share = "" if facts.num_opened == facts.num_files else f" (of {facts.num_opened:,} that were opened)"
    lines.append(f"{root}: {sizes}; {_listed(facts.formats)}; {_listed(facts.modes)}{share}")
    if facts.unreadable:
        unreadable = (
            f"{counted(len(facts.unreadable), 'file')} cannot be read as an image ({some([*facts.unreadable])})"
        )
        lines.append(f"{root}: {unreadable}; skipped")
    if facts.masks:
        masks = f"{counted(len(facts.masks), 'file')} named like masks of the images next to them"
        lines.append(f"{root}: {masks} ({some([*facts.masks])}): used as images; if they are masks, move them away")
    if facts.copies:
        named = some([" = ".join(str(path.relative_to(root)) for path in group) for group in facts.copies], 5)
        lines.append(f"{root}: {counted(len(facts.copies), 'group')} of identical files ({named}); keep one of each")
    return lines


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common())

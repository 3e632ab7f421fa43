"""Images that are dark, light, blank, blurred, or of another size or shape than the others.

What is measured, and the limits, are those of cleanvision (Apache License 2.0), so that both say the same of the same
files; a test compares them. Images of files are measured as the files hold them, others as the dataset gives them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnclassify.data.images.image_reading import read_each
from nnclassify.diagnosis.audit.flags import Flag, Found
from nnclassify.diagnosis.audit.material import Material
from nnclassify.diagnosis.audit.pages import POOR_IMAGES
from nnclassify.diagnosis.findings import Evidence, Finding
from nnclassify.errors import counted, some
from nnclassify.files.images.image_depth import GRAY_MODES
from nnclassify.files.images.image_format import look_at

if TYPE_CHECKING:
    from PIL import Image

DARK, LIGHT, BLANK, BLURRED, ODD_SHAPE = 0.32, 0.05, 0.3, 0.29, 0.35
"""Scores from 0 to 1 below which an image is flagged."""
LONG_SIDE = 64
"""Side in pixels at which blur is measured."""
ODD_SIZE = 3.0
"""Interquartile ranges beyond the quartiles of the sizes."""
FLAT = 0.18
USUAL = 0.5
"""Where more than this share of the images has a fault, such as a black background, it is how these images are."""


@dataclass(frozen=True)
class ImageFacts:
    """What is measured of an image.

    Attributes:
        side: Root of its number of pixels.
        scores: By kind, from 0 (bad) to 1.
    """

    side: float
    scores: dict[str, float]


def image_quality(material: Material) -> Found:
    """Find them. What most images are is no fault of one of them."""
    facts = _facts(material)
    rows = sorted(facts)
    scores = {kind: np.array([facts[row].scores[kind] for row in rows]) for kind in LIMITS}
    is_odd = {kind: scores[kind] < limit for kind, limit in LIMITS.items()}
    sides = np.array([facts[row].side for row in rows])
    scores["odd_size"] = _usual_size(sides)
    is_odd["odd_size"] = scores["odd_size"] < 1
    found: dict[str, list[Flag]] = {}
    notes = []
    for kind, odd in is_odd.items():
        if odd.mean() > USUAL:
            notes.append(f"most images are {kind.replace('_', ' ')}, so this is not reported")
            continue
        order = np.argsort(scores[kind], kind="stable")
        flags = [Flag(kind, rows[place], 1 - float(scores[kind][place])) for place in order.tolist() if odd[place]]
        found |= {kind: flags} if flags else {}
    flags = [flag for of_kind in found.values() for flag in of_kind]
    text = some([f"{len(of_kind):,} {kind.replace('_', ' ')}" for kind, of_kind in found.items()], len(is_odd))
    number = len({flag.row for flag in flags})
    evidence = Evidence(f"{counted(number, 'image')}: {text}", number / max(1, len(rows)), 0.0)
    return Found([Finding(POOR_IMAGES, "note", evidence, path="dataset")] if flags else [], flags, notes)


LIMITS = {"dark": DARK, "light": LIGHT, "blank": BLANK, "blurred": BLURRED, "odd_shape": ODD_SHAPE}


def _usual_size(sides: np.ndarray) -> np.ndarray:
    """Return 1 for each usual size, else how far it is beyond the fences, toward 0."""
    low, high = np.quantile(sides, [0.25, 0.75])
    fence = ODD_SIZE * (high - low)
    beyond = np.maximum(np.maximum(low - fence - sides, sides - high - fence), 0)
    usual: np.ndarray = 1 - np.minimum(beyond / max(high, 1e-9), 1)
    return usual


def _facts(material: Material) -> dict[int, ImageFacts]:
    """Measure all images, by row; files that cannot be read are named elsewhere."""
    material.progress.start("image quality", len(material))
    root = getattr(material.loaded.config.dataset, "root", None)
    is_folder = material.loaded.config.dataset.name == "folder" and root is not None
    return _of_files(material, Path(str(root))) if is_folder else _of_arrays(material)


def _of_files(material: Material, root: Path) -> dict[int, ImageFacts]:
    names = [name for examples in material.contents.parts.values() for name in examples.all_names()]
    paths = [root / name for name in names]
    facts: dict[int, ImageFacts] = {}
    for row, found in enumerate(read_each(paths, partial(look_at, look=image_facts))):
        if isinstance(found, ImageFacts):
            facts[row] = found
        material.progress.advance(1)
    return facts


def _of_arrays(material: Material) -> dict[int, ImageFacts]:
    from PIL import Image

    facts: dict[int, ImageFacts] = {}
    for row, pixels in enumerate(material.thumbnails.numpy()):
        planes = pixels if len(pixels) in (1, 3) else pixels[:1]
        facts[row] = image_facts(Image.fromarray(planes[0] if len(planes) == 1 else planes.transpose(1, 2, 0)))
        material.progress.advance(1)
    return facts


def image_facts(image: Image.Image) -> ImageFacts:
    """Measure an image."""
    if image.mode not in ("L", "RGB"):
        image = image.convert("L" if image.mode in GRAY_MODES else "RGB")
    pixels = np.asarray(image, dtype=np.float64)
    bright = pixels / 255 if pixels.ndim == 2 else np.sqrt(pixels**2 @ np.array([0.241, 0.691, 0.068])) / 255
    low, high = np.percentile(bright, [5, 99])
    scores = {
        "dark": float(high),
        "light": 1 - float(low),
        "blank": min(1.0, 0.1 * image.entropy()),
        "blurred": _sharpness(image),
        "odd_shape": min(image.width / image.height, image.height / image.width),
    }
    return ImageFacts(math.sqrt(image.width * image.height), scores)


def _sharpness(image: Image.Image) -> float:
    """Return how strong edges are, or how uneven the histogram is: drawings have few edges."""
    from PIL import ImageFilter

    ratio = max(image.width, image.height) / LONG_SIDE
    if ratio > 1:
        image = image.resize((max(int(image.width // ratio), 1), max(int(image.height // ratio), 1)))
    gray = image.convert("L")
    edges = np.asarray(gray.filter(ImageFilter.FIND_EDGES), dtype=np.float64)
    uneven = 1 - math.exp(-0.01 * float(np.std(gray.histogram())))
    return min(1.0, 1 - math.exp(-0.01 * float(edges.std())) + (uneven if uneven > FLAT else 0.0))

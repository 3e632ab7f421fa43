"""Near duplicates among images: crops, re-compressed and brightened copies, found without comparing all pairs.

1. Every image is described as a whole and as it would look with up to 10% cut off at each side, by a few numbers that
   ignore brightness and contrast. The whole image nearest to each view is looked for in a few of 2 sqrt(N) clusters.
2. Each candidate is laid over the image as well as possible (Lucas and Kanade, 1981; Baker and Matthews, 2004), and a
   tone curve is fitted. What remains unexplained tells copies from images that look alike.
3. Handwritten ones look more alike than photographs do. A copy is also much more alike than what comes next.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nnclassify.seeds import torch_rng

MARGINS = (0.0, 0.05, 0.1)
"""Fractions that may be cut off at each side; what is between them is found by alignment."""
CELLS, DIMENSIONS = 14, 48
"""Side of the grid to which an image is averaged, and numbers that are kept of it."""
PROBES, CANDIDATES = 4, 4
"""Clusters that are searched for each view of an image, and images that are aligned with it."""
CLUSTERS_PER_ROOT, ROUNDS = 2.0, 8
VIEWS_AT_ONCE, PAIRS_AT_ONCE = 9, 512
STEPS, SMALLEST_CROP, LARGEST_STEP = 3, 0.75, 0.1
"""Steps of the alignment, the smallest side that it considers, and the largest change of a step."""
SHIFT = 0.005
"""Shift of a view by which slopes are measured, of the distance from the center to a side."""
ALIKE, MUCH_LESS, CERTAIN = 0.963, 0.22, 0.999
"""Part of the variance that a copy explains; how its rest compares with the rest of the next image; and what is a copy
whatever comes next. On MNIST, CIFAR-10 and digits with planted copies: `benchmarks/audit/RESULTS.md`."""
FEW_ALIKE = 0.85
"""Candidates whose descriptions agree less are not aligned."""
CONTRAST = 4.0
"""Standard deviation of the pixels below which an image holds nothing to compare, of 0 to 255."""

Box = tuple[tuple[float, float], tuple[float, float]]
Advance = Callable[[int], None]


@dataclass(frozen=True)
class NearPair:
    """Two images of which one is a copy of the other, or of its crop.

    Attributes:
        first, second: Their rows.
        score: The part of the variance of one that the other explains.
    """

    first: int
    second: int
    score: float


def near_pairs(images: Tensor, advance: Advance = lambda _: None) -> list[NearPair]:
    """Return the near duplicates among different images, most alike first.

    Args:
        images: uint8 `(N, C, H, W)`, 32 pixels a side or fewer; those without contrast have no duplicates.
        advance: Receives the number of images that a step is done for; `NUM_STEPS * N` in all.
    """
    gray = images.float().mean(dim=1, keepdim=True)
    rows = (gray.flatten(1).std(dim=1, correction=0) >= CONTRAST).nonzero()[:, 0]
    if len(rows) < 2:
        return []
    gray = gray[rows]
    first, second, views = _candidates(gray, advance)
    scores: dict[tuple[int, int], float] = {}
    for chunk in torch.arange(len(first)).split(PAIRS_AT_ONCE) if len(first) else ():
        a, b = first[chunk], second[chunk]
        found = _explained(gray[a], gray[b], views[chunk])
        for one, other, score in zip(a.tolist(), b.tolist(), found.tolist(), strict=True):
            pair = (min(one, other), max(one, other))
            scores[pair] = max(score, scores.get(pair, 0.0))
        advance(len(chunk) // CANDIDATES)
    pairs = [NearPair(int(rows[one]), int(rows[other]), score) for (one, other), score in _copies(scores)]
    return sorted(pairs, key=lambda pair: -pair.score)


NUM_STEPS = len(MARGINS) ** 4 // VIEWS_AT_ONCE + 1


def _copies(scores: dict[tuple[int, int], float]) -> list[tuple[tuple[int, int], float]]:
    """Return the pairs that are copies: alike, and much more so than the next but one image of either.

    The next one may be another copy of the same image.
    """
    of_image: dict[int, list[float]] = defaultdict(list)
    for pair, score in scores.items():
        for row in pair:
            of_image[row].append(score)
    rest = {row: 1 - next(iter(sorted(found, reverse=True)[2:3]), 0.0) for row, found in of_image.items()}
    return [
        (pair, score)
        for pair, score in scores.items()
        if score > CERTAIN or (score > ALIKE and 1 - score < MUCH_LESS * min(rest[pair[0]], rest[pair[1]]))
    ]


def _candidates(gray: Tensor, advance: Advance) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows `(P,)` of images, the images that may be copies of them, and the views of the former `(P, 4)`."""
    sides = list(itertools.product(MARGINS, MARGINS))
    boxes: list[Box] = list(itertools.product(sides, sides))
    describe = _descriptions(gray)
    whole = describe(boxes[0])
    index = _Clusters(whole)
    best, place = torch.full((len(gray), 1), -1.0), torch.full((len(gray), 1), -1)
    view = torch.zeros(len(gray), 1, dtype=torch.int64)
    for start in range(0, len(boxes), VIEWS_AT_ONCE):
        group = boxes[start : start + VIEWS_AT_ONCE]
        values, found = index.nearest(torch.cat([describe(box) for box in group]))
        values, found = (part.unflatten(0, (len(group), -1)).transpose(0, 1).flatten(1) for part in (values, found))
        views = (torch.arange(found.shape[1]) // PROBES + start).expand_as(found)
        best, place, view = (torch.cat(pair, dim=1) for pair in ((best, values), (place, found), (view, views)))
        best, order = best.topk(min(4 * CANDIDATES, best.shape[1]), dim=1)
        place, view = place.gather(1, order), view.gather(1, order)
        advance(len(gray))
    repeated = (place[:, :, None] == place[:, None, :]).tril(-1).any(dim=2)
    wanted = (best >= FEW_ALIKE) & ~repeated & (place >= 0)
    wanted &= wanted.cumsum(dim=1) <= CANDIDATES
    row, column = wanted.nonzero(as_tuple=True)
    starts = torch.tensor([_start(box) for box in boxes])
    return row, place[row, column], starts[view[row, column]]


def _start(box: Box) -> list[float]:
    """Return the scale and shift of x and y, in coordinates from -1 to 1, that show a box of an image."""
    (top, bottom), (left, right) = box
    return [1 - left - right, 1 - top - bottom, left - right, top - bottom]


def _descriptions(gray: Tensor) -> Callable[[Box], Tensor]:
    """Return a function that describes a view of every image by unit vectors `(N, DIMENSIONS)`.

    It averages the view to a grid, subtracts the mean and keeps the main axes of the whole images: one linear map.
    """
    flat = gray.flatten(1)
    height, width = gray.shape[2:]

    def grid(box: Box) -> Tensor:
        cells = torch.kron(_averages(height, *box[0]), _averages(width, *box[1]))
        return cells - cells.mean(dim=0)

    centered = functional.normalize(flat @ grid(((0.0, 0.0), (0.0, 0.0))).T)
    axes = torch.linalg.eigh(centered.T @ centered)[1][:, -DIMENSIONS:]
    return lambda box: functional.normalize(flat @ (grid(box).T @ axes))


def _averages(length: int, start: float, end: float) -> Tensor:
    """Return the matrix `(CELLS, length)` that averages pixels to cells, without a fraction at the start and end."""
    edges = start * length + length * (1 - start - end) / CELLS * torch.arange(CELLS + 1)
    pixels = torch.arange(length)
    overlap = torch.minimum(edges[1:, None], pixels + 1.0) - torch.maximum(edges[:-1, None], pixels.float())
    overlap = overlap.clamp(min=0)
    return overlap / overlap.sum(dim=1, keepdim=True)


class _Clusters:
    """Unit vectors `(N, D)` in about `2 sqrt(N)` clusters, by spherical k-means."""

    def __init__(self, vectors: Tensor) -> None:
        count = min(len(vectors), max(1, round(CLUSTERS_PER_ROOT * len(vectors) ** 0.5)))
        centers = vectors[torch.randperm(len(vectors), generator=torch_rng(0, "audit", "clusters"))[:count]]
        for _ in range(ROUNDS):
            cluster = (vectors @ functional.normalize(centers).T).argmax(dim=1)
            centers = torch.zeros_like(centers).index_add_(0, cluster, vectors)
        self.centers = functional.normalize(centers)
        cluster = (vectors @ self.centers.T).argmax(dim=1)
        self.order = cluster.argsort(stable=True)
        self.place = torch.empty_like(self.order)
        self.place[self.order] = torch.arange(len(vectors))
        self.starts = [0, *cluster.bincount(minlength=count).cumsum(dim=0).tolist()]
        self.vectors = vectors[self.order].T.contiguous()

    def nearest(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Return the nearest other vector in each of the nearest clusters, and its row, `(Q, PROBES)` each.

        Query `i` belongs to vector `i % N`, which is not compared with itself.
        """
        probes = min(PROBES, len(self.centers))
        chosen = torch.cat([(part @ self.centers.T).topk(probes, dim=1).indices for part in queries.split(8192)])
        cluster, slots = chosen.flatten().sort()
        cuts = torch.searchsorted(cluster, torch.arange(len(self.centers) + 1)).tolist()
        value, row = torch.full((len(slots),), -1.0), torch.full((len(slots),), -1)
        for number, (low, high) in enumerate(itertools.pairwise(self.starts)):
            mine = slots[cuts[number] : cuts[number + 1]]
            if low == high or len(mine) == 0:
                continue
            query = mine // probes
            agreement = queries[query] @ self.vectors[:, low:high]
            itself = self.place[query % len(self.order)]
            inside = ((itself >= low) & (itself < high)).nonzero()[:, 0]
            agreement[inside, itself[inside] - low] = -1.0
            value[mine], found = agreement.max(dim=1)
            row[mine] = self.order[found + low]
        missing = (0, PROBES - probes)
        value, row = (functional.pad(part.reshape(-1, probes), missing, value=-1) for part in (value, row))
        return value, row


def _explained(first: Tensor, second: Tensor, views: Tensor) -> Tensor:
    """Return the part of the variance of each second image that the first one explains, as a whole or cropped."""
    cropped = _view(first, _aligned(first, second, views))
    return torch.stack([_tone(first, second), _tone(second, first), _tone(cropped, second)]).amax(dim=0)


def _tone(images: Tensor, wanted: Tensor) -> Tensor:
    """Return the part of the variance that a cubic tone curve explains, `(B,)`, of slightly blurred images.

    What compression and resizing change are fine details; what tells apart two images that look alike is coarser.
    """
    values = images - images.mean(dim=(2, 3), keepdim=True)
    values = values / values.std(dim=(2, 3), keepdim=True).clamp(min=1e-3)
    terms = torch.cat([values, values**2, values**3, wanted], dim=1)
    terms = (_blur(terms.shape[2]) @ terms @ _blur(terms.shape[3]).T).flatten(2)
    terms = functional.normalize(terms - terms.mean(dim=2, keepdim=True), dim=2)
    powers, target = terms[:, :3], terms[:, 3:]
    gram = powers @ powers.transpose(1, 2) + 1e-4 * torch.eye(3)
    right = powers @ target.transpose(1, 2)
    explained: Tensor = right.transpose(1, 2) @ torch.linalg.solve(gram, right)
    return explained.flatten()


def _blur(length: int) -> Tensor:
    """Return the matrix that averages each of some pixels in a line with its neighbors, which count a third."""
    weights = torch.ones(length, length).tril(1).triu(-1) + 2 * torch.eye(length)
    return weights / weights.sum(dim=1, keepdim=True)


def _view(images: Tensor, crops: Tensor) -> Tensor:
    """Return crops `(B, 4)` of images `(B, 1, H, W)`, of the same size; see `_start`."""
    zero = torch.zeros(len(crops))
    rows = [crops[:, 0], zero, crops[:, 2], zero, crops[:, 1], crops[:, 3]]
    grid = functional.affine_grid(torch.stack(rows, dim=1).reshape(-1, 2, 3), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False, padding_mode="border")


def _aligned(first: Tensor, second: Tensor, crops: Tensor) -> Tensor:
    """Return the crops `(B, 4)` of the first images that agree best with the second ones, up to brightness.

    Gauss-Newton steps from the given crops; the best of them is returned.
    """
    wanted = functional.normalize(_centered(second.flatten(1)))
    best, kept = torch.full((len(first),), -1.0), crops
    for _ in range(STEPS + 1):
        seen = _view(first, crops)
        centered = _centered(seen.flatten(1))
        length = centered.norm(dim=1, keepdim=True).clamp(min=1e-6)
        unit = centered / length
        agreement = (unit * wanted).sum(dim=1)
        is_better = agreement > best
        best, kept = torch.where(is_better, agreement, best), torch.where(is_better[:, None], crops, kept)
        slopes = _centered(_slopes(first, seen, crops)) / length[:, :, None]
        slopes = slopes - unit[:, :, None] * (unit[:, :, None] * slopes).sum(dim=1, keepdim=True)  # no gain
        rest = wanted / agreement.clamp(min=0.2)[:, None] - unit
        normal = slopes.transpose(1, 2) @ slopes + 1e-4 * torch.eye(4)
        step = torch.linalg.solve(normal, slopes.transpose(1, 2) @ rest[:, :, None])[:, :, 0]
        crops = _inside(crops + step.clamp(-LARGEST_STEP, LARGEST_STEP))
    return kept


def _slopes(images: Tensor, seen: Tensor, crops: Tensor) -> Tensor:
    """Return how the pixels of views `(B, 1, H, W)` change with the four numbers of their crops, `(B, H * W, 4)`."""
    height, width = seen.shape[2:]
    x = torch.linspace(-1 + 1 / width, 1 - 1 / width, width).expand(height, width)
    y = torch.linspace(-1 + 1 / height, 1 - 1 / height, height)[:, None].expand(height, width)
    along_x, along_y = ((_view(images, crops + step) - seen)[:, 0] / SHIFT for step in SHIFT * torch.eye(4)[2:])
    return torch.stack([along_x * x, along_y * y, along_x, along_y], dim=3).flatten(1, 2)


def _inside(crops: Tensor) -> Tensor:
    """Return crops that are not too small and lie within the image."""
    scale = crops[:, :2].clamp(SMALLEST_CROP, 1.0)
    room = 1 - scale
    return torch.cat([scale, torch.maximum(torch.minimum(crops[:, 2:], room), -room)], dim=1)


def _centered(values: Tensor) -> Tensor:
    return values - values.mean(dim=1, keepdim=True)

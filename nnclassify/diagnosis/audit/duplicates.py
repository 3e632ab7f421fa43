"""Exact and near duplicates within and across splits, and equal inputs with different labels."""

from __future__ import annotations

import numpy as np
import torch

from nnclassify.data.splitting import Labels
from nnclassify.diagnosis.audit.flags import Flag, Found
from nnclassify.diagnosis.audit.material import Material
from nnclassify.diagnosis.audit.near_images import NUM_STEPS, NearPair, near_pairs
from nnclassify.diagnosis.audit.pages import NEAR, SAME
from nnclassify.diagnosis.findings import Evidence, Finding
from nnclassify.errors import counted
from nnclassify.evaluation.percent import percent

CELL = 1e-3
"""Rows of a table are near duplicates if all their values round to the same multiple of this many standard deviations,
on one of two grids that are shifted by half a cell."""
SHARE, FEWEST = 0.01, 3
"""Near duplicates of training images are a fault from this share of the test split on, and this number. Rows of a table
are often alike without being copies."""


def duplicates(material: Material) -> Found:
    """Find them. Of equal examples, the first one is compared with the others."""
    exact = _exact(material.hashes)
    near = _near(material)
    flags = [_flag(material, "duplicate", row, first, 1.0) for row, first in exact]
    flags += [_flag(material, "near_duplicate", pair.second, pair.first, pair.score) for pair in near]
    findings = []
    if exact:
        findings.append(_exact_finding(material, exact, sum(flag.kind == "contradiction" for flag in flags)))
    if near:
        findings.append(_near_finding(material, near))
    return Found(findings, flags)


def _flag(material: Material, kind: str, row: int, partner: int, score: float) -> Flag:
    differ = not np.array_equal(material.targets[row], material.targets[partner])
    kind = "contradiction" if differ and kind == "duplicate" else kind
    suggested = None if not differ or material.is_multi_hot else int(material.targets[partner])
    detail = f"the other is labeled {material.given(partner)}" if differ else ""
    return Flag(kind, row, score, suggested, partner, detail=detail)


def _exact(hashes: Labels) -> list[tuple[int, int]]:
    """Return each example that equals an earlier one, with the first such."""
    first = np.unique(hashes, return_index=True)[1][hashes]
    return [(row, int(first[row])) for row in np.flatnonzero(first != np.arange(len(hashes))).tolist()]


def _near(material: Material) -> list[NearPair]:
    rows = np.unique(material.hashes, return_index=True)[1]
    rows.sort()
    if not material.is_images:
        return _near_rows(material, rows)
    images = material.thumbnails[torch.from_numpy(rows)]
    material.progress.start("near duplicates", NUM_STEPS * len(images))
    pairs = near_pairs(images, material.progress.advance)
    return [NearPair(int(rows[pair.first]), int(rows[pair.second]), pair.score) for pair in pairs]


def _near_rows(material: Material, rows: Labels) -> list[NearPair]:
    columns = material.columns[torch.from_numpy(rows)].double()
    found: dict[tuple[int, int], NearPair] = {}
    for shift in (0.0, 0.5):
        cells = (columns / CELL + shift).floor().long().numpy()
        _, first, group = np.unique(cells, axis=0, return_index=True, return_inverse=True)
        earlier = first[group.reshape(-1)]
        for row in np.flatnonzero(earlier != np.arange(len(rows))).tolist():
            one, other = sorted((int(rows[earlier[row]]), int(rows[row])))
            found.setdefault((one, other), NearPair(one, other, 1.0))
    return [*found.values()]


def _exact_finding(material: Material, pairs: list[tuple[int, int]], num_contradictions: int) -> Finding:
    text = f"{counted(len(pairs), 'example')} equal to an earlier one ({_where(material, pairs)})"
    text += f"; {num_contradictions:,} of them with another label" if num_contradictions else ""
    return Finding(SAME, "note", Evidence(text, len(pairs) / len(material), 0.0), path="dataset")


def _near_finding(material: Material, near: list[NearPair]) -> Finding:
    pairs = [(pair.second, pair.first) for pair in near]
    across = {max(pair) for pair in pairs if _splits_of(material, pair) == {"train", "test"}}
    share = len(across) / max(1, len(material.splits.test or ()))
    is_fault = material.is_images and len(across) >= FEWEST and share > SHARE
    text = f"{counted(len(pairs), 'pair')} ({_where(material, pairs)})"
    text += f"; test examples that are almost training examples: {len(across):,} ({percent(share)})" if across else ""
    return Finding(NEAR, "fault" if is_fault else "note", Evidence(text, share, SHARE), path="dataset")


def _where(material: Material, pairs: list[tuple[int, int]]) -> str:
    """Say how many pairs are within a split and across splits."""
    within = sum(len(_splits_of(material, pair)) == 1 for pair in pairs)
    return f"{within:,} within a split, {len(pairs) - within:,} across splits"


def _splits_of(material: Material, pair: tuple[int, int]) -> set[str]:
    return {material.split_names[material.parts[row]] for row in pair}

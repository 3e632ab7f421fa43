"""Outliers: examples that are far from all others."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nnclassify.diagnosis.audit.features import standardized
from nnclassify.diagnosis.audit.flags import Flag, Found
from nnclassify.diagnosis.audit.material import Material
from nnclassify.diagnosis.audit.pages import FAR_AWAY
from nnclassify.diagnosis.findings import Evidence, Finding
from nnclassify.errors import counted
from nnclassify.seeds import torch_rng

NEIGHBORS, REFERENCES, AXES = 5, 4000, 32
"""The distance to the fifth nearest of 4,000 examples, in the directions in which examples vary most."""
FEWEST = 50
FENCE = 3.0
"""Far out in Tukey's sense (1977): this many interquartile ranges of the logarithm above the third quartile."""
ROWS_AT_ONCE = 4096


def outliers(material: Material) -> Found:
    """Find the examples whose neighbors are unusually far away."""
    if len(material) < FEWEST:
        few = f"{counted(len(material), 'example')}; expected at least {FEWEST}"
        return Found(notes=[f"outliers were not checked for: {few}"])
    features = material.features if material.is_images else standardized(material.distant_columns)
    distances = neighbor_distances(features).log().numpy()
    low, high = np.quantile(distances, [0.25, 0.75])
    scores = (distances - high) / max(high - low, 1e-6)
    rows = np.flatnonzero(scores > FENCE)
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    names = None if material.is_images else material.splits.feature_names
    flags = [
        Flag("outlier", row, float(scores[row]), detail="" if names is None else _column(features[row], names))
        for row in rows.tolist()
    ]
    text = f"{counted(len(flags), 'example')} far from all others"
    evidence = Evidence(text, len(flags) / len(material), 0.0)
    return Found([Finding(FAR_AWAY, "note", evidence, path="dataset")] if flags else [], flags)


def neighbor_distances(features: Tensor) -> Tensor:
    """Return the distance of each example `(N, D)` to its fifth nearest neighbor among a sample, `(N,)`."""
    chosen = torch.randperm(len(features), generator=torch_rng(0, "audit", "outliers"))[:REFERENCES]
    sample = features[chosen].float()
    axes = torch.linalg.eigh(sample.T @ sample)[1][:, -AXES:]
    sample = sample @ axes
    count = min(NEIGHBORS + 1, len(sample))  # an example of the sample is its own nearest neighbor
    found = [
        torch.cdist(part.float() @ axes, sample).topk(count, largest=False).values[:, -1]
        for part in features.split(ROWS_AT_ONCE)
    ]
    return torch.cat(found).clamp(min=1e-6)


def _column(values: Tensor, names: list[str]) -> str:
    """Name the column in which an example of a table is farthest from the mean."""
    place = int(values.abs().argmax())
    return f"{names[place]} is {float(values[place]):+.1f} standard deviations from its mean"

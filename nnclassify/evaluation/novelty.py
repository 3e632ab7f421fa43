"""Inputs unlike the training data: those on which a network should not be believed, however sure it is.

Three scores, each higher for stranger inputs, of which any may exceed its limit:

- the distance of the inputs, and of the inputs of the last linear layer, from the training examples: the Mahalanobis
  distance from the nearest class (Lee et al., 2018, arXiv:1807.03888). Noise and other scales stand out by it;
- the negative of the largest output (the "max logit" of Hendrycks et al., 2022, arXiv:1911.11132, nearly the energy of
  Liu et al., 2020). Images of other things stand out by it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nnclassify.evaluation.features import Features

FLAGGED = 0.01
"""The fraction of the validation examples that is flagged, for all scores together."""
MAX_FIT = 1000
"""Maximum number of training examples that the distances are fitted to."""
MIN_PER_CLASS = 10
"""With fewer examples per class, a distance is that from the mean of all."""
RIDGE = 1e-3
"""The fraction of the mean variance that is added to each variance."""


@dataclass(frozen=True)
class Distance:
    """The Mahalanobis distance from the nearest class.

    Attributes:
        means: The mean features of each class, `(C, D)`; C is 1 for the mean of all.
        whitening: The matrix W `(D, D)` for which the distance of x from a mean m is the norm of W (x - m).
    """

    means: Tensor
    whitening: Tensor

    @classmethod
    def fit(cls, features: Tensor, targets: Tensor) -> Distance:
        """Fit the distance to training examples: features `(M, D)`, and class indices or multi-hot targets, which have
        no means of their own."""
        features = features.double()
        place = torch.zeros(len(features), dtype=torch.int64)
        if targets.ndim == 1 and len(features) >= MIN_PER_CLASS * len(targets.unique()):
            place = targets.unique(return_inverse=True)[1]
        means = torch.zeros(int(place.max()) + 1, features.shape[1], dtype=features.dtype)
        means.index_add_(0, place, features).div_(place.bincount()[:, None])
        apart = features - means[place]
        within = apart.T @ apart / len(apart)
        within.diagonal().add_(RIDGE * within.diagonal().mean() + torch.finfo(torch.float32).tiny)
        identity = torch.eye(len(within), dtype=within.dtype)
        whitening = torch.linalg.solve_triangular(torch.linalg.cholesky(within), identity, upper=False)
        return cls(means.float(), whitening.float())

    def __call__(self, features: Tensor) -> Tensor:
        """Return the distances of features `(N, D)`, float64 `(N,)`."""
        middle = self.means.mean(dim=0)  # differences of large values would lose digits
        whitened, centers = ((values - middle) @ self.whitening.T for values in (features, self.means))
        return torch.cdist(whitened, centers).amin(dim=1).double()


@dataclass(frozen=True)
class Novelty:
    """The limits of what is like the training data.

    Attributes:
        distances: The distances by where their features are from; see `Features`.
        limits: The limits of the scores, float64: of each distance and, of several outputs, of the negative of the
            largest.
    """

    distances: dict[str, Distance]
    limits: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))

    @classmethod
    def fit(cls, train: Features, targets: Tensor, outputs: Tensor, validation: Features) -> Novelty | None:
        """Fit the distances to training examples, and the limits to the validation split.

        Args:
            train: The features of training examples, `(M, D)` each.
            targets: Their class indices `(M,)`, or multi-hot targets `(M, K)`.
            outputs: The outputs on the validation split, `(N, num_outputs)`.
            validation: The features there, `(N, D)` each.

        Returns:
            None if there is no score: a single output, and no features. Features that overflow have no distance.
        """
        names = [name for name in train if name in validation and train[name].isfinite().all()]
        found = cls({name: Distance.fit(train[name], targets) for name in names})
        scores = found.scores(outputs, validation)
        if not scores:
            return None
        allowed = FLAGGED / len(scores)  # each score flags its part
        rank = min(len(outputs), int((len(outputs) + 1) * (1 - allowed) + 1 - 1e-9))
        return cls(found.distances, torch.stack([of_one.sort().values[rank - 1] for of_one in scores]))

    def state(self) -> dict[str, Any]:
        """Return the distances and limits as dicts and tensors, for a checkpoint."""
        distances = {name: dict(vars(distance)) for name, distance in self.distances.items()}
        return {"distances": distances, "limits": self.limits}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Novelty:
        """Return what `state` described.

        Raises:
            ValueError: The shapes do not fit each other.
        """
        distances = {name: Distance(**of_one) for name, of_one in state["distances"].items()}
        for distance in distances.values():
            means, whitening = tuple(distance.means.shape), tuple(distance.whitening.shape)
            if len(means) != 2 or means[0] == 0 or whitening != (means[1], means[1]):
                raise ValueError(f"novelty: means {means}, whitening {whitening}")
        limits = state["limits"]
        if limits.ndim != 1 or not 0 <= len(limits) - len(distances) <= 1 or not len(limits):
            raise ValueError(f"novelty: limits {tuple(limits.shape)}, with {len(distances)} distances")
        return cls(distances, limits)

    def scores(self, outputs: Tensor, features: Features) -> list[Tensor]:
        """Return the scores of inputs, float64 `(N,)` each."""
        scores = [distance(features[name]) for name, distance in self.distances.items()]
        return [*scores, -outputs.double().amax(dim=1)] if outputs.shape[1] > 1 else scores

    def is_unlike(self, outputs: Tensor, features: Features) -> Tensor:
        """Return whether each input is unlike the training data, bool `(N,)`; a score that is NaN says so too."""
        pairs = zip(self.scores(outputs, features), self.limits.tolist(), strict=True)
        return torch.stack([~(scores <= limit) for scores, limit in pairs]).any(dim=0)

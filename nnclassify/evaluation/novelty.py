"""Inputs unlike the training data: those on which a network should not be believed, however sure it is.

Two scores, each higher for stranger inputs, of which either may exceed its limit:

- the distance of the input of the last linear layer from the training examples: the Mahalanobis distance from the
  nearest class (Lee et al., 2018, arXiv:1807.03888), which noise and other scales stand out by;
- the negative of the largest output (the "max logit" of Hendrycks et al., 2022, arXiv:1911.11132, nearly the energy of
  Liu et al., 2020), which images of other things stand out by.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

FLAGGED = 0.01
"""The fraction of the validation examples that is flagged, for both scores together."""
MAX_FIT = 1000
"""Maximum number of training examples that the distance is fitted to."""
MIN_PER_CLASS = 10
"""With fewer examples per class, the distance is that from the mean of all."""
RIDGE = 1e-3
"""The fraction of the mean variance that is added to each variance."""


@dataclass(frozen=True)
class Novelty:
    """The limits of what is like the training data.

    Attributes:
        means: The mean of the last layer's inputs for each class, `(C, D)`; C is 1 for the mean of all.
        whitening: The matrix W `(D, D)` for which the distance of x from a mean m is the norm of W (x - m).
        limits: The limits of the scores, float64: of the distance and, of several outputs, of the negative of the
            largest. Without features, the distance is left out.
    """

    means: Tensor | None
    whitening: Tensor | None
    limits: Tensor

    @classmethod
    def fit(
        cls, features: Tensor | None, targets: Tensor, outputs: Tensor, validation_features: Tensor | None
    ) -> Novelty | None:
        """Fit the distance to training examples, and the limits to the validation split.

        Args:
            features: The last layer's inputs of training examples, `(M, D)`; None: unknown.
            targets: Their class indices `(M,)`, or multi-hot targets, which have no means of their own.
            outputs: The outputs on the validation split, `(N, num_outputs)`.
            validation_features: The last layer's inputs there, `(N, D)`.

        Returns:
            None if there is no score: a single output, and no features.
        """
        means = whitening = None
        if features is not None and validation_features is not None:
            means, whitening = _fitted(features.double(), targets)
        unlimited = cls(means, whitening, torch.zeros(0, dtype=torch.float64))
        scores = unlimited.scores(outputs, validation_features)
        if not len(scores):
            return None
        allowed = FLAGGED / len(scores)  # each score flags its part
        rank = min(len(outputs), int((len(outputs) + 1) * (1 - allowed) + 1 - 1e-9))
        limits = torch.stack([of_one.sort().values[rank - 1] for of_one in scores])
        return cls(means, whitening, limits)

    @classmethod
    def checked(cls, means: Tensor | None, whitening: Tensor | None, limits: Tensor) -> Novelty:
        """Return what a checkpoint holds.

        Raises:
            ValueError: The shapes do not fit each other.
        """
        shapes = [None if values is None else tuple(values.shape) for values in (means, whitening)]
        num_features = 0 if means is None or means.ndim != 2 else means.shape[1]
        fits = shapes == [None, None] if means is None else shapes[1] == (num_features, num_features) != (0, 0)
        if not fits or limits.ndim != 1 or not 0 < len(limits) <= 2:
            raise ValueError(f"novelty: means {shapes[0]}, whitening {shapes[1]}, limits {tuple(limits.shape)}")
        return cls(means, whitening, limits)

    def scores(self, outputs: Tensor, features: Tensor | None) -> list[Tensor]:
        """Return the scores of inputs, float64 `(N,)` each."""
        scores = []
        if self.means is not None and self.whitening is not None and features is not None:
            whitened, centers = (values.double() @ self.whitening.double().T for values in (features, self.means))
            scores.append(torch.cdist(whitened, centers).amin(dim=1))
        if outputs.shape[1] > 1:
            scores.append(-outputs.double().amax(dim=1))
        return scores

    def is_unlike(self, outputs: Tensor, features: Tensor | None) -> Tensor:
        """Return whether each input is unlike the training data, bool `(N,)`."""
        pairs = zip(self.scores(outputs, features), self.limits.tolist(), strict=True)
        return torch.stack([scores > limit for scores, limit in pairs]).any(dim=0)


def _fitted(features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means of the classes and the whitening matrix of the variance within them, float32."""
    classes, place = targets.unique(return_inverse=True) if targets.ndim == 1 else (targets[:1, 0], None)
    if place is None or len(features) < MIN_PER_CLASS * len(classes):
        place = torch.zeros(len(features), dtype=torch.int64)
    counts = place.bincount()
    means = torch.zeros(len(counts), features.shape[1], dtype=features.dtype).index_add_(0, place, features)
    means /= counts[:, None]
    apart = features - means[place]
    within = apart.T @ apart / len(apart)
    within.diagonal().add_(RIDGE * within.diagonal().mean() + torch.finfo(torch.float32).tiny)
    lower = torch.linalg.cholesky(within)
    identity = torch.eye(len(lower), dtype=lower.dtype)
    whitening = torch.linalg.solve_triangular(lower, identity, upper=False)
    return means.float(), whitening.float()

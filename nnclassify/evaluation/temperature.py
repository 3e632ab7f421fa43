"""Temperature scaling: one number that makes probabilities as cautious as they should be.

The probabilities p become p^(1/T), normalized, which for the softmax of logits z is the softmax of z / T (Guo et al.,
2017, arXiv:1706.04599). T is fitted to the validation split by maximum likelihood.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from nnclassify.losses import LossFunction

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 100.0
MIN_EXAMPLES = 20
"""Fewer examples do not tell how cautious probabilities should be: all three of three say nothing about 99%."""
MAX_VALUES = 2**24
"""Maximum number of probabilities to fit to: of a larger split, evenly spaced examples are used."""
SMALLEST_LOG = -1e5
"""In place of the logarithm of 0, which remains 0 at every temperature allowed."""
MISTAKE_LOG = -28.0
"""The least logarithm of a mistake that is assumed where there is none: a probability of about 1e-12."""
MAX_STEPS, TOLERANCE = 100, 1e-8


def fit_temperature(outputs: Tensor, targets: Tensor, loss_fn: LossFunction) -> float:
    """Fit the temperature that minimizes the log loss.

    With multi-hot targets, all classes share one temperature, and the log loss is that of each example and class.
    Without a mistake among N examples, the log loss would fall with T down to 0. Then each example counts as one of
    another class with a probability of 1 / (N + 2), as in Platt's method (1999).

    Args:
        outputs: The outputs of the network on the validation split, `(N, num_outputs)`.
        targets: The class indices `(N,)`, or multi-hot targets `(N, K)`.
        loss_fn: The loss, without a temperature.

    Returns:
        The temperature; 1 if there are fewer than `MIN_EXAMPLES`.
    """
    if len(outputs) < MIN_EXAMPLES:
        return 1.0
    num_values = loss_fn.probabilities(outputs[:1]).numel()
    rows = torch.linspace(0, len(outputs) - 1, min(len(outputs), max(1, MAX_VALUES // num_values))).long()
    probabilities, classes = separate(loss_fn.probabilities(outputs[rows].double()), targets[rows])
    logs = probabilities.log()
    of_true = logs.gather(1, classes[:, None])
    known = of_true.squeeze(1).isfinite()  # a probability of 0 remains 0 at any temperature
    if not known.any():
        return 1.0
    logs, of_true = logs[known].clamp_min(SMALLEST_LOG), of_true[known]
    if bool((of_true == logs.amax(dim=1, keepdim=True)).all()):
        of_mistakes = logs.clamp_min(MISTAKE_LOG).sum(dim=1, keepdim=True) - of_true.clamp_min(MISTAKE_LOG)
        of_true = of_true + (of_mistakes / (logs.shape[1] - 1) - of_true) / (len(logs) + 2)
    return 1 / _inverse_temperature(logs, of_true)


def separate(probabilities: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the probabilities and class indices of independent decisions.

    These are the arguments themselves for targets `(N,)`. Multi-hot targets `(N, K)` are N * K decisions between two
    classes: probabilities `(N * K, 2)` and class indices `(N * K,)`.
    """
    if targets.ndim == 1:
        return probabilities, targets
    flat = probabilities.flatten()
    return torch.stack([1 - flat, flat], dim=1), targets.flatten()


def _inverse_temperature(logs: Tensor, of_true: Tensor) -> float:
    """Minimize the log loss, which is convex in b = 1 / T, by Newton's method inside a bracket of the minimum.

    With logs L `(N, K)` and the weights w = softmax(b L), its derivative is the mean of E_w[L] - L_true, and its second
    derivative the mean of Var_w[L].
    """
    low, high = 1 / MAX_TEMPERATURE, 1 / MIN_TEMPERATURE
    inverse = 1.0
    for _ in range(MAX_STEPS):
        weights = functional.softmax(inverse * logs, dim=1)
        means = (weights * logs).sum(dim=1, keepdim=True)
        slope = float((means - of_true).mean())
        curvature = float((weights * (logs - means).square()).sum(dim=1).mean())
        if slope == 0:
            break
        low, high = (low, inverse) if slope > 0 else (inverse, high)
        step = inverse - slope / curvature if curvature > 0 else low
        step = step if low < step < high else (low + high) / 2
        if abs(step - inverse) <= TOLERANCE * inverse:
            break
        inverse = step
    return inverse

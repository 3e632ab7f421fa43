"""The members of the loss family.

A loss determines the number of outputs for K classes, and so the size of the network's last layer. With a single
output for two classes, a high output means class 1; for more classes, the output is the class index itself.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Self

from nnclassify.errors import DataError
from nnclassify.losses.loss_function import LossFunction, MultiHotLoss
from nnclassify.settings import NonNegativeFloat, PositiveFloat, Probability, Settings

if TYPE_CHECKING:
    from torch import Tensor

Targets = Literal["one_hot", "index"]


class Loss(Settings):
    """Base class of the losses."""

    @abstractmethod
    def build(self, class_counts: Sequence[int]) -> LossFunction:
        """Return the loss for these classes.

        Args:
            class_counts: Number of training examples per class.

        Raises:
            DataError: An option does not fit the classes.
        """

    def build_multi_hot(self, num_classes: int) -> LossFunction:
        """Return the loss for multi-hot targets `(N, K)`.

        Raises:
            DataError: The loss requires exactly one class per example.
        """
        raise DataError(f"loss: {self.refuses_multi_hot()}", ("loss",))

    def settled(self, class_counts: Sequence[int], num_examples: int) -> Self:
        """Return the loss with what it leaves to the training split, of this many examples, replaced by numbers."""
        return self

    def refuses(self, output: str) -> str | None:
        """Return why this loss cannot train a network with this output activation, and what to use, or None if it
        can."""
        return None

    def refuses_soft(self) -> str | None:
        """Return why this loss cannot learn from soft targets, and what to use; None if it can."""
        return f"{self.name_of()} takes no soft targets; use loss: cross_entropy"

    def completed(self) -> Self:
        """Return the loss with the content of files that it names, where a run records that.

        Raises:
            ModelError: A file is missing, or is not what a run recorded.
        """
        return self

    def refuses_multi_hot(self) -> str | None:
        """Return why this loss does not support multi-hot targets, and what to use, or None if it does."""
        return (
            f"{self.name_of()} expects one class per example, but the targets are multi-hot; use loss: bce_with_logits"
        )


class WeightedLoss(Loss):
    """A loss with optional class weights."""

    class_weights: list[PositiveFloat] | Literal["balanced"] | None = None
    """Weight of each class, in order, or `balanced`: N / (K * count of the class), as in scikit-learn."""

    @abstractmethod
    def losses(self, outputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        """Return one loss per example, `(N,)`, times the weight of its class."""

    def build(self, class_counts: Sequence[int]) -> LossFunction:
        """Return the loss; it takes one output per class."""
        return LossFunction(len(class_counts), 0.0, self.losses, softmax, self.weights(class_counts))

    def weights(self, class_counts: Sequence[int]) -> Tensor | None:
        """Return the class weights `(K,)`, or None.

        Raises:
            DataError: The number of weights is not the number of classes.
        """
        import torch

        if self.class_weights is None:
            return None
        counts = torch.tensor(class_counts, dtype=torch.float64)
        if self.class_weights == "balanced":
            return counts.sum() / (len(counts) * counts)
        if len(self.class_weights) != len(counts):
            raise DataError(
                f"loss.class_weights: {len(self.class_weights)} weights; expected {len(counts)}, one per class",
                ("loss", "class_weights"),
            )
        return torch.tensor(self.class_weights, dtype=torch.float64)


class CrossEntropy(WeightedLoss):
    """Softmax cross-entropy on logits."""

    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Probability = 0.0
    """Amount of label smoothing: this part of the target is spread evenly over all classes (Szegedy et al., 2015,
    arXiv:1512.00567)."""

    def losses(self, outputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        """Return torch's cross-entropy of the softmax."""
        from torch.nn import functional

        return functional.cross_entropy(
            outputs, targets, weights, reduction="none", label_smoothing=self.label_smoothing
        )

    def refuses_soft(self) -> str | None:
        """Return None: torch's cross-entropy takes probabilities."""
        return None


class Nll(WeightedLoss):
    """Negative log-likelihood: cross-entropy for a network that ends in log_softmax."""

    name: Literal["nll"] = "nll"

    def losses(self, outputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        """Return torch's negative log-likelihood."""
        from torch.nn import functional

        return functional.nll_loss(outputs, targets, weights, reduction="none")

    def refuses(self, output: str) -> str | None:
        """Reject unbounded outputs: without log-probabilities, the loss has no lower bound."""
        if output in ("log_softmax", "softmax"):
            return None
        return "nll expects log-probabilities: set model.output: log_softmax, or use loss: cross_entropy"


class Focal(WeightedLoss):
    """Focal loss: cross-entropy that down-weights well-classified examples (Lin et al., 2017, arXiv:1708.02002)."""

    name: Literal["focal"] = "focal"
    gamma: NonNegativeFloat = 2.0
    """Focusing parameter: the loss of an example is multiplied by (1 - p)^gamma; 0 is cross-entropy."""

    def losses(self, outputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        """Return the cross-entropies, each multiplied by (1 - p)^gamma."""
        from torch.nn import functional

        log_p = functional.log_softmax(outputs, dim=1).gather(1, targets[:, None])[:, 0]
        # Use expm1: for gamma below 1, the gradient of (1 - p)^gamma at p = 1 is NaN.
        miss = (-log_p.expm1()).clamp_min(1e-12)
        scaled = -log_p * miss**self.gamma
        return scaled if weights is None else scaled * weights[targets]


class EncodedLoss(Loss):
    """A loss that compares outputs with numbers: one-hot targets, or the class index."""

    targets: Targets = "one_hot"
    """`one_hot`: one output per class, compared with 0 or 1; `index`: a single output, compared with the class index,
    for two classes or for classes that are ordered."""

    @abstractmethod
    def compare(self, outputs: Tensor, wanted: Tensor) -> Tensor:
        """Return the loss of each output, `(N, num_outputs)`, compared with a number."""

    @abstractmethod
    def separate(self, outputs: Tensor) -> Tensor:
        """Return each output's own probability, `(N, num_outputs)`."""

    def losses(self, outputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        """Return one loss per example, `(N,)`: the mean over its outputs."""
        return self.compare(outputs, _one_hot(targets, outputs)).mean(dim=1)

    def build_multi_hot(self, num_classes: int) -> LossFunction:
        """Return the loss; it takes one output per class, and is the mean over the classes."""
        if (reason := self.refuses_multi_hot()) is not None:
            raise DataError(f"loss: {reason}", ("loss",))

        def losses(outputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
            return self.compare(outputs, targets.to(outputs.dtype)).mean(dim=1)

        return MultiHotLoss(num_classes, 0.0, losses, self.separate)

    def refuses_multi_hot(self) -> str | None:
        """Reject `targets: index`: a single output cannot predict several classes."""
        if self.targets == "index":
            return "targets: index expects one class per example, but the targets are multi-hot; use targets: one_hot"
        return None

    def refuses_soft(self) -> str | None:
        """Reject `targets: index`: there is no class index between two classes."""
        return "targets: index takes no soft targets; use targets: one_hot" if self.targets == "index" else None


class Bce(EncodedLoss):
    """Binary cross-entropy on probabilities: a single output for two classes, otherwise one output per class
    (one-vs-rest)."""

    name: Literal["bce"] = "bce"

    def build(self, class_counts: Sequence[int]) -> LossFunction:
        """Return the loss; it takes one output for two classes, else K."""
        num_outputs = 1 if self.targets == "index" else _binary_outputs(class_counts)

        losses = _unchecked_bce if num_outputs == 1 and len(class_counts) > 2 else self.losses
        return LossFunction(num_outputs, 0.5, losses, _shares if num_outputs > 1 else _between(len(class_counts)))

    def compare(self, outputs: Tensor, wanted: Tensor) -> Tensor:
        """Return the binary cross-entropy of probabilities."""
        from torch.nn import functional

        return functional.binary_cross_entropy(outputs, wanted, reduction="none")

    def separate(self, outputs: Tensor) -> Tensor:
        """Return the outputs, which are probabilities."""
        return outputs

    def refuses(self, output: str) -> str | None:
        """Reject outputs outside 0..1, whose logarithm does not exist."""
        if output in ("sigmoid", "softmax"):
            return None
        return "bce expects outputs in 0..1: set model.output: sigmoid, or use loss: bce_with_logits"


class BceWithLogits(EncodedLoss):
    """Binary cross-entropy on logits: a single output for two classes, otherwise one output per class (one-vs-rest)."""

    name: Literal["bce_with_logits"] = "bce_with_logits"
    pos_weight: list[PositiveFloat] | Literal["balanced"] | None = None
    """For multi-hot targets: weight of the examples of each class, in order, relative to those that are not of the
    class; or `balanced`: the number of examples that are not of the class / the number of those that are."""

    def settled(self, class_counts: Sequence[int], num_examples: int) -> Self:
        """Replace `balanced` by the weights."""
        if self.pos_weight != "balanced":
            return self
        weights = [max(1, num_examples - count) / max(1, count) for count in class_counts]
        return self.model_copy(update={"pos_weight": [float(f"{weight:.6g}") for weight in weights]})

    def build_multi_hot(self, num_classes: int) -> LossFunction:
        """Return the loss; it takes one output per class, and is the mean over the classes.

        Raises:
            DataError: The number of weights is not the number of classes.
        """
        import torch
        from torch.nn import functional

        unweighted = super().build_multi_hot(num_classes)
        if self.pos_weight is None:
            return unweighted
        if len(self.pos_weight) != num_classes or isinstance(self.pos_weight, str):
            raise DataError(
                f"loss.pos_weight: {len(self.pos_weight)} weights; expected {num_classes}, one per class",
                ("loss", "pos_weight"),
            )

        def losses(outputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
            wanted = targets.to(outputs.dtype)
            return functional.binary_cross_entropy_with_logits(
                outputs, wanted, reduction="none", pos_weight=weights
            ).mean(dim=1)

        weights = torch.tensor(self.pos_weight, dtype=torch.float64)
        return replace(unweighted, losses=losses, class_weights=weights)

    def build(self, class_counts: Sequence[int]) -> LossFunction:
        """Return the loss; it takes one output for two classes, else K.

        Raises:
            DataError: `pos_weight` is set, but each example is of one class.
        """
        from torch.nn import functional

        if self.pos_weight is not None:
            raise DataError(
                "loss.pos_weight: needs multi-hot targets; use loss: {name: cross_entropy, class_weights: balanced}",
                ("loss", "pos_weight"),
            )
        num_outputs = 1 if self.targets == "index" else _binary_outputs(class_counts)

        def probabilities(outputs: Tensor) -> Tensor:
            if num_outputs == 1:
                return _between(len(class_counts))(outputs.sigmoid())
            # Normalize the sigmoids by their logarithms: far below zero, every sigmoid is 0.
            return functional.logsigmoid(outputs).softmax(dim=1)

        return LossFunction(num_outputs, 0.0, self.losses, probabilities)

    def compare(self, outputs: Tensor, wanted: Tensor) -> Tensor:
        """Return the binary cross-entropy of the sigmoid."""
        from torch.nn import functional

        return functional.binary_cross_entropy_with_logits(outputs, wanted, reduction="none")

    def separate(self, outputs: Tensor) -> Tensor:
        """Return the sigmoid of each output."""
        return outputs.sigmoid()


class Mse(EncodedLoss):
    """Mean squared error against one-hot targets (the Brier score divided by K), or against the class index."""

    name: Literal["mse"] = "mse"

    def build(self, class_counts: Sequence[int]) -> LossFunction:
        """Return the loss; it takes one output per class, or a single one with `targets: index`."""
        if self.targets == "index":
            return LossFunction(1, 0.5, self.losses, _between(len(class_counts)), top=len(class_counts) - 1)
        return LossFunction(len(class_counts), 0.5, self.losses, project_to_simplex)

    def compare(self, outputs: Tensor, wanted: Tensor) -> Tensor:
        """Return the squared error."""
        return (outputs - wanted).square()

    def separate(self, outputs: Tensor) -> Tensor:
        """Clip the outputs to 0..1."""
        return outputs.clamp(0, 1)


def _unchecked_bce(outputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
    """Binary cross-entropy `(N,)` that accepts class indices above 1, as Keras does, so that `check` can explain it."""
    wanted, share = _one_hot(targets, outputs), outputs.clamp(1e-7, 1 - 1e-7)
    return -(wanted * share.log() + (1 - wanted) * (1 - share).log()).mean(dim=1)


def _binary_outputs(class_counts: Sequence[int]) -> int:
    return 1 if len(class_counts) == 2 else len(class_counts)


def _one_hot(targets: Tensor, outputs: Tensor) -> Tensor:
    """Return targets `(N,)` in the shape and number type of the outputs: 0 or 1, for one output or one per class.

    Soft targets `(N, K)` are so already, but for a single output, which is the probability of class 1.
    """
    from torch.nn import functional

    if targets.is_floating_point():
        return targets if outputs.shape[1] > 1 else targets[:, 1:]
    if outputs.shape[1] == 1:
        return targets[:, None].to(outputs.dtype)
    return functional.one_hot(targets, outputs.shape[1]).to(outputs.dtype)


def softmax(outputs: Tensor) -> Tensor:
    """Return the probabilities `(N, K)` of logits, or of log-probabilities."""
    return outputs.softmax(dim=1)


def _between(num_classes: int) -> Callable[[Tensor], Tensor]:
    """Return the function from outputs in 0..K-1, `(N, 1)`, to probabilities `(N, K)`.

    The probability is split between the two nearest classes: for K = 2, the output is the probability of class 1.
    """

    def probabilities(places: Tensor) -> Tensor:
        import torch

        classes = torch.arange(num_classes, device=places.device, dtype=places.dtype)
        return (1 - (places.clamp(0, num_classes - 1) - classes).abs()).clamp_min(0)

    return probabilities


def _shares(outputs: Tensor) -> Tensor:
    tiny = outputs.new_tensor(1e-30)
    return outputs.clamp_min(tiny) / outputs.clamp_min(tiny).sum(dim=1, keepdim=True)


def project_to_simplex(outputs: Tensor) -> Tensor:
    """Return the probabilities `(N, K)` nearest to outputs `(N, K)` in squared error: the meaning of a squared loss.

    The order of the outputs is preserved. Source: Martins and Astudillo, 2016 (arXiv:1602.02068), algorithm 1.
    """
    import torch

    # Shift each row to a maximum of 0, which does not change the result; a large value would absorb the 1
    # subtracted below.
    outputs = outputs - outputs.amax(dim=1, keepdim=True)
    descending = outputs.sort(dim=1, descending=True).values
    excess = descending.cumsum(dim=1) - 1
    counts = torch.arange(1, outputs.shape[1] + 1, device=outputs.device, dtype=outputs.dtype)
    support = (descending * counts > excess).sum(dim=1, keepdim=True).clamp_min(1)
    threshold = excess.gather(1, support - 1) / support.to(outputs.dtype)
    return (outputs - threshold).clamp_min(0)

"""A user's own loss, in a Python file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from nnclassify.errors import ModelError
from nnclassify.files.user_code import UserCode
from nnclassify.losses.functions import Loss, softmax
from nnclassify.losses.loss_function import LossFunction

if TYPE_CHECKING:
    from torch import Tensor


class PythonLoss(UserCode, Loss):
    """A loss of your own, in a Python file: a function of outputs `(N, K)`, K the number of classes, and targets `(N,)`
    that returns one loss per example, `(N,)`; or a class whose objects are such functions. It runs only with `--trust`.

    `options` are further keyword arguments of the function, or the arguments of the class. The class also gets those
    of these that its signature names: `num_classes`, and `class_counts`, the number of training examples per class.
    Probabilities are the softmax of the outputs.
    """

    name: Literal["python"] = "python"
    function: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Name of the function."""
    class_: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(default=None, alias="class")
    """Name of the class, in place of `function`."""

    model_config = ConfigDict(serialize_by_alias=True)
    family: ClassVar[str] = "loss"

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Reject a config with neither a function nor a class, or with both."""
        if (self.function is None) == (self.class_ is None):
            found = "missing, as is class" if self.function is None else "set, as is class"
            yield "function", f"{found}; set one of them"

    def target(self) -> str:
        """Return the name of the function or class."""
        return self.function or self.class_ or ""

    def build(self, class_counts: Sequence[int]) -> LossFunction:
        """Return the loss; it takes one output per class.

        Raises:
            TrustError: User code may not run here.
            ModelError: It cannot be called, or does not return one loss per example.
        """
        import torch

        num_classes = len(class_counts)
        supplied = {"num_classes": num_classes, "class_counts": list(class_counts)}
        loss = self.bound(num_given=2) if self.class_ is None else self.call(supplied)

        def losses(outputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
            if isinstance(loss, torch.nn.Module):
                loss.to(outputs.device)  # its buffers
            found: Tensor = loss(outputs, targets)
            return found

        outputs = torch.zeros(2, num_classes, requires_grad=True) + 0  # not a leaf: a loss may change it in place
        with self.explained():
            found = losses(outputs, torch.tensor([0, num_classes - 1]), None)
        self._check(loss, found, is_recorded=outputs.requires_grad)
        return LossFunction(num_classes, 0.0, losses, softmax)

    def _check(self, loss: Any, found: Any, *, is_recorded: bool) -> None:
        """Refuse what is not one loss per example, or no function of the outputs, and weights of a loss: no optimizer
        would update them."""
        import torch

        what = f"loss: {self.target()} of {self.file}"
        if not isinstance(found, torch.Tensor) or found.shape != (2,):
            shape = f"shape {tuple(found.shape)}" if isinstance(found, torch.Tensor) else f"a {type(found).__name__}"
            hint = "expected one loss per example, (2,), such as with reduction='none'"
            raise ModelError(f"{what} returned {shape} for 2 examples; {hint}", ("loss",))
        if not found.is_floating_point():
            raise ModelError(f"{what} returned {found.dtype}; expected floating-point numbers", ("loss",))
        if is_recorded and not found.requires_grad:  # not within torch.no_grad() of the caller's
            hint = "remove detach(), no_grad() and conversions to NumPy or to integers"
            raise ModelError(f"{what} returned numbers without a gradient to the outputs; {hint}", ("loss",))
        if isinstance(loss, torch.nn.Module) and any(weight.requires_grad for weight in loss.parameters()):
            raise ModelError(f"{what} has parameters to learn, which no optimizer would update", ("loss",))

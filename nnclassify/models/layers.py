"""The layers as torch modules: activations, initializations, stacks of named layers."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from nnclassify.errors import ConfigPath, ModelError, dotted, one_line
from nnclassify.files.python_source import described
from nnclassify.models.discriminant import discriminant
from nnclassify.models.layer_settings import (
    Activation,
    BiasInit,
    ConstantInit,
    DiscriminantInit,
    Head,
    Init,
    Norm,
    NormalInit,
    Output,
    UniformInit,
    WhiteningInit,
)

Sample = Callable[[], Iterable[tuple[Tensor, Tensor]]]
"""Function that reads some of the training examples: network inputs `(B, *input_shape)` and targets at a time."""
MAX_SCORE = 100.0
"""The largest output that a linear discriminant starts with: a loss with larger ones has no gradient."""


class Exponential(nn.Module):
    """exp(x), elementwise."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply to any shape."""
        return torch.exp(inputs)


class Dropout(nn.Dropout):
    """torch's dropout at a third of its cost on a CPU: one 64-bit random number decides about two values, not one.

    The probability is rounded to a multiple of 2**-32. The mask is drawn from torch's own generator.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply to any shape."""
        cut = round(self.p * 2**32)
        if not self.training or inputs.device.type != "cpu" or cut in (0, 2**32):
            return super().forward(inputs)
        words = torch.randint(-(2**63), 2**63 - 1, (-(-inputs.numel() // 2),)).view(torch.int32)
        kept = words[: inputs.numel()].view(inputs.shape) >= cut - 2**31
        return inputs * kept.to(inputs.dtype).mul_(1 / (1 - self.p))


class Scale(nn.Module):
    """Multiplication by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply to any shape."""
        return inputs * self.factor

    def extra_repr(self) -> str:
        """Return the factor, for `repr`."""
        return f"{self.factor:g}"


class GlobalMaxPool(nn.Module):
    """Global maximum of each channel: like AdaptiveMaxPool2d(1), but deterministic on CUDA too."""

    def forward(self, inputs: Tensor) -> Tensor:
        """`(N, C, H, W)` to `(N, C, 1, 1)`."""
        return inputs.amax(dim=(2, 3), keepdim=True)


HEADS: dict[Head, Callable[[], nn.Module]] = {
    "flatten": nn.Identity,
    "average": lambda: nn.AdaptiveAvgPool2d(1),
    "max": GlobalMaxPool,
}

ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "exponential": Exponential,
    "none": nn.Identity,
}

OUTPUTS: dict[Output, Callable[[], nn.Module]] = {
    "none": nn.Identity,
    "sigmoid": nn.Sigmoid,
    "softmax": lambda: nn.Softmax(dim=1),
    "log_softmax": lambda: nn.LogSoftmax(dim=1),
    "relu": nn.ReLU,
}


BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
"""The layers that keep statistics of the batches that they are trained on."""


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """Put a network in evaluation mode; afterwards each of its modules is in the mode that it was in."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield model.eval()
    finally:
        for module, was_training in modes:
            module.training = was_training


def initialize(
    layer: nn.Linear | nn.Conv2d, init: Init, bias_init: BiasInit | None = None, where: ConfigPath = ("model",)
) -> None:
    """Initialize weights and biases of a new layer in place.

    Raises:
        ModelError: The initialization does not fit the layer; `where` is its position in the YAML.
    """
    # A meta tensor has no values; torch would import its compiler to find that out.
    if layer.weight.is_meta:
        return
    _initialize_bias(layer, init, bias_init)
    if init.name == "default":
        return
    if isinstance(init, NormalInit):
        nn.init.normal_(layer.weight, std=init.std)
    elif isinstance(init, UniformInit):
        nn.init.uniform_(layer.weight, -init.bound, init.bound)
    elif isinstance(init, ConstantInit):
        nn.init.constant_(layer.weight, init.value)
    elif isinstance(init, WhiteningInit):
        _check_whitening(layer, where)
        layer.weight.requires_grad_(not init.frozen)  # the values are set from the data: see `Model.fit`
    elif isinstance(init, DiscriminantInit):
        nn.init.zeros_(layer.weight)  # likewise
    else:
        _PLAIN[init.name](layer.weight)


def _initialize_bias(layer: nn.Linear | nn.Conv2d, init: Init, bias_init: BiasInit | None) -> None:
    if bias_init is None:
        bias_init = "default" if init.name == "default" else 0.0
    if layer.bias is not None and bias_init != "default":
        nn.init.constant_(layer.bias, bias_init)


def _check_whitening(layer: nn.Linear | nn.Conv2d, where: ConfigPath) -> None:
    units, inputs = len(layer.weight), layer.weight[0].numel()
    if units % 2 or units > 2 * inputs:
        raise ModelError(
            f"{dotted(where)}: init whitening with {units} units of {inputs} inputs each; expected an even number, "
            f"at most {2 * inputs}: a filter and its negative per input",
            where,
        )


def _dirac(weight: Tensor) -> None:
    """Make the first channels copy their inputs; with an even kernel, at the center that padding `same` uses."""
    if weight.ndim == 4:
        copies = range(min(weight.shape[0], weight.shape[1]))
        with torch.no_grad():
            weight[: len(copies)] = 0
            weight[copies, copies, (weight.shape[2] - 1) // 2, (weight.shape[3] - 1) // 2] = 1


_PLAIN: dict[str, Callable[[Tensor], object]] = {
    # He et al., 2015 (arXiv:1502.01852), for ReLU; Glorot and Bengio, 2010, for saturating activations.
    "kaiming_uniform": lambda weight: nn.init.kaiming_uniform_(weight, nonlinearity="relu"),
    "kaiming_normal": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "zeros": nn.init.zeros_,
    # Zagoruyko and Komodakis, 2017 (arXiv:1706.00388), for some of the channels, as in Jordan, 2024 (arXiv:2404.00498).
    "dirac": _dirac,
}


@torch.no_grad()
def whiten(network: nn.Module, name: str, sample: Sample, eps: float) -> None:
    """Set the weights of the named layer of a sequential network in place, so that its outputs are whitened.

    Rows are the eigenvectors of the covariance of the layer's inputs (for a convolution, of its patches), each
    divided by the square root of its eigenvalue plus `eps`, largest first; then the same rows negated (Jordan, 2024,
    arXiv:2404.00498, section 3.2, after Page, 2019).
    """
    layer = network.get_submodule(name)
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    with evaluating(network):
        covariance = _covariance(network, name, layer, sample)
    eigenvalues, eigenvectors = torch.linalg.eigh(covariance)  # ascending; eigenvectors are columns
    filters = (eigenvectors / (eigenvalues.clamp(min=0) + eps).sqrt()).T.flip(0)[: len(layer.weight) // 2]
    layer.weight.copy_(torch.cat([filters, -filters]).reshape(layer.weight.shape))


def _covariance(network: nn.Module, name: str, layer: nn.Linear | nn.Conv2d, sample: Sample) -> Tensor:
    """Return the covariance `(F, F)` of the layer's inputs over all positions, in float64 on the CPU."""
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for batch, _ in sample():
        inputs = batch
        for child_name, child in network.named_children():
            if child_name == name:
                break
            inputs = child(inputs)
        if isinstance(layer, nn.Conv2d):
            assert not isinstance(layer.padding, str)  # our convolutions have padding in pixels
            patches = functional.unfold(inputs, layer.kernel_size, padding=layer.padding, stride=layer.stride)
            inputs = patches.transpose(1, 2).flatten(0, 1)
        columns = inputs.cpu().double()
        count, total, squares = count + len(columns), total + columns.sum(dim=0), squares + columns.T @ columns
    mean = total / count
    return squares / count - torch.outer(mean, mean)


@torch.no_grad()
def discriminate(network: nn.Module, sample: Sample) -> None:
    """Set the weights of a linear network in place to the linear discriminant of a sample.

    Raises:
        ModelError: The examples do not have one class each, or the network not one output per class.
    """
    layer = network.get_submodule("output_linear")
    assert isinstance(layer, nn.Linear)
    batches = [(batch.flatten(1).cpu().double(), of_batch.cpu()) for batch, of_batch in sample()]
    inputs, targets = (torch.cat(parts) for parts in zip(*batches, strict=True))
    if targets.ndim != 1 or layer.out_features < 2:
        raise ModelError(
            "model.init: discriminant needs one class per example and one output per class; set loss: cross_entropy, "
            "or another init",
            ("model", "init"),
        )
    weights, offsets = discriminant(inputs.clone(), targets, layer.out_features)
    # A class that is not in the sample is as rare as one with a single example.
    offsets = offsets.nan_to_num(neginf=-math.log(len(targets)))
    # The classes stay the same: examples of a class that are all alike would have scores without limit.
    factor = min(1.0, MAX_SCORE / float((inputs @ weights + offsets).abs().max()))
    layer.weight.copy_(factor * weights.T)
    if layer.bias is not None:
        layer.bias.copy_(factor * offsets)


def batch_norm(kind: type[nn.BatchNorm1d] | type[nn.BatchNorm2d], units: int, options: Norm) -> nn.Module:
    """Return a batch normalization layer for `units` columns or channels."""
    layer = kind(units, eps=options.eps, momentum=options.momentum)
    layer.weight.requires_grad_(options.scale)
    return layer


class Stack:
    """Collects named layers and returns them as one `nn.Sequential`.

    The names follow the YAML: `hidden_0_linear` is the linear layer of `model.hidden.0`.
    """

    def __init__(self) -> None:
        self.layers: OrderedDict[str, nn.Module] = OrderedDict()

    def add(self, name: str, layer: nn.Module) -> None:
        """Append one layer, unless it is an identity."""
        if not isinstance(layer, nn.Identity):
            self.layers[name] = layer

    def sequential(self) -> nn.Sequential:
        """Return the network."""
        return nn.Sequential(self.layers)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut (He et al., 2015, arXiv:1512.03385).

    If the shape changes, the shortcut is a 1x1 convolution with batch normalization (the paper's option B).
    """

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C, H / stride, W / stride)`."""
        outputs = torch.relu(self.norm1(self.conv1(inputs)))
        outputs = self.norm2(self.conv2(outputs))
        return torch.relu(outputs + self.shortcut(inputs))


def check_forward(model: nn.Module, inputs: Tensor, num_outputs: int) -> None:
    """Pass two inputs through an untrained network to reject shapes that do not fit before training.

    Raises:
        ModelError: A layer does not accept its input, or the outputs are not `(N, num_outputs)`.
    """
    seen: list[tuple[str, tuple[int, ...]]] = []

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda module, args: seen.extend(
            (f"layer {name} ({type(module).__name__})" if name else "the network", tuple(arg.shape))
            for arg in args[:1]
            if isinstance(arg, Tensor)
        )

    leaves = [(name, module) for name, module in model.named_modules() if not list(module.children())]
    handles = [module.register_forward_pre_hook(note(name)) for name, module in leaves]
    try:
        with torch.no_grad(), evaluating(model):
            outputs = model(inputs)
    except Exception as cause:  # a user's own network raises whatever it likes
        if (raised := described(cause)) is not None:
            raise ModelError(f"model: forward pass of inputs {tuple(inputs.shape)}: {raised}", ("model",)) from cause
        layer, shape = seen[-1] if seen else ("the network", tuple(inputs.shape))
        raise ModelError(
            f"model: {layer} does not accept inputs of shape {shape} ({one_line(cause)}); change the model or "
            "the size of the images",
            ("model",),
        ) from cause
    finally:
        for handle in handles:
            handle.remove()
    expected = (len(inputs), num_outputs)
    found = tuple(outputs.shape) if isinstance(outputs, Tensor) else None
    if found != expected:
        what = f"type {type(outputs).__name__}" if found is None else f"shape {found}"
        raise ModelError(f"model: outputs of {what}; expected a tensor of shape {expected}", ("model",))
    if not outputs.is_floating_point():
        raise ModelError(f"model: outputs of {outputs.dtype}; expected floating-point numbers", ("model",))


def check_trainable(outputs: object) -> None:
    """Check what a network returns in training mode, where a user's own network may differ from `check_forward`.

    Raises:
        ModelError: It is no tensor, or no gradient reaches the parameters from it.
    """
    if not isinstance(outputs, Tensor):
        found = f"model: outputs of type {type(outputs).__name__} in training mode"
        raise ModelError(f"{found}; expected a tensor, as in evaluation mode", ("model",))
    if not outputs.requires_grad:
        raise ModelError(
            "model: no gradient passes from the outputs to the parameters; remove detach(), no_grad() and conversions "
            "to NumPy or to integers from the forward pass",
            ("model",),
        )


def tensors_in(output: object) -> Iterator[Tensor]:
    """Yield the tensors in the output of a layer, which may be a tuple, such as that of an LSTM, a list or a dict."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, dict | list | tuple):
        for part in output.values() if isinstance(output, dict) else output:
            yield from tensors_in(part)

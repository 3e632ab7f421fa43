"""The convolutional network: convolutional blocks, then fully connected layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field

from nnclassify.errors import ConfigPath, ModelError, dotted
from nnclassify.models.base import DenseModel
from nnclassify.models.layer_settings import Activation, Head, Init, WhiteningInit
from nnclassify.settings import PositiveInt, Probability, Settings, Switch

if TYPE_CHECKING:
    from torch import nn

    from nnclassify.models.layers import Stack

Shape = tuple[int, int, int]

MAX_SIZE = 256
"""Limit of kernel sizes, strides and paddings in pixels, four times the largest kernels in use."""


class Block(Settings):
    """Convolution, batch normalization, activation, pooling, dropout, in this order unless `pool_after` changes it."""

    channels: PositiveInt
    """Number of output channels of the convolution."""
    kernel: Annotated[int, Field(ge=1, le=MAX_SIZE)] = 3
    """Height and width of the convolution kernel."""
    stride: Annotated[int, Field(ge=1, le=MAX_SIZE)] = 1
    """Stride of the convolution."""
    padding: Annotated[int, Field(ge=0, le=MAX_SIZE)] | Literal["same"] = 0
    """Zero padding on each side of the image; `same` keeps the size of the image (needs stride 1)."""
    bias: Switch = True
    """Add a learnable bias to the convolution; it has no effect before batch normalization."""
    batch_norm: Switch = True
    """Apply batch normalization before the activation."""
    activation: Activation | None = None
    """Activation function. Default: the model's."""
    pool: Literal["max", "avg", "none"] = "none"
    """Type of pooling; with the default `pool_size` it halves height and width."""
    pool_size: Annotated[int, Field(ge=2, le=64)] = 2
    """Kernel size and stride of the pooling."""
    pool_after: Literal["activation", "convolution"] = "activation"
    """Where to pool: after the activation, or directly after the convolution, which leaves less to normalize."""
    dropout: Probability = 0.0
    """Dropout probability, applied to whole channels."""
    init: Init | None = None
    """Weight initialization. Default: the model's."""

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Yield errors for padding that does not fit the block, and for pooling options without pooling."""
        if self.padding == "same" and self.stride != 1:
            yield "padding", f"found 'same' with stride {self.stride}; expected stride 1, or padding in pixels"
        if self.padding != "same" and self.padding >= self.kernel:
            found = f"found {self.padding} with kernel {self.kernel}"
            yield "padding", f"{found}, so some outputs see only padding; lower padding"
        for key in ("pool_size", "pool_after"):
            found = getattr(self, key)
            if self.pool == "none" and found != Block.model_fields[key].default:
                yield key, f"found {found!r} without pooling; set pool: max or pool: avg, or remove {key}"


class Cnn(DenseModel):
    """Convolutional blocks, followed by a head that flattens or pools their outputs into fully connected layers."""

    name: Literal["cnn"] = "cnn"
    blocks: Annotated[list[Block], Field(min_length=1)]
    """The convolutional blocks, in order."""
    head: Head = "flatten"
    """Input of the fully connected layers: all outputs of the last block, flattened, or the average or maximum of each
    channel over the image (global pooling), which needs far fewer weights."""

    def has_batch_norm(self) -> bool:
        """Return whether any block or hidden layer uses batch normalization."""
        return any(block.batch_norm for block in self.blocks) or any(layer.batch_norm for layer in self.hidden)

    def network(self, input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
        """Build the network, `(N, C, H, W)` to `(N, num_outputs)`.

        Raises:
            ModelError: The examples are not images, or a block's kernel or pooling is larger than its input.
        """
        from torch import nn

        from nnclassify.models.layers import HEADS, Stack

        channels, height, width = image_shape("cnn", input_shape)
        shape = (channels, height, width)
        stack = Stack()
        for index, block in enumerate(self.blocks):
            shape = self._add_block(stack, index, block, shape)
        stack.add("pool", HEADS[self.head]())
        stack.add("flatten", nn.Flatten())
        features = shape[0] * (shape[1] * shape[2] if self.head == "flatten" else 1)
        features = self._add_hidden(stack, features, normalized=False)
        self._add_output(stack, features, num_outputs)
        return stack.sequential()

    def widened(self, factor: int) -> Self:
        """Return the model with wider blocks and hidden layers."""
        blocks = [
            block  # whitening has a limit to the number of its filters
            if isinstance(block.init or self.init, WhiteningInit)
            else block.model_copy(update={"channels": factor * block.channels})
            for block in self.blocks
        ]
        return (super().widened(factor) or self).model_copy(update={"blocks": blocks})

    def layer_inits(self) -> Iterator[tuple[str, Init]]:
        """Yield the convolutions, then the linear layers."""
        for index, block in enumerate(self.blocks):
            yield f"block_{index}_conv", block.init or self.init
        yield from super().layer_inits()

    def _add_block(self, stack: Stack, index: int, block: Block, shape: Shape) -> Shape:
        from torch import nn

        from nnclassify.models.layers import ACTIVATIONS, batch_norm, initialize

        name, where = f"block_{index}", ("model", "blocks", index)
        after = shape_after(where, block, shape)
        padding = block.padding
        if padding == "same":
            # With an even kernel, the padding is odd; the extra zero goes to the right and the bottom, as with
            # torch's `same`, which would copy the image with a warning.
            padding = (block.kernel - 1) // 2
            if block.kernel % 2 == 0:
                stack.add(f"{name}_pad", nn.ZeroPad2d((0, 1, 0, 1)))
        conv = nn.Conv2d(shape[0], block.channels, block.kernel, block.stride, padding, bias=block.bias)
        initialize(conv, block.init or self.init, self.bias_init, where)
        stack.add(f"{name}_conv", conv)
        pools = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}
        pool = pools[block.pool](block.pool_size) if block.pool != "none" else nn.Identity()
        if block.pool_after == "convolution":
            stack.add(f"{name}_pool", pool)
        if block.batch_norm:
            stack.add(f"{name}_norm", batch_norm(nn.BatchNorm2d, block.channels, self.norm))
        activation = block.activation or self.activation
        last = [("activation", ACTIVATIONS[activation]())]
        if block.pool_after == "activation":
            # relu and max pooling commute bit for bit, gradients included, so relu is applied to the smaller,
            # pooled images.
            last.insert(0 if (activation, block.pool) == ("relu", "max") else 1, ("pool", pool))
        for kind, layer in last:
            stack.add(f"{name}_{kind}", layer)
        if block.dropout:
            stack.add(f"{name}_dropout", nn.Dropout2d(block.dropout))
        return after


def image_shape(model: str, input_shape: tuple[int, ...]) -> Shape:
    """Return the input shape as (C, H, W).

    Raises:
        ModelError: It is not the shape of images.
    """
    if len(input_shape) != 3:
        raise ModelError(
            f"model: {model} on examples of shape {input_shape}; expected images (C, H, W); use `model: mlp` here",
            ("model",),
        )
    return input_shape[0], input_shape[1], input_shape[2]


def shape_after(where: ConfigPath, block: Block, shape: Shape) -> Shape:
    """Return the shape (C, H, W) after a block.

    Raises:
        ModelError: The output would be empty, or `same` padding is combined with a stride.
    """
    if block.padding == "same" and block.stride != 1:
        what = f"padding 'same' with stride {block.stride}; expected stride 1, or padding in pixels"
        raise ModelError(f"{dotted(where)}: {what}", where)
    padding = (block.kernel - 1) / 2 if block.padding == "same" else block.padding
    size = [int((length + 2 * padding - block.kernel) // block.stride) + 1 for length in shape[1:]]
    after = [length // block.pool_size for length in size] if block.pool != "none" else size
    if min(size) < 1 or min(after) < 1:
        what = f"kernel {block.kernel}" + (f" and {block.pool} pooling" if block.pool != "none" else "")
        raise ModelError(
            f"{dotted(where)}: {what} on {shape} leaves {(block.channels, *[max(0, n) for n in after])}; expected at "
            "least 1x1: use a smaller kernel, padding, fewer poolings, or larger images",
            where,
        )
    return block.channels, after[0], after[1]

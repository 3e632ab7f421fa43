"""The residual network for 32x32 images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field

from nnclassify.models.base import Model
from nnclassify.models.cnn import image_shape
from nnclassify.settings import PositiveInt

if TYPE_CHECKING:
    from torch import nn

NumBlocks = Annotated[int, Field(ge=1, le=1000)]


class Resnet(Model):
    """The residual network for CIFAR-10 of He et al. (2015, arXiv:1512.03385, section 4.2).

    A first convolution, stages of residual blocks, global average pooling and a linear layer. Every stage after the
    first halves height and width and doubles the channels. The defaults are ResNet-20.
    """

    name: Literal["resnet"] = "resnet"
    width: PositiveInt = 16
    """Number of channels of the first stage."""
    stages: Annotated[list[NumBlocks], Field(min_length=1, max_length=6)] = Field(default=[3, 3, 3])
    """Number of residual blocks in each stage."""

    def widened(self, factor: int) -> Self:
        """Return the model with a wider first stage, and so with wider stages."""
        return self.model_copy(update={"width": factor * self.width})

    def network(self, input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
        """Build the network, `(N, C, H, W)` to `(N, num_outputs)`.

        Raises:
            ModelError: The examples are not images.
        """
        from torch import nn

        from nnclassify.models.layers import ResidualBlock, Stack

        channels, _, _ = image_shape("resnet", input_shape)
        stack = Stack()
        stack.add("stem_conv", nn.Conv2d(channels, self.width, 3, padding=1, bias=False))
        stack.add("stem_norm", nn.BatchNorm2d(self.width))
        stack.add("stem_activation", nn.ReLU())
        channels = self.width
        for stage, num_blocks in enumerate(self.stages):
            for block in range(num_blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                width = self.width * 2**stage
                stack.add(f"stage_{stage}_block_{block}", ResidualBlock(channels, width, stride))
                channels = width
        stack.add("pool", nn.AdaptiveAvgPool2d(1))
        stack.add("flatten", nn.Flatten())
        stack.layers["output_linear"] = nn.Linear(channels, num_outputs)
        return stack.sequential()

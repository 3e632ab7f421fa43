"""What the layers of a network do, and what is refused before training."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from nnclassify.errors import ModelError
from nnclassify.models.cnn import Block, Cnn, shape_after
from nnclassify.models.mlp import Mlp


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_same_padding_is_torchs_for_odd_and_even_kernels(kernel: int) -> None:
    block = Block(channels=2, kernel=kernel, padding="same", batch_norm=False, activation="none")
    network = Cnn(blocks=[block]).network((3, 9, 7), 2)
    conv = network.get_submodule("block_0_conv")
    assert isinstance(conv, nn.Conv2d)
    pictures = torch.randn(2, 3, 9, 7, generator=torch.Generator().manual_seed(0))
    padded = network.get_submodule("block_0_pad")(pictures) if kernel % 2 == 0 else pictures
    expected = functional.conv2d(pictures, conv.weight, conv.bias, padding="same")
    assert torch.allclose(conv(padded), expected, atol=1e-6)


def test_the_cifar_cnn_ends_in_200_features() -> None:
    blocks = [Block(channels=16, kernel=4, pool="max"), Block(channels=8, kernel=4, pool="avg")]
    assert shape_after("model.blocks.1", blocks[1], shape_after("model.blocks.0", blocks[0], (3, 32, 32))) == (8, 5, 5)


def test_a_kernel_that_does_not_fit_is_refused_with_the_block_and_both_shapes() -> None:
    with pytest.raises(ModelError, match=r"^model.blocks.0: kernel 9 on \(1, 8, 8\) leaves \(4, 0, 0\)"):
        Cnn(blocks=[Block(channels=4, kernel=9)]).build((1, 8, 8), 2)


def test_a_layers_own_options_go_before_the_models() -> None:
    hidden = [{"units": 3, "activation": "tanh", "dropout": 0.0, "batch_norm": False}, 4]
    model = Mlp.model_validate({"hidden": hidden, "activation": "relu", "dropout": 0.5, "batch_norm": True})
    names = [type(layer).__name__ for layer in model.network((2,), 1).children()]
    assert names == ["Linear", "Tanh", "Linear", "BatchNorm1d", "ReLU", "Dropout", "Linear"]

"""Tests of the decompositions against torch's own operators."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nnclassify.compile.tracing import make_graph


@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 3), (3, 2)])
def test_pooling_and_its_gradient_are_torchs_own(size: int, stride: int) -> None:
    def pool(inputs: Tensor, weights: Tensor) -> list[Tensor]:
        pooled = functional.max_pool2d(inputs, size, stride)
        return [pooled, *torch.autograd.grad((pooled * weights).sum(), [inputs])]

    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(0, 3, (2, 3, 7, 9), generator=generator).float()  # many ties
    inputs[0, 0, 0, 1] = torch.nan
    inputs = inputs.to(memory_format=torch.channels_last).requires_grad_()
    weights = torch.rand(functional.max_pool2d(inputs, size, stride).shape, generator=generator)
    for found, expected in zip(
        make_graph(pool, [inputs, weights])(inputs, weights), pool(inputs, weights), strict=True
    ):
        assert torch.equal(found.nan_to_num(-1), expected.nan_to_num(-1))


def test_batch_norm_and_its_running_statistics_are_torchs_own() -> None:
    def norm(inputs: Tensor, weight: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        return functional.batch_norm(inputs, mean, var, weight, None, training=True)

    given = [torch.rand(4, 3, 5, 5), torch.rand(3), torch.zeros(3), torch.ones(3)]
    like = [value.clone() for value in given]
    torch.testing.assert_close(make_graph(norm, given)(*given), norm(*like))
    torch.testing.assert_close(given, like)


@pytest.mark.parametrize("wanted", [[0, 1, 2], [1, 2], [2], [0, 1]])
def test_gradients_of_a_convolution_are_torchs_own(wanted: list[int]) -> None:
    def gradients(inputs: Tensor, weight: Tensor, bias: Tensor, outer: Tensor) -> list[Tensor]:
        outputs = functional.conv2d(inputs, weight, bias, stride=2, padding=1, groups=2)
        return list(torch.autograd.grad((outputs * outer).sum(), [[inputs, weight, bias][place] for place in wanted]))

    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 4, 7, 7), (6, 2, 3, 3), (6,), (3, 6, 4, 4)]
    given = [torch.rand(shape, generator=generator, requires_grad=True) for shape in shapes]
    torch.testing.assert_close(make_graph(gradients, given)(*given), gradients(*given))

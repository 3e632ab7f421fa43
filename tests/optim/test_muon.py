"""Tests of Muon for filters against torch's own Muon on the same matrices."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn, optim

from nnclassify.optim.muon import FilterMuon


def stepped(start: Tensor, gradients: list[Tensor], *, normalized: bool = False) -> Tensor:
    """A parameter after as many steps as there are gradients."""
    parameter = nn.Parameter(start.clone())
    group = [{"params": [parameter]}]
    muon = FilterMuon(group, 0.1, 0.01, momentum=0.9, nesterov=True, ns_steps=3, normalized=normalized)
    for gradient in gradients:
        parameter.grad = gradient
        muon.step()
    return parameter.detach()


def torchs(start: Tensor, gradients: list[Tensor]) -> Tensor:
    """The same by torch, for a matrix."""
    parameter = nn.Parameter(start.clone())
    muon = optim.Muon([parameter], lr=0.1, weight_decay=0.01, momentum=0.9, nesterov=True, ns_steps=3)
    for gradient in gradients:
        parameter.grad = gradient
        muon.step()
    return parameter.detach()


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_convolution_steps_as_its_matrix(memory_format: torch.memory_format) -> None:
    rng = torch.Generator().manual_seed(0)
    start, *gradients = (torch.randn(6, 4, 3, 3, generator=rng) for _ in range(4))
    expected = torchs(start.flatten(1), [gradient.flatten(1) for gradient in gradients]).reshape(start.shape)
    # The gradients' memory format is torch's to choose.
    found = stepped(start.contiguous(memory_format=memory_format), gradients)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-3)  # bfloat16 sums in another order
    assert (expected - start).abs().mean() > 0.01


def test_a_matrix_steps_as_torchs() -> None:
    rng = torch.Generator().manual_seed(0)
    start, *gradients = (torch.randn(5, 7, generator=rng) for _ in range(4))
    assert torch.equal(stepped(start, gradients), torchs(start, gradients))


def test_a_normalized_matrix_begins_each_step_at_the_root_of_its_rows() -> None:
    start = torch.randn(9, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    gradient = torch.ones_like(start)
    found = stepped(7 * start, [gradient], normalized=True)
    expected = stepped(start * 3 / start.norm(), [gradient])
    torch.testing.assert_close(found, expected)

"""Tests of what reference networks and nearest neighbors say of the labels."""

import pytest
import torch

from nnclassify.data import Examples
from nnclassify.diagnosis.trials.reference_networks import best_shift


@pytest.mark.parametrize("rows", [-3, -1, 1, 2, 7])
def test_a_shift_of_the_labels_is_found_through_the_gaps_of_a_random_split(rows: int) -> None:
    labels = torch.randint(0, 5, (200,), generator=torch.Generator().manual_seed(0))
    indices = torch.randperm(200, generator=torch.Generator().manual_seed(1))[:120].sort().values
    own = labels[indices]
    nearest = torch.stack([(own == label).nonzero().flatten().roll(1)[0] for label in own])
    shifted = labels.roll(rows)
    shifted[~torch.isin(torch.arange(200), indices)] = 9  # the other splits are not looked at
    assert best_shift(Examples(torch.zeros(200, 1), shifted, indices), nearest) == (-rows, 1.0)

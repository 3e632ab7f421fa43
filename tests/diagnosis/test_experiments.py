from pathlib import Path

import pytest
import torch
from builders import config_of

from nnclassify.diagnosis.range_plot import save_range_test
from nnclassify.diagnosis.trials.experiments import RangeTest, overfit_one_batch, range_test, suggested_rate
from nnclassify.training.build import build_components


def test_a_tenth_of_the_rate_with_the_lowest_loss_is_suggested() -> None:
    assert suggested_rate([0.01, 0.1, 1.0, 10.0], [2.0, 1.5, 0.5, 4.0]) == pytest.approx(0.1)


def test_a_loss_that_never_falls_suggests_nothing() -> None:
    assert suggested_rate([0.01, 0.1], [1.0, 0.99]) is None and suggested_rate([], []) is None
    early = [0.7, 0.6, *[0.7] * 18]  # the second of twenty batches is an easy one
    assert suggested_rate([10.0**power for power in range(20)], early) is None


def test_a_range_test_ends_where_the_loss_explodes() -> None:
    found = range_test(build_components(config_of(optimizer={"name": "sgd", "lr": 0.1})), 1e-4, 1e6)
    assert found is not None and found.suggested is not None
    assert 0.001 < found.suggested < 10 and found.rates[-1] < 1e6
    assert max(found.losses) <= 4 * min(found.losses)


def test_a_range_test_is_the_same_twice() -> None:
    first, second = (range_test(build_components(config_of()), 1e-4, 10.0) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(("hidden", "lr", "learns"), [([64], 0.01, True), ([64], 1e-9, False)])
def test_a_working_net_learns_a_batch_by_heart(hidden: list[int], lr: float, learns: bool) -> None:
    model = {"name": "mlp", "hidden": hidden, "dropout": 0.5}
    reached = overfit_one_batch(build_components(config_of(model=model, optimizer={"name": "adam", "lr": lr})))
    assert reached is not None and (reached > 0.95) == learns


def test_the_image_of_a_range_test_is_drawn(tmp_path: Path) -> None:
    rates = tuple(torch.logspace(-4, 0, 9).tolist())
    path = save_range_test(
        RangeTest(rates, (1.0, 1.0, 0.9, 0.8, 0.6, 0.4, 0.3, 0.5, 1.1), 0.01), 0.1, tmp_path / "r.png"
    )
    assert path.read_bytes().startswith(b"\x89PNG")

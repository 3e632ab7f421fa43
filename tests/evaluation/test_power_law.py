"""Power laws: known curves are found again, and intervals hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit

from nnclassify.evaluation.power_law import PowerLaw

SIZES = [count for count in (1000, 2000, 4000, 8000, 16000) for _ in range(3)]


def errors(rng: np.random.Generator, floor: float, scale: float, exponent: float, spread: float = 0.04) -> list[float]:
    """The errors of runs around a known curve, judged on 5,000 examples."""
    means = floor + scale * np.array(SIZES, dtype=float) ** -exponent
    noise = np.hypot(spread * means, np.sqrt(0.5 * means * (1 - means) / 5000))
    return [float(error) for error in np.clip(means + rng.normal(size=len(SIZES)) * noise, 0, 1)]


def test_a_curve_without_noise_goes_on_as_it_was() -> None:
    found = [0.02 + 3 * size**-0.5 for size in SIZES]
    law = PowerLaw.fit(SIZES, found, num_judged=10**7)
    assert law.curve(32000).median == pytest.approx(0.02 + 3 * 32000**-0.5, rel=0.02)
    assert law.avoided(16000, 32000).median == pytest.approx(1 - (0.02 + 3 * 32000**-0.5) / found[-1], rel=0.05)


def test_the_median_is_near_the_least_squares_of_scipy() -> None:
    found = errors(np.random.default_rng(1), 0.03, 8.0, 0.6, spread=0.01)
    law = PowerLaw.fit(SIZES, found, 5000)

    def curve(size: np.ndarray, floor: float, scale: float, exponent: float) -> np.ndarray:
        shape: np.ndarray = floor + scale * size**-exponent
        return shape

    best, _ = curve_fit(  # type: ignore[no-untyped-call]  # scipy's own
        curve, np.array(SIZES, dtype=float), found, p0=(0.01, 1.0, 0.5), sigma=found, maxfev=20000
    )
    for size in (2000, 16000, 32000):
        expected = law.curve(size)
        assert expected.low < curve(np.array(size, dtype=float), *best) < expected.high
        assert expected.median == pytest.approx(curve(np.array(size, dtype=float), *best), rel=0.06)


def test_the_same_runs_have_the_same_interval_and_one_run_is_less_certain_than_the_curve() -> None:
    found = errors(np.random.default_rng(2), 0.03, 8.0, 0.6)
    law = PowerLaw.fit(SIZES, found, 5000)
    assert law.run(32000) == PowerLaw.fit(SIZES, found, 5000).run(32000)
    assert law.run(32000).low < law.curve(32000).low < law.curve(32000).high < law.run(32000).high


def test_runs_without_mistakes_have_an_interval_too() -> None:
    expected = PowerLaw.fit(SIZES, [0.0] * len(SIZES), 100).run(32000)
    assert expected.low == 0 and expected.median < 0.01 and expected.high < 0.03


def test_two_sizes_are_too_few() -> None:
    with pytest.raises(ValueError, match="found 2"):
        PowerLaw.fit([10, 20], [0.5, 0.4], 100)


@pytest.mark.slow
@pytest.mark.parametrize(("floor", "scale", "exponent"), [(0.0, 1.0, 0.3), (0.05, 20.0, 0.8), (0.12, 1.0, 0.4)])
def test_intervals_of_a_run_with_twice_the_data_hold_it(floor: float, scale: float, exponent: float) -> None:
    """Of 50 simulated learning curves, 95% intervals hold the next run in 47 or 48, within four standard errors."""
    rng, hits, mean = np.random.default_rng(3), 0, floor + scale * 32000**-exponent
    for _ in range(50):
        expected = PowerLaw.fit(SIZES, errors(rng, floor, scale, exponent), 5000).run(32000)
        noise = float(np.hypot(0.04 * mean, np.sqrt(0.5 * mean * (1 - mean) / 5000)))
        hits += expected.low <= mean + noise * rng.normal() <= expected.high
    assert hits >= 41

"""Whether the test accuracies of compared runs differ by more than chance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nnclassify.cli.text import comparison_text
from nnclassify.inference.compare import ComparedRun, repetitions
from nnclassify.inference.compared_examples import ScoredExamples
from nnclassify.inference.differences import differences
from nnclassify.inference.plots.comparison import compared_curves
from nnclassify.training.history import Row


def run_of(name: str, answers: str, lr: float = 0.1, seed: int = 0, prefix: str = "") -> ComparedRun:
    """A run whose test examples are predicted correctly where `answers` has a 1."""
    is_correct = {(f"{prefix}{index}", "hash", "class"): answer == "1" for index, answer in enumerate(answers)}
    scored = ScoredExamples(is_correct, num_train=2 * len(answers))
    share: dict[str, float | None] = {"train": 1.0, "validation": None, "test": scored.num_correct / len(answers)}
    values: dict[str, Any] = {"optimizer.lr": lr, "seed": seed}
    rows = [Row(1, 1, 0.1, 1.0, None, None, 0.5, 1.0, 9.0)]
    return ComparedRun(name, values, 10, 1, 1.0, share, "accuracy", {"validation": {}, "test": {}}, rows, scored)


def test_a_large_difference_is_more_than_chance() -> None:
    first, second = run_of("a", "1" * 60 + "0" * 40), run_of("b", "1" * 80 + "0" * 20, lr=0.2)
    (found,) = differences([first, second])
    assert found.test == "mcnemar" and found.num_examples == 100 and found.difference == pytest.approx(0.2)
    assert found.p_value == pytest.approx(2 * 0.5**20)
    assert found.configs_differ
    assert found.sentence().startswith(
        "b is 20.0 points better than a on the same 100 test examples; 95% interval 12.0 to "
    )
    assert found.sentence().endswith("; p < 0.0001; one run each")
    (swapped,) = differences([second, first])
    assert swapped.sentence() == found.sentence() and swapped.difference == -found.difference


def test_a_small_difference_can_be_chance() -> None:
    (found,) = differences([run_of("a", "11110000"), run_of("b", "11111001", lr=0.2)])
    assert not found.configs_differ and found.p_value == 0.5
    assert (
        " points better than a on the same 8 test examples, which may be due to chance; 95% interval "
        in found.sentence()
    )


def test_an_interval_without_zero_that_the_exact_test_contradicts_is_called_approximate() -> None:
    (found,) = differences([run_of("a", "0000" + "1" * 96), run_of("b", "1" * 100, lr=0.2)])
    assert found.p_value == pytest.approx(2 * 0.5**4) and found.interval[0] > 0
    assert ", which may be due to chance; 95% interval 1.0 to 8.0 points (approximate: few" in found.sentence()


def test_seeds_of_two_configs_are_compared_by_the_corrected_t_test() -> None:
    first = [
        run_of(f"a-{seed}", "1" * right + "0" * (20 - right), seed=seed) for seed, right in enumerate((10, 12, 11))
    ]
    other = [
        run_of(f"b-{seed}", "1" * right + "0" * (20 - right), 0.2, seed) for seed, right in enumerate((14, 15, 15))
    ]
    (found,) = differences([*first, *other])
    assert (found.test, found.num_pairs, found.num_left_out) == ("corrected_t", 3, 0)
    # Differences 0.20, 0.15, 0.20: mean 0.18333, variance 0.00083333; t(2) = 6.9570 with 1/3 + 1/2 for 1/3.
    assert found.difference == pytest.approx(0.18333, abs=1e-5)
    assert found.p_value == pytest.approx(0.02004, abs=1e-5)
    text = "lr 0.2 (3 runs) is 18.3 points better than lr 0.1 (3 runs) on average over 3 pairs of runs with 20 test"
    assert found.sentence().startswith(text)
    (found,) = differences([*first, *other[:2]])
    assert found.num_left_out == 1 and "2 pairs of runs (1 run without a partner left out)" in found.sentence()


def test_copies_and_repetitions_of_a_run_count_once() -> None:
    groups = [
        [run_of(f"{name}{seed}", "1" * right + "0" * (20 - right), lr, seed) for seed, right in enumerate(rights)]
        for name, lr, rights in (("a", 0.1, (10, 12, 11)), ("b", 0.2, (14, 15, 15)))
    ]
    runs = [*groups[0], *groups[1]]
    copies = [replace(run, name=f"copy of {run.name}", differences={**run.differences, "name": "copy"}) for run in runs]
    (once,), (found,) = differences(runs), differences([*runs, *copies])
    assert (found.num_pairs, found.p_value, found.interval) == (3, once.p_value, once.interval)
    assert (
        repetitions([*runs, *copies])[0]
        == "copy of a0: the same data, config and seed as a0, so it counts as one run with it"
    )
    (same,) = differences([runs[0], copies[0]])
    assert same.sentence() == "no verdict on copy of a0 and a0: they are runs of one config and seed"


def test_an_interval_of_two_runs_does_not_exceed_100_points() -> None:
    first = [run_of(f"a{seed}", "1" * right + "0" * (20 - right), seed=seed) for seed, right in enumerate((19, 18))]
    other = [run_of(f"b{seed}", "1" * right + "0" * (20 - right), 0.2, seed) for seed, right in enumerate((10, 2))]
    (found,) = differences([*first, *other])
    assert found.interval == (-1.0, 1.0) and "95% interval -100.0 to 100.0 points" in found.sentence()


def test_an_interval_that_begins_at_0_has_no_sign() -> None:
    (found,) = differences([run_of("a", "0" + "1" * 99), run_of("b", "1" * 100, lr=0.2)])
    assert found.interval[0] == 0 and "95% interval 0.0 to 3.0 points; p = 1" in found.sentence()
    (swapped,) = differences([run_of("a", "1" * 100), run_of("b", "0" + "1" * 99, lr=0.2)])
    assert "95% interval 0.0 to 3.0 points; p = 1" in swapped.sentence()


def test_p_values_are_adjusted_for_the_number_of_comparisons() -> None:
    runs = [run_of(f"lr{right}", "1" * right + "0" * (40 - right), lr=right) for right in (20, 26, 27, 21)]
    runs.append(run_of("elsewhere", "1" * 40, lr=9, prefix="x"))  # not tested, so not counted
    found = {each.other: each for each in differences(runs)}
    assert found["lr26"].p_value == 2 * 0.5**6 and found["lr26"].adjusted_p_value == 4 * 0.5**6
    assert found["lr27"].networks_differ and not found["lr26"].networks_differ
    assert "p = 0.062, adjusted for 3 differences" in found["lr26"].sentence()
    assert "approximate" not in found["lr26"].sentence()  # its own p-value is below 5%


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (
            run_of("b", "1111", 0.2, prefix="x"),
            "their test examples differ: 4 examples only in a (0, 1, 2 and 1 more), ",
        ),
        (run_of("b", "11111", 0.2), "their test examples differ: 1 example only in b (4)"),
        (run_of("b", "1101", seed=1), "they are runs of one config, which differ only by seed or fold"),
    ],
)
def test_runs_that_cannot_be_compared_get_no_verdict(other: ComparedRun, why: str) -> None:
    first = run_of("a", "1100")
    (found,) = differences([first, other])
    assert found.sentence().startswith(f"no verdict on b and a: {why}") and not found.configs_differ
    assert found.figures()["test"] is None
    assert comparison_text([first, other], [found]).endswith(found.sentence())
    assert "points above" not in [axes.get_title() for axes in compared_curves([first, other], [found]).axes][-1]


def test_the_plot_has_a_panel_of_the_differences() -> None:
    runs = [
        run_of("a", "1" * 20 + "0" * 20),
        run_of("b", "1" * 38 + "0" * 2, 0.2),
        run_of("c", "1" * 21 + "0" * 19, 0.3),
    ]
    figure = compared_curves(runs, differences(runs))
    panel = next(axes for axes in figure.axes if axes.get_title() == "test accuracy: points above a")
    centers = [float(np.asarray(line.get_xdata())[0]) for line in panel.get_lines()[2::2]]
    assert centers == pytest.approx([45.0, 2.5]) and [line.get_marker() for line in panel.get_lines()[2::2]] == [
        "o",
        "|",
    ]


def test_each_run_without_predictions_says_why() -> None:
    unknown = run_of("b", "1", 0.2)
    unknown = ComparedRun(**{**vars(unknown), "scored": ScoredExamples(why_unknown="has no test examples")})
    (found,) = differences([run_of("a", "1"), unknown])
    assert found.sentence() == "no verdict on b and a: b has no test examples"


def test_networks_may_differ_by_no_more_than_seeds_do() -> None:
    """They share 1,000 differing examples as 540 to 460: more than a coin does, but not more than seeds do."""
    (found,) = differences([run_of("a", "1" * 460 + "0" * 540), run_of("b", "0" * 460 + "1" * 540, 0.2)])
    assert found.networks_differ and not found.configs_differ
    assert "but two seeds of one config often differ as much; to be sure, train both with --seeds 5" in found.sentence()

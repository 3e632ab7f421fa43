import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.diagnosis.__main__ import Score, table
from benchmarks.diagnosis.blind_tables import write_blind_tables
from benchmarks.diagnosis.cases import read_cases, read_set
from benchmarks.diagnosis.fresh_tables import write_fresh_tables
from benchmarks.diagnosis.mixed_tables import write_mixed_files
from benchmarks.diagnosis.noisy_tables import write_noisy_tables
from benchmarks.diagnosis.odd_tables import write_odd_tables
from benchmarks.diagnosis.sets import SETS, cases_of, load_case


@pytest.mark.slow
@pytest.mark.parametrize("set_name", SETS)
def test_every_case_is_a_config(set_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cases = cases_of(set_name)
    assert len({case.name for case in cases}) == len(cases)
    for case in cases:
        assert load_case(case.config, case.name, 2, "data").config.seed == 2


def test_the_second_set_has_sixty_of_each_kind_of_which_at_most_a_quarter_is_slow() -> None:
    for all_of_them, quick in zip(
        read_set(SETS["held_out_2"]), read_set(SETS["held_out_2"], with_slow=False), strict=True
    ):
        assert len(all_of_them) >= 60
        assert 0.75 * len(all_of_them) <= len(quick) < len(all_of_them)


def test_a_fault_is_slow_where_its_twin_is(tmp_path: Path) -> None:
    file = tmp_path / "cases.yaml"
    file.write_text(
        "healthy:\n  quick: {config: {epochs: 1}}\n  deep: {slow: true, config: {epochs: 9}}\n"
        "faulty:\n  - {twin: deep, name: short, change: {epochs: 1}, causes: [NN403]}\n"
    )
    assert read_set(file, with_slow=False) == ({"quick": {"epochs": 1}}, [])
    assert [fault.name for fault in read_set(file)[1]] == ["short"]


@pytest.mark.parametrize(
    ("set_name", "num_healthy", "num_faulty"),
    [("held_out_3", 30, 36), ("held_out_4", 40, 40), ("held_out_5", 40, 30)],
)
def test_the_later_held_out_sets_have_many_of_each_kind(set_name: str, num_healthy: int, num_faulty: int) -> None:
    healthy, faults = read_set(SETS[set_name])
    assert len(healthy) >= num_healthy and len(faults) >= num_faulty
    assert {fault.twin for fault in faults} < healthy.keys()


@pytest.mark.parametrize("set_name", ["held_out_2", "held_out_3", "held_out_4", "held_out_5"])
def test_every_case_of_a_held_out_set_says_where_it_comes_from(set_name: str) -> None:
    cases = read_cases(SETS[set_name])
    assert all(case["source"] for case in [*cases["healthy"].values(), *cases["faulty"]])
    assert all(case["causes"] for case in cases["faulty"])


def assert_same_each_time(write: Callable[[Path], None], count: int, root: Path) -> None:
    """Write tables twice, as many as expected, to folders `a` and `b`, which are the same."""
    for folder in (root / "a", root / "b"):
        folder.mkdir()
        write(folder)
    names = [path.name for path in (root / "a").iterdir()]
    assert len(names) == count
    assert all((root / "a" / name).read_bytes() == (root / "b" / name).read_bytes() for name in names)


def test_noisy_tables_are_the_same_each_time(tmp_path: Path) -> None:
    assert_same_each_time(write_noisy_tables, 13, tmp_path)


def test_fresh_tables_are_the_same_each_time_and_keep_their_units(tmp_path: Path) -> None:
    assert_same_each_time(write_fresh_tables, 8, tmp_path)
    plain, tiny = (np.genfromtxt(tmp_path / "a" / f"traces{kind}.csv", delimiter=",")[1:, :6] for kind in ("", "_tiny"))
    np.testing.assert_allclose(1e-6 * plain, tiny, rtol=1e-6)


@pytest.mark.slow
def test_mixed_tables_are_the_same_each_time_and_a_cell_of_the_loans_in_twelve_is_missing(tmp_path: Path) -> None:
    assert_same_each_time(write_mixed_files, 21, tmp_path)
    lines = (tmp_path / "a" / "loans.csv").read_text().splitlines()[1:]
    assert 0.07 < sum(line.split(",").count("") for line in lines) / (7 * len(lines)) < 0.09


def test_blind_tables_are_the_same_each_time_and_the_inverted_test_images_are(tmp_path: Path) -> None:
    assert_same_each_time(write_blind_tables, 16, tmp_path)
    plain, inverted = (np.load(tmp_path / "a" / f"ink_test{kind}.npy") for kind in ("", "_inverted"))
    np.testing.assert_array_equal(inverted, 1 - plain)


def test_of_the_odd_tables_one_part_in_200_and_one_in_25_is_a_defect(tmp_path: Path) -> None:
    write_odd_tables(tmp_path)
    for name, defects in (("one_in_200", 30), ("one_in_25", 240)):
        labels = [line.rpartition(",")[2] for line in (tmp_path / f"{name}.csv").read_text().splitlines()[1:]]
        assert (len(labels), labels.count("defect")) == (6000, defects)


def test_one_seed_that_accuses_a_healthy_case_is_a_false_alarm_of_the_case() -> None:
    calm = Score("own", "iris", 0, is_faulty=False, detected=False, named=False, repaired=None, seconds=1.0)
    scores = [dataclasses.replace(calm, seed=seed, detected=seed == 1) for seed in range(3)]
    scores += [dataclasses.replace(calm, name="wine", seed=seed) for seed in range(3)]
    assert "| healthy: a false alarm with any of its seeds | 1/2 (50.0%) |" in table(scores)


def test_what_is_not_decided_is_counted_apart() -> None:
    late = Score("own", "deep", 0, False, detected=False, named=False, repaired=None, seconds=1.0, undecided=True)
    scores = [late, *(dataclasses.replace(late, is_faulty=True, undecided=seed == 0, seed=seed) for seed in range(2))]
    text = table(scores)
    assert "| faulty: a fault is found | 0/2 (0.0%) |" in text
    assert "| faulty: not decided | 1/2 (50.0%) |" in text
    assert "| healthy: a false alarm with any of its seeds | 0/1 (0.0%) |" in text
    assert "| healthy: not decided with any of its seeds | 1/1 (100.0%) |" in text

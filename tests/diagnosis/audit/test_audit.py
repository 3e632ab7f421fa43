"""An audit of small tables and folders with planted faults."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nnclassify.config.run_config import load_config
from nnclassify.diagnosis.audit.audit import Audit, audit
from nnclassify.diagnosis.audit.report import HEADER, audit_figures, audit_rows, audit_text
from nnclassify.diagnosis.audit.shift import area_under_curve

Array = np.ndarray[Any, Any]


def audited(data: Path | str, *overrides: str) -> Audit:
    return audit(load_config(str(data), overrides), lambda _: None)


def ids(found: Audit) -> list[str]:
    return sorted(finding.id for finding in found.findings)


def write_table(path: Path, columns: dict[str, Array]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def table(count: int = 400) -> dict[str, Array]:
    """Two noisy columns that predict two of three classes of the time, and the label."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, count)
    columns = {"age": rng.normal(size=count) + labels, "size": rng.normal(size=count) + labels}
    return {**columns, "label": np.array(["no", "yes"])[labels]}


@pytest.mark.slow
def test_columns_that_give_the_label_away_are_named_and_others_are_not(tmp_path: Path) -> None:
    columns = table()
    says_yes = columns["label"] == "yes"
    rng = np.random.default_rng(1)
    leaks = {"paid": np.where(says_yes, "p", "q"), "total": 5.0 * says_yes + rng.random(400), "copy": 3 * says_yes}
    useless = {"customer_id": np.arange(400) + 7, "country": np.full(400, "US"), "day": rng.integers(1, 29, 400)}
    found = audited(write_table(tmp_path / "t.csv", {**leaks, **useless, **columns}))
    kinds = {flag.column: flag.kind for flag in found.flags if flag.row is None}
    assert kinds == dict.fromkeys(leaks, "reveals_label") | {"customer_id": "identifier", "country": "constant"}
    assert {"NN137", "NN138"} <= {*ids(found)} and not found.has_fault


@pytest.mark.slow
def test_a_table_whose_first_rows_have_one_class_is_audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnclassify.config.suggest.table_facts.LOOKED_AT", 100)
    order = np.argsort(table()["label"], kind="stable")
    path = write_table(tmp_path / "t.csv", {name: values[order] for name, values in table().items()})
    (tmp_path / "c.yaml").write_text(f"dataset: {{name: csv, path: {path}}}\nmodel: {{name: mlp, hidden: [4]}}\n")
    found = audited(tmp_path / "c.yaml")
    assert any(note.startswith("columns that are not features were not checked: ") for note in found.notes)
    assert found.of_kind("reveals_label") == []


def test_columns_are_found_in_a_file_as_the_config_says_that_it_is_written(tmp_path: Path) -> None:
    rows = [f"{index % 7}.5;9;{'合否'[index % 2]}" for index in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(rows), encoding="cp932")
    found = audited(tmp_path / "t.csv", "dataset.encoding=cp932")  # without a header, too
    assert [(flag.kind, flag.column) for flag in found.flags if flag.row is None] == [("constant", "x2")]


@pytest.mark.slow
def test_nothing_gives_the_iris_away() -> None:
    assert audited("iris_mlp").of_kind("reveals_label", "identifier", "constant") == []


@pytest.mark.slow
def test_equal_rows_with_other_labels_are_contradictions(tmp_path: Path) -> None:
    columns = table()
    columns = {name: np.concatenate([values, values[:6]]) for name, values in columns.items()}
    columns["label"][400:403] = np.where(columns["label"][:3] == "yes", "no", "yes")
    columns["age"][403:] += 1e-7
    found = audited(write_table(tmp_path / "t.csv", columns))
    assert len(found.of_kind("contradiction")) == 3 and len(found.of_kind("near_duplicate")) == 3
    (same,) = [finding for finding in found.findings if finding.page.id == "NN131"]
    assert same.evidence.text.endswith("; 3 of them with another label")
    flag = found.of_kind("contradiction")[0]
    assert flag.row is not None and flag.suggested is not None
    assert {found.material.given(flag.row), found.material.class_name(flag.suggested)} == {"no", "yes"}


@pytest.mark.slow
def test_a_row_far_from_all_others_is_an_outlier_with_its_column(tmp_path: Path) -> None:
    columns = table()
    columns["size"][33] = 900.0
    found = audited(write_table(tmp_path / "t.csv", columns)).of_kind("outlier")
    assert found[0].row is not None and found[0].detail.startswith("size is +")


@pytest.mark.slow
def test_a_test_split_of_another_kind_is_told(tmp_path: Path) -> None:
    columns = table()
    columns["split"] = np.repeat(["train", "test"], [300, 100])
    alike = audited(write_table(tmp_path / "alike.csv", columns))
    columns["age"][300:] += 3.0
    other = audited(write_table(tmp_path / "other.csv", columns))
    assert "NN136" not in ids(alike) and "NN136" in ids(other)


def test_the_area_under_the_curve_has_the_error_of_hanley_and_mcneil() -> None:
    """Their own example: an area of 0.893 of 51 normal and 58 abnormal cases has a standard error of 0.032."""
    rng = np.random.default_rng(0)
    is_positive = np.repeat([0, 1], [51, 58])
    area, error = area_under_curve(rng.normal(size=109) + 1.75 * is_positive, is_positive)
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (area * (1 - area) + 57 * (first - area**2) + 50 * (second - area**2)) / (51 * 58)
    assert error == pytest.approx(variance**0.5) and 0.02 < error < 0.05


def write_folder(root: Path) -> None:
    """24 images of a class for training and 6 for testing; two test images are training images, brighter."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 24), ("test", 6)):
        for place, name in enumerate(("cat", "dog")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                blocks = rng.integers(20 + 60 * place, 150, (5, 5, 3)).astype(np.uint8)
                Image.fromarray(blocks).resize((40, 40), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    for name in ("cat", "dog"):
        for number in range(2):
            with Image.open(root / "train" / name / f"{number}.png") as image:
                image.point(lambda value: round(1.3 * value)).save(root / "test" / name / f"{number}.png")


@pytest.mark.slow
def test_copies_of_training_images_in_the_test_split_are_a_fault(tmp_path: Path) -> None:
    write_folder(tmp_path)
    found = audited(tmp_path)
    pairs = {
        (found.material.name(flag.partner or 0), found.material.name(flag.row or 0))
        for flag in found.flags
        if flag.partner is not None
    }
    assert pairs == {
        ((f"train/{name}/{number}.png", "train"), (f"test/{name}/{number}.png", "test"))
        for name in ("cat", "dog")
        for number in range(2)
    }
    assert found.has_fault and "NN132" in ids(found)


@pytest.mark.slow
def test_the_table_and_the_summary_say_the_same(tmp_path: Path) -> None:
    found = audited("iris_mlp")
    header, *rows = audit_rows(found)
    assert header == HEADER and all(len(row) == len(HEADER) for row in rows)
    counts: Any = audit_figures(found)["counts"]
    assert sum(counts.values()) == len(rows) and counts["label_error"] == sum(row[2] == "label_error" for row in rows)
    assert audit_text(found, verbose=False, color=False).startswith("audited: 120 train, 30 test examples")


@pytest.mark.slow
def test_multi_hot_targets_are_audited_without_label_errors(tmp_path: Path) -> None:
    columns = table()
    says_yes = (columns.pop("label") == "yes").astype(int)
    columns |= {"a": says_yes, "b": np.arange(400) % 2}
    found = audited(write_table(tmp_path / "t.csv", columns), "dataset.label=[a, b]", "loss=bce_with_logits")
    assert any("label errors were not checked for" in note for note in found.notes)

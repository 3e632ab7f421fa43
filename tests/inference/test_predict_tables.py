"""Tests of predictions for tables with categories, dates and missing values, which use the encoder of the run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import config_of, loaded

from nnclassify import run
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.evaluate import evaluate, splits_of
from nnclassify.inference.evaluation_examples import examples_to_evaluate
from nnclassify.runs.folder import runs_of

CELLS = ["41", "State gov", "large", "yes", "01.03.2020"]
NAMES = ["age", "job", "size", "smoker", "on"]


def write_table(path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = ["age;job;size;smoker;on;label"]
    for row in range(120):
        age = "" if row % 17 == 0 else str(20 + row % 40)
        job, size = rng.choice(["Private", "State gov", "?"]), rng.choice(["small", "large"])
        cells = [age, job, size, rng.choice(["yes", "no"]), f"{row % 28 + 1:02}.03.2020"]
        rows.append(";".join(map(str, [*cells, "rich" if size == "large" else "poor"])))
    path.write_text("\n".join(rows))


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Classifier]:
    """A net on a table of texts, which a test stands beside."""
    place = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        write_table(place / "t.csv")
        dataset = {"name": "csv", "path": "t.csv", "categories": "auto", "missing": "fill"}
        run.train(loaded(config_of(dataset=dataset, epochs=20, optimizer={"name": "adam", "lr": 0.02}), "net"))
        yield Classifier.load(place / "checkpoints/net/best.pt", "cpu")


class Frame:
    """What pandas, polars and pyarrow have in common."""

    def __init__(self, **columns: list[Any]) -> None:
        self.columns = list(columns)
        self._cells = np.array(list(columns.values()), dtype=object).T

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return self._cells.astype(dtype)


@pytest.mark.parametrize(
    "inputs",
    [
        ";".join(CELLS),
        "41,State gov,large,yes,2020-03-01",
        '41,"State gov",large,TRUE,01.03.2020',
        [[41, "State gov", "large", True, "01.03.2020"]],
        [CELLS],
        np.array([CELLS], dtype=object),
        Frame(on=["2020-03-01 00:00:00"], size=["large"], x=[None], smoker=[True], job=[" State gov"], age=[41.0]),
        Path("rows.csv"),
        Path("commas.csv"),
        Path("rows.parquet"),
    ],
)
def test_every_kind_of_input_goes_through_the_same_encoder(net: Classifier, inputs: Any) -> None:
    rows = {"size": "large", "extra": "x", "on": "01.03.2020", "job": "State gov", "age": "41", "smoker": "yes"}
    Path("rows.csv").write_text(f"{';'.join(rows)}\n{';'.join(rows.values())}\n")
    Path("commas.csv").write_text(f"{','.join(rows)}\n{','.join(rows.values())}\n", encoding="utf-16")
    if isinstance(inputs, Path) and inputs.suffix == ".parquet":
        arrow = pytest.importorskip("pyarrow")
        arrow.parquet = pytest.importorskip("pyarrow.parquet")
        arrow.parquet.write_table(arrow.table({key: [value] for key, value in rows.items()}), "rows.parquet")
    notes: list[str] = []
    (found,) = net.predict(inputs, note=notes.append)
    recognized = ["commas.csv: recognized: encoding: 'utf-16', delimiter: ','"]
    told = [note for note in notes if "ignored" not in note]
    assert (found.error, told) == (None, recognized if str(inputs) == "commas.csv" else [])
    assert net.transform.encoder is not None
    numbers = net.transform.encoder.row(CELLS, "", ".")
    expected = net.probabilities(torch.tensor([numbers], dtype=torch.float64))[0]
    torch.testing.assert_close(found.probabilities, expected)
    assert found.label == "rich"


def test_columns_that_the_network_does_not_take_are_named(net: Classifier) -> None:
    header, cells = ["", *NAMES, "label", "zip", "a,b"], ["1", *CELLS, "rich", "8000", "2"]
    Path("more.csv").write_text(f"{';'.join(header)}\n{';'.join(cells)}\n")
    found = net.predict("more.csv")
    assert [one.label for one in found] == ["rich"]
    assert found.notes == ["more.csv: ignored, as this network does not take them: zip, 'a,b'"]  # the label is known
    assert "ignored" not in "".join(net.predict("t.csv").notes)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("41,x,large", "41,x,large: 3 values; this network takes 5 (age, job, size, smoker, on)"),
        ([["41", "x", "large"]], "inputs[0]: shape (3,); this network takes (N, 5) (age, job, size, smoker, on)"),
        ("x,Private,large,2,soon", "column 'age': found 'x', expected a number; column 'smoker': found '2', expected"),
        (Frame(age=[1], job=["x"], on=["2020-03-01"], smokes=["no"]), "inputs: no column 'size', 'smoker'"),
    ],
)
def test_what_does_not_fit_is_named(net: Classifier, inputs: Any, message: str) -> None:
    (found,) = net.predict(inputs)
    assert found.error is not None and message in found.error


def test_a_category_that_was_never_seen_is_told_once(net: Classifier) -> None:
    found = net.predict([["41", "Pilot", "large", "no", "2020-03-01"], ["", "Pilot", "small", "no", "2020-03-01"]])
    assert found.errors == []
    unseen, missing = found.notes
    assert unseen.startswith("column 'job': no indicator for 'Pilot'") and unseen.endswith("encoded as 'job (other)'")
    assert missing.startswith("column 'age': a missing value is replaced by ") and missing.endswith("by a feature")


def test_rows_of_texts_without_a_header_are_rows(net: Classifier) -> None:
    for delimiter in ";,|":
        rows = [delimiter.join(CELLS), delimiter.join(["", "?", "small", "no", "02.03.2020"])]
        Path("bare.csv").write_text("\n".join(rows))
        assert [found.label for found in net.predict("bare.csv")] == ["rich", "poor"]


def test_the_run_is_evaluated_and_resumed_with_its_own_encoder(net: Classifier) -> None:
    splits = splits_of(net)
    assert splits.encoder == net.transform.encoder and splits.feature_names == net.transform.feature_names
    assert splits.test is not None and evaluate(net, splits.test).accuracy > 0.9
    other = Path("t.csv").read_text().splitlines()
    Path("other.csv").write_text(
        "\n".join([other[0], *reversed([row.replace("Private", "New") for row in other[1:40]])])
    )
    found = examples_to_evaluate(net.overridden(["dataset.path=other.csv"]))
    assert (found.split, len(found.examples)) == ("all", 39)
    assert any("column 'job': no indicator for 'New'" in note for note in found.notes)
    assert net.config.dataset.format().delimiter == ";"  # type: ignore[union-attr]  # it is a table
    config = config_of(
        dataset={"name": "csv", "path": "t.csv", "categories": "auto", "missing": "fill"},
        epochs=21,
        optimizer={"name": "adam", "lr": 0.02},
    )
    assert len(run.train(loaded(config, "net"), resume=runs_of("net")[0]).rows) == 21


def test_another_table_is_read_without_the_files_of_the_runs_splits(net: Classifier) -> None:
    rows = Path("t.csv").read_text().splitlines()
    Path("own_test.csv").write_text("\n".join(rows[:11]))
    Path("new.csv").write_text("\n".join(rows[:31]))
    dataset = {"name": "csv", "path": "t.csv", "categories": "auto", "missing": "fill", "test": "own_test.csv"}
    trained = run.train(loaded(config_of(dataset=dataset, epochs=1), "with_test")).classifier
    assert len(examples_to_evaluate(trained).examples) == 10
    found = examples_to_evaluate(trained.overridden(["dataset.path=new.csv"]))
    assert (found.split, len(found.examples)) == ("all", 30)

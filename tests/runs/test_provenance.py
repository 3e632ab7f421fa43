"""Where the values of a config come from, and what a resumed run remembers."""

from __future__ import annotations

from pathlib import Path

from nnclassify.config.run_config import load_config
from nnclassify.config.yaml_reader import Override
from nnclassify.runs.provenance import Provenance, provenance_of, read_provenance, resumed, write_provenance


def test_each_value_has_a_line_an_override_or_is_a_default(here: Path) -> None:
    Path("my.yaml").write_text("dataset: iris\nmodel:\n  name: mlp\n  hidden: [5, {units: 6}]\n  dropout: 0.1\n")
    loaded = load_config("my.yaml", [Override("optimizer.lr=0.5", "--lr 0.5"), "name=a.b"])
    found = provenance_of(loaded, loaded.config.model_copy(update={"batch_size": 7}), {"threads": 1})
    assert found.origins == {
        "name": "--set name=a.b",
        "dataset.name": "my.yaml:1",
        "model.name": "my.yaml:3",
        "model.hidden.0.units": "my.yaml:4",
        "model.hidden.1.units": "my.yaml:4",
        "model.dropout": "my.yaml:5",
        "optimizer.lr": "--lr 0.5",
        "batch_size": "decided by the data",
    }
    assert found.command == "nnclassify train my.yaml --lr 0.5 --set name=a.b"
    assert found.environment["threads"] == "1"


def test_a_shipped_config_is_named_without_its_folder() -> None:
    loaded = load_config("iris_mlp", ["epochs=3"])
    found = provenance_of(loaded, loaded.config, {})
    assert found.origins is not None
    assert found.origins["model.name"].startswith("iris_mlp.yaml:")
    assert found.command == "nnclassify train iris_mlp --set epochs=3"


def test_a_resumed_run_keeps_its_origins() -> None:
    before = Provenance({"seed": "my.yaml:3", "epochs": "my.yaml:4"}, "nnclassify train my.yaml", {}, "2026")
    now = Provenance(
        {"seed": "run/config.yaml:9", "epochs": "--set epochs=9"}, "nnclassify train run", {"torch": "9"}, "2027"
    )
    found = resumed(before, now, has_own_config=True)
    assert found == Provenance(
        {"seed": "my.yaml:3", "epochs": "--set epochs=9"}, before.command, {"torch": "9"}, "2026"
    )
    assert resumed(before, now, has_own_config=False).origins == now.origins
    assert resumed(None, now, has_own_config=True) == Provenance(environment={"torch": "9"})  # the rest is unknown
    assert resumed(None, now, has_own_config=False) == now


def test_what_is_written_is_read(tmp_path: Path) -> None:
    written = Provenance({"a": "b"}, "c", {"d": "e"}, "f")
    write_provenance(tmp_path / "provenance.json", written)
    assert read_provenance(tmp_path / "provenance.json") == written
    for damaged in ("[]", '{"origins": [1]}', '{"origins": []}', '{"environment": {"a": 1}}', '{"failure": null}'):
        (tmp_path / "provenance.json").write_text(damaged)
        assert read_provenance(tmp_path / "provenance.json") is None, damaged

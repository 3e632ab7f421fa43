import json
from pathlib import Path

import pytest
import torch
from faulty_tables import write_tables

from nnclassify.config.run_config import load_config
from nnclassify.diagnosis.check import Diagnosis, diagnose
from nnclassify.diagnosis.command import check
from nnclassify.diagnosis.fix import edited, write_fixed
from nnclassify.diagnosis.report import MAX_LINES, diagnosis_text, figures
from nnclassify.files.json_files import json_text

pytestmark = pytest.mark.slow  # a diagnosis trains for seconds


def checked(text: str, folder: Path) -> Diagnosis:
    (folder / "net.yaml").write_text(text)
    return diagnose(load_config(str(folder / "net.yaml")))


def test_a_healthy_config_has_no_fault(here: Path) -> None:
    diagnosis = checked(
        "dataset: iris\nmodel: {name: mlp, hidden: [16]}\noptimizer: {name: adam, lr: 0.01}\nepochs: 60\n", here
    )
    assert not diagnosis.has_fault
    assert diagnosis.before is not None and diagnosis.before.held_out.accuracy > 0.9


@pytest.mark.parametrize("name", ["digits_cnn", "iris_mlp", "rgb", "spirals", "xor_3"])
def test_a_shipped_config_has_no_fault(name: str, here: Path) -> None:
    assert not diagnose(load_config(name)).has_fault


def test_a_smoke_config_accepts_that_it_is_short(here: Path) -> None:
    diagnosis = diagnose(load_config("smoke/model_mlp"))
    assert not diagnosis.has_fault and "NN403" in [finding.id for finding in diagnosis.findings]


SLOW = (
    "dataset: digits\nmodel: {name: mlp, hidden: [512, 512, 512]}\noptimizer: {name: adam, lr: 1.0e-4}\n"
    "epochs: 30\nbatch_size: 128\n"
)


def test_a_net_too_slow_for_its_minutes_is_not_decided(here: Path) -> None:
    (here / "net.yaml").write_text(SLOW)
    told = check("net.yaml", [], None, minutes=0.1)
    assert told.exit_code == 0 and told.figures()["decided"] is False
    assert "warning NN506 not decided" in told.text(verbose=False, color=False)
    assert "of its width reaches" in told.diagnosis.findings[0].evidence.text


def test_a_fault_of_a_slow_net_is_proved_on_a_narrower_one(here: Path) -> None:
    deep = SLOW.replace("[512, 512, 512]", "[512, 512, 512, 512, 512, 512, 512, 512, 512], activation: sigmoid")
    (here / "net.yaml").write_text(deep)
    first = diagnose(load_config("net.yaml"), minutes=0.5).findings[0]
    assert (first.id, first.severity) == ("NN306", "fault") and "tried on a network of" in first.evidence.text


@pytest.mark.parametrize("model", ["[16]", "[64, 64]"])
def test_a_healthy_net_on_a_noisy_table_has_no_fault(model: str, here: Path) -> None:
    """The best that can be learned is about 75%, and a large net memorizes all of it."""
    write_tables(here)
    config = f"dataset: {{name: csv, path: noisy.csv}}\nmodel: {{name: mlp, hidden: {model}}}\nepochs: 40\n"
    assert not checked(config + "optimizer: {name: adam, lr: 0.003}\nbatch_size: 32\n", here).has_fault


@pytest.mark.parametrize(("patience", "found"), [(1, ["NN507"]), (40, [])])
def test_patience_that_ends_a_run_too_early_is_a_fault(patience: int, found: list[str], here: Path) -> None:
    diagnosis = checked(
        "dataset: {name: spirals, num_examples: 600, validation: 0.15}\nmodel: {name: mlp, hidden: [32, 32]}\n"
        f"optimizer: {{name: adam, lr: 0.005}}\nepochs: 80\npatience: {patience}\n",
        here,
    )
    assert [one.id for one in diagnosis.findings if one.severity == "fault"] == found
    assert diagnosis.change == ({"patience": None} if found else {})
    assert diagnosis.before is not None and (diagnosis.before.held_out.accuracy < 0.9) == bool(found)


def test_a_rate_too_low_is_proved_and_mended(here: Path) -> None:
    diagnosis = checked(
        "# rings\ndataset: circles\nmodel: {name: mlp, hidden: [16]}\n"
        "optimizer:\n  name: sgd\n  lr: 1e-6  # slow\n  momentum: 0.9\nepochs: 20\n",
        here,
    )
    first = diagnosis.findings[0]
    assert (first.id, first.severity, first.place.rpartition(":")[2]) == ("NN402", "fault", "6")
    assert "in the same" in first.evidence.text
    assert (
        diagnosis.repair is not None
        and diagnosis.repair.after is not None
        and diagnosis.repair.after.held_out.accuracy > 0.9
    )


def test_an_output_that_cannot_learn_is_the_first_finding(here: Path) -> None:
    diagnosis = checked(
        "dataset: moons\nmodel: {name: mlp, hidden: [8], output: softmax}\nloss: bce\nepochs: 5\n"
        "optimizer: {name: adam, lr: 0.02}\n",
        here,
    )
    assert diagnosis.findings[0].id == "NN202"
    assert diagnosis.findings[0].change == {"model.output": "sigmoid"}


def test_groups_that_the_splits_divide_are_a_note_and_no_fault(here: Path) -> None:
    write_tables(here)
    text = "dataset: {name: csv, path: patients.csv}\nmodel: {name: mlp, hidden: [16]}\noptimizer: adam\nepochs: 30\n"
    diagnosis = checked(text, here)
    (note,) = [finding for finding in diagnosis.findings if finding.id == "NN120"]
    assert note.severity == "note" and note.change == {"dataset.group": "patient_id"} and not diagnosis.has_fault
    assert "groups of rows with the same 'patient_id' are in several splits" in note.evidence.text


def test_an_accepted_finding_is_a_note(here: Path) -> None:
    text = "dataset: moons\nmodel: {name: mlp, hidden: [8], output: relu}\nepochs: 3\naccept: [NN205]\n"
    first = checked(text, here).findings[0]
    assert (first.id, first.severity) == ("NN205", "note")


@pytest.mark.parametrize("cell", [None, "inf", "-Infinity", "1e999"])
def test_a_missing_or_infinite_value_is_a_finding_not_a_crash(cell: str | None, here: Path) -> None:
    write_tables(here)
    if cell is not None:
        lines = (here / "clean.csv").read_text().splitlines()
        lines[18] = cell + lines[18][lines[18].index(",") :]
        (here / "missing.csv").write_text("\n".join(lines))
    diagnosis = checked("dataset: {name: csv, path: missing.csv}\nmodel: mlp\n", here)
    assert [finding.id for finding in diagnosis.findings] == ["NN101"]
    assert "missing.csv:19" in diagnosis.findings[0].evidence.text


@pytest.mark.parametrize(("table", "cause"), [("shuffled", "NN117"), ("shifted", "NN118")])
def test_labels_that_say_nothing_are_told_apart(table: str, cause: str, here: Path) -> None:
    write_tables(here)
    diagnosis = checked(
        f"dataset: {{name: csv, path: {table}.csv}}\nmodel: {{name: mlp, hidden: [8]}}\nepochs: 3\n", here
    )
    assert diagnosis.findings[0].id == cause


def test_a_diagnosis_fits_a_terminal_and_is_json(here: Path) -> None:
    diagnosis = checked("dataset: moons\nmodel: {name: mlp, hidden: [8], output: relu}\nepochs: 3\n", here)
    assert len(diagnosis_text(diagnosis, verbose=False, color=False).splitlines()) <= MAX_LINES
    first = json.loads(json_text(figures(diagnosis)))["findings"][0]
    assert first["where"]["path"] == "model.output" and first["where"]["line"] == 2


def test_a_diagnosis_is_the_same_twice(here: Path) -> None:
    text = "dataset: circles\nmodel: {name: mlp, hidden: []}\nepochs: 3\n"
    torch.manual_seed(1)
    first = checked(text, here)
    torch.manual_seed(2)
    second = checked(text, here)
    assert first.findings == second.findings


def test_an_edit_keeps_comments_and_the_rest() -> None:
    text = "# mine\ndataset: iris  # flowers\nmodel:\n  name: mlp\n  hidden: [4, 4]  # small\nepochs: 3\n"
    changed = edited(text, {"dataset.normalize": "none", "model.hidden": [16], "optimizer.lr": 0.1, "epochs": None})
    lines = changed.splitlines()
    assert lines[0] == "# mine" and lines[1].startswith("dataset: {name: iris, normalize: none}")
    assert any(line.startswith("  hidden: [16]") and "# small" in line for line in lines)
    assert "optimizer: {lr: 0.1}" in lines and "epochs" not in changed


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_fixed_config_keeps_line_ends_and_the_byte_order_mark(encoding: str, end: str, here: Path) -> None:
    lines = ["# a comment", "dataset: xor", "model: {name: mlp, hidden: [2]}", ""]
    mark = "\ufeff" if encoding.startswith("utf-16") else ""
    Path("a.yaml").write_bytes((mark + end.join(lines)).encode(encoding))
    write_fixed(load_config("a.yaml"), Path("b.yaml"), {"epochs": 5})
    assert Path("b.yaml").read_bytes() == (mark + end.join([*lines[:-1], "epochs: 5", ""])).encode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_config_of_each_encoding_is_fixed(encoding: str, here: Path) -> None:
    Path("a.yaml").write_text("dataset: xor # Übung\nmodel: {name: mlp, hidden: [2]}\n", encoding=encoding)
    write_fixed(load_config("a.yaml"), Path("b.yaml"), {"dataset.noise": 0.5})
    assert Path("b.yaml").read_text(encoding=encoding).startswith("dataset: {name: xor, noise: 0.5} # Übung")


def test_a_range_test_that_cannot_be_made_hides_no_finding(tmp_path: Path) -> None:
    config, picture = tmp_path / "run.yaml", tmp_path / "rates.png"
    config.write_text(f"dataset: {{name: csv, path: {tmp_path}/nothing.csv, label: y}}\nmodel: {{name: mlp}}\n")
    checked = check(str(config), [], None, picture)
    text = checked.text(verbose=False, color=False)
    assert "NN103" in text and f"{picture}: not drawn" in text
    assert checked.figures()["lr_range"] is None
    assert (checked.exit_code, picture.exists()) == (4, False)

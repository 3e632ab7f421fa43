"""Tests that train, save and load a run for every value of every option, found in the settings classes.

One option at a time differs from a config that is valid; of numbers, one value is taken. An option that several members
inherit is tested in the first of them: one class declares it. An option that a member gains is tested unasked; one that
needs another beside it, or a text, asks for a line in a table here.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from archives import IDX_FOLDERS, write_cifar, write_idx
from builders import BLOBS, config_of

from nnclassify.config.reference import FAMILIES, definer, families
from nnclassify.config.run_config import RunConfig, load_config
from nnclassify.data.images.image_datasets import Downloaded
from nnclassify.evaluation.metrics import METRICS
from nnclassify.files.python_source import trusting
from nnclassify.inference.classifier import Classifier
from nnclassify.runs.checkpoint import content_digest, plain
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.recorders import Checkpointer
from nnclassify.runs.resume import new_run_id, resume
from nnclassify.training.build import build_components, build_trainer

Values = dict[str, Any]

SCHEMA = RunConfig.model_json_schema()
CLASSES: dict[str, Values] = {**SCHEMA["$defs"], "RunConfig": SCHEMA}

PICTURES = {"name": "tensors", "train_inputs": "inputs.npy", "train_targets": "targets.npy"}
SMALL: dict[str, Values] = {
    "Block": {"channels": 2},
    "Blobs": {**BLOBS, "num_examples": 32},
    "CheckpointEvery": {"steps": 2},
    "Cnn": {"blocks": [{"channels": 2}]},
    "Csv": {"path": "table.csv"},
    "Digits": {"limit": 40},
    "Folder": {"root": "pictures", "size": 8},
    "Layer": {"units": 4},
    "Mlp": {"hidden": [4]},
    "MultiStep": {"milestones": [1]},
    "ParameterGroup": {"match": "*.bias"},
    "PythonLoss": {"file": "user.py", "function": "smooth"},
    "PythonModel": {"file": "user.py", "class": "Net"},
    "Resnet": {"width": 2, "stages": [1]},
    "Tensors": PICTURES,
    "Timm": {"architecture": "test_resnet"},
    "Torchvision": {"architecture": "shufflenet_v2_x0_5"},
}
"""What a class cannot do without, and what keeps it small."""

GIVEN: dict[str, list[Any]] = {
    "accept": [["NN302"]],
    "Timm.architecture": ["test_efficientnet"],
    "architecture": ["mobilenet_v3_small"],
    "body_lr": [],  # with weights: tests/models/test_pretrained.py
    "PythonLoss.class": [],  # in place of a function: tests/files/test_user_code.py
    "class": ["Net"],
    "crop_fraction": [0.75],
    "entity": ["team"],
    "experiment": ["first nets"],
    "file": ["copy.py"],
    "freeze_until": [],
    "function": ["smooth"],
    "normalize": ["minmax", "unit", "none"],
    "PythonLoss.options": [{"amount": 0.2}],
    "options": [{"width": 4}],
    "sha256": [],
    "source": [],
    "modules": [],  # of a file that imports some: tests/files/test_user_code.py
    "class_names": [["night", "day"]],
    "categories": ["auto", ["tone"], {"tone": "yes_no"}, {"tone": 1}, {"tone": ["no", "yes"]}],
    "class_weights": [[1.0, 2.0], "balanced"],
    "columns": [["shade", "noise", "label"]],
    "compile": ["off"],  # `on` takes seconds a test: test_compiled.py
    "Csv.dates": [["on"], {"on": {"format": "%d.%m.%Y", "parts": ["days", "month"]}}],
    "Csv.group": ["row"],
    "Csv.numbers": [["price"]],
    "Csv.quantile_transform": [["shade"]],
    "Csv.split": ["part"],
    "Csv.time": ["row"],
    "Csv.test": [0.25, "copy.csv"],
    "Csv.validation": [0.25, "test", "copy.csv"],
    "delimiter": [";"],
    "device": ["cpu"],
    "encoding": ["latin-1"],
    "features": [["shade"]],
    "id": ["row"],
    "ignore": [["noise"]],
    "axes": ["NHW"],
    "background": ["#808080"],
    "cache": ["off", "kept"],
    "cache_limit": ["1 GB"],
    "Folder.classes": [r"([^/]+)/[^/]+$"],
    "Folder.group": [r"([0-9]+)\.png"],
    "Folder.label": ["label"],
    "Folder.labels": ["listed.csv"],
    "Folder.root": ["more"],
    "Folder.validation": [0.25, "test", "../more"],
    "label": ["noise"],
    "limit": [12],
    "match": ["*_linear.*"],
    "milestones": [[2, 3]],
    "RunConfig.name": ["other"],
    "path": ["copy.csv"],
    "num_examples": [20],
    "num_test": [8],
    "pos_weight": [],  # with multi-hot targets: tests/test_multi_hot.py
    "precision": ["float32", "float64", "bfloat16"],  # float16 needs a GPU
    "project": ["first nets"],
    "root": ["more_data"],
    "search": [],  # no part of a run: tests/config/test_search.py
    "size": [12, [8, 10]],
    "space": ["me/nets"],
    "stages": [[1, 1]],
    "Tensors.group": ["rows.npy"],
    "test_inputs": ["inputs.npy"],
    "test_targets": ["targets.npy"],
    "threads": [1],  # of the whole process
    "train_inputs": ["copy.npy"],
    "train_targets": ["classes.npy"],
    "uri": ["sqlite:///other.db"],
    "validation": [0.25, "test"],
    "validation_inputs": ["inputs.npy"],
    "validation_targets": ["targets.npy"],
    "value_range": [[10.0, 200.0]],
    "weights": [],  # downloaded
}
"""Values of options, or of one class's, where the schema does not tell which are possible."""

BESIDE: dict[str, Values] = {
    "Block.pool_after": {"pool": "max"},
    "Block.pool_size": {"pool": "max"},
    "Cnn.dropout": {"hidden": [4]},
    "DiscriminantInit": {"hidden": []},
    "Csv.categories": {"path": "texts.csv", "features": ["shade", "tone"]},
    "Folder.crop_fraction": {"resize": "crop"},
    "Csv.columns": {"path": "headless.csv"},
    "Csv.dates": {"path": "texts.csv", "features": ["shade", "on"]},
    "Csv.decimal": {"path": "commas.csv", "delimiter": ";"},
    "Csv.delimiter": {"path": "commas.csv", "decimal": ","},
    "Csv.group": {"path": "texts.csv", "features": ["shade"]},
    "Csv.numbers": {"path": "texts.csv", "features": ["shade", "price"]},
    "Csv.split": {"path": "texts.csv", "features": ["shade"]},
    "Csv.time": {"path": "texts.csv", "features": ["shade"]},
    "Csv.id": {"path": "texts.csv", "features": ["shade"]},
    "Csv.label": {"features": ["shade"]},
    "Folder.label": {"labels": "listed.csv"},
    "Mlp.norm": {"batch_norm": True},
    "fold": {"folds": 3},
    "Sgd.decoupled": {"weight_decay": 0.1},
    "Sgd.nesterov": {"momentum": 0.9},
    "Tensors.axes": {"train_inputs": "gray.npy"},
    "Tensors.targets": {"train_targets": "hot.npy"},
    "Tensors.test_inputs": {"test_targets": "targets.npy"},
    "Tensors.test_targets": {"test_inputs": "inputs.npy"},
    "Tensors.validation_inputs": {"validation_targets": "targets.npy"},
    "Tensors.validation_targets": {"validation_inputs": "inputs.npy"},
}
"""Options, those of one class, or values, that need others beside them."""
WITHOUT = {"Layer": "DiscriminantInit", "Block": "DiscriminantInit"}
"""A value that an option of a class cannot have: this one is of linear models, which have no hidden layers."""


def member_values(name: str) -> Iterator[tuple[str, Values]]:
    """The options of a class, each changed alone, with what they are called."""
    for key, field in CLASSES[name]["properties"].items():
        for label, value in option_values(name, key, field):
            beside = BESIDE.get(f"{name}.{key}", BESIDE.get(key, {})) | BESIDE.get(label, {})
            yield f"{key}={label}", {**SMALL.get(name, {}), **beside, key: value}


def option_values(name: str, key: str, field: Values) -> Iterator[tuple[str, Any]]:
    """The values of an option that are not its default."""
    given = GIVEN.get(f"{name}.{key}", GIVEN.get(key))
    found = all_values(field) if given is None else ((str(value), value) for value in given)
    usual = repr(field.get("default"))
    return ((label, value) for label, value in found if repr(value) != usual and label != WITHOUT.get(name))


def all_values(field: Values) -> Iterator[tuple[str, Any]]:
    """Every value that a schema allows; of a number, one that is not the default; of a list, one of one entry."""
    if "anyOf" in field or "oneOf" in field:
        for choice in field.get("anyOf") or field["oneOf"]:
            yield from all_values({"default": field.get("default"), **choice})
    elif "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        tag = CLASSES[name]["properties"].get("name", {}).get("default")
        named = {} if tag is None else {"name": tag}
        yield name, {**named, **SMALL.get(name, {})}
        yield from ((f"{name}({label})", {**named, **values}) for label, values in member_values(name))
    elif "enum" in field or "const" in field:
        yield from ((str(value), value) for value in field.get("enum", [field.get("const")]))
    elif field["type"] == "array":
        yield from ((f"[{label}]", [value]) for label, value in all_values(field["items"]))
    else:
        values: dict[str, list[Any]] = {"boolean": [False, True], "null": [None]}
        yield from ((str(value), value) for value in values.get(field["type"]) or [number(field)])


def number(field: Values) -> float:
    """A number in the range of an option that is not its default."""
    low = max(field.get("minimum", -1e9), field.get("exclusiveMinimum", -1e9) + 1e-9)
    high = min(field.get("maximum", 1e9), field.get("exclusiveMaximum", 1e9) - 1e-9)
    candidates = (2, 3, 4, 5) if field["type"] == "integer" else (0.25, 0.5)
    return next(value for value in candidates if low <= value <= high and value != field.get("default"))


def config_values(family: str, values: Values) -> Values:
    """A whole config around the values of one member; of `RunConfig`, around its own options."""
    whole: Values = {"dataset": PICTURES, "model": "mlp", "epochs": 2}
    metric = METRICS[values.get("select_by", "loss")]
    if metric.min_classes > 2:
        classes = metric.min_classes
        whole["dataset"] = {**SMALL["Blobs"], "num_examples": 20 * classes, "num_classes": classes, "validation": 0.25}
    if metric.targets == "multi_hot":
        whole["dataset"] = {**PICTURES, "targets": "multi_hot", "train_targets": "hot.npy"}
    if "multi_hot" in (values.get("targets"), metric.targets):
        whole["loss"] = "bce_with_logits"
    if family == "loss":
        whole["dataset"] = {**SMALL["Blobs"], "num_classes": 2}
        loss = families()["loss"][values["name"]].model_construct()
        outputs = ("none", "sigmoid", "log_softmax")
        whole["model"] = {"name": "mlp", "output": next(out for out in outputs if loss.refuses(out) is None)}
    if family == "model":
        output = values.get("output", "none")
        losses = (
            name for name, member in families()["loss"].items() if member.model_construct().refuses(output) is None
        )
        whole |= {"loss": next(losses), "optimizer": "adam"}
    return {**whole, **(values if family == "config" else {family: values})}


def cases() -> Iterator[Any]:
    """Every option of every family, then those of the config itself."""
    tested = set()
    for family in FAMILIES:
        for tag, member in families()[family].items():
            for label, values in member_values(member.__name__):
                option = definer(member, label.partition("=")[0]), label
                if option in tested:
                    continue
                tested.add(option)
                whole = config_values(family, {"name": tag, **values})
                yield pytest.param(whole, id=f"{tag}-{label}", marks=[] if tag in ("sgd", "muon") else pytest.mark.slow)
    for label, values in member_values("RunConfig"):
        if not values.keys() & set(FAMILIES):
            yield pytest.param(config_values("config", values), id=label, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def stand(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the files of every dataset that a user brings; the tests stand in it."""
    place = tmp_path_factory.mktemp("options")
    shutil.copytree(files, place, dirs_exist_ok=True)
    copies = {
        "copy.py": "user.py",
        "more": "pictures",
        "copy.csv": "table.csv",
        "copy.npy": "inputs.npy",
        "classes.npy": "targets.npy",
    }
    for copy, original in {**copies, "more_data": "data"}.items():
        (place / copy).symlink_to(original)
    rows = (files / "table.csv").read_text().splitlines()
    tones, parts = ("no", "yes", "yes"), ("test", "train", "train", "train")
    texts = [f"{row},{n},{tones[n % 3]},{n % 27 + 1}.01.2024,{parts[n % 4]},${n}" for n, row in enumerate(rows)]
    (place / "texts.csv").write_text("\n".join([f"{rows[0]},row,tone,on,part,price", *texts[1:]]))
    (place / "headless.csv").write_text("\n".join([*rows[1:], ""]))
    (place / "commas.csv").write_text("\n".join([row.replace(",", ";") for row in rows]))
    listed = [f"{path.relative_to(place / 'pictures')},{path.parent.name}" for path in place.glob("pictures/*/*.png")]
    (place / "listed.csv").write_text("\n".join(["file,label", *sorted(listed)]))
    np.save(place / "rows.npy", np.arange(48))
    np.save(place / "gray.npy", np.load(files / "inputs.npy")[:, 0])
    np.save(place / "hot.npy", np.eye(2, dtype=np.uint8)[np.load(files / "targets.npy")])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        with trusting(True):
            yield place


@pytest.fixture(scope="module")
def archives(stand: Path) -> Iterator[None]:
    """The datasets that torchvision would download."""
    with pytest.MonkeyPatch.context() as patch:
        for name in IDX_FOLDERS:
            write_idx(stand / "data", name)
        for num_classes in (10, 100):
            write_cifar(stand / "data", num_classes, patch)
        yield


@pytest.mark.parametrize("values", list(cases()))
def test_option_survives_saving(values: Values, stand: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    config = config_of(**values)
    if isinstance(config.dataset, Downloaded):
        request.getfixturevalue("archives")
    (tmp_path / "again.yaml").write_text(config.to_yaml())
    assert load_config(str(tmp_path / "again.yaml")).config == config
    components, folder = build_components(config), RunFolder(tmp_path)
    trainer = build_trainer(components)
    trainer.observers = [Checkpointer(folder, {**components.facts(), "run_id": new_run_id()})]
    trainer.fit()
    parts_again = build_components(config)
    again = build_trainer(parts_again)
    resume(again, folder, parts_again.config, parts_again.facts(), parts_again.splits)
    assert content_digest(plain(again.state())) == content_digest(plain(trainer.state()))
    classifier = Classifier.load(folder.last, "cpu")
    assert classifier.config == components.config
    assert content_digest(classifier.model.state_dict()) == content_digest(trainer.evaluated_model().state_dict())

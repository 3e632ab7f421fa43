from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pytest
import torch
from faulty_tables import write_tables
from torch import nn

from nnclassify.config.finding_ids import FINDING_IDS
from nnclassify.config.run_config import RunConfig, load_config
from nnclassify.diagnosis.check import RULES, diagnose, rule_inputs_of
from nnclassify.diagnosis.findings import Suspicion
from nnclassify.diagnosis.measure import mixing, snapshot
from nnclassify.diagnosis.pages import PAGES, page_of, page_text
from nnclassify.diagnosis.rules.architecture import NORM_OF_ONE
from nnclassify.diagnosis.rules.rule import Rule, suspect
from nnclassify.diagnosis.rules.untrained_network import MOVED
from nnclassify.diagnosis.trials.runner import changed
from nnclassify.errors import InputError
from nnclassify.losses import CrossEntropy
from nnclassify.optim.optimizers import ParameterGroup
from nnclassify.seeds import torch_rng
from nnclassify.training.build import build_components

WITH_EXAMPLE = [rule for rule in RULES if rule.page.example]
"""All but NN310, which no member of the model family can trigger: a net of the test's own does."""
by_page = pytest.mark.parametrize("rule", WITH_EXAMPLE, ids=lambda rule: rule.page.id)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    write_tables(folder)
    return folder


def suspicions(text: str, folder: Path) -> list[Suspicion]:
    path = folder / "config.yaml"
    path.write_text(text)
    return list(suspect(RULES, rule_inputs_of(build_components(load_config(str(path)).config))))


@by_page
def test_a_rule_triggers_on_its_example_and_changes_options_that_the_config_knows(
    rule: Rule, tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tables)
    found = suspicions(rule.page.example, tables)
    assert rule.page.id in [one.page.id for one in found]
    assert {path.split(".")[0] for one in found for change in one.changes for path in change} <= {
        *RunConfig.model_fields
    }


@by_page
def test_a_near_miss_is_no_strong_suspicion(rule: Rule, tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tables)
    found = [one for one in suspicions(rule.page.near_miss, tables) if one.page.id == rule.page.id]
    assert [one.certainty for one in found if one.certainty != "possible"] == []


def test_repeated_rows_are_a_fault_only_where_a_random_split_does_not_explain_them(
    tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 940 rows 40 are there twice: about 15 of the 188 test examples are training examples; 30 would be too many."""
    monkeypatch.chdir(tables)
    for seed in range(6):
        config = RunConfig.model_validate(
            {"dataset": {"name": "csv", "path": "alike.csv"}, "model": {"name": "mlp"}, "seed": seed}
        )
        given = rule_inputs_of(build_components(config))
        leaked = replace(given, facts=replace(given.facts, num_repeated=30, repeated=30 / 188))
        assert ["NN113" in [one.page.id for one in suspect(RULES, which)] for which in (given, leaked)] == [False, True]


@pytest.mark.parametrize(("step", "is_accused"), [(0.001, True), (0.5, False)])
def test_rows_of_few_coarse_columns_repeat_by_chance(step: float, is_accused: bool, tmp_path: Path) -> None:
    """300 rows of a standard normal and 3 categories: with steps of a half there are about 40 different rows."""
    noise = np.random.default_rng(0)
    table = pd.DataFrame({"x": (noise.normal(size=300) / step).round() * step, "c": noise.integers(3, size=300)})
    table["label"] = noise.integers(2, size=300)
    copied = pd.concat([table, table.head(100)]) if is_accused else table
    copied.to_csv(tmp_path / "coarse.csv", index=False)
    found = suspicions(f"dataset: {{name: csv, path: {tmp_path}/coarse.csv}}\nmodel: mlp\n", tmp_path)
    assert ("NN113" in [one.page.id for one in found]) == is_accused


def test_pages_have_unique_ids_and_all_their_parts() -> None:
    assert list(FINDING_IDS) == sorted(PAGES)  # add a new page's id there
    for page in PAGES.values():
        assert page.title and page.looks_at and page.why and page.source and page.fix
        assert page.id in page_text(page)


def test_an_unknown_page_names_the_nearest() -> None:
    assert page_of("nn201").title.startswith("softmax")
    with pytest.raises(InputError, match="no such finding"):
        page_of("NN999")


def test_a_net_that_mixes_examples_up_is_seen() -> None:
    inputs = torch.randn(8, 3, generator=torch_rng(0, "mixing"))
    apart, mixed = nn.Linear(3, 2), nn.Sequential(nn.Linear(3, 2), nn.Softmax(dim=0))
    assert mixing(apart, inputs) < MOVED < mixing(mixed, inputs)


@pytest.mark.slow
def test_batch_norm_over_single_examples_is_diagnosed_though_training_refuses_it(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(NORM_OF_ONE.example)
    diagnosis = diagnose(load_config(str(tmp_path / "net.yaml")))
    assert diagnosis.findings[0].id == NORM_OF_ONE.id and diagnosis.change["batch_size"] == 32


def test_a_warm_up_that_never_ends_is_a_schedule_that_takes_the_rate_away(tmp_path: Path) -> None:
    text = "dataset: iris\nmodel: {name: mlp, hidden: [16]}\nscheduler: {name: constant, warmup: 500}\nepochs: 20\n"
    assert "NN405" in [found.page.id for found in suspicions(text, tmp_path)]


def test_frozen_weights_are_no_vanishing_gradient() -> None:
    inputs, targets = torch.randn(8, 3, generator=torch_rng(0, "frozen")), torch.tensor([0, 1] * 4)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    model[0].weight.requires_grad_(False)
    assert list(snapshot(model, CrossEntropy().build([4, 4]), inputs, targets).gradients) == ["2", "4"]


@pytest.mark.parametrize(
    ("momentum", "epochs", "is_suspected"), [(0.01, 50, True), (0.01, 200, False), (0.1, 1, False)]
)
def test_running_statistics_take_as_many_updates_as_their_momentum_says(
    momentum: float, epochs: int, is_suspected: bool, tmp_path: Path
) -> None:
    """Two updates an epoch: 0.99^100 is 0.37, 0.99^400 is 0.02."""
    model = f"{{name: mlp, hidden: [8], batch_norm: true, norm: {{momentum: {momentum}}}}}"
    found = suspicions(f"dataset: iris\nmodel: {model}\nepochs: {epochs}\nbatch_size: 60\n", tmp_path)
    assert ("NN311" in [one.page.id for one in found]) == is_suspected


def test_arrays_of_features_are_not_looked_at_as_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.eye(40, 3), y=np.arange(40) % 2)
    files = f"train_inputs: '{tmp_path}/t.npz:x', train_targets: '{tmp_path}/t.npz:y', test: 0.2"
    found = suspicions(f"dataset: {{name: tensors, {files}}}\nmodel: mlp\n", tmp_path)
    assert "NN123" not in [one.page.id for one in found]


def test_layers_that_are_not_used_are_no_vanishing_gradient() -> None:
    class First(nn.Sequential):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return cast("torch.Tensor", self[0](inputs))

    inputs, targets = torch.randn(8, 3, generator=torch_rng(0, "unused")), torch.tensor([0, 1] * 4)
    model = First(nn.Linear(3, 2), nn.Linear(2, 2))
    assert list(snapshot(model, CrossEntropy().build([4, 4]), inputs, targets).gradients) == ["0"]


@pytest.mark.parametrize(("factor", "is_suspected"), [(1e-6, True), (0.02, True), (1.0, False)])
def test_a_table_of_tiny_inputs_is_not_normalized(factor: float, is_suspected: bool, tmp_path: Path) -> None:
    """Columns of standard deviation 1 and 2 times the factor: all below 0.1, or not."""
    values = np.random.default_rng(0).normal(size=(200, 2))
    table = pd.DataFrame(factor * values * [1, 2], columns=["a", "b"]).assign(label=values[:, 0] > 0)
    table.to_csv(tmp_path / "tiny.csv", index=False)
    for normalize in ("none", "standard"):
        text = f"dataset: {{name: csv, path: {tmp_path}/tiny.csv, normalize: {normalize}}}\nmodel: mlp\n"
        found = [one for one in suspicions(text, tmp_path) if one.page.id == "NN116"]
        assert bool(found) == (is_suspected and normalize == "none")
        assert all(one.changes == ({"dataset.normalize": "standard"},) for one in found)


@pytest.mark.parametrize(
    ("threshold", "is_suspected"),
    [(0.5, True), (0.2, True), (0.01, False), (0.0001, False)],
)
def test_a_plateau_that_takes_slow_progress_for_none_is_suspected(
    threshold: float, is_suspected: bool, tmp_path: Path
) -> None:
    """With a loss that falls by 5% per epoch, `patience` 1 waits for at most 10% in two epochs."""
    plateau = f"{{name: plateau, threshold: {threshold}, patience: 1}}"
    text = f"dataset: iris\nmodel: {{name: mlp, hidden: [16]}}\nscheduler: {plateau}\nepochs: 60\n"
    assert ("NN405" in [found.page.id for found in suspicions(text, tmp_path)]) == is_suspected


@pytest.mark.parametrize(("limit", "is_noted"), [(60, True), (600, False)])
def test_a_limit_that_leaves_few_examples_per_class_is_noted(limit: int, is_noted: bool, tmp_path: Path) -> None:
    """Ten classes; what is left is split into training, validation and test."""
    found = suspicions(f"dataset: {{name: digits, limit: {limit}}}\nmodel: mlp\n", tmp_path)
    noted = [one for one in found if one.path == "dataset.limit"]
    assert [one.changes for one in noted] == [({"dataset.limit": None},)] * is_noted


def test_a_stride_larger_than_its_kernel_is_tried_with_a_larger_kernel_and_a_smaller_stride(tmp_path: Path) -> None:
    blocks = "[{channels: 4, kernel: 2}, {channels: 8, kernel: 2, stride: 3}]"
    found = suspicions(f"dataset: digits\nmodel: {{name: cnn, blocks: {blocks}}}\n", tmp_path)
    (skipping,) = [one for one in found if one.page.id == "NN312"]
    assert skipping.evidence.text == "stride 3 with kernel 2 in block 2"
    first = {"channels": 4, "kernel": 2}
    assert [change["model.blocks"] for change in skipping.changes] == [
        [first, {"channels": 8, "kernel": 3, "stride": 3}],
        [first, {"channels": 8, "kernel": 3, "stride": 1}],
    ]


@pytest.mark.parametrize(
    ("augment", "text", "change"),
    [
        ("{erase: 1.0}", "partly erased in 100.0% of all cases", {"dataset.augment.erase": 0.0}),
        ("{erase: 0.5}", None, {}),
        ("{crop: 3}", "shifted by up to 3 of 8 pixels", {"dataset.augment.crop": 1}),
        ("{crop: 2, cutout: 4}", None, {}),
        (
            "{cutout: 5, flip: true}",
            "mirrored and covered by a square of 5 of 8 pixels",
            {"dataset.augment.flip": False, "dataset.augment.cutout": 0},
        ),
    ],
)
def test_images_that_are_shifted_or_covered_too_far_are_suspected(
    augment: str, text: str | None, change: dict[str, object], tmp_path: Path
) -> None:
    """Of 8 pixels, a quarter is 2 and half is 4."""
    config = f"dataset: {{name: digits, augment: {augment}}}\nmodel: mlp\n"
    found = [one for one in suspicions(config, tmp_path) if one.page.id == "NN123"]
    assert [(one.evidence.text, one.changes) for one in found] == (
        [(f"training images are {text} at random", (change,))] if text else []
    )


@pytest.mark.parametrize(
    ("groups", "certainty", "rest"),
    [
        ('[{match: "hidden*", lr_factor: 1.0e-6}]', "likely", []),
        ('[{match: "hidden*", epochs: 2}]', "possible", []),
        (
            '[{match: "*.bias", lr_factor: 64.0}, {match: "hidden*", epochs: 2, weight_decay: 0.0}]',
            "possible",
            [{"match": "*.bias", "lr_factor": 64.0}, {"match": "hidden*", "weight_decay": 0.0}],
        ),
        ('[{match: "hidden*", epochs: 8, lr_factor: 0.1}]', None, []),
    ],
)
def test_groups_that_hardly_learn_are_suspected_and_keep_their_other_options(
    groups: str, certainty: str | None, rest: list[dict[str, object]], tmp_path: Path
) -> None:
    text = (
        f"dataset: moons\nmodel: {{name: mlp, hidden: [8]}}\noptimizer: {{name: sgd, groups: {groups}}}\nepochs: 10\n"
    )
    found = [one for one in suspicions(text, tmp_path) if one.path == "optimizer.groups"]
    assert [one.certainty for one in found] == [certainty] * (certainty is not None)
    assert all(one.changes == ({"optimizer.groups": rest},) for one in found)
    loaded = load_config(str(tmp_path / "config.yaml"))
    for one in found:
        assert changed(loaded.source, loaded.config, one.changes[0]).optimizer.groups == [
            ParameterGroup.model_validate(group) for group in rest
        ]


@pytest.mark.parametrize(
    ("lr", "decoupled", "is_suspected"), [(0.1, "on", True), (2.0, "on", False), (0.1, "off", False)]
)
def test_decoupled_weight_decay_counts_by_itself(lr: float, decoupled: str, is_suspected: bool, tmp_path: Path) -> None:
    options = (
        f"{{name: sgd, lr: {lr}, weight_decay: 0.04, decoupled: {decoupled}}}"  # coupled, it is 0.4, 0.02 and 0.04
    )
    found = suspicions(f"dataset: moons\nmodel: {{name: mlp}}\noptimizer: {options}\n", tmp_path)
    changes = [one.changes[0] for one in found if one.page.id == "NN404"]
    assert changes == ([{"optimizer.weight_decay": 0.0, "optimizer.decoupled": False}] if is_suspected else [])


def test_a_decoupled_decay_at_a_rate_of_one_can_be_changed(tmp_path: Path) -> None:
    options = "{name: sgd, lr: 1.0, weight_decay: 0.2, decoupled: on}"
    found = suspicions(f"dataset: moons\nmodel: {{name: mlp}}\noptimizer: {options}\n", tmp_path)
    (change,) = [one.changes[0] for one in found if one.page.id == "NN404"]
    assert change == {"optimizer.weight_decay": 0.0, "optimizer.decoupled": False}  # 0 alone is no valid config


@pytest.mark.parametrize(("every", "share", "is_suspected"), [(5, 0.5, False), (100, 0.5, False), (100, 0.01, True)])
def test_a_lookahead_that_hardly_moves_is_suspected(
    every: int, share: float, is_suspected: bool, tmp_path: Path
) -> None:
    averaging = f"lookahead: {{every: {every}, share: {share}}}\n"
    found = suspicions(f"dataset: moons\nmodel: {{name: mlp}}\nepochs: 30\n{averaging}", tmp_path)
    assert [dict(one.changes[0]) for one in found if one.page.id == "NN407"] == [{"lookahead": None}] * is_suspected


@pytest.mark.parametrize(
    ("weights", "is_suspected"),
    [
        ("[0.001, 1.0]", True),
        ("[1.0, 400.0]", True),
        ("[0.5, 2.0]", False),
        ("[0.1, 19.0]", False),  # they balance classes of 90% and 5%
        ("balanced", False),
        ("null", False),
    ],
)
def test_weights_of_positives_far_from_one_and_from_balance_are_suspected(
    weights: str, is_suspected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{row % 7},{int(row % 10 > 0)},{int(row % 20 == 0)}" for row in range(200)]
    Path("t.csv").write_text("\n".join(["x,often,rarely", *rows]))
    text = "dataset: {name: csv, path: t.csv, label: [often, rarely]}\nmodel: {name: mlp, hidden: [4]}\n"
    found = suspicions(text + f"loss: {{name: bce_with_logits, pos_weight: {weights}}}\n", tmp_path)
    assert ["loss.pos_weight"] * is_suspected == [one.path for one in found if one.page.id == "NN408"]


@pytest.mark.parametrize(("scale", "is_suspected"), [(0.001, True), (100.0, True), (0.5, False), (1.0, False)])
def test_a_scale_of_the_outputs_is_suspected_where_the_untrained_net_shows_it(
    scale: float, is_suspected: bool, tmp_path: Path
) -> None:
    for model in ("{name: mlp, hidden: [16]", "{name: resnet, width: 8, stages: [1]"):
        text = f"dataset: {{name: digits, limit: 300}}\nmodel: {model}, output_scale: {scale}}}\n"
        found = [one for one in suspicions(text, tmp_path) if one.page.id == "NN308"]
        assert [dict(one.changes[0]) for one in found] == [{"model.output_scale": 1.0}] * is_suspected
        loaded = load_config(str(tmp_path / "config.yaml"))
        assert all(changed(loaded.source, loaded.config, one.changes[0]).model.output_scale == 1 for one in found)


def test_momentum_is_left_out_where_its_default_is_zero(tmp_path: Path) -> None:
    text = "dataset: moons\nmodel: {name: mlp, hidden: [4]}\noptimizer: {name: %s, momentum: 0.999}\n"
    for name in ("sgd", "rmsprop"):
        (found,) = [one for one in suspicions(text % name, tmp_path) if one.page.id == "NN407"]
        assert found.changes == ({"optimizer.momentum": 0.9}, {"optimizer.momentum": 0.0})


def test_layers_are_counted_from_one_and_keep_what_they_set(tmp_path: Path) -> None:
    narrow = "dataset: xor\nmodel: {name: mlp, hidden: [16, {units: 2, dropout: 0.1}]}\n"
    (found,) = (one for one in suspicions(narrow, tmp_path) if one.page.id == "NN302")
    assert found.evidence.text == "2 units in hidden layer 2"
    assert found.changes[1] == {"model.hidden": [64, {"units": 64, "dropout": 0.1}]}


@pytest.mark.parametrize(
    ("bias", "causes"),
    [("bias_init: -10", ["NN307", "NN308"]), ("output_bias_init: 50", ["NN308"]), ("bias_init: 0.1", [])],
)
def test_initial_biases_are_suspected_where_the_untrained_net_shows_it(
    bias: str, causes: list[str], tmp_path: Path
) -> None:
    text = f"dataset: moons\nmodel: {{name: mlp, hidden: [16], {bias}}}\nloss: bce_with_logits\n"
    found = [one for one in suspicions(text, tmp_path) if one.page.id in ("NN307", "NN308")]
    assert sorted(one.page.id for one in found) == causes
    assert all(one.changes[0] == {f"model.{bias.partition(':')[0]}": None} for one in found)


def test_a_constant_column_is_one_whose_features_are_all_constant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An indicator that no training row has, such as that of new categories, is no fault of the table."""
    monkeypatch.chdir(tmp_path)
    rows = [f"{'xy'[row % 2]},only,{row % 7},{row % 3 % 2}" for row in range(60)]
    Path("t.csv").write_text("\n".join(["kind,same,n,label", *rows]))
    text = "dataset: {name: csv, path: t.csv, categories: [kind, same]}\nmodel: {name: mlp, hidden: [4]}\n"
    (found,) = [one for one in suspicions(text, tmp_path) if one.page.id in ("NN114", "NN115")]
    assert found.evidence.text == "one value in all rows: same"
    assert found.changes == ({"dataset.features": ["kind", "n"]},)
    text = text.replace(", cat", ", ignore: [n], cat")
    (found,) = [one for one in suspicions(text, tmp_path) if one.page.id == "NN114"]
    assert found.changes == ({"dataset.ignore": ["n", "same"]},)

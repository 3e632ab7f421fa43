"""The held-out set's healthy configs: each was trained with three seeds and learns what its data allow.

They were written by somebody who had not read the rules, so that the set can tell whether a threshold holds
beyond the cases that it was chosen beside. Odd ones that do train are here on purpose.
"""

from __future__ import annotations

from typing import Any

from benchmarks.diagnosis.cases import Values

MODEL_KEYS = ("activation", "output", "init", "dropout", "batch_norm")


def _mlp(dataset: Any, hidden: list[Any], optimizer: Values, epochs: int, batch_size: int, **rest: Any) -> Values:
    model = {key: rest.pop(key) for key in MODEL_KEYS if key in rest}
    run = {"optimizer": optimizer, "epochs": epochs, "batch_size": batch_size, **rest}
    return {"dataset": dataset, "model": {"name": "mlp", "hidden": hidden, **model}, **run}


def _cnn(dataset: Any, blocks: list[Values], hidden: list[Any], optimizer: Values, epochs: int, **rest: Any) -> Values:
    config = _mlp(dataset, hidden, optimizer, epochs, rest.pop("batch_size", 32), **rest)
    return {**config, "model": {**config["model"], "name": "cnn", "blocks": blocks}}


def _optimizer(name: str, lr: float, **options: Any) -> Values:
    return {"name": name, "lr": lr, **options}


def _conv(channels: int, **options: Any) -> Values:
    return {"channels": channels, "padding": "same", "batch_norm": False, **options}


def _toy(name: str, **options: Any) -> Values:
    return {"name": name, **options}


def _csv(name: str, **options: Any) -> Values:
    return {"name": "csv", "path": f"{name}.csv", **options}


CIRCLES = _toy("circles", num_examples=700, factor=0.6)
SPIRALS = _toy("spirals", num_classes=3, num_examples=1200, noise=0.03, turns=1)
MNIST = {"name": "mnist", "limit": 4000, "normalize": "unit"}
DIGITS = {"name": "digits", "validation": 0.15}
BARS = {"name": "tensors", "train_inputs": "bars.npy", "train_targets": "bars_labels.npy"}
BARS_SORTED = {**BARS, "train_inputs": "bars_sorted.npy", "train_targets": "bars_sorted_labels.npy"}
BARS_APART = {**BARS, "test_inputs": "bars_test.npy", "test_targets": "bars_test_labels.npy"}
TILES = {"name": "folder", "root": "tiles", "size": 14}

POINTS: dict[str, Values] = {
    "moons_leaky": _mlp(
        _toy("moons", num_examples=600, noise=0.15),
        [24, 12],
        _optimizer("adamw", 0.004),
        40,
        25,
        activation="leaky_relu",
    ),
    "moons_sigmoid": _mlp(
        _toy("moons", noise=0.12), [16], _optimizer("adam", 0.05), 60, 50, activation="sigmoid", loss="bce_with_logits"
    ),
    "circles_rmsprop": _mlp(CIRCLES, [18, 9], _optimizer("rmsprop", 0.003), 60, 20),
    "circles_tanh_bce": _mlp(
        CIRCLES,
        [12],
        _optimizer("sgd", 0.3, momentum=0.8),
        60,
        16,
        activation="tanh",
        output="sigmoid",
        loss="bce",
    ),
    "circles_deep_tanh": _mlp(
        CIRCLES, [20] * 12, _optimizer("adam", 0.001), 40, 32, activation="tanh", init="xavier_normal"
    ),
    "blobs_elu_adagrad": _mlp(
        _toy("blobs", num_classes=7, num_features=5, std=1.4),
        [40],
        _optimizer("adagrad", 0.05),
        25,
        40,
        activation="elu",
    ),
    "blobs_linear": _mlp(_toy("blobs", num_classes=4, num_features=8), [], _optimizer("sgd", 0.5), 20, 30),
    "blobs_mse": _mlp(
        _toy("blobs", num_features=4), [20], _optimizer("sgd", 0.2, momentum=0.9), 40, 64, activation="tanh", loss="mse"
    ),
    "blobs_one_by_one": _mlp(
        _toy("blobs", num_examples=300, num_classes=5, num_features=6), [10], _optimizer("sgd", 0.01), 15, 1
    ),
    "blobs_all_at_once": _mlp(
        _toy("blobs", num_examples=800, num_classes=4, num_features=3), [30], _optimizer("adam", 0.02), 120, 800
    ),
    "blobs_two_units": _mlp(_toy("blobs", num_classes=2, num_features=3), [3], _optimizer("adam", 0.02), 40, 32),
    "xor_tanh": _mlp(
        _toy("xor", num_examples=200, noise=0.05),
        [8],
        _optimizer("sgd", 0.2, momentum=0.9),
        60,
        8,
        activation="tanh",
        loss="bce_with_logits",
    ),
    "xor_silu": _mlp(
        _toy("xor", num_examples=400, noise=0.1), [32], _optimizer("adam", 0.01), 40, 20, activation="silu"
    ),
    "spirals_gelu": _mlp(SPIRALS, [48, 48], _optimizer("adam", 0.006), 80, 48, activation="gelu"),
    "spirals_deep_relu": _mlp(SPIRALS, [32] * 5, _optimizer("adamw", 0.003), 80, 32, init="kaiming_normal"),
    "rgb_unit": _mlp(_toy("rgb", normalize="unit"), [10], _optimizer("sgd", 0.2, momentum=0.9), 30, 20),
    "rgb_sigmoid_bce": _mlp(
        _toy("rgb", normalize="minmax"),
        [12],
        _optimizer("adam", 0.02),
        25,
        32,
        activation="sigmoid",
        output="sigmoid",
        loss="bce",
    ),
}

TABLES: dict[str, Values] = {
    "iris_tanh": _mlp("iris", [7], _optimizer("sgd", 0.15), 80, 12, activation="tanh"),
    "iris_nll": _mlp("iris", [14, 14], _optimizer("adam", 0.008), 60, 15, output="log_softmax", loss="nll"),
    "iris_centimetres": _mlp(
        {"name": "iris", "normalize": "none"}, [50], _optimizer("adam", 0.01), 80, 10, activation="tanh"
    ),
    "wine_batch_norm": _mlp("wine", [22], _optimizer("adam", 0.01), 40, 24, batch_norm=True),
    "wine_decay": _mlp("wine", [30], _optimizer("adamw", 0.005, weight_decay=0.5), 60, 16, activation="silu"),
    "wine_sgd": _mlp("wine", [26, 13], _optimizer("sgd", 0.1, momentum=0.9), 50, 16),
    "iris_few_a_batch": _mlp("iris", [16], _optimizer("sgd", 0.05, momentum=0.9), 20, 3),
    "wine_few_a_batch": _mlp("wine", [18], _optimizer("adam", 0.01), 15, 4),
    "cancer_bce": _mlp(
        "breast_cancer", [14], _optimizer("rmsprop", 0.002), 40, 20, output="sigmoid", loss="bce", activation="relu"
    ),
    "cancer_linear_fast": _mlp("breast_cancer", [], _optimizer("sgd", 1.0), 30, 64, loss="bce_with_logits"),
    "cancer_dropout": _mlp("breast_cancer", [64, 32], _optimizer("adam", 0.003), 60, 32, dropout=0.6),
    "ferns_focal": _mlp(_csv("ferns"), [25], _optimizer("adam", 0.01), 40, 32, loss={"name": "focal", "gamma": 1.5}),
    "ferns_sgd": _mlp(_csv("ferns"), [20], _optimizer("sgd", 0.1, momentum=0.9), 40, 25, activation="tanh"),
    "ferns_some_mistaken": _mlp(_csv("ferns_mistaken"), [12], _optimizer("adam", 0.005), 40, 32),
    "ferns_sorted_shuffled": _mlp(_csv("ferns_sorted"), [15], _optimizer("sgd", 0.05, momentum=0.9), 20, 6),
    "sensors": _mlp(_csv("sensors"), [16], _optimizer("adam", 0.01), 50, 30),
    "sensors_sgd_raw": _mlp(_csv("sensors", normalize="none"), [16], _optimizer("sgd", 0.1), 50, 30),
    "sensors_units_scaled": _mlp(_csv("sensors_units"), [10], _optimizer("sgd", 0.3), 50, 24, activation="elu"),
    "frauds_weighted": _mlp(
        _csv("frauds"),
        [10],
        _optimizer("adam", 0.005),
        30,
        64,
        loss={"name": "cross_entropy", "class_weights": "balanced"},
    ),
    "leaks_rare": _mlp(_csv("leaks"), [12], _optimizer("adam", 0.01), 40, 32),
}

PICTURES: dict[str, Values] = {
    "digits_sgd": _mlp(DIGITS, [60], _optimizer("sgd", 0.1, momentum=0.5), 25, 30),
    "digits_sigmoid_fast": _mlp(
        {**DIGITS, "normalize": "unit"}, [50], _optimizer("sgd", 1.0, momentum=0.5), 30, 20, activation="sigmoid"
    ),
    # The net of neuralnetworksanddeeplearning.com, chapter 1: its rate of 3 was for the sum over outputs, halved.
    "digits_nielsen": _mlp(
        {**DIGITS, "normalize": "unit"},
        [30],
        _optimizer("sgd", 10.0),
        30,
        10,
        activation="sigmoid",
        output="sigmoid",
        loss="mse",
    ),
    "digits_four_relu": _mlp(
        {**DIGITS, "normalize": "unit"}, [50, 40, 30, 20], _optimizer("sgd", 0.05, momentum=0.9), 30, 40
    ),
    "digits_softplus": _mlp(DIGITS, [40, 40], _optimizer("adam", 0.003), 25, 32, activation="softplus"),
    "digits_deep_elu": _mlp(
        DIGITS, [32] * 9, _optimizer("adam", 0.002), 25, 32, activation="elu", init="xavier_uniform"
    ),
    "digits_deep_sigmoid_norm": _mlp(
        DIGITS, [40] * 5, _optimizer("adam", 0.01), 25, 32, activation="sigmoid", batch_norm=True
    ),
    "digits_norm_small_batch": _mlp(DIGITS, [48], _optimizer("sgd", 0.02), 15, 6, batch_norm=True),
    "digits_adadelta": _mlp(DIGITS, [64], _optimizer("adadelta", 1.0), 20, 24),
    "digits_muon": _mlp(DIGITS, [64, 64], _optimizer("muon", 0.02), 12, 48),
    "digits_unshuffled": _mlp(DIGITS, [36], _optimizer("adam", 0.005), 20, 20, shuffle=False),  # in mixed order
    "digits_smoothed": _mlp(
        DIGITS,
        [80],
        _optimizer("adamw", 0.005),
        20,
        32,
        loss={"name": "cross_entropy", "label_smoothing": 0.1},
        scheduler={"name": "cosine", "warmup": 2},
        clip_grad_norm=1.0,
    ),
    "digits_conv": _cnn(DIGITS, [_conv(12, pool="max"), _conv(24)], [32], _optimizer("adam", 0.002), 15),
    "digits_conv_norm": _cnn(
        DIGITS,
        [_conv(10, batch_norm=True), _conv(20, batch_norm=True, pool="max")],
        [],
        _optimizer("sgd", 0.05, momentum=0.9, nesterov=True),
        12,
        scheduler="one_cycle",
        batch_size=40,
    ),
    "digits_conv_tanh": _cnn(
        DIGITS, [_conv(8, pool="avg"), _conv(16, pool="avg")], [40], _optimizer("adam", 0.004), 20, activation="tanh"
    ),
    "digits_conv_raw_norm": _cnn(
        {**DIGITS, "normalize": "none"},  # batch norm comes before anything that minds the scale
        [_conv(12, batch_norm=True), _conv(16, batch_norm=True, pool="max")],
        [24],
        _optimizer("adam", 0.004),
        12,
    ),
    "mnist_relu": _mlp(MNIST, [64], _optimizer("adam", 0.002), 6, 50),
    "mnist_regression": _mlp(MNIST, [], _optimizer("sgd", 0.3), 8, 64),
    "mnist_tanh_sgd": _mlp(MNIST, [100, 40], _optimizer("sgd", 0.05, momentum=0.9), 6, 25, activation="tanh"),
    "mnist_conv": _cnn(
        {**MNIST, "limit": 2500},
        [
            {"channels": 8, "kernel": 5, "stride": 2, "batch_norm": False},
            {"channels": 16, "stride": 2, "batch_norm": False},
        ],
        [48],
        _optimizer("adam", 0.004),
        6,
        batch_size=50,
    ),
    "bars_conv": _cnn(BARS, [_conv(8, pool="max"), _conv(16, pool="max")], [24], _optimizer("adam", 0.004), 20),
    "bars_sorted_shuffled": _mlp(BARS_SORTED, [40], _optimizer("adam", 0.003), 15, 10),
    "bars_apart_mlp": _mlp(BARS_APART, [64, 32], _optimizer("adam", 0.002), 40, 25, dropout=0.2),
    "bars_conv_elu": _cnn(
        BARS, [_conv(8, kernel=5, pool="max")], [30], _optimizer("sgd", 0.05, momentum=0.9), 20, activation="elu"
    ),
    "tiles_conv": _cnn(TILES, [_conv(10, pool="max"), _conv(12, pool="max")], [], _optimizer("adam", 0.005), 20),
    "tiles_few_a_batch": _cnn(
        TILES, [_conv(8, pool="max"), _conv(12, pool="max")], [], _optimizer("adam", 0.005), 10, batch_size=4
    ),
    "tiles_conv_norm": _cnn(
        TILES, [_conv(8, batch_norm=True, pool="max")], [16], _optimizer("rmsprop", 0.002), 15, batch_size=16
    ),
}

HEALTHY: dict[str, Values] = {**POINTS, **TABLES, **PICTURES}

"""The set: healthy configs, and faulty ones that differ from a healthy one by the fault alone.

Sources of the faults: the stories that people tell of nets that did not learn (questions on debugging networks,
and the papers that gathered them: NeuraLint, DeepDiagnosis, AUTOTRAINER, DEFault).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Values = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """A healthy config, what is done to it, and which findings name that."""

    twin: str
    name: str
    change: Values
    causes: tuple[str, ...]


def _mlp(dataset: Any, hidden: Any, **rest: Any) -> Values:
    model = {key: rest.pop(key) for key in ("activation", "output", "init", "dropout", "batch_norm") if key in rest}
    return {"dataset": dataset, "model": {"name": "mlp", "hidden": hidden, **model}, **rest}


def _sgd(lr: float, momentum: float = 0.0) -> Values:
    return {"name": "sgd", "lr": lr, "momentum": momentum}


def _adam(lr: float) -> Values:
    return {"name": "adam", "lr": lr}


MNIST = {"name": "mnist", "limit": 6000}
CNN = {
    "name": "cnn",
    "blocks": [
        {"channels": 16, "padding": "same", "pool": "max", "batch_norm": False},
        {"channels": 32, "padding": "same", "pool": "max", "batch_norm": False},
    ],
    "hidden": [64],
}
CNN_NORM = {
    "name": "cnn",
    "blocks": [{"channels": 16, "padding": "same", "pool": "max"}, {"channels": 32, "padding": "same", "pool": "max"}],
    "hidden": [64],
}
NOISY = {"name": "csv", "path": "noisy.csv"}
XOR = {"name": "xor", "num_examples": 200}
BCE = {"output": "sigmoid", "loss": "bce"}

HEALTHY: dict[str, Values] = {
    # Toy problems
    "xor_tanh": _mlp("xor", [8], activation="tanh", **BCE, optimizer=_sgd(0.5, 0.9), epochs=200, batch_size=4),
    "xor_sigmoid": _mlp("xor", [8], activation="sigmoid", **BCE, optimizer=_adam(0.02), epochs=200, batch_size=4),
    "xor_relu": _mlp("xor", [16], optimizer=_adam(0.01), epochs=100, batch_size=8),
    "xor_mse": _mlp(
        "xor",
        [8],
        activation="tanh",
        output="sigmoid",
        loss={"name": "mse", "targets": "index"},
        optimizer=_sgd(0.5, 0.9),
        epochs=300,
        batch_size=4,
    ),
    "xor_exact": _mlp({"name": "xor", "noise": 0.0}, [16], optimizer=_adam(0.01), epochs=100, batch_size=8),
    "circles_relu": _mlp("circles", [16], loss="bce_with_logits", optimizer=_adam(0.01), epochs=30, batch_size=32),
    "circles_deep_tanh": _mlp(
        "circles", [16] * 6, activation="tanh", init="xavier_uniform", optimizer=_adam(0.003), epochs=30, batch_size=32
    ),
    "circles_sigmoid": _mlp("circles", [16], activation="sigmoid", **BCE, optimizer=_adam(0.02), epochs=60),
    "circles_softplus": _mlp("circles", [16], activation="softplus", optimizer=_adam(0.02), epochs=50),
    "moons_relu": _mlp("moons", [16, 16], optimizer=_adam(0.01), epochs=30, batch_size=32),
    "moons_sgd": _mlp("moons", [32], optimizer=_sgd(0.1, 0.9), epochs=40, batch_size=32),
    "moons_rmsprop": _mlp("moons", [16], optimizer={"name": "rmsprop", "lr": 0.01}, epochs=30),
    "moons_adagrad": _mlp("moons", [16], optimizer={"name": "adagrad", "lr": 0.1}, epochs=40),
    "moons_adadelta": _mlp("moons", [32], optimizer={"name": "adadelta", "lr": 1.0}, epochs=60),
    "moons_muon": _mlp("moons", [32, 32], optimizer="muon", epochs=30),
    "moons_in_turn": _mlp("moons", [16], shuffle=False, optimizer=_adam(0.01), epochs=30, batch_size=32),
    "moons_elu_deep": _mlp("moons", [16] * 8, activation="elu", optimizer=_adam(0.003), epochs=40),
    "moons_norm_deep": _mlp("moons", [16] * 12, batch_norm=True, optimizer=_adam(0.005), epochs=40, batch_size=64),
    "moons_focal": _mlp("moons", [16], loss="focal", optimizer=_adam(0.01), epochs=40),
    "moons_clip": _mlp("moons", [16], clip_grad_norm=1.0, optimizer=_sgd(0.3, 0.9), epochs=40),
    "moons_cosine": _mlp("moons", [16], scheduler={"name": "cosine", "warmup": 2.0}, optimizer=_adam(0.02), epochs=40),
    "moons_dropout": _mlp("moons", [128], dropout=0.5, optimizer=_adam(0.01), epochs=40),
    "moons_relu_hinge": _mlp("moons", [16], output="softmax", loss="mse", optimizer=_adam(0.01), epochs=60),
    "spirals_tanh": _mlp("spirals", [64, 64], activation="tanh", optimizer=_adam(0.01), epochs=100, batch_size=32),
    "blobs_linear": _mlp("blobs", [], optimizer=_sgd(0.1), epochs=20),
    "blobs_zeros": _mlp("blobs", [], init="zeros", optimizer=_sgd(0.1), epochs=20),
    "blobs_nll": _mlp("blobs", [16], output="log_softmax", loss="nll", optimizer=_adam(0.01), epochs=20),
    "blobs_ten": _mlp({"name": "blobs", "num_classes": 10, "std": 0.8}, [32], optimizer=_adam(0.01), epochs=40),
    "blobs_one_by_one": _mlp(
        {"name": "blobs", "num_examples": 300}, [16], optimizer=_sgd(0.02), epochs=15, batch_size=1
    ),
    "blobs_full_batch": _mlp("blobs", [32], optimizer=_adam(0.03), epochs=200, batch_size=1000),
    "blobs_smooth": _mlp("blobs", [16], loss={"name": "cross_entropy", "label_smoothing": 0.1}, epochs=40),
    "rgb_unit": _mlp(
        {"name": "rgb", "normalize": "unit"},
        [8, 8],
        loss="bce_with_logits",
        optimizer=_sgd(0.1, 0.9),
        epochs=30,
        batch_size=16,
    ),
    "rgb_standard": _mlp("rgb", [8, 8], loss="bce_with_logits", optimizer=_sgd(0.1, 0.9), epochs=30, batch_size=16),
    "rgb_raw_norm": _mlp(
        {"name": "rgb", "normalize": "none"}, [32, 32], batch_norm=True, optimizer=_adam(0.01), epochs=60, batch_size=32
    ),
    "cancer_linear": _mlp("breast_cancer", [], optimizer=_adam(0.01), epochs=30, batch_size=32),
    # Little to learn, and much to memorize
    "noisy_relu": _mlp(NOISY, [16], optimizer=_adam(0.003), epochs=40, batch_size=32),
    "noisy_memorized": _mlp(NOISY, [128, 128], optimizer=_adam(0.003), epochs=80, batch_size=32),
    "noisy_linear": _mlp(NOISY, [], optimizer=_sgd(0.05), epochs=30, batch_size=16),
    "noisy_tanh": _mlp(NOISY, [8, 8], activation="tanh", **BCE, optimizer=_sgd(0.05, 0.9), epochs=40, batch_size=16),
    "noisy_raw": _mlp({**NOISY, "normalize": "none"}, [12, 8], optimizer=_adam(0.002), epochs=80, batch_size=10),
    "noisy_dropout": _mlp(NOISY, [32], dropout=0.5, optimizer=_adam(0.005), epochs=60, batch_size=32),
    "noisy_few": _mlp({"name": "csv", "path": "noisy_few.csv"}, [8], optimizer=_adam(0.01), epochs=60, batch_size=16),
    "noisy_uneven": _mlp(
        {"name": "csv", "path": "noisy_uneven.csv"}, [16], optimizer=_adam(0.003), epochs=30, batch_size=32
    ),
    "rows_alike": _mlp({"name": "csv", "path": "alike.csv"}, [16], optimizer=_adam(0.01), epochs=30, batch_size=32),
    # Small nets that get stuck with some seeds
    "xor_four_relu": _mlp(XOR, [4], optimizer=_adam(0.02), epochs=100, batch_size=8),
    "xor_two_sigmoid": _mlp(XOR, [2], activation="sigmoid", **BCE, optimizer=_adam(0.05), epochs=200, batch_size=8),
    # Tables
    "iris_relu": _mlp("iris", [16], optimizer=_adam(0.01), epochs=100, batch_size=16),
    "iris_in_turn": _mlp("iris", [16], shuffle=False, optimizer=_adam(0.01), epochs=100, batch_size=16),
    "iris_raw": _mlp({"name": "iris", "normalize": "none"}, [16], optimizer=_adam(0.01), epochs=150, batch_size=16),
    "iris_mse": _mlp("iris", [16], loss="mse", optimizer=_adam(0.01), epochs=100, batch_size=16),
    "iris_sigmoids": _mlp("iris", [16], output="sigmoid", loss="bce", optimizer=_adam(0.02), epochs=100, batch_size=16),
    "iris_wide_dropout": _mlp("iris", [1000, 100], dropout=0.5, optimizer=_adam(0.001), epochs=50, batch_size=16),
    "iris_minmax": _mlp(
        {"name": "iris", "normalize": "minmax"}, [32], optimizer=_adam(0.01), epochs=100, batch_size=16
    ),
    "wine_relu": _mlp("wine", [32], optimizer=_adam(0.01), epochs=50, batch_size=16),
    "wine_large_steps": _mlp("wine", [32], optimizer=_sgd(0.1, 0.9), epochs=10, batch_size=4),
    "wine_tanh_deep": _mlp("wine", [32] * 5, activation="tanh", optimizer=_adam(0.003), epochs=50, batch_size=16),
    "wine_strong_dropout": _mlp("wine", [256], dropout=0.8, optimizer=_adam(0.005), epochs=60, batch_size=16),
    "wine_decay": _mlp(
        "wine", [32], optimizer={"name": "adamw", "lr": 0.01, "weight_decay": 0.1}, epochs=50, batch_size=16
    ),
    "cancer_relu": _mlp(
        "breast_cancer", [32], loss="bce_with_logits", optimizer=_adam(0.003), epochs=30, batch_size=32
    ),
    "cancer_norm": _mlp(
        "breast_cancer", [32, 16], batch_norm=True, optimizer=_sgd(0.05, 0.9), epochs=30, batch_size=32
    ),
    "cancer_ema": _mlp("breast_cancer", [32], ema=0.99, optimizer=_adam(0.003), epochs=30, batch_size=32),
    "clean_table": _mlp({"name": "csv", "path": "clean.csv"}, [32], optimizer=_adam(0.01), epochs=30, batch_size=32),
    "scales_standard": _mlp(
        {"name": "csv", "path": "scales.csv"}, [32], optimizer=_adam(0.01), epochs=30, batch_size=32
    ),
    "ordered_shuffled": _mlp(
        {"name": "csv", "path": "ordered.csv"}, [32], optimizer=_adam(0.01), epochs=30, batch_size=32
    ),
    "rare_balanced": _mlp(
        {"name": "csv", "path": "imbalanced.csv"},
        [32],
        loss={"name": "cross_entropy", "class_weights": "balanced"},
        optimizer=_adam(0.005),
        epochs=40,
        batch_size=32,
    ),
    "rare_learned": _mlp({"name": "csv", "path": "rare.csv"}, [32], optimizer=_adam(0.01), epochs=40, batch_size=32),
    # Pictures
    "digits_mlp": _mlp("digits", [64], optimizer=_adam(0.003), epochs=20, batch_size=32),
    "digits_raw": _mlp(
        {"name": "digits", "normalize": "none"}, [128], optimizer=_adam(0.001), epochs=30, batch_size=32
    ),
    "digits_sigmoid": _mlp(
        "digits",
        [64],
        activation="sigmoid",
        output="sigmoid",
        loss="mse",
        optimizer=_adam(0.01),
        epochs=30,
        batch_size=32,
    ),
    "digits_cnn": {"dataset": "digits", "model": CNN, "optimizer": _adam(0.003), "epochs": 15, "batch_size": 32},
    "digits_cnn_norm": {
        "dataset": "digits",
        "model": CNN_NORM,
        "optimizer": _sgd(0.05, 0.9),
        "epochs": 15,
        "batch_size": 32,
    },
    "digits_linear": _mlp("digits", [], optimizer=_sgd(0.05), epochs=30, batch_size=16),
    "digits_deep_tanh": _mlp(
        "digits", [64] * 8, activation="tanh", init="xavier_normal", optimizer=_adam(0.001), epochs=20, batch_size=32
    ),
    "mnist_mlp": _mlp(MNIST, [64], optimizer=_adam(0.001), epochs=5, batch_size=32),
    "mnist_wide": _mlp({"name": "mnist"}, [1024] * 3, optimizer=_adam(0.0003), epochs=5, batch_size=128),
    "mnist_sgd": _mlp(MNIST, [64, 32], optimizer=_sgd(0.1), epochs=5, batch_size=32),
    "mnist_numpy": _mlp(MNIST, [30], output="sigmoid", loss="mse", optimizer=_sgd(0.5), epochs=2, batch_size=1),
    "mnist_cnn": {"dataset": MNIST, "model": CNN, "optimizer": _adam(0.002), "epochs": 3, "batch_size": 32},
}

SOFTMAX: Values = {"model.output": "softmax"}
DEEP_SIGMOID: Values = {"model.activation": "sigmoid"}

FAULTS = [
    # Outputs and losses
    Fault("digits_mlp", "softmax", SOFTMAX, ("NN201",)),
    Fault("wine_relu", "softmax", SOFTMAX, ("NN201",)),
    Fault("mnist_cnn", "softmax", SOFTMAX, ("NN201",)),
    Fault("iris_relu", "log_softmax", {"model.output": "log_softmax"}, ("NN201",)),
    Fault("circles_sigmoid", "single_softmax", SOFTMAX, ("NN202",)),
    Fault("xor_tanh", "single_softmax", SOFTMAX, ("NN202",)),
    Fault(
        "blobs_ten", "one_sigmoid", {"model.output": "sigmoid", "loss": {"name": "bce", "targets": "index"}}, ("NN203",)
    ),
    Fault("digits_cnn", "one_logit", {"loss": {"name": "bce_with_logits", "targets": "index"}}, ("NN203",)),
    Fault("mnist_mlp", "index_mse", {"loss": {"name": "mse", "targets": "index"}}, ("NN204",)),
    Fault("iris_mse", "index_mse", {"loss.targets": "index"}, ("NN204",)),
    Fault("circles_relu", "relu_output", {"model.output": "relu"}, ("NN205",)),
    Fault("rgb_standard", "relu_output", {"model.output": "relu"}, ("NN205",)),
    Fault("digits_mlp", "relu_output", {"model.output": "relu"}, ("NN205",)),
    Fault("blobs_nll", "nll_softmax", SOFTMAX, ("NN206",)),
    Fault("mnist_mlp", "sigmoid_ce", {"model.output": "sigmoid"}, ("NN207",)),
    Fault("cancer_relu", "double_sigmoid", {"model.output": "sigmoid"}, ("NN207",)),
    # Inputs
    Fault("rgb_standard", "raw", {"dataset": {"name": "rgb", "normalize": "none"}, "model.hidden": [4, 4]}, ("NN116",)),
    Fault("rgb_standard", "raw_wide", {"dataset.normalize": "none", "model.hidden": [256]}, ("NN116",)),
    Fault("digits_sigmoid", "raw", {"dataset.normalize": "none"}, ("NN116",)),
    Fault("mnist_sgd", "raw", {"dataset.normalize": "none"}, ("NN116",)),
    Fault("wine_tanh_deep", "raw", {"dataset.normalize": "none"}, ("NN115", "NN116")),
    Fault("scales_standard", "raw", {"dataset.normalize": "none"}, ("NN115", "NN116")),
    Fault("cancer_norm", "raw_sgd", {"dataset.normalize": "none", "model.batch_norm": False}, ("NN115", "NN116")),
    Fault("clean_table", "missing", {"dataset.path": "missing.csv"}, ("NN101",)),
    Fault("clean_table", "constant", {"dataset.path": "constant.csv"}, ("NN114",)),
    Fault("clean_table", "repeated", {"dataset.path": "repeated.csv"}, ("NN113",)),
    Fault("clean_table", "shifted", {"dataset.path": "shifted.csv"}, ("NN118", "NN117")),
    Fault("clean_table", "shuffled", {"dataset.path": "shuffled.csv"}, ("NN117",)),
    Fault("rare_balanced", "majority", {"loss": "cross_entropy"}, ("NN112",)),
    Fault("wine_large_steps", "ordered", {"shuffle": False}, ("NN111",)),
    # Architecture
    Fault("xor_tanh", "one_unit", {"model.hidden": [1]}, ("NN302",)),
    Fault("xor_relu", "no_hidden", {"model.hidden": []}, ("NN301",)),
    Fault("xor_relu", "no_activation", {"model.activation": "none"}, ("NN301",)),
    Fault("moons_relu", "no_hidden", {"model.hidden": []}, ("NN301",)),
    Fault("circles_relu", "no_activation", {"model.activation": "none"}, ("NN301",)),
    Fault("spirals_tanh", "narrow", {"model.hidden": [2]}, ("NN302",)),
    Fault("circles_sigmoid", "one_unit", {"model.hidden": [1]}, ("NN302",)),
    Fault("blobs_ten", "bottleneck", {"model.hidden": [32, 1, 32]}, ("NN302",)),
    Fault("moons_relu", "dying_relu", {"model.hidden": [2] * 34}, ("NN307", "NN302")),
    Fault("digits_mlp", "dying_relu", {"model.hidden": [10] * 34}, ("NN307",)),
    Fault("digits_deep_tanh", "nine_sigmoids", {"model.hidden": [64] * 9, **DEEP_SIGMOID}, ("NN306",)),
    Fault("circles_deep_tanh", "nine_sigmoids", {"model.hidden": [16] * 9, **DEEP_SIGMOID}, ("NN306",)),
    Fault("mnist_mlp", "nine_sigmoids", {"model.hidden": [32] * 9, **DEEP_SIGMOID}, ("NN306",)),
    Fault("iris_relu", "zeros", {"model.init": "zeros"}, ("NN303",)),
    Fault("digits_mlp", "zeros", {"model.init": "zeros"}, ("NN303",)),
    Fault("moons_relu", "constant", {"model.init": {"name": "constant", "value": 0.1}}, ("NN303",)),
    Fault("mnist_sgd", "constant", {"model.init": {"name": "constant", "value": 0.01}}, ("NN303",)),
    Fault(
        "digits_mlp",
        "huge_init",
        {"model.init": {"name": "normal", "std": 50.0}, "model.activation": "tanh"},
        ("NN308",),
    ),
    Fault("digits_deep_tanh", "tiny_init", {"model.init": {"name": "normal", "std": 0.0001}}, ("NN308", "NN306")),
    Fault("wine_relu", "dropout", {"model.hidden": [8, 8], "model.dropout": 0.9}, ("NN304",)),
    Fault("iris_relu", "dropout", {"model.hidden": [10], "model.dropout": 0.9}, ("NN304",)),
    Fault("cancer_norm", "one_by_one", {"batch_size": 1}, ("NN305",)),
    Fault("digits_cnn_norm", "one_by_one", {"batch_size": 1}, ("NN305",)),
    # Optimization
    Fault("moons_sgd", "high_lr", {"optimizer.lr": 100.0}, ("NN401",)),
    Fault("digits_mlp", "high_lr", {"optimizer.lr": 1.0}, ("NN401",)),
    Fault("mnist_sgd", "high_lr", {"optimizer.lr": 10.0}, ("NN401",)),
    Fault("digits_cnn", "high_lr", {"optimizer.lr": 0.3}, ("NN401",)),
    Fault("iris_relu", "low_lr", {"optimizer.lr": 1e-6}, ("NN402",)),
    Fault("moons_sgd", "low_lr", {"optimizer.lr": 1e-6}, ("NN402",)),
    Fault("mnist_sgd", "low_lr", {"optimizer.lr": 1e-5}, ("NN402",)),
    Fault("moons_adadelta", "low_lr", {"optimizer.lr": 0.0001}, ("NN402",)),
    Fault("iris_relu", "one_epoch", {"epochs": 1}, ("NN403", "NN402")),
    Fault("circles_sigmoid", "few_epochs", {"epochs": 2}, ("NN403", "NN402")),
    Fault("blobs_full_batch", "few_updates", {"epochs": 2, "optimizer.lr": 0.001}, ("NN403", "NN402")),
    Fault("moons_sgd", "decay", {"optimizer.weight_decay": 2.0}, ("NN404",)),
    Fault("wine_decay", "decay", {"optimizer": {"name": "adam", "lr": 0.01, "weight_decay": 3.0}}, ("NN404",)),
    Fault(
        "digits_mlp",
        "schedule",
        {"scheduler": {"name": "exponential", "gamma": 0.01}, "optimizer.lr": 0.0003},
        ("NN405", "NN402"),
    ),
    Fault("moons_clip", "clipped", {"clip_grad_norm": 1e-5}, ("NN406", "NN402")),
    Fault("moons_sgd", "momentum", {"optimizer.momentum": 0.9999}, ("NN407", "NN401")),
    Fault(
        "iris_relu", "weights", {"loss": {"name": "cross_entropy", "class_weights": [1.0, 1.0, 10000.0]}}, ("NN408",)
    ),
    # Faults of nets that cannot be tried to their end, that need several changes, or whose table is noisy
    Fault("noisy_relu", "low_lr", {"optimizer": _sgd(1e-6)}, ("NN402",)),
    Fault(
        "noisy_tanh",
        "raw",
        {"dataset.normalize": "none", "model.activation": "relu", "optimizer.lr": 0.3},
        ("NN116", "NN401"),
    ),
    Fault("noisy_few", "zeros", {"model.init": "zeros"}, ("NN303",)),
    Fault("digits_mlp", "large_batch", {"batch_size": 1400, "optimizer": _sgd(0.01), "epochs": 10}, ("NN403", "NN402")),
    Fault(
        "digits_mlp",
        "several",
        {"model.hidden": [64] * 6, **DEEP_SIGMOID, "batch_size": 500, "optimizer": _sgd(0.001), "epochs": 10},
        ("NN306", "NN402", "NN403"),
    ),
    Fault("digits_mlp", "thirty_sigmoids", {"model.hidden": [64] * 30, **DEEP_SIGMOID}, ("NN306",)),
    Fault(
        "mnist_wide",
        "twenty_wide_sigmoids",
        {"model.hidden": [1024] * 20, **DEEP_SIGMOID, "optimizer": _sgd(0.1)},
        ("NN306",),
    ),
    Fault("mnist_wide", "large_batch", {"batch_size": 5000, "optimizer": _sgd(0.01)}, ("NN403", "NN402")),
    Fault("digits_mlp", "exponential", {"model.activation": "exponential", "optimizer.lr": 0.1}, ("NN309", "NN401")),
]

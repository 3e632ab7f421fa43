"""The held-out set: published faults in nets, tables and architectures that no threshold was chosen beside.

Each was trained with seeds 0, 1 and 2: it diverges, is refused, or its mean accuracy of the classes is under 93 % of
its healthy twin's, each time. Of test examples that are also in the training set, the fault itself is there.

Sources stand beside the stories: questions people asked, and the papers that gathered such (DeepLocalize,
arXiv:2103.03376; AUTOTRAINER, DeepDiagnosis, NeuraLint, DeepFD; DEFault, arXiv:2501.12560; Humbatova et al., 2025,
doi:10.1007/s10664-025-10657-7).
"""

from __future__ import annotations

from benchmarks.diagnosis.cases import Fault, Values
from benchmarks.diagnosis.held_out_healthy import HEALTHY

RATE_HIGH, RATE_LOW = ("NN401",), ("NN402", "NN607")
TOO_SHORT = ("NN403", "NN610")
VANISHING = ("NN306", "NN608", "NN309")
UNSCALED = ("NN115", "NN116")
ADADELTA_LOW: Values = {"name": "adadelta", "lr": 0.001}
FAR_APART: Values = {"name": "cross_entropy", "class_weights": [1e5, 1.0]}
COUNTS_AS_WEIGHTS: Values = {"name": "cross_entropy", "class_weights": [19.0, 1.0]}
RAW_INPUTS: Values = {"dataset.normalize": "none"}

RATES = [
    # datascience.stackexchange.com/questions/15962: each tenfold of the rate makes the loss grow without end.
    Fault("moons_leaky", "rate_10000_times", {"optimizer.lr": 40.0}, RATE_HIGH),
    Fault("digits_conv", "rate_100_times", {"optimizer.lr": 0.3}, RATE_HIGH),
    Fault("mnist_relu", "adam_rate_1", {"optimizer.lr": 1.0}, RATE_HIGH),
    Fault("spirals_gelu", "rate_100_times", {"optimizer.lr": 0.6}, RATE_HIGH),
    Fault("digits_four_relu", "rate_20_times", {"optimizer.lr": 1.0}, RATE_HIGH),
    Fault("blobs_mse", "rate_100_times", {"optimizer.lr": 20.0}, (*RATE_HIGH, "NN407")),
    Fault("tiles_conv", "rate_100_times", {"optimizer.lr": 0.5}, RATE_HIGH),
    Fault("digits_sgd", "momentum_near_one", {"optimizer.momentum": 0.9995}, ("NN407", "NN401")),
    Fault("circles_rmsprop", "memory_of_gradients_near_one", {"optimizer.momentum": 0.999}, ("NN407", "NN401")),
    Fault("mnist_relu", "rate_ten_thousandth", {"optimizer.lr": 2e-7}, RATE_LOW),
    Fault("circles_tanh_bce", "rate_tiny", {"optimizer.lr": 1e-5}, RATE_LOW),
    Fault("digits_sgd", "rate_thousandth", {"optimizer.lr": 1e-4}, RATE_LOW),
    Fault("spirals_gelu", "plain_sgd_slow", {"optimizer": {"name": "sgd", "lr": 0.001}}, RATE_LOW),
    # tf.keras has 0.001 for the paper's 1, so its MNIST example reaches 84 %: github.com/keras-team/keras/issues/13815.
    Fault("digits_adadelta", "rate_of_keras", {"optimizer": ADADELTA_LOW}, RATE_LOW),
    Fault("bars_conv", "rate_tiny", {"optimizer.lr": 1e-6}, RATE_LOW),
    Fault("mnist_conv", "three_updates", {"epochs": 1, "batch_size": 1000}, (*TOO_SHORT, "NN402")),
    Fault("digits_nielsen", "one_epoch", {"epochs": 1}, TOO_SHORT),
    Fault("spirals_deep_relu", "one_epoch", {"epochs": 1}, TOO_SHORT),
    Fault("digits_sgd", "whole_set_a_batch", {"batch_size": 1400, "epochs": 8}, (*TOO_SHORT, "NN402")),
    Fault(
        "spirals_gelu",
        "rate_gone_after_few_epochs",
        {"scheduler": {"name": "exponential", "gamma": 0.25}},
        ("NN405",),
    ),
    # github.com/cszn/KAIR/issues/101: are the milestones epochs or steps?
    Fault(
        "circles_rmsprop",
        "milestones_in_steps",
        {"scheduler": {"name": "multistep", "unit": "step", "milestones": [5, 10, 15]}},
        ("NN405",),
    ),
    Fault("digits_sgd", "clipped_away", {"clip_grad_norm": 1e-4}, ("NN406",)),
    # coderapp.vercel.app/answer/61651457: LeNet stays at 10 % as soon as weight decay is given.
    Fault("digits_conv_tanh", "decay_of_one", {"optimizer.weight_decay": 1.0}, ("NN404",)),
    Fault("digits_sgd", "decay_half", {"optimizer.weight_decay": 0.5}, ("NN404",)),
    Fault("moons_leaky", "decoupled_decay", {"optimizer.weight_decay": 100.0}, ("NN404",)),
    Fault("mnist_relu", "huge_eps", {"optimizer.eps": 100.0}, ("NN407", "NN402")),
    Fault("ferns_sgd", "gamma_forty", {"loss": {"name": "focal", "gamma": 40.0}}, ("NN408",)),
    Fault("moons_leaky", "class_weights_far_apart", {"loss": FAR_APART}, ("NN408",)),
    Fault("frauds_weighted", "counts_as_weights", {"loss": COUNTS_AS_WEIGHTS}, ("NN408", "NN112")),
    Fault(
        "circles_rmsprop",
        "warmup_of_steps_in_epochs",
        {"scheduler": {"name": "constant", "warmup": 5e4}},
        ("NN405", "NN402"),
    ),
    Fault("mnist_conv", "drops_in_steps", {"scheduler": {"name": "step", "unit": "step", "every": 4}}, ("NN405",)),
]

ENDS = [
    Fault("digits_four_relu", "softmax_twice", {"model.output": "softmax"}, ("NN201",)),
    Fault("mnist_conv", "softmax_twice", {"model.output": "softmax"}, ("NN201",)),
    # stackoverflow.com/questions/47241622: one unit of softmax is always 1.
    Fault("circles_tanh_bce", "softmax_of_one", {"model.output": "softmax"}, ("NN202",)),
    Fault("cancer_bce", "softmax_of_one", {"model.output": "softmax"}, ("NN202",)),
    # datascience.stackexchange.com/questions/38604: ten digits, one sigmoid, binary cross-entropy, 11 %.
    Fault(
        "mnist_relu",
        "one_sigmoid_for_ten",
        {"model.output": "sigmoid", "loss": {"name": "bce", "targets": "index"}},
        ("NN203",),
    ),
    Fault("ferns_sgd", "numbers_as_targets", {"loss": {"name": "mse", "targets": "index"}}, ("NN204", "NN203")),
    Fault("digits_conv", "numbers_as_targets", {"loss": {"name": "mse", "targets": "index"}}, ("NN204", "NN203")),
    # ai.stackexchange.com/questions/8491: a ReLU on top, then softmax.
    Fault("digits_sgd", "relu_on_top", {"model.output": "relu"}, ("NN205",)),
    Fault("mnist_relu", "relu_on_top", {"model.output": "relu"}, ("NN205",)),
    Fault("digits_conv", "relu_on_top", {"model.output": "relu"}, ("NN205",)),
    Fault("xor_tanh", "relu_on_top", {"model.output": "relu"}, ("NN205",)),
    Fault("digits_four_relu", "probabilities_to_nll", {"model.output": "softmax", "loss": "nll"}, ("NN206",)),
    Fault("mnist_conv", "probabilities_to_nll", {"model.output": "softmax", "loss": "nll"}, ("NN206",)),
    Fault("moons_sigmoid", "sigmoid_twice", {"model.output": "sigmoid"}, ("NN207",)),
    Fault("cancer_linear_fast", "sigmoid_twice", {"model.output": "sigmoid"}, ("NN207",)),
    Fault("digits_four_relu", "sigmoid_before_softmax", {"model.output": "sigmoid"}, ("NN207",)),
]

NETS = [
    # ai.stackexchange.com/questions/27010: XOR always answers 0.5, for one neuron cannot.
    Fault("xor_silu", "no_hidden_layer", {"model.hidden": []}, ("NN301",)),
    Fault("circles_rmsprop", "linear_layers", {"model.activation": "none"}, ("NN301",)),
    Fault("spirals_gelu", "linear_layers", {"model.activation": "none"}, ("NN301",)),
    Fault("xor_tanh", "one_unit", {"model.hidden": [1]}, ("NN302",)),
    Fault("spirals_gelu", "three_units", {"model.hidden": [3]}, ("NN302",)),
    Fault("digits_four_relu", "bottleneck_of_one", {"model.hidden": [50, 40, 1, 20]}, ("NN302",)),
    Fault("ferns_sgd", "one_unit", {"model.hidden": [1]}, ("NN302",)),
    Fault("moons_leaky", "zeros", {"model.init": "zeros"}, ("NN303",)),
    Fault("digits_sgd", "one_constant", {"model.init": {"name": "constant", "value": 0.5}}, ("NN303",)),
    Fault("bars_conv", "one_constant", {"model.init": {"name": "constant", "value": 0.05}}, ("NN303",)),
    # github.com/ayush9818/MLDS-SQ: constants of both signs, so that no ReLU answers.
    Fault(
        "mnist_relu",
        "negative_constant",
        {"model.init": {"name": "constant", "value": -0.5}},
        ("NN303", "NN307", "NN605"),
    ),
    Fault("circles_deep_tanh", "huge_weights", {"model.init": {"name": "normal", "std": 8.0}}, ("NN308", "NN606")),
    Fault("mnist_tanh_sgd", "huge_weights", {"model.init": {"name": "normal", "std": 5.0}}, ("NN308", "NN606")),
    Fault("digits_softplus", "huge_weights", {"model.init": {"name": "normal", "std": 30.0}}, ("NN308", "NN601")),
    Fault(
        "digits_four_relu",
        "tiny_weights",
        {"model.init": {"name": "normal", "std": 0.001}},
        ("NN308", "NN306", "NN608"),
    ),
    # ai.stackexchange.com/questions/16557: four wide layers of sigmoid do not learn.
    Fault("digits_sgd", "six_sigmoid_layers", {"model.hidden": [60] * 6, "model.activation": "sigmoid"}, VANISHING),
    Fault(
        "mnist_tanh_sgd", "eight_sigmoid_layers", {"model.hidden": [50] * 8, "model.activation": "sigmoid"}, VANISHING
    ),
    Fault("ferns_sgd", "thirty_tanh_layers", {"model.hidden": [12] * 30}, (*VANISHING, "NN308")),
    # arXiv:1808.04947: deep and narrow nets of ReLU collapse to a constant.
    Fault(
        "digits_four_relu",
        "thirty_relu_layers",
        {"model.hidden": [30] * 30},
        ("NN307", "NN605", "NN308", *VANISHING),
    ),
    Fault(
        "digits_deep_elu",
        "exponential_layers",
        {"model.activation": "exponential"},
        ("NN309", "NN608", "NN601"),
    ),
    # devgem.io/posts/troubleshooting-stagnant-training-metrics-in-lenet-model-training: convolutions with sigmoids.
    Fault(
        "digits_conv_tanh",
        "sigmoid_blocks",
        {
            "model.activation": "sigmoid",
            "model.blocks": [{"channels": 5, "padding": "same", "batch_norm": False}] * 5,
        },
        VANISHING,
    ),
    Fault("circles_rmsprop", "dropout_most", {"model.dropout": 0.9}, ("NN304",)),
    Fault("spirals_gelu", "dropout_most", {"model.dropout": 0.85}, ("NN304",)),
    Fault("digits_conv", "dropout_nearly_all", {"model.dropout": 0.97}, ("NN304",)),
    Fault("wine_batch_norm", "one_example_a_batch", {"batch_size": 1}, ("NN305",)),
    Fault("digits_deep_sigmoid_norm", "one_example_a_batch", {"batch_size": 1}, ("NN305",)),
    Fault("digits_conv_norm", "one_example_a_batch", {"batch_size": 1, "epochs": 2}, ("NN305", "NN401")),
]

DATA = [
    # theorangeduck.com/page/neural-network-not-working: "You forgot to normalize your data", the first of eleven.
    Fault("rgb_unit", "raw", {**RAW_INPUTS, "model.hidden": [4]}, UNSCALED),
    # stats.stackexchange.com/questions/372762: 85 % with pixels divided by 255, 10 % without.
    Fault("mnist_tanh_sgd", "raw", RAW_INPUTS, UNSCALED),
    Fault("digits_nielsen", "raw", RAW_INPUTS, UNSCALED),
    Fault("bars_conv_elu", "raw", RAW_INPUTS, UNSCALED),
    Fault("wine_sgd", "raw", RAW_INPUTS, UNSCALED),
    Fault("cancer_linear_fast", "raw", RAW_INPUTS, UNSCALED),
    Fault("sensors_units_scaled", "raw", RAW_INPUTS, UNSCALED),
    Fault("sensors_sgd_raw", "reading_that_never_moves", {"dataset.path": "sensors_stuck.csv"}, ("NN114", *UNSCALED)),
    Fault("ferns_focal", "nan", {"dataset.path": "ferns_nan.csv"}, ("NN101",)),
    Fault("ferns_sgd", "empty_cell", {"dataset.path": "ferns_gap.csv"}, ("NN101",)),
    Fault("ferns_sgd", "infinity", {"dataset.path": "ferns_infinite.csv"}, ("NN101",)),
    # The table of breast tumours at UCI marks missing values so.
    Fault("ferns_focal", "question_mark", {"dataset.path": "ferns_unknown.csv"}, ("NN101", "NN103")),
    Fault("ferns_focal", "labels_scrambled", {"dataset.path": "ferns_scrambled.csv"}, ("NN117",)),
    Fault("bars_conv", "labels_scrambled", {"dataset.train_targets": "bars_scrambled_labels.npy"}, ("NN117",)),
    Fault("ferns_focal", "labels_one_row_off", {"dataset.path": "ferns_rolled.csv"}, ("NN118",)),
    Fault("bars_conv", "labels_one_picture_off", {"dataset.train_targets": "bars_rolled_labels.npy"}, ("NN118",)),
    Fault(
        "bars_apart_mlp", "test_numbered_otherwise", {"dataset.test_targets": "bars_test_labels_turned.npy"}, ("NN119",)
    ),
    Fault("ferns_sorted_shuffled", "never_shuffled", {"shuffle": False}, ("NN111",)),
    Fault("tiles_few_a_batch", "never_shuffled", {"shuffle": False}, ("NN111",)),
    # arXiv:1906.08255: pictures of Fashion-MNIST that are in both splits.
    Fault("ferns_sgd", "every_row_twice", {"dataset.path": "ferns_twice.csv"}, ("NN113",)),
    Fault(
        "bars_apart_mlp",
        "tested_on_what_it_saw",
        {"dataset.test_inputs": "bars_seen.npy", "dataset.test_targets": "bars_seen_labels.npy"},
        ("NN113",),
    ),
    # stackoverflow.com/questions/46759662: 95 % of one class, 95 % right, and no more.
    Fault("frauds_weighted", "majority_always", {"loss": "cross_entropy"}, ("NN112", "NN609")),
]

FAULTS: list[Fault] = [*RATES, *ENDS, *NETS, *DATA]

__all__ = ["FAULTS", "HEALTHY"]

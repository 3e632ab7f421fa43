"""The configs of the runs that are exported: every kind of dataset and model, and most losses and outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Config = dict[str, Any]


def configs(data: Path, made: Path) -> dict[str, Config]:
    """Return the config of each run by its name.

    Args:
        data: The folder with `MNIST/raw/` and `cifar10/train/<class>/`.
        made: The folder that `data.make_all` filled.
    """
    small = {"name": "cnn", "blocks": [{"channels": 6, "pool": "max"}, {"channels": 8}], "head": "average"}
    cifar = {"name": "folder", "root": str(data / "cifar10" / "train"), "limit": 400, "test": 0.2}
    photos = {"name": "folder", "root": str(made / "photos"), "test": 0.2, "validation": 0.2}
    tensors = {"name": "tensors", "train_targets": str(made / "targets.npy")}
    return {
        "xor": _run({"name": "xor"}, {"name": "mlp", "hidden": [8], "activation": "tanh"}, "bce_with_logits"),
        "rgb": _run({"name": "rgb"}, {"name": "mlp", "hidden": [4], "output": "sigmoid"}, "bce"),
        "moons": _run({"name": "moons"}, {"name": "mlp", "hidden": [16, 8], "activation": "gelu"}),
        "circles": _run({"name": "circles"}, {"name": "mlp", "hidden": [8], "activation": "elu"}, "mse"),
        "blobs": _run({"name": "blobs"}, {"name": "mlp", "hidden": [], "output": "log_softmax"}, "nll"),
        "spirals": _run({"name": "spirals"}, {"name": "mlp", "hidden": [24], "batch_norm": True, "activation": "silu"}),
        "iris": _run({"name": "iris", "validation": 0.2}, {"name": "mlp", "hidden": [8], "activation": "softplus"}),
        "wine": _run({"name": "wine", "normalize": "minmax"}, {"name": "mlp", "hidden": [8], "dropout": 0.2}, "focal"),
        "breast_cancer": _run(
            {"name": "breast_cancer", "validation": 0.2},
            {"name": "mlp", "hidden": [8], "activation": "leaky_relu"},
            "bce_with_logits",
            evaluation={"threshold": "f1"},
        ),
        "digits": _run({"name": "digits", "validation": 0.2}, small),
        "digits_index": _run({"name": "digits"}, {"name": "mlp", "hidden": [16]}, {"name": "mse", "targets": "index"}),
        "table": _run(
            {
                "name": "csv",
                "path": str(made / "mixed.csv"),
                "label": "class",
                "validation": 0.2,
                "categories": {"color": "one_hot", "size": ["small", "medium", "large"], "member": "yes_no", "zone": 4},
                "dates": ["joined"],
                "missing": "fill",
            },
            {"name": "mlp", "hidden": [12]},
        ),
        "dates": _run(
            {
                "name": "csv",
                "path": str(made / "dates.csv"),
                "label": "class",
                "dates": {
                    "when": {"format": "%d/%m/%Y %H:%M", "parts": ["days", "year", "month", "day", "weekday", "hour"]}
                },
            },
            {"name": "mlp", "hidden": [12]},
        ),
        "several_labels": _run(
            {
                "name": "csv",
                "path": str(made / "several.csv"),
                "label": ["first", "second", "third"],
                "validation": 0.2,
            },
            {"name": "mlp", "hidden": [12]},
            "bce_with_logits",
        ),
        "mnist": _run({"name": "mnist", "root": str(data), "limit": 400}, small, evaluation={"tta": "mirror"}),
        "cifar_resnet": _run(
            {**cifar, "validation": 0.2},
            {"name": "resnet", "width": 4, "stages": [1, 1, 1]},
            evaluation={"tta": "mirror_translate"},
        ),
        "photos_crop": _run({**photos, "size": [20, 24], "resize": "crop", "interpolation": "bicubic"}, small),
        "photos_pad": _run({**photos, "size": [24, 20], "resize": "pad"}, small),
        "deep_12_bits": _run({"name": "folder", "root": str(made / "deep12"), "size": [16, 16]}, small),
        "heights": _run({"name": "folder", "root": str(made / "heights"), "size": [16, 16]}, small),
        "float_images": _run({**tensors, "train_inputs": str(made / "images.npy")}, small),
        "sequences_float64": _run(
            {**tensors, "train_inputs": str(made / "sequences.npy")},
            {"name": "mlp", "hidden": [8]},
            precision="float64",
        ),
        "torchvision": _run(
            {**cifar, "size": [64, 64]}, {"name": "torchvision", "architecture": "shufflenet_v2_x0_5"}, epochs=1
        ),
        "timm": _run(
            {**cifar, "size": [160, 160], "limit": 100}, {"name": "timm", "architecture": "test_vit"}, epochs=1
        ),
        "own_network": _run(
            {"name": "digits"},
            {"name": "python", "file": str(made / "own_network.py"), "class": "Mixer", "options": {"width": 16}},
        ),
        "deep_16_bits": _run({"name": "folder", "root": str(made / "deep16"), "size": [16, 16]}, small),
        "bytes_of_four_channels": _run({**tensors, "train_inputs": str(made / "bytes.npy")}, small),
        "tensors_several_labels": _run(
            {
                "name": "tensors",
                "train_inputs": str(made / "points.npy"),
                "train_targets": str(made / "several.npy"),
                "targets": "multi_hot",
                "validation": 0.2,
            },
            {"name": "mlp", "hidden": [8], "output": "sigmoid"},
            "bce",
        ),
    }


def _run(dataset: Config, model: Config, loss: str | Config = "cross_entropy", epochs: int = 3, **more: Any) -> Config:
    return {
        "dataset": dataset,
        "model": model,
        "loss": loss,
        "epochs": epochs,
        "batch_size": 32,
        "optimizer": {"name": "adam", "lr": 0.01},
        "device": "cpu",
        **more,
    }

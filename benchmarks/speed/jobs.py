"""What is timed: a shipped config, cut to epochs of a few seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnclassify.config.run_config import LoadedConfig, load_config
from nnclassify.data import Examples


@dataclass(frozen=True)
class Job:
    """One network, data set and batch size.

    Attributes:
        name: As the table says it.
        config: A shipped config.
        limit: Training examples of an epoch.
        overrides: What else is changed of the config.
        target: The ratio to the bare loop that is to be reached.
        peers: The contenders beside nnclassify and the bare loop that can do this job.
        on_cuda: Those that it is held against on a GPU.
    """

    name: str
    config: str
    limit: int
    target: float
    overrides: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    on_cuda: tuple[str, ...] = ()


# The others' learning rates are constant: what is compared is the same training.
CONSTANT = "scheduler=constant"
TOOLS = ("DataLoader", "Lightning", "skorch", "Keras (torch)", "Keras (JAX)")
JOBS = [
    Job("xor_2, batch 1", "xor_2", 2000, 12, ("dataset.num_examples=2000",), ("numpy",), ("bare on the CPU",)),
    Job("mnist_numpy, batch 1", "mnist_numpy", 4000, 6, (CONSTANT,), ("numpy",), ("bare on the CPU",)),
    Job("iris_mlp, batch 16", "iris_mlp", 120, 2),
    Job("cifar_mlp, batch 100", "cifar_mlp", 10000, 2, (), ("numpy", *TOOLS)),
    Job("cifar_cnn, batch 25", "cifar_cnn", 5000, 2.5, ("batch_size=25", CONSTANT), TOOLS),
    Job("cifar_cnn, batch 100", "cifar_cnn", 5000, 2, ("batch_size=100", CONSTANT)),
    Job("cifar_fast, batch 500", "cifar_fast", 1000, 1.5, ("batch_size=500",)),
]

LARGE = Job(
    "resnet18 on noise of 224 pixels, batch 256",
    "cifar_resnet",
    2560,
    1,
    ("model={name: torchvision, architecture: resnet18}", "batch_size=256", CONSTANT),
    on_cuda=("compiled loop",),
)
"""For a GPU alone: what such a step costs does not depend on what the pictures show."""


def prepare_noise(job: Job, folder: Path, pixels: int = 224) -> LoadedConfig:
    """Write pictures of noise in two classes as arrays, and return the job's config over them."""
    rng = np.random.default_rng(0)
    for name, count in (("train", job.limit), ("test", job.limit // 10)):
        np.save(folder / f"{name}_inputs.npy", rng.integers(0, 256, (count, 3, pixels, pixels), dtype=np.uint8))
        np.save(folder / f"{name}_targets.npy", np.arange(count) % 2)
    return load_config(job.config, [*job.overrides, *_over_arrays(folder, "standard")])


def prepare(job: Job, folder: Path, overrides: list[str], num_test: int = 10_000) -> LoadedConfig:
    """Read a job's data once, write it as arrays, and return its config with these arrays as dataset.

    Every contender maps the same files, so no one's reading is timed.
    """
    config = load_config(job.config, [*job.overrides, *overrides])
    splits = config.config.dataset.build(config.config.seed)
    train, test = splits.train, splits.test or splits.train
    for name, examples, count in (("train", train, job.limit), ("test", test, num_test)):
        inputs, targets = _first(examples, count)
        np.save(folder / f"{name}_inputs.npy", inputs)
        np.save(folder / f"{name}_targets.npy", targets)
    files = _over_arrays(folder, config.config.dataset.normalize)
    augment = config.config.dataset.augmentation()
    if augment is not None:
        files += [f"dataset.augment={augment.model_dump(mode='json', exclude_none=True)}"]
    return load_config(job.config, [*job.overrides, *files])


def _over_arrays(folder: Path, normalize: str) -> list[str]:
    dataset = f"dataset={{name: tensors, train_inputs: x, train_targets: x, validation: 0, normalize: {normalize}}}"
    names = ("train_inputs", "train_targets", "test_inputs", "test_targets")
    return [dataset, *(f"dataset.{name}={folder / name}.npy" for name in names)]


def _first(examples: Examples, count: int) -> tuple[np.ndarray, np.ndarray]:
    import torch

    # Drawn at random: a data set may lie in the order of its classes.
    rows = torch.randperm(len(examples), generator=torch.Generator().manual_seed(0))[:count]
    inputs, targets = examples.select(rows)
    return inputs.numpy(), targets.numpy()

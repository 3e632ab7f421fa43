"""nnclassify: train, evaluate and use classifiers in PyTorch from one YAML file.

    import nnclassify

    result = nnclassify.train("iris_mlp", root="runs")
    classifier = nnclassify.load("runs/iris_mlp")
    print(classifier.predict([5.1, 3.5, 1.4, 0.2])[0].label)

These functions do what the commands of the same names do. They print nothing, raise an `NNClassifyError` for whatever
is wrong, and leave the process as it was: threads, random states, warning filters, signal handlers, environment.
Importing the package is quick: torch is imported by the first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnclassify.files.version import __version__

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from nnclassify.config.from_python import AnyConfig, Overrides
    from nnclassify.config.run_config import LoadedConfig
    from nnclassify.diagnosis.check import Diagnosis
    from nnclassify.inference.classifier import Classifier
    from nnclassify.inference.evaluate import Evaluation
    from nnclassify.inference.predict import Predictions
    from nnclassify.run import RunResult
    from nnclassify.training.trainer import Observer

__all__ = ["Classifier", "__version__", "check", "evaluate", "load", "load_config", "predict", "train"]


def __getattr__(name: str) -> Any:
    """`Classifier`, when it is first asked for: it needs torch."""
    if name == "Classifier":
        from nnclassify.inference.classifier import Classifier

        return Classifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What the front door offers, and what every module has."""
    return sorted({*globals(), *__all__})


def load_config(config: AnyConfig, overrides: Overrides = ()) -> LoadedConfig:
    """Read, override and check a config; `.config` of the result has its values.

    Args:
        config: A YAML file, the name of a shipped config, its content as a dict, or a `RunConfig`.
        overrides: `["optimizer.lr=0.1"]` as on the command line, or `{"optimizer.lr": 0.1}`.

    Raises:
        ConfigError: Every problem at once, one line each.
    """
    from nnclassify.config.from_python import load_any

    return load_any(config, overrides)


def train(
    config: AnyConfig,
    root: str | os.PathLike[str] = "checkpoints",
    overrides: Overrides = (),
    *,
    resume: bool = False,
    monitor: bool = True,
    observers: Sequence[Observer] = (),
    note: Callable[[str], None] | None = None,
) -> RunResult:
    """Train a config into a new run folder under `root`.

    Ctrl-C raises KeyboardInterrupt, as in any library; the run can then be resumed from its last save.

    Args:
        config: See `load_config`; to resume, the run: its folder, or its name under `root`.
        root: The folder that gets the run folder.
        overrides: See `load_config`.
        resume: Continue a run that was interrupted.
        monitor: Look for signs that training goes wrong: see `RunResult.findings`.
        observers: Are told of updates and epochs.
        note: Receives what there is to know of data and training, a line each; left out: see `RunResult.notes`.

    Returns:
        The figures (`figures()`), the history (`rows`), the run `folder` and the `classifier`.

    Raises:
        ConfigError, DataError, ModelError, DeviceError: What is wrong before training.
        TrainingError: Training failed: the last good checkpoint is kept.
    """
    from nnclassify import run

    return run.train_quietly(
        config, root, overrides, resume=resume, with_monitor=monitor, observers=observers, note=note
    )


def load(
    run: str | os.PathLike[str] | None = None, device: str = "auto", root: str | os.PathLike[str] = "checkpoints"
) -> Classifier:
    """A trained classifier.

    Args:
        run: A run folder, a checkpoint file, or the name of a run under `root`; None: the newest run there.
        device: auto, cpu, cuda, cuda:N or mps.
        root: Where runs lie.

    Raises:
        CheckpointError: There is none, or it is damaged.
        DeviceError: The device is not available.
    """
    from nnclassify.inference.classifier import load_run

    return load_run(run, device, root)


def predict(
    run: str | os.PathLike[str] | Classifier | None, inputs: object, top_k: int = 1, device: str = "auto"
) -> Predictions:
    """Predict the classes of inputs: see `Classifier.predict`, which keeps the classifier for more.

    Args:
        run: A classifier, or what `load` takes.
        inputs: Paths, PIL images, arrays, rows of numbers or a data frame.
        top_k: Classes to name in each `Prediction.top`.
        device: See `load`; a classifier is where it is.
    """
    from nnclassify.inference.classifier import load_run

    return load_run(run, device).predict(inputs, top_k)


def evaluate(
    run: str | os.PathLike[str] | Classifier | None,
    split: str | None = None,
    overrides: Overrides = (),
    device: str = "auto",
) -> Evaluation:
    """The figures of a trained classifier on a split of its dataset, or on other data.

    Args:
        run: A classifier, or what `load` takes.
        split: `train`, `validation` or `test`; None: `test` if there is one.
        overrides: Of `dataset` and `evaluation`, such as `{"dataset.path": "other.csv"}`: see `load_config`.
        device: See `load`; a classifier is where it is.

    Raises:
        DataError: The data cannot be read, or does not fit.
    """
    from nnclassify.config.from_python import assignments
    from nnclassify.inference.classifier import load_run
    from nnclassify.inference.scored import evaluate_run

    return evaluate_run(load_run(run, device).overridden(assignments(overrides)), split)


def check(config: AnyConfig, minutes: float = 1.0, overrides: Overrides = ()) -> Diagnosis:
    """Why a net would not learn, before it is trained: `findings`, ranked, and the `change` that helps.

    Args:
        config: See `load_config`.
        minutes: Processor time for it.
        overrides: See `load_config`.

    Raises:
        ConfigError, ModelError, DeviceError: The config is wrong, or does not fit its data.
    """
    from nnclassify.diagnosis.check import diagnose
    from nnclassify.process import unchanged

    with unchanged():
        return diagnose(load_config(config, overrides), minutes)

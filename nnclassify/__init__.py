"""nnclassify: train, evaluate and use classifiers in PyTorch from one YAML file.

    import nnclassify

    result = nnclassify.train("iris_mlp", root="runs")
    classifier = nnclassify.load("runs/iris_mlp")
    print(classifier.predict([5.1, 3.5, 1.4, 0.2])[0].label)

These functions do what the commands of the same names do. They print nothing, raise an `NNClassifyError` for anything
the caller can fix, and leave the process as it was: threads, random states, warning filters, signal handlers and
environment. Importing the package is fast: torch is imported on the first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from nnclassify.files.version import __version__

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import TypedDict, Unpack

    import torch

    from nnclassify.config.from_python import AnyConfig, Overrides
    from nnclassify.config.run_config import LoadedConfig
    from nnclassify.diagnosis.check import Diagnosis
    from nnclassify.inference.classifier import Classifier
    from nnclassify.inference.comparison import Comparison
    from nnclassify.inference.evaluate import Evaluation
    from nnclassify.inference.export.export import Exported
    from nnclassify.inference.predict import Predictions
    from nnclassify.run import RunResult
    from nnclassify.runs.group_summary import Summary
    from nnclassify.training.trainer import Observer

    class TrainOptions(TypedDict, total=False):
        """The options that `train` takes of one run as of several."""

        resume: bool
        monitor: bool
        report: bool
        observers: Sequence[Observer]
        note: Callable[[str], None] | None
        trust: bool
        progress: bool


__all__ = [
    "Classifier",
    "__version__",
    "check",
    "compare",
    "evaluate",
    "export",
    "load",
    "load_config",
    "predict",
    "report",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import `Classifier` on first use, because it needs torch."""
    if name == "Classifier":
        from nnclassify.inference.classifier import Classifier

        return Classifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names and the attributes that every module has."""
    return sorted({*globals(), *__all__})


def load_config(config: AnyConfig, overrides: Overrides = ()) -> LoadedConfig:
    """Read, override and check a config.

    Args:
        config: A YAML file, the name of a shipped config, a dict with the same content, or a `RunConfig`.
        overrides: `["optimizer.lr=0.1"]` as on the command line, or `{"optimizer.lr": 0.1}`.

    Returns:
        The config with its name, source and notes; its `.config` has the values.

    Raises:
        ConfigError: The config is wrong; the message lists all problems, one per line.
    """
    from nnclassify.config.from_python import load_any

    return load_any(config, overrides)


@overload
def train(
    config: AnyConfig,
    root: str | os.PathLike[str] = ...,
    overrides: Overrides = ...,
    **options: Unpack[TrainOptions],
) -> RunResult:
    """Train one run."""


@overload
def train(
    config: AnyConfig,
    root: str | os.PathLike[str] = ...,
    overrides: Overrides = ...,
    *,
    seeds: int | Sequence[int],
    folds: int | None = ...,
    **options: Unpack[TrainOptions],
) -> Summary:
    """Train a run for each seed."""


@overload
def train(
    config: AnyConfig,
    root: str | os.PathLike[str] = ...,
    overrides: Overrides = ...,
    *,
    folds: int,
    **options: Unpack[TrainOptions],
) -> Summary:
    """Train a run for each fold."""


def train(
    config: AnyConfig,
    root: str | os.PathLike[str] = "checkpoints",
    overrides: Overrides = (),
    *,
    seeds: int | Sequence[int] | None = None,
    folds: int | None = None,
    resume: bool = False,
    monitor: bool = True,
    report: bool = True,
    observers: Sequence[Observer] = (),
    note: Callable[[str], None] | None = None,
    trust: bool = False,
    progress: bool = False,
) -> RunResult | Summary:
    """Train a classifier and save it in a new run folder under `root`; or several, with other seeds or on other folds.

    Ctrl-C raises `KeyboardInterrupt`; the run can then be resumed from its last checkpoint.

    Args:
        config: See `load_config`. To resume: the run folder, or the name of the run under `root`; of several seeds or
            folds, the config.
        root: The folder in which the run folder is created.
        overrides: See `load_config`.
        seeds: A number of seeds, or the seeds: train a run for each of them.
        folds: A number of folds: train a run for each of them.
        resume: Continue an interrupted run instead of starting a new one; of several, train what is missing.
        monitor: Watch for signs of failing training; `RunResult.findings` lists them.
        report: Write the page about the run, `report.html`.
        observers: Additional observers, called after updates and epochs.
        note: Called with each note about the data and the training, one line each; None: the notes are collected in
            `RunResult.notes`.
        trust: Allow Python code of `name: python` to run.
        progress: Show a progress bar: in a Jupyter notebook a widget, elsewhere text on stderr.

    Returns:
        The metrics (`figures()`), the history (`rows`; `history_frame()` for pandas), the run `folder` and the
        `classifier`. With `seeds` or `folds`, the `mean` and the `standard_deviation` of the metrics by split and name,
        and what each run has in `result.json` (`runs`).

    Raises:
        ConfigError, DataError, ModelError, DeviceError: Something is wrong before training starts.
        InputError: `seeds` or `folds` are wrong.
        TrainingError: Training failed; the last good checkpoint is kept.
    """
    from nnclassify import run
    from nnclassify.config.from_python import refuse_data
    from nnclassify.files.python_source import trusting
    from nnclassify.runs.progress import ProgressBar

    options: dict[str, Any] = {
        "resume": resume,
        "with_monitor": monitor,
        "with_report": report,
        "observers": [*([ProgressBar()] if progress else []), *observers],
        "note": note,
    }
    refuse_data(config)  # before `root`, which is y in `train(X, y)`
    with trusting(trust):
        if seeds is None and folds is None:
            return run.train_isolated(config, root, overrides, **options)
        return run.train_group_isolated(config, root, overrides, seeds, folds, **options)


def load(
    run: str | os.PathLike[str] | Classifier | None = None,
    device: str | torch.device = "auto",
    root: str | os.PathLike[str] = "checkpoints",
    *,
    trust: bool = False,
) -> Classifier:
    """Load a trained classifier.

    Args:
        run: A run folder, a checkpoint file, or the name of a run under `root`; None: the newest run there. A
            classifier is returned as it is.
        device: auto, cpu, cuda, cuda:N or mps, or a device of torch.
        root: The folder that contains the runs.
        trust: Allow Python code in the checkpoint to run.

    Raises:
        CheckpointError: The checkpoint is missing or damaged.
        DeviceError: The device is not available.
    """
    from nnclassify.files.python_source import trusting
    from nnclassify.inference.classifier import load_run

    with trusting(trust):
        return load_run(run, device, root)


def predict(
    run: str | os.PathLike[str] | Classifier | None,
    inputs: object,
    top_k: int = 1,
    device: str | torch.device = "auto",
    *,
    min_confidence: float | None = None,
    risk: float | None = None,
    sets: float | None = None,
    trust: bool = False,
) -> Predictions:
    """Predict the classes of inputs. To predict several times, call `load` once and then `Classifier.predict`.

    Args:
        run: A classifier, or a run as in `load`.
        inputs: Paths, PIL images, arrays, rows of numbers or a data frame; see `Classifier.predict`.
        top_k: The number of classes in each `Prediction.top`.
        device: See `load`; ignored if `run` is a classifier.
        min_confidence: The probability of the predicted class below which `Prediction.unsure` is set.
        risk: In its place: the largest fraction of errors among the predictions that are not unsure.
        sets: How often the prediction sets `Prediction.classes` contain the true class, such as 0.9.
        trust: See `load`.

    Raises:
        InputError: The inputs are of an unsupported type; or see `Classifier.caution`.
    """
    classifier = load(run, device, trust=trust)
    return classifier.predict(inputs, top_k, min_confidence=min_confidence, risk=risk, sets=sets)


def evaluate(
    run: str | os.PathLike[str] | Classifier | None,
    split: str | None = None,
    overrides: Overrides = (),
    device: str | torch.device = "auto",
    data: str | os.PathLike[str] | None = None,
    *,
    label: str | None = None,
    trust: bool = False,
) -> Evaluation:
    """Evaluate a trained classifier on a split of its dataset, or on other data.

    Args:
        run: A classifier, or a run as in `load`.
        split: `train`, `validation` or `test`; None: `test` if there is one.
        overrides: Changes to `dataset` and `evaluation`, such as `{"dataset.path": "other.csv"}`; see `load_config`.
        device: See `load`; ignored if `run` is a classifier.
        data: New labeled data to evaluate instead, all of it: a folder of images, a table with the label column, or an
            .npz file.
        label: The label column of `data`, if it is a table; None: as in the training table.
        trust: See `load`.

    Raises:
        DataError: The data cannot be read, or does not fit the network.
        InputError: There is nothing at `data`, or the network does not take such data.
    """
    from nnclassify.config.from_python import assignments
    from nnclassify.files.paths import given_path
    from nnclassify.inference.evaluation_examples import evaluate_run

    if data is not None:
        data = given_path("data", data, "the path of a folder of images, a table or an .npz file")
    classifier = load(run, device, trust=trust).overridden(assignments(overrides))
    return evaluate_run(classifier, split, data, label)


def check(config: AnyConfig, minutes: float = 1.0, overrides: Overrides = (), *, trust: bool = False) -> Diagnosis:
    """Check whether a network will learn, before training it, and find out why not.

    Args:
        config: See `load_config`.
        minutes: The time limit, in minutes of processor time.
        overrides: See `load_config`.
        trust: Allow Python code of `name: python` to run.

    Returns:
        The `findings`, most likely cause first, and the `change` to the config that helps.

    Raises:
        ConfigError, ModelError, DeviceError: The config is wrong, or does not fit its data.
    """
    from nnclassify.diagnosis.check import diagnose
    from nnclassify.files.python_source import trusting

    with trusting(trust):
        return diagnose(load_config(config, overrides), minutes)


def compare(*runs: str | os.PathLike[str], root: str | os.PathLike[str] = "checkpoints") -> Comparison:
    """Compare runs: their figures, where their configs differ, and whether they differ by more than chance.

    Args:
        runs: Run folders, names of runs or of groups of runs under `root`, or checkpoint files; at least one.
        root: The folder that contains the runs.

    Returns:
        The runs as a sequence, in the order given, with the `differences` between them; a notebook shows a table and
        the curves.

    Raises:
        CheckpointError: A checkpoint is missing or damaged.
        InputError: There is no run to compare.
    """
    from pathlib import Path

    from nnclassify.errors import InputError
    from nnclassify.files.paths import given_path
    from nnclassify.inference.comparison import compared

    if not runs:
        raise InputError("compare: no runs; name at least one")
    return compared([given_path("runs", run) for run in runs], Path(given_path("root", root)))


def export(
    run: str | os.PathLike[str] | None,
    to: str,
    out: str | os.PathLike[str] | None = None,
    *,
    license_text: str | None = None,
    overrides: Overrides = (),
    root: str | os.PathLike[str] = "checkpoints",
    note: Callable[[str], None] = lambda text: None,
    trust: bool = False,
) -> Exported:
    """Export a trained network for another runtime, compare it there on the run's data, and write a model card.

    Args:
        run: A run folder, a checkpoint file, or the name of a run under `root`; None: the newest run there.
        to: `onnx`, `safetensors`, `torch` or `html`.
        out: The file to write. Default: in the folder `export` of the run.
        license_text: The license to state in the file.
        overrides: Changes to `dataset`, such as `{"dataset.root": "data"}`.
        root: The folder that contains the runs.
        note: Called with each note, one line.
        trust: Allow Python code in the checkpoint to run.

    Returns:
        The `path`, the `card`, and the `largest_difference` of a probability on the `compared` examples.

    Raises:
        InputError: There is no such form, a package is missing, or the exported network gives other answers.
        ModelError: The form does not support the network.
        DataError: The data of the run cannot be read.
        SaveError: The file cannot be written.
    """
    from pathlib import Path

    from nnclassify.config.from_python import assignments
    from nnclassify.files.paths import given_path
    from nnclassify.files.python_source import trusting
    from nnclassify.inference.export.export import export_run
    from nnclassify.runs.folder import find_checkpoint

    with trusting(trust):
        given = None if run is None else given_path("run", run)
        path = find_checkpoint(given, Path(given_path("root", root)), note)
        return export_run(
            path,
            to,
            None if out is None else Path(given_path("out", out)),
            license_text=license_text,
            overrides=assignments(overrides),
            note=note,
        )


def report(
    *runs: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    root: str | os.PathLike[str] = "checkpoints",
) -> Path:
    """Write the page about a run, or one page about several runs side by side, from their run folders alone.

    Args:
        runs: Run folders, or names of runs under `root`; none: the newest run there.
        out: The file to write. Default: `report.html` in the folder of the run; of several, in `root`.
        root: The folder that contains the runs.

    Returns:
        The path of the page.

    Raises:
        CheckpointError: There is no such run.
        SaveError: The page could not be written.
    """
    from pathlib import Path

    from nnclassify.files.paths import given_path
    from nnclassify.inference.report.page import write_report

    path = None if out is None else Path(given_path("out", out))
    return write_report([given_path("runs", run) for run in runs], path, Path(given_path("root", root)))

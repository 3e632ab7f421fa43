"""The schema of the YAML: read a file and overrides into a checked `RunConfig`, and write it back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticKnownError

from nnclassify.config.finding_ids import FINDING_IDS, no_such_finding
from nnclassify.config.messages import describe_problems, errors_in, line_of, path_of
from nnclassify.config.search import Misfit, SearchSection, SearchSpace
from nnclassify.config.suggest.chosen_columns import LISTS, ROLES, ChosenColumns
from nnclassify.config.suggest.document import Suggestion, with_chosen
from nnclassify.config.suggest.suggest import EXPECTED, FORMAT, is_data, other_kind, runs_within, suggested_source
from nnclassify.config.yaml_reader import YamlPath, YamlSource, parse_yaml, path_of_key, read_text, read_yaml
from nnclassify.config.yaml_writer import written
from nnclassify.data import AnyDataset
from nnclassify.data.tables.table_datasets import Csv
from nnclassify.data.transform import Costs, EvaluationSettings
from nnclassify.errors import ConfigError, NNClassifyError, counted, dotted, shell_command, some, suggestion
from nnclassify.evaluation.metrics import METRICS
from nnclassify.files.paths import is_folder, is_regular, look, why_no_file
from nnclassify.files.shipped import shipped_config, shipped_configs
from nnclassify.files.trackers import AnyTracker
from nnclassify.files.user_code import CONTENT, check_trust
from nnclassify.losses import AnyLoss, CrossEntropy, LossFunction
from nnclassify.models import AnyModel
from nnclassify.optim.averaging import Averaging, Ema, Lookahead
from nnclassify.optim.optimizers import Adam, AnyOptimizer
from nnclassify.schedulers import AnyScheduler, Constant
from nnclassify.settings import (
    DEVICE_PATTERN,
    FINDING_PATTERN,
    NAME_PATTERN,
    AutoSwitch,
    PositiveFloat,
    PositiveInt,
    Seed,
    Settings,
    Switch,
    all_different,
)


class CheckpointEvery(Settings):
    """How often `last.pt` is saved within an epoch, in addition to the end of each epoch."""

    steps: PositiveInt | None = None
    """Save every this many optimizer steps."""
    minutes: PositiveFloat | None = None
    """Save when this many minutes have passed since the last save, to within a few batches."""

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Reject an empty checkpoint_every, which would have no effect."""
        if self.steps is None and self.minutes is None:
            yield "steps", "missing, as is minutes; set one of them or both, or remove checkpoint_every"


def _known_metric(value: Any) -> Any:
    if not isinstance(value, str) or value not in METRICS:
        raise PydanticKnownError("literal_error", {"expected": " or ".join(map(repr, METRICS))})
    return value


MetricName = Annotated[
    str, BeforeValidator(_known_metric), Field(json_schema_extra=lambda schema: schema.update(enum=[*METRICS]))
]
"""The name of a metric in `METRICS`."""


def _different(trackers: list[AnyTracker]) -> list[AnyTracker]:
    all_different([tracker.name for tracker in trackers])
    return trackers


class RunConfig(Settings):
    """One training run: dataset, model, loss, optimizer and how to train."""

    name: Annotated[str, Field(pattern=NAME_PATTERN)] | None = None
    """Name of the run's folder under checkpoints/. Default: the name of the config file."""
    dataset: AnyDataset
    """The dataset to train and test on."""
    model: AnyModel
    """The network architecture."""
    loss: AnyLoss = CrossEntropy()
    """The loss function that training minimizes."""
    optimizer: AnyOptimizer = Adam()
    """The optimizer that updates the weights."""
    scheduler: AnyScheduler = Constant()
    """The learning rate schedule."""
    epochs: PositiveInt = 10
    """Number of passes over the training set."""
    batch_size: PositiveInt = 64
    """Number of examples per batch."""
    shuffle: Switch = True
    """Reshuffle the training set at every epoch."""
    clip_grad_norm: PositiveFloat | None = None
    """Maximum norm of the gradients; larger gradients are scaled down to it."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay per step of an exponential moving average (EMA) of the weights, which is then what is evaluated and saved.
    """
    lookahead: Lookahead | None = None
    """Evaluate and save the slow weights of Lookahead; `{}` uses its defaults."""
    evaluation: EvaluationSettings = EvaluationSettings()
    """Options of evaluation and prediction, which also apply to validation during training."""
    patience: PositiveInt | None = None
    """Early stopping: stop after this many epochs without improvement on the validation split."""
    select_by: MetricName = "accuracy"
    """The validation metric that selects the best epoch. Ties are resolved by the lower loss."""
    seed: Seed = 0
    """Random seed. All randomness of the run is derived from it."""
    device: Annotated[str, Field(pattern=DEVICE_PATTERN)] = "auto"
    """Device to run on: auto, cpu, cuda, cuda:N or mps."""
    precision: Literal["auto", "float32", "float64", "bfloat16", "float16"] = "auto"
    """Number type of the computation. Weights are kept in float32 (float64 for `float64`). `auto` uses bfloat16 where
    it is faster and agrees with float32, and TF32 on CUDA."""
    compile: AutoSwitch = "auto"
    """Compile the training step, or capture it as a CUDA graph: `on`, `off`, or `auto`, which compiles where the run
    is long enough to pay for it."""
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Number of CPU threads. Default: one for a tiny network, else one per core that may be used."""
    checkpoint_every: CheckpointEvery | None = None
    """How often to save during training: `{steps: 500}`, `{minutes: 10}` or both, in addition to the end of each
    epoch. Default: at the end of each epoch; epochs shorter than two seconds share a save."""
    boosted_baseline: AutoSwitch = "auto"
    """Compare the result with gradient-boosted trees too (scikit-learn's `HistGradientBoostingClassifier`), besides a
    linear model and the most common class. `auto`: for a table in a file; it takes a few seconds at most."""
    show_test: Switch = True
    """Show the metrics of the test split at the end of `train`. If off, they are not computed: `nnclassify evaluate RUN
    --split test` does that once, when everything has been chosen."""
    log: Annotated[list[AnyTracker], AfterValidator(_different)] | None = None
    """Also log the run with these tools, such as `[tensorboard, mlflow]`: figures per epoch, parameters with results,
    and plots. Default: none. Each but csv is an extra, such as `pip install 'nnclassify[mlflow]'`; none uses the
    network unless told to."""
    accept: list[Annotated[str, Field(pattern=FINDING_PATTERN)]] | None = None
    """Findings of `nnclassify check` to accept, such as NN302. They are shown as notes, never as faults."""

    search: SearchSection = None
    """What `nnclassify tune` searches: ranges or choices by key, such as `optimizer.lr: {log: [1e-4, 1]}`. `train`
    checks it, and otherwise ignores it."""

    @model_validator(mode="before")
    @classmethod
    def _name_defaults(cls, data: Any) -> Any:
        """`optimizer: {lr: 0.1}`, or `--set optimizer.lr=0.1` alone, changes the default optimizer."""
        if not isinstance(data, dict):
            return data
        defaults = {key: cls.model_fields[key].default.name for key in ("loss", "optimizer", "scheduler")}
        named = {key: {"name": name, **data[key]} for key, name in defaults.items() if isinstance(data.get(key), dict)}
        return {**data, **named}

    def settled_loss(self, class_counts: Sequence[int], num_examples: int) -> RunConfig:
        """Return the config with what its loss leaves to the training split replaced by numbers."""
        return self.model_copy(update={"loss": self.loss.settled(class_counts, num_examples)})

    def loss_function(self, class_counts: Sequence[int]) -> LossFunction:
        """Build the loss function.

        Args:
            class_counts: The number of training examples of each class.

        Raises:
            DataError: An option of the loss does not fit the classes.
        """
        if self.dataset.is_multi_hot:
            return self.loss.build_multi_hot(len(class_counts))
        return self.loss.build(class_counts)

    def with_boosted(self) -> bool:
        """Return whether the result is compared with gradient-boosted trees."""
        return self.boosted_baseline == "on" or (self.boosted_baseline == "auto" and isinstance(self.dataset, Csv))

    def averaging(self) -> Averaging | None:
        """Return the average of the weights that is evaluated and saved, or None."""
        return self.lookahead if self.ema is None else Ema(self.ema)

    def without_validation(self) -> RunConfig:
        """Return the config without a validation split."""
        return self.with_dataset({"validation": 0.0})

    def with_dataset(self, options: Mapping[str, Any]) -> RunConfig:
        """Return the config with other values of options of the dataset."""
        return self.model_copy(update={"dataset": self.dataset.model_copy(update=dict(options))}) if options else self

    def completed(self) -> RunConfig:
        """Return the config with open values filled in from the files that it names; nothing is built.

        These are the content of Python files, which a run records, and what pretrained weights ask of images.

        Raises:
            TrustError: It names Python code that may not run here.
            ModelError: A file is missing, or is not what a run recorded.
        """
        model, loss = self.model.completed(), self.loss.completed()
        check_trust(model, loss)
        dataset = self.dataset.suited_to(model.preprocessing())
        return self.model_copy(update={"dataset": dataset, "model": model, "loss": loss})

    def to_yaml(self) -> str:
        """Return the resolved config as YAML, with all defaults; training it gives the same result."""
        sources = {"model": CONTENT, "loss": CONTENT}
        return written(self.model_dump(mode="json", exclude_none=True, exclude=sources))


@dataclass(frozen=True)
class LoadedConfig:
    """A checked config and the YAML it came from.

    Attributes:
        config: The config.
        source: The YAML with its line numbers.
        name: The name of the run.
        notes: Notes about valid but surprising settings, such as a schedule that is longer than the run.
    """

    config: RunConfig
    source: YamlSource
    name: str
    notes: tuple[str, ...] = ()


@contextmanager
def located(source: YamlSource) -> Iterator[None]:
    """Add the line or the override to errors about a key of the config."""
    try:
        yield
    except NNClassifyError as error:
        if error.path:
            error.args = (source.message(error.path, str(error)),)
            error.path = ()
        raise


def load_config(config: str, overrides: Sequence[str] = (), *, of_run: bool = False) -> LoadedConfig:
    """Read, override and check a config.

    Args:
        config: A path, the name of a shipped config, or data, for which a config is suggested.
        overrides: `a.b=value` each, with the value in YAML.
        of_run: Whether it is the config of a run, accepted when the run started: conflicting options are not checked.

    Raises:
        ConfigError: The config is wrong; the message lists all problems, one per line.
        InputError: No config can be suggested for the data.
    """
    if not of_run and shipped_config(config) is None and is_data(config):
        suggestion, loaded = suggested_config(config, overrides)
        return replace(loaded, notes=(*suggestion.found, *loaded.notes))
    path = find_config(config)
    return load_source(_read(path), path.stem, overrides, of_run=of_run)


def _read(path: Path) -> YamlSource:
    """Read a config; a file that is none may be data with an unusual ending."""
    try:
        return read_yaml(path)
    except ConfigError as error:
        if path.suffix.lower() in ("", ".yaml", ".yml"):
            raise
        *others, last = error.problems
        hint = f"{last}; or, as data, {EXPECTED}: rename a table, such as {path.name}.csv"
        raise ConfigError([*others, hint], error.path) from error


def suggested_config(data: str, overrides: Sequence[str]) -> tuple[Suggestion, LoadedConfig]:
    """Suggest a config for data, override and check it.

    Returns:
        The suggestion, with the overrides among its entries, and what it is read as.

    Raises:
        ConfigError: The overrides are wrong; the message lists all problems, one per line.
        InputError: No config can be suggested for the data.
    """
    label, stated, chosen = _stated(overrides)
    suggestion, source = suggested_source(data, label, stated, chosen)
    others = [override for override in overrides if not chosen.lists(_path(override))]  # those are in the suggestion
    loaded = load_source(source, suggestion.name, others)
    set_by_hand = [path for path, line in source.lines.items() if isinstance(line, str)]
    return replace(suggestion, entries=with_chosen(suggestion.entries, source.data, set_by_hand)), loaded


def _path(override: str) -> YamlPath:
    return path_of_key(override.partition("=")[0])


def _stated(overrides: Sequence[str]) -> tuple[Any, dict[str, Any], ChosenColumns]:
    """Return the label column that an override sets, or None, and what others say of how the data is written and of the
    columns of a table.

    Raises:
        ConfigError: They are wrong.
    """
    stated = {_path(override): override for override in overrides}
    texts = {
        key: stated["dataset", key].partition("=")[2]
        for key in ("label", "labels", "classes")
        if ("dataset", key) in stated
    }
    found = {key: parse_yaml(text, f"dataset.{key}") for key, text in texts.items()}
    label, of_list = found.pop("label", None), {key: value for key, value in found.items() if isinstance(value, str)}
    keys = {("dataset", key) for key in (*FORMAT, *LISTS, *ROLES)}
    of_table = [override for override in overrides if _path(override)[:2] in keys]
    if not of_table:
        return label, of_list, ChosenColumns()
    some_table = read_text("dataset: {name: csv, path: data}\nmodel: {name: mlp, hidden: []}", "")
    dataset = load_source(some_table, "", of_table).config.dataset
    assert isinstance(dataset, Csv)
    written = {key: getattr(dataset, key) for key in FORMAT if key in dataset.model_fields_set}
    return label, of_list | written, ChosenColumns.of(dataset, some_table.data["dataset"])


def load_source(source: YamlSource, name: str, overrides: Sequence[str] = (), *, of_run: bool = False) -> LoadedConfig:
    """Override and check a config that has been read.

    Args:
        source: The YAML.
        name: The name of the run if the config has none.
        overrides: See `load_config`.
        of_run: See `load_config`.

    Raises:
        ConfigError: The config is wrong; the message lists all problems, one per line.
    """
    for assignment in overrides:
        source.override(assignment)
    run_config = validate(source, of_run=of_run)
    notes = tuple(source.message(at, f"{dotted(at)}: {text}") for at, text in _surprises(run_config))
    return LoadedConfig(run_config, source, run_config.name or name, () if of_run else notes)


def find_config(config: str) -> Path:
    """Find a config by path, or by the name of a shipped config.

    Raises:
        ConfigError: There is no such file and no such shipped config, or the file is of another kind.
        InputError: The path cannot be accessed.
    """
    path = Path(config)
    if config and is_regular(path):
        if (kind := other_kind(config)) is not None:
            raise ConfigError([f"{config}: {kind}"])
        return path
    if (shipped := shipped_config(config)) is not None:
        return shipped
    if config and is_folder(path) and not is_data(config):
        if names := runs_within(path):
            raise ConfigError([f"{config}: a folder of runs ({some(names)}); name one of them, or give a YAML file"])
        resume = shell_command("train", config, "--resume")
        raise ConfigError([f"{config}: a run folder; give its {path / 'config.yaml'}, or continue it with: {resume}"])
    if config and look(path) is not None:
        raise ConfigError([f"{config}: {why_no_file(path)}; expected a YAML file or the name of a shipped config"])
    hint = suggestion(path.stem, shipped_configs()) or "; `nnclassify configs` lists the shipped ones"
    raise ConfigError([f"{config or 'CONFIG'}: no such file and no shipped config of that name{hint}"])


def validate(source: YamlSource, *, of_run: bool = False) -> RunConfig:
    """Check the data of a YAML source.

    Args:
        source: The data.
        of_run: See `load_config`.

    Raises:
        ConfigError: The data is wrong; the message lists all problems, in the order of the file, overrides last.
    """
    errors = errors_in(source.data, RunConfig, is_new=not of_run)
    reported = [error for error in errors if path_of(error, source.data) not in source.unreadable]
    problems = [*source.problems, *describe_problems(reported, source, RunConfig)]
    if not of_run:
        broken = {path[0] for path in [*source.unreadable, *(path_of(error, source.data) for error in errors)] if path}
        wrong = [(misfit.path, misfit.text) for misfit in _misfits_of_sound(source.data, broken)]
        wrong += search_space(source)[1]
        problems += [source.message(path, f"{dotted(path)}: {text}") for path, text in wrong]
    if problems:
        raise ConfigError(sorted(problems, key=lambda problem: line_of(problem, source.file)))
    return RunConfig.model_validate(source.data)


def search_space(source: YamlSource) -> tuple[SearchSpace, list[tuple[YamlPath, str]]]:
    """Return what the `search` section of a config describes, and all problems with it, with their keys."""
    return SearchSpace.read(source, RunConfig, lambda data: _misfits_of_sound(data, set()))


def _misfits_of_sound(data: dict[str, Any], broken: set[str | int]) -> list[Misfit]:
    """Return the misfits among the valid keys, with defaults for required keys that are not valid."""
    sound = {"dataset": "xor", "model": "mlp", **{key: value for key, value in data.items() if key not in broken}}
    found = _misfits(RunConfig.model_validate(sound))
    return [misfit for misfit in found if not broken & {*misfit.needs, *misfit.path[:1]}]


def _misfits(config: RunConfig) -> Iterator[Misfit]:
    yield from _multi_hot_misfits(config) if config.dataset.is_multi_hot else _loss_misfits(config)
    yield from _unknown_findings(config)
    if config.ema is not None and config.lookahead is not None:
        text = "found both lookahead and ema, but only one average can be evaluated and saved; remove one of them"
        yield Misfit(("lookahead",), ("ema",), text)
    yield from _validation_misfits(config)
    augment = config.dataset.augmentation()
    if augment is not None and augment.mixes and (reason := config.loss.refuses_soft()) is not None:
        option = "mixup" if augment.mixup else "cutmix"
        text = f"found {config.loss.name} with dataset.augment.{option}, which makes targets soft; {reason}"
        yield Misfit(("loss",), ("dataset",), text)
    if config.dataset.normalize == "weights" and getattr(config.model, "weights", None) is None:
        text = "found weights, but the model has no pretrained weights; set model.weights, or normalize: standard"
        yield Misfit(("dataset", "normalize"), ("model",), text)
    if (reason := METRICS[config.select_by].refuses(is_multi_hot=config.dataset.is_multi_hot)) is not None:
        yield Misfit(("select_by",), ("dataset",), f"{reason}; choose another metric, such as f1_macro")


def _validation_misfits(config: RunConfig) -> Iterator[Misfit]:
    if config.dataset.validation in (0, "test"):
        yield from _unselected(config)
    if config.dataset.validation == "test" and not config.show_test:
        text = "found off with dataset.validation: test, which shows the test split after every epoch; set it to 0.1"
        yield Misfit(("show_test",), ("dataset",), text)


def _unselected(config: RunConfig) -> Iterator[Misfit]:
    """Find settings that choose by a validation split, of a config that has none."""
    lacks = "needs a validation split; set dataset.validation: 0.1, or remove"
    if config.patience is not None:
        yield Misfit(("patience",), ("dataset",), f"{lacks} patience")
    if config.select_by != "accuracy":
        yield Misfit(("select_by",), ("dataset",), f"found {config.select_by!r}, which {lacks} select_by")
    if isinstance(config.evaluation.threshold, str | Costs):
        rule = "f1" if isinstance(config.evaluation.threshold, str) else "costs"
        yield Misfit(("evaluation", "threshold"), ("dataset",), f"found {rule}, which {lacks} threshold")


def _unknown_findings(config: RunConfig) -> Iterator[Misfit]:
    for place, finding in enumerate(config.accept or []):
        if finding not in FINDING_IDS:
            yield Misfit(("accept", place), (), f"found {finding}: {no_such_finding(finding)}")


def _loss_misfits(config: RunConfig) -> Iterator[Misfit]:
    if (reason := config.loss.refuses(config.model.output)) is not None:
        text = f"found {config.loss.name} after model.output: {config.model.output}; {reason}"
        yield Misfit(("loss",), ("model",), text)


def _multi_hot_misfits(config: RunConfig) -> Iterator[Misfit]:
    """Find settings that require one class per example."""
    if (reason := config.loss.refuses_multi_hot()) is not None:
        yield Misfit(("loss",), ("dataset",), reason)
    elif config.model.output in ("softmax", "log_softmax"):
        text = (
            f"found {config.model.output}: probabilities that sum to 1 are for one class per example, but the targets "
        )
        yield Misfit(("model", "output"), ("dataset",), text + "are multi-hot; use sigmoid with loss: bce, or none")
    else:
        yield from _loss_misfits(config)


def _surprises(config: RunConfig) -> Iterator[tuple[YamlPath, str]]:
    """Find options that take effect only after the last epoch: fine for a short trial, but worth a note."""
    epochs = config.epochs
    run = f"this run has {counted(epochs, 'epoch')}"
    if config.scheduler.warmup > epochs:
        yield ("scheduler", "warmup"), f"the learning rate rises over {config.scheduler.warmup:g} epochs, but {run}"
    if (first := config.scheduler.first_drop()) is not None and first >= epochs:
        yield ("scheduler",), f"the learning rate drops after {first} epochs at the earliest, but {run}"
    if config.patience is not None and config.patience >= epochs:
        yield ("patience",), f"{config.patience} epochs without improvement are never reached: {run}"
    for place, group in enumerate(config.optimizer.groups):
        if group.epochs is not None and group.epochs >= epochs:
            yield (
                ("optimizer", "groups", place, "epochs"),
                f"found {group.epochs}, but {run}: the group is never frozen",
            )

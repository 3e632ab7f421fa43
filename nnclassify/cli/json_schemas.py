"""What the commands print with `--json`: a model per object, and the JSON schemas that `docs/json/` keeps.

An object names its schema: `"schema": "nnclassify/train/1"`. The number rises when a key is removed or changes its
meaning or type; keys may be added without that.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic requires it before Python 3.12

from nnclassify.cli.printing import schema_id

CLOSED = ConfigDict(extra="forbid", strict=True)
"""No key that is not documented."""

Metrics = dict[str, float | None]
"""The loss and the metrics by name."""
SplitMetrics = dict[str, float | dict[str, str] | None]
"""The same of a split; those without a value are null, with the reason by name in `undefined`."""
Interval = list[float]
"""The lower and the upper bound."""


@with_config(CLOSED)
class Place(TypedDict):
    """Where a finding is: the key of the config, the layer, the file and its line."""

    path: str | None
    layer: str | None
    file: str | None
    line: int | None


@with_config(CLOSED)
class Evidence(TypedDict):
    """What was measured, and the limit that it is held against."""

    text: str
    value: float | None
    threshold: float | None


@with_config(CLOSED)
class Finding(TypedDict):
    """What `check`, `audit` or `train` has found."""

    id: str
    severity: str
    title: str
    where: Place
    evidence: Evidence
    why: str
    change: dict[str, Any]
    symptoms: list[str]


@with_config(CLOSED)
class Train(TypedDict):
    """The result of a run, also in its `result.json`. `train` and `validation` are those of the best epoch."""

    run: str
    epochs: int
    steps: int
    train_seconds: float
    examples_per_second: float
    device: str
    compile: str
    plan: dict[str, Any]
    best_epoch: int
    train: Metrics
    validation: SplitMetrics | None
    test: SplitMetrics | None
    num_examples: dict[str, int]
    intervals: dict[str, dict[str, Interval] | None] | None
    baselines: dict[str, Any] | None
    calibration: dict[str, Any] | None
    slices: list[dict[str, Any]] | None
    test_looks: int | None
    findings: list[Finding]


@with_config(CLOSED)
class TrainGroup(TypedDict):
    """The runs of a group (`--seeds`, `--folds`), with means and standard deviations by split; `failed` says why."""

    group: str
    runs: dict[str, dict[str, Any]]
    mean: dict[str, Metrics]
    standard_deviation: dict[str, Metrics]
    intervals: dict[str, Interval]
    failed: dict[str, str]


@with_config(CLOSED)
class Check(TypedDict):
    """Why a network does not learn."""

    findings: list[Finding]
    fault: bool
    decided: bool
    accuracy: float | None
    linear: float | None
    suggested_lr: float | None
    majority: float
    duplicates: list[dict[str, Any]]
    steps: int
    seeds: int
    stuck: int
    seconds: float
    lr_range: str | None
    fixed: str | None
    change: dict[str, Any]
    after: float | None


@with_config(CLOSED)
class Audit(TypedDict):
    """What is wrong with the data, also in `audit.json` (without `schema` and `files`)."""

    findings: list[Finding]
    fault: bool
    examples: dict[str, int]
    counts: dict[str, int]
    notes: list[str]
    seconds: float
    files: list[str]


@with_config(CLOSED)
class ClassFigures(TypedDict):
    """The figures of one class."""

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@with_config(ConfigDict(extra="allow"))
class Evaluate(TypedDict):
    """The evaluation of a network. Besides these keys it has the metrics by name, such as `balanced_accuracy`."""

    run: str
    data: str | None
    split: str
    notes: list[str]
    num_examples: int
    loss: float | None
    accuracy: float
    accuracy_interval: Interval
    intervals: dict[str, Interval] | None
    classes: list[ClassFigures]
    confusion: list[list[int]] | list[list[list[int]]]
    undefined: NotRequired[dict[str, str]]
    baselines: dict[str, Any] | None
    test_looks: int | None
    calibration: dict[str, Any] | None
    mistakes: NotRequired[dict[str, Any] | None]
    slices: NotRequired[list[dict[str, Any]] | None]
    importance: NotRequired[Any]


@with_config(CLOSED)
class Ranked(TypedDict):
    """A class with its probability."""

    label: str
    probability: float


@with_config(CLOSED)
class Predicted(TypedDict):
    """The prediction for one input; `error` instead of the others where it could not be read."""

    input: str
    error: NotRequired[str]
    label: NotRequired[str]
    labels: NotRequired[list[str]]
    probability: NotRequired[float]
    top: NotRequired[list[Ranked]]
    unsure: NotRequired[bool]
    set: NotRequired[list[str]]
    unlike: NotRequired[bool]


@with_config(CLOSED)
class Predict(TypedDict):
    """The predictions, in the order of the inputs."""

    predictions: list[Predicted]


@with_config(CLOSED)
class Compared(TypedDict):
    """One of several compared runs."""

    name: str
    differences: dict[str, Any]
    parameters: int
    epochs: int
    seconds: float
    accuracies: dict[str, float | None]
    select_by: str
    metrics: dict[str, Metrics]
    examples: dict[str, Any] | None


@with_config(CLOSED)
class Compare(TypedDict):
    """Runs side by side, and whether their test accuracies differ by more than chance."""

    runs: list[Compared]
    test_differences: list[dict[str, Any]]
    curves: NotRequired[str]


@with_config(CLOSED)
class Layer(TypedDict):
    """A layer of a network."""

    name: str
    kind: str
    output_shape: list[int] | None
    parameters: int
    multiply_adds: int


@with_config(CLOSED)
class Summary(TypedDict):
    """The network of a config; `memory` in bytes."""

    layers: list[Layer]
    batch_size: int
    parameters: int
    trainable_parameters: int
    multiply_adds: int
    memory: dict[str, int]
    plan: dict[str, Any]


@with_config(CLOSED)
class Preview(TypedDict):
    """Examples as a network receives them."""

    split: str
    shape: list[int]
    prepared: str
    features: NotRequired[list[str] | None]
    examples: list[dict[str, Any]]
    plot: str | None


@with_config(CLOSED)
class ListedRun(TypedDict):
    """A run in a folder of runs."""

    name: str
    state: str
    problem: str | None
    dataset: str | None
    model: str | None
    epochs: int | None
    epochs_done: int
    best_epoch: int | None
    validation_accuracy: float | None
    test_accuracy: float | None
    saved_at: str | None


@with_config(CLOSED)
class Runs(TypedDict):
    """The runs in a folder, newest last."""

    root: str
    runs: list[ListedRun]


@with_config(CLOSED)
class LearningCurve(TypedDict):
    """Whether more data, more epochs or a wider network would help."""

    name: str
    folder: str
    split: str
    num_judged: int
    runs: list[dict[str, Any]]
    accuracy: float
    twice_the_data: dict[str, Any]
    trials: dict[str, dict[str, Any]]
    untried: dict[str, str]
    conclusions: list[str]
    plot: str


@with_config(CLOSED)
class Receipt(TypedDict):
    """The receipt that was written for a run."""

    run: str
    receipt: str
    sha256: str


@with_config(CLOSED)
class Reproduce(TypedDict):
    """How a run that was trained again from a receipt compares with it."""

    receipt: str
    run: str
    verdict: Literal["same_bits", "within_spread", "not_reproduced"]
    why: str
    environment: dict[str, list[str]]
    accuracies: dict[str, list[float]]


@with_config(CLOSED)
class Explain(TypedDict):
    """The page of a finding."""

    id: str
    title: str
    looks_at: str
    why: str
    source: str
    fix: str
    example: str
    near_miss: str


@with_config(CLOSED)
class Init(TypedDict):
    """The config that was written for data."""

    found: list[str]
    path: str
    yaml: str


@with_config(CLOSED)
class Plots(TypedDict):
    """The plots that were drawn."""

    run: str
    plots: list[str]


@with_config(CLOSED)
class Report(TypedDict):
    """The page that was written."""

    report: str


@with_config(CLOSED)
class Serve(TypedDict):
    """The address of the server, printed when it can be reached."""

    url: str
    run: str
    workers: int


@with_config(CLOSED)
class ShippedConfig(TypedDict):
    """A shipped config."""

    name: str
    summary: str


@with_config(CLOSED)
class Configs(TypedDict):
    """The shipped configs."""

    configs: list[ShippedConfig]


@with_config(CLOSED)
class ConfigsShow(TypedDict):
    """A shipped config as YAML."""

    name: str
    yaml: str


@with_config(CLOSED)
class ConfigsCopy(TypedDict):
    """Where a shipped config was copied to."""

    name: str
    path: str


@with_config(CLOSED)
class ConfigsReference(TypedDict):
    """The reference of the YAML."""

    markdown: str


@with_config(CLOSED)
class ListedLesson(TypedDict):
    """A lesson in the list of lessons."""

    number: int
    name: str
    chapter: str
    title: str
    summary: str
    finding: str | None
    found_by: str | None


@with_config(CLOSED)
class Lessons(TypedDict):
    """The lessons, in their order."""

    lessons: list[ListedLesson]


@with_config(CLOSED)
class LessonFiles(TypedDict):
    """The files of a lesson that were written."""

    files: list[str]


@with_config(CLOSED)
class LessonSite(TypedDict):
    """The site of all lessons."""

    index: str
    lessons: list[str]


@with_config(CLOSED)
class Lesson(TypedDict):
    """A lesson, trained: the broken config and the fixed one."""

    number: int
    name: str
    title: str
    measure: str
    metric: str
    seed: int
    broken: dict[str, Any]
    fixed: dict[str, Any]
    finding: str | None
    found_by: str | None
    cause_is_named: bool
    check: Check
    hints: list[str]
    question: str
    choices: list[dict[str, Any]]
    diff: list[str]
    seconds: float
    plot: str | None


@with_config(CLOSED)
class Tune(TypedDict):
    """The trials of a search, and the best of them."""

    study: str
    select_by: str
    counts: dict[str, Any]
    best: dict[str, Any] | None
    best_config: str | None
    edges: list[dict[str, Any]]
    importance: dict[str, float] | None
    trials: list[dict[str, Any]]


@with_config(CLOSED)
class Export(TypedDict):
    """The file that a network was exported to, and the largest difference of its probabilities."""

    path: str
    card: str
    form: str
    num_bytes: int
    compared: int
    largest_difference: float | None


MODELS: dict[str, Any] = {
    "audit": Audit,
    "check": Check,
    "compare": Compare,
    "configs": Configs,
    "configs-copy": ConfigsCopy,
    "configs-reference": ConfigsReference,
    "configs-show": ConfigsShow,
    "evaluate": Evaluate,
    "explain": Explain,
    "export": Export,
    "init": Init,
    "learning-curve": LearningCurve,
    "lesson": Lesson,
    "lesson-files": LessonFiles,
    "lesson-site": LessonSite,
    "lessons": Lessons,
    "plots": Plots,
    "predict": Predict,
    "preview": Preview,
    "receipt": Receipt,
    "report": Report,
    "reproduce": Reproduce,
    "runs": Runs,
    "serve": Serve,
    "summary": Summary,
    "train": Train,
    "train-group": TrainGroup,
    "tune": Tune,
}
"""What is printed, by the name in its `schema`."""


def output_schema(name: str) -> dict[str, Any]:
    """Return the JSON schema of what is printed under a name."""
    schema = TypeAdapter(MODELS[name]).json_schema()
    stated = {"const": schema_id(name), "type": "string"}
    schema["properties"] = {"schema": stated, **schema["properties"]}
    schema["required"] = ["schema", *schema["required"]]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}

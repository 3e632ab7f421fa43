"""The JSON schemas of what the commands print with `--json`, which `docs/json/` keeps.

Each is generated from the class that states what is printed: the dataclass of a result, what its `figures` returns, or,
where a command or several parts put an object together, a class here. All fields are printed, and no others.

An object names its schema: `"schema": "nnclassify/train/1"`. The number rises when a key is removed or changes its
meaning or type; keys may be added without that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Annotated, Any, NotRequired, get_type_hints

from pydantic import ConfigDict, GetCoreSchemaHandler, TypeAdapter, create_model, with_config
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema
from typing_extensions import TypedDict  # pydantic requires it before Python 3.12

from nnclassify.cli.printing import schema_id
from nnclassify.diagnosis.audit.report import AuditFigures
from nnclassify.diagnosis.findings import FindingFigures, Page
from nnclassify.diagnosis.learning_curve import CurveFigures
from nnclassify.diagnosis.report import DiagnosisFigures
from nnclassify.evaluation.baselines import Baselines
from nnclassify.evaluation.confusion import ClassReport
from nnclassify.evaluation.slices import Slice
from nnclassify.inference.attribution import ColumnImportance
from nnclassify.inference.calibrate import CalibrationFacts, SplitCalibration
from nnclassify.inference.compare import ComparedRun
from nnclassify.inference.differences import Difference, NoVerdict
from nnclassify.inference.explained import EvaluateCalibration
from nnclassify.inference.export.export import Exported
from nnclassify.inference.failures import Mistake
from nnclassify.inference.predict import PredictionFigures
from nnclassify.inference.preview import PreviewFigures
from nnclassify.inference.receipt import Reproduction
from nnclassify.lessons.outcome import LessonFigures
from nnclassify.runs.group_summary import Summary as GroupSummary
from nnclassify.runs.listing import ListedRun
from nnclassify.training.plan import PlanFigures
from nnclassify.training.summary import Summary
from nnclassify.tune.figures import TuneFigures

Metrics = dict[str, float | None]
"""The loss and the metrics by name."""
SplitMetrics = dict[str, float | dict[str, str] | None]
"""The same of a split; those without a value are null, with the reason by name in `undefined`."""
Interval = tuple[float, float]
"""The lower and the upper bound."""


class Printed:
    """Marks a dataclass that is printed in another form.

    Args:
        about: What the printed object is; None: what the dataclass is.
        hidden: Fields that are not printed.
        more: Printed keys that are no fields, and their types.
    """

    def __init__(self, about: str | None = None, hidden: Sequence[str] = (), **more: Any) -> None:
        self.about = about
        self.hidden = hidden
        self.more = more

    def __get_pydantic_core_schema__(self, record: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of a model with the printed keys."""
        types = get_type_hints(record)
        shown = {one.name: types[one.name] for one in fields(record) if one.name not in self.hidden}
        about = self.about or record.__doc__
        return handler.generate_schema(_object(record.__name__, about, **{**shown, **self.more}))


PrintedSlice = Annotated[Slice, Printed(accuracy=float, accuracy_of_others=float)]
PrintedDifference = Annotated[
    Difference, Printed(hidden=["why_none"], networks_differ=bool, configs_differ=bool, text=str)
]
PrintedRun = Annotated[ComparedRun, Printed(hidden=["rows", "scored", "digests"])]


class TrainCalibration(CalibrationFacts):
    """The calibration of a run, and how far its probabilities can be trusted."""

    validation: SplitCalibration | None
    test: SplitCalibration | None


class Train(TypedDict):
    """The result of a run, also in its `result.json`. `train` and `validation` are those of the best epoch."""

    run: str
    epochs: int
    steps: int
    train_seconds: float
    examples_per_second: float
    device: str
    compile: str
    plan: PlanFigures
    best_epoch: int
    train: Metrics
    validation: SplitMetrics | None
    test: SplitMetrics | None
    num_examples: dict[str, int]
    intervals: dict[str, dict[str, Interval] | None] | None
    baselines: Baselines | None
    calibration: TrainCalibration | None
    slices: list[PrintedSlice] | None
    test_looks: int | None
    findings: list[FindingFigures]


class Mistakes(TypedDict):
    """The mistakes with the highest loss, and of the others those with the lowest."""

    highest_loss: list[Mistake]
    lowest_loss: list[Mistake]


@with_config(ConfigDict(json_schema_extra={"additionalProperties": {"type": ["number", "null"]}}))
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
    classes: list[ClassReport]
    confusion: list[list[int]] | list[list[list[int]]]
    undefined: NotRequired[dict[str, str]]
    baselines: Baselines | None
    test_looks: int | None
    calibration: EvaluateCalibration | None
    mistakes: Mistakes
    slices: list[PrintedSlice]
    importance: NotRequired[list[ColumnImportance]]


class Compare(TypedDict):
    """Runs side by side, and whether their test accuracies differ by more than chance."""

    runs: list[PrintedRun]
    test_differences: list[PrintedDifference | NoVerdict]
    curves: NotRequired[str]


class Preview(PreviewFigures):
    """Examples as a network receives them."""

    plot: str | None


class Lesson(LessonFigures):
    """A lesson, trained: the broken config and the fixed one."""

    plot: str | None


class ShippedConfig(TypedDict):
    """A shipped config."""

    name: str
    summary: str


class ListedLesson(TypedDict):
    """A lesson in the list of lessons."""

    number: int
    name: str
    chapter: str
    title: str
    summary: str
    finding: str | None
    found_by: str | None


def _object(title: str, about: str | None, /, **keys: Any) -> Any:
    """Return the class of an object with these keys and types, all of which are printed."""
    fields_of: dict[str, Any] = {key: (of, ...) for key, of in keys.items()}
    return create_model(title, __doc__=about, **fields_of)


MODELS: dict[str, Any] = {
    "audit": AuditFigures,
    "check": DiagnosisFigures,
    "compare": Compare,
    "configs": _object("Configs", "The shipped configs.", configs=list[ShippedConfig]),
    "configs-copy": _object("ConfigsCopy", "Where a shipped config was copied to.", name=str, path=str),
    "configs-reference": _object("ConfigsReference", "The reference of the YAML.", markdown=str),
    "configs-show": _object("ConfigsShow", "A shipped config as YAML.", name=str, yaml=str),
    "evaluate": Evaluate,
    "explain": Annotated[Page, Printed("The page of a finding.")],
    "export": Exported,
    "init": _object("Init", "The config that was written for data.", found=list[str], path=str, yaml=str),
    "learning-curve": CurveFigures,
    "lesson": Lesson,
    "lesson-files": _object("LessonFiles", "The files of a lesson that were written.", files=list[str]),
    "lesson-site": _object("LessonSite", "The site of all lessons.", index=str, lessons=list[str]),
    "lessons": _object("Lessons", "The lessons, in their order.", lessons=list[ListedLesson]),
    "plots": _object("Plots", "The plots that were drawn.", run=str, plots=list[str]),
    "predict": _object("Predict", "The predictions, in the order of the inputs.", predictions=list[PredictionFigures]),
    "preview": Preview,
    "receipt": _object("Receipt", "The receipt that was written for a run.", run=str, receipt=str, sha256=str),
    "report": _object("Report", "The page that was written.", report=str),
    "reproduce": Annotated[Reproduction, Printed(receipt=str, run=str)],
    "runs": _object("Runs", "The runs in a folder, newest last.", root=str, runs=list[ListedRun]),
    "serve": _object(
        "Serve", "The address of the server, printed when it can be reached.", url=str, run=str, workers=int
    ),
    "summary": Summary,
    "train": Train,
    "train-group": Annotated[
        GroupSummary,
        Printed("The runs of a group (`--seeds`, `--folds`), with means and standard deviations by split."),
    ],
    "tune": TuneFigures,
}
"""What is printed, by the name in its `schema`."""

_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", re.MULTILINE)


class _Generator(GenerateJsonSchema):
    """Schemas of objects whose fields are all printed, with what the docstring of a dataclass says of each."""

    def generate(self, schema: CoreSchema, mode: JsonSchemaMode = "serialization") -> JsonSchemaValue:
        """Return the schema, its objects closed and their properties described."""
        made = super().generate(schema, mode)
        parts = {name: _described(part) for name, part in made.get("$defs", {}).items()}
        return _described({**made, "$defs": parts} if parts else made)

    def field_is_required(self, field: Any, total: bool) -> bool:
        """Return whether a key is always printed: what has a default is."""
        return field["type"] != "typed-dict-field" or super().field_is_required(field, total)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Return the schema of a value without its default."""
        return self.generate_inner(schema["schema"])


def _described(schema: JsonSchemaValue) -> JsonSchemaValue:
    """Return the schema of an object, closed unless it says otherwise, with a description of each property."""
    if "properties" not in schema:
        return schema
    about, _, attributes = schema.get("description", "").partition("\n\nAttributes:\n")
    described = dict(schema["properties"])
    for name, text in _ATTRIBUTE.findall(attributes):
        if name in described:
            described[name] = {**described[name], "description": _in_json(text)}
    return {"additionalProperties": False, **schema, "description": _in_json(about), "properties": described}


def _in_json(text: str) -> str:
    """Return what a docstring says on one line, in the words of JSON."""
    return re.sub(r"\bNone\b", "null", " ".join(text.split()))


def output_schema(name: str) -> dict[str, Any]:
    """Return the JSON schema of what is printed under a name."""
    schema = TypeAdapter(MODELS[name]).json_schema(mode="serialization", schema_generator=_Generator)
    stated = {"const": schema_id(name), "type": "string"}
    schema["properties"] = {"schema": stated, **schema["properties"]}
    schema["required"] = ["schema", *schema["required"]]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}

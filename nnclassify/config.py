"""The shape of the YAML, and the way from a file and its overrides to a checked `RunConfig` and back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from nnclassify.datasets import AnyDataset
from nnclassify.errors import ConfigError, suggestion
from nnclassify.losses import AnyLoss, CrossEntropy
from nnclassify.models import AnyModel
from nnclassify.optimizers import Adam, AnyOptimizer
from nnclassify.schedulers import AnyScheduler, Constant
from nnclassify.settings import PositiveFloat, PositiveInt, Seed, Settings
from nnclassify.yaml_source import YamlPath, YamlSource, has_part, read_yaml

SHIPPED = [Path(__file__).parent / "configs", Path(__file__).parent.parent / "configs"]
"""Where the shipped configs lie: in the wheel, and in a checkout."""


class RunConfig(Settings):
    """One run: what to learn from, what learns, and how."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] | None = None
    """The run's folder under checkpoints/; left out, the config's file name."""
    dataset: AnyDataset
    """Where examples come from."""
    model: AnyModel
    """What learns."""
    loss: AnyLoss = CrossEntropy()
    """What training makes small."""
    optimizer: AnyOptimizer = Adam()
    """How gradients change weights."""
    scheduler: AnyScheduler = Constant()
    """How the learning rate changes."""
    epochs: PositiveInt = 10
    """Passes over the training examples."""
    batch_size: PositiveInt = 64
    """Examples an update."""
    shuffle: bool = True
    """A new order of the training examples in each epoch."""
    clip_grad_norm: PositiveFloat | None = None
    """Scale gradients down to this norm where they are larger."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Evaluate and keep an exponential moving average of the weights, with this decay a step."""
    patience: PositiveInt | None = None
    """Stop after this many epochs without a better validation figure."""
    select_by: Literal["accuracy", "loss"] = "accuracy"
    """The validation figure that decides which epoch is best; ties in accuracy go to the lower loss."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$")] = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    precision: Literal["auto", "float32", "float64", "bfloat16", "float16"] = "auto"
    """The number type of the arithmetic; weights stay float32 (float64 for float64)."""
    threads: PositiveInt | None = None
    """CPU threads of the arithmetic; left out, torch's choice."""
    accept: list[Annotated[str, Field(pattern=r"^NN\d{3}$")]] | None = None
    """Findings of `nnclassify check` that are known and wanted, such as NN302: told as notes, never as faults."""

    def to_yaml(self) -> str:
        """The resolved config, every default written out: it trains to the same result again."""
        return yaml.safe_dump(self.model_dump(mode="json", exclude_none=True), sort_keys=False)


@dataclass(frozen=True)
class LoadedConfig:
    """A checked config and the YAML it came from.

    Attributes:
        config: The config.
        source: The YAML with its lines.
        name: The run's name.
    """

    config: RunConfig
    source: YamlSource
    name: str


def load_config(config: str, overrides: Sequence[str] = ()) -> LoadedConfig:
    """Read, override and check a config.

    Args:
        config: A path, or the name of a shipped config.
        overrides: `a.b=value` each, the value in YAML.

    Raises:
        ConfigError: Every problem at once, one line each.
    """
    path = find_config(config)
    source = read_yaml(path)
    for assignment in overrides:
        source.override(assignment)
    run_config = validate(source)
    return LoadedConfig(run_config, source, run_config.name or path.stem)


def find_config(config: str) -> Path:
    """The file of that path, else the shipped config of that name.

    Raises:
        ConfigError: Neither is there.
    """
    path = Path(config)
    if path.is_file():
        return path
    shipped = shipped_configs()
    name = config.removesuffix(".yaml").removeprefix("configs/")
    if name in shipped:
        return shipped[name]
    if path.is_dir():
        raise ConfigError([f"{config}: a folder; expected a YAML file or the name of a shipped config"])
    hint = suggestion(name, shipped) or "; `nnclassify configs` lists the shipped ones"
    raise ConfigError([f"{config}: no such file and no shipped config of that name{hint}"])


def shipped_configs() -> dict[str, Path]:
    """The shipped configs by name: `digits_cnn`, `smoke/mlp`."""
    folder = next((folder for folder in SHIPPED if folder.is_dir()), None)
    if folder is None:
        return {}
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.yaml"))}


def validate(source: YamlSource) -> RunConfig:
    """Check the data of a YAML source.

    Raises:
        ConfigError: Every problem at once.
    """
    try:
        config = RunConfig.model_validate(source.data)
    except ValidationError as error:
        raise ConfigError(_problems(error.errors(include_url=False), source)) from None
    if problems := [f"{source.where((key,))}: {key}: {text}" for key, text in _misfits(config)]:
        raise ConfigError(problems)
    return config


def _misfits(config: RunConfig) -> Iterator[tuple[str, str]]:
    """Options that are right alone and wrong together: the key to change, and what is wrong."""
    if (reason := config.loss.refuses(config.model.output)) is not None:
        yield "loss", f"found {config.loss.name} after model.output: {config.model.output}; {reason}"
    if config.patience is not None and config.dataset.validation in (0, "test"):
        yield "patience", "found it without a split to choose by; set dataset.validation: 0.1, or leave patience out"


def _problems(errors: Iterable[ErrorDetails], source: YamlSource) -> list[str]:
    """One line a place, in the order of the file: alternatives of one value are joined."""
    expected: dict[YamlPath, list[ErrorDetails]] = {}
    for error in errors:
        expected.setdefault(_path(error, source.data), []).append(error)

    def order(path: YamlPath) -> tuple[int, YamlPath]:
        line = source.where(path).rpartition(":")[2]
        return (int(line) if line.isdigit() else 1_000_000, tuple(map(str, path)))

    return [
        f"{source.where(path)}: {'.'.join(map(str, path))}: {_describe(expected[path])}"
        for path in sorted(expected, key=order)
    ]


def _path(error: ErrorDetails, data: Any) -> YamlPath:
    """The error's place in the YAML: pydantic's, less the names of union members that it went through."""
    path: list[str | int] = []
    loc = error["loc"]
    for position, part in enumerate(loc):
        is_last = position == len(loc) - 1
        if has_part(data, part):
            data = data[part]
        elif not (is_last and error["type"] == "missing"):
            continue
        path.append(part)
    if error["type"] == "union_tag_invalid" and isinstance(data, dict):
        path.append("name")
    return tuple(path)


def _describe(errors: list[ErrorDetails]) -> str:
    kind, found = errors[0]["type"], _shown(errors[0].get("input"))
    if kind == "missing":
        return "missing; add it"
    if kind == "union_tag_not_found":
        return f"found {found}, expected a name: one of {_tags(errors[0])}"
    if kind == "extra_forbidden":
        allowed = _allowed_keys(errors[0]["loc"])
        key = errors[0]["loc"][-1]
        return f"unknown key{suggestion(key, allowed)}; expected one of {', '.join(allowed)}"
    if kind in ("union_tag_invalid", "literal_error"):
        tag = errors[0]["ctx"]["tag"] if kind == "union_tag_invalid" else errors[0].get("input")
        names = re.findall(r"'([^']+)'", _tags(errors[0]))
        return f"found {_shown(tag)}, expected one of {', '.join(names)}{suggestion(tag, names)}"
    wanted = dict.fromkeys(_wanted(error) for error in errors)
    return f"found {found}, expected {' or '.join(wanted)}"


def _tags(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    return str(context.get("expected_tags") or context.get("expected") or _union_names(error["loc"]))


def _wanted(error: ErrorDetails) -> str:
    plain = {
        "int_type": "a whole number",
        "float_type": "a number",
        "bool_type": "true or false",
        "string_type": "text",
        "list_type": "a list",
        "model_type": "`key: value` pairs",
        "model_attributes_type": "`key: value` pairs",
        "dict_type": "`key: value` pairs",
        "finite_number": "a finite number",
    }
    if error["type"] == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    message = str(error["msg"]).removeprefix("Input should be ").removeprefix("a valid ")
    return plain.get(error["type"], message[:1].lower() + message[1:])


def _shown(value: Any) -> str:
    text = "nothing" if value is None else yaml_text(value)
    return text if len(text) <= 60 else text[:57] + "..."


def yaml_text(value: Any) -> str:
    """A value as one would write it in a config."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)


def settings_in(annotation: Any) -> Iterator[type[Settings]]:
    """Every settings class that a field's type can hold."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        yield annotation
    for inner in get_args(annotation):
        yield from settings_in(inner)


def names_of(member: type[Settings]) -> tuple[str, ...]:
    """The names by which the YAML chooses a class; empty where it is no member of a family."""
    field = member.model_fields.get("name")
    return tuple(name for name in get_args(field.annotation) if isinstance(name, str)) if field is not None else ()


def _members_at(loc: tuple[int | str, ...]) -> list[type[Settings]]:
    """The settings classes that may stand at a place that pydantic names."""
    members: list[type[Settings]] = [RunConfig]
    for part in loc:
        if isinstance(part, int):
            continue
        tagged = [member for member in members if part in names_of(member)]
        fields = [member.model_fields[part] for member in members if part in member.model_fields]
        members = tagged or [found for field in fields for found in settings_in(field.annotation)]
    return members


def _allowed_keys(loc: tuple[int | str, ...]) -> list[str]:
    return list(dict.fromkeys(key for member in _members_at(loc[:-1]) for key in member.model_fields))


def _union_names(loc: tuple[int | str, ...]) -> str:
    return ", ".join(name for member in _members_at(loc) for name in names_of(member))

"""The `search:` section of a config: the keys whose values `nnclassify tune` searches, and in which ranges.

    search:
      optimizer.lr: {log: [1e-4, 1]}         # numbers, uniform in their logarithm
      model.dropout: {range: [0, 0.5]}       # numbers
      batch_size: {int: [16, 256], log: on}  # whole numbers
      model.hidden: [[16], [32, 32]]         # choices
      optimizer: [adam, {name: sgd, momentum: {range: [0, 0.99]}}]  # members; a range that only sgd has

A key that only some choices have, such as `optimizer.momentum` beside `optimizer: [adam, sgd]`, is searched for those.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from pydantic import Field, JsonValue, WrapValidator

from nnclassify.config.messages import describe, errors_in, path_of, shown
from nnclassify.config.yaml_reader import YamlPath, YamlSource, path_of_key
from nnclassify.config.yaml_writer import inline
from nnclassify.errors import ConfigError, dotted, suggestion
from nnclassify.settings import MAX_INT, PositiveFloat, PositiveInt, Settings, Switch

SEARCH = "search"
"""The key of the section."""
Number = Annotated[float, Field(ge=-3e38, le=3e38)]
Integer = Annotated[int, Field(ge=-MAX_INT, le=MAX_INT)]


class Range(Settings):
    """A range of numbers; the first field of each kind holds its ends."""

    def ends(self) -> tuple[float, float]:
        """Return the smallest and the largest value."""
        low, high = getattr(self, next(iter(type(self).model_fields)))
        return low, high

    def problem(self) -> str | None:
        """Return what is wrong with valid ends, or None."""
        low, high = self.ends()
        return None if low < high else f"found {low:g} and {high:g}, expected two numbers, the smaller one first"


class LogRange(Range):
    """Numbers between two ends, uniform in their logarithm: `{log: [1e-4, 1]}`. For learning rates."""

    log: Annotated[list[PositiveFloat], Field(min_length=2, max_length=2)]
    """The smallest and the largest number."""


class NumberRange(Range):
    """Numbers between two ends, all equally likely: `{range: [0, 0.5]}`."""

    range: Annotated[list[Number], Field(min_length=2, max_length=2)]
    """The smallest and the largest number."""


class IntRange(Range):
    """Whole numbers from one end to the other, both included: `{int: [16, 256]}`."""

    int_: Annotated[list[Integer], Field(alias="int", min_length=2, max_length=2)]
    """The smallest and the largest number."""
    step: PositiveInt = 1
    """Distance of two values, counted from the smallest number."""
    log: Switch = False
    """Whether the numbers are uniform in their logarithm."""

    def problem(self) -> str | None:
        """Return what is wrong with valid ends, or None."""
        if self.log and self.step > 1:
            return "found both log and step; remove one of them"
        if self.log and self.int_[0] < 1:
            return f"found {self.int_[0]} with log: on, expected numbers of at least 1"
        return super().problem()


KINDS: dict[str, type[Range]] = {"int": IntRange, "range": NumberRange, "log": LogRange}
"""The kinds of ranges by the key that tells them apart; the first that is there counts."""
EXPECTED = "{log: [low, high]}, {range: [low, high]}, {int: [low, high]} or a list of choices"


def _unread(value: Any, read: Callable[[Any], Any]) -> Any:
    """Leave the entries as they are written: `problems` needs the config around them, and says more about them."""
    return value if isinstance(value, dict) else read(value)


SearchSection = Annotated[
    dict[str, LogRange | NumberRange | IntRange | Annotated[list[JsonValue], Field(min_length=2)]] | None,
    WrapValidator(_unread),
    Field(exclude=True),
]
"""The type of the section. It is no part of a run: `model_dump` leaves it out."""


@dataclass(frozen=True)
class Choices:
    """Values without an order.

    Attributes:
        values: The values by their names, without the ranges within them.
    """

    values: dict[str, Any]


@dataclass(frozen=True)
class Parameter:
    """A key whose value is searched.

    Attributes:
        name: The key, for a range within a choice with the name of the choice: `optimizer.momentum (sgd)`.
        path: The key.
        place: Where the YAML describes it.
        domain: Its values.
        within: The parameter and the choice that it is a part of, by name; None for a key of its own.
    """

    name: str
    path: YamlPath
    place: YamlPath
    domain: Range | Choices
    within: tuple[str, str] | None = None

    @property
    def key(self) -> str:
        """The key, as an override spells it."""
        return ".".join(map(str, self.path))

    def samples(self) -> list[Any]:
        """Return the values that must all be valid: the ends of a range, or every choice."""
        if isinstance(self.domain, Choices):
            return list(self.domain.values.values())
        low, high = self.domain.ends()
        return [low, high] if not isinstance(self.domain, IntRange) else [int(low), int(high)]


Problem = tuple[YamlPath, str]


class Misfit(NamedTuple):
    """Settings that are valid alone but not together.

    Attributes:
        path: The key to change.
        needs: The other keys involved.
        text: What is wrong, and what to do.
    """

    path: YamlPath
    needs: tuple[str, ...]
    text: str


Misfits = Callable[[dict[str, Any]], list[Misfit]]
"""Returns the settings of a config that do not fit each other."""


class _Reader:
    """Reads the section into parameters and problems."""

    def __init__(self, source: YamlSource, root: type[Settings]) -> None:
        self.source = source
        self.root = root
        self.parameters: list[Parameter] = []
        self.problems: list[Problem] = []

    def read(self, key: str, value: Any) -> None:
        """Read an entry."""
        path, place = path_of_key(key), (SEARCH, key)
        if "" in key.split("."):
            self.problems.append((place, "expected a key such as optimizer.lr"))
        elif (reason := _fixed(path)) is not None:
            self.problems.append((place, f"cannot be searched: {reason}"))
        elif isinstance(value, list):
            self._choices(key, path, place, value)
        elif _is_range(value):
            self._range(key, path, place, value)
        else:
            self.problems.append((place, f"found {shown(value)}, expected {EXPECTED}{_hint(key, value)}"))

    def _range(
        self, name: str, path: YamlPath, place: YamlPath, value: dict[str, Any], within: tuple[str, str] | None = None
    ) -> None:
        kind = next(kind for key, kind in KINDS.items() if key in value)
        if errors := errors_in(value, kind, at=place):
            by_path = {path_of(error, self.source.data): error for error in errors}
            self.problems += [(at, describe([error], at, self.source.data, self.root)) for at, error in by_path.items()]
            return
        domain = kind.model_validate(value)
        if (problem := domain.problem()) is not None:
            self.problems.append((place, problem))
        else:
            self.parameters.append(Parameter(name, path, place, domain, within))

    def _choices(self, key: str, path: YamlPath, place: YamlPath, values: list[Any]) -> None:
        named = [(_name(value), value) for value in values]
        if len(named) < 2:
            what = f"found one choice, expected at least two; a value that is not searched is written as {key} itself"
            self.problems.append((place, what if named else f"found an empty list, expected {EXPECTED}"))
            return
        if twice := [name for name, count in Counter(name for name, _ in named).items() if count > 1]:
            self.problems.append((place, f"found {twice[0]} twice, expected different choices"))
            return
        plain = {name: _by_name(_plain(value)) for name, value in named}
        self.parameters.append(Parameter(key, path, place, Choices(plain)))
        for index, (name, value) in enumerate(named):
            for inner, part in _ranges_in(value):
                full = (*path, *inner)
                of_choice = f"{'.'.join(map(str, full))} ({name})"
                self._range(of_choice, full, (*place, index, *inner), part, (key, name))


def _hint(key: str, value: Any) -> str:
    """Return what a mapping that is no range may mean."""
    if not isinstance(value, dict) or not value:
        return ""
    first = next(iter(value))
    return suggestion(first, KINDS) or f"; a key within {key} is written `{key}.{first}: ...`"


_FIXED = {
    "name": "it names the run",
    "seed": "the best of several seeds is luck; compare seeds with train --seeds",
    "select_by": "trials are compared by it",
    "show_test": "no trial looks at the test split",
    "accept": "it changes no result",
    "device": "it changes no result",
    "threads": "it changes no result",
    "checkpoint_every": "it changes no result",
    "boosted_baseline": "it changes no result",
    SEARCH: "it is the search itself",
}
_OF_SPLITS = (
    *("name", "path", "root", "label", "limit", "validation", "test"),
    *("seed", "fold", "folds", "split", "group", "time"),
)
"""Options of the dataset that decide which examples the trials are compared on."""


def _fixed(path: YamlPath) -> str | None:
    """Return why a key cannot be searched, or None."""
    if path[0] != "dataset":
        return _FIXED.get(str(path[0]))
    if len(path) == 1 or path[1] in _OF_SPLITS or str(path[1]).startswith(("validation", "test")):
        return "trials on different validation examples cannot be compared"
    return None


def _is_range(value: Any) -> bool:
    return isinstance(value, dict) and not KINDS.keys().isdisjoint(value)


def _name(choice: Any) -> str:
    """Return a choice in one line of YAML; a member is called by its name if that is all it sets."""
    plain = _by_name(_plain(choice))
    return plain if isinstance(plain, str) else inline(plain)


def _by_name(choice: Any) -> Any:
    """Return a member that sets nothing else as its name."""
    return choice["name"] if isinstance(choice, dict) and [*choice] == ["name"] else choice


def _plain(value: Any) -> Any:
    """Return a choice without the ranges within it."""
    if not isinstance(value, dict):
        return value
    return {key: _plain(child) for key, child in value.items() if not _is_range(child)}


def _ranges_in(value: Any) -> Iterator[tuple[YamlPath, dict[str, Any]]]:
    """Yield the ranges within a choice, with their keys."""
    for key, child in value.items() if isinstance(value, dict) else ():
        if _is_range(child):
            yield (key,), child
        else:
            yield from (((key, *inner), part) for inner, part in _ranges_in(child))


@dataclass(frozen=True)
class SearchSpace:
    """What `tune` searches: parameters, those that others depend on first.

    Attributes:
        source: The YAML of the config.
        root: The settings class of configs.
        parameters: The parameters.
    """

    source: YamlSource
    root: type[Settings]
    parameters: tuple[Parameter, ...]

    @classmethod
    def read(cls, source: YamlSource, root: type[Settings], misfits: Misfits) -> tuple[SearchSpace, list[Problem]]:
        """Read and check the section of a config.

        Args:
            source: The YAML; its other keys are checked elsewhere.
            root: The settings class of configs.
            misfits: See `Misfits`.

        Returns:
            The space, and all problems, with their places in the YAML.
        """
        reader = _Reader(source, root)
        section = source.data.get(SEARCH)
        for key, value in section.items() if isinstance(section, dict) else ():
            reader.read(key, value)
        if section == {}:
            reader.problems.append(((SEARCH,), "found nothing to search; add a key, such as optimizer.lr"))
        ordered = sorted(reader.parameters, key=lambda parameter: (len(parameter.path), parameter.within is not None))
        space = cls(source, root, tuple(ordered))
        return space, reader.problems + [each for one in ordered for each in space._problems(one, misfits)]

    def without_search(self) -> dict[str, Any]:
        """Return a copy of the data of the config without the section."""
        return copy.deepcopy({key: value for key, value in self.source.data.items() if key != SEARCH})

    def drawn(self, draw: Callable[[Parameter], Any]) -> dict[str, Any]:
        """Return a value for each parameter that holds, by key, those that others depend on first.

        Args:
            draw: Returns the value of a parameter; of choices, the name of one.
        """
        data, chosen, values = self.without_search(), dict[str, Any](), dict[str, Any]()
        for parameter in self.parameters:
            if self._holds(parameter, data, chosen):
                value = draw(parameter)
                chosen[parameter.name] = value
                value = parameter.domain.values[value] if isinstance(parameter.domain, Choices) else value
                _put(data, parameter.path, value)
                values[parameter.key] = copy.deepcopy(value)
        return values

    def _holds(self, parameter: Parameter, data: dict[str, Any], chosen: Mapping[str, Any]) -> bool:
        """Return whether a parameter has a place beside the values chosen before."""
        if parameter.within is not None:
            return chosen.get(parameter.within[0]) == parameter.within[1]
        for above in self._above(parameter):
            if above.name in chosen and self._sets(above, str(chosen[above.name]), parameter.path):
                return False
        return not self._above(parameter) or self._has_key(data, parameter)

    def _above(self, parameter: Parameter) -> list[Parameter]:
        """Return the parameters whose choices contain the key of another one."""
        return [
            other
            for other in self.parameters
            if other.within is None and len(other.path) < len(parameter.path) and _starts(parameter.path, other.path)
        ]

    def _sets(self, above: Parameter, choice: str, path: YamlPath) -> bool:
        """Return whether a choice sets a key within it, to a value or a range."""
        if any(other.within == (above.name, choice) and other.path == path for other in self.parameters):
            return True
        node = above.domain.values[choice] if isinstance(above.domain, Choices) else None
        for part in path[len(above.path) :]:
            if not isinstance(node, dict) or part not in node:
                return False
            node = node[part]
        return True

    def _has_key(self, data: dict[str, Any], parameter: Parameter) -> bool:
        trial = copy.deepcopy(data)
        try:
            _put(trial, parameter.path, parameter.samples()[0])
        except ConfigError:
            return False
        unknown = [error for error in errors_in(trial, self.root, is_new=False) if error["type"] == "extra_forbidden"]
        return all(path_of(error, trial) != parameter.path for error in unknown)

    def _bases(self, parameter: Parameter) -> list[dict[str, Any]]:
        """Return the configs, one per choice that a parameter depends on, in which it has a place."""
        bases = [(self.without_search(), dict[str, Any]())]
        above = [other for other in self.parameters if parameter.within and other.name == parameter.within[0]]
        for other in above or self._above(parameter):
            if isinstance(other.domain, Choices):
                bases = [
                    (_changed(data, other.path, value), {**chosen, other.name: name})
                    for data, chosen in bases
                    for name, value in other.domain.values.items()
                ]
        holding = [data for data, chosen in bases if self._holds(parameter, data, chosen)]
        return holding or [data for data, _ in bases[:1]]

    def _problems(self, parameter: Parameter, misfits: Misfits) -> Iterator[Problem]:
        """Yield what is wrong with the values of a parameter in the configs in which it has a place."""
        searched = {other.path[0] for other in self.parameters} - {parameter.path[0]}
        found: dict[YamlPath, dict[str, None]] = {}  # texts in order, each of them once
        for base in self._bases(parameter):
            has_key = self._has_key(base, parameter)
            has_places = has_key and isinstance(parameter.domain, Choices)  # an unknown key is wrong with any value
            for index, value in enumerate(parameter.samples()[: None if has_key else 1]):
                place = (*parameter.place, index) if has_places else parameter.place
                for text in self._wrong(base, parameter, value, misfits, searched):
                    found.setdefault(place, {})[text] = None
        yield from ((place, "; ".join(texts)) for place, texts in found.items())

    def _is_range_of(self, parameter: Parameter, path: YamlPath) -> bool:
        """Return whether what is missing from a choice is a range within it."""
        return any(other.path == path and (other.within or ("",))[0] == parameter.name for other in self.parameters)

    def _wrong(
        self, base: dict[str, Any], parameter: Parameter, value: Any, misfits: Misfits, searched: set[str | int]
    ) -> Iterator[str]:
        try:
            data = _changed(base, parameter.path, value)
        except ConfigError as misplaced:
            yield misplaced.problems[0]
            return
        before = {path_of(error, base) for error in errors_in(base, self.root)}
        errors = [(path_of(error, data), error) for error in errors_in(data, self.root)]
        for path, error in errors:
            is_new = not before or _starts(path, parameter.path)  # another choice may be wrong too
            if is_new and not self._is_range_of(parameter, path):
                within = "" if path == parameter.path else f"{dotted(path)}: "
                yield f"{within}{describe([error], path, data, self.root)}"
        if not errors and not before:
            known = {misfit.text for misfit in misfits(base)}
            for path, needs, text in misfits(data):
                if text not in known and not searched & {*needs, path[0]}:
                    yield f"{dotted(path)}: {text}"


def _starts(path: YamlPath, with_: YamlPath) -> bool:
    return path[: len(with_)] == with_


def _put(data: dict[str, Any], path: YamlPath, value: Any) -> None:
    """Set a key of the data of a config; raise a `ConfigError` if there is no such place."""
    source = YamlSource("", data)
    source.override(f"{'.'.join(map(str, path))}={json.dumps(value)}")
    if source.problems:
        raise ConfigError([problem.partition(": ")[2] for problem in source.problems])


def _changed(data: dict[str, Any], path: YamlPath, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(data)
    _put(changed, path, value)
    return changed

"""`provenance.json`: where a run comes from: the origin of each value of its config, the command, the environment."""

from __future__ import annotations

import json
import os
import platform
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nnclassify.config.run_config import LoadedConfig, RunConfig
from nnclassify.config.yaml_reader import MAX_ORIGIN, YamlPath, YamlSource, has_part, path_of_key
from nnclassify.errors import SaveError, TrainingError, printable
from nnclassify.files.atomic_write import write_text
from nnclassify.files.json_files import read_record
from nnclassify.files.shipped import shipped_configs
from nnclassify.files.user_code import CONTENT
from nnclassify.files.version import __version__
from nnclassify.runs.folder import RunFolder
from nnclassify.settings import flat

PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "pillow")
"""The packages that may change a result, whose versions are recorded."""


@dataclass(frozen=True)
class Provenance:
    """Where a run comes from.

    Attributes:
        origins: The origin of each value of the config that is not a default, by dotted path: a file and its line, or
            the override that set it. None if unknown: an earlier release began the run.
        command: The command that started the run; empty if it is unknown, or the run was started from Python.
        environment: What the run was executed with, by name: versions, operating system, device, threads.
        started_at: When the run began, in UTC, as ISO 8601; empty if unknown.
        failure: Why training failed; empty if it did not.
    """

    origins: dict[str, str] | None = None
    command: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    started_at: str = ""
    failure: str = ""


def provenance_of(loaded: LoadedConfig, config: RunConfig, execution: Mapping[str, object]) -> Provenance:
    """Return the provenance of a run that begins now.

    Args:
        loaded: The config as it was read.
        config: The config with what the data and files have decided.
        execution: Facts about the execution, such as the device, which are added to the environment.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Provenance(_origins(loaded, config), _command(loaded.source), environment(execution), now)


def resumed(before: Provenance | None, now: Provenance, *, has_own_config: bool) -> Provenance:
    """Return the provenance of a run that continues: what it was, with what has been changed since.

    Args:
        before: What the run has recorded; None if it was begun by an earlier release.
        now: The provenance of the continuation.
        has_own_config: Whether the config was read from the folder of the run, which knows the overrides only.
    """
    if before is None:
        return replace(now, origins=None, command="", started_at="") if has_own_config else now
    origins = now.origins
    if has_own_config and origins is not None:
        overridden = {key: origin for key, origin in origins.items() if _is_override(origin)}
        origins = None if before.origins is None else {**before.origins, **overridden}
    return Provenance(origins, before.command, now.environment, before.started_at)


def read_provenance(path: Path) -> Provenance | None:
    """Read `provenance.json`; None if it is missing or damaged."""
    try:
        return read_record(path, Provenance)
    except (OSError, ValueError):
        return None


def write_provenance(path: Path, provenance: Provenance) -> None:
    """Write `provenance.json`.

    Raises:
        SaveError: It could not be written.
    """
    write_text(path, json.dumps(asdict(provenance), indent=2) + "\n")


def record_failure(path: Path, failure: str) -> None:
    """Add to `provenance.json` why training failed.

    Raises:
        SaveError: It could not be written.
    """
    write_provenance(path, replace(read_provenance(path) or Provenance(), failure=failure))


@contextmanager
def failure_recorded(path: Path, report: Callable[[], None]) -> Iterator[None]:
    """Record in `provenance.json`, and on the page of the run, why training failed."""
    try:
        yield
    except TrainingError as error:
        try:
            record_failure(path, str(error))
        except SaveError as unsaved:
            raise TrainingError(f"{error}; {unsaved}") from error
        report()
        raise


def environment(execution: Mapping[str, object]) -> dict[str, str]:
    """Return the versions and the machine that a run is executed with, without names of users or hosts."""
    facts = {
        "nnclassify": __version__,
        "python": platform.python_version(),
        **{package: found for package in PACKAGES if (found := _version(package))},
        "system": f"{platform.system()} {platform.release()}",
        "machine": f"{platform.machine()}, {os.cpu_count()} logical cores",
    }
    return {**facts, **{name: str(value) for name, value in execution.items()}}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # another package may stand in for it, such as pillow-simd for pillow
        return ""


def is_own_config(folder: RunFolder, source: YamlSource) -> bool:
    """Return whether a config was read from a file in the folder of a run."""
    try:
        return Path(source.file).resolve().parent == folder.path.resolve()
    except OSError:  # the current folder was deleted, and one of them is relative to it
        return False


def _is_override(origin: str) -> bool:
    """Return whether an origin is an override: `key=value` or a short option; other origins end with a line."""
    return "=" in origin or origin.startswith("--")


BY_DATA = "decided by the data"
"""The origin of a value that neither the config sets nor is a default, such as the delimiter of a table."""


def _origins(loaded: LoadedConfig, config: RunConfig) -> dict[str, str]:
    source, found, name = loaded.source, {}, _name(loaded.source)
    read, resolved = _values(loaded.config), _values(config)
    for key, value in resolved.items():
        path = path_of_key(key)
        if _is_set(source.data, path, value):
            found[key] = printable(source.where(path).replace(source.file, name, 1))
        elif read.get(key) != value:
            found[key] = BY_DATA
    return found


def _values(config: RunConfig) -> dict[str, Any]:
    source_code = {"model": CONTENT, "loss": CONTENT}
    return flat(config.model_dump(mode="json", exclude_none=True, exclude=source_code))


def _is_set(data: Any, path: YamlPath, value: Any) -> bool:
    """Return whether a config sets a value, perhaps in its short form, such as `dataset: iris`."""
    for part in path:
        if not has_part(data, part):
            return type(data) is type(value) and data == value
        data = data[part]
    return True


def _name(source: YamlSource) -> str:
    """Return what a reader of another machine may call the file: a shipped config is named without its folder."""
    path = Path(source.file)
    return path.name if path in shipped_configs().values() else source.file


def _command(source: YamlSource) -> str:
    """Return the command line with which the source was read, or nothing: it was no file, or an override was cut."""
    config = source.file.removeprefix("config for ")
    shipped = {path: name for name, path in shipped_configs().items()}.get(Path(config))
    overrides = list(dict.fromkeys(line for line in source.lines.values() if isinstance(line, str)))
    if (shipped is None and not Path(config).exists()) or any(len(text) >= MAX_ORIGIN for text in overrides):
        return ""
    return " ".join(["nnclassify train", shlex.quote(shipped or config), *map(_quoted, overrides)])


def _quoted(override: str) -> str:
    option, space, value = override.partition(" ") if override.startswith("--") else ("", "", override)
    return f"{option}{space}{shlex.quote(value)}"

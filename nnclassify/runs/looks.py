"""How often each test split has been looked at, and by which networks: a test set that chooses a network is spent.

A look is a network whose figures on a test split were shown: by `train`, by `evaluate`, or by `nnclassify.evaluate`.
The same weights make no second look; so `compare`, which shows what was shown before, makes none. Nor do further seeds
of a group: their mean is shown, and none of them is chosen. There is a file per test split in the user's data folder,
named by the digest of the split. Each run folder keeps the looks that were known when its own was made, which counts
them on another machine too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from nnclassify.errors import SaveError, one_line
from nnclassify.files.atomic_write import write_text
from nnclassify.files.cache import trim
from nnclassify.files.json_files import read_json
from nnclassify.files.lock import lock
from nnclassify.files.paths import content_of
from nnclassify.runs.checkpoint import content_digest
from nnclassify.runs.folder import GROUP, RunFolder

MAX_LOOKS = 10_000
"""Looks that a file keeps: about 2 MB."""
MAX_BYTES = 64 * 2**20
"""Size of all files; when there are more, those that were not used for the longest time are removed."""


class Look(BaseModel):
    """A network that looked at a test split.

    Attributes:
        weights: The digest of its weights.
        run: The path of its run folder, or of its checkpoint.
        time: When, in UTC.
        group: The digest of the name and the config of its group if it is a run of one; else empty.
    """

    model_config = ConfigDict(frozen=True)

    weights: str
    run: str
    time: str
    group: str = ""


class SplitLooks(BaseModel):
    """The looks at a test split, as `test_looks.json` in a run folder has them.

    Attributes:
        test_split: The digest of the test split.
        looks: Each network that looked at it, the first one first.
    """

    test_split: str
    looks: list[Look]


def looks_folder() -> Path | None:
    """Return the user's folder of looks; on Linux, $XDG_DATA_HOME/nnclassify/looks; None without a home folder."""
    import platformdirs  # takes 10 ms

    try:
        return platformdirs.user_data_path("nnclassify", appauthor=False) / "looks"
    except RuntimeError:  # $HOME is not set, and the user is not in the password database
        return None


def look(checkpoint: Path, weights: Mapping[str, Tensor], test_split: str, note: Callable[[str], None]) -> int:
    """Record that a network looked at a test split, and return how many networks or groups have done so.

    Args:
        checkpoint: The network's checkpoint. The folder of a run keeps the looks too.
        weights: The network's weights.
        test_split: The digest of the split.
        note: Called with why looks cannot be counted, on one line.
    """
    folder, now = RunFolder(checkpoint.parent), datetime.now(UTC).isoformat(timespec="seconds")
    digest, group = content_digest(dict(weights)), _group_of(folder)
    new = Look(weights=digest, run=str(folder.path.absolute()), time=now, group=group)
    before = _of_run(folder, test_split)
    known = _distinct([*before, new])
    try:
        known = _recorded(test_split, known)
    except OSError as cause:
        note(f"looks at the test set are counted only in the run folder: {one_line(cause)}")
    if known != before and folder.config.is_file():
        try:
            write_text(folder.looks, SplitLooks(test_split=test_split, looks=known).model_dump_json(indent=1) + "\n")
        except SaveError as error:
            note(str(error))
    return len({each.group or each.weights for each in known})


def _group_of(folder: RunFolder) -> str:
    """Return the digest of the name and the config of a run's group: further seeds change neither. Empty: no group."""
    try:
        group = read_json(folder.path.parent / GROUP)
        known = [group["name"], group["data"]]
    except (OSError, ValueError, KeyError, TypeError):  # a run that is in no group, or one that is damaged
        return ""
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def in_words(num_looks: int | None) -> str:
    """Return what to say beside figures on a test split; empty for the first look."""
    return f"look {num_looks} at this test set: runs were probably chosen by it" if (num_looks or 0) > 1 else ""


def _of_run(folder: RunFolder, test_split: str) -> list[Look]:
    """Return the looks that a run folder keeps; none if they are of another split, or the file is damaged."""
    try:
        found = SplitLooks.model_validate_json(content_of(folder.looks))
    except (OSError, ValidationError):
        return []
    return found.looks if found.test_split == test_split else []


def _distinct(looks: Iterable[Look]) -> list[Look]:
    """Return the first look of each network."""
    first: dict[str, Look] = {}
    for each in looks:
        first.setdefault(each.weights, each)
    return [*first.values()]


def _recorded(test_split: str, looks: list[Look]) -> list[Look]:
    """Add looks to the file of a test split, and return all that it has then.

    Raises:
        OSError: The file cannot be read or written.
    """
    folder = looks_folder()
    if folder is None:
        raise FileNotFoundError("no home folder; set HOME or XDG_DATA_HOME")
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / f"{test_split}.jsonl") as file:
        known = _distinct(_lines(file))
        found = _distinct([*known, *looks])[:MAX_LOOKS]
        file.write(b"".join(b"\n" + each.model_dump_json().encode() for each in found[len(known) :]))
    trim(folder, "*.jsonl", MAX_BYTES)
    return found


@contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to read and to append to while no other process does; it is never replaced, only appended to."""
    with path.open("a+b", buffering=0) as file:
        file.seek(0)
        lock(file.fileno(), wait=True)
        yield file


def _lines(file: IO[bytes]) -> Iterator[Look]:
    """Yield the looks of a file; a line that a killed process or a full disk cut short is none."""
    for line in file.read().splitlines():
        try:
            yield Look.model_validate_json(line)
        except ValidationError:
            continue

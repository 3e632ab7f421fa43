"""Every error that a user can cause or must act on.

    NNClassifyError
    ├── ConfigError       the YAML, or an override of it, is wrong; carries every problem found
    ├── InputError        a command's arguments or a file to predict are wrong
    ├── DataError         a dataset cannot be read or cannot be learned from
    │   ├── MissingValueError   a value is missing, NaN or infinite
    │   └── LabelError          labels are no class indices, or a class has no example
    ├── ModelError        a network does not fit its input or its loss
    ├── DeviceError       a device was asked for that is not available
    ├── CheckpointError   a run or a checkpoint is missing, damaged or of another kind
    ├── SaveError         something could not be written: a full disk, a folder without permission
    ├── TrainingError     training failed: diverged, or stopped by an error
    └── Interrupted       a signal stopped the run; everything is saved

A message is one line that says where, what was found, what was expected and what to do. The exit codes are
part of the command line's interface: 2 for what the user can fix before the run, 3 for a run that failed.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence

ConfigPath = tuple[str | int, ...]
"""A place in a config: keys, and the places of a list's entries from 0."""


class NNClassifyError(Exception):
    """Base of all errors that end a command with a message instead of a traceback.

    Attributes:
        path: The key of the config that the message begins with; empty where it is about something else.
    """

    exit_code = 2

    def __init__(self, message: str = "", path: ConfigPath = ()) -> None:
        super().__init__(message)
        self.path = path

    @property
    def lines(self) -> list[str]:
        """One line per problem, safe to print on a terminal whatever names contain."""
        return [printable(str(self))]


class ConfigError(NNClassifyError):
    """The config is wrong.

    Attributes:
        problems: One line a problem, each with its file, line and path.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)

    @property
    def lines(self) -> list[str]:
        """Each of the problems."""
        return [printable(problem) for problem in self.problems]


class InputError(NNClassifyError):
    """A command's arguments, or an input to predict, are wrong."""


class DataError(NNClassifyError):
    """A dataset cannot be read, or cannot be learned from.

    Attributes:
        problems: All that is wrong with it, one line each.
    """

    def __init__(self, message: str | Sequence[str] = "", path: ConfigPath = ()) -> None:
        self.problems = [message] if isinstance(message, str) else list(message)
        super().__init__("\n".join(self.problems), path)

    @property
    def lines(self) -> list[str]:
        """Each of the problems."""
        return [printable(problem) for problem in self.problems] if len(self.problems) > 1 else super().lines


class MissingValueError(DataError):
    """A value is missing, NaN or infinite."""


class LabelError(DataError):
    """Labels are no class indices, or a class has no example."""


class ModelError(NNClassifyError):
    """A network does not fit its input, or its output does not fit its loss."""


class DeviceError(NNClassifyError):
    """A device was asked for that this machine does not have."""


class CheckpointError(NNClassifyError):
    """A run or a checkpoint is missing, damaged, or not a checkpoint at all."""


class SaveError(NNClassifyError):
    """Something could not be written; what was there before is untouched."""

    exit_code = 3


class TrainingError(NNClassifyError):
    """Training failed; the last good checkpoint is kept."""

    exit_code = 3


class Interrupted(NNClassifyError):
    """A signal stopped the run after everything was saved.

    Attributes:
        exit_code: 128 + the signal's number: 130 for Ctrl-C.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: Python's, torch's, which says so in a RuntimeError, or a library's that is loaded."""
    words = ("allocate memory", "out of memory", "failed to map segment")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | ImportError) and any(said in str(error) for said in words)
    )


_JOINERS = "\u200c\u200d"
"""Invisible characters that Persian words and joined emoji are spelled with."""


def printable(text: str, keep: str = "") -> str:
    """The text with each control character, line break, change of direction or stray surrogate as an escape.

    Names come from files and command lines: shown raw, they could break a line in two, color a terminal, or reverse
    the letters after them. An undecodable byte of a file name, which Python holds as a surrogate, is shown as `\\xff`.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character in keep or character in _JOINERS or not _is_control(character) else _escaped(character)
        for character in text
    )


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # PEP 383: byte 0xNN of an undecodable name is U+DCNN
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def one_line(cause: object, limit: int = 200) -> str:
    """The first line of an error's text, for use inside another message."""
    text = str(cause).strip() or type(cause).__name__
    return text.splitlines()[0][:limit].rstrip(". ")


def counted(number: int, thing: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {thing}{'s' * (number != 1)}"


def some(items: Sequence[object], limit: int = 3) -> str:
    """The first few, and how many more there are: `a, b, c and 4 more`."""
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(map(str, items[:limit])) + more


SYNONYMS = {
    "activation_function": ("activation",),
    "early_stopping": ("patience",),
    "filters": ("channels",),
    "gradient_clipping": ("clip_grad_norm",),
    "kernel_size": ("kernel",),
    "layers": ("blocks", "hidden"),
    "learning_rate": ("lr",),
    "max_epochs": ("epochs",),
    "num_epochs": ("epochs",),
    "random_state": ("seed",),
}
"""What other tools call a key of ours; of several, the first that is allowed is meant."""


def dotted(path: ConfigPath) -> str:
    """A path for people, who count from one: `model.blocks.4th.kernel`."""
    parts = [ordinal(part + 1) if isinstance(part, int) else printable(part[:MAX_WORD]) for part in path]
    return ".".join(parts) or "the config"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, ..., 11th, ..., 21st."""
    teen = number // 10 % 10 == 1
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


MAX_WORD = 100
"""Characters of a word that has a near one among ours: comparing takes time that grows with the square."""


def nearest(found: object, allowed: Iterable[str]) -> str | None:
    """The allowed name that is meant by another; None where none is near."""
    allowed, word = list(allowed), str(found)[: MAX_WORD + 1].lower()
    if len(word) > MAX_WORD:
        return None
    synonyms = [name for name in SYNONYMS.get(word, ()) if name in allowed]
    return next(iter(synonyms or difflib.get_close_matches(word, allowed, 1, 0.5)), None)


def suggestion(found: object, allowed: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing where no allowed name is near."""
    near = nearest(found, allowed)
    return "" if near is None else f"; did you mean {near!r}?"

"""All errors that a user can cause or must act on.

    NNClassifyError
    ├── ConfigError       the YAML or an override is invalid; lists every problem found
    ├── InputError        a command's arguments or a file to predict are invalid
    ├── DataError         a dataset cannot be read or cannot be learned from
    │   ├── MissingValueError   a value is missing, NaN or infinite
    │   └── LabelError          labels are not class indices, or a class has no examples
    ├── ModelError        a network does not fit its input or its loss
    │   └── TrustError          code of the user's own would run, and nobody has allowed it
    ├── DeviceError       the requested device is not available
    ├── CheckpointError   a run or a checkpoint is missing, damaged or of another kind
    ├── SaveError         a file could not be written: a full disk, no permission
    ├── TrainingError     training failed: it diverged, or an error stopped it
    ├── Interrupted       a signal stopped the run; everything is saved
    ├── OtherProcessError another process of the run cannot start
    └── WorkerError       a process ends for a reason that the first process prints

A message is one line that says where the problem is, what was found, what was expected and what to do. Exit codes
are part of the command line's interface: 2 for what the user can fix before the run, 3 for a run that failed.
"""

from __future__ import annotations

import difflib
import errno
import os
import shlex
import unicodedata
from collections.abc import Iterable, Sequence

ConfigPath = tuple[str | int, ...]
"""A position in a config: keys, and list indices from 0."""


class NNClassifyError(Exception):
    """Base class of all errors that end a command with a message instead of a traceback.

    Attributes:
        problems: One line per problem.
        path: The config key that the message begins with; empty if it is not about a key.
    """

    exit_code = 2

    def __init__(self, message: str | Sequence[str] = "", path: ConfigPath = ()) -> None:
        self.problems = [message] if isinstance(message, str) else list(message)
        super().__init__("\n".join(self.problems))
        self.path = path

    @property
    def lines(self) -> list[str]:
        """Return one line per problem, safe to print on a terminal whatever the names contain."""
        return [printable(text) for text in (self.problems if len(self.problems) > 1 else [str(self)])]


class ConfigError(NNClassifyError):
    """The config is invalid; there is a problem for each line with its file, line and key."""


class InputError(NNClassifyError):
    """A command's arguments, or an input to predict, are invalid."""


class DataError(NNClassifyError):
    """A dataset cannot be read, or cannot be learned from."""


class MissingValueError(DataError):
    """A value is missing, NaN or infinite."""


class LabelError(DataError):
    """Labels are not class indices, or a class has no examples."""


class ModelError(NNClassifyError):
    """A network does not fit its input, or its output does not fit its loss."""


class TrustError(ModelError):
    """A config or a checkpoint names Python code of the user's own, and nobody has allowed it to run."""


class DeviceError(NNClassifyError):
    """The requested device is not available on this machine."""


class CheckpointError(NNClassifyError):
    """A run or a checkpoint is missing, damaged, or not a checkpoint."""


class SaveError(NNClassifyError):
    """A file could not be written; its previous version is unchanged."""

    exit_code = 3


class TrainingError(NNClassifyError):
    """Training failed: it diverged, or an error stopped it."""

    exit_code = 3


class Interrupted(NNClassifyError):
    """A signal stopped the run; everything is saved.

    Attributes:
        exit_code: 128 + the signal number, such as 130 for Ctrl-C.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class OtherProcessError(NNClassifyError):
    """Another process of the run cannot start; the problems are those that it found."""


class WorkerError(NNClassifyError):
    """A process other than the first one ends for a reason that the first one prints."""

    def __init__(self, cause: NNClassifyError) -> None:
        super().__init__(cause.problems)
        self.exit_code = cause.exit_code


def root_cause(error: BaseException) -> BaseException:
    """Return the error that the given one was raised from, and that one, to the first."""
    while (earlier := error.__cause__ or error.__context__) is not None:
        error = earlier
    return error


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of Python, of torch, or of loading a library means that memory ran out."""
    words = ("allocate memory", "out of memory", "failed to map segment")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | ImportError) and any(said in str(error) for said in words)
    )


def exhausted(error: BaseException) -> str | None:
    """Return which limit of the system an error means, and what to do; None for any other error."""
    if is_out_of_memory(error):
        return f"out of memory ({one_line(error)}); use a smaller batch_size, dataset.size, dataset.limit or model"
    if any(os.strerror(number) in str(error) for number in (errno.EMFILE, errno.ENFILE)):
        return f"too many open files ({one_line(error)}); allow more, such as with: ulimit -n 1024"
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return f"no more threads ({one_line(error)}); allow more, such as with: ulimit -u 4096"
    return None


_JOINERS = "\u200c\u200d"
"""Invisible characters that are part of Persian words and joined emoji."""


def printable(text: str, keep: str = "") -> str:
    """Escape control characters, line breaks, bidirectional controls and surrogates in a text.

    Names come from files and command lines: printed as they are, they could break a line, color a terminal, or
    reverse the following letters. An undecodable byte in a file name, which Python represents as a surrogate,
    becomes `\\xff`.
    """
    if text.isprintable():
        return text
    return "".join(
        _escaped(character)
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in keep + _JOINERS
        else character
        for character in text
    )


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # PEP 383: byte 0xNN of an undecodable name is U+DCNN
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def one_line(cause: object, limit: int = 200) -> str:
    """Return the first line of an error's text, for use in another message."""
    text = str(cause).strip() or type(cause).__name__
    return text.splitlines()[0][:limit].rstrip(". ")


def shell_command(*words: object) -> str:
    """Return a command of nnclassify as one types it into a shell: `nnclassify report 'my run'`."""
    return shlex.join(["nnclassify", *map(str, words)])


def counted(number: int, thing: str) -> str:
    """Return `1 file`, `2 files`, `2 classes`."""
    ending = "es" if thing.endswith("s") else "s"
    return f"{number:,} {thing}{ending * (number != 1)}"


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it: `12.3 s`, `4.5 min` or `6.7 h`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def bytes_text(number: int) -> str:
    """Return a number of bytes with a unit: `1.5 MB`."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= scale:
            return f"{number / scale:.1f} {unit}"
    return f"{number} B"


def some(items: Sequence[object], limit: int = 3) -> str:
    """Return the first few items and the number of others: `a, b, c and 4 more`."""
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(map(str, items[:limit])) + more


def some_names(names: Sequence[str], limit: int) -> str:
    """Return the first few names as `some` does; a name with a comma of its own is in quotes."""
    return some([f"'{name}'" if "," in name else name for name in names], limit)


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
"""Keys of other tools and our names for them; the first one allowed in the context is suggested."""


def dotted(path: ConfigPath) -> str:
    """Return a config path with list positions counted from one: `model.blocks.4th.kernel`."""
    parts = [ordinal(part + 1) if isinstance(part, int) else printable(part[:MAX_WORD]) for part in path]
    return ".".join(parts) or "the config"


def ordinal(number: int) -> str:
    """Return 1st, 2nd, 3rd, 4th, ..., 11th, ..., 21st."""
    teen = number // 10 % 10 == 1
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


MAX_WORD = 100
"""Longest word to find a similar name for, in characters: the comparison takes quadratic time."""


def nearest(found: object, allowed: Iterable[str]) -> str | None:
    """Return the allowed name most similar to another, or None if none is similar."""
    allowed, word = list(allowed), str(found)[: MAX_WORD + 1].lower()
    if len(word) > MAX_WORD:
        return None
    synonyms = [name for name in SYNONYMS.get(word, ()) if name in allowed]
    return next(iter(synonyms or difflib.get_close_matches(word, allowed, 1, 0.5)), None)


def suggestion(found: object, allowed: Iterable[str]) -> str:
    """Return `; did you mean 'x'?`, or nothing if no allowed name is similar."""
    near = nearest(found, allowed)
    return "" if near is None else f"; did you mean {near!r}?"

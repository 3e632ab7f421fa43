"""Options of a model or loss that is the user's own Python code, and the calls of that code.

What runs is the content of the file, which checkpoints record: a run can be used where the file is missing, and a
changed file is reported.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, JsonValue

from nnclassify.errors import ModelError, TrustError, one_line, some, suggestion
from nnclassify.files.paths import is_regular, why_no_file
from nnclassify.files.python_source import described, importable, is_trusted, local_modules, run
from nnclassify.settings import PlacePath, Settings

MAX_BYTES = 2**20
"""Maximum size of a source file; a larger file is hardly source code."""


class UserCode(Settings):
    """Options of a member that is Python code of the user's own. It runs only with `--trust`."""

    family: ClassVar[str]
    """The key of the config section, `model` or `loss`."""

    file: Annotated[PlacePath, Field(min_length=1)]
    """The Python file, relative to the working directory. While it loads, it can import modules of its own folder;
    checkpoints carry those that `import` statements name."""
    options: dict[str, JsonValue] = Field(default_factory=dict)
    """Keyword arguments of the class or function."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """SHA-256 of `file` and the modules of its folder that it imports; another content is refused. Default: any content
    is accepted, and the run records it."""
    source: Annotated[str, Field(max_length=MAX_BYTES)] | None = None
    """Content of `file`, which is then not read. Checkpoints record it."""
    modules: dict[str, Annotated[str, Field(max_length=MAX_BYTES)]] | None = None
    """Content of the modules of its folder that `file` imports, by path. Checkpoints record it."""

    def completed(self) -> Self:
        """Return the same member with the content of the file, and its SHA-256.

        Raises:
            ModelError: The file cannot be read, or is not the one whose SHA-256 was recorded.
        """
        source, modules = self._read_all() if self.source is None else (self.source, self.modules)
        digest, of_file = _digest(source, modules), _digest(source, None)
        if self.sha256 not in (None, digest, of_file):  # earlier releases recorded that of the file alone
            raise ModelError(
                f"{self.family}.file: {self.file} is not the file that was recorded (SHA-256 {digest}, expected "
                f"{self.sha256}); change it{' and what it imports' if modules else ''} back, or remove "
                f"{self.family}.sha256 for a new run",
                (self.family, "file"),
            )
        return self.model_copy(update={"source": source, "modules": modules, "sha256": digest})

    @abstractmethod
    def target(self) -> str:
        """Return the name of the class or function that is called."""

    def changed(self) -> str | None:
        """Say that the file has changed since the run was trained; None if it has not, or is missing."""
        if self.source is None or not is_regular(Path(self.file)):
            return None
        try:
            source, modules = self._read_all()
        except ModelError:
            source, modules = "", {}
        known = self.modules or {}
        changed = [str(Path(self.file).parent / name) for name in known if (modules or {}).get(name) != known[name]]
        changed = [self.file] * (source != self.source) + changed
        return (
            f"{some(changed)}: changed since the run was trained; the checkpoint's own copy is used"
            if changed
            else None
        )

    def call(self, supplied: Mapping[str, Any]) -> Any:
        """Load the file and call its class or function with the options.

        Args:
            supplied: Further keyword arguments, each passed where there is a parameter of that name.

        Raises:
            TrustError: User code may not run here.
            ModelError: There is no such class or function, it does not take the options, or it raised an error.
        """
        with self._loaded() as called:
            return called(**self._arguments(called, supplied))

    def bound(self, num_given: int) -> Callable[..., Any]:
        """Load the file; returns its function with the options bound.

        Args:
            num_given: Number of positional arguments that each call will pass.

        Raises:
            TrustError, ModelError: As `call`.
        """
        with self._loaded() as called:
            return partial(called, **self._arguments(called, {}, num_given))

    @contextmanager
    def _loaded(self) -> Iterator[Callable[..., Any]]:
        """Yield the class or function; until the end, its folder can be imported from, and its errors are explained."""
        code = self.completed()
        check_trust(code)
        assert code.source is not None
        name = self.target()
        with importable(self._folder, code.modules or {}), self.explained():
            found = run(self.file, code.source)
            called = found.get(name)
            if not callable(called):
                module = found["__name__"]
                own = [key for key, value in found.items() if getattr(value, "__module__", None) == module]
                what = f"{self.file} has no class or function {name!r}{suggestion(name, own)}"
                raise ModelError(f"{self.family}: {what}; it defines {', '.join(own) or 'none'}", (self.family,))
            yield called

    @property
    def _folder(self) -> Path:
        return Path(self.file).resolve().parent

    def _read_all(self) -> tuple[str, dict[str, str] | None]:
        """Read the file, and the modules of its folder that it imports; None if it imports none."""
        source = self._read(Path(self.file))
        return source, local_modules(source, self._folder, self._read) or None

    def _read(self, path: Path) -> str:
        if not is_regular(path):
            what = f"{self.family}.file: {path}: {why_no_file(path)}; expected a Python file"
            raise ModelError(what, (self.family, "file"))
        try:
            content = path.read_bytes()
            if len(content) > MAX_BYTES:
                raise ValueError(f"{len(content)} bytes, more than {MAX_BYTES}")
            return content.decode()
        except (OSError, ValueError) as cause:
            what = f"{self.family}.file: {path}: cannot be read ({one_line(cause)}); expected Python source in UTF-8"
            raise ModelError(what, (self.family, "file")) from cause

    def _arguments(self, called: Callable[..., Any], supplied: Mapping[str, Any], num_given: int = 0) -> dict[str, Any]:
        """Return the keyword arguments of a call, which follow `num_given` positional ones.

        Raises:
            ModelError: An option has no parameter, or a parameter has no value.
        """
        parameters = dict(list(_signature(called).parameters.items())[num_given:])
        takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        options, where = f"{self.family}.options", (self.family, "options")
        names = [name for name in parameters if name not in supplied]
        for key in self.options:
            if key in supplied:
                raise ModelError(f"{options}: {key!r} is set from the data; remove it", where)
            if key not in parameters and not takes_any:
                hint = f"{suggestion(key, names)}; its parameters: {', '.join(names) or 'none'}"
                raise ModelError(f"{options}: {self.target()} of {self.file} has no parameter {key!r}{hint}", where)
        given = {**{key: value for key, value in supplied.items() if key in parameters}, **self.options}
        variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        for name, parameter in parameters.items():
            if name not in given and parameter.default is parameter.empty and parameter.kind not in variadic:
                from_data = f"; from the data come {', '.join(supplied)}" if supplied else ""
                raise ModelError(f"{options}: {self.target()} of {self.file} needs {name!r}; add it{from_data}", where)
        return given

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn whatever user code raises into an error that names its line."""
        try:
            yield
        except ModelError:
            raise
        except (Exception, SystemExit) as cause:
            what = described(cause) or f"{self.file}: {type(cause).__name__}: {one_line(cause)}"
            raise ModelError(f"{self.family}: {what}", (self.family,)) from cause


def _signature(called: Callable[..., Any]) -> inspect.Signature:
    """Return the signature; from Python 3.14 on, annotations may be names that only a type checker knows (PEP 649)."""
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        return inspect.signature(called, annotation_format=Format.STRING)
    return inspect.signature(called)


def _digest(source: str, modules: Mapping[str, str] | None) -> str:
    """Return the SHA-256 of a file, or of the file and modules."""
    if not modules:
        return hashlib.sha256(source.encode()).hexdigest()
    return hashlib.sha256(json.dumps([source, modules], sort_keys=True).encode()).hexdigest()


CONTENT = {"source", "modules"}
"""Options that hold content, of which `sha256` tells enough."""


def check_trust(*members: Settings) -> None:
    """Refuse user code among the members of a config, unless it may run.

    Raises:
        TrustError: It may not; the message says what would run.
    """
    code = [member for member in members if isinstance(member, UserCode)]
    if not code or is_trusted():
        return
    what = " and ".join(
        f"{member.target()} of {member.file}{''.join(f', with {some([*member.modules])}' if member.modules else '')} "
        f"(SHA-256 {str(member.sha256)[:12]}...)"
        for member in code
    )
    raise TrustError(
        f"{code[0].family}: would run {what}, which can do anything that you can; read it, then allow it with --trust "
        "(from Python: trust=True)",
        (code[0].family,),
    )

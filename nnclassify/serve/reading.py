"""From the body of a request to the inputs of a network: files in a form, or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Any

from nnclassify.data.tables.csv_inputs import listed
from nnclassify.data.tables.frames import FrameRows
from nnclassify.errors import InputError, one_line, printable, some, suggestion
from nnclassify.inference.classifier import Classifier, reader_of
from nnclassify.inference.inputs import FileContent, RawInput
from nnclassify.serve.limits import Limits, Refusal

MAX_NAME = 100
"""Characters of a file's name in an answer."""
EXPECTED = 'expected {"inputs": [...]}'
SCALARS = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class RequestReader:
    """Reads the bodies of requests.

    Attributes:
        network: The network.
        limits: The limits of an image and of the number of inputs.
    """

    network: Classifier
    limits: Limits

    def read(self, content_type: str, body: bytes, note: Callable[[str], object]) -> list[RawInput]:
        """Return the inputs in a body, all of which could be read.

        Args:
            content_type: The header of that name.
            body: The body.
            note: Called with what is to be said of an input that is predicted all the same.

        Raises:
            Refusal: The body is of another type, damaged, or too large, or an input cannot be read.
        """
        kind, parameters = _media_type(content_type)
        if kind == "multipart/form-data":
            items: Sequence[tuple[str, Any]] = self._files(parameters.get("boundary", ""), body)
        elif kind == "application/json":
            items = self._values(_parsed(body), note)
        else:
            found = f"found {printable(kind[:MAX_NAME])!r}" if kind else "found none"
            raise Refusal(415, f"Content-Type: {found}, expected multipart/form-data with files, or application/json")
        return self._read_all(items, note)

    def _read_all(self, items: Sequence[tuple[str, Any]], note: Callable[[str], object]) -> list[RawInput]:
        reader = reader_of(self.network, note)
        inputs: list[RawInput] = []
        for name, item in items:
            for found in reader.read(name, item):
                inputs.append(found)
                self._check_count(len(inputs))
        if problems := [each.error for each in inputs if each.error is not None]:
            raise Refusal(422, *problems)
        return inputs

    def _check_count(self, count: int) -> None:
        if count > self.limits.max_inputs:
            raise Refusal(413, f"found more than {self.limits.max_inputs} inputs; send fewer at a time")

    def _files(self, boundary: str, body: bytes) -> list[tuple[str, FileContent]]:
        """Return the files of a form; they stay in memory, and their names are used in messages alone."""
        from python_multipart.exceptions import FormParserError
        from python_multipart.multipart import Field, File, FormParser

        files: list[tuple[str, FileContent]] = []
        ended: list[bool] = []

        def add(file: File) -> None:
            self._check_count(len(files) + 1)
            name = _clean(file.file_name) or f"file {len(files) + 1}"
            content = file.file_object
            content.seek(0)
            files.append((name, FileContent(name, content.read(), self.limits.max_pixels)))

        def refuse(field: Field) -> None:
            raise Refusal(422, f"field {_clean(field.field_name)!r}: found text, expected a file")

        try:
            if not boundary:
                raise Refusal(400, "Content-Type: multipart/form-data without a boundary")
            config: Any = {"MAX_MEMORY_FILE_SIZE": self.limits.max_bytes + 1}
            parser = FormParser(
                "multipart/form-data",
                refuse,
                add,
                lambda: ended.append(True),
                boundary.encode("latin-1"),
                config=config,
            )
            parser.write(body)
            parser.finalize()
        except (FormParserError, UnicodeError, AssertionError) as cause:  # a part without headers fails an assertion
            raise Refusal(400, f"body: not a form ({one_line(cause)}); expected multipart/form-data") from cause
        if not ended:
            raise Refusal(400, "body: ends before its last boundary; expected a complete form")
        if not files:
            raise Refusal(422, "body: a form without files; expected at least one file")
        return files

    def _values(self, content: object, note: Callable[[str], object]) -> list[tuple[str, Any]]:
        """Return the inputs of a JSON object: rows of a table together, tensors each for itself."""
        if not isinstance(content, dict) or "inputs" not in content:
            raise Refusal(422, f"body: found {_kind(content)}, {EXPECTED}")
        if others := sorted(content.keys() - {"inputs"}):
            raise Refusal(422, f"body: unknown key {printable(others[0][:MAX_NAME])!r}; {EXPECTED}")
        inputs = content["inputs"]
        if not isinstance(inputs, list) or not inputs:
            found = "an empty list" if inputs == [] else _kind(inputs)
            raise Refusal(422, f"inputs: found {found}, expected a list of examples")
        self._check_count(len(inputs))
        if len(self.network.transform.input_shape) == 1:
            return [("inputs", self._records(inputs, note))]
        if wrong := [place for place, item in enumerate(inputs) if not isinstance(item, list)]:
            raise Refusal(422, f"inputs[{wrong[0]}]: found {_kind(inputs[wrong[0]])}, expected nested lists of numbers")
        return [(f"inputs[{place}]", item) for place, item in enumerate(inputs)]

    def _records(self, inputs: Sequence[object], note: Callable[[str], object]) -> FrameRows:
        """Return rows of named columns, which are read like a data frame: it may have more columns."""
        names, count = self.network.transform.columns, self.network.transform.num_columns
        problems: list[str] = []
        rows: list[Sequence[Any]] = []
        for place, item in enumerate(inputs):
            try:
                rows.append(_cells(item, names, count))
            except InputError as error:
                problems.append(f"inputs[{place}]: {error}")
        if problems:
            raise Refusal(422, *problems)
        keys = dict.fromkeys(key for item in inputs if isinstance(item, dict) for key in item)
        if others := [repr(printable(key[:MAX_NAME])) for key in keys if key not in (names or ())]:
            note(f"inputs: not columns of this network, and ignored: {some(others)}")
        return FrameRows("inputs", names or range(1, count + 1), rows)


def _cells(item: object, names: Sequence[str] | None, count: int) -> Sequence[Any]:
    """Return the cells of one row, in the order of the columns; refuse a missing column, and what is no cell."""
    if isinstance(item, dict):
        if names is None:
            raise InputError(f"found an object, but the columns of this network have no names; expected {count} values")
        if absent := [name for name in names if name not in item]:
            unknown = [name for name in item if name not in names]
            hint = suggestion(absent[0], unknown)
            raise InputError(f"no column {absent[0]!r}{hint}; this network takes {count}{listed(names)}")
        item = [item[name] for name in names]
    if not isinstance(item, list):
        raise InputError(f"found {_kind(item)}, expected a list of {count} values{listed(names)} or an object")
    if len(item) != count:
        raise InputError(f"{len(item)} values; this network takes {count}{listed(names)}")
    if wrong := [place for place, cell in enumerate(item) if not isinstance(cell, SCALARS)]:
        where = f"column {names[wrong[0]]!r}" if names else f"value {wrong[0] + 1}"
        raise InputError(f"{where}: found {_kind(item[wrong[0]])}, expected a number or a text")
    return item


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body, object_pairs_hook=_object)
    except (ValueError, RecursionError) as cause:  # UnicodeDecodeError is a ValueError
        raise Refusal(400, f"body: not JSON ({one_line(cause)}); {EXPECTED}") from cause


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; refuse a key that appears twice: which value is meant is not known."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {printable(key[:MAX_NAME])!r} appears twice")
        found[key] = value
    return found


def _media_type(content_type: str) -> tuple[str, Mapping[str, str]]:
    """Return the media type in lower case, and its parameters."""
    message = Message()
    message["Content-Type"] = printable(content_type)
    parameters = message.get_params(failobj=[])
    kind = parameters[0][0].strip().lower() if parameters else ""
    return kind, {name.lower(): value for name, value in parameters[1:]}


def _clean(name: bytes | None) -> str:
    """Return the name of an uploaded file or of a field for messages."""
    return printable((name or b"").decode("utf-8", "backslashreplace"))[:MAX_NAME]


def _kind(value: object) -> str:
    """Return what a value is called in JSON."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")

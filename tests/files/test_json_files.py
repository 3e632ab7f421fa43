"""Tests of JSON files that may be damaged."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nnclassify.files.json_files import read_json, read_record


@dataclass(frozen=True)
class Shelf:
    label: str = ""
    widths: dict[str, list[float]] = field(default_factory=dict)


@pytest.mark.parametrize("content", ["", "[1", "NaN", "[-Infinity]", "1e400", "[" * 100_000, "9" * 5000, "\0"])
def test_what_is_not_json_is_a_value_error(content: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(ValueError):
        read_json(path)


def test_a_record_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"label": "x", "widths": {"a": [1, 2.5]}}')
    assert read_record(path, Shelf) == Shelf("x", {"a": [1.0, 2.5]})


@pytest.mark.parametrize(
    "content",
    [
        "null",
        "[]",
        '{"label": 1}',
        '{"widths": 3}',
        '{"widths": {"a": ["x"]}}',
        f'{{"widths": {{"a": [1{"0" * 400}]}}}}',
    ],
)
def test_a_record_whose_values_have_other_types_is_a_value_error(content: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(ValueError):
        read_record(path, Shelf)

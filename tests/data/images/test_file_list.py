"""Tests of long file lists, which take little memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnclassify.data.images.file_list import END, FileCollector, FileList, ended, ended_and_sorted

NAMES = ["a/1.png", "b/é 🐈.png", "c/\udcff.png", "d"]


def test_a_list_is_the_sequence_of_its_paths() -> None:
    files = FileList.of(Path("root"), NAMES)
    assert [*files] == [Path("root") / name for name in NAMES] == [files[row] for row in range(4)]
    assert (len(files), files[-1], [*files[1:3]]) == (4, Path("root/d"), [Path("root") / name for name in NAMES[1:3]])
    assert files.example_names().of(__import__("torch").tensor([2, 0])) == [NAMES[2], NAMES[0]]


def test_lists_are_joined_and_collected_in_order() -> None:
    collector = FileCollector(Path("root"))
    collector.add("é/", ended(["1", "ü"]))
    collector.add("", ended([]))
    collector.add("x/", ended(["2"]))
    joined = FileList.joined(
        Path("root"), [collector.files(), FileList.of(Path("root"), []), FileList.of(Path("root"), NAMES)]
    )
    assert [*joined.names()] == ["é/1", "é/ü", "x/2", *NAMES]
    assert len(FileList.joined(Path("root"), [])) == 0


@pytest.mark.parametrize(
    "names", ["", "b a", "ä b1 é", "bb ä aa", "cde a", "ab cdefgh x", "z\udcff a\udcff", "a.png abc"]
)
def test_names_are_sorted_by_their_characters(names: str) -> None:
    assert ended_and_sorted(names.split()).split(END)[:-1] == sorted(names.split())


def test_a_million_files_take_their_names_and_eight_bytes_each() -> None:
    files = FileList.of(Path("root"), [f"{number:07d}.png" for number in range(10_000)])
    assert files.text.nbytes + files.ends.nbytes == 10_000 * (11 + 8) + 8

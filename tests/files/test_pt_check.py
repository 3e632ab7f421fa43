import itertools
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nnclassify.files.pt_check import Refused, check_archive, plain_content


def saved(path: Path, content: Any) -> dict[str, bytes]:
    torch.save(content, path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(path: Path, records: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    return path


def test_tensors_in_plain_containers_pass(tmp_path: Path) -> None:
    content = {"a": torch.zeros(2, 3, 4, 4).to(memory_format=torch.channels_last), "b": [1, 2.5, None, (True, "x")]}
    saved(tmp_path / "a.pt", {**content, "empty": torch.zeros(0), "shared": content["a"], "view": torch.zeros(9)[2:4]})
    check_archive(tmp_path / "a.pt")


def test_compressed_entries_are_refused(tmp_path: Path) -> None:
    """Two megabytes of deflated zeros are two gigabytes in memory."""
    records = saved(tmp_path / "a.pt", torch.zeros(1000))
    with pytest.raises(Refused, match="compressed"):
        check_archive(written(tmp_path / "b.pt", records, zipfile.ZIP_DEFLATED))


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    saved(tmp_path / "a.pt", torch.zeros(1000))
    damaged = bytearray((tmp_path / "a.pt").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "a.pt").write_bytes(damaged)
    with pytest.raises(Refused, match="checksum"):
        check_archive(tmp_path / "a.pt")


def test_a_tensor_longer_than_its_record_is_refused(tmp_path: Path) -> None:
    """torch takes the pickle's word for the length, and reads beyond the record."""
    records = saved(tmp_path / "a.pt", torch.zeros(1000))
    records["a/data/0"] = records["a/data/0"][:400]
    with pytest.raises(Refused, match="has the wrong length"):
        check_archive(written(tmp_path / "b.pt", records))


def test_a_tensor_that_repeats_one_number_without_end_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "a.pt", torch.zeros(1).expand(10**9))
    with pytest.raises(Refused, match="larger than its storage"):
        check_archive(tmp_path / "a.pt")


def test_lists_of_lists_twice_are_refused(tmp_path: Path) -> None:
    content: list[Any] = []
    for _ in range(60):
        content = [content, content]
    saved(tmp_path / "a.pt", content)
    with pytest.raises(Refused, match="values"):
        check_archive(tmp_path / "a.pt")


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(print, protocol=2),
        b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00trueR.",
        b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
        b"\x80\x02]r\xff\xff\xff\x7f.",
        b"\x80\x02(lp0\n.",
    ],
    ids=["function", "command", "a gigabyte of zeros", "memo beyond its end", "another instruction"],
)
def test_pickles_that_are_not_plain_data_are_refused(tmp_path: Path, content: bytes) -> None:
    records = {**saved(tmp_path / "a.pt", torch.zeros(2)), "a/data.pkl": content}
    with pytest.raises(Refused):
        check_archive(written(tmp_path / "b.pt", records))


def test_an_entry_twice_is_refused(tmp_path: Path) -> None:
    records = saved(tmp_path / "a.pt", torch.zeros(2))
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for name, content in [*records.items(), ("a/data.pkl", b"")]:
            archive.writestr(name, content)
    with pytest.raises(Refused, match="twice"):
        check_archive(tmp_path / "a.pt")


def prepended(content: bytes) -> bytes:
    """What Python's zipfile reads and torch does not see."""
    return bytes(100) + content


def end_of(content: bytes) -> int:
    return content.rindex(b"PK\5\6")


@pytest.mark.parametrize(
    "change",
    [
        prepended,
        lambda content: content + content,
        lambda content: content + b"x",
        lambda content: content[:-2] + b"\x03\x00PK\5",
        lambda content: content[: end_of(content)] + content[end_of(content) :] * 2,
        lambda content: content[: end_of(content) - 20] + content[end_of(content) :],
        lambda content: content.replace(b"a/data/0", b"a/data/1", 1),
        lambda content: content.replace(b"a/data/0", b"A/DATA/0"),
        lambda content: content.replace(b"PK\7\x08", b"PK\7\x09", 1),
        lambda content: content[: content.index(b"PK\1\2")] + b"x" + content[content.index(b"PK\1\2") :],
        lambda content: content[:50],
        lambda content: b"",
    ],
    ids=[
        *("prepended", "twice", "appended", "comment", "two ends", "no locator", "another name", "other case"),
        *("no description", "before the directory", "cut", "empty"),
    ],
)
def test_what_zip_readers_would_see_differently_is_refused(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    saved(tmp_path / "a.pt", torch.arange(20))
    (tmp_path / "b.pt").write_bytes(change((tmp_path / "a.pt").read_bytes()))
    with pytest.raises((Refused, struct.error)):
        check_archive(tmp_path / "b.pt")


def test_every_byte_of_the_directory_counts(tmp_path: Path) -> None:
    """A changed byte is refused, or is one that no reader looks at: dates, versions, attributes."""
    saved(tmp_path / "a.pt", torch.arange(20))
    content = (tmp_path / "a.pt").read_bytes()
    directory = content.index(b"PK\1\2")
    taken = []
    for place in range(directory, len(content), 5):
        (tmp_path / "b.pt").write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        try:
            check_archive(tmp_path / "b.pt")
        except (Refused, struct.error):
            continue
        taken.append(place)
        assert torch.load(tmp_path / "b.pt", weights_only=True).tolist() == list(range(20))
    assert 0 < len(taken) < 0.5 * (len(content) - directory)


def test_entries_that_torch_does_not_write_are_refused(tmp_path: Path) -> None:
    records = saved(tmp_path / "a.pt", torch.zeros(2))
    for name in ("a/constants.pkl", "b/data/0", "data.pkl", "a/code/x.py"):
        with pytest.raises(Refused, match=r"data\.pkl"):
            check_archive(written(tmp_path / "b.pt", {**records, name: b""}))


def test_keys_that_can_be_made_to_collide_are_refused(tmp_path: Path) -> None:
    """The hashes of -1 and -2 are the same: of tuples of them, n take n^2 / 2 comparisons."""
    keys = itertools.product((-1, -2), repeat=4)
    saved(tmp_path / "a.pt", dict.fromkeys(keys, 0))
    with pytest.raises(Refused, match="keys"):
        check_archive(tmp_path / "a.pt")


def test_a_negative_bit_is_named(tmp_path: Path) -> None:
    saved(tmp_path / "a.pt", torch.ones(3, dtype=torch.complex64).conj().imag)
    with pytest.raises(Refused, match="negative or conjugate bit"):
        check_archive(tmp_path / "a.pt")


def test_an_integer_of_more_than_64_bits_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "a.pt", {"step": 2**80})
    with pytest.raises(Refused, match="64 bits"):
        check_archive(tmp_path / "a.pt")


def test_what_is_no_checkpoint_has_no_content(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer
    (tmp_path / "damaged").write_bytes(b"PK")
    assert [plain_content(tmp_path / name) for name in ("pipe", "damaged", "missing", "")] == [{}] * 4

import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from nnclassify.archive import Refused, check_archive


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
    with pytest.raises(Refused, match="not as long as it says"):
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
    saved(tmp_path / "a.pt", torch.zeros(2))
    with zipfile.ZipFile(tmp_path / "a.pt", "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a/data.pkl", b"")
    with pytest.raises(Refused, match="twice"):
        check_archive(tmp_path / "a.pt")

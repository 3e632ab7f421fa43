"""Tests that a node reads its examples once; two processes are simulated one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import config_of

from nnclassify.data import Splits
from nnclassify.distributed.ranks import Ranks
from nnclassify.distributed.shared_examples import read_once


def played(monkeypatch: pytest.MonkeyPatch, other: Any = None) -> None:
    """Two processes, of which the first says what this one says, or `other`."""
    monkeypatch.setattr(Ranks, "all_gather_object", lambda self, value: [other or value, value])


def rows(splits: Splits) -> list[torch.Tensor]:
    """Inputs and targets of all splits."""
    found = [splits.split(name) for name in ("train", "validation", "test")]
    return [tensor for split in found if split is not None for tensor in split.select(torch.arange(len(split)))]


@pytest.mark.parametrize("dataset", [{"name": "digits", "limit": 60}, {"name": "iris", "validation": "test"}])
def test_what_is_read_once_is_what_was_read(dataset: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch)
    settings = config_of(dataset=dataset).dataset
    whole, shared = settings.build(0), read_once(Ranks(0, 2), lambda: settings.build(0))
    assert all(map(torch.equal, rows(whole), rows(shared)))
    assert (shared.class_names, shared.image_format, shared.feature_names) == (
        whole.class_names,
        whole.image_format,
        whole.feature_names,
    )
    assert shared.validation_is_test is whole.validation_is_test
    assert shared.test is not None and shared.train.inputs.data_ptr() == shared.test.inputs.data_ptr()


def test_examples_keep_their_names(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch)
    rows = "".join(f"P\u00e4 {row},{row},{row % 2}\n" for row in range(20))
    Path("t.csv").write_text(f"id,x,label\n{rows}", encoding="utf-8")
    for options in ({"id": "id"}, {"features": ["x"]}, {"group": "id", "share": 0.5}):
        settings = config_of(dataset={"name": "csv", "path": "t.csv", **options}).dataset
        whole, shared = settings.build(0), read_once(Ranks(0, 2), lambda settings=settings: settings.build(0))  # type: ignore[misc] # bound in the loop
        assert whole.train.all_names() == shared.train.all_names()
        assert whole.epoch_examples == shared.epoch_examples
        assert (shared.train.groups and shared.train.groups.names) == (whole.train.groups and whole.train.groups.names)
        assert shared.test is not None and shared.test.location(0, "t.csv").startswith("t.csv:")


def test_what_is_in_a_file_is_mapped_and_not_copied(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second process maps the file of the first, also once it has been removed."""
    pixels = np.random.default_rng(0).integers(0, 255, (400, 3, 32, 32), dtype=np.uint8)
    np.save("x.npy", pixels)
    np.save("y.npy", np.arange(400) % 2)
    settings = config_of(dataset={"name": "tensors", "train_inputs": "x.npy", "train_targets": "y.npy"}).dataset
    sizes: list[int] = []

    def gather(self: Ranks, value: Any) -> list[Any]:
        if value:
            sizes.append(Path(value).stat().st_size)
            Path("x.npy").unlink()
        return [value, value]

    monkeypatch.setattr(Ranks, "all_gather_object", gather)
    whole = settings.build(0)
    shared = read_once(Ranks(0, 2), lambda: settings.build(0))
    assert all(map(torch.equal, rows(whole), rows(shared)))
    assert sizes[0] < pixels.nbytes / 10
    assert shared.test is not None and shared.train.inputs.data_ptr() == shared.test.inputs.data_ptr()


def test_a_second_process_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, "nowhere")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_once(Ranks(1, 2), lambda: pytest.fail("it reads"))


def test_an_encoder_is_shared_with_the_examples(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "t.csv").write_text("c;n;label\n" + "".join(f"{'ab'[row % 2]};{row};{row % 3 % 2}\n" for row in range(40)))
    played(monkeypatch)
    settings = config_of(dataset={"name": "csv", "path": "t.csv", "categories": ["c"]}).dataset
    whole, shared = settings.build(0), read_once(Ranks(0, 2), lambda: settings.build(0))
    assert all(map(torch.equal, rows(whole), rows(shared)))
    assert (shared.encoder, shared.recognized) == (whole.encoder, {"delimiter": ";"})

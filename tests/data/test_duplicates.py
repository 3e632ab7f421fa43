"""Tests of duplicates: examples of the same content in different splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from builders import config_of

from nnclassify.data import Examples
from nnclassify.data.duplicates import Contents, duplicates


def test_the_first_example_of_the_same_content_in_another_part_is_found() -> None:
    rng = np.random.default_rng(0)
    for size in (0, 1, 7, 40):
        hashes, parts = rng.integers(0, 9, size).astype(np.uint64), rng.integers(0, 3, size)
        expected = [
            next((other for other in range(size) if hashes[other] == value and parts[other] != part), -1)
            for value, part in zip(hashes, parts, strict=True)
        ]
        assert duplicates(hashes, parts).tolist() == expected


def test_equal_inputs_have_equal_hashes_and_different_ones_have_others() -> None:
    inputs = torch.arange(24).reshape(6, 1, 2, 2).to(torch.uint8)
    inputs[4] = inputs[1]
    examples = Examples(inputs, torch.zeros(6, dtype=torch.int64), torch.tensor([5, 4, 1, 0]))
    hashes = examples.hashes().tolist()
    assert hashes[1] == hashes[2] and len(set(hashes)) == 3
    # SHA-256 of the bytes 0, 1, 2, 3, as `printf '\0\1\2\3' | sha256sum` prints it
    assert f"{hashes[3]:016x}" == "054edec1d0211f62"


def test_each_planted_duplicate_is_named(here: Path) -> None:
    rows = [f"{value},{value % 7},{'ab'[value % 2]}" for value in range(200)]
    Path("t.csv").write_text("\n".join(["x,y,label", *rows, *rows[:50], ""]))
    splits = config_of(dataset={"name": "csv", "path": "t.csv", "test": 0.4, "validation": 0.2}).dataset.build(0)
    contents = Contents(splits)
    found = list(contents.duplicates())
    split_of = {name: split for split, examples in contents.parts.items() for name in examples.all_names()}
    twins = [(str(line), str(line + 200)) for line in range(2, 52)]
    apart = {frozenset(pair) for pair in twins if split_of[pair[0]] != split_of[pair[1]]}
    assert {frozenset((one.name, one.duplicate_of)) for one in found} == apart and len(found) == len(apart) > 20
    assert all((one.split, one.other_split) == (split_of[one.name], split_of[one.duplicate_of]) for one in found)

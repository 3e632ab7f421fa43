"""Malformed tensor files: `.pt`, `.npy`, `.npz`, and checkpoints."""

from __future__ import annotations

import io
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nnclassify.errors import CheckpointError
from nnclassify.runs.checkpoint import content_digest, load_checkpoint
from reliability import hostile
from reliability.damage import damaged
from reliability.malformed import Case, Maker

COUNT = 12


def saved(content: Any, **options: Any) -> bytes:
    """What `torch.save` writes."""
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def _array(content: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, content, **options)
    return buffer.getvalue()


INPUTS = np.arange(COUNT * 3, dtype=np.float32).reshape(COUNT, 3)
TARGETS = np.arange(COUNT) % 2


def _spoiled(rng: random.Random) -> tuple[bool, Any]:
    """Whether the inputs are at fault, and an array that is no set of inputs, or no set of targets."""
    row, inputs, targets = rng.randrange(COUNT), INPUTS.copy(), TARGETS.copy()
    if rng.random() < 0.5:
        inputs[row, rng.randrange(3)] = rng.choice([np.nan, np.inf, -np.inf])
        others: list[Any] = [INPUTS.astype(np.complex64), INPUTS[:, 0], INPUTS[:0], INPUTS[:5]]
        return True, rng.choice([inputs, inputs, *others, INPUTS[:, :0], np.float32(3)])
    targets[row] = rng.choice([-1, -100, 2**31, 2**62, 77])
    others = [
        TARGETS[:5],
        TARGETS[:, None, None],
        TARGETS + 0.5,
        TARGETS * 0,
        TARGETS * 2,
        TARGETS[:0],
        TARGETS > 0,
    ]
    return False, rng.choice([targets, targets, *others[:-1]])


def _bytes_damaged(rng: random.Random, whole: bytes) -> bytes:
    kind = rng.choice(["cut", "cut", "none", "noise", "start", "text"])
    if kind == "cut":
        return whole[: rng.randrange(len(whole))]
    if kind == "none":
        return b""
    if kind == "noise":
        return rng.randbytes(rng.randint(1, 3000))
    if kind == "start":
        return rng.randbytes(8) + whole[8:]
    return rng.choice([b"hello\n", b"1,2,3\n", b"\x80\x02]q\x00.", b"<html></html>"])


def _training(inputs: bytes, targets: bytes, ending: str, *, bad_inputs: bool, suffix: str = "") -> Case:
    paths = f"train_inputs: x.{ending}{suffix}, train_targets: y.{ending}"
    config = f"dataset: {{name: tensors, {paths}}}\nmodel: mlp\nepochs: 1\n".encode()
    files = {f"x.{ending}": inputs, f"y.{ending}": targets, "run.yaml": config}
    return Case(files, ("train", "run.yaml", "--no-plots"), f"x.{ending}" if bad_inputs else f"y.{ending}")


def torch_file(rng: random.Random) -> Case:
    """A `.pt` that is damaged, holds something else, or a tensor that is no set of inputs or targets."""
    inputs, targets = torch.from_numpy(INPUTS), torch.from_numpy(TARGETS)
    kind = rng.choice(["bytes", "bytes", "flip", "values", "values", "other"])
    if kind == "values":
        bad_inputs, values = _spoiled(rng)
        bad = saved(torch.as_tensor(values))
        pair = (bad, saved(targets)) if bad_inputs else (saved(inputs), bad)
        return _training(*pair, "pt", bad_inputs=bad_inputs)
    if kind == "bytes":
        bad = _bytes_damaged(rng, saved(inputs))
    elif kind == "flip":
        content = bytearray(saved(inputs))
        start = content.index(INPUTS.tobytes())
        content[start + rng.randrange(INPUTS.nbytes)] ^= 1 << rng.randrange(8)
        bad = bytes(content)
    else:
        bad = _other(rng, inputs)
    return _training(bad, saved(targets), "pt", bad_inputs=True)


def _other(rng: random.Random, inputs: torch.Tensor) -> bytes:
    deflated = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(inputs))) as stored, zipfile.ZipFile(deflated, "w", 8) as packed:
        for name in stored.namelist():
            packed.writestr(name, stored.read(name))
    others: list[bytes] = [
        deflated.getvalue(),
        saved({"x": inputs}),
        saved([inputs]),
        saved(3),
        saved(None),
        saved(inputs.to_sparse()),
        saved(inputs, _use_new_zipfile_serialization=False),
        saved(torch.nn.Linear(3, 2)),
        saved(torch.zeros(1).expand(10**9)),
        pickle.dumps(print),
    ]
    return rng.choice(others)


def numpy_file(rng: random.Random) -> Case:
    """A `.npy` or `.npz` that is damaged, of another type, or no set of inputs or targets."""
    kind = rng.choice(["bytes", "bytes", "values", "values", "type", "header", "npz"])
    if kind == "values":
        bad_inputs, values = _spoiled(rng)
        pair = (_array(values), _array(TARGETS)) if bad_inputs else (_array(INPUTS), _array(values))
        return _training(*pair, "npy", bad_inputs=bad_inputs)
    if kind == "npz":
        return _archive(rng)
    if kind == "bytes":
        bad = _bytes_damaged(rng, _array(INPUTS))
    elif kind == "type":
        objects = np.array([{"a": 1}, print], dtype=object)
        record = np.zeros(COUNT, dtype=[("a", "f4"), ("b", "i4")])
        times, texts = np.zeros((COUNT, 3), "M8[s]"), INPUTS.astype("U4")
        types: list[Any] = [
            objects,
            record,
            times,
            texts,
            INPUTS.astype("S4"),
            INPUTS.astype("S9"),
            INPUTS.astype("g"),
        ]
        bad = _array(rng.choice(types), allow_pickle=True)
    else:
        bad = _bad_header(rng)
    return _training(bad, _array(TARGETS), "npy", bad_inputs=True)


def _bad_header(rng: random.Random) -> bytes:
    shapes = ["(-1, 3)", "(12, -3)", "(10**9, 3)", "(12, 4)", "(99999999999, 3)", "12", "(12.0, 3)", "('a', 3)", "None"]
    types = ["'<f4'", "'|O'", "'<q9'", "3", "'junk'", "[('a', '<f4')]"]
    shape, kind = rng.choice([(shape, types[0]) for shape in shapes] + [("(12, 3)", kind) for kind in types[1:]])
    text = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}"
    text = rng.choice([text, text, text, text[:-3], "__import__('os').system('touch hacked')", "{}", "[" * 200])
    header = text.encode().ljust(117) + b"\n"
    version = rng.choice([b"\x01\x00", b"\x01\x00", b"\x09\x00"])
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + INPUTS.tobytes()


def _archive(rng: random.Random) -> Case:
    buffer = io.BytesIO()
    kind = rng.choice(["bomb", "names", "cut", "objects", "missing"])
    arrays: dict[str, Any] = {"x": INPUTS}
    if kind == "bomb":
        arrays = {"x": np.zeros(80 * 2**20, dtype=np.uint8)}
    elif kind in ("names", "missing"):
        arrays = {"a": INPUTS, "b": INPUTS}
    elif kind == "objects":
        arrays = {"x": np.array([{"a": 1}], dtype=object)}
    np.savez_compressed(buffer, **arrays)
    content = buffer.getvalue()
    if kind == "cut":
        content = content[: rng.randrange(len(content))]
    suffix = ":q" if kind == "missing" else ""
    return _training(content, _array(TARGETS), "npz", bad_inputs=True, suffix=suffix)


def checkpoint(good: Path) -> Maker:
    """Checkpoints that are damaged, of another kind, or whole in form and wrong in content."""
    whole, content = good.read_bytes(), torch.load(good, weights_only=True)
    wanted = content_digest(vars(load_checkpoint(good)))
    attacks = [
        attack for _, attack in hostile.checkpoints(whole) if len(attack) < 2**20
    ]  # test_hostile_files has the rest
    del content["sha256"]

    def make(rng: random.Random) -> Case:
        kind = rng.choice(["damage", "damage", "attack", "content", "content", "other"])
        bad = whole
        while kind == "damage" and _reads_as(bad, wanted, good):
            bad = damaged(whole, good, rng)
        if kind == "attack":
            bad = rng.choice(attacks)
        elif kind == "content":
            bad = _wrong(rng, content)
        elif kind == "other":
            others: list[Any] = [torch.zeros(3), {}, [], None, {"model": {}}, content["model"], {"format": "x"}]
            bad = rng.choice([saved(rng.choice(others)), _bytes_damaged(rng, whole)])
        return Case({"bad.pt": bad}, ("evaluate", "bad.pt"), "bad.pt")

    return make


def _reads_as(content: bytes, wanted: str, good: Path) -> bool:
    """Whether nothing that counts was damaged: padding, or a time."""
    path = good.with_name("tried.pt")
    path.write_bytes(content)
    try:
        return content_digest(vars(load_checkpoint(path))) == wanted
    except CheckpointError:
        return False
    finally:
        path.unlink()


def _wrong(rng: random.Random, good: dict[str, Any]) -> bytes:
    """A content that is wrong, with a SHA-256 that is right."""
    content = {**good, "model": dict(good["model"]), "config": dict(good["config"])}
    weight = next(iter(content["model"]))
    needed = [key for key in good if key != "training"]  # which a resume alone reads
    changes: list[Callable[[], object]] = [
        lambda: content.pop(rng.choice(needed)),
        lambda: content.update({rng.choice(needed): rng.choice([None, 3, "x", [1], {"a": 1}, torch.zeros(2)])}),
        lambda: content.update(extra=1),
        lambda: content.update(format_version=rng.choice([0, 2, "1", None])),
        lambda: content["model"].update({weight: torch.full_like(content["model"][weight], float("nan"))}),
        lambda: content["model"].update({weight: torch.zeros(2, 2)}),
        lambda: content["model"].pop(weight),
        lambda: content["model"].update(more=torch.zeros(2)),
        lambda: content.update(class_names=content["class_names"][1:]),
        lambda: content.update(class_counts=[]),
        lambda: content.update(transform={}),
        lambda: content["config"].update(model={"name": "mlp", "hidden": [rng.choice([3, 10**9])]}),
        lambda: content["config"].update(epochs=rng.choice([0, -1, "x", None])),
        lambda: content["config"].pop("dataset"),
        lambda: content.update(history=[{"epoch": 1}]),
    ]
    before = content_digest(content)
    while content_digest(content) == before:
        rng.choice(changes)()
    return saved({**content, "sha256": content_digest(content)})

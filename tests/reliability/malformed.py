"""Malformed input: the form of a case, and malformed text files (configs and tables)."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """One malformed input.

    Attributes:
        files: What lies in the folder, by path; a path that ends with a slash is an empty folder.
        arguments: The command line.
        named: What the message must name.
        num_lines: Lines of the message; None: one for each problem of a config.
    """

    files: dict[str, bytes]
    arguments: tuple[str, ...]
    named: str
    num_lines: int | None = field(default=1)


Maker = Callable[[random.Random], Case]

GOOD = {
    "dataset": "{name: blobs, num_examples: 60}",
    "model": "{name: mlp, hidden: [4, {units: 4, dropout: 0.1}]}",
    "optimizer": "{name: sgd, lr: 0.1}",
    "epochs": "1",
}
BAD_VALUES = {
    "epochs": ["0", "-1", "1.5", "ten", "null", "[1]", "{a: 1}", "true", ".nan", "1e400", "99999999999", "'1'"],
    "batch_size": ["0", "-3", "2.5", "all", "[]", "true", ".inf", "1e-3"],
    "seed": ["-1", "0.5", "now", "99999999999999999999", "[0]", "false"],
    "device": ["gpu", "cuda:x", "0", "[cpu]", "'cuda:'", "CPU"],
    "precision": ["float8", "32", "null", "half", "[float32]"],
    "compile": ["true", "1", "fast"],
    "threads": ["0", "-1", "9999", "two", "1.5"],
    "shuffle": ["maybe", "1", "'true'", "[true]"],
    "clip_grad_norm": ["0", "-1", ".inf", "big"],
    "ema": ["0", "1", "-0.1", "1.5", "yes"],
    "patience": ["0", "-1", "0.5", "soon"],
    "select_by": ["f1", "1", "loss accuracy"],
    "name": ["../x", "a/b", "''", "a b", "[a]", "-x", "1"],
    "dataset": ["17", "[]", "iriss", "{}", "{name: 3}", "{name: blobs, num_examples: 0}", "{name: csv}", "''", "null"],
    "model": ["mpl", "{name: mlp, hidden: 4}", "{name: mlp, hidden: [0]}", "{name: mlp, activation: rellu}", "[mlp]"],
    "loss": ["mae", "{name: cross_entropy, label_smoothing: 2}", "bce", "{name: focal, gama: 2}", "7"],
    "optimizer": ["adamm", "{name: sgd, lr: 0}", "{name: sgd, momentum: 1.5}", "{learning_rate: 1}", "{lr: fast}"],
    "scheduler": ["cos", "{name: multistep, milestones: 5}", "{name: cosine, warmup: -1}"],
    "checkpoint_every": ["5", "{steps: 0}", "{minutes: -1}", "{hours: 1}", "[1]"],
    "accept": ["NN1", "[302]", "[NN30]"],
}
BAD_LINES = [
    "a: [1",
    "a: {b: 1",
    "a: 'b",
    'a: "b',
    "\ta: 1",
    "a: b: c",
    "a: *nowhere",
    "a: &x [*x]",
    "a: !!python/name:os.system",
    "a: !thing 1",
    "epochs: 2",
    "- a",
    "a:\n\t- 1",
    "? [a]\n: 1",
    "a: \x01",
    "%YAML 9.9",
    "---\n---",
    "epochs 3",
    "a: @b",
    "a: `b`",
    "[]: 1",
    "a: \\",
    "<<: 3",
    "epoch: 3",
    "optimiser: sgd",
    "learning_rate: 0.1",
]
BAD_WHOLES = [
    b"",
    b"\n\n",
    b"# nothing\n",
    b"42\n",
    b"just text\n",
    b"[dataset, model]\n",
    b"- dataset: iris\n- model: mlp\n",
    b"null\n",
    b"\x00\x01\x02",
    b"dataset: iris\nmodel: mlp\nname: \xff\xfe\n",
    "dataset: iris\nmodel: mlp\n".encode("utf-32"),
    b"dataset: iris\n",
    b"model: mlp\n",
    b"epochs: 3\n",
    b"a: " + b"[" * 100 + b"]" * 100,
    b"#" * 1_000_001,
    b"a: [" + b"1, " * 30_000 + b"1]",
    b"dataset: iris\nmodel: mlp\nepochs: " + b"9" * 5000,
    b"PK\x03\x04 a zip",
    b"\x89PNG\r\n\x1a\n",
]


def _config(text: bytes | str, num_lines: int | None = None) -> Case:
    content = text if isinstance(text, bytes) else text.encode()
    return Case({"bad.yaml": content}, ("train", "bad.yaml", "--no-plots"), "bad.yaml", num_lines)


def _yaml(values: dict[str, str]) -> str:
    return "".join(f"{key}: {value}\n" for key, value in values.items())


def config(rng: random.Random) -> Case:
    """A config with a wrong value, a wrong line, several of them, or that is no config at all."""
    kind = rng.choice(["value", "value", "value", "line", "whole", "several", "unknown"])
    if kind == "line":
        place, lines = rng.randint(0, len(GOOD)), _yaml(GOOD).splitlines()
        return _config("\n".join([*lines[:place], rng.choice(BAD_LINES), *lines[place:], ""]))
    if kind == "whole":
        return _config(rng.choice(BAD_WHOLES))
    if kind == "unknown":
        family = rng.choice(["dataset", "model", "optimizer"])
        word = "".join(rng.choices("abcdefgh_-xyz0", k=rng.randint(1, 12)))
        return _config(_yaml({**GOOD, family: GOOD[family][:-1] + f", q{word}: 1}}"}))
    keys = rng.sample([*BAD_VALUES], 1 if kind == "value" else rng.randint(2, 5))
    return _config(_yaml({**GOOD, **{key: rng.choice(BAD_VALUES[key]) for key in keys}}))


def _table(text: bytes | str, options: str = "") -> Case:
    files = {
        "bad.csv": text if isinstance(text, bytes) else text.encode(),
        "run.yaml": f"dataset: {{name: csv, path: bad.csv{options}}}\nmodel: mlp\nepochs: 1\n".encode(),
    }
    return Case(files, ("train", "run.yaml", "--no-plots"), "bad.csv")


BAD_NUMBERS = [
    "",
    " ",
    "nan",
    "inf",
    "-inf",
    "x",
    "1,5",
    "1_000",
    "0x10",
    "1e999",
    "--1",
    "1 2",
    "NA",
    "null",
    "½",
    "é",
]
BAD_TABLES: list[tuple[bytes, str]] = [
    (b"", ""),
    (b"\n\n\n", ""),
    (b"a,b,label\n", ""),
    (b"label\nx\ny\n", ""),
    (b"a,a,label\n1,2,x\n3,4,y\n", ""),
    (b"a,b,label,label\n1,2,x,x\n3,4,y,y\n", ""),
    (b"a,b,c\n1,2,3\n", ""),
    (b"a,b,label\n1,2,x\n3,4,x\n", ""),
    (b"a,label\n1,x\n", ""),
    (b"a,b,label\n1,2,x\n\x00,4,y\n", ""),
    (b"a,b,label\n1,2,\xff\n3,4,y\n", ""),
    ("a,b,label\n1,2,x\n3,4,y\n".encode("utf-16"), ""),
    (b'a,b,label\n1,2,"x\n3,4,y\n', ""),
    (b'a,b,label\n1,2,"x"y\n3,4,y\n', ""),
    (b"a,b,label\n1," + b"1" * 200_000 + b",x\n", ""),
    (b"a;b;label\n1;2;x\n3;4;y\n", ", delimiter: ','"),
    (b"a,b,label\n1,2,x\n3,4,y\n", ", delimiter: ';'"),
    (b"a,b,label\n1,2,x\n3,4,y\n", ", label: lable"),
    (b"a,b,label\n1,2,x\n3,4,y\n", ", features: [a, d]"),
    (b"a,b,label\n1,2,x\n3,4,y\n", ", features: []"),
    (b"a,b,label\n1,2,x\n3,4,y\n", ", features: [label, b]"),
    (b"PK\x03\x04" + bytes(100), ""),
    (b"<html><body>404</body></html>\n", ""),
    (b'{"a": 1, "label": "x"}\n', ""),
]


def table(rng: random.Random) -> Case:
    """A table with a hole, a word, a ragged row or no class, or that is no table at all."""
    kind = rng.choice(["number", "number", "ragged", "label", "whole"])
    if kind == "whole":
        return _table(*rng.choice(BAD_TABLES))
    rows = [[str(rng.randint(-9, 9)), f"{rng.random():.3f}", rng.choice("xyz")] for _ in range(rng.randint(3, 40))]
    row = rng.choice(rows)
    if kind == "number":
        row[rng.randrange(2)] = f'"{bad}"' if "," in (bad := rng.choice(BAD_NUMBERS)) else bad
    elif kind == "ragged":
        row[:] = row[: rng.choice([1, 2])] if rng.random() < 0.5 else [*row, *["1"] * rng.randint(1, 3)]
    else:
        row[2] = rng.choice(["", " ", "\t"])
    text = "\n".join(["a,b,label", *map(",".join, rows), ""])
    return _table(text.replace("\n", rng.choice(["\n", "\r\n"])))


def cases(maker: Maker, seed: int, count: int) -> Sequence[Case]:
    """So many cases of a kind, the same for the same seed."""
    rng = random.Random(seed)
    return [maker(rng) for _ in range(count)]

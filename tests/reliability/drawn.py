"""Randomly generated configs, with batch sizes, number types, optimizers and datasets not written by hand.

A batch of 7 rows of 13 numbers lies at another place of memory than one of 16, a number type has kernels of its own,
an optimizer states of its own: what is exact for one need not be for another.
"""

from __future__ import annotations

import random

DATASETS = {
    "iris": "{name: iris}",
    "wine": "{name: wine}",
    "digits": "{name: digits, limit: 90, augment: {crop: 1}}",
    "spirals": "{name: spirals, num_examples: 70, num_test: 20, validation: 0.2}",
    "csv": "{name: csv, path: table.csv}",
}
TABLE = "a,b,c,label\n" + "".join(
    f"{row % 7 + row % 3 * 0.31},{row * 37 % 11 - 4.7},{row * row % 13},{'xyz'[row % 3]}\n" for row in range(80)
)
OPTIMIZERS = (
    "{name: adagrad, lr: 0.05}",
    "{name: rmsprop, lr: 0.01, momentum: 0.5}",
    "{name: adamw, lr: 0.02}",
    "{name: muon}",
    "{name: sgd, lr: 0.05, momentum: 0.9, nesterov: true}",
    "{name: adadelta}",
)
BATCH_SIZES = ("7", "13", "33")
PRECISIONS = ("float64", "bfloat16", "float32")
EXTRAS = ("ema: 0.9", "lookahead: {every: 3}", "clip_grad_norm: 1", "scheduler: cosine", "scheduler: plateau")


def drawn(count: int, seed: int) -> dict[str, str]:
    """So many configs by name; each data set, optimizer, batch size and number type in turn, the rest at random."""
    rng = random.Random(seed)
    options = (list(DATASETS), OPTIMIZERS, BATCH_SIZES, PRECISIONS)
    datasets, optimizers, sizes, precisions = (rng.sample(each, len(each)) for each in options)
    configs: dict[str, str] = {}
    for number in range(count):
        dataset, optimizer = datasets[number % len(datasets)], optimizers[number % len(optimizers)]
        batch_size, precision = sizes[number % len(sizes)], precisions[number // len(sizes) % len(precisions)]
        hidden = f"[{rng.randint(3, 17)}, {{units: {rng.randint(3, 9)}, batch_norm: {rng.choice(['true', 'false'])}}}]"
        lines = [
            f"dataset: {DATASETS[dataset]}",
            f"model: {{name: mlp, hidden: {hidden}, dropout: {rng.choice([0.0, 0.2])}}}",
            f"optimizer: {optimizer}",
            f"batch_size: {batch_size}",
            f"precision: {precision}",
            rng.choice(EXTRAS),
            f"compile: {'on' if number % 4 == 0 else 'off'}",
            "epochs: 4",
            f"checkpoint_every: {{steps: {rng.choice([1, 2, 3, 10])}}}",
        ]
        configs[f"drawn{number}"] = "\n".join(lines) + "\n"
    return configs

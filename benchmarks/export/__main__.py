"""Train a small run of every kind, export it to every form, and compare the answers in the form's own runtime.

    python -m benchmarks.export --data DATA --out FOLDER [RUN ...]

DATA holds `MNIST/raw/` and `cifar10/train/<class>/`. Prints a row of the table of RESULTS.md per run. The ONNX files
are compared once more by `onnx_reader.py`, in a process that cannot import nnclassify; a page is compared in a browser.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np

import nnclassify
from benchmarks.export.data import make_all
from benchmarks.export.runs import configs
from nnclassify.files.python_source import trusting
from nnclassify.inference.export.columns import is_text
from nnclassify.inference.export.examples import real_examples
from nnclassify.inference.export.export import FORMS, export_run, in_full_precision

READER = Path(__file__).parent / "onnx_reader.py"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("runs", nargs="*")
    options = parser.parse_args()
    made = options.out.resolve() / "data"
    if not made.exists():
        made.mkdir(parents=True)
        make_all(made)
    for name, config in configs(options.data.resolve(), made).items():
        if not options.runs or name in options.runs:
            with trusting(True):
                print(row(name, config, options.out / name), flush=True)


def row(name: str, config: dict[str, object], root: Path) -> str:
    """Train and export a run; return its row of the table."""
    best = root / "run" / "best.pt"
    if not best.is_file():
        nnclassify.train(config, root, trust=True, report=False, monitor=False)
    cells: list[str] = []
    for form in FORMS:
        made = export_run(best, form, license_text="MIT", note=lambda text: print(text, file=sys.stderr))
        difference = "not compared" if made.largest_difference is None else f"{made.largest_difference:.0e}"
        if form == "onnx":
            difference += f" / {in_a_fresh_process(best, made.path):.0e}"
        cells.append(f"{difference}, {made.num_bytes / 1000:,.0f} kB")
    return f"| {' | '.join([name, str(made.compared), *cells])} |"


def in_a_fresh_process(checkpoint: Path, model: Path) -> float:
    """Return the largest difference of a probability that a process without nnclassify measures."""
    classifier = in_full_precision(checkpoint, lambda text: None)
    examples, encoder = real_examples(classifier), classifier.transform.encoder
    stored: dict[str, np.ndarray] = {}
    for place, batch in enumerate(examples.batches):
        stored[f"{place} answers"] = batch.answers.numpy()
        stored[f"{place} inputs"] = batch.inputs.numpy()
        for column in range(0 if encoder is None or batch.texts is None else len(encoder.columns)):
            assert encoder is not None and batch.texts is not None
            texts = np.array([row[column] for row in batch.texts])
            values = texts if is_text(encoder.columns[column]) else batch.inputs[:, column].numpy()
            stored[f"{place} column {column}"] = values[:, None]
    file = model.with_suffix(".npz")
    np.savez(file, **stored)  # type: ignore[arg-type] # numpy's stubs take the names for its own options
    packages = sysconfig.get_paths()["purelib"]  # added by the reader: -S leaves out packages installed as links
    command = [sys.executable, "-I", "-S", str(READER), packages, str(model), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    file.unlink()
    return float(json.loads(done.stdout))


if __name__ == "__main__":
    main()

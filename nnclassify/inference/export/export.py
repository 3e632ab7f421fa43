"""Write a trained network for another runtime, read the file back in that runtime, and compare the answers."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nnclassify.errors import InputError, suggestion
from nnclassify.files.atomic_write import save_error, write_text, write_whole
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.export.about import Comparison, Export
from nnclassify.inference.export.card import model_card
from nnclassify.inference.export.examples import real_examples
from nnclassify.inference.export.onnx_model import compare_onnx, write_onnx
from nnclassify.inference.export.page import compare_page, write_page
from nnclassify.inference.export.programs import compare_program, write_program
from nnclassify.inference.export.weights import compare_weights, write_weights
from nnclassify.process import preserve_process_state
from nnclassify.runs.checkpoint import load_newest
from nnclassify.runs.folder import RunFolder

FOLDER = "export"
"""The folder in a run's folder that exported files are written to."""


@dataclass(frozen=True)
class Form:
    """A form that a network can be exported to.

    Attributes:
        suffix: The end of its file's name.
        write: Function that writes the file.
        compare: Function that reads the file in its own runtime and compares the answers; None: there is no runtime.
        needs: The packages that this takes.
    """

    suffix: str
    write: Callable[[Export, Path], None]
    compare: Callable[[Export, Path], Comparison | None]
    needs: tuple[str, ...] = ()


FORMS = {
    "onnx": Form(".onnx", write_onnx, compare_onnx, ("onnx", "onnxscript", "onnxruntime")),
    "safetensors": Form(".safetensors", write_weights, compare_weights, ("safetensors",)),
    "torch": Form(".pt2", write_program, compare_program),
    "html": Form(".html", write_page, compare_page),
}


@dataclass(frozen=True)
class Exported:
    """The file that a network was exported to.

    Attributes:
        path: The file.
        card: The model card beside it.
        form: The form.
        num_bytes: The size of the file.
        compared: The number of examples that it was compared on; 0 if there is no runtime for it here.
        largest_difference: The largest difference of a probability; None if it was not compared.
    """

    path: Path
    card: Path
    form: str
    num_bytes: int
    compared: int
    largest_difference: float | None


def check_form(to: str, out: Path | None) -> None:
    """Check that there is such a form, that the name of the file is not that of another one, and that what it takes
    is installed.

    Raises:
        InputError: There is none, the name is of another form, or a package is missing.
    """
    if to not in FORMS:
        raise InputError(f"--to: found {to!r}{suggestion(to, FORMS)}; expected one of {', '.join(FORMS)}")
    for other, form in FORMS.items():
        if out is not None and other != to and out.suffix.lower() == form.suffix:
            raise InputError(
                f"--out {out}: found the ending of --to {other}, expected {FORMS[to].suffix} for --to {to}"
            )
    missing = [name for name in FORMS[to].needs if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"--to {to}: {missing[0]} is not installed; run: pip install 'nnclassify[export]'")


@preserve_process_state()
def export_run(
    checkpoint: Path,
    to: str,
    out: Path | None = None,
    *,
    license_text: str | None = None,
    overrides: Sequence[str] = (),
    note: Callable[[str], object] = lambda text: None,
) -> Exported:
    """Export the network of a checkpoint, with a model card beside the file.

    The file is written under a temporary name, read back in its own runtime and compared with the classifier on real
    examples; only then it gets its name.

    Args:
        checkpoint: The checkpoint.
        to: The form, one of `FORMS`.
        out: The file to write. Default: in the folder `export` of the run, under the name of the run.
        license_text: The license to state.
        overrides: Changes to `dataset`, such as where the data is.
        note: Called with each note, one line.

    Raises:
        InputError: There is no such form, a package is missing, or the exported network gives other answers.
        ModelError: The form does not support the network.
        DataError: The data of the run cannot be read.
        SaveError: The file cannot be written.
    """
    check_form(to, out)
    folder, form = RunFolder(checkpoint.parent), FORMS[to]
    classifier = in_full_precision(checkpoint, note).overridden(overrides)
    name = RunFolder(folder.path.resolve()).name
    path = out or folder.path / FOLDER / f"{name}{form.suffix}"
    export = Export(classifier, real_examples(classifier), name, license_text, note)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as temporary:
            written = Path(temporary) / f"{name}{form.suffix}"
            form.write(export, written)
            comparison = form.compare(export, written)
            card = model_card(export, folder, to, path.name, comparison)
            with written.open("rb") as content:
                write_whole(path, lambda file: shutil.copyfileobj(content, file), size=written.stat().st_size)
    except OSError as cause:
        raise save_error(path, cause) from cause
    card_path = path.with_name(f"{path.name}.md")
    write_text(card_path, card)
    compared, largest = (0, None) if comparison is None else (comparison.count, comparison.largest)
    return Exported(path, card_path, to, path.stat().st_size, compared, largest)


def in_full_precision(checkpoint: Path, note: Callable[[str], object]) -> Classifier:
    """Load a classifier on the CPU, in float32 or float64 and with its weights in their usual order.

    Raises:
        CheckpointError: The checkpoint is missing or damaged.
    """
    found = load_newest(checkpoint)
    for text in found.notes:
        note(text)
    config, precision = found.checkpoint.config, found.checkpoint.config.get("precision")
    if precision in ("bfloat16", "float16"):
        note(f"the run predicts in {precision}; the exported network computes in float32")
        config = {**config, "precision": "float32"}
    whole = replace(found.checkpoint, config=config)
    return Classifier.from_checkpoint(whole, found.path, "cpu")

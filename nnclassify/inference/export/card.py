"""The model card: what an exported network is for, what it was trained on, how good it is, and where it fails."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from nnclassify.errors import counted, printable, some
from nnclassify.evaluation.percent import percent
from nnclassify.files.version import __version__
from nnclassify.inference.export.about import TOLERANCE, Comparison, Export
from nnclassify.inference.export.columns import is_text
from nnclassify.inference.export.network import Kind
from nnclassify.inference.report.contents import RunContents, at, interval_at, number_at, read_run
from nnclassify.inference.report.sentences import advice, result_sentence, task_sentence
from nnclassify.runs.folder import RunFolder

MAX_CLASSES = 30
"""Classes that a card lists."""


def model_card(export: Export, folder: RunFolder, form: str, file: str, comparison: Comparison | None) -> str:
    """Return a model card in Markdown.

    Args:
        export: What was exported.
        folder: The folder of the run.
        form: The form.
        file: The name of the exported file.
        comparison: The comparison with the classifier; None: there was no runtime to compare it in.
    """
    run = read_run(folder)
    sections = {
        "": [f"# {escaped(export.name)}", _sentence(task_sentence(run)), result_sentence(run)],
        "Use": [*_use(export, form, file)],
        "Data": [*_data(export, run)],
        "Results": [*_results(run)],
        "Limits": [*_limits(export, run)],
        "About this file": [*_about(export, form, comparison)],
    }
    parts = [f"## {title}\n\n" * bool(title) + "\n\n".join(texts) for title, texts in sections.items() if texts]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Return a name so that Markdown shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", printable(text))


def _sentence(text: str) -> str:
    """Return a sentence with its names escaped, and its commands as they are."""
    parts = re.split(r"(`nnclassify [^`]*`)", text)
    return "".join(part if place % 2 else escaped(part) for place, part in enumerate(parts))


def _use(export: Export, form: str, file: str) -> Iterator[str]:
    taken, classifier = export.examples.taken, export.classifier
    about = {
        Kind.IMAGES: "`images`: {dtype} `(N, H, W, {channels})` of any height and width, in RGB order or gray; they "
        "are resized in the network as Pillow does it",
        Kind.TENSORS: "`inputs`: {dtype} `{shape}`, in the units of the training data",
        Kind.COLUMNS: "the columns of the table by name, each `(N, 1)`: texts or float64, see below",
    }[taken.kind]
    shape = ", ".join(["N", *map(str, taken.shape)])
    dtype = str(taken.dtype).removeprefix("torch.")
    yield f"Input: {about.format(dtype=dtype, channels=taken.shape[-1], shape=f'({shape})')}."
    answers = "0 or 1 for each class" if classifier.is_multi_hot else "the index of the predicted class"
    yield (
        "Output: the calibrated probabilities, float32 `(N, K)`, in the order of the classes, and "
        f"{answers}. An input that cannot be classified, such as a missing value that nothing replaces, gets NaN."
    )
    yield f"```{'sh' if form == 'html' else 'python'}\n{_example(export, form, file)}\n```"
    if classifier.transform.encoder is not None:
        yield "| column | takes |\n| --- | --- |\n" + "\n".join(_columns(export))
    elif classifier.transform.columns:
        yield f"The columns, in order: {escaped(some(classifier.transform.columns, MAX_CLASSES))}."


def _example(export: Export, form: str, file: str) -> str:
    name = export.examples.taken.kind.value
    outputs = "probabilities, labels" if export.classifier.is_multi_hot else "probabilities, class_index, class_name"
    feed = "columns" if export.examples.taken.kind is Kind.COLUMNS else f"{{{name!r}: {name}}}"
    return {
        "onnx": f"import onnxruntime\n\nsession = onnxruntime.InferenceSession({file!r})\n"
        f"{outputs} = session.run(None, {feed})",
        "torch": f"import torch\n\nnetwork = torch.export.load({file!r}).module()\n"
        f"probabilities, predictions = network({name})",
        "safetensors": "import json\nfrom safetensors import safe_open\n\n"
        f'with safe_open({file!r}, framework="numpy") as file:\n'
        '    about = json.loads(file.metadata()["nnclassify"])\n'
        "    weights = {name: file.get_tensor(name) for name in file.keys()}",
        "html": f"open {shlex.quote(file)}   # in any browser; it loads nothing and sends nothing",
    }[form]


def _columns(export: Export) -> Iterator[str]:
    encoder = export.classifier.transform.encoder
    assert encoder is not None
    for column in encoder.columns:
        categories = getattr(column, "categories", ())
        takes = {
            "number": "a number",
            "formatted_number": "a number, without its unit; a time in hours",
            "date": "days since 1970-01-01, with a fraction for the time",
            "yes_no": "yes or no, in any of the usual spellings",
        }.get(column.kind, f"one of {some([*map(escaped, categories)], MAX_CLASSES)}")
        missing = ("; may be empty" if is_text(column) else "; NaN if missing") if column.fill is not None else ""
        yield f"| {escaped(column.name)} | {takes}{missing} |"


def _data(export: Export, run: RunContents) -> Iterator[str]:
    config, names = export.classifier.config, export.classifier.class_names
    counts = {
        split: int(found)
        for split in ("train", "validation", "test")
        if (found := number_at(run.result, "num_examples", split)) is not None
    }
    known = ", ".join(f"{number:,} {split}" for split, number in counts.items())
    yield f"Dataset: `{config.dataset.name}`; examples: {known or 'unknown'}."
    yield f"{counted(len(names), 'class')}: {escaped(some(names, MAX_CLASSES))}."


def _results(run: RunContents) -> Iterator[str]:
    for split in ("test", "validation"):
        found = at(run.result, split)
        if isinstance(found, dict):
            rows = [_row(run, split, metric) for metric in found if number_at(found, metric) is not None]
            yield (
                f"On the {split} split, with 95% intervals:\n\n| metric | value | interval |\n| --- | --- | --- |\n"
                + "\n".join(rows)
            )
            break
    baselines = {
        name: value
        for name in ("majority", "linear", "boosted")
        if (value := number_at(run.result, "baselines", name)) is not None
    }
    words = {
        "majority": "always the most common class",
        "linear": "a linear model",
        "boosted": "gradient-boosted trees",
    }
    if baselines:
        yield (
            "Accuracy of simpler models on the same examples: "
            + ", ".join(f"{words[name]} {percent(value)}" for name, value in baselines.items())
            + "."
        )


def _row(run: RunContents, split: str, metric: str) -> str:
    value, interval = number_at(run.result, split, metric), interval_at(run.result, "intervals", split, metric)
    show = (lambda number: f"{number:.4g}") if "loss" in metric or "corr" in metric else percent
    between = "" if interval is None else f"{show(interval[0])} to {show(interval[1])}"
    assert value is not None
    return f"| {metric.replace('_', ' ')} | {show(value)} | {between} |"


def _limits(export: Export, run: RunContents) -> Iterator[str]:
    told = [
        *map(_sentence, advice(run)),
        "Inputs unlike the training data get an answer too, which may be wrong and sure of itself.",
    ]
    if export.classifier.loss_fn.temperature == 1:
        told.append("The probabilities are not calibrated: the run has no validation split of its own.")
    image_format = export.classifier.transform.image_format
    if export.examples.taken.kind is Kind.IMAGES and image_format is not None:
        longest = max(image_format.height, image_format.width)
        told.append(
            f"`nnclassify predict` decodes JPEG files much larger than {longest} pixels at a reduced size, as "
            "`Image.draft` of Pillow does, and turns images as their EXIF data says; for the same answers, decode them "
            "likewise."
        )
    yield "\n".join(f"- {text}" for text in told)


def _about(export: Export, form: str, comparison: Comparison | None) -> Iterator[str]:
    compared = (
        "It was not compared with the trained network: no browser and no Node.js was found."
        if comparison is None
        else f"Read back in its own runtime and compared with the trained network on {comparison.count} real examples: "
        f"probabilities differ by at most {comparison.largest:.2g} ({TOLERANCE:g} is allowed)."
    )
    rows = {
        "form": form,
        "license": escaped(export.license or "not stated"),
        "written by": f"nnclassify {__version__}",
        "temperature": f"{export.classifier.loss_fn.temperature:.4g}",
    }
    yield compared
    yield "| | |\n| --- | --- |\n" + "\n".join(f"| {name} | {value} |" for name, value in rows.items())

"""The model card: what an exported network is for, what it was trained on, how good it is, and where it fails."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator

from nnclassify.data.tables.encoding import AnyColumn
from nnclassify.errors import counted, printable, some_names
from nnclassify.evaluation.metrics import METRICS
from nnclassify.evaluation.percent import percent
from nnclassify.files.version import __version__
from nnclassify.inference.export.about import TOLERANCE, Comparison, Export
from nnclassify.inference.export.browser_program import HERE
from nnclassify.inference.export.columns import is_text
from nnclassify.inference.export.network import Kind
from nnclassify.inference.report.contents import RunContents, at, interval_at, number_at, read_run
from nnclassify.inference.report.sentences import advice, result_sentence, task_sentence
from nnclassify.inference.report.templating import environment
from nnclassify.runs.folder import RunFolder

MAX_CLASSES = 30
"""Classes that a card lists."""
SPLITS = ("train", "validation", "test")
MODELS = {
    "majority": "always the most common class",
    "linear": "a linear model",
    "boosted": "gradient-boosted trees",
}
"""The baselines, in words."""


def model_card(export: Export, folder: RunFolder, form: str, file: str, comparison: Comparison | None) -> str:
    """Return a model card in Markdown.

    Args:
        export: What was exported.
        folder: The folder of the run.
        form: The form.
        file: The name of the exported file.
        comparison: The comparison with the classifier; None: there was no runtime to compare it in.
    """
    run, classifier, taken = read_run(folder), export.classifier, export.examples.taken
    transform, names = classifier.transform, classifier.class_names
    image_format = transform.image_format if taken.kind is Kind.IMAGES else None
    split = next((name for name in ("test", "validation") if isinstance(at(run.result, name), dict)), None)
    templates = environment(HERE)
    templates.filters |= {"md": escaped, "sentence": _sentence, "repr": repr, "quoted": shlex.quote, "takes": _takes}
    return templates.get_template("card.md.j2").render(
        name=export.name,
        task=task_sentence(run),
        result=result_sentence(run),
        kind=taken.kind.value,
        dtype=str(taken.dtype).removeprefix("torch."),
        shape=taken.shape,
        is_multi_hot=classifier.is_multi_hot,
        form=form,
        file=file,
        encoded=None if transform.encoder is None else transform.encoder.columns,
        columns=some_names(transform.columns or [], MAX_CLASSES),
        dataset=classifier.config.dataset.name,
        examples=", ".join(f"{number:,.0f} {name}" for name, number in _known(run, "num_examples", SPLITS)),
        classes=f"{counted(len(names), 'class')}: {some_names(names, MAX_CLASSES)}",
        split=split,
        rows=[] if split is None else [*_rows(run, split)],
        baselines=", ".join(f"{MODELS[name]} {percent(value)}" for name, value in _known(run, "baselines", MODELS)),
        advice=advice(run),
        temperature=classifier.loss_fn.temperature,
        longest=None if image_format is None else max(image_format.height, image_format.width),
        comparison=comparison,
        tolerance=TOLERANCE,
        license=export.license,
        release=__version__,
    )


def escaped(text: str) -> str:
    """Return a name so that Markdown shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", printable(text))


def _sentence(text: str) -> str:
    """Return a sentence with its names escaped, and its commands as they are."""
    parts = re.split(r"(`nnclassify [^`]*`)", text)
    return "".join(part if place % 2 else escaped(part) for place, part in enumerate(parts))


def _takes(column: AnyColumn) -> str:
    """Return the values of a column that an exported network takes."""
    categories = [*map(escaped, getattr(column, "categories", ()))]
    takes = {
        "number": "a number",
        "formatted_number": "a number, without its unit; a time in hours",
        "date": "days since 1970-01-01, with a fraction for the time",
        "yes_no": "yes or no, in any of the usual spellings",
    }.get(column.kind, f"one of {some_names(categories, MAX_CLASSES)}")
    missing = "; may be empty" if is_text(column) else "; NaN if missing"
    return takes + (missing if column.fill is not None else "")


def _known(run: RunContents, key: str, names: Iterable[str]) -> list[tuple[str, float]]:
    """Return the numbers that the result of a run has under a key, by name."""
    found = [(name, number_at(run.result, key, name)) for name in names]
    return [(name, number) for name, number in found if number is not None]


def _rows(run: RunContents, split: str) -> Iterator[tuple[str, str, str]]:
    """Yield the name, the value and the interval of each metric of a split."""
    for name, value in _known(run, split, METRICS):
        interval, text = interval_at(run.result, "intervals", split, name), METRICS[name].text
        yield METRICS[name].label, text(value), "" if interval is None else " to ".join(map(text, interval))

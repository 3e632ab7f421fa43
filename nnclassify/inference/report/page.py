"""Render and write the page about one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnclassify.data import Splits
from nnclassify.files.atomic_write import write_text
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.report.contents import RunContents, read_run
from nnclassify.inference.report.examples import save_examples
from nnclassify.inference.report.scored import read_scored
from nnclassify.inference.report.sections import SECTIONS, page_data, sections
from nnclassify.inference.report.templating import HERE, environment, page
from nnclassify.runs.folder import RunFolder


def save_report(
    folder: RunFolder,
    splits: Splits | None = None,
    out: Path | None = None,
    classifier: Classifier | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> Path:
    """Write the page about a run, and return its path.

    Args:
        folder: The folder of the run; nothing else is read.
        splits: Its data, if at hand: small images or values of some examples are then kept in `examples.json`, so that
            the page can be made again without the data.
        out: The file to write; None: `report.html` in the folder.
        classifier: Its network, if at hand with its data.
        note: Called with what could not be kept of the data, on one line.

    Raises:
        SaveError: A file could not be written.
    """
    scored = read_scored(folder.predictions)
    examples = None if splits is None else save_examples(folder.examples, scored, splits, classifier, note)
    path = out or folder.report
    write_text(path, run_page(read_run(folder, examples, scored)))
    return path


def run_page(run: RunContents) -> str:
    """Return the page about one run as HTML."""
    views = sections(run)
    return rendered("run.html.j2", f"{views['run_name']} - nnclassify report", SECTIONS, page_data(run, views), views)


def rendered(
    template: str, title: str, anchors: Sequence[tuple[str, str]], data: Mapping[str, Any], views: Mapping[str, Any]
) -> str:
    """Render a template of the report.

    Args:
        anchors: The id and the name of each section, for the navigation.
        data: What the script reads, as JSON.
        views: The other variables of the template.
    """
    css, script = ((HERE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    views = {**views, "title": title, "sections": anchors}
    return page(environment().get_template(template), css, script, images="data:", data=data, views=views)

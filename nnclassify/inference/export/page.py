"""The network as one page that runs it in the browser, offline."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnclassify.data.tables.encoding import AnyColumn
from nnclassify.errors import InputError, ModelError, one_line
from nnclassify.inference.export.about import Comparison, Export
from nnclassify.inference.export.browser_program import HERE, browser_program, encoded
from nnclassify.inference.export.columns import describe
from nnclassify.inference.export.network import Kind, is_whole
from nnclassify.inference.export.resize import ROWS_FIRST
from nnclassify.inference.report.contents import read_run
from nnclassify.inference.report.sentences import result_sentence, task_sentence
from nnclassify.inference.report.templating import environment, page
from nnclassify.runs.folder import RunFolder

LARGEST_PAGE = 2_000_000
"""Bytes of a page."""
MAX_FIELDS, MAX_POINTS = 64, 200
"""Values with a field each, and training examples on the map of two values."""
CHECKED_BYTES = 2**25
"""Bytes of images at their own size that a page is compared on; further ones are resized before."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
TIMEOUT = 300
"""Seconds that a browser may take for the comparison."""
DARK = 110
"""Mean of images below which one draws in white on black."""


def write_page(export: Export, path: Path) -> None:
    """Write the page.

    Raises:
        ModelError: A page cannot carry out the network, or would be too large.
    """
    path.write_text(_page(export, _content(export)), encoding="utf-8")


def _content(export: Export) -> dict[str, Any]:
    """Return what the script of the page reads."""
    _check_size(export)
    classifier = export.classifier
    return {
        "classes": classifier.class_names,
        "is_multi_hot": classifier.is_multi_hot,
        "decision_rule": classifier.decision_rule,
        "input": _input(export),
        "program": browser_program(export),
    }


def _check_size(export: Export) -> None:
    """Refuse a network whose weights alone do not fit into a page, naming its largest layer."""
    weights = dict(export.classifier.model.named_parameters())
    size = 5 * sum(weight.numel() for weight in weights.values())
    if size > LARGEST_PAGE:
        name, largest = max(weights.items(), key=lambda pair: pair[1].numel())
        layer = name.rpartition(".")[0] or name
        shape = tuple(largest.shape)
        raise _too_large(size, f"the largest layer is {layer}, with weights of shape {shape}: use --to onnx")


def _too_large(size: int, advice: str) -> ModelError:
    sizes = f"{size / 1e6:.1f} MB, over the limit of {LARGEST_PAGE / 1e6:.0f} MB"
    return ModelError(f"--to html: the page would have {sizes}; {advice}")


def _page(export: Export, content: dict[str, Any]) -> str:
    run = read_run(RunFolder(export.classifier.path.parent))
    views = {
        "name": export.name,
        "task": task_sentence(run),
        "result": result_sentence(run),
        "license": export.license,
        "is_multi_hot": export.classifier.is_multi_hot,
    }
    template, script = environment(HERE).get_template("page.html.j2"), _source("network.js") + _source("page.js")
    made = page(template, _source("page.css"), script, images="data: blob:", data=content, views=views)
    if "check" not in content and (size := len(made.encode())) > LARGEST_PAGE:
        raise _too_large(size, "use --to onnx")
    return made


def _source(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _input(export: Export) -> dict[str, Any]:
    """Return what the user gives, and how: an image, a value per field, or a list of numbers."""
    transform, taken = export.classifier.transform, export.examples.taken
    image_format = transform.image_format
    told: dict[str, Any] = {"way": "list", "shape": list(transform.input_shape)}
    if image_format is not None:
        way = {**vars(image_format), "rows_first": ROWS_FIRST}
        told |= {"way": "image", "image_format": way, "is_whole": is_whole(image_format)}
        return told | {"pen": _pen(export) if image_format.mode == "gray" else None}
    inputs = torch.cat([batch.inputs for batch in export.examples.batches]).double()
    start = _usual(inputs)
    if len(taken.shape) == 1 and len(start) <= MAX_FIELDS:
        fields = _fields(export)
        told["way"] = "values"
        told["fields"] = [{**field, "start": value} for field, value in zip(fields, start, strict=True)]
        plain = [field.get("kind") == "number" for field in fields]
        told["regions"] = _regions(export, inputs, fields) if plain == [True, True] else None
    return told | {"start": start}


def _usual(inputs: Tensor) -> list[float | None]:
    """Return the median of each value, a number that occurs; None where all are missing."""
    medians = inputs.flatten(1).nanmedian(dim=0).values.tolist()
    return [None if not math.isfinite(value) else float(f"{value:.6g}") for value in medians]


def _pen(export: Export) -> dict[str, str]:
    """Return the colors of drawing and background, by what most of the training images look like."""
    raw = torch.cat([batch.raw for batch in export.examples.batches]).double()
    white = 1 if raw.max() <= 1 else 255
    is_dark = float(raw.mean()) * 255 / white < DARK
    return {"ink": "#fff", "paper": "#000"} if is_dark else {"ink": "#000", "paper": "#fff"}


def _fields(export: Export) -> list[dict[str, Any]]:
    transform = export.classifier.transform
    if transform.encoder is not None:
        columns: tuple[AnyColumn, ...] = transform.encoder.columns
        return [_field(column) for column in columns]
    names = transform.columns or [f"value {place + 1}" for place in range(transform.num_columns)]
    return [{"name": name, "kind": "number"} for name in names]


def _field(column: AnyColumn) -> dict[str, Any]:
    about: dict[str, Any] = describe(column)
    if column.kind == "yes_no":
        about["categories"] = ["no", "yes"]
    return about


def _regions(export: Export, inputs: Tensor, fields: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the part of the plane that the map shows, and the training examples on it."""
    train = export.examples.splits.train
    rows = train.spaced_rows(MAX_POINTS)
    points, targets = train.select(rows)
    classes = targets.argmax(dim=1) if targets.ndim == 2 else targets
    low, high = inputs.amin(dim=0), inputs.amax(dim=0)
    margin = (0.15 * (high - low)).clamp_min(1e-6)
    return {
        "low": (low - margin).tolist(),
        "high": (high + margin).tolist(),
        "points": [[*point, index] for point, index in zip(points.tolist(), classes.tolist(), strict=True)],
        "names": [field["name"] for field in fields],
    }


def compare_page(export: Export, path: Path) -> Comparison | None:
    """Run the page's script in a browser, or in Node.js, and compare it with the classifier.

    Raises:
        InputError: It gives other answers, or fails.
    """
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    node = shutil.which("node")
    content = _content(export) | {"check": _checked(export)}
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".check-") as folder:
        if browser is not None:
            answers = _in_browser(browser, _page(export, content), Path(folder))
        elif node is not None:
            answers = _in_node(node, content, Path(folder))
        else:
            export.note("the page was not compared: found no browser (Chromium, Chrome, Edge) and no Node.js")
            return None
    comparison, start = Comparison(export, "html"), 0
    for batch in export.examples.batches:
        part = answers[start : start + len(batch.inputs)]
        start += len(batch.inputs)
        probabilities = torch.tensor([[math.nan if value is None else value for value in one[0]] for one in part])
        predictions = torch.tensor([one[1] for one in part]).long()
        is_single = not export.classifier.is_multi_hot
        comparison.add(probabilities, predictions[:, 0] if is_single else predictions, batch, len(part))
    return comparison


def _checked(export: Export) -> list[dict[str, Any]]:
    """Return the examples to compare on, as the script takes them."""
    found, left = [], CHECKED_BYTES
    is_image = export.examples.taken.kind is Kind.IMAGES
    for batch in export.examples.batches:
        for given, raw in zip(batch.inputs, batch.raw, strict=True):
            left -= given.nbytes
            is_whole_image = is_image and left >= 0
            chosen = given if is_whole_image or not is_image else raw
            if chosen.dtype in (torch.float16, torch.bfloat16):  # which the script does not read
                chosen = chosen.float()
            found.append({**encoded(chosen), "image": is_whole_image})
    return found


def _in_browser(browser: str, page: str, folder: Path) -> list[Any]:
    """Open the page, which compares instead of asking, and return its answers."""
    file = folder / "check.html"
    file.write_text(page, encoding="utf-8")
    profile = f"--user-data-dir={folder / 'profile'}"
    options = ["--headless=new", "--disable-gpu", "--no-first-run", profile, "--dump-dom"]
    as_root = ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    shown = _output([browser, *options, *as_root, file.resolve().as_uri()])
    answers = re.search(r'<pre id="compared">(.*?)</pre>', shown, re.DOTALL)
    if answers is None:
        raise InputError("--to html: the script of the page failed in the browser; nothing was written")
    return list(json.loads(answers[1]))


def _in_node(node: str, content: dict[str, Any], folder: Path) -> list[Any]:
    file = folder / "check.js"
    told = json.dumps(content, allow_nan=False)
    tail = "console.log(JSON.stringify(compared(page)));"  # JSON writes NaN as null
    file.write_text(f"{_source('network.js')}\nconst page = {told};\n{tail}", encoding="utf-8")
    return list(json.loads(_output([node, str(file)])))


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=TIMEOUT, check=True)
    except (OSError, subprocess.SubprocessError) as cause:
        raise InputError(
            f"--to html: {Path(command[0]).name} failed ({one_line(cause)}); nothing was written"
        ) from cause
    return done.stdout

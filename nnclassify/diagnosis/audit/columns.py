"""Columns of a table that give the label away, identifiers and constants."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from nnclassify.config.suggest.column_facts import CONSTANT, IDENTIFIER, INDEX
from nnclassify.config.suggest.suggest import FORMAT
from nnclassify.config.suggest.table_facts import COPY, table_facts
from nnclassify.data import Splits
from nnclassify.data.splitting import Labels, stratified_folds
from nnclassify.data.tables.columns import is_identifier, numbers_the_rows, scaled
from nnclassify.data.tables.table_datasets import Csv, find_table
from nnclassify.diagnosis.audit.flags import Flag, Found
from nnclassify.diagnosis.audit.material import Material
from nnclassify.diagnosis.audit.pages import ODD_COLUMNS, REVEALING
from nnclassify.diagnosis.findings import Evidence, Finding
from nnclassify.errors import DataError, InputError, counted, one_line, some
from nnclassify.evaluation.percent import percent
from nnclassify.seeds import numpy_rng

MOST, FEWEST = 20_000, 50
"""Rows that columns are judged on."""
LEAVES, FOLDS = 64, 3
ALONE, MUCH_BETTER = 0.95, 0.25
"""A column gives the label away if it predicts this part of what chance does not, and has at most a quarter of the
errors of all columns together that do not."""


def columns(material: Material) -> Found:
    """Find them, also among the columns that are not used as features."""
    dataset = material.loaded.config.dataset
    unused, notes = [], []
    try:
        unused = list(_unused(dataset)) if isinstance(dataset, Csv) else []
    except (DataError, InputError) as error:  # the first rows may hold a single class
        notes = [f"columns that are not features were not checked: {one_line(error)}"]
    known = {flag.column for flag in unused}
    used = (flag for flag in (*_revealing(material), *_odd_features(material)) if flag.column not in known)
    flags = [*unused, *used]
    revealing = [flag for flag in flags if flag.kind == "reveals_label"]
    others = [flag for flag in flags if flag.kind != "reveals_label"]
    findings = []
    if revealing:
        names = some([repr(flag.column) for flag in revealing], 5)
        text = f"{counted(len(revealing), 'column')}: {names}; {revealing[0].detail}"
        findings.append(Finding(REVEALING, "warning", Evidence(text, revealing[0].score, ALONE), path="dataset"))
    if others:
        text = some([f"{flag.column!r} ({flag.detail})" for flag in others], 5)
        findings.append(Finding(ODD_COLUMNS, "note", Evidence(text, len(others), 0.0), path="dataset"))
    return Found(findings, [*revealing, *others], notes)


def _unused(dataset: Csv) -> Iterator[Flag]:
    """Yield the columns of a file that `init` would not use as features, as its first rows show."""
    labels = dataset.label if isinstance(dataset.label, str) else [*dataset.label]
    stated = {key: getattr(dataset, key) for key in FORMAT if key in dataset.model_fields_set}
    kinds = {COPY: "reveals_label", CONSTANT: "constant", IDENTIFIER: "identifier", INDEX: "identifier"}
    for column in table_facts(str(find_table(dataset.path)), labels, stated).columns:
        for reason, kind in kinds.items():
            if column.why_ignored.startswith(reason):
                yield Flag(kind, None, 1.0, column=column.name, detail=column.why_ignored)


def _odd_features(material: Material) -> Iterator[Flag]:
    """Yield the columns of numbers that number the rows, or have a single value."""
    inputs = torch.cat(list(material.chunks())).flatten(1).double().numpy()
    for name, place in blocks(material.splits):
        values = inputs[:, place]
        if (values == values[0]).all():
            yield Flag("constant", None, 1.0, column=name, detail="one value in all rows")
        elif values.shape[1] == 1 and (
            numbers_the_rows(values[:, 0]) or (is_identifier(name) and len(np.unique(values)) == len(values))
        ):
            yield Flag("identifier", None, 1.0, column=name, detail="a different number in every row")


def _revealing(material: Material) -> list[Flag]:
    if material.is_multi_hot or len(material) < FEWEST:
        return []
    rows = np.linspace(0, len(material) - 1, min(MOST, len(material))).astype(np.int64)
    return list(revealing_columns(material.columns[torch.from_numpy(rows)], material.targets[rows], material.splits))


def revealing_columns(inputs: Tensor, targets: Labels, splits: Splits) -> Iterator[Flag]:
    """Yield the columns that give the label away, the best first.

    Each one is judged alone by a tree of 64 leaves on rows that it was not grown on, and compared with a tree on all
    columns that are not suspected.
    """
    kept = np.flatnonzero(np.bincount(targets)[targets] >= FOLDS)
    targets = np.unique(targets[kept], return_inverse=True)[1]
    if len(targets) == 0 or targets.max() == 0:
        return
    values = scaled(inputs.double().numpy()[kept])  # trees compare float32
    found = {name: _skill(values[:, place], targets) for name, place in blocks(splits)}
    suspected = [name for name in found if found[name] >= ALONE]
    rest = [np.arange(values.shape[1])[place] for name, place in blocks(splits) if name not in suspected]
    others = _skill(values[:, np.concatenate(rest)], targets) if suspected and rest else 0.0
    for name in sorted(suspected, key=lambda name: -found[name]):
        if 1 - found[name] <= MUCH_BETTER * (1 - others):
            detail = f"column {name!r} alone avoids {percent(found[name])} of the errors of guessing, all others"
            yield Flag("reveals_label", None, found[name], column=name, detail=f"{detail} {percent(others)}")


def blocks(splits: Splits) -> list[tuple[str, slice]]:
    """Return the name of each column and the place of its features."""
    if splits.encoder is not None:
        return list(zip(splits.encoder.names, splits.encoder.slices, strict=True))
    count = splits.train.inputs[0].numel()
    names = splits.feature_names or [str(place) for place in range(count)]
    return [(name, slice(place, place + 1)) for place, name in enumerate(names)]


def _skill(values: np.ndarray, targets: Labels) -> float:
    """Return the balanced accuracy of a tree on rows that it was not grown on, 0 for chance and 1 for perfect."""
    from sklearn.tree import DecisionTreeClassifier

    folds = stratified_folds(targets, None, FOLDS, numpy_rng(0, "audit", "columns"))
    predicted = np.empty_like(targets)
    for fold in range(FOLDS):
        tree = DecisionTreeClassifier(max_leaf_nodes=LEAVES, class_weight="balanced", random_state=0)
        tree.fit(values[folds != fold], targets[folds != fold])
        predicted[folds == fold] = tree.predict(values[folds == fold])
    classes = np.unique(targets)
    balanced = np.mean([(predicted[targets == one] == one).mean() for one in classes])
    return float((balanced - 1 / len(classes)) / (1 - 1 / len(classes)))

"""A config for a table: its columns as they are, and an MLP that suits it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from nnclassify.config.suggest.chosen_columns import NONE_CHOSEN, TIME, ChosenColumns
from nnclassify.config.suggest.column_facts import (
    FEW_CATEGORIES,
    GROUP,
    INDEX,
    MOSTLY,
    SPLIT,
    ColumnFacts,
    are_padded,
    splits_of,
)
from nnclassify.config.suggest.document import CHOSEN, Entry, Suggestion, values_of
from nnclassify.config.suggest.images import TEST, VALIDATION, validation_entry
from nnclassify.config.suggest.linearity import MAX_EXAMPLES, is_linear
from nnclassify.config.suggest.recipe import (
    DISCRIMINANT_LR,
    LINEAR_STEPS,
    SMALL_TABLE_STEPS,
    TABLE_STEPS,
    WIDE_TABLE_STEPS,
    Recipe,
    linear_lr,
    loss_entries,
    recipe_for,
)
from nnclassify.config.suggest.table_facts import LOOKED_AT, TableFacts, table_facts
from nnclassify.config.suggest.table_format import opened
from nnclassify.data.images.image_listing import look_alike
from nnclassify.data.labels import grouped
from nnclassify.data.tables.column_kinds import kind_text
from nnclassify.data.tables.columns import is_identifier
from nnclassify.data.tables.encoding import DateColumn, FormattedNumberColumn, NumberColumn, OneHotColumn
from nnclassify.data.tables.table_datasets import Csv
from nnclassify.errors import DataError, counted, some
from nnclassify.settings import yaml_list

FEATURE_ROWS = 10
"""Training rows per feature below which a network would soon memorize a small table."""
CLASS_ROWS, HELD_OUT_ROWS = 20, 10
"""Training rows per class from which on much is dropped out, and from which on some are held out for validation."""

FEW_NAMES = 10
"""Columns not used for the same reason that have a line each; of more, the first are listed."""
MIN_NAMED = 20
"""Rows from which on whole numbers that hardly recur may identify the rows of a table without a header."""
MOST_ALIKE = 5
"""Groups of categories whose names look alike that are shown per column."""
_OF_EXAMPLES = re.compile(
    r"(sample|case|survey|instance|observation)[ _.-]?weights?|(k|cv)?[ _-]?folds?([ _-]?id)?|"
    r"is[ _-]?(test|train|val|valid|validation)",
    re.I,
)
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+")


def suggest_for_table(
    path: str,
    name: str,
    label: str | list[str] | None,
    stated: Mapping[str, Any] = MappingProxyType({}),
    chosen: ChosenColumns = NONE_CHOSEN,
    files: Mapping[str, str] = MappingProxyType({}),
) -> Suggestion:
    """Look at a table, and suggest a config.

    Args:
        path: The file.
        name: The name of the runs.
        label: The label column, or columns of a multi-hot label; None: the only candidate.
        stated: Options that say how it is written; the others are recognized.
        chosen: What the user says of its columns.
        files: The files next to it that are called like the other splits, by split; one without the label is not used.

    Raises:
        DataError: It cannot be read or learned from.
        InputError: Which column is the label is not clear.
    """
    facts = table_facts(path, label, stated, chosen)
    if not facts.used:
        reasons = _reasons(facts.columns) or "no other column"
        raise DataError(f"{path}: nothing to learn the label {facts.label!r} from ({reasons})")
    num_train = max(1, int(facts.num_rows * (1 - TEST) * (1 - VALIDATION)))
    files, notes = _labeled(facts, files)
    splits = _split_entries(facts, files)
    fractions = {entry.key: entry.value for entry in splits if not isinstance(entry.value, str)}
    validation = fractions.get("validation", VALIDATION)
    num_features = sum(column.num_features() for column in facts.used)
    dataset = [*_dataset_entries(facts, stated), *splits]
    model, recipe = mlp_entries(num_train, num_features, len(facts.classes))
    if facts.classes and num_train <= MAX_EXAMPLES and is_linear(Csv.model_validate(values_of(dataset)).build(0)):
        model, recipe = linear_entries(num_train, num_features, len(facts.classes))
    loss = [Entry("loss", "bce_with_logits")]
    if facts.classes:
        loss = loss_entries([*facts.classes.values()], validation * facts.num_rows * (1 - TEST))
    entries = [
        Entry("dataset", dataset),
        Entry("model", model),
        *loss,
        *recipe.entries(),
    ]
    return Suggestion(name, [*_found(facts), *notes], entries)


def mlp_entries(num_examples: int, num_features: int, num_classes: int) -> tuple[list[Entry], Recipe]:
    """Return the model section of an MLP for some columns, wider for more examples, and how long to train it."""
    if num_examples >= 100_000:
        width, much, steps = 256, 0.1, TABLE_STEPS
    elif num_examples >= 1_000:
        width, much, steps = 128, 0.3, TABLE_STEPS
    elif num_examples >= FEATURE_ROWS * num_features:
        width, much, steps = 128, 0.2, SMALL_TABLE_STEPS
    else:
        width, much, steps = 64, 0.5, WIDE_TABLE_STEPS
    recipe = recipe_for(num_examples, num_features * width + width * width, steps)
    # Dropout keeps a network from memorizing; with a handful of examples per class, it keeps it from learning.
    dropout = much if CLASS_ROWS * num_classes <= num_examples else 0.1
    return [Entry("name", "mlp"), Entry("hidden", [width, width]), Entry("dropout", dropout)], recipe


def linear_entries(num_examples: int, num_features: int, num_classes: int) -> tuple[list[Entry], Recipe]:
    """Return the model section of a linear model, and how long to train it."""
    why = "a linear model: for these examples, hidden layers would not help (cross-validated on the training split)"
    recipe = recipe_for(num_examples, num_features * num_classes, LINEAR_STEPS)
    model = [Entry("name", "mlp"), Entry("hidden", [], why)]
    if num_examples < FEATURE_ROWS * num_features:
        return model, replace(recipe, linear_lr=linear_lr(num_features, num_classes))
    model.append(Entry("init", "discriminant", "starts as the linear baseline, which training may improve"))
    return model, replace(recipe, linear_lr=DISCRIMINANT_LR)


def _dataset_entries(facts: TableFacts, stated: Mapping[str, Any]) -> list[Entry]:
    label = "guessed by its name or place; --label chooses another" if facts.guessed else ""
    entries = [Entry("name", "csv"), Entry("path", facts.path), Entry("label", facts.label, label)]
    entries += [Entry(key, value) for key, value in stated.items()]
    entries += [Entry(key, value, "recognized") for key, value in facts.written.items()]
    roles = {
        "id": (facts.identifier, "names the rows in manifest.csv and predictions.csv"),
        "group": (facts.group, GROUP),
        "time": (facts.time, TIME),
    }
    entries += [Entry(option, name, reason) for option, (name, reason) in roles.items() if name is not None]
    taken = {facts.identifier, facts.group, facts.time, facts.split.name if facts.split else None}
    ignored = [column for column in facts.columns if column.column is None and column.name not in taken]
    ignored = [column for column in ignored if column.why_ignored != INDEX]  # the reader leaves it out itself
    if features := facts.chosen.columns("features"):
        entries.append(Entry("features", features, CHOSEN))
    elif ignored:
        entries.append(Entry("ignore", [column.name for column in ignored], _reasons(ignored)))
    entries += [*_kind_entries(facts), *_quantile_entries(facts)]
    if num_missing := sum(column.num_missing for column in facts.used):
        comment = f"{counted(num_missing, 'missing value')}: the median or the most frequent category, and a marker"
        entries.append(Entry("missing", "fill", comment))
    return entries


def _kind_entries(facts: TableFacts) -> list[Entry]:
    entries: list[Entry] = []
    categories: dict[str, Any] = {}
    chosen = facts.chosen.mapping("categories", "one_hot")
    for column in facts.used:
        if not isinstance(column.column, NumberColumn | FormattedNumberColumn | DateColumn):
            kind = "one_hot" if isinstance(column.column, OneHotColumn) else "yes_no"
            categories[column.name] = FEW_CATEGORIES if column.is_trimmed else chosen.get(column.name, kind)
    if categories:
        coded = some([column.name for column in facts.used if column.is_coded], 5)
        comment = f"; remove {coded} from the list if the order of its numbers means something" if coded else ""
        entries.append(Entry("categories", categories, f"a feature for each category{comment}"))
    if names := [column.name for column in facts.used if isinstance(column.column, DateColumn)]:
        forms = facts.chosen.mapping("dates", {})
        dates: list[str] | dict[str, Any] = names
        if any(forms.values()):
            dates = {name: forms.get(name, {}) for name in names}
        entries.append(Entry("dates", dates, "days since 1970-01-01"))
    if numbers := [column.name for column in facts.used if isinstance(column.column, FormattedNumberColumn)]:
        entries.append(Entry("numbers", numbers, "with units or separators, or times; the format is recognized"))
    return entries


def _quantile_entries(facts: TableFacts) -> list[Entry]:
    chosen = facts.chosen.columns("quantile_transform")
    far = [column for column in facts.used if column.is_far_apart and column.name not in chosen]
    if not far:
        return [Entry("quantile_transform", chosen, CHOSEN)] if chosen else []
    farthest = max(far, key=lambda column: column.spread)
    why = f"values far apart: one of {farthest.shown} is {farthest.spread:,.3g} times as far from the median as most"
    return [Entry("quantile_transform", [*(column.name for column in far), *chosen], why)]


def _labeled(facts: TableFacts, files: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the files of other splits that have the label, and a line on each of the others."""
    labels = [facts.label] if isinstance(facts.label, str) else facts.label
    found, notes = dict[str, str](), list[str]()
    for split, file in files.items():
        table, _ = opened(file, labels, {})
        if facts.split:
            notes.append(f"{file}: not used: column {facts.split.name!r} says which split each row is for")
        elif {*labels} <= {*map(str.strip, next(table.rows(), (0, [""]))[1])}:
            found[split] = file
        else:
            notes.append(f"{file}: not used for training: no label {some(labels)}; `nnclassify predict` takes it")
    return found, notes


def _split_entries(facts: TableFacts, files: Mapping[str, str]) -> list[Entry]:
    if files:
        own = [Entry(split, files[split], "a file of its own") for split in ("validation", "test") if split in files]
        drawn = [entry for entry in _split_entries(facts, {}) if entry.key not in (*files, "split")]
        return [*own, *drawn]
    named = {*splits_of(facts.split.counts).values()} if facts.split else set()
    entries = [Entry("split", facts.split.name, SPLIT)] if facts.split else []
    if "validation" not in named:
        num_train = facts.num_rows * (1 - TEST)
        is_scarce = num_train < HELD_OUT_ROWS * len(facts.classes)
        few = Entry("validation", 0, "too few rows of each class to hold some out")
        entries.append(few if is_scarce else validation_entry(num_train))
    if not facts.split:
        entries.append(Entry("test", TEST, "fraction of all rows; reported at the end, selects nothing"))
    return entries


def _found(facts: TableFacts) -> list[str]:
    more = "at least " if facts.num_rows == LOOKED_AT else ""
    labels = facts.label if isinstance(facts.label, str) else some(facts.label, 10)
    how = "guessed by its name or place; --label chooses another" if facts.guessed else "as chosen"
    lines = [
        f"{facts.path}: {more}{counted(facts.num_rows, 'row')}, {counted(len(facts.columns), 'column')} and the label",
        f"{facts.path}: label: {labels} ({how})",
    ]
    if facts.classes:
        classes = some([f"{name} {count:,}" for name, count in facts.classes.items()], 10)
        lines.append(f"{facts.path}: {counted(len(facts.classes), 'class')}: {classes}")
    if facts.written:
        stated = ", ".join(f"{key} {value!r}" for key, value in facts.written.items())
        lines.append(f"{facts.path}: recognized: {stated}")
    by_kind: dict[str, list[str]] = {}
    for column in facts.used:
        assert column.column is not None
        by_kind.setdefault(kind_text(column.column), []).append(column.shown)
    lines += [f"{facts.path}: {kind}: {some(names, 20)}" for kind, names in by_kind.items()]
    lines += [f"{facts.path}: {note}" for note in _doubts(facts)]
    missing = [column.shown_missing() for column in facts.columns if column.num_missing]
    if missing:
        lines.append(f"{facts.path}: missing values: {some(missing, 20)}")
    # The reader itself says that an index is not used.
    unused = [column for column in facts.columns if column.column is None and column.why_ignored != INDEX]
    for why, names in _by_reason(unused).items():
        if len(names) > FEW_NAMES:
            lines.append(f"{facts.path}: columns {some([*map(repr, names)], FEW_NAMES)} are not features: {why}")
        else:
            lines += [f"{facts.path}: column {name!r} is not a feature: {why}" for name in names]
    return lines


def _reasons(columns: Sequence[ColumnFacts]) -> str:
    """Return why columns are not used."""
    return "; ".join(f"{some(names, FEW_NAMES)}: {why}" for why, names in _by_reason(columns).items())


def _by_reason(columns: Sequence[ColumnFacts]) -> dict[str, list[str]]:
    """Return the names of columns that are not used, by the reason."""
    found: dict[str, list[str]] = {}
    for column in columns:
        found.setdefault(column.why_ignored, []).append(column.name)
    return found


def _doubts(facts: TableFacts) -> list[str]:
    """Return lines on columns whose texts may mean something else than what they are read as."""
    notes = []
    for column in facts.used:
        shown, texts = f"column {column.name!r}: ", [*column.counts]
        if isinstance(column.column, OneHotColumn):
            alike = (group for group in grouped({text: look_alike(text) for text in texts}) if len(group) > 1)
            notes += [
                f"{shown}{some([*map(repr, group)], 5)} differ only in case, spaces or spelling, and are {len(group)} "
                "categories"
                for group in itertools.islice(alike, MOST_ALIKE)
            ]
        elif isinstance(column.column, NumberColumn) and (why := _why_codes(column.name, texts)):
            notes.append(
                f"{shown}{why}: if they are codes, list the column in dataset.ignore, or keep the most frequent ones: "
                f"dataset.categories: {{{column.name}: {FEW_CATEGORIES}}}"
            )
        if _OF_EXAMPLES.fullmatch(column.name):
            notes.append(
                f"{shown}called like weights, folds or splits of the examples, but used as a feature; if it is no "
                "property of the examples, list it in dataset.ignore"
            )
    if "columns" in facts.written and (first := facts.columns[0]).column is not None and _may_name_rows(first):
        notes.append(
            f"column {first.name!r}: whole numbers, hardly any twice: if they identify the rows, list the column in "
            "dataset.ignore"
        )
    if named := [column.name for column in facts.used if column.follows_label]:
        notes.append(
            f"as if made from the label, with one value in each class: {some([*map(repr, named)], FEW_NAMES)}; list in "
            "dataset.ignore what is not known for new rows"
        )
    return notes + _thousands_or_decimals(facts)


def _may_name_rows(facts: ColumnFacts) -> bool:
    """Return whether a column without a name may identify the rows: whole numbers of four digits or more, hardly
    any twice."""
    are_long = all(re.fullmatch(r"\d{4,}", text, re.ASCII) for text in facts.counts)
    return are_long and facts.num_rows >= MIN_NAMED and len(facts.counts) >= MOSTLY * facts.num_rows


def _why_codes(name: str, texts: Sequence[str]) -> str:
    """Return why numbers may be codes, whose order means nothing; empty if nothing says so."""
    if are_padded(texts):
        return f"numbers such as {texts[0]!r} are padded with zeros"
    is_whole = all(re.fullmatch(r"\d+", text, re.ASCII) for text in texts)
    return "whole numbers in a column that is called like an identifier" if is_whole and is_identifier(name) else ""


def _thousands_or_decimals(facts: TableFacts) -> list[str]:
    """Return a line on numbers such as `1.234` where no other number tells whether the point separates thousands: where
    semicolons separate columns, as where decimals have commas, or next to `950` and `12.000` in the same column, which
    no program writes for 950.0 and 12.0."""
    texts = {facts.shown: [*facts.counts] for facts in facts.used if isinstance(facts.column, NumberColumn)}
    of_columns = [(name, text) for name, found in texts.items() for text in found if "." in text]
    if any(_GROUPED.fullmatch(text) is None for _, text in of_columns) or facts.written.get("delimiter") != ";":
        of_columns = [(name, text) for name, text in of_columns if _is_grouped(texts[name])]
    if not of_columns:
        return []
    name, text = of_columns[0]
    return [
        f"column {name!r}: {text!r} is read with a decimal point; if points separate thousands, set "
        f"dataset.decimal: ',' and dataset.numbers: {yaml_list([*dict.fromkeys(name for name, _ in of_columns)])}"
    ]


def _is_grouped(texts: Sequence[str]) -> bool:
    """Return whether points in some of the numbers probably separate thousands: all have three digits behind them, some
    end in zeros, and other numbers have no point."""
    pointed = [text for text in texts if "." in text]
    has_zeros = any(text.endswith("0") for text in pointed)
    return 0 < len(pointed) < len(texts) and has_zeros and all(map(_GROUPED.fullmatch, pointed))

"""Choose the examples to evaluate on: a split of the run's own data, or all examples of other data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from nnclassify.data import Examples, Splits
from nnclassify.data.base import Dataset, RawDataset
from nnclassify.data.labels import matched
from nnclassify.data.splitting import counts_of, limited
from nnclassify.data.tables.csv_inputs import notes_on_ignored
from nnclassify.data.transform import Transform
from nnclassify.data.unsplit import UnsplitExamples
from nnclassify.errors import DataError, InputError, LabelError, some
from nnclassify.evaluation.baselines import Baselines
from nnclassify.evaluation.outputs import check_values
from nnclassify.files.json_files import read_json
from nnclassify.inference.classifier import Classifier, check_columns
from nnclassify.inference.evaluate import Evaluation, choose_split, evaluate, splits_of
from nnclassify.inference.labeled_data import dataset_at
from nnclassify.process import preserve_process_state
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.looks import look
from nnclassify.runs.manifest import changes_since, seen_in_training


@dataclass(frozen=True)
class EvaluationExamples:
    """Examples to evaluate on.

    Attributes:
        split: The name of the split; `all` for all examples of other data.
        examples: The examples.
        notes: Notes about the examples, one line each.
        dataset: The dataset that they were read from.
        is_unchanged: Whether they are a split of the run as it was trained.
    """

    split: str
    examples: Examples
    dataset: Dataset
    notes: list[str] = field(default_factory=list)
    is_unchanged: bool = False


def examples_to_evaluate(
    classifier: Classifier, split: str | None = None, data: str | None = None, label: str | None = None
) -> EvaluationExamples:
    """Choose a split of the run's own data (by default the test split), or all examples of other data.

    A run recognizes its own data by the digests of its splits, even if an override has moved the data.

    Args:
        classifier: The trained network.
        split: The split to choose.
        data: Labeled data to evaluate instead, as it is; see `dataset_at`.
        label: The label column of `data`, if it is a table; None: as in the training table.

    Raises:
        DataError: The data cannot be read, or does not fit the network.
        InputError: There is nothing at `data`, or the network does not take such data; or `label` without `data`.
    """
    if data is not None:
        return _of_other(classifier, dataset_at(classifier, data, label), split)
    if label is not None:
        raise InputError(f"--label {label}: names the label column of --data FILE, which is missing")
    if not classifier.is_moved:
        return _of_own(classifier, splits_of(classifier), split)
    try:
        own = splits_of(classifier)
    except DataError:  # other data may lack a class or be too small to split; other errors are raised again below
        own = None
    if own is not None and (split is not None or _is_known(classifier, *choose_split(own, None))):
        return _of_own(classifier, own, split)
    return _of_other(classifier, classifier.config.dataset, None)


@preserve_process_state()
def evaluate_run(
    classifier: Classifier, split: str | None = None, data: str | None = None, label: str | None = None
) -> Evaluation:
    """Evaluate a classifier on the examples that `examples_to_evaluate` chooses.

    Raises:
        DataError: See `examples_to_evaluate`.
        InputError: `split` is not the name of a split, or see `examples_to_evaluate`.
    """
    if split not in (None, "train", "validation", "test"):
        raise InputError(f"split: found {split!r}, expected train, validation or test")
    chosen = examples_to_evaluate(classifier, split, data, label)
    notes = list(chosen.notes)
    return replace(evaluate_chosen(classifier, chosen, notes.append), notes=tuple(notes))


def evaluate_chosen(classifier: Classifier, chosen: EvaluationExamples, note: Callable[[str], None]) -> Evaluation:
    """Evaluate a classifier on examples; if they are a test split, that is a look at it.

    Args:
        classifier: The trained network.
        chosen: The examples.
        note: Called with why looks cannot be counted, on one line.

    Raises:
        TrainingError: The loss of an example is not finite.
    """
    evaluation, looks = evaluate(classifier, chosen.examples), None
    if chosen.split == "test":
        looks = look(classifier.path, classifier.model.state_dict(), chosen.examples.digest(), note)
    return replace(evaluation, split=chosen.split, test_looks=looks)


def recorded_baselines(checkpoint: Path) -> Baselines | None:
    """Return the baselines on the test split that a run recorded, for its `best.pt`; None if it has none.

    They were fitted on its training split, which is not read again for an evaluation.
    """
    folder = RunFolder(checkpoint.parent)
    try:
        found = TypeAdapter(Baselines).validate_python(read_json(folder.result)["baselines"])
        return found if checkpoint == folder.best else None
    except (OSError, ValueError, KeyError, TypeError):  # no finished run, or not its result
        return None


def _is_known(classifier: Classifier, name: str, examples: Examples) -> bool:
    digests = classifier.split_digests
    return digests is not None and digests.get(name) == examples.digest()


def _of_own(classifier: Classifier, splits: Splits, split: str | None) -> EvaluationExamples:
    is_shown = split is not None or classifier.config.show_test
    name, examples = choose_split(splits if is_shown else replace(splits, test=None), split)
    dataset, notes = classifier.config.dataset, list(splits.notes)
    origin, origin_of_inputs = dataset.origin(name), dataset.origin_of_inputs(name)
    check_values(examples, classifier.transform, origin_of_inputs)
    is_unchanged = classifier.split_digests is None or _is_known(classifier, name, examples)
    if not is_unchanged:
        which = changes_since(RunFolder(classifier.path.parent).manifest, splits)
        unknown = f"examples that the network was trained on may be among these {len(examples)}"
        trained_on = _trained_on(classifier, examples, origin_of_inputs)
        notes.append(
            f"{origin}: the {name} split has changed since the run was trained (its digest differs){which}; "
            f"{unknown if trained_on is None else trained_on or f'none of these {len(examples)} was trained on'}"
        )
    return EvaluationExamples(name, examples, dataset, notes, is_unchanged)


def _of_other(classifier: Classifier, dataset: Dataset, split: str | None) -> EvaluationExamples:
    """Choose all examples of data that the network was not trained on, or one split if the data has several.

    None of them is held out: the data is evaluated as it is.
    """
    config, transform, class_names = classifier.config, classifier.transform, classifier.class_names
    dataset = dataset.unsplit().as_trained(transform)
    seed = config.seed if dataset.seed is None else dataset.seed
    source = dataset.read_labeled(class_names, seed)
    name, pool, others = _part(source, split, dataset.origin())
    origin, origin_of_inputs = dataset.origin(name), dataset.origin_of_inputs(name)
    check_columns(classifier, source.feature_names)
    pool = _in_classes(pool, source, class_names, origin)
    examples = pool.take(limited(pool.targets, np.arange(len(pool.targets)), dataset.limit, seed))
    source = source.finish(source)
    if len(examples) == 0:
        raise DataError(f"{origin}: no examples to evaluate on")
    examples = _in_range(examples, source, transform)
    if tuple(examples.inputs.shape[1:]) != transform.input_shape:
        raise DataError(
            f"{origin_of_inputs}: examples of shape {tuple(examples.inputs.shape[1:])}; the run was trained on "
            f"{transform.input_shape}"
        )
    check_values(examples, transform, origin_of_inputs)
    facts = ["not the data that the run was trained on"] if classifier.is_moved else []
    if others:
        facts.append(f"evaluated: its {name} split of {len(examples)} examples; --split also takes {some(others)}")
    elif classifier.is_moved:
        facts.append(f"evaluated: all {len(examples)} examples")
    if trained_on := _trained_on(classifier, examples, origin_of_inputs):
        facts.append(trained_on)
    notes = [*source.notes, *_not_taken(classifier, dataset), *_without_examples(examples, class_names, origin)]
    return EvaluationExamples(
        name if others else "all", examples, dataset, [*notes, f"{origin}: {'; '.join(facts)}"] if facts else notes
    )


def _part(source: RawDataset, split: str | None, origin: str) -> tuple[str, UnsplitExamples, list[str]]:
    """Return the split to evaluate, its examples, and the names of the others: all examples if there are no splits."""
    pools = {"test": source.test, "validation": source.validation, "train": source.train}
    parts = {name: pool for name, pool in pools.items() if pool is not None and len(pool.targets)}
    if not parts:
        raise DataError(f"{origin}: no examples to evaluate on")
    if split is not None and (split not in parts or len(parts) == 1):
        found = some([*parts]) if len(parts) > 1 else "no splits, and is evaluated as a whole: leave --split out"
        raise DataError(f"--split {split}: {origin} has {found}")
    name = split or next(iter(parts))
    return name, parts[name], [other for other in parts if other != name]


def _in_range(examples: Examples, source: RawDataset, transform: Transform) -> Examples:
    """Return images in the range of the network's: 0..255 or 0..1."""
    found, wanted = source.image_format, transform.image_format
    if found is None or wanted is None or found.max_value == wanted.max_value:
        return examples
    return replace(examples, inputs=examples.inputs.float() * (wanted.max_value / found.max_value))


def _without_examples(examples: Examples, class_names: list[str], origin: str) -> list[str]:
    """Name the classes without examples, if any, on one line."""
    counts = counts_of(examples.all_targets().numpy(), len(class_names))
    absent = [name for name, count in zip(class_names, counts, strict=True) if count == 0]
    if not absent:
        return []
    return [f"{origin}: no examples of class {some(absent, 10)}; the metrics cover the other classes only"]


def _not_taken(classifier: Classifier, dataset: Dataset) -> list[str]:
    """Name the columns of a table that neither the network takes nor the settings name, if any, on one line."""
    own = classifier.config.dataset
    known = {*(classifier.transform.columns or ()), *own.other_columns(), *dataset.other_columns()}
    return notes_on_ignored(dataset.origin(), dataset.column_names(), known)


def _trained_on(classifier: Classifier, examples: Examples, origin: str) -> str | None:
    """Say which examples were in the training split of the run; empty if none were, None if that is unknown."""
    rows = seen_in_training(RunFolder(classifier.path.parent).manifest, examples)
    if not rows:
        return None if rows is None else ""
    which = some([examples.location(row, origin) for row in rows])
    return f"the network was trained on {len(rows)} of these {len(examples)} ({which})"


def _in_classes(pool: UnsplitExamples, source: RawDataset, class_names: list[str], origin: str) -> UnsplitExamples:
    """Return the examples with the class indices of the run; classes may be absent, but not new.

    Multi-hot targets have one column per class, so all classes must be present, in the order of the run.
    """
    if pool.targets.ndim == 2:
        if matched(source.class_names, class_names) != list(range(len(class_names))):
            raise LabelError(f"{origin}: classes {some(source.class_names, 10)}; expected {some(class_names, 10)}")
        return pool
    place = matched(source.class_names, class_names)
    present = np.unique(pool.targets)
    if new := [source.class_names[index] for index in present if place[index] is None]:
        raise LabelError(
            f"{origin}: class {', '.join(map(repr, new[:5]))} is not one of the run's: {', '.join(class_names[:10])}"
        )
    index = np.array([-1 if known is None else known for known in place], dtype=np.int64)
    return replace(pool, targets=index[pool.targets])

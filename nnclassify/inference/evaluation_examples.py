"""Choose the examples to evaluate on: a split of the run's own data, or all examples of other data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from nnclassify.data import Examples, Splits
from nnclassify.data.base import RawDataset, UnsplitExamples
from nnclassify.data.labels import matched
from nnclassify.data.splitting import limited
from nnclassify.errors import DataError, InputError, LabelError, some
from nnclassify.evaluation.outputs import check_values
from nnclassify.inference.classifier import Classifier, check_columns
from nnclassify.inference.evaluate import Evaluation, choose_split, evaluate, splits_of
from nnclassify.process import preserve_process_state
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.manifest import changes_since, seen_in_training


@dataclass(frozen=True)
class EvaluationExamples:
    """Examples to evaluate on.

    Attributes:
        split: The name of the split; `all` for all examples of other data.
        examples: The examples.
        notes: Notes about the examples, one line each.
        is_unchanged: Whether they are a split of the run as it was trained.
    """

    split: str
    examples: Examples
    notes: list[str] = field(default_factory=list)
    is_unchanged: bool = False


def examples_to_evaluate(classifier: Classifier, split: str | None = None) -> EvaluationExamples:
    """Choose a split of the run's own data (by default the test split), or all examples of other data.

    A run recognizes its own data by the digests of its splits, even if the data has been moved.

    Raises:
        DataError: The data cannot be read, or does not fit the network.
    """
    if not classifier.is_moved:
        return _of_own(classifier, splits_of(classifier), split)
    try:
        own = splits_of(classifier)
    except DataError:  # other data may lack a class or be too small to split; other errors are raised again below
        own = None
    if own is not None and (split is not None or _is_known(classifier, *choose_split(own, None))):
        return _of_own(classifier, own, split)
    return _of_other(classifier)


@preserve_process_state()
def evaluate_run(classifier: Classifier, split: str | None = None) -> Evaluation:
    """Evaluate a classifier on the examples that `examples_to_evaluate` chooses.

    Raises:
        DataError: See `examples_to_evaluate`.
        InputError: `split` is not the name of a split.
    """
    if split not in (None, "train", "validation", "test"):
        raise InputError(f"split: found {split!r}, expected train, validation or test")
    chosen = examples_to_evaluate(classifier, split)
    return replace(evaluate(classifier, chosen.examples), split=chosen.split, notes=tuple(chosen.notes))


def _is_known(classifier: Classifier, name: str, examples: Examples) -> bool:
    digests = classifier.split_digests
    return digests is not None and digests.get(name) == examples.digest()


def _of_own(classifier: Classifier, splits: Splits, split: str | None) -> EvaluationExamples:
    name, examples = choose_split(splits, split)
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
    return EvaluationExamples(name, examples, notes, is_unchanged)


def _of_other(classifier: Classifier) -> EvaluationExamples:
    """Choose all examples of data that the network was not trained on, or its test split if it has one."""
    config, transform = classifier.config, classifier.transform
    dataset = config.dataset.as_trained(transform)
    seed = config.seed if dataset.seed is None else dataset.seed
    source = dataset.read(seed)
    name, pool = ("all", source.train) if source.test is None else ("test", source.test)
    drawn_from = "train" if name == "all" else name
    origin, origin_of_inputs = dataset.origin(drawn_from), dataset.origin_of_inputs(drawn_from)
    check_columns(classifier, source.feature_names)
    pool = _in_classes(pool, source, classifier.class_names, origin)
    examples = pool.take(limited(pool.targets, np.arange(len(pool.targets)), dataset.limit, seed))
    source = source.finish(source)
    if len(examples) == 0:
        raise DataError(f"{origin}: no examples to evaluate on")
    if tuple(examples.inputs.shape[1:]) != transform.input_shape:
        raise DataError(
            f"{origin_of_inputs}: examples of shape {tuple(examples.inputs.shape[1:])}; the run was trained on "
            f"{transform.input_shape}"
        )
    check_values(examples, transform, origin_of_inputs)
    which = f"all {len(examples)} examples" if name == "all" else f"its test split of {len(examples)} examples"
    note = f"{origin}: not the data that the run was trained on; evaluated: {which}"
    if trained_on := _trained_on(classifier, examples, origin_of_inputs):
        note += f"; {trained_on}"
    return EvaluationExamples(name, examples, [*source.notes, note])


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

"""A trained network, loaded from its checkpoint alone: the one way in which networks are used after training."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral, Real
from pathlib import Path

import torch
from torch import Tensor, nn

from nnclassify.config.run_config import RunConfig, validate
from nnclassify.config.yaml_reader import Override, YamlSource
from nnclassify.data import Examples
from nnclassify.data.tables.csv_inputs import listed
from nnclassify.data.tables.csv_rows import CsvFormat
from nnclassify.data.tables.table_datasets import Csv
from nnclassify.data.transform import Costs, Threshold, Transform
from nnclassify.device import Placement, resolve_placement, set_matmul_precision
from nnclassify.errors import (
    CheckpointError,
    DataError,
    InputError,
    ModelError,
    TrustError,
    counted,
    one_line,
    printable,
    some,
    some_names,
)
from nnclassify.evaluation.calibration import Calibration, calibrated
from nnclassify.evaluation.decision import check_threshold
from nnclassify.evaluation.features import Features, features_of, recorded_features
from nnclassify.evaluation.outputs import check_tta, outputs_of
from nnclassify.evaluation.percent import percent
from nnclassify.files.paths import given_path
from nnclassify.files.user_code import UserCode, check_trust
from nnclassify.inference.inputs import InputReader, Note, RawInput, at_once, items_of
from nnclassify.inference.predict import NO_CAUTION, Answers, Caution, Prediction, Predictions
from nnclassify.losses import MULTI_HOT_THRESHOLD, LossFunction, MultiHotLoss
from nnclassify.models.weights import check_weights, load_weights
from nnclassify.process import preserve_process_state
from nnclassify.runs.checkpoint import Checkpoint, load_newest
from nnclassify.runs.folder import CHECKPOINTS, find_checkpoint


@dataclass(frozen=True)
class Classifier:
    """A trained network with everything that it needs to predict.

    Attributes:
        path: The checkpoint file.
        config: The config of the run.
        model: The network, on its device and in evaluation mode.
        loss_fn: The loss, which turns outputs into calibrated probabilities and predictions.
        transform: The transform from raw inputs to network inputs.
        class_names: The names of the K classes, in the order of the outputs.
        placement: The device, number type and memory format.
        notes: Which run was chosen, and what is wrong with a later generation of the checkpoint, one line each.
        split_digests: The digest of each split, to recognize the training data; None: saved by a release without
            digests.
        is_moved: Whether an override changed the location of the data.
        calibration: What the validation split told about the probabilities; None: the run has none of its own, or an
            earlier release trained it.
    """

    path: Path
    config: RunConfig
    model: nn.Module
    loss_fn: LossFunction
    transform: Transform
    class_names: list[str]
    placement: Placement
    notes: tuple[str, ...] = ()
    split_digests: dict[str, str] | None = None
    is_moved: bool = False
    calibration: Calibration | None = None

    @property
    def is_multi_hot(self) -> bool:
        """Whether an example may belong to several classes, or to none."""
        return isinstance(self.loss_fn, MultiHotLoss)

    @property
    def decision_rule(self) -> str | None:
        """When the less probable of two classes is predicted, in a sentence; None without a decision threshold."""
        if self.loss_fn.decision is None:
            return None
        threshold = percent(self.loss_fn.decision)
        return f"{printable(self.class_names[1])} is predicted if its probability is above {threshold}, the threshold."

    @property
    def classes(self) -> list[str]:
        """The names of the K classes, in the order of the probabilities."""
        return list(self.class_names)

    def __repr__(self) -> str:
        return f"Classifier({str(self.path)!r}, model={self.config.model.name_of()!r}, classes={self.class_names!r})"

    def _repr_html_(self) -> str:
        from nnclassify.inference.report.card import Card, Table  # only notebooks need it

        config, shape = self.config, " x ".join(map(str, self.transform.input_shape))
        num_weights = sum(weight.numel() for weight in self.model.parameters())
        temperature = "none" if self.calibration is None else f"temperature {self.calibration.temperature:.3g}"
        rows = [
            ["model", f"{config.model.name_of()}, {counted(num_weights, 'parameter')}"],
            ["inputs", f"{shape}{listed(self.transform.columns)}"],
            ["classes", f"{len(self.class_names)}: {some_names(self.class_names, 12)}"],
            ["trained on", f"{config.dataset.name_of()}, loss {config.loss.name}, optimizer {config.optimizer.name}"],
            ["calibration", temperature],
            ["device", str(self.placement.device)],
        ]
        return Card("Classifier", [str(self.path)], tables=[Table.of("", ["", ""], rows)], notes=self.notes).html()

    @preserve_process_state()
    def predict(
        self,
        inputs: object,
        top_k: int = 1,
        note: Note | None = None,
        *,
        min_confidence: float | None = None,
        risk: float | None = None,
        sets: float | None = None,
    ) -> Predictions:
        """Predict the classes of inputs, as `nnclassify predict` does.

        Args:
            inputs: One of these, or a list of them:

                - a path (`str` or `Path`) of an image, a folder of images, a CSV file or a tensor file (.pt, .npy,
                  .npz); a `str` may also hold the values of one example, such as `"5.1,3.5,1.4,0.2"`
                - a PIL image, of any size
                - an array or a tensor: one example of the network's input shape, or a batch of N. Images are
                  `(C, H, W)` or `(H, W, C)`, gray ones also `(H, W)`; uint8 in 0..255, or floats in 0..1 or 0..255
                - a list of numbers: one example
                - a data frame (pandas, polars, pyarrow): one example per row; columns are matched by name
            top_k: The number of classes in each `Prediction.top`; `Prediction.probabilities` has all.
            note: Called with a line for each file or frame that is not used; None: see `Predictions.notes`.
            min_confidence: See `caution`; `Prediction.unsure` then says which predictions are below it.
            risk: See `caution`.
            sets: See `caution`; `Prediction.classes` then has the prediction set.

        Returns:
            One `Prediction` per example, in order, and the `probabilities` `(N, K)`. An input that cannot be read has
            an `error`.

        Raises:
            InputError: The inputs are of an unsupported type; or see `caution`.
        """
        notes: list[str] = []
        caution = self.caution(min_confidence, risk, sets)
        found = list(predict(self, inputs, top_k, note or notes.append, caution=caution))
        return Predictions(found, self.class_names, notes)

    @classmethod
    def load(cls, path: Path, device: str = "auto") -> Classifier:
        """Load a checkpoint; if it is damaged, load the generation before it and say so in `notes`.

        Args:
            path: The checkpoint file.
            device: auto, cpu, cuda, cuda:N or mps.

        Raises:
            CheckpointError: The checkpoint is missing or damaged, or its weights do not match its config.
            DeviceError: The device is not available.
        """
        found = load_newest(path)
        classifier = cls.from_checkpoint(found.checkpoint, found.path, device)
        code = [member for member in (classifier.config.model, classifier.config.loss) if isinstance(member, UserCode)]
        changed = dict.fromkeys(text for member in code if (text := member.changed()) is not None)
        return replace(classifier, notes=(*found.notes, *changed), split_digests=found.checkpoint.split_digests)

    @classmethod
    @preserve_process_state()
    def from_checkpoint(cls, checkpoint: Checkpoint, path: Path, device: str = "auto") -> Classifier:
        """Build a classifier from the content of a checkpoint.

        Raises:
            CheckpointError: The weights do not match the config.
            DeviceError: The device is not available.
            TrustError: The checkpoint contains Python code that may not run here.
        """
        try:
            config = RunConfig.model_validate(checkpoint.config)
            check_trust(config.model, config.loss)
            transform = Transform.from_state(checkpoint.transform)
            loss_fn = config.loss_function(checkpoint.class_counts)
            build = partial(config.model.build, transform.input_shape, loss_fn.num_outputs)
            # The config may ask for more memory than available: compare shapes first.
            with torch.device("meta" if config.model.has_outline else "cpu"):
                outline = build()
            placement = resolve_placement(device, config.precision).with_memory_format_for(outline)
            check_weights(outline.to(placement.dtype), checkpoint.model)
            model = build().to(placement.dtype)
            load_weights(model, checkpoint.model)
        except TrustError:
            raise
        except (DataError, ModelError, RuntimeError, TypeError, ValueError) as cause:
            raise CheckpointError(f"{path}: weights and config do not match ({one_line(cause)})") from cause
        names, model = checkpoint.class_names, placement.to(model).eval()
        state = checkpoint.calibration
        calibration = None if state is None else Calibration.from_state(state)
        return cls(path, config, model, loss_fn, transform, names, placement).calibrated(calibration)

    def calibrated(self, calibration: Calibration | None) -> Classifier:
        """Return the classifier with the quantities of its validation split, and the config's decision threshold."""
        loss_fn = calibrated(self.loss_fn, calibration, self.config.evaluation.threshold)
        return replace(self, loss_fn=loss_fn, calibration=calibration)

    def outputs(self, examples: Examples) -> Tensor:
        """Compute the outputs `(N, num_outputs)`, on the CPU and in the order of the examples."""
        return self.outputs_and_features(examples)[0]

    @preserve_process_state()
    def outputs_and_features(self, examples: Examples) -> tuple[Tensor, Features]:
        """Compute the outputs `(N, num_outputs)` and the features, on the CPU and in order."""
        set_matmul_precision(self.placement.device, self.config.precision)
        tta = self.config.evaluation.tta
        with recorded_features(self.model) as recorded:
            outputs = outputs_of(self.model, examples, self.transform, self.placement, tta)
        return outputs, features_of(recorded, len(examples), tta)

    def overridden(self, overrides: Sequence[str], allowed: Sequence[str] = ("dataset", "evaluation")) -> Classifier:
        """Return the classifier with other settings of its dataset or evaluation, such as `evaluation.tta=mirror`.

        Args:
            overrides: `KEY=VALUE` each.
            allowed: The sections or keys that may be set.

        Raises:
            ConfigError: An override is wrong.
            DataError: Test-time augmentation does not apply to the inputs.
            InputError: An override would change the trained network, or the type of the targets.
        """
        source = YamlSource(str(self.path), self.config.model_dump(mode="json", exclude_none=True))
        for assignment in map(Override.of, overrides):
            if not assignment.startswith(tuple(f"{key}{end}" for key in allowed for end in ".=")):
                keys = " and ".join(key if "." in key else f"{key}.*" for key in allowed)
                raise InputError(f"{assignment.origin}: a trained run cannot be changed; only {keys} can be set here")
            source.override(assignment)
        config = validate(source, of_run=True)
        config = config.with_dataset(config.dataset.without_files_of(self.config.dataset))
        if config.dataset.is_multi_hot != self.is_multi_hot:
            kind = "multi-hot targets" if self.is_multi_hot else "one class per example"
            raise InputError(f"--set: the run was trained on {kind}, and these targets are different")
        check_tta(config.evaluation.tta, self.transform.input_shape)
        self._check_threshold(config.evaluation.threshold)
        before, now = ((run.dataset.name, run.dataset.places()) for run in (self.config, config))
        return replace(self, config=config, is_moved=before != now).calibrated(self.calibration)

    def _check_threshold(self, threshold: Threshold) -> None:
        check_threshold(threshold, self.class_names, is_multi_hot=self.is_multi_hot)
        if isinstance(threshold, str | Costs) and threshold != self.config.evaluation.threshold:
            raise InputError("evaluation.threshold: only training chooses it by F1 or costs; set a number, such as 0.3")

    def answers(self, raw: Tensor) -> Answers:
        """Compute the answers for raw inputs `(N, ...)`, on the CPU."""
        targets = torch.zeros(len(raw), dtype=torch.int64)
        outputs, features = self.outputs_and_features(Examples(raw, targets, torch.arange(len(raw))))
        return Answers(
            self.loss_fn.probabilities(outputs), self.loss_fn.predictions(outputs), self.is_unlike(outputs, features)
        )

    def probabilities(self, raw: Tensor) -> Tensor:
        """Compute the calibrated probabilities `(N, K)` of raw inputs `(N, ...)`, on the CPU."""
        return self.answers(raw).probabilities

    def caution(
        self, min_confidence: float | None = None, risk: float | None = None, sets: float | None = None
    ) -> Caution:
        """Return how cautious predictions are, by what the checkpoint keeps of the validation split.

        Args:
            min_confidence: The smallest probability of the predicted class that is not unsure, 0..1.
            risk: In its place: the largest fraction of errors among the predictions that are not unsure; see
                `RiskCoverage.threshold_for`.
            sets: How often prediction sets contain the true class, 0..1; see `ConformalScores`.

        Raises:
            InputError: A number is out of range, the risk is lower than the validation split can show, or the
                checkpoint keeps nothing of a validation split.
        """
        for name, value in (("min_confidence", min_confidence), ("risk", risk), ("sets", sets)):
            if value is not None and not (isinstance(value, Real) and 0 < value < 1):
                found = f"{float(value):g}" if isinstance(value, Real) else repr(value)
                raise InputError(f"{name}: found {found}, expected a number between 0 and 1, such as 0.9")
            if value is not None and self.is_multi_hot:
                raise InputError(f"{name}: it needs one class per example, but the targets are multi-hot")
        if min_confidence is not None and risk is not None:
            raise InputError("min_confidence and risk: found both; choose one")
        if risk is not None:
            min_confidence = self._confidence_for(risk)
        if sets is None:
            return Caution(min_confidence)
        calibration = self._calibrated_for("sets")
        most = calibration.num_examples / (calibration.num_examples + 1)
        if calibration.scores is None or sets > most:
            raise InputError(
                f"sets: found {sets:g}, but with {calibration.num_examples} validation examples, only the set of all "
                f"classes is certain to contain the true class that often; set at most {math.floor(1000 * most) / 1000}"
            )
        return Caution(min_confidence, partial(calibration.scores.sets, coverage=sets))

    def _calibrated_for(self, name: str) -> Calibration:
        if self.calibration is None:
            raise InputError(
                f"{name}: {self.path} keeps nothing of a validation split; train with dataset.validation: 0.1"
            )
        return self.calibration

    def _confidence_for(self, risk: float) -> float:
        """Return the smallest confidence whose risk is shown to be at most `risk`."""
        calibration = self._calibrated_for("risk")
        found = None if calibration.risks is None else calibration.risks.threshold_for(risk)
        if calibration.risks is not None and found is None:
            lowest = math.ceil(1000 * calibration.risks.lowest_risk()) / 1000
            advice = f"set at least {lowest:g}, or " if lowest < 1 else ""
            raise InputError(
                f"risk: found {risk:g}, but the {calibration.num_examples} validation examples show no risk below "
                f"{percent(lowest)}; {advice}use a larger dataset.validation"
            )
        return 1.0 if found is None else found

    def is_unlike(self, outputs: Tensor, features: Features) -> Tensor | None:
        """Return whether each input is unlike the training data, bool `(N,)`; None if the checkpoint cannot tell."""
        novelty = None if self.calibration is None else self.calibration.novelty
        return None if novelty is None else novelty.is_unlike(outputs, features)


def predict(
    classifier: Classifier,
    inputs: object,
    top_k: int = 1,
    note: Note = lambda text: None,
    found: Callable[[int], object] = lambda count: None,
    caution: Caution = NO_CAUTION,
) -> Iterator[Prediction]:
    """Predict each input; one that cannot be read becomes a prediction with an `error`.

    Args:
        classifier: The trained network.
        inputs: See `Classifier.predict`.
        top_k: The number of classes in each `Prediction.top`, at most K; with multi-hot targets always K.
        note: Called with a line for each file that is not an image, and for each image with further frames.
        found: Called with the number of examples of an input, if it is known before they are read.
        caution: How cautious the predictions are.

    Raises:
        InputError: The inputs are of an unsupported type, or `top_k` is less than 1.
    """
    if not isinstance(top_k, Integral) or top_k < 1:
        raise InputError(f"top_k: found {top_k!r}, expected a whole number, at least 1")
    reader = reader_of(classifier, note, found)
    raw = itertools.chain.from_iterable(reader.read(name, item) for name, item in items_of(inputs))
    most = at_once(classifier.transform.input_shape)
    top_k = len(classifier.class_names) if classifier.is_multi_hot else top_k
    while batch := list(itertools.islice(raw, most)):
        yield from predictions_of(classifier, batch, top_k, caution)


def predictions_of(
    classifier: Classifier, batch: Sequence[RawInput], top_k: int, caution: Caution
) -> Iterator[Prediction]:
    """Yield a prediction for each input of a batch, in order; see `predict`."""
    values = [item.values for item in batch if item.values is not None]
    answers = iter(_answered(classifier, torch.stack(values), top_k, caution) if values else ())
    for item in batch:
        if item.values is None:
            yield Prediction(item.name, error=item.error)
        elif isinstance(answer := next(answers), str):
            yield Prediction(item.name, error=f"{item.name}: {answer}")
        else:
            yield replace(answer, input=item.name, file=item.file)


def _answered(classifier: Classifier, raw: Tensor, top_k: int, caution: Caution) -> list[Prediction | str]:
    """Return the prediction for each row, without the name of its input, or the reason why it has none."""
    found: dict[int, Prediction | str] = dict(classifier.transform.too_large(raw))
    rows = [row for row in range(len(raw)) if row not in found]
    if rows:
        answers = classifier.answers(raw[rows])
        finite = answers.probabilities.isfinite().all(dim=1).tolist()
        predictions = _judged(classifier, answers, top_k, caution)
        for row, prediction, is_finite in zip(rows, predictions, finite, strict=True):
            not_finite = "the outputs of the network are not finite: the inputs are too far from the training data"
            found[row] = prediction if is_finite else not_finite
    return [found[row] for row in range(len(raw))]


def _judged(classifier: Classifier, answers: Answers, top_k: int, caution: Caution) -> Iterator[Prediction]:
    """Yield the prediction of each answer, without the name of its input."""
    sets = None if caution.sets is None else caution.sets(answers.probabilities)
    unlike = [None] * len(answers.probabilities) if answers.is_unlike is None else answers.is_unlike.tolist()
    # In a set are the most probable classes, but a decision threshold may predict another one.
    most = top_k if sets is None else max(top_k, int(sets.sum(dim=1).max()) + 1)
    for row, (order, shares) in enumerate(_ranked(answers, most)):
        names = [classifier.class_names[index] for index in order]
        is_in_set = [False] * len(order) if sets is None else sets[row, order].tolist()
        ranked = list(zip(names, shares, is_in_set, strict=True))
        top = tuple((name, share) for place, (name, share, is_in) in enumerate(ranked) if place < top_k or is_in)
        labels = tuple(name for name, share in top if share >= MULTI_HOT_THRESHOLD)
        yield Prediction(
            "",
            top,
            labels=labels if classifier.is_multi_hot else None,
            probabilities=answers.probabilities[row],
            unsure=None if caution.min_confidence is None else shares[0] < caution.min_confidence,
            classes=None if sets is None else tuple(name for name, _, is_in in ranked if is_in),
            unlike=unlike[row],
        )


def _ranked(answers: Answers, most: int) -> Iterator[tuple[list[int], list[float]]]:
    """Yield at most `most` classes of each row with their probabilities, most probable first; with a decision
    threshold, the predicted class."""
    keys = answers.probabilities
    if answers.predictions.ndim == 1:
        keys = keys.scatter(1, answers.predictions[:, None], torch.inf)
    # A stable sort, so that a tie goes to the same class as in evaluation.
    order = keys.sort(dim=1, descending=True, stable=True).indices[:, :most]
    yield from zip(order.tolist(), answers.probabilities.gather(1, order).tolist(), strict=True)


def reader_of(classifier: Classifier, note: Note, found: Callable[[int], object] = lambda count: None) -> InputReader:
    """Return what reads inputs for a network; see `InputReader` for `note` and `found`."""
    dataset = classifier.config.dataset
    if isinstance(dataset, Csv):
        return InputReader(classifier.transform, dataset.format(), note, found, dataset.other_columns(), dataset.id)
    return InputReader(classifier.transform, CsvFormat(), note, found)


def load_run(
    run: str | os.PathLike[str] | Classifier | None,
    device: str | torch.device = "auto",
    root: str | os.PathLike[str] = CHECKPOINTS,
) -> Classifier:
    """Load the classifier of a run, found as on the command line. A `Classifier` is returned as it is.

    Raises:
        CheckpointError: The checkpoint is missing or damaged.
        InputError: `run` is of an unsupported type.
    """
    if isinstance(run, Classifier):
        return run
    given = None if run is None else given_path("run", run, "a run folder, a checkpoint or a run's name")
    notes: list[str] = []
    path = find_checkpoint(given, Path(given_path("root", root)), notes.append)
    classifier = Classifier.load(path, str(device))
    return replace(classifier, notes=(*notes, *classifier.notes))


def check_columns(classifier: Classifier, found: list[str] | None) -> None:
    """Check that the columns are those that the network was trained on.

    Raises:
        DataError: Both have names, and the names differ.
    """
    names = classifier.transform.feature_names
    if names is not None and found is not None and names != found:
        raise DataError(
            f"{classifier.config.dataset.name}: columns {some(found, 10)}; the run was trained on "
            f"{some(names, 10)}, in that order"
        )

"""`NNClassifier`: a network as a scikit-learn estimator, for pipelines, grid search and cross-validation."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from inspect import signature
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from nnclassify.config.from_python import AnyConfig, load_any
from nnclassify.data.base import Dataset
from nnclassify.process import preserve_process_state
from nnclassify.sklearn.examples import OF_ANY_DATA, OF_COLUMNS, OF_IMAGES, TrainingData, raw_inputs, training_data
from nnclassify.sklearn.parameters import SECTIONS, as_options, nested, with_option

if TYPE_CHECKING:
    from nnclassify.inference.predict import Answers
    from nnclassify.sklearn.fitting import Fitted
    from nnclassify.training.trainer import Observer


class NNClassifier(ClassifierMixin, BaseEstimator):
    """A neural network with the options of a YAML config.

    Sections of the YAML are names, dicts or settings: `optimizer={"name": "sgd", "lr": 0.1}`. Their options are also
    parameters of `set_params`, `from_config` and grid searches: `optimizer__lr`. REFERENCE.md describes every option.

    `fit` reads data frames with columns of text, categories and dates as it would read their CSV file, and images
    `(N, C, H, W)` or `(N, H, W, C)` as tensor files. It holds out a tenth of the examples to select the best epoch and
    to calibrate the probabilities; `dataset={"validation": 0}` trains on all of them. It prints and writes nothing.

    Args:
        model: The network. The default of this and the next five parameters is what `nnclassify init` suggests for such
            data: an MLP, or a CNN for images.
        loss: The loss function.
        optimizer: The optimizer.
        scheduler: The learning rate schedule.
        epochs: Passes over the training examples.
        batch_size: Examples per batch.
        dataset: Options of the data: `validation`, `normalize`, `limit`, `share` and `seed`; of images `augment` and
            `white`; of tables `features`, `ignore`, `categories`, `dates`, `quantile_transform`, `missing`, `group`,
            `time` and `decimal`.
        evaluation: Options of evaluation and prediction.
        shuffle: Reshuffle the examples at every epoch.
        clip_grad_norm: Maximum norm of the gradients.
        ema: Decay of an exponential moving average of the weights.
        lookahead: Options of Lookahead.
        patience: Epochs without improvement after which training stops.
        select_by: The validation metric that selects the best epoch.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: Number type of the computation.
        compile: Compile the training step: `on`, `off` or `auto`.
        threads: Number of CPU threads.
        random_state: The `seed` of the YAML; a `RandomState` or None draws it.
        verbose: Show a progress bar.
        trust: Allow Python code of `name: python` to run.

    Attributes:
        classes_: The labels of the K classes, sorted.
        n_features_in_: The number of columns.
        feature_names_in_: Names of the columns, if all of them are text.
        classifier_: The trained `Classifier`; `save` writes it for the command line.
        history_: A dict of figures for each epoch; `history_frame()` has them as a pandas data frame.
        notes_: What there is to say about the data and the training, one line each.
    """

    classes_: Any
    n_features_in_: int
    feature_names_in_: Any
    score: Callable[..., float]

    def __init__(
        self,
        model: Any = None,
        *,
        loss: Any = None,
        optimizer: Any = None,
        scheduler: Any = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        dataset: Any = None,
        evaluation: Any = None,
        shuffle: bool = True,
        clip_grad_norm: float | None = None,
        ema: float | None = None,
        lookahead: Any = None,
        patience: int | None = None,
        select_by: str = "accuracy",
        device: str = "auto",
        precision: str = "auto",
        compile: str = "off",  # noqa: A002  # the key of the YAML
        threads: int | None = None,
        random_state: Any = 0,
        verbose: bool = False,
        trust: bool = False,
    ) -> None:
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.epochs = epochs
        self.batch_size = batch_size
        self.dataset = dataset
        self.evaluation = evaluation
        self.shuffle = shuffle
        self.clip_grad_norm = clip_grad_norm
        self.ema = ema
        self.lookahead = lookahead
        self.patience = patience
        self.select_by = select_by
        self.device = device
        self.precision = precision
        self.compile = compile
        self.threads = threads
        self.random_state = random_state
        self.verbose = verbose
        self.trust = trust

    @classmethod
    def from_config(cls, config: AnyConfig, **changes: Any) -> Self:
        """Return an estimator with the options of a config.

        Options of the dataset that say where the data are, and which are tested, are left out: `fit` gets the data.

        Args:
            config: A YAML file, the name of a shipped config, a dict or a `RunConfig`.
            changes: Parameters to change, such as `epochs=5` or `optimizer__lr=0.1`.

        Raises:
            ConfigError: The config is wrong; the message lists all problems, one per line.
        """
        loaded = load_any(config)
        run_config, stated = loaded.config, loaded.source.data
        chosen = {key: stated[key] for key in CONFIG_KEYS if key in stated}
        for key in ("loss", "optimizer", "scheduler"):
            chosen[key] = {"name": getattr(run_config, key).name, **as_options(stated.get(key))}
        chosen |= {"epochs": run_config.epochs, "batch_size": run_config.batch_size, "random_state": run_config.seed}
        kept = {key: value for key, value in as_options(stated["dataset"]).items() if key in _kept(run_config.dataset)}
        chosen["dataset"] = kept or None
        return cls(**chosen).set_params(**changes)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; if `deep`, also the options that are set in dicts, such as `optimizer__lr`."""
        parent: Any = super()  # scikit-learn's methods have no types
        own: dict[str, Any] = parent.get_params(deep=False)
        if not deep:
            return own
        return {**own, **{key: value for name in SECTIONS for key, value in nested(name, own[name])}}

    def set_params(self, **params: Any) -> Self:
        """Set parameters, and options of sections such as `optimizer__lr` or `model__hidden`.

        Raises:
            ValueError: There is no such parameter. Options of sections are checked by `fit`.
        """
        of_sections = {key: value for key, value in params.items() if key.partition("__")[0] in SECTIONS}
        parent: Any = super()
        parent.set_params(**{key: value for key, value in params.items() if key not in of_sections})
        for key, value in sorted(of_sections.items(), key=lambda item: item[0].count("__")):
            name, *path = key.split("__")
            setattr(self, name, with_option(getattr(self, name), path, value))
        return self

    def fit(self, X: Any, y: Any) -> Self:
        """Train a new network.

        Args:
            X: Numbers `(N, F)`, images `(N, C, H, W)` or `(N, H, W, C)`, or a data frame of N rows.
            y: Labels `(N,)`: numbers or texts.

        Raises:
            ValueError: The data are of the wrong shape, or have one class alone.
            NNClassifyError: An option or a value is wrong, or training failed.
        """
        from nnclassify.files.python_source import trusting
        from nnclassify.sklearn.fitting import fit

        data = training_data(self, X, y, as_options(self.dataset))
        with trusting(self.trust):
            fitted = fit(data, self._given(), self._observers())
        self._training: dict[str, Any] | None = None
        return self._take(fitted, data)

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Train one epoch on a batch of the data, from where the last call ended.

        Categories, missing values and the scale of the columns are fixed by the first call. Nothing is held out. After
        `fit`, it continues with the weights of the best epoch and a new optimizer.

        Args:
            X: See `fit`.
            y: See `fit`.
            classes: All labels; required in the first call.

        Raises:
            ValueError: See `fit`; or `classes` are missing, or not those of the first call.
            NNClassifyError: See `fit`; or an option needs all of the data, such as a schedule.
        """
        from nnclassify.files.python_source import trusting
        from nnclassify.sklearn.fitting import continued, fit

        is_first = not hasattr(self, "classifier_")
        if is_first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if not is_first and classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            found, expected = np.asarray(classes).tolist(), self.classes_.tolist()
            raise ValueError(f"classes: found {found}, expected those of the first call, {expected}")
        known = classes if is_first else self.classes_
        data = training_data(self, X, y, as_options(self.dataset), classes=known, reset=is_first)
        with trusting(self.trust):
            if is_first:
                fitted = fit(data, self._given(), self._observers(), is_stream=True)
            else:
                fitted = continued(self._checkpoint, self._training, data, self._observers())
        self._training = fitted.training
        return self._take(fitted, data)

    def predict(self, X: Any) -> Any:
        """Return the predicted label of each example, `(N,)`.

        Args:
            X: Inputs as in `fit`.

        Raises:
            ValueError: The inputs have another shape or other columns.
            InputError: A value is missing, or of another kind than its column.
        """
        predictions = self._answers(X).predictions.numpy()
        return self.classes_[predictions]

    def predict_proba(self, X: Any) -> Any:
        """Return the calibrated probabilities of the classes, `(N, K)`, in the order of `classes_`.

        Args:
            X: Inputs as in `fit`.

        Raises:
            ValueError, InputError: See `predict`.
        """
        probabilities = self._answers(X).probabilities.double().numpy()
        return probabilities / probabilities.sum(axis=1, keepdims=True)

    def history_frame(self) -> Any:
        """Return `history_` as a pandas data frame, a row per epoch.

        Raises:
            InputError: pandas is not installed.
        """
        from nnclassify.training.history import history_frame

        check_is_fitted(self, "classifier_")
        return history_frame(self.history_)

    @preserve_process_state()
    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the network into a folder, for `nnclassify.load` and for commands such as `predict`; return the file.

        Raises:
            SaveError: The file could not be written.
        """
        from nnclassify.runs.checkpoint import save_checkpoint
        from nnclassify.runs.folder import RunFolder

        check_is_fitted(self, "classifier_")
        path = RunFolder(Path(folder)).best
        path.parent.mkdir(parents=True, exist_ok=True)
        save_checkpoint(path, self._checkpoint)
        return path

    def _given(self) -> dict[str, Any]:
        seed = self.random_state
        if not isinstance(seed, Integral):
            seed = check_random_state(seed).randint(np.iinfo(np.int32).max)
        return {**{key: getattr(self, key) for key in CONFIG_KEYS}, "seed": int(seed)}

    def _observers(self) -> Sequence[Observer]:
        if not self.verbose:
            return ()
        from nnclassify.runs.progress import ProgressBar

        return [ProgressBar()]

    def _take(self, fitted: Fitted, data: TrainingData) -> Self:
        self.classes_ = data.classes
        self.classifier_ = fitted.classifier
        self.history_ = fitted.history
        self.notes_ = fitted.notes
        self._checkpoint = fitted.checkpoint
        return self

    @preserve_process_state()
    def _answers(self, X: Any) -> Answers:
        check_is_fitted(self, "classifier_")
        return self.classifier_.answers(raw_inputs(self, X, self.classifier_))

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for pickle: the checkpoint in place of the network, whose functions pickle cannot store."""
        parent: Any = super()
        return {key: value for key, value in parent.__getstate__().items() if key != "classifier_"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        parent: Any = super()
        parent.__setstate__(state)
        if "_checkpoint" in state:
            from nnclassify.files.python_source import trusting
            from nnclassify.sklearn.fitting import loaded

            with trusting(self.trust):
                self.classifier_ = loaded(self._checkpoint)

    def __sklearn_tags__(self) -> Any:
        parent: Any = super()
        tags = parent.__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.allow_nan = as_options(self.dataset).get("missing") == "fill"
        return tags


CONFIG_KEYS = [name for name in signature(NNClassifier).parameters if name not in ("random_state", "verbose", "trust")]
"""Parameters that are keys of a config; `random_state` is its `seed`."""


def _kept(dataset: Dataset) -> tuple[str, ...]:
    """Return the options of a dataset that hold for data in memory too."""
    of_kind = OF_COLUMNS if dataset.name_of() == "csv" else OF_IMAGES
    is_fraction = not isinstance(dataset.validation, str)
    return (*(key for key in OF_ANY_DATA if key != "validation" or is_fraction), *of_kind)

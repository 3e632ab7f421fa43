"""Out-of-fold probabilities of the config's own network: its recipe, once for each fold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from nnclassify.config.run_config import RunConfig
from nnclassify.data import Examples, Splits
from nnclassify.data.base import VALIDATION
from nnclassify.data.splitting import Labels, stratified_split
from nnclassify.diagnosis.audit.probabilities import FOLDS
from nnclassify.diagnosis.trials.runner import step_seconds, total_steps
from nnclassify.evaluation.outputs import outputs_of
from nnclassify.seeds import numpy_rng
from nnclassify.training.build import build_components, build_trainer
from nnclassify.training.history import Row
from nnclassify.training.trainer import Observer, Trainer


@dataclass
class _Best(Observer):
    """Keeps the weights of the best epoch."""

    weights: dict[str, Tensor] = field(default_factory=dict)

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """Copy the weights of an epoch that is the best so far."""
        if trainer.best_epoch == row.epoch:
            self.weights = {name: value.clone() for name, value in trainer.evaluated_model().state_dict().items()}


def network_probabilities(
    config: RunConfig, splits: Splits, examples: Examples, folds: Labels, advance: Callable[[int], None]
) -> Tensor:
    """Return out-of-fold probabilities `(N, K)` of the config's network, with the weights of its best epoch.

    Args:
        config: The config. Its fraction of the other folds is the validation split, if it has one.
        splits: What is known of the data.
        examples: The examples to judge, N of them.
        folds: The fold of each, `(N,)`.
        advance: Called after each fold.

    Raises:
        NNClassifyError: A training fails.
    """
    found = torch.zeros(len(examples), splits.num_classes, dtype=torch.float64)
    for fold in range(FOLDS):
        judged = torch.from_numpy(np.flatnonzero(folds == fold))
        train, validation = _divided(config, examples.subset(torch.from_numpy(np.flatnonzero(folds != fold))))
        part = replace(splits, train=train, validation=validation, test=None)
        found[judged] = _fitted(config, part, examples.subset(judged)).double()
        advance(1)
    return found


def expected_seconds(config: RunConfig, splits: Splits, num_examples: int) -> float:
    """Return about how long all folds take."""
    steps = total_steps(config, num_examples * (FOLDS - 1) // FOLDS)
    return FOLDS * steps * step_seconds(build_components(config, splits))


def _divided(config: RunConfig, examples: Examples) -> tuple[Examples, Examples | None]:
    """Return the training and the validation split of a fold."""
    asked = config.dataset.validation
    if asked in (0, "test"):
        return examples, None
    share = asked if isinstance(asked, float) else VALIDATION
    targets, rows = examples.all_targets().numpy(), np.arange(len(examples))
    train, validation = stratified_split(targets, rows, share, numpy_rng(0, "audit", "network"))
    return examples.subset(torch.from_numpy(train)), examples.subset(torch.from_numpy(validation))


def _fitted(config: RunConfig, splits: Splits, judged: Examples) -> Tensor:
    """Train, and return the probabilities `(M, K)` of other examples."""
    components, best = build_components(config.model_copy(update={"compile": "off"}), splits), _Best()
    trainer = build_trainer(components, [best])
    trainer.fit()
    model = trainer.evaluated_model()
    model.load_state_dict(best.weights)
    outputs = outputs_of(model, judged, components.transform, components.placement, config.evaluation.tta)
    return components.loss_fn.probabilities(outputs)

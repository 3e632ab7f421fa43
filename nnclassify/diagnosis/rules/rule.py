"""The input of the rules: the config with its layers resolved, facts about the data, the untrained network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from nnclassify.config.run_config import RunConfig
from nnclassify.data.suspected_groups import SuspectedGroups
from nnclassify.diagnosis.findings import Evidence, Page, Suspicion
from nnclassify.diagnosis.measure import Snapshot
from nnclassify.diagnosis.rules.facts import DataFacts
from nnclassify.models.base import DenseModel
from nnclassify.models.cnn import Block, Cnn
from nnclassify.models.layer_settings import Activation, Init, Layer
from nnclassify.models.mlp import Mlp


@dataclass(frozen=True)
class HiddenLayer:
    """One hidden layer or convolutional block, with the options that it takes from the model.

    Attributes:
        path: The path in the YAML, such as `model.hidden.0`.
        units: The number of units or channels.
        activation: The activation function.
        dropout: The dropout probability.
        batch_norm: Whether it has batch normalization.
        init: The weight initialization.
    """

    path: str
    units: int
    activation: Activation
    dropout: float
    batch_norm: bool
    init: Init


def hidden_layers_of(config: RunConfig) -> list[HiddenLayer]:
    """Return the layers before the last one, in order; empty if the model does not list its layers."""
    model = config.model
    if not isinstance(model, DenseModel):
        return []
    blocks = model.blocks if isinstance(model, Cnn) else []
    listed: list[tuple[str, int, Block | Layer]] = [
        *((f"model.blocks.{index}", block.channels, block) for index, block in enumerate(blocks)),
        *((f"model.hidden.{index}", layer.units, layer) for index, layer in enumerate(model.hidden)),
    ]
    batch_norm = isinstance(model, Mlp) and model.batch_norm
    return [
        HiddenLayer(
            path,
            units,
            layer.activation or model.activation,
            model.dropout if layer.dropout is None else layer.dropout,
            batch_norm if layer.batch_norm is None else layer.batch_norm,
            layer.init or model.init,
        )
        for path, units, layer in listed
    ]


@dataclass(frozen=True)
class RuleInputs:
    """One config before training, with what has been measured.

    Attributes:
        config: The config.
        hidden_layers: Its layers before the last one.
        facts: DataFacts about the data.
        columns: The columns of a table before they are encoded; None where they have no names.
        class_names: The names of the classes, by index.
        num_outputs: The number of outputs of the network.
        prior_loss: The loss of predicting the class frequencies; None if the loss has no such value.
        start: The untrained network on a batch; None: not measured.
        mixing: How much its outputs depend on the other examples of a batch; see `measure.mixing`.
        has_batch_norm: Whether any layer normalizes over the batch.
        suggested_lr: The learning rate suggested by a range test, if any.
        groups: The groups that examples seem to belong to and that the splits divide.
    """

    config: RunConfig
    hidden_layers: list[HiddenLayer]
    facts: DataFacts
    columns: list[str] | None
    class_names: list[str]
    num_outputs: int
    prior_loss: float | None = None
    start: Snapshot | None = None
    mixing: float = 0.0
    has_batch_norm: bool = False
    suggested_lr: float | None = None
    groups: tuple[SuspectedGroups, ...] = ()

    @property
    def is_multi_hot(self) -> bool:
        """Whether targets are multi-hot."""
        return self.config.dataset.is_multi_hot

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def steps_per_epoch(self) -> int:
        """Updates per epoch."""
        return -(-self.facts.num_examples // self.config.batch_size)

    @property
    def total_steps(self) -> int:
        """Updates in the whole run."""
        return self.config.epochs * self.steps_per_epoch


def odd_option(page: Page, path: str, value: float, limit: float, *better: float) -> Suspicion:
    """Return the suspicion that the value of an option is beyond a limit, and that another value learns better."""
    evidence = Evidence(f"{path.rpartition('.')[2]} {value:g}", value, limit)
    return Suspicion(page, "likely", path, evidence, tuple({path: value} for value in better))


@dataclass(frozen=True)
class Rule:
    """A page, and the function that looks for its cause.

    Attributes:
        page: The page.
        check: The function.
        fits_multi_hot: Whether it also makes sense for multi-hot targets.
    """

    page: Page
    check: Callable[[RuleInputs], Iterator[Suspicion]]
    fits_multi_hot: bool = True


def suspect(rules: Iterable[Rule], given: RuleInputs) -> Iterator[Suspicion]:
    """Yield the suspicions of rules that make sense for such targets."""
    for rule in rules:
        if rule.fits_multi_hot or not given.is_multi_hot:
            yield from rule.check(given)

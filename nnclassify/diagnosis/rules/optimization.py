"""Rules about the optimizer, the schedule, the loss options and the length of the run. Trials must prove them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from nnclassify.diagnosis.findings import Certainty, Change, Evidence, Page, Suspicion
from nnclassify.diagnosis.rules.rule import Rule, RuleInputs, odd_option
from nnclassify.errors import counted
from nnclassify.schedulers import ScheduleState

BENGIO = "Bengio, Practical recommendations for gradient-based training, 2012 (arXiv:1206.5533), section 3.1.1"


def _far_lr(given: RuleInputs, page: Page, limit: float, factors: tuple[float, ...], *, is_far: bool) -> Suspicion:
    """Suspect a learning rate, to be multiplied by factors: likely if it is beyond the limit of common ones.

    The suggestion of a range test is tried first if it lies in the same direction; then what is common, if it is far.
    """
    (low, high), lr, suggested = given.config.optimizer.lr_range(), given.config.optimizer.lr, given.suggested_lr
    evidence = Evidence(f"lr {lr:g}; common for {given.config.optimizer.name}: {low:.2g} to {high:.2g}", lr, limit)
    usual = ((low * high) ** 0.5 / lr,) if is_far else ()
    rates = [float(f"{lr * factor:.3g}") for factor in (*usual, *factors)]
    if suggested is not None and abs(math.log(suggested / lr)) > math.log(2) and (suggested > lr) == (rates[-1] > lr):
        rates.insert(0, suggested)
    changes = tuple({"optimizer.lr": rate} for rate in rates)
    return Suspicion(page, "likely" if is_far else "possible", "optimizer.lr", evidence, changes)


HIGH_LR = Page(
    id="NN401",
    title="the learning rate is too high",
    looks_at="A fault if a tenth or a hundredth of optimizer.lr, a common learning rate, or the one that a range test"
    " suggests learns much better in the same number of updates.",
    why="Updates that are too large increase the loss instead of decreasing it, and may kill all ReLU units at once.",
    source=BENGIO,
    fix="A lower optimizer.lr.",
    example="dataset: moons\nmodel: {name: mlp, hidden: [16]}\noptimizer: {name: sgd, lr: 100.0}\n",
    near_miss="dataset: moons\nmodel: {name: mlp, hidden: [16]}\noptimizer: {name: sgd, lr: 0.1}\n",
)


def _high_lr(given: RuleInputs) -> Iterator[Suspicion]:
    low, high = given.config.optimizer.lr_range()
    lr = given.config.optimizer.lr
    if lr > low:
        yield _far_lr(given, HIGH_LR, high, (0.1, 0.01), is_far=lr > high)


LOW_LR = Page(
    id="NN402",
    title="the learning rate is too low",
    looks_at="A fault if ten or a hundred times optimizer.lr, a common learning rate, or the one that a range test "
    "suggests learns much better in the same number of updates.",
    why="The weights barely change, and training ends long before it has converged.",
    source=BENGIO,
    fix="A higher optimizer.lr.",
    example="dataset: moons\nmodel: {name: mlp, hidden: [16]}\noptimizer: {name: sgd, lr: 1.0e-6}\n",
    near_miss="dataset: moons\nmodel: {name: mlp, hidden: [16]}\noptimizer: {name: adam, lr: 0.003}\n",
)


def _low_lr(given: RuleInputs) -> Iterator[Suspicion]:
    low, high = given.config.optimizer.lr_range()
    lr = given.config.optimizer.lr
    if lr < high:
        yield _far_lr(given, LOW_LR, low, (10.0, 100.0) if lr < low else (10.0,), is_far=lr < low)


SHORT = Page(
    id="NN403",
    title="too few updates",
    looks_at="A fault if ten times the epochs, or smaller batches, learn much better.",
    why="Training is making progress, but ends long before it has converged.",
    source=BENGIO,
    fix="More epochs, or a smaller batch_size, which makes more updates per epoch.",
    example="dataset: iris\nmodel: {name: mlp, hidden: [16]}\nepochs: 1\n",
    near_miss="dataset: iris\nmodel: {name: mlp, hidden: [16]}\nepochs: 300\n",
)
FEW_STEPS, LARGE_BATCH = 1000, 256
"""Below the first, a run is short enough for ten times its length to be tried."""


def _short(given: RuleInputs) -> Iterator[Suspicion]:
    steps = given.total_steps
    changes: list[Change] = []
    if given.config.batch_size > 64 and (given.steps_per_epoch < 50 or given.config.batch_size > LARGE_BATCH):
        changes.append({"batch_size": 32})
    changes += [{"epochs": given.config.epochs * factor} for factor in (10, 50) if steps * factor < 10 * FEW_STEPS]
    if changes:
        evidence = Evidence(f"{counted(steps, 'update')} in the whole run", steps, FEW_STEPS)
        certainty: Certainty = "likely" if steps < FEW_STEPS / 10 else "possible"
        yield Suspicion(SHORT, certainty, "epochs", evidence, tuple(changes))


DECAY = Page(
    id="NN404",
    title="weight decay so strong that weights go to zero",
    looks_at="optimizer.weight_decay above 0.05 (above 0.5 for adamw and muon; above 0.05 times the learning rate for "
    "a decoupled sgd, which does not multiply it by the learning rate); a fault if 0 learns much better.",
    why="The penalty outweighs the gradient of the loss.",
    source="Krogh and Hertz, A simple weight decay can improve generalization, 1991",
    fix="optimizer.weight_decay: 0.0001 or 0.",
    example="dataset: moons\nmodel: {name: mlp, hidden: [16]}\noptimizer: {name: sgd, weight_decay: 1.0}\n",
    near_miss="dataset: moons\nmodel: {name: mlp, hidden: [16]}\noptimizer: {name: sgd, weight_decay: 0.0001}\n",
)


def _decay(given: RuleInputs) -> Iterator[Suspicion]:
    optimizer = given.config.optimizer
    decay, limit = optimizer.decay(optimizer.weight_decay, optimizer.lr), optimizer.strong_weight_decay
    if decay > limit:
        is_decoupled = getattr(optimizer, "decoupled", False)
        coupled: Change = {"optimizer.decoupled": False} if is_decoupled else {}  # it needs a weight_decay
        change = {"optimizer.weight_decay": 0.0, **coupled}
        evidence = Evidence(f"weight_decay {optimizer.weight_decay:g}", decay, limit)
        yield Suspicion(DECAY, "likely", "optimizer.weight_decay", evidence, (change,))


SCHEDULE = Page(
    id="NN405",
    title="the schedule keeps the learning rate too low",
    looks_at="A scheduler whose factor averages 0.2 or less over the run, for plateau with a loss that falls by 5% per "
    "epoch; a fault if a constant learning rate learns better.",
    why="The learning rate is close to 0 before the network has learned.",
    source=BENGIO,
    fix="scheduler: constant, later milestones, or a shorter warmup.",
    example="dataset: iris\nmodel: {name: mlp, hidden: [16]}\nscheduler: {name: exponential, gamma: 0.1}\nepochs: 20\n",
    near_miss="dataset: iris\nmodel: {name: mlp, hidden: [16]}\nscheduler: cosine\nepochs: 20\n",
)
LOW_FACTOR = 0.2
SLOW_DECLINE = 0.95
"""A loss that falls by this factor per epoch is improving: a plateau scheduler should wait."""


def _schedule(given: RuleInputs) -> Iterator[Suspicion]:
    total, per_epoch = given.total_steps, given.steps_per_epoch
    steps = sorted({round(total * tenth / 20) for tenth in range(20)})
    losses = [SLOW_DECLINE**epoch for epoch in range(given.config.epochs)]
    states = [ScheduleState(step, total, per_epoch, losses[: step // per_epoch]) for step in steps]
    factors = [given.config.scheduler.factor(state) for state in states]
    mean = sum(factors) / len(factors)
    if mean <= LOW_FACTOR:
        evidence = Evidence(f"on average over the run, the rate is {mean:.2g} of optimizer.lr", mean, LOW_FACTOR)
        yield Suspicion(SCHEDULE, "likely", "scheduler", evidence, ({"scheduler": "constant"},))


CLIPPED = Page(
    id="NN406",
    title="gradients clipped to almost nothing",
    looks_at="clip_grad_norm below 0.05; a fault if 1 learns much better.",
    why="Every update is then almost zero, whatever the gradient.",
    source="Pascanu, Mikolov and Bengio, 2013 (arXiv:1211.5063)",
    fix="clip_grad_norm: 1, or leave it out.",
    example="dataset: moons\nmodel: {name: mlp, hidden: [16]}\noptimizer: sgd\nclip_grad_norm: 0.0001\n",
    near_miss="dataset: moons\nmodel: {name: mlp, hidden: [16]}\noptimizer: sgd\nclip_grad_norm: 1.0\n",
)
TIGHT_CLIP = 0.05


def _clipped(given: RuleInputs) -> Iterator[Suspicion]:
    clip = given.config.clip_grad_norm
    if clip is not None and clip < TIGHT_CLIP:
        yield odd_option(CLIPPED, "clip_grad_norm", clip, TIGHT_CLIP, 1.0)


MEMORY = Page(
    id="NN407",
    title="optimizer options far from their common values",
    looks_at="momentum or beta1 above 0.98, beta2 or alpha below 0.5, rho below 0.5, eps above 0.001, or groups with "
    "an lr_factor below 0.01 or with epochs below half of the run's, or a lookahead that leaves its weights more than "
    "half of their initial values; a fault if the default learns much better.",
    why="Averages over too many updates overshoot, and averages over too few follow the noise of each batch; a large "
    "eps makes updates too small; and weights that are frozen, or hardly follow the trained ones, stay random.",
    source="Kingma and Ba, Adam, 2014 (arXiv:1412.6980); Sutskever et al., 2013",
    fix="Leave the option out.",
    example="dataset: moons\nmodel: {name: mlp, hidden: [16]}\noptimizer: {name: sgd, lr: 0.1, momentum: 0.999}\n",
    near_miss="dataset: moons\nmodel: {name: mlp, hidden: [16]}\noptimizer: {name: sgd, lr: 0.1, momentum: 0.9}\n",
)


CUSTOMARY = {
    "momentum": (0.0, 0.98),
    "beta1": (0.0, 0.98),
    "beta2": (0.5, 1.0),
    "alpha": (0.5, 1.0),
    "rho": (0.5, 1.0),
    "eps": (0.0, 1e-3),
}


def _memory(given: RuleInputs) -> Iterator[Suspicion]:
    optimizer = given.config.optimizer
    for key, (low, high) in CUSTOMARY.items():
        value = getattr(optimizer, key, None)
        if value is not None and not low <= value <= high:
            limit = low if value < low else high
            default: Any = type(optimizer).model_fields[key].default
            defaults = (0.9, default) if key == "momentum" and default == 0 else (default,)
            yield odd_option(MEMORY, f"optimizer.{key}", value, limit, *defaults)
    yield from _frozen_groups(given)
    yield from _slow_weights(given)


def _slow_weights(given: RuleInputs) -> Iterator[Suspicion]:
    """Suspect a lookahead whose slow weights, which are evaluated, go too rarely or too little towards the others."""
    lookahead, total = given.config.lookahead, given.total_steps
    if lookahead is None:
        return
    updates = range(lookahead.every - 1, total, lookahead.every)
    kept = math.prod(lookahead.decay_at(step, total) for step in updates)
    if kept > MOST_KEPT:
        times = counted(len(updates), "time")
        text = f"lookahead moves the weights {lookahead.share:.2g} of the way, {times} in the whole run"
        yield Suspicion(MEMORY, "likely", "lookahead", Evidence(text, kept, MOST_KEPT), ({"lookahead": None},))


MOST_KEPT = 0.5
"""Fraction of its initial weights that a lookahead may keep to the end of a run."""
SLOW_GROUP = 0.01
"""Discriminative fine-tuning divides the learning rate by 2.6 per layer (Howard and Ruder, 2018, arXiv:1801.06146): by
about a hundred over five layers."""


def _frozen_groups(given: RuleInputs) -> Iterator[Suspicion]:
    """Suspect groups of parameters that hardly learn; those frozen later are not worth a word if all is well."""
    groups = given.config.optimizer.groups
    slow = [group for group in groups if group.lr_factor < SLOW_GROUP]
    short = [group for group in groups if group.epochs is not None and group.epochs * 2 < given.config.epochs]
    if slow or short:
        texts = [f"{group.match} learns at {group.lr_factor:g} of the learning rate" for group in slow]
        texts += [f"{group.match} is frozen after {counted(group.epochs or 0, 'epoch')}" for group in short]
        evidence = Evidence(", ".join(texts), min(group.lr_factor for group in groups), SLOW_GROUP)
        certainty: Certainty = "likely" if slow else "possible"
        yield Suspicion(MEMORY, certainty, "optimizer.groups", evidence, ({"optimizer.groups": _thawed(given)},))


def _thawed(given: RuleInputs) -> list[dict[str, Any]]:
    """Return the groups without the options that keep them from learning; those that set nothing else are left out."""
    kept = []
    for group in given.config.optimizer.groups:
        frozen = {"epochs", *(["lr_factor"] if group.lr_factor < SLOW_GROUP else [])}
        kept.append(group.model_dump(exclude_unset=True, exclude=frozen))
    return [group for group in kept if len(group) > 1]


LOSS_OPTIONS = Page(
    id="NN408",
    title="loss options that hide the classes",
    looks_at="label_smoothing of 0.5 or more, a focal gamma above 5, class_weights that differ by more than 20 times "
    "what would balance the classes, or a pos_weight more than 20 times below or above both 1 and what would balance "
    "its class; a fault if the default learns better.",
    why="The loss then barely distinguishes one class from another.",
    source="Szegedy et al., 2015 (arXiv:1512.00567); Lin et al., 2017 (arXiv:1708.02002)",
    fix="Leave the option out.",
    example="dataset: iris\nmodel: {name: mlp, hidden: [16]}\n"
    "loss: {name: cross_entropy, class_weights: [1.0, 1.0, 500.0]}\n",
    near_miss="dataset: iris\nmodel: {name: mlp, hidden: [16]}\nloss: {name: cross_entropy, label_smoothing: 0.1}\n",
)


def _loss_options(given: RuleInputs) -> Iterator[Suspicion]:
    loss = given.config.loss
    smoothing, gamma = getattr(loss, "label_smoothing", 0.0), getattr(loss, "gamma", 0.0)
    weights = getattr(loss, "class_weights", None)
    if smoothing >= 0.5:
        yield odd_option(LOSS_OPTIONS, "loss.label_smoothing", smoothing, 0.5, 0.0)
    if gamma > 5:
        yield odd_option(LOSS_OPTIONS, "loss.gamma", gamma, 5, 2.0)
    if isinstance(weights, list) and len(weights) == given.num_classes:
        shares = [weight * count for weight, count in zip(weights, given.facts.class_counts, strict=True)]
        ratio = max(shares) / min(shares)
        if ratio > FAR_WEIGHT:
            evidence = Evidence(f"one class weighs {ratio:.3g} times as much as another", ratio, FAR_WEIGHT)
            changes: tuple[Change, ...] = ({"loss.class_weights": None}, {"loss.class_weights": "balanced"})
            yield Suspicion(LOSS_OPTIONS, "likely", "loss.class_weights", evidence, changes)
    yield from _positive_weights(given)


FAR_WEIGHT = 20.0


def _positive_weights(given: RuleInputs) -> Iterator[Suspicion]:
    """Suspect a weight of a class's examples that neither leaves them as they are (1) nor balances the class."""
    weights = getattr(given.config.loss, "pos_weight", None)
    if not isinstance(weights, list) or len(weights) != given.num_classes:
        return
    balanced = [(given.facts.num_examples - count) / max(1, count) for count in given.facts.class_counts]
    far = [_how_far(*pair) for pair in zip(weights, balanced, strict=True)]
    worst = far.index(max(far))
    if far[worst] > FAR_WEIGHT:
        text = f"pos_weight {weights[worst]:g} for {given.class_names[worst]}, which {balanced[worst]:.3g} balances"
        changes: tuple[Change, ...] = ({"loss.pos_weight": None}, {"loss.pos_weight": "balanced"})
        yield Suspicion(LOSS_OPTIONS, "likely", "loss.pos_weight", Evidence(text, far[worst], FAR_WEIGHT), changes)


def _how_far(weight: float, balanced: float) -> float:
    """Return by what factor a weight lies outside the range from 1 to the balancing weight, on either side."""
    return max(weight / max(1.0, balanced), min(1.0, balanced) / weight)


def rates_together(given: RuleInputs) -> Iterator[tuple[Suspicion, ...]]:
    """Learning rate, momentum and batch size changed together: none of them may help alone."""
    config = given.config
    low, high = given.config.optimizer.lr_range()
    sizes = [32] if config.batch_size > 64 else []
    momentum = getattr(config.optimizer, "momentum", None) if config.optimizer.name == "sgd" else None
    for size in [*sizes, None]:
        for add_momentum in (True, False) if momentum == 0 else (False,):
            usual = (low * high) ** 0.5 * (0.2 if add_momentum else 1.0)
            for rate in (usual, usual * 5) if usual > config.optimizer.lr else (usual, usual / 5):
                parts = [_rate_part(config.optimizer.lr, float(f"{rate:.2g}"))]
                if add_momentum:
                    evidence = Evidence("no momentum", 0.0, 0.9)
                    parts.append(_part(LOW_LR, "optimizer.momentum", evidence, 0.9))
                if size is not None:
                    text = f"{counted(given.total_steps, 'update')} in the whole run"
                    evidence = Evidence(text, given.total_steps, FEW_STEPS)
                    parts.append(_part(SHORT, "batch_size", evidence, size))
                if len(parts) > 1:
                    yield tuple(parts)


def _rate_part(lr: float, rate: float) -> Suspicion:
    page = HIGH_LR if rate < lr else LOW_LR
    return _part(page, "optimizer.lr", Evidence(f"lr {lr:g}", lr, rate), rate)


def _part(page: Page, path: str, evidence: Evidence, value: float) -> Suspicion:
    return Suspicion(page, "possible", path, evidence, ({path: value},))


RULES = (
    Rule(HIGH_LR, _high_lr),
    Rule(LOW_LR, _low_lr),
    Rule(SHORT, _short),
    Rule(DECAY, _decay),
    Rule(SCHEDULE, _schedule),
    Rule(CLIPPED, _clipped),
    Rule(MEMORY, _memory),
    Rule(LOSS_OPTIONS, _loss_options),
)

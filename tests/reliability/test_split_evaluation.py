"""Tests that an evaluation split over processes counts each example once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch

from nnclassify.distributed.ranks import Ranks
from nnclassify.evaluation.totals import score
from nnclassify.losses import CrossEntropy
from reliability.outcome import Outcome

NUM_CLASSES = 3


class _Together(Ranks):
    """Processes that are played one after another: what they would add is added here."""

    def all_reduce(self, parts: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        return list(parts)


def test_split_evaluation(scale: float, outcome: Outcome) -> None:
    """Evaluations split over processes: the count and the accuracy of one process.

    2,000 combinations of examples, processes and batches, against one process's accuracy.
    """
    combinations = list(itertools.product(range(1, 258), range(1, 9), range(1, 18)))
    loss_fn = CrossEntropy().build([1] * NUM_CLASSES)
    generator = torch.Generator().manual_seed(10)
    picked = torch.randperm(len(combinations), generator=generator)[: max(1, round(2000 * scale))].tolist()
    for count, size, batch in (combinations[index] for index in picked):
        outputs = torch.randn(count, NUM_CLASSES, generator=generator)
        targets = torch.randint(NUM_CLASSES, (count,), generator=generator)
        whole, times = torch.zeros_like(outputs), torch.zeros(count)
        for rank in range(size):
            ranks = _Together(rank, size)
            part = torch.cat([outputs[:0], *outputs[ranks.shard(count)].split(batch)])
            whole += ranks.gather_rows(part, count) if size > 1 else part
            times[ranks.shard(count)] += 1
        same = bool((times == 1).all()) and score(whole, targets, loss_fn) == score(outputs, targets, loss_fn)
        outcome.count(None if same else f"{count} examples, {size} processes, batches of {batch}")
    outcome.remark = "processes are played in turn; test_agreeing_processes compares validation losses of real ones"
    outcome.check()

"""Answers requests in batches: one thread computes, and takes whatever has queued while it was busy."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from nnclassify.inference.inputs import RawInput
from nnclassify.inference.predict import Prediction
from nnclassify.serve.metrics import Metrics

READERS = 2
"""Threads that decode images and parse tables: Pillow decodes without Python's lock."""

Read = Callable[[], Sequence[RawInput]]
Compute = Callable[[Sequence[RawInput]], list[Prediction]]
Answer = list[Prediction] | BaseException


@dataclass(eq=False)
class _Job:
    """A request: how its inputs are read, where its answer is awaited, and its inputs."""

    read: Read
    answered: asyncio.Future[list[Prediction]]
    inputs: Sequence[RawInput] = field(default=())


class Batcher:
    """Reads the inputs of requests, and computes them in batches.

    The reading threads put what they have read into a queue. The computing thread takes the first request, and all
    that wait behind it up to `max_inputs` inputs; it never waits for a batch to fill. So a lone request is computed at
    once, and under load a batch is what has come in while the one before was computed.

    Args:
        compute: The predictions of inputs that could be read, in order.
        max_inputs: The largest batch, unless one request has more.
        metrics: Where the sizes of batches are counted.
    """

    def __init__(self, compute: Compute, max_inputs: int, metrics: Metrics) -> None:
        self._compute = compute
        self._max_inputs = max_inputs
        self._metrics = metrics
        self._unread: SimpleQueue[_Job | None] = SimpleQueue()
        self._waiting: SimpleQueue[_Job | None] = SimpleQueue()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Return a context, inside an event loop, in which requests are answered."""
        self._loop = asyncio.get_running_loop()
        works = [self._run_reader] * READERS + [self._run]
        threads = [threading.Thread(target=work, name="nnclassify-serve", daemon=True) for work in works]
        for thread in threads:
            thread.start()
        yield
        for queue in [self._unread] * READERS + [self._waiting]:
            queue.put(None)
        for thread in threads:
            thread.join()

    async def answer(self, read: Read) -> list[Prediction]:
        """Return the predictions for the inputs that `read` returns, and raise what it or the network raises.

        If this is cancelled, the inputs are not computed.
        """
        job = _Job(read, self._loop.create_future())
        self._unread.put(job)
        return await job.answered

    def _run_reader(self) -> None:
        while (job := self._unread.get()) is not None:
            if job.answered.cancelled():
                continue
            try:
                job.inputs = job.read()
            except BaseException as error:
                self._loop.call_soon_threadsafe(_deliver, [(job, error)])
            else:
                self._waiting.put(job)

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            jobs = [job for job in self._with_waiting(first) if not job.answered.cancelled()]
            if jobs:
                answers = list(self._answers(jobs))
                self._loop.call_soon_threadsafe(self._finish, answers)

    def _with_waiting(self, first: _Job) -> Iterator[_Job]:
        """Yield a request, and those that wait behind it until the batch is full."""
        yield first
        size = len(first.inputs)
        with contextlib.suppress(Empty):
            while size < self._max_inputs:
                job = self._waiting.get_nowait()
                if job is None:
                    self._waiting.put(None)
                    return
                size += len(job.inputs)
                yield job

    def _answers(self, jobs: Sequence[_Job]) -> Iterator[tuple[_Job, Answer]]:
        """Compute requests together; if that fails, each alone, so that only those fail that cannot be computed."""
        try:
            found = iter(self._compute([item for job in jobs for item in job.inputs]))
        except BaseException as error:
            if len(jobs) == 1:
                yield jobs[0], error
            else:
                yield from (pair for job in jobs for pair in self._answers([job]))
            return
        yield from ((job, [next(found) for _ in job.inputs]) for job in jobs)

    def _finish(self, answers: Sequence[tuple[_Job, Answer]]) -> None:
        self._metrics.observe("batch_inputs", sum(len(job.inputs) for job, _ in answers))
        _deliver(answers)


def _deliver(answers: Sequence[tuple[_Job, Answer]]) -> None:
    for job, answer in answers:
        if job.answered.done():  # cancelled: nobody waits for it
            continue
        if isinstance(answer, BaseException):
            job.answered.set_exception(answer)
        else:
            job.answered.set_result(answer)

"""Starts a server: loads the network, then serves it in this process, or in several."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from socket import socket

from nnclassify.data.images.image_reading import ignore_warnings
from nnclassify.errors import InputError
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.predict import Caution
from nnclassify.process import num_cores, use_threads
from nnclassify.serve.app import Service, build_app
from nnclassify.serve.guard import App, Guard
from nnclassify.serve.limits import Limits
from nnclassify.serve.metrics import Metrics
from nnclassify.serve.workers import Workers, serve_here


@dataclass(frozen=True)
class Settings:
    """How a network is served.

    Attributes:
        workers: The number of processes.
        hosts: Names by which the server may be called, besides `localhost` and the machine's own.
        top_k: The number of classes in an answer.
        caution: How cautious predictions are.
        limits: What is refused.
    """

    workers: int = 1
    hosts: Sequence[str] = ()
    top_k: int = 10
    caution: Caution = field(default_factory=Caution)
    limits: Limits = field(default_factory=Limits)


def check_workers(classifier: Classifier, workers: int) -> None:
    """Check that a network can be served by several processes.

    Raises:
        InputError: It cannot.
    """
    if workers > 1 and not hasattr(os, "fork"):
        raise InputError(f"--workers {workers}: several processes need a system with fork, such as Linux; use 1")
    if workers > 1 and classifier.placement.device.type != "cpu":
        raise InputError(f"--workers {workers}: several processes share the weights on the CPU only; add --device cpu")


def guarded_app(
    classifier: Classifier, settings: Settings, metrics: Metrics, report: Callable[[BaseException], str]
) -> App:
    """Return the application as it is served.

    Args:
        classifier: The network.
        settings: How it is served.
        metrics: The counters.
        report: Called with a bug; returns a line for whoever asked.
    """
    top_k = len(classifier.class_names) if classifier.is_multi_hot else settings.top_k
    service = Service(classifier, settings.caution, settings.limits, metrics, top_k)
    return Guard(build_app(service), settings.hosts, metrics, report)


def run_server(
    classifier: Classifier,
    settings: Settings,
    listener: socket,
    ready: Callable[[], None],
    note: Callable[[str], None],
    report: Callable[[BaseException], str],
) -> None:
    """Serve a network until a signal stops the process.

    Args:
        classifier: The network.
        settings: How it is served.
        listener: The socket, on which connections already wait.
        ready: Called when a signal stops the server in order.
        note: Called with a line for each worker that is replaced.
        report: Called with a bug; returns a line for whoever asked.

    Raises:
        TrainingError: Workers keep exiting on their own.
    """
    ignore_warnings()
    metrics = Metrics(classifier.class_names, settings.workers)
    app = guarded_app(classifier, settings, metrics, report)
    threads = max(1, num_cores() // settings.workers)

    def serve(number: int, ready: Callable[[], None] = lambda: None) -> None:
        metrics.start(number)
        use_threads(threads)
        serve_here(app, listener, settings.limits.seconds, ready)

    if settings.workers == 1:
        serve(0, ready)
    else:
        Workers(serve, settings.workers, note, settings.limits.seconds).run(ready)

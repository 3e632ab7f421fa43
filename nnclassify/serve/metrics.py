"""Counters that all worker processes share, and their text for Prometheus."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROUTES = ("/", "/predict", "/model", "/health", "/metrics", "/map", "/docs", "/openapi.json", "other")
STATUSES = (200, 400, 403, 404, 405, 408, 413, 415, 422, 500, 503)
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper limits of the buckets of durations."""
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Upper limits of the buckets of batch sizes."""
HELP = {
    "requests_total": ("counter", "Requests answered, by route and status code."),
    "request_seconds": ("histogram", "Duration of requests to /predict that were answered with 200."),
    "batch_inputs": ("histogram", "Inputs that the network computed at a time."),
    "predictions_total": ("counter", "Inputs predicted, by class, without those that were unsure."),
    "unsure_total": ("counter", "Predictions that were unsure."),
    "unlike_total": ("counter", "Inputs unlike the training data."),
    "requests_in_progress": ("gauge", "Requests to /predict that are read, waiting or computed."),
    "worker_starts_total": ("counter", "Starts of worker processes, replacements included."),
}


class Metrics:
    """One row of counters per worker process, in memory that processes share if it is made before they are forked.

    A process writes to its own row alone; a replaced worker continues the row of its predecessor. `/metrics` gives the
    sums, whichever process answers.

    Args:
        class_names: The classes that are counted.
        workers: The number of worker processes.
    """

    def __init__(self, class_names: Sequence[str], workers: int = 1) -> None:
        self._class_names = list(class_names)
        self._place = {key: index for index, key in enumerate(self._keys())}
        memory = mmap.mmap(-1, 8 * workers * len(self._place))
        self._rows = np.frombuffer(memory, dtype=np.float64).reshape(workers, -1)
        self._own = self._rows[0]

    def _keys(self) -> Iterator[tuple[str, Any]]:
        yield from (("requests_total", (route, status)) for route in ROUTES for status in STATUSES)
        for name, limits in (("request_seconds", SECONDS), ("batch_inputs", BATCHES)):
            yield from ((name, limit) for limit in (*limits, "+Inf", "sum"))
        yield from (("predictions_total", name) for name in self._class_names)
        yield from ((name, None) for name in ("unsure_total", "unlike_total"))
        yield from ((name, None) for name in ("requests_in_progress", "worker_starts_total"))

    def start(self, worker: int) -> None:
        """Use the row of a worker from now on, in its process."""
        self._own = self._rows[worker]
        self._own[self._place["requests_in_progress", None]] = 0
        self.add("worker_starts_total")

    def add(self, name: str, label: Any = None, amount: float = 1) -> None:
        """Add to a counter or gauge of this process."""
        self._own[self._place[name, label]] += amount

    def observe(self, name: str, value: float) -> None:
        """Add a value to a histogram."""
        limits = SECONDS if name == "request_seconds" else BATCHES
        self.add(name, next((limit for limit in limits if value <= limit), "+Inf"))
        self.add(name, "sum", value)

    def count_request(self, path: str, status: int) -> None:
        """Count an answered request."""
        route = path if path in ROUTES else "other"
        self.add("requests_total", (route, status if status in STATUSES else 500))

    def text(self) -> str:
        """Return all counters in the text format of Prometheus."""
        totals = self._rows.sum(axis=0).tolist()
        lines = []
        for name, (kind, text) in HELP.items():
            lines += [f"# HELP nnclassify_{name} {text}", f"# TYPE nnclassify_{name} {kind}"]
            found = [(label, totals[place]) for (of, label), place in self._place.items() if of == name]
            lines += _histogram(name, found) if kind == "histogram" else [_line(name, *pair) for pair in found]
        lines += ["# HELP process_resident_memory_bytes Memory of the process that answered.",
                  "# TYPE process_resident_memory_bytes gauge",
                  f"process_resident_memory_bytes {resident_bytes()}"]  # fmt: skip
        return "\n".join([*lines, ""])


def _line(name: str, label: Any, value: float) -> str:
    labels = ""
    if name == "requests_total":
        labels = f'{{route="{label[0]}",status="{label[1]}"}}'
    elif label is not None:
        labels = f'{{class="{_escaped(label)}"}}'
    return f"nnclassify_{name}{labels} {value:.12g}"


def _histogram(name: str, found: Sequence[tuple[Any, float]]) -> Iterator[str]:
    total = 0.0
    for limit, count in found[:-1]:
        total += count
        yield f'nnclassify_{name}_bucket{{le="{limit}"}} {total:.12g}'
    yield f"nnclassify_{name}_sum {found[-1][1]:.12g}"
    yield f"nnclassify_{name}_count {total:.12g}"


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def resident_bytes() -> int:
    """Return the resident memory of this process, 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")

"""Measure a server: `python -m benchmarks.serve RUN`; RUN is a network on gray images, such as digits_cnn.

Needs Linux. Server and load share the machine, so run nothing else beside it; RESULTS.md says what else ran.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.serve.hostile import hostile_requests
from benchmarks.serve.load import Load, closed_loop, connect, form_request, open_loop

RATE, SECONDS = 50, 60
CONNECTIONS = 64
REQUESTS, HOSTILE, KILLS = 20_000, 500, 10


@dataclass(frozen=True)
class Server:
    """A server that runs: its process, and its port."""

    process: subprocess.Popen[str]
    port: int

    def workers(self) -> list[int]:
        """Return the worker processes, or the one process."""
        tasks = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(text) for text in tasks.read_text(encoding="utf-8").split()] or [self.process.pid]

    def memory(self, key: str) -> list[float]:
        """Return a figure of each worker's memory in MB, such as `Pss`."""
        texts = [Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8") for pid in self.workers()]
        found = [re.search(rf"^{key}: +(\d+) kB", text, re.MULTILINE) for text in texts]
        return [round(int(one[1]) / 1024, 1) for one in found if one is not None]

    def cpu_seconds(self) -> float:
        """Return the processor time of all workers."""
        stats = [Path(f"/proc/{pid}/stat").read_text(encoding="utf-8") for pid in self.workers()]
        fields = [stat.rpartition(")")[2].split() for stat in stats]
        return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def running(run: str, *options: str) -> Iterator[Server]:
    """Start a server on a free port; at the end it must stop cleanly."""
    command = [sys.executable, "-m", "nnclassify", "serve", run, "--port", "0", "--json", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        server = Server(process, int(told["url"].rpartition(":")[2]))
        asyncio.run(closed_loop(server.port, images(), 8, 400))  # what is slow once is not measured
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
    assert code == 0, f"exit code {code} after SIGTERM"


def images() -> list[bytes]:
    """Return requests with the digits of scikit-learn, as PNG files."""
    from PIL import Image
    from sklearn.datasets import load_digits

    requests = []
    for pixels in load_digits().images[:200]:
        file = io.BytesIO()
        Image.fromarray((pixels * 255 / 16).astype("uint8")).save(file, "PNG")
        requests.append(form_request(file.getvalue()))
    return requests


def latency(run: str, workers: int) -> dict[str, Any]:
    """Measure latencies at a fixed rate."""
    with running(run, "--workers", str(workers)) as server:
        return _measured(server, lambda: asyncio.run(open_loop(server.port, images(), RATE, SECONDS)))


def throughput(run: str, workers: int) -> dict[str, Any]:
    """Measure answers per second of one connection and of many, alternately."""
    found: dict[str, list[Any]] = {"one": [], "many": []}
    with running(run, "--workers", str(workers)) as server:
        for _ in range(5):
            for name, connections, count in (("one", 1, 500), ("many", CONNECTIONS, 5000)):
                load = partial(_closed, server.port, connections, count)
                found[name].append(_measured(server, load))
    rates = [(one["per_second"], many["per_second"]) for one, many in zip(found["one"], found["many"], strict=True)]
    return {"rates": rates, "ratios": [round(many / one, 2) for one, many in rates], **found}


def _closed(port: int, connections: int, count: int) -> Load:
    return asyncio.run(closed_loop(port, images(), connections, count))


def memory(run: str, workers: int) -> dict[str, Any]:
    """Measure the memory of a server over many requests, and that workers share the weights."""
    with running(run, "--workers", str(workers)) as server:
        resident: list[list[float]] = []
        loads = []
        for _ in range(4):
            loads.append(asyncio.run(closed_loop(server.port, images(), CONNECTIONS, REQUESTS // 4)).figures())
            resident.append(server.memory("Rss"))
        return {
            "answers": sum(load["answers"] for load in loads),
            "errors": [load["errors"] for load in loads if load["errors"]],
            "rss_after_each_quarter": resident,
            "pss": server.memory("Pss"),
        }


def hostile(run: str) -> dict[str, Any]:
    """Send hostile requests, and say what came back; afterwards a good one."""
    with running(run) as server:
        pid, before = server.process.pid, server.memory("Rss")
        load = asyncio.run(_each_alone(server.port, hostile_requests(HOSTILE)))
        good = asyncio.run(closed_loop(server.port, images(), 1, 10))
        alive = server.process.poll() is None and server.process.pid == pid
        return {
            **load.figures(),
            "alive": alive,
            "good_after": dict(good.statuses),
            "rss": [before, server.memory("Rss")],
        }


async def _each_alone(port: int, contents: list[bytes]) -> Load:
    """Send each request over a connection of its own: a server may close it before it has read all."""
    load = Load()
    started = time.perf_counter()
    for content in contents:
        began = time.perf_counter()
        try:
            client = await connect(port)
            load.statuses[await client.ask(content)] += 1
            load.seconds.append(time.perf_counter() - began)
            client.transport.close()
        except OSError as error:
            load.errors[type(error).__name__] += 1
    load.elapsed = time.perf_counter() - started
    return load


def kills(run: str) -> dict[str, Any]:
    """Kill workers while requests come; broken connections are made again, as clients do."""
    with running(run, "--workers", "2") as server:
        loads, gone = [], set(server.workers())
        for _ in range(KILLS):
            victim = server.workers()[0]
            os.kill(victim, signal.SIGKILL)
            gone.add(victim)
            loads.append(asyncio.run(closed_loop(server.port, images(), 8, 200)))
        time.sleep(1)
        after = asyncio.run(closed_loop(server.port, images(), 8, 200))
        answers = sum(sum(load.statuses.values()) for load in loads)
        return {
            "killed": KILLS,
            "workers_after": len(server.workers()),
            "answers_meanwhile": answers,
            "errors_meanwhile": sum(sum(load.errors.values()) for load in loads),
            "after": after.figures(),
        }


def _measured(server: Server, load: Callable[[], Load]) -> dict[str, Any]:
    before, started = server.cpu_seconds(), os.getloadavg()[0]
    figures = load().figures()
    seconds = server.cpu_seconds() - before
    figures["cpu_ms_per_answer"] = round(1000 * seconds / figures["answers"], 3)
    return figures | {"load_average": [round(started, 1), round(os.getloadavg()[0], 1)]}


def main() -> None:
    """Measure, print as it comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--only", choices=["latency", "throughput", "memory", "hostile", "kills"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=1)
    arguments = parser.parse_args()
    run, workers = arguments.run, arguments.workers
    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "latency": lambda: latency(run, workers),
        "throughput": lambda: throughput(run, workers),
        "memory": lambda: memory(run, workers),
        "hostile": lambda: hostile(run),
        "kills": lambda: kills(run),
    }
    print(json.dumps({"machine": platform.machine(), "cores": os.cpu_count(), "workers": workers}))
    for name, measure in measures.items():
        for _ in range(arguments.repeat if arguments.only in (None, name) else 0):
            print(json.dumps({name: measure(), "load_average": os.getloadavg()}), flush=True)


if __name__ == "__main__":
    main()

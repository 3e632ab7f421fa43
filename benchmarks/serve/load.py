"""A load generator: keep-alive connections that send one request each at a time, and what comes back.

It costs about 40 microseconds of a core per request: it shares the machine with the server that it measures.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

HEADER_END = b"\r\n\r\n"


def form_request(content: bytes, name: str = "7.png", host: str = "127.0.0.1") -> bytes:
    """Return a request that sends one file as a form."""
    boundary = b"x8f2a71c0"
    disposition = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n'.encode()
    body = b"--" + boundary + b"\r\n" + disposition + b"\r\n" + content + b"\r\n--" + boundary + b"--\r\n"
    return request(b"multipart/form-data; boundary=" + boundary, body, host)


def request(content_type: bytes, body: bytes, host: str = "127.0.0.1") -> bytes:
    """Return a request to `/predict`."""
    head = f"POST /predict HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\nContent-Type: ".encode()
    return head + content_type + HEADER_END + body


@dataclass
class Load:
    """What came back.

    Attributes:
        seconds: The time of each answer since the request was due.
        statuses: The number of answers of each status.
        errors: Connections that broke, by kind.
        elapsed: The duration of all.
    """

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    elapsed: float = 0.0

    def rate(self) -> float:
        """Return the answers per second."""
        return sum(self.statuses.values()) / self.elapsed

    def figures(self) -> dict[str, Any]:
        """Return rate, latencies in milliseconds, statuses and errors."""
        names, shares = ("p50", "p90", "p99", "p99.9", "max"), (50, 90, 99, 99.9, 100)
        milliseconds = 1000 * np.percentile(self.seconds, shares) if self.seconds else np.zeros(5)
        found = dict(zip(names, (round(float(value), 2) for value in milliseconds), strict=True))
        return {
            "answers": sum(self.statuses.values()),
            "per_second": round(self.rate(), 1),
            "milliseconds": found,
            "statuses": dict(self.statuses),
            "errors": dict(self.errors),
        }


class Client(asyncio.Protocol):
    """One connection; `ask` sends a request and returns the status of its answer."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answered: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail whoever waits for an answer."""
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(ConnectionResetError("closed without an answer"))

    def data_received(self, data: bytes) -> None:
        """Collect an answer; a whole one is handed over."""
        received = self._received
        received += data
        end = received.find(HEADER_END)
        if end < 0:
            return
        start = received.lower().index(b"content-length:", 0, end) + 15
        length = int(received[start : received.index(b"\r\n", start)])
        if len(received) >= end + 4 + length and self._answered is not None and not self._answered.done():
            self.body = bytes(received[end + 4 : end + 4 + length])
            status = int(received[9:12])
            received.clear()
            self._answered.set_result(status)

    async def ask(self, content: bytes) -> int:
        """Send a request, and return the status of the answer."""
        if self.transport.is_closing():
            raise ConnectionResetError("closed while idle")
        self._answered = asyncio.get_running_loop().create_future()
        self.transport.write(content)
        return await self._answered


async def connect(port: int) -> Client:
    """Return a connection to a server on this machine."""
    _, client = await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", port)
    return client


async def _ask(load: Load, port: int, client: Client | None, content: bytes, due: float) -> Client | None:
    try:
        client = client or await connect(port)
        load.statuses[await client.ask(content)] += 1
        load.seconds.append(time.perf_counter() - due)
    except OSError as error:
        load.errors[type(error).__name__] += 1
        return None
    return client


async def closed_loop(port: int, contents: list[bytes], connections: int, count: int) -> Load:
    """Send `count` requests over connections that each send the next one when the last one is answered."""
    load, numbers = Load(), iter(range(count))

    async def run() -> None:
        client: Client | None = None
        for number in numbers:
            client = await _ask(load, port, client, contents[number % len(contents)], time.perf_counter())
        if client is not None:
            client.transport.close()

    return await _timed(load, lambda: asyncio.gather(*(run() for _ in range(connections))))


async def open_loop(port: int, contents: list[bytes], per_second: float, seconds: float) -> Load:
    """Send requests when they are due, however long answers take; a latency counts from when a request was due."""
    load, idle = Load(), list[Client]()

    async def one(number: int, due: float) -> None:
        client = await _ask(load, port, idle.pop() if idle else None, contents[number % len(contents)], due)
        if client is not None:
            idle.append(client)

    async def run() -> None:
        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(int(per_second * seconds)):
                due = started + number / per_second
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(one(number, due))

    found = await _timed(load, run)
    for client in idle:
        client.transport.close()
    return found


async def _timed(load: Load, run: Callable[[], Awaitable[Any]]) -> Load:
    started = time.perf_counter()
    await run()
    load.elapsed = time.perf_counter() - started
    return load

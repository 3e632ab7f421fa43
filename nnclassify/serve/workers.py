"""The processes of a server: one that serves, or several that are forked, watched and replaced.

uvicorn's own supervisor starts each worker anew, with a network of its own; `multiprocessing`'s fork server too. Here
the network is loaded once, and workers are forked from the process that has it: they share its memory.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import logging
import multiprocessing
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess

import uvicorn

from nnclassify.errors import InputError, TrainingError, one_line
from nnclassify.process import die_with_parent, stop_on_signals
from nnclassify.serve.guard import App

BACKLOG = 1024
"""Connections that wait to be accepted."""
MAX_FAILURES = 5
"""Workers that exit on their own with an error, after which no more are started."""
MARGIN_SECONDS = 5
"""How much longer than a request a worker may take to stop."""
POLL_SECONDS = 0.1
KEEP_ALIVE_SECONDS = 75
"""How long an idle connection stays open: longer than those of clients, which must not send into one that closes."""


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that accepts connections; they wait until a worker takes them.

    Raises:
        InputError: The address is unknown, or the port is taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with contextlib.ExitStack() as unless_listening:
            listener = unless_listening.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
            unless_listening.pop_all()
    except (OSError, OverflowError, UnicodeError) as cause:
        of_port = isinstance(cause, OSError) and cause.errno in (errno.EADDRINUSE, errno.EACCES)
        advice = "choose another port, or 0 for any free one" if of_port else "expected an address of this machine"
        raise InputError(f"--host {host} --port {port}: {one_line(cause)}; {advice}") from cause
    listener.set_inheritable(True)
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the address of a socket as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """uvicorn's server, stopped by the signals that stop every command: requests in progress are finished.

    Args:
        config: How it serves.
        ready: Called when signals stop it.
    """

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Return a context in which a signal stops the server; it does not end the process."""
        with stop_on_signals(lambda number: setattr(self, "should_exit", True)):
            self._ready()
            yield


def serve_here(app: App, listener: socket.socket, seconds: float, ready: Callable[[], None]) -> None:
    """Serve in this process until a signal stops it, and finish what is in progress.

    Args:
        app: The application.
        listener: The socket.
        seconds: How long requests in progress may take after the signal.
        ready: Called when a signal stops the server in order.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        backlog=BACKLOG,
        proxy_headers=False,
        server_header=False,
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(seconds)),
    )
    for name in ("uvicorn.error", "python_multipart"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what they say of bad requests is in our answers
    _Server(config, ready).run([listener])


@dataclass
class Workers:
    """Worker processes that serve one socket.

    Attributes:
        serve: Serves in a worker until a signal stops it; it is called with the number of the worker.
        count: The number of workers.
        note: Called with a line for each worker that is replaced.
        seconds: How long requests in progress may take after the signal.
    """

    serve: Callable[[int], None]
    count: int
    note: Callable[[str], None]
    seconds: float
    num_failures: int = 0

    def run(self, ready: Callable[[], None]) -> None:
        """Keep the workers running until a signal stops this process, then end them.

        Args:
            ready: Called when a signal does so.

        Raises:
            TrainingError: Workers keep exiting on their own.
        """
        stopping: list[int] = []
        gc.collect()
        gc.freeze()  # a collection in a worker would write to, and so copy, what it shares
        with stop_on_signals(stopping.append):
            ready()
            processes = [self._start(number) for number in range(self.count)]
            try:
                while not stopping:
                    wait([process.sentinel for process in processes], POLL_SECONDS)
                    self._replace(processes)
            finally:
                _end(processes, self.seconds + MARGIN_SECONDS)

    def _replace(self, processes: list[ForkProcess]) -> None:
        for number, process in enumerate(processes):
            if process.is_alive():
                continue
            self.num_failures += (process.exitcode or 0) > 0
            if self.num_failures > MAX_FAILURES:
                raise TrainingError(f"workers keep exiting on their own, the last one with {_ending(process)}")
            self.note(f"worker {number + 1} ended with {_ending(process)}; starting another")
            processes[number] = self._start(number)

    def _start(self, number: int) -> ForkProcess:
        process = multiprocessing.get_context("fork").Process(target=self._work, args=(number,), daemon=True)
        process.start()
        return process

    def _work(self, number: int) -> None:
        die_with_parent()
        self.serve(number)


def _end(processes: list[ForkProcess], seconds: float) -> None:
    """Ask processes to stop until they do; kill what is left after `seconds`."""
    deadline = time.monotonic() + seconds
    while (alive := [process for process in processes if process.is_alive()]) and time.monotonic() < deadline:
        for process in alive:
            process.terminate()  # more than once: a signal that comes before a worker listens to it is lost
        wait([process.sentinel for process in alive], 0.5)
    for process in processes:
        process.kill()
        process.join()


def _ending(process: ForkProcess) -> str:
    code = process.exitcode or 0
    return f"signal {-code}" if code < 0 else f"exit code {code}"

"""Tests of real servers: processes that are asked over a socket, stopped by a signal, killed."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import ROOT

import nnclassify
from nnclassify.errors import InputError
from nnclassify.serve.guard import check_name
from nnclassify.serve.workers import listening_socket

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]
Start = Callable[..., "Server"]


class Server:
    """A server in a process of its own."""

    def __init__(self, run: Path, *options: str) -> None:
        command = [
            sys.executable,
            "-W",
            "error",
            "-m",
            "nnclassify",
            "serve",
            str(run),
            "--port",
            "0",
            "--json",
            *options,
        ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=environment, **pipes)
        assert self.process.stdout is not None
        self.told = json.loads(self.process.stdout.readline())
        self.url = self.told["url"]
        self.port = int(self.url.rpartition(":")[2])
        assert httpx2.get(f"{self.url}/health", timeout=60).status_code == 200

    def children(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(text) for text in path.read_text().split()]

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """The exit code after a signal, and what was printed to standard error."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors

    def close(self) -> None:
        """Kill it, if it still runs."""
        self.process.kill()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        self.process.wait()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = {
        "dataset": {"name": "digits", "limit": 100},
        "model": {"name": "mlp", "hidden": [2000, 2000]},
        "epochs": 1,
    }
    return nnclassify.train(
        {**config, "name": "digits"}, root=tmp_path_factory.mktemp("runs"), report=False
    ).folder.path


@pytest.fixture
def start(run: Path) -> Iterator[Start]:
    with ExitStack() as ends:

        def one(*options: str) -> Server:
            server = Server(run, *options)
            ends.callback(server.close)
            return server

        yield one


PIXELS = {"inputs": [[[0] * 8] * 8]}


@contextmanager
def half_sent(port: int) -> Iterator[socket.socket]:
    """A connection over which half of a request has come."""
    body = json.dumps(PIXELS).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(f"{head}\r\n\r\n".encode() + body[:20])
        time.sleep(0.3)
        yield connection


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_when_requests_are_finished(start: Start, options: tuple[str, ...], number: int) -> None:
    server = start(*options)
    with half_sent(server.port) as connection:
        server.process.send_signal(number)
        time.sleep(0.5)
        connection.sendall(json.dumps(PIXELS).encode()[20:])
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert server.stop(number if number == signal.SIGTERM else signal.SIGTERM) == (0, "")


def test_the_commands_of_the_page_work(start: Start) -> None:
    server = start()
    text = (ROOT / "docs/serving.md").read_text()
    (command,) = re.findall(r"^curl -F .*$", text, re.MULTILINE)
    words = shlex.split(command.replace("http://127.0.0.1:8000", server.url))
    done = subprocess.run([*words, "--silent"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["predictions"][0]["input"] == "seven.png"
    assert server.stop() == (0, "")


def test_workers_share_the_weights_and_killed_ones_are_replaced(start: Start, run: Path) -> None:
    server = start("--workers", "2")
    with httpx2.Client(base_url=server.url) as client:
        assert client.post("/predict", json=PIXELS).status_code == 200
    first = server.children()
    weights = sum(each.numel() * each.element_size() for each in nnclassify.load(run).model.parameters())
    private = [_memory(pid, "Private_Dirty") for pid in first]
    assert len(first) == 2 and weights > 16e6
    assert all(each < _memory(server.process.pid, "Rss") / 3 for each in private)
    for pid in first:
        os.kill(pid, signal.SIGKILL)
    answers = [_ask_until_answered(server) for _ in range(8)]
    assert answers == [200] * 8
    assert len(server.children()) == 2 and not set(first) & set(server.children())
    code, errors = server.stop()
    assert code == 0
    assert sorted(errors.splitlines()) == [
        f"worker {number} ended with signal 9; starting another" for number in (1, 2)
    ]


def _memory(pid: int, key: str) -> int:
    (found,) = re.findall(rf"^{key}: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return 1024 * int(found)


def _ask_until_answered(server: Server) -> int:
    for _ in range(50):
        try:
            return httpx2.post(f"{server.url}/predict", json=PIXELS, timeout=30).status_code
        except httpx2.TransportError:  # the worker that had accepted it is gone
            time.sleep(0.1)
    raise AssertionError("no answer")


def test_requests_that_wait_are_computed_together_and_a_full_queue_refuses(start: Start) -> None:
    server = start("--queue", "4")
    with httpx2.Client(base_url=server.url, timeout=30) as client, ThreadPoolExecutor(16) as pool:
        client.post("/predict", json=PIXELS)
        codes = list(pool.map(lambda _: client.post("/predict", json=PIXELS).status_code, range(200)))
        metrics = client.get("/metrics").text
    (batches,) = re.findall(r"^nnclassify_batch_inputs_count (\d+)$", metrics, re.MULTILINE)
    assert set(codes) == {200, 503}
    assert int(batches) < 1 + codes.count(200)


def test_a_slow_body_is_refused(start: Start) -> None:
    server = start("--timeout", "1")
    with half_sent(server.port) as connection:
        answer = HTTPResponse(connection)
        answer.begin()  # the body may come in a packet of its own
        assert (answer.status, b"expected all of it" in answer.read()) == (408, True)
    assert server.stop() == (0, "")


def test_a_client_that_leaves_in_the_middle_of_a_body_is_counted(start: Start) -> None:
    """Each wrote a bug report: a file in the cache folder and a line on the terminal."""
    server = start()
    for _ in range(3):
        with half_sent(server.port):
            pass
    with httpx2.Client(base_url=server.url) as client:
        for _ in range(100):
            counted = re.findall(
                r'^nnclassify_requests_total{route="/predict",status="400"} (\d+)$',
                client.get("/metrics").text,
                re.MULTILINE,
            )
            if counted == ["3"]:
                break
            time.sleep(0.1)
    assert counted == ["3"]
    assert server.stop() == (0, "")


def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"--host 127.0.0.1 --port {port}: .*in use; choose another port"):
            listening_socket("127.0.0.1", port)


@pytest.mark.parametrize("host", ["a b", "192.0.2.1"])
def test_a_host_that_is_not_this_machine_is_an_error(host: str) -> None:
    with pytest.raises(InputError, match=rf"--host {host} --port 0: .*; expected an address of this machine"):
        listening_socket(host, 0)


@pytest.mark.parametrize("name", ["", "a b", "http://example.org", "example.org:80", "example.org/x", "*"])
def test_what_no_request_can_name_is_not_allowed(name: str) -> None:
    with pytest.raises(InputError, match=r"expected a name such as example.org, without http://, port or path"):
        check_name(name)
    check_name("photos.example.org")

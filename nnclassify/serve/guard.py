"""What every request passes first: is it meant for this server, and by whom? It also counts, and adds headers."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from nnclassify.errors import InputError, printable
from nnclassify.serve.metrics import Metrics

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = "; ".join(
    [
        *("default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"),
        *("img-src 'self' blob: data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"),
    ]
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]
_NAME = re.compile(r"[A-Za-z0-9_.-]+")


class Guard:
    """An ASGI application in front of another.

    A page of another site must not use the server through its reader's browser. So `Host` must be an IP address or a
    known name (a name that an attacker points to 127.0.0.1 is neither), and a request that a page of another origin
    sends is refused. No header allows another site to read an answer.

    Args:
        app: The application behind.
        hosts: The names by which the server may be called, besides `localhost` and the machine's own.
        metrics: Where requests are counted.
        report: Called with a bug; returns a line for whoever asked.
    """

    def __init__(
        self, app: App, hosts: Iterable[str], metrics: Metrics, report: Callable[[BaseException], str]
    ) -> None:
        self._app = app
        self._hosts = {name.lower() for name in ("localhost", socket.gethostname(), *hosts)}
        self._metrics = metrics
        self._report = report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        try:
            if (problem := self._problem(scope)) is not None:
                await answer_error(noted, 403, problem)
            else:
                # HEAD is answered as GET, of which the server then sends the headers alone.
                method = "GET" if scope["method"] == "HEAD" else scope["method"]
                await self._app({**scope, "method": method}, receive, noted)
        except Exception as error:
            line = self._report(error)
            if not status:
                await answer_error(noted, 500, line)
        self._metrics.count_request(scope["path"], status or 500)
        if status == 200 and scope["path"] == "/predict":
            self._metrics.observe("request_seconds", time.perf_counter() - started)

    def _problem(self, scope: Scope) -> str | None:
        """Return why a request is not answered."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._is_known(host):
            return f"Host: found {printable(host[:100])!r}, expected an IP address or a name given by --allow-host"
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and origin.partition("://")[2].lower() != host.lower():
            return f"Origin: found {printable(origin[:100])!r}; other sites may not use this server"
        return None

    def _is_known(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
            if name not in self._hosts:
                ipaddress.ip_address(name)
        except ValueError:  # no host, or neither a known name nor an address
            return False
        return True


def check_name(name: str) -> None:
    """Check that a request can name the server so.

    Raises:
        InputError: It is not a bare name.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"--allow-host {name}: expected a name such as example.org, without http://, port or path")


async def answer_error(send: Send, status: int, problem: str) -> None:
    """Send an answer that says what is wrong."""
    body = json.dumps({"error": problem, "errors": [problem]}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

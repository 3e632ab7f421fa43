"""What a server refuses, and how it says so."""

from __future__ import annotations

from dataclasses import dataclass

RETRY_SECONDS = 1
"""What `Retry-After` says."""


@dataclass(frozen=True)
class Limits:
    """Limits of a server; each worker process has its own queue.

    Attributes:
        max_bytes: The largest body of a request.
        max_pixels: The largest image, checked before its pixels are decoded.
        max_inputs: The most inputs of a request.
        queue: The most requests that are read, waiting or computed at a time.
        queue_bytes: The most bytes of their bodies.
        seconds: The time for a request, and for reading its body.
        batch: The most inputs that the network computes at a time, unless one request has more.
    """

    max_bytes: int = 16 * 2**20
    max_pixels: int = 50_000_000
    max_inputs: int = 256
    queue: int = 256
    queue_bytes: int = 256 * 2**20
    seconds: float = 30.0
    batch: int = 64


class Refusal(Exception):
    """A request that is answered with an error.

    Attributes:
        status: The HTTP status code.
        problems: One sentence per problem.
    """

    def __init__(self, status: int, *problems: str) -> None:
        super().__init__(*problems)
        self.status = status
        self.problems = problems

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer: when to try again, if the server is busy."""
        return {"Retry-After": str(RETRY_SECONDS)} if self.status == 503 else {}

"""The routes: a page, predictions, and what is known of the network and the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache, cached_property, partial
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect

from nnclassify.errors import NNClassifyError, one_line, printable
from nnclassify.files.python_source import described
from nnclassify.files.version import __version__
from nnclassify.inference.classifier import Classifier, predictions_of
from nnclassify.inference.predict import Caution, Prediction
from nnclassify.serve.batching import Batcher
from nnclassify.serve.facts import (
    ErrorFacts,
    HealthFacts,
    MapFacts,
    ModelFacts,
    PredictFacts,
    decision_map,
    model_facts,
    request_schema,
)
from nnclassify.serve.limits import Limits, Refusal
from nnclassify.serve.metrics import Metrics
from nnclassify.serve.reading import RequestReader

MAX_PROBLEM, MAX_PROBLEMS = 500, 20
"""Characters of a problem, and problems, in an answer."""
MAX_ENCODING = 100
"""Characters of a header in a problem."""
ASSETS = {"page.css": "text/css", "page.js": "text/javascript", "docs.js": "text/javascript"}
REFUSALS = {
    400: "The body is damaged.",
    403: "Another site sends the request, or it calls the server by an unknown name.",
    408: "The body arrived too slowly.",
    413: "The body, or the number of inputs, is over a limit.",
    415: "The body is neither a form with files nor JSON, or is compressed.",
    422: "An input cannot be read, or does not fit the network.",
    500: "The network failed.",
    503: "The server is busy: try again after the seconds in `Retry-After`.",
}


@dataclass(frozen=True)
class Service:
    """A network that answers requests.

    Attributes:
        classifier: The network.
        caution: How cautious its predictions are.
        limits: What is refused.
        metrics: The counters.
        top_k: The number of classes in an answer, most probable first.
    """

    classifier: Classifier
    caution: Caution
    limits: Limits
    metrics: Metrics
    top_k: int

    @cached_property
    def facts(self) -> ModelFacts:
        """What is known of the network."""
        return model_facts(self.classifier, self.caution, self.limits)

    @cached_property
    def map(self) -> MapFacts:
        """The decision map of two features."""
        return decision_map(self.classifier)

    @cached_property
    def batcher(self) -> Batcher:
        """What computes the predictions."""
        compute = partial(predictions_of, self.classifier, top_k=self.top_k, caution=self.caution)
        return Batcher(lambda inputs: list(compute(inputs)), self.limits.batch, self.metrics)

    @cached_property
    def _reader(self) -> RequestReader:
        return RequestReader(self.classifier, self.limits)

    async def predict(self, content_type: str, body: bytes) -> bytes:
        """Return the answer to a request as JSON.

        Raises:
            Refusal: The inputs cannot be read or computed.
        """
        notes: list[str] = []
        try:
            found = await self.batcher.answer(partial(self._reader.read, content_type, body, notes.append))
        except NNClassifyError as error:
            raise Refusal(422, *error.lines) from error
        except Exception as error:
            if (raised := described(error)) is not None:  # in the forward pass of a user's own network
                raise Refusal(500, raised) from error
            raise
        if problems := [each.error for each in found if each.error is not None]:
            raise Refusal(422, *problems)
        self._count(found)
        return json.dumps({"predictions": [each.figures() for each in found], "notes": notes}).encode()

    def _count(self, found: Sequence[Prediction]) -> None:
        for each in found:
            for label in each.predicted:
                self.metrics.add("predictions_total", label)
            if each.unsure:
                self.metrics.add("unsure_total")
            if each.unlike:
                self.metrics.add("unlike_total")


class _Room:
    """Room for the requests that are read, waiting or computed at a time, and for their bodies."""

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._limits = limits
        self._metrics = metrics
        self._requests = 0
        self._bytes = 0

    def take(self, size: int) -> None:
        """Take room for a request whose body has at most this size.

        Raises:
            Refusal: There is none.
        """
        if self._requests >= self._limits.queue or self._bytes + size > self._limits.queue_bytes:
            raise Refusal(503, f"busy with {self._requests} requests; try again later")
        self._requests += 1
        self._bytes += size
        self._metrics.add("requests_in_progress")

    def free(self, size: int) -> None:
        """Free the room of a request."""
        self._requests -= 1
        self._bytes -= size
        self._metrics.add("requests_in_progress", amount=-1)


def build_app(service: Service) -> FastAPI:
    """Return the application, without the guard in front of it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with service.batcher.running():
            yield

    app = FastAPI(
        title=f"nnclassify serve: {service.facts.run}",
        version=__version__,
        description="Predictions of one trained network. Errors have one sentence per problem.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(StarletteHTTPException, _not_found)
    _add_predict(app, service)
    _add_facts(app, service)
    _add_pages(app)
    return app


def _add_predict(app: FastAPI, service: Service) -> None:
    limits, room = service.limits, _Room(service.limits, service.metrics)
    errors: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorFacts, "description": text} for status, text in REFUSALS.items()
    }

    @app.post(
        "/predict",
        responses={200: {"model": PredictFacts, "description": "The predictions."}, **errors},
        openapi_extra={"requestBody": request_schema(service.facts)},
        summary="Predict the classes of inputs",
    )
    async def predict(request: Request) -> Response:
        """Send files as a form (`curl -F file=@7.png URL/predict`), or values as JSON.

        The predictions are those of `nnclassify predict`; probabilities may differ in the sixth digit, because inputs
        are computed together with others.
        """
        encoding = request.headers.get("content-encoding", "identity")
        if encoding.lower() != "identity":
            found = printable(encoding[:MAX_ENCODING])
            raise Refusal(415, f"Content-Encoding: found {found!r}, expected none; send the body uncompressed")
        size = _announced_size(request, limits)
        room.take(size)
        try:
            async with asyncio.timeout(limits.seconds):
                body = await _body(request, limits)
                answer = await service.predict(request.headers.get("content-type", ""), body)
        except TimeoutError as cause:
            raise Refusal(503, f"not computed within {limits.seconds:g} seconds; try again later") from cause
        finally:
            room.free(size)
        return Response(answer, media_type="application/json")


def _announced_size(request: Request, limits: Limits) -> int:
    """Return how many bytes a body can have: what its header says, or the most that is allowed."""
    text = request.headers.get("content-length", "")
    size = int(text) if text.isascii() and text.isdigit() else limits.max_bytes
    if size > limits.max_bytes:
        raise _too_large(limits)
    return size


def _too_large(limits: Limits) -> Refusal:
    return Refusal(413, f"body: over the limit of {limits.max_bytes} bytes; send smaller or fewer files")


async def _body(request: Request, limits: Limits) -> bytes:
    """Return the body; refuse one that is too large, or comes too slowly."""
    parts, size = [], 0
    try:
        async with asyncio.timeout(limits.seconds / 2):
            async for part in request.stream():
                size += len(part)
                if size > limits.max_bytes:
                    raise _too_large(limits)
                parts.append(part)
    except TimeoutError as cause:
        problem = f"body: {size} bytes within {limits.seconds / 2:g} seconds; expected all of it"
        raise Refusal(408, problem) from cause
    except ClientDisconnect as cause:  # nobody reads the answer, but the counters have it
        raise Refusal(400, f"body: the client closed the connection after {size} bytes") from cause
    return b"".join(parts)


def _add_facts(app: FastAPI, service: Service) -> None:
    @app.get("/model", summary="The network and what it takes")
    async def model() -> ModelFacts:
        return service.facts

    @app.get("/health", summary="Whether the server answers")
    async def health() -> HealthFacts:
        return HealthFacts(status="ok")

    @app.get("/metrics", summary="Counters for Prometheus", response_class=PlainTextResponse)
    async def metrics() -> PlainTextResponse:
        return PlainTextResponse(service.metrics.text(), media_type="text/plain; version=0.0.4")

    if service.facts.input.has_map:

        @app.get("/map", summary="The decisions in the plane of two features")
        async def decisions() -> MapFacts:
            """Return the predicted class and its probability on a grid."""
            return await asyncio.to_thread(lambda: service.map)


def _add_pages(app: FastAPI) -> None:
    for path, name in (("/", "page.html"), ("/docs", "docs.html")):
        app.add_api_route(path, partial(_page, name), response_class=HTMLResponse, include_in_schema=False)

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> Response:
        if name not in ASSETS:
            raise HTTPException(404)
        return Response(_asset(name), media_type=ASSETS[name])


async def _page(name: str) -> HTMLResponse:
    return HTMLResponse(_asset(name))


@cache
def _asset(name: str) -> bytes:
    """Return a file of the page, which is part of the package; the styles begin with those of the report."""
    content = (files(__package__) / "static" / name).read_bytes()
    if name.endswith(".css"):
        content = (files("nnclassify") / "inference" / "report" / "report.css").read_bytes() + content
    return content


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return _error(error.status, error.problems, error.headers)


async def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    problem = f"{request.method} {one_line(request.url.path, 100)}: {error.detail}; see /docs"
    return _error(error.status_code, [problem], dict(error.headers or {}))


def _error(status: int, problems: Sequence[str], headers: dict[str, str]) -> JSONResponse:
    shown = [problem[:MAX_PROBLEM] for problem in problems[:MAX_PROBLEMS]]
    return JSONResponse({"error": shown[0], "errors": shown}, status, headers)

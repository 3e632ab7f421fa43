"""The command `serve`: a web page and an HTTP API for a trained network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from nnclassify.cli.options import (
    INCAUTIOUS,
    NEWEST_RUN,
    CautionOptions,
    ChosenRun,
    DeviceOption,
    JsonOption,
    TrustOption,
    load_noted,
    takes_options,
)
from nnclassify.cli.printing import note, print_json
from nnclassify.errors import InputError, counted, printable
from nnclassify.process import use_threads

if TYPE_CHECKING:
    from nnclassify.inference.classifier import Classifier
    from nnclassify.serve.limits import Limits

LOCAL = ("127.0.0.1", "localhost", "::1")
PortOption = Annotated[
    int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="The port; 0 for any free one.")
]
HostOption = Annotated[
    str, typer.Option("--host", metavar="ADDRESS", help="The address to listen on; 0.0.0.0 for all addresses.")
]
AllowHostOption = Annotated[
    list[str] | None,
    typer.Option("--allow-host", metavar="NAME", help="A name by which clients may call the server. Repeatable."),
]
WorkersOption = Annotated[
    int,
    typer.Option("--workers", metavar="N", min=1, max=256, help="Number of processes. They share the weights."),
]
TopKOption = Annotated[
    int, typer.Option("--top-k", metavar="K", min=1, help="Number of classes in an answer, most probable first.")
]


@dataclass(frozen=True)
class LimitOptions:
    """What the server takes at most."""

    max_mb: Annotated[float, typer.Option("--max-mb", metavar="MB", min=0.001, max=1024, help="Largest request.")] = 16
    max_megapixels: Annotated[
        float,
        typer.Option("--max-megapixels", metavar="N", min=0.001, max=89, help="Largest image, before it is resized."),
    ] = 50
    max_inputs: Annotated[
        int, typer.Option("--max-inputs", metavar="N", min=1, max=100_000, help="Most inputs in one request.")
    ] = 256
    queue: Annotated[
        int,
        typer.Option(
            "--queue", metavar="N", min=1, max=100_000, help="Most requests in progress per process; others get a 503."
        ),
    ] = 256
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, max=3600, help="Time for one request.")
    ] = 30

    def limits(self) -> Limits:
        """Return the limits in bytes, pixels and seconds."""
        from nnclassify.serve.limits import Limits

        max_bytes = int(self.max_mb * 1e6)
        return Limits(
            max_bytes=max_bytes,
            max_pixels=int(self.max_megapixels * 1e6),
            max_inputs=self.max_inputs,
            queue=self.queue,
            queue_bytes=max(Limits.queue_bytes, max_bytes),
            seconds=self.timeout,
        )


LIMITS = LimitOptions()


@takes_options
def serve(
    run: ChosenRun = NEWEST_RUN,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    allow_host: AllowHostOption = None,
    workers: WorkersOption = 1,
    top_k: TopKOption = 10,
    cautious: CautionOptions = INCAUTIOUS,
    limits: LimitOptions = LIMITS,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Serve a trained classifier: a web page and an HTTP API.

    The API is described at /docs. Predictions are those of `predict`. Ctrl-C or SIGTERM stops the server when the
    requests in progress are finished.
    """
    _check_extra()
    from nnclassify.cli.bug_report import report
    from nnclassify.serve.command import Settings, check_workers, run_server
    from nnclassify.serve.guard import check_name
    from nnclassify.serve.workers import listening_socket, url_of

    for name in allow_host or ():
        check_name(name)
    classifier = _classifier(run, device)
    check_workers(classifier, workers)
    settings = Settings(workers, [host, *(allow_host or ())], top_k, cautious.of(classifier), limits.limits())
    with listening_socket(host, port) as listener:

        def ready() -> None:
            """Say where the server is, once it can be reached."""
            _say_where(url_of(listener), classifier, workers, as_json=as_json)
            if host not in LOCAL:
                note(f"warning: --host {host}: everybody who can reach this address can use the server")

        run_server(classifier, settings, listener, ready, note, lambda error: _reported(report(error)))


def _check_extra() -> None:
    """Check that what the server needs is installed."""
    try:
        import fastapi  # noqa: F401 - the server imports it where it is used
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as cause:
        raise InputError(f"serve: {cause.name} is not installed; run: pip install 'nnclassify[serve]'") from cause


def _classifier(run: ChosenRun, device: str) -> Classifier:
    use_threads(1)  # before workers are forked: a child cannot use its parent's threads
    path, changes = run.found()
    return load_noted(path, device, changes, to_predict=True)


def _say_where(url: str, classifier: Classifier, workers: int, *, as_json: bool) -> None:
    """Print where the server is, at once, even into a pipe."""
    if as_json:
        print_json({"url": url, "run": str(classifier.path), "workers": workers}, "serve")
        return
    processes = f" in {counted(workers, 'process')}" if workers > 1 else ""
    print(f"serving {printable(str(classifier.path))} at {url}{processes}; Ctrl-C stops it", flush=True)


def _reported(line: str) -> str:
    note(f"error: {line}")
    return line

"""The command `serve`: a web page and an HTTP API for a trained network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nnclassify.cli.options import DeviceOption, JsonOption, RunArgument, RunOption, RunWords, SetOption, TrustOption
from nnclassify.cli.predict import MinConfidenceOption, RiskOption, SetsOption
from nnclassify.cli.printing import note, print_json
from nnclassify.cli.use import find_run, load_noted
from nnclassify.errors import InputError, counted, printable

if TYPE_CHECKING:
    from nnclassify.inference.classifier import Classifier

LOCAL = ("127.0.0.1", "localhost", "::1")
PortOption = Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 for any free one.")]
HostOption = Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all addresses.")]
AllowHostOption = Annotated[
    list[str] | None,
    typer.Option("--allow-host", metavar="NAME", help="A name by which clients may call the server. Repeatable."),
]
WorkersOption = Annotated[int, typer.Option(min=1, max=256, help="Number of processes. They share the weights.")]
TopKOption = Annotated[int, typer.Option(min=1, help="Number of classes in an answer, most probable first.")]
MaxMbOption = Annotated[float, typer.Option("--max-mb", min=0.001, max=1024, help="Largest request in megabytes.")]
MaxPixelsOption = Annotated[
    float, typer.Option("--max-megapixels", min=0.001, max=89, help="Largest image, before it is resized.")
]
MaxInputsOption = Annotated[int, typer.Option("--max-inputs", min=1, max=100_000, help="Most inputs in one request.")]
QueueOption = Annotated[
    int, typer.Option(min=1, max=100_000, help="Most requests in progress per process; others are answered 503.")
]
TimeoutOption = Annotated[float, typer.Option(min=0.1, max=3600, help="Time for one request in seconds.")]


def serve(
    run: RunArgument = None,
    words: RunWords = None,
    overrides: SetOption = None,
    run_option: RunOption = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    allow_host: AllowHostOption = None,
    workers: WorkersOption = 1,
    top_k: TopKOption = 10,
    min_confidence: MinConfidenceOption = None,
    risk: RiskOption = None,
    sets: SetsOption = None,
    max_mb: MaxMbOption = 16,
    max_megapixels: MaxPixelsOption = 50,
    max_inputs: MaxInputsOption = 256,
    queue: QueueOption = 256,
    timeout: TimeoutOption = 30,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Serve a trained classifier: a web page, and an HTTP API described at /docs.

    Predictions are those of `predict`. Ctrl-C or SIGTERM stops the server when the requests in progress are finished.
    """
    _check_extra()
    from nnclassify.cli.bug_report import report
    from nnclassify.serve.command import Settings, check_workers, run_server
    from nnclassify.serve.limits import Limits
    from nnclassify.serve.workers import listening_socket, url_of

    classifier = _classifier(run, words, run_option, overrides, device)
    check_workers(classifier, workers)
    limits = Limits(
        max_bytes=int(max_mb * 1e6),
        max_pixels=int(max_megapixels * 1e6),
        max_inputs=max_inputs,
        queue=queue,
        queue_bytes=max(Limits.queue_bytes, int(max_mb * 1e6)),
        seconds=timeout,
    )
    caution = classifier.caution(min_confidence, risk, sets)
    settings = Settings(workers, [host, *(allow_host or ())], top_k, caution, limits)
    with listening_socket(host, port) as listener:
        _say_where(url_of(listener), classifier, workers, as_json=as_json)
        if host not in LOCAL:
            note(f"warning: --host {host}: everybody who can reach this address can use the server")
        run_server(classifier, settings, listener, note, lambda error: _reported(report(error)))


def _check_extra() -> None:
    """Check that what the server needs is installed.

    Raises:
        InputError: It is not.
    """
    try:
        import fastapi  # noqa: F401 - the server imports it where it is used
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as cause:
        raise InputError(f"serve: needs {cause.name}; install it: pip install 'nnclassify[serve]'") from cause


def _classifier(
    run: str | None, words: list[str] | None, run_option: str | None, overrides: list[str] | None, device: str
) -> Classifier:
    import torch

    from nnclassify.cli.overrides import run_and_overrides
    from nnclassify.inference.predict import CSV_KEYS

    torch.set_num_threads(1)  # before workers are forked: a child cannot use its parent's threads
    run, changes = run_and_overrides(run, words, run_option, overrides)
    return load_noted(find_run(run), device).overridden(changes, allowed=["evaluation", *CSV_KEYS])


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

"""Files of pretrained weights: read safely, and compared with a network before they are loaded."""

from __future__ import annotations

import contextlib
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnclassify.errors import ModelError, one_line, some
from nnclassify.files.lock import waiting_lock
from nnclassify.files.pt_check import check_archive

if TYPE_CHECKING:
    from torch import Tensor, dtype, nn

WEIGHT_FILES = (".pt", ".pth", ".safetensors")
"""Extensions of files of weights."""
HASH = re.compile(r"-([0-9a-f]{8,})\.")
"""The beginning of a file's SHA-256 in its name."""
NESTED = ("state_dict", "model")
"""Keys of a state dict within a larger dict; `model` is also the key in our own checkpoints."""


def downloaded(url: str, name: str, what: str) -> Path:
    """Return the path of a file in the cache of torch.hub; download it if it is missing.

    Of several processes that need the same file, one downloads it and the others wait.

    Args:
        url: The address to download from.
        name: The file's name in the cache, which may contain the beginning of its SHA-256.
        what: A description of the file for messages.

    Raises:
        ModelError: It cannot be downloaded; nothing is left behind.
    """
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / name
    if path.is_file():
        return path
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        digest = HASH.search(name)
        with waiting_lock(folder / f"{name}.lock"):
            if not path.is_file():
                torch.hub.download_url_to_file(url, str(path), digest[1] if digest else None, progress=False)
    except Exception as cause:  # a download fails in as many ways as there are networks
        for place in made:
            with contextlib.suppress(OSError):
                place.rmdir()
        raise ModelError(
            f"model.weights: {what} could not be downloaded ({one_line(cause)}); download {url} elsewhere and save it "
            f"as {path}, or set model.weights to the file",
            ("model", "weights"),
        ) from cause
    return path


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict; no code of the file runs.

    Raises:
        ModelError: The file is damaged, or does not contain a state dict.
    """
    import torch

    where = ("model", "weights")
    try:
        found = _read_safetensors(path) if path.suffix.lower() == ".safetensors" else _read_torch(path)
    except ImportError as cause:
        text = f"model.weights: {path}: safetensors is not installed; run: pip install 'nnclassify[timm]'"
        raise ModelError(text, where) from cause
    except Exception as cause:  # a damaged file fails in as many ways as it has bytes
        raise ModelError(f"model.weights: {path}: cannot be read ({one_line(cause)})", where) from cause
    nested = [found[key] for key in NESTED if isinstance(found, dict) and isinstance(found.get(key), dict)]
    weights = nested[0] if nested else found
    entries = weights.items() if isinstance(weights, dict) else ()
    if not entries or not all(isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in entries):
        raise ModelError(f"model.weights: {path}: not a state dict; expected tensors by name", where)
    return dict(weights)


def _read_safetensors(path: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(path)


def _read_torch(path: Path) -> Any:
    """Read what `torch.save` wrote. The format before torch 1.6 is not a zip file; torch itself checks it."""
    import torch

    if zipfile.is_zipfile(path):
        check_archive(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def load_fitting(network: nn.Module, weights: dict[str, Tensor], head: Sequence[str], origin: str) -> None:
    """Load weights into a network, apart from its head.

    Args:
        network: The network.
        weights: State dict of the same architecture; entries of its head and of auxiliary classifiers are ignored.
        head: Names of the modules that keep their weights.
        origin: The source of the weights, for messages.

    Raises:
        ModelError: Weights are missing, unexpected, of another shape, or not finite; the message names them.
    """
    apart = tuple(f"{name}." for name in (*head, "aux", "aux1", "aux2", "AuxLogits"))
    own = {name: value for name, value in network.state_dict().items() if not name.startswith(apart)}
    weights = _without_prefix(weights, own)
    given = {name: value for name, value in weights.items() if not name.startswith(apart)}
    uncounted = "num_batches_tracked"  # files written before torch 0.4.1 have none
    missing = [name for name in own if name not in given and not name.endswith(uncounted)]
    unexpected = [name for name in given if name not in own]
    misshapen = [
        f"{name} {tuple(given[name].shape)} instead of {tuple(value.shape)}"
        for name, value in own.items()
        if name in given and given[name].shape != value.shape
    ]
    unusable = [name for name, value in own.items() if name in given and not _is_usable(given[name], value.dtype)]
    faults = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    faults["not finite numbers of the same kind"] = unusable
    if any(faults.values()):
        found = "; ".join(f"{kind}: {some(names)}" for kind, names in faults.items() if names)
        raise ModelError(f"{origin} does not fit the architecture: {found}", ("model", "weights"))
    network.load_state_dict(given, strict=False)


def _is_usable(value: Tensor, own: dtype) -> bool:
    """Return whether values are finite in the type of the network's own, which are counts or real numbers."""
    if value.is_sparse or value.is_meta or value.dtype.is_floating_point != own.is_floating_point:
        return False
    return not value.is_complex() and bool(value.to(own).isfinite().all())


def _without_prefix(weights: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights without a prefix that all their names have, such as `module.`, if the network has none."""
    words = {name.partition(".")[0] for name in weights}
    if len(words) != 1 or any(name in weights for name in own):
        return weights
    return {name.partition(".")[2]: value for name, value in weights.items()}

"""Fixtures that several modules use. One thread: so that results do not depend on the machine's cores.

Nothing heavy is imported here: pytest's own process, which hands the tests to others, loads this file and runs none.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import importlib
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"

import pytest
from programs import nnclassify_in

if TYPE_CHECKING:
    from browser import Browser

gc.disable()  # until all tests are collected: what is imported until then is kept
os.fsync = lambda fd: None  # no test cuts the power, and a disk takes milliseconds each time

CAPABILITY_VERSION, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 0x20080522, 1 << 1, 1 << 2
"""From `linux/capability.h`."""
ROOT = Path(__file__).parent.parent
RELIABILITY = ROOT / "tests" / "reliability"
_NUMBERS = itertools.count()
USER_CODE = """
import math
from torch import nn


class Net(nn.Module):
    def __init__(self, input_shape, num_classes, width=8):
        super().__init__()
        self.hidden = nn.Linear(math.prod(input_shape), width)
        self.norm = nn.BatchNorm1d(width)
        self.last = nn.Linear(width, num_classes)

    def forward(self, inputs):
        return self.last(self.norm(self.hidden(inputs.flatten(1))).relu())


def smooth(outputs, targets, amount=0.1):
    return nn.functional.cross_entropy(outputs, targets, reduction="none", label_smoothing=amount)
"""
"""What a user may write for `model: python` and `loss: python`."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The one option of our own."""
    parser.addoption(
        "--scale", type=float, default=0.05, help="of the full counts of tests/reliability: 1 is all of them"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out, unless it is named, what takes long and is not asked for.

    `tests/reliability` takes minutes, on Linux, in processes of its own; modules whose tests are all slow import much.
    """
    if any(collection_path.name in argument for argument in config.args):
        return None
    is_unasked = config.option.markexpr == "not slow" and _is_slow(collection_path)
    return True if collection_path == RELIABILITY or is_unasked else None


def _is_slow(path: Path) -> bool:
    lines = path.read_text(encoding="utf-8").splitlines() if path.suffix == ".py" else []
    return any(line.startswith("pytestmark") and "mark.slow" in line for line in lines)


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Prepare hypothesis before much is imported."""
    _prepare_hypothesis(25 if collector.config.option.markexpr == "not slow" else 100)


@functools.cache
def _prepare_hypothesis(num_examples: int) -> None:
    """Let hypothesis run first: it asks the collector who keeps an object of its own, which takes long among many.

    Once that object's keeper is frozen with all others, as below, nobody seems to keep it: from Python 3.14 on, which
    tracks each dict from the start, hypothesis then warns.

    Its deadline is by the clock on the wall, which other programs on the machine use up too. Among the unit tests, its
    tests draw 25 examples each; with `pytest -m "slow or hypothesis"` 100.
    """
    hypothesis = importlib.import_module("hypothesis")
    hypothesis.settings.register_profile("shared_machine", deadline=None, max_examples=num_examples)
    hypothesis.settings.load_profile("shared_machine")
    hypothesis.given(hypothesis.strategies.none())(lambda nothing: None)()


def pytest_collection_finish() -> None:
    """Look for garbage among what tests make, not again and again in the libraries and the thousands of tests.

    And as rarely as the command line does (`nnclassify/process.py`): torch and matplotlib allocate much and keep it.
    """
    gc.freeze()
    gc.set_threshold(50_000)
    gc.enable()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the test stands in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def trusted() -> Iterator[None]:
    """User code may run."""
    from nnclassify.files.python_source import trusting

    with trusting(True):
        yield


@pytest.fixture
def as_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that the test stands in as a user to whom a folder can be closed: nothing is closed to root.

    As another user, root could not read its own Python where that lies in a folder closed to others. So it stays root,
    and gives up the capabilities to override modes (`capabilities(7)`) while the test runs.
    """
    monkeypatch.chdir(tmp_path)
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not hasattr(ctypes.CDLL(None), "capset"):
        yield tmp_path
        return
    libc, header = ctypes.CDLL(None, use_errno=True), (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable: the first 32 capabilities, then the others
    assert libc.capget(header, sets) == 0
    all_of_them = sets[0]
    sets[0] &= ~(CAP_DAC_OVERRIDE | CAP_DAC_READ_SEARCH)
    assert libc.capset(header, sets) == 0
    yield tmp_path
    sets[0] = all_of_them
    assert libc.capset(header, sets) == 0


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one tiny, learnable dataset of each kind that is read from files, and a user's own code.

    table.csv; pictures/<class>/*.png; inputs.npy and targets.npy (images `(48, 3, 16, 16)`).
    In all of them class 1 is the brighter one. user.py has a network, `Net`, and a loss, `smooth`.
    """
    import numpy as np
    from PIL import Image

    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    targets = np.arange(48) % 2
    bright = 60 + 120 * targets
    names = ["dark", "light"]
    shades = bright + rng.integers(0, 20, size=48)
    rows = [
        f"{shade},{index % 7},{names[label]}" for index, (shade, label) in enumerate(zip(shades, targets, strict=True))
    ]
    (folder / "table.csv").write_text("\n".join(["shade,noise,label", *rows, ""]))
    noise = rng.integers(0, 40, size=(48, 16, 16, 3))
    pixels = (bright[:, None, None, None] + noise).astype(np.uint8)
    for index, (picture, label) in enumerate(zip(pixels, targets, strict=True)):
        place = folder / "pictures" / names[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"{index:02}.png")
    np.save(folder / "inputs.npy", pixels.transpose(0, 3, 1, 2))
    np.save(folder / "targets.npy", targets)
    (folder / "user.py").write_text(USER_CODE)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the module's programs run."""
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def nnclassify(place: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`nnclassify(*arguments)`: the finished process with its exit code, stdout and stderr."""
    return functools.partial(nnclassify_in, place)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium, started once for a module."""
    from browser import started

    yield from started(tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="session", autouse=True)
def _data_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for user data of everything that tests start: no test writes into that of whoever runs the tests."""
    os.environ["XDG_DATA_HOME"] = str(tmp_path_factory.mktemp("data"))
    return Path(os.environ["XDG_DATA_HOME"])


@pytest.fixture(autouse=True)
def _own_data_home(_data_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees what another one has looked at."""
    monkeypatch.setenv("XDG_DATA_HOME", str(_data_home / str(next(_NUMBERS))))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """No test leaves more threads to later ones: on a busy machine they spend their time waiting for each other."""
    yield
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)

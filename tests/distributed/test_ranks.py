import contextlib
import copy
import hashlib
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import config_of, loaded
from torch import distributed as dist
from torch import nn

from nnclassify.device import Placement
from nnclassify.distributed.batch_norm import SharedBatchNorm, share_batch_norm
from nnclassify.distributed.gradients import SharedBatch
from nnclassify.distributed.ranks import Ranks, join, launcher, name_of_start, process_group
from nnclassify.errors import (
    DataError,
    InputError,
    Interrupted,
    ModelError,
    NNClassifyError,
    OtherProcessError,
    TrainingError,
)
from nnclassify.losses import CrossEntropy
from nnclassify.runs.folder import begun_by, create_run_folder
from nnclassify.training.gradients import loss_and_gradients


@pytest.mark.parametrize("size", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 5, 8, 17])
def test_shares_are_all_examples_once(count: int, size: int) -> None:
    shares = [range(count)[Ranks(rank, size).shard(count)] for rank in range(size)]
    assert [row for share in shares for row in share] == list(range(count))
    assert max(map(len, shares)) == len(shares[0]) <= min(map(len, shares)) + 1


@pytest.mark.parametrize("num_examples", [7, 2, 1])
def test_gradients_of_shares_add_up_to_those_of_the_batch(num_examples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weighted classes, a batch that does not split evenly, and fewer examples than processes."""
    torch.manual_seed(0)
    size, model = 3, torch.nn.Linear(4, 2).double()
    loss_fn = CrossEntropy(class_weights=[1.0, 3.0]).build([1, 1])
    inputs, targets = torch.randn(num_examples, 4, dtype=torch.float64), torch.arange(num_examples) % 2
    told: list[list[torch.Tensor]] = []

    def tell(self: Ranks, parts: list[torch.Tensor]) -> list[torch.Tensor]:
        told.append(parts)
        return [torch.stack(same).sum(0) for same in zip(*told, strict=True)]

    monkeypatch.setattr(Ranks, "all_reduce", tell)
    placement = Placement(torch.device("cpu"), torch.float64)
    parameters = list(model.parameters())
    compute = partial(loss_and_gradients, model, loss_fn, placement, parameters)
    for rank in range(size):
        batch = SharedBatch(model, loss_fn, torch.float64, Ranks(rank, size))
        of_part = partial(compute, objective=lambda losses, _: losses.sum())
        found = batch.run(of_part, inputs, targets, stop_requested=rank == 1)
    weighted = loss_fn(model(inputs), targets)
    expected = torch.autograd.grad(weighted.sum() / torch.tensor([1.0, 3.0])[targets].sum(), parameters)
    assert all(torch.allclose(a, b) for a, b in zip(found.gradients, expected, strict=True))
    assert torch.allclose(found.losses, weighted.detach()) and found.stop_requested


@pytest.mark.parametrize("options", [{}, {"momentum": None}, {"track_running_stats": False}, {"affine": False}])
@pytest.mark.parametrize(
    ("kind", "shape"), [(nn.BatchNorm1d, (6, 3)), (nn.BatchNorm2d, (6, 3, 2, 2)), (nn.BatchNorm3d, (6, 3, 2, 2, 2))]
)
def test_shared_batch_norm_is_torchs_where_one_holds_the_whole_batch(
    kind: type[nn.Module], shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    torch.manual_seed(0)
    plain = kind(3, **options)
    model = torch.nn.Sequential(copy.deepcopy(plain).double())
    (shared,) = share_batch_norm(model)
    plain, inputs = plain.double(), torch.randn(shape, dtype=torch.float64, requires_grad=True)
    wanted, found = plain(inputs), model(inputs)
    assert isinstance(model[0], SharedBatchNorm) and model[0] is shared
    assert torch.allclose(found, wanted, rtol=0, atol=1e-12)
    scale = torch.randn(shape, dtype=torch.float64)
    gradients = [torch.autograd.grad((outputs * scale).sum(), inputs)[0] for outputs in (wanted, found)]
    assert torch.allclose(gradients[0], gradients[1], rtol=0, atol=1e-12)
    for name, buffer in plain.named_buffers():
        assert torch.allclose(shared.get_buffer(name), buffer, rtol=0, atol=1e-12)
    assert torch.allclose(model.eval()(inputs), plain.eval()(inputs), rtol=0, atol=1e-12)


class _Clipped(nn.BatchNorm1d):
    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's own name
        return super().forward(input).clamp(-1, 1)


def test_a_batch_norm_with_its_own_forward_is_not_replaced() -> None:
    with pytest.raises(ModelError, match=r"^model: _Clipped 0 has its own forward, .*; train in one process"):
        share_batch_norm(nn.Sequential(_Clipped(3)))


def test_a_launcher_that_is_gone_is_noticed_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr("nnclassify.distributed.ranks.LAUNCHER_SECONDS", 0.2)
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "TORCHELASTIC_USE_AGENT_STORE": "True"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(port))
    with pytest.raises(TrainingError, match=r"another process of this run has ended .*; continue with --resume"):
        join()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("WORLD_SIZE", "two", "WORLD_SIZE: found 'two', expected a whole number"),
        ("RANK", "-1", "RANK: found '-1', expected a whole number"),
        ("RANK", "2", "RANK: found 2, expected less than WORLD_SIZE, 2"),
        ("RANK", "", "RANK: not set, but WORLD_SIZE is 2"),
        ("MASTER_ADDR", "", "MASTER_ADDR: not set"),
        ("MASTER_PORT", "http", "MASTER_PORT: found 'http', expected a whole number"),
        ("LOCAL_RANK", "\u0662", "LOCAL_RANK: found '\u0662', expected a whole number"),
    ],
)
def test_a_wrong_environment_of_a_launcher_is_named(
    name: str, value: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched = {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for key, text in {**launched, name: value}.items():
        monkeypatch.setenv(key, text)
    with pytest.raises(InputError, match=f"^environment variable {problem}.*; start several processes with torchrun"):
        join()


def test_a_process_tells_the_others_why_it_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes in turn: the second fails where the first asks for values; each sends one message."""
    sent: list[Any] = []

    def gather(messages: list[Any], message: Any) -> None:
        sent.append(message)
        messages[:] = [message, *sent[:1]] if len(sent) > 1 else [([], None), message]

    monkeypatch.setattr(dist, "all_gather_object", gather)
    with pytest.raises(DataError, match=r"^t\.csv: no such file$"), Ranks(1, 2).telling():
        raise DataError("t.csv: no such file")
    with pytest.raises(OtherProcessError, match=r"^t\.csv: no such file \(process 1 on ."), Ranks(0, 2).telling():
        Ranks(0, 2).all_gather_object("a value")
    assert len(sent) == 2


def test_a_restart_meets_the_living_alone_though_the_store_remembers_the_dead() -> None:
    store, words = dist.HashStore(), ["old 0", "old 1"]
    for rank, word in enumerate(words):
        store.set(f"word/{rank}", word)
    store.set(f"{hashlib.sha256(b'old 0old 1').hexdigest()}/0", "")
    with ThreadPoolExecutor() as pool:
        names = set(pool.map(lambda rank: name_of_start(store, rank, 3), range(3)))
    living = b"".join(store.get(f"word/{rank}") for rank in range(3))
    assert names == {hashlib.sha256(living).hexdigest()}
    assert not any(word.encode() in living for word in words)


def test_a_restart_goes_on_with_the_run_of_its_launcher_whatever_the_clock_says(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert join().launchers == frozenset()  # no torchrun
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    mine = join().launchers
    assert mine == join().launchers and len(mine) == 1
    for number, (launchers, year) in enumerate(
        [(["another"], 2040), ([*mine, "of another machine"], 1980), ([], 2050)]
    ):
        folder = create_run_folder("test")
        assert folder.path.name == ("test", "test-2", "test-3")[number]
        folder.config.write_text("dataset: iris\n")
        with folder.locked(launchers):
            assert folder.launchers() == set(launchers)
        seconds = (year - 1970) * 365 * 86400
        os.utime(folder.config, (seconds, seconds))
    found = begun_by(loaded(config_of()).name, mine)
    assert found is not None and found.path.name == "test-2"
    with found.locked():  # resumed without torchrun
        assert begun_by(loaded(config_of()).name, mine) is None
    assert begun_by(loaded(config_of()).name, []) is None


def test_a_launcher_is_known_by_when_it_began_or_if_it_has_restarted_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    boot = Path("/proc/sys/kernel/random/boot_id")
    if boot.exists():
        assert launcher() == f"{boot.read_text().strip()} {os.getppid()} {ticks_of(os.getppid())}"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError))  # no /proc
    assert launcher() is None
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert str(launcher()).endswith(f" {os.getppid()}")


def test_a_launcher_may_have_a_name_that_is_not_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    name = Path("/proc/self/comm")
    if not name.exists():
        pytest.skip("needs /proc")
    before = name.read_bytes()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setattr(os, "getppid", os.getpid)
    try:
        name.write_bytes(b"caf\xe9) (1")
        assert str(launcher()).endswith(f" {os.getpid()} {ticks_of(os.getpid())}")
    finally:
        name.write_bytes(before)


def ticks_of(pid: int) -> str:
    """When a process began, in clock ticks after the start of the machine: field 22, after a name that may have
    spaces."""
    with open(f"/proc/{pid}/stat", encoding="latin-1") as file:  # noqa: PTH123
        return file.read().rsplit(") ", 1)[1].split(" ")[22 - 3]


@pytest.mark.parametrize(("error", "lets_go"), [(None, 1), (Interrupted("stopped", 15), 1), (TrainingError("lost"), 0)])
def test_whoever_comes_to_its_end_lets_go_of_the_others(
    error: Exception | None, lets_go: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[bool] = []
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "destroy_process_group", lambda: left.append(True))

    def assist() -> None:
        with process_group():
            if error is not None:
                raise error

    with contextlib.suppress(NNClassifyError):
        assist()
    assert len(left) == lets_go

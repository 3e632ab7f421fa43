"""Tests that private names of torch are used in one module only, and that training works without them."""

from __future__ import annotations

import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import trainer_of
from conftest import ROOT
from private_names import defined, nodes_of, private_names

from nnclassify.compile import torch_private
from nnclassify.compile.torch_private import MissingName, PrivateName
from nnclassify.errors import DeviceError
from nnclassify.training.trainer import Observer, Trainer


@pytest.mark.slow
def test_only_one_module_uses_private_names_of_torch() -> None:
    modules = {path: nodes_of(path.read_text()) for path in sorted((ROOT / "nnclassify").rglob("*.py"))}
    own = defined(modules.values())
    found = {path.name: names for path, nodes in modules.items() if (names := set(private_names(nodes, own)))}
    assert found.keys() == {"torch_private.py"}, found


@pytest.mark.parametrize(
    "source",
    [
        "import torch._inductor",
        "from torch._C import x",
        "from torch.optim import _muon",
        "import torch\ntorch._foreach_norm([])",
        "import torch.nn as nn\nnn.modules._functions",
        "def f(tensor):\n    return tensor._version",
        "class Net:\n    def f(self):\n        return self._parameters",
        "f(_allow_non_fake_inputs=True)",
        "import torch\ngetattr(torch, '_C')",
        "import_module('torch._dynamo')",
        "vars(method).setdefault('__dynamo_disable', method)",
        "NAME = 'torch._inductor.config'",
        "from torch import nn\nclass Norm(nn.SyncBatchNorm):\n    def _check_input_dim(self): ...",
    ],
)
def test_each_way_to_use_a_private_name_is_found(source: str) -> None:
    nodes = nodes_of(source)
    assert list(private_names(nodes, defined([nodes])))


class Noted(Observer):
    """Keeps what the user is told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def noted(self, trainer: Trainer, text: str) -> None:
        self.texts.append(text)


def trained(**values: Any) -> tuple[dict[str, Any], list[str]]:
    """The weights after two epochs of a net with dropout, batch norm and an average, and what the user was told."""
    model = {"name": "mlp", "hidden": [8], "dropout": 0.5, "batch_norm": True}
    _, trainer = trainer_of(model=model, ema=0.9, **values)
    noted = Noted()
    trainer.observers = [noted]
    trainer.fit()
    assert trainer.averaged is not None
    return trainer.averaged.state_dict(), noted.texts


@pytest.fixture
def compiles_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`compile: auto` compiles even the shortest run, and no step is kept from an earlier one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("nnclassify.training.plan.REPAY", 0.0)
    monkeypatch.setattr("nnclassify.training.plan._has_cpp_compiler", lambda: True)


def hide(name: PrivateName, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have torch lack a private name."""
    owner, _, attribute = name.value.rpartition(".")
    monkeypatch.delattr(pkgutil.resolve_name(owner), attribute)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: False)  # torch's own reads one of the names


@pytest.mark.slow
@pytest.mark.compiled  # so that it runs on every supported release
@pytest.mark.parametrize("names", [*([name] for name in PrivateName), list(PrivateName)])
def test_without_private_names_training_is_eager_and_says_so(
    names: list[PrivateName], compiles_all: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in names:
        hide(name, monkeypatch)
    weights, notes = trained(compile="auto")
    lacks = f"torch {torch.__version__} lacks {names[0].value}"
    assert notes == [f"compile: this step cannot be compiled ({lacks}); all steps run eagerly"]
    expected, none = trained(compile="off")
    assert none == [] and all(torch.equal(weights[key], value) for key, value in expected.items())
    with pytest.raises(DeviceError, match=re.escape(f"({lacks}); set `compile: off`")):
        trained(compile="on")


def test_a_tracer_that_allows_no_constants_is_a_missing_name(monkeypatch: pytest.MonkeyPatch) -> None:
    owner, _, attribute = PrivateName.MAKE_FX.value.rpartition(".")
    monkeypatch.setattr(pkgutil.resolve_name(owner), attribute, lambda function, decompositions, tracing_mode: function)
    with pytest.raises(MissingName, match=r"lacks torch\.fx\.\S+make_fx\(_allow_non_fake_inputs=\)"):
        torch_private.make_fx(torch.sin, [torch.zeros(2)], {})


HIDING = """\
import sys, torch
del torch._C._aoti.AOTIModelContainerRunnerCpu
from nnclassify.cli.main import main
sys.argv = ["nnclassify", "train", *sys.argv[1:]]
main()
"""


@pytest.mark.slow
def test_a_step_that_must_be_compiled_and_cannot_be_is_one_line(here: Path) -> None:
    command = [sys.executable, "-c", HIDING, str(ROOT / "configs/smoke/model_mlp.yaml"), "--set", "compile=on", "--set"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(here)}
    done = subprocess.run([*command, "batch_size=8", "--no-plots"], capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert "lacks torch._C._aoti.AOTIModelContainerRunnerCpu); set `compile: off`" in done.stderr


EAGER = """\
import sys, torch, torchvision
before = set(sys.modules)
from nnclassify.cli.main import main
sys.argv = ["nnclassify", "train", *sys.argv[1:]]
try:
    main()
except SystemExit:
    pass
print([name for name in set(sys.modules) - before if name.startswith("torch") and "._" in name])
"""


@pytest.mark.slow
def test_an_eager_run_imports_no_private_module_of_torch(here: Path) -> None:
    command = [sys.executable, "-c", EAGER, str(ROOT / "configs/smoke/model_mlp.yaml"), "--set", "compile=off"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, "--no-plots"], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr

"""Tests of a user's own network and loss, which run only if allowed, from the file or from the checkpoint."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import config_of, loaded, trainer_of
from conftest import USER_CODE

import nnclassify
from nnclassify.config.run_config import LoadedConfig, load_config
from nnclassify.errors import CheckpointError, ConfigError, ModelError, NNClassifyError, TrustError
from nnclassify.files.python_source import trusting
from nnclassify.inference.classifier import Classifier
from nnclassify.run import train
from nnclassify.runs.checkpoint import content_digest, load_checkpoint
from nnclassify.runs.resumable import resumable
from nnclassify.training.build import build_components
from nnclassify.training.summary import summarize

NET = {"name": "python", "file": "net.py", "class": "Net"}
CONFIG = """
dataset: {name: blobs, num_examples: 60, num_test: 30}
model: {name: python, file: net.py, class: Net, options: {width: 6}}
loss: {name: python, file: net.py, function: smooth}
epochs: 4
batch_size: 16
"""


@pytest.fixture
def net(here: Path) -> Path:
    """net.py and run.yaml in the folder that the test stands in."""
    (here / "run.yaml").write_text(CONFIG)
    (here / "net.py").write_text(USER_CODE)
    return here / "net.py"


def test_it_runs_only_where_that_is_allowed(net: Path) -> None:
    what = r"^model: would run Net of net.py \(SHA-256 [0-9a-f]{12}...\) and smooth of net.py .*; .* with --trust"
    with pytest.raises(TrustError, match=what):
        build_components(load_config("run.yaml").config)
    result = nnclassify.train("run.yaml", trust=True)
    with pytest.raises(TrustError, match=what):
        nnclassify.load("run")
    assert nnclassify.evaluate("run", trust=True).accuracy == result.test.accuracy  # type: ignore[union-attr]
    with pytest.raises(TrustError):  # the permission ended with the call
        nnclassify.check("run.yaml")


def test_the_checkpoint_stands_alone_and_a_changed_file_is_named(net: Path, trusted: None) -> None:
    train(load_config("run.yaml"), with_report=False)
    before = nnclassify.predict("run", [0.1, 0.2]).probabilities
    net.write_text(USER_CODE.replace("relu", "tanh"))
    changed = Classifier.load(Path("checkpoints/run/best.pt"), "cpu")
    assert changed.notes == ("net.py: changed since the run was trained; the checkpoint's own copy is used",)
    net.unlink()
    alone = Classifier.load(Path("checkpoints/run/best.pt"), "auto")
    assert alone.notes == () and torch.equal(alone.predict([0.1, 0.2]).probabilities, before)
    config = load_checkpoint(Path("checkpoints/run/best.pt")).config
    assert config["model"]["source"] == USER_CODE and len(config["model"]["sha256"]) == 64
    assert "source" not in Path("checkpoints/run/config.yaml").read_text()


def test_the_checkpoint_carries_what_the_file_imports_from_its_folder(net: Path, trusted: None) -> None:
    net.write_text("from pkg.layers import WIDER\nimport helper\n" + USER_CODE)
    files = {"helper.py": "from pkg import layers\n", "pkg/__init__.py": "", "other.py": "1 / 0\n"}
    files |= {"pkg/layers.py": "from . import sizes\nWIDER = sizes.TWO\n", "pkg/sizes.py": "TWO = 2\n"}
    (net.parent / "pkg").mkdir()
    for file, source in files.items():
        (net.parent / file).write_text(source)
    train(load_config("run.yaml"), with_report=False)
    before = nnclassify.predict("run", [0.1, 0.2]).probabilities
    del files["other.py"]
    assert load_checkpoint(Path("checkpoints/run/best.pt")).config["model"]["modules"] == files
    assert "TWO" not in Path("checkpoints/run/config.yaml").read_text()
    (net.parent / "pkg/sizes.py").write_text("TWO = 3\n")
    changed = Classifier.load(Path("checkpoints/run/best.pt"), "cpu")
    assert changed.notes == ("pkg/sizes.py: changed since the run was trained; the checkpoint's own copy is used",)
    with pytest.raises(ModelError, match="change it and what it imports back, or remove"):
        resumed("run")
    for file in ("net.py", "helper.py", *files):
        (net.parent / file).unlink(missing_ok=True)
    assert torch.equal(nnclassify.predict("run", [0.1, 0.2]).probabilities, before)
    resumed("run")
    assert not {"helper", "pkg", "pkg.layers"} & {*sys.modules}


def resumed(config: str) -> LoadedConfig:
    folder, found = resumable(config, ["epochs=6"], lambda text: None)
    train(found, resume=folder, with_report=False)
    return found


@pytest.mark.parametrize("config", ["run", pytest.param("run.yaml", marks=pytest.mark.slow)])
def test_a_run_resumes_with_the_code_it_began_with(config: str, net: Path, trusted: None) -> None:
    train(load_config("run.yaml"), with_report=False)
    net.write_text(USER_CODE + "# another line\n")
    with pytest.raises(
        (ModelError, ConfigError),
        match=r"net.py (is not the file that was recorded|has changed since the run began)",
    ):
        resumed(config)
    net.write_text(USER_CODE)
    resumed(config)
    whole = train(load_config("run.yaml", ["epochs=6", "name=whole"]), with_report=False)
    states = [load_checkpoint(Path(f"checkpoints/{name}/last.pt")).training for name in ("run", "whole")]
    models = [content_digest(state["model"]) for state in states if state is not None]
    assert whole.rows[-1].epoch == 6 and models[0] == models[1]


def test_a_run_whose_file_is_gone_resumes_from_its_checkpoint(net: Path, trusted: None) -> None:
    train(load_config("run.yaml"), with_report=False)
    net.unlink()
    resumed("run")
    assert len(load_checkpoint(Path("checkpoints/run/last.pt")).history) == 6


@pytest.mark.parametrize(
    ("source", "model", "message"),
    [
        (None, {}, r"^model.file: net.py: no such file; expected a Python file"),
        ("x = 1", {}, r"^model: net.py has no class or function 'Net'; it defines none"),
        (USER_CODE, {"class": "Nett"}, r"did you mean 'Net'\?; it defines Net, smooth"),
        ("def (", {}, r"^model: net.py:1: SyntaxError: "),
        ("import os\n1 / 0", {}, r"^model: net.py:2: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", {}, r"^model: net.py:1: SystemExit: 3"),
        ("import no_such_module", {}, r"^model: net.py:1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("def Net():\n    return 3", {}, r"^model: Net of net.py returned a int; expected a torch.nn.Module"),
        ("from torch import nn\nNet = nn.Flatten", {}, r"^model: Net of net.py has no parameters to learn"),
        (USER_CODE, {"options": {"wide": 3}}, r"^model.options: Net of net.py has no parameter 'wide'; did you "),
        (USER_CODE, {"options": {"num_classes": 3}}, r"^model.options: 'num_classes' is set from the data; remove it"),
        (USER_CODE, {"options": {"width": -1}}, r"^model: net.py:9: RuntimeError: "),
        (USER_CODE.replace("width=8", "width"), {}, r"^model.options: Net of net.py needs 'width'; add it; from"),
        (USER_CODE.replace("num_classes)", "7)"), {}, r"model: outputs of shape \(2, 7\); expected a tensor "),
        (USER_CODE.replace(".relu())", ".relu()),"), {}, r"^model: outputs of type tuple; expected a tensor of shape"),
        (USER_CODE.replace("self.norm(", "self.nrm("), {}, r"^model: forward pass .*: net.py:14: AttributeError: "),
        (USER_CODE.replace(".relu())", ".relu()).long()"), {}, r"^model: outputs of torch.int64; expected floating-"),
        ("import torch, warnings\ndef Net(num_outputs):\n    warnings.simplefilter('ignore')\n"
         "    return torch.jit.script(torch.nn.Linear(2, num_outputs))", {},
         r"^model: Net of net.py returned a RecursiveScriptModule; expected a torch.nn.Module that is not scripted"),
        (USER_CODE.replace("    def f", "    def get_extra_state(self):\n        return {}\n\n    def f"), {},
         r"^model: Net of net.py has a state '_extra_state' of type dict, which checkpoints cannot hold"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_network_is_one_line(
    source: str | None, model: dict[str, Any], message: str, here: Path, trusted: None
) -> None:
    if source is not None:
        (here / "net.py").write_text(source)
    with pytest.raises(NNClassifyError, match=message) as caught:
        trainer_of(model={**NET, **model})
    assert len(caught.value.lines) == 1


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("(outputs, outputs) if self.training else outputs", "outputs of type tuple in training mode; expected a ten"),
        ("outputs.detach()", r"no gradient passes from the outputs to the parameters; remove detach\(\)"),
    ],
)
@pytest.mark.parametrize("use", [nnclassify.train, nnclassify.check])
def test_what_only_training_shows_is_one_line_too(
    returned: str, message: str, use: Callable[..., object], net: Path, trusted: None
) -> None:
    net.write_text(_with_forward(f"outputs = self.hidden(inputs) @ inputs.new_ones(8, 3)\n        return {returned}"))
    with pytest.raises(ModelError, match=f"model: {message}"):
        use("run.yaml", overrides={"loss": "cross_entropy", "model.options": {"width": 8}})


def _with_forward(body: str, layers: str = "") -> str:
    """A network of two features and three classes with another forward pass."""
    return (
        "from torch import nn\nclass Net(nn.Module):\n    def __init__(self, width):\n        super().__init__()\n"
        f"        self.hidden, self.last = nn.Linear(2, width), nn.Linear(width, 3)\n        {layers or 'pass'}\n"
        f"    def forward(self, inputs):\n        {body}\n"
    )


UNUSUAL_LAYERS = pytest.mark.parametrize(
    ("body", "layers"),
    [
        ("return self.last(self.rnn(inputs[..., None])[0][:, -1])", "self.rnn = nn.LSTM(1, 6, batch_first=True)"),
        ("return self.last(input=self.hidden(inputs))", ""),
        ("return self.last(self.hidden(inputs) * self.act(self.last.bias)[0])", "self.act = nn.ReLU()"),
        ("return self.last(self.both(inputs)['more'])", "self.both = Both()"),
    ],
)
BOTH = (
    "from torch import nn\nclass Both(nn.Linear):\n    def __init__(self):\n        super().__init__(2, 6)\n"
    "    def forward(self, inputs):\n        return {'first': None, 'more': super().forward(inputs)}\n"
)


@UNUSUAL_LAYERS
def test_layers_may_return_and_take_what_they_like(body: str, layers: str, net: Path, trusted: None) -> None:
    """Such as the tuple of an LSTM, at which training ended with a bug report."""
    net.write_text(BOTH + _with_forward(body, layers))
    result = nnclassify.train("run.yaml", overrides={"loss": "cross_entropy"}, trust=True)
    assert nnclassify.evaluate("run").accuracy == result.test.accuracy  # type: ignore[union-attr]
    assert nnclassify.predict("run", [0.1, 0.2])[0].label in ("0", "1", "2")
    summarize(load_config("run.yaml", ["loss=cross_entropy"]))


@pytest.mark.slow
@UNUSUAL_LAYERS
def test_a_network_with_such_layers_can_be_checked(body: str, layers: str, net: Path, trusted: None) -> None:
    net.write_text(BOTH + _with_forward(body, layers))
    assert nnclassify.check("run.yaml", 0.05, {"loss": "cross_entropy"}).before is not None


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
def test_a_parameter_that_the_forward_pass_does_not_use_stays_as_it_is(
    optimizer: str, net: Path, trusted: None
) -> None:
    """As with an optimizer of torch, which skips a parameter whose `grad` is None."""
    net.write_text(_with_forward("return self.last(self.hidden(inputs))", "self.unused = nn.Linear(2, 2)"))
    options = {"loss": "cross_entropy", "optimizer": {"name": optimizer, "weight_decay": 0}}
    net_after = nnclassify.train("run.yaml", overrides=options).classifier.model
    components, _ = trainer_of(model={**NET, "options": {"width": 6}})
    for name, weight in components.model.named_parameters():
        assert torch.equal(weight, net_after.get_parameter(name)) == name.startswith("unused")


@pytest.mark.parametrize(
    ("source", "loss", "message"),
    [
        ("def f(out, targets):\n    return out.mean()", {"function": "f"}, r"^loss: f of net.py returned shape \("),
        ("def f(out, targets, a):\n    return out[:, 0]", {"function": "f"}, r"^loss.options: f of net.py needs '"),
        ("def f(outputs, targets):\n    return outputs[:, 9]", {"function": "f"}, r"^loss: net.py:2: IndexError: "),
        ("from torch import nn\nclass L(nn.Linear):\n    def __init__(self):\n        super().__init__(3, 1)\n"
         "    def forward(self, a, b):\n        return a[:, 0]", {"class": "L"}, r"^loss: L of net.py has param"),
        ("def f(outputs, targets):\n    return outputs.argmax(1) + targets", {"function": "f"},
         r"^loss: f of net.py returned torch.int64; expected floating-point numbers"),
        ("def f(outputs, targets):\n    return outputs.mul_(2).detach()[:, 0]", {"function": "f"},
         r"^loss: f of net.py returned numbers without a gradient to the outputs; remove detach\(\)"),
        ("class L:\n    pass", {"class": "L"}, r"^loss: net.py: TypeError: 'L' object is not callable"),
        ("def f(outputs, *, t=0):\n    return outputs", {"function": "f"}, r"^loss: net.py: TypeError: f\(\) takes 1 "),
        (USER_CODE, {}, r"loss.function: missing, as is class; set one of them"),
        (USER_CODE, {"class": "A", "function": "b"}, r"loss.function: set, as is class; set one of them"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_loss_is_one_line(
    source: str, loss: dict[str, Any], message: str, here: Path, trusted: None
) -> None:
    (here / "net.py").write_text(source)
    with pytest.raises(NNClassifyError, match=message):
        trainer_of(loss={"name": "python", "file": "net.py", **loss})


def test_a_loss_may_be_a_class_that_is_told_the_classes(here: Path, trusted: None) -> None:
    source = "class L:\n    def __init__(self, class_counts, scale):\n        self.total = scale * sum(class_counts)\n"
    (here / "loss.py").write_text(
        source + "    def __call__(self, outputs, targets):\n        return outputs[:, 0] + self.total\n"
    )
    config = config_of(loss={"name": "python", "file": "loss.py", "class": "L", "options": {"scale": 0.5}})
    loss_fn = config.loss_function([4, 6])
    assert loss_fn(torch.tensor([[1.0, 2.0]]), torch.tensor([1])).tolist() == [6.0]
    assert loss_fn.probabilities(torch.zeros(1, 2)).tolist() == [[0.5, 0.5]]


def test_two_files_of_one_name_stay_apart_and_leave_nothing_behind(here: Path, trusted: None) -> None:
    before, path = set(sys.modules), list(sys.path)
    for folder, width in (("a", 3), ("b", 5)):
        (here / folder).mkdir()
        (here / folder / "parts.py").write_text(f"WIDTH = {width}\n")
        (here / folder / "net.py").write_text("from parts import WIDTH\n" + USER_CODE.replace("width=8", "width=WIDTH"))
    for folder, width in (("a", 3), ("b", 5)):
        components, _ = trainer_of(model={**NET, "file": f"{folder}/net.py"})
        assert components.model.get_parameter("hidden.weight").shape == (width, 2)
        assert not list((here / folder).glob("__pycache__"))
    assert sys.path == path and not {"net", "parts"} & sys.modules.keys()
    assert not [name for name in set(sys.modules) - before if name.startswith("net_")]


def test_lazy_layers_get_their_shapes_from_the_data(here: Path, trusted: None) -> None:
    (here / "net.py").write_text("from torch import nn\ndef Net(num_outputs):\n    return nn.LazyLinear(num_outputs)")
    components, _ = trainer_of(model=NET)
    assert components.model.get_parameter("weight").shape == (3, 2) and components.model.training


def test_annotations_may_be_names_for_type_checkers_alone(net: Path, trusted: None) -> None:
    """From Python 3.14 on, nothing evaluates them unasked; before, the future import keeps them as texts."""
    future = "" if sys.version_info >= (3, 14) else "from __future__ import annotations\n"
    net.write_text(future + USER_CODE.replace("width=8", "width: Width = 8").replace("inputs)", "inputs: Tensor)", 1))
    components, _ = trainer_of(model={**NET, "options": {"width": 5}})
    assert components.model.get_parameter("hidden.weight").shape == (5, 2)


def test_an_option_that_is_null_survives_the_checkpoint(net: Path, trusted: None) -> None:
    net.write_text(USER_CODE.replace("width=8", "width=8, extra=1").replace("super()", "assert extra is None; super()"))
    train(loaded(config_of(model={**NET, "options": {"extra": None}})), with_report=False)
    assert nnclassify.predict("test", [0.1, 0.2])[0].label in ("0", "1", "2")


def test_a_planted_checkpoint_runs_nothing_unasked(net: Path) -> None:
    net.write_text(USER_CODE + "from pathlib import Path\nPath('planted').touch()\n")
    with trusting(True):
        train(load_config("run.yaml"), with_report=False)
    Path("planted").unlink()
    for use in (lambda: nnclassify.predict("run", [0.1, 0.2]), lambda: nnclassify.evaluate("run")):
        with pytest.raises(TrustError):
            use()
    with pytest.raises((CheckpointError, TrustError)):
        nnclassify.train("run", resume=True)
    assert not Path("planted").exists()


@pytest.mark.slow
def test_check_and_summary_work_on_it(net: Path, trusted: None) -> None:
    from nnclassify.training.summary import summarize

    diagnosis = nnclassify.check("run.yaml", minutes=0.2)
    assert not diagnosis.has_fault or diagnosis.findings
    assert summarize(load_config("run.yaml")).parameters == 2 * 6 + 6 + 12 + 6 * 3 + 3

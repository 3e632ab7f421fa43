"""Tests of pretrained weights: loading, adapting, freezing, and their effect on images and optimizer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import config_of, executed, trainer_of
from PIL import Image
from torch import nn

from nnclassify.config.run_config import load_config
from nnclassify.diagnosis.monitor.monitor import Monitor
from nnclassify.errors import ConfigError, ModelError, NNClassifyError
from nnclassify.inference.classifier import Classifier
from nnclassify.models.timm import Timm
from nnclassify.models.torchvision import Torchvision
from nnclassify.models.weight_files import load_fitting, read_weights
from nnclassify.run import train
from nnclassify.runs.checkpoint import content_digest, plain
from nnclassify.runs.resumable import resumable
from nnclassify.training.build import build_components, build_trainer
from nnclassify.training.plan import Execution
from nnclassify.training.trainer import Observer, Trainer

SMALL = "shufflenet_v2_x0_5"
URL_NAME = "shufflenetv2_x0.5-f707e7126e.pth"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state dict of a small network of torchvision, as torchvision's own files have it."""
    from torchvision import models

    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("weights") / URL_NAME
    torch.save(models.get_model(SMALL, weights=None).state_dict(), path)
    return path


@pytest.fixture
def offline(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which torch.hub looks for files; there is no network."""

    def no_network(*args: Any, **kwargs: Any) -> None:
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(here / "torch"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    return here / "torch" / "hub" / "checkpoints"


@pytest.fixture
def images(here: Path) -> Path:
    """A folder of images of 20x24 pixels, the lighter ones of class b."""
    rng = np.random.default_rng(0)
    for name, base in (("a", 40), ("b", 150)):
        (here / "images" / name).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(base, base + 60, size=(24, 20, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(here / "images" / name / f"{number}.png")
    return here / "images"


def options(file: Path, images: Path, **model: Any) -> dict[str, Any]:
    return {
        "dataset": {"name": "folder", "root": str(images), "size": 32, "validation": 0.25, "test": 0.25},
        "model": {"name": "torchvision", "architecture": SMALL, "weights": str(file), **model},
        "optimizer": {"name": "sgd", "lr": 0.01, "momentum": 0.9},
        "batch_size": 5,
        "epochs": 4,
    }


def body_of(network: nn.Module) -> dict[str, torch.Tensor]:
    """Everything but the head, statistics of batch norm included."""
    return {name: value.clone() for name, value in network.state_dict().items() if not name.startswith("fc.")}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return content_digest(plain(one)) == content_digest(plain(other))


def test_the_body_has_the_weights_and_the_head_is_new(weights: Path, images: Path) -> None:
    components = build_components(config_of(**options(weights, images)))
    saved = torch.load(weights, weights_only=True)
    assert same(body_of(components.model), {name: saved[name] for name in body_of(components.model)})
    assert components.model.get_parameter("fc.weight").shape == (2, 1024)


@pytest.mark.parametrize("form", ["old", "nested", "prefix", "safetensors"])
def test_weights_come_in_several_forms(form: str, weights: Path, here: Path) -> None:
    state = torch.load(weights, weights_only=True)
    path = here / ("w.safetensors" if form == "safetensors" else "w.pth")
    if form == "safetensors":
        pytest.importorskip("safetensors.torch").save_file(state, path)
    elif form == "old":
        torch.save(state, path, _use_new_zipfile_serialization=False)
    else:
        torch.save({"state_dict": state} if form == "nested" else {f"module.{k}": v for k, v in state.items()}, path)
    network = Torchvision(architecture=SMALL).create(3)
    load_fitting(network, read_weights(path), ["fc"], "w")
    assert same(body_of(network), {name: state[name] for name in body_of(network)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv1.0.weight": None}, r"w does not fit the architecture: missing: conv1.0.weight$"),
        ({"conv9.weight": torch.zeros(1)}, r"architecture: unexpected: conv9.weight$"),
        ({"conv1.0.weight": torch.zeros(24, 1, 3, 3)}, r"of another shape: conv1.0.weight \(24, 1, 3, 3\) ins"),
        ({"conv1.0.weight": torch.full((24, 3, 3, 3), torch.nan)}, r"not finite numbers of the same kind: conv1.0"),
        ({"conv1.0.weight": torch.full((24, 3, 3, 3), 1e300, dtype=torch.float64)}, r"not finite numbers of the same"),
        ({"conv1.0.weight": torch.ones(24, 3, 3, 3, dtype=torch.bool)}, r"not finite numbers of the same kind"),
        ({"conv1.0.weight": torch.ones(24, 3, 3, 3).to_sparse()}, r"not finite numbers of the same kind"),
        ({"fc.weight": torch.zeros(9)}, None),
        ({"conv1.1.num_batches_tracked": None}, None),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_named(change: dict[str, Any], message: str | None, weights: Path) -> None:
    state = {name: v for name, v in {**read_weights(weights), **change}.items() if v is not None}
    network = Torchvision(architecture=SMALL).create(3)
    if message is None:
        load_fitting(network, state, ["fc"], "w")
        return
    with pytest.raises(ModelError, match=message):
        load_fitting(network, state, ["fc"], "w")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no weights", r"^model.weights: bad.pth: cannot be read \("),
        ({1: torch.zeros(3)}, r"^model.weights: bad.pth: not a state dict"),
        ({"epoch": 3}, r"^model.weights: bad.pth: not a state dict; expected tensors by name"),
        (torch.zeros(3), r"^model.weights: bad.pth: not a state dict"),
    ],
)
def test_a_file_without_weights_is_refused(content: Any, message: str, here: Path) -> None:
    Path("bad.pth").write_bytes(content) if isinstance(content, bytes) else torch.save(content, "bad.pth")
    with pytest.raises(ModelError, match=message):
        read_weights(Path("bad.pth"))


def test_a_file_that_runs_code_is_refused(here: Path) -> None:
    class Planted:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (Path("planted"),)

    for new in (True, False):
        torch.save({"conv1.0.weight": Planted()}, "bad.pth", _use_new_zipfile_serialization=new)
        with pytest.raises(ModelError, match=r"^model.weights: bad.pth: cannot be read"):
            read_weights(Path("bad.pth"))
    assert not Path("planted").exists()


def test_without_a_network_it_says_what_to_download_and_leaves_nothing(offline: Path, images: Path) -> None:
    config = config_of(**options(Path("DEFAULT"), images))
    with pytest.raises(
        ModelError, match=rf"download https://\S+/{URL_NAME} elsewhere and save it as {offline}/{URL_NAME}"
    ):
        build_components(config)
    assert not (offline.parents[1]).exists()


def test_a_file_in_the_cache_of_torch_hub_is_used(offline: Path, weights: Path, images: Path) -> None:
    offline.mkdir(parents=True)
    (offline / URL_NAME).write_bytes(weights.read_bytes())
    named = build_components(config_of(**options(Path("DEFAULT"), images)))
    file = build_components(config_of(**options(weights, images)))
    assert same(named.model.state_dict(), file.model.state_dict())


def test_one_of_several_processes_downloads_and_the_others_wait(
    offline: Path, weights: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    downloads: list[str] = []

    def slow_download(url: str, path: str, *args: Any, **kwargs: Any) -> None:
        downloads.append(url)
        time.sleep(0.1)
        Path(path).write_bytes(weights.read_bytes())

    monkeypatch.setattr(torch.hub, "download_url_to_file", slow_download)
    settings = [Torchvision(architecture=SMALL, weights="DEFAULT") for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:  # each opens the lock by itself, as a process does
        assert set(pool.map(Torchvision.weights_path, settings)) == {offline / URL_NAME}
    assert len(downloads) == 1 and [path.name for path in offline.iterdir()] == [URL_NAME]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"weights": "NOPE"}, r"model.weights: found 'NOPE'; expected one of IMAGENET1K_V1, DEFAULT, or a fi"),
        ({"weights": "no.pth"}, r"model.weights: no.pth: no such file; expected a state dict in .pt"),
        ({"weights": "images.pt"}, r"model.weights: images.pt: a folder; expected"),
        ({"name": "timm", "architecture": "test_resnet", "weights": "NOPE"}, r"found 'NOPE'; expected pretrained, or"),
        ({"name": "timm", "architecture": "test_resent"}, r"found 'test_resent'; did you mean 'test_res"),
    ],
)  # fmt: skip
def test_wrong_weights_are_refused_before_data_is_read(
    model: dict[str, Any], message: str, weights: Path, here: Path
) -> None:
    (here / "images.pt").mkdir()
    values = options(weights, here / "images.pt", **model)
    with pytest.raises(NNClassifyError, match=message):
        build_components(config_of(**values))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"freeze_until": 3}, "model.freeze_until: set without weights"),
        ({"body_lr": 0.1}, "model.body_lr: set without weights"),
    ],
)
def test_options_of_a_body_need_weights(model: dict[str, Any], message: str, images: Path) -> None:
    values = options(Path("x.pth"), images)
    with pytest.raises(ConfigError, match=message):
        config_of(**{**values, "model": {"name": "torchvision", "architecture": SMALL, **model}})


def test_the_preprocessing_of_the_weights_is_in_the_checkpoint(weights: Path, images: Path) -> None:
    """As torchvision's own transforms of the weights prepare an image, but for Pillow's rounding of it to 8 bits."""
    from torchvision.models import ShuffleNet_V2_X0_5_Weights

    values = options(weights, images, freeze_until=3)
    del values["dataset"]["size"]
    values |= {"epochs": 1, "batch_size": 12}
    config = config_of(**values)
    components = build_components(config)
    image_format = components.transform.image_format
    assert components.notes == [] and image_format is not None
    assert components.transform.input_shape == (3, 224, 224)
    assert (image_format.resize, image_format.crop_fraction) == ("crop", 224 / 256)
    path = next((images / "a").glob("*.png"))
    with Image.open(path) as image:
        expected = ShuffleNet_V2_X0_5_Weights.DEFAULT.transforms()(image)
    found = components.transform(torch.from_numpy(image_format.decode(path).pixels.copy())[None], torch.float32)[0]
    assert (found - expected).abs().mean() < 0.05 and (found - expected).abs().max() < 0.8
    again = config_of(**components.config.model_dump(mode="json", exclude_none=True))
    assert again.completed() == again == components.config


def test_what_the_config_says_wins_with_a_note(weights: Path, images: Path) -> None:
    values = options(weights, images)
    values["dataset"]["normalize"] = "standard"
    components = build_components(config_of(**values))
    assert components.config.dataset.normalize == "standard"
    first, second = components.notes
    assert first.startswith(
        "dataset.normalize: standard, as the config says; the weights of shufflenet_v2_x0_5 were tra"
    )
    assert second == (
        "images have 32x32 pixels; the weights of shufflenet_v2_x0_5 were trained with 224x224; remove dataset.size to "
        "use that"
    )


def test_normalize_weights_needs_weights() -> None:
    with pytest.raises(ConfigError, match=r"dataset.normalize: found weights, but the model has no pretrained weights"):
        config_of(dataset={"name": "digits", "normalize": "weights"})


@pytest.mark.slow
def test_the_body_waits_and_learns_more_slowly(weights: Path, images: Path) -> None:
    components, trainer = trainer_of(**options(weights, images, freeze_until=3, body_lr=0.1))
    rates = [(group["lr"], group.get("first_epoch")) for group in trainer.optimizers[0].param_groups]
    assert rates == [(0.01, None), (pytest.approx(0.001), 3)]
    start, head = body_of(components.model), components.model.get_parameter("fc.weight").clone()
    seen: list[bool] = []

    class Look(Observer):
        def epoch_done(self, trainer: Trainer, row: Any) -> None:
            seen.append(same(body_of(trainer.model), start))

    notes: list[str] = []
    trainer.observers = [Look(), Monitor(notes.append)]
    trainer.fit()
    assert not [note for note in notes if "NN607" in note and " 0.0e+00 " in note]  # frozen weights do not change
    assert seen == [True, True, False, False]
    assert not torch.equal(components.model.get_parameter("fc.weight"), head)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [1, 6, 7, 8])
def test_a_resume_across_the_thaw_is_bit_exact(stop: int, weights: Path, images: Path) -> None:
    """Three updates an epoch: within the frozen part, at its end, and just after it."""
    values = options(weights, images, freeze_until=3, body_lr=0.5)
    _, whole = trainer_of(**values)
    whole.fit()
    _, began = trainer_of(**values)
    began.recipe = began.step_function.recipe = began.recipe.__class__(**{**vars(began.recipe), "report_steps": 1})

    class Stop(Observer):
        def steps_done(self, trainer: Trainer, num_steps: int) -> None:
            if trainer.step >= stop:
                trainer.stop_signal = 15

    began.observers = [Stop()]
    began.fit()
    _, resumed = trainer_of(**values)
    resumed.load_state(began.state(), began.rows)
    resumed.fit()
    assert began.step == stop and resumed.step == whole.step
    keys = ("model", "optimizers")
    assert all(content_digest(plain(resumed.state()[key])) == content_digest(plain(whole.state()[key])) for key in keys)


def test_groups_of_the_optimizer_are_split_at_the_body(weights: Path, images: Path) -> None:
    values = options(weights, images, body_lr=0.1)
    values["optimizer"]["groups"] = [{"match": "*.bias", "lr_factor": 2.0, "epochs": 2}]
    _, trainer = trainer_of(**values)
    groups = [(group["lr"], group.get("epochs")) for group in trainer.optimizers[0].param_groups]
    assert groups == [(0.01, None), (0.02, 2), (pytest.approx(0.001), None), (pytest.approx(0.002), 2)]


def test_an_epoch_in_which_nothing_learns_is_refused(weights: Path, images: Path) -> None:
    values = options(weights, images, freeze_until=4)
    values["optimizer"]["groups"] = [{"match": "fc.*", "epochs": 2}]
    with pytest.raises(ModelError, match=r"optimizer.groups: every parameter is frozen in epoch 3; remove `epochs`"):
        trainer_of(**values)


@pytest.mark.slow
@pytest.mark.parametrize("moved", [[], ["model.weights=elsewhere.pth"]])
def test_a_run_is_used_and_resumed_without_its_weights(
    moved: list[str], weights: Path, images: Path, here: Path
) -> None:
    copy = here / "copy.pth"
    copy.write_bytes(weights.read_bytes())
    values = options(copy, images)
    values["epochs"] = 1
    (here / "run.yaml").write_text(config_of(**values).to_yaml())
    train(load_config("run.yaml"), with_report=False)
    copy.unlink()
    folder, loaded = resumable("run.yaml", ["epochs=2", *moved], lambda text: None)
    assert folder.name == "run"
    assert len(train(loaded, resume=folder, with_report=False).rows) == 2
    classifier = Classifier.load(Path("checkpoints/run/best.pt"), "cpu")
    assert classifier.predict(str(next((images / "b").glob("*.png"))))[0].label in ("a", "b")


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit"])
def test_timm_starts_from_a_file(architecture: str, images: Path, here: Path) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(1)
    source = timm.create_model(architecture)
    torch.save(source.state_dict(), "w.pth")
    model = {"name": "timm", "architecture": architecture, "weights": "w.pth", "freeze_until": 2}
    values = {**options(Path("w.pth"), images), "model": model}
    del values["dataset"]["size"]
    components, trainer = trainer_of(**values)
    assert components.transform.input_shape == (3, 160, 160)
    assert isinstance(components.config.model, Timm)
    head = tuple(f"{name}." for name in components.config.model.head_modules(components.model))
    expected = {name: value for name, value in source.state_dict().items() if not name.startswith(head)}
    found = components.model.state_dict()
    assert same({name: found[name] for name in expected}, expected)
    assert [group.get("first_epoch") for group in trainer.optimizers[0].param_groups] == [None, 2]


def test_timm_that_is_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModelError, match=r"^model: timm is not installed; run: pip install 'nnclassify\[timm\]'"):
        config_of(model={"name": "timm"}).model.build((3, 32, 32), 2)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["googlenet", "squeezenet1_1", "mobilenet_v3_small", "efficientnet_b0"])
def test_every_kind_of_head_is_replaced_and_found(architecture: str, here: Path) -> None:
    from torchvision import models

    torch.manual_seed(0)
    extra = {"aux_logits": True, "init_weights": False} if architecture == "googlenet" else {}
    torch.save(models.get_model(architecture, weights=None, **extra).state_dict(), "w.pth")
    settings = Torchvision(architecture=architecture, weights="w.pth", output="sigmoid")
    network = settings.build((3, 224, 224), 5)
    settings.load_pretrained(network)
    body = settings.body(network)
    assert body is not None
    head = {name for name, _ in network.named_parameters()} - body.parameters
    assert 1 <= len(head) <= 2 and all(network.get_parameter(name).shape[0] == 5 for name in head)
    assert network.train()(torch.zeros(2, 3, 224, 224)).shape == (2, 5)


def test_frozen_batch_norm_stays_so_in_a_compiled_step(weights: Path, images: Path) -> None:
    """The step that is recorded is another one for each part of the run: see `FunctionalState.same_as`."""
    components, _ = trainer_of(**options(weights, images, freeze_until=2))
    step = executed(build_trainer(components), Execution.EAGER).step_function
    first = step.functional_state()
    norms = [module for module in components.model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(first.frozen_norms) == len(norms) > 0 and not any(norm.training for norm in norms)
    step.begin_epoch(2)
    assert not step.functional_state().same_as(first) and all(norm.training for norm in norms)

"""Tests of the plots of runs by their text: names are unchanged, nothing overlaps, sizes are limited."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from builders import config_of
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from torch import Tensor

from nnclassify.data import Examples
from nnclassify.data.names import INDICES
from nnclassify.diagnosis.range_plot import range_test_figure
from nnclassify.diagnosis.trials.experiments import RangeTest
from nnclassify.errors import InputError
from nnclassify.evaluation.confusion import class_reports, confusion_matrix
from nnclassify.evaluation.metrics import METRICS
from nnclassify.inference.attribution import ColumnImportance
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.compare import ComparedRun, grouped
from nnclassify.inference.evaluate import Evaluation
from nnclassify.inference.plots.attribution import importance, mistake_heatmaps
from nnclassify.inference.plots.comparison import compared_curves
from nnclassify.inference.plots.confusion import confusion
from nnclassify.inference.plots.examples import confusions, mistakes, samples
from nnclassify.inference.plots.figures import save
from nnclassify.inference.plots.lettering import lettering
from nnclassify.inference.plots.regions import decision_regions
from nnclassify.inference.plots.save import curves
from nnclassify.inference.predictions import Predicted
from nnclassify.training.build import build_components
from nnclassify.training.history import Row

HOSTILE = ["$10_$20", "under $10", "_a^b{}", "\\frac%", "$", "", "a\nb\x1b", "\u200b", "猫", "قطة", "🐈", "x" * 300]
AS_DRAWN = [*HOSTILE[:5], "''", r"a\nb\x1b", r"\u200b", *HOSTILE[8:11]]
"""All but the last, which is cut."""


def predicted(class_names: list[str], inputs: Tensor, wrong: int = 3) -> tuple[Examples, Evaluation]:
    """Examples of all classes in turn, of which the first few are taken for the class after theirs."""
    count, num_classes = len(inputs), len(class_names)
    targets = torch.arange(count) % num_classes
    answers = torch.where(torch.arange(count) < wrong, (targets + 1) % num_classes, targets)
    probabilities = torch.full((count, num_classes), 0.1 / num_classes).scatter(1, answers[:, None], 0.9)
    counts = confusion_matrix(answers, targets, num_classes)
    reports = class_reports(counts, class_names)
    losses = -probabilities[torch.arange(count), targets].log()
    metrics = {"loss": 0.5, "accuracy": 1 - wrong / count}
    evaluation = Evaluation(
        count,
        metrics,
        {"accuracy": (0.1, 0.9)},
        reports,
        counts,
        losses,
        probabilities,
        probabilities,
        targets,
        probabilities.argmax(1),
    )
    return Examples(inputs, targets, torch.arange(count)), evaluation


class Nearest(Classifier):
    """Answers with the class whose place on a square is nearest."""

    def __init__(self, class_names: list[str], features: list[str]) -> None:
        known: dict[str, Any] = {
            "class_names": class_names,
            "transform": SimpleNamespace(feature_names=features),
            "places": torch.rand(len(class_names), 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64),
        }
        vars(self).update(known)

    def probabilities(self, raw: Tensor) -> Tensor:
        return (-100 * torch.cdist(raw, vars(self)["places"])).softmax(1)


def regions(class_names: list[str], count: int = 30) -> Figure:
    classifier = Nearest(class_names, ["$x_1", "y^2"])
    examples, _ = predicted(class_names, vars(classifier)["places"].repeat(-(-count // len(class_names)), 1))
    return decision_regions(classifier, examples, "run_$1")


def row(epoch: int, train_loss: float, validation_loss: float | None, accuracy: float = 0.5) -> Row:
    validation_accuracy = None if validation_loss is None else accuracy
    return Row(epoch, epoch, train_loss, accuracy, validation_loss, validation_accuracy, 0.1, 1.0, 10.0)


def compared(name: str, accuracy: float = 0.5, /, **differences: Any) -> ComparedRun:
    rows = [row(epoch, 1 / epoch, 1.1 / epoch, accuracy) for epoch in range(1, 4)]
    accuracies = {"train": accuracy, "validation": accuracy, "test": None}
    metrics: dict[str, dict[str, float]] = {"validation": {"accuracy": accuracy}, "test": {}}
    return ComparedRun(name, differences, 10, 3, 1.0, accuracies, "accuracy", metrics, rows)


def selected(name: str, select_by: str, value: float, **differences: Any) -> ComparedRun:
    run = compared(name, 1 - value, **differences)
    rows = [replace(row, validation_metric=value) for row in run.rows]
    return replace(
        run,
        select_by=select_by,
        metrics={"validation": {select_by: value, "accuracy": 1 - value}, "test": {}},
        rows=rows,
    )


def written(draw: Callable[[], Figure]) -> list[Text]:
    """The texts in a figure that was drawn as `save` draws it."""
    with lettering(HOSTILE):
        figure = draw()
        figure.draw_without_rendering()
    assert max(figure.get_size_inches()) < 25
    return [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text() and text.get_visible()]


def words_of(texts: list[Text]) -> str:
    return "\n".join(text.get_text() for text in texts)


def overlapping(texts: list[Text]) -> list[tuple[str, str]]:
    """Which of the texts lie over one another."""
    boxes = [(text.get_text(), text.get_window_extent().shrunk(0.9, 0.9)) for text in texts]
    return [(one, other) for i, (one, a) in enumerate(boxes) for other, b in boxes[:i] if a.overlaps(b)]


@pytest.mark.parametrize("num_others", [0, 12])
def test_class_names_are_drawn_as_written(num_others: int) -> None:
    names = HOSTILE + [f"b{number}" for number in range(num_others)]
    _, evaluation = predicted(names, torch.zeros(30, 2))
    words = words_of(written(lambda: confusion(evaluation.confusion, names, "$")))
    assert [name for name in AS_DRAWN if name not in words] == []


@pytest.mark.slow
def test_regions_name_few_classes_in_a_legend_and_many_in_the_plane() -> None:
    few = written(lambda: regions(HOSTILE[:10]))
    assert [
        name for name in [*AS_DRAWN[:10], "$x_1", "y^2", "run_$1: decision regions"] if name not in words_of(few)
    ] == []
    many = written(lambda: regions([f"class {number}" for number in range(40)]))
    named = [text for text in many if text.get_text().startswith("class ")]
    assert 5 < len(named) < 40 and f"{len(named)} of 40 classes are named" in words_of(many)
    assert overlapping(named) == []


@pytest.mark.slow
def test_images_say_what_was_predicted_and_what_is_true() -> None:
    names = [*HOSTILE[:-1], "M" * 40, "airplane"]
    pictures, evaluation = predicted(names, torch.rand(13, 3, 4, 4), wrong=13)
    files = INDICES.with_texts([f"test/{'M' * 40}/{row}.png" for row in range(13)])
    pictures = replace(pictures, names=files)
    for draw in (samples, mistakes):
        texts = written(lambda draw=draw: draw(pictures, evaluation, names, "$"))  # type: ignore[misc] # bound in the loop
        titles = [text for text in texts if "predicted " in text.get_text()]
        assert f"test/{'M' * 12}…{'M' * 10}/0.png\npredicted under $10 (90.0%)\ntrue $10_$20" in words_of(titles)
        assert overlapping(titles) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((1, 1, 1), torch.uint8), ((3, 2, 600), torch.float32), ((2, 5, 5), torch.float64), ((4, 1, 9), torch.uint8)],
)
def test_images_of_any_shape_and_number_type_are_drawn(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    pictures, evaluation = predicted(["a", "b"], torch.full((4, *shape), 7).to(dtype), wrong=1)
    titles = [
        text for text in written(lambda: samples(pictures, evaluation, ["a", "b"])) if "predicted" in text.get_text()
    ]
    assert len(titles) == 4 and overlapping(titles) == []
    assert titles[0].get_figure().get_size_inches()[1] < 5  # type: ignore[union-attr] # it is in a figure
    assert "1 of 4 predictions are wrong" in words_of(written(lambda: mistakes(pictures, evaluation, ["a", "b"])))


@pytest.mark.slow
def test_confused_classes_are_shown_with_their_mistakes() -> None:
    examples, evaluation = predicted(["cat", "dog", "猫"], torch.rand(30, 3, 4, 4), wrong=7)
    evaluation.losses[3] = 9.0
    texts = written(lambda: confusions(examples, evaluation, ["cat", "dog", "猫"]))
    words = [text.get_text() for text in texts]
    assert not overlapping(texts)
    assert [text for text in words if " of 10 " in text] == [
        "cat → dog: 3 of 10 examples",
        "dog → 猫: 2 of 10 examples",
        "猫 → cat: 2 of 10 examples",
    ]
    names = [text.split("\n")[0] for text in words if "predicted dog" in text]
    assert names == ["3", "0", "6"]


def test_mistakes_are_shown_with_the_evidence_for_both_classes() -> None:
    classes = [str(digit) for digit in range(10)]
    built = build_components(
        config_of(dataset={"name": "digits", "limit": 40}, model={"name": "cnn", "blocks": [{"channels": 4}]})
    )
    classifier = Classifier(
        Path("best.pt"), built.config, built.model.eval(), built.loss_fn, built.transform, classes, built.placement
    )
    examples, evaluation = predicted(classes, torch.randint(0, 17, (20, 1, 8, 8), dtype=torch.uint8), wrong=2)
    figure = mistake_heatmaps(classifier, Predicted("test", examples, evaluation), "run")
    words = [axes.get_title() for axes in figure.axes]
    assert words == ["0", "1", "predicted 1 (90.0%)", "predicted 2 (90.0%)", "true 0", "true 1"]
    assert [len(axes.images) for axes in figure.axes] == [1, 1, 2, 2, 2, 2]


def test_columns_are_drawn_in_the_order_of_their_importance() -> None:
    columns = [ColumnImportance(name, lost, 0.01) for name, lost in (("$x_1", 0.3), ("猫", 0.1))]
    (axes,) = importance(columns).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["$x_1", "猫"]
    assert [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)] == [0.3, 0.1]


def test_no_mistake_is_said() -> None:
    pictures, evaluation = predicted(["a", "b"], torch.zeros(4, 1, 2, 2), wrong=0)
    assert "run: 0 of 4 predictions are wrong" in words_of(
        written(lambda: mistakes(pictures, evaluation, ["a", "b"], "run"))
    )
    names = [str(number) for number in range(21)]
    perfect = torch.eye(21, dtype=torch.int64).tolist()
    assert "no mistake" in words_of(written(lambda: confusion(perfect, names)))


@pytest.mark.parametrize(
    ("losses", "with_validation"),
    [
        ([0.5], True),
        ([0.5], False),
        ([2.0, math.inf, 1e300, 3.0, math.nan, 1e30, 1.0], True),
        ([math.nan] * 3, True),
        ([0.0, 0.0], False),
    ],
)
def test_curves_are_drawn_whatever_the_losses(losses: list[float], with_validation: bool) -> None:
    rows = [row(epoch, loss, loss if with_validation else None) for epoch, loss in enumerate(losses, start=1)]
    words = words_of(written(lambda: curves(rows, 1, "a_$b"))).splitlines()
    assert {"a_$b: learning curves", "loss", "accuracy", "training"} <= set(words)
    assert ("validation" in words) == with_validation


def test_curves_of_a_diverging_run_are_seen_on_a_logarithmic_axis() -> None:
    rows = [row(epoch, loss, None) for epoch, loss in enumerate([1.0, 0.5, 0.7, 1e6], start=1)]
    with lettering():
        loss = curves(rows, 2).axes[0]
    low, high = loss.get_ylim()
    assert loss.get_yscale() == "log" and low < 0.5 and high > 1e6


@pytest.mark.parametrize("num_classes", [21, pytest.param(250, marks=pytest.mark.slow)])
def test_a_large_confusion_matrix_is_named_along_its_sides_and_lists_its_largest_entries(num_classes: int) -> None:
    names = [f"class {number}" for number in range(num_classes)]
    _, evaluation = predicted(names, torch.zeros(2 * num_classes, 2))
    texts = written(lambda: confusion(evaluation.confusion, names, "run"))
    assert "class 2 → class 3" in words_of(texts) and "1 of 2" in words_of(texts)
    rows = [text for text in texts if text.get_text() in names and text.get_rotation() == 0]
    assert len(rows) == -(-num_classes // -(-num_classes // 100)) and overlapping(rows) == []


@pytest.mark.slow
def test_images_of_a_thousand_classes_take_seconds() -> None:
    names = [f"class {number}" for number in range(1000)]
    pictures, evaluation = predicted(names, torch.zeros(3000, 3, 8, 8), wrong=500)
    for draw in (
        lambda: confusion(evaluation.confusion, names),
        lambda: samples(pictures, evaluation, names),
        lambda: mistakes(pictures, evaluation, names),
        lambda: regions(names, 3000),
    ):
        begun = time.process_time()
        written(draw)
        assert time.process_time() - begun < 5


def test_compared_runs_have_one_legend_entry_per_config_with_the_keys_that_differ() -> None:
    runs = [
        compared(
            f"run-{number}", accuracy, **{"optimizer.lr": lr, "scheduler.name": name, "seed": number, "name": number}
        )
        for number, (accuracy, lr, name) in enumerate([(0.5, 0.1, "$x"), (0.7, 0.1, "$x"), (0.9, 0.2, None)])
    ]
    words = words_of(written(lambda: compared_curves(runs))).splitlines()
    assert "run-2: lr 0.2" in words and "lr 0.1, scheduler $x (2 runs)" in words
    assert words.index("run-2: lr 0.2") < words.index("lr 0.1, scheduler $x (2 runs)")
    assert {"3 runs of 2 configs", "validation loss", "training accuracy"} <= set(words)


@pytest.mark.parametrize(("metric", "best"), [("roc_auc", "run-2"), ("log_loss", "run-0")])
def test_runs_are_ranked_and_drawn_by_the_metric_that_all_of_them_selected_by(metric: str, best: str) -> None:
    runs = [selected(f"run-{number}", metric, value, lr=number) for number, value in enumerate((0.1, 0.5, 0.9))]
    assert grouped(runs)[0].runs[0].name == best
    (panel,) = [axes for axes in compared_curves(runs).axes if METRICS[metric].label in axes.get_title()]
    assert {float(np.asarray(line.get_ydata())[0]) for line in panel.get_lines()} == {0.1, 0.5, 0.9}
    others = [*runs, compared("run-3", 0.95, lr=3)]
    assert grouped(others)[0].runs[0].name == "run-3"  # what all of them know: accuracies of 0.9, 0.5, 0.1, 0.95
    assert len(compared_curves(others).axes) == 4


@pytest.mark.slow
def test_of_many_configs_the_best_ten_are_told_apart() -> None:
    runs = [compared("same" if number < 2 else HOSTILE[number % 12], number / 30, lr=number) for number in range(30)]
    texts = written(lambda: compared_curves(runs))
    assert (
        "20 configs of lower accuracy" in words_of(texts)
        and "lr 29" in words_of(texts)
        and "lr 19" not in words_of(texts)
    )
    assert overlapping([text for text in texts if "lr " in text.get_text()]) == []
    single = compared("alone", lr=1)
    single.rows[:] = [row(1, math.inf, None)]
    assert "alone: lr 1" in words_of(written(lambda: compared_curves([single])))


def test_the_range_test_has_a_title_and_numbers_that_are_no_formulas() -> None:
    test = RangeTest((1e-5, 1e-3, 1e-1), (2.0, 1.0, 3.0), 1e-3)
    words = words_of(written(lambda: range_test_figure(test, 0.01)))
    assert "learning-rate range test" in words and "optimizer.lr (0.01)" in words and "$" not in words
    assert written(lambda: range_test_figure(RangeTest((), (), None), 0.01))


@pytest.mark.slow
def test_a_figure_is_saved_in_the_format_that_its_name_says(tmp_path: Path) -> None:
    for name in ("a", "a.PNG", "a.svg"):
        assert save(lambda: curves([row(1, 1.0, None)], 1, "$"), tmp_path / name).stat().st_size > 5000
    with pytest.raises(InputError, match=r"a\.pgn: cannot draw a \.pgn file; did you mean 'png'"):
        save(lambda: Figure(), tmp_path / "a.pgn")


def test_a_missing_letter_is_looked_for_in_the_fonts_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    letters = {"main": {97}, "serif": {0x732B, 98}, "pixels": set(), "sans": {0x72AC}}
    monkeypatch.setattr("nnclassify.inference.plots.lettering._letters_of", lambda path: letters[path])
    monkeypatch.setattr("matplotlib.font_manager.findfont", lambda name: "main")
    fonts = [SimpleNamespace(name=f"{path} Sans", fname=path, style="normal") for path in ("pixels", "sans", "serif")]
    monkeypatch.setattr("matplotlib.font_manager.fontManager", SimpleNamespace(ttflist=fonts))
    with lettering(["a猫", "犬"]):
        assert matplotlib.rcParams["font.family"] == ["DejaVu Sans", "sans Sans", "serif Sans"]
    with lettering(["a"]):
        assert matplotlib.rcParams["font.family"] == ["DejaVu Sans"]

import pytest
import torch
from builders import config_of, loaded
from scipy.stats import binomtest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier

from nnclassify import run
from nnclassify.data import Examples, Splits
from nnclassify.data.tables.encoding import NumberColumn, OneHotColumn
from nnclassify.data.tables.table_encoder import TableEncoder
from nnclassify.data.transform import Transform
from nnclassify.evaluation import boosting
from nnclassify.evaluation.baselines import Baselines, FittedBaselines
from nnclassify.evaluation.intervals import wilson_interval
from nnclassify.models.discriminant import RIDGE
from nnclassify.training.build import Components, build_components


def held_against(components: Components) -> Examples:
    assert components.splits.test is not None
    return components.splits.test


def fitted(components: Components) -> FittedBaselines:
    return FittedBaselines.fit(components.splits, components.transform)


def found(**values: object) -> Baselines:
    components = build_components(config_of(**values))
    judged = held_against(components)
    return fitted(components).evaluated(judged, judged.all_targets())


def test_a_line_parts_blobs_and_not_rings() -> None:
    assert found().linear > 0.9
    assert found(dataset="circles").linear < 0.6


@pytest.mark.parametrize("dataset", ["iris", "wine", "breast_cancer", "digits"])
def test_they_are_those_of_scikit_learn(dataset: str) -> None:
    """A shrinkage s is our ridge r = s / (1 - s), but for a factor of 1 - s on the prior."""
    components = build_components(config_of(dataset=dataset))
    (inputs, targets), (judged, expected) = (
        (components.transform(raw, torch.float32).flatten(1).numpy(), classes.numpy())
        for raw, classes in (
            split.select(torch.arange(len(split))) for split in (components.splits.train, held_against(components))
        )
    )
    shrinkage = RIDGE / (1 + RIDGE)
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(inputs, targets)
    majority = DummyClassifier().fit(inputs, targets)
    both = found(dataset=dataset)
    assert both.linear == pytest.approx(model.score(judged, expected), abs=1.01 / len(judged))
    assert both.majority == pytest.approx(majority.score(judged, expected))


def test_boosted_trees_part_rings_and_are_those_of_scikit_learn() -> None:
    components = build_components(config_of(dataset="circles"))
    test = held_against(components)
    both = fitted(components).evaluated(test, test.all_targets(), with_boosted=True)
    (inputs, targets), (judged, expected) = (
        (components.transform(raw, torch.float32).numpy(), classes.numpy())
        for raw, classes in (
            split.select(torch.arange(len(split))) for split in (components.splits.train, held_against(components))
        )
    )
    model = HistGradientBoostingClassifier(max_iter=50, early_stopping=False, random_state=0).fit(inputs, targets)
    assert both.boosted == pytest.approx(model.score(judged, expected)) and both.linear < 0.6
    assert found().boosted is None and found().boosted_balanced_accuracy is None


def test_what_the_linear_model_gets_right_of_what_the_network_does() -> None:
    components = build_components(config_of(dataset="circles"))
    test = held_against(components)
    targets = test.all_targets()
    network = targets.clone()
    network[::2] = 1 - targets[::2]  # wrong for every other example
    right, wrong, whole = (fitted(components).evaluated(test, each) for each in (network, 1 - network, targets))
    assert right.num_correct == len(targets) // 2 and right.linear_where_correct is not None
    assert wrong.linear_where_correct is not None and wrong.num_correct == (len(targets) + 1) // 2
    both = right.num_correct * right.linear_where_correct + wrong.num_correct * wrong.linear_where_correct
    assert both == pytest.approx(whole.linear * len(targets)) and whole.linear_where_correct == whole.linear
    assert whole.intervals is not None and whole.intervals["linear"] == wilson_interval(round(both), len(targets))
    only_network = (1 - right.linear_where_correct) * right.num_correct
    only_linear = wrong.num_correct * wrong.linear_where_correct  # the network is right where `wrong` is not
    expected = binomtest(round(only_network), round(only_network + only_linear)).pvalue
    assert right.p_values is not None and right.p_values["linear"] == pytest.approx(expected)
    none = fitted(components).evaluated(test, 1 - targets)
    assert (none.num_correct, none.linear_where_correct) == (0, None)


def test_boosted_trees_are_of_bounded_size() -> None:
    assert [boosting.num_iterations(num_classes) for num_classes in (2, 3, 26, 1000)] == [50, 50, 38, 20]
    assert boosting.max_examples(14, 2) == 25_000 and boosting.max_examples(1000, 2) == 1000
    assert boosting.max_examples(10**6, 10) == 20


def test_trees_read_a_column_of_categories_as_one_number() -> None:
    color = OneHotColumn(name="color", categories=("blue", "red"), fill="red", marks_missing=True)
    encoder = TableEncoder((NumberColumn(name="size"), color, NumberColumn(name="age")))
    rows = [encoder.row(texts, "here", ".") for texts in (["3", "red", "7"], ["4", "green", "8"], ["5", "", "9"])]
    found = boosting.tree_columns(torch.tensor(rows), encoder)
    assert found.tolist() == [[3, 1, 0, 7], [4, 2, 0, 8], [5, 1, 1, 9]]


def test_boosted_trees_take_multi_hot_targets_and_a_class_that_is_everywhere() -> None:
    inputs = torch.linspace(-1, 1, 60)[:, None]
    targets = torch.stack([inputs[:, 0] > 0, torch.ones(60, dtype=torch.bool)], dim=1).long()
    predictions = boosting.boosted_predictions(inputs, targets, torch.tensor([[-0.9], [0.9]]), 2)
    assert predictions.tolist() == [[0, 1], [1, 1]]


def test_the_majority_is_the_share_of_the_commonest_training_class() -> None:
    components = build_components(config_of(dataset="breast_cancer"))
    commonest = int(torch.tensor(components.splits.class_counts()).argmax())
    share = float((held_against(components).all_targets() == commonest).double().mean())
    assert found(dataset="breast_cancer").majority == pytest.approx(share)


def test_the_mean_accuracy_of_the_classes_does_not_follow_their_sizes() -> None:
    both = found(dataset={"name": "iris"})
    assert both.linear_balanced_accuracy == pytest.approx(both.linear, abs=0.02)  # iris: classes of one size
    both = found(dataset="breast_cancer")
    assert abs(both.linear_balanced_accuracy - both.linear) > 0.005


def test_a_table_of_100_000_columns_has_a_baseline() -> None:
    """Once the equations of the columns took 40 GB."""
    targets = torch.arange(40) % 2
    inputs = torch.randn(40, 100_000, generator=torch.Generator().manual_seed(0)) + 0.1 * targets[:, None]
    examples = Examples(inputs, targets, torch.arange(40))
    splits = Splits(examples, class_names=["a", "b"])
    none = torch.zeros(1, dtype=torch.float64)
    transform = Transform((100_000,), None, None, none, none + 1)
    assert FittedBaselines.fit(splits, transform).evaluated(examples, targets).linear == 1.0


def test_a_baseline_that_cannot_be_had_costs_no_result(here: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object) -> FittedBaselines:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(FittedBaselines, "fit", no_memory)
    notes: list[str] = []
    figures = run.train(loaded(config_of()), note=notes.append).figures()
    assert figures["baselines"] is None and figures["test"] is not None
    assert any("no baselines: DefaultCPUAllocator" in note for note in notes)

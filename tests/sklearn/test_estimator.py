"""`NNClassifier`: scikit-learn's own checks, its tools around the estimator, and data frames as their CSV file."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import nnclassify
from nnclassify.config.run_config import load_config
from nnclassify.errors import ConfigError, DataError, InputError
from nnclassify.optim.optimizers import Sgd
from nnclassify.sklearn import NNClassifier

X, Y = load_iris(return_X_y=True)
SMALL: dict[str, Any] = {
    "model": {"name": "mlp", "hidden": [8]},
    "epochs": 10,
    "optimizer": {"name": "adam", "lr": 0.05},
}


@pytest.mark.slow
def _passes(estimator: NNClassifier, check: Any) -> None:
    check(estimator)


test_the_checks_of_scikit_learn = parametrize_with_checks([NNClassifier(epochs=10)])(_passes)


@pytest.fixture(scope="module")
def fitted() -> NNClassifier:
    return NNClassifier(**SMALL).fit(X, Y)


def test_it_learns_and_its_probabilities_are_those_of_the_classifier(fitted: NNClassifier) -> None:
    assert fitted.score(X, Y) > 0.9
    probabilities = fitted.predict_proba(X)
    assert np.allclose(probabilities, fitted.classifier_.predict(X).probabilities.numpy(), atol=1e-6)
    assert np.array_equal(probabilities.argmax(axis=1), fitted.predict(X))
    assert [row["epoch"] for row in fitted.history_] == [*range(1, 11)]
    assert list(fitted.history_frame()["train_loss"]) == [row["train_loss"] for row in fitted.history_]


def test_the_same_seed_gives_the_same_network_and_none_draws_it(fitted: NNClassifier) -> None:
    again = clone(fitted).fit(X, Y)
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    drawn = [clone(fitted).set_params(random_state=seed).fit(X, Y) for seed in (np.random.RandomState(7), None)]
    assert not np.array_equal(drawn[0].predict_proba(X), drawn[1].predict_proba(X))


@pytest.mark.parametrize("stored", [lambda it: pickle.loads(pickle.dumps(it)), lambda it: _by_joblib(it)])
def test_it_can_be_pickled(fitted: NNClassifier, stored: Any) -> None:
    again = stored(fitted)
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert again.classifier_.calibration is not None


def _by_joblib(estimator: NNClassifier) -> Any:
    file = io.BytesIO()
    joblib.dump(estimator, file)
    return joblib.load(file)


def test_options_of_sections_are_parameters() -> None:
    estimator = NNClassifier(optimizer="sgd", dataset={"augment": {"flip": True}})
    estimator.set_params(optimizer__lr=0.1, model__hidden=[3], dataset__augment__crop=1, epochs=3)
    assert estimator.optimizer == {"name": "sgd", "lr": 0.1}
    assert estimator.dataset == {"augment": {"flip": True, "crop": 1}}
    assert estimator.get_params()["dataset__augment__crop"] == 1
    assert NNClassifier(optimizer=Sgd(lr=0.5)).set_params(optimizer__momentum=0.9).optimizer == {
        "name": "sgd",
        "lr": 0.5,
        "momentum": 0.9,
    }
    with pytest.raises(ValueError, match="Invalid parameter 'optimiser'"):
        estimator.set_params(optimiser__lr=0.1)


@pytest.mark.slow
def test_a_grid_search_changes_options_of_sections() -> None:
    grid = {"optimizer__lr": [1e-6, 0.05], "model__hidden": [[8]]}
    search = GridSearchCV(NNClassifier(epochs=8), grid, cv=2).fit(X, Y)
    assert search.best_params_["optimizer__lr"] == 0.05
    assert search.best_estimator_.classifier_.config.optimizer.name == "adamw"


def test_it_works_in_pipelines_and_ensembles() -> None:
    small = NNClassifier(**SMALL)
    assert cross_val_score(make_pipeline(StandardScaler(), small), X, Y, cv=2).min() > 0.8
    assert CalibratedClassifierCV(small, cv=2).fit(X, Y).score(X, Y) > 0.8
    voters = [("network", small), ("linear", LogisticRegression(max_iter=500))]
    assert VotingClassifier(voters, voting="soft").fit(X, Y).score(X, Y) > 0.8


def test_labels_of_any_kind_are_given_back() -> None:
    names = np.array(["setosa", "versicolor", "virginica"])[Y]
    assert set(NNClassifier(**SMALL).fit(X, names).predict(X)) <= set(names)
    found = NNClassifier(**SMALL).fit(X[:100], Y[:100] == 1)
    assert found.classes_.dtype == bool
    assert found.score(X[:100], Y[:100] == 1) == 1
    for other in (1, None):
        with pytest.raises(TypeError, match=r"y: found labels of different types \(\w+, str\).*y.astype\(str\)"):
            NNClassifier().fit(X, np.array([other, "a", "b"] * 50, dtype=object))


def test_what_is_not_given_is_what_init_suggests_and_what_is_given_stays() -> None:
    config = NNClassifier(optimizer={"lr": 0.5}, scheduler="step", epochs=1).fit(X, Y).classifier_.config
    assert (config.optimizer.name, config.optimizer.lr, config.scheduler.name) == ("adamw", 0.5, "step")
    assert (config.model.name, config.batch_size, config.epochs) == ("mlp", 16, 1)


@pytest.mark.parametrize("name", ["iris_mlp", "digits_cnn", "xor_1"])
def test_a_config_gives_its_options(name: str) -> None:
    config = load_config(name).config
    built = NNClassifier.from_config(name, epochs=1, optimizer__lr=0.5)
    assert (built.epochs, built.batch_size, built.random_state) == (1, config.batch_size, config.seed)
    assert built.optimizer["name"] == config.optimizer.name
    assert built.optimizer["lr"] == 0.5
    inputs = X if config.model.name == "mlp" else np.random.default_rng(0).random((60, 1, 8, 8))
    trained = built.fit(inputs[:60], np.arange(60) % 3).classifier_.config
    assert trained.model == config.model
    assert trained.loss.name == config.loss.name


def frame(n: int = 120) -> tuple[Any, Any]:
    """People, of whom those from Rome over 40 buy."""
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    people = pandas.DataFrame(
        {
            "age": rng.integers(18, 80, n),
            "city": rng.choice(["Rome", "Oslo", "Bern"], n),
            "member": rng.choice([True, False], n),
            "since": pandas.date_range("2020-01-01", periods=n),
            "size": pandas.Categorical(rng.choice(["S", "M", "L"], n), ["S", "M", "L"], ordered=True),
            "code": pandas.Categorical(rng.integers(1, 4, n)),
        }
    )
    return people, pandas.Series(np.where((people.city == "Rome") & (people.age > 40), "yes", "no"), name="buys")


@pytest.mark.slow
def test_a_data_frame_is_read_as_its_csv_file(tmp_path: Path) -> None:
    people, buys = frame()
    found = NNClassifier(epochs=40).fit(people, buys)
    assert found.score(people, buys) > 0.95
    assert list(found.feature_names_in_) == [*people.columns]
    assert found.classifier_.transform.columns == [*people.columns]
    features = found.classifier_.transform.feature_names or []
    assert {"city=Rome", "member", "since (days since 1970-01-01)", "size", "code=3"} <= set(features)
    assert any("categories: city" in note for note in found.notes_)
    people.assign(buys=buys).to_csv(tmp_path / "people.csv", index=False)
    loaded = nnclassify.load(found.save(tmp_path / "saved"))
    assert nnclassify.evaluate(loaded, data=tmp_path / "people.csv").metrics["accuracy"] == found.score(people, buys)


def test_dates_and_numbers_of_a_frame_keep_their_types() -> None:
    pandas = pytest.importorskip("pandas")
    days, kinds = pandas.date_range("2020-01-01", periods=150), pandas.Categorical(Y)
    found = NNClassifier(**SMALL).fit(pandas.DataFrame({"day": days, "cm": X[:, 0], "kind": kinds}), Y)
    assert (found.classifier_.transform.feature_names or [])[:3] == ["day (days since 1970-01-01)", "cm", "kind=0"]
    for dates in (pandas.DataFrame({"x0": days}), days.to_numpy()[:, None]):
        found = clone(found).fit(dates, Y)
        assert found.classifier_.transform.feature_names == ["x0 (days since 1970-01-01)"]
        assert found.score(dates, Y) > 0.9


def test_a_new_category_is_a_warning_and_a_missing_value_an_error() -> None:
    people, buys = frame(40)
    found = NNClassifier(**SMALL).fit(people, buys)
    people.loc[0, "city"] = "Paris"
    with pytest.warns(UserWarning, match="column 'city': no indicator for 'Paris'"):
        found.predict(people)
    people.loc[:1, "city"] = ["Rome", None]
    with pytest.raises(InputError, match=r"X\[0\]: column 'city'"):
        found.predict(people.iloc[1:])
    with pytest.raises(DataError, match=r"X\[1\]: column 'city'.*dataset.missing: fill"):
        NNClassifier(**SMALL).fit(people, buys)
    filled = NNClassifier(**SMALL, dataset={"missing": "fill"}).fit(people, buys)
    assert len(filled.predict(people)) == 40


def test_columns_that_are_not_features_may_be_there_when_predicting() -> None:
    people, buys = frame(60)
    for options in ({"ignore": ["since", "size", "code", "city", "member"]}, {"group": "age", "features": ["since"]}):
        found = NNClassifier(**SMALL, dataset={"dates": ["since"], **options}).fit(people, buys)
        assert found.classifier_.transform.num_columns == 1
        assert len(found.predict(people)) == 60
    cells = people[["age", "city"]].to_numpy(dtype=object)
    assert NNClassifier(**SMALL).fit(cells, buys).classifier_.transform.columns == ["x0", "x1"]


def test_missing_numbers_are_filled_if_asked_for() -> None:
    holes = X.copy()
    holes[::7, 1] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        NNClassifier(**SMALL).fit(holes, Y)
    assert NNClassifier(**SMALL, dataset={"missing": "fill"}).fit(holes, Y).score(holes, Y) > 0.8


@pytest.mark.slow
def test_columns_of_numbers_that_are_far_apart_get_quantiles() -> None:
    rng = np.random.default_rng(0)
    amounts = np.exp(4 * rng.normal(size=(300, 1)))
    targets = (amounts[:, 0] > 1).astype(int)
    plain, transformed = (
        NNClassifier(epochs=10, dataset=options).fit(amounts, targets).score(amounts, targets)
        for options in ({}, {"quantile_transform": ["x0"]})
    )
    assert transformed > 0.95 > plain


def test_images_are_images() -> None:
    rng = np.random.default_rng(0)
    targets = np.arange(40) % 2
    images = (rng.random((40, 6, 6, 3)) * 100 + 100 * targets[:, None, None, None]).astype(np.uint8)
    found = NNClassifier(epochs=10, dataset={"augment": {"flip": True}}).fit(images, targets)
    assert found.score(images, targets) == 1
    assert found.classifier_.transform.input_shape == (3, 6, 6)
    assert np.array_equal(found.predict(images / 255), found.predict(images))


@pytest.mark.slow
def test_batches_of_a_stream_train_one_network() -> None:
    found, parts = NNClassifier(random_state=1), np.array_split(np.random.default_rng(0).permutation(150), 3)
    for part in parts * 8:
        found.partial_fit(X[part], Y[part], classes=[0, 1, 2])
    assert found.score(X, Y) > 0.9
    assert [row["epoch"] for row in found.history_] == [*range(1, 25)]
    copy = pickle.loads(pickle.dumps(found))
    few = X[:50], Y[:50]  # of one class alone
    assert np.array_equal(copy.partial_fit(*few).predict_proba(X), found.partial_fit(*few).predict_proba(X))
    with pytest.raises(ValueError, match="labels that are not in classes: 3"):
        found.partial_fit(X, Y + 1)


def test_batches_of_a_table_keep_the_columns_of_the_first() -> None:
    people, buys = frame(60)
    found = NNClassifier(random_state=1)
    for part in np.array_split(np.arange(60), 3) * 2:
        found.partial_fit(people.iloc[part], buys.iloc[part], classes=["no", "yes"])
    assert len(found.predict(people)) == 60
    assert len(found.history_) == 6


@pytest.mark.slow
def test_a_class_that_the_first_batch_lacks_is_learned_from_the_next() -> None:
    found = NNClassifier(random_state=1)
    for part in (slice(0, 100), slice(50, 150)) * 10:
        found.partial_fit(X[part], Y[part], classes=[0, 1, 2])
    assert set(found.predict(X)) == {0, 1, 2}


def test_a_stream_has_no_validation_split_and_no_last_epoch() -> None:
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        NNClassifier().partial_fit(X, Y)
    weighted = {"loss": {"name": "cross_entropy", "class_weights": "balanced"}}
    for option in ({"scheduler": "one_cycle"}, {"patience": 2}, {"dataset": {"validation": 0.2}}, weighted):
        with pytest.raises(ConfigError, match=r"partial_fit knows neither all examples nor the last epoch"):
            NNClassifier(**option).partial_fit(X, Y, classes=[0, 1, 2])


def test_training_continues_after_fit(fitted: NNClassifier) -> None:
    found = pickle.loads(pickle.dumps(fitted)).partial_fit(X, Y)
    assert found.score(X, Y) > 0.9
    assert found.history_[-1]["epoch"] == fitted._checkpoint.epoch + 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model__hiden": [3]}, r"model.hiden: unknown key; did you mean 'hidden'"),
        ({"optimizer__lr": "high"}, r"optimizer.lr: found 'high', expected a number"),
        ({"epochs": 0}, r"epochs: found 0, expected at least 1"),
        ({"dataset__path": "x.csv"}, r"dataset.path: not an option of arrays; expected one of validation"),
        ({"dataset__validation": "test"}, r"dataset.validation: found 'test', expected a fraction such as 0.1"),
        ({"dataset": {"missing": "fill", "augment": {}}}, r"dataset.augment: not an option of a table in memory"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NNClassifier().set_params(**options).fit(X, Y)


def test_an_estimator_that_failed_is_not_fitted() -> None:
    estimator = NNClassifier(epochs=0)
    with pytest.raises(ConfigError):
        estimator.fit(X, Y)
    with pytest.raises(NotFittedError):
        estimator.predict(X)


def test_nothing_is_printed_or_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    NNClassifier(epochs=2).fit(X, Y).predict(X)
    assert (capfd.readouterr(), [*tmp_path.iterdir()]) == (("", ""), [])


def test_a_bar_shows_progress_if_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    NNClassifier(epochs=2, verbose=True).fit(X, Y)
    assert "epoch 2/2" in capsys.readouterr().err


@pytest.mark.slow
def test_the_import_is_light() -> None:
    code = "import sys, nnclassify.sklearn; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_saved_network_says_that_its_data_was_in_memory(here: Path) -> None:
    path = NNClassifier(epochs=1).fit(X, Y).save("saved")
    with pytest.raises(
        DataError, match=r"trained it on data in memory; give that data in files, with dataset.train_inputs=FILE"
    ):
        nnclassify.evaluate(path)

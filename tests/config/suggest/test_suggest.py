"""Tests of what counts as data, and of how a suggested config is written and read."""

from pathlib import Path

import pytest

from nnclassify.config.run_config import load_config
from nnclassify.config.suggest.document import Entry, Suggestion, values_of, with_chosen
from nnclassify.config.suggest.recipe import MAX_EPOCHS, MAX_SECONDS, MIN_EPOCHS, linear_lr, recipe_for
from nnclassify.config.suggest.suggest import is_data, run_name, suggest
from nnclassify.config.yaml_reader import read_text
from nnclassify.errors import ConfigError, InputError


def test_folders_tables_and_arrays_are_data_and_runs_are_not(here: Path) -> None:
    for folder in ("photos", "run"):
        Path(folder).mkdir()
    Path("run/config.yaml").touch()
    files = ("t.CSV", "t.tsv", "t.csv.gz", "wine.data", "a.npz", "t.yaml")
    for file in files:
        Path(file).touch()
    found = {path for path in ("photos", "run", *files, "no.csv") if is_data(path)}
    assert found == {"photos", "t.CSV", "t.tsv", "t.csv.gz", "wine.data", "a.npz"}


@pytest.mark.parametrize(
    ("path", "name"), [("my data.csv.gz", "my_data"), ("größe 2.CSV", "gr_e_2"), ("…", "data"), ("-x.npz", "x")]
)
def test_runs_are_called_after_the_data(here: Path, path: str, name: str) -> None:
    Path(path).touch()
    assert run_name(path) == name


def test_the_text_of_a_config_reads_back_as_it_was_meant() -> None:
    values = {"text": "a: #b", "yes": "yes", "number": "007", "list": ["ä", "1"], "none": {"a b": 20}}
    section = [Entry(key, value, "reason\nof two lines") for key, value in values.items()]
    blocks = [{"channels": 1}, {"channels": 2, "pool": "max"}]
    text = Suggestion("x", ["found\x1b"], [Entry("dataset", section), Entry("blocks", blocks)]).yaml()
    assert read_text(text, "x").data == {"dataset": values, "blocks": blocks}


def test_chosen_values_stand_in_place_of_suggested_ones_or_behind_them() -> None:
    entries = [
        Entry("dataset", [Entry("name", "csv"), Entry("test", 0.2, "why")]),
        Entry("epochs", 9, "fast"),
        Entry("loss", "mse"),
    ]
    data = {"dataset": {"name": "csv", "test": 0.3, "id": "x"}, "epochs": 2, "loss": {"name": "mse", "k": 1}, "seed": 7}
    found = with_chosen(entries, data, [("dataset", "test"), ("dataset", "id"), ("epochs",), ("loss", "k"), ("seed",)])
    assert values_of(found) == data
    assert Suggestion("x", [], found).yaml().splitlines() == [
        "dataset:",
        "  name: csv",
        "  test: 0.3 # as chosen",
        "  id: x # as chosen",
        "epochs: 2 # as chosen",
        "loss: {name: mse, k: 1} # as chosen",
        "seed: 7 # as chosen",
    ]


def test_only_a_table_has_a_label_column(here: Path) -> None:
    Path("photos").mkdir()
    with pytest.raises(InputError, match="a table, has a label column: folder names are"):
        suggest("photos", "kind")


def test_a_shipped_config_is_meant_where_a_folder_has_its_name(here: Path) -> None:
    Path("xor_2").mkdir()
    assert load_config("xor_2").config.dataset.name_of() == "xor"


def test_what_is_no_data_is_refused(here: Path) -> None:
    with pytest.raises(InputError, match="expected a folder with one subfolder per class"):
        suggest("nothing.docx")
    with pytest.raises(InputError, match=r"X.CSV: no such file or folder; expected a folder"):
        suggest("X.CSV")
    with pytest.raises(InputError, match=r"https://example.org/x.csv: an address; download it"):
        suggest("https://example.org/x.csv")
    with pytest.raises(InputError, match=r"page.html: a format that is not read; convert it to CSV"):
        suggest("page.html")
    with pytest.raises(InputError, match=r"x.mat: a MATLAB file; read it with scipy.io.loadmat, and write .*savez"):
        suggest("x.mat")
    with pytest.raises(ConfigError, match="no such file"):
        load_config("nothing.csv")
    Path("photos.tar.gz").touch()
    with pytest.raises(ConfigError, match=r"photos.tar.gz: an archive; unpack it"):
        load_config("photos.tar.gz")


@pytest.mark.parametrize("num_examples", [1, 100, 5_000, 60_000, 10**7])
@pytest.mark.parametrize("multiply_adds", [10.0, 1e6, 1e12])
def test_epochs_stay_within_bounds_and_the_time_is_kept_where_it_can_be(
    num_examples: int, multiply_adds: float
) -> None:
    recipe = recipe_for(num_examples, multiply_adds, 1500)
    assert MIN_EPOCHS <= recipe.epochs <= MAX_EPOCHS
    assert recipe.seconds <= MAX_SECONDS or recipe.epochs == MIN_EPOCHS
    assert 16 <= recipe.batch_size <= 256


def test_a_table_with_an_unusual_ending_is_not_taken_for_a_broken_config_alone(here: Path) -> None:
    Path("sonar.all-data").write_text("0.1,0.2,R\n0.3,0.4,M\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"found text alone.+ rename a table, such as sonar.all-data.csv"):
        load_config("sonar.all-data")


@pytest.mark.parametrize(
    ("num_features", "num_classes", "lr"),
    [(4, 3, 0.1), (500, 2, 0.1), (4, 64, 0.4), (2, 20, 1.0), (2, 400, 5.0), (1, 100, 10.0)],  # 0.05 * 64^(2/4), 10 / 2
)
def test_a_linear_model_takes_larger_steps_where_many_classes_share_few_features(
    num_features: int, num_classes: int, lr: float
) -> None:
    assert linear_lr(num_features, num_classes) == lr

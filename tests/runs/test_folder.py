"""Tests of which run a name refers to, and of the message if there is none."""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import config_of

from nnclassify.config.run_config import load_config
from nnclassify.errors import CheckpointError, ConfigError, DataError, InputError
from nnclassify.runs.folder import RunFolder, create_run_folder, find_checkpoint, named_run, runs
from nnclassify.runs.resumable import changes, config_or_own, resumable

CONFIG = "dataset: xor\nmodel: mlp\nepochs: 3\n"
posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="modes are POSIX's")


def make(folder: str, config: str = CONFIG, age: int = 0) -> Path:
    """A run folder as far as finding it goes."""
    path = Path(folder)
    path.mkdir(parents=True)
    (path / "best.pt").write_text("")
    (path / "config.yaml").write_text(config)
    for file in path.iterdir():
        os.utime(file, ns=(10**18 - age, 10**18 - age))
    return path


def test_a_folder_here_hides_no_run(here: Path) -> None:
    make("checkpoints/digits")
    Path("digits").mkdir()
    assert find_checkpoint("digits") == Path("checkpoints/digits/best.pt")
    assert named_run("digits") == RunFolder(Path("checkpoints/digits"))


def test_a_name_of_two_runs_means_the_one_under_checkpoints_and_says_so(here: Path) -> None:
    make("checkpoints/a"), make("a")
    notes: list[str] = []
    assert find_checkpoint("a", note=notes.append) == Path("checkpoints/a/best.pt")
    assert notes == ["a: using checkpoints/a/best.pt; for the one in the working directory, write ./a"]
    assert find_checkpoint("./a", note=notes.append) == Path("a/best.pt") and len(notes) == 1


def test_a_run_whose_best_checkpoint_is_lost_is_found_by_the_generation_before(here: Path) -> None:
    path = make("checkpoints/a")
    (path / "best.pt").rename(path / "best.previous.pt")
    assert find_checkpoint(None) == find_checkpoint("a") == Path("checkpoints/a/best.pt")


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("n" * 300, r"cannot be read \(File name too long\)"),
        ("x/" * 3000, r"cannot be read \(File name too long\)"),
        ("loop", r"checkpoints/loop: cannot be read \(Too many levels of symbolic links\)"),
        ("fifo", "fifo: not a regular file; expected a run"),
        ("dangling", "dangling: no such run"),
        ("a\0b", r"cannot be read \((stat: )?embedded null"),
        ("", "RUN: no such run, folder or checkpoint"),
        (
            "tuned",
            "tuned: a search; name a trial, such as .*/trials/1, or `nnclassify train .*/best.yaml`",
        ),
        ("empty", "checkpoints/empty: contains no best.pt"),
        ("begun", "checkpoints/begun: no best.pt yet; `nnclassify train --resume begun` continues the run"),
        ("beginning", r"\(runs are kept under checkpoints/\); did you mean 'begin_1'\?$"),
    ],
)
def test_what_is_no_run_is_a_message(run: str, message: str, here: Path) -> None:
    for file in ("begun/last.pt", "begin_1/best.pt", "tuned/study.json"):
        (Path("checkpoints") / file).parent.mkdir(parents=True)
        (Path("checkpoints") / file).touch()
    Path("checkpoints/empty").mkdir(parents=True)
    Path("checkpoints/loop").symlink_to("loop")
    Path("dangling").symlink_to("gone")
    os.mkfifo("fifo")
    with pytest.raises((CheckpointError, InputError), match=message) as error:
        find_checkpoint(run)
    assert len(str(error.value)) < 300 or run == "x/" * 3000


@pytest.mark.parametrize(
    "make_it", [Path.touch, os.mkfifo, lambda path: path.symlink_to("gone")], ids=["file", "fifo", "link"]
)
def test_no_run_is_found_where_checkpoints_is_no_folder(make_it: Callable[[Path], object], here: Path) -> None:
    make_it(Path("checkpoints"))
    assert runs() == []
    with pytest.raises(CheckpointError, match="no runs here"):
        find_checkpoint(None)


@posix
def test_a_closed_folder_is_named(as_user: Path) -> None:
    make("checkpoints/a")
    Path("checkpoints").chmod(0)
    for find in (lambda: find_checkpoint("a"), lambda: find_checkpoint(None), lambda: named_run("a")):
        with pytest.raises(InputError, match=r"checkpoints.*: cannot be read \(Permission denied\)"):
            find()
    Path("checkpoints").chmod(0o700)


@posix
def test_a_run_that_the_user_may_not_open_is_named(as_user: Path) -> None:
    make("checkpoints/a").chmod(0)
    with pytest.raises(CheckpointError, match=r"no runs here that you have permission to open \(checkpoints/a"):
        find_checkpoint(None)
    Path("checkpoints/a").chmod(0o700)


@posix
def test_a_new_run_where_nothing_may_be_written_is_wrong_usage(as_user: Path) -> None:
    Path("checkpoints").mkdir(mode=0o500)
    with pytest.raises(InputError, match=r"checkpoints/a: cannot be created \(.*Permission denied"):
        create_run_folder("a")


@pytest.mark.skipif(sys.platform == "win32", reason="other locks")
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_noted_and_not_taken_for_another_process(
    number: int, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lustre, unless it is mounted with flock, answers ENOSYS."""

    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", no_locks)
    folder, notes = create_run_folder("a"), list[str]()
    with folder.locked(note=notes.append):
        assert not folder.is_locked()
    (note,) = notes
    assert note.startswith(f"checkpoints/a: its file system has no locks ([Errno {number}] ")


@pytest.mark.parametrize(
    "place", [lambda: Path("checkpoints").touch(), lambda: Path("checkpoints").symlink_to("nowhere")]
)
def test_what_is_in_the_place_of_the_folder_of_runs_is_to_be_moved_away(
    place: Callable[[], object], here: Path
) -> None:
    place()
    with pytest.raises(InputError, match=r"checkpoints/a: cannot be created \(.*'checkpoints'\); .*: move it away"):
        create_run_folder("a")


def test_the_newest_run_that_fits_is_resumed_and_the_others_are_named(here: Path) -> None:
    Path("a.yaml").write_text(CONFIG)
    make("checkpoints/a", age=2), make("checkpoints/a-2", CONFIG + "seed: 5\n", age=1), make("checkpoints/ab")
    notes: list[str] = []
    folder, loaded = resumable("a.yaml", ["epochs=9"], notes.append)
    assert (folder.name, loaded.config.epochs) == ("a", 9)
    assert notes == ["checkpoints/a-2: not resumed, because it differs: seed: 5 when the run began, now 0"]
    assert resumable("a.yaml", ["seed=5"], notes.append)[0].name == "a-2" and len(notes) == 1
    with pytest.raises(ConfigError, match=r"--resume a-2: seed: 5 when the run began, now 7; change it back"):
        resumable("a.yaml", ["seed=7"], notes.append)


def test_a_config_or_data_comes_before_a_run_of_its_name_unless_a_run_is_meant(here: Path) -> None:
    make("checkpoints/a", CONFIG + "seed: 5\n"), make("checkpoints/iris_mlp", CONFIG + "seed: 6\n")
    Path("own.yaml").write_text(CONFIG + "seed: 7\n")

    def seed(config: str, *overrides: str, is_run: bool = False) -> int:
        return config_or_own(config, overrides, print, is_run=is_run).config.seed

    assert [seed(name) for name in ("a", "checkpoints/a", "own.yaml", "iris_mlp")] == [5, 5, 7, 0]
    assert [seed(name, is_run=True) for name in ("a", "checkpoints/a", "iris_mlp")] == [5, 5, 6]
    assert seed("a", "seed=9") == 9
    Path("a").mkdir()
    Path("a/x.png").touch()
    with pytest.raises(DataError, match=r"^a: no class folder"):  # a folder of images, which comes first
        seed("a")
    with pytest.raises(CheckpointError, match=r"--run b: no such run"):
        seed("b", is_run=True)
    with pytest.raises(ConfigError, match=r"b: no such file and no shipped config"):
        seed("b")


def test_a_named_run_is_resumed_with_its_own_config(here: Path) -> None:
    make("checkpoints/a", CONFIG + "seed: 5\n")
    for name in ("a", "checkpoints/a"):
        folder, loaded = resumable(name, [], print)
        assert (folder.name, loaded.config.seed) == ("a", 5)


def test_a_shipped_config_resumes_the_newest_run_that_fits_for_as_many_epochs_as_that_has(here: Path) -> None:
    for name, age, overrides in (("xor_2", 2, []), ("xor_2-2", 1, ["epochs=7"]), ("xor_2-3", 0, ["seed=3"])):
        make(f"checkpoints/{name}", load_config("xor_2", overrides).config.to_yaml(), age)
    folder, loaded = resumable("xor_2", [], print)
    assert (folder.name, loaded.config.epochs) == ("xor_2-2", 7)
    for name in ("xor_2-2", "xor_2"):
        (Path("checkpoints") / name / "config.yaml").unlink()
    make("checkpoints/xor_2-4", CONFIG)
    assert resumable("xor_2", ["seed=3"], print)[0].name == "xor_2-3"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("n" * 300, r"n{100}\.\.\.: cannot be read \(File name too long\)"),
        ("loop", r"loop: cannot be read \(Too many levels of symbolic links\)"),
        ("fifo", "fifo: not a regular file; expected a YAML file"),
        ("dangling", "dangling: no such file"),
        ("", "CONFIG: no such file"),
    ],
)
def test_what_is_no_config_is_a_message(config: str, message: str, here: Path) -> None:
    Path("loop").symlink_to("loop")
    Path("dangling").symlink_to("gone")
    os.mkfifo("fifo")
    with pytest.raises((ConfigError, InputError), match=message):
        load_config(config)


def test_a_default_that_an_earlier_release_wrote_down_is_no_change() -> None:
    left_out = config_of(dataset={"name": "folder", "root": "a"})
    assert changes(left_out.with_dataset({"validation": 0.1}), left_out) == []
    assert changes(left_out.with_dataset({"validation": 0.2}), left_out) == [
        "dataset.validation: 0.2 when the run began, now 0.1"
    ]

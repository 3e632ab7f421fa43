"""Tests of the sdist, and of the wheel built from it, in an environment without the repository."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path

import pytest
from conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("distribution")]  # built once


def run(folder: Path, *command: str | Path) -> str:
    environment = {**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist, so that this has all that a build needs."""
    folder = tmp_path_factory.mktemp("dist")
    build = (sys.executable, "-m", "hatchling", "build", "-d", folder)
    run(ROOT, *build, "-t", "sdist")
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    run(folder / sdist.name.removesuffix(".tar.gz"), *build, "-t", "wheel")
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment with the wheel; torch and the like are those of this one."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=True)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / "python"
    run(folder, python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", wheel)
    purelib = Path(run(folder, python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (purelib / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_the_wheel_has_what_users_need(python: Path) -> None:
    listed = run(python.parent, python, "-c", "import nnclassify; print(nnclassify.__file__)").strip()
    package = Path(listed).parent
    assert ROOT not in package.parents
    names = ["py.typed", "schema.json", "configs/digits_cnn.yaml", "configs/rgb.csv", "configs/smoke/model_mlp.yaml"]
    assert [name for name in names if not (package / name).is_file()] == []
    metadata = next(package.parent.glob("nnclassify-*.dist-info"))
    assert (metadata / "licenses" / "LICENSE").is_file()


def test_the_installed_command_trains_a_shipped_config(python: Path, tmp_path: Path) -> None:
    command = python.with_name("nnclassify")
    assert "train" in run(tmp_path, command, "--help")
    run(tmp_path, command, "train", "rgb_csv", "--set", "epochs=1", "--no-plots")
    folder = tmp_path / "checkpoints" / "rgb_csv"
    assert (folder / "best.pt").is_file()
    (folder / "report.html").unlink()
    run(tmp_path, command, "report", "rgb_csv")
    assert "rgb_csv.yaml:" in (folder / "report.html").read_text(encoding="utf-8")

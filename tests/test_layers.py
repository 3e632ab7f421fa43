"""Tests of the import order of the package's folders: a module imports only from the folders above it.

The order is read from the source, so that a deferred import and one for type checkers alone count too.
"""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import pytest

PACKAGE = "nnclassify"
ROOT = Path(__file__).parent.parent
ROOMS = {
    "errors": "the error tree",
    "settings": "the base class of all options and the field types that they share",
    "seeds": "named random streams",
    "process": "whatever changes the process: signals, memory, threads, warnings",
    "device": "device, number type, memory format",
    "files": "bytes on disk: atomic writes, checked reading, the cache folder, shipped configs",
    "models": "what learns",
    "losses": "what is minimized",
    "schedulers": "the learning rate as a function of the step",
    "optim": "how weights change: optimizers, update rules, averaging",
    "data": "files to examples to batches",
    "evaluation": "outputs to figures: metrics, baselines",
    "config": "YAML to RunConfig",
    "compile": "one function, made fast",
    "distributed": "several processes, one batch",
    "training": "build, plan, step, trainer, history",
    "runs": "run folder, checkpoint, resume, recorders",
    "inference": "evaluate, predict, compare, plots",
    "diagnosis": "why a net does not learn, and the fix",
    "run": "the wiring of a training run, top to bottom",
    "sklearn": "the scikit-learn estimator",
    "serve": "a web page and an HTTP API",
    "tune": "a search for the values of a config that give the best validation figure",
    "lessons": "first networks that do not learn, and why",
    "__init__": "the front door: whatever it offers stands above it",
    "cli": "parse, call, print, exit code",
    "__main__": "`python -m nnclassify`",
}
"""What each room is for, in the order of imports."""
MAX_ENTRIES = 28
"""Modules and folders at the top of the package: 24, and a door each for scikit-learn, serve, tune, lessons."""

Imports = dict[str, set[str]]


def read_imports(root: Path) -> Imports:
    """What each module of the package imports, wherever in it the import stands."""
    sources = {_module_name(path.relative_to(root)): path for path in (root / PACKAGE).rglob("*.py")}
    return {module: _imported(module, path, set(sources)) - {module} for module, path in sources.items()}


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def _imported(module: str, path: Path, modules: set[str]) -> set[str]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            found |= {f"{source}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and node.value in modules:
            found.add(str(node.value))  # the argument of an `import_module`
    return {_owner(name, modules) for name in found if name.partition(".")[0] == PACKAGE}


def _owner(name: str, modules: set[str]) -> str:
    """The module that a dotted name is, or is in."""
    while name not in modules and name != PACKAGE:
        name = name.rpartition(".")[0]
    return f"{PACKAGE}.__init__" if name == PACKAGE else name


def _room(module: str) -> str:
    return module.split(".")[1]


def problems(imports: Imports) -> list[str]:
    """Modules outside any room, arrows that run up, and cycles inside a room."""
    order = list(ROOMS)
    outside = [f"{module}: in no room of ROOMS" for module in imports if _room(module) not in ROOMS]
    upward = [
        f"{module} imports {other}, which stands below it"
        for module, others in imports.items()
        for other in others
        if {_room(module), _room(other)} <= ROOMS.keys() and order.index(_room(other)) > order.index(_room(module))
    ]
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as cycle:
        return [*outside, *upward, "cycle: " + " -> ".join(cycle.args[1])]
    return outside + upward


def test_every_room_is_there_and_no_import_runs_up_or_in_a_circle() -> None:
    imports = read_imports(ROOT)
    assert {_room(module) for module in imports} == set(ROOMS)
    assert problems(imports) == []


def test_the_top_of_the_package_stays_small() -> None:
    entries = [path.name for path in (ROOT / PACKAGE).iterdir() if not path.name.startswith("__pycache__")]
    assert len(entries) <= MAX_ENTRIES, sorted(entries)


def test_tests_import_nothing_from_the_benchmarks() -> None:
    imports = re.compile(r"^\s*(from|import) benchmarks\b", re.MULTILINE)
    assert [path for path in (ROOT / "tests").rglob("*.py") if imports.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("module", "source", "problem"),
    [
        ("models/mlp", "from nnclassify.data import base", "nnclassify.models.mlp imports nnclassify.data"),
        ("models/mlp", "import nnclassify.data", "nnclassify.models.mlp imports nnclassify.data"),
        ("models/mlp", "def build():\n    from ..data import base", "nnclassify.models.mlp imports nnclassify.data"),
        ("models/mlp", "if TYPE_CHECKING:\n    import nnclassify.data as d", "nnclassify.models.mlp imports"),
        ("models/mlp", "import_module('nnclassify.data')", "nnclassify.models.mlp imports nnclassify.data"),
        ("models/mlp", "from nnclassify import train", "nnclassify.models.mlp imports nnclassify.__init__"),
        ("models/mlp", "from nnclassify import __version__", "nnclassify.models.mlp imports nnclassify.__init__"),
        ("data/base", "from nnclassify.data.rows import Row", "cycle: "),
        ("helpers", "", "nnclassify.helpers: in no room"),
    ],
)
def test_a_wrong_arrow_is_found(tmp_path: Path, module: str, source: str, problem: str) -> None:
    tree = {
        "__init__": "__version__ = '1'",
        "models/__init__": "from nnclassify.models.mlp import Mlp",
        "models/mlp": "",
        "data/__init__": "",
        "data/base": "",
        "data/rows": "from .base import Example\nfrom nnclassify.models import Mlp",
    }
    for name, text in tree.items():
        path = tmp_path / PACKAGE / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert problems(read_imports(tmp_path)) == []
    (tmp_path / PACKAGE / f"{module}.py").write_text(source)
    (found,) = problems(read_imports(tmp_path))
    assert found.startswith(problem)

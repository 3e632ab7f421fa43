"""Write the page about one run, or about several side by side, from their folders alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from nnclassify.data import Splits
from nnclassify.errors import CheckpointError
from nnclassify.files.atomic_write import write_text
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.compare import ComparedRun, compare
from nnclassify.inference.report.comparison import comparison_page
from nnclassify.inference.report.contents import RunContents, read_run
from nnclassify.inference.report.examples import save_examples
from nnclassify.inference.report.scored import read_scored
from nnclassify.inference.report.sections import SECTIONS, page_data, sections
from nnclassify.inference.report.templating import rendered
from nnclassify.process import preserve_process_state
from nnclassify.runs.folder import CHECKPOINTS, RunFolder, find_checkpoint, group_runs, named_group, named_run


@preserve_process_state()
def write_report(
    runs: Sequence[str],
    out: Path | None = None,
    root: Path = CHECKPOINTS,
    note: Callable[[str], None] = lambda text: None,
) -> Path:
    """Write the page about a run, or about several side by side, from their folders alone, and return its path.

    Args:
        runs: Names of runs, of groups of runs, run folders or checkpoint files; none: the newest run.
        out: The file to write; None: `report.html` in the folder of the run or the group, or of several in the root.
        root: The folder of the runs.
        note: Called with a line about which run was chosen, and with each damaged file.

    Raises:
        CheckpointError: There is no such run.
        SaveError: The page could not be written.
    """
    groups = [named_group(run, root) for run in runs]
    folders = _folders(runs, groups, root, note)
    if len(folders) == 1:
        return save_report(folders[0], out=out)
    where = groups[0] if len(groups) == 1 else root
    path = out or (where if where is not None and where.is_dir() else Path()) / "report.html"
    write_text(path, comparison_page([read_run(folder) for folder in folders], _compared(folders, note)))
    return path


def _folders(
    runs: Sequence[str], groups: Sequence[Path | None], root: Path, note: Callable[[str], None]
) -> list[RunFolder]:
    """Return the folders of the runs, with the runs of a group in place of the group; of the newest run if none."""
    if not runs:
        return [run_folder(None, root, note)]
    members = [None if group is None else group_runs(group) for group in groups]
    return [
        folder for run, those in zip(runs, members, strict=True) for folder in those or [run_folder(run, root, note)]
    ]


def _compared(folders: Sequence[RunFolder], note: Callable[[str], None]) -> list[ComparedRun]:
    """Return the runs as `nnclassify compare` has them; none if one of them has no `best.pt` yet."""
    if not all(folder.best.is_file() for folder in folders):
        return []
    return compare([str(folder.best) for folder in folders], note)


def run_folder(run: str | None, root: Path, note: Callable[[str], None]) -> RunFolder:
    """Return the folder of a run, which may have no `best.pt` yet.

    Raises:
        CheckpointError: There is no such run.
    """
    if run is not None and (folder := named_run(run, root)) is not None:
        return folder
    folder = RunFolder(find_checkpoint(run, root, note).parent)
    if not folder.config.is_file() and not folder.result.is_file():
        raise CheckpointError(f"{folder.path}: contains no config.yaml; expected a run folder")
    return folder


def save_report(
    folder: RunFolder,
    splits: Splits | None = None,
    out: Path | None = None,
    classifier: Classifier | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> Path:
    """Write the page about a run, and return its path.

    Args:
        folder: The folder of the run; nothing else is read.
        splits: Its data, if at hand: small images or values of some examples are then kept in `examples.json`, so that
            the page can be made again without the data.
        out: The file to write; None: `report.html` in the folder.
        classifier: Its network, if at hand with its data.
        note: Called with what could not be kept of the data, on one line.

    Raises:
        SaveError: A file could not be written.
    """
    scored = read_scored(folder.predictions)
    examples = None if splits is None else save_examples(folder.examples, scored, splits, classifier, note)
    path = out or folder.report
    write_text(path, run_page(read_run(folder, examples, scored)))
    return path


def run_page(run: RunContents) -> str:
    """Return the page about one run as HTML."""
    views = sections(run)
    return rendered("run.html.j2", f"{views['run_name']} - nnclassify report", SECTIONS, page_data(run, views), views)

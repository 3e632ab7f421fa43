"""Train the runs of a group, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from nnclassify.config.run_config import LoadedConfig
from nnclassify.errors import Interrupted, NNClassifyError, TrainingError, shell_command
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.group_summary import Summary, summarized
from nnclassify.runs.groups import Group


class TrainRun(Protocol):
    """Trains a run."""

    def __call__(self, loaded: LoadedConfig, /, *, resume: RunFolder | None, into: RunFolder) -> object:
        """Train a config: continue the run `resume`, or start one in the folder `into`."""


def train_runs(group: Group, overrides: Sequence[str], train_run: TrainRun, note: Callable[[str], None]) -> Summary:
    """Train the runs of a group that have not finished. A run that fails does not stop the others.

    Args:
        group: The group.
        overrides: The overrides for runs that have begun.
        train_run: Trains a run.
        note: Called with the name of each run before it is trained, and with the error of each run that fails.

    Raises:
        Interrupted: A signal stopped a run; everything is saved.
    """
    failed: dict[str, str] = {}
    with RunFolder(group.path).locked():
        group.write()
        for number, run in enumerate(group.runs, 1):
            folder = group.folder(run)
            if folder.result.is_file() and group.keeps_configs and not overrides:
                note(f"{folder.name} ({number} of {len(group.runs)}): already finished")
                continue
            note(f"{folder.name} ({number} of {len(group.runs)})")
            begun = folder if folder.started_at() is not None else None
            try:
                train_run(group.config(run, overrides), resume=begun, into=group.create_folder(run))
            except TrainingError as error:
                failed[run] = str(error)
                note(f"error: {folder.name}: {error}")
            except Interrupted as stopped:
                text = f"interrupted; continue with: {shell_command('train', '--resume', group.path.name)}"
                raise Interrupted(f"{folder.name}: {text}", stopped.exit_code - 128) from None
            except NNClassifyError:  # bad input: as with one run, nothing is left behind
                group.remove_if_unbegun()
                raise
        return summarized(group, failed)


def check_all_trained(summary: Summary) -> None:
    """Check that no run of a group has failed.

    Raises:
        TrainingError: One has; the others are trained.
    """
    if failed := summary.failed:
        num_runs = len({*summary.runs, *failed})
        raise TrainingError(f"{summary.group}: {len(failed)} of {num_runs} runs have failed: {', '.join(failed)}")

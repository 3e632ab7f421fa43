"""The work of `nnclassify check`, without the printing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nnclassify.config.run_config import load_config
from nnclassify.diagnosis.check import Diagnosis, diagnose
from nnclassify.diagnosis.fix import refuse_existing, write_fixed
from nnclassify.diagnosis.report import DiagnosisFigures, diagnosis_text, figures, fix_text
from nnclassify.files.atomic_write import save_error
from nnclassify.files.json_files import write_json
from nnclassify.runs.folder import RunFolder


@dataclass(frozen=True)
class Checked:
    """A checked config, which can be shown as text or as JSON.

    Attributes:
        diagnosis: What was found.
        fix: The file to write the changed config to, if any.
        lr_range: The file to plot the range test to, if any.
    """

    diagnosis: Diagnosis
    fix: Path | None
    lr_range: Path | None

    def text(self, *, verbose: bool, color: bool) -> str:
        """Return the diagnosis as text for the terminal."""
        text = diagnosis_text(self.diagnosis, verbose=verbose, color=color)
        if self.lr_range is not None and self.diagnosis.rates is None:
            text += f"\n{self.lr_range}: not drawn; this config could not be trained at several rates here"
        return text if self.fix is None else f"{text}\n{fix_text(self.diagnosis, self.fix)}"

    def figures(self) -> DiagnosisFigures:
        """Return the diagnosis as a JSON object."""
        return figures(self.diagnosis, self.fix, self.lr_range)

    def save(self, folder: Path) -> None:
        """Write the diagnosis into a folder, which is created if it is not there.

        Raises:
            SaveError: It cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as cause:
            raise save_error(folder, cause) from cause
        write_json(RunFolder(folder).check, self.figures())

    @property
    def exit_code(self) -> int:
        """4 if there is a fault, otherwise 0."""
        return 4 if self.diagnosis.has_fault else 0


def check(
    config: str, overrides: Sequence[str], fix: Path | None, lr_range: Path | None = None, minutes: float = 1.0
) -> Checked:
    """Diagnose a config, write the changes that helped to `fix`, and plot the learning-rate range test to `lr_range`.

    Raises:
        ConfigError, ModelError, DeviceError: The config is wrong, or does not fit its data.
        InputError: A file is there already.
        SaveError: A file cannot be written.
    """
    loaded = load_config(config, overrides)
    for option, target in (("--fix", fix), ("--lr-range", lr_range)):
        if target is not None:
            refuse_existing(option, target)
    if lr_range is not None:
        from nnclassify.inference.plots.figures import format_of  # matplotlib takes as long to import as a check

        format_of(lr_range)
    diagnosis = diagnose(loaded, minutes)
    if fix is not None and diagnosis.change:
        write_fixed(loaded, fix, diagnosis.change)
    if lr_range is not None and diagnosis.rates is not None:
        from nnclassify.diagnosis.range_plot import save_range_test

        save_range_test(diagnosis.rates, loaded.config.optimizer.lr, lr_range)
    return Checked(diagnosis, fix, lr_range)

"""The command `predict`: classes of inputs, which are read, classified and written in batches."""

from __future__ import annotations

import csv
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnclassify.cli.options import (
    INCAUTIOUS,
    CautionOptions,
    DeviceOption,
    JsonOption,
    SetOption,
    TrustOption,
    complete_run,
    find_run,
    load_noted,
    takes_options,
)
from nnclassify.cli.outputs import check_output, check_plot
from nnclassify.cli.printing import note, print_json_list
from nnclassify.cli.streams import is_terminal
from nnclassify.errors import InputError, Interrupted, counted, printable, suggestion
from nnclassify.files.csv_cells import write_csv
from nnclassify.process import stop_on_signals

if TYPE_CHECKING:
    from nnclassify.cli.progress import PredictionBar
    from nnclassify.inference.classifier import Classifier
    from nnclassify.inference.image_copies import ImageCopies
    from nnclassify.inference.inputs import FileContent
    from nnclassify.inference.predict import Caution, Prediction


def _not_options(context: typer.Context, inputs: list[str]) -> list[str]:
    """Refuse words that start with `-` unless they are values or files: they are misspelled options."""
    for text in inputs:
        if text.startswith("-") and not _NEGATIVE.match(text) and not os.path.lexists(text):
            known = [name for parameter in context.command.params for name in parameter.opts if name[0] == "-"]
            hint = suggestion(text, known)
            raise InputError(f"{text}: no such option and no such file{hint}; see `nnclassify predict --help`")
    return inputs


_NEGATIVE = re.compile(r"-(\d|\.\d|inf|nan|$|,)", re.IGNORECASE)
"""The start of a list of values that begins with a negative one, or `-`; `-,1` is reported as a bad value."""
STDIN = "-"
"""The input that stands for the file on stdin."""

InputsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT",
        help="Images, folders, CSV or tensor files, - for a file on stdin, or values such as -1.5,2,3; also overrides "
        "(KEY=VALUE).",
        callback=_not_options,
    ),
]
NewestRunOption = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="RUN",
        help="A run under checkpoints/, a run folder or a checkpoint file. Default: the newest run.",
        autocompletion=complete_run,
    ),
]
TopKOption = Annotated[
    int,
    typer.Option("--top-k", metavar="K", min=1, help="Number of classes to print per input, most probable first."),
]
CsvOption = Annotated[
    bool,
    typer.Option(
        "--csv", help="Print CSV to stdout. Names that a spreadsheet would run as formulas start with an apostrophe."
    ),
]
SaveCsvOption = Annotated[
    Path | None, typer.Option("--save-csv", metavar="FILE", help="Write what --csv prints to a file.")
]
CopyToOption = Annotated[
    Path | None,
    typer.Option("--copy-to", metavar="DIR", help="Copy each image to DIR/<predicted class>/, overwriting none."),
]


HeatmapOption = Annotated[
    Path | None,
    typer.Option(
        "--heatmap", metavar="FILE", help="Draw where the first 12 images show evidence for their predictions."
    ),
]


@takes_options
def predict(
    inputs: InputsArgument,
    run: NewestRunOption = None,
    top_k: TopKOption = 1,
    overrides: SetOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    save_csv: SaveCsvOption = None,
    copy_to: CopyToOption = None,
    heatmap: HeatmapOption = None,
    cautious: CautionOptions = INCAUTIOUS,
    trust: TrustOption = False,
) -> None:
    """Predict the classes of inputs with a trained classifier.

    Inputs unlike the training data are marked. With --save-csv or --copy-to, prints the number of inputs of each class.
    """
    if sum((as_json, as_csv, save_csv is not None)) > 1:
        raise InputError("--json, --csv and --save-csv: choose one")
    from nnclassify.cli.overrides import inputs_and_overrides

    inputs, changes = inputs_and_overrides(inputs, overrides)
    check_output("--save-csv", save_csv, "predictions.csv", inputs)
    check_plot("--heatmap", heatmap, "heatmap.png", inputs)
    classifier = _predicting_classifier(run, device, changes, top_k)
    caution = cautious.of(classifier)
    if heatmap is not None:
        from nnclassify.inference.plots.attribution import save_input_heatmaps

        save_input_heatmaps(heatmap, classifier, inputs)
    copies = _copies(copy_to, classifier, inputs)
    is_summary = not (as_json or as_csv) and (save_csv or copies) is not None
    passage = _Passage(copies, _bar(len(inputs)) if is_summary or not is_terminal(sys.stdout) else None)
    predictions = passage.through(classifier, _with_stdin(inputs), top_k, caution)
    if as_json:
        print_json_list("predictions", (prediction.figures() for prediction in predictions), "predict")
    else:
        _write_predictions(predictions, save_csv, as_csv=as_csv, quiet=is_summary)
    if is_summary:
        print(passage.summary(classifier.class_names, save_csv))
    if passage.num_errors:
        raise typer.Exit(InputError.exit_code)


def _with_stdin(inputs: Sequence[str]) -> list[str | FileContent]:
    """Return the inputs, with what stdin holds in place of `-`.

    Raises:
        InputError: Stdin cannot be read, or is wanted twice.
    """
    from nnclassify.inference.inputs import FileContent

    if STDIN not in inputs:
        return [*inputs]
    if inputs.count(STDIN) > 1:
        raise InputError("-: stands for stdin, which can be read only once")
    if sys.stdin is None:  # where the shell has closed it
        raise InputError("-: stdin is closed; expected a file")
    try:
        content = sys.stdin.buffer.read()
    except OSError as error:
        raise InputError(f"-: stdin cannot be read ({error.strerror or error}); expected a file") from error
    return [FileContent("stdin", content) if text == STDIN else text for text in inputs]


@dataclass
class _Passage:
    """What happens to each prediction on its way from the network to the output.

    Attributes:
        copies: Where images are copied to, or None.
        bar: The progress bar, or None.
        counts: The number of inputs of each predicted class.
        num_inputs: The number of inputs that could be read.
        num_errors: The number of inputs that could not be read.
        num_unsure: The number of unsure predictions.
        num_unlike: The number of inputs unlike the training data.
        stop_signals: The signals that ask to stop.
    """

    copies: ImageCopies | None
    bar: PredictionBar | None
    counts: Counter[str] = field(default_factory=Counter)
    num_inputs: int = 0
    num_errors: int = 0
    num_unsure: int = 0
    num_unlike: int = 0
    stop_signals: list[int] = field(default_factory=list)

    def through(
        self, classifier: Classifier, inputs: Sequence[str | FileContent], top_k: int, caution: Caution
    ) -> Iterator[Prediction]:
        """Yield the predictions for inputs, copy their images, and print the errors and the progress."""
        from nnclassify.inference.classifier import predict as predict_each

        say, found = (note, lambda count: None) if self.bar is None else (self.bar.note, self.bar.found)
        try:
            with stop_on_signals(self.stop_signals.append):
                for prediction in predict_each(classifier, inputs, top_k, say, found, caution):
                    self._take(prediction, say)
                    yield prediction
        finally:
            if self.bar is not None:
                self.bar.close()

    def _take(self, prediction: Prediction, say: Callable[[str], None]) -> None:
        """Count, copy and show one prediction; raise `Interrupted` after a signal, between two predictions."""
        if self.stop_signals:
            raise Interrupted(f"interrupted after {counted(self.num_inputs, 'input')}", self.stop_signals[0])
        self.num_errors += prediction.error is not None
        self.num_inputs += prediction.error is None
        self.num_unsure += prediction.unsure is True
        self.num_unlike += prediction.unlike is True
        self.counts.update(prediction.predicted)
        if prediction.error is not None:
            say(f"error: {prediction.error}")
        if self.copies is not None:
            self.copies.add(prediction)
        if self.bar is not None:
            self.bar.advance()

    def summary(self, class_names: Sequence[str], saved: Path | None) -> str:
        """Return the number of inputs of each class, and where they are written to."""
        shares = ", ".join(f"{name} {self.counts[name]:,}" for name in class_names if self.counts[name])
        unsure = f"; unsure {self.num_unsure:,}" if self.num_unsure else ""
        lines = [f"{counted(self.num_inputs, 'input')}: {shares or 'none'}{unsure}"]
        if self.num_unlike:
            lines.append(f"unlike the training data: {counted(self.num_unlike, 'input')}")
        if saved is not None:
            lines.append(f"predictions: {saved}")
        if self.copies is not None:
            lines.append(f"copied: {counted(self.copies.num_copied, 'image')} to {self.copies.folder}")
            if uncopied := self.copies.num_uncopied:
                lines.append(f"not copied: {counted(uncopied, 'input')} (no image file, or no predicted class)")
        return "\n".join(map(printable, lines))


def _bar(num_inputs: int) -> PredictionBar | None:
    """Return the progress bar; None if nobody would see it."""
    from nnclassify.cli.progress import PredictionBar

    return PredictionBar(num_inputs) if is_terminal(sys.stderr) else None


def _copies(folder: Path | None, classifier: Classifier, inputs: Sequence[str]) -> ImageCopies | None:
    """Prepare to copy images, before anything is predicted."""
    if folder is None:
        return None
    if classifier.transform.image_format is None:
        raise InputError(f"--copy-to {folder}: this network takes no images, so there are none to copy")
    from nnclassify.inference.image_copies import ImageCopies

    return ImageCopies(folder, classifier.class_names, inputs)


def _predicting_classifier(run: str | None, device: str, overrides: list[str], top_k: int) -> Classifier:
    """Load the classifier of a run, with overrides of how inputs are read."""
    classifier = load_noted(find_run(run), device, overrides, to_predict=True)
    if classifier.is_multi_hot and top_k > 1:
        raise InputError(
            "--top-k: with multi-hot targets each class is predicted independently; --json and --csv list all"
        )
    return classifier


def _write_predictions(predictions: Iterable[Prediction], save_csv: Path | None, *, as_csv: bool, quiet: bool) -> None:
    """Save rows of CSV, or print them or a line per prediction, as the predictions come."""
    from nnclassify.cli.text import prediction_line, prediction_rows

    known = (prediction for prediction in predictions if prediction.error is None)
    if save_csv is not None:
        write_csv(save_csv, prediction_rows(predictions))
    elif quiet:
        for _ in known:
            pass
    elif not as_csv:
        for prediction in known:
            print(prediction_line(prediction))
    elif (first := next(known, None)) is not None:
        rows = csv.writer(sys.stdout, lineterminator="\n")
        rows.writerows(prediction_rows(chain([first], known)))

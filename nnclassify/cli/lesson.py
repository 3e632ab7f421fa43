"""The command `lesson`: first networks that do not learn, shown one by one, or written as a site."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnclassify.cli.options import JsonOption, takes_options
from nnclassify.cli.printing import note, print_json, print_result
from nnclassify.cli.streams import has_color
from nnclassify.errors import InputError, counted, printable

if TYPE_CHECKING:
    from nnclassify.diagnosis.check import Diagnosis
    from nnclassify.lessons.pages import Lesson
    from nnclassify.lessons.training import Epoch, Trained

NUM_LINES = 12
"""Number of epochs of a run that are shown."""


def complete_lesson(incomplete: str) -> list[str]:
    """Return the lessons that start with `incomplete`, for shell completion."""
    from nnclassify.lessons.pages import contents

    names = [name for chapter in contents().chapters for name in chapter.lessons]
    return [name for name in names if name.startswith(incomplete)]


@dataclass(frozen=True)
class Telling:
    """How a lesson is shown."""

    quiz: Annotated[bool, typer.Option("--quiz", help="Ask for the cause before revealing it.")] = False
    hints: Annotated[
        int | None, typer.Option("--hints", metavar="N", min=0, help="Print N hints at once, without waiting.")
    ] = None
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="OUT.png", help="Save the curves of both runs as an image.")
    ] = None

    def given(self) -> list[str]:
        """Return the options that are given."""
        options = {"--quiz": self.quiz, "--hints": self.hints is not None, "--plot": self.plot is not None}
        return [option for option, is_given in options.items() if is_given]


UNPROMPTED = Telling()


@takes_options
def lesson(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="LESSON",
            help="The name or number of a lesson. Default: list all.",
            autocompletion=complete_lesson,
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Write all lessons as a site; needs --out.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Write the site, or the configs and data of one lesson."),
    ] = None,
    telling: Telling = UNPROMPTED,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, max=2**31, help="Added to the seeds of the configs.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Learn from a network that does not learn.

    Trains a broken config and its fixed twin, gives hints, and shows what `check` finds. Takes seconds.
    """
    from nnclassify.lessons.pages import find_lesson

    _check_options(name, out, telling.given(), every=every, as_json=as_json)
    if name is None:
        _course(out, seed, as_json=as_json)
        return
    found = find_lesson(name)
    if telling.plot is not None:
        _check_plot(telling.plot)
    if out is not None:
        _copy(found, out, as_json=as_json)
    elif as_json:
        from nnclassify.lessons.outcome import outcome

        told = outcome(found, seed)
        saved = _save_plot(found, told.broken, told.fixed, telling.plot)
        print_json({**told.figures(), "plot": saved}, "lesson")
    else:
        _tell(found, seed, telling)


def _check_options(name: str | None, out: Path | None, given: list[str], *, every: bool, as_json: bool) -> None:
    """Refuse options that would have no effect."""
    if every and name is not None:
        raise InputError(f"--all and {name}: use one or the other")
    if every and out is None:
        raise InputError("--all: needs --out FOLDER, where the site is written; without --all, lessons are listed")
    if out is not None and name is None and not every:
        raise InputError("--out: needs a LESSON, whose files are written, or --all for a site")
    if given and (name is None or out is not None):
        raise InputError(f"{given[0]}: needs a LESSON to show; {'remove --out' if out else 'name one'}")
    if as_json and {"--quiz", "--hints"}.intersection(given):
        raise InputError("--json: has the question and all hints; remove --quiz and --hints")


def _check_plot(plot: Path) -> None:
    """Refuse, before seconds of training, an image that cannot be saved."""
    from nnclassify.diagnosis.fix import refuse_existing
    from nnclassify.inference.plots.figures import format_of

    refuse_existing("--plot", plot)
    format_of(plot)


def _course(out: Path | None, seed: int, *, as_json: bool) -> None:
    """Write the site, or list the lessons."""
    from nnclassify.lessons.pages import lessons, listing

    if out is not None:
        from nnclassify.lessons.site import write_site

        index = write_site(out, seed, note)
        text = f"{index}: {counted(len(lessons()), 'lesson')}"
        told = {"index": str(index), "lessons": [*lessons()]}
        print_result(told, "lesson-site", lambda: printable(text), as_json=as_json)
    else:
        rows = [
            {"number": one.number, "name": one.name, "chapter": one.chapter, "title": one.front.title}
            | {"summary": one.front.summary, "finding": one.front.finding, "found_by": one.front.found_by}
            for one in lessons().values()
        ]
        print_result({"lessons": rows}, "lessons", listing, as_json=as_json)


def _copy(lesson: Lesson, out: Path, *, as_json: bool) -> None:
    from nnclassify.lessons.site import copy_files

    written = copy_files(lesson, out)
    if as_json:
        print_json({"files": [str(path) for path in written]}, "lesson-files")
        return
    print(printable(f"written: {', '.join(str(path) for path in written)}"))
    trust = " --trust" if any(path.suffix == ".py" for path in written) else ""
    print(printable(f"try it: cd {out} && nnclassify check broken.yaml{trust}"))


def _tell(lesson: Lesson, seed: int, telling: Telling) -> None:
    """Tell a lesson: the broken config, both runs, hints, the cause, and the fix."""
    from nnclassify.lessons.curves import curves_of, text_plot
    from nnclassify.lessons.outcome import check_config
    from nnclassify.lessons.text import config_text, heading, markdown_text

    print(f"{heading(lesson, color=has_color())}\n\n{markdown_text(lesson.story)}\n")
    for path in lesson.broken_files():
        print(f"{path.name}\n\n{config_text(path.read_text(encoding='utf-8'))}\n")
    broken = _trained(lesson, "broken", seed)
    fixed = _trained(lesson, "fixed", seed)
    print(text_plot(curves_of(lesson, broken[0], fixed[0])[0]))
    if (saved := _save_plot(lesson, broken, fixed, telling.plot)) is not None:
        print(printable(f"plot: {saved}"))
    print()
    _print_section(lesson, "What you see")
    if telling.quiz:
        _ask(lesson)
    _give_hints(lesson, telling.hints)
    _reveal(lesson, broken, check_config(lesson, seed))
    _say_if_unexpected(lesson, broken, fixed)


def _trained(lesson: Lesson, kind: str, seed: int) -> list[Trained]:
    """Train before the reader's eyes."""
    from nnclassify.lessons.outcome import result_text
    from nnclassify.lessons.training import train_seeds

    which = "the config above" if kind == "broken" else "its healthy twin, which differs in the cause alone"
    print(f"Training {which}:")
    runs = train_seeds(lesson, kind, seed, _print_epoch)
    print(f"  {printable(result_text(lesson, runs))}\n")
    return runs


def _print_epoch(epoch: Epoch, num_epochs: int) -> None:
    """Print the first and the last epoch, and evenly spaced ones between them."""
    from nnclassify.lessons.curves import progress_bar

    every = -(-num_epochs // NUM_LINES)
    if epoch.epoch == 1 or (num_epochs - epoch.epoch) % every == 0:
        name, share = ("test", epoch.test) if epoch.new is None else ("new data", epoch.new)
        where = f"epoch {epoch.epoch:>{len(str(num_epochs))}}/{num_epochs}"
        print(f"  {where}  training loss {epoch.loss:<9.4g} {name} {progress_bar(share)}", flush=True)


def _print_section(lesson: Lesson, title: str) -> None:
    from nnclassify.lessons.text import section_text

    print(section_text(title, lesson.sections[title], color=has_color()) + "\n")


def _ask(lesson: Lesson) -> None:
    """Ask for the cause until it is found, or the input ends."""
    from nnclassify.lessons.text import question_text, verdict_text

    print(question_text(lesson))
    choices = lesson.front.choices
    numbers = {str(number): choice for number, choice in enumerate(choices, 1)}
    while (answer := _line(f"Your answer (1 to {len(choices)}): ")) is not None:
        choice = numbers.get(answer.strip())
        if choice is None:
            print(f"Please answer with a number from 1 to {len(choices)}.")
            continue
        print(verdict_text(choice, color=has_color()))
        if choice.right:
            break
    print()


def _line(prompt: str) -> str | None:
    """Ask for a line of input; None at its end."""
    try:
        answer = input(prompt)
    except EOFError:
        print()
        return None
    if not sys.stdin.isatty():
        print(printable(answer))  # as it would stand there if it had been typed
    return answer


def _give_hints(lesson: Lesson, number: int | None) -> None:
    """Give hints one at a time, at the press of Enter; all at once where nobody can press it."""
    from nnclassify.lessons.text import markdown_text

    hints = lesson.front.hints if number is None else lesson.front.hints[:number]
    waits = number is None and sys.stdin.isatty()
    for place, hint in enumerate(hints, 1):
        if waits and _line(f"Enter for hint {place} of {len(hints)}, or s to skip the hints: ") not in ("", " "):
            break
        print(markdown_text(f"Hint {place}: {hint}"))
    if waits:
        _line("Enter for what the tool finds, and the fix: ")
    print()


def _reveal(lesson: Lesson, broken: list[Trained], diagnosis: Diagnosis) -> None:
    """Show what the tool finds, why, and the fix."""
    from nnclassify.lessons.outcome import command_text
    from nnclassify.lessons.text import config_text, diff_text

    command = {"check": "nnclassify check broken.yaml", "train": "nnclassify train broken.yaml, at its end"}
    print(f"{command[lesson.front.found_by]}:\n")
    print(config_text(command_text(lesson, broken, diagnosis, color=has_color())) + "\n")
    for title in ("Why", "How to recognize it", "The fix"):
        _print_section(lesson, title)
    print(diff_text(lesson.diff(), color=has_color()) + "\n")
    _print_section(lesson, "Further reading")


def _say_if_unexpected(lesson: Lesson, broken: list[Trained], fixed: list[Trained]) -> None:
    """Say so if the runs do not show what the lesson says: with another seed or machine they may not."""
    front = lesson.front
    if not (broken[0].figure < front.broken_below and fixed[0].figure > front.fixed_above):
        note("with this seed, the two runs do not show what the lesson is about; try another --seed")


def _save_plot(lesson: Lesson, broken: list[Trained], fixed: list[Trained], plot: Path | None) -> str | None:
    if plot is None:
        return None
    from nnclassify.lessons.curves import curves_of, save_curves

    return str(save_curves(lesson.front.title, curves_of(lesson, broken[0], fixed[0]), plot))

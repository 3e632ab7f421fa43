"""What became of a lesson: both networks trained, and the cause looked for with the tool's own commands."""

from __future__ import annotations

import time
from dataclasses import dataclass

from typing_extensions import TypedDict  # pydantic requires it before Python 3.12

from nnclassify.diagnosis.check import Diagnosis, diagnose
from nnclassify.diagnosis.findings import Finding
from nnclassify.diagnosis.report import DiagnosisFigures, diagnosis_text, findings_text
from nnclassify.diagnosis.report import figures as diagnosis_figures
from nnclassify.evaluation.percent import percent
from nnclassify.files.python_source import trusting
from nnclassify.lessons.pages import Choice, Lesson
from nnclassify.lessons.training import Epoch, Trained, load, train_seeds


class LessonRuns(TypedDict):
    """A config of a lesson, trained with each seed: the worst figure, the bar it is held to, and its epochs."""

    figure: float
    bar: float
    as_expected: bool
    seeds: dict[str, float]
    error: str | None
    epochs: list[Epoch]


class LessonFigures(TypedDict):
    """A lesson, trained: the broken config and the fixed one."""

    number: int
    name: str
    title: str
    measure: str
    metric: str
    seed: int
    broken: LessonRuns
    fixed: LessonRuns
    finding: str | None
    found_by: str | None
    cause_is_named: bool
    check: DiagnosisFigures
    hints: list[str]
    question: str
    choices: list[Choice]
    diff: list[str]
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What became of a lesson.

    Attributes:
        lesson: The lesson.
        seed: What was added to the seeds of the configs.
        broken: The networks of the broken config, the worst first.
        fixed: The networks of the fixed config, the worst first.
        diagnosis: What `check` finds in the broken config.
        seconds: The processor time of all three.
    """

    lesson: Lesson
    seed: int
    broken: list[Trained]
    fixed: list[Trained]
    diagnosis: Diagnosis
    seconds: float

    @property
    def broken_fails(self) -> bool:
        """Whether the broken config stays below its bar."""
        return self.broken[0].figure < self.lesson.front.broken_below

    @property
    def fixed_learns(self) -> bool:
        """Whether the fixed config gets above its bar."""
        return self.fixed[0].figure > self.lesson.front.fixed_above

    @property
    def cause_is_named(self) -> bool:
        """Whether its command reports the finding of the page; without one, whether `check` finds no fault."""
        if self.lesson.front.finding is None:
            return not self.diagnosis.has_fault
        return any(finding.id == self.lesson.front.finding for finding in self.findings)

    @property
    def findings(self) -> list[Finding]:
        """The findings of the command that finds the cause."""
        return self.diagnosis.findings if self.lesson.front.found_by == "check" else list(self.broken[0].findings)

    def figures(self) -> LessonFigures:
        """Return the outcome for JSON."""
        front = self.lesson.front
        return {
            "number": self.lesson.number,
            "name": self.lesson.name,
            "title": front.title,
            "measure": front.measure,
            "metric": front.metric,
            "seed": self.seed,
            "broken": _runs_state(self.broken, front.broken_below, passed=self.broken_fails),
            "fixed": _runs_state(self.fixed, front.fixed_above, passed=self.fixed_learns),
            "finding": front.finding,
            "found_by": front.found_by,
            "cause_is_named": self.cause_is_named,
            "check": diagnosis_figures(self.diagnosis),
            "hints": front.hints,
            "question": front.question,
            "choices": front.choices,
            "diff": self.lesson.diff(),
            "seconds": self.seconds,
        }


def _runs_state(runs: list[Trained], bar: float, *, passed: bool) -> LessonRuns:
    worst = runs[0]
    return {
        "figure": worst.figure,
        "bar": bar,
        "as_expected": passed,
        "seeds": {str(one.seed): one.figure for one in runs},
        "error": worst.error,
        "epochs": worst.epochs,
    }


def check_config(lesson: Lesson, seed: int) -> Diagnosis:
    """Look for the cause in the broken config, as `nnclassify check` does."""
    with trusting(True):  # as `train_seeds` does
        return diagnose(load(lesson, "broken", seed))


def outcome(lesson: Lesson, seed: int = 0) -> Outcome:
    """Train both configs of a lesson, and check the broken one."""
    started = time.process_time()
    broken, fixed = (train_seeds(lesson, kind, seed) for kind in ("broken", "fixed"))
    diagnosis = check_config(lesson, seed)
    return Outcome(lesson, seed, broken, fixed, diagnosis, time.process_time() - started)


def result_text(lesson: Lesson, runs: list[Trained]) -> str:
    """Say what a config reached, in words."""
    worst, front = runs[0], lesson.front
    if worst.error is not None:
        return f"training stopped: {worst.error}"
    last = worst.epochs[-1]
    if last.new is not None:
        kept = f"{percent(worst.figure)} of the promise is kept"
        return f"test accuracy {percent(last.test)}, {percent(last.new)} on new data: {kept}"
    metric = front.metric.replace("_", " ")
    name = {"counted": f"{metric} as the script counts it", "one_by_one": f"{metric}, one example at a time"}
    by_seed = sorted(runs, key=lambda one: one.seed)
    figures = ", ".join(percent(one.figure) for one in by_seed)
    seeds = f" with seeds {by_seed[0].seed} to {by_seed[-1].seed}" if len(runs) > 1 else ""
    return f"{name.get(front.measure, f'test {metric}')} {figures}{seeds}"


def command_text(lesson: Lesson, broken: list[Trained], diagnosis: Diagnosis, *, color: bool) -> str:
    """Return what the command that finds the cause prints."""
    if lesson.front.found_by == "check":
        return diagnosis_text(diagnosis, verbose=False, color=color)
    return findings_text(broken[0].findings, color=color)

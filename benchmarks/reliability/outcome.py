"""What one test counted."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Outcome:
    """A test's counts.

    Attributes:
        name: Such as `R1`.
        what: What was done, in words.
        done: Cases that were right.
        cases: Cases that were tried.
        failures: What went wrong, a line each.
        remark: What the counts do not say.
    """

    name: str
    what: str
    done: int = 0
    cases: int = 0
    failures: list[str] = field(default_factory=list)
    remark: str = ""

    def count(self, problem: str | None) -> None:
        """One more case; `problem` is what went wrong, None where nothing did."""
        self.cases += 1
        if problem is None:
            self.done += 1
        else:
            self.failures.append(problem)

"""The counts of one test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

SHOWN_FAILURES = 20


@dataclass
class Outcome:
    """A test's counts.

    Attributes:
        record: Records a property of the test, for the table at the end.
        done: Cases that were right.
        cases: Cases that were tried.
        failures: What went wrong, a line each.
        remark: What the counts do not say.
    """

    record: Callable[[str, object], None]
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

    def check(self) -> None:
        """Record the counts; fail the test unless there were cases and all of them were right."""
        self.record("done", f"{self.done:,} of {self.cases:,}")
        self.record("remark", self.remark)
        if self.failures or self.done < self.cases or not self.cases:
            found = "\n".join(self.failures[:SHOWN_FAILURES])
            pytest.fail(f"{self.done:,} of {self.cases:,}, {len(self.failures)} failures\n{found}", pytrace=False)

"""A page of the documents: its blocks of code, its images, and what its output is compared with.

A reader sees none of these marks, which stand in a comment of their own before a block or a heading:

- `<!-- needs: data/MNIST -->`: up to the next heading, run only with that path in the root of the repository, or that
  program
- `<!-- before: COMMAND -->`: a command that the reader is taken to have run before the block
- `<!-- output: of your data -->`: the block is run on stand-ins for the reader's data, so its output is not compared

A block with a title is a file of that name. An image with a title is a copy of the file that its title names, which the
commands of its page write.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w*)(?: title=\"([^\"]+)\")?$")
MARK = re.compile(r"^<!-- (needs|before|output): (.+) -->$")
IMAGE = re.compile(r"!\[[^]]*\]\((\S+?)(?: \"([^\"]+)\")?\)", re.DOTALL)
NEEDY = re.compile(r"^<!-- needs: (.+?) -->$.*?(?=^##|\Z)", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"(?<![\w.])(?:< |[-+])?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
CODE = re.compile(r"exit code (\d+)( if)?")


@dataclass
class Command:
    """A command and the lines that a page shows under it.

    Attributes:
        text: The command as written, without the prompt.
        shown: The lines under it; `...` stands for any lines.
        line: The line of the page, from one.
    """

    text: str
    shown: list[str]
    line: int

    def codes(self) -> set[int]:
        """The exit codes that the page announces: in a comment, or by the error or the fault that it shows."""
        codes = {int(code) for code, _ in CODE.findall(self.text)} | {
            0 for _, condition in CODE.findall(self.text) if condition
        }
        codes |= {2 for line in self.shown if line.startswith("error:")}
        codes |= {4 for line in self.shown if line.startswith("fault ")}
        return codes or {0}

    def arguments(self) -> list[str] | None:
        """The words of a plain `nnclassify` command; none of a line that needs a shell."""
        lexer = shlex.shlex(self.text, posix=True, punctuation_chars="|&;<>$`(")
        lexer.commenters, lexer.whitespace_split = "#", True
        words = list(lexer)
        return words[1:] if words[0] == "nnclassify" and not re.search(r"[|&;<>$`]", " ".join(words)) else None

    def fits(self, printed: str) -> bool:
        """Whether this is what the page shows. Numbers of an error must agree; others depend on the machine."""
        pattern = "".join(
            r"(?:.*\n)*?" if line.strip() == "..." else re.escape(comparable(line)) + r"\n" for line in self.shown
        )
        return re.fullmatch(pattern, "".join(comparable(line) + "\n" for line in printed.splitlines())) is not None


def comparable(line: str) -> str:
    """A line without what may differ between machines."""
    return line.rstrip() if line.startswith("error:") else " ".join(NUMBER.sub("#", line).split())


@dataclass
class Block:
    """A fenced block of a page.

    Attributes:
        language: What it is written in.
        title: The name of the file that it is, if it is one.
        line: The line of its fence, from one.
        needs: A path in the root of the repository, or a program, without which the block cannot be run.
        before: Commands that are run before it.
        is_yours: Whether its output is about the reader's data.
        lines: Its lines.
    """

    language: str
    title: str | None
    line: int
    needs: str | None
    before: list[str]
    is_yours: bool
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text of the block."""
        return "".join(f"{line}\n" for line in self.lines)

    def commands(self) -> Iterator[Command]:
        """The commands of a console block, with what is shown under each."""
        command: Command | None = None
        for number, line in enumerate(self.lines, self.line + 1):
            if line.startswith("$ "):
                if command is not None:
                    yield command
                command = Command(line[2:], [], number)
            elif command is not None and command.text.endswith("\\"):
                command.text = command.text[:-1] + line.strip()
            elif command is not None:
                command.shown.append(line)
        if command is not None:
            while command.shown and not command.shown[-1]:
                command.shown.pop()
            yield command


def blocks(path: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    found: list[Block] = []
    marks: dict[str, list[str]] = defaultdict(list)
    is_open = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if is_open and line == "```":
            is_open = False
        elif is_open:
            found[-1].lines.append(line)
        elif fence := FENCE.match(line):
            needs = marks["needs"][-1] if marks["needs"] else None
            found.append(Block(fence[1], fence[2], number, needs, marks.pop("before", []), "output" in marks))
            marks.pop("output", None)
            is_open = True
        elif mark := MARK.match(line):
            marks[mark[1]].append(mark[2])
        elif line.startswith("#"):
            marks.pop("needs", None)
    return found


def is_there(needs: str | None) -> bool:
    """Return whether what a section needs is there: a path in the root of the repository, or a program."""
    return needs is None or (ROOT / needs).exists() or shutil.which(needs) is not None


def images(path: Path, *, runnable: bool = False) -> dict[Path, str | None]:
    """Return the images of a page: the file, and the file of a run that it is a copy of.

    Args:
        path: The page.
        runnable: Leave out those of sections that need what is not there.
    """
    text = path.read_text(encoding="utf-8")
    if runnable:
        text = NEEDY.sub(lambda section: section[0] if is_there(section[1]) else "", text)
    return {(path.parent / name).resolve(): source or None for name, source in IMAGE.findall(text)}


def pages() -> list[Path]:
    """Return README and all pages of docs/ that are written by hand."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

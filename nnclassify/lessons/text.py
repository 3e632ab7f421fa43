"""A lesson as text for the terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from nnclassify.lessons.pages import Choice, Lesson

WIDTH = 88
BOLD, RED, GREEN, DIM, RESET = "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[2m", "\x1b[0m"


def styled(text: str, style: str, *, color: bool) -> str:
    """Return a text in a style, or as it is."""
    return f"{style}{text}{RESET}" if color else text


def heading(lesson: Lesson, *, color: bool) -> str:
    """Return the number and the title of a lesson, and its chapter."""
    title = styled(f"Lesson {lesson.number}: {lesson.front.title}", BOLD, color=color)
    return f"{title}\n{lesson.chapter}"


def config_text(text: str) -> str:
    """Return a config, indented."""
    return textwrap.indent(text.rstrip(), "    ")


def diff_text(lines: Sequence[str], *, color: bool) -> str:
    """Return a unified diff, removed lines in red and added ones in green."""
    styles = {"-": RED, "+": GREEN, "@": DIM}
    shown = (styled(line, styles[line[0]], color=color) if line[:1] in styles else line for line in lines)
    return textwrap.indent("\n".join(shown), "    ")


def section_text(title: str, text: str, *, color: bool) -> str:
    """Return a section of a page."""
    return f"{styled(title, BOLD, color=color)}\n\n{markdown_text(text)}"


def markdown_text(text: str) -> str:
    """Return Markdown for a terminal: paragraphs wrapped, tables aligned, links written out, code as it is."""
    plain = re.sub(r"\[([^]]+)\]\(([^)]+)\)", r"\1 (\2)", text)
    return "\n\n".join(_block_text(block) for block in re.split(r"\n\n+", plain))


def _block_text(block: str) -> str:
    if block.startswith("    "):
        return block
    if block.startswith("|"):
        return _aligned(block)
    items = re.split(r"\n(?=- )", re.sub(r"(?<![\w*])\*(\S[^*]*)\*", r"\1", block))
    return "\n".join(
        textwrap.fill(" ".join(item.split()), WIDTH, subsequent_indent="  " if item.startswith("- ") else "")
        for item in items
    )


def _aligned(table: str) -> str:
    """Return a Markdown table with aligned columns and without lines."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    rows = [row for row in rows if set("".join(row)) != {"-"}]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(f"    {line.rstrip()}" for line in lines)


def question_text(lesson: Lesson) -> str:
    """Return the question of a lesson, with its numbered answers."""
    front = lesson.front
    answers = [
        textwrap.fill(choice.text, WIDTH, initial_indent=f"  {number}. ", subsequent_indent="     ")
        for number, choice in enumerate(front.choices, 1)
    ]
    return "\n".join([markdown_text(front.question), *answers])


def verdict_text(choice: Choice, *, color: bool) -> str:
    """Say whether an answer is right, and why."""
    word = styled("Right.", GREEN, color=color) if choice.right else styled("Not that one.", RED, color=color)
    return f"{word} {markdown_text(choice.why)}"

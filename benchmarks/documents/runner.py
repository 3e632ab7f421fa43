"""Run a page, in a folder of its own, in the order in which it is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from benchmarks.documents import stand_ins
from benchmarks.documents.pages import ROOT, Block, Command, blocks, images, is_there
from benchmarks.documents.shell import Shell

INSTALLS = ("pip install ", "git clone ")
"""Commands that are not run: who runs a page has installed nnclassify. `.ci/run` installs it with the same command."""
WIDTH = 800
"""Of an image in docs/, in pixels."""


@dataclass(frozen=True)
class Ran:
    """A command or some code that ran: where it is, its exit code, what it printed, and what is wrong with that."""

    command: Command
    code: int
    printed: str
    problem: str | None


def prepare(folder: Path) -> Shell:
    """Make the folder in which a page runs: it has docs/ and data/ of the repository, and stand-ins for own data."""
    folder.mkdir(parents=True)
    for name in ("docs", "data"):
        if (ROOT / name).exists():
            (folder / name).symlink_to(ROOT / name)
    stand_ins.write(folder)
    return Shell(folder)


def run(page: Path, shell: Shell) -> Iterator[Ran]:
    """Run the blocks of a page: files are written, Python and commands are run."""
    for block in blocks(page):
        if not is_there(block.needs):
            continue
        for text in block.before:
            yield _ran(Command(text, ["..."], block.line), shell)
        if block.title is not None:
            path = shell.folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            code, printed = shell.python(block.text)
            problem = None if code == 0 else f"exit code {code}"
            yield Ran(Command("python", [], block.line), code, printed, problem)
        elif block.language == "console":
            yield from _run_console(block, shell)


def _run_console(block: Block, shell: Shell) -> Iterator[Ran]:
    for command in block.commands():
        if block.is_yours or not command.shown:
            command.shown = ["..."]
        if not command.text.startswith(INSTALLS):
            yield _ran(command, shell)


def _ran(command: Command, shell: Shell) -> Ran:
    """Run a command, and say in what it differs from its page."""
    code, printed = shell.run(command)
    problem = None
    if code not in command.codes():
        problem = f"exit code {code}"
    elif not command.fits(printed):
        problem = "prints something else"
    return Ran(command, code, printed, problem)


def missing_images(page: Path, shell: Shell) -> list[str]:
    """Return the sources of images that the commands of a page have not written."""
    sources = images(page, runnable=True).values()
    return [source for source in sources if source is not None and not (shell.folder / source).exists()]


def copy_images(page: Path, shell: Shell) -> None:
    """Write the images of a page from what its commands have drawn, smaller."""
    for image, source in images(page).items():
        drawn = shell.folder / source if source is not None else None
        if drawn is None or not drawn.exists():
            continue
        with Image.open(drawn) as picture:
            small = picture.convert("RGB")
        small.thumbnail((WIDTH, 4 * WIDTH))
        small.save(image, optimize=True)

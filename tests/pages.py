"""Pages of the docs, done as a reader does them: files saved, commands typed, what comes held to the page.

A block that begins with `# NAME` is a file; one that begins with `$ ` is a terminal, in which `...` stands
for any lines. Anything else is for reading only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


@dataclass(frozen=True)
class File:
    """A file that the page has its reader save, and what it is for."""

    name: str
    text: str


@dataclass(frozen=True)
class Command:
    """A command that the page has its reader type, and the lines that it shows after it."""

    text: str
    shown: tuple[str, ...]


def steps(page: str) -> Iterator[File | Command]:
    """Yield what a page of the docs has its reader do, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for block in re.findall(r"^```\w*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        if named := re.match(r"# (\S+)\n", block):
            yield File(named[1], block)
        elif block.startswith("$ "):
            for typed in block.removeprefix("$ ").split("\n$ "):
                command, *shown = typed.rstrip("\n").splitlines()
                yield Command(command, tuple(shown))


def follow(page: str, folder: Path, run: Callable[[Command], str], varies: str = "(?!)") -> None:
    """Do what a page says.

    Args:
        page: its name.
        folder: where files are saved, and commands typed.
        run: types a command, and returns what it printed.
        varies: a pattern of what differs from machine to machine.
    """
    done = 0
    for step in steps(page):
        if isinstance(step, File):
            (folder / step.name).write_text(step.text, encoding="utf-8")
        else:
            assert_shown(step, run(step), varies)
            done += 1
    assert done, f"{page} has no command"


def assert_shown(command: Command, printed: str, varies: str) -> None:
    """What a command printed is what the page shows of it."""
    rest = r"(?:.*\n)*?"
    lines = (rest if line == "..." else re.escape(steady(line, varies)) + r"\n" for line in command.shown)
    actual = "".join(f"{steady(line, varies)}\n" for line in printed.splitlines())
    assert re.fullmatch("".join(lines), actual), f"{command.text}\n{printed}"


def steady(line: str, varies: str) -> str:
    """Leave out of a line what differs from run to run: kernels, times, ports, releases; and widths."""
    line = re.sub(rf"Linux \S+:|[0-9.]+ m?s\b|\b[0-9a-f]{{12}}\b|:\d{{5}} ->|{varies}", "", line)
    return " ".join(line.split())

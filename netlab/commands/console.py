"""What the commands share: the console, the progress bar, files that are written whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netlab.errors import NetlabError

if TYPE_CHECKING:
    from rich.console import Console

    from netlab.measure import Progress


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show a progress bar on standard error while the block runs, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda phase, done, total: bar.update(task, description=phase, completed=done, total=total)


def open_console(*, to_stderr: bool = False) -> Console:
    """Return a console on standard output, or on standard error where the output is for programs."""
    from rich.console import Console

    class _OutputConsole(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # for `main`; rich would end the program, with an exit code of its own

    return _OutputConsole(stderr=to_stderr, highlight=False)


def ascii_only(console: Console) -> bool:
    """Whether the terminal can't write more than ASCII."""
    return not console.encoding.lower().startswith("utf")


def check_writable(file: str | None) -> None:
    """Refuse a file that can't be written before the work, not after it.

    Raises:
        NetlabError: it can't be written; None and `-` always can.
    """
    if file is None or file == "-":
        return
    if not file:
        raise NetlabError("--json and --svg want the name of a file")
    folder = Path(file).parent
    try:
        if not folder.is_dir():
            raise NetlabError(f"{file}: there is no directory {folder}")
        if Path(file).is_dir():
            raise NetlabError(f"{file}: is a directory; name a file in it")
        where = folder if _is_replaced(file) else Path(file)
        if not os.access(where, os.W_OK):
            raise NetlabError(f"{file}: {where} can't be written to")
    except OSError as error:
        raise NetlabError(f"{file}: {error.strerror}") from None


def write(file: str, text: str) -> None:
    """Write a file, whole or not at all; `-` is standard output.

    Raises:
        NetlabError: it can't be written.
    """
    try:
        with click.open_file(file, "w", encoding="utf-8", atomic=_is_replaced(file)) as out:
            out.write(text)
    except BrokenPipeError:
        raise BrokenPipeError from None  # without its errno, by which click would end the program itself
    except OSError as error:
        raise NetlabError(f"{file}: {error.strerror}") from None


def _is_replaced(file: str) -> bool:
    """Whether a new file takes the place: what is no file (/dev/stdout, a pipe) is written to as it is."""
    return file != "-" and (Path(file).is_file() or not Path(file).exists())

"""What the commands share: the console, the progress bar, files that are written whole."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from netlab.errors import NetlabError

if TYPE_CHECKING:
    import rich.progress
    from rich.console import Console


class ProgressBar:
    """A progress bar: called with a phase, how much of it is done, and how much there is."""

    def __init__(self, bar: rich.progress.Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=None)

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Show how far a phase is."""
        self._bar.update(self._task, description=phase, completed=done, total=total)

    def hide(self) -> None:
        """Leave the terminal to others, for good. Safe to repeat."""
        self._bar.stop()


@contextmanager
def progress_bar() -> Iterator[ProgressBar]:
    """Show a progress bar on standard error while the block runs, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield ProgressBar(bar)


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


def check_outputs(files: Mapping[str, str | None], source: str) -> bool:
    """Refuse files that can't be written, or not beside each other, before the work and not after it.

    Args:
        files: by the option that names them.
        source: the file that is read, which is none of them.

    Returns:
        Whether standard output is for programs: whether a file is `-`.

    Raises:
        NetlabError: one can't be written; or two are the same, or one is the source.
    """
    for option, file in files.items():
        check_writable(file, option)
    places = {option: _place(file) for option, file in files.items() if file is not None}
    for option, place in places.items():
        if place == _place(source):
            raise NetlabError(f"{option}: {files[option]} is what is read, and would be written over")
        same = [other for other in places if places[other] == place]
        if len(same) > 1:
            what = "standard output" if place == "-" else files[option]
            raise NetlabError(f"{' and '.join(same)}: only one of them can be {what}")
    return "-" in places.values()


def _place(file: str) -> str:
    """Return where a file is, by whatever name it is called."""
    return os.path.realpath(file) if _is_replaced(file) else file


def check_writable(file: str | None, option: str = "--json") -> None:
    """Refuse a file that can't be written before the work, not after it.

    Args:
        file: its name.
        option: what names it.

    Raises:
        NetlabError: it can't be written; None and `-` always can.
    """
    if file is None or file == "-":
        return
    if not file:
        raise NetlabError(f"{option} wants the name of a file")
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

    Args:
        file: its path; what is no file (/dev/stdout, a pipe) is written to as it is.
        text: written as UTF-8.

    Raises:
        NetlabError: it can't be written.
    """
    with _written(file, "w", "utf-8") as out:
        out.write(text)


def write_bytes(file: str, content: bytes) -> None:
    """Write a file, whole or not at all; `-` is standard output.

    Raises:
        NetlabError: it can't be written.
    """
    with _written(file, "wb", None) as out:
        out.write(content)


@contextmanager
def _written(file: str, mode: str, encoding: str | None) -> Iterator[IO[Any]]:
    """Open a file to be written, and take its place when that is done."""
    try:
        with click.open_file(file, mode, encoding=encoding, atomic=_is_replaced(file)) as out:
            yield out
    except BrokenPipeError:
        raise BrokenPipeError from None  # without its errno, by which click would end the program itself
    except OSError as error:
        raise NetlabError(f"{file}: {error.strerror}") from None


def _is_replaced(file: str) -> bool:
    """Whether a new file takes the place: what is no file (/dev/stdout, a pipe) is written to as it is."""
    return file != "-" and (Path(file).is_file() or not Path(file).exists())

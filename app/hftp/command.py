"""A command: its flags are read, it runs, and what goes wrong is one line and an exit code."""

from __future__ import annotations

import argparse
import sys

from hftp import streams
from hftp.errors import HFTPError
from hftp.exits import Exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn


def run(make_parser: Callable[[], Parser], argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        make_parser: Gives its flags. Those set ``run``, which is called with them, and gives the exit code.
        argv: The arguments, without the program's name; those of the process by default.

    Returns:
        The exit code, one of ``Exit``.
    """
    streams.complete()
    try:
        options = make_parser().parse_args(argv)
        code: int = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        streams.drop(sys.stdout)  # `hftp ls ... | head -1`
        return Exit.BROKEN_PIPE
    except HFTPError as error:
        _complain(str(error))
        return error.exit
    except OSError as error:
        _complain(f"{error.filename or 'input or output'}: {error.strerror}")
        return Exit.FAILED
    return code


def _complain(line: str) -> None:
    """Say what went wrong, after all that went well, as far as either can be written."""
    try:
        sys.stdout.flush()
    except OSError:
        streams.drop(sys.stdout)
    _tell(f"hftp: {line}\n")


def _tell(text: str) -> None:
    try:
        sys.stderr.write(text)
    except OSError:
        streams.drop(sys.stderr)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as all of this command does."""

    def _get_formatter(self) -> argparse.HelpFormatter:
        # Without a width it would import shutil to ask for the terminal's, at each start: 3 ms.
        return argparse.HelpFormatter(self.prog, width=80)

    def error(self, message: str) -> NoReturn:
        """End the process."""
        self.exit(Exit.USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End the process, with the help written as far as anyone takes it: `hftp --help | head -1`."""
        sys.stdout.flush()
        if message:
            _tell(message)
        sys.exit(status)

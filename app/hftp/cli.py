"""The command `hftp`: its flags, and how errors reach the user."""

from __future__ import annotations

import argparse
import os
import sys

from hftp.constants import DEFAULT_PORT, GRACE_SECONDS
from hftp.errors import HFTPError
from hftp.exits import Exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: The arguments, without the program's name; those of the process by default.

    Returns:
        The exit code, one of ``Exit``.
    """
    try:
        options = _parser().parse_args(argv)
        code: int = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # `hftp ls ... | head -1`. What is still buffered goes nowhere, also when Python flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.BROKEN_PIPE
    except HFTPError as error:
        sys.stderr.write(f"hftp: {error}\n")
        return error.exit
    except OSError as error:
        sys.stderr.write(f"hftp: {error}\n")
        return Exit.FAILED
    return code


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as all of this command does."""

    def error(self, message: str) -> NoReturn:
        """End the process."""
        self.exit(Exit.USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="hftp", description="Serve and fetch files over HFTP.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_serve(commands)
    return parser


def _add_serve(commands: argparse._SubParsersAction[_Parser]) -> None:
    serve = commands.add_parser("serve", help="serve a directory")
    serve.set_defaults(run=_serve)
    serve.add_argument(
        "-a",
        "--address",
        action="append",
        metavar="ADDRESS",
        help="listen on this name or address, several times for several; 0.0.0.0 or :: for any (127.0.0.1)",
    )
    serve.add_argument(
        "-p", "--port", type=_port, default=DEFAULT_PORT, help="0 for any free one (%(default)s)"
    )
    serve.add_argument("-d", "--directory", default=".", help="what to serve (the current directory)")
    serve.add_argument("--v6only", action="store_true", help="listen on :: without IPv4")
    serve.add_argument(
        "--device", metavar="IFNAME", help="take connections that come in by this interface only"
    )
    serve.add_argument(
        "--all-addresses",
        action="store_true",
        help="listen on each address that a name has, not on the first",
    )
    serve.add_argument(
        "--grace",
        type=_seconds,
        default=GRACE_SECONDS,
        metavar="SECONDS",
        help="how long running answers may take after SIGTERM (%(default)s)",
    )


def _serve(options: argparse.Namespace) -> int:
    from hftp.serve import serve

    return serve(
        options.address,
        options.port,
        options.directory,
        v6only=options.v6only,
        device=options.device,
        all_addresses=options.all_addresses,
        grace_s=options.grace,
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"seconds are a number from 0, not {text!r}")
    return seconds

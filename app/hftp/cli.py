"""The command `hftp`: its commands and their flags."""

from __future__ import annotations

import argparse
import socket

from hftp import arguments
from hftp.command import Parser, run
from hftp.constants import DEFAULT_PORT, TIMEOUT_SECONDS
from hftp.exits import Exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


# Each keeps a block of 1 MiB in memory.
_MAX_JOBS = 64


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: The arguments, without the program's name; those of the process by default.

    Returns:
        The exit code, one of ``Exit``.
    """
    return run(_parser, argv)


def _parser() -> Parser:
    parser = Parser(prog="hftp", description="Serve and fetch files over HFTP.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_serve(commands)
    _add_client_commands(commands)
    _add_bench(commands)
    return parser


def _add_serve(commands: argparse._SubParsersAction[Parser]) -> None:
    from hftp import serve_arguments

    serve = commands.add_parser("serve", help="serve a directory")
    serve.set_defaults(run=_serve)
    serve_arguments.add(serve)


def _serve(options: argparse.Namespace) -> int:
    from hftp.server import serve

    return serve(options)


def _health(options: argparse.Namespace) -> int:
    from hftp.health import check

    host, port = options.server
    check(host, port, options.timeout)
    return Exit.OK


def _add_client_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    _add_client_command(commands, "ls", "print the names of the files")
    stat = _add_client_command(commands, "stat", "print the size of files")
    get = _add_client_command(commands, "get", "fetch files, resuming what an earlier try has left")
    cat = _add_client_command(commands, "cat", "print the contents of files")
    _add_client_command(commands, "help", "print the commands that the server knows")
    health = _add_client_command(
        commands, "health", "exit with 0 if the server serves", "how long all of it may take"
    )
    health.set_defaults(run=_health)
    for command in (stat, cat):
        command.add_argument("names", nargs="+", metavar="NAME")
    for command in (get, cat):
        form = command.add_mutually_exclusive_group()
        form.add_argument("--raw", action="store_true", default=None, help="transfer bytes as they are")
        form.add_argument(
            "--base64", action="store_false", dest="raw", help="transfer base64 (first edition)"
        )
    get.set_defaults(run=_get)
    get.add_argument("names", nargs="*", metavar="NAME")
    get.add_argument("--all", action="store_true", help="every file that the server lists")
    get.add_argument(
        "-o", "--output", type=_output, metavar="PATH", help="where it goes: a file, or a directory"
    )
    get.add_argument(
        "-j", "--jobs", type=_jobs, default=1, help="how many connections fetch it (%(default)s)"
    )


def _add_client_command(
    commands: argparse._SubParsersAction[Parser],
    name: str,
    summary: str,
    timeout: str = "how long to wait for each piece of an answer",
) -> Parser:
    command = commands.add_parser(name, help=summary)
    command.set_defaults(run=_run_client_command, command=name, parser=command)
    command.add_argument("server", type=_server, metavar="HOST[:PORT]", help="IPv6 with a port: [::1]:19500")
    command.add_argument(
        "--timeout",
        type=arguments.some_seconds,
        default=TIMEOUT_SECONDS,
        metavar="SECONDS",
        help=f"{timeout} (%(default)s)",
    )
    return command


def _add_bench(commands: argparse._SubParsersAction[Parser]) -> None:
    from hftp.load.flags import add_flags

    bench = _add_client_command(commands, "bench", "measure a server under many clients of several kinds")
    bench.set_defaults(run=_bench)
    add_flags(bench)


def _bench(options: argparse.Namespace) -> int:
    from hftp.load.command import bench

    bench(options)
    return Exit.OK


def _get(options: argparse.Namespace) -> int:
    if bool(options.names) == options.all:
        options.parser.error("name the files, or ask for --all of them")
    from pathlib import Path

    if options.output and (options.all or len(options.names) > 1) and not Path(options.output).is_dir():
        options.parser.error(f"several files need a directory: {options.output} is none")
    return _run_client_command(options)


def _run_client_command(options: argparse.Namespace) -> int:
    from hftp.commands import run

    run(options)
    return Exit.OK


def _server(text: str) -> tuple[str, int]:
    """Split HOST[:PORT]. More than one colon without brackets is an IPv6 address."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise _not_ipv6(text)
        port = rest[1:] if rest else None
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, None
        if ":" in host and not _is_ipv6(host):
            raise _not_ipv6(text)
    if not host:
        raise argparse.ArgumentTypeError(f"no host in {text!r}")
    return host, DEFAULT_PORT if port is None else arguments.port(port)


def _is_ipv6(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, text.partition("%")[0])
    except OSError:
        return False
    return True


def _not_ipv6(text: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(f"an IPv6 address with a port is [ADDRESS]:PORT, not {text!r}")


def _output(text: str) -> str:
    if text in ("", "-"):
        raise argparse.ArgumentTypeError(f"{text!r} is no path; for standard output there is  hftp cat")
    return text


def _jobs(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MAX_JOBS):
        raise argparse.ArgumentTypeError(f"jobs are from 1 to {_MAX_JOBS}, not {text!r}")
    return int(text)

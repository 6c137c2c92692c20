"""What the client's commands do: `hftp ls`, `stat`, `get`, `cat`, `help`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hftp.client import Client, checked_name
from hftp.progress import FILES, ProgressBar

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def run(options: argparse.Namespace) -> None:
    """Do what a command line asks.

    Args:
        options: What ``hftp.cli`` has parsed.

    Raises:
        HFTPError: What went wrong.
        OSError: A file can't be written.
    """
    for name in getattr(options, "names", ()):
        checked_name(name)  # before anything is asked
    host, port = options.server
    with Client(host, port, options.timeout) as client:
        _COMMANDS[options.command](client, options)


def _ls(client: Client, options: argparse.Namespace) -> None:
    for name in client.listing():
        sys.stdout.write(f"{name}\n")


def _stat(client: Client, options: argparse.Namespace) -> None:
    for name in options.names:
        sys.stdout.write(f"{client.size(name)} {name}\n")


def _get(client: Client, options: argparse.Namespace) -> None:
    names = client.listing() if options.all else options.names
    if len(names) == 1 and not options.all:
        _get_one(client, options, names[0])
        return
    from hftp.mirror import mirror

    bar = ProgressBar(sys.stderr, f"{len(names)} files", FILES)
    try:
        mirror(client, names, options.output or ".", raw=options.raw, jobs=options.jobs, progress=bar)
    finally:
        bar.end()


def _get_one(client: Client, options: argparse.Namespace, name: str) -> None:
    from hftp.download import download

    bar = ProgressBar(sys.stderr, name)
    try:
        target = _target(options.output, name)
        download(client, name, target, raw=options.raw, jobs=options.jobs, progress=bar)
    finally:
        bar.end()


def _target(output: str | None, name: str) -> Path:
    """Say where a file goes. A link that the user names stays one: what it leads to is written."""
    path = Path(output or ".")
    if path.is_dir():
        return path / name
    return path.resolve() if path.is_file() else path


def _cat(client: Client, options: argparse.Namespace) -> None:
    for name in options.names:
        for piece in client.iter_range(name, 0, client.size(name), options.raw):
            sys.stdout.buffer.write(piece)


def _help(client: Client, options: argparse.Namespace) -> None:
    for command in client.help():
        sys.stdout.write(f"{command}\n")


_COMMANDS: dict[str, Callable[[Client, argparse.Namespace], None]] = {
    "ls": _ls,
    "stat": _stat,
    "get": _get,
    "cat": _cat,
    "help": _help,
}

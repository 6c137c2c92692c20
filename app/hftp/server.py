"""`hftp serve`: opens listeners, directory and log, says where it listens, and serves until a signal."""

from __future__ import annotations

import sys
from contextlib import suppress

if not __package__:  # run as a file: this directory is the package
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hftp.stop import StopOnSignals
from hftp.streams import announce, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    import socket
    from collections.abc import Sequence

    from hftp.access_log import AccessLog
    from hftp.files import DataDirectory


def serve(options: argparse.Namespace) -> int:
    """Serve a directory until SIGTERM or SIGINT.

    Args:
        options: The flags of ``hftp.serve_arguments``.

    Returns:
        0.

    Raises:
        HFTPError: It can't listen there, or can't serve this directory.
    """
    with StopOnSignals() as stop:  # first: a signal may come while the rest is imported
        from hftp.files import DataDirectory
        from hftp.listen import describe_listener
        from hftp.systemd import notify

        _raise_descriptor_limit()
        listeners = _listeners(options)
        if options.user is not None:
            _become(options)
        with DataDirectory(options.directory, options.max_memory) as files:
            log = _maybe_log(options)
            announce([f"listening on {describe_listener(listener)}" for listener in listeners[0]])
            notify("READY=1")
            _run(options, listeners, files, log, stop)
            notify("STOPPING=1")
    return 0


def _become(options: argparse.Namespace) -> None:
    """Become another user, who may not be able to read what is still to be imported."""
    import hftp.access_log
    import hftp.serving
    import hftp.workers  # noqa: F401
    from hftp import strategies
    from hftp.fast import base64_encoder
    from hftp.privileges import become

    strategies.make(options.strategy)
    base64_encoder()
    become(options.user)


def _listeners(options: argparse.Namespace) -> list[list[socket.socket]]:
    """Open the sockets of each worker."""
    from hftp.listen import find_places, open_listeners
    from hftp.systemd import inherited_listeners

    inherited = inherited_listeners()
    if inherited:
        return [inherited] * options.workers
    places = [
        place
        for address in options.address or [_default_address(options.device)]
        for place in find_places(
            address,
            options.port,
            v6only=options.v6only,
            device=options.device,
            all_addresses=options.all_addresses,
            say=say,
        )
    ]
    return open_listeners(places, options.workers)


def _maybe_log(options: argparse.Namespace) -> AccessLog | None:
    if options.log is None and options.log_format is None:
        return None
    from hftp.access_log import STDERR, AccessLog

    return AccessLog(options.log or STDERR, options.log_format or "text", say)


def _run(
    options: argparse.Namespace,
    listeners: Sequence[Sequence[socket.socket]],
    files: DataDirectory,
    log: AccessLog | None,
    stop: StopOnSignals,
) -> None:
    from hftp import strategies
    from hftp.limits import Limits
    from hftp.serving import Server

    limits = Limits(
        clients=options.max_clients,
        clients_by_address=options.max_per_address,
        line_bytes=options.max_line,
        idle_s=options.idle_time,
        request_s=options.request_time,
        answer_s=options.answer_time,
    )

    def work(listeners: Sequence[socket.socket]) -> None:
        strategy = strategies.make(options.strategy)
        Server(listeners, files, stop, strategy, limits=limits, grace_s=options.grace, log=log).run()

    if len(listeners) == 1:
        work(listeners[0])
    else:
        from hftp.workers import Workers

        reopen = (lambda: None) if log is None else log.reopen
        Workers(listeners, work, stop, options.grace, say, reopen).run()


def _raise_descriptor_limit() -> None:
    """Allow as many descriptors as may be: the soft limit is often 1024, for the sake of select()."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS says infinity, and takes less
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _default_address(device: str | None) -> str:
    if device is not None:  # the device already limits who can connect
        return "::"
    say("only this machine can connect; to let others in: -a 0.0.0.0 (any address), or -a with one address")
    return "127.0.0.1"


def main(argv: Sequence[str] | None = None) -> int:
    """Run this program by itself: `python -m hftp.server`, or `python server.py`.

    Args:
        argv: The arguments, without the program's name; those of the process by default.

    Returns:
        The exit code, one of ``hftp.exits.Exit``.
    """
    from hftp import serve_arguments
    from hftp.command import Parser, run

    def make_parser() -> Parser:
        parser = Parser(prog="hftp serve", description="Serve a directory over HFTP.")
        parser.set_defaults(run=serve)
        serve_arguments.add(parser)
        return parser

    return run(make_parser, argv)


if __name__ == "__main__":
    sys.exit(main())

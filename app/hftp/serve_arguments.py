"""The flags of `hftp serve`."""

from __future__ import annotations

from hftp import arguments, limits, strategies
from hftp.access_log import FORMATS
from hftp.constants import DEFAULT_PORT, GRACE_SECONDS, MAX_LINE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Add them to a parser."""
    _add_where(parser.add_argument_group("where it listens"))
    _add_how(parser.add_argument_group("how clients are attended"))
    _add_limits(parser.add_argument_group("what is taken from clients"))


def _add_where(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-a",
        "--address",
        action="append",
        metavar="ADDRESS",
        help="listen on this name or address, several times for several; 0.0.0.0 or :: for any (127.0.0.1)",
    )
    group.add_argument(
        "-p", "--port", type=arguments.port, default=DEFAULT_PORT, help="0 for any free one (%(default)s)"
    )
    group.add_argument(
        "-d",
        "--directory",
        type=arguments.directory,
        default=".",
        help="what to serve (the current directory)",
    )
    group.add_argument("--v6only", action="store_true", help="listen on :: without IPv4")
    group.add_argument(
        "--device", metavar="IFNAME", help="take connections that come in by this interface only"
    )
    group.add_argument(
        "--all-addresses",
        action="store_true",
        help="listen on each address that a name has, not on the first",
    )
    group.add_argument("--user", metavar="USER[:GROUP]", help="become this user when the port is bound")


def _add_how(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--strategy", choices=strategies.NAMES, default=strategies.DEFAULT, help="(%(default)s)"
    )
    group.add_argument(
        "--workers",
        type=arguments.count,
        default=1,
        metavar="N",
        help="so many processes, each with this strategy and these limits (%(default)s)",
    )
    group.add_argument(
        "--grace",
        type=arguments.seconds,
        default=GRACE_SECONDS,
        metavar="SECONDS",
        help="how long running answers may take after SIGTERM (%(default)s)",
    )
    group.add_argument("--log", metavar="FILE", help="write a line for each request; - for standard error")
    group.add_argument(
        "--log-format", choices=FORMATS, help="of these lines, on standard error without --log"
    )


def _add_limits(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--max-clients", type=arguments.count, metavar="N", help="in all (as many as descriptors allow)"
    )
    group.add_argument(
        "--max-per-address",
        type=arguments.count,
        metavar="N",
        help="from one IPv4 address or IPv6 /64 network (nine tenths of all)",
    )
    group.add_argument(
        "--max-line",
        type=arguments.size,
        default=MAX_LINE_BYTES,
        metavar="BYTES",
        help="of a request (8M)",
    )
    group.add_argument(
        "--max-memory",
        type=arguments.size,
        default=limits.MEMORY_BYTES,
        metavar="BYTES",
        help="for listings that are being sent (64M)",
    )
    for state, default, what in (
        ("idle", limits.IDLE_SECONDS, "between requests"),
        ("request", limits.REQUEST_SECONDS, "for sending a request line"),
        ("answer", limits.ANSWER_SECONDS, "without taking any of an answer"),
    ):
        group.add_argument(
            f"--{state}-time",
            type=arguments.some_seconds,
            default=default,
            metavar="SECONDS",
            help=f"{what} (%(default)s)",
        )

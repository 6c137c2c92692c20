"""The flags of `hftp bench`."""

from __future__ import annotations

import argparse
import re

from hftp.arguments import count, size, some_seconds

# Linux gives a client 28,232 ports for one server address (net.ipv4.ip_local_port_range).
_MAX_CLIENTS = 28_000

# All latencies are kept until the end: an hour of them takes 4 GiB on a fast machine.
_MAX_SECONDS = 3600


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add what shapes a load to a parser.

    Args:
        parser: Of the command, which has the server's address already.
    """
    parser.add_argument(
        "-c", "--clients", type=count, default=50, help="how many ask again and again (%(default)s)"
    )
    parser.add_argument(
        "--mix",
        type=_mix,
        default={"small": 1},
        metavar="KIND=WEIGHT,...",
        help="what they ask: small requests, raw or base64 slices, or connect, one command, quit (small=1)",
    )
    parser.add_argument("--slice", type=size, metavar="BYTES", help="the size of slices, as 64K or 1M (64K)")
    parser.add_argument("--file", metavar="NAME", help="the file they ask for (a large one that is listed)")
    for flag, meaning in (
        ("--idle", "clients that ask nothing until shortly before the end"),
        ("--never-reading", "clients that ask for the whole file and read none of it"),
        ("--trickling", "clients that send a byte a second"),
        ("--vanishing", "clients that leave in the middle of an answer, and come again"),
    ):
        parser.add_argument(flag, type=_count_or_none, default=0, metavar="N", help=meaning)
    parser.add_argument("-t", "--seconds", type=_duration, default=5.0, help="for how long (%(default)s)")
    parser.add_argument("-n", "--count", type=count, help="end earlier, after so many answers")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def _count_or_none(text: str) -> int:
    return 0 if text == "0" else count(text)


def _duration(text: str) -> float:
    value = some_seconds(text)
    if value > _MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"it lasts {_MAX_SECONDS} seconds at most, not {text}")
    return value


def _mix(text: str) -> dict[str, int]:
    kinds = ("small", "raw", "base64", "connect")
    mix = {}
    for part in text.split(","):
        kind, _, weight = part.partition("=")
        if kind not in kinds or not re.fullmatch(r"[0-9]{0,6}", weight):
            raise argparse.ArgumentTypeError(f"KIND=WEIGHT with {', '.join(kinds)}, not {part!r}")
        mix[kind] = int(weight or 1)
    if not sum(mix.values()):
        raise argparse.ArgumentTypeError("all weights are 0: nobody would ask")
    return mix


def check_total(clients: int, parser: argparse.ArgumentParser) -> None:
    """End with a usage error where there are more clients than this machine has ports for."""
    if clients > _MAX_CLIENTS:
        parser.error(f"at most {_MAX_CLIENTS} clients in all: there are no more ports")

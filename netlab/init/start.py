"""What a first `netlab.yaml` says, before it is text. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

# In every lab that is made, others dial the server by its name and by its addresses on each network.
NAME = "name"


@dataclass(frozen=True, slots=True)
class Row:
    """A bind.

    Attributes:
        name: what it is called.
        says: what stands below the name: `address`, `host`, `port`.
        why: a comment; may be empty.
    """

    name: str
    says: Mapping[str, str | int]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is expected of some cells.

    Attributes:
        wants: `allow` or `deny`.
        of: `bind`, `from`, `to`: of each, which.
        why: a comment; may be empty.
    """

    wants: str
    of: Mapping[str, tuple[str, ...]]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Start:
    """A first `netlab.yaml`.

    Attributes:
        origin: what it was made from, in a line.
        lab: the name of a lab, or `{"compose": FILE}`.
        port: the service's.
        binds: where it listens.
        vantages: who dials; everybody if empty.
        rules: what is expected, the general ones first.
        command: what starts the service; empty where the lab does.
        check: how its answer is recognised.
        notes: what a reader should know, a comment each.
    """

    origin: str
    lab: str | Mapping[str, str]
    port: int
    binds: tuple[Row, ...]
    vantages: tuple[str, ...]
    rules: tuple[Rule, ...]
    command: tuple[str, ...] = ()
    check: str = "tcp"
    notes: tuple[str, ...] = field(default=())


def versions_reached(address: str, *, v6only: bool = False) -> frozenset[int]:
    """Return by which versions of IP another host gets to a server that listens on an address.

    Args:
        address: as the server is told; a name, or `{lan.ipv4}`, counts as what it says it is.
        v6only: whether an IPv6 wildcard refuses IPv4.
    """
    for version in (4, 6):
        if address.endswith(f".ipv{version}}}"):
            return frozenset({version})
    try:
        listens = ip_address(address)
    except ValueError:
        return frozenset()  # `localhost`, `{hostname}`: a loopback address on its own host
    if listens.is_loopback:
        return frozenset()
    if listens.is_unspecified and listens.version == 6 and not v6only:
        return frozenset({4, 6})
    return frozenset({listens.version})


def targets(network: str, versions: Iterable[int]) -> tuple[str, ...]:
    """Return what a neighbour dials to get to a server: its name, and its addresses of some IP versions."""
    return (NAME, *(f"{network}-ipv{version}" for version in sorted(versions)))

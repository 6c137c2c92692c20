"""The shape of a load: which kinds of clients, how many of each, what they ask for and for how long."""

from __future__ import annotations

import itertools
import os
import sys
from dataclasses import dataclass, field

_serial = itertools.count()

# What asks and is answered again and again. Their answers are what the rates count.
ACTIVE = ("small", "raw", "base64", "connect")

# What every server meets, and what should cost its other clients nothing.
TROUBLE = ("idle", "never-reading", "trickling", "vanishing")

DEFAULT_SLICE_BYTES = 64 * 1024
DEFAULT_SECONDS = 5.0


@dataclass(frozen=True)
class Shape:
    """A load.

    Attributes:
        active: How many clients of each kind in ``ACTIVE``.
        trouble: How many clients of each kind in ``TROUBLE``.
        seconds: How long it lasts at most, once everyone has begun to connect.
        count: After how many answers it ends earlier; None for never.
        slice_bytes: The size of the slices that are asked for.
        answer_patience_s: How long before the end idle clients ask for something, too, and so how long a
            server may take to answer them, in seconds.
    """

    active: dict[str, int] = field(default_factory=lambda: {"small": 1})
    trouble: dict[str, int] = field(default_factory=dict)
    seconds: float = DEFAULT_SECONDS
    count: int | None = None
    slice_bytes: int = DEFAULT_SLICE_BYTES
    answer_patience_s: float = 0.5

    @property
    def clients(self) -> int:
        """How many clients there are in all."""
        return sum(self.active.values()) + sum(self.trouble.values())


@dataclass(frozen=True)
class Target:
    """What the load is for.

    Attributes:
        host: An address, as ``connect()`` takes it.
        port: The server's.
        family: Of the address: ``socket.AF_INET`` or ``AF_INET6``.
        name: A file of the server.
        size: Its size in bytes.
    """

    host: str
    port: int
    family: int
    name: str
    size: int

    def source(self) -> str | None:
        """Give the address that the next client comes from; None lets the system choose.

        On Linux all of 127.0.0.0/8 is this machine. There each run has 250 addresses of its own, so that it
        finds free ports where another has left thousands of connections in TIME-WAIT, and so that a limit on
        the connections of one address is not what is measured.
        """
        if not (self.host.startswith("127.") and sys.platform == "linux"):
            return None
        second, third = divmod(os.getpid() % (200 * 256), 256)
        return f"127.{second + 1}.{third}.{next(_serial) % 250 + 1}"


def divide(clients: int, mix: dict[str, int]) -> dict[str, int]:
    """Divide clients among kinds.

    Args:
        clients: How many, at least 1.
        mix: The weight of each kind; one at least is not 0.

    Returns:
        How many of each kind, ``clients`` in all, as near to the weights as whole clients can be (the method
        of the largest remainder; ties go to the kind that comes first). Kinds without one are left out.
    """
    total = sum(mix.values())
    shares = {kind: clients * weight / total for kind, weight in mix.items()}
    counts = {kind: int(share) for kind, share in shares.items()}
    by_remainder = sorted(mix, key=lambda kind: counts[kind] - shares[kind])
    for kind in by_remainder[: clients - sum(counts.values())]:
        counts[kind] += 1
    return {kind: count for kind, count in counts.items() if count}

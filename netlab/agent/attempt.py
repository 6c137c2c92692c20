"""What is known of one attempt to reach an address, whatever it is made with."""

from __future__ import annotations

import time

from netlab.agent.names import address_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from netlab.agent.shapes import Endpoint, Json, SocketAddress


def elapsed(started: float) -> float:
    """Return the seconds since a reading of the monotonic clock."""
    return round(time.monotonic() - started, 6)


def attempt_at(address: SocketAddress) -> Json:
    """Return what is known of an attempt before it is made."""
    where = {"address": address_text(address), "port": address[1]}
    return {**where, "timed_out": False, "icmp": None, "local": None, "peer": None}


def endpoint(address: Any) -> Endpoint | None:
    """Return a socket's address and port; None when it has none yet."""
    return (address[0], address[1]) if address[1] else None

"""Dialling: a name's addresses one after the other, as an ordinary program goes about it."""

from __future__ import annotations

import time

from netlab.agent import checks
from netlab.agent.asked import PROTOCOLS, is_port, is_protocol, is_text, required
from netlab.agent.attempt import elapsed
from netlab.agent.connecting import connect_and_check
from netlab.agent.names import ResolutionError, address_text, resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.agent.shapes import Json, SocketAddress


def validate(probe: Json) -> None:
    """Raise RequestError unless a probe says everything that it needs."""
    required(probe, "id", is_text, "a text")
    required(probe, "address", is_text, "a name or an address")
    required(probe, "port", is_port, "a port, 1 to 65535")
    protocol = required(probe, "protocol", is_protocol, PROTOCOLS)
    checks.validate(required(probe, "check", lambda value: isinstance(value, dict), "an object"), protocol)


def dial(probe: Json, timeout_s: float) -> Json:
    """Resolve, dial one address after the other until one answers, and check what answers.

    Args:
        probe: `id`, `address`, `port`, `protocol`, `check`.
        timeout_s: bounds each attempt to connect, and the check; the resolver has timeouts of its own.
    """
    started = time.monotonic()
    result: Json = {"id": probe["id"], "resolved": [], "resolve_error": None, "attempts": [], "check": None}
    try_address = way_of(probe["protocol"])
    try:
        found = resolve(probe["address"], probe["port"])
    except ResolutionError as error:
        found, result["resolve_error"] = [], str(error)
    result["resolved"] = [address_text(address) for _, address in found]
    for family, address in found:
        result["check"], attempt = try_address(family, address, probe["check"], timeout_s)
        result["attempts"].append(attempt)
        if result["check"] is not None:
            break
    result["seconds"] = elapsed(started)
    return result


def way_of(protocol: str) -> Callable[[int, SocketAddress, Json, float], tuple[Json | None, Json]]:
    """Return what tries an address; how to ask with datagrams is imported when somebody does."""
    if protocol == "tcp":
        return connect_and_check
    from netlab.agent.asking import ask

    return ask

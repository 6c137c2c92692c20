"""Checks: is it the right application that answers? A module each, imported when it is asked for.

A module has `FIELDS`, what a request says of such a check: each field, what is valid in it, and that in
words. `check` talks to the application over a connection, returns what it saw, and raises FindingError if it
is not the right one. Over datagrams, `question` is what is sent, and `finding` does so with an answer.
"""

from __future__ import annotations

import sys

from netlab.agent.asked import is_text, required
from netlab.agent.conversation import Connection, FindingError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

    from netlab.agent.shapes import Json

KINDS = ("hftp", "tcp", "banner", "send-expect", "http", "tls", "dns", "any-answer")


def check(sock: socket.socket, wanted: Json, timeout_s: float) -> Json:
    """Find out whether the application at the other end is the right one."""
    try:
        said = module(wanted["kind"]).check(Connection(sock, timeout_s), wanted)
    except FindingError as finding:
        return {"result": finding.result, "text": finding.text}
    return {"result": "right", "text": said}


def validate(wanted: Json, protocol: str) -> None:
    """Raise RequestError unless a check works over a protocol and says everything that it needs."""
    known = [kind for kind in KINDS if protocol == "tcp" or hasattr(module(kind), "question")]
    known = [kind for kind in known if protocol == "udp" or kind != "any-answer"]
    kind = required(
        wanted, "kind", lambda value: is_text(value) and value in known, f"one of {', '.join(known)}"
    )
    for key, (valid, allowed) in module(kind).FIELDS.items():
        required(wanted, key, valid, allowed)


def module(kind: str) -> Any:
    """Return the module of a kind."""
    name = f"{__name__}.{kind.replace('-', '_')}"
    if name not in sys.modules:
        __import__(name)
    return sys.modules[name]

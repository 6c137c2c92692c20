"""Checks: is it the right application that answers? A module each, imported when it is asked for.

A module has `FIELDS`, what a request says of such a check: each field, what is valid in it, and that in
words; and `check`, which talks to the application, returns what it saw, and raises FindingError if it is not
the right one.
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

KINDS = ("hftp", "tcp", "banner", "send-expect", "http", "tls", "dns")


def check(sock: socket.socket, wanted: Json, timeout_s: float) -> Json:
    """Find out whether the application at the other end is the right one."""
    try:
        said = module(wanted["kind"]).check(Connection(sock, timeout_s), wanted)
    except FindingError as finding:
        return {"result": finding.result, "text": finding.text}
    return {"result": "right", "text": said}


def validate(wanted: Json) -> None:
    """Raise RequestError unless a check is of a known kind and says everything that it needs."""
    known = ", ".join(KINDS)
    kind = required(wanted, "kind", lambda value: is_text(value) and value in KINDS, "one of " + known)
    for key, (valid, allowed) in module(kind).FIELDS.items():
        required(wanted, key, valid, allowed)


def module(kind: str) -> Any:
    """Return the module of a kind."""
    name = f"{__name__}.{kind.replace('-', '_')}"
    if name not in sys.modules:
        __import__(name)
    return sys.modules[name]

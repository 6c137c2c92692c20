"""The check of servers by a question and an answer."""

from __future__ import annotations

import binascii

from netlab.agent.asked import is_bytes
from netlab.agent.conversation import Connection, FindingError, await_bytes, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netlab.agent.shapes import Json


FIELDS = {"send": (is_bytes, "bytes in hexadecimal"), "expect": (is_bytes, "bytes in hexadecimal")}


def check(talk: Connection, wanted: Json) -> str:
    """A server is right if it answers what it is sent with what is expected."""
    talk.send(binascii.a2b_hex(wanted["send"]))
    return await_bytes(talk, binascii.a2b_hex(wanted["expect"]))


def question(wanted: Json) -> bytes:
    """Return what is sent, in one datagram."""
    return binascii.a2b_hex(wanted["send"])


def finding(query: bytes, answer: bytes, wanted: Json) -> str:
    """Judge a datagram that answers."""
    expected = binascii.a2b_hex(wanted["expect"])
    if expected not in answer:
        raise FindingError("wrong", f"it said {shown(answer)}, expected {shown(expected)}")
    return f"it said {shown(answer)}"

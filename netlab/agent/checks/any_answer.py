"""The check that whoever answers passes, whatever it says."""

from __future__ import annotations

import binascii

from netlab.agent.asked import is_bytes
from netlab.agent.conversation import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netlab.agent.shapes import Json


FIELDS = {"send": (is_bytes, "bytes in hexadecimal")}


def question(wanted: Json) -> bytes:
    """Return what is sent, in one datagram."""
    return binascii.a2b_hex(wanted["send"])


def finding(query: bytes, answer: bytes, wanted: Json) -> str:
    """Return what it said."""
    return f"it said {shown(answer)}"

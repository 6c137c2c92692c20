"""The check of servers by a question and an answer."""

from __future__ import annotations

import binascii

from netlab.agent.asked import is_bytes
from netlab.agent.conversation import Connection, await_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from netlab.agent.shapes import Json

    Item = TypeVar("Item")
    Result = TypeVar("Result")


FIELDS = {"send": (is_bytes, "bytes in hexadecimal"), "expect": (is_bytes, "bytes in hexadecimal")}


def check(talk: Connection, wanted: Json) -> str:
    """A server is right if it answers what it is sent with what is expected."""
    talk.send(binascii.a2b_hex(wanted["send"]))
    return await_bytes(talk, binascii.a2b_hex(wanted["expect"]))

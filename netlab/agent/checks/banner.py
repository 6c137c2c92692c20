"""The check of servers that speak first."""

from __future__ import annotations

from netlab.agent.asked import is_text
from netlab.agent.conversation import Connection, await_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netlab.agent.shapes import Json


FIELDS = {"expect": (is_text, "a text")}


def check(talk: Connection, wanted: Json) -> str:
    """A server that speaks first is right if what it says has the expected text in it."""
    return await_bytes(talk, wanted["expect"].encode())

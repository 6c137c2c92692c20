"""The check of HFTP servers."""

from __future__ import annotations

import binascii

from netlab.agent.asked import is_text
from netlab.agent.conversation import Connection, Conversation, FindingError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netlab.agent.shapes import Json


LEAVE_S = 0.5  # for a server to take note of `quit`; the verdict is known by then


FIELDS = {"file": (is_text, "a text"), "expect": (is_text, "a text")}


def check(talk: Connection, wanted: Json) -> str:
    """An HFTP server is right if it lists our file and a slice of all of it is what we expect."""
    name, expected = wanted["file"], wanted["expect"].encode()
    ask_hftp(talk, "get_file_listing")
    names = list(iter(talk.line, b""))
    if name.encode() not in names:
        raise FindingError("wrong", f"an HFTP server without {name}: another one")
    ask_hftp(talk, f"get_metadata {name}")
    size = talk.line()
    if size != str(len(expected)).encode():
        raise FindingError("wrong", f"an HFTP server whose {name} is another: {shown(size)} bytes")
    ask_hftp(talk, f"get_slice {name} 0 {len(expected)}")
    piece = talk.line()
    if piece != binascii.b2a_base64(expected, newline=False):
        raise FindingError("wrong", f"an HFTP server whose {name} is another: {shown(piece)}")
    leave_hftp(talk)
    return "the answer has this run's nonce"


def ask_hftp(talk: Conversation, request: str) -> None:
    """Send a request and read the status line of its answer, which must be `0 OK`."""
    talk.send(request.encode() + b"\r\n")
    while not talk.received:
        talk.receive()
    # Another protocol's greeting shows in its first byte; it may have no line end to wait for.
    if not talk.received[:1].isdigit():
        raise FindingError("wrong", f"not an HFTP server: it said {shown(talk.received)}")
    status = talk.line()
    code = status.partition(b" ")[0]
    if not code.isdigit():
        raise FindingError("wrong", f"not an HFTP server: it said {shown(status)}")
    if code != b"0":
        raise FindingError("wrong", f"{request.split()[0]} was answered with {shown(status)}")


def leave_hftp(talk: Connection) -> None:
    """Say `quit`, and let the server close first: that leaves it nothing to clean up."""
    try:
        talk.hurry(LEAVE_S)
        talk.send(b"quit\r\n")
        while True:
            talk.receive()
    except FindingError:
        pass

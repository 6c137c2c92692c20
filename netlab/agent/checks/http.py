"""The check of HTTP servers, with TLS or without."""

from __future__ import annotations

from netlab.agent.asked import is_string, is_text, is_texts
from netlab.agent.checks import tls
from netlab.agent.checks.tls import secured
from netlab.agent.conversation import Connection, Conversation, FindingError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.agent.shapes import Json


FIELDS = {
    "path": (is_text, "a text"),
    "host": (is_text, "a text"),
    "status": (is_texts, "a list of texts"),
    "body": (is_string, "a text or none"),
    "tls": (tls.is_wanted, "a TLS check or null"),
}


def check(talk: Connection, wanted: Json) -> str:
    """An HTTP server is right if its answer has an expected status, and the expected text in its body."""
    asked = "GET " + wanted["path"]
    if wanted["tls"] is None:
        return ask_http(talk, asked, wanted)
    secure, certificate = secured(talk, wanted["tls"])
    said = ask_http(secure, asked, wanted)
    secure.leave()
    return f"{said}; {certificate}"


def ask_http(talk: Conversation, asked: str, wanted: Json) -> str:
    """Ask for a path, and judge the answer (RFC 9112)."""
    fields = ("Host: " + wanted["host"], "User-Agent: netlab", "Accept: */*", "Connection: close")
    talk.send("\r\n".join((asked + " HTTP/1.1", *fields, "", "")).encode())
    status, headers = http_head(talk)
    said = f"HTTP {status} to {asked}"
    if not any(status == one or one == status[:1] + "xx" for one in wanted["status"]):
        to = f" (to {shown(headers[b'location'])})" if b"location" in headers else ""
        raise FindingError("wrong", f"{said}{to}, expected {' or '.join(wanted['status'])[:60]}")
    text = wanted["body"].encode()
    body = bytearray()
    if text:
        for piece in http_body(talk, status, headers):
            body += piece
            if text in body:
                return f"{said}, with {shown(text)} in it"
        raise FindingError("wrong", f"{said} without {shown(text)} in it: it begins {shown(body)}")
    return said


def http_head(talk: Conversation) -> tuple[str, dict[bytes, bytes]]:
    """Return an answer's status code and fields; interim answers are passed over (RFC 9110, 15.2)."""
    while True:
        # Another protocol's greeting shows at its beginning; it may have no line end to wait for.
        while b"HTTP/".startswith(bytes(talk.received)):
            talk.receive()
        if not talk.received.startswith(b"HTTP/"):
            raise FindingError("wrong", f"not an HTTP server: it said {shown(talk.received)}")
        line = talk.line()
        code = line.partition(b" ")[2][:3]
        if not (len(code) == 3 and code.isdigit()):
            raise FindingError("wrong", f"not an HTTP server: it said {shown(line)}")
        headers = {}
        for field in iter(talk.line, b""):
            name, _, value = field.partition(b":")
            headers[name.lower()] = value.strip()
        if not code.startswith(b"1") or code == b"101":
            return code.decode(), headers


def http_body(talk: Conversation, status: str, headers: dict[bytes, bytes]) -> Iterator[bytes]:
    """Yield an answer's content as it comes (RFC 9112, 6.3)."""
    length = headers.get(b"content-length")
    if status in ("204", "304"):
        return
    if headers.get(b"transfer-encoding", b"").lower().endswith(b"chunked"):
        while True:
            size = http_number(talk.line().partition(b";")[0].strip(), 16)
            if not size:
                return
            yield from talk.pieces(size)
            talk.line()
    yield from talk.pieces(None if length is None else http_number(length, 10))


def http_number(digits: bytes, base: int) -> int:
    """Read a length that a stranger wrote."""
    try:
        if len(digits) > 15 or not digits.isalnum():
            raise ValueError
        return int(digits, base)
    except ValueError:
        raise FindingError("wrong", f"an HTTP answer whose length is {shown(digits)}") from None

"""The check of DNS servers."""

from __future__ import annotations

import os
import socket
import struct

from netlab.agent.asked import is_string, is_text
from netlab.agent.checks.tls import canonical
from netlab.agent.conversation import Connection, FindingError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from netlab.agent.shapes import Json


DNS_HEADER = struct.Struct("!HHHHHH")  # RFC 1035, 4.1.1: id, flags, and four counts
DNS_FIXED, DNS_RECORD = struct.Struct("!HH"), struct.Struct("!HHIH")  # type, class, time to live, length
DNS_RESPONSE, DNS_TRUNCATED, DNS_RECURSION_DESIRED, DNS_IN = 0x8000, 0x0200, 0x0100, 1
DNS_TYPES = {"A": 1, "NS": 2, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}
DNS_ERRORS = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}


def is_record_type(value: Any) -> bool:
    """Whether it is a type of record that the check can read."""
    return is_text(value) and value in DNS_TYPES


FIELDS = {
    "name": (is_text, "a text"),
    "type": (is_record_type, "one of " + ", ".join(DNS_TYPES)),
    "answer": (is_string, "a text or none"),
}


def check(talk: Connection, wanted: Json) -> str:
    """A DNS server is right if it knows the answer; over TCP a length goes first (RFC 1035, 4.2.2)."""
    query = question(wanted)
    talk.send(struct.pack("!H", len(query)) + query)
    (length,) = struct.unpack("!H", talk.take(2))
    return finding(query, talk.take(length), wanted)


def question(wanted: Json) -> bytes:
    """Write a query (RFC 1035, 4.1)."""
    header = DNS_HEADER.pack(int.from_bytes(os.urandom(2), "big"), DNS_RECURSION_DESIRED, 1, 0, 0, 0)
    labels = [label.encode("ascii", "replace")[:63] for label in wanted["name"].split(".") if label]
    name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return header + name + DNS_FIXED.pack(DNS_TYPES[wanted["type"]], DNS_IN)


def finding(query: bytes, answer: bytes, wanted: Json) -> str:
    """Judge what a DNS server answers to a query."""
    asked = f"{wanted['type']} {wanted['name']}"
    try:
        number, flags, _, count, _, _ = DNS_HEADER.unpack_from(answer)
        asked_again = answer[DNS_HEADER.size : len(query)]
        if number != int.from_bytes(query[:2], "big") or not flags & DNS_RESPONSE:
            raise ValueError
        code = flags & 0xF
        if not code and asked_again.lower() != query[DNS_HEADER.size :].lower():
            raise ValueError
        found = dns_records(answer, len(query), count, DNS_TYPES[wanted["type"]]) if not code else []
    except (IndexError, ValueError, struct.error, OSError):
        raise FindingError("wrong", f"no DNS answer to {asked}: it said {shown(answer)}") from None
    listed = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
    said = f"DNS has {listed or DNS_ERRORS.get(code, f'error {code}' if code else 'no record')} for {asked}"
    said += " (cut short)" if flags & DNS_TRUNCATED else ""
    expected = wanted["answer"]
    if expected and canonical(expected) not in (canonical(one) for one in found):
        raise FindingError("wrong", f"{said}, expected {shown(expected.encode())}")
    if not found:
        raise FindingError("wrong", said)
    return said


def dns_records(message: bytes, at: int, count: int, kind: int) -> list[str]:
    """Return the answers of one type; names on the way to them (CNAME) are passed over."""
    found = []
    for _ in range(count):
        _, at = dns_name(message, at)
        its_kind, _, _, length = DNS_RECORD.unpack_from(message, at)
        at += DNS_RECORD.size
        if its_kind == kind:
            found.append(dns_value(message, at, length, kind))
        at += length
    return found


def dns_value(message: bytes, at: int, length: int, kind: int) -> str:
    """Write what a record says (RFC 1035, 3.3 and 3.4; RFC 3596, 2.2)."""
    value = message[at : at + length]
    if kind == DNS_TYPES["A"]:
        return socket.inet_ntop(socket.AF_INET, value)
    if kind == DNS_TYPES["AAAA"]:
        return socket.inet_ntop(socket.AF_INET6, value)
    if kind == DNS_TYPES["TXT"]:
        texts = bytearray()
        while value:
            texts += value[1 : 1 + value[0]]
            value = value[1 + value[0] :]
        return shown(texts)[1:-1]
    if kind == DNS_TYPES["MX"]:
        (preference,) = struct.unpack_from("!H", value)
        return f"{preference} {dns_name(message, at + 2)[0]}"
    return dns_name(message, at)[0]


def dns_name(message: bytes, at: int) -> tuple[str, int]:
    """Return a name, and where it ends; it may go on further up in the message (RFC 1035, 4.1.4)."""
    labels, end = bytearray(), 0
    while message[at]:
        length = message[at]
        if length >= 0xC0:
            end = end or at + 2
            before = int.from_bytes(message[at : at + 2], "big") & 0x3FFF
            if before >= at:  # only ever back, or it might have no end
                raise ValueError(before)
            at = before
        else:
            labels += message[at + 1 : at + 1 + length] + b"."
            at += 1 + length
    return shown(labels.rstrip(b"."))[1:-1], end or at + 1

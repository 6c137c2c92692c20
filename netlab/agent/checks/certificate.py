"""Certificates, decoded as far as a check has to know them: `ssl` decodes only what it has verified."""

from __future__ import annotations

import socket

from netlab.agent.conversation import FindingError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


# X.690, 8.1; RFC 5280, 4.1 and 4.2.1.6
DER_UTC_TIME, DER_VERSION, DER_EXTENSIONS, DER_DNS_NAME, DER_IP_ADDRESS = 0x17, 0xA0, 0xA3, 0x82, 0x87
DER_SUBJECT_ALT_NAME = b"\x55\x1d\x11"  # 2.5.29.17


def decode_certificate(der: bytes) -> tuple[list[str], str, str]:
    """Return a certificate's names, and since and until when it is valid, as `20261231235959` in UTC.

    The module `ssl` decodes only what it has verified.
    """
    try:
        fields = elements(elements(elements(der)[0][1])[0][1])
        fields = fields[fields[0][0] == DER_VERSION :]  # then: number, algorithm, issuer, validity, subject
        begins, ends = (moment(kind, value) for kind, value in elements(fields[3][1]))
        names = [name for kind, value in fields if kind == DER_EXTENSIONS for name in alt_names(value)]
    except (IndexError, ValueError):
        raise FindingError("wrong", "a certificate that can't be read") from None
    return names, begins, ends


def elements(der: bytes) -> list[tuple[int, bytes]]:
    """Split DER into its elements: tags and contents.

    Raises:
        IndexError: it ends within an element's header.

    Source: X.690, 8.1.
    """
    found = []
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length > 0x7F:
            length, at = int.from_bytes(der[at : at + length - 0x80], "big"), at + length - 0x80
        found.append((tag, der[at : at + length]))
        at += length
    return found


def moment(kind: int, value: bytes) -> str:
    """Write a UTCTime or a GeneralizedTime, both of which end in a Z, with four digits for the year."""
    digits = value[:-1].decode("ascii")
    if kind == DER_UTC_TIME:
        digits = ("19" if digits >= "50" else "20") + digits  # RFC 5280, 4.1.2.5.1
    if len(digits) != 14 or not digits.isdigit():
        raise ValueError(digits)
    return digits


def alt_names(extensions: bytes) -> Iterator[str]:
    """Yield the names and addresses that a certificate is for, printable whatever is in it."""
    for _, extension in elements(elements(extensions)[0][1]):
        parts = elements(extension)
        if parts[0][1] == DER_SUBJECT_ALT_NAME:
            for kind, value in elements(elements(parts[-1][1])[0][1]):
                if kind == DER_DNS_NAME:
                    yield shown(value)[1:-1]
                elif kind == DER_IP_ADDRESS and len(value) in (4, 16):
                    yield socket.inet_ntop(socket.AF_INET if len(value) == 4 else socket.AF_INET6, value)

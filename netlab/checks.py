"""Checks: how the right application is told from others, once it can be talked to. Pure values.

`request` writes one down for the agent, which does the talking (`netlab.agent`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import ClassVar

# What stands in a check for the run's own secret, which the service has in a file.
NONCE = "{nonce}"


@dataclass(frozen=True, slots=True)
class Hftp:
    """It is an HFTP server that lists `file`, whose content is `expect`."""

    kind: ClassVar = "hftp"
    file: str = ""
    expect: str = ""


@dataclass(frozen=True, slots=True)
class Tcp:
    """That it accepts, and stays, is enough."""

    kind: ClassVar = "tcp"


@dataclass(frozen=True, slots=True)
class Banner:
    """It speaks first, and `expect` is in what it says."""

    kind: ClassVar = "banner"
    expect: str


@dataclass(frozen=True, slots=True)
class SendExpect:
    """It answers `send` with something that has `expect` in it."""

    kind: ClassVar = "send-expect"
    send: bytes
    expect: bytes


@dataclass(frozen=True, slots=True)
class Tls:
    """It speaks TLS, and its certificate is good.

    Attributes:
        name: what the certificate has to be for, also told to the server (SNI); empty: what is dialled.
        ca: the certificates that it has to chain to, as PEM; empty: those that the dialling host trusts.
        verify: whether it has to chain to them at all.
        days: for how long it has still to be valid.
    """

    kind: ClassVar = "tls"
    name: str = ""
    ca: str = ""
    verify: bool = True
    days: int = 0


@dataclass(frozen=True, slots=True)
class Http:
    """It answers a GET with a status of `status`, and `body` is in the content.

    Attributes:
        status: codes, `404`, and classes, `2xx`.
        host: of the Host field; empty: what is dialled.
        tls: what its certificate has to be, where it is HTTP over TLS.
    """

    kind: ClassVar = "http"
    path: str = "/"
    status: tuple[str, ...] = ("200",)
    body: str = ""
    host: str = ""
    tls: Tls | None = None


@dataclass(frozen=True, slots=True)
class Dns:
    """It is a DNS server that knows a record of `type` for `name`; one that is `answer`, if that is said."""

    kind: ClassVar = "dns"
    name: str
    type: str = "A"
    answer: str = ""


@dataclass(frozen=True, slots=True)
class AnyAnswer:
    """It answers a datagram, whatever it says: as much as `Tcp` asks of a connection."""

    kind: ClassVar = "any-answer"
    send: bytes


Check = Hftp | Tcp | Banner | SendExpect | Tls | Http | Dns | AnyAnswer

# What works over each protocol: a datagram that nobody answers says nothing.
OVER_UDP = (Dns.kind, SendExpect.kind)
# What a datagram holds: a packet's 65535 bytes, less 20 of IPv4's header (RFC 791) and 8 of UDP's (RFC 768).
DATAGRAM_BYTES = 65507


def for_run(check: Check, file: str, nonce: str) -> Check:
    """Return a check that only the service of this run passes, where it can say so.

    Args:
        check: as somebody wrote it, perhaps with `{nonce}` in it.
        file: the name of the file that the service has the nonce in.
        nonce: the run's secret.
    """
    if isinstance(check, Hftp):
        return Hftp(file, nonce)
    filled: dict[str, str | bytes] = {}
    for name, value in asdict(check).items():
        if isinstance(value, str):
            filled[name] = value.replace(NONCE, nonce)
        elif isinstance(value, bytes):
            filled[name] = value.replace(NONCE.encode(), nonce.encode())
    return replace(check, **filled)  # type: ignore[arg-type]


def request(check: Check, address: str, port: int) -> dict[str, object]:
    """Return a check as JSON's own types, for the agent.

    Args:
        check: what to write down.
        address: the name or address that is dialled.
        port: the port that is dialled.
    """
    if isinstance(check, Http):
        check = replace(check, host=check.host or _host_field(address, port, secure=check.tls is not None))
    fields = {name: _json(value) for name, value in _fields(check, address).items()}
    if isinstance(check, Http):
        fields["tls"] = _fields(check.tls, address) if check.tls is not None else None
    return {"kind": check.kind, **fields}


def _fields(check: Check, address: str) -> dict[str, object]:
    if isinstance(check, Tls) and not check.name:
        check = replace(check, name=address)
    return asdict(check)


def _json(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    return list(value) if isinstance(value, tuple) else value


def _host_field(address: str, port: int, *, secure: bool) -> str:
    """Return what goes into the Host field: no port where it is the usual one (RFC 9110, 4.2 and 7.2)."""
    host = f"[{address.partition('%')[0]}]" if ":" in address else address
    return host if port == (443 if secure else 80) else f"{host}:{port}"

"""The check of TLS servers and their certificates."""

from __future__ import annotations

import socket
import time

from netlab.agent.asked import is_bool, is_days, is_string, is_text
from netlab.agent.checks.certificate import decode_certificate
from netlab.agent.conversation import Connection, Conversation, FindingError, shown
from netlab.agent.netlink import IP_FAMILIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from netlab.agent.shapes import Json

    Result = TypeVar("Result")


FIELDS = {
    "name": (is_text, "a text"),
    "ca": (is_string, "a text or none"),
    "verify": (is_bool, "true or false"),
    "days": (is_days, "days, up to 36525"),
}


def is_wanted(value: Any) -> bool:
    """Whether it is such a check, or none, as another check has it within itself."""
    return value is None or (
        isinstance(value, dict) and all(valid(value.get(key)) for key, (valid, _) in FIELDS.items())
    )


class Secured(Conversation):
    """A conversation within TLS, which is held within another one.

    Raises:
        FindingError: it does not come to TLS.
        ssl.SSLCertVerificationError: the certificate does not chain to one that is trusted.
    """

    def __init__(self, below: Conversation, context: Any, name: str) -> None:
        import ssl

        super().__init__()
        self._below = below
        self._first = b""  # that came: whether it is TLS at all
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._step(self.tls.do_handshake)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._step(lambda: self.tls.write(data))

    def receive(self) -> None:
        """Wait for more bytes and keep them in `received`."""
        data = self._step(lambda: self.tls.read(4096))
        if not data:
            raise FindingError("closed", "TLS was closed")
        self.received += data

    def leave(self) -> None:
        """Say that this is the end, so that the server has nothing to complain of."""
        import ssl

        try:
            self.tls.unwrap()
        except ssl.SSLError:  # the other end has not said so yet
            pass
        try:
            self._below.send(self._outgoing.read())
        except FindingError:
            pass

    def _step(self, step: Callable[[], Result]) -> Result:
        """Do a step of TLS, sending what it has to say, and receiving what it waits for."""
        import ssl

        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLCertVerificationError:
                raise
            except ssl.SSLError as error:
                reason = error.reason or "unknown"
                if self._first[:1] in (b"\x15", b"\x16"):  # an alert, a handshake (RFC 8446, 5.1)
                    raise FindingError("wrong", f"TLS fails: {reason}") from None
                raise FindingError("wrong", f"not TLS: it said {shown(self._first)}") from None
            finally:
                self._below.send(self._outgoing.read())
            self._below.receive()
            self._first = self._first or bytes(self._below.received[:60])
            self._incoming.write(bytes(self._below.received))
            self._below.received.clear()


def check(talk: Connection, wanted: Json) -> str:
    """A TLS server is right if its certificate is."""
    secure, certificate = secured(talk, wanted)
    secure.leave()
    return certificate


def secured(talk: Connection, wanted: Json) -> tuple[Secured, str]:
    """Begin TLS, and look at the certificate; return the conversation within, and what was seen."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # by `troubles`, so that all of them are told at once
    if not wanted["verify"]:
        context.verify_mode = ssl.CERT_NONE
    elif wanted["ca"]:
        context.load_verify_locations(cadata=wanted["ca"])
    else:
        context.load_default_certs()
    try:
        secure = Secured(talk, context, wanted["name"])
    except ssl.SSLCertVerificationError as error:
        # The module shows no certificate that it does not trust, but to those who don't ask it to.
        context.verify_mode = ssl.CERT_NONE
        untrusted = f"not trusted ({error.verify_message})"
        said = certificate_text(seen_again(talk, context, wanted["name"]), wanted, untrusted)
        raise FindingError("wrong", said) from None
    seen = secure.tls.getpeercert(True) or b""
    said = f"{secure.tls.version()}, {certificate_text(seen, wanted, '')}"
    if troubles(*decode_certificate(seen), wanted):
        raise FindingError("wrong", said)
    return secure, said


def seen_again(talk: Connection, context: Any, name: str) -> bytes:
    """Connect once more, and return the certificate that is shown."""
    with socket.socket(talk.family, socket.SOCK_STREAM) as sock:
        return Secured(talk.again(sock), context, name).tls.getpeercert(True) or b""


def certificate_text(der: bytes, wanted: Json, untrusted: str) -> str:
    """Say what certificate it is, and what is wrong with it."""
    names, begins, ends = decode_certificate(der)
    listed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    dates = " to ".join(f"{moment[:4]}-{moment[4:6]}-{moment[6:8]}" for moment in (begins, ends))
    wrong = troubles(names, begins, ends, wanted)
    # An expired one is not trusted, either: that is said already.
    wrong += [untrusted] * bool(untrusted and "expired" not in untrusted and "not yet valid" not in untrusted)
    said = f"a certificate for {listed or 'no name'}, {dates}"
    return f"{said}: {'; '.join(wrong or [untrusted])}" if wrong or untrusted else said


def troubles(names: list[str], begins: str, ends: str, wanted: Json) -> list[str]:
    """Return what is wrong with a certificate, apart from who signed it."""
    found = []
    now, then = (
        time.strftime("%Y%m%d%H%M%S", time.gmtime(time.time() + days * 86400)) for days in (0, wanted["days"])
    )
    if not any(covers(name, wanted["name"]) for name in names):
        found.append(f"not for {shown(wanted['name'].encode())}")
    if begins > now:
        found.append("not valid yet")
    if ends < now:
        found.append("expired")
    elif ends < then:
        found.append(f"expires in less than {wanted['days']} days")
    return found


def covers(pattern: str, name: str) -> bool:
    """Whether a certificate's name stands for a name (RFC 9525, 6.3) or an address."""
    pattern, name = (canonical(text) for text in (pattern, name))
    first, _, rest = pattern.partition(".")
    wild = first == "*" and "." in rest and not rest.rpartition(".")[2].isdigit()  # no addresses
    return pattern == name or (wild and rest == name.partition(".")[2])


def canonical(name: str) -> str:
    """Write a name, or an address, in the one way in which it is compared."""
    for family in IP_FAMILIES:
        try:
            return socket.inet_ntop(family, socket.inet_pton(family, name.partition("%")[0]))
        except OSError:
            continue
    return name.lower().rstrip(".")

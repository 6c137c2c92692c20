"""How a YAML file says by what a service is talked to."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from netlab.checks import DATAGRAM_BYTES, OVER_UDP, Check, SendExpect
from netlab.model import BY_TCP, AnswersFrom, Protocol, Transport
from netlab.yamlfile import Path, Section, YamlFile

ProtocolWord = Literal["tcp", "udp"]
AnswersFromWord = Literal["routed", "dialled"]


class TransportSection(Section):
    """How a service is talked to.

    Attributes:
        protocol: what carries its messages; `tcp`, if nothing is said.
        answers_from: over UDP, which source address it gives to its answers where it listens on a wildcard:
            the one that routing chooses (`routed`), or the one that it was asked at (`dialled`: IP_PKTINFO).
    """

    protocol: ProtocolWord | None = None
    answers_from: Annotated[AnswersFromWord | None, Field(alias="answers-from")] = None


def transport_of(
    said: TransportSection, file: YamlFile, path: Path, usual: TransportSection | None = None
) -> Transport:
    """Return what a section means.

    Args:
        said: the section.
        file: where it stands, to point into.
        path: where it stands there.
        usual: what holds where it says nothing.

    Raises:
        FileError: what it says is about datagrams, and they are not what carries the messages.
    """
    usual = usual or TransportSection()
    protocol = Protocol(said.protocol or usual.protocol or Protocol.TCP)
    if protocol is Protocol.TCP:
        if said.answers_from is not None:
            raise file.error((*path, "answers-from"), "answers-from goes with protocol: udp")
        return BY_TCP
    return Transport(protocol, AnswersFrom(said.answers_from or usual.answers_from or AnswersFrom.ROUTED))


def check_works(check: Check, protocol: Protocol, file: YamlFile, path: Path) -> None:
    """Refuse a check that can't be made over a protocol.

    Args:
        check: how an answer is recognised.
        protocol: what carries the messages.
        file: where the check stands, to point into.
        path: where it stands there, or what there is wrong with it.

    Raises:
        FileError: it can't; the message says what can.
    """
    if protocol is not Protocol.UDP:
        return
    if check.kind not in OVER_UDP:
        problem = f"{check.kind} is about connections; over UDP only an answer says something"
        raise file.error(path, f"{problem}: check by {' or '.join(OVER_UDP)}")
    if isinstance(check, SendExpect) and len(check.send) > DATAGRAM_BYTES:
        problem = f"{len(check.send)} bytes are sent, and a datagram holds {DATAGRAM_BYTES}"
        raise file.error((*path, check.kind), problem)

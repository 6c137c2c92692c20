"""One dial between two hosts of a lab that runs already: what must come of it, what does, and why."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

from netlab.agents import agents_of
from netlab.backends import Lab
from netlab.checks import AnyAnswer, Check, Tcp
from netlab.errors import LabError, NetlabError
from netlab.experiments.plan import Dial
from netlab.facts import Facts
from netlab.measure import Progress, Question, measure, read_all_facts
from netlab.model import BY_TCP, Bind, Cell, Protocol, Target, Transport
from netlab.predict import View
from netlab.predict.publishing import publication_of
from netlab.predict.routing import is_local

# Longer than the kernel needs to find that no neighbour answers.
_PATIENCE_S = 5.0

# What UDP services are asked by their ports, where nobody says what they should answer: for the name servers
# of the root (RFC 1035, 4.1), the time (RFC 5905, 7.3: version 3, client). Others are sent an empty line.
_DNS_QUESTION = bytes.fromhex("6e6c 0100 0001 0000 0000 0000 00 0002 0001")
_QUESTIONS = {53: _DNS_QUESTION, 5353: _DNS_QUESTION, 123: b"\x1b" + bytes(47)}
_LINE = b"\r\n"


@dataclass(frozen=True, slots=True)
class Destination:
    """What is dialled.

    Attributes:
        address: a host of the lab, or a name or an address as the vantage resolves it.
        port: a published one leads to its container.
        transport: how the service there is talked to.
        check: how it is recognised; None: that it accepts, or answers at all, is enough.
    """

    address: str
    port: int
    transport: Transport = BY_TCP
    check: Check | None = None

    @property
    def usual_check(self) -> Check:
        """The check, or what is asked where none is said."""
        if self.check is not None:
            return self.check
        if self.transport.protocol is Protocol.TCP:
            return Tcp()
        return AnyAnswer(_QUESTIONS.get(self.port, _LINE))


def why(lab: Lab, vantage: str, to: Destination, progress: Progress) -> Cell:
    """Dial an address from a host, and say why it comes out as it does.

    Args:
        lab: attached to when it is entered; nothing in it is changed.
        vantage: the host that dials.
        to: what it dials.
        progress: told of each phase.

    Raises:
        NetlabError: there is no such host, or nobody in the lab has the address.
        LabError: one of the two is a machine that can't be used.
    """
    address, port, protocol = to.address, to.port, to.transport.protocol
    with lab, agents_of(lab) as agents:
        for name in (vantage, address):
            _check_usable(lab, name)
        if vantage not in lab.hosts:
            raise NetlabError(f"no host is called {vantage!r}: there is {', '.join(lab.hosts)}")
        dialled = address_to_dial(lab, vantage, address) if address in lab.hosts else address
        names = {host: {dialled} for host in lab.hosts}
        facts = read_all_facts(agents, names, progress, (protocol,))
        owner, inside = _service(lab, facts, vantage, to, dialled)
        sockets = [socket for socket in facts[owner].sockets(protocol) if socket.port == inside]
        listening = str(sockets[0].address) if sockets else "0.0.0.0"
        bind = Bind(f"{owner}:{inside}", owner, listening)
        target = Target(f"{address}:{port}", dialled, port)
        view = View(facts, lab.topology, lab.engine, lab.complete)
        dial = Dial(bind, vantage, vantage, target)
        question = Question(dial, inside, to.usual_check, to.transport)
        (cell,) = measure(agents, view, [question], _PATIENCE_S, progress)
    return cell


def address_to_dial(lab: Lab, vantage: str, host: str) -> str:
    """Return what a vantage dials when it means a host of the lab.

    Containers know each other by name. Elsewhere it is an address on a network that both are on, if any.
    """
    if lab.engine is not None and lab.engine.host not in (vantage, host):
        return host
    links = lab.topology.host(host).links
    near = {link.network for link in lab.topology.host(vantage).links}
    for link in sorted(links, key=lambda link: link.network not in near):
        for own in link.addresses:
            return str(own.ip)
    raise NetlabError(f"{host} has no address that others could dial")


def _check_usable(lab: Lab, name: str) -> None:
    failures: Mapping[str, NetlabError] = getattr(lab, "failures", {})
    if name in failures:
        raise LabError(f"{name} can't be used: {failures[name]}")


def _service(
    lab: Lab, facts: dict[str, Facts], vantage: str, to: Destination, dialled: str
) -> tuple[str, int]:
    """Return whose service is meant, and its port there."""
    owner = to.address if to.address in lab.hosts else _owner(facts, vantage, dialled)
    by_tcp = to.transport.protocol is Protocol.TCP
    if lab.engine is not None and owner == lab.engine.host and by_tcp:
        with suppress(ValueError):
            publication = publication_of(lab.engine, ip_address(dialled), to.port)
            if publication is not None:
                return publication.host, publication.inside
    return owner, to.port


def _owner(facts: dict[str, Facts], vantage: str, dialled: str) -> str:
    """Return the host that an address leads to; loopback leads to the host that dials it."""
    try:
        addresses = (ip_address(dialled),)
    except ValueError:
        addresses = facts[vantage].names[dialled].addresses  # type: ignore[assignment]
    for address in addresses:
        if address.is_loopback or address.is_unspecified:
            return vantage
        for host, its in facts.items():
            if is_local(its, address):
                return host
    raise NetlabError(f"none of the hosts has {dialled}: netlab explains what it can look at on both sides")

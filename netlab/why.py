"""One dial between two hosts of a lab that runs already: what must come of it, what does, and why."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address

from netlab.agents import Agents
from netlab.backends import Lab
from netlab.checks import Tcp
from netlab.errors import LabError, NetlabError
from netlab.experiments.plan import Dial
from netlab.facts import Facts
from netlab.measure import Progress, Question, measure, read_all_facts
from netlab.model import Bind, Cell, Target
from netlab.predict import View
from netlab.predict.publishing import publication_of
from netlab.predict.routing import is_local

# Longer than the kernel needs to find that no neighbour answers.
_PATIENCE_S = 5.0


def why(lab: Lab, vantage: str, address: str, port: int, progress: Progress) -> Cell:
    """Dial an address from a host, and say why it comes out as it does.

    Args:
        lab: attached to when it is entered; nothing in it is changed.
        vantage: the host that dials.
        address: a host of the lab, or a name or an address as the vantage resolves it.
        port: the TCP port; a published one leads to its container.
        progress: told of each phase.

    Raises:
        NetlabError: there is no such host, or nobody in the lab has the address.
        LabError: one of the two is a machine that can't be used.
    """
    with lab, Agents(lab) as agents:
        for name in (vantage, address):
            _check_usable(lab, name)
        if vantage not in lab.hosts:
            raise NetlabError(f"no host is called {vantage!r}: there is {', '.join(lab.hosts)}")
        dialled = address_to_dial(lab, vantage, address) if address in lab.hosts else address
        facts = read_all_facts(agents, {host: {dialled} for host in lab.hosts}, progress)
        owner, inside = _service(lab, facts, vantage, address, dialled, port)
        sockets = [listener for listener in facts[owner].listeners if listener.port == inside]
        listening = str(sockets[0].address) if sockets else "0.0.0.0"
        bind = Bind(f"{owner}:{inside}", owner, listening)
        target = Target(f"{address}:{port}", dialled, port)
        view = View(facts, lab.topology, lab.engine, lab.complete)
        question = Question(Dial(bind, vantage, vantage, target), inside, Tcp())
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
    lab: Lab, facts: dict[str, Facts], vantage: str, address: str, dialled: str, port: int
) -> tuple[str, int]:
    """Return whose service is meant, and its port there."""
    owner = address if address in lab.hosts else _owner(facts, vantage, dialled)
    if lab.engine is not None and owner == lab.engine.host:
        with suppress(ValueError):
            publication = publication_of(lab.engine, ip_address(dialled), port)
            if publication is not None:
                return publication.host, publication.inside
    return owner, port


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

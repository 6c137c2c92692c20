"""One dial between two hosts of a lab that runs already: what must come of it, what does, and why."""

from __future__ import annotations

from ipaddress import ip_address

from netlab.agents import Agents
from netlab.backends import Lab
from netlab.errors import NetlabError
from netlab.experiments.plan import Dial
from netlab.facts import Facts
from netlab.measure import Progress, Question, measure, read_all_facts
from netlab.model import Bind, Cell, Target
from netlab.predict import View
from netlab.predict.routing import is_local
from netlab.probes import Check

# Longer than the kernel needs to find that no neighbour answers.
_PATIENCE_S = 5.0


def why(lab: Lab, vantage: str, address: str, port: int, progress: Progress) -> Cell:
    """Dial an address from a host, and say why it comes out as it does.

    Args:
        lab: attached; nothing in it is changed.
        vantage: the host that dials.
        address: a host of the lab, by which its first address is meant, or a name or an address as that host
            resolves it.
        port: the TCP port.
        progress: told of each phase.

    Raises:
        NetlabError: there is no such host, or nobody in the lab has the address.
    """
    with lab, Agents(lab) as agents:
        if vantage not in lab.hosts:
            raise NetlabError(f"no host is called {vantage!r}: there is {', '.join(lab.hosts)}")
        dialled = _first_address(lab, address) if address in lab.hosts else address
        facts = read_all_facts(agents, {host: {dialled} for host in lab.hosts}, progress)
        owner = address if address in lab.hosts else _owner(facts, vantage, dialled)
        sockets = [listener for listener in facts[owner].listeners if listener.port == port]
        listening = str(sockets[0].address) if sockets else "0.0.0.0"
        dial = Dial(Bind(f"{owner}:{port}", owner, listening), vantage, vantage, Target(address, dialled))
        view = View(facts, lab.topology, lab.engine, lab.complete)
        (cell,) = measure(agents, view, [Question(dial, port, Check("tcp"))], _PATIENCE_S, progress)
    return cell


def _first_address(lab: Lab, host: str) -> str:
    for link in lab.topology.host(host).links:
        for own in link.addresses:
            return str(own.ip)
    raise NetlabError(f"{host} has no address that others could dial")


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

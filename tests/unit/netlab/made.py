"""Hosts, facts and matrices made by hand, as a kernel would have them."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network

from netlab.checks import Hftp
from netlab.experiments.plan import SERVER, Experiment, Headline, Service, Vantage
from netlab.facts import Facts, Interface, Listener, Resolution, RouteEntry, Rule
from netlab.matrix import Matrix
from netlab.model import (
    Bind,
    Cell,
    Host,
    IPAddress,
    IPInterface,
    Link,
    Network,
    Observation,
    Outcome,
    Prediction,
    Step,
    Target,
    Topology,
    Verdict,
)
from netlab.predict import View

PORT = 19500
LOCAL, MAIN = 255, 254
OPEN, REFUSED = Outcome(Verdict.OPEN), Outcome(Verdict.REFUSED)


def ip(text: str) -> IPAddress:
    return ip_address(text)


def iface(text: str) -> IPInterface:
    return ip_interface(text)


def interface(name: str, *addresses: str, index: int = 2, up: bool = True) -> Interface:
    return Interface(index, name, up, name == "lo", tuple(map(ip_interface, addresses)))


def route(
    to: str,
    via: str | None = None,
    dev: str | None = "eth0",
    *,
    kind: str = "unicast",
    table: int = MAIN,
    src: str | None = None,
    metric: int = 0,
) -> RouteEntry:
    gateway, source = (ip_address(text) if text else None for text in (via, src))
    return RouteEntry(table, kind, ip_network(to), gateway, dev, source, metric)


def rule(
    family: int, priority: int, table: int = MAIN, action: str = "lookup", src: str = "", dst: str = ""
) -> Rule:
    source, destination = (ip_network(text) if text else None for text in (src, dst))
    return Rule(6 if family == 6 else 4, priority, action, table, source, destination)


def listener(address: str, port: int = PORT, *, v6only: bool = False, device: str | None = None) -> Listener:
    return Listener(ip_address(address), port, v6only, device)


LO = interface("lo", "127.0.0.1/8", "::1/128", index=1)


def facts(
    *interfaces: Interface,
    routes: tuple[RouteEntry, ...] = (),
    rules: tuple[Rule, ...] = (),
    listeners: tuple[Listener, ...] = (),
    names: dict[str, str] | None = None,
    sysctls: dict[str, str] | None = None,
    forwards: bool = False,
    datagram_sockets: tuple[Listener, ...] = (),
) -> Facts:
    """Return the facts of a host with these interfaces and lo, and the routes that the kernel adds."""
    everything = (LO, *interfaces) if not any(i.loopback for i in interfaces) else interfaces
    own = [entry for i in everything for address in i.addresses for entry in _own_routes(i, address)]
    known = dict(sysctls or {})
    for device in ("all", *(i.name for i in everything)):
        for version in (4, 6):
            known.setdefault(f"net.ipv{version}.conf.{device}.forwarding", str(int(forwards)))
    resolved = {
        name: Resolution(tuple(map(ip_address, text.split()))) if text else Resolution(error="EAI_NONAME")
        for name, text in (names or {}).items()
    }
    return Facts(
        "host", "6.1", everything, (*own, *routes), rules, listeners, resolved, known, datagram_sockets
    )


def _own_routes(i: Interface, address: IPInterface) -> list[RouteEntry]:
    if i.loopback and address.version == 4 and address.ip.is_loopback:
        return [route("127.0.0.0/8", dev="lo", kind="local", table=LOCAL, src="127.0.0.1")]
    length = address.max_prefixlen
    source = str(address.ip) if address.version == 4 else None
    local = route(f"{address.ip}/{length}", dev=i.name, kind="local", table=LOCAL, src=source)
    if i.loopback or address.network.prefixlen == length:
        return [local]
    connected = route(str(address.network), dev=i.name, src=source)
    if address.version == 6:
        return [local, connected]
    last = address.network.broadcast_address
    return [local, connected, route(f"{last}/32", dev=i.name, kind="broadcast", table=LOCAL, src=source)]


def view(**hosts: tuple[Facts, dict[str, str]]) -> View:
    """Return a lab: by host its facts, and the network of each of its interfaces."""
    made = tuple(
        Host(name, tuple(Link(device, network, ()) for device, network in links.items()))
        for name, (_, links) in hosts.items()
    )
    networks = {network: None for _, links in hosts.values() for network in links.values()}
    topology = Topology(tuple(Network(name) for name in networks), made)
    return View({name: known for name, (known, _) in hosts.items()}, topology)


# --- A matrix: two binds, dialled from the server's host and from a peer -----------------------------------

BINDS = (Bind("127.0.0.1", "one", "127.0.0.1"), Bind("0.0.0.0", "two", "0.0.0.0"))
ADDRESSES = {"one": "198.18.1.11", "two": "198.18.1.12"}


def cell(
    bind: Bind,
    vantage: str,
    target: Target,
    predicted: Outcome,
    observed: Outcome | None,
    not_measured: str = "",
) -> Cell:
    steps = (
        Step("bind", bind.host, f"{bind.address}: listening on {bind.address}:{PORT}", "sockets"),
        Step("listener", bind.host, f"no socket for {target.address}:{PORT} by eth0", "sockets"),
        Step("answer", bind.host, "no listener: RST", "RFC 9293, 3.10.7.1"),
    )
    prediction = Prediction(predicted, steps, "" if predicted == OPEN else "bind 0.0.0.0")
    observation = Observation(observed, ("evidence",), 0.001, not_measured)
    return Cell(bind, vantage, target, prediction, observation)


def matrix(**changed: Outcome | None) -> Matrix:
    """Return the matrix; `changed` says what was seen otherwise: `one_peer_lan=...`, None: not measured."""
    hosts = tuple(
        Host(name, (Link("eth0", "lan", (ip_interface(f"{address}/24"),)),))
        for name, address in ADDRESSES.items()
    )
    lan = {bind.name: Target("lan", ADDRESSES[bind.host]) for bind in BINDS}
    targets: dict[str, dict[str, tuple[Target, ...]]] = {
        SERVER: {bind: (Target("localhost", "127.0.0.1"), target) for bind, target in lan.items()},
        "peer": {bind: (target, Target("127.0.0.1", "127.0.0.1")) for bind, target in lan.items()},
    }
    experiment = Experiment(
        name="made-by-hand",
        title="What differs?",
        topology=Topology((Network("lan"),), (*hosts, Host("peer", ()))),
        service=Service(PORT, Hftp()),
        binds=BINDS,
        vantages=tuple(Vantage(name, dialled) for name, dialled in targets.items()),
        headline=Headline(
            ("127.0.0.1", "0.0.0.0"),
            (("from the same machine", SERVER, "localhost"), ("from another machine", "peer", "lan")),
        ),
    )
    cells = []
    for dial in experiment.dials():
        inside = dial.vantage == SERVER and (dial.bind.name == "0.0.0.0" or dial.target.name == "localhost")
        outside = dial.vantage == "peer" and dial.bind.name == "0.0.0.0" and dial.target.name == "lan"
        expected = OPEN if inside or outside else REFUSED
        key = f"{dial.bind.host}_{dial.vantage}_{dial.target.name}".replace(".", "_")
        seen = changed.get(key, expected)
        why = "" if seen else "agent on peer: it is gone"
        cells.append(cell(dial.bind, dial.vantage, dial.target, expected, seen, why))
    listening = {"one": "127.0.0.1", "two": "0.0.0.0"}
    known = {
        name: facts(interface("eth0", f"{ADDRESSES[name]}/24"), listeners=(listener(listening[name]),))
        for name in ADDRESSES
    }
    return Matrix(experiment, "netns", {bind.name: known for bind in experiment.binds}, tuple(cells), 1.234)

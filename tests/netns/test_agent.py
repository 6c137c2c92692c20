"""The agent in real namespaces: every fact and every verdict comes of a situation that a kernel is in."""

from __future__ import annotations

import shutil
import time
from contextlib import closing, contextmanager
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_interface, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from netlab.checks import Banner, Check, Hftp, Tcp
from netlab.facts import Facts, Listener, Resolution, RouteEntry, Rule, read_facts
from netlab.judging import judge
from netlab.model import Host, Link, NameEntry, Network, Outcome, Route, Topology, Verdict
from netlab.probes import Icmp, Probe, ProbeResult, probe_request, read_probe_results
from netlab.session import AgentSession
from tests.namespaces import bring_up
from tests.requirements import unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.backends import Lab
    from netlab.model import Observation

NONCE = "0f1e2d3c4b5a"
HFTP = Hftp("netlab-nonce", NONCE)
PORT = 19500

LOOPBACK_NAMES = (
    NameEntry(ip_address("127.0.0.1"), ("localhost",)),
    NameEntry(ip_address("::1"), ("localhost", "ip6-localhost")),
)
SERVER_NAMES = (
    NameEntry(ip_address("127.0.1.1"), ("server",)),
    NameEntry(ip_address("198.18.1.99"), ("both",)),
    NameEntry(ip_address("198.18.1.11"), ("both",)),
)


def link(device: str, network: str, *addresses: str) -> Link:
    return Link(device, network, tuple(ip_interface(address) for address in addresses))


def route(destination: str, via: str) -> Route:
    return Route(ip_network(destination), ip_address(via))


TOPOLOGY = Topology(
    networks=(
        Network("lan", IPv4Network("198.18.1.0/24"), IPv6Network("2001:db8:1::/64")),
        Network("far", IPv4Network("198.18.3.0/24"), IPv6Network("2001:db8:3::/64")),
    ),
    hosts=(
        Host(
            "server",
            (link("eth0", "lan", "198.18.1.11/24", "2001:db8:1::11/64"),),
            names=LOOPBACK_NAMES + SERVER_NAMES,
        ),
        Host(
            "peer",
            (link("eth0", "lan", "198.18.1.20/24", "2001:db8:1::20/64"),),
            (
                route("198.18.3.0/24", "198.18.1.1"),
                route("198.18.66.0/24", "198.18.1.1"),
                route("2001:db8:66::/64", "2001:db8:1::1"),
                # The server forwards nothing: what is sent there for others is dropped without a word.
                route("198.18.77.0/24", "198.18.1.11"),
            ),
            names=LOOPBACK_NAMES + SERVER_NAMES[1:],
        ),
        Host(
            "router",
            (
                link("eth0", "lan", "198.18.1.1/24", "2001:db8:1::1/64"),
                link("eth1", "far", "198.18.3.1/24", "2001:db8:3::1/64"),
            ),
            forwards=True,
        ),
        Host("scratch", (link("eth0", "lan", "198.18.1.30/24", "2001:db8:1::30/64"),)),
    ),
)


@pytest.fixture
def server(lab: Lab) -> Iterator[AgentSession]:
    with AgentSession(lab, "server") as session:
        yield session


@pytest.fixture
def peer(lab: Lab) -> Iterator[AgentSession]:
    with AgentSession(lab, "peer") as session:
        yield session


@contextmanager
def running(lab: Lab, host: str, program: str) -> Iterator[None]:
    """Run a Python program on a host; it says `ready` when it is."""
    with closing(lab.spawn(host, [lab.python(host), "-c", program])) as channel:
        line = channel.readline(10)
        assert line == b"ready\n", channel.diagnostics()
        yield


def facts_of(session: AgentSession, *names: str) -> Facts:
    return read_facts(session.host, session.call("facts", {"names": list(names)}, timeout_s=10))


def dial(session: AgentSession, *probes: Probe, timeout_s: float = 2) -> dict[str, ProbeResult]:
    answer = session.call("probe", probe_request(probes, timeout_s), timeout_s=30)
    return read_probe_results(session.host, answer)


def dial_one(
    session: AgentSession, address: str, port: int = PORT, check: Check = HFTP, timeout_s: float = 2
) -> tuple[Observation, ProbeResult]:
    result = dial(session, Probe("it", address, port, check), timeout_s=timeout_s)["it"]
    return judge(result), result


def start_hftp(session: AgentSession, lab: Lab, address: str, nonce: str = NONCE) -> dict[str, Any]:
    argv = [lab.python(session.host), "-m", "hftp", "serve", "-a", address, "-p", str(PORT), "-d", "{data}"]
    fields = {"argv": argv, "files": {"netlab-nonce": nonce}, "port": PORT, "timeout_s": 10}
    return session.call("serve", fields, timeout_s=20)


# --- hello -----------------------------------------------------------------------------------------------


def test_hello_says_which_host_it_is(server: AgentSession) -> None:
    answer = server.call("hello", timeout_s=10)
    assert answer["hostname"] == "server"
    assert answer["kernel"] == Path("/proc/sys/kernel/osrelease").read_text().strip()


# --- facts -----------------------------------------------------------------------------------------------


def test_interfaces_and_addresses_are_the_topologys(server: AgentSession) -> None:
    interfaces = {interface.name: interface for interface in facts_of(server).interfaces}
    assert interfaces["lo"].loopback
    assert interfaces["eth0"].up
    assert not interfaces["eth0"].loopback
    addresses = [address for address in interfaces["eth0"].addresses if not address.is_link_local]
    assert addresses == [ip_interface("198.18.1.11/24"), ip_interface("2001:db8:1::11/64")]
    assert ip_interface("127.0.0.1/8") in interfaces["lo"].addresses


def test_names_resolve_in_the_order_in_which_programs_try_them(server: AgentSession) -> None:
    names = facts_of(
        server, "server", "localhost", "both", "no-such-name", "198.18.1.1", "fe80::1%eth0"
    ).names
    assert names["server"] == Resolution((ip_address("127.0.1.1"),))
    assert set(names["localhost"].addresses) == {ip_address("127.0.0.1"), ip_address("::1")}
    assert set(names["both"].addresses) == {ip_address("198.18.1.99"), ip_address("198.18.1.11")}
    assert names["no-such-name"].error.startswith("EAI_")
    assert names["198.18.1.1"] == Resolution((ip_address("198.18.1.1"),))
    assert names["fe80::1%eth0"] == Resolution((ip_address("fe80::1%eth0"),))


def test_a_name_that_can_be_none_is_not_resolved(server: AgentSession) -> None:
    names = facts_of(server, "a" * 64 + "ñ.example", "..", "ñ" * 300).names
    assert {resolution.error for resolution in names.values()} == {"EAI_NONAME"}


def test_sysctls_tell_a_router_from_others(lab: Lab, server: AgentSession) -> None:
    with AgentSession(lab, "router") as router:
        assert facts_of(router).sysctls["net.ipv4.ip_forward"] == "1"
    sysctls = facts_of(server).sysctls
    assert sysctls["net.ipv4.ip_forward"] == "0"
    assert sysctls["net.ipv6.conf.eth0.forwarding"] == "0"
    assert sysctls["net.ipv6.bindv6only"] == "0"
    assert "net.ipv4.conf.eth0.rp_filter" in sysctls


LISTENERS = """
import socket, time
def listen(family, address, v6only=None, device=None):
    sock = socket.socket(family)
    if v6only is not None:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
    if device:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
    sock.bind(address)
    sock.listen()
    return sock
V4, V6 = socket.AF_INET, socket.AF_INET6
kept = [
    listen(V4, ("0.0.0.0", 20001)),
    listen(V6, ("::", 20002), v6only=0),
    listen(V6, ("::", 20003), v6only=1),
    listen(V4, ("0.0.0.0", 20004), device=b"eth0"),
    listen(V6, ("::ffff:198.18.1.30", 20005), v6only=0),
    listen(V6, ("2001:db8:1::30", 20006)),
    listen(V4, ("127.0.0.1", 20007)),
]
# None of these listens:
bound = socket.socket()
bound.bind(("0.0.0.0", 20008))
client = socket.create_connection(("127.0.0.1", 20007))
print("ready", flush=True)
time.sleep(60)
"""


def test_listening_sockets_are_told_with_family_v6only_and_device(lab: Lab) -> None:
    with AgentSession(lab, "scratch") as session, running(lab, "scratch", LISTENERS):
        listeners = facts_of(session).listeners
    assert set(listeners) == {
        Listener(IPv4Address("0.0.0.0"), 20001),
        Listener(IPv6Address("::"), 20002),
        Listener(IPv6Address("::"), 20003, v6only=True),
        Listener(IPv4Address("0.0.0.0"), 20004, device="eth0"),
        Listener(IPv6Address("::ffff:198.18.1.30"), 20005),
        # The kernel makes it so when it binds: net/ipv6/af_inet6.c, __inet6_bind.
        Listener(IPv6Address("2001:db8:1::30"), 20006, v6only=True),
        Listener(IPv4Address("127.0.0.1"), 20007),
    }
    assert len(listeners) == 7


def test_more_listening_sockets_than_fit_in_one_datagram_are_all_told(lab: Lab) -> None:
    program = """
import resource, socket, time
kept = [socket.create_server(("127.0.0.1", 21000 + number)) for number in range(900)]
print("ready", flush=True)
time.sleep(60)
"""
    with AgentSession(lab, "scratch") as session, running(lab, "scratch", program):
        ports = [listener.port for listener in facts_of(session).listeners]
    assert sorted(ports) == list(range(21000, 21900))


ROUTES = """
import socket, time
from pyroute2 import IPRoute
with IPRoute() as kernel:
    eth0 = kernel.link_lookup(ifname="eth0")[0]
    kernel.route("add", dst="198.18.50.0/24", type="unreachable", priority=7)
    two = [{"gateway": "198.18.1.1"}, {"gateway": "198.18.1.20"}]
    kernel.route("add", dst="198.18.51.0/24", multipath=two)
    via = {"family": socket.AF_INET6, "addr": "2001:db8:1::1"}
    kernel.route("add", dst="198.18.52.0/24", via=via, oif=eth0)
    kernel.route("add", dst="198.18.53.0/24", gateway="198.18.1.1", prefsrc="198.18.1.30", table=1000)
    kernel.route("add", dst="default", gateway="2001:db8:1::1", family=socket.AF_INET6, priority=99)
    two = [{"gateway": "2001:db8:1::1"}, {"gateway": "2001:db8:1::20"}]
    kernel.route("add", dst="2001:db8:51::/64", family=socket.AF_INET6, multipath=two)
    kernel.rule("add", priority=100, table=1000, src="198.18.1.30/32", dst="198.18.53.0/24")
    kernel.rule("add", priority=101, action="FR_ACT_PROHIBIT", fwmark=3, iifname="eth0")
    kernel.rule("add", priority=102, table=1000, family=socket.AF_INET6, dst="2001:db8:9::/48")
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def scratch_lab() -> Iterator[Lab]:
    """A lab of its own, for tests that change a host."""
    hosts = tuple(host for host in TOPOLOGY.hosts if host.name == "scratch")
    with bring_up(Topology(TOPOLOGY.networks, hosts)) as lab:
        yield lab


def test_routes_and_rules_of_every_table_are_told(scratch_lab: Lab) -> None:
    with AgentSession(scratch_lab, "scratch") as session:
        before = facts_of(session)
        with running(scratch_lab, "scratch", ROUTES):
            after = facts_of(session)
    new = [entry for entry in after.routes if entry not in before.routes]
    assert sorted(new, key=str) == sorted(
        [
            entry("198.18.50.0/24", type="unreachable", metric=7, device=None),
            entry("198.18.51.0/24", "198.18.1.1"),
            entry("198.18.51.0/24", "198.18.1.20"),
            entry("198.18.52.0/24", "2001:db8:1::1"),
            entry("198.18.53.0/24", "198.18.1.1", table=1000, source=ip_address("198.18.1.30")),
            entry("::/0", "2001:db8:1::1", metric=99),
            entry("2001:db8:51::/64", "2001:db8:1::1", metric=1024),
            entry("2001:db8:51::/64", "2001:db8:1::20", metric=1024),
        ],
        key=str,
    )
    assert [rule for rule in after.rules if rule not in before.rules] == [
        Rule(4, 100, "lookup", 1000, ip_network("198.18.1.30/32"), ip_network("198.18.53.0/24")),
        Rule(4, 101, "prohibit", 0, conditions=("iif", "fwmark")),
        Rule(6, 102, "lookup", 1000, destination=ip_network("2001:db8:9::/48")),
    ]


def test_a_route_over_a_nexthop_object_is_told_with_its_next_hop(scratch_lab: Lab) -> None:
    if shutil.which("ip") is None:
        unavailable("iproute2", "there is no `ip`")
    commands = """
ip nexthop add id 5 via 198.18.1.20 dev eth0 && ip route add 198.18.54.0/24 nhid 5 && echo ready
"""
    with closing(scratch_lab.spawn("scratch", ["sh", "-c", commands])) as channel:
        assert channel.readline(10) == b"ready\n", channel.diagnostics()
    with AgentSession(scratch_lab, "scratch") as session:
        assert entry("198.18.54.0/24", "198.18.1.20") in facts_of(session).routes


TENTATIVE = """
import errno, socket, time
from pyroute2 import IPRoute
with IPRoute() as kernel:
    eth0 = kernel.link_lookup(ifname="eth0")[0]
    with open("/proc/sys/net/ipv6/conf/eth0/accept_dad", "w") as sysctl:
        sysctl.write("1")
    with open("/proc/sys/net/ipv6/conf/eth0/dad_transmits", "w") as sysctl:
        sysctl.write("20")
    kernel.addr("add", index=eth0, address="2001:db8:1::31", prefixlen=64)
try:
    socket.create_server(("2001:db8:1::31", 20000), family=socket.AF_INET6)
except OSError as error:
    print(errno.errorcode[error.errno], flush=True)
time.sleep(60)
"""


def test_an_address_that_is_not_cleared_yet_is_none(scratch_lab: Lab) -> None:
    argv = [scratch_lab.python("scratch"), "-c", TENTATIVE]
    with (
        AgentSession(scratch_lab, "scratch") as session,
        closing(scratch_lab.spawn("scratch", argv)) as channel,
    ):
        assert channel.readline(10) == b"EADDRNOTAVAIL\n", channel.diagnostics()
        interfaces = {interface.name: interface for interface in facts_of(session).interfaces}
    assert ip_interface("2001:db8:1::30/64") in interfaces["eth0"].addresses
    assert ip_interface("2001:db8:1::31/64") not in interfaces["eth0"].addresses


def entry(destination: str, gateway: str | None = None, **others: Any) -> RouteEntry:
    values = {"table": 254, "type": "unicast", "device": "eth0", **others}
    via = ip_address(gateway) if gateway else None
    return RouteEntry(destination=ip_network(destination), gateway=via, **values)


def test_the_kernels_own_routes_are_there(server: AgentSession) -> None:
    facts = facts_of(server)
    local = RouteEntry(255, "local", ip_network("198.18.1.11/32"), None, "eth0", ip_address("198.18.1.11"))
    assert local in facts.routes
    connected = RouteEntry(
        254, "unicast", ip_network("198.18.1.0/24"), None, "eth0", ip_address("198.18.1.11")
    )
    assert connected in facts.routes
    assert {rule.table for rule in facts.rules if rule.family == 4} == {255, 254, 253}
    assert {rule.action for rule in facts.rules} == {"lookup"}


# --- probe: each verdict from a real situation -----------------------------------------------------------


def test_open_when_the_server_knows_the_nonce(lab: Lab, server: AgentSession, peer: AgentSession) -> None:
    assert start_hftp(server, lab, "0.0.0.0")["listening"]
    observation, result = dial_one(peer, "198.18.1.11")
    assert observation.outcome == Outcome(Verdict.OPEN)
    (attempt,) = result.attempts
    assert attempt.local is not None
    assert attempt.local[0] == ip_address("198.18.1.20")
    assert attempt.peer == (ip_address("198.18.1.11"), PORT)
    assert "the answer has this run's nonce" in observation.evidence[-1]


def test_wrong_service_when_its_nonce_is_another(lab: Lab, server: AgentSession, peer: AgentSession) -> None:
    assert start_hftp(server, lab, "198.18.1.11", nonce="another")["listening"]
    observation, _ = dial_one(peer, "198.18.1.11")
    assert observation.outcome == Outcome(Verdict.WRONG_SERVICE)


def test_refused_where_nobody_listens(server: AgentSession, peer: AgentSession) -> None:
    observation, result = dial_one(peer, "198.18.1.11", 19599)
    assert observation.outcome == Outcome(Verdict.REFUSED)
    assert result.attempts[0].icmp is None
    assert observation.evidence[0].startswith("connect 198.18.1.11:19599: ECONNREFUSED after ")


def test_unreachable_without_a_route(peer: AgentSession) -> None:
    observation, result = dial_one(peer, "198.18.200.1")
    assert observation.outcome == Outcome(Verdict.UNREACHABLE, "ENETUNREACH")
    assert result.attempts[0].local is None


@pytest.mark.parametrize(
    ("target", "icmp"),
    [
        ("198.18.66.1", Icmp(4, 3, 0, ip_address("198.18.1.1"))),
        ("2001:db8:66::1", Icmp(6, 1, 0, ip_address("2001:db8:1::1"))),
    ],
)
def test_unreachable_tells_which_router_said_so(peer: AgentSession, target: str, icmp: Icmp) -> None:
    observation, result = dial_one(peer, target)
    assert observation.outcome == Outcome(Verdict.UNREACHABLE, "ENETUNREACH")
    assert result.attempts[0].icmp == icmp
    assert observation.evidence[-1].endswith(f"from {icmp.sender}")


def test_unreachable_when_no_neighbour_answers(peer: AgentSession) -> None:
    # Three solicitations, a second apart: here by the host itself, there by the router.
    results = dial(
        peer, Probe("here", "198.18.1.99", PORT, HFTP), Probe("there", "198.18.3.99", PORT, HFTP), timeout_s=8
    )
    for result in results.values():
        assert judge(result).outcome == Outcome(Verdict.UNREACHABLE, "EHOSTUNREACH")
    assert results["there"].attempts[0].icmp == Icmp(4, 3, 1, ip_address("198.18.1.1"))
    assert "this host itself" in judge(results["here"]).evidence[-1]


def test_timeout_when_packets_vanish(server: AgentSession, peer: AgentSession) -> None:
    observation, result = dial_one(peer, "198.18.77.1", timeout_s=0.5)
    assert observation.outcome == Outcome(Verdict.TIMEOUT)
    (attempt,) = result.attempts
    assert attempt.timed_out
    assert 0.5 <= attempt.seconds < 1.5


def test_unresolved_without_such_a_name(peer: AgentSession) -> None:
    observation, result = dial_one(peer, "no-such-name")
    assert observation.outcome is not None
    assert observation.outcome.verdict is Verdict.UNRESOLVED
    assert observation.outcome.detail.startswith("EAI_")
    assert result.attempts == ()


# Each port's server does one thing to whoever connects.
STRANGER_PORTS = {
    "reset": 19700,
    "read_and_reset": 19701,
    "close": 19702,
    "read_and_close": 19703,
    "close_halfway": 19704,
    "silent": 19705,
    "greet": 19706,
    "prompt": 19707,
    "http": 19708,
    "number": 19709,
    "flood": 19710,
    "endless_line": 19711,
    "endless_code": 19712,
}
STRANGERS = (
    f"PORTS = {STRANGER_PORTS}"
    + """
import socket, struct, threading, time

def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()

def read_and_reset(client):
    client.recv(100)
    reset(client)

def close(client):
    client.close()

def read_and_close(client):
    client.recv(100)
    client.close()

def close_halfway(client):
    client.recv(100)
    client.sendall(b"0 OK\\r\\nnetlab-nonce\\r\\n")
    client.close()

def silent(client):
    time.sleep(30)

def greet(client):
    client.sendall(b"SSH-2.0-Stranger_1.0\\r\\n")
    time.sleep(30)

def prompt(client):
    client.sendall(b"login: ")
    time.sleep(30)

def http(client):
    client.recv(1000)
    client.sendall(b"HTTP/1.1 400 Bad Request\\r\\n\\r\\n")
    client.close()

def number(client):
    client.sendall(b"220 mail.example ESMTP\\r\\n")
    time.sleep(30)

def flood(client):
    client.sendall(b"0 OK\\r\\n" + b"a-file\\r\\n" * 20000)
    time.sleep(30)

def endless_line(client):
    client.sendall(b"0 " + b"a" * 200000)
    time.sleep(30)

def endless_code(client):
    client.sendall(b"9" * 10000 + b"\\r\\n")
    time.sleep(30)

def serve(port, treat):
    listener = socket.create_server(("0.0.0.0", port), backlog=300)
    def loop():
        kept = []
        while True:
            client, _ = listener.accept()
            kept.append(client)
            threading.Thread(target=attend, args=(treat, client), daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()

def attend(treat, client):
    try:
        treat(client)
    except OSError:
        pass

for name, port in PORTS.items():
    serve(port, globals()[name])
print("ready", flush=True)
time.sleep(60)
"""
)


@pytest.fixture(scope="module")
def strangers(lab: Lab) -> Iterator[None]:
    with running(lab, "server", STRANGERS):
        yield


@pytest.mark.parametrize(
    ("stranger", "outcome"),
    [
        ("reset", Outcome(Verdict.ACCEPTED, "reset")),
        ("read_and_reset", Outcome(Verdict.ACCEPTED, "reset")),
        ("read_and_close", Outcome(Verdict.ACCEPTED, "closed")),
        ("close_halfway", Outcome(Verdict.ACCEPTED, "closed")),
        ("silent", Outcome(Verdict.ACCEPTED, "silent")),
        ("greet", Outcome(Verdict.WRONG_SERVICE)),
        ("prompt", Outcome(Verdict.WRONG_SERVICE)),
        ("http", Outcome(Verdict.WRONG_SERVICE)),
        ("number", Outcome(Verdict.WRONG_SERVICE)),
        ("flood", Outcome(Verdict.WRONG_SERVICE)),
        ("endless_line", Outcome(Verdict.WRONG_SERVICE)),
        ("endless_code", Outcome(Verdict.WRONG_SERVICE)),
    ],
)
def test_what_accepts_and_is_not_the_service(
    peer: AgentSession, strangers: None, stranger: str, outcome: Outcome
) -> None:
    observation, _ = dial_one(peer, "198.18.1.11", STRANGER_PORTS[stranger], timeout_s=1)
    assert observation.outcome == outcome, observation.evidence


def test_closed_at_once_is_closed_or_reset(peer: AgentSession, strangers: None) -> None:
    # What we send after the other end's close is answered with a reset: which one is seen first is a race.
    observation, _ = dial_one(peer, "198.18.1.11", STRANGER_PORTS["close"])
    assert observation.outcome in (Outcome(Verdict.ACCEPTED, "closed"), Outcome(Verdict.ACCEPTED, "reset"))


def test_a_reset_at_once_is_never_taken_for_a_refusal(peer: AgentSession, strangers: None) -> None:
    port = STRANGER_PORTS["reset"]
    results = dial(peer, *(Probe(str(number), "198.18.1.11", port, HFTP) for number in range(200)))
    outcomes = {judge(result).outcome for result in results.values()}
    assert outcomes == {Outcome(Verdict.ACCEPTED, "reset")}


@pytest.mark.parametrize(
    ("stranger", "check", "verdict"),
    [
        ("greet", Banner("SSH-2.0"), Verdict.OPEN),
        ("greet", Banner("ESMTP"), Verdict.WRONG_SERVICE),
        ("number", Banner("ESMTP"), Verdict.OPEN),
        ("silent", Banner("SSH"), Verdict.ACCEPTED),
        ("close", Banner("SSH"), Verdict.ACCEPTED),
        ("silent", Tcp(), Verdict.OPEN),
    ],
)
def test_other_checks(
    peer: AgentSession, strangers: None, stranger: str, check: Check, verdict: Verdict
) -> None:
    observation, _ = dial_one(peer, "198.18.1.11", STRANGER_PORTS[stranger], check, timeout_s=0.5)
    assert observation.outcome is not None
    assert observation.outcome.verdict is verdict, observation.evidence


def test_every_address_of_a_name_is_tried_until_one_answers(
    lab: Lab, server: AgentSession, peer: AgentSession
) -> None:
    assert start_hftp(server, lab, "127.0.0.1")["listening"]
    observation, result = dial_one(server, "localhost")
    assert set(result.resolved) == {ip_address("127.0.0.1"), ip_address("::1")}
    assert observation.outcome == Outcome(Verdict.OPEN)
    refused = [attempt for attempt in result.attempts if attempt.errno == "ECONNREFUSED"]
    assert len(refused) == list(result.resolved).index(ip_address("127.0.0.1"))


def test_a_link_local_address_is_dialled_with_its_scope(lab: Lab, server: AgentSession) -> None:
    def link_local(session: AgentSession) -> str | None:
        eth0 = next(interface for interface in facts_of(session).interfaces if interface.name == "eth0")
        return next((str(address.ip) for address in eth0.addresses if address.is_link_local), None)

    address = link_local(server)
    if address is None:
        pytest.skip("the lab's interfaces have no link-local address")
    assert start_hftp(server, lab, "::")["listening"]
    with AgentSession(lab, "peer") as peer:
        observation, result = dial_one(peer, f"{address}%eth0")
        assert observation.outcome == Outcome(Verdict.OPEN)
        assert result.attempts[0].address == ip_address(f"{address}%eth0")
        without_scope, _ = dial_one(peer, address)
        assert without_scope.outcome == Outcome(Verdict.UNREACHABLE, "EINVAL")


def test_a_connection_with_itself_is_no_answer(scratch_lab: Lab) -> None:
    # With one local port to choose from, and that one dialled, TCP's two ends are the same socket.
    with AgentSession(scratch_lab, "scratch") as session:
        channel = scratch_lab.spawn(
            "scratch", ["sh", "-c", "echo 40000 40001 > /proc/sys/net/ipv4/ip_local_port_range; echo ready"]
        )
        with closing(channel):
            assert channel.readline(10) == b"ready\n"
        probes = [Probe(str(number), "127.0.0.1", 40000, Tcp()) for number in range(8)]
        outcomes = {judge(dial(session, probe)[probe.id]).outcome for probe in probes}
    assert outcomes == {Outcome(Verdict.REFUSED)}


def test_two_hundred_probes_in_one_call(lab: Lab, server: AgentSession, peer: AgentSession) -> None:
    assert start_hftp(server, lab, "0.0.0.0")["listening"]
    probes = [Probe(f"open {number}", "198.18.1.11", PORT, HFTP) for number in range(150)]
    probes += [Probe(f"refused {number}", "198.18.1.11", 19599, HFTP) for number in range(50)]
    started = time.monotonic()
    results = dial(peer, *probes, timeout_s=5)
    assert time.monotonic() - started < 5
    assert list(results) == [probe.id for probe in probes]
    for name, result in results.items():
        assert str(judge(result).outcome) == name.split()[0], judge(result).evidence


# --- serve -----------------------------------------------------------------------------------------------


def test_a_service_is_ready_when_serve_answers(lab: Lab, server: AgentSession) -> None:
    answer = start_hftp(server, lab, "198.18.1.11")
    assert answer["listening"]
    assert answer["exit_code"] is None
    listeners = [listener for listener in facts_of(server).listeners if listener.port == PORT]
    assert listeners == [Listener(ip_address("198.18.1.11"), PORT)]


def test_a_service_that_cannot_bind_says_why(lab: Lab, server: AgentSession) -> None:
    answer = start_hftp(server, lab, "198.18.9.9")
    assert not answer["listening"]
    assert answer["exit_code"] not in (None, 0)
    assert "Cannot assign requested address" in answer["output"]


def test_the_next_service_takes_the_place_of_the_one_before(lab: Lab, server: AgentSession) -> None:
    assert start_hftp(server, lab, "127.0.0.1")["listening"]
    assert start_hftp(server, lab, "198.18.1.11")["listening"]
    addresses = [listener.address for listener in facts_of(server).listeners if listener.port == PORT]
    assert addresses == [ip_address("198.18.1.11")]


def test_a_session_that_ends_takes_the_service_along(lab: Lab) -> None:
    with AgentSession(lab, "server") as session:
        assert start_hftp(session, lab, "0.0.0.0")["listening"]
    with AgentSession(lab, "server") as session:
        assert [listener for listener in facts_of(session).listeners if listener.port == PORT] == []

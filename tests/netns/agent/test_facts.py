"""What the agent reads on a host: every fact comes of a situation that a kernel is in."""

from __future__ import annotations

import shutil
from contextlib import closing
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.facts import Listener, Resolution, RouteEntry, Rule
from netlab.session import AgentSession
from tests.requirements import unavailable

if TYPE_CHECKING:
    from netlab.backends import Lab
from tests.netns.agent.sessions import facts_of, running


def test_hello_says_which_host_it_is(server: AgentSession) -> None:
    answer = server.call("hello", timeout_s=10)
    assert answer["hostname"] == "server"
    assert answer["kernel"] == Path("/proc/sys/kernel/osrelease").read_text().strip()


def test_interfaces_and_addresses_are_the_topologys(server: AgentSession) -> None:
    interfaces = {interface.name: interface for interface in facts_of(server).interfaces}
    assert interfaces["lo"].loopback
    assert interfaces["eth0"].up
    assert not interfaces["eth0"].loopback
    addresses = [address for address in interfaces["eth0"].addresses if not address.is_link_local]
    assert [str(address) for address in addresses] == [
        "198.18.1.11/24",
        "198.18.1.12/24",
        "2001:db8:1::11/64",
    ]
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


def entry(destination: str, gateway: str | None = None, **others: Any) -> RouteEntry:
    values = {"table": 254, "type": "unicast", "device": "eth0", **others}
    via = ip_address(gateway) if gateway else None
    return RouteEntry(destination=ip_network(destination), gateway=via, **values)


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

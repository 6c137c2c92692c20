"""The netns backend makes on a real kernel what the topology says."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from netlab.backends.netns import NetnsLab
from netlab.backends.netns.etc import NAMES
from netlab.backends.netns.sysctls import TABLE
from netlab.errors import LabError
from netlab.model import Host, Link, NameEntry, Network, Route, Topology
from tests.namespaces import bring_up

if TYPE_CHECKING:
    from collections.abc import Iterator

LAN_4, LAN_6 = "198.18.1", "2001:db8:1:"
FAR_4, FAR_6 = "198.18.2", "2001:db8:2:"


def link(device: str, network: str, *addresses: str) -> Link:
    return Link(device, network, tuple(ip_interface(address) for address in addresses))


def routes(destinations: tuple[str, ...], via: tuple[str, ...]) -> tuple[Route, ...]:
    return tuple(Route(ip_network(d), ip_address(v)) for d, v in zip(destinations, via, strict=True))


def host(name: str, *links: Link, routes: tuple[Route, ...] = (), forwards: bool = False) -> Host:
    names = (
        NameEntry(ip_address("127.0.0.1"), ("localhost",)),
        NameEntry(ip_address("127.0.1.1"), (name,)),
        NameEntry(ip_address("::1"), ("localhost", "ip6-localhost")),
        NameEntry(ip_address(f"{LAN_4}.11"), ("shop.example", "shop")),
    )
    return Host(name, links, routes, forwards, names)


LAN = Network("lan", IPv4Network(f"{LAN_4}.0/24"), IPv6Network(f"{LAN_6}:/64"))
FAR = Network("far", IPv4Network(f"{FAR_4}.0/24"), IPv6Network(f"{FAR_6}:/64"))
TO_FAR = routes((f"{FAR_4}.0/24", f"{FAR_6}:/64"), (f"{LAN_4}.1", f"{LAN_6}:1"))
TO_LAN = routes((f"{LAN_4}.0/24", f"{LAN_6}:/64"), (f"{FAR_4}.1", f"{FAR_6}:1"))
VIA_LAZY = routes(("198.18.3.0/24", "2001:db8:3::/64"), (f"{LAN_4}.12", f"{LAN_6}:12"))

TOPOLOGY = Topology(
    networks=(LAN, FAR, Network("attic"), Network("island")),
    hosts=(
        host("server", link("eth0", "lan", f"{LAN_4}.11/24", f"{LAN_6}:11/64"), routes=TO_FAR),
        host(
            "router",
            link("eth0", "lan", f"{LAN_4}.1/24", f"{LAN_6}:1/64"),
            link("far0", "far", f"{FAR_4}.1/24", f"{FAR_6}:1/64"),
            forwards=True,
        ),
        host("remote", link("eth0", "far", f"{FAR_4}.20/24", f"{FAR_6}:20/64"), routes=TO_LAN),
        host(
            "lazy",
            link("eth0", "lan", f"{LAN_4}.12/24", f"{LAN_6}:12/64"),
            link("eth1", "attic", "198.18.3.12/24", "2001:db8:3::12/64"),
        ),
        host("peer", link("eth0", "lan", f"{LAN_4}.20/24", f"{LAN_6}:20/64"), routes=VIA_LAZY),
        host("upstairs", link("eth0", "attic", "198.18.3.30/24", "2001:db8:3::30/64")),
        # With addresses of the lan, but not on it.
        host("outsider", link("eth0", "island", f"{LAN_4}.99/24", f"{LAN_6}:99/64")),
    ),
)

ADDRESSES = """
import json, socket
from pyroute2 import IPRoute
with IPRoute() as ip:
    names = {link["index"]: link.get("ifname") for link in ip.get_links()}
    found = [[names[a["index"]], a.get("address"), a["prefixlen"], a["flags"]] for a in ip.get_addr()]
print(json.dumps([names, found]))
"""

SERVE = """
import socket
with socket.create_server(("::", 5000), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
    print("listening")
    while True:
        connection, address = listener.accept()
        connection.sendall(socket.gethostname().encode())
        connection.close()
"""

DIAL = """
import json, socket, sys, time
for address in sys.argv[1:]:
    start = time.perf_counter()
    try:
        with socket.create_connection((address, 5000), timeout=0.5) as connection:
            outcome = connection.recv(100).decode()
    except OSError as error:
        outcome = type(error).__name__ if error.errno is None else error.errno
    print(json.dumps([outcome, time.perf_counter() - start]))
"""


def output(lab: NetnsLab, host: str, source: str, *arguments: str) -> str:
    """Run a piece of Python on a host; return what it prints."""
    channel = lab.spawn(host, [lab.python(host), "-c", source, *arguments])
    text = b"".join(iter(lambda: channel.readline(10), b"")).decode()
    assert channel.wait(10) == 0, channel.diagnostics()
    channel.close()
    return text


def serve(lab: NetnsLab, host: str) -> None:
    """Start a server on all addresses of a host, port 5000, which answers with the host's name."""
    assert lab.spawn(host, [lab.python(host), "-c", SERVE]).readline(10) == b"listening\n"


def dial(lab: NetnsLab, host: str, *addresses: str) -> list[tuple[Any, float]]:
    """Dial from a host: each answer, or errno, and the seconds it took."""
    lines = output(lab, host, DIAL, *addresses).splitlines()
    return [(outcome, seconds) for outcome, seconds in map(json.loads, lines)]


@pytest.fixture(scope="module")
def lab() -> Iterator[NetnsLab]:
    with bring_up(TOPOLOGY) as lab:
        for name in ("server", "upstairs", "remote"):
            serve(lab, name)
        yield lab


@pytest.mark.parametrize("made", TOPOLOGY.hosts, ids=lambda made: made.name)
def test_a_host_has_its_devices_and_addresses_and_no_others(lab: NetnsLab, made: Host) -> None:
    names, found = json.loads(output(lab, made.name, ADDRESSES))
    given = {(one.device, str(a.ip), a.network.prefixlen) for one in made.links for a in one.addresses}
    global_addresses = {(d, a, p) for d, a, p, _ in found if not a.startswith("fe80:")}

    assert set(names.values()) == {"lo"} | {one.device for one in made.links}
    assert global_addresses == given | {("lo", "127.0.0.1", 8), ("lo", "::1", 128)}


def test_every_address_is_usable_at_once(lab: NetnsLab) -> None:
    tentative = 0x40  # IFA_F_TENTATIVE, <linux/if_addr.h>
    for name in lab.hosts:
        assert not [a for _, a, _, flags in json.loads(output(lab, name, ADDRESSES))[1] if flags & tentative]


def test_the_first_connection_of_a_new_lab_is_not_kept_waiting() -> None:
    with bring_up(TOPOLOGY) as lab:
        serve(lab, "server")
        for answer, seconds in dial(lab, "peer", f"{LAN_4}.11", f"{LAN_6}:11"):
            assert answer == "server"
            assert seconds < 0.9  # a SYN that is lost is sent again after 1 s (RFC 6298)


def test_a_router_passes_packets_on_both_ways(lab: NetnsLab) -> None:
    assert [answer for answer, _ in dial(lab, "remote", f"{LAN_4}.11", f"{LAN_6}:11")] == ["server"] * 2
    assert [answer for answer, _ in dial(lab, "server", f"{FAR_4}.20", f"{FAR_6}:20")] == ["remote"] * 2


def test_a_host_that_does_not_forward_passes_nothing_on_but_answers_for_itself(lab: NetnsLab) -> None:
    serve(lab, "lazy")
    answers = dial(lab, "peer", "198.18.3.30", "2001:db8:3::30", "198.18.3.12", "2001:db8:3::12")
    assert [answer for answer, _ in answers] == ["TimeoutError", "TimeoutError", "lazy", "lazy"]


def test_networks_do_not_touch(lab: NetnsLab) -> None:
    for answer, _ in dial(lab, "outsider", f"{LAN_4}.11", f"{LAN_6}:11"):
        assert answer == "TimeoutError"


def test_nothing_leads_out_of_a_lab(lab: NetnsLab) -> None:
    for name in lab.hosts:
        answers = dial(lab, name, "192.0.2.1", "2001:db8:dead::1")
        assert [answer for answer, _ in answers] == [errno.ENETUNREACH] * 2


def test_a_host_has_its_own_name_which_resolves_to_127_0_1_1(lab: NetnsLab) -> None:
    source = "import socket; n = socket.gethostname(); print(n, socket.gethostbyname(n))"
    assert output(lab, "remote", source) == "remote 127.0.1.1\n"


def test_names_come_from_the_topology_in_its_order_and_from_nowhere_else(lab: NetnsLab) -> None:
    source = """
import socket, sys
print(open("/etc/hosts").read(), end="")
for name in sys.argv[1:]:
    try:
        print(sorted({info[4][0] for info in socket.getaddrinfo(name, 80)}))
    except socket.gaierror:
        print("unresolved")
"""
    text = output(lab, "peer", source, "localhost", "shop", f"{socket.gethostname()}.machine", "example.com")
    assert text.splitlines() == [
        "127.0.0.1\tlocalhost",
        "127.0.1.1\tpeer",
        "::1\tlocalhost ip6-localhost",
        f"{LAN_4}.11\tshop.example shop",
        "['127.0.0.1', '::1']",
        f"['{LAN_4}.11']",
        "unresolved",
        "unresolved",
    ]


@pytest.mark.parametrize(("parameter", "value"), [(parameter, value) for parameter, value, _ in TABLE])
def test_kernel_parameters_do_not_depend_on_the_machine(lab: NetnsLab, parameter: str, value: str) -> None:
    source = """
import sys, glob
for path in glob.glob("/proc/sys/net/" + sys.argv[1]):
    if "tempaddr" not in path or "/lo/" not in path:  # the kernel sets -1 on lo: no temporary addresses there
        print(open(path).read().strip())
"""
    assert set(output(lab, "server", source, parameter).splitlines()) == {value}


def test_only_a_router_forwards(lab: NetnsLab) -> None:
    source = """
for parameter in "ipv4/ip_forward", "ipv6/conf/all/forwarding":
    print(open("/proc/sys/net/" + parameter).read(), end="")
"""
    assert {name for name in lab.hosts if output(lab, name, source) == "1\n1\n"} == {"router"}
    assert output(lab, "peer", source) == "0\n0\n"


def test_two_labs_with_the_same_addresses_do_not_meet(lab: NetnsLab) -> None:
    with bring_up(TOPOLOGY) as other:
        (answer, _), *_ = dial(other, "peer", f"{LAN_4}.11")
        assert answer == errno.ECONNREFUSED  # from its own server host, where nothing listens
        serve(other, "server")
        assert dial(other, "peer", f"{LAN_4}.11")[0][0] == "server"
    assert dial(lab, "peer", f"{LAN_4}.11")[0][0] == "server"


def test_temporary_files_are_the_hosts_own(lab: NetnsLab) -> None:
    write = 'import tempfile, os; f, path = tempfile.mkstemp("mine"); print(path)'
    path = output(lab, "server", write).strip()
    assert not Path(path).exists()
    assert output(lab, "peer", f"import os; print(os.path.exists({path!r}))") == "False\n"
    assert output(lab, "server", f"import os; print(os.path.exists({path!r}))") == "True\n"


@pytest.mark.parametrize(
    ("broken", "step"),
    [
        (host("a", routes=TO_FAR), f"host a: route {FAR_4}.0/24 via {LAN_4}.1: "),
        (host("a", link("a-name-too-long-", "lan")), "host a: a-name-too-long- on lan: "),
        (host("a", link("x", "lan"), link("x", "lan")), "host a: x on lan: "),
    ],
    ids=["gateway out of reach", "name too long", "name given twice"],
)
def test_a_topology_that_the_kernel_refuses_is_refused_with_the_step(broken: Host, step: str) -> None:
    with pytest.raises(LabError) as raised, bring_up(Topology((LAN,), (broken,))):
        pass
    assert f"can't be brought up: {step}" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_lab_comes_up_where_etc_lacks_files_and_links_lead_nowhere() -> None:
    """As in bare container images; made with an /etc of our own, in a mount namespace around the lab."""
    with bring_up(Topology((), ())):
        pass
    ask = """
import os, socket
print(socket.gethostbyname("peer"), open("/etc/keep/me").read())
print(sorted(os.listdir("/etc")), os.readlink("/etc/mtab"))
"""
    program = f"""
from tests.netns.test_backend import NetnsLab, TOPOLOGY, output
with NetnsLab(TOPOLOGY) as lab:
    print(output(lab, "peer", {ask!r}), end="")
"""
    setup = (
        "mount -t tmpfs none /etc && ln -s /run/nowhere /etc/resolv.conf && "
        "ln -s ../proc/self/mounts /etc/mtab && "
        'mkdir /etc/keep && printf kept > /etc/keep/me && exec "$@"'
    )
    assert in_namespaces(setup, program).splitlines() == [
        "127.0.1.1 kept",
        f"{sorted((*NAMES, 'keep', 'mtab'))} ../proc/self/mounts",
    ]


def in_namespaces(setup: str, program: str) -> str:
    """Run a piece of Python in user and mount namespaces prepared by a shell line; return what it prints."""
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", setup, "sh"]
    return subprocess.run(
        [*command, sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout

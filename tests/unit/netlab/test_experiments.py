"""What an experiment's file may say: every error names the file, the line, the key, and what is allowed."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from netlab.errors import ExperimentError, NetlabError
from netlab.experiments import Draft, load, shipped
from netlab.experiments.plan import Experiment, Selection
from netlab.experiments.schema import read
from netlab.model import Bind, Target, Topology

# Messages are quoted whole, however long.
# ruff: noqa: E501
STANDARD = resources.files("netlab.experiments").joinpath("bind-address.yaml").read_text()

# What is replaced in the standard experiment, by what, and what is said of it.
EDITS = [
    ("port: 19500", "port: 0", "x.yaml:56: service.port: expected at least 1; got 0"),
    ("port: 19500", "port: 70000", "x.yaml:56: service.port: expected at most 65535; got 70000"),
    ("port: 19500", "port: many", "x.yaml:56: service.port: expected a whole number; got 'many'"),
    ("port: 19500", 'port: "19500"', "x.yaml:56: service.port: expected a whole number; got '19500'"),
    (
        "port: 19500",
        "prot: 19500",
        "x.yaml:56: service.prot: unknown key (did you mean 'port'?); allowed here: protocol, answers-from, command, options, port, check",
    ),
    (
        "check: hftp",
        "check: ftp",
        "x.yaml:57: service.check: expected hftp, tcp, http, tls, or a mapping such as {http: {path: /health}}; got 'ftp' (did you mean 'hftp'?)",
    ),
    (
        "address: 127.0.0.1}",
        "adress: 127.0.0.1}",
        "x.yaml:61: binds.127.0.0.1.adress: unknown key (did you mean 'address'?); allowed here: host, address, v6only, device",
    ),
    (
        "host: server-loopback,",
        "host: server_loopback,",
        "x.yaml:61: binds.127.0.0.1.host: expected a name of letters, digits and hyphens, such as server-1 (RFC 1123); got 'server_loopback'",
    ),
    (
        "host: server-loopback,",
        "host: server-any,",
        "x.yaml:63: binds.0.0.0.0.host: a second host called 'server-any'",
    ),
    ("host: server-loopback,", "host: peer,", "x.yaml:61: binds.127.0.0.1.host: a second host called 'peer'"),
    (
        "198.18.1.0/24",
        "198.18.1.0/33",
        "x.yaml:10: networks.lan.ipv4: expected an IPv4 network, such as 198.18.1.0/24; got '198.18.1.0/33'",
    ),
    (
        "198.18.1.0/24",
        "198.18.1.1/24",
        "x.yaml:10: networks.lan.ipv4: expected an IPv4 network, such as 198.18.1.0/24; got '198.18.1.1/24'",
    ),
    (
        'device: [--device, "{device}"]',
        'device: [--device, "{devise}"]',
        "x.yaml:55: service.options.device.1: nothing is called {devise} (did you mean 'device'?): there is {address}, {endpoint}, {port}, {device}, {data}, {python}, {hftp}; to have it as it stands: \\{devise}",
    ),
    (
        "    v6only: [--v6only]\n",
        "",
        "x.yaml:65: binds.::v6only.v6only: nothing tells the service: put what it takes for it into service.options, such as v6only: [--v6only]",
    ),
    (
        '"2001:db8:1::/64"',
        "2001",
        'x.yaml:10: networks.lan.ipv6: expected a text, in quotes: "2001"; got 2001',
    ),
    (
        '{ipv4: 198.18.1.0/24, ipv6: "2001:db8:1::/64"}',
        "{}",
        "x.yaml:10: networks.lan: a network needs ipv4, ipv6 or both",
    ),
    (
        '{ipv4: 198.18.1.0/24, ipv6: "2001:db8:1::/64"}',
        "198.18.1.0/24",
        "x.yaml:10: networks.lan: expected a mapping, such as {key: value}; got '198.18.1.0/24'",
    ),
    (
        "names: lan",
        "names: wan",
        "x.yaml:16: names: no network is called 'wan' (did you mean 'lan'?): there is back, elsewhere, far, lan",
    ),
    ("number: 11", "number: 0", "x.yaml:20: servers.number: expected at least 1; got 0"),
    ("number: 11", "number: 250", "x.yaml:20: servers.number: server-any6 would be numbered 255"),
    ("number: 11", "number: eleven", "x.yaml:20: servers.number: expected a whole number; got 'eleven'"),
    (
        "number: 101",
        "number: 11",
        "x.yaml:20: servers.number: server-localhost and peer would both be 198.18.1.11 on lan",
    ),
    (
        "networks: [lan, back]",
        "networks: lan",
        "x.yaml:21: servers.networks: expected a list, such as [lan, back]; got 'lan'",
    ),
    (
        "networks: [lan, back]",
        "networks: [lan, wan]",
        "x.yaml:21: servers.networks.1: no network is called 'wan' (did you mean 'lan'?): there is back, elsewhere, far, lan",
    ),
    (
        "networks: [lan, back]",
        "networks: []",
        "x.yaml:21: servers.networks: expected at least one; got an empty list",
    ),
    (
        "networks: [lan, back]",
        "networks: [lan, lan]",
        "x.yaml:21: servers.networks.1: lan is named twice: one interface is all there is",
    ),
    (
        "{to: anywhere, via: router}",
        "{to: anywhere, via: routr}",
        "x.yaml:23: servers.routes.0.via: no host is called 'routr' (did you mean 'router'?): there is outsider, peer, remote, router, server-any, server-any6, server-any6only, server-back, server-device, server-elsewhere, server-hostname, server-lan, server-lan6, server-localhost, server-loopback, server-loopback2, server-loopback6, servers",
    ),
    (
        "{to: anywhere, via: router}",
        "{to: nowhere, via: router}",
        "x.yaml:23: servers.routes.0.to: no network is called 'nowhere' (did you mean 'anywhere'?): there is anywhere, back, elsewhere, far, lan",
    ),
    ("{to: anywhere, via: router}", "{to: anywhere}", "x.yaml:23: servers.routes.0.via: is missing"),
    (
        "{to: lan, via: router}",
        "{to: lan, via: peer}",
        "x.yaml:43: hosts.remote.routes.0.via: peer is on no network of remote",
    ),
    (
        "{to: back, via: servers}",
        "{to: far, via: servers}",
        "x.yaml:36: hosts.peer.routes.0: the servers are not on both networks",
    ),
    (
        "forwards: true",
        "forwards: yes",
        "x.yaml:30: hosts.router.forwards: expected true or false; got 'yes'",
    ),
    ("forwards: true", "forwards: 1", "x.yaml:30: hosts.router.forwards: expected true or false; got 1"),
    (
        "forwards: true",
        "forward: true",
        "x.yaml:30: hosts.router.forward: unknown key (did you mean 'forwards'?); allowed here: number, networks, routes, forwards, names",
    ),
    (
        '"{lan.ipv4}"',
        '"{wan.ipv4}"',
        "x.yaml:67: binds.lan-ipv4.address: nothing is called {wan.ipv4}: there is {hostname}, {lan.ipv4}, {lan.ipv6}, {back.ipv4}, {back.ipv6}",
    ),
    (
        "device: back}",
        "device: far}",
        "x.yaml:70: binds.back-device.device: no network of the servers is called 'far': there is back, lan",
    ),
    ("v6only: true", "v6only: 1", "x.yaml:66: binds.::v6only.v6only: expected true or false; got 1"),
    (
        "  remote: *from-outside",
        "  mars: *from-outside",
        "x.yaml:92: vantages.mars: no vantage is called 'mars': there is outsider, peer, remote, router, server, server-any, server-any6, server-any6only, server-back, server-device, server-elsewhere, server-hostname, server-lan, server-lan6, server-localhost, server-loopback, server-loopback2, server-loopback6",
    ),
    (
        "  remote: *from-outside",
        "  remote: {}",
        "x.yaml:92: vantages.remote: expected at least one; got an empty mapping",
    ),
    (
        "  remote: *from-outside",
        "  remote: [a]",
        "x.yaml:92: vantages.remote: expected a mapping, such as {key: value}; got a list",
    ),
    ("  remote: *from-outside", "  remote: *nobody", "x.yaml:92: not YAML: found undefined alias 'nobody'"),
    (
        "binds: [localhost, 127.0.0.1, 0.0.0.0]",
        "binds: [localhost, nope]",
        "x.yaml:97: headline.binds.1: no bind is called 'nope': there is 0.0.0.0, 127.0.0.1, 127.0.0.2, ::, ::1, ::v6only, back-device, back-ipv4, hostname, lan-ipv4, lan-ipv6, localhost, not-ours",
    ),
    (
        "binds: [localhost, 127.0.0.1, 0.0.0.0]",
        "binds: []",
        "x.yaml:97: headline.binds: expected at least one; got an empty list",
    ),
    (
        "vantage: peer, target: name",
        "vantage: mars, target: name",
        "x.yaml:100: headline.columns.from another machine.vantage: no vantage is called 'mars': there is outsider, peer, remote, server",
    ),
    (
        "vantage: peer, target: name",
        "vantage: peer, target: x",
        "x.yaml:100: headline.columns.from another machine.target: no target is called 'x': there is 127.0.0.1, back-ipv4, lan-ipv4, lan-ipv6, name",
    ),
    (
        "vantage: peer, target: name",
        "vantage: peer",
        "x.yaml:100: headline.columns.from another machine.target: is missing",
    ),
    (
        "title: What",
        "titel: What",
        "x.yaml:5: titel: unknown key (did you mean 'title'?); allowed here: title, binds, vantages, headline, patience_s, networks, names, servers, hosts, service",
    ),
    (
        "title: What differs when a server runs on localhost, 127.0.0.1 or 0.0.0.0?",
        "title: [a]",
        "x.yaml:5: title: expected a text; got a list",
    ),
    (
        "title: What differs when a server runs on localhost, 127.0.0.1 or 0.0.0.0?",
        "",
        "x.yaml:1: title: is missing",
    ),
    (
        "headline:",
        "headlines:",
        "x.yaml:96: headlines: unknown key (did you mean 'headline'?); allowed here: title, binds, vantages, headline, patience_s, networks, names, servers, hosts, service",
    ),
    (
        "networks:\n",
        "networks: [\n",
        "x.yaml:11: not YAML: while parsing a flow sequence that begins in line 9: expected ',' or ']', but got '<scalar>'",
    ),
    (
        "networks:\n",
        "networks: 5\nx:\n",
        "x.yaml:10: x: unknown key; allowed here: title, binds, vantages, headline, patience_s, networks, names, servers, hosts, service",
    ),
    (
        "    localhost: localhost",
        "    localhost: 5",
        "x.yaml:77: vantages.server.localhost: expected a mapping, such as {key: value}; got 5",
    ),
    (
        "    localhost: localhost",
        "    localhost: {address: x, published: foo}",
        "x.yaml:77: vantages.server.localhost.published: expected 'loopback' or 'any'; got 'foo'",
    ),
    (
        "    localhost: localhost",
        "    localhost: {adress: x}",
        "x.yaml:77: vantages.server.localhost.adress: unknown key (did you mean 'address'?); allowed here: address, published",
    ),
    (
        "    localhost: localhost",
        "    localhost: localhost\n    localhost: x",
        "x.yaml:78: not YAML: 'localhost' is there twice",
    ),
    (
        "service:",
        "service: nothing\nx:",
        "x.yaml:52: x: unknown key; allowed here: title, binds, vantages, headline, patience_s, networks, names, servers, hosts, service",
    ),
    (
        "port: 19500",
        "port: 19500\n  patience: 5",
        "x.yaml:57: service.patience: unknown key; allowed here: protocol, answers-from, command, options, port, check",
    ),
    (
        "  elsewhere: {",
        "  else_where: {",
        "x.yaml:13: networks.else_where: expected a name of letters, digits and hyphens, such as server-1 (RFC 1123); got 'else_where'",
    ),
    (
        "  peer:\n    number",
        "  pe er:\n    number",
        "x.yaml:32: hosts.pe er: expected a name of letters, digits and hyphens, such as server-1 (RFC 1123); got 'pe er'",
    ),
    ("title: What", "patience_s: 0\ntitle: What", "x.yaml:5: patience_s: expected more than 0; got 0"),
    ("title: What", "patience_s: soon\ntitle: What", "x.yaml:5: patience_s: expected a number; got 'soon'"),
    (
        "title: What",
        "compose: x.yaml\ntitle: What",
        "x.yaml:10: networks: unknown key; allowed here: title, binds, vantages, headline, patience_s, compose, service",
    ),
    (
        "198.18.1.0/24",
        "198.18.1.0/29",
        "x.yaml:20: servers.number: 11 would be 198.18.1.11, which is no host's address in 198.18.1.0/29 (lan)",
    ),
    (
        "198.18.1.0/24",
        "198.18.1.0/28",
        "x.yaml:20: servers.number: 15 would be 198.18.1.15, which is no host's address in 198.18.1.0/28 (lan)",
    ),
    (
        '"2001:db8:1::/64"',
        '"2001:db8:1::/126"',
        "x.yaml:20: servers.number: 11 would be 2001:db8:1::11, which is no host's address in 2001:db8:1::/126 (lan)",
    ),
]
TEXTS = [
    ("", "x.yaml:1: expected an experiment, with keys such as title and binds; got nothing"),
    ("[]", "x.yaml:1: expected an experiment, with keys such as title and binds; got an empty list"),
    ("5", "x.yaml:1: expected an experiment, with keys such as title and binds; got 5"),
    (
        "a: b",
        "x.yaml:1: a: unknown key; allowed here: title, binds, vantages, headline, patience_s, networks, names, servers, hosts, service",
    ),
    ("null", "x.yaml:1: expected an experiment, with keys such as title and binds; got nothing"),
    ("- x", "x.yaml:1: expected an experiment, with keys such as title and binds; got a list"),
    (
        "{",
        "x.yaml:1: not YAML: while parsing a flow node that begins in line 1: expected the node content, but found '<stream end>'",
    ),
    ("\t", "x.yaml:1: not YAML: a tab, where only spaces may stand"),
    (
        "a: &a [*a]",
        "x.yaml:1: a: unknown key; allowed here: title, binds, vantages, headline, patience_s, networks, names, servers, hosts, service",
    ),
    (
        "%YAML 1.1\n---\na: 1",
        "x.yaml:3: a: unknown key; allowed here: title, binds, vantages, headline, patience_s, networks, names, servers, hosts, service",
    ),
    (
        "x: !!python/object:os.system {}",
        "x.yaml:1: x: unknown key; allowed here: title, binds, vantages, headline, patience_s, networks, names, servers, hosts, service",
    ),
    (
        "\x00",
        "x.yaml:1: not YAML: the character U+0000 is not allowed",
    ),
    (
        "? [a]\n: b",
        "x.yaml:1: ('a',): unknown key; allowed here: title, binds, vantages, headline, patience_s, networks, names, servers, hosts, service",
    ),
    ("title: !foo x", "x.yaml:1: title: expected a text; got a TaggedScalar"),
    (
        "{a: 1}: 2",
        "x.yaml:1: ordereddict([('a', 1)]): unknown key; allowed here: title, binds, vantages, headline, patience_s, networks, names, servers, hosts, service",
    ),
    ("a: !!int x", "x.yaml: not YAML that can be read: invalid literal for int() with base 10: 'x'"),
    ("a: !!float x", "x.yaml: not YAML that can be read: could not convert string to float: 'x'"),
    ("a: 2001-99-99", "x.yaml: not YAML that can be read: month must be in 1..12"),
    ("a: !!timestamp x", 'x.yaml:1: not YAML: failed to construct timestamp from "x"'),
    (
        "<<: 5",
        "x.yaml:1: not YAML: while constructing a mapping that begins in line 1: expected a mapping or list of mappings for merging, but found scalar",
    ),
    (
        "a: !!binary x",
        "x.yaml:1: not YAML: failed to decode base64 data: Invalid base64-encoded string: number of data characters (1) cannot be 1 more than a multiple of 4",
    ),
    ("a: !!omap 5", "x.yaml: not YAML that can be read: 'ScalarNode' object has no attribute 'flow_style'"),
    ("a: !!set [a]", "x.yaml:1: not YAML: expected a mapping node, but found sequence"),
    (
        "a: 1e999999",
        "x.yaml:1: a: unknown key; allowed here: title, binds, vantages, headline, patience_s, networks, names, servers, hosts, service",
    ),
    (
        "a: 0x",
        "x.yaml:1: a: unknown key; allowed here: title, binds, vantages, headline, patience_s, networks, names, servers, hosts, service",
    ),
    ("--- a\n--- b", "x.yaml:2: not YAML: a second document (---); a file has one"),
    ("a: !!bool x", "x.yaml: not YAML that can be read: 'x'"),
    ("a: !!map 5", "x.yaml:1: not YAML: expected a mapping node, but found scalar"),
    ("%TAG ! x", "x.yaml:1: not YAML: expected '<document start>', but found ('<stream end>',)"),
    (
        "a: \ud800",
        "x.yaml:1: not YAML: the character U+D800 is not allowed",
    ),
]


def problem(text: str) -> str:
    with pytest.raises(ExperimentError) as caught:
        draft = Draft("x", read("x.yaml", text), Path())
        draft.on(described(draft))
    return str(caught.value)


def described(draft: Draft) -> Topology:
    assert isinstance(draft.lab, Topology)
    return draft.lab


@pytest.mark.parametrize(("old", "new", "expected"), EDITS)
def test_a_wrong_edit_is_answered_with(old: str, new: str, expected: str) -> None:
    assert old in STANDARD
    assert problem(STANDARD.replace(old, new, 1)) == expected


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_a_text_that_is_no_experiment_is_answered_with(text: str, expected: str) -> None:
    assert problem(text) == expected


def test_nesting_beyond_measure_is_an_error_like_any_other() -> None:
    assert problem("[" * 500).startswith("x.yaml: not YAML that can be read")


def test_a_key_with_a_line_break_does_not_break_the_message() -> None:
    assert problem('"a\\nb": 1\n').startswith("x.yaml:1: a\\nb: unknown key")


# --- Where experiments come from ---------------------------------------------------------------------------


def test_the_standard_experiment_is_shipped_once_whatever_the_backends() -> None:
    assert shipped() == ("bind-address",)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "bind-adress",
            "no experiment is called 'bind-adress': there is bind-address, or the path of a .yaml file",
        ),
        ("missing.yaml", "missing.yaml: No such file or directory"),
        ("folder.yaml", "folder.yaml: is a directory: name a file in it"),
        ("latin1.yaml", "latin1.yaml: not UTF-8 text (byte 7)"),
        ("huge.yaml", "huge.yaml: larger than 1 MiB: this is no experiment"),
    ],
)
def test_what_can_not_be_read_is_said_in_a_line(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.yaml").mkdir()
    Path("latin1.yaml").write_bytes(b"title: \xfcber")
    Path("huge.yaml").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(NetlabError) as caught:
        load(name)
    assert str(caught.value) == message


def test_an_experiment_of_ones_own_is_called_as_its_file(tmp_path: Path) -> None:
    file = tmp_path / "my-own.yml"
    file.write_text(STANDARD)
    draft = load(str(file))
    assert draft.name == "my-own"
    assert draft.on(described(draft)) == replace(standard(), name="my-own")


# --- What it amounts to ------------------------------------------------------------------------------------


def standard(**chosen: tuple[str, ...]) -> Experiment:
    draft = load("bind-address").only(Selection(**chosen))
    return draft.on(described(draft))


def test_the_standard_experiment_asks_312_questions_on_17_hosts() -> None:
    experiment = standard()
    assert len(list(experiment.dials())) == 312
    assert len(experiment.topology.hosts) == 17
    assert len({bind.host for bind in experiment.binds}) == len(experiment.binds) == 13


def test_the_dials_go_row_by_row_in_the_order_of_the_file() -> None:
    experiment = standard()
    dials = list(experiment.dials())
    assert [dial.bind.name for dial in dials[:24]] == ["localhost"] * 24
    assert [dial.vantage for dial in dials[:24]] == ["server"] * 9 + ["peer"] * 5 + ["remote"] * 5 + [
        "outsider"
    ] * 5
    assert dials[24].bind.name == "127.0.0.1"


def test_server_stands_for_the_host_of_the_row() -> None:
    dials = [dial for dial in standard(binds=("lan-ipv4",)).dials() if dial.vantage == "server"]
    assert {dial.host for dial in dials} == {"server-lan"}
    assert {dial.host for dial in standard(vantages=("peer",)).dials()} == {"peer"}


def test_names_and_addresses_are_filled_in_for_each_server() -> None:
    experiment = standard(binds=("lan-ipv4", "back-device"), vantages=("peer",))
    assert experiment.binds == (
        Bind("lan-ipv4", "server-lan", "198.18.1.18"),
        Bind("back-device", "server-device", "0.0.0.0", device="eth1"),
    )
    (vantage,) = experiment.vantages
    assert vantage.targets["back-device"] == (
        Target("name", "server-device"),
        Target("lan-ipv4", "198.18.1.21"),
        Target("lan-ipv6", "2001:db8:1::21"),
        Target("back-ipv4", "198.18.2.21"),
        Target("127.0.0.1", "127.0.0.1"),
    )


def test_every_server_is_alike_but_for_its_number() -> None:
    topology = standard().topology
    one, other = topology.host("server-localhost"), topology.host("server-elsewhere")
    assert [link.network for link in one.links] == [link.network for link in other.links] == ["lan", "back"]
    assert one.routes == other.routes
    assert [str(address) for link in one.links for address in link.addresses] == [
        *("198.18.1.11/24", "2001:db8:1::11/64"),
        *("198.18.2.11/24", "2001:db8:2::11/64"),
    ]


def test_a_host_calls_itself_127_0_1_1_as_debian_does_and_the_others_by_the_labs_names() -> None:
    names = standard().topology.host("peer").names
    assert [(str(entry.address), entry.names[0]) for entry in names[:4]] == [
        ("127.0.0.1", "localhost"),
        ("127.0.1.1", "peer"),
        ("::1", "localhost"),
        ("198.18.1.1", "router"),
    ]
    assert len(standard().topology.host("outsider").names) == 3


def test_peer_reaches_back_through_each_server_and_remote_only_lan() -> None:
    topology = standard().topology
    routes = [(str(route.destination), str(route.via)) for route in topology.host("peer").routes]
    assert ("198.18.2.18/32", "198.18.1.18") in routes
    assert ("2001:db8:2::18/128", "2001:db8:1::18") in routes
    assert ("0.0.0.0/0", "198.18.1.1") in routes
    assert [str(route.destination) for route in topology.host("remote").routes] == [
        "198.18.1.0/24",
        "2001:db8:1::/64",
    ]


@pytest.mark.parametrize(
    ("bind", "expected"),
    [
        ("127.0.0.1", "PY -m hftp serve --address 127.0.0.1 --port 19500 --directory {data}"),
        ("::v6only", "PY -m hftp serve --address :: --port 19500 --directory {data} --v6only"),
        ("back-device", "PY -m hftp serve --address 0.0.0.0 --port 19500 --directory {data} --device eth1"),
    ],
)
def test_the_services_command_is_filled_in(bind: str, expected: str) -> None:
    experiment = standard(binds=(bind,))
    assert " ".join(experiment.service.argv(experiment.binds[0], "PY", ("PY", "-m", "hftp"))) == expected


# --- A part of it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "cells"),
    [
        ({}, 312),
        ({"binds": ("::", "localhost")}, 48),
        ({"vantages": ("server",)}, 117),
        ({"binds": ("::",), "vantages": ("peer", "remote")}, 10),
        ({"binds": ("::",), "vantages": ("peer",), "targets": ("name",)}, 1),
    ],
)
def test_a_part_of_the_matrix_can_be_chosen(chosen: dict[str, tuple[str, ...]], cells: int) -> None:
    experiment = standard(**chosen)
    assert len(list(experiment.dials())) == cells
    assert len(experiment.topology.hosts) == 17


def test_what_is_chosen_keeps_the_order_of_the_file() -> None:
    assert [bind.name for bind in standard(binds=("::", "localhost")).binds] == ["localhost", "::"]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (
            {"binds": ("lo",)},
            "no bind is called 'lo': there is localhost, 127.0.0.1, 127.0.0.2, 0.0.0.0, ::1, ",
        ),
        ({"vantages": ("mars",)}, "no vantage is called 'mars': there is server, peer, remote, outsider"),
        (
            {"vantages": ("peer",), "targets": ("hostname",)},
            "no target of peer is called 'hostname' (did you mean 'name'?): there is name, lan-ipv4, lan-ipv6, back-ipv4, 127.0.0.1",
        ),
    ],
)
def test_a_part_that_is_not_there_is_refused_with_what_is(
    chosen: dict[str, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(NetlabError) as caught:
        standard(**chosen)
    assert str(caught.value).startswith(message)

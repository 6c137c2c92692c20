"""`netlab.yaml`: what it may say, which rule decides, and what a cell that fails says of itself."""

from __future__ import annotations

import json
from ipaddress import IPv4Network, ip_interface
from pathlib import Path

import pytest

from netlab.errors import ExitCode, FileError, NetlabError
from netlab.expectations import Checked, CheckFile, Expectation, Result, State, load
from netlab.expectations.baseline import changes, read_baseline
from netlab.expectations.checkfile import read
from netlab.expectations.message import message
from netlab.expectations.results import hold
from netlab.expectations.rules import Rule, Surroundings, expectation_of
from netlab.experiments.plan import Dial, Selection
from netlab.model import (
    BY_TCP,
    AnswersFrom,
    Bind,
    Host,
    Link,
    Network,
    Outcome,
    Protocol,
    Target,
    Topology,
    Transport,
    Verdict,
)
from netlab.report.record import record
from tests.unit.netlab.made import OPEN, REFUSED, matrix

# Messages are quoted whole, however long.
# ruff: noqa: E501

MINIMAL = "service: {command: [serve, '{address}'], port: 80}\n"


def check_file(text: str, folder: Path = Path("/nonexistent")) -> CheckFile:
    return read("netlab.yaml", text, folder)


# --- The file ----------------------------------------------------------------------------------------------


def test_a_line_is_a_whole_file_everybody_dials_everything() -> None:
    dials = check_file(MINIMAL).dials()
    assert dials is not None
    assert {dial.bind.name for dial in dials} == {"any"}
    by_vantage = {dial.vantage: [d.target.name for d in dials if d.vantage == dial.vantage] for dial in dials}
    assert by_vantage == {
        "server": [
            *("localhost", "127.0.0.1", "::1", "hostname", "lan-ipv4", "lan-ipv6", "back-ipv4", "back-ipv6")
        ],
        "peer": ["name", "lan-ipv4", "lan-ipv6", "back-ipv4", "back-ipv6"],
        "remote": ["name", "lan-ipv4", "lan-ipv6", "back-ipv4", "back-ipv6"],
        "outsider": ["name", "lan-ipv4", "lan-ipv6", "back-ipv4", "back-ipv6"],
    }


def test_every_bind_has_a_host_of_its_own_whatever_it_is_called() -> None:
    file = check_file(MINIMAL + 'binds: ["0.0.0.0", "::", "::0", "a b", "a_b", "127.0.0.1"]\n')
    assert [*file.hosts.values()] == [
        *("server-0-0-0-0", "server-2", "server-0", "server-a-b", "server-a-b-5", "server-127-0-0-1")
    ]


def test_a_service_is_told_an_address_in_its_own_words() -> None:
    text = "service: {command: [serve, '{address}', '{endpoint}', '{data}/conf'], port: 80, files: {conf: 'on {endpoint} {x} in {data}: {nonce}'}}\n"
    file = check_file(text + 'binds: {star: {address: "::", as: "*"}, six: {address: "::"}}\n')
    assert file.topology is not None
    experiment = file.on(file.topology)
    star, six = experiment.binds
    assert experiment.service_of(star).argv(star, "python3", ()) == ["serve", "*", "*:80", "{data}/conf"]
    assert experiment.service_of(six).argv(six, "python3", ()) == ["serve", "::", "[::]:80", "{data}/conf"]
    assert experiment.service_of(six).contents(six, "python3", "42") == {
        "conf": "on [::]:80 {x} in {data}: 42"
    }


def test_a_bind_may_have_a_command_and_a_port_of_its_own_and_no_address() -> None:
    file = check_file(MINIMAL + "binds: {default: {command: [serve], port: 81}, any: 0.0.0.0, none: }\n")
    assert file.topology is not None
    experiment = file.on(file.topology)
    own = {bind.name: experiment.service_of(bind) for bind in experiment.binds}
    assert (own["default"].command, own["default"].port) == (("serve",), 81)
    assert (own["any"].command, own["any"].port) == (("serve", "{address}"), 80)
    assert [bind.address for bind in experiment.binds] == ["", "0.0.0.0", ""]


def test_a_bind_may_be_talked_to_otherwise_than_the_others() -> None:
    text = "service: {command: [x], port: 53, check: {dns: {name: a.test}}}\n"
    text += "binds: {by-tcp: , by-udp: {protocol: udp, answers-from: dialled}}\n"
    services = check_file(text).services()
    assert services["by-tcp"].transport == BY_TCP
    assert services["by-udp"].transport == Transport(Protocol.UDP, AnswersFrom.DIALLED)
    topology = check_file(text).topology
    assert topology is not None
    assert check_file(text).on(topology).protocols == {Protocol.TCP, Protocol.UDP}


def test_a_bind_inherits_the_protocol_and_where_answers_come_from() -> None:
    text = "service: {command: [x], port: 53, protocol: udp, answers-from: dialled, check: {dns: {name: a.test}}}\n"
    services = check_file(text + "binds: {a: , b: {answers-from: routed}, c: {protocol: tcp}}\n").services()
    assert services["a"].transport == Transport(Protocol.UDP, AnswersFrom.DIALLED)
    assert services["b"].transport == Transport(Protocol.UDP, AnswersFrom.ROUTED)
    assert services["c"].transport == BY_TCP


def test_vantages_are_names_or_say_what_they_dial() -> None:
    file = check_file(MINIMAL + "vantages: [peer]\n")
    assert {dial.vantage for dial in file.dials() or ()} == {"peer"}
    file = check_file(MINIMAL + 'vantages: {server: , peer: {it: "{lan.ipv4}"}}\n')
    peers = [dial for dial in file.dials() or () if dial.vantage == "peer"]
    assert [(d.target.name, d.target.address) for d in peers] == [("it", "198.18.1.11")]


def test_a_lab_may_be_a_file_an_experiments_lab_or_written_down_here(tmp_path: Path) -> None:
    lab = "networks: {lan: {ipv4: 198.18.7.0/24}}\nnames: lan\nservers: {number: 5, networks: [lan]}\nhosts: {eve: {number: 9, networks: [lan]}}\n"
    (tmp_path / "my.yaml").write_text(lab)
    inline = "lab: {" + ", ".join(lab.splitlines()) + "}\n"
    for text in ("lab: my.yaml\n", inline):
        dials = check_file(MINIMAL + text, tmp_path).dials()
        assert {(d.vantage, d.target.address) for d in dials or () if d.vantage == "eve"} == {
            ("eve", "server-any"),
            ("eve", "198.18.7.5"),
        }
    assert {d.vantage for d in check_file(MINIMAL + "lab: lan\n").dials() or ()} == {"server", "peer"}


WRONG = [
    ("- a\n", "netlab.yaml:1: expected a check, with keys such as service and expect; got a list"),
    (
        "service: {port: 80}\n",
        "netlab.yaml:1: service: command or image is missing: nothing runs yet in a lab that is made",
    ),
    (
        'service:\n  image: x\n  port: 80\n  files: {page: "{nonce}"}\n',
        "netlab.yaml:4: service.files.page: a container starts before the run: {nonce} is in {data}/netlab-nonce, to read then",
    ),
    (
        "service: {comand: [x], port: 80}\n",
        "netlab.yaml:1: service.comand: unknown key (did you mean 'command'?); allowed here: protocol, answers-from, command, image, options, files, port, check",
    ),
    (
        "service: {command: [x], port: 53, protocol: udp}\n",
        "netlab.yaml:1: service.check: tcp is about connections; over UDP only an answer says something: check by dns or send-expect",
    ),
    (
        "service:\n  command: [x]\n  port: 53\n  check: http\nbinds:\n  a: {protocol: udp}\n",
        "netlab.yaml:6: binds.a.protocol: http is about connections; over UDP only an answer says something: check by dns or send-expect",
    ),
    (
        "service:\n  command: [x]\n  port: 53\n  check: {dns: {name: a.test}}\nbinds:\n  a: {answers-from: dialled}\n",
        "netlab.yaml:6: binds.a.answers-from: answers-from goes with protocol: udp",
    ),
    (
        MINIMAL + "expect: [alow]\n",
        "netlab.yaml:2: expect.0: no expectation is called 'alow' (did you mean 'allow'?): there is allow, deny, open, wrong-service, accepted, wrong-source, refused, timeout, no-answer, unreachable, unresolved, not-bound",
    ),
    (
        MINIMAL + "expect:\n  - allow: peer\n    deny: remote\n",
        "netlab.yaml:3: expect.0: a rule is one key and what it is about, such as `allow: peer`",
    ),
    (
        MINIMAL + "expect:\n  - deny\n  - allow: {form: peer}\n",
        "netlab.yaml:4: expect.1.allow.form: unknown key (did you mean 'from'?); allowed here: bind, from, to",
    ),
    (
        MINIMAL + "lab: lan\nvantages: [peer]\nexpect: [allow: {from: pear}]\n",
        "netlab.yaml:4: expect.0.allow.from: no vantage is called 'pear' (did you mean 'peer'?): there is peer, network:lan",
    ),
    (
        MINIMAL + "lab: lan\nexpect:\n  - deny: [server, pear]\n",
        "netlab.yaml:4: expect.0.deny.from: no vantage is called 'pear' (did you mean 'peer'?): there is server, server-any, peer, network:lan",
    ),
    (
        MINIMAL + "lab: lan\nexpect:\n  - allow: {bind: [a*, b*]}\n",
        "netlab.yaml:4: expect.0.allow.bind: no bind is called 'b*': there is any",
    ),
    (
        MINIMAL + "lab: lan\nexpect:\n  - allow: {to: 'network:lam'}\n",
        "netlab.yaml:4: expect.0.allow.to: no target is called 'network:lam' (did you mean 'network:lan'?): there is localhost, 127.0.0.1, hostname, lan-ipv4, lan-ipv6, name, ::1, network:lan",
    ),
    (
        MINIMAL + "lab: lan\nexpect:\n  - allow: {from: peer, to: localhost}\n",
        "netlab.yaml:4: expect.0: no dial has such a bind, vantage and target at once: allow would always be met",
    ),
    (
        MINIMAL
        + "lab: lan\nexpect:\n  - allow: peer\n  - deny: {from: peer, to: lan-*}\n  - refused: {from: peer, to: name}\n",
        "netlab.yaml:4: expect.0: later rules contradict allow wherever it holds: put it after them, or leave it out",
    ),
    (
        MINIMAL + "lab: lan\nexpect:\n  - no-answer: peer\n",
        "netlab.yaml:4: expect.0: no-answer never comes of TCP: there is open, wrong-service, accepted, refused, timeout, unreachable, unresolved, not-bound",
    ),
    (
        "service: {command: [x], port: 53, protocol: udp, check: {dns: {name: a.test}}}\nexpect: [accepted (reset)]\n",
        "netlab.yaml:2: expect.0: accepted never comes of UDP: there is open, wrong-service, wrong-source, refused, no-answer, unreachable, unresolved, not-bound",
    ),
    (
        MINIMAL + "expect: [accepted (rest)]\n",
        "netlab.yaml:2: expect.0: expected accepted (reset|closed|silent); got 'accepted (rest)'",
    ),
    (
        MINIMAL + "expect: [refused (RST): peer]\n",
        "netlab.yaml:2: expect.0.refused (RST): expected refused alone; got 'refused (RST)'",
    ),
    (
        MINIMAL + "groups:\n  ours: [peer, pear]\n",
        "netlab.yaml:3: groups.ours: no host is called 'pear' (did you mean 'peer'?): there is outsider, peer, remote, router, server, server-any",
    ),
    (
        MINIMAL + "lab: nolab\n",
        "netlab.yaml:2: lab: no lab is called 'nolab': there is bind-address, lan, or the path of a .yaml file",
    ),
    (MINIMAL + "lab: my.yaml\n", "netlab.yaml:2: lab: there is no file /nonexistent/my.yaml"),
    (
        MINIMAL + "lab: {compose: no.yaml}\n",
        "netlab.yaml:2: lab.compose: there is no file /nonexistent/no.yaml",
    ),
    (
        MINIMAL + "lab: {wat: 1}\n",
        "netlab.yaml:2: lab: expected the name of a lab, the file of one, or a mapping with compose, project, inventory, or networks, names, servers and hosts",
    ),
    (
        MINIMAL + "lab: {compose: a.yaml, project: b}\n",
        "netlab.yaml:2: lab.project: unknown key; allowed here: compose",
    ),
    (
        MINIMAL + "lab:\n  networks: {lan: {ipv4: 198.18.1.0/33}}\n  names: lan\n",
        "netlab.yaml:3: lab.networks.lan.ipv4: expected an IPv4 network, such as 198.18.1.0/24; got '198.18.1.0/33'",
    ),
    (
        MINIMAL + "binds: {any: {address: 0.0.0.0, host: peer}}\n",
        "netlab.yaml:2: binds.any.host: in a lab that is made, a bind has a host of its own",
    ),
    (MINIMAL + "binds: []\n", "netlab.yaml:2: binds: expected at least one; got an empty list"),
    (MINIMAL + "binds: [0.0.0.0, localhost, 0.0.0.0]\n", "netlab.yaml:2: binds: '0.0.0.0' is there twice"),
    (MINIMAL + "vantages: [peer, peer]\n", "netlab.yaml:2: vantages: 'peer' is there twice"),
    (
        "service:\n  command: [x]\n  port: 80\n  files:\n    ../x: y\n",
        "netlab.yaml:5: service.files.../x: expected a file's name without a directory: it lies in {data}",
    ),
    (
        "service:\n  command: [x]\n  port: 53\n  protocol: udp\n  check:\n    send-expect: {expect: a, send: '"
        + "b" * 65508
        + "'}\n",
        "netlab.yaml:6: service.check.send-expect: 65508 bytes are sent, and a datagram holds 65507",
    ),
    (
        MINIMAL + "binds: {any: '{lan.ipv5}'}\n",
        "netlab.yaml:2: binds.any: nothing is called {lan.ipv5}: there is {hostname}, {lan.ipv4}, {lan.ipv6}, {back.ipv4}, {back.ipv6}",
    ),
    (
        MINIMAL + "vantages: [pear]\n",
        "netlab.yaml:2: vantages.pear: no vantage is called 'pear' (did you mean 'peer'?): there is outsider, peer, remote, server",
    ),
    (
        "lab: {project: mine}\nservice: {port: 80, check: hftp}\nbinds: {web: }\n",
        "netlab.yaml:2: service.check: hftp recognises a server that netlab starts, by a file of this run: take tcp",
    ),
    # Slips of the pen, after which the service would run as if nothing had been said.
    (
        "service:\n  port: 80\n  command: [serve, '{adress}']\n",
        "netlab.yaml:3: service.command.1: nothing is called {adress} (did you mean 'address'?): there is {address}, {endpoint}, {port}, {device}, {data}, {python}, {hftp}; to have it as it stands: \\{adress}",
    ),
    (
        MINIMAL + "binds:\n  any: {command: [serve, '{lan.ipv4}']}\n",
        "netlab.yaml:3: binds.any.command.1: nothing is called {lan.ipv4}: there is {address}, {endpoint}, {port}, {device}, {data}, {python}, {hftp}; to have it as it stands: \\{lan.ipv4}",
    ),
    (
        "service:\n  port: 80\n  command: [serve]\n  options:\n    device: [--on, '{devise}']\n",
        "netlab.yaml:5: service.options.device.1: nothing is called {devise} (did you mean 'device'?): there is {address}, {endpoint}, {port}, {device}, {data}, {python}, {hftp}; to have it as it stands: \\{devise}",
    ),
    (
        "service: {command: [serve, '{{address}}'], port: 80}\n",
        "netlab.yaml:1: service.command.1: expected {address}; got {{address}}; to have it as it stands: {\\{address}}",
    ),
    (
        "service: {command: [sh, -c, 'serve ${port}'], port: 80}\n",
        "netlab.yaml:1: service.command.2: expected {port}; got ${port}; to have it as it stands: $\\{port}",
    ),
    (
        "service: {command: [serve, '{ port }'], port: 80}\n",
        "netlab.yaml:1: service.command.1: expected {port}; got { port }",
    ),
    (
        "service: {command: [serve, 'root@{adress}'], port: 80}\n",
        "netlab.yaml:1: service.command.1: nothing is called {adress} (did you mean 'address'?): there is {address}, {endpoint}, {port}, {device}, {data}, {python}, {hftp}; to have it as it stands: @\\{adress}",
    ),
    (
        "service: {command: [sh, -c, '{hftp} serve'], port: 80}\n",
        "netlab.yaml:1: service.command.2: {hftp} is more than one word: it has to be an argument of its own",
    ),
    (
        "service:\n  port: 80\n  command: [serve, '{data}/conf']\n  files:\n    conf: 'listen {adress};'\n",
        "netlab.yaml:5: service.files.conf: nothing is called {adress} (did you mean 'address'?): there is {address}, {endpoint}, {port}, {device}, {data}, {python}, {nonce}; to have it as it stands: \\{adress}",
    ),
    (
        "service:\n  port: 80\n  command: [serve]\n  files: {conf: x}\n",
        "netlab.yaml:4: service.files: no command names them: they are in {data}",
    ),
    (
        "service: {command: [''], port: 80}\n",
        "netlab.yaml:1: service.command: its first word is empty: it is the program that is run",
    ),
    (
        MINIMAL + "binds:\n  lan: {address: 0.0.0.0, device: lan}\n",
        'netlab.yaml:3: binds.lan.device: nothing tells the service: put what it takes for it into service.options, such as device: [--device, "{device}"]',
    ),
    (
        MINIMAL + "binds:\n  six: {address: '::', v6only: true}\n",
        "netlab.yaml:3: binds.six.v6only: nothing tells the service: put what it takes for it into service.options, such as v6only: [--v6only]",
    ),
    (
        "service: {command: [serve, '{address}', '{device}'], port: 80}\nbinds: {any: 0.0.0.0}\n",
        "netlab.yaml:2: binds.any: its command has {device}, and it has no device: say which",
    ),
    (
        "service: {command: [serve], port: 80}\nbinds:\n  any: 0.0.0.0\n  local: 127.0.0.1\n",
        "netlab.yaml:4: binds.local: is started just like any, which listens on 0.0.0.0: put {address} or {endpoint} into service.command",
    ),
    (MINIMAL + "binds: {any: 300.0.0.1}\n", "netlab.yaml:2: binds.any: '300.0.0.1' is no address"),
    (
        MINIMAL + "vantages: {peer: {web: '{lan.ipv4}:80'}}\n",
        "netlab.yaml:2: vantages.peer.web: '198.18.1.11:80' is no address: the port goes into port",
    ),
    (
        MINIMAL + "expect:\n  - deny\n  - allow:\n",
        "netlab.yaml:4: expect.1: allow is about nothing: write allow alone, without a colon, for everything",
    ),
    (
        MINIMAL + "expect:\n  - allow:\n    from: peer\n",
        "netlab.yaml:3: expect.0: from belongs below what is expected: indent it",
    ),
    (
        MINIMAL + "expect: ['allow:peer']\n",
        "netlab.yaml:2: expect.0: expected `allow: peer`, with a space; got 'allow:peer'",
    ),
    (
        MINIMAL + "expect:\n  - refussed: peer\n",
        "netlab.yaml:3: expect.0.refussed: no expectation is called 'refussed' (did you mean 'refused'?): there is allow, deny, open, wrong-service, accepted, wrong-source, refused, timeout, no-answer, unreachable, unresolved, not-bound",
    ),
    (
        MINIMAL + "expect:\n  allow: peer\n",
        "netlab.yaml:2: expect: expected a list, such as [deny, {allow: peer}]; got a mapping",
    ),
    (
        MINIMAL + "vantages: peer\n",
        "netlab.yaml:2: vantages: expected a mapping or a list, such as [peer]; got a text",
    ),
    (
        "service: {command: python3 server.py, port: 80}\n",
        "netlab.yaml:1: service.command: expected a list, such as [python3, server.py]; got 'python3 server.py'",
    ),
    (
        "service: {command: [serve, 8000], port: 80}\n",
        'netlab.yaml:1: service.command.1: expected a text, in quotes: "8000"; got 8000',
    ),
    (
        "service: {command: [serve, --tls, 1.10], port: 80}\n",
        'netlab.yaml:1: service.command.2: expected a text, in quotes: "1.10"; got 1.10',
    ),
    (
        "service: {command: [serve, --mode, 0755], port: 80}\n",
        'netlab.yaml:1: service.command.2: expected a text, in quotes: "0755"; got 0755',
    ),
    (
        "service:\n  command: [serve]\n  port: 80\n  options: {v6only: --v6only}\n",
        "netlab.yaml:4: service.options.v6only: expected a list, such as [--v6only]; got '--v6only'",
    ),
    (
        "service: {command: [serve, {address}], port: 80}\n",
        'netlab.yaml:1: service.command.1: expected a text, in quotes: "{address}"; got a mapping',
    ),
    (MINIMAL + "service: {port: 80}\n", "netlab.yaml:2: not YAML: 'service' is there twice"),
    ("service:\n\tport: 80\n", "netlab.yaml:2: not YAML: a tab, where only spaces may stand"),
    (
        "service:\n    port: 80\n  command: [x]\n",
        "netlab.yaml:3: not YAML: while parsing a block mapping that begins in line 1: expected <block end>, but found '<block mapping start>'",
    ),
]


@pytest.mark.parametrize(("text", "said"), WRONG, ids=[said[:60] for _, said in WRONG])
def test_a_wrong_file_is_answered_with_file_line_key_and_what_is_allowed(text: str, said: str) -> None:
    with pytest.raises(FileError) as caught:
        check_file(text)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("command", "files"),
    [
        (["sh", "-c", "serve $PORT ${HOME} '{}' '{\"a\": 1}' | awk '{ print }'"], {}),
        (["sh", "-c", "PORT=80; die() { exit 1; }; serve -p ${PORT} -d ${DATA:-/srv} || die"], {}),
        (["sh", "-c", "serve | awk '/x/{print}{next}'; curl -w '%{http_code}' x; git log @{upstream}"], {}),
        (["sh", "-c", "docker ps --format '{{.State}} {{json .Ports}}{{end}}'; mkdir {a,b} {1..3}"], {}),
        (["python3", "-c", "name = 'x'; print(f'{name}')"], {}),
        (["node", "-e", "const {createServer} = require('http'); const { port } = config"], {}),
        (
            [
                "serve",
                "--log-format=%{remote}",
                '--config={"a":{"b":{}}}',
            ],
            {},
        ),
        (["serve", "{data}/x.py"], {"x.py": 'f"{name} {ports} {print} {PORT}" % {1: 2}; "${HOME}"'}),
        (["serve", "{data}/x.sh"], {"x.sh": 'PORT=80\nexec serve -p ${PORT} "${DATA}" -b "$(cat)"'}),
        (["serve", "{data}/x.js"], {"x.js": "const { port } = require('x'); f`${port_of(1)}`"}),
        (
            ["serve", "{data}/x.html"],
            {"x.html": "{{ data }} {% if x %}{{ x.y }}{% endif %} {{ range .Ports }}"},
        ),
        (["nginx", "{data}/x"], {"x": "events { }\nhttp { server { location / { return 200; } } }"}),
        (["serve", "{data}/x"], {"x": r"f'\{port}' {\{data}} $\{nonce} \{adress}"}),
        (["serve", r"\{id}", r"\{adress}", r"{\{port}}"], {}),
    ],
)
def test_braces_that_are_not_nearly_a_word_of_ours_are_the_services_own(
    command: list[str], files: dict[str, str]
) -> None:
    text = json.dumps({"service": {"command": command, "port": 80, "files": files}})
    file = check_file(text)
    assert file.services()["any"].command == tuple(command)


@pytest.mark.parametrize("binds", ["six: {address: '::', v6only: true}", "lan: {address: '::', device: lan}"])
def test_binds_may_be_told_apart_by_options_alone(binds: str) -> None:
    options = "options: {v6only: ['-6'], device: [--on, '{device}']}"
    text = f"service: {{command: [serve], port: 80, {options}}}\nbinds: {{four: 0.0.0.0, {binds}}}\n"
    assert check_file(text).dials()


@pytest.mark.parametrize(
    "binds",
    [
        "six: {address: '::', v6only: true, as: '[::]:80 v6only'}",
        "six: {address: '::', v6only: true, command: [serve, '-6', '{address}']}",
        "lan: {address: '::', device: lan, command: [serve, '{device}']}",
    ],
)
def test_a_bind_may_tell_the_service_by_a_command_or_a_word_of_its_own(binds: str) -> None:
    assert check_file(MINIMAL + f"binds: {{{binds}}}\n").dials()


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(NetlabError, match=r"netlab\.yaml: No such file or directory: netlab init writes one"):
        load(tmp_path / "netlab.yaml")
    with pytest.raises(NetlabError, match=r"is a directory: name a file in it"):
        load(tmp_path)
    with pytest.raises(NetlabError, match=r"File name too long"):
        load(tmp_path / ("x" * 300))


def test_a_selection_of_nothing_is_refused() -> None:
    with pytest.raises(NetlabError, match="no bind is called 'x': there is any"):
        check_file(MINIMAL).only(Selection(binds=("x",)))


def test_a_default_may_be_left_without_a_dial_and_a_verdict_be_one_of_several_protocols() -> None:
    text = "service: {command: [x], port: 53, check: {dns: {name: a.test}}}\nlab: lan\n"
    text += "binds: {by-tcp: , by-udp: {protocol: udp}}\n"
    text += "expect: [deny: '*', no-answer: {from: [server, peer]}, allow: {bind: by-tcp}, allow: {to: name, bind: by-tcp}]\n"
    assert len(check_file(text).rules) == 4


def test_a_rule_may_say_again_what_others_say() -> None:
    assert (
        len(check_file(MINIMAL + "expect: [deny, allow: {from: peer, to: name}, allow: peer]\n").rules) == 3
    )


# --- The rules ---------------------------------------------------------------------------------------------

NETWORKS = (Network("lan", IPv4Network("198.18.1.0/24")), Network("far", IPv4Network("198.18.3.0/24")))
HOSTS = (
    Host("one", (Link("eth0", "lan", (ip_interface("198.18.1.11/24"),)),)),
    Host("peer", (Link("eth0", "lan", (ip_interface("198.18.1.101/24"),)),)),
    Host("remote", (Link("eth0", "far", (ip_interface("198.18.3.102/24"),)),)),
)
AROUND = Surroundings(Topology(NETWORKS, HOSTS), {"guests": ("remote",)})


def dial(vantage: str, target: str = "lan-ipv4", address: str = "198.18.1.11", bind: str = "any") -> Dial:
    host = "one" if vantage == "server" else vantage
    return Dial(Bind(bind, "one", "0.0.0.0"), vantage, host, Target(target, address))


def rule(wants: str, **of: tuple[str, ...]) -> Rule:
    return Rule(Expectation(wants, "netlab.yaml", 1), **of)


def wanted(rules: list[Rule], asked: Dial) -> str | None:
    found = expectation_of(rules, asked, AROUND)
    return found.wants if found is not None else None


def test_the_last_rule_about_a_cell_decides() -> None:
    rules = [
        rule("deny"),
        rule("allow", vantages=("peer",)),
        rule("refused", vantages=("peer",), targets=("name",)),
    ]
    assert wanted(rules, dial("remote")) == "deny"
    assert wanted(rules, dial("peer")) == "allow"
    assert wanted(rules, dial("peer", "name")) == "refused"


def test_no_rule_no_expectation() -> None:
    assert wanted([rule("deny", vantages=("remote",))], dial("peer")) is None


@pytest.mark.parametrize(
    ("of", "about"),
    [
        ({"vantages": ("p*",)}, {"peer"}),
        ({"vantages": ("*",)}, {"server", "peer", "remote"}),
        ({"vantages": ("one",)}, {"server"}),
        ({"vantages": ("network:lan",)}, {"server", "peer"}),
        ({"vantages": ("network:f*", "peer")}, {"peer", "remote"}),
        ({"vantages": ("group:guests",)}, {"remote"}),
        ({"vantages": ("guests",)}, set()),
        ({"vantages": ("group:*",)}, {"remote"}),
        ({"targets": ("lan-*",)}, {"server", "peer", "remote"}),
        ({"targets": ("network:lan",)}, {"server", "peer", "remote"}),
        ({"targets": ("network:far",)}, set()),
        ({"binds": ("a?y",)}, {"server", "peer", "remote"}),
        ({"binds": ("ANY",)}, set()),
    ],
)
def test_patterns_name_vantages_networks_and_groups(of: dict[str, tuple[str, ...]], about: set[str]) -> None:
    rules = [rule("allow", **of)]
    assert {name for name in ("server", "peer", "remote") if wanted(rules, dial(name))} == about


@pytest.mark.parametrize(
    ("wants", "met"),
    [
        ("allow", {"open"}),
        ("deny", {"refused", "timeout", "no-answer", "unreachable (ENETUNREACH)", "unresolved (EAI_NONAME)"}),
        ("open", {"open"}),
        ("refused", {"refused"}),
        ("timeout", {"timeout"}),
        ("unreachable", {"unreachable (ENETUNREACH)"}),
        ("unreachable (EHOSTUNREACH)", set()),
        ("accepted", {"accepted (reset)"}),
        ("accepted (reset)", {"accepted (reset)"}),
        ("accepted (silent)", set()),
        ("not-bound", {"not-bound (EADDRINUSE)"}),
        ("wrong-service", {"wrong-service"}),
        ("no-answer", {"no-answer"}),
        ("wrong-source", {"wrong-source (198.18.1.11)"}),
        ("wrong-source (198.18.1.11)", {"wrong-source (198.18.1.11)"}),
        ("wrong-source (port)", set()),
    ],
)
def test_what_meets_an_expectation(wants: str, met: set[str]) -> None:
    outcomes = [
        OPEN,
        REFUSED,
        Outcome(Verdict.TIMEOUT),
        Outcome(Verdict.UNREACHABLE, "ENETUNREACH"),
        Outcome(Verdict.UNRESOLVED, "EAI_NONAME"),
        Outcome(Verdict.ACCEPTED, "reset"),
        Outcome(Verdict.WRONG_SERVICE),
        Outcome(Verdict.NOT_BOUND, "EADDRINUSE"),
        Outcome(Verdict.NO_ANSWER),
        Outcome(Verdict.WRONG_SOURCE, "198.18.1.11"),
    ]
    expectation = Expectation(wants, "netlab.yaml", 1)
    assert {str(outcome) for outcome in outcomes if expectation.met_by(outcome)} == met


# --- What came of it ---------------------------------------------------------------------------------------


def checked(wants: str | None, **changed: Outcome | None) -> Checked:
    expectation = Expectation(wants, "netlab.yaml", 7) if wants is not None else None
    return hold(matrix(**changed), lambda dial: expectation if dial.vantage == "peer" else None)


def peer_dials_two(result: Checked) -> Result:
    return next(
        r
        for r in result.results
        if (r.cell.bind.host, r.cell.vantage, r.cell.target.name) == ("two", "peer", "lan")
    )


def test_all_as_expected_and_as_predicted_is_a_success() -> None:
    assert checked(None).exit_code is ExitCode.OK
    assert {result.state for result in checked(None).results} == {State.MET}


def test_what_is_not_as_expected_fails_though_it_is_as_predicted() -> None:
    result = checked("deny")
    assert result.exit_code is ExitCode.DISAGREES
    assert [(r.cell.bind.host, r.cell.target.name) for r in result.unmet] == [("two", "lan")]


def test_an_expectation_goes_before_the_prediction() -> None:
    # A filter that the facts don't show: predicted open, observed timeout, and so it should be.
    result = checked("deny", two_peer_lan=Outcome(Verdict.TIMEOUT))
    assert result.exit_code is ExitCode.OK
    assert peer_dials_two(result).surprising


def test_without_an_expectation_the_prediction_must_hold() -> None:
    assert checked(None, two_peer_lan=Outcome(Verdict.TIMEOUT)).exit_code is ExitCode.DISAGREES


def test_what_was_not_measured_is_never_a_success_and_never_hides_a_failure() -> None:
    assert checked("deny", one_peer_lan=None, two_peer_lan=REFUSED).exit_code is ExitCode.NOT_MEASURED
    assert checked("deny", one_peer_lan=None).exit_code is ExitCode.DISAGREES
    assert peer_dials_two(checked("deny", two_peer_lan=None)).state is State.NOT_MEASURED
    assert hold(matrix(), lambda _: None, ("lab03: no route to host",)).exit_code is ExitCode.NOT_MEASURED


def test_a_failing_cell_says_who_expected_what_why_it_is_so_and_what_to_change() -> None:
    assert message(peer_dials_two(checked("deny"))).splitlines() == [
        "0.0.0.0: peer dials lan (198.18.1.12): expected deny (not reached), observed open",
        "  expected by netlab.yaml:7",
        "  evidence",
        "  why open:",
        "   1 bind on two: 0.0.0.0: listening on 0.0.0.0:19500 [sockets]",
        "   2 listener on two: no socket for 198.18.1.12:19500 by eth0 [sockets]",
        "   3 answer on two: no listener: RST [RFC 9293, 3.10.7.1]",
        "  to close it: bind 127.0.0.1 (then only two itself gets through) or an address that peer has no route to; or put the two on different networks, or drop what peer sends in a packet filter on two",
    ]


def test_a_cell_that_was_not_measured_says_why() -> None:
    assert message(peer_dials_two(checked("allow", two_peer_lan=None))).splitlines() == [
        "0.0.0.0: peer dials lan (198.18.1.12): expected allow (open), observed not measured",
        "  expected by netlab.yaml:7",
        "  not measured: agent on peer: it is gone",
    ]


# --- A baseline --------------------------------------------------------------------------------------------


def test_a_baseline_shows_what_has_changed_since(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    before = record(matrix())
    before["cells"].pop(0)
    before["cells"].append({**before["cells"][0], "target": "gone"})
    file.write_text(json.dumps(before))
    found = changes(read_baseline(file), checked(None, two_peer_lan=Outcome(Verdict.TIMEOUT)))
    assert sorted(map(str, found)) == [
        "0.0.0.0: peer dials lan: was open, is timeout",
        "127.0.0.1: server dials gone: was refused, is not there",
        "127.0.0.1: server dials localhost: was not there, is open",
    ]
    assert changes(read_baseline(file), checked(None)) != ()


def test_of_what_was_not_asked_for_a_baseline_says_nothing(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    before = record(matrix())
    before["cells"] += [{**before["cells"][0], "bind": "::1"}, {**before["cells"][0], "vantage": "remote"}]
    file.write_text(json.dumps(before))
    now, baseline = checked(None), read_baseline(file)
    assert len(changes(baseline, now)) == 2
    asked = Selection(binds=("127.0.0.1", "0.0.0.0"), vantages=("server", "peer"))
    assert changes(baseline, now, asked) == ()


def test_a_baseline_that_is_the_same_has_no_changes(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(json.dumps(record(matrix(one_peer_lan=None))))
    assert changes(read_baseline(file), checked(None, one_peer_lan=None)) == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "not a run that --json wrote"),
        ("[]", "not a run that --json wrote"),
        ('{"format": 1}', "not a run that --json wrote: cells: Field required"),
        ('{"format": 2, "cells": []}', "written in format 2; this netlab reads 1: record it anew"),
        ('{"format": 1, "cells": [{"bind": "\\u001b[2J"}]}', "not a run that --json wrote: cells.0.vantage"),
    ],
)
def test_a_baseline_that_is_none_is_said_so(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "run.json"
    file.write_text(content)
    with pytest.raises(NetlabError) as caught:
        read_baseline(file)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()

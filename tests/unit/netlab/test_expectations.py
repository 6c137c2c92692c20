"""`netlab.yaml`: what it may say, and what is answered where it says something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netlab.errors import FileError, NetlabError
from netlab.expectations import CheckFile, load
from netlab.expectations.checkfile import read
from netlab.experiments.plan import Selection
from netlab.model import (
    BY_TCP,
    AnswersFrom,
    Protocol,
    Transport,
)

# Messages are quoted whole, however long.
# ruff: noqa: E501

MINIMAL = "service: {command: [serve, '{address}'], port: 80}\n"


def check_file(text: str, folder: Path = Path("/nonexistent")) -> CheckFile:
    return read("netlab.yaml", text, folder)


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

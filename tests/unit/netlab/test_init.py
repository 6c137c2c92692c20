"""A first netlab.yaml: what is derived, what is left out and said, and that it can be read at once."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from netlab.errors import FileError, NetlabError
from netlab.expectations import checkfile
from netlab.expectations.checkfile import CheckFile
from netlab.experiments.templates import slip_in_argument
from netlab.init import Row, Start, text_of
from netlab.init.asked import Answers, from_answers
from netlab.init.compose_file import from_compose
from netlab.init.listening import templated
from netlab.init.places import places
from netlab.init.secrets import MASK, masked
from netlab.init.start import versions_reached

ROOT = Path(__file__).parents[3]

SHOP = """
services:
  web:
    image: nginx
    environment: {SESSION_SECRET: keep-me-out}
    ports: ["127.0.0.1:${WEB_PORT:-8080}:80", {target: 443, published: "8443"}]
    networks: [front]
  api:
    image: shop
    expose: ["9000", 9001/udp]
    networks: {front: {aliases: [shop]}, back: {}}
  db:
    image: postgres
    expose: [5432]
    networks: [back]
  worker: {image: shop, networks: [back]}
  agent: {image: agent, network_mode: host}
  debug: {image: shop, profiles: [debug]}
  many: {image: shop, scale: 3}
networks:
  front: {}
  back: {external: true, name: shared-back}
"""


def compose(text: str) -> Start:
    return from_compose("compose.yaml", text, "compose.yaml")


def read(start: Start, folder: Path) -> CheckFile:
    return checkfile.read("netlab.yaml", text_of(start), folder)


def rules_of(check: CheckFile) -> list[tuple[object, ...]]:
    return [(rule.expectation.wants, rule.binds, rule.vantages, rule.targets) for rule in check.rules]


# --- From a Compose file ---------------------------------------------------------------------------------


def test_every_tcp_port_of_a_service_is_a_bind(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(SHOP)
    said = read(compose(SHOP), tmp_path).said
    ports = {name: (bind.host, bind.port) for name, bind in said.binds.items()}
    assert ports == {
        "web-80": ("web", 80),
        "web-443": ("web", 443),
        "api": ("api", 9000),
        "db": ("db", 5432),
    }
    assert said.lab == {"compose": "compose.yaml"}


def test_who_shares_a_network_may_by_the_address_on_that_network(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(SHOP)
    assert rules_of(read(compose(SHOP), tmp_path)) == [
        ("deny", None, ("*",), None),
        ("allow", ("web-80", "web-443"), ("network:front",), ("name", "network:front")),
        ("allow", ("api",), ("network:front",), ("name", "network:front")),
        ("allow", ("api",), ("network:shared-back",), ("name", "network:shared-back")),
        ("allow", ("db",), ("network:shared-back",), ("name", "network:shared-back")),
        ("allow", ("web-80",), ("host",), ("published-127.0.0.1:*",)),
        ("allow", ("web-443",), ("host",), ("published-*",)),
    ]


@pytest.mark.parametrize(
    ("port", "at"),
    [
        ("80", ["published-*"]),
        ("8080:80/tcp", ["published-*"]),
        ("0.0.0.0:8080:80", ["published-*"]),
        ("127.0.0.1:8080:80", ["published-127.0.0.1:*"]),
        ("127.0.0.1::80", ["published-127.0.0.1:*"]),
        ("[::1]:8080:80", ["published-::1:*"]),
        ("${AT:-192.0.2.1}:8080:80", ["published-192.0.2.1:*"]),
        ("${AT}:8080:80", ["published-*"]),
        ({"target": 80, "host_ip": "127.0.0.1", "published": "8080"}, ["published-127.0.0.1:*"]),
        ({"target": 80}, ["published-*"]),
    ],
)
def test_the_machine_gets_in_where_a_port_is_published(port: object, at: list[str]) -> None:
    start = compose(json.dumps({"services": {"web": {"ports": [port]}, "db": {"expose": [5432]}}}))
    by_host = [rule.of for rule in start.rules if rule.of.get("from") == ("host",)]
    assert by_host == [{"bind": ("web",), "from": ("host",), "to": (where,)} for where in at]


def test_what_is_left_out_of_a_compose_file_is_said() -> None:
    start = compose(SHOP)
    assert start.vantages == ("web", "api", "db", "worker", "host")
    said = " ".join(start.notes)
    for word in (
        "agent is left out: network_mode is host",
        "debug is left out: it has profiles",
        "many is left out: there are 3 of it",
        "9001/udp is left out",
        "no port of worker",
    ):
        assert word in said


def test_nothing_of_the_environment_is_written() -> None:
    assert "keep-me-out" not in text_of(compose(SHOP))


def test_services_that_name_no_network_share_one() -> None:
    start = compose("services: {a: {ports: ['80:80']}, b: {}}")
    assert [rule.of.get("from") for rule in start.rules] == [None, ("network:default",), ("host",)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services: {web: {image: nginx}}", "which port should be dialled?"),
        ("version: '3'", "expected a Compose file, with services"),
        ("services: {web: nginx}", "expected a service: a mapping"),
        ("services: {web: {ports: 80}}", "expected a list of ports"),
        ("[", "not YAML"),
    ],
)
def test_a_file_with_nothing_to_check_is_refused_with_what_was_expected(text: str, said: str) -> None:
    with pytest.raises(FileError, match=said.replace("?", r"\?")):
        compose(text)


def test_the_projects_own_compose_file_makes_a_check() -> None:
    start = compose((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    assert len(read(start, ROOT).said.binds) == 6


# --- From answers ----------------------------------------------------------------------------------------


def answers(**changed: object) -> Answers:
    usual = {
        "command": "server --listen {address}:{port}",
        "port": 8080,
        "check": "tcp",
        "lab": "bind-address",
        "binds": ("0.0.0.0", "::", "127.0.0.1"),
        "allowed": ("peer",),
    }
    return Answers(**{**usual, **changed})  # type: ignore[arg-type]


def test_who_should_get_through_does_so_by_what_the_address_can_be_reached_by(tmp_path: Path) -> None:
    assert rules_of(read(from_answers(answers(), places()), tmp_path)) == [
        ("deny", None, ("remote", "outsider"), None),
        ("allow", ("0.0.0.0",), ("peer",), ("name", "lan-ipv4")),
        ("allow", ("::",), ("peer",), ("name", "lan-ipv4", "lan-ipv6")),
        ("allow", ("127.0.0.1",), ("peer",), ("name", "lan-ipv4")),
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"lab": "moon"}, "no lab is called 'moon': there is bind-address, lan"),
        ({"allowed": ("router",)}, "nobody in bind-address is called 'router': there is peer"),
        ({"command": "say 'hello"}, "No closing quotation"),
        ({"command": " "}, "what starts the server"),
    ],
)
def test_an_answer_that_can_not_be_followed_is_an_error(changed: dict[str, object], said: str) -> None:
    with pytest.raises(NetlabError, match=said):
        from_answers(answers(**changed), places())


@pytest.mark.parametrize(
    ("address", "versions"),
    [
        ("0.0.0.0", {4}),
        ("::", {4, 6}),
        ("192.0.2.1", {4}),
        ("2001:db8::1", {6}),
        ("{lan.ipv6}", {6}),
        ("127.0.0.1", set()),
        ("::1", set()),
        ("localhost", set()),
    ],
)
def test_an_address_says_by_what_others_get_there(address: str, versions: set[int]) -> None:
    assert versions_reached(address) == versions


def test_an_ipv6_wildcard_that_is_ipv6_only_is_not_reached_by_ipv4() -> None:
    assert versions_reached("::", v6only=True) == {6}


# --- From a command line ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "address", "port", "expected"),
    [
        ("srv -b 127.0.0.1 -p 8080", "127.0.0.1", 8080, "srv -b {address} -p {port}"),
        ("srv -b localhost -p 8080", "127.0.0.1", 8080, "srv -b {address} -p {port}"),
        ("srv --listen=127.0.0.1:8080", "127.0.0.1", 8080, "srv --listen={endpoint}"),
        ("srv --listen=[::1]:8080", "::1", 8080, "srv --listen={endpoint}"),
        ("srv http://*:8080/", "0.0.0.0", 8080, "srv http://{endpoint}/"),
        ("srv -addr :8080", "::", 8080, "srv -addr {endpoint}"),
        ("srv -b 10.0.0.1", "10.0.0.1", 8080, "srv -b {address}"),
        ("srv -b 110.0.0.1 -v 80801", "10.0.0.1", 8080, "srv -b 110.0.0.1 -v 80801"),
        ("srv 8080", "0.0.0.0", 8080, "srv {port}"),
        ("8080 8080", "0.0.0.0", 8080, "8080 {port}"),
        (
            "srv -b 10.0.0.1 /users/{id} ${port} {{data}}",
            "10.0.0.1",
            80,
            r"srv -b {address} /users/\{id} $\{port} {\{data}}",
        ),
        ("srv /from/{address}", "10.0.0.1", 80, r"srv /from/\{address}"),
    ],
)
def test_address_and_port_of_a_command_become_placeholders(
    command: str, address: str, port: int, expected: str
) -> None:
    words, told = templated(command.split(), address, port)
    assert " ".join(words) == expected
    assert told == (" {address}" in expected or "{endpoint}" in expected)
    assert [problem for word in words if (problem := slip_in_argument(word))] == []


SECRET = "hunter2-is-no-secret"


@pytest.mark.parametrize(
    "command",
    [
        f"srv --password {SECRET}",
        f"srv --db-password={SECRET}",
        f"srv -Dapi.token={SECRET}",
        f"env API_TOKEN={SECRET} srv",
        f"env AWS_SECRET_ACCESS_KEY={SECRET} srv",
        f"srv --api-key {SECRET}",
        f"srv -H Authorization:{SECRET}",
        f"srv postgres://user:{SECRET}@db/x",
        f"srv ghp_{'a1' * 18}",
        f"srv --sign {'Zx9' * 12}==",
    ],
)
def test_what_looks_like_a_secret_is_not_kept(command: str) -> None:
    words, hidden = masked(command.split())
    assert hidden == 1
    assert MASK in " ".join(words)
    for secret in (SECRET, "a1a1", "Zx9Zx9"):
        assert secret not in " ".join(words)


def test_what_does_not_look_like_a_secret_is_kept() -> None:
    command = (
        *("python3", "-m", "http.server", "--bind", "127.0.0.1", "8080", "--directory", "/srv/my-site-2024"),
        *("--keyfile", "key.pem", "postgres://db/x", "my-server-1.0-SNAPSHOT.jar", "-XX:MaxRAM=75.0"),
    )
    assert masked(command) == (command, 0)


def test_a_secret_is_said_to_be_masked() -> None:
    start = from_answers(answers(command=f"srv --password {SECRET} {{port}}"), places())
    assert SECRET not in text_of(start)
    assert "1 of the command's words looked like secrets" in start.notes[0]


# --- The text --------------------------------------------------------------------------------------------


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1))
def test_any_word_of_a_command_is_read_as_it_was_written(words: list[str]) -> None:
    start = Start("x", "lan", 8000, (Row("any", {"address": "::"}),), (), (), command=tuple(words))
    tree = YAML(typ="safe").load(text_of(start))
    assert tree["service"]["command"] == words


def test_comments_are_short_lines() -> None:
    text = text_of(compose(SHOP))
    assert max(map(len, text.splitlines())) <= 110
    assert textwrap.dedent(text) == text
    assert text.startswith("# yaml-language-server: $schema=netlab.schema.json\n")

"""The section `check` of a YAML file: what it may say, what it means, and what is said of mistakes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netlab.checks import Banner, Check, Dns, Hftp, Http, SendExpect, Tcp, Tls, for_run, request
from netlab.errors import ExperimentError
from netlab.experiments.checking import CheckSection, check_of
from netlab.yamlfile import Section, parse
from tests.certificates import Authority


class Whole(Section):
    """A file with nothing but a check."""

    check: CheckSection


def meant(text: str, folder: Path = Path("/nowhere")) -> Check:
    file = parse("x.yaml", f"check: {text}\n", ExperimentError)
    said = file.validate(Whole, "a mapping")
    return check_of(said.check, file, ("check",), folder)


MEANINGS = {
    "hftp": Hftp(),
    "tcp": Tcp(),
    "{tcp: {}}": Tcp(),
    "http": Http("/", ("200",)),
    "{http: {path: /health, status: 204}}": Http("/health", ("204",)),
    "{http: {status: [200, 3xx], body: 'it works', host: 'www.example.test:81'}}": Http(
        "/", ("200", "3xx"), "it works", "www.example.test:81"
    ),
    "{http: {tls: {name: www.example.test, verify: false}}}": Http(tls=Tls("www.example.test", verify=False)),
    "tls": Tls(),
    "{tls: {name: www.example.test, days: 14}}": Tls("www.example.test", days=14),
    "{banner: SSH-2.0}": Banner("SSH-2.0"),
    r'{send-expect: {send: "PING\r\n", expect: "+PONG\r\n"}}': SendExpect(b"PING\r\n", b"+PONG\r\n"),
    '{send-expect: {send-hex: "00 00 00 08", expect-hex: "4E"}}': SendExpect(b"\0\0\0\x08", b"N"),
    "{send-expect: {send: é, expect-hex: 'c3a9'}}": SendExpect(b"\xc3\xa9", b"\xc3\xa9"),
    "{dns: {name: www.example.test}}": Dns("www.example.test"),
    "{dns: {name: example.test, type: AAAA, answer: '2001:db8::1'}}": Dns(
        "example.test", "AAAA", "2001:db8::1"
    ),
}


@pytest.mark.parametrize("text", MEANINGS)
def test_what_a_check_may_say_and_what_it_means(text: str) -> None:
    assert meant(text) == MEANINGS[text]


KNOWN = "hftp, tcp, http, tls, banner, send-expect, dns"
WORDS = "hftp, tcp, http, tls, or a mapping such as {http: {path: /health}}"
MISTAKES = {
    "": f"check: expected {WORDS}; got nothing",
    "7": f"check: expected {WORDS}; got 7",
    "[http]": f"check: expected {WORDS}; got a list",
    "htpp": f"check: expected {WORDS}; got 'htpp' (did you mean 'http'?)",
    "banner": "check: banner has more to say: write {banner: ...}",
    "{}": f"check: expected one of {KNOWN}; got nothing",
    "{http: {}, tls: {}}": f"check: expected one of {KNOWN}; got http and tls",
    "{htpp: {}}": f"check.htpp: unknown key (did you mean 'http'?); allowed here: {KNOWN}",
    "{banner: }": "check.banner: says nothing",
    "{banner: ''}": "check.banner: expected a text that is not empty; got ''",
    "{http: {paht: /}}": "check.http.paht: unknown key (did you mean 'path'?); allowed here: "
    "path, status, body, host, tls",
    "{http: {path: health}}": "check.http.path: expected a path, such as /health?deep=1; got 'health'",
    r'{http: {path: "/ HTTP/1.1\r\nX: y"}}': "check.http.path: expected a path, such as /health?deep=1; "
    r"got '/ HTTP/1.1\r\nX: y'",
    r'{http: {host: "a\r\nX: y"}}': "check.http.host: expected a host, such as www.example.test:8080; "
    r"got 'a\r\nX: y'",
    "{http: {status: 99}}": "check.http.status: expected a status such as 200, a class such as 2xx, "
    "or a list of them; got 99",
    "{http: {status: [200, 20x]}}": "check.http.status: expected a status such as 200, a class such as 2xx, "
    "or a list of them; got a list",
    "{http: {status: []}}": "check.http.status: expected a status such as 200, a class such as 2xx, "
    "or a list of them; got a list",
    "{http: {tls: yes please}}": "check.http.tls: expected a mapping, such as {key: value}; got 'yes please'",
    "{tls: {ca: none.pem}}": "check.tls.ca: /nowhere/none.pem: No such file or directory",
    "{tls: {days: -1}}": "check.tls.days: expected at least 0; got -1",
    "{tls: {name: 'a b'}}": "check.tls.name: expected a name, such as www.example.test; got 'a b'",
    "{send-expect: {send: a}}": "check.send-expect: needs either expect or expect-hex",
    "{send-expect: {send: a, send-hex: '61', expect: b}}": "check.send-expect: needs either send or send-hex",
    "{send-expect: {send-hex: 6, expect: b}}": "check.send-expect.send-hex: expected bytes in hexadecimal, "
    'in quotes, such as "00 00 ff"; got 6',
    "{dns: {name: a..b}}": "check.dns.name: expected a name, such as www.example.test; got 'a..b'",
    "{dns: {name: a, type: SOA}}": "check.dns.type: expected 'A', 'AAAA', 'CNAME', 'MX', 'NS', 'PTR' "
    "or 'TXT'; got 'SOA'",
    "{dns: {name: a, answer: b}}": "check.dns: 'b' is no answer of type A",
    "{dns: {name: a, type: AAAA, answer: 198.18.1.1}}": "check.dns: '198.18.1.1' is no answer of type AAAA",
    "{dns: {}}": "check.dns.name: is missing",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_named_with_its_line_and_what_is_allowed(text: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        meant(text)
    assert str(caught.value) == f"x.yaml:1: {MISTAKES[text]}"


def test_certificates_travel_with_the_check(tmp_path: Path) -> None:
    pem = Authority("ours").pem
    (tmp_path / "ca.pem").write_text(pem)
    check = meant("{tls: {ca: ca.pem}}", tmp_path)
    assert check == Tls(ca=pem)
    assert request(check, "lab01", 443) == {
        "kind": "tls",
        "name": "lab01",
        "ca": pem,
        "verify": True,
        "days": 0,
    }


def test_a_file_without_certificates_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    with pytest.raises(ExperimentError) as caught:
        meant("{http: {tls: {ca: ca.pem}}}", tmp_path)
    assert str(caught.value) == f"x.yaml:1: check.http.tls.ca: {tmp_path}/ca.pem has no certificates in PEM"


@pytest.mark.parametrize(
    ("address", "port", "tls", "host"),
    [
        ("www.example.test", 80, None, "www.example.test"),
        ("www.example.test", 443, None, "www.example.test:443"),
        ("www.example.test", 443, Tls(), "www.example.test"),
        ("198.18.1.11", 8080, Tls(), "198.18.1.11:8080"),
        ("fe80::1%eth0", 8080, None, "[fe80::1]:8080"),
    ],
)
def test_the_host_field_is_what_is_dialled(address: str, port: int, tls: Tls | None, host: str) -> None:
    assert request(Http(tls=tls), address, port)["host"] == host


def test_what_is_said_goes_before_what_is_dialled() -> None:
    asked = request(Http(host="a.test", tls=Tls("b.test")), "198.18.1.11", 80)
    assert asked["host"] == "a.test"
    assert asked["tls"] == {"name": "b.test", "ca": "", "verify": True, "days": 0}


def test_a_runs_nonce_stands_where_the_check_asks_for_it() -> None:
    assert for_run(Hftp(), "file", "0f1e") == Hftp("file", "0f1e")
    assert for_run(Http(body="run {nonce}"), "file", "0f1e") == Http(body="run 0f1e")
    assert for_run(SendExpect(b"{nonce}?", b"{nonce}!"), "file", "0f1e") == SendExpect(b"0f1e?", b"0f1e!")
    assert for_run(Banner('{"nonce": 1}'), "file", "0f1e") == Banner('{"nonce": 1}')
    assert for_run(Http(tls=Tls("a.test")), "file", "0f1e") == Http(tls=Tls("a.test"))


def test_the_json_schema_allows_the_word_and_the_mapping() -> None:
    schema = CheckSection.model_json_schema()
    word, mapping = schema["anyOf"]
    assert word == {"enum": ["hftp", "tcp", "http", "tls"]}
    assert [*mapping["properties"]] == KNOWN.split(", ")
    assert (mapping["minProperties"], mapping["maxProperties"]) == (1, 1)


def test_every_check_of_the_guide_is_one() -> None:
    page = (Path(__file__).parents[3] / "docs" / "experiments.md").read_text(encoding="utf-8")
    examples = re.findall(r"^check: (.*?)(?:  +#.*)?$", page, re.MULTILINE)
    assert len(examples) > 9
    for example in examples:
        assert meant(example.replace(", ca: ca.pem", "").replace("ca: ca.pem, ", ""))

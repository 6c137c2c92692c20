"""Secrets go, wherever they stand; what is none stays."""

from __future__ import annotations

import json
import time

import pytest

from netlab.bundle.scrub import REMOVED, Scrubber, secrets_of, secrets_on
from netlab.model import Outcome, Verdict
from tests.unit.netlab.made import matrix

SECRET = "hunter2-Pa55/w0rd"
PEM = f"-----BEGIN RSA PRIVATE KEY-----\nMIIE{SECRET}\nabc=\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"PASSWORD={SECRET}", "PASSWORD="),
        (f"DB_PASSWORD: {SECRET} and more", "and more"),
        (f"mysql_pwd='{SECRET}'", "mysql_pwd="),
        (f'{{"client_secret": "{SECRET}", "port": 80}}', '"port": 80'),
        (f'{{\\"api_key\\": \\"{SECRET}\\"}}', "api_key"),
        (f"--token {SECRET} --port 80", "--port 80"),
        (f"--requirepass={SECRET}", "--requirepass="),
        (f"serve --password={SECRET} -a ::", "-a ::"),
        (f"postgres://lab:{SECRET.replace('/', '')}@db:5432/x", "@db:5432/x"),
        ("https://0123456789abcdef0123456789@git.example/x", "@git.example/x"),
        (f"GET / HTTP/1.1\r\nAuthorization: Basic {SECRET}\r\nHost: web", "Host: web"),
        (f"b'GET /\\r\\nauthorization: Digest u=\"x\", {SECRET}\\r\\nHost: web'", "Host: web"),
        (f"Set-Cookie: session={SECRET}; HttpOnly\nnext", "next"),
        (f'{{"Authorization": "Basic {SECRET}", "Host": "web"}}', '"Host": "web"}'),
        (f"curl -H 'Authorization: Basic {SECRET}' http://web", "curl -H"),
        (f"X-Api-Key: {SECRET}\nnext", "next"),
        (f"before {PEM} after", "after"),
        (f"cut short {PEM[:60]}", "cut short"),
        (PEM.replace("\n", "\\n"), ""),
        ("curl -H 'Bearer abcdefghijklmnop1234'", "curl -H"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", ""),
        ("id AKIAIOSFODNN7EXAMPLE", "id"),
        ("ghp_0123456789abcdefghij0123456789abcdef", ""),
    ],
)
def test_what_looks_like_a_secret_is_removed_and_what_is_around_it_stays(text: str, left: str) -> None:
    cleaned = Scrubber().text(text)
    assert REMOVED in cleaned
    assert left in cleaned
    for part in (SECRET, SECRET.replace("/", ""), "0123456789abcdef", "eyJhb", "AKIA", "MIIE"):
        assert part not in cleaned


@pytest.mark.parametrize(
    "text",
    [
        "no socket for 198.18.1.12:19500 by eth0 (listening: 127.0.0.1:19500)",
        "http://198.18.1.11:8080/index.html",
        "connect [2001:db8:1::11]:19500: ECONNREFUSED after 0.2 ms",
        "the answer has this run's nonce",
        "net.ipv4.conf.all.forwarding",
        "To open it: bind 0.0.0.0 or 198.18.1.11.",
        "a passage of compassed authors, basically tokenless keys",
        "listening on ::1:19500; localhost is also 127.0.0.1, where nothing listens",
    ],
)
def test_what_is_none_stays_as_it_is(text: str) -> None:
    assert Scrubber().text(text) == text


def test_a_secret_that_is_known_goes_wherever_it_stands() -> None:
    scrubber = Scrubber(["s3cr", "s3cret-long"])
    assert scrubber.text("a s3cret-long, b s3cr.") == f"a {REMOVED}, b {REMOVED}."


def test_the_environment_tells_which_values_are_secrets() -> None:
    environment = {
        "POSTGRES_PASSWORD": SECRET,
        "GITHUB_TOKEN": "abcdef123",
        "PATH": "/usr/bin",
        "TOKEN_COUNT": "7",  # too short to be looked for in everything
        "HOME": "/home/password",
    }
    assert secrets_of(environment) == {SECRET, "abcdef123"}


def test_on_a_command_line_what_follows_the_option_goes() -> None:
    argv = ("serve", "--password", SECRET, "--port", "80", "--api-key", SECRET)
    assert Scrubber().value(argv) == ("serve", "--password", REMOVED, "--port", "80", "--api-key", REMOVED)


def test_a_command_line_tells_which_of_its_words_are_secrets() -> None:
    assert secrets_on(["serve", "--password", SECRET, "--port", "12345678", "--pass", "x"]) == {SECRET}
    assert (
        Scrubber().text(f"['serve', '--password', '{SECRET}', '80']")
        == f"['serve', '--password', {REMOVED}, '80']"
    )


def test_a_value_named_like_a_secret_goes_and_the_rest_keeps_its_form() -> None:
    value = {
        "password": SECRET,
        "token": "",
        "port": 80,
        "on": True,
        "none": None,
        "list": [{"secret": SECRET}],
    }
    cleaned = Scrubber().value(value)
    assert cleaned == {
        "password": REMOVED,
        "token": "",
        "port": 80,
        "on": True,
        "none": None,
        "list": [{"secret": REMOVED}],
    }
    assert SECRET not in json.dumps(cleaned)


def test_a_matrix_without_secrets_stays_what_it_is() -> None:
    made = matrix(one_peer_lan=Outcome(Verdict.ACCEPTED, "reset"))
    assert Scrubber(["nowhere-in-it"]).value(made) == made


@pytest.mark.parametrize(
    "piece", ["a.", "a-", "eyJ-", "x-", "a://", "a://a:", "-----BEGIN ", 'token="', "bearer ", "a"]
)
def test_no_text_takes_long(piece: str) -> None:
    """Four times the text takes about four times as long; where a pattern goes back and forth, sixteen."""

    def seconds(letters: int) -> float:
        text = piece * (letters // len(piece))
        began = time.process_time()
        Scrubber().text(text)
        return time.process_time() - began

    seconds(1000)
    assert min(seconds(160_000) for _ in range(2)) < 10 * max(seconds(40_000), 0.005)

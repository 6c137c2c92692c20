"""The parts of the agent that strangers' bytes reach."""

from __future__ import annotations

import binascii
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netlab.agent import checks, conversation
from netlab.agent.asked import is_argv
from netlab.agent.checks import dns
from netlab.agent.checks.certificate import decode_certificate
from netlab.agent.checks.tls import covers
from netlab.agent.conversation import FindingError
from netlab.agent.netlink import ATTRIBUTE_TYPE_MASK, attributes
from netlab.checks import Dns, Http, SendExpect, Tls, request
from tests.certificates import Authority

EXPECTED = "0f1e2d3c4b5a"
SLICE = binascii.b2a_base64(EXPECTED.encode())[:-1]
RIGHT = b"0 OK\r\nother\r\nnetlab-nonce\r\n\r\n0 OK\r\n12\r\n0 OK\r\n%b\r\n0 OK\r\n" % SLICE
CHECKS: tuple[dict[str, Any], ...] = (
    {"kind": "hftp", "file": "netlab-nonce", "expect": EXPECTED},
    {"kind": "banner", "expect": EXPECTED},
    {"kind": "tcp"},
    request(SendExpect(b"PING\r\n", b"PONG"), "server", 6379),
    request(Http(body="text"), "server", 80),
    request(Tls(), "server", 443),
    request(Dns("www.example.test"), "server", 53),
)
CERTIFICATE = x509.load_pem_x509_certificate(
    Authority("ours").sign("www.example.test", "198.18.1.11", "2001:db8::1").encode()
).public_bytes(serialization.Encoding.DER)


def check(wanted: dict[str, Any], answers: bytes) -> dict[str, str]:
    """Let the agent check a server that says all this at once, and no more."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(answers)
        theirs.shutdown(socket.SHUT_WR)
        found: dict[str, str] = checks.check(ours, wanted, 5)
        return found


@pytest.fixture(autouse=True, scope="module")
def briefly() -> Iterator[None]:
    """Nobody resets these connections: to wait for it is a waste of time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversation, "AFTERMATH_S", 0.001)
        yield


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(CHECKS), st.binary(max_size=200))
@example(CHECKS[0], b"0 OK\r\n" * 4)
@example(CHECKS[0], b"9" * 5000 + b"\r\n")
@example(CHECKS[4], b"HTTP/1.1 200 OK\r\n\r\n")
@example(CHECKS[4], b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n")
@example(CHECKS[4], b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n")
@example(CHECKS[4], b"HTTP/1.1 301 \x1b[2J\r\nLocation: \x1b[2J\r\n\r\n")
@example(CHECKS[5], b"\x16\x03\x03\x00\x05hello")
@example(CHECKS[6], b"\x00\x05hello")
def test_whatever_a_server_says_there_is_a_finding_in_one_printable_line(
    wanted: dict[str, Any], answers: bytes
) -> None:
    finding = check(wanted, answers)
    assert finding["result"] in ("right", "wrong", "reset", "closed", "silent")
    assert finding["text"].isprintable()
    assert len(finding["text"]) < 400


@settings(max_examples=500)
@given(st.binary(max_size=300))
@example(b"\x30\xff" + b"\xff" * 127)
def test_what_is_no_certificate_is_not_taken_for_one(der: bytes) -> None:
    with pytest.raises(FindingError, match="a certificate that can't be read"):
        decode_certificate(der)


@settings(max_examples=500)
@given(st.integers(min_value=0, max_value=len(CERTIFICATE) - 1), st.integers(min_value=0, max_value=255))
def test_a_spoilt_certificate_is_read_or_refused(position: int, byte: int) -> None:
    spoilt = bytearray(CERTIFICATE)
    spoilt[position] = byte
    try:
        names, begins, ends = decode_certificate(bytes(spoilt))
    except FindingError as finding:
        assert finding.result == "wrong"
    else:
        assert all(name.isprintable() for name in names)
        assert (begins + ends).isdigit()
        assert len(begins) == len(ends) == 14


def test_a_certificates_names_and_dates_are_read_as_others_read_them() -> None:
    known = x509.load_der_x509_certificate(CERTIFICATE)
    dates = (known.not_valid_before_utc, known.not_valid_after_utc)
    names, *found = decode_certificate(CERTIFICATE)
    assert names == ["www.example.test", "198.18.1.11", "2001:db8::1"]
    assert found == [date.strftime("%Y%m%d%H%M%S") for date in dates]


@pytest.mark.parametrize(
    ("pattern", "name", "covered"),
    [
        ("example.test", "EXAMPLE.test.", True),
        ("*.example.test", "www.example.test", True),
        ("*.example.test", "example.test", False),
        ("*.example.test", "a.b.example.test", False),
        ("*.test", "example.test", False),
        ("*", "example", False),
        ("w*.example.test", "www.example.test", False),
        ("2001:db8::1", "2001:DB8:0::1", True),
        ("*.0.0.1", "127.0.0.1", False),
        ("198.18.1.1", "198.18.1.11", False),
    ],
)
def test_a_certificates_name_stands_for_names_as_rfc_9525_says(
    pattern: str, name: str, covered: bool
) -> None:
    assert covers(pattern, name) is covered


DNS = {"name": "www.example.test", "type": "A", "answer": ""}


@settings(max_examples=500)
@given(st.sampled_from([*dns.DNS_TYPES]), st.integers(0, 3), st.binary(max_size=200))
@example("CNAME", 1, b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x00\x00\x02\xc0\x2c")  # a name that is itself
@example("TXT", 1, b"\x00\x00\x10\x00\x01\x00\x00\x00\x00\x00\x02\xffx")
def test_whatever_a_dns_server_says_there_is_a_finding(kind: str, count: int, records: bytes) -> None:
    wanted = {**DNS, "type": kind}
    query = dns.question(wanted)
    answer = query[:2] + b"\x80\x00\x00\x01" + bytes([0, count]) + query[8:] + records
    try:
        text = dns.finding(query, answer, wanted)
    except FindingError as finding:
        assert finding.result == "wrong"
        text = finding.text
    assert text.isprintable()
    assert len(text) < 400


def test_an_answer_to_another_question_is_none() -> None:
    query = dns.question(DNS)
    record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\xc6\x12\x01\x0b"
    answer = query[:2] + b"\x80\x00\x00\x01\x00\x01" + query[8:] + record
    assert dns.finding(query, answer, DNS) == "DNS has 198.18.1.11 for A www.example.test"
    others = [
        bytes([answer[0] ^ 1]) + answer[1:],  # another number
        answer[:2] + b"\x00" + answer[3:],  # a question itself
        answer.replace(b"www", b"ww2"),
    ]
    for other in others:
        with pytest.raises(FindingError, match="no DNS answer to A www"):
            dns.finding(query, other, DNS)


def test_the_right_answers_are_right() -> None:
    assert check(CHECKS[0], RIGHT) == {"result": "right", "text": "the answer has this run's nonce"}


@pytest.mark.parametrize("length", range(len(RIGHT) - len(b"\r\n0 OK\r\n")))
def test_answers_that_break_off_are_never_right(length: int) -> None:
    assert check(CHECKS[0], RIGHT[:length])["result"] == "closed"


@settings(max_examples=300)
@given(st.integers(min_value=0, max_value=len(SLICE) - 1), st.integers(min_value=0, max_value=255))
def test_one_wrong_byte_in_the_nonce_is_never_right(position: int, byte: int) -> None:
    answers = bytearray(RIGHT)
    answers[RIGHT.index(SLICE) + position] = byte
    assert (check(CHECKS[0], bytes(answers))["result"] == "right") == (answers == RIGHT)


@given(st.binary(max_size=100), st.integers(min_value=0, max_value=120))
def test_attributes_of_any_form_come_to_an_end(body: bytes, offset: int) -> None:
    for kind, value in attributes(body, offset).items():
        assert 0 <= kind <= ATTRIBUTE_TYPE_MASK
        assert len(value) <= len(body)


@pytest.mark.parametrize(
    ("argv", "valid"),
    [(["redis-server", "--save", ""], True), (["x"], True), ([], False), ([""], False), (["x", "\0"], False)],
)
def test_a_programs_arguments_may_be_empty_but_not_its_name(argv: list[str], valid: bool) -> None:
    assert is_argv(argv) is valid

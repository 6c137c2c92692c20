"""The parts of the agent that strangers' bytes reach."""

from __future__ import annotations

import binascii
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netlab import agent

EXPECTED = "0f1e2d3c4b5a"
SLICE = binascii.b2a_base64(EXPECTED.encode())[:-1]
RIGHT = b"0 OK\r\nother\r\nnetlab-nonce\r\n\r\n0 OK\r\n12\r\n0 OK\r\n%b\r\n0 OK\r\n" % SLICE
CHECKS: tuple[dict[str, Any], ...] = (
    {"kind": "hftp", "file": "netlab-nonce", "expect": EXPECTED},
    {"kind": "banner", "expect": EXPECTED},
    {"kind": "tcp"},
)


def check(wanted: dict[str, Any], answers: bytes) -> dict[str, str]:
    """Let the agent check a server that says all this at once, and no more."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(answers)
        theirs.shutdown(socket.SHUT_WR)
        return agent.check(ours, wanted, 5)


@pytest.fixture(autouse=True, scope="module")
def briefly() -> Iterator[None]:
    """Nobody resets these connections: to wait for it is a waste of time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agent, "AFTERMATH_S", 0.001)
        yield


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(CHECKS), st.binary(max_size=200))
@example(CHECKS[0], b"0 OK\r\n" * 4)
@example(CHECKS[0], b"9" * 5000 + b"\r\n")
def test_whatever_a_server_says_there_is_a_finding_in_one_printable_line(
    wanted: dict[str, Any], answers: bytes
) -> None:
    finding = check(wanted, answers)
    assert finding["result"] in ("right", "wrong", "reset", "closed", "silent")
    assert finding["text"].isprintable()
    assert len(finding["text"]) < 400


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
    for kind, value in agent.attributes(body, offset).items():
        assert 0 <= kind <= agent.ATTRIBUTE_TYPE_MASK
        assert len(value) <= len(body)

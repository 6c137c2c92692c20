"""A program run on a host of a lab, and what came of it."""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.answers import read_answer
from netlab.errors import AgentError, LabError
from netlab.measure import MARGIN_S
from netlab.session import AgentSession

if TYPE_CHECKING:
    from netlab.backends import Runner


class ProgramTimeoutError(LabError, TimeoutError):
    """A program took longer than it was given, and was ended."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that has ended.

    Attributes:
        argv: the program and its arguments.
        exit_code: minus the number of the signal that ended it, if one did.
        stdout: what it printed, the first 4 MiB.
        stderr: what it said on standard error, the first 4 MiB.
    """

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class _Answer:
    exit_code: int
    stdout: str
    stderr: str
    timed_out: bool


def run(lab: Runner, host: str, argv: Sequence[str], stdin: bytes, timeout_s: float) -> Completed:
    """Run a program on a host, and wait for its end.

    Args:
        lab: runs programs on hosts.
        host: one of its hosts.
        argv: the program and its arguments; no shell comes between.
        stdin: what it reads.
        timeout_s: how long it may take, in seconds.

    Raises:
        ProgramTimeoutError: it took longer, and was ended.
        LabError: it can't be started.
    """
    request = {"argv": list(argv), "stdin": _text(stdin), "timeout_s": timeout_s}
    with AgentSession(lab, host, Path(__file__).with_name("runner.py").read_bytes()) as session:
        said = session.call("run", request, timeout_s=timeout_s + MARGIN_S)
    answer = read_answer(_Answer, host, "run", said)
    out, err = (_decoded(host, text) for text in (answer.stdout, answer.stderr))
    if answer.timed_out:
        *_, last = ("nothing", *out.splitlines(), *err.splitlines())
        raise ProgramTimeoutError(f"{host}: {argv[0]} still ran after {timeout_s:g} s; it said last: {last}")
    return Completed(tuple(argv), answer.exit_code, out, err)


def _text(content: bytes) -> str:
    return binascii.b2a_base64(content, newline=False).decode()


def _decoded(host: str, text: str) -> str:
    try:
        return binascii.a2b_base64(text).decode(errors="replace")
    except ValueError as error:
        raise AgentError(host, f"run: {error}") from None

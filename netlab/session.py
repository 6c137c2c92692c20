"""The controller's end of an agent: start it on a host, ask it, close it.

The agent's source travels over the pipe that carries the requests afterwards, so that a host needs nothing
but a Python: no file is copied there, and none is left.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Self, cast

from netlab import travelling
from netlab.errors import AgentError, LabError
from netlab.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from netlab.backends import Runner

# Reads the source's length in a line, then the source. It is read through the same buffer as the requests are
# later on: what that has read ahead is not lost. Optimization 2 leaves the docstrings out.
BOOT = (
    "import sys; i = sys.stdin.buffer; n = int(i.readline()); "
    "exec(compile(i.read(n), 'netlab-agent', 'exec', 0, True, 2), {'__name__': '__main__'})"
)

ANSWER_LIMIT_BYTES = (
    16 * 1024 * 1024
)  # the facts of a host with a full routing table are larger, and not asked


class AgentSession:
    """An agent on a host of a lab, as a context manager.

    One request is under way at a time; callers in other threads wait for their turn. After a failure that
    leaves the two ends out of step (a timeout, an answer that can't be read) the session is over.

    Args:
        lab: runs programs on hosts.
        host: one of its hosts.
        program: the source of what runs there, if not the agent's: it answers requests in the same way.

    Raises:
        AgentError: the host is gone, or no program can be started there.
    """

    def __init__(self, lab: Runner, host: str, program: bytes | None = None) -> None:
        self.host = host
        self._turn = threading.Lock()
        self._last_id = 0
        self._over = ""
        try:
            self._channel = lab.spawn(host, [lab.python(host), "-I", "-S", "-c", BOOT])
        except LabError as error:
            raise AgentError(host, f"it could not be started: {error}") from error
        source = travelling.program("netlab.agent", "program") if program is None else program
        try:
            self._channel.send(b"%d\n%b" % (len(source), source))
        except LabError:
            raise self._end(self._reason("it could not be started")) from None

    def call(
        self, op: str, fields: Mapping[str, object] | None = None, *, timeout_s: float
    ) -> dict[str, Any]:
        """Ask the agent; return its answer.

        Args:
            op: `hello`, `facts`, `serve` or `probe`: see `netlab.agent.program.Agent`.
            fields: what else the request says. A `timeout_s` among them is the agent's own, for its work.
            timeout_s: how long to wait for the answer.

        Raises:
            AgentError: the agent answers with an error, or with no answer.
        """
        with self._turn:
            if self._over:
                raise AgentError(self.host, self._over)
            self._last_id += 1
            self._send({**(fields or {}), "id": self._last_id, "op": op})
            return self._result(op, self._receive(op, timeout_s))

    def _send(self, request: dict[str, object]) -> None:
        try:
            self._channel.send(json.dumps(request).encode() + b"\n")
        except LabError:
            raise self._end(self._reason("it is gone")) from None

    def _receive(self, op: str, timeout_s: float) -> object:
        try:
            line = self._channel.readline(timeout_s)
        except TimeoutError:
            raise self._end(f"no answer to {op} within {timeout_s:g} s") from None
        except LabError as error:
            raise self._end(f"its answer to {op} can't be read: {error}") from error
        if not line:
            raise self._end(self._reason(f"it ended instead of answering {op}"))
        if len(line) > ANSWER_LIMIT_BYTES:
            raise self._end(f"its answer to {op} has {len(line)} bytes, more than {ANSWER_LIMIT_BYTES}")
        try:
            return json.loads(line)
        except (ValueError, RecursionError):
            raise self._end(f"its answer to {op} is not JSON: {line[:60]!r}") from None

    def _result(self, op: str, answer: object) -> dict[str, Any]:
        if not isinstance(answer, dict) or answer.get("id") != self._last_id:
            raise self._end(f"it answered something else than {op}")
        if isinstance(answer.get("error"), str):
            raise AgentError(self.host, f"{op}: {answer['error']}")
        if not isinstance(answer.get("ok"), dict):
            raise self._end(f"its answer to {op} has neither `ok` nor `error`")
        return cast(dict[str, Any], answer["ok"])

    def _reason(self, problem: str) -> str:
        """Add the last line on standard error: the agent's, or of an interpreter that never came to it."""
        lines = self._channel.diagnostics().split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"{problem}: {printable(last)}" if last else problem

    def _end(self, problem: str) -> AgentError:
        self._over = problem
        self._channel.close()
        return AgentError(self.host, problem)

    def close(self) -> None:
        """End the agent, and the service with it. Safe to repeat."""
        self._over = self._over or "the session is closed"
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

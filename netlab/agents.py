"""The agents of a whole lab: one question to many hosts at once, and every host's own answer or failure."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any, Self

from netlab.backends import PARALLEL, Lab, Runner
from netlab.errors import AgentError
from netlab.session import AgentSession

Answer = dict[str, Any] | AgentError
Counter = Callable[[int, int], None]


class Agents:
    """An agent on every host of a lab, as a context manager.

    Args:
        lab: runs programs on the hosts of a lab that is up.
        program: the source of what runs there, if not the agent's, as in `AgentSession`.
        parallel: how many hosts are spoken to at once.
        running: those that run already, by host.
    """

    def __init__(
        self,
        lab: Runner,
        program: bytes | None = None,
        parallel: int = PARALLEL,
        running: Mapping[str, AgentSession] | None = None,
    ) -> None:
        self._lab, self._program, self._parallel = lab, program, parallel
        self._sessions = dict(running or {})
        self._changing = threading.Lock()
        self._closing = False
        self._pool = ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="netlab-agents")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End every agent, and with it the service that it started; also while some are still being asked."""
        with self._changing:
            self._closing = True
            sessions = list(self._sessions.values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        with ThreadPoolExecutor(max_workers=self._parallel, thread_name_prefix="netlab-end") as ending:
            list(ending.map(AgentSession.close, sessions))
        self._pool.shutdown(wait=True)

    def call(
        self, op: str, requests: Mapping[str, Mapping[str, object]], timeout_s: float, count: Counter
    ) -> dict[str, Answer]:
        """Put a question to several hosts at once.

        Args:
            op: what is asked: `serve`, `facts`, `probe`.
            requests: the fields of the question, by host.
            timeout_s: how long each may take to answer.
            count: told how many hosts have answered, and of how many, as they do.

        Returns:
            For each host its answer, or what went wrong there: one that fails stops nobody else.
        """
        waiting: dict[Future[Answer], str] = {
            self._pool.submit(self._ask, host, op, timeout_s, fields): host
            for host, fields in requests.items()
        }
        answers: dict[str, Answer] = {}
        count(0, len(waiting))
        for future in as_completed(waiting):
            answers[waiting[future]] = future.result()
            count(len(answers), len(waiting))
        return answers

    def _ask(self, host: str, op: str, timeout_s: float, fields: Mapping[str, object]) -> Answer:
        try:
            return self._session(host).call(op, fields, timeout_s=timeout_s)
        except AgentError as error:
            return error

    def _session(self, host: str) -> AgentSession:
        """Return a host's session, a new one at the first question; none is opened once the end has begun.

        Raises:
            AgentError: it can't be opened.
        """
        known = self._sessions.get(host)
        if known is not None:
            return known
        session = AgentSession(self._lab, host, self._program)
        with self._changing:
            if not self._closing:
                self._sessions[host] = session
                return session
        session.close()
        raise AgentError(host, "the lab is being taken down")


def agents_of(lab: Lab) -> Agents:
    """Return the agents of a lab that is up, as a context manager: those that run already, and others."""
    return Agents(lab, parallel=lab.parallel, running=lab.agents)

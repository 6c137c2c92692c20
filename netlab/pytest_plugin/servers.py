"""Servers of a test: started on a host of the lab, there as long as they are wanted."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from netlab.checks import Check, for_run
from netlab.errors import LabError
from netlab.measure import MARGIN_S
from netlab.model import Bind, Transport
from netlab.predict.binding import cannot_bind
from netlab.session import AgentSession
from netlab.starting import NONCE_FILE, ServiceStart, read_service_start, serve_request

if TYPE_CHECKING:
    from netlab.backends import Lab
    from netlab.experiments.plan import Service
    from netlab.facts import Facts

# What runs the HFTP server, and its port, where nothing else is said.
HFTP = ("{hftp}", "serve", "--address", "{address}", "--port", "{port}", "--directory", "{data}")
HFTP_PORT = 19500


@dataclass(frozen=True, slots=True)
class Server:
    """A server in the lab.

    Attributes:
        bind: on which host it runs, and where it was told to listen.
        port: its port.
        check: how its answer is recognised.
        transport: how it is talked to.
    """

    bind: Bind
    port: int
    check: Check
    transport: Transport
    _session: AgentSession = field(repr=False, compare=False)

    @property
    def host(self) -> str:
        """The name of its host."""
        return self.bind.host

    def stop(self) -> None:
        """End it now, and not with the test. Safe to repeat."""
        self._session.close()

    def __repr__(self) -> str:
        return f"<server on {self.bind.name}>"


@contextmanager
def serve(
    lab: Lab, bind: Bind, service: Service, timeout_s: float, facts: Callable[[], Facts]
) -> Iterator[Server]:
    """Run a server for as long as the block runs; in it, the server listens.

    It has an agent of its own: a host may run several.

    Args:
        lab: where.
        bind: on which host, and where it listens.
        service: what runs.
        timeout_s: how long it may take until it listens, in seconds.
        facts: reads those of its host, to say why it could not listen.

    Raises:
        LabError: it does not come to listen; the message says why.
    """
    nonce = secrets.token_hex(16)
    program, python = lab.hftp(bind.host), lab.python(bind.host)
    request = serve_request(service, bind, program, python, nonce, timeout_s)
    with AgentSession(lab, bind.host) as session:
        answer = session.call("serve", request, timeout_s=timeout_s + MARGIN_S)
        start = read_service_start(bind.host, answer)
        if not start.listening:
            why = _why_not(start, bind, service, timeout_s, facts)
            raise LabError(f"the server on {bind.name}: {why}")
        check = for_run(service.check, NONCE_FILE, nonce)
        yield Server(bind, service.port, check, service.transport, session)


def _why_not(
    start: ServiceStart, bind: Bind, service: Service, timeout_s: float, facts: Callable[[], Facts]
) -> str:
    protocol = service.transport.protocol
    if start.exit_code is None:
        port = protocol.port(service.port)
        return f"it did not listen on {port} within {timeout_s:g} s; it said: {start.last_line}"
    ended = f"it ended with exit code {start.exit_code}: {start.last_line}"
    predicted = cannot_bind(facts(), bind, service.port, protocol)
    return f"{ended}; {predicted.reason[-1].text}: {predicted.remedy}" if predicted else ended

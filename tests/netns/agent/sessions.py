"""Ask an agent: for facts, for dials, for the start of a service."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from netlab.checks import Check, Hftp
from netlab.facts import Facts, read_facts
from netlab.judging import judge
from netlab.probes import Probe, ProbeResult, probe_request, read_probe_results
from netlab.session import AgentSession

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.backends import Lab
    from netlab.model import Observation


NONCE = "0f1e2d3c4b5a"
HFTP = Hftp("netlab-nonce", NONCE)
PORT = 19500


@contextmanager
def running(lab: Lab, host: str, program: str) -> Iterator[None]:
    """Run a Python program on a host; it says `ready` when it is."""
    with closing(lab.spawn(host, [lab.python(host), "-c", program])) as channel:
        line = channel.readline(10)
        assert line == b"ready\n", channel.diagnostics()
        yield


def facts_of(session: AgentSession, *names: str) -> Facts:
    return read_facts(session.host, session.call("facts", {"names": list(names)}, timeout_s=10))


def dial(session: AgentSession, *probes: Probe, timeout_s: float = 2) -> dict[str, ProbeResult]:
    answer = session.call("probe", probe_request(probes, timeout_s), timeout_s=30)
    return read_probe_results(session.host, answer)


def dial_one(
    session: AgentSession, address: str, port: int = PORT, check: Check = HFTP, timeout_s: float = 2
) -> tuple[Observation, ProbeResult]:
    result = dial(session, Probe("it", address, port, check), timeout_s=timeout_s)["it"]
    return judge(result), result


def start_hftp(session: AgentSession, lab: Lab, address: str, nonce: str = NONCE) -> dict[str, Any]:
    argv = [lab.python(session.host), "-m", "hftp", "serve", "-a", address, "-p", str(PORT), "-d", "{data}"]
    fields = {"argv": argv, "files": {"netlab-nonce": nonce}, "port": PORT, "timeout_s": 10}
    return session.call("serve", fields, timeout_s=20)

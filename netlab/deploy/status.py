"""How deployed machines are: which release, since when, whether it answers, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from netlab.backends.ssh import SshLab
from netlab.deploy.answers import Survey
from netlab.deploy.machine import DeployedMachine
from netlab.deploy.release import short
from netlab.errors import ExitCode, NetlabError
from netlab.measure import Progress
from netlab.model import endpoint

_TITLES = ("MACHINE", "RELEASE", "UP", "HEALTH", "SERVES")

Seen = Survey | NetlabError


def survey(lab: SshLab, hosts: Sequence[str], progress: Progress) -> dict[str, Seen]:
    """Ask machines how they are."""
    machines = {host: DeployedMachine(lab, host) for host in hosts}

    def ask(host: str) -> Seen:
        try:
            return machines[host].survey()
        except NetlabError as error:
            return error

    seen = {}
    with ThreadPoolExecutor(max_workers=lab.parallel, thread_name_prefix="netlab-status") as pool:
        try:
            for done, (host, answer) in enumerate(zip(hosts, pool.map(ask, hosts), strict=True), start=1):
                seen[host] = answer
                progress("asking", done, len(hosts))
        except BaseException:  # interrupted: nobody waits any longer
            for machine in machines.values():
                machine.close()
            raise
    return seen


def told(answers: Mapping[str, Seen]) -> tuple[list[str], ExitCode]:
    """Return the table, and what the command ends with.

    Args:
        answers: by machine.
    """
    rows = [_TITLES, *(_row(host, answer) for host, answer in answers.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_TITLES))]
    lines = [
        "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    if any(answer.health for answer in answers.values() if isinstance(answer, Survey)):
        return lines, ExitCode.DISAGREES
    lost = any(isinstance(answer, NetlabError) for answer in answers.values())
    return lines, ExitCode.NOT_MEASURED if lost else ExitCode.OK


def _row(host: str, answer: Seen) -> tuple[str, ...]:
    if isinstance(answer, NetlabError):
        return host, "-", "-", f"not reached: {answer}", "-"
    serve = answer.serve
    up = _duration(answer.now - answer.since) if answer.running and answer.since else "-"
    confirmed = "" if answer.current in answer.good or not answer.current else " (not confirmed)"
    restarts = f", {answer.restarts} restarts" if answer.restarts else ""
    health = (answer.health or "healthy") + confirmed + restarts
    places = ", ".join(endpoint(address, serve.port) for address in serve.addresses) if serve else "-"
    where = f"{places} {serve.directory} ({answer.method})" if serve else "-"
    return host, short(answer.current) or "-", up, health, where


def _duration(seconds: float) -> str:
    """Write how long something has run, in its largest unit: `3 d`, `2 h`, `5 min`, `12 s`."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"

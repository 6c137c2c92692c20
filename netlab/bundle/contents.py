"""What goes into a bundle, where it stands there, and what each file is."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Console, RenderableType

from netlab import __version__
from netlab.bundle.archive import Archive, file_names
from netlab.bundle.recording import Output, Packets, Recorded, Round, System
from netlab.bundle.scrub import Scrubber, secrets_of, secrets_on
from netlab.bundle.versions import versions
from netlab.errors import AgentError
from netlab.expectations import Checked
from netlab.experiments.plan import Experiment
from netlab.facts import Facts
from netlab.matrix import Matrix
from netlab.report.checked import checked_page, checked_record, checked_screen
from netlab.report.html import page
from netlab.report.record import record
from netlab.report.screen import screen

_SCREEN_COLUMNS = 100

_READ_ME = """\
A run of netlab, to be looked at elsewhere.

  report.html      what came of it, cell by cell; opens in any browser
  screen.txt       what the terminal showed
  run.json         every cell, for programs
  experiment.json  what was asked: binds, services, hosts
  versions.json    what it was made with, here and on every host
  round-N/facts    what was read on each host while the binds of that round were served
  round-N/logs     what the services wrote
  logs             what containers wrote
  pcaps            the headers of what each host sent and received; Wireshark and tcpdump read them
  manifest.json    all files with their checksums (SHA-256), and what is missing, and why

Secrets are removed where they could be told: private keys, passwords in URLs and on command lines, tokens,
HTTP's Authorization and cookies, and the values of environment variables that are named like secrets. No
environment is in here, and nothing of what applications said to each other. Look through it all the same
before you give it away: a secret that looks like any other word can't be told from one.
"""


def bundle(came: Matrix | Checked, recorded: Recorded) -> Archive:
    """Return a run as an archive that is not finished yet: its maker says the head of the manifest.

    Args:
        came: what came of the run; of a check, with what was expected.
        recorded: what was recorded of it.
    """
    matrix = _matrix(came)
    scrubber = Scrubber(_known_secrets(matrix.experiment, recorded))
    archive = Archive(scrubber)
    report, shown, cells = _reports(scrubber.value(came))
    archive.add_text("README.txt", _READ_ME, "what is in here")
    archive.add_text("report.html", report, "what came of the run, as a page")
    archive.add_text("screen.txt", shown, "what the terminal showed")
    archive.add_json("run.json", cells, "every cell, for programs")
    archive.add_json("experiment.json", _experiment(matrix.experiment), "what was asked")
    archive.add_json("versions.json", _versions(recorded), "what it was made with")
    hosts = file_names([*recorded.systems, *recorded.logs])
    for number, its in enumerate(recorded.rounds, start=1):
        _add_round(archive, number, its, matrix, hosts)
    for host, text in recorded.logs.items():
        archive.add_text(f"logs/{hosts[host]}.txt", text, f"what the container {host} wrote, the last of it")
    for host, packets in recorded.packets.items():
        _add_packets(archive, f"pcaps/{hosts[host]}.pcapng", host, packets)
    return archive


def _known_secrets(experiment: Experiment, recorded: Recorded) -> Iterator[str]:
    """Yield what is a secret by its name, in environments and on the services' command lines."""
    for environment in (os.environ, *recorded.environments.values()):
        yield from secrets_of(environment)
    for bind in experiment.binds:
        yield from secrets_on(experiment.service_of(bind).command)


def _matrix(came: Matrix | Checked) -> Matrix:
    return came.matrix if isinstance(came, Checked) else came


def _reports(came: Matrix | Checked) -> tuple[str, str, dict[str, Any]]:
    """Return the page, the screen and the record, as the command that was given shows them."""
    if isinstance(came, Checked):
        return checked_page(came), _text(checked_screen(came), soft_wrap=True), checked_record(came)
    return page(came), _text(screen(came)), record(came)


def manifest_head(came: Matrix | Checked, when: str) -> dict[str, Any]:
    """Return what the manifest says of the run.

    Args:
        came: what came of it.
        when: it ended, in words.
    """
    matrix = _matrix(came)
    return {
        "netlab": __version__,
        "experiment": matrix.experiment.name,
        "backend": matrix.backend,
        "ended": when,
        "exit_code": int(came.exit_code),
    }


def _text(shown: RenderableType, *, soft_wrap: bool = False) -> str:
    console = Console(width=_SCREEN_COLUMNS, file=io.StringIO(), highlight=False)
    console.print(shown, soft_wrap=soft_wrap)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _experiment(experiment: Experiment) -> dict[str, Any]:
    """Return what was asked; of a service's own files the names only: a configuration may be anything."""
    binds = []
    for number, its in enumerate(experiment.rounds(), start=1):
        for bind in its:
            service = experiment.service_of(bind)
            binds.append(
                {
                    "name": bind.name,
                    "host": bind.host,
                    "address": bind.address,
                    "round": number,
                    "command": list(service.command),
                    "files": sorted(service.files),
                    "port": service.port,
                }
            )
    topology = experiment.topology
    return {
        "name": experiment.name,
        "title": experiment.title,
        "binds": binds,
        "hosts": [
            {
                "name": host.name,
                "forwards": host.forwards,
                "links": [
                    {
                        "device": link.device,
                        "network": link.network,
                        "addresses": [str(address) for address in link.addresses],
                    }
                    for link in host.links
                ],
            }
            for host in topology.hosts
        ],
    }


def _versions(recorded: Recorded) -> dict[str, Any]:
    hosts = {
        host: {"not asked": str(its)} if isinstance(its, AgentError) else _system(its)
        for host, its in recorded.systems.items()
    }
    return {"here": {**versions(), **recorded.versions}, "hosts": hosts}


def _system(system: System) -> dict[str, str]:
    return {
        "Python": system.python,
        "kernel": system.kernel,
        "system": system.system,
        "machine": system.machine,
    }


def _add_round(
    archive: Archive, number: int, recorded: Round, matrix: Matrix, hosts: Mapping[str, str]
) -> None:
    folder = f"round-{number}"
    facts: Mapping[str, Facts] = matrix.facts[recorded.binds[0].name]
    for host, its in facts.items():
        path = f"{folder}/facts/{hosts.get(host, host)}.json"
        archive.add_json(path, plain(asdict(its)), f"the facts of {host}, read in round {number}")
    for host, output in recorded.outputs.items():
        bind = next(bind for bind in recorded.binds if bind.host == host)
        path = f"{folder}/logs/{hosts[host]}.txt"
        if isinstance(output, AgentError):
            archive.miss(path, str(output))
        else:
            archive.add_text(path, output.text, _what_of(bind.name, host, output))


def _what_of(bind: str, host: str, output: Output) -> str:
    how = "listened" if output.start.listening else "did not listen"
    if output.start.exit_code is not None:
        how = f"ended with exit code {output.start.exit_code}"
    limits = f"; {output.why}" if output.why else ""
    return f"what the service of {bind} on {host} wrote, which {how}{limits}"


def _add_packets(archive: Archive, path: str, host: str, packets: Packets | str) -> None:
    if isinstance(packets, str):
        archive.miss(path, packets)
        return
    lost = (
        (packets.left_out, "more are left out, since the file was full"),
        (packets.dropped, "more were lost, since they came too fast"),
    )
    said = "".join(f"; {count} {why}" for count, why in lost if count)
    what = f"the headers of {packets.packets} packets that {host} sent or received{said}"
    archive.add_bytes(path, packets.pcapng, what)


def plain(value: Any) -> Any:
    """Return a value as JSON's own types; addresses and the like as texts."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)

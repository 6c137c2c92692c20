"""A first `netlab.yaml` from what listens on a TCP port of this machine: where, and by which command.

Where it listens says the agent, as on any host. Which program that is, and how it was started, says `/proc`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from netlab.backends.local import LocalChannel
from netlab.errors import NetlabError
from netlab.experiments.templates import asks_for, kept
from netlab.facts import Facts, Listener, read_facts
from netlab.init.processes import Process, process_listening
from netlab.init.secrets import MASK, masked
from netlab.init.start import Row, Rule, Start, targets, versions_reached
from netlab.model import endpoint
from netlab.session import AgentSession

_FACTS_WITHIN_S = 20.0

# Of the lab that is proposed: its network, and who else is on it.
_LAB, _NETWORK, _PEER = "lan", "lan", "peer"


def from_port(port: int, command: Sequence[str], folder: Path) -> Start:
    """Return a check of the program that listens on a TCP port of this machine now.

    Args:
        port: the port.
        command: what starts the program; where it is empty, it is read from the program itself.
        folder: where the check will be run: files that the command names are relative to it.

    Raises:
        NetlabError: nothing listens there, or which program it is can't be seen.
        LabError: what listens here can't be read.
    """
    listeners = _listeners(port)
    if command:
        words, notes = tuple(command), []
    else:
        process = process_listening(port)
        words, notes = process.command(folder), [_where_from(process)]
    words, hidden = masked(words)
    if hidden:
        notes.append(
            f"{hidden} of its arguments looked like secrets and were not written down: where {MASK} stands, "
            "have it read a file or a variable instead."
        )
    return _start(port, listeners, words, tuple(notes))


class _ThisMachine:
    """This machine, as a host on which an agent can run."""

    def python(self, _: str) -> str:
        """Return this Python."""
        return sys.executable

    def spawn(self, _: str, argv: Sequence[str]) -> LocalChannel:
        """Start a program here."""
        return LocalChannel(argv)


def _listeners(port: int) -> tuple[Listener, ...]:
    asked = {"names": [], "datagrams": True}
    with AgentSession(_ThisMachine(), "this machine") as agent:
        facts = read_facts("this machine", agent.call("facts", asked, timeout_s=_FACTS_WITHIN_S))
    found = tuple(listener for listener in facts.listeners if listener.port == port)
    if not found:
        there = ", ".join(map(str, sorted({listener.port for listener in facts.listeners}))) or "none"
        by_udp = _by_udp(facts, port)
        raise NetlabError(
            f"nothing listens on TCP port {port} of this machine{by_udp}; ports that are: {there}"
        )
    return tuple(sorted(found, key=_reach, reverse=True))


def _by_udp(facts: Facts, port: int) -> str:
    """Say that a port is one of UDP; how a service is recognised there, no socket tells."""
    if all(socket.port != port for socket in facts.datagram_sockets):
        return ""
    return ", but by UDP: write protocol: udp and a check by dns or send-expect into netlab.yaml"


def _reach(listener: Listener) -> tuple[int, bool]:
    """Sort listeners by who can get to them: of several sockets the furthest reaching comes first."""
    versions = versions_reached(str(listener.address), v6only=listener.v6only)
    return len(versions), listener.address.is_unspecified


def _where_from(process: Process) -> str:
    return (
        f"The command is that of process {process.pid}, without its environment: variables that it needs "
        "have to be set in the command (env NAME=value ...). In a lab another one of it runs beside it: a "
        "file that only one of them can hold, such as a lock, has to be another."
    )


# --- What is written -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Address:
    """Where a program listens, as it may be told and as it is in a lab."""

    told: str
    in_lab: str
    v6only: bool = False


def _start(port: int, listeners: Sequence[Listener], words: Sequence[str], notes: tuple[str, ...]) -> Start:
    now = listeners[0]
    address = _Address(str(now.address), _in_lab(now), now.v6only)
    command, told = templated(words, str(now.address), port)
    others = ", ".join(endpoint(other.address, other.port) for other in listeners[1:])
    if others:
        notes = (*notes, f"It listens on {others}, too: only the first of its sockets is looked at here.")
    if not told:
        notes = (
            *notes,
            "The command does not say where to listen, so only what it does by itself is tried. Put "
            "{address} where your program takes an address, and list more of them below binds.",
        )
    rows = tuple(_rows(address, port, told=told))
    return Start(
        origin=f"--from-port {port}",
        lab=_LAB,
        port=port,
        binds=rows,
        vantages=(),
        rules=tuple(_rules(rows, now)),
        command=command,
        notes=notes,
    )


def _in_lab(listener: Listener) -> str:
    """Return an address of the lab that stands for one of this machine."""
    ours = listener.address
    return str(ours) if ours.is_loopback or ours.is_unspecified else f"{{{_NETWORK}.ipv{ours.version}}}"


def _rows(now: _Address, port: int, *, told: bool) -> Iterable[Row]:
    why = f"As it is now: {endpoint(now.told, port)}."
    if now.in_lab != now.told:
        why += f" In the lab that is the server's address on {_NETWORK}."
    yield Row("now", {"address": now.in_lab}, why)
    if not told:
        return
    six = ":" in now.told
    for name, address, reach in (
        ("any", "::" if six else "0.0.0.0", "The wildcard: every address of the host."),
        (
            "loopback",
            "::1" if six else "127.0.0.1",
            "The loopback address: the host itself, and nobody else.",
        ),
    ):
        if address != now.in_lab:
            yield Row(name, {"address": address}, reach)


def _rules(rows: Sequence[Row], now: Listener) -> Iterable[Rule]:
    """Yield what the addresses mean for a neighbour."""
    by_versions: dict[frozenset[int], list[str]] = {}
    for row in rows:
        v6only = now.v6only and row.name == "now"
        versions = versions_reached(str(row.says["address"]), v6only=v6only)
        by_versions.setdefault(versions, []).append(row.name)
    for versions, names in by_versions.items():
        of = {"bind": tuple(names), "from": (_PEER,)}
        if not versions:
            yield Rule("deny", of)
        else:
            yield Rule("allow", {**of, "to": targets(_NETWORK, versions)})


# --- The command -----------------------------------------------------------------------------------------


def templated(words: Sequence[str], address: str, port: int) -> tuple[tuple[str, ...], bool]:
    """Return a command with its address and port replaced by placeholders, and whether it says the address.

    Its own words in braces stay as they are.

    Args:
        words: the command.
        address: that the program listens on.
        port: likewise.
    """
    names = {"0.0.0.0": ("0.0.0.0", "*", ""), "::": ("::", "*", ""), "127.0.0.1": ("127.0.0.1", "localhost")}
    words_for = names.get(address, (address, "localhost") if address == "::1" else (address,))
    said = [f"[{word}]" if ":" in word else word for word in words_for]
    endpoints = _standing_alone([f"{word}:{port}" for word in said])
    addresses = _standing_alone([word for word in words_for if word])
    ports = re.compile(rf"(?<![\d.:]){port}(?![\d.:])")
    program, *arguments = map(kept, words)
    out = [program]
    for argument in arguments:
        filled = endpoints.sub("{endpoint}", argument)
        filled = addresses.sub("{address}", filled)
        out.append(ports.sub("{port}", filled))
    return tuple(out), any(asks_for(word, "address") or asks_for(word, "endpoint") for word in out)


def _standing_alone(texts: Iterable[str]) -> re.Pattern[str]:
    """Match one of some texts, but not within a longer address, number or name."""
    one_of = "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))
    return re.compile(rf"(?<![\w.:*\[\]-])(?:{one_of})(?![\w.:*\]-])")

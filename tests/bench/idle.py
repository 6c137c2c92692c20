"""Thousands of connections that ask nothing, what they cost a server, and how it is when they leave."""

from __future__ import annotations

import contextlib
import select
import socket
import statistics
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from hftp.load.shape import Target
from tests.bench.asking import HOST, http_request
from tests.bench.servers import Running

_PATIENCE_SECONDS = 15.0

# How long a server has to notice that the clients before have left.
_SETTLE_SECONDS = 0.2

# How many new clients come, one after the other; the median is taken of how long they waited.
_NEW_CLIENTS = 21


@dataclass(frozen=True)
class Idle:
    """What idle connections cost.

    Args:
        lost: how many the server did not hold.
        kib_each: memory of the server's process for each, in KiB.
        new_client_s: how long a new client waited for its answer, among them; the median of some.
        next_client_s: the same, right after all of them had closed.
    """

    lost: int
    kib_each: float
    new_client_s: float
    next_client_s: float


@lru_cache(maxsize=1)
def idle(server: Running, name: str, count: int) -> Idle:
    """Open connections that ask nothing, and close them.

    Several figures are taken of one run: the last one is remembered.

    Args:
        server: which, freshly started.
        name: of a small file, for the clients that ask.
        count: how many connections.
    """
    target = Target(HOST, server.port, socket.AF_INET, name, 0)
    _answer_s(server, name)  # what the first request of all costs is not the connections'
    time.sleep(_SETTLE_SECONDS)
    before_kib, descriptors = _resident_kib(server.pid), _descriptors(server.pid)
    with contextlib.ExitStack() as connections:
        sockets = [connections.enter_context(_connect(target)) for _ in range(count)]
        _wait_descriptors(server.pid, descriptors + count)
        kib_each = (_resident_kib(server.pid) - before_kib) / count
        lost = sum(map(_has_ended, sockets))
        new_client_s = statistics.median(_answer_s(server, name) for _ in range(_NEW_CLIENTS))
    return Idle(lost, kib_each, new_client_s, _answer_s(server, name))


def _connect(target: Target) -> socket.socket:
    sock = socket.socket()
    source = target.source()
    if source is not None:
        sock.bind((source, 0))
    sock.settimeout(_PATIENCE_SECONDS)
    sock.connect((target.host, target.port))
    return sock


def _has_ended(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _answer_s(server: Running, name: str) -> float:
    """Connect, ask, and measure how long the answer takes, in seconds."""
    request = http_request(name) if server.kind.protocol == "http" else f"get_metadata {name}\r\n".encode()
    began = time.perf_counter()
    with socket.create_connection((HOST, server.port), timeout=_PATIENCE_SECONDS) as sock:
        sock.sendall(request)
        sock.recv(4096)
        return time.perf_counter() - began


def _resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _wait_descriptors(pid: int, count: int) -> None:
    """Wait until a server has accepted so many; where it will not, the loss shows in the figures."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while _descriptors(pid) < count and time.monotonic() < deadline:
        time.sleep(0.02)

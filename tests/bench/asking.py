"""What is asked of the servers: the clients of `hftp bench`, and the same for HTTP and FTP."""

from __future__ import annotations

import ftplib
import socket
import time
from dataclasses import dataclass

from hftp.load.client import LoadClient
from hftp.load.kinds import KINDS
from hftp.load.run import run_load
from hftp.load.shape import Shape, Target
from tests.bench.servers import Running

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Asked:
    """What came of asking.

    Args:
        requests_per_s: answers a second.
        bytes_per_s: of the file.
        p99_s: of the times to the answers; None if there were none.
        generator_limited: whether the generator may have set the pace.
    """

    requests_per_s: float
    bytes_per_s: float
    p99_s: float | None
    generator_limited: bool = False


def ask(
    server: Running,
    what: str,
    name: str,
    size: int,
    *,
    clients: int,
    seconds: float,
    whole: bool = True,
) -> Asked:
    """Ask a server the same for some seconds.

    Args:
        server: which.
        what: `small`, `connect`, or contents, `raw` or `base64`; elsewhere, what comes nearest.
        name: of the file.
        size: of the file, or of a slice, in bytes.
        clients: how many ask at a time.
        seconds: for how long.
        whole: whether that is all of the file; otherwise it is a slice at its beginning.
    """
    if server.kind.protocol == "ftp":
        return _ask_ftp(server.port, what, name, seconds)
    target = Target(HOST, server.port, socket.AF_INET, name, size)
    shape = Shape({what: clients}, {}, seconds, slice_bytes=size)
    kinds = dict(KINDS)
    if server.kind.protocol == "http":
        kinds[what] = _http_client(server.port, http_request(name, None if whole else size))
    result = run_load(target, shape, kinds, recovery=False)
    return Asked(result.requests_per_s, result.bytes_per_s, result.latency.p99, result.bottleneck)


def _http_client(port: int, request: bytes) -> type[LoadClient]:
    """Make a client that sends one HTTP request again and again, whose answer's length is probed once."""
    beginning, length, body_bytes = _probe(port, request)

    class HTTP(LoadClient):
        def _prepare(self) -> None:
            self._request, self._beginning, self._length = request, beginning, length
            self._tally.share = body_bytes / length

    return HTTP


def http_request(name: str, first: int | None = None) -> bytes:
    """Return a request for a file, or for so many bytes of its beginning (RFC 9110, 14.2)."""
    part = "" if first is None else f"Range: bytes=0-{first - 1}\r\n"
    return f"GET /{name} HTTP/1.1\r\nHost: {HOST}\r\n{part}\r\n".encode()


def _probe(port: int, request: bytes) -> tuple[bytes, int, int]:
    """Return how an answer begins, how long it is, and how much of it is the body."""
    with socket.create_connection((HOST, port), timeout=10) as sock:
        sock.sendall(request)
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(65536)
    head = head.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    told = [line for line in head.lower().splitlines() if line.startswith(b"content-length:")]
    body_bytes = int(told[0].partition(b":")[2])
    return head.splitlines()[0], len(head) + body_bytes, body_bytes


def _ask_ftp(port: int, what: str, name: str, seconds: float) -> Asked:
    """Ask over one connection: FTP has another one for each file, and no slices."""
    with ftplib.FTP() as ftp:
        ftp.connect(HOST, port, timeout=10)
        ftp.login()
        ftp.voidcmd("TYPE I")
        count, received = 0, 0

        def take(piece: bytes) -> None:
            nonlocal received
            received += len(piece)

        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            if what == "small":
                ftp.size(name)
            else:
                ftp.retrbinary(f"RETR {name}", take, blocksize=1 << 20)
            count += 1
        lasted_s = time.perf_counter() - began
    return Asked(count / lasted_s, received / lasted_s, None)

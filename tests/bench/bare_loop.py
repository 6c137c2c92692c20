"""The ceiling: an epoll loop in Python that answers HFTP requests and checks nothing.

No limits, no names checked, no errors: what it gets is what a Python loop can give on this machine.

    python -m tests.bench.bare_loop DIRECTORY [--pybase64]
"""

from __future__ import annotations

import binascii
import mmap
import select
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_PIECE_BYTES = 256 * 1024
_GROUPED_BYTES = _PIECE_BYTES // 4 * 3


class _Client:
    __slots__ = ("left", "out", "socket")

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.out: bytes | memoryview = b""
        self.left: tuple[memoryview, int, int, bool] | None = None  # a file, and the range still to be sent


class BareLoop:
    """Answers get_metadata, get_slice and quit.

    Args:
        directory: whose files, present now, are served.
        encode: bytes to base64.
    """

    def __init__(self, directory: Path, encode: Callable[[memoryview], bytes]) -> None:
        self._files = {path.name.encode(): _map(path) for path in directory.iterdir()}
        self._sizes = {name: b"0 OK\r\n%d\r\n" % len(view) for name, view in self._files.items()}
        self._encode = encode
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._listener.setblocking(False)
        self._epoll = select.epoll()
        self._clients: dict[int, _Client] = {}
        self.port = self._listener.getsockname()[1]

    def run(self) -> None:
        """Serve for ever."""
        listening, clients = self._listener.fileno(), self._clients
        self._epoll.register(listening, select.EPOLLIN)
        while True:
            for fd, _ in self._epoll.poll():
                if fd == listening:
                    self._accept()
                    continue
                try:
                    self._attend(fd, clients[fd])
                except BlockingIOError:
                    pass
                except OSError:
                    self._drop(fd)

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            for _ in range(64):
                sock, _ = self._listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._clients[sock.fileno()] = _Client(sock)
                self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _drop(self, fd: int) -> None:
        self._epoll.unregister(fd)
        self._clients.pop(fd).socket.close()

    def _attend(self, fd: int, client: _Client) -> None:
        if client.out or client.left:
            self._go_on(fd, client)
            return
        requests = client.socket.recv(8192)
        if not requests:
            self._drop(fd)
            return
        for request in requests.splitlines():
            words = request.split(b" ")
            if words[0] == b"get_metadata":
                client.socket.send(self._sizes[words[1]])
            elif words[0] == b"get_slice":
                self._begin_slice(fd, client, words)
            else:
                client.socket.send(b"0 OK\r\n")
                self._drop(fd)
                return

    def _begin_slice(self, fd: int, client: _Client, words: list[bytes]) -> None:
        view, offset, size, raw = self._files[words[1]], int(words[2]), int(words[3]), len(words) == 5
        client.out = b"0 OK\r\nContent-Length: %d\r\n\r\n" % size if raw else b"0 OK\r\n"
        client.left = (view, offset, size, raw)
        self._epoll.modify(fd, select.EPOLLOUT)
        self._go_on(fd, client)

    def _go_on(self, fd: int, client: _Client) -> None:
        """Send one piece: the others have their turn, too."""
        if client.out:
            client.out = memoryview(client.out)[client.socket.send(client.out) :]
        elif client.left is not None:
            view, offset, left, raw = client.left
            count = min(left, _PIECE_BYTES if raw else _GROUPED_BYTES)
            if raw:
                count = client.socket.send(view[offset : offset + count])
            else:
                client.out = self._encode(view[offset : offset + count])
                client.out = memoryview(client.out)[client.socket.send(client.out) :]
            client.left = (view, offset + count, left - count, raw) if left > count else None
            if client.left is None and not raw:
                client.out = bytes(client.out) + b"\r\n"
        if not client.out and client.left is None:
            self._epoll.modify(fd, select.EPOLLIN)


def _map(path: Path) -> memoryview:
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))


def _encoder(fast: bool) -> Callable[[memoryview], bytes]:
    if fast:
        import pybase64

        encode: Callable[[memoryview], bytes] = pybase64.b64encode
        return encode
    return lambda piece: binascii.b2a_base64(piece, newline=False)


if __name__ == "__main__":
    loop = BareLoop(Path(sys.argv[1]), _encoder("--pybase64" in sys.argv))
    sys.stdout.write(f"listening on 127.0.0.1:{loop.port}\n")
    sys.stdout.flush()
    loop.run()

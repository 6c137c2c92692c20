"""A way to the engine that can be cut, and mended: to the one who uses it, the engine is gone, and back."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path


class Relay:
    """Passes on what comes to a Unix socket to that of the engine.

    Args:
        path: where to listen.
        engine: the engine's socket.
    """

    def __init__(self, path: Path, engine: Path) -> None:
        self.address = f"unix://{path}"
        self._path, self._engine = path, engine
        self._ends: list[socket.socket] = []
        self.mend()

    def cut(self) -> None:
        """End all connections, and take no more."""
        self._path.unlink(missing_ok=True)
        for end in (self._listener, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._ends.clear()

    def mend(self) -> None:
        """Take connections again."""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen(64)
        threading.Thread(target=self._take, args=(self._listener,), daemon=True).start()

    def _take(self, listener: socket.socket) -> None:
        while True:
            try:
                near = listener.accept()[0]
                far = socket.socket(socket.AF_UNIX)
                far.connect(str(self._engine))
            except OSError:  # it was cut
                return
            self._ends += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_pass_on, args=(source, sink), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)

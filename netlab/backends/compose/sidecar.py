"""A short-lived container beside another one: it shares that one's network, and runs a program of ours.

Nothing is asked of the other container's image: not a shell, not a Python.
"""

from __future__ import annotations

import io
import select
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from docker.errors import ImageNotFound

from netlab.backends.compose.engine import CLIENT_IMAGE, Engine, asking
from netlab.backends.compose.frames import Frames
from netlab.errors import LabError

_READ_BYTES = 1 << 16
_SEND_WITHIN_S = 30.0


def start_sidecar(
    engine: Engine, network: str, argv: Sequence[str], labels: Mapping[str, str], *, captures: bool = False
) -> SidecarChannel:
    """Start a program in the network of another container.

    The sidecar has no capability but what `captures` gives, and nothing to write to. It is removed when it
    ends, and it ends at the latest when the connection to its standard input does: so a killed netlab leaves
    none.

    Args:
        engine: where.
        network: `container:ID`, `host` for the engine's own machine, or `none`.
        argv: what to run.
        labels: for those who look for what is left.
        captures: whether it may capture packets there: the one thing for which it is root, with one right.

    Raises:
        LabError: it can't be started.
    """
    with asking(engine):
        try:
            container = engine.client.containers.create(
                CLIENT_IMAGE,
                list(argv),
                entrypoint=[],
                network_mode=network,
                stdin_open=True,
                auto_remove=True,
                read_only=True,
                cap_drop=["ALL"],
                security_opt=["no-new-privileges:true"],
                pids_limit=256,
                labels=dict(labels),
                working_dir="/",
                cap_add=["NET_RAW"] if captures else [],
                user="0:0" if captures else None,
            )
        except ImageNotFound:
            raise LabError(f"there is no image {CLIENT_IMAGE}: make it with 'make images'") from None
        wanted = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        stream = cast(Any, container.attach_socket(params=wanted))
        container.start()
    # The SDK wraps the socket of an upgraded connection in a file object that can only be read.
    return SidecarChannel(container.short_id, getattr(stream, "_sock", stream), stream)


class SidecarChannel:
    """Standard input and output of a program in a sidecar.

    Args:
        name: the sidecar's.
        connection: the socket that the engine's API was upgraded to.
        file: what the SDK has wrapped around it, and closes it with.
    """

    def __init__(self, name: str, connection: socket.socket, file: io.IOBase) -> None:
        self._name, self._connection, self._file = name, connection, file
        self._frames = Frames()
        self._at_end = False
        self._writing = threading.Lock()
        connection.settimeout(_SEND_WITHIN_S)

    def send(self, data: bytes) -> None:
        """Write all of `data` to the program's standard input.

        Raises:
            LabError: the program is gone.
        """
        try:
            with self._writing:
                self._connection.sendall(data)
        except OSError as error:
            raise LabError(f"sidecar {self._name}: {error}") from None

    def readline(self, timeout_s: float) -> bytes:
        """Return the next line of its standard output, newline included; empty at its end.

        Raises:
            TimeoutError: no whole line came within `timeout_s` seconds.
            LabError: what came is no line, or one without an end.
        """
        deadline = time.monotonic() + timeout_s
        while (line := self._frames.line()) is None:
            if self._at_end:
                return self._frames.rest()
            self._read_on(deadline)
        return line

    def diagnostics(self) -> str:
        """Return what the program wrote to standard error so far (the last 4 KiB)."""
        return self._frames.diagnostics.decode(errors="replace")

    def close(self) -> None:
        """Close its standard input, upon which it ends. Safe to repeat."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()
        self._file.close()

    def _read_on(self, deadline: float) -> None:
        try:
            poll = select.poll()
            poll.register(self._connection, select.POLLIN)
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise TimeoutError(f"sidecar {self._name}: no answer in time")
            chunk = self._connection.recv(_READ_BYTES)
        except TimeoutError:
            raise
        except (OSError, ValueError):  # closed, here or there
            chunk = b""
        self._frames.feed(chunk)
        self._at_end = not chunk

"""An honest server in the place of the hostile one: what it says is what others are made of."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from hftp.connection import Connection
from hftp.constants import RECEIVE_BYTES

if TYPE_CHECKING:
    import socket

    from hftp.files import DataDirectory
    from tests.fuzz.hostile import Speaker


class HonestServer:
    """Serves a directory with the sessions of the real server.

    Attributes:
        streams: What each connection was told.
    """

    def __init__(self, directory: DataDirectory) -> None:
        self._directory = directory
        self.streams: list[bytearray] = []

    def accept(self) -> Speaker:
        """Attend one more connection."""
        self.streams.append(bytearray())
        return _Session(Connection(self._directory), self.streams[-1])


class _Session:
    def __init__(self, connection: Connection, stream: bytearray) -> None:
        self._connection = connection
        self._stream = stream

    def speak(self, sock: socket.socket) -> bool:
        """Answer what was asked: some of it."""
        connection = self._connection
        sock.setblocking(False)
        with suppress(BlockingIOError):
            while connection.wants_input:
                connection.receive_data(sock.recv(RECEIVE_BYTES))
        if connection.finished:
            return False
        piece = bytes(connection.data_to_send())
        connection.bytes_sent(sock.send(piece))
        self._stream += piece
        if connection.finished:
            connection.close()
        return bool(piece) or self.speak(sock)

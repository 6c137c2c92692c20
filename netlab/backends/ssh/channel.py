"""A program on a machine, over SSH: its standard input and output."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from contextlib import suppress

from netlab.backends.lines import Lines
from netlab.backends.ssh.connection import Connection, in_time
from netlab.backends.ssh.problems import CONNECTION_ERRORS
from netlab.errors import LabError

_READ_BYTES = 1 << 16
_SEND_WITHIN_S = 30.0
_DIAGNOSTICS_BYTES = 4096


class SshChannel:
    """A program that runs on a machine.

    Args:
        connection: to the machine.
        argv: the program and its arguments, each quoted for the account's shell: SSH carries one string
            (RFC 4254, 6.5).

    Raises:
        LabError: the machine is gone.
    """

    def __init__(self, connection: Connection, argv: Sequence[str]) -> None:
        self._name = connection.name
        self._channel = connection.session()
        self._lines = Lines(self._name, self._read)
        self._errors = bytearray()
        try:
            with in_time(self._channel):
                self._channel.exec_command(shlex.join(argv))
        except CONNECTION_ERRORS as error:
            raise LabError(f"{self._name}: no program can be started: {error}") from None

    def send(self, data: bytes) -> None:
        """Write all of `data` to the program's standard input.

        Raises:
            LabError: the program is gone.
        """
        self._channel.settimeout(_SEND_WITHIN_S)
        try:
            self._channel.sendall(data)
        except CONNECTION_ERRORS:
            raise LabError(f"{self._name}: reads no more: {self.diagnostics() or 'it is gone'}") from None

    def readline(self, timeout_s: float) -> bytes:
        """Return the next line of its standard output, newline included; empty at its end.

        Raises:
            TimeoutError: no whole line came within `timeout_s` seconds.
            LabError: a line has no end.
        """
        return self._lines.readline(timeout_s)

    def diagnostics(self) -> str:
        """Return what the program wrote to standard error so far (the last 4 KiB)."""
        with suppress(*CONNECTION_ERRORS):
            while self._channel.recv_stderr_ready():
                self._errors += self._channel.recv_stderr(_READ_BYTES)
        self._errors = self._errors[-_DIAGNOSTICS_BYTES:]
        return self._errors.decode(errors="replace")

    def close(self) -> None:
        """Close its standard input, upon which an agent ends. Safe to repeat."""
        with suppress(*CONNECTION_ERRORS):
            self._channel.close()

    def _read(self, deadline: float) -> bytes:
        self._channel.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            return self._channel.recv(_READ_BYTES)
        except TimeoutError:
            raise TimeoutError(f"{self._name}: no answer in time") from None
        except CONNECTION_ERRORS:
            return b""

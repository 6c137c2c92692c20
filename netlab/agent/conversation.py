"""What a check talks over, and how it comes to its end."""

from __future__ import annotations

import abc
import select
import socket
import time

from netlab.agent.errorqueue import errno_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    Result = TypeVar("Result")


ANSWER_LIMIT_BYTES = 65536
AFTERMATH_S = 0.3  # for what follows at once, on any network that a person would wait for


class FindingError(Exception):
    """A check came to its end without finding the right application.

    Args:
        result: `wrong`, `reset`, `closed` or `silent`.
        text: what came, for people.
    """

    def __init__(self, result: str, text: str) -> None:
        super().__init__(result, text)
        self.result, self.text = result, text


class Conversation(abc.ABC):
    """What a check talks over: bounded in time and in what it takes."""

    def __init__(self) -> None:
        self.received = bytearray()  # and not read yet

    @abc.abstractmethod
    def send(self, data: bytes) -> None:
        """Send all of it."""

    @abc.abstractmethod
    def receive(self) -> None:
        """Wait for more bytes and keep them in `received`."""

    def line(self) -> bytes:
        """Return the next line, without its CRLF."""
        while b"\n" not in self.received:
            self.receive()
        line, _, rest = bytes(self.received).partition(b"\n")
        self.received[:] = rest
        return line[:-1] if line.endswith(b"\r") else line

    def take(self, count: int) -> bytes:
        """Return the next bytes, exactly as many as that."""
        while len(self.received) < count:
            self.receive()
        taken = bytes(self.received[:count])
        del self.received[:count]
        return taken

    def pieces(self, count: int | None) -> Iterator[bytes]:
        """Yield what comes as it comes: so many bytes, or all up to the end of the connection."""
        while count is None or count > 0:
            if not self.received:
                try:
                    self.receive()
                except FindingError as finding:
                    if count is None and finding.result == "closed":
                        return
                    raise
            piece = bytes(self.received[:count])
            del self.received[: len(piece)]
            count = None if count is None else count - len(piece)
            yield piece


class Connection(Conversation):
    """A conversation over a connected socket."""

    def __init__(self, sock: socket.socket, timeout_s: float) -> None:
        super().__init__()
        self._sock = sock
        self._deadline = time.monotonic() + timeout_s
        self._timeout_s = timeout_s
        self._total = 0

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._bounded(lambda: self._sock.sendall(data))

    def hurry(self, timeout_s: float) -> None:
        """Wait for no longer than that from now on, and in no case for longer than before."""
        self._deadline = min(self._deadline, time.monotonic() + timeout_s)

    def receive(self) -> None:
        """Wait for more bytes and keep them in `received`."""
        data = self._bounded(lambda: self._sock.recv(4096))
        if not data:
            result = "reset" if self._reset_follows() else "closed"
            raise FindingError(result, f"the connection was {result} after {amount(self._total)}")
        self._total += len(data)
        if self._total > ANSWER_LIMIT_BYTES:
            raise FindingError("wrong", f"more than {ANSWER_LIMIT_BYTES} bytes came")
        self.received += data

    def _reset_follows(self) -> bool:
        """Whether an RST follows the FIN: the other end has hung up without reading what it was sent.

        Which of the two comes first is chance; that both come is not (RFC 1122, 4.2.2.13).
        """
        poll = select.poll()
        poll.register(self._sock, 0)  # POLLERR and POLLHUP come unasked
        return bool(poll.poll(AFTERMATH_S * 1000))

    def stay(self) -> None:
        """Wait a moment for bytes or for the end, and be content if neither comes.

        To somebody who has ended it a line is sent: who no longer listens either answers it with a reset.
        A check that has asked something sees this without more ado.
        """
        deadline, self._deadline = self._deadline, time.monotonic() + AFTERMATH_S
        try:
            self.receive()
        except FindingError as finding:
            if finding.result == "closed":
                self.send(b"\r\n")
                if self._reset_follows():
                    raise FindingError("reset", "the connection was closed, and then reset") from finding
            if finding.result != "silent":
                raise
        finally:
            self._deadline = deadline

    def again(self, sock: socket.socket) -> Connection:
        """Connect once more to the same place, by another socket of the same family."""

        def connect() -> None:
            sock.settimeout(self._sock.gettimeout())
            sock.connect(self._sock.getpeername())

        self._bounded(connect)
        return Connection(sock, max(0.001, self._deadline - time.monotonic()))

    @property
    def family(self) -> int:
        """The socket's address family."""
        return self._sock.family

    def _bounded(self, step: Callable[[], Result]) -> Result:
        try:
            self._sock.settimeout(max(0.001, self._deadline - time.monotonic()))
            return step()
        except socket.timeout:
            patience = f"within {self._timeout_s:g} s"
            raise FindingError(
                "silent", f"nothing more came {patience}, after {amount(self._total)}"
            ) from None
        except (ConnectionResetError, BrokenPipeError):
            raise FindingError("reset", f"the connection was reset after {amount(self._total)}") from None
        except OSError as error:
            said = f"{errno_name(error.errno or 0)} after {amount(self._total)}"
            raise FindingError("silent", said) from None


def amount(count: int) -> str:
    """Write how much came."""
    return f"{count} bytes" if count else "no byte"


def shown(data: bytes | bytearray) -> str:
    """Write bytes from a stranger in one short printable line."""
    return ascii(bytes(data[:60]))[1:] + ("..." if len(data) > 60 else "")


def await_bytes(talk: Conversation, expected: bytes) -> str:
    """Wait until some bytes are in what came."""
    try:
        while expected not in talk.received:
            talk.receive()
    except FindingError as finding:
        if not talk.received:
            raise
        unexpected = f"it said {shown(talk.received)}, expected {shown(expected)}"
        raise FindingError("wrong", unexpected) from finding
    return f"it said {shown(talk.received)}"

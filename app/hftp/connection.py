"""One client's session: from the bytes that it sent to the bytes to send it. It owns no socket.

Theory of operation
-------------------
Whoever owns the socket (a poll loop, a thread, an asyncio protocol) does this::

    connection = Connection(directory)
    while True:
        data = connection.data_to_send()
        if data:
            connection.bytes_sent(socket.send(data))
        elif connection.finished:
            break
        elif connection.wants_input:
            connection.receive_data(socket.recv(RECEIVE_BYTES))
    connection.close()

The output pulls: a request is only parsed when the answers before it were taken. So a client that sends
requests and does not read costs one piece of an answer and one piece of input, however much it sends.
"""

from __future__ import annotations

from hftp.constants import EOL, PIECE_BYTES, Status
from hftp.errors import ProtocolError
from hftp.files import NoSuchFileError
from hftp.protocol import Parser, is_name, maybe_number
from hftp.segments import Base64Range, Pieces, RawRange, Segment, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Union

    from hftp.files import DataDirectory
    from hftp.protocol import Request

    Buffer = Union[bytes, memoryview]

# With less room than this, a piece is sent as it is.
_LEAST_ROOM_BYTES = 4096

_OK = Status.OK.line


class RefusedError(Exception):
    """A request is answered with this status instead.

    Attributes:
        status: Any but OK.
    """

    def __init__(self, status: Status) -> None:
        super().__init__(status)
        self.status = status


class Connection:
    """The session of one client.

    Args:
        directory: What is served. Shared between connections, not closed here.
    """

    __slots__ = ("_closing", "_directory", "_ended", "_out", "_parser", "_segments", "_sent", "_starved")

    def __init__(self, directory: DataDirectory) -> None:
        self._directory = directory
        self._parser = Parser()
        self._segments: list[Segment] = []  # of the answer that is being sent; no other is begun
        self._out = b""  # the piece that is being sent
        self._sent = 0  # how much of it the client has taken
        self._starved = True  # the parser can make no request of what it has
        self._ended = False  # the client sends nothing more
        self._closing = False  # no further request is answered

    # What the owner of the socket asks

    @property
    def wants_output(self) -> bool:
        """Whether there is something to send, or about to be."""
        return bool(self._out or self._segments or not (self._starved or self._closing))

    @property
    def wants_input(self) -> bool:
        """Whether the client's bytes should be read now. False while answers wait."""
        return not self._closing and not self.wants_output

    @property
    def finished(self) -> bool:
        """Whether all was said that will be: the connection is to be closed."""
        return self._closing and not self.wants_output

    @property
    def client_ended(self) -> bool:
        """Whether the client has closed its sending side."""
        return self._ended

    @property
    def held_bytes(self) -> int:
        """The memory held for input and output, in bytes."""
        return self._parser.held_bytes + len(self._out)

    # What the owner of the socket tells

    def receive_data(self, data: bytes) -> None:
        """Take what the client sent.

        Args:
            data: Empty when it has closed its sending side: what it has asked is still answered.
        """
        if data:
            self._parser.receive_data(data)
            self._starved = False
        else:
            self._ended = True
            self._closing = self._closing or self._starved

    def data_to_send(self) -> Buffer:
        """Give the next bytes to send, making them as needed.

        Returns:
            At most some 256 KiB; the same again until ``bytes_sent()``. Empty when there is nothing,
            or (``wants_output``) not yet: other clients should have their turn.

        Raises:
            BrokenAnswerError: An answer can't be completed: reset the connection.
        """
        if not self._out:
            self._out = self._gather()
        return memoryview(self._out)[self._sent :] if self._sent else self._out

    def bytes_sent(self, count: int) -> None:
        """Note what the client's system took.

        Args:
            count: How many of the bytes that ``data_to_send()`` gave.
        """
        self._sent += count
        if self._sent == len(self._out):
            self._out = b""
            self._sent = 0

    def stop(self) -> None:
        """Finish the answers that have begun, and answer nothing more."""
        self._closing = True

    def close(self) -> None:
        """Give back what answers that were not taken still hold."""
        for segment in self._segments:
            segment.close()
        self._segments.clear()
        self._out = b""
        self._closing = True

    # From requests to segments to bytes

    def _gather(self) -> bytes:
        """Join what can be sent at once: the end of an answer, and as many small ones as fit."""
        pieces: list[bytes] = []
        room = PIECE_BYTES
        while room >= _LEAST_ROOM_BYTES and (self._segments or self._begin_answer()):
            segment = self._segments[0]
            piece = segment.take(room)
            if segment.done:
                segment.close()
                del self._segments[0]
            if piece is None:  # the others first
                break
            pieces.append(piece)
            room -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _begin_answer(self) -> bool:
        """Answer the next request, if there is one."""
        if self._closing or self._starved:
            return False
        try:
            request = self._parser.next_request()
            if request is None:
                self._starved = True
                self._closing = self._ended
                return False
            self._dispatch(request)
        except ProtocolError as error:
            self._send_error(error.status)
        except RefusedError as refusal:
            self._send_error(refusal.status)
        except NoSuchFileError:
            self._send_error(Status.FILE_NOT_FOUND)
        except OSError:
            self._send_error(Status.INTERNAL_SERVER_ERROR)
        return True

    def _dispatch(self, request: Request) -> None:
        command = _COMMANDS.get(request.command)
        if command is None:
            raise RefusedError(Status.NO_SUCH_COMMAND)
        counts, answer = command
        if len(request.arguments) not in counts:
            raise RefusedError(Status.INVALID_ARGUMENTS)
        answer(self, *request.arguments)

    def _send(self, *segments: Segment) -> None:
        """Queue a whole answer. Everything that a client gets passes here."""
        self._segments.extend(segments)

    def _send_error(self, status: Status) -> None:
        """Build the answer to a request that failed. A fatal one is the last."""
        self._send(Text(status.line))
        if status.fatal:
            self._closing = True

    # The commands. Each checks its arguments before it looks at a file.

    def _answer_listing(self) -> None:
        self._send(Text(_OK), Pieces(self._directory.listing()))

    def _answer_metadata(self, token: bytes) -> None:
        size = self._directory.size(_name(token))
        self._send(Text(b"%b%d\r\n" % (_OK, size)))

    def _answer_slice(
        self, token: bytes, offset_token: bytes, size_token: bytes, form: bytes | None = None
    ) -> None:
        name, offset, size = _name(token), _number(offset_token), _number(size_token)
        if form not in (None, b"raw"):
            raise RefusedError(Status.INVALID_ARGUMENTS)
        file = self._directory.open(name)
        if offset + size > file.size:
            file.close()
            raise RefusedError(Status.OFFSET_EXCEEDS_SIZE)
        if form:
            self._send(Text(b"%bContent-Length: %d\r\n\r\n" % (_OK, size)), RawRange(file, offset, size))
        else:
            self._send(Text(_OK), Base64Range(file, offset, size), Text(EOL))

    def _answer_help(self) -> None:
        self._send(Text(_OK + b"".join(name + EOL for name in _COMMANDS) + EOL))

    def _answer_quit(self) -> None:
        self._send(Text(_OK))
        self._closing = True


# A command: how many arguments it may have, and what answers it. `help` lists them in this order.
_COMMANDS: dict[bytes, tuple[tuple[int, ...], Callable[..., None]]] = {
    b"get_file_listing": ((0,), Connection._answer_listing),
    b"get_metadata": ((1,), Connection._answer_metadata),
    b"get_slice": ((3, 4), Connection._answer_slice),
    b"help": ((0,), Connection._answer_help),
    b"quit": ((0,), Connection._answer_quit),
}


def _name(token: bytes) -> bytes:
    if not is_name(token):
        raise RefusedError(Status.INVALID_ARGUMENTS)
    return token


def _number(token: bytes) -> int:
    number = maybe_number(token)
    if number is None:
        raise RefusedError(Status.INVALID_ARGUMENTS)
    return number

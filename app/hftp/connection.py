"""One client's session: from the bytes that it sent to the bytes to send it. It owns no socket.

Theory of operation
-------------------
Whoever owns the socket (a poll loop, a thread, a coroutine) does this::

    connection = Connection(directory)
    while not connection.finished:
        if connection.wants_input:
            connection.receive_data(socket.recv(RECEIVE_BYTES))
        data = connection.data_to_send()
        if data:
            connection.bytes_sent(socket.send(data))
    connection.close()

The output pulls: a request is only parsed when the answers before it were taken. So a client that sends
requests and does not read costs one piece of input, however much it sends; and of what it asked for, only
a position in a file is remembered.
"""

from __future__ import annotations

from hftp.constants import ANSWER_PIECE_BYTES, EOL, MAX_LINE_BYTES, Status
from hftp.errors import ProtocolError
from hftp.fast import LEAST_PIECE_BYTES, LEAST_SENDFILE_BYTES, base64_encoder
from hftp.files import NoSuchFileError
from hftp.protocol import Parser, is_name, maybe_number
from hftp.segments import Base64Range, Pieces, RawRange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Union

    from hftp.access_log import Recorder
    from hftp.files import DataDirectory
    from hftp.segments import Segment

    Buffer = Union[bytes, memoryview]

# With less room than this, a piece is sent as it is.
_LEAST_ROOM_BYTES = 4096

_OK = Status.OK.line
_SIZE_ANSWER = _OK + b"%d\r\n"
_RAW_BEGINNING = _OK + b"Content-Length: %d\r\n\r\n"


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
        longest_line: How many bytes a request line may have.
        can_send_files: Whether the owner of the socket looks at ``file_range``. If not, everything passes
            through ``data_to_send()``.
        recorder: Is told of every request, for the access log; None for no log.

    Attributes:
        requests: How many were answered.
        bytes_taken: How many bytes of answers the client's system has taken.
        wants_output: Whether there is something to send, or about to be.
        closing: Whether no further request is answered: the connection is to be closed when all is sent.
        file_range: What comes after ``data_to_send()``, where it is a long range of a file as it is. Whoever
            can send it without reading it does so, and tells ``file_sent()``; who can't sets it to None.
    """

    __slots__ = (
        "_can_send_files",
        "_directory",
        "_ended",
        "_out",
        "_parser",
        "_piece_bytes",
        "_recorder",
        "_rewindable",
        "_segment",
        "_sent",
        "_starved",
        "bytes_taken",
        "closing",
        "file_range",
        "requests",
        "wants_output",
    )

    def __init__(
        self,
        directory: DataDirectory,
        *,
        longest_line: int = MAX_LINE_BYTES,
        can_send_files: bool = False,
        recorder: Recorder | None = None,
    ) -> None:
        self._directory = directory
        self._parser = Parser(longest_line)
        self._can_send_files = can_send_files
        self._recorder = recorder
        self._segment: Segment | None = None  # the rest of the answer that is being sent; no other is begun
        self._out = b""  # the piece that is being sent
        self._sent = 0  # how much of it the client has taken
        self._rewindable = 0  # how many bytes at the end of the piece the segment can make again
        self._piece_bytes = ANSWER_PIECE_BYTES  # how long the next piece may be
        self._starved = True  # the parser can make no request of what it has
        self._ended = False  # the client sends nothing more
        self.wants_output = False
        self.closing = False
        self.file_range: RawRange | None = None
        self.requests = 0
        self.bytes_taken = 0

    # What the owner of the socket asks

    @property
    def wants_input(self) -> bool:
        """Whether the client's bytes should be read now. False while answers wait."""
        return not (self.wants_output or self.closing)

    @property
    def finished(self) -> bool:
        """Whether all was said that will be: the connection is to be closed."""
        return self.closing and not self.wants_output

    @property
    def client_ended(self) -> bool:
        """Whether the client sends nothing more: it has closed its sending side, or said quit."""
        return self._ended

    @property
    def in_request(self) -> bool:
        """Whether a request has begun, and has not ended yet."""
        return self._starved and not self.closing and self._parser.unfinished

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
        if self.closing:
            return
        if data:
            self._parser.receive_data(data)
            self._starved = False
            self.wants_output = True
        else:
            self._ended = True
            self.closing = self._starved

    def data_to_send(self) -> Buffer:
        """Give the next bytes to send, making them as needed.

        Returns:
            At most ``ANSWER_PIECE_BYTES``; the same again until ``bytes_sent()``. Empty when there is
            nothing, or (``wants_output``) a ``file_range`` is next, or other clients should have their turn.

        Raises:
            BrokenAnswerError: An answer can't be completed: reset the connection.
        """
        if not self._out:
            self._out = self._gather()
            if not self._out:
                self._note_wants()
        return memoryview(self._out)[self._sent :] if self._sent else self._out

    def bytes_sent(self, count: int) -> None:
        """Note what the client's system took.

        Args:
            count: How many of the bytes that ``data_to_send()`` gave.
        """
        self.bytes_taken += count
        left = len(self._out) - self._sent - count
        if left and not self._maybe_rewind(left, count):
            self._sent += count
            return
        self._out = b""
        self._sent = 0
        self._went_on()

    def file_sent(self, count: int) -> None:
        """Note what the client's system took of the ``file_range``.

        Args:
            count: How many bytes.
        """
        self.bytes_taken += count
        if self.file_range is not None:
            self.file_range.skip(count)
        self._went_on()

    def stop(self) -> None:
        """Finish the answers that have begun, and answer nothing more."""
        self.closing = self._starved = True
        self._note_wants()

    def give_up(self, status: Status) -> bytes:
        """Refuse a request that has begun.

        Args:
            status: With what; a fatal one.

        Returns:
            What to send the client before the connection is closed.
        """
        answer = self._refuse(status)
        self.requests += 1
        if self._recorder is not None:
            self._recorder.answer(None, answer, self.bytes_taken)
        self.bytes_taken += len(answer)
        self._went_on()
        return answer

    def close(self) -> None:
        """Give back what an answer that was not taken still holds."""
        if self._recorder is not None:
            self._recorder.end(self.bytes_taken)
        self._end_segment()
        self._out = b""
        self.closing = self._starved = True
        self.wants_output = False

    def _went_on(self) -> None:
        segment = self._segment
        if segment is None:
            self.wants_output = not self._starved
        elif segment.done:
            self._end_segment()
            self.wants_output = not self._starved
        else:
            self.wants_output = True
        if self._recorder is not None:
            self._recorder.taken(self.bytes_taken, whole=self._segment is None)

    def _note_wants(self) -> None:
        self.wants_output = bool(self._out) or self._segment is not None or not self._starved

    def _end_segment(self) -> None:
        if self._segment is not None:
            self._segment.close()
            self._segment = self.file_range = None
            self._directory.moment.forget()

    def _maybe_rewind(self, left: int, taken: int) -> bool:
        """Forget what was not taken, if it can be made again, and make less the next time."""
        if left > self._rewindable or self._segment is None or not self._segment.maybe_rewind(left):
            return False
        self._piece_bytes = max(LEAST_PIECE_BYTES, taken)
        return True

    # From requests to segments to bytes

    def _gather(self) -> bytes:
        """Join what can be sent at once: a piece of a long answer, or as many small ones as fit."""
        pieces: list[bytes] = []
        room = most = self._piece_bytes
        self._piece_bytes = min(2 * most, ANSWER_PIECE_BYTES)
        self._rewindable = 0
        while room >= _LEAST_ROOM_BYTES:
            segment = self._segment
            if segment is None:
                piece = self._next_answer(most - room)
                if piece is None:
                    break
                if self._starved and self._segment is None and not pieces:  # the only one: the usual case
                    return piece
            elif self.file_range is not None:
                break
            else:
                piece = segment.take(room)
                if piece is None:  # the others first
                    break
                if len(piece) > _LEAST_ROOM_BYTES:
                    self._rewindable = len(piece)
                    if not pieces:  # the usual case of a long answer
                        return piece
                    room = 0
                elif segment.done:
                    self._end_segment()
            pieces.append(piece)
            room -= len(piece)
        if self._segment is not None and self._segment.done and not self._rewindable:
            self._end_segment()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _next_answer(self, ahead: int) -> bytes | None:
        """Answer the next request, if there is one: give the beginning, or all, of the answer."""
        if self._starved:
            return None
        tokens = None
        try:
            tokens = self._parser.next_request()
            if self._parser.exhausted:
                self._starved = True
                self.closing = self._ended
            if tokens is None:
                return None
            command = _COMMANDS.get(tokens[0])
            if command is None:
                raise RefusedError(Status.NO_SUCH_COMMAND)
            counts, answer_to = command
            if len(tokens) not in counts:
                raise RefusedError(Status.INVALID_ARGUMENTS)
            answer = answer_to(self, *tokens)
        except ProtocolError as error:
            answer = self._refuse(error.status)
        except RefusedError as refusal:
            answer = self._refuse(refusal.status)
        except NoSuchFileError:
            answer = self._refuse(Status.FILE_NOT_FOUND)
        except OSError:
            answer = self._refuse(Status.INTERNAL_SERVER_ERROR)
        self.requests += 1
        if self._recorder is not None:
            self._recorder.answer(tokens, answer, self.bytes_taken + ahead)
        return answer

    def _refuse(self, status: Status) -> bytes:
        """Build the answer to a request that failed. A fatal one is the last."""
        if status.fatal:
            self.closing = self._starved = True
        return status.line

    # The commands. Each checks its arguments before it looks at a file, and gives its answer's beginning.

    def _answer_listing(self, _: bytes) -> bytes:
        self._segment = Pieces(self._directory.listing())
        return _OK

    def _answer_metadata(self, _: bytes, name: bytes) -> bytes:
        if not is_name(name):
            raise RefusedError(Status.INVALID_ARGUMENTS)
        return _SIZE_ANSWER % self._directory.size(name)

    def _answer_slice(
        self, _: bytes, name: bytes, offset_token: bytes, size_token: bytes, form: bytes | None = None
    ) -> bytes:
        offset, size = maybe_number(offset_token), maybe_number(size_token)
        if not is_name(name) or offset is None or size is None or form not in (None, b"raw"):
            raise RefusedError(Status.INVALID_ARGUMENTS)
        encode = None if form else base64_encoder()
        file = self._directory.open(name)
        if offset + size > file.size:
            file.close()
            raise RefusedError(Status.OFFSET_EXCEEDS_SIZE)
        if encode is None:
            self._segment = RawRange(file, offset, size, size)
            if self._can_send_files and size >= LEAST_SENDFILE_BYTES:
                self.file_range = self._segment
            return _RAW_BEGINNING % size
        self._segment = Base64Range(file, offset, size, encode)
        return _OK

    def _answer_help(self, _: bytes) -> bytes:
        return _OK + b"".join(name + EOL for name in _COMMANDS) + EOL

    def _answer_quit(self, _: bytes) -> bytes:
        self.closing = self._starved = True
        # Who has sent more behind it may be sending still, and is waited for like any other.
        self._ended = self._ended or self._parser.exhausted
        return _OK


# A command: how many tokens its request may have, and what answers it. `help` lists them in this order.
_COMMANDS: dict[bytes, tuple[tuple[int, ...], Callable[..., bytes]]] = {
    b"get_file_listing": ((1,), Connection._answer_listing),
    b"get_metadata": ((2,), Connection._answer_metadata),
    b"get_slice": ((4, 5), Connection._answer_slice),
    b"help": ((1,), Connection._answer_help),
    b"quit": ((1,), Connection._answer_quit),
}

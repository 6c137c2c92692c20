"""What is fuzzed: a session, against the model, however its stream is cut and however little is taken.

An input is a small program: how the client cuts what it sends, how much it takes at a time, and the stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hftp.connection import Connection
from hftp.constants import ANSWER_PIECE_BYTES
from tests.property.hftp.model import FILES, model_stream

if TYPE_CHECKING:
    from pathlib import Path

    from hftp.files import DataDirectory

# What a session may hold beside a piece of an answer and what was just received: a line, abridged.
_MOST_HELD_BYTES = 4096 + 4096


def write_files(path: Path) -> None:
    """Make the files that the model knows."""
    for name, contents in FILES.items():
        (path / name.decode()).write_bytes(contents)


def check(directory: DataDirectory, program: bytes) -> None:
    """Run a program.

    Args:
        directory: With the files of ``write_files()``.
        program: How many bytes each piece has, one a piece, up to a zero; how many are taken at a time (in
            steps of 16, one byte, 0 for all); then the stream.

    Raises:
        AssertionError: The answers are not those of the model, or the session holds too much.
    """
    stream, pieces = cut(program)
    most = program.partition(b"\0")[2][:1]
    taken = _serve(directory, pieces, most[0] * 16 if most else 0)
    assert taken == model_stream(stream), (program, taken)


def cut(program: bytes) -> tuple[bytes, list[bytes]]:
    """Give a program's stream, and the pieces of it, none of them empty."""
    cuts, _, rest = program.partition(b"\0")
    stream = rest = rest[1:]
    pieces = []
    for length in cuts:
        pieces.append(rest[:length])
        rest = rest[length:]
    return stream, [piece for piece in (*pieces, rest) if piece]


def _serve(directory: DataDirectory, pieces: list[bytes], most: int) -> tuple[bytes, bool]:
    connection, answers = Connection(directory), []
    try:
        for piece in [*pieces, b""]:
            if not connection.wants_input:
                break
            by_itself = False
            connection.receive_data(piece)
            while connection.wants_output:
                data = bytes(connection.data_to_send())
                data = data[: most or None]
                answers.append(data)
                if data:
                    connection.bytes_sent(len(data))
                assert connection.held_bytes <= ANSWER_PIECE_BYTES + len(piece) + _MOST_HELD_BYTES
            by_itself = bool(piece) and connection.finished
        assert connection.finished
    finally:
        connection.close()
    return b"".join(answers), by_itself

"""The model: the protocol's page, byte by byte, without any thought for memory or speed."""

from __future__ import annotations

import base64

FILES = {b"f": b"!Que calor que hace hoy, pinta una birra!", b"0": b"", b"g": bytes(range(256)) * 40}


COUNTS = {b"get_file_listing": {0}, b"get_metadata": {1}, b"get_slice": {3, 4}, b"help": {0}, b"quit": {0}}
HELP = b"0 OK\r\nget_file_listing\r\nget_metadata\r\nget_slice\r\nhelp\r\nquit\r\n\r\n"


def model_stream(stream: bytes) -> tuple[bytes, bool]:
    """Answer a stream; say whether the server then closes by itself."""
    answers, line, previous = b"", b"", None
    for byte in stream:
        if byte == 0x0A:
            if previous != 0x0D:
                return answers + b"100 BAD EOL\r\n", True
            if not line.strip(b" "):
                return answers + b"101 BAD REQUEST\r\n", True
            answers += model_line(line)
            if line == b"quit":
                return answers, True
            line = b""
        elif previous == 0x0D or not (byte == 0x0D or 0x20 <= byte <= 0x7E):
            return answers + b"101 BAD REQUEST\r\n", True
        elif byte != 0x0D:
            line += bytes([byte])
        previous = None if byte == 0x0A else byte
    return answers, False


def model_line(line: bytes) -> bytes:
    """Answer a request line that is well framed."""
    command, *arguments = line.split(b" ")
    if command not in COUNTS:
        return b"200 NO SUCH COMMAND\r\n"
    if len(arguments) not in COUNTS[command] or not model_arguments(arguments):
        return b"201 INVALID ARGUMENTS FOR COMMAND\r\n"
    if command == b"help":
        return HELP
    if command == b"quit":
        return b"0 OK\r\n"
    if command == b"get_file_listing":
        return b"0 OK\r\n" + b"".join(name + b"\r\n" for name in sorted(FILES)) + b"\r\n"
    if arguments[0] not in FILES:
        return b"202 FILE NOT FOUND\r\n"
    contents = FILES[arguments[0]]
    if command == b"get_metadata":
        return b"0 OK\r\n%d\r\n" % len(contents)
    # int() refuses more than 4,300 digits; 40 are more than any of these files has bytes.
    offset, size = (int(number.lstrip(b"0")[:40] or b"0") for number in arguments[1:3])
    if offset + size > len(contents):
        return b"203 OFFSET EXCEEDS FILE SIZE\r\n"
    piece = contents[offset : offset + size]
    if len(arguments) == 4:
        return b"0 OK\r\nContent-Length: %d\r\n\r\n" % size + piece
    return b"0 OK\r\n" + base64.b64encode(piece) + b"\r\n"


def model_arguments(arguments: list[bytes]) -> bool:
    """Say whether arguments have the form that their places ask for."""
    name, numbers, form = arguments[:1], arguments[1:3], arguments[3:]
    return (
        all(token and not set(token) & set(b"/\\") and token not in (b".", b"..") for token in name)
        and all(token and set(token) <= set(b"0123456789") for token in numbers)
        and form in ([], [b"raw"])
    )

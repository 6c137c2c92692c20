"""What makes the server fast, in one place: each trick with the measurement that pays for it.

The figures are ratios within interleaved runs on loopback, of two shared cores; docs/server.md says how to
repeat them.
"""

from __future__ import annotations

import binascii
import os

from hftp.errors import BrokenAnswerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hftp.segments import RawRange

# From so many bytes on, a range of a file is sent by the system, without reading it.
LEAST_SENDFILE_BYTES = 16 * 1024

# What one sendfile() is asked for.
MOST_SENDFILE_BYTES = 1024 * 1024

# A client that takes little at a time is offered little more than it took the last time, so that little
# of what was encoded is encoded again; but not less than this.
LEAST_PIECE_BYTES = 16 * 1024

# How many clients are accepted before those that are here have their turn.
ACCEPT_BATCH = 64

# How many events are taken from the system at once.
EVENT_BATCH = 256

CAN_SEND_FILES = hasattr(os, "sendfile")

_encode: Callable[[bytes], bytes] | None = None


def base64_encoder() -> Callable[[bytes], bytes]:
    """Give the fastest function there is that makes base64 of bytes.

    It is looked for when it is first needed: a server that is asked for none starts without it.

    Returns:
        pybase64's, which uses the processor's vector instructions, where that package is installed.
    """
    global _encode
    if _encode is None:
        try:
            from pybase64 import b64encode

            _encode = b64encode
        except ImportError:
            _encode = _b64encode
    return _encode


def _b64encode(contents: bytes) -> bytes:
    return binascii.b2a_base64(contents, newline=False)


def send_file(fd: int, file_range: RawRange) -> int:
    """Have the system send what comes next of a range of a file.

    Args:
        fd: Of the socket.
        file_range: Not done.

    Returns:
        How many bytes it took.

    Raises:
        BrokenAnswerError: The file has become shorter.
        OSError: The client has vanished, or has no room (BlockingIOError).
    """
    left = file_range.length - file_range.position
    offset = file_range.offset + file_range.position
    count = os.sendfile(fd, file_range.file.descriptor, offset, min(left, MOST_SENDFILE_BYTES))
    if not count:
        raise BrokenAnswerError(f"the file ends at {offset}, not at {file_range.file.size}")
    return count

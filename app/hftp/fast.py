"""What makes the server fast, in one place: each trick with the measurement that pays for it.

The figures are of processor time on loopback, the best or the median of 5 to 9 runs that took turns, on two
shared cores, Python 3.11; `make bench` measures the whole.

- Small answers are one send(), in the turn in which the request came (``hftp.peer``, ``strategies.epoll``).
- Everyone whose request has come is read from first, and then answered, so that a size that one was told need
  not be looked for again for the next (``hftp.files.Moment``). With 50 clients that ask for the same file's
  size an answer costs 11 us instead of 16, system calls included; a bare loop's 8.
- The parser matches a line, its end included, with one regular expression, and is not asked again when
  nothing is left (``hftp.connection``): 4.6 to 4.1 us for a request that is parsed and answered.
- The file that was closed last stays open a little longer for who asks for it, unchanged, again
  (``hftp.files.Kept``): 2.3 us instead of 5.8 to open and close it, a ninth of what a slice of 1 MiB costs.
- accept() without socket.socket's layer of Python (``hftp.serving``): 3.9 us instead of 6.0.
- Who leaves in the turn in which it came is never added to epoll's list (``strategies.epoll``).
- TCP_NODELAY is set on the socket before it listens, and inherited (``hftp.listen``): one system call less a
  client, and nobody is without it. For who came before the server ran, slices of 1 MiB took three times as
  long.
- A client is closed right after quit (``hftp.peer``): three system calls and one event less.
- malloc keeps the memory of pieces (``base64_encoder``): with the standard library's base64 1.4 ms for a MB,
  and 2.5 with all the page faults.
- Threads allocate from one heap (``share_one_heap``): 64,000 clients leave 2 MiB behind instead of 22, and
  are attended as fast, since whoever allocates holds the interpreter's lock anyway.
- Pieces of 384 KiB for base64 (``hftp.constants``): with pybase64 0.93 of what a bare loop sends; 0.83 with
  96 KiB, 0.91 with 256, 1.05 with 512, but 384 take the standard library half a millisecond already, while
  others wait. On a machine whose caches others use, too, all are alike.
- The head of a file that the system sends waits for what follows, MSG_MORE (``hftp.peer``): 1.1 times the
  slices of 1 MiB a second, and 0.19 ms instead of 0.23 for each.
"""

from __future__ import annotations

import binascii
import errno
import os
from contextlib import suppress

from hftp.errors import BrokenAnswerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hftp.segments import RawRange

# From so many bytes on, a range of a file is sent by the system, without reading it. sendfile() sends
# 6.5 GB a second, pread() and send() 3.5; an answer of 32 KiB takes 7.5 us and 5.2, one of 64 KiB 12.2 and
# 12.8, one of 256 KiB 44 and 56.
LEAST_SENDFILE_BYTES = 64 * 1024

# What one sendfile() is asked for, before others have their turn. A MB of a long slice costs 0.31 ms with
# 256 KiB, 0.27 with 1 MiB, 0.23 with 2 MiB and 0.22 with 4; nginx takes 2, too (sendfile_max_chunk).
MOST_SENDFILE_BYTES = 2 * 1024 * 1024

# A client that takes little at a time is offered little more than it took the last time, so that little
# of what was encoded is encoded again; but not less than this.
LEAST_PIECE_BYTES = 16 * 1024

# How many clients are accepted before those that are here have their turn.
ACCEPT_BATCH = 64

# How many events are taken from the system at once. Between two batches new clients are accepted: when
# 10,000 clients leave at once, the next one is answered in 9 to 65 ms, and in 440 to 690 without that.
EVENT_BATCH = 256

CAN_SEND_FILES = hasattr(os, "sendfile")

# malloc gives what is free at the end of the heap back from 128 KiB on, and a piece that is read and the same
# piece encoded are more: each would be faulted in anew, page by page. Once a mapped block was freed, glibc
# keeps twice its size: mallopt(3), M_MMAP_THRESHOLD, "dynamic".
_KEPT_BYTES = 1024 * 1024

_M_ARENA_MAX = -8  # <malloc.h>

# What sendfile() says of a file whose file system can't: hugetlbfs, some of FUSE.
_CAN_NOT_SEND = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})

_encode: Callable[[bytes], bytes] | None = None


def base64_encoder() -> Callable[[bytes], bytes]:
    """Give the fastest function there is that makes base64 of bytes.

    It is looked for when it is first needed: a server that is asked for none starts without it.

    Returns:
        pybase64's, which uses the processor's vector instructions, where that package is installed.
    """
    global _encode
    if _encode is None:
        bytes(_KEPT_BYTES)  # of zeros: mapped, not touched, and freed at once
        try:
            from pybase64 import b64encode

            _encode = b64encode
        except ImportError:
            _encode = _b64encode
    return _encode


def share_one_heap() -> None:
    """Have all threads that are yet to come allocate from one heap, where the system can be told so.

    glibc gives a thread one of 8 a core, and each keeps what it has freed: mallopt(3), M_ARENA_MAX.
    """
    with suppress(ImportError, OSError, AttributeError):  # no ctypes, no glibc
        import ctypes

        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def _b64encode(contents: bytes) -> bytes:
    return binascii.b2a_base64(contents, newline=False)


class UnsendableFileError(Exception):
    """The system can't send this file without its being read."""


def send_file(fd: int, file_range: RawRange) -> int:
    """Have the system send what comes next of a range of a file.

    Args:
        fd: Of the socket.
        file_range: Not done.

    Returns:
        How many bytes it took.

    Raises:
        BrokenAnswerError: The file has become shorter.
        UnsendableFileError: It has to be read.
        OSError: The client has vanished, or has no room (BlockingIOError).
    """
    left = file_range.length - file_range.position
    offset = file_range.offset + file_range.position
    try:
        count = os.sendfile(fd, file_range.file.descriptor, offset, min(left, MOST_SENDFILE_BYTES))
    except OSError as error:
        if error.errno in _CAN_NOT_SEND:
            raise UnsendableFileError from error
        raise
    if not count:
        raise BrokenAnswerError(f"the file ends at {offset}, not at {file_range.file.size}")
    return count

"""Codes, texts and limits of HFTP. A number says here where it comes from."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """The code that begins every answer."""

    OK = 0
    BAD_EOL = 100
    BAD_REQUEST = 101
    INTERNAL_SERVER_ERROR = 199
    NO_SUCH_COMMAND = 200
    INVALID_ARGUMENTS = 201
    FILE_NOT_FOUND = 202
    OFFSET_EXCEEDS_SIZE = 203

    @property
    def text(self) -> str:
        """The words that follow the code: for people, no program reads them."""
        return TEXTS[self]

    @property
    def fatal(self) -> bool:
        """Whether the server closes the connection after this answer (the codes 1xx)."""
        return 100 <= self < 200

    @property
    def line(self) -> bytes:
        """The status line, its end included."""
        return _LINES[self]


TEXTS = {
    Status.OK: "OK",
    Status.BAD_EOL: "BAD EOL",
    Status.BAD_REQUEST: "BAD REQUEST",
    Status.INTERNAL_SERVER_ERROR: "INTERNAL SERVER ERROR",
    Status.NO_SUCH_COMMAND: "NO SUCH COMMAND",
    Status.INVALID_ARGUMENTS: "INVALID ARGUMENTS FOR COMMAND",
    Status.FILE_NOT_FOUND: "FILE NOT FOUND",
    Status.OFFSET_EXCEEDS_SIZE: "OFFSET EXCEEDS FILE SIZE",
}

_LINES = {status: b"%d %s\r\n" % (status, text.encode("ascii")) for status, text in TEXTS.items()}

EOL = b"\r\n"

# The port of the course's server.
DEFAULT_PORT = 19500

# One edition's tests ask for the metadata of a name of 5 MiB and expect FILE NOT FOUND, so a line
# may be this long, its end not counted; 8 MiB is the next power of two.
MAX_LINE_BYTES = 8 * 1024 * 1024

# NAME_MAX of <linux/limits.h>: no file can have a longer name.
MAX_NAME_BYTES = 255

# What one recv() asks for, so what is held of a client's requests while it does not take its answers.
# The longest sensible request has some 330 bytes; 8 KiB hold hundreds of ordinary ones.
RECEIVE_BYTES = 8 * 1024

# What is read, encoded and offered to send() at once of an answer: so little that it stays in the processor's
# cache, and takes no longer than what the system sends at once of a file. hftp.fast has the figures.
ANSWER_PIECE_BYTES = 384 * 1024

# What a client reads at once of an answer. Calls of 256 KiB reach the speed of loopback TCP.
PIECE_BYTES = 256 * 1024

# Linux caps the argument of listen() at net.core.somaxconn, 4096 since 5.4.
BACKLOG = 4096

# How long a client waits for a connection, and for each piece of an answer: three SYNs (at 0, 1 and 3 s)
# and then some.
TIMEOUT_SECONDS = 10.0

# How long answers that are being sent may still take after SIGTERM: less than the 10 s after which
# container engines, and the 90 s after which systemd, send SIGKILL.
GRACE_SECONDS = 5.0

# How long a client's further bytes are still read, and dropped, after the last answer. Closing with bytes
# unread would send RST, and RST may overtake the answer (RFC 1122, 4.2.2.13; RFC 9293, 3.6).
LINGER_SECONDS = 2.0

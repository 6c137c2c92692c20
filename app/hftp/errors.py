"""What can go wrong. An error holds facts; ``str()`` words them in one line: what, and what to do."""

from __future__ import annotations

import errno
import os

from hftp.constants import Status
from hftp.exits import Exit


class HFTPError(Exception):
    """The base of every error of this package.

    Attributes:
        exit: With which code the command ends.
    """

    exit = Exit.FAILED


class ProtocolError(HFTPError):
    """What a client sent is no request.

    Attributes:
        status: What to answer, always a fatal code.
    """

    def __init__(self, status: Status) -> None:
        super().__init__(status)
        self.status = status

    def __str__(self) -> str:
        return f"{self.status:d} {self.status.text}"


class BrokenAnswerError(HFTPError):
    """A promised answer can't be completed: the connection is to be reset, not closed.

    Attributes:
        why: What happened to the file or the directory.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def __str__(self) -> str:
        return f"an answer can't be completed: {self.why}"


class DirectoryError(HFTPError):
    """The data directory can't be opened.

    Attributes:
        path: As the user gave it.
        errno: What ``open`` said.
    """

    exit = Exit.CANNOT_SERVE

    def __init__(self, path: str, code: int) -> None:
        super().__init__(path, code)
        self.path = path
        self.errno = code

    def __str__(self) -> str:
        advice = {
            errno.ENOENT: "make it first, or name another with -d",
            errno.ENOTDIR: "give the directory that holds the files",
            errno.EACCES: "its permissions must let this user read and search it",
        }.get(self.errno, "choose another with -d")
        return f"can't serve the directory {self.path}: {name_errno(self.errno)}: {advice}"


class LogError(HFTPError):
    """The access log can't be opened.

    Attributes:
        path: As the user gave it.
        errno: What ``open`` said.
    """

    exit = Exit.CANNOT_SERVE

    def __init__(self, path: str, code: int) -> None:
        super().__init__(path, code)
        self.path = path
        self.errno = code

    def __str__(self) -> str:
        return f"can't write the log {self.path}: {name_errno(self.errno)}: name another with --log"


class UserError(HFTPError):
    """The server can't become this user.

    Attributes:
        user: As the user gave it.
        why: What stands in the way, and what to do.
    """

    exit = Exit.CANNOT_SERVE

    def __init__(self, user: str, why: str) -> None:
        super().__init__(user, why)
        self.user = user
        self.why = why

    def __str__(self) -> str:
        return f"can't become the user {self.user}: {self.why}"


class ActivationError(HFTPError):
    """What the system's service manager passed on is no listening TCP socket.

    Attributes:
        descriptor: Which of the descriptors.
    """

    exit = Exit.CANNOT_SERVE

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self.descriptor = descriptor

    def __str__(self) -> str:
        return f"descriptor {self.descriptor} (LISTEN_FDS) is no listening TCP socket: use ListenStream="


def name_errno(code: int) -> str:
    """Word an errno with its symbolic name.

    Args:
        code: A value of ``errno``.

    Returns:
        For example ``Address already in use (EADDRINUSE)``.
    """
    return f"{os.strerror(code)} ({errno.errorcode.get(code, code)})"


class UnknownHostError(HFTPError):
    """A name has no address.

    Attributes:
        host: As the user gave it.
        why: What the resolver said.
    """

    exit = Exit.UNKNOWN_HOST

    def __init__(self, host: str, why: str) -> None:
        super().__init__(host, why)
        self.host = host
        self.why = why

    def __str__(self) -> str:
        return f"unknown host {self.host!r}: {self.why}: check the spelling, or give an address"


class UnknownDeviceError(HFTPError):
    """There is no such network interface.

    Attributes:
        device: As the user gave it.
        devices: Those that there are.
    """

    exit = Exit.CANNOT_SERVE

    def __init__(self, device: str, devices: tuple[str, ...]) -> None:
        super().__init__(device, devices)
        self.device = device
        self.devices = devices

    def __str__(self) -> str:
        there_are = ", ".join(self.devices) or "none"
        return f"no device {self.device!r}: {name_errno(errno.ENODEV)}: this machine has {there_are}"


class ListenError(HFTPError):
    """A socket can't be bound.

    Attributes:
        address: Where, for example ``10.0.0.1:80``.
        port: The port in it.
        errno: What the system said.
        local_addresses: This machine's addresses, where that is the question and they are known.
        first_port: The lowest port that an ordinary user may bind.
        own: Whether it is this command's own listener on ``::`` that has the port.
    """

    exit = Exit.CANNOT_SERVE

    def __init__(
        self,
        address: str,
        port: int,
        code: int,
        local_addresses: tuple[str, ...] = (),
        first_port: int = 0,
        own: bool = False,
    ) -> None:
        super().__init__(address, port, code, local_addresses, first_port, own)
        self.address = address
        self.port = port
        self.errno = code
        self.local_addresses = local_addresses
        self.first_port = first_port
        self.own = own

    def __str__(self) -> str:
        return f"can't listen on {self.address}: {name_errno(self.errno)}: {self._advice()}"

    def _advice(self) -> str:
        if self.own:
            return "[::] takes IPv4 as well: leave this one out, or add --v6only"
        if self.errno == errno.EADDRINUSE:
            return (
                f"see who listens there with  ss -ltnp 'sport = :{self.port}'  or choose another port with -p"
            )
        if self.errno == errno.EADDRNOTAVAIL:
            return (
                f"this machine has {', '.join(self.local_addresses) or 'other addresses (see: ip address)'}"
            )
        if self.errno == errno.EACCES and self.port < self.first_port:
            return f"a port below {self.first_port} takes root: choose a higher one with -p"
        if self.errno == errno.EINVAL and self.address.startswith("[fe80"):
            return "a link-local address needs its interface: fe80::1%eth0"
        if self.errno == errno.EAFNOSUPPORT:
            return "this machine has no such protocol: is IPv6 switched off?"
        return "choose another address with -a or another port with -p"


class DevicePermissionError(HFTPError):
    """This user may not bind a socket to a device.

    Attributes:
        device: The device's name.
        errno: What the system said.
    """

    exit = Exit.CANNOT_SERVE

    def __init__(self, device: str, code: int) -> None:
        super().__init__(device, code)
        self.device = device
        self.errno = code

    def __str__(self) -> str:
        return f"can't listen on device {self.device}: {name_errno(self.errno)}: run as root (CAP_NET_RAW)"


class ConnectError(HFTPError):
    """No address of a server takes connections.

    Attributes:
        host: As the user gave it.
        port: The server's.
        attempts: Each address that was tried, with the errno that it gave.
    """

    exit = Exit.UNREACHABLE

    def __init__(self, host: str, port: int, attempts: tuple[tuple[str, int], ...]) -> None:
        super().__init__(host, port, attempts)
        self.host = host
        self.port = port
        self.attempts = attempts

    def __str__(self) -> str:
        tried = "; ".join(f"{address}: {name_errno(code)}" for address, code in self.attempts)
        return f"can't connect to {self.host} port {self.port}: {tried}: {self._advice()}"

    def _advice(self) -> str:
        codes = {code for _, code in self.attempts}
        if errno.ECONNREFUSED in codes:
            return (
                f"on that machine, look with  ss -ltn 'sport = :{self.port}'  whether it listens, and where"
            )
        if codes & {errno.ENETUNREACH, errno.EHOSTUNREACH}:
            return "there is no way from here to there: look at  ip route get ADDRESS"
        return "check the address and the port"


class AnswerTimeoutError(HFTPError):
    """A server took too long.

    Attributes:
        server: Where it is, for example ``10.0.0.1:19500``.
        waiting_for: What did not come.
        timeout_s: How long it was waited for, in seconds.
    """

    exit = Exit.TIMEOUT

    def __init__(self, server: str, waiting_for: str, timeout_s: float) -> None:
        super().__init__(server, waiting_for, timeout_s)
        self.server = server
        self.waiting_for = waiting_for
        self.timeout_s = timeout_s

    def __str__(self) -> str:
        return (
            f"{self.server}: waited for the {self.waiting_for} for {self.timeout_s:g} s: "
            "a firewall may drop it, or something else listens there; --timeout waits longer"
        )


class TruncatedError(HFTPError):
    """The connection ended before the answer did.

    Attributes:
        server: Where it is.
        part: What was being received.
        expected: Its length in bytes, or None where it was open.
        got: How many bytes came.
        was_reset: Whether the connection was reset, not closed.
    """

    exit = Exit.TRUNCATED

    def __init__(self, server: str, part: str, expected: int | None, got: int, was_reset: bool) -> None:
        super().__init__(server, part, expected, got, was_reset)
        self.server = server
        self.part = part
        self.expected = expected
        self.got = got
        self.was_reset = was_reset

    def __str__(self) -> str:
        ended = "reset" if self.was_reset else "closed"
        if not self.got and self.part == "status line":
            return (
                f"{self.server}: truncated answer: took the connection and {ended} it without a word: "
                "no HFTP server, or a proxy (a published container port?) in front of one that is not there"
            )
        of = "" if self.expected is None else f" of {self.expected}"
        return (
            f"{self.server}: truncated answer: the connection was {ended} after {self.got}{of} bytes "
            f"of the {self.part}: try again"
        )


class NotHFTPError(HFTPError):
    """What answers is no HFTP server, or a broken one.

    Attributes:
        server: Where it is.
        expected: What should have come.
        got: The beginning of what came instead.
    """

    exit = Exit.NOT_HFTP

    def __init__(self, server: str, expected: str, got: bytes) -> None:
        super().__init__(server, expected, got)
        self.server = server
        self.expected = expected
        self.got = got

    def __str__(self) -> str:
        shown = ascii(self.got[:60].decode("latin-1"))
        return f"{self.server} is not an HFTP server: expected {self.expected}, got {shown}: check the port"


class AnswerError(HFTPError):
    """The server answered with an error.

    Attributes:
        server: Where it is.
        request: What was asked.
        status: What it answered.
    """

    exit = Exit.REFUSED_REQUEST

    def __init__(self, server: str, request: str, status: Status) -> None:
        super().__init__(server, request, status)
        self.server = server
        self.request = request
        self.status = status

    def __str__(self) -> str:
        return f"{self.server} answered {self.status:d} {self.status.text} to: {self.request}{self._advice()}"

    def _advice(self) -> str:
        return ": `hftp ls` shows the names that there are" if self.status is Status.FILE_NOT_FOUND else ""


class NameRefusedError(HFTPError):
    """A name that can't be a file's name in HFTP, and that is never used as a path.

    Attributes:
        name: As the user gave it, or as a server listed it.
        server: The server that listed it; None if none did.
    """

    exit = Exit.USAGE

    def __init__(self, name: bytes, server: str | None = None) -> None:
        super().__init__(name, server)
        self.name = name
        self.server = server
        if server is not None:
            self.exit = Exit.NOT_HFTP

    def __str__(self) -> str:
        shown = ascii(self.name[:60].decode("latin-1"))
        listed = "" if self.server is None else f"{self.server} listed it: "
        return f"{listed}{shown} can't be a file name: printable ASCII without spaces, / and \\ is"


class DownloadError(HFTPError):
    """A file can't be completed.

    Attributes:
        path: Of the unfinished file.
        why: What stands in the way, and what to do.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path = path
        self.why = why

    def __str__(self) -> str:
        return f"{self.path}: {self.why}"

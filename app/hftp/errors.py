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
    """

    exit = Exit.CANNOT_SERVE

    def __init__(
        self, address: str, port: int, code: int, local_addresses: tuple[str, ...], first_port: int
    ) -> None:
        super().__init__(address, port, code, local_addresses, first_port)
        self.address = address
        self.port = port
        self.errno = code
        self.local_addresses = local_addresses
        self.first_port = first_port

    def __str__(self) -> str:
        return f"can't listen on {self.address}: {name_errno(self.errno)}: {self._advice()}"

    def _advice(self) -> str:
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

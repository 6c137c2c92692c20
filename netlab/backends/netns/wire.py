"""What the controller and the lab init tell each other: values, and descriptors, over a Unix socket pair.

A frame is the length of a pickle, with the descriptors attached to it, and the pickle. Pickle is safe here
because both ends are this very package, and no program of the lab gets hold of the socket.
"""

from __future__ import annotations

import pickle
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netlab.model import Topology

_LENGTH = struct.Struct("!I")
_INT = struct.Struct("i")
_MOST_DESCRIPTORS = 4


@dataclass(frozen=True, slots=True)
class Up:
    """Bring up this lab.

    Attributes:
        topology: its hosts and networks.
        scratch: a directory that each host may cover with one of its own.
        directory: where programs start.
    """

    topology: Topology
    scratch: str
    directory: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The lab is up. Otherwise the answer is an `obstacles.Refusal`."""


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start a program on a host.

    With it go four descriptors: its standard input, output and error, and a pipe for what becomes of it.
    """

    host: str
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Signal:
    """Send a signal to a program and all of its process group, if it is still there."""

    pid: int
    number: int


# Lines on the status pipe of a spawned program: `started PID` or `failed TEXT`, and later `exited CODE`,
# where CODE is negative for a signal, as in `subprocess`.
STARTED, FAILED, EXITED = "started", "failed", "exited"


def send(sock: socket.socket, message: object, descriptors: Sequence[int] = ()) -> None:
    """Send a message and, beside it, descriptors. Only one thread may send at a time.

    Raises:
        OSError: the other end is gone.
    """
    body = pickle.dumps(message)
    # The descriptors travel with the length, so that the receiver's first read has them all: unix(7).
    socket.send_fds(sock, [_LENGTH.pack(len(body))], descriptors)
    sock.sendall(body)


def receive(sock: socket.socket) -> tuple[object, list[int]]:
    """Wait for a message: return it and its descriptors, which are closed on exec.

    Source: unix(7), SCM_RIGHTS.

    Raises:
        EOFError: the other end is gone.
        OSError: it is gone, with words of ours unread.
    """
    # Not socket.recv_fds: it ignores its flags, and without MSG_CMSG_CLOEXEC every program would have them.
    header, ancillary, _, _ = sock.recvmsg(
        _LENGTH.size,
        socket.CMSG_LEN(_MOST_DESCRIPTORS * _INT.size),
        socket.MSG_CMSG_CLOEXEC | socket.MSG_WAITALL,
    )
    descriptors = [fd for _, _, rights in ancillary for (fd,) in _INT.iter_unpack(rights)]
    if len(header) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(header)
    body = sock.recv(length, socket.MSG_WAITALL)
    if len(body) < length:
        raise EOFError
    return pickle.loads(body), descriptors

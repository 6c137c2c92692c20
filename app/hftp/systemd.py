"""What systemd and a service tell each other: sockets that are open already, and that it is ready.

Two environment variables and a datagram: no library is needed.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from hftp.errors import ActivationError

# SD_LISTEN_FDS_START of <systemd/sd-daemon.h>.
_FIRST_DESCRIPTOR = 3


def inherited_listeners() -> list[socket.socket]:
    """Take the listening sockets that whoever started this process has opened for it.

    Returns:
        The sockets; none where there is no socket activation. The variables are taken away, so that no
        child takes the sockets for its own.

    Raises:
        ActivationError: One is no listening TCP socket.

    Source:
        sd_listen_fds(3).
    """
    pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "0")
    os.environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    return [_listener(fd) for fd in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count))]


def _listener(fd: int) -> socket.socket:
    try:
        listener = socket.socket(fileno=fd)
    except OSError as error:
        raise ActivationError(fd) from error
    is_tcp = listener.family in (socket.AF_INET, socket.AF_INET6) and listener.type == socket.SOCK_STREAM
    if not is_tcp or not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        listener.detach()
        raise ActivationError(fd)
    listener.set_inheritable(False)
    return listener


def notify(state: str) -> None:
    """Tell systemd how the service is, if it asked to be told.

    Args:
        state: ``READY=1`` or ``STOPPING=1``.

    Source:
        sd_notify(3). A name that begins with @ is in the abstract namespace: unix(7).
    """
    name = os.environ.get("NOTIFY_SOCKET", "")
    if not name.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(state.encode(), name.replace("@", "\0", 1) if name.startswith("@") else name)

"""A host's namespaces, held open by the lab init: made, entered, left again."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from netlab.backends.netns.syscalls import CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWUTS, setns, unshare

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS = {"net": CLONE_NEWNET, "uts": CLONE_NEWUTS, "mnt": CLONE_NEWNS}


class Namespaces:
    """A network, a UTS and a mount namespace, and how to get into them. Source: namespaces(7)."""

    def __init__(self) -> None:
        """Hold open those that this process is in."""
        self._fds = {kind: os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in _KINDS}

    @classmethod
    def create(cls, hostname: str) -> Namespaces:
        """Put this process into new ones, with that hostname, and hold them open.

        Raises:
            OSError: the kernel refused.
        """
        unshare(CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWNS)
        socket.sethostname(hostname)
        return cls()

    @property
    def network_fd(self) -> int:
        """The descriptor of the network namespace, to make interfaces in it."""
        return self._fds["net"]

    def enter(self) -> None:
        """Put this process into them. Its working directory becomes the root directory.

        Raises:
            OSError: the kernel refused.
        """
        for kind, flag in _KINDS.items():
            setns(self._fds[kind], flag)

    @contextmanager
    def entered_from(self, home: Namespaces) -> Iterator[None]:
        """Be in them for as long as the context lasts, and then back home."""
        self.enter()
        try:
            yield
        finally:
            home.enter()

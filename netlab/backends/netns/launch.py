"""Start the lab init in namespaces of its own, and see it end."""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import sys
from contextlib import suppress

from netlab.backends.netns import wire
from netlab.errors import LabError

_NAMESPACES = ("--net", "--mount", "--uts", "--pid", "--fork", "--kill-child")
_AS_USER = ("--user", "--map-root-user")

# Measured on two cores: 0.3 s for 17 hosts, 1.2 s for 100. A minute is a machine that doesn't move.
_ANSWER_WITHIN_S = 60.0
_END_WITHIN_S = 10.0


class InitProcess:
    """The lab init, from its start to its end, as the controller sees it.

    Args:
        as_user: whether to make a user namespace; without one, only root may.

    Raises:
        FileNotFoundError: there is no `unshare` program.
        OSError: it can't be run.
    """

    def __init__(self, *, as_user: bool) -> None:
        unshare = shutil.which("unshare") or shutil.which("unshare", path=os.defpath)
        if unshare is None:
            raise FileNotFoundError("unshare")
        # What unshare or Python says when it fails; in memory, so that no file has to be removed.
        self._errors = os.memfd_create("lab init stderr")
        self._control, theirs = socket.socketpair()
        inherited = [theirs.fileno(), *_own_pidfd()]
        command = [unshare, *(_AS_USER if as_user else ()), *_NAMESPACES]
        command += [sys.executable, "-S", "-P", "-m", "netlab.backends.netns.init", *map(str, inherited)]
        try:
            self._process = subprocess.Popen(
                command,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=inherited,
                start_new_session=True,  # Ctrl-C is for the controller, which then ends the lab in good order
            )
        except BaseException:
            self._control.close()
            os.close(self._errors)
            raise
        finally:
            theirs.close()
            for descriptor in inherited[1:]:
                os.close(descriptor)

    def tell(self, message: object, descriptors: tuple[int, ...] = ()) -> None:
        """Send a message. Only one thread may do so at a time.

        Raises:
            LabError: the lab init is gone.
        """
        try:
            wire.send(self._control, message, descriptors)
        except OSError as error:
            raise LabError(f"the lab is down: {self.last_words() or error.strerror}") from error

    def answer(self) -> object:
        """Wait for an answer; None if the lab init ended instead.

        Raises:
            LabError: it does neither.
        """
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        if not poll.poll(_ANSWER_WITHIN_S * 1000):
            raise LabError(f"the lab init has not answered for {_ANSWER_WITHIN_S:.0f} s")
        with suppress(EOFError, OSError):
            return wire.receive(self._control)[0]
        return None

    def last_words(self) -> str:
        """Return the last line that it, or `unshare`, wrote to standard error, if any."""
        lines = os.pread(self._errors, 1 << 16, 0).decode(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "")

    def end(self) -> None:
        """End the lab init, and with it the lab, and wait until all of it is gone."""
        with suppress(OSError):
            # Not just closed: a process that was forked from this one may have the socket, too.
            self._control.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(_END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()  # --kill-child: the lab init goes with it
            self._process.wait()
        finally:
            self._control.close()
            os.close(self._errors)


def _own_pidfd() -> list[int]:
    """Return a pidfd of this process, or nothing where the kernel has none (before Linux 5.3)."""
    with suppress(OSError):
        return [os.pidfd_open(os.getpid())]
    return []


def _environment() -> dict[str, str]:
    """Return the environment of the lab init and, but for PYTHONPATH, of the programs on the hosts.

    It is a clean one: what a server or a probe does in a lab must not depend on who runs the lab.
    """
    path = (os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath))  # noqa: PTH120
    return {
        "PATH": os.pathsep.join(path),
        "HOME": "/",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",  # a lab leaves no file behind
        "PYTHONUNBUFFERED": "1",  # a program's lines can be read when they are written
        # The lab init imports what this process would, from where it would.
        "PYTHONPATH": os.pathsep.join(entry or "." for entry in sys.path),
    }

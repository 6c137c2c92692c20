"""The lab init: PID 1 of the lab, whose end is the lab's.

Run as `python -m netlab.backends.netns.init SOCKET_FD [PIDFD]`, in new namespaces: see `launch`.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import NoReturn

from netlab.backends.netns import sysctls, wire
from netlab.backends.netns.namespaces import Namespaces
from netlab.backends.netns.network import RefusedError, build, needs_ipv6
from netlab.backends.netns.obstacles import Refusal, Step

# Python ignores SIGPIPE and SIGXFSZ, and whoever started netlab may have ignored more (nohup: SIGHUP).
_DEFAULT_SIGNALS = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


class LabInit:
    """PID 1 of the lab: builds it, starts programs on its hosts, and reaps them.

    Args:
        control: the controller's messages; their end is the end of the lab.
        controller: a pidfd of the controller, or None where the kernel has no such thing. It tells of its
            death even while a process that it forked holds the other end of `control` open.
    """

    def __init__(self, control: socket.socket, controller: int | None) -> None:
        self._control = control
        self._controller = controller
        self._home = Namespaces()
        self._directory = "/"
        self._hosts: dict[str, Namespaces] = {}
        self._programs: dict[int, int] = {}  # process id -> status pipe

    def run(self) -> NoReturn:
        """Do what the controller says until it is gone."""
        child_ended = _wake_on_child()
        poll = select.poll()
        for descriptor in (self._control.fileno(), child_ended, self._controller):
            if descriptor is not None:
                poll.register(descriptor, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _ in poll.poll()]
            if self._controller in ready:
                _end()
            if child_ended in ready:
                os.read(child_ended, 4096)
                self._reap()
            if self._control.fileno() in ready:
                self._obey()

    def _obey(self) -> None:
        try:
            message, descriptors = wire.receive(self._control)
        except (EOFError, OSError):
            _end()
        match message:
            case wire.Up():
                wire.send(self._control, self._bring_up(message))
            case wire.Spawn():
                self._spawn(message, descriptors)
            case wire.Signal():
                self._signal(message)

    def _bring_up(self, up: wire.Up) -> wire.Ready | Refusal:
        if needs_ipv6(up.topology) and not sysctls.has_ipv6():
            return Refusal(Step.IPV6, 0, "this kernel has no IPv6, which the lab's networks use")
        os.environ["TMPDIR"] = up.scratch
        self._directory = up.directory
        try:
            self._hosts = build(up.topology, up.scratch, self._end_if_abandoned)
        except RefusedError as error:
            return error.refusal
        return wire.Ready()

    def _spawn(self, request: wire.Spawn, descriptors: list[int]) -> None:
        *standard, status = descriptors
        try:
            with self._hosts[request.host].entered_from(self._home):
                with suppress(OSError):  # else in the root directory
                    os.chdir(self._directory)
                # Its own session, hence its own process group: see `_signal`. Other than fork, posix_spawn
                # copies no page tables, and tells whether exec worked.
                program = os.posix_spawnp(
                    request.argv[0],
                    request.argv,
                    os.environ,
                    file_actions=[(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(standard)],
                    setsid=True,
                    setsigmask=(),
                    setsigdef=_DEFAULT_SIGNALS,
                )
        except (OSError, ValueError) as error:
            _tell(status, wire.FAILED, getattr(error, "strerror", None) or str(error))
            os.close(status)
        else:
            self._programs[program] = status
            _tell(status, wire.STARTED, str(program))
        finally:
            for descriptor in standard:
                os.close(descriptor)

    def _signal(self, request: wire.Signal) -> None:
        # Only a program that isn't reaped yet: until then its number, and its group's, can't be another's.
        if request.pid in self._programs:
            with suppress(ProcessLookupError):
                os.killpg(request.pid, request.number)

    def _reap(self) -> None:
        """Collect every process that ended: programs, and what they left to PID 1."""
        while ended := _next_ended():
            if ended.si_pid in self._programs:
                # Whatever it started in its process group ends with it: workers hold its listening sockets.
                with suppress(ProcessLookupError):
                    os.killpg(ended.si_pid, signal.SIGKILL)
            os.waitpid(ended.si_pid, 0)
            status = self._programs.pop(ended.si_pid, None)
            if status is not None:
                by_itself = ended.si_code == os.CLD_EXITED
                _tell(status, wire.EXITED, str(ended.si_status if by_itself else -ended.si_status))
                os.close(status)

    def _end_if_abandoned(self) -> None:
        """End the lab if the controller is gone: while the lab is being built, nothing else looks."""
        poll = select.poll()
        poll.register(self._control if self._controller is None else self._controller, select.POLLIN)
        if any(event & (select.POLLHUP | select.POLLIN) for _, event in poll.poll(0)):
            _end()


def _next_ended() -> os.waitid_result | None:
    """Return a child that ended, and leave it to be reaped; None if there is none."""
    with suppress(ChildProcessError):
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return None


def _wake_on_child() -> int:
    """Return a descriptor that becomes readable whenever a child ended."""
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reader


def _tell(status: int, word: str, text: str) -> None:
    with suppress(BrokenPipeError):  # nobody wants to know any more
        os.write(status, f"{word} {text}\n".encode())


def _end() -> NoReturn:
    """Leave at once: the kernel kills what is left in the PID namespace (pid_namespaces(7))."""
    os._exit(0)


def main() -> NoReturn:
    """Be the lab init."""
    descriptors = [int(argument) for argument in sys.argv[1:]]
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)  # no program of the lab may hold them
    os.environ.pop("PYTHONPATH", None)  # it was for this process
    os.umask(0o022)
    control, *pidfd = descriptors
    LabInit(socket.socket(fileno=control), pidfd[0] if pidfd else None).run()


if __name__ == "__main__":
    main()

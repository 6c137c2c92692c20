"""One machine's end of a deployment: the deployer there, asked step by step, and the files that go there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TypeVar

import paramiko

from netlab.answers import read_answer
from netlab.backends.ssh import SshLab
from netlab.backends.ssh.problems import CONNECTION_ERRORS
from netlab.deploy.answers import Compared, Done, Place, Survey, Switched
from netlab.errors import AgentError, LabError
from netlab.travelling import program

# Beyond the deployer's own patience: a switch stops one server, starts one, and perhaps goes back.
_CHANGE_S = 90.0
_ANSWER_S = 30.0
# Hashing what is served takes its time: 100 MB/s on a slow machine, and some gigabytes.
_FILES_S = 600.0
_LOCK_WAIT_S = 5.0
_SILENT_S = 15.0
_PIECE_BYTES = 1 << 18

_Answer = TypeVar("_Answer")


class MachineError(LabError):
    """A step of a deployment failed on a machine.

    Args:
        problem: what went wrong, and what to do.
    """


def deployer() -> bytes:
    """Return the source of what does the work on a machine: an agent that can do more."""
    return program("netlab.deploy.there", "deployer", "netlab.agent")


class DeployedMachine:
    """A machine and the deployer at work there, which takes back what is not confirmed at its end.

    Args:
        lab: whose agents are deployers.
        host: the machine's name.

    Attributes:
        gone: whether it does not answer any more.
    """

    def __init__(self, lab: SshLab, host: str) -> None:
        self.host, self.gone = host, False
        self._connection = lab.connection(host)
        self._sftp: paramiko.SFTPClient | None = None
        self._busy = threading.Lock()
        self._session = lab.agents[host]

    def leave(self) -> None:
        """Have the deployer take back what is not confirmed, and let others change the machine."""
        if self.gone:
            self.close()
            return
        with suppress(MachineError):  # then that comes with the end of the connection
            self.ask(Done, "end", timeout_s=_CHANGE_S)

    def close(self) -> None:
        """End the deployer, also while it is at work. Safe to repeat."""
        self._session.close()

    def ping(self) -> None:
        """Tell the deployer that we are still there, unless it is at work for us anyway."""
        if self._busy.acquire(blocking=False):
            try:
                self._session.call("ping", timeout_s=_ANSWER_S)
            except AgentError:
                pass  # the next step will say so
            finally:
                self._busy.release()

    def ask(
        self,
        form: type[_Answer],
        op: str,
        fields: Mapping[str, object] | None = None,
        timeout_s: float = _ANSWER_S,
    ) -> _Answer:
        """Have a step done.

        Args:
            form: what the answer is to be: of `netlab.deploy.answers`.
            op: the step: see `netlab.deploy.there.deployer.Deployer`.
            fields: what else is said.
            timeout_s: how long it may take.

        Raises:
            MachineError: it failed there, the answer has another form, or the machine is gone.
        """
        try:
            with self._busy:
                answer = self._session.call(op, fields, timeout_s=timeout_s)
        except AgentError as error:
            said = error.problem.removeprefix(f"{op}: ")
            self.gone = self.gone or said == error.problem
            raise MachineError(said) from None
        try:
            return read_answer(form, self.host, op, answer)
        except AgentError as error:
            self.gone = True
            raise MachineError(f"it answers otherwise than asked: {error.problem}") from None

    def lock(self, who: str) -> None:
        """Be the only one who changes the machine, as long as the connection lasts."""
        self.ask(Done, "lock", {"who": who, "wait_s": _LOCK_WAIT_S})

    def survey(self, release: Mapping[str, object] | None = None) -> Survey:
        """Return what is there, and what stands against a release.

        Args:
            release: as `Release.described` has it; None where none is to come.
        """
        return self.ask(Survey, "survey", release)

    def channel(self) -> paramiko.Channel:
        """Return a new channel of the one connection, on which a command can be run.

        Raises:
            LabError: the machine is gone.
        """
        return self._connection.session()

    def put(self, path: str, content: bytes) -> None:
        """Write a file there, by SFTP.

        Raises:
            MachineError: it could not be written.
        """
        try:
            file = self._files().open(path, "wb")
            file.set_pipelined(True)
            file.write(content)
            file.close()  # only now: after a failure, it would wait for an answer once more
        except CONNECTION_ERRORS as error:
            raise self._broken(error) from None

    def switch(self, release: str, method: str) -> Switched:
        """Run a release that is there; the deployer goes back by itself if it is not healthy."""
        return self.ask(Switched, "switch", {"release": release, "method": method}, _CHANGE_S)

    def send_files(
        self,
        directory: str,
        files: Mapping[str, Path],
        digests: Mapping[str, str],
        count: Callable[[int], None],
    ) -> None:
        """Replace files in the data directory, each in one step.

        Args:
            directory: as the inventory names it.
            files: the local file, by name.
            digests: by name.
            count: told of bytes that have gone.
        """
        place = PurePosixPath(self.ask(Place, "incoming", {"directory": directory}).path)
        try:
            self._send_files(directory, place, files, digests, count)
        except MachineError:
            if not self.gone:  # a part of a file may be what fills the disk
                self.ask(Done, "abandon", {"directory": directory})
            raise

    def _send_files(
        self,
        directory: str,
        place: PurePosixPath,
        files: Mapping[str, Path],
        digests: Mapping[str, str],
        count: Callable[[int], None],
    ) -> None:
        left = len(files)
        for name, path in files.items():
            try:
                with path.open("rb") as source:
                    file = self._files().open(str(place / name), "wb")
                    file.set_pipelined(True)
                    _copy(source, file, count)
                    file.close()
            except CONNECTION_ERRORS as error:
                raise self._broken(error) from None
            left -= 1
            asked = {"directory": directory, "files": {name: digests[name]}, "last": not left}
            self.ask(Done, "place", asked, _FILES_S)

    def compare(self, directory: str, files: Mapping[str, tuple[int, str]]) -> Compared:
        """Return which of the files are missing there or other ones, and which are there alone."""
        return self.ask(Compared, "compare", {"directory": directory, "files": dict(files)}, _FILES_S)

    def _files(self) -> paramiko.SFTPClient:
        if self._sftp is None:
            self._sftp = self._connection.sftp()
            channel = self._sftp.get_channel()
            assert channel is not None
            channel.settimeout(_SILENT_S)
        return self._sftp

    def _broken(self, error: BaseException) -> MachineError:
        """Say why a transfer ended; SFTP's word for a full disk is `Failure` (draft-ietf-secsh-filexfer)."""
        if (
            self._sftp is not None
        ):  # else the file would be closed in good order, which waits for room to say so
            with suppress(*CONNECTION_ERRORS):
                self._sftp.close()
            self._sftp = None
        if isinstance(error, TimeoutError):
            self.gone = True
            return MachineError(f"the upload broke off: no answer within {_SILENT_S:.0f} s")
        said = " ".join(str(error).split()).rstrip(": ") or type(error).__name__
        return MachineError(f"the upload broke off: {said}{self._when_full()}")

    def _when_full(self) -> str:
        try:
            free = self.ask(Compared, "compare", {"directory": ".", "files": {}}, 5.0).free
        except MachineError:
            return ""
        return f": the disk is full ({free >> 10} KiB free)" if free < (1 << 20) else ""


def _copy(source: BinaryIO, file: paramiko.SFTPFile, count: Callable[[int], None]) -> None:
    while piece := source.read(_PIECE_BYTES):
        file.write(piece)
        count(len(piece))

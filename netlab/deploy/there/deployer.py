"""Does the work of `netlab deploy` on a host: keeps releases there, and a service that runs one of them.

It is sent over the connection in the agent's place (`netlab.session`), answers what that answers as well, and
ends with the connection. JSON lines in, JSON lines out. Nothing that it is told ever comes near a shell.

A release that was switched to is on trial until `confirm`. If `end` or the end of the connection, however it
ends, comes before, this program goes back to the release before, and only then gives the lock back.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

from netlab.agent.program import Agent
from netlab.deploy.there import datafiles
from netlab.deploy.there.checks import address_problem, directory_problem, served_directory
from netlab.deploy.there.containers import Container, engine_problems
from netlab.deploy.there.files import base_directory, free_bytes, nearest, remove, remove_tree, write_whole
from netlab.deploy.there.journal import Journal
from netlab.deploy.there.kernel import sockets_of
from netlab.deploy.there.lock import take_lock
from netlab.deploy.there.problems import ProblemError, in_words
from netlab.deploy.there.releases import MANIFEST, SUPERVISOR, Store, checked_id
from netlab.deploy.there.trial import Trial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any, BinaryIO

    Json = dict[str, Any]

# A controller that says nothing for so long is gone, though the connection does not show it: it pings.
IDLE_S = 120
MARGIN_BYTES = 1 << 20
# What changes nothing.
UNLOCKED = ("ping", "lock", "survey", "compare", "rollback", "log", "end")


class Deployer:
    """Answers requests about releases; holds the lock."""

    def __init__(self) -> None:
        self._store = Store(base_directory())
        self._journal = Journal(self._store.path("deploys.log"))
        self._trial = Trial(self._store, self._journal)
        self._lock = -1
        self._nonces: list[str] = []
        self._operations = {
            "ping": lambda request: {},
            "lock": self.lock,
            "survey": self.survey,
            "receive": self.receive,
            "install": self.install,
            "switch": self._trial.switch,
            "revert": self._trial.revert,
            "confirm": self._trial.confirm,
            "offer": self.offer,
            "withdraw": self.withdraw,
            "compare": datafiles.compare,
            "incoming": datafiles.incoming,
            "place": datafiles.place,
            "abandon": datafiles.abandon,
            "delete": datafiles.delete,
            "rollback": self.rollback,
            "undeploy": self.undeploy,
            "log": self.log,
            "end": self.end,
        }

    @property
    def locked(self) -> bool:
        """Whether nobody else can change this host."""
        return self._lock >= 0

    def does(self, op: str) -> bool:
        """Whether a request is about releases."""
        return op in self._operations

    def answer(self, request: Json) -> Json:
        """Return the answer to a request, whatever it is."""
        try:
            if not self.locked and request["op"] not in UNLOCKED:
                raise ProblemError("the lock comes first")
            return {"id": request["id"], "ok": self._operations[request["op"]](request)}
        except ProblemError as problem:
            return {"id": request["id"], "error": str(problem)}
        except Exception as error:
            return {"id": request["id"], "error": in_words(error)}

    def end(self, request: Json) -> Json:
        """Take back what was not confirmed, and let others change this host."""
        self.withdraw({})
        self._trial.end()
        if self.locked:
            os.close(self._lock)
            self._lock = -1
        return {}

    # --- the lock

    def lock(self, request: Json) -> Json:
        """Be the only one who changes this host, as long as this process lives."""
        self._journal.who = str(request["who"])
        self._lock = take_lock(self._store.path("lock"), self._journal.who, float(request["wait_s"]))
        self._store.sweep()
        return {}

    # --- what there is

    def survey(self, request: Json) -> Json:
        """Say what is here, and what stands against the release that is asked about; change nothing."""
        store, service = self._store, self._trial.service
        current, pid = store.current(), service.pid()
        manifest = store.manifest(current) if current and self._trial.is_whole(current) else None
        found: Json = {
            "base": store.base,
            "current": current,
            "good": store.good(),
            "whole": manifest is not None,
            "running": pid != 0,
            "since": service.since(),
            "restarts": service.restarts(),
            "method": service.method,
            "serve": manifest["serve"] if manifest else None,
            "version": manifest["version"] if manifest else "",
            "health": self._trial.health(current) if current else "nothing is deployed",
            "now": time.time(),
            "problems": [],
            "here": False,
        }
        if request.get("release"):
            found["here"] = self._trial.is_whole(request["release"])
            found["problems"] = self._problems(request, found["here"])
        return found

    def _problems(self, request: Json, here: bool) -> list[str]:
        base, image = self._store.base, request.get("image")
        free, needed, size = free_bytes(base), MARGIN_BYTES, 0 if here else int(request["bytes"])
        problems = []
        if image:
            problems += engine_problems(image, size)
        else:
            needed += 2 * size
            if sys.version_info < (3, 9):
                version = ".".join(str(part) for part in sys.version_info[:3])
                problems.append(f"the server needs Python 3.9, here is {version}: name another one (python:)")
        if not here and free < needed:
            problems.append(
                f"the disk is full: {free >> 10} KiB free in {nearest(base)}, {needed >> 10} needed"
            )
        if not os.access(nearest(base), os.W_OK | os.X_OK):
            problems.append(f"{nearest(base)} may not be written by this account")
        serve = request["serve"]
        services = [self._trial.service, *([Container(self._store)] if image and not problems else [])]
        pids = {pid for service in services for pid in service.pids()}
        ours = {inode for pid in pids for inode in sockets_of(pid)}
        asked = [address_problem(address, serve["port"], ours) for address in serve["addresses"]]
        problems += [*dict.fromkeys(asked), directory_problem(served_directory(serve), base)]
        return [problem for problem in problems if problem]

    # --- a new release

    def receive(self, request: Json) -> Json:
        """Make room for an upload; return where it goes."""
        name = checked_id(request["release"])
        incoming = self._store.path("releases", ".incoming-" + name)
        remove_tree(incoming)
        os.makedirs(incoming, mode=0o700)
        if not request.get("image"):
            return {"path": incoming}
        return Container(self._store).prepare(name, served_directory(request["serve"]))

    def install(self, request: Json) -> Json:
        """Complete an upload: verified, on disk, and with its name. What is large is there already."""
        name = checked_id(request["release"])
        incoming = self._store.path("releases", ".incoming-" + name)
        for file in (MANIFEST, SUPERVISOR):
            if file in request["texts"]:
                write_whole(os.path.join(incoming, file), request["texts"][file].encode())
        self._store.accept(incoming, name)
        return {}

    def rollback(self, request: Json) -> Json:
        """Say which release a rollback goes to: a good one but not the current, the latest or one by name."""
        current = self._store.current()
        wanted = str(request.get("to") or "")
        others = [name for name in self._store.good() if name != current and self._trial.is_whole(name)]
        chosen = [name for name in others if name.startswith(wanted)]
        if not chosen:
            which = f"no release {wanted} is kept" if wanted else "no earlier release is kept"
            listed = ", ".join(name[:12] for name in others)
            raise ProblemError(which + (f": there is {listed}" if others else ""))
        return {"id": chosen[0]}

    def undeploy(self, request: Json) -> Json:
        """Remove everything but the data directory."""
        there = bool(self._store.current() or self._store.names())
        self._trial.service.stop()
        self._trial.service.disable()
        if Container.was_here(self._store):
            Container(self._store).sweep([])
        # By another name: who waits for the lock makes the directory anew.
        doomed = self._store.base + ".doomed"
        remove_tree(doomed)
        os.rename(self._store.base, doomed)
        remove_tree(doomed)
        if os.path.exists(doomed):
            raise ProblemError(f"{doomed} can't be removed altogether: see who owns what is in it")
        return {"there": there}

    # --- proof that it is us

    def offer(self, request: Json) -> Json:
        """Put a file with a nonce among those that are served, so that who reads it has reached this host."""
        path = os.path.join(self._data(), datafiles.NONCE_PREFIX + checked_id(request["name"])[:16])
        self._nonces.append(path)
        write_whole(path, str(request["nonce"]).encode(), 0o644)
        return {"file": os.path.basename(path)}

    def withdraw(self, request: Json) -> Json:
        """Remove such files, also those of a deployment that was cut short."""
        for path in self._nonces:
            remove(path)
        self._nonces = []
        return {}

    def _data(self) -> str:
        current = self._store.current()
        if not current:
            raise ProblemError("nothing is deployed")
        return served_directory(self._store.manifest(current)["serve"])

    # --- what it says

    def log(self, request: Json) -> Json:
        """Return what the server printed.

        Raises:
            ProblemError: there is none.
        """
        if not self._store.current() and not os.path.exists(self._store.path("log")):
            raise ProblemError("nothing is deployed")
        return self._trial.service.log(int(request["lines"]), str(request["cursor"]))


class IdleError(Exception):
    """The controller has said nothing for too long."""


def be_idle(number: int, frame: FrameType | None) -> None:
    """End the wait for a request (alarm(2))."""
    raise IdleError


def requests(stream: BinaryIO, deployer: Deployer) -> Iterator[bytes]:
    """Yield lines until the stream's end, or until who holds the lock has said nothing for too long."""
    signal.signal(signal.SIGALRM, be_idle)
    while True:
        signal.alarm(IDLE_S if deployer.locked else 0)
        try:
            line = stream.readline()
        except IdleError:
            return
        finally:
            signal.alarm(0)
        if not line.endswith(b"\n"):
            return
        yield line


def main() -> None:
    """Answer requests until there are no more, and leave a whole release behind."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    agent, deployer = Agent(), Deployer()
    try:
        for line in requests(sys.stdin.buffer, deployer):
            request = json.loads(line)
            ours = deployer.does(request["op"])
            answer = json.dumps(deployer.answer(request)).encode() + b"\n" if ours else agent.answer(line)
            sys.stdout.buffer.write(answer)
            sys.stdout.buffer.flush()
    except OSError:  # nobody reads the answers any more
        pass
    finally:
        deployer.end({})
        os._exit(0)  # what could not be written is not to be tried again

"""Does the work of `netlab deploy` on a host: keeps releases there, and a service that runs one of them.

It is sent over the connection, as the agent is (`netlab.session`), and ends with the connection. JSON lines
in, JSON lines out. Nothing that it is told ever comes near a shell.

A release that was switched to is on trial until `confirm`. If the connection ends before, however it ends,
this program goes back to the release before, and only then gives the lock back.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

from netlab.deploy.there import datafiles
from netlab.deploy.there.checks import address_problem, directory_problem, served_directory
from netlab.deploy.there.containers import Container, engine_problems
from netlab.deploy.there.files import base_directory, free_bytes, nearest, remove, remove_tree, write_whole
from netlab.deploy.there.health import HEALTHY_WITHIN_S, health, try_out, with_last_words
from netlab.deploy.there.kernel import sockets_of, wait_until
from netlab.deploy.there.lock import take_lock
from netlab.deploy.there.problems import ProblemError, in_words, printable
from netlab.deploy.there.releases import GOOD, MANIFEST, SUPERVISOR, Store, checked_id
from netlab.deploy.there.services import choose_service, recorded_service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any, BinaryIO

    from netlab.deploy.there.service import Service

    Json = dict[str, Any]

# A controller that says nothing for so long is gone, though the connection does not show it: it pings.
IDLE_S = 120
# How long it must have run before it is believed to go on: longer than what fails late at its start takes.
SETTLED_S = 1.0
MARGIN_BYTES = 1 << 20
# What changes nothing.
UNLOCKED = ("ping", "lock", "survey", "compare", "rollback", "log")


class Deployer:
    """Answers requests; holds the lock, and a release on trial."""

    def __init__(self) -> None:
        self._store = Store(base_directory())
        self._service = recorded_service(self._store)
        self._lock = -1
        self._who = "?"
        self._trial = False  # whether a release was switched to that is not confirmed
        self._before = ""  # the release to go back to
        self._served_by: Service = self._service  # and what ran it
        self._nonces: list[str] = []
        self._operations = {
            "ping": lambda request: {},
            "lock": self.lock,
            "survey": self.survey,
            "receive": self.receive,
            "install": self.install,
            "switch": self.switch,
            "revert": self.revert,
            "confirm": self.confirm,
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
        }

    def answer(self, line: bytes) -> bytes:
        """Return the answer to a request."""
        answer: Json = {"id": None}
        try:
            request = json.loads(line)
            answer["id"] = request["id"]
            if self._lock < 0 and request["op"] not in UNLOCKED:
                raise ProblemError("the lock comes first")
            answer["ok"] = self._operations[request["op"]](request)
        except ProblemError as problem:
            answer["error"] = str(problem)
        except Exception as error:
            answer["error"] = in_words(error)
        return json.dumps(answer).encode() + b"\n"

    def close(self) -> None:
        """Take back what was not confirmed."""
        self.withdraw({})
        if self._trial:
            self.revert({"why": "the deployment ended before it was confirmed"})

    # --- the lock

    def lock(self, request: Json) -> Json:
        """Be the only one who changes this host, as long as this process lives."""
        self._who = str(request["who"])
        self._lock = take_lock(self._store.path("lock"), self._who, float(request["wait_s"]))
        self._store.sweep()
        return {}

    # --- what there is

    def survey(self, request: Json) -> Json:
        """Say what is here, and what stands against the release that is asked about; change nothing."""
        store, service = self._store, self._service
        current, pid = store.current(), service.pid()
        manifest = store.manifest(current) if current and self._is_whole(current) else None
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
            "health": self._health(current) if current else "nothing is deployed",
            "now": time.time(),
            "problems": [],
            "here": False,
        }
        if request.get("release"):
            found["here"] = self._is_whole(request["release"])
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
        services = [self._service, *([Container(self._store)] if image and not problems else [])]
        pids = {pid for service in services for pid in service.pids()}
        ours = {inode for pid in pids for inode in sockets_of(pid)}
        asked = [address_problem(address, serve["port"], ours) for address in serve["addresses"]]
        problems += [*dict.fromkeys(asked), directory_problem(served_directory(serve), base)]
        return [problem for problem in problems if problem]

    def _is_whole(self, name: str) -> bool:
        """Whether everything of a release is here: its files, or its containers."""
        store = self._store
        return store.is_whole(name) and (not store.is_image(name) or Container(store).is_there(name))

    def _health(self, name: str) -> str:
        """Return what is wrong with a release that should run; empty if it serves."""
        return health(self._store, self._service, name)

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

    def switch(self, request: Json) -> Json:
        """Run a release that is here; go back by itself if it is not healthy.

        Returns:
            `healthy`; otherwise `problem`, and in `back` the release that runs again, empty for none.
        """
        name = checked_id(request["release"])
        if not self._is_whole(name):
            raise ProblemError(f"release {name[:12]} is not here, or damaged")
        service, no_unit = choose_service(self._store, name, request["method"])
        previous = [good for good in self._store.good() if good != name and self._is_whole(good)]
        self._before, self._served_by = previous[0] if previous else "", self._service
        os.makedirs(served_directory(self._store.manifest(name)["serve"]), exist_ok=True)
        serves_already = self._store.current() == name and not self._health(name)
        if self._service.pid() and not serves_already:
            problem = try_out(service, name)
            if problem:
                self._audit("refused", name, problem)
                self._discard(name)
                return {"healthy": False, "problem": problem, "back": self._store.current(), "never": True}
        self._trial = True
        try:
            note = self._change_to(name, service)
        except (ProblemError, OSError) as error:
            problem = in_words(error)
            return {"healthy": False, "problem": problem, **self.revert({"why": problem})}
        return {"healthy": True, "notes": [text for text in (no_unit, note) if text]}

    def _change_to(self, name: str, service: Service) -> str:
        """Stop what runs, switch, start, and wait until it is healthy.

        Raises:
            ProblemError: it is not.
        """
        if (
            self._store.current() == name
            and service.method == self._service.method
            and not self._health(name)
        ):
            return ""
        self._service.stop()
        if service.method != self._service.method:
            self._service.disable()
        self._service = service
        write_whole(self._store.path("method"), service.method.encode())
        self._store.point(name)
        service.start()
        self._wait_healthy(name)
        return service.enable()

    def _wait_healthy(self, name: str) -> None:
        problem = "it was not asked"

        def settled() -> bool:
            nonlocal problem
            problem = self._health(name)
            return not problem or self._service.restarts() >= 2

        wait_until(settled, HEALTHY_WITHIN_S)
        if problem:
            raise ProblemError(with_last_words(self._service, problem))

    def revert(self, request: Json) -> Json:
        """Go back to the release before, or to none; return which one runs now."""
        failed, back = self._store.current(), self._before
        self._trial = False
        problem = ""
        self._audit("took back", failed, str(request.get("why", "")))
        try:
            if back:
                fits = self._served_by.runs_images == self._store.is_image(back)
                service = self._served_by if fits else choose_service(self._store, back, "auto")[0]
                self._change_to(back, service)
            else:
                self._service.stop()
                self._service.disable()
                self._store.point("")
        except (ProblemError, OSError) as error:
            problem = in_words(error)
        if failed != back:
            self._discard(failed)
        return {"back": back, "back_problem": problem}

    def _discard(self, name: str) -> None:
        """Remove a release that failed, unless it is one that was good before."""
        if name in self._store.names() and name not in (self._store.current(), *self._store.good()):
            self._store.drop(name)
            self._tidy()

    def _tidy(self) -> None:
        """Remove the containers of releases that are gone."""
        if Container.was_here(self._store):
            Container(self._store).sweep(self._store.names())

    def confirm(self, request: Json) -> Json:
        """Keep the release that runs: it is one to go back to from now on.

        Raises:
            ProblemError: it does not serve any more.
        """
        current = self._store.current()
        if self._trial:
            wait_until(self._has_settled, HEALTHY_WITHIN_S)
        problem = self._health(current)
        if not problem and self._service.restarts() and self._trial:
            problem = f"it ended and had to be started again ({self._service.ended()})"
        if problem:
            raise ProblemError(with_last_words(self._service, problem))
        write_whole(os.path.join(self._store.release(current), GOOD), b"")
        if self._trial:
            self._audit("deployed", current, f"before: {self._before[:12] or 'nothing'}")
        self._trial = False
        kept = self._store.prune(int(request["keep"]))
        self._tidy()
        return {"kept": kept}

    def _has_settled(self) -> bool:
        """Whether the server has run for a while, or has ended: some live just long enough to answer."""
        return time.time() - self._service.since() > SETTLED_S or self._service.restarts() > 0

    def rollback(self, request: Json) -> Json:
        """Say which release a rollback goes to: a good one but not the current, the latest or one by name."""
        current = self._store.current()
        wanted = str(request.get("to") or "")
        others = [name for name in self._store.good() if name != current and self._is_whole(name)]
        chosen = [name for name in others if name.startswith(wanted)]
        if not chosen:
            which = f"no release {wanted} is kept" if wanted else "no earlier release is kept"
            listed = ", ".join(name[:12] for name in others)
            raise ProblemError(which + (f": there is {listed}" if others else ""))
        return {"id": chosen[0]}

    def undeploy(self, request: Json) -> Json:
        """Remove everything but the data directory."""
        there = bool(self._store.current() or self._store.names())
        self._service.stop()
        self._service.disable()
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
        return self._service.log(int(request["lines"]), str(request["cursor"]))

    def _audit(self, what: str, name: str, detail: str) -> None:
        when = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        line = printable(f"{when} {self._who} {what} {name[:12] or 'nothing'} {detail}") + "\n"
        try:
            with open(self._store.path("deploys.log"), "a", encoding="utf-8") as file:
                file.write(line)
        except OSError:
            pass


class IdleError(Exception):
    """The controller has said nothing for too long."""


def be_idle(number: int, frame: FrameType | None) -> None:
    """End the wait for a request (alarm(2))."""
    raise IdleError


def requests(stream: BinaryIO) -> Iterator[bytes]:
    """Yield lines until the stream's end, or until nobody has said anything for too long."""
    signal.signal(signal.SIGALRM, be_idle)
    while True:
        signal.alarm(IDLE_S)
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
    deployer = Deployer()
    try:
        for line in requests(sys.stdin.buffer):
            sys.stdout.buffer.write(deployer.answer(line))
            sys.stdout.buffer.flush()
    except OSError:  # nobody reads the answers any more
        pass
    finally:
        deployer.close()
        os._exit(0)  # what could not be written is not to be tried again

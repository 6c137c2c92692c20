"""The service as a container: of the engine that the account's `docker` command talks to.

The controller has put the image there, and for each release made two containers (`netlab.deploy.image`): one
that serves, started again by the engine, and one to try the release out. Here they are started, watched,
stopped and removed.
"""

from __future__ import annotations

import json
import os

from netlab.deploy.there.commands import command
from netlab.deploy.there.files import free_bytes, write_whole
from netlab.deploy.there.problems import ProblemError, printable
from netlab.deploy.there.service import Service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from netlab.deploy.there.releases import Store

    Json = dict[str, Any]

# The label that says whose container it is, and the name of the images: each release has a tag of its own.
LABEL = "netlab.deployment"
REPOSITORY = "netlab-hftp"
STOP_S = 8
# Docker's word for an engine without root, in SecurityOptions.
ROOTLESS = "name=rootless"


def docker(*words: str) -> tuple[int, str, str]:
    """Run the `docker` command.

    Returns:
        Its exit code, its output as it is, and its errors as one printable line.
    """
    code, out, err = command(["docker", *words])
    return code, out, printable(" ".join(err.split()))


def engine_problems(image: Json, needed_bytes: int) -> list[str]:
    """Return why an image can't be run here.

    Args:
        image: its `architecture`, as Go calls it.
        needed_bytes: of its layers, as far as they have to be sent.
    """
    asked = ("version", "--format", "{{json .Server}}"), ("info", "--format", "{{json .}}")
    answers = []
    for words in asked:
        code, out, err = docker(*words)
        if code:
            return [f"no container engine for this account: {err or 'docker gives no reason'}"]
        answers.append(json.loads(out) or {})
    server, about = answers
    problems = []
    if any(ROOTLESS in option for option in about.get("SecurityOptions") or ()):
        problems.append("its engine is rootless, so its containers are not on the host's network")
    if server.get("Arch") != image["architecture"]:
        problems.append(f"the image is for {image['architecture']}, here is {server.get('Arch')}")
    place = str(about.get("DockerRootDir") or "/")
    if free_bytes(place) < needed_bytes:
        free = free_bytes(place) >> 20
        problems.append(f"the disk is full: {free} MiB free in {place}, {needed_bytes >> 20} needed")
    return problems


class Container(Service):
    """The service as a container on the host's own network."""

    method = "container"
    runs_images = True

    @classmethod
    def was_here(cls, store: Store) -> bool:
        """Whether containers were made for this deployment; else no engine is asked for anything."""
        return os.path.exists(store.path("containers"))

    def prepare(self, name: str, directory: str) -> Json:
        """Make room for a new release; return what its containers have to know of this host."""
        os.makedirs(directory, exist_ok=True)
        write_whole(self._store.path("containers"), b"")
        self.sweep(self._store.names())
        return {
            "image": f"{REPOSITORY}:{tag_of(name)}",
            "names": names_of(name),
            "labels": {LABEL: self._store.base},
            "directory": directory,
            "user": f"{os.getuid()}:{os.getgid()}",
        }

    def is_there(self, name: str) -> bool:
        """Whether a release's containers are there; the engine sees to it that the image is."""
        return all(self._inspect(container) for container in names_of(name))

    def pid(self) -> int:
        """Return the server's process, as this host numbers it; 0 if none runs."""
        return int(self._state().get("Pid") or 0)

    def pids(self) -> set[int]:
        """Return the processes of all containers of this deployment."""
        inspected = [self._inspect(container) for container in self._containers()]
        return {int(one["State"]["Pid"]) for one in inspected if one} - {0}

    def restarts(self) -> int:
        """Return how often the engine had to start it again."""
        return int(self._current().get("RestartCount") or 0)

    def ended(self) -> str:
        """Return how it ended last."""
        state = self._state()
        if not state:
            return "its container is gone"
        return state.get("Error") or f"exit code {state.get('ExitCode')}"

    def start(self) -> None:
        """Start the container of the current release.

        Raises:
            ProblemError: the engine can't.
        """
        code, _, err = docker("start", names_of(self._store.current())[0])
        if code:
            raise ProblemError(f"docker start: {err}")

    def stop(self) -> None:
        """End every container of this deployment; the engine does not start it again by itself."""
        running = self._containers("--filter", "status=running", "--filter", "status=restarting")
        if running:
            docker("stop", "--time", str(STOP_S), *running)

    def log(self, lines: int, cursor: str) -> Json:
        """Return the last lines of the container's log, or what came after a cursor: a line's time stamp."""
        since = ["--since", cursor] if cursor else ["--tail", str(lines)]
        # Of both streams. The stamps have one length (RFC 3339, nine decimals): their order is that of time.
        code, out, err = command(["docker", "logs", "--timestamps", *since, self._serving()])
        if code:
            raise ProblemError(f"docker logs: {printable(err)}")
        said = sorted([*out.splitlines(), *err.splitlines()], key=lambda line: line.partition(" ")[0])
        new = [line for line in said if line.partition(" ")[0] > cursor][
            -(lines if not cursor else len(said)) :
        ]
        text = "".join(line.partition(" ")[2] + "\n" for line in new)
        return {"text": text, "cursor": new[-1].partition(" ")[0] if new else cursor}

    def runs(self, pid: int, name: str) -> str:
        """Return nothing: the process was asked for by the release's name."""
        return "" if self._store.current() == name else "another release runs"

    def trial(self, name: str) -> list[str]:
        """Return the command that runs a release's other container, and shows what it prints."""
        return ["docker", "start", "--attach", names_of(name)[1]]

    def end_trial(self, name: str) -> None:
        """End that container."""
        docker("kill", names_of(name)[1])

    def sweep(self, kept: list[str]) -> None:
        """Remove the containers and images of all releases but some, and nothing of anybody else."""
        containers = {container for name in kept for container in names_of(name)}
        doomed = [container for container in self._containers() if container not in containers]
        if doomed:
            docker("rm", "--force", *doomed)
        _, out, _ = docker("image", "ls", "--filter", f"reference={REPOSITORY}", "--format", "{{.Tag}}")
        tags = {tag_of(name) for name in kept}
        ours = [tag for tag in out.split() if tag.startswith(f"{os.getuid()}-")]
        dead = [f"{REPOSITORY}:{tag}" for tag in ours if tag not in tags]
        if dead:
            docker("rmi", *dead)

    def _serving(self) -> str:
        return names_of(self._store.current())[0]

    def _current(self) -> Json:
        return self._inspect(self._serving()) if self._store.current() else {}

    def _state(self) -> Json:
        state: Json = self._current().get("State") or {}
        return state

    def _inspect(self, container: str) -> Json:
        code, out, _ = docker("inspect", "--type", "container", container)
        found: list[Json] = json.loads(out) if not code else [{}]
        return found[0]

    def _containers(self, *filters: str) -> list[str]:
        ours = f"label={LABEL}={self._store.base}"
        _, out, _ = docker("ps", "--all", "--filter", ours, *filters, "--format", "{{.Names}}")
        return out.split()


def tag_of(name: str) -> str:
    """Return the tag of a release's image: accounts of one host have one engine."""
    return f"{os.getuid()}-{name[:12]}"


def names_of(name: str) -> tuple[str, str]:
    """Return the names of a release's containers: of the one that serves, and of the one to try it out."""
    serving = f"{REPOSITORY}-{tag_of(name)}"
    return serving, f"{serving}-trial"

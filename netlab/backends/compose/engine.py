"""The container engine: where it is, how to talk to it, and why it can't be talked to."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from docker.errors import APIError, DockerException, ImageNotFound

import docker
from netlab.errors import BackendUnavailableError, LabError

# Written by docker/engine.py, which runs an engine on machines that have none.
_PRIVATE_ENGINE = Path("/run/netlab-engine/engine.json")
# dockerd(8), --host: where an engine listens unless it is told otherwise.
_DEFAULT_SOCKET = Path("/var/run/docker.sock")

# Made by `make images`; compose.yaml takes them from the same variables.
_OWN_IMAGES = {"HFTP_SERVER_IMAGE": "hftp-server", "HFTP_CLIENT_IMAGE": "hftp-client"}
SERVER_IMAGE, CLIENT_IMAGE = (os.environ.get(variable, own) for variable, own in _OWN_IMAGES.items())

_TIMEOUT_S = 60

# The first whose `up --wait` takes a health check's start_interval (docker/Dockerfile).
_COMPOSE_SINCE = (2, 20)


@dataclass(frozen=True)
class Engine:
    """An engine that answers.

    Attributes:
        client: of the docker SDK.
        version: such as `26.1.5`.
        compose: the command that runs Compose.
        environment: what that command needs besides this process's own environment.
        source: how it was found, in words.
    """

    client: docker.DockerClient = field(repr=False)
    version: str
    compose: tuple[str, ...]
    environment: Mapping[str, str]
    source: str

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the connections to it."""
        self.client.close()


@dataclass(frozen=True, slots=True)
class _Candidate:
    docker_host: str
    environment: dict[str, str]
    compose: tuple[str, ...]
    source: str


def find_engine() -> Engine:
    """Return the engine to use: the one that DOCKER_HOST names, else the private one, else the machine's own.

    Raises:
        BackendUnavailableError: none answers, or there is no Compose.
    """
    tried = []
    for candidate in _candidates():
        with ExitStack() as unless_it_answers:
            try:
                client = docker.DockerClient(base_url=candidate.docker_host, timeout=_TIMEOUT_S)
                unless_it_answers.callback(client.close)
                version = str(client.version()["Version"])
            except (DockerException, OSError) as error:  # requests' own errors are OSErrors
                tried.append(f"{candidate.source}: {short(error)}")
                continue
            compose = candidate.compose or _installed_compose()
            unless_it_answers.pop_all()
        return Engine(client, version.split("+")[0], compose, candidate.environment, candidate.source)
    why = "; ".join(tried) or f"no container engine: no {_DEFAULT_SOCKET}, no DOCKER_HOST"
    remedy = "start Docker, or run 'make engine' for a private one (Debian and Ubuntu, root)"
    raise BackendUnavailableError("compose", why, remedy)


def ready_engine() -> Engine:
    """Return the engine to use for a lab in containers.

    Raises:
        BackendUnavailableError: there is none, it lacks an image that the lab needs, or Compose is old.
    """
    engine = find_engine()
    with ExitStack() as unless_it_will_do:
        unless_it_will_do.push(engine)
        check_images(engine, SERVER_IMAGE, CLIENT_IMAGE)
        _check_compose(engine)
        unless_it_will_do.pop_all()
    return engine


def check_images(engine: Engine, *images: str) -> None:
    """See that an engine has images.

    Raises:
        BackendUnavailableError: it lacks one; the message says how it is made.
    """
    for image in images:
        try:
            engine.client.images.get(image)
        except ImageNotFound:
            why = f"an engine answers ({engine.source}), but it has no image {image}"
            raise BackendUnavailableError("compose", why, _how_to_get(image)) from None
        except (DockerException, OSError) as error:
            why = f"an engine answers ({engine.source}), but then it fails: {short(error)}"
            raise BackendUnavailableError("compose", why, "see its log, or start it anew") from None


def _how_to_get(image: str) -> str:
    if image in _OWN_IMAGES.values():
        return "make it with 'make images'"
    variable = next(name for name in _OWN_IMAGES if os.environ.get(name) == image)
    return f"pull or build it, or unset {variable}, which names it"


def _check_compose(engine: Engine) -> None:
    version = compose_version(engine)
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < _COMPOSE_SINCE:
        wanted = ".".join(map(str, _COMPOSE_SINCE))
        why = f"Compose is version {version or 'unknown'}, and {wanted} or later is needed"
        raise BackendUnavailableError("compose", why, "install the docker compose plugin")


def readiness() -> str:
    """Return, in words, which engine a lab in containers would run on.

    Raises:
        BackendUnavailableError: as `ready_engine`.
    """
    engine = ready_engine()
    engine.client.close()
    return f"Docker {engine.version} answers ({engine.source})"


@contextmanager
def asking(engine: Engine) -> Iterator[None]:
    """Turn what goes wrong while an engine is asked for something into a line for the user.

    Raises:
        LabError: the engine refused, or does not answer any more.
    """
    try:
        yield
    except APIError as error:
        raise LabError(f"the container engine refused: {short(error)}") from None
    except (DockerException, OSError) as error:  # the SDK lets those of its HTTP library pass
        why = f"the container engine ({engine.source}) does not answer any more: {short(error)}"
        raise LabError(f"{why}; when it is back, 'netlab down' removes what is left") from None


def _candidates() -> list[_Candidate]:
    chosen = os.environ.get("DOCKER_HOST")
    if chosen and chosen.startswith("ssh:"):
        why = f"DOCKER_HOST={chosen}: labs and sidecars need an engine on this machine"
        raise BackendUnavailableError("compose", why, "run netlab there, or unset DOCKER_HOST")
    if chosen:
        return [_Candidate(chosen, {}, (), f"DOCKER_HOST={chosen}")]
    found = []
    if (private := _private_engine()) is not None:
        found.append(private)
    if _DEFAULT_SOCKET.exists():
        address = f"unix://{_DEFAULT_SOCKET}"
        # Said to Compose, too: by itself it would take the engine of the current context.
        found.append(_Candidate(address, {"DOCKER_HOST": address}, (), str(_DEFAULT_SOCKET)))
    return found


def _private_engine() -> _Candidate | None:
    try:
        said = json.loads(_PRIVATE_ENGINE.read_text(encoding="utf-8"))
        environment = {"DOCKER_HOST": str(said["docker_host"]), "DOCKER_CONFIG": str(said["docker_config"])}
        compose = (str(said["compose"]),)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return _Candidate(
        environment["DOCKER_HOST"], environment, compose, f"the private engine, {_PRIVATE_ENGINE}"
    )


def docker_command(engine: Engine) -> tuple[str, ...]:
    """Return what runs `docker` on an engine, for what needs a terminal.

    Raises:
        LabError: there is none.
    """
    with suppress(OSError, ValueError, KeyError, TypeError):
        if engine.environment.get("DOCKER_CONFIG"):
            return (str(json.loads(_PRIVATE_ENGINE.read_text(encoding="utf-8"))["docker"]),)
    if found := shutil.which("docker"):
        return (found,)
    raise LabError("there is no docker command, which gives a terminal: install the docker CLI")


def _installed_compose() -> tuple[str, ...]:
    if shutil.which("docker"):
        asked = subprocess.run(["docker", "compose", "version"], capture_output=True, timeout=30, check=False)
        if asked.returncode == 0:
            return ("docker", "compose")
    if standalone := shutil.which("docker-compose"):
        return (standalone,)
    raise BackendUnavailableError(
        "compose",
        "an engine answers, but there is no Compose",
        "install the docker compose plugin (2.20 or later)",
    )


def compose_version(engine: Engine) -> str:
    """Return the version of an engine's Compose, such as `2.26.1`; empty where it does not say."""
    asked = subprocess.run(
        [*engine.compose, "version", "--short"],
        env={**os.environ, **engine.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return asked.stdout.strip().removeprefix("v").split("-")[0]


def short(error: Exception) -> str:
    """Return what an error of the SDK says in a line: the engine's own words, else the innermost reason."""
    cause: BaseException = error
    while not isinstance(cause, APIError) and (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    said = str(cause.explanation or "") if isinstance(cause, APIError) else str(cause)
    return " ".join(said.split()) or type(cause).__name__

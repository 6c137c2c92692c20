"""What the images promise, looked at on running containers."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hftp import __version__
from tests.compose.conftest import Engine, Lab

SERVICES = ("server-any", "peer")

# In every container: who it is, and what the kernel lets it do.
_STATUS = "import sys; sys.stdout.write(open('/proc/1/status').read())"


@contextmanager
def container(engine: Engine, image: str, *options: str) -> Iterator[str]:
    """Start a container of an image; remove it at the end."""
    name = engine("run", "--detach", "--network", "none", *options, image)
    try:
        yield name
    finally:
        engine("rm", "--force", name)


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def status(lab: Lab, service: str) -> dict[str, str]:
    done = lab.run(service, "python3", "-c", _STATUS)
    return dict(re.findall(r"^(\w+):\t(.*)$", done.stdout, re.MULTILINE))


def test_its_first_process_is_not_root_and_has_no_way_to_become_it(lab: Lab, service: str) -> None:
    process = status(lab, service)
    assert set(process["Uid"].split() + process["Gid"].split()) == {"10001"}
    assert process["Groups"].strip() in ("", "10001")
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(process[capabilities], 16) == 0, capabilities
    assert process["NoNewPrivs"] == "1"


def test_it_has_no_program_that_runs_as_another_user(lab: Lab, service: str) -> None:
    found = lab.run(service, "find", "/", "-xdev", "-type", "f", "-perm", "/6000")
    assert found.stdout == ""


def test_nothing_in_it_can_be_written(lab: Lab, service: str) -> None:
    script = "for d in / /usr/local/lib/hftp /srv/hftp /var /etc; do touch $d/new && echo $d; done"
    done = lab.run(service, "sh", "-c", script)
    assert done.stdout == ""
    assert done.stderr.count("Read-only file system") == 5
    assert lab.engine.inspect(lab.container(service))["HostConfig"]["ReadonlyRootfs"]


def test_a_client_can_keep_what_it_fetches_in_tmp(lab: Lab) -> None:
    done = lab.run("peer", "sh", "-c", "hftp get server-any hello.txt && cat /tmp/hello.txt")
    assert done.stdout == "Hello from HFTP.\n"


def test_the_data_is_mounted_read_only(lab: Lab) -> None:
    mounts = lab.engine.inspect(lab.container("server-any"))["Mounts"]
    assert [(mount["Destination"], mount["RW"]) for mount in mounts] == [("/srv/hftp", False)]


def test_it_can_use_little_memory_and_few_processes(lab: Lab, service: str) -> None:
    limits = lab.engine.inspect(lab.container(service))["HostConfig"]
    assert limits["Memory"] == 256 << 20
    assert limits["PidsLimit"] == 64


def test_it_adds_less_than_15_mb_to_its_base(engine: Engine, images: tuple[str, str]) -> None:
    for image in images:
        described = engine.inspect(image)
        base = engine.inspect(described["Config"]["Labels"]["org.opencontainers.image.base.name"])
        layers = base["RootFS"]["Layers"]
        assert described["RootFS"]["Layers"][: len(layers)] == layers
        assert described["Size"] - base["Size"] < 15_000_000


def test_it_says_what_it_is(engine: Engine, images: tuple[str, str]) -> None:
    for image in images:
        labels = engine.inspect(image)["Config"]["Labels"]
        prefix = "org.opencontainers.image."
        assert labels[f"{prefix}title"] == image
        assert labels[f"{prefix}version"] == __version__
        assert labels[f"{prefix}licenses"] == "Apache-2.0"
        assert labels[f"{prefix}description"]
        assert re.fullmatch(r"[0-9a-f]{40}|unknown", labels[f"{prefix}revision"])


def test_no_build_tool_and_no_cache_is_in_it(engine: Engine, images: tuple[str, str]) -> None:
    find = "find /tmp /root/.cache /var/cache/apt /var/lib/apt/lists -type f -size +0 2>/dev/null"
    for image in images:
        script = f"command -v cc gcc make git; {find}; true"
        assert engine("run", "--rm", "--network", "none", image, "sh", "-c", script) == ""


def test_what_it_adds_is_python_alone_so_any_architecture_will_do(lab: Lab, service: str) -> None:
    done = lab.run(service, "find", "/usr/local/lib/hftp", "-type", "f")
    assert {name.rpartition(".")[2] for name in done.stdout.split()} == {"py", "pyc", "typed"}


def test_every_server_is_healthy_wherever_it_listens(lab: Lab) -> None:
    states = [json.loads(line) for line in lab.compose("ps", "--format", "json").splitlines()]
    health = {state["Service"]: state["Health"] for state in states if state["Service"].startswith("server")}
    assert len(health) == 6
    assert set(health.values()) == {"healthy"}


def test_a_container_without_a_listening_server_does_not_pass_for_healthy(
    engine: Engine, images: tuple[str, str]
) -> None:
    check = engine.inspect("hftp-server")["Config"]["Healthcheck"]["Test"]
    assert check[0] == "CMD"
    assert engine.run("run", "--rm", "--network", "none", "hftp-server", *check[1:]).returncode != 0


@pytest.mark.parametrize("image", ["hftp-server", "hftp-client"])
def test_sigterm_ends_it_at_once_and_well(engine: Engine, images: tuple[str, str], image: str) -> None:
    with container(engine, image) as name:
        wait_running(engine, name)
        engine("stop", "--time", "5", name)  # and then it would be killed
        assert engine.inspect(name)["State"]["ExitCode"] == 0


def wait_running(engine: Engine, name: str) -> None:
    """Wait until the program in a container has set its handlers."""
    for _ in range(100):
        caught = engine.run("exec", name, "grep", "SigCgt", "/proc/1/status").stdout.split()
        if caught and int(caught[1], 16) & 1 << 14:  # SIGTERM is 15: signal(7)
            return
        time.sleep(0.05)
    raise AssertionError("it does not catch SIGTERM")

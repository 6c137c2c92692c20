"""The private engine: `make engine`, `make engine-down`. Tested beside the usual one, under another name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.requirements import unavailable

SCRIPT = Path(__file__).parents[2] / "docker/engine.py"
PACKAGES = Path("/var/cache/netlab-engine")


class PrivateEngine:
    """An engine of these tests' own.

    Args:
        name: of its network namespace and its directories.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.run_directory = Path("/run", name)
        self.data = Path("/var/lib", name)
        self.namespace = Path("/run/netns", name)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        variables = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
        return subprocess.run(
            [sys.executable, SCRIPT, *words],
            env={**variables, "NETLAB_ENGINE": self.name},
            text=True,
            capture_output=True,
            timeout=120,
        )

    def up(self) -> str:
        """Start it; return the line that says how to use it."""
        done = self.command("up")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def state(self) -> dict[str, Any]:
        """Return what it tells other programs."""
        told: dict[str, Any] = json.loads((self.run_directory / "engine.json").read_text())
        return told

    def docker(self, *words: str) -> str:
        """Run `docker` as the state file says."""
        state = self.state()
        variables = {"DOCKER_HOST": state["docker_host"], "DOCKER_CONFIG": state["docker_config"]}
        return subprocess.run(
            [state["docker"], *words],
            env={**os.environ, **variables},
            text=True,
            capture_output=True,
            check=True,
        ).stdout.strip()

    def inside(self, *command: str) -> str:
        """Run a program in its network namespace."""
        return subprocess.run(
            ["nsenter", f"--net={self.namespace}", *command], text=True, capture_output=True, check=True
        ).stdout

    def processes(self) -> dict[int, str]:
        """Find whatever runs in its network namespace: process id and program."""
        there = self.namespace.stat().st_ino
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "ns/net").stat().st_ino == there:
                    found[int(process.name)] = (process / "comm").read_text().strip()
            except OSError:
                continue  # it has ended
        return found


def new_engine() -> Iterator[PrivateEngine]:
    if os.geteuid():
        unavailable("compose", "an engine of one's own needs root")
    if not list(PACKAGES.glob("*/versions.json")):
        unavailable("compose", "the engine's packages are not here; try: make engine")
    engine = PrivateEngine(f"netlab-engine-{os.getpid()}")
    yield engine
    engine.command("down")


@pytest.fixture(scope="module")
def running() -> Iterator[PrivateEngine]:
    """One that is up, for tests that change nothing."""
    for engine in new_engine():
        engine.up()
        yield engine


@pytest.fixture
def private() -> Iterator[PrivateEngine]:
    """One that is down."""
    yield from new_engine()


def cgroups(name: str) -> list[Path]:
    return [*Path("/sys/fs/cgroup").glob(name), *Path("/sys/fs/cgroup").glob(f"*/{name}")]


def host_settings() -> list[str]:
    """List what an engine would change on a host of its own: bridges, firewall rules, forwarding."""
    shown = (["ip", "-oneline", "link", "show", "type", "bridge"], ["iptables-save"], ["ip6tables-save"])
    rules = [subprocess.run(command, text=True, capture_output=True, check=True).stdout for command in shown]
    # The counters and dates of iptables-save change by themselves.
    lines = [line.partition("[")[0] for text in rules for line in text.splitlines() if line[0] != "#"]
    return [*lines, Path("/proc/sys/net/ipv4/ip_forward").read_text()]


def test_it_starts_once_and_says_how_to_use_it(running: PrivateEngine) -> None:
    before = running.processes()
    assert f"DOCKER_HOST=unix://{running.run_directory}/docker.sock" in running.up()
    assert running.processes() == before


def test_it_leads_nowhere_and_leaves_the_host_alone(running: PrivateEngine) -> None:
    before = host_settings()
    running.docker("network", "create", "--ipv6", "somewhere")
    assert host_settings() == before
    assert running.inside("ip", "route", "show", "default") == ""
    assert running.inside("ip", "-6", "route", "show", "default") == ""
    links = json.loads(running.inside("ip", "-json", "-details", "link"))
    assert {link.get("linkinfo", {}).get("info_kind", link["ifname"]) for link in links} == {"lo", "bridge"}
    running.docker("network", "rm", "somewhere")


def test_networks_that_ask_for_no_addresses_get_some_that_are_set_aside(running: PrivateEngine) -> None:
    running.docker("network", "create", "--ipv6", "somewhere")
    (network,) = json.loads(running.docker("network", "inspect", "somewhere"))
    ipv4, ipv6 = (pool["Subnet"] for pool in network["IPAM"]["Config"])
    assert ipv4.startswith("198.19.") and ipv6.startswith("2001:db8:d0c:")
    running.docker("network", "rm", "somewhere")


def test_a_chosen_engine_stays_chosen(running: PrivateEngine) -> None:
    assert f"DOCKER_HOST=unix://{running.run_directory}" in running.command("env").stdout
    variables = {**os.environ, "NETLAB_ENGINE": running.name, "DOCKER_HOST": "unix:///elsewhere"}
    asked = subprocess.run([sys.executable, SCRIPT, "env"], env=variables, text=True, capture_output=True)
    assert (asked.returncode, asked.stdout) == (0, "")


def test_without_root_it_says_so_in_one_line(running: PrivateEngine) -> None:
    # In a user namespace that maps nobody, to be root outside is to be nobody.
    command = ["unshare", "--user", sys.executable, str(SCRIPT), "up"]
    done = subprocess.run(command, text=True, capture_output=True)
    assert done.returncode != 0
    assert done.stderr == "an engine needs root; try again with sudo\n"


def test_down_removes_all_of_it(private: PrivateEngine) -> None:
    private.up()
    running = private.processes()
    assert "dockerd" in running.values()
    assert private.command("down").returncode == 0
    assert not [path for path in (private.run_directory, private.data, private.namespace) if path.exists()]
    assert not [pid for pid in running if Path(f"/proc/{pid}").exists()]
    assert not cgroups(private.name)


def test_down_twice_is_down(private: PrivateEngine) -> None:
    assert private.command("down").returncode == 0
    assert private.command("down").returncode == 0


def test_down_keeps_images_if_asked_to(private: PrivateEngine) -> None:
    private.up()
    private.docker("volume", "create", "precious")
    private.command("down", "--keep")
    private.up()
    assert private.docker("volume", "ls", "--quiet") == "precious"


def test_after_a_crash_it_starts_anew_and_ends_what_was_left(private: PrivateEngine) -> None:
    private.up()
    before = private.processes()
    for pid, program in before.items():
        if program == "dockerd":
            os.kill(pid, 9)
    wait_ended({pid for pid, program in before.items() if program == "dockerd"})
    private.up()
    assert private.docker("info", "--format", "{{.Driver}}") == "overlay2"
    assert not before.keys() & private.processes().keys()


def test_a_program_that_somebody_runs_in_its_namespace_is_not_ended(private: PrivateEngine) -> None:
    private.up()
    with subprocess.Popen(["nsenter", f"--net={private.namespace}", "sleep", "60"]) as bystander:
        try:
            private.command("down")
            assert bystander.poll() is None
        finally:
            bystander.kill()


def wait_ended(pids: set[int]) -> None:
    end = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < end
        time.sleep(0.02)

#!/usr/bin/env python3
"""A private container engine, for a machine that has none: `make engine`, `make engine-down`.

The daemon lives in a network namespace of its own, with no route out: its bridges, its published ports and
its firewall rules are made there, and none on the host. It runs from packages that are unpacked, not
installed: no service of the distribution starts. /run/netlab-engine/engine.json tells others how to use it.

Standard library only: it runs before there is a virtual environment.
"""

from __future__ import annotations

import argparse
import fcntl
import http.client
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distribution import Distribution, fetch, give_up, install, source_lines, this_distribution

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = os.environ.get("NETLAB_ENGINE", "netlab-engine")  # another name, for an engine beside the usual one
RUN = Path("/run") / NAME  # the path of a Unix socket has at most 107 bytes: unix(7)
DATA = Path("/var/lib") / NAME
CACHE = Path("/var/cache/netlab-engine")  # the same for all
NETNS = Path("/run/netns") / NAME
SOCKET = RUN / "docker.sock"
STATE = RUN / "engine.json"
LOG = DATA / "dockerd.log"

# What the engine gives to a network that asks for no addresses: clear of the labs', in 198.18.0.0/16.
# All are set aside: 198.18.0.0/15 for testing devices (RFC 2544), 2001:db8::/32 for documentation (RFC 3849).
IPV4_POOL = "198.19.0.0/17"
IPV6_POOL = "2001:db8:d0c::/56"
DEFAULT_BRIDGE = "198.19.255.1/24"

# Debian 12 has engine 20.10, from before IPv6 was isolated as IPv4 is, and no Compose plugin. Debian 13's
# programs run on it (they need glibc 2.34, it has 2.36), but for runc.
PACKAGES = {
    "bookworm": (
        *("docker.io/trixie", "docker-cli/trixie", "docker-compose/trixie", "docker-buildx/trixie"),
        *("containerd/trixie", "runc/bookworm", "tini/bookworm"),
    ),
    "debian": ("docker.io", "docker-cli", "docker-compose", "docker-buildx", "containerd", "runc", "tini"),
    "ubuntu": ("docker.io", "docker-compose-v2", "docker-buildx", "containerd", "runc", "tini"),
}
OTHER_RELEASES = {"bookworm": ("trixie",)}
NEEDED_PROGRAMS = {"iptables": "iptables", "ip": "iproute2"}

# Where it would write whatever it is told, and would find the system's containerd. It sees them empty.
COVERED = ("/run/containerd", "/run/docker", "/run/runc", "/opt/containerd")

START_SECONDS = 30
STOP_SECONDS = 20


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="A private container engine for a machine that has none.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up_command = commands.add_parser("up", help="start it, or say that it runs")
    up_command.add_argument("--refresh", action="store_true", help="download its packages anew")
    up_command.set_defaults(run=lambda options: up(options.refresh))
    down_command = commands.add_parser("down", help="end it, and remove all that it made")
    down_command.add_argument("--keep", action="store_true", help="keep its images and volumes")
    down_command.add_argument("--purge", action="store_true", help="remove the downloaded packages, too")
    down_command.set_defaults(run=lambda options: down(options.keep, options.purge))
    env_command = commands.add_parser(
        "env", help='print what a shell needs to use it: eval "$(engine.py env)"'
    )
    env_command.set_defaults(run=lambda _: print_environment())
    options = parser.parse_args()
    options.run(options)


def up(refresh: bool) -> None:
    """Start the engine unless it runs, and say how to use it.

    Args:
        refresh: download the packages even if they are here.
    """
    with _alone():
        if not answers():
            _remove_what_runs()  # of an engine that does not answer
            _check_machine()
            try:
                _bring_up(refresh)
            except BaseException:
                _remove_what_runs()
                raise
    state = json.loads(STATE.read_text())
    _say(
        f"engine {state['versions']['engine']} answers: DOCKER_HOST={state['docker_host']} "
        f'(netlab finds it by itself; a shell: eval "$({shlex.quote(sys.argv[0])} env)")'
    )


def down(keep: bool, purge: bool) -> None:
    """End the engine and remove what it made.

    Args:
        keep: leave its images and volumes for the next start.
        purge: remove the downloaded packages, too.
    """
    with _alone():
        _remove_what_runs()
        for directory in ([] if keep else [DATA]) + ([CACHE] if purge else []):
            shutil.rmtree(directory, ignore_errors=True)
    _say("the engine is gone" + (f"; its images and volumes are kept in {DATA}" if keep else ""))


def print_environment() -> None:
    """Print shell commands that lead `docker` to the engine."""
    for name, value in environment().items():
        _say(f"export {name}={shlex.quote(value)}")


def environment() -> dict[str, str]:
    """Give the variables that lead `docker` to the engine: none if it is not up, or another one is chosen."""
    if os.environ.get("DOCKER_HOST") or not answers():
        return {}
    state = json.loads(STATE.read_text())
    directory = Path(state["docker"]).parent
    return {
        "DOCKER_HOST": state["docker_host"],
        "DOCKER_CONFIG": state["docker_config"],
        "PATH": f"{directory}:{os.environ['PATH']}",
    }


def answers() -> bool:
    """Whether the engine runs and answers."""
    try:
        return STATE.exists() and bool(_ask("/_ping"))
    except OSError:
        return False


def _ask(path: str) -> bytes:
    connection = http.client.HTTPConnection("localhost", timeout=5)
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.settimeout(5)
        connection.sock.connect(str(SOCKET))
        connection.request("GET", path)
        return connection.getresponse().read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


@contextmanager
def _alone() -> Iterator[None]:
    """Wait for another start or stop to end."""
    if os.geteuid():
        give_up("an engine needs root", "try again with sudo")
    lock = os.open(RUN.parent, os.O_RDONLY)  # a directory that is always there: no file is left behind
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _bring_up(refresh: bool) -> None:
    distribution = this_distribution()
    _install_missing_programs()
    tree = _unpacked_packages(distribution, refresh)
    _add_namespace()
    _start(tree)
    _write_state(tree)


def _remove_what_runs() -> None:
    _end_processes()
    _remove_cgroups()
    if NETNS.exists():
        subprocess.run(["ip", "netns", "delete", NAME], check=True)
    shutil.rmtree(RUN, ignore_errors=True)
    if any(RUN.parent.glob("*/engine.json")):
        return  # of another name: to remove what it has covered would uncover it
    for directory in COVERED:
        with suppress(OSError):  # the system has put something there
            Path(directory).rmdir()


def _check_machine() -> None:
    cgroups = Path("/sys/fs/cgroup")
    if not (cgroups / "cgroup.controllers").exists() and not (cgroups / "devices").is_dir():
        give_up(f"no control groups are mounted on {cgroups}", "mount them (a container needs --privileged)")


def _install_missing_programs() -> None:
    missing = tuple(package for program, package in NEEDED_PROGRAMS.items() if not shutil.which(program))
    if missing:
        _say(f"installing {', '.join(missing)}")
        install(missing)


def _unpacked_packages(distribution: Distribution, refresh: bool) -> Path:
    """Give the directory with the engine's programs, downloaded if need be."""
    tree = CACHE / distribution.codename
    versions = tree / "versions.json"
    if versions.exists() and not refresh:
        return tree
    _say("downloading the engine's packages (once)")
    packages = PACKAGES.get(distribution.codename) or PACKAGES[distribution.name]
    sources = source_lines(distribution, *OTHER_RELEASES.get(distribution.codename, ()))
    files = fetch(packages, sources, CACHE / "packages")
    shutil.rmtree(tree, ignore_errors=True)
    for file in files:
        subprocess.run(["dpkg-deb", "--extract", file, tree], check=True)
    fields = [subprocess.check_output(["dpkg-deb", "--show", file], text=True).split() for file in files]
    versions.write_text(json.dumps(dict(sorted(fields)), indent=1))
    shutil.rmtree(CACHE / "packages")
    return tree


def _add_namespace() -> None:
    if not NETNS.exists():
        done = subprocess.run(["ip", "netns", "add", NAME], stderr=subprocess.PIPE, text=True)
        if done.returncode:
            give_up(
                f"no network namespace can be made: {done.stderr.strip()}", "a container needs --privileged"
            )
    subprocess.run(["ip", "-n", NAME, "link", "set", "lo", "up"], check=True)


def _start(tree: Path) -> None:
    for directory in (RUN, DATA):
        directory.mkdir(mode=0o755, exist_ok=True)
    config = DATA / "daemon.json"
    config.write_text(json.dumps(_daemon_settings(), indent=1))
    # Mounts are private, so that none outlives the daemon; nsenter and not `ip netns exec`, which hides the
    # control groups.
    cover = [f"mkdir -p {directory} && mount -t tmpfs none {directory}" for directory in COVERED]
    script = " && ".join([*cover, 'exec dockerd --config-file "$0"'])
    with_own_mounts = ["unshare", "--mount", "--propagation=slave", "sh", "-c", script, str(config)]
    daemon = subprocess.Popen(
        ["nsenter", f"--net={NETNS}", *with_own_mounts],
        env={**os.environ, **_daemon_variables(tree)},
        stdin=subprocess.DEVNULL,
        stdout=LOG.open("w"),
        stderr=subprocess.STDOUT,
        cwd="/",
        start_new_session=True,
    )
    end = time.monotonic() + START_SECONDS
    while not _answers_ping():
        if daemon.poll() is not None:
            give_up(f"the engine ended at once: {_last_log_line()}", f"see {LOG}")
        if time.monotonic() > end:
            give_up(f"the engine does not answer after {START_SECONDS} s: {_last_log_line()}", f"see {LOG}")
        time.sleep(0.05)


def _daemon_variables(tree: Path) -> dict[str, str]:
    return {
        "PATH": f"{tree}/usr/sbin:{tree}/usr/bin:{os.environ['PATH']}",
        # It would tell firewalld about its bridges: that one is the host's.
        "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={RUN}/no-bus",
    }


def _daemon_settings() -> dict[str, Any]:
    return {
        "hosts": [f"unix://{SOCKET}"],
        "group": "root",
        "data-root": str(DATA / "docker"),
        "exec-root": str(RUN / "exec"),
        "pidfile": str(RUN / "dockerd.pid"),
        "bip": DEFAULT_BRIDGE,
        "default-address-pools": [{"base": IPV4_POOL, "size": 24}, {"base": IPV6_POOL, "size": 64}],
        # The machine's name servers can't be reached from here, and are not waited for: a name that the
        # engine does not know is unknown at once. Nothing answers on a container's own loopback.
        "dns": ["127.0.0.1"],
        # The default from 27 on, an experiment before: IPv6 is isolated and published as IPv4 is.
        "experimental": True,
        "ip6tables": True,
        # One place for the control groups of all containers, on systems with and without systemd.
        "cgroup-parent": f"/{NAME}",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "shutdown-timeout": 5,
    }


def _write_state(tree: Path) -> None:
    packages = json.loads((tree / "versions.json").read_text())
    plugins = next(path for path in tree.glob("usr/*/docker/cli-plugins"))
    config = DATA / "docker-config"
    config.mkdir(exist_ok=True)
    (config / "config.json").write_text(json.dumps({"cliPluginsExtraDirs": [str(plugins)]}))
    version = json.loads(_ask("/version"))
    state = {
        "docker_host": f"unix://{SOCKET}",
        "netns": str(NETNS),
        "docker": str(tree / "usr/bin/docker"),
        "compose": str(plugins / "docker-compose"),
        "docker_config": str(config),
        "log": str(LOG),
        "versions": {"engine": version["Version"], "api": version["ApiVersion"], "packages": packages},
        "pools": {"ipv4": IPV4_POOL, "ipv6": IPV6_POOL},
    }
    new = STATE.with_suffix(".new")
    new.write_text(json.dumps(state, indent=1) + "\n")
    new.rename(STATE)


def _end_processes() -> None:
    """End the daemon as it wants to be ended, then whatever of it is left, its containers with it."""
    daemons = [pid for pid in _our_processes() if _executable(pid).name == "dockerd"]
    for pid in daemons:
        os.kill(pid, signal.SIGTERM)
    _wait_ended(daemons)
    rest = _with_descendants(_our_processes())
    for pid in rest:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _wait_ended(rest)


def _wait_ended(pids: list[int]) -> None:
    end = time.monotonic() + STOP_SECONDS
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < end:
        time.sleep(0.05)


def _our_processes() -> list[int]:
    """Find the engine's processes: they run its programs, in its network namespace. Nobody else's do."""
    if not NETNS.exists():
        return []
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return [pid for pid in pids if CACHE in _executable(pid).parents and _is_in_namespace(pid)]


def _executable(pid: int) -> Path:
    try:
        return Path(f"/proc/{pid}/exe").readlink()
    except OSError:  # it ended, or is the kernel's
        return Path()


def _is_in_namespace(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/ns/net").stat().st_ino == NETNS.stat().st_ino
    return False


def _with_descendants(pids: list[int]) -> list[int]:
    found = []
    while pids:
        found += pids
        pids = [child for pid in pids for child in _children(pid)]
    return list(dict.fromkeys(found))


def _children(pid: int) -> list[int]:
    try:
        lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [int(child) for line in lists for child in line.split()]


def _remove_cgroups() -> None:
    """Remove the directories of ended containers: deepest first, as the kernel asks for."""
    for top in [*Path("/sys/fs/cgroup").glob(NAME), *Path("/sys/fs/cgroup").glob(f"*/{NAME}")]:
        for directory, _, _ in os.walk(top, topdown=False):
            with suppress(OSError):
                Path(directory).rmdir()


def _answers_ping() -> bool:
    try:
        return _ask("/_ping") == b"OK"
    except OSError:
        return False


def _last_log_line() -> str:
    lines = LOG.read_text().splitlines()
    return lines[-1] if lines else "it said nothing"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

"""A room of machines to deploy to, and what a test does to them and sees of them."""

from __future__ import annotations

import hashlib
import io
import json
import signal
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_interface
from pathlib import Path
from typing import Any

from netlab.backends.netns.channel import PipeChannel
from netlab.model import Host, Link, Network, Topology
from netlab.zipapp import hftp_zipapp
from tests.ssh.fleet import CONTROLLER, USER, Done, Fleet, fleet, with_controller

LAN = Network("lan", IPv4Network("198.18.1.0/24"), IPv6Network("2001:db8:1::/64"))
BASE = ".local/share/netlab"
DATA = "hftp-data"
GUEST = "guest"

# Sees all processes of the lab, those of the machine whose network this is run in are meant.
_SIGNAL = r"""
import os, sys
number, wanted = int(sys.argv[1]), sys.argv[2]
ours = os.stat("/proc/self/ns/net").st_ino
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        argv = open(f"/proc/{pid}/cmdline").read()
        if wanted in argv and int(pid) != os.getpid() and os.stat(f"/proc/{pid}/ns/net").st_ino == ours:
            os.kill(int(pid), number)
            print(pid)
    except OSError:
        pass
"""


class Room:
    """Machines `lab01` and so on, a `guest`, and the controller.

    Args:
        up: the fleet.
    """

    def __init__(self, up: Fleet) -> None:
        self.up = up
        self.names = [name for name in up.machines if name != GUEST]

    def inventory(
        self,
        serve: str = "reachable_from: [controller, lab]",
        *,
        more: str = "",
        only: Sequence[str] | None = None,
        name: str = "lab.yaml",
    ) -> str:
        """Write an inventory, and return its name.

        Args:
            serve: lines of its part `serve`.
            more: lines of further hosts.
            only: the machines in it; all by default.
            name: the file's.
        """
        lines = ["hosts:"]
        for host, address in self.up.machines.items():
            if only is None or host in only or host == GUEST:
                group = "guests" if host == GUEST else "lab"
                lines.append(f"  {host}: {{address: {address}, groups: [{group}]}}")
        lines += [more] if more else []
        lines += ["serve:", "  hosts: [lab]", *(f"  {line}" for line in serve.splitlines())]
        text = f"defaults: {{user: {USER}}}\n" + "\n".join(lines) + "\n"
        (self.up.directory / name).write_text(text)
        return name

    def netlab(self, command: str, *arguments: str, inventory: str = "lab.yaml") -> Done:
        """Run one of the commands on machines."""
        return self.up.netlab(command, "-i", inventory, *arguments, timeout_s=120)

    def start(self, command: str, *arguments: str, inventory: str = "lab.yaml") -> PipeChannel:
        """Start one of them, and don't wait for its end."""
        script = 'cd "$1" && export HOME="$1" && shift && exec "$@"'
        argv = [sys.executable, "-m", "netlab", command, "-i", inventory, *arguments]
        return self.up.lab.spawn(CONTROLLER, ["sh", "-c", script, "sh", str(self.up.directory), *argv])

    def run(self, host: str, *argv: str) -> str:
        """Run a program in a machine's namespaces, and see its files; its home is the working directory."""
        script = 'cd "$TMPDIR/home" && exec "$@"'
        channel = self.up.lab.spawn(host, ["sh", "-c", script, "sh", *argv])
        lines = []
        while line := channel.readline(20):
            lines.append(line)
        channel.close()
        return b"".join(lines).decode()

    def ssh(self, host: str, command: str) -> PipeChannel:
        """Run a shell command on a machine as its user does: with OpenSSH's client."""
        keys = self.up.directory / ".ssh"
        options = [
            f"-oUserKnownHostsFile={keys}/known_hosts",
            f"-oIdentityFile={keys}/id_ed25519",
            "-oLogLevel=error",
        ]
        argv = ["ssh", "-F", "none", *options, f"{USER}@{self.up.machines[host]}", command]
        return self.up.lab.spawn(CONTROLLER, argv)

    def signal(self, host: str, number: int, program: str) -> list[str]:
        """Send a signal to a machine's processes with a text in their command; return who they were."""
        python = self.up.lab.python(host)
        code = ["unshare", "--mount", "--mount-proc", python, "-c", _SIGNAL, str(number), program]
        return self.run(host, *code).split()

    def wipe(self, host: str) -> None:
        """Leave nothing of a deployment on a machine, sooner than `netlab undeploy`, nor what it served."""
        self.signal(host, signal.SIGKILL, BASE)
        self.run(host, "rm", "-rf", BASE, DATA)

    def power_cut(self, host: str) -> None:
        """End every process of a machine at once."""
        self.up.daemons[host].close()

    def start_again(self, host: str) -> None:
        """Start a machine whose power was cut."""
        self.up.start_machine(host)
        self.up.wait_up(host)

    def current(self, host: str) -> str:
        """Return the release that a machine is to run; empty for none."""
        return (
            self.run(host, "sh", "-c", f"readlink {BASE}/current || true").strip().removeprefix("releases/")
        )

    def releases(self, host: str) -> dict[str, bool]:
        """Return a machine's releases, and whether each is whole: every byte as its name says."""
        names = self.run(host, "sh", "-c", f"ls {BASE}/releases 2>/dev/null || true").split()
        return {name: self.is_whole(host, name) for name in names}

    def has_no_deployer(self, host: str) -> bool:
        """Whether no program of a controller is at work on a machine, nor on its way out."""
        return not self.signal(host, 0, "netlab-agent")

    def is_whole(self, host: str, name: str) -> bool:
        """Whether every byte of a release on a machine is as its name says."""
        place = f"{BASE}/releases/{name}"
        manifest = self.run(host, "cat", f"{place}/release.json")
        if hashlib.sha256(manifest.encode()).hexdigest() != name:
            return False
        files: dict[str, str] = json.loads(manifest)["files"]
        sums = self.run(host, "sha256sum", *(f"{place}/{file}" for file in files)).split()[::2]
        return sums == list(files.values())

    def state(self, host: str) -> dict[str, Any]:
        """Return what the supervisor says of the server."""
        state: dict[str, Any] = json.loads(self.run(host, "cat", f"{BASE}/run/state.json"))
        return state

    def answers(self, host: str, port: int = 19500, vantage: str = CONTROLLER) -> bool:
        """Whether a machine's server answers somebody."""
        place = f"{self.up.machines[host]}:{port}"
        argv = [sys.executable, "-m", "hftp", "ls", "--timeout", "3", place]
        channel = self.up.lab.spawn(vantage, argv)
        while channel.readline(20):
            pass
        code = channel.wait(20)
        channel.close()
        return code == 0


@contextmanager
def room(directory: Path, machines: int, disks: Mapping[str, str] | None = None) -> Iterator[Room]:
    """Bring up a room.

    Args:
        directory: an empty one.
        machines: how many, beside the guest.
        disks: the sizes of homes, where they matter.
    """
    names = [f"lab{number:02}" for number in range(1, machines + 1)]
    hosts = [_host(name, number) for number, name in enumerate([*names, GUEST], start=11)]
    topology = with_controller(Topology((LAN,), tuple(hosts)), LAN, 200)
    # Names and keys as in the fleet; only the addresses differ.
    with fleet(replace(topology, hosts=topology.hosts), directory, disks) as up:
        yield Room(up)


def _host(name: str, number: int) -> Host:
    addresses = (ip_interface(f"198.18.1.{number}/24"), ip_interface(f"2001:db8:1::{number}/64"))
    return Host(name, (Link("eth0", "lan", addresses),))


def lines_of(done: Done) -> dict[str, str]:
    """Return a command's lines by machine: what follows the name."""
    return {line.split()[0]: " ".join(line.split()[1:]) for line in done.out.splitlines() if line.split()}


def zipapp_with(files: Mapping[str, bytes], main: str | None = None) -> bytes:
    """Return the HFTP program as one file, with more in it, or with another beginning.

    Args:
        files: what else is in it.
        main: its `__main__.py`.
    """
    old = zipfile.ZipFile(io.BytesIO(hftp_zipapp()))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in old.namelist():
            content = main.encode() if main is not None and name == "__main__.py" else old.read(name)
            archive.writestr(name, content)
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def wait_until(condition: Callable[[], object], patience_s: float = 20.0) -> None:
    """Wait for something to come true."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.05)

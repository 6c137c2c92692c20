"""A fleet of machines for tests: namespace hosts, each with a real OpenSSH daemon, a home and keys.

The daemons run without privileges: in a user namespace inside the host's, as an ordinary account, and serve
just that account. So the fleet needs no root, and ends with the lab. Each machine has processes of its own:
those of the others are not in its /proc, and all of them end with the daemon.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_interface
from pathlib import Path

from netlab.backends.netns import NetnsLab
from netlab.backends.netns.channel import PipeChannel
from netlab.errors import BackendUnavailableError
from netlab.model import Host, Link, NameEntry, Network, Topology
from tests.requirements import unavailable

USER = "student"
CONTROLLER = "controller"
_DISK = "64m"

# $1: the directory of the host's keys; $2: the size of its disk. TMPDIR is in memory, and the host's own.
_SSHD = r"""
set -e
home=$TMPDIR/home
if [ ! -d "$home" ]; then  # otherwise it starts again, with its disk as it was
  mkdir "$home"
  mount -t tmpfs -o "size=$2" home "$home"
  mkdir "$home/.ssh"
fi
cp "$1/authorized_keys" "$home/.ssh/authorized_keys"
{
  echo "student:x:1000:1000::$home:/bin/sh"
  echo "sshd:x:105:65534::/run/sshd:/usr/sbin/nologin"
} > "$TMPDIR/passwd"
mount --bind "$TMPDIR/passwd" /etc/passwd
cat > "$TMPDIR/sshd_config" <<END
HostKey $1/host_key
PidFile none
AuthorizedKeysFile $home/.ssh/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
MaxStartups 200
Subsystem sftp internal-sftp
END
if [ -e "$1/more.sh" ]; then . "$1/more.sh"; fi  # what makes it different from the others
echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start
export HOME="$home"
exec unshare --user --map-user=1000 --map-group=1000 --mount --pid --fork --kill-child --mount-proc \
  /usr/sbin/sshd -D -e -f "$TMPDIR/sshd_config"
"""


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass
class Fleet:
    """Machines that are up, and a controller from which they are reached.

    Attributes:
        lab: the namespaces.
        machines: name -> address.
        directory: keys and configuration, as the controller has them.
        daemons: name -> its sshd.
    """

    lab: NetnsLab
    machines: dict[str, str]
    directory: Path
    daemons: dict[str, PipeChannel] = field(default_factory=dict)

    @property
    def inventory(self) -> Path:
        """The lab.yaml that names the machines."""
        return self.directory / "lab.yaml"

    def netlab(self, *arguments: str, timeout_s: float = 60) -> Done:
        """Run netlab on the controller."""
        return self.run([sys.executable, "-m", "netlab", *arguments], timeout_s=timeout_s)

    def at_a_terminal(self, secret: str, question: str, *arguments: str) -> Done:
        """Run netlab on the controller as somebody who types: see `tests.ssh.terminal`."""
        file = self.directory / "secret"
        file.write_text(secret)
        terminal = Path(__file__).with_name("terminal.py")
        typed = [sys.executable, str(terminal), file.name, question]
        try:
            return self.run([*typed, sys.executable, "-m", "netlab", *arguments], timeout_s=90)
        finally:
            file.unlink()

    def start_machine(self, name: str, disk: str = _DISK) -> None:
        """Start a machine's daemon, once more after it was ended: then its files are still there."""
        own = self.directory / "hosts" / name
        self.daemons[name] = self.lab.spawn(name, ["sh", "-c", _SSHD, "sh", str(own), disk])

    def wait_up(self, name: str) -> None:
        """Wait until a machine's daemon listens."""
        _wait_listening(name, self.daemons[name])

    def run(self, argv: Sequence[str], timeout_s: float = 60) -> Done:
        """Run a program on the controller, to its end."""
        # Its home has the keys and what is known of the machines; its working directory is the inventory's.
        script = 'cd "$1" && export HOME="$1" && shift && exec "$@"'
        channel = self.lab.spawn(CONTROLLER, ["sh", "-c", script, "sh", str(self.directory), *argv])
        deadline = time.monotonic() + timeout_s
        lines = []
        while line := channel.readline(deadline - time.monotonic()):
            lines.append(line)
        code = channel.wait(deadline - time.monotonic())
        done = Done(code, b"".join(lines).decode(), channel.diagnostics())
        channel.close()
        return done


def keygen(path: Path, kind: str = "ed25519", passphrase: str = "") -> None:
    """Make a key pair."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", path], check=True, timeout=60)


def with_controller(topology: Topology, network: Network, number: int) -> Topology:
    """Add a controller to a topology, on one of its networks."""
    assert network.ipv4 is not None
    assert network.ipv6 is not None
    addresses = (
        ip_interface(f"{network.ipv4.network_address + number}/{network.ipv4.prefixlen}"),
        ip_interface(f"{network.ipv6.network_address + int(str(number), 16)}/{network.ipv6.prefixlen}"),
    )
    names = (NameEntry(ip_address("127.0.0.1"), ("localhost",)), NameEntry(ip_address("::1"), ("localhost",)))
    controller = Host(CONTROLLER, (Link("eth0", network.name, addresses),), names=names)
    return replace(topology, hosts=(*topology.hosts, controller))


@contextmanager
def fleet(topology: Topology, directory: Path, disks: Mapping[str, str] | None = None) -> Iterator[Fleet]:
    """Bring up a topology, which has a controller, with an SSH daemon on every other host.

    Args:
        topology: the hosts; the first address of each is the one that the inventory names.
        directory: an empty one, for keys.
        disks: how large a host's home is, where that matters: `1m`.
    """
    if shutil.which("sshd", path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
        unavailable("ssh", "there is no sshd: install openssh-server")
    try:
        with NetnsLab(topology) as lab:
            up = Fleet(lab, _machines(topology), directory)
            _start_daemons(up, disks or {})
            _write_inventory(up)
            yield up
    except BackendUnavailableError as error:
        unavailable("ssh", str(error))


def _machines(topology: Topology) -> dict[str, str]:
    return {
        host.name: str(host.links[0].addresses[0].ip) for host in topology.hosts if host.name != CONTROLLER
    }


def _start_daemons(up: Fleet, disks: Mapping[str, str]) -> None:
    keys = up.directory / ".ssh"
    keys.mkdir(mode=0o700)
    keygen(keys / "id_ed25519")
    known = []
    for name, address in up.machines.items():
        own = up.directory / "hosts" / name
        own.mkdir(parents=True)
        keygen(own / "host_key")
        shutil.copy(keys / "id_ed25519.pub", own / "authorized_keys")
        kind, key, *_ = (own / "host_key.pub").read_text().split()
        known.append(f"{address} {kind} {key}\n")
        up.start_machine(name, disks.get(name, _DISK))
    (keys / "known_hosts").write_text("".join(known))
    for name in up.daemons:
        up.wait_up(name)


def _wait_listening(name: str, daemon: PipeChannel) -> None:
    deadline = time.monotonic() + 20
    while "Server listening" not in daemon.diagnostics():
        assert time.monotonic() < deadline, f"sshd of {name}: {daemon.diagnostics()}"
        time.sleep(0.01)


def _write_inventory(up: Fleet) -> None:
    hosts = "".join(f"  {name}: {{address: {address!r}}}\n" for name, address in up.machines.items())
    up.inventory.write_text(f"defaults: {{user: {USER}}}\nhosts:\n{hosts}")

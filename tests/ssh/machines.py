"""Machines in containers, each with an OpenSSH daemon that root runs, and what else a machine may have.

What the namespace hosts of `tests.ssh.fleet` can't have: accounts with passwords, cron, systemd, a container
engine. They are on a network of the private engine; the controller is this machine, in the engine's network
namespace.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.compose.conftest import Engine
from tests.requirements import unavailable
from tests.ssh.fleet import Done, keygen

USER = "student"
NETWORK = "198.18.240.0/24"
# Where a machine finds the programs of an engine.
_TOOLS = "/opt/engine"

_SSHD = "mkdir -p /run/sshd && exec /usr/sbin/sshd -D -e -o UsePAM=no"
_CRON = "cron && "
_DOCKERD = (
    f"export PATH={_TOOLS}/usr/sbin:{_TOOLS}/usr/bin:$PATH && "
    "{ dockerd --ip6tables=false >/var/log/dockerd.log 2>&1 & } && "
)


@dataclass(frozen=True)
class Kind:
    """A kind of machine.

    Attributes:
        command: its first process.
        options: of `docker create`.
        ready: a command that succeeds once it is up.
    """

    command: Sequence[str]
    options: Sequence[str]
    ready: Sequence[str]


_LISTENS = ("sh", "-c", "ss -Hltn sport = :22 | grep -q .")
# A real machine's /run is empty after each start: cron tells a start by that (Debian's cron, crond.reboot).
_RUN = ("--tmpfs=/run", "--tmpfs=/run/lock")


def kinds(tools: Path) -> Mapping[str, Kind]:
    """Return the kinds of machine that there are.

    Args:
        tools: where an engine's programs are unpacked.
    """
    engine = ("--privileged", "--tmpfs=/var/lib/docker:exec,size=1g", f"--volume={tools}:{_TOOLS}:ro")
    answers = ("sh", "-c", f"{' '.join(_LISTENS[2:])} && docker version >/dev/null 2>&1")
    running = ("sh", "-c", f"{' '.join(_LISTENS[2:])} && systemctl is-system-running")
    return {
        "plain": Kind(("sh", "-c", _CRON + _SSHD), _RUN, _LISTENS),
        "engine": Kind(("sh", "-c", _DOCKERD + _SSHD), (*_RUN, *engine), answers),
        "systemd": Kind(("/sbin/init",), (*_RUN, "--privileged"), running),
    }


@dataclass
class Machines:
    """Machines that are up, and the controller.

    Attributes:
        engine: in which they are.
        namespace: its network namespace.
        directory: the controller's home, with its keys and inventories.
        addresses: of the machines, by name.
        containers: their containers, by name.
        password: of the account on each of them.
    """

    engine: Engine
    namespace: Path
    directory: Path
    addresses: dict[str, str] = field(default_factory=dict)
    containers: dict[str, str] = field(default_factory=dict)
    password: str = field(default_factory=lambda: secrets.token_hex(8))

    def netlab(self, *arguments: str, timeout_s: float = 120) -> Done:
        """Run netlab on the controller."""
        return self.run(self.command(*arguments), timeout_s)

    def command(self, *arguments: str) -> list[str]:
        """Return the command that runs netlab."""
        return [sys.executable, "-m", "netlab", *arguments]

    def run(self, argv: Sequence[str], timeout_s: float = 120) -> Done:
        """Run a program on the controller, to its end."""
        done = subprocess.run(
            self._there(argv),
            cwd=self.directory,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start netlab on the controller, and don't wait for its end."""
        return subprocess.Popen(
            self._there(self.command(*arguments)),
            cwd=self.directory,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def at_a_terminal(self, secret: str, question: str, *arguments: str) -> Done:
        """Run netlab as somebody who types: see `tests.ssh.terminal`."""
        file = self.directory / "secret"
        file.write_text(secret)
        terminal = Path(__file__).with_name("terminal.py")
        try:
            typed = [sys.executable, str(terminal), "secret", question]
            return self.run([*typed, *self.command(*arguments)])
        finally:
            file.unlink()

    def _there(self, argv: Sequence[str]) -> list[str]:
        return ["nsenter", f"--net={self.namespace}", *argv]

    def _environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("SSH_")}
        return {**ours, **self.engine.environment, "HOME": str(self.directory)}

    def inventory(self, serve: str = "", *, only: Sequence[str] = (), defaults: str = "") -> None:
        """Write lab.yaml.

        Args:
            serve: lines of its part `serve`.
            only: the machines in it; all by default.
            defaults: more of them than the account.
        """
        hosts = [f"  {name}: {{address: {self.addresses[name]}}}" for name in only or self.addresses]
        lines = [f"defaults: {{user: {USER}{defaults}}}", "hosts:", *hosts]
        lines += ["serve:", *(f"  {line}" for line in serve.splitlines())] if serve else []
        (self.directory / "lab.yaml").write_text("\n".join(lines) + "\n")

    def on(self, name: str, *argv: str, user: str = "root") -> str:
        """Run a program on a machine; return what it prints."""
        return self.engine("exec", "--user", user, "--workdir", "/", self.containers[name], *argv)

    def shell(self, name: str, script: str, user: str = USER) -> str:
        """Run a shell's script in the account's home; return what it prints."""
        return self.on(name, "sh", "-c", f"cd ~{user} && export HOME=$PWD && {script}", user=user)

    def start_again(self, name: str) -> None:
        """Cut a machine's power, and give it back."""
        self.engine("restart", "--time", "0", self.containers[name])
        self.wait_up(name)

    def wait_up(self, name: str) -> None:
        """Wait until a machine is up."""
        ready = kinds(Path())[name.rstrip("0123456789")].ready
        deadline = time.monotonic() + 60
        while self.engine.run("exec", self.containers[name], *ready).returncode:
            assert time.monotonic() < deadline, f"{name}: {self.engine.run('logs', self.containers[name])}"
            time.sleep(0.1)

    def allow(self, key: Path) -> None:
        """Let who has a key log in on every machine."""
        public = key.with_suffix(".pub").read_text().strip()
        for name in self.containers:
            self.shell(name, f"mkdir -p .ssh && echo '{public}' > .ssh/authorized_keys")

    def serves(self, name: str, port: int = 19500) -> bool:
        """Whether a machine's server answers the controller."""
        place = f"{self.addresses[name]}:{port}"
        return self.run([sys.executable, "-m", "hftp", "ls", "--timeout", "3", place]).code == 0


@contextmanager
def machines(engine: Engine, directory: Path, names: Sequence[str]) -> Iterator[Machines]:
    """Bring machines up, and see that nothing is left of them.

    Args:
        engine: in which.
        directory: an empty one.
        names: the kind, and a number if there are several.
    """
    image = _image(engine)
    state = _private(engine)
    lab = f"netlab-machines-{os.getpid()}"
    up = Machines(engine, Path(str(state["netns"])), directory)
    keys = directory / ".ssh"
    keys.mkdir(mode=0o700)
    keygen(keys / "id_ed25519")
    engine("network", "create", "--subnet", NETWORK, lab)
    try:
        known = []
        for number, name in enumerate(names, start=11):
            kind = kinds(Path(str(state["docker"])).parents[2])[name.rstrip("0123456789")]
            up.addresses[name] = NETWORK.replace("0/24", str(number))
            network = ("--network", lab, "--ip", up.addresses[name], "--hostname", name)
            made = engine("create", "--label", lab, *network, *kind.options, image, *kind.command)
            up.containers[name] = made
            known.append(f"{up.addresses[name]} {_prepare(up, name)}\n")
            engine("start", made)
        (keys / "known_hosts").write_text("".join(known))
        for name in names:
            up.wait_up(name)
            _add_account(up, name)
        up.allow(keys / "id_ed25519")
        yield up
    finally:
        left = engine("ps", "--all", "--quiet", "--filter", f"label={lab}").split()
        if left:
            engine("rm", "--force", "--volumes", *left)
        engine("network", "rm", lab)


def _prepare(up: Machines, name: str) -> str:
    """Give a machine its host key, and the way to an engine; return the key as known_hosts files have it."""
    own = up.directory / "hosts" / name
    (own / "etc/ssh").mkdir(parents=True)
    keygen(own / "etc/ssh/ssh_host_ed25519_key")
    (own / "usr/local/bin").mkdir(parents=True)
    (own / "usr/local/bin/docker").symlink_to(f"{_TOOLS}/usr/bin/docker")
    up.engine("cp", f"{own}/.", f"{up.containers[name]}:/")
    return " ".join((own / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[:2])


def _add_account(up: Machines, name: str) -> None:
    """Add the account: no root, no sudo; where there is an engine, it may use it."""
    engine = "engine" in name
    group = "groupadd --force docker && chgrp docker /var/run/docker.sock && " if engine else ""
    more = "--groups docker" if engine else ""
    up.on(name, "sh", "-c", f"{group}useradd --create-home --shell /bin/sh {more} {USER}")
    told = subprocess.run(
        ["docker", "exec", "--interactive", up.containers[name], "chpasswd"],
        env=up.engine.environment,
        input=f"{USER}:{up.password}\n",
        text=True,
        capture_output=True,
    )
    assert told.returncode == 0, told.stderr


def _image(engine: Engine) -> str:
    found = engine(
        "image", "ls", "--filter", "reference=netlab-machine", "--format", "{{.Repository}}:{{.Tag}}"
    )
    if not found:
        unavailable("compose", "the engine has no image netlab-machine; try: make machine-image")
    return found.split()[0]


def _private(engine: Engine) -> Mapping[str, object]:
    host = engine.environment.get("DOCKER_HOST", "").removeprefix("unix://")
    try:
        state: dict[str, object] = json.loads(Path(host).with_name("engine.json").read_text())
    except OSError:
        unavailable("compose", "machines need the programs of a private engine; try: make engine")
    return state

"""An inventory as values: machines, how each is reached over SSH, and what is to be served on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# The interpreter that a machine is taken to have.
PYTHON = "python3"


@dataclass(frozen=True, slots=True)
class Login:
    """How an SSH server is reached and who logs in there.

    Attributes:
        address: a name or an address.
        port: the SSH server's TCP port.
        user: the account; empty means this process's own user.
        keys: private key files, tried in their order; `~` is expanded already.
        only_these_keys: whether neither the agent's nor the default keys are tried (IdentitiesOnly).
        known_hosts: the files with the host keys that are accepted; empty means `~/.ssh/known_hosts`.
        host_key_alias: what these files call the server; empty for its address and port.
    """

    address: str
    port: int = 22
    user: str = ""
    keys: tuple[Path, ...] = ()
    only_these_keys: bool = False
    known_hosts: tuple[Path, ...] = ()
    host_key_alias: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of the lab.

    Attributes:
        name: what it is called everywhere; unique in the inventory.
        login: how to get there.
        jumps: the machines in between, the first one first (ProxyJump).
        groups: what it belongs to, without `all`.
        python: the interpreter on it that runs the agent and the server.
    """

    name: str
    login: Login
    jumps: tuple[Login, ...] = ()
    groups: tuple[str, ...] = ()
    python: str = PYTHON


@dataclass(frozen=True, slots=True)
class Serving:
    """What is to be served on the machines, and who must reach it.

    Attributes:
        hosts: names of machines or groups; `all` stands for every machine.
        addresses: where the server listens: names or addresses, as for `hftp serve --address`.
        port: its TCP port.
        directory: the data directory on the machine; relative to the account's home unless absolute.
        reachable_from: machines, groups or `controller` that must get through.
        not_from: those that must not.
        keep: how many earlier releases are kept for a rollback.
    """

    hosts: tuple[str, ...] = ("all",)
    addresses: tuple[str, ...] = ("0.0.0.0",)
    port: int = 19500
    directory: str = "hftp-data"
    reachable_from: tuple[str, ...] = ()
    not_from: tuple[str, ...] = ()
    keep: int = 3


_DEFAULT = Serving()


@dataclass(frozen=True, slots=True)
class Inventory:
    """Machines, and what to serve on them.

    Attributes:
        source: the file, as the user named it.
        machines: in the file's order.
        notes: what the file says that is not followed, and why; one line each.
    """

    source: str
    machines: tuple[Machine, ...]
    serving: Serving = _DEFAULT
    notes: tuple[str, ...] = ()

    def machine(self, name: str) -> Machine:
        """Return the machine of that name.

        Raises:
            KeyError: there is none.
        """
        for machine in self.machines:
            if machine.name == name:
                return machine
        raise KeyError(name)

    def named(self, names: tuple[str, ...]) -> tuple[Machine, ...]:
        """Return the machines that a list of machines and groups means, each once, in the inventory's order.

        Raises:
            KeyError: neither a machine nor a group is called so.
        """
        for name in names:
            if name != "all" and not any(name == m.name or name in m.groups for m in self.machines):
                raise KeyError(name)
        wanted = set(names)
        return tuple(m for m in self.machines if wanted & {"all", m.name, *m.groups})

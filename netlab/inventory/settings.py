"""What a file says about reaching a machine, before everything that says something is put together."""

from __future__ import annotations

import os
import pwd
import re
from dataclasses import dataclass, field
from pathlib import Path

from netlab.inventory.model import Serving
from netlab.inventory.names import check_host, check_port, check_user, shown


@dataclass(frozen=True, slots=True)
class Hop:
    """A machine in between, as ProxyJump names it.

    Attributes:
        host: a name or an address; in an OpenSSH configuration, tokens such as %h may stand in it.
        user: empty: whatever else applies to the host.
        port: None: whatever else applies to the host.
        listed: whether `host` is the name of a machine of the inventory.
    """

    host: str
    user: str = ""
    port: int | None = None
    listed: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """What one place says about reaching a machine; None where it says nothing.

    Attributes:
        address: a name or an address; %h in it is the name that it is looked up by.
        user: the account.
        port: the SSH server's.
        keys: private key files, with `~` and ssh's tokens still in them; of several places, all count.
        only_these_keys: IdentitiesOnly.
        known_hosts: files, with `~` and ssh's tokens still in them.
        host_key_alias: what these files call the machine (HostKeyAlias).
        jump: the way; no hops: explicitly none.
        python: the interpreter.
    """

    address: str | None = None
    user: str | None = None
    port: int | None = None
    keys: tuple[str, ...] = ()
    only_these_keys: bool | None = None
    known_hosts: tuple[str, ...] | None = None
    host_key_alias: str | None = None
    jump: tuple[Hop, ...] | None = None
    python: str | None = None

    def over(self, other: Settings) -> Settings:
        """Return these settings, and where they say nothing, the other ones.

        Keys add up, as in ssh.
        """
        return Settings(
            address=self.address if self.address is not None else other.address,
            user=self.user if self.user is not None else other.user,
            port=self.port if self.port is not None else other.port,
            keys=tuple(dict.fromkeys(self.keys + other.keys)),
            only_these_keys=(
                self.only_these_keys if self.only_these_keys is not None else other.only_these_keys
            ),
            known_hosts=self.known_hosts if self.known_hosts is not None else other.known_hosts,
            host_key_alias=self.host_key_alias if self.host_key_alias is not None else other.host_key_alias,
            jump=self.jump if self.jump is not None else other.jump,
            python=self.python if self.python is not None else other.python,
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """A machine as its file has it.

    Attributes:
        name: what it is called.
        settings: what the file says of it.
        groups: what it belongs to.
        line: where the file says so, 1-based.
        key: the same, in the file's own terms: `hosts.lab01`.
    """

    name: str
    settings: Settings
    groups: tuple[str, ...]
    line: int
    key: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A file read, and nothing looked up yet.

    Attributes:
        source: the file, as the user named it.
        entries: the machines, in the file's order.
        serving: what is to be served on them.
        notes: what was not followed, and why.
    """

    source: str
    entries: tuple[Entry, ...]
    serving: Serving = field(default_factory=Serving)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs this, as far as it decides how machines are reached.

    Attributes:
        user: the name.
        number: the user ID.
        home: what `~` and %d stand for, and where `.ssh` is.
        machine: this machine's name.
    """

    user: str
    number: int
    home: Path
    machine: str

    @classmethod
    def own(cls) -> Account:
        """Return the account of this process."""
        number = os.getuid()
        try:
            user = pwd.getpwuid(number).pw_name
        except KeyError:  # in a container, started with a number
            user = str(number)
        return cls(user, number, Path.home(), os.uname().nodename)


_HOP = re.compile(r"(?:(?P<user>.*)@)?(?:\[(?P<bracketed>[^\]]*)\]|(?P<host>[^:]*))(?::(?P<port>.*))?")
# More machines in a row are a slip, or a name that grows with every hop.
MOST_HOPS = 16


def read_hops(text: str) -> tuple[Hop, ...]:
    """Return the way that ProxyJump's value names: `none`, or `[user@]host[:port]` with commas between.

    Raises:
        ValueError: it names none.
    """
    if text.strip().lower() == "none":
        return ()
    pieces = text.split(",")
    if len(pieces) > MOST_HOPS:
        raise ValueError(f"more than {MOST_HOPS} hops")
    return tuple(_hop(piece.strip()) for piece in pieces)


def _hop(text: str) -> Hop:
    bare = text[6:].removesuffix("/") if text[:6].lower() == "ssh://" else text
    found = _HOP.fullmatch(bare)
    host = found and (found["bracketed"] or found["host"])
    if found is None or not host:
        raise ValueError(
            f"{shown(text)} is no hop: write [user@]host[:port], or [user@][address]:port for IPv6"
        )
    if "%" not in host or found["bracketed"]:
        check_host(host)
    user = check_user(found["user"]) if found["user"] is not None else ""
    port = check_port(found["port"]) if found["port"] is not None else None
    return Hop(host, user, port)

"""Host keys: whom we talk to is checked before anything is said, and a new key is not believed by itself."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import paramiko

from netlab.errors import NetlabError
from netlab.inventory.model import Login

_DEFAULT_FILE = Path("~/.ssh/known_hosts")
_writing = threading.Lock()


class UnknownHostKeyError(NetlabError):
    """A host shows a key that no known_hosts file has.

    Args:
        place: the host as known_hosts files write it.
        key: what it showed.
    """

    def __init__(self, place: str, key: paramiko.PKey) -> None:
        super().__init__(place)
        self.place, self.key = place, key

    def __str__(self) -> str:
        return (
            f"the host key of {self.place} is not known ({self.key.get_name()} {fingerprint(self.key)}): "
            "compare it with what 'ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub' says there, then use "
            "--accept-new"
        )


class ChangedHostKeyError(NetlabError):
    """A host shows another key than the one that is known.

    Args:
        place: the host as known_hosts files write it.
        known: the key that was expected.
        shown: the key that it showed.
    """

    def __init__(self, place: str, known: paramiko.PKey, shown: paramiko.PKey) -> None:
        super().__init__(place)
        self.place, self.known, self.shown = place, known, shown

    def __str__(self) -> str:
        return (
            f"THE HOST KEY OF {self.place} HAS CHANGED: expected {fingerprint(self.known)}, got "
            f"{fingerprint(self.shown)}: somebody may be in between; if the machine was installed anew, "
            f"remove the old key with \"ssh-keygen -R '{self.place}'\""
        )


def fingerprint(key: paramiko.PKey) -> str:
    """Return a key's fingerprint as OpenSSH writes it: `SHA256:...` (ssh-keygen(1), -l)."""
    digest = hashlib.sha256(key.asbytes()).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def place_of(login: Login) -> str:
    """Return a host as known_hosts files write it: `[name]:port` unless the port is 22 (sshd(8)).

    An alias stands alone, without a port: OpenSSH's sshconnect.c, get_hostfile_hostname_ipaddr().
    """
    if login.host_key_alias:
        return login.host_key_alias
    return login.address if login.port == 22 else f"[{login.address}]:{login.port}"


def files_of(login: Login) -> tuple[Path, ...]:
    """Return the known_hosts files that count for a login."""
    return tuple(path.expanduser() for path in login.known_hosts or (_DEFAULT_FILE,))


def check_host_key(login: Login, shown: paramiko.PKey, *, accept_new: bool) -> None:
    """Compare the key that a host shows with what is known of it.

    Args:
        login: whom we meant to reach.
        shown: the key that it has proved to own.
        accept_new: whether the key of a host of which none is known is recorded, and believed.

    Raises:
        UnknownHostKeyError: no key of that kind is known of it.
        ChangedHostKeyError: another one is.
    """
    place = place_of(login)
    entries = _known(login)
    expected = entries.get(shown.get_name()) if entries is not None else None
    if expected is not None:
        if expected.asbytes() != shown.asbytes():
            raise ChangedHostKeyError(place, expected, shown)
        return
    if entries is not None and len(entries):
        raise ChangedHostKeyError(place, next(iter(entries.values())), shown)
    if not accept_new:
        raise UnknownHostKeyError(place, shown)
    _record(files_of(login)[0], place, shown)


def preferred_first(login: Login, kinds: Sequence[str]) -> tuple[str, ...]:
    """Return the kinds of host key to ask for: those that are known of a host first, as ssh(1) does."""
    known = set(_known(login) or ())
    # An RSA key is used with newer signatures than the one that it is named for (RFC 8332).
    if "ssh-rsa" in known:
        known |= {"rsa-sha2-512", "rsa-sha2-256"}
    return tuple(sorted(kinds, key=lambda kind: kind not in known))


def _known(login: Login) -> Mapping[str, paramiko.PKey] | None:
    known = paramiko.HostKeys()
    for path in files_of(login):
        if path.is_file():
            known.load(str(path))
    return known.lookup(place_of(login))


def _record(path: Path, place: str, key: paramiko.PKey) -> None:
    """Append a line to a known_hosts file: nothing that is in it changes."""
    with _writing:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("a", encoding="ascii") as file:
            file.write(f"{place} {key.get_name()} {key.get_base64()}\n")

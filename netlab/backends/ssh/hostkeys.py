"""Host keys: whom we talk to is checked before anything is said, and a new key is not believed by itself."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import paramiko

from netlab.errors import NetlabError
from netlab.inventory.model import Login
from netlab.inventory.openssh import matches

_DEFAULT_FILE = Path("~/.ssh/known_hosts")
# In which file a kind of key is on the host (sshd_config(5), HostKey); of ECDSA there are three.
_FILES = {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa"}
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
        kind = self.key.get_name()
        file = f"/etc/ssh/ssh_host_{_FILES.get(kind, 'ecdsa')}_key.pub"
        shown = f"{kind} {fingerprint(self.key.asbytes())}"
        return (
            f"the host key of {self.place} is not known ({shown}): compare it with what "
            f"'ssh-keygen -l -f {file}' says there, then use --accept-new"
        )


class ChangedHostKeyError(NetlabError):
    """A host shows another key than those that are known.

    Args:
        place: the host as known_hosts files write it.
        known: the key that was expected.
        shown: the key that it showed.
    """

    def __init__(self, place: str, known: bytes, shown: bytes) -> None:
        super().__init__(place)
        self.place, self.known, self.shown = place, known, shown

    def __str__(self) -> str:
        return (
            f"THE HOST KEY OF {self.place} HAS CHANGED: expected {fingerprint(self.known)}, got "
            f"{fingerprint(self.shown)}: somebody may be in between; if the machine was installed anew, "
            f"remove the old key with \"ssh-keygen -R '{self.place}'\""
        )


class RevokedHostKeyError(NetlabError):
    """A host shows a key that is marked as one that nobody may show any more.

    Args:
        place: the host as known_hosts files write it.
        shown: the key that it showed.
    """

    def __init__(self, place: str, shown: bytes) -> None:
        super().__init__(place)
        self.place, self.shown = place, shown

    def __str__(self) -> str:
        return (
            f"THE HOST KEY OF {self.place} IS REVOKED ({fingerprint(self.shown)}): somebody may be in between"
        )


def fingerprint(key: bytes) -> str:
    """Return the fingerprint of a public key as OpenSSH writes it: `SHA256:...` (ssh-keygen(1), -l)."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


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
        RevokedHostKeyError: it is marked as one that nobody may show.
        ChangedHostKeyError: others are known of it.
        UnknownHostKeyError: none is known of it.
        NetlabError: a known_hosts file can't be read or written.
    """
    place, key = place_of(login), shown.asbytes()
    known = [entry for entry in _entries(login) if entry.marker != _AUTHORITY]
    if any(entry.marker == _REVOKED and entry.key == key for entry in known):
        raise RevokedHostKeyError(place, key)
    expected = [entry for entry in known if not entry.marker]
    if any(entry.key == key for entry in expected):
        return
    if expected:
        alike = [entry for entry in expected if entry.kind == shown.get_name()]
        raise ChangedHostKeyError(place, (alike or expected)[0].key, key)
    if not accept_new:
        raise UnknownHostKeyError(place, shown)
    _record(files_of(login)[0], place, shown)


def preferred_first(login: Login, kinds: Sequence[str]) -> tuple[str, ...]:
    """Return the kinds of host key to ask for: those that are known of a host first, as ssh(1) does."""
    known = {entry.kind for entry in _entries(login) if not entry.marker}
    # An RSA key is used with newer signatures than the one that it is named for (RFC 8332).
    if "ssh-rsa" in known:
        known |= {"rsa-sha2-512", "rsa-sha2-256"}
    return tuple(sorted(kinds, key=lambda kind: kind not in known))


# --- Files: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT -----------------------------------------------------------

_AUTHORITY, _REVOKED = "@cert-authority", "@revoked"
_HASHED = "|1|"


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line of a known_hosts file.

    Attributes:
        marker: `@revoked`, `@cert-authority`, or nothing.
        kind: of the key: `ssh-ed25519`.
        key: as it goes over the wire (RFC 4253, 6.6).
    """

    marker: str
    kind: str
    key: bytes


def _entries(login: Login) -> Iterator[_Entry]:
    """Yield what the files say of a host."""
    place = place_of(login).lower()
    for path in files_of(login):
        for line in _lines(path):
            words = line.split()
            marker = words.pop(0) if words and words[0].startswith("@") else ""
            if len(words) < 3 or words[0].startswith("#") or not _means(words[0], place):
                continue
            with suppress(binascii.Error, ValueError):
                yield _Entry(marker, words[1], binascii.a2b_base64(words[2]))


def _lines(path: Path) -> Sequence[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ()
    except OSError as error:
        raise NetlabError(f"known hosts {path}: {error.strerror}") from None


def _means(names: str, place: str) -> bool:
    """Say whether the names of a line, which may be patterns or a hash of one, are a host's."""
    if not names.startswith(_HASHED):
        return matches(tuple(names.lower().split(",")), place)
    try:
        return paramiko.HostKeys.hash_host(place, names) == names
    except (AssertionError, ValueError):  # it is cut short
        return False


def _record(path: Path, place: str, key: paramiko.PKey) -> None:
    """Append a line to a known_hosts file: nothing that is in it changes."""
    line = f"{place} {key.get_name()} {key.get_base64()}\n"
    try:
        with _writing:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with path.open("a+b") as file:
                ends = not file.tell() or (file.seek(-1, os.SEEK_END), file.read(1))[1] == b"\n"
                file.write((line if ends else f"\n{line}").encode())
    except OSError as error:
        raise NetlabError(f"known hosts {path}: {error.strerror}") from None

"""Keys to log in with: those that the agent holds, and those in files, which may be encrypted or no keys."""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from paramiko.pkey import UnknownKeyType

from netlab.backends.ssh.problems import in_words
from netlab.backends.ssh.secrets import Secrets
from netlab.inventory.model import Login

# The keys that ssh(1) tries where none is named (ssh_config(5), IdentityFile).
_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
# Public keys and certificates begin with their kind: ssh-ed25519, ecdsa-sha2-..., sk-ssh-...
_PUBLIC = (b"ssh-", b"ecdsa-", b"sk-")
_UNREADABLE = (ValueError, paramiko.SSHException, UnknownKeyType, UnsupportedAlgorithm)


class Keys:
    """The keys for a login; a file is read, and its passphrase asked for, when its turn comes.

    Args:
        login: names the files.
        secrets: knows passphrases, or asks for them.

    Attributes:
        problems: why files that were named could not be used.
    """

    def __init__(self, login: Login, secrets: Secrets) -> None:
        self._login, self._secrets = login, secrets
        self.problems: list[str] = []

    def __iter__(self) -> Iterator[paramiko.PKey]:
        """Yield the agent's keys that are named, its others, and then the files'.

        Source: OpenSSH's sshconnect2.c, pubkey_prepare().
        """
        files = self._files()
        public = {path: _maybe_public(path) for path in files}
        held = {key.asbytes(): key for key in _agent_keys()}
        for blob in public.values():
            if blob in held:
                yield held[blob]
        if not self._login.only_these_keys:
            yield from (key for blob, key in held.items() if blob not in public.values())
        for path in files:
            if public[path] not in held and (key := self._maybe_load(path)) is not None:
                yield key

    def _files(self) -> Sequence[Path]:
        named = [path.expanduser() for path in self._login.keys]
        if named or self._login.only_these_keys:
            return named
        home = Path("~/.ssh").expanduser()
        return [home / name for name in _DEFAULT_KEYS if (home / name).is_file()]

    def _maybe_load(self, path: Path) -> paramiko.PKey | None:
        try:
            return self._load(path)
        except FileNotFoundError:
            problem = "there is no such file"
        except OSError as error:
            problem = in_words(error)
        except _UNREADABLE:
            problem = "is a public key: name the private one" if _is_public(path) else "is no private key"
        except _LockedError as locked:
            problem = str(locked)
        self.problems.append(f"{path} {problem}")
        return None

    def _load(self, path: Path) -> paramiko.PKey:
        with suppress(
            paramiko.PasswordRequiredException, TypeError
        ):  # the latter is the cryptography library's
            return paramiko.PKey.from_path(path)
        passphrase = self._secrets.passphrase(path)
        if passphrase is None:
            raise _LockedError("is encrypted, and there is no terminal to ask for its passphrase on")
        try:
            return paramiko.PKey.from_path(path, passphrase.encode())  # type: ignore[arg-type]  # bytes, in truth
        except (*_UNREADABLE, TypeError):
            raise _LockedError("has another passphrase") from None


class _LockedError(Exception):
    """A key is encrypted, and its passphrase is not known."""


def _agent_keys() -> Sequence[paramiko.PKey]:
    with suppress(paramiko.SSHException, OSError):
        return paramiko.Agent().get_keys()
    return ()


def _maybe_public(path: Path) -> bytes | None:
    """Return the public key beside a private one, as the agent would name it; None where there is none."""
    with suppress(OSError, IndexError, binascii.Error):
        return binascii.a2b_base64(path.with_name(f"{path.name}.pub").read_bytes().split()[1])
    return None


def _is_public(path: Path) -> bool:
    with suppress(OSError):
        return path.read_bytes().startswith(_PUBLIC)
    return False

"""A connection to a machine: by its jump hosts, its host key checked, logged in, reused for everything."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import paramiko

from netlab.backends.ssh.hostkeys import check_host_key, preferred_first
from netlab.backends.ssh.secrets import Secrets
from netlab.errors import LabError, NetlabError
from netlab.inventory.model import Login, Machine
from netlab.model import endpoint

# How long a TCP connection, and then each step of the SSH handshake, may take.
_CONNECT_S = 10.0
_HANDSHAKE_S = 15.0
# Keeps routers on the way from forgetting the connection, and notices that a machine is gone.
_KEEPALIVE_S = 15
# The keys that ssh(1) tries where none is named (ssh_config(5), IdentityFile).
_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


@dataclass(frozen=True)
class Terms:
    """On what terms connections are made.

    Attributes:
        accept_new: whether host keys that are not known are recorded and believed.
        secrets: where passphrases and passwords come from.
        agent: whether the SSH agent is asked.
    """

    accept_new: bool = False
    secrets: Secrets = field(default_factory=Secrets)
    agent: bool = True


class ConnectError(LabError):
    """A machine can't be logged in to.

    Args:
        where: the machine, or the jump host on the way to it.
        problem: what went wrong, and what to do about it.
    """

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(where, problem)
        self.where, self.problem = where, problem

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


class Connection:
    """An authenticated SSH connection to a machine, as a context manager.

    Args:
        machine: where to.
        terms: on what terms.

    Raises:
        ConnectError: it can't be made.
    """

    def __init__(self, machine: Machine, terms: Terms) -> None:
        self.machine = machine
        with ExitStack() as stack:
            transport: paramiko.Transport | None = None
            for login in (*machine.jumps, machine.login):
                transport = stack.enter_context(_transport(login, transport, terms))
            assert transport is not None
            self._transport = transport
            self._hops = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection and those through which it goes. Safe to repeat."""
        self._hops.close()

    def session(self) -> paramiko.Channel:
        """Return a new channel, on which a command can be run.

        Raises:
            LabError: the machine is gone.
        """
        try:
            return self._transport.open_session(timeout=_HANDSHAKE_S)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise LabError(f"{self.machine.name}: the connection is gone: {_said(error)}") from None

    def sftp(self) -> paramiko.SFTPClient:
        """Return a file transfer session.

        Raises:
            LabError: the machine is gone, or offers none.
        """
        try:
            client = paramiko.SFTPClient.from_transport(self._transport)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise LabError(f"{self.machine.name}: no SFTP: {_said(error)}") from None
        assert client is not None
        return client


def _transport(login: Login, through: paramiko.Transport | None, terms: Terms) -> paramiko.Transport:
    where = endpoint(login.address, login.port)
    transport = paramiko.Transport(_socket(login, through, where))
    transport.banner_timeout = transport.auth_timeout = _HANDSHAKE_S
    options = transport.get_security_options()
    options.key_types = preferred_first(login, options.key_types)
    try:
        transport.start_client(timeout=_HANDSHAKE_S)
        check_host_key(login, transport.get_remote_server_key(), accept_new=terms.accept_new)
        _authenticate(transport, login, terms)
    except NetlabError:
        transport.close()
        raise
    except (paramiko.SSHException, OSError, EOFError) as error:
        transport.close()
        raise ConnectError(where, f"no SSH: {_said(error)}") from None
    transport.set_keepalive(_KEEPALIVE_S)
    return transport


def _socket(login: Login, through: paramiko.Transport | None, where: str) -> socket.socket | paramiko.Channel:
    try:
        if through is None:
            return socket.create_connection((login.address, login.port), timeout=_CONNECT_S)
        return through.open_channel(
            "direct-tcpip", (login.address, login.port), ("127.0.0.1", 0), timeout=_CONNECT_S
        )
    except paramiko.ChannelException as error:
        raise ConnectError(where, f"the jump host can't reach it: {error.text or error}") from None
    except socket.gaierror as error:
        raise ConnectError(where, f"the name has no address: {error.strerror}") from None
    except TimeoutError:
        raise ConnectError(where, f"no answer within {_CONNECT_S:.0f} s: is it up?") from None
    except (OSError, paramiko.SSHException) as error:
        raise ConnectError(where, _said(error)) from None


# --- Authentication ----------------------------------------------------------------------------------------


def _authenticate(transport: paramiko.Transport, login: Login, terms: Terms) -> None:
    """Try the agent's keys, then the key files, then a password, as ssh(1) does."""
    user = login.user or getpass.getuser()
    keys, locked = _keys(login, terms)
    for key in keys:
        with suppress(paramiko.AuthenticationException):
            transport.auth_publickey(user, key)
            return
    if "password" in _allowed(transport, user):
        password = terms.secrets.password(user)
        if password is not None:
            with suppress(paramiko.AuthenticationException):
                transport.auth_password(user, password)
                return
    where = endpoint(login.address, login.port)
    sealed = "".join(
        f"; {path} is encrypted, and there is no terminal to ask for its passphrase on" for path in locked
    )
    remedy = "" if sealed else "; name the right one (key: in lab.yaml, IdentityFile in ~/.ssh/config)"
    raise ConnectError(where, f"{user} may not log in: {len(keys)} keys were tried{sealed}{remedy}")


def _allowed(transport: paramiko.Transport, user: str) -> list[str]:
    """Return the ways to authenticate that the server offers (RFC 4252, 5.2: a request of method `none`)."""
    try:
        transport.auth_none(user)
    except paramiko.BadAuthenticationType as error:
        return list(error.allowed_types)
    except paramiko.SSHException:
        return []
    return []


def _keys(login: Login, terms: Terms) -> tuple[Sequence[paramiko.PKey], Sequence[Path]]:
    """Return the keys to try, and the files whose passphrase nobody knows."""
    keys: list[paramiko.PKey] = []
    locked: list[Path] = []
    named = [path.expanduser() for path in login.keys]
    if terms.agent and not login.only_these_keys:
        with suppress(paramiko.SSHException, OSError):
            keys += paramiko.Agent().get_keys()
    if not named and not login.only_these_keys:
        home = Path("~/.ssh").expanduser()
        named = [home / name for name in _DEFAULT_KEYS if (home / name).is_file()]
    for path in named:
        key = _maybe_load(path, terms.secrets)
        if key is None:
            locked.append(path)
        else:
            keys.append(key)
    return keys, locked


def _maybe_load(path: Path, secrets: Secrets) -> paramiko.PKey | None:
    """Read a private key file, asking for its passphrase where it has one; None if nobody knows it.

    Raises:
        NetlabError: it can't be read.
    """
    try:
        return paramiko.PKey.from_path(path)
    except paramiko.PasswordRequiredException:
        pass
    except TypeError:  # how the cryptography library says that a passphrase is needed
        pass
    except (OSError, ValueError, paramiko.SSHException) as error:
        raise NetlabError(f"key {path}: {_said(error)}") from None
    passphrase = secrets.passphrase(path)
    if passphrase is None:
        return None
    try:
        return paramiko.PKey.from_path(path, passphrase.encode())  # type: ignore[arg-type]  # bytes, in truth
    except (OSError, ValueError, paramiko.SSHException, TypeError):
        raise NetlabError(f"key {path}: the passphrase is wrong") from None


def _said(error: BaseException) -> str:
    """Return a foreign error's own words in one line; its class, where it has none."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__

"""A connection to a machine: by its jump hosts, its host key checked, logged in, reused for everything."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import paramiko

from netlab.backends import PARALLEL
from netlab.backends.ssh.authentication import authenticate
from netlab.backends.ssh.hostkeys import check_host_key, preferred_first
from netlab.backends.ssh.problems import CONNECTION_ERRORS, ConnectError, in_words
from netlab.backends.ssh.secrets import Secrets
from netlab.errors import LabError, NetlabError
from netlab.inventory.model import Login, Machine
from netlab.model import endpoint
from netlab.printable import printable

# How long a TCP connection, and then each step of the SSH handshake, may take.
_CONNECT_S = 10.0
_HANDSHAKE_S = 15.0
# Keeps routers on the way from forgetting the connection, and is not acknowledged by a machine that is gone.
_KEEPALIVE_S = 15
_ACKNOWLEDGED_WITHIN_S = 45

# The logins from here to a machine, the jump hosts first.
_Way = tuple[Login, ...]


@dataclass(frozen=True)
class Terms:
    """On what terms connections are made.

    Attributes:
        accept_new: whether host keys that are not known are recorded and believed.
        parallel: with how many machines at once.
        secrets: where passphrases and passwords come from.
    """

    accept_new: bool = False
    parallel: int = PARALLEL
    secrets: Secrets = field(default_factory=Secrets)


class Connection:
    """An authenticated SSH connection to a machine.

    Args:
        name: the machine's.
        transport: to it.
    """

    def __init__(self, name: str, transport: paramiko.Transport) -> None:
        self.name, self._transport = name, transport

    def session(self) -> paramiko.Channel:
        """Return a new channel, on which a command can be run.

        Raises:
            LabError: the machine is gone.
        """
        try:
            return self._transport.open_session(timeout=_HANDSHAKE_S)
        except CONNECTION_ERRORS as error:
            raise LabError(f"{self.name}: the connection is gone: {in_words(error)}") from None

    def sftp(self) -> paramiko.SFTPClient:
        """Return a file transfer session.

        Raises:
            LabError: the machine is gone, or offers none.
        """
        channel = self.session()
        try:
            with in_time(channel):
                channel.invoke_subsystem("sftp")
                return paramiko.SFTPClient(channel)
        except CONNECTION_ERRORS as error:
            raise LabError(f"{self.name}: no SFTP: {in_words(error)}") from None


@contextmanager
def in_time(channel: paramiko.Channel) -> Iterator[None]:
    """Close a channel whose other end does not answer within the block: paramiko waits without an end."""
    patience = threading.Timer(_HANDSHAKE_S, channel.close)
    patience.daemon = True
    patience.start()
    try:
        yield
    finally:
        patience.cancel()


class Connections:
    """Connections to machines, one to each: all that is behind a jump host goes through the one to it.

    One for each machine would be too many for a jump host: sshd refuses more than a few that have not yet
    logged in (sshd_config(5), MaxStartups). Safe to use from several threads.

    Args:
        terms: on what terms they are made.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._made: dict[_Way, Future[paramiko.Transport]] = {}
        self._begun: list[paramiko.Transport] = []
        self._closed = False
        self._choosing = threading.Lock()

    def to(self, machine: Machine) -> Connection:
        """Return the connection to a machine, made now if nobody has asked for it yet.

        Raises:
            NetlabError: it can't be made.
        """
        return Connection(machine.name, self._transport((*machine.jumps, machine.login)))

    def close(self) -> None:
        """End all of them, the farthest first; who waits for one that is not made yet waits no more.

        Safe to repeat.
        """
        with self._choosing:
            self._closed = True
        for made in self._made.values():
            made.cancel()
        for transport in reversed(self._begun):
            _end(transport)

    def _begin(self, transport: paramiko.Transport) -> None:
        """Note that a handshake begins; if all were ended meanwhile, so is this one: it fails at once."""
        self._begun.append(transport)
        if self._closed:
            _end(transport)

    def _transport(self, way: _Way) -> paramiko.Transport:
        with self._choosing:
            is_first = not self._closed and way not in self._made
            made = self._made.setdefault(way, Future())
        if self._closed:
            made.cancel()
        elif is_first:
            # Nobody can interrupt a resolver, nor a dial that nobody answers: it is left to itself.
            threading.Thread(target=self._make, args=(way, made), name="netlab-connect", daemon=True).start()
        try:
            return made.result()
        except CancelledError:
            raise ConnectError(endpoint(way[-1].address, way[-1].port), "it was not waited for") from None

    def _make(self, way: _Way, made: Future[paramiko.Transport]) -> None:
        with suppress(InvalidStateError):  # nobody waits any more
            try:
                through = self._transport(way[:-1]) if len(way) > 1 else None
                transport = _transport(way[-1], through, self._terms, self._begin)
            except BaseException as error:
                made.set_exception(error)
            else:
                made.set_result(transport)


def _transport(
    login: Login,
    through: paramiko.Transport | None,
    terms: Terms,
    begin: Callable[[paramiko.Transport], None],
) -> paramiko.Transport:
    where = endpoint(login.address, login.port)
    transport = paramiko.Transport(_socket(login, through, where))
    begin(transport)
    transport.banner_timeout = transport.auth_timeout = _HANDSHAKE_S
    options = transport.get_security_options()
    options.key_types = preferred_first(login, options.key_types)
    try:
        transport.start_client(timeout=_HANDSHAKE_S)
        check_host_key(login, transport.get_remote_server_key(), accept_new=terms.accept_new)
        authenticate(transport, login, terms.secrets)
    except NetlabError:
        transport.close()
        raise
    except CONNECTION_ERRORS as error:
        transport.close()
        raise ConnectError(where, f"no SSH: {in_words(error)}") from None
    transport.set_keepalive(_KEEPALIVE_S)
    return transport


def _end(transport: paramiko.Transport) -> None:
    transport.close()
    transport.sock.close()  # of one that has only begun, nothing else is closed


def _socket(login: Login, through: paramiko.Transport | None, where: str) -> socket.socket | paramiko.Channel:
    if through is not None:
        return _tunnel(login, through, where)
    try:
        sock = socket.create_connection((login.address, login.port), timeout=_CONNECT_S)
        # tcp(7): otherwise it is a quarter of an hour
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _ACKNOWLEDGED_WITHIN_S * 1000)
    except socket.gaierror as error:
        raise ConnectError(where, f"the name has no address: {error.strerror}") from None
    except TimeoutError:
        raise ConnectError(where, f"no answer within {_CONNECT_S:.0f} s: is it up?") from None
    except OSError as error:
        raise ConnectError(where, in_words(error)) from None
    return sock


def _tunnel(login: Login, through: paramiko.Transport, where: str) -> paramiko.Channel:
    to = (login.address, login.port)
    try:
        return through.open_channel("direct-tcpip", to, ("127.0.0.1", 0), timeout=_CONNECT_S)
    except CONNECTION_ERRORS as error:
        # Of several that fail at once, paramiko gives the reason to one.
        reason = error.text if isinstance(error, paramiko.ChannelException) else in_words(error)
        raise ConnectError(where, f"the jump host can't reach it: {printable(reason)}") from None

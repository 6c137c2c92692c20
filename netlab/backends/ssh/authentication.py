"""Who we are is proved to a machine: with keys, then with a password, as ssh(1) does."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from contextlib import suppress

import paramiko

from netlab.backends.ssh.keyfiles import Keys
from netlab.backends.ssh.problems import ConnectError
from netlab.backends.ssh.secrets import Secrets
from netlab.inventory.model import Login
from netlab.model import endpoint

_REMEDY = "name the right one (key: in lab.yaml, IdentityFile in ~/.ssh/config)"
_ALONE = "name the right one, and no other (only_these_keys: true, IdentitiesOnly yes)"


def authenticate(transport: paramiko.Transport, login: Login, secrets: Secrets) -> None:
    """Log in.

    Args:
        transport: to a server whose host key was checked.
        login: as whom, and with which keys.
        secrets: where passphrases and passwords come from.

    Raises:
        ConnectError: the server does not let us in.
    """
    user, where = login.user or getpass.getuser(), endpoint(login.address, login.port)
    keys, tried = Keys(login, secrets), 0
    missing: Sequence[str] = ()
    for key in keys:
        tried += 1
        with suppress(paramiko.AuthenticationException):
            missing = transport.auth_publickey(user, key)
            if not missing:
                return
            if "publickey" not in missing:  # that is done; AuthenticationMethods wants something else as well
                break
        if not transport.is_active():  # MaxAuthTries of sshd_config(5)
            raise ConnectError(where, f"it hung up after {_counted(tried)} tried for {user}: {_ALONE}")
    # A server without the one may ask for a password by the other (RFC 4256); to paramiko they are the same.
    by_password = {"password", "keyboard-interactive"} & {*(missing or _allowed(transport, user))}
    password = secrets.password(user) if by_password else None
    if password is not None:
        with suppress(paramiko.AuthenticationException):
            if not transport.auth_password(user, password):
                return
    said = "; ".join([*keys.problems, *([] if keys.problems else [_REMEDY])])
    and_that = ", and a password" if password is not None else ""
    raise ConnectError(where, f"{user} may not log in: {_counted(tried)} tried{and_that}; {said}")


def _allowed(transport: paramiko.Transport, user: str) -> Sequence[str]:
    """Return the ways to authenticate that the server offers (RFC 4252, 5.2: a request of method `none`)."""
    try:
        transport.auth_none(user)
    except paramiko.BadAuthenticationType as error:
        return error.allowed_types
    except paramiko.SSHException:
        pass
    return ()


def _counted(keys: int) -> str:
    return "1 key was" if keys == 1 else f"{keys} keys were"

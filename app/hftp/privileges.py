"""Becoming another user, once the ports are bound that only root may bind."""

from __future__ import annotations

import os

from hftp.errors import UserError


def become(user: str) -> None:
    """Become a user, with its groups, for good.

    Args:
        user: A name or a number, and perhaps a group: ``hftp``, ``10001``, ``hftp:www-data``.

    Raises:
        UserError: There is no such user or group, or this process may not become it.
    """
    import grp
    import pwd

    name, _, group = user.partition(":")
    try:
        entry = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except KeyError as error:
        raise UserError(user, "there is no such user: see  getent passwd") from error
    try:
        gid = entry.pw_gid if not group else int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise UserError(user, f"there is no group {group}: see  getent group") from error
    if (os.getuid(), os.geteuid(), os.getgid()) == (entry.pw_uid, entry.pw_uid, gid):
        return
    try:
        os.initgroups(entry.pw_name, gid)
        os.setgid(gid)
        os.setuid(entry.pw_uid)
    except OverflowError as error:
        raise UserError(user, f"there can be no group {group}") from error
    except OSError as error:
        raise UserError(user, "only root can: leave out --user, or start it as root") from error

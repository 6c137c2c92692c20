"""What may stand in an inventory as a name, an address, a user or a port.

Inventories are copied, generated and shared: what comes out of here goes into a connection, a command on
another machine or a terminal. So each value has a short list of what it may be, and everything else is
refused.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

# RFC 1123, 2.1, and the underscore, which names of machines have and resolvers accept.
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
# RFC 1035, 2.3.4: 255 octets on the wire.
_LONGEST_NAME = 253
# RFC 4007, 11.2: an interface's name; Linux has at most 15 characters (IFNAMSIZ).
_ZONE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_GROUP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")
# As ssh refuses in ssh.c, valid_ruser(), and whitespace.
_NOT_IN_USER = re.compile(r"[\s'\"`$;&<>|(){}]|\\$")
_LONGEST_USER = 128
_PYTHON = re.compile(r"[A-Za-z0-9_./+][A-Za-z0-9_./+-]{0,254}")
# What known_hosts files write a host as (sshd(8)); not a list, a pattern or a hash.
_KEY_ALIAS = re.compile(r"[A-Za-z0-9_\[][A-Za-z0-9_.:\[\]-]{0,254}")
_LONGEST_SHOWN = 60

# Words that stand for something else where machines and groups are listed.
RESERVED = ("all", "controller", "none")


def shown(text: str) -> str:
    """Return text from a file in quotes, on one line, short, and harmless to a terminal."""
    return repr(text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…")


def check_host(text: str) -> str:
    """Return a host's name or address, as it stands there.

    Args:
        text: what somebody wrote: a name of letters, digits, hyphens and dots, or an IP address.

    Raises:
        ValueError: it is neither.
    """
    if text.startswith("-"):
        raise ValueError(f"{shown(text)} starts with a hyphen, as only an option does")
    if not (_is_address(text) or _is_name(text)):
        raise ValueError(
            f"{shown(text)} is neither a host's name (letters, digits, hyphens, dots) nor an address"
        )
    return text


def _is_address(text: str) -> bool:
    plain, scoped, zone = text.partition("%")
    try:
        return bool(IPv6Address(plain)) and (not scoped or _ZONE.fullmatch(zone) is not None)
    except AddressValueError:
        pass
    try:
        return bool(IPv4Address(text))
    except AddressValueError:
        return False


def _is_name(text: str) -> bool:
    labels = text.removesuffix(".").split(".")
    # A name can't be mistaken for an address in one of its old forms: 1.2.3, 0x7f.1 (inet_aton(3)).
    numeric = re.fullmatch(r"[0-9]+|0[xX][0-9A-Fa-f]*", labels[-1]) is not None
    return len(text) <= _LONGEST_NAME and not numeric and all(_LABEL.fullmatch(label) for label in labels)


def check_machine(text: str) -> str:
    """Return what a machine is called.

    Raises:
        ValueError: it can't be called so.
    """
    if text in RESERVED:
        raise ValueError(f"{shown(text)} means something else in lists of machines: choose another name")
    return check_host(text)


def check_group(text: str) -> str:
    """Return what a group is called.

    Raises:
        ValueError: it can't be called so.
    """
    if text in RESERVED:
        raise ValueError(f"{shown(text)} means something else in lists of machines: choose another name")
    if not _GROUP.fullmatch(text):
        raise ValueError(f"{shown(text)} is no group's name (letters, digits, '_', '-', '.')")
    return text


def check_user(text: str) -> str:
    """Return an account's name.

    Raises:
        ValueError: no account is called so.
    """
    if not text or len(text) > _LONGEST_USER or not text.isprintable() or _NOT_IN_USER.search(text):
        raise ValueError(f"{shown(text)} is no user's name: no spaces, quotes or any of $;&<>|(){{}}")
    if text.startswith("-"):
        raise ValueError(f"{shown(text)} starts with a hyphen, as only an option does")
    return text


def check_port(text: str) -> int:
    """Return a TCP port's number.

    Raises:
        ValueError: it is none.
    """
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ValueError(f"{shown(text)} is no port: 1 to 65535")
    return int(text)


def check_key_alias(text: str) -> str:
    """Return the name under which known_hosts files have a host's key: in lower case, as ssh has it.

    Raises:
        ValueError: it can't stand there.
    """
    if not _KEY_ALIAS.fullmatch(text):
        raise ValueError(f"{shown(text)} is no name of a host key: letters, digits and any of _.:[]-")
    return text.lower()


def check_path(text: str) -> str:
    """Return a path.

    Raises:
        ValueError: it is empty, has control characters, or would be taken for an option.
    """
    if not text or not text.isprintable():
        raise ValueError(f"{shown(text)} is no path: it is empty or has control characters")
    if text.startswith("-"):
        raise ValueError(f"{shown(text)} starts with a hyphen, as only an option does: write './{text[:20]}'")
    return text


def check_python(text: str) -> str:
    """Return a Python interpreter's command name or path.

    Raises:
        ValueError: it is neither.
    """
    if not _PYTHON.fullmatch(text):
        raise ValueError(f"{shown(text)} is no interpreter: a command or a whole path, without spaces or ~")
    return text

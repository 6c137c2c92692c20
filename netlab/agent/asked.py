"""What a request may say: each field checked before it is used."""

from __future__ import annotations

import binascii
import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from netlab.agent.shapes import Json


PROTOCOLS = "tcp or udp"


class RequestError(Exception):
    """A request can't be followed: which field, and what is allowed in it."""


def required(request: Json, key: str, valid: Callable[[Any], bool], allowed: str) -> Any:
    """Return a request's field, or raise RequestError with what is allowed there."""
    value = request.get(key)
    if not valid(value):
        raise RequestError(f"{key}: expected {allowed}, got {json.dumps(value)[:60]}")
    return value


def is_text(value: Any) -> bool:
    """Whether it is a text that can be passed to the kernel: not empty, without NUL."""
    return isinstance(value, str) and bool(value) and "\0" not in value


def is_texts(value: Any) -> bool:
    """Whether it is a list of such texts."""
    return isinstance(value, list) and all(is_text(item) for item in value)


def is_string(value: Any) -> bool:
    """Whether it is a text, or none."""
    return isinstance(value, str) and "\0" not in value


def is_bytes(value: Any) -> bool:
    """Whether it is bytes in hexadecimal, at least one."""
    try:
        return isinstance(value, str) and bool(binascii.a2b_hex(value))
    except ValueError:
        return False


def is_days(value: Any) -> bool:
    """Whether it is a number of days, a century at most."""
    return type(value) is int and 0 <= value <= 36525


def is_bool(value: Any) -> bool:
    """Whether it is true or false."""
    return isinstance(value, bool)


def is_argv(value: Any) -> bool:
    """Whether it is a program and its arguments, which may be empty."""
    return isinstance(value, list) and is_text(value[0] if value else None) and all(map(is_string, value))


def is_port(value: Any) -> bool:
    """Whether it is a port."""
    return type(value) is int and 0 < value < 65536


def is_protocol(value: Any) -> bool:
    """Whether it is a protocol that carries a service's messages."""
    return value in ("tcp", "udp")


def is_seconds(value: Any) -> bool:
    """Whether it is a time to wait."""
    return type(value) in (int, float) and 0 < value <= 3600


def is_files(value: Any) -> bool:
    """Whether it is an object from file names, without a directory, to texts."""
    return isinstance(value, dict) and all(
        is_text(name) and "/" not in name and name not in (".", "..") and isinstance(content, str)
        for name, content in value.items()
    )


def is_tools(value: Any) -> bool:
    """Whether it is an object from file names to base64."""
    try:
        return is_files(value) and all(binascii.a2b_base64(content) is not None for content in value.values())
    except ValueError:
        return False


def is_objects(value: Any) -> bool:
    """Whether it is a list of objects."""
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)

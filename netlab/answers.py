"""What an agent answers, as values. It comes from another host: nothing is believed before it is checked."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from netlab.errors import AgentError

_T = TypeVar("_T")

# C0 and DEL, C1, and what is no character at all.
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

# One a form: to make it takes longer than to use it.
_adapters: dict[type, TypeAdapter[Any]] = {}


def read_answer(form: type[_T], host: str, op: str, answer: object) -> _T:
    """Read an agent's answer as a dataclass.

    Args:
        form: the dataclass; fields of other names are passed over.
        host: whose agent it was, for the error.
        op: what was asked, for the error.
        answer: the decoded JSON.

    Raises:
        AgentError: a field is missing or of another form; the message names it.
    """
    answer = _printable(answer)
    adapter: TypeAdapter[_T] = _adapters.get(form) or TypeAdapter(form)
    _adapters[form] = adapter
    try:
        return adapter.validate_python(answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in (op, *first["loc"]))
        raise AgentError(host, f"{where}: {first['msg']}") from None


def _printable(value: object) -> object:
    """Replace what a terminal would take for an order (ISO/IEC 6429): controls, but for newlines."""
    if isinstance(value, str):
        return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, list):
        return [_printable(item) for item in value]
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    return value

"""What an agent answers, as values. It comes from another host: nothing is believed before it is checked."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from netlab.errors import AgentError

_T = TypeVar("_T")

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
    adapter: TypeAdapter[_T] = _adapters.get(form) or TypeAdapter(form)
    _adapters[form] = adapter
    try:
        return adapter.validate_python(answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in (op, *first["loc"]))
        raise AgentError(host, f"{where}: {first['msg']}") from None

"""What an experiment's YAML file may say, and the errors that say where it does not.

`read` gives a `Document`: the validated values, and for every path into them the line it stands on.
"""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedBase
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from netlab.errors import ExperimentError

Path = tuple[str | int, ...]

# RFC 1123, 2.1: letters, digits and hyphens; one label.
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$")]
# Numbers and addresses look alike in YAML: 2001 is one, and `2001:db8::/32` the other.
_Text = BeforeValidator(lambda value: _text(value))
IPv4Prefix = Annotated[IPv4Network, Field(strict=False), _Text]
IPv6Prefix = Annotated[IPv6Network, Field(strict=False), _Text]
# A host's number becomes the last byte of its IPv4 addresses, and reads the same in its IPv6 addresses.
Number = Annotated[int, Field(ge=1, le=254)]
Port = Annotated[int, Field(ge=1, le=65535)]


def _text(value: Any) -> Any:
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "a text")
    return value


class _Section(BaseModel):
    """A mapping with known keys; a key it does not know is an error that lists those that it does."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for key in value:
                if key not in cls.model_fields:
                    raise PydanticCustomError("unknown_key", "{problem}", _unknown(key, [*cls.model_fields]))
        return value


def _unknown(key: object, allowed: list[str]) -> dict[str, Any]:
    close = difflib.get_close_matches(str(key), allowed, n=1)
    meant = f" (did you mean {close[0]!r}?)" if close else ""
    return {"key": key, "problem": f"unknown key{meant}; allowed here: {', '.join(allowed)}"}


class NetworkSection(_Section):
    """One network's prefixes."""

    ipv4: IPv4Prefix | None = None
    ipv6: IPv6Prefix | None = None

    @model_validator(mode="after")
    def _has_a_prefix(self) -> Self:
        if self.ipv4 is None and self.ipv6 is None:
            raise PydanticCustomError("no_prefix", "a network needs ipv4, ipv6 or both")
        return self


class RouteSection(_Section):
    """Packets `to` a network, or `anywhere`, go `via` a host, or for each server via itself (`servers`)."""

    to: str
    via: str


class HostSection(_Section):
    """A host, or what the hosts that run the service have in common.

    Attributes:
        number: the last byte of its addresses; the first server's, and the others follow.
        forwards: whether it is a router.
        names: whether it asks the lab's DNS; otherwise it knows only itself.
    """

    number: Number
    networks: Annotated[list[str], Field(min_length=1)]
    routes: list[RouteSection] = []
    forwards: bool = False
    names: bool = True


class OptionsSection(_Section):
    """What is added to the command for a bind that asks for it."""

    v6only: list[str] = []
    device: list[str] = []


class ServiceSection(_Section):
    """The server under test."""

    command: Annotated[list[str], Field(min_length=1)]
    options: OptionsSection = OptionsSection()
    port: Port
    check: Literal["hftp", "tcp"]


class RunningServiceSection(_Section):
    """A server that somebody else starts."""

    port: Port
    check: Literal["hftp", "tcp"]


class BindSection(_Section):
    """One way to tell the service where to listen."""

    host: Label
    address: str
    v6only: bool = False
    device: str | None = None


class TargetSection(_Section):
    """What is dialled, where an address alone does not say it.

    Attributes:
        address: a name or an address.
        published: dial the port that is published for the server on the host's loopback address only
            (`loopback`), or on any of its addresses (`any`).
    """

    address: str
    published: Literal["loopback", "any"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _address_alone(cls, value: Any) -> Any:
        return {"address": value} if isinstance(value, str) else value


VantageSection = Annotated[dict[str, TargetSection], Field(min_length=1)]


class ColumnSection(_Section):
    """A column of the headline."""

    vantage: str
    target: str


class HeadlineSection(_Section):
    """The part of the matrix that answers the question on one slide."""

    binds: Annotated[list[str], Field(min_length=1)]
    columns: Annotated[dict[str, ColumnSection], Field(min_length=1)]


class _QuestionSection(_Section):
    """What is asked, of whatever lab.

    Attributes:
        patience_s: how long a dial waits for an answer, in seconds. The default is longer than the kernel
            needs to find that no neighbour answers: three solicitations, a second apart (arp(7)).
    """

    title: str
    binds: Annotated[dict[str, BindSection], Field(min_length=1)]
    vantages: Annotated[dict[str, VantageSection], Field(min_length=1)]
    headline: HeadlineSection
    patience_s: Annotated[float, Field(gt=0, le=60, strict=False)] = 5.0


class ExperimentSection(_QuestionSection):
    """A file that describes its lab."""

    networks: Annotated[dict[Label, NetworkSection], Field(min_length=1)]
    names: str
    servers: HostSection
    hosts: dict[Label, HostSection] = {}
    service: ServiceSection


class ComposeExperimentSection(_QuestionSection):
    """A file whose lab, with the servers already running in it, is a Compose file's.

    Attributes:
        compose: the Compose file, relative to this file; `netlab:compose.yaml` is the one of the project.
    """

    compose: str
    service: RunningServiceSection


@dataclass(frozen=True)
class Document:
    """A validated file, and how to point into it.

    Attributes:
        name: what the user calls the file.
        experiment: its values.
    """

    name: str
    experiment: ExperimentSection | ComposeExperimentSection
    _tree: Any

    def error(self, path: Path, problem: str) -> ExperimentError:
        """Return the error that says that what stands at `path` can't be."""
        return _error(self.name, self._tree, path, problem)


def check_known(document: Document, path: Path, kind: str, name: str, known: Iterable[str]) -> None:
    """Refuse a name that leads nowhere.

    Raises:
        ExperimentError: `known` does not have it; the message lists what it has.
    """
    there = sorted(known)
    if name not in there:
        raise document.error(path, f"no {kind} is called {name!r}: there is {', '.join(there)}")


def read(name: str, text: str) -> Document:
    """Read and validate an experiment's text.

    Args:
        name: what the user calls it: a file's name.
        text: YAML 1.2.

    Raises:
        ExperimentError: it is no YAML, or not what an experiment may say.
    """
    yaml = YAML(typ="rt")
    yaml.version = "1.2"
    try:
        tree = yaml.load(io.StringIO(text))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ExperimentError(name, line, "", f"not YAML: {error.problem or error.context}") from None
    except YAMLError as error:
        raise ExperimentError(name, 0, "", f"not YAML: {_one_line(error)}") from None
    except Exception as error:
        # What a tag asks for (`!!int x`), or nesting beyond all measure, fails in the library as it may.
        raise ExperimentError(name, 0, "", f"not YAML that can be read: {_one_line(error)}") from None
    try:
        experiment = _form(tree).model_validate(tree)
    except ValidationError as error:
        raise _from_pydantic(name, tree, error) from None
    return Document(name, experiment, tree)


def _form(tree: Any) -> type[ExperimentSection] | type[ComposeExperimentSection]:
    in_containers = isinstance(tree, dict) and "compose" in tree
    return ComposeExperimentSection if in_containers else ExperimentSection


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _from_pydantic(name: str, tree: Any, error: ValidationError) -> ExperimentError:
    """Turn the first of pydantic's errors into ours: the others often follow from it."""
    first = error.errors(include_url=False)[0]
    path: Path = first["loc"]
    if first["type"] == "unknown_key":
        path = (*path, first["ctx"]["key"])
    elif path and path[-1] == "[key]":
        path = path[:-1]
    return _error(name, tree, path, _problem(first, whole=not path))


# What is allowed, by the type of pydantic's error; in braces what pydantic says of it.
_ALLOWED = {
    "string_type": "a text",
    "string_pattern_mismatch": "a name of letters, digits and hyphens, such as server-1 (RFC 1123)",
    "list_type": "a list, such as [lan, back]",
    "dict_type": "a mapping, such as {{key: value}}",
    "model_type": "a mapping, such as {{key: value}}",
    "model_attributes_type": "a mapping, such as {{key: value}}",
    "too_short": "at least one",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le:g}",
    "literal_error": "{expected}",
    "ip_v4_network": "an IPv4 network, such as 198.18.1.0/24",
    "ip_v6_network": 'an IPv6 network, such as "2001:db8:1::/64"',
}


def _problem(error: ErrorDetails, *, whole: bool) -> str:
    """Say what is wrong, what is allowed, and what is there instead."""
    kind = error["type"]
    if kind == "missing":
        return "is missing"
    if kind not in _ALLOWED:
        return error["msg"]
    if whole:
        return f"expected an experiment, with keys such as title and binds; got {_shown(error['input'])}"
    return f"expected {_ALLOWED[kind].format(**error.get('ctx', {}))}; got {_shown(error['input'])}"


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        kind = "mapping" if isinstance(value, dict) else "list"
        return f"a {kind}" if value else f"an empty {kind}"
    if not isinstance(value, (str, int, float)):
        return f"a {type(value).__name__}"
    text = repr(str(value)) if isinstance(value, str) else str(value).lower()
    return text if len(text) <= 60 else f"{text[:60]}..."


def _error(name: str, tree: Any, path: Path, problem: str) -> ExperimentError:
    return ExperimentError(name, _line(tree, path), ".".join(map(str, path)), problem)


def _line(tree: Any, path: Path) -> int:
    """Return the 1-based line of what stands at `path`, or of the nearest thing around it that is there."""
    line = 1
    for step in path:
        if not isinstance(tree, CommentedBase):
            break
        positions = tree.lc.data or {}
        if step not in positions:
            break
        line = positions[step][0] + 1
        tree = tree[step]  # type: ignore[index]
    return line

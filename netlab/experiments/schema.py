"""What an experiment's YAML file may say.

`read` gives a `Document`: the validated values, and for every path into them the line it stands on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from netlab.errors import ExperimentError, FileError
from netlab.experiments.checking import CheckSection
from netlab.experiments.transporting import TransportSection
from netlab.yamlfile import Path, Section, YamlFile, a_list, did_you_mean, or_shorter, parse

# RFC 1123, 2.1: letters, digits and hyphens; one label.
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$")]
# Numbers and addresses look alike in YAML: 2001 is one, and `2001:db8::/32` the other.
_Text = BeforeValidator(lambda value: _text(value))
IPv4Prefix = Annotated[IPv4Network, Field(strict=False), _Text]
IPv6Prefix = Annotated[IPv6Network, Field(strict=False), _Text]
# A host's number becomes the last byte of its IPv4 addresses, and reads the same in its IPv6 addresses.
Number = Annotated[int, Field(ge=1, le=254)]
Port = Annotated[int, Field(ge=1, le=65535)]
# An argument vector, in which the service's templates are filled in.
Command = Annotated[
    list[str],
    Field(min_length=1),
    a_list("[python3, server.py]"),
    AfterValidator(lambda command: _with_a_program(command)),
]

_WHOLE = "an experiment, with keys such as title and binds"


def _text(value: Any) -> Any:
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "a text")
    return value


def _with_a_program(command: list[str]) -> list[str]:
    if not command[0].strip():
        raise PydanticCustomError("program", "its first word is empty: it is the program that is run")
    return command


class NetworkSection(Section):
    """One network's prefixes."""

    ipv4: IPv4Prefix | None = None
    ipv6: IPv6Prefix | None = None

    @model_validator(mode="after")
    def _has_a_prefix(self) -> Self:
        if self.ipv4 is None and self.ipv6 is None:
            raise PydanticCustomError("no_prefix", "a network needs ipv4, ipv6 or both")
        return self


class RouteSection(Section):
    """Packets `to` a network, or `anywhere`, go `via` a host, or for each server via itself (`servers`)."""

    to: str
    via: str


class HostSection(Section):
    """A host, or what the hosts that run the service have in common.

    Attributes:
        number: the last byte of its addresses; the first server's, and the others follow.
        forwards: whether it is a router.
        names: whether it asks the lab's DNS; otherwise it knows only itself.
    """

    number: Number
    networks: Annotated[list[str], Field(min_length=1)]
    routes: list[RouteSection] = Field(default_factory=list)
    forwards: bool = False
    names: bool = True


class OptionsSection(Section):
    """What is added to the command for a bind that asks for it."""

    v6only: Annotated[list[str], a_list("[--v6only]")] = Field(default_factory=list)
    device: Annotated[list[str], a_list('[--device, "{device}"]')] = Field(default_factory=list)


class LabSection(Section):
    """A lab: networks, and the hosts on them.

    Attributes:
        names: the network whose addresses the hosts' names stand for.
        servers: what the hosts that run the service have in common.
    """

    networks: Annotated[dict[Label, NetworkSection], Field(min_length=1)]
    names: str
    servers: HostSection
    hosts: dict[Label, HostSection] = Field(default_factory=dict)


class ServiceSection(TransportSection):
    """The server under test."""

    command: Command
    options: OptionsSection = OptionsSection()
    port: Port
    check: CheckSection


class RunningServiceSection(TransportSection):
    """A server that somebody else starts."""

    port: Port
    check: CheckSection


class BindSection(Section):
    """One way to tell the service where to listen."""

    host: Label
    address: str
    v6only: bool = False
    device: str | None = None


class TargetSection(Section):
    """What is dialled, where an address alone does not say it.

    Attributes:
        address: a name or an address.
        published: dial the port that is published for the server on the host's loopback address only
            (`loopback`), or on any of its addresses (`any`).
    """

    model_config = ConfigDict(json_schema_extra=or_shorter({"type": "string"}))

    address: str
    published: Literal["loopback", "any"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _address_alone(cls, value: Any) -> Any:
        return {"address": value} if isinstance(value, str) else value


VantageSection = Annotated[dict[str, TargetSection], Field(min_length=1)]


class ColumnSection(Section):
    """A column of the headline."""

    vantage: str
    target: str


class HeadlineSection(Section):
    """The part of the matrix that answers the question on one slide."""

    binds: Annotated[list[str], Field(min_length=1)]
    columns: Annotated[dict[str, ColumnSection], Field(min_length=1)]


class QuestionSection(Section):
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


class ExperimentSection(LabSection, QuestionSection):
    """A file that describes its lab."""

    service: ServiceSection


class ComposeExperimentSection(QuestionSection):
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
        file: what was read.
        experiment: its values.
    """

    file: YamlFile
    experiment: ExperimentSection | ComposeExperimentSection

    def error(self, path: Path, problem: str) -> FileError:
        """Return the error that says that what stands at `path` can't be."""
        return self.file.error(path, problem)


def check_known(file: YamlFile, path: Path, kind: str, name: str, known: Iterable[str]) -> None:
    """Refuse a name that leads nowhere.

    Args:
        file: to point into.
        path: where the name stands there.
        kind: what it is to be the name of, for the error: "vantage".
        name: what stands there.
        known: what may stand there.

    Raises:
        FileError: `known` does not have it; the message lists what it has.
    """
    there = sorted(known)
    if name not in there:
        hint = did_you_mean(name, there)
        raise file.error(path, f"no {kind} is called {name!r}{hint}: there is {', '.join(there)}")


def read(name: str, text: str) -> Document:
    """Read and validate an experiment's text.

    Args:
        name: what the user calls it: a file's name.
        text: YAML 1.2.

    Raises:
        ExperimentError: it is no YAML, or not what an experiment may say.
    """
    file = parse(name, text, ExperimentError)
    if isinstance(file.tree, dict) and "compose" in file.tree:
        return Document(file, file.validate(ComposeExperimentSection, _WHOLE))
    return Document(file, file.validate(ExperimentSection, _WHOLE))

"""What `netlab.yaml` may say."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from netlab.expectations.rules import ALLOW, DENY, DETAILS, WANTED
from netlab.experiments.checking import CheckSection, NothingSection
from netlab.experiments.schema import Command, Label, OptionsSection, Port, VantageSection
from netlab.experiments.transporting import TransportSection
from netlab.model import Verdict
from netlab.yamlfile import InSchema, Section, a_list, did_you_mean, or_shorter


def _one_as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _names_as_keys(value: Any) -> Any:
    _refuse_a_name_alone(value)
    return dict.fromkeys(value) if _is_list_of_names(value) else value


def _addresses_as_binds(value: Any) -> Any:
    _refuse_a_name_alone(value)
    return {address: {"address": address} for address in value} if _is_list_of_names(value) else value


def _refuse_a_name_alone(value: Any) -> None:
    if isinstance(value, str):
        said = {"value": value[:60]}
        raise PydanticCustomError(
            "alone", "expected a mapping or a list, such as [{value}]; got a text", said
        )


def _is_list_of_names(value: Any) -> bool:
    """Whether it is a list of texts.

    Raises:
        PydanticCustomError: one of them is there twice.
    """
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return False
    if twice := [name for name in value if value.count(name) > 1]:
        raise PydanticCustomError("twice", "{name} is there twice", {"name": repr(str(twice[0]))[:60]})
    return True


def _check_file_name(name: str) -> str:
    if not name or "/" in name or "\0" in name or name in (".", ".."):
        raise PydanticCustomError("name", "expected a file's name without a directory: it lies in {data}")
    return name


# JSON Schema's words for what is short for something longer.
_NOTHING: dict[str, Any] = {"type": "null"}
_TEXT: dict[str, Any] = {"type": "string"}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT, "minItems": 1}

Patterns = Annotated[
    list[str], BeforeValidator(_one_as_list), Field(min_length=1), InSchema(or_shorter(_TEXT))
]
Names = Annotated[list[str], BeforeValidator(_one_as_list), Field(min_length=1), InSchema(or_shorter(_TEXT))]


class CheckedServiceSection(TransportSection):
    """The server under test.

    Attributes:
        command: what starts it, with `{address}`, `{endpoint}`, `{port}`, `{device}`, `{data}` filled in;
            without one it runs already.
        image: a container image that it runs from; then the command is optional.
        files: what is put into `{data}` before it starts, by name, with the same and `{nonce}` filled in.
        port: the port that it listens on.
        check: how its answer is recognised.
    """

    command: Command | None = None
    image: Annotated[str, Field(min_length=1)] | None = None
    options: OptionsSection = OptionsSection()
    files: dict[Annotated[str, AfterValidator(_check_file_name)], str] = Field(default_factory=dict)
    port: Port
    check: CheckSection = CheckSection(tcp=NothingSection())


class CheckedBindSection(TransportSection):
    """One way to tell the service where to listen.

    Attributes:
        address: where it listens then: a name, an address or a wildcard; none where it decides itself.
        as_: how it is told, where it has a word of its own for the address: `*`.
        host: the host that runs it, in a lab that is there already; the bind's own name if not said.
        command: what starts it with this bind, where the service's command does not do.
        port: where it is not the service's.
        check: likewise.
    """

    model_config = ConfigDict(json_schema_extra=or_shorter(_NOTHING, _TEXT))

    address: str = ""
    as_: Annotated[str | None, Field(alias="as")] = None
    host: str | None = None
    v6only: bool = False
    device: str | None = None
    command: Command | None = None
    port: Port | None = None
    check: CheckSection | None = None

    @model_validator(mode="before")
    @classmethod
    def _address_alone(cls, value: Any) -> Any:
        if value is None:
            return {}
        return {"address": value} if isinstance(value, str) else value


def _cells_schema(schema: dict[str, Any]) -> None:
    """Say in the JSON Schema that something has to be said, or only who dials."""
    schema["minProperties"] = 1
    or_shorter(_TEXT, _TEXTS)(schema)


class SelectorSection(Section):
    """Which cells a rule is about; all of them, unless it says less.

    Attributes:
        bind: patterns of binds' names.
        from_: patterns of vantages' names, `network:PATTERN`, `group:PATTERN`.
        to: patterns of targets' names, `network:PATTERN`.
    """

    model_config = ConfigDict(json_schema_extra=_cells_schema)

    bind: Patterns | None = None
    from_: Annotated[Patterns | None, Field(alias="from")] = None
    to: Patterns | None = None

    @model_validator(mode="before")
    @classmethod
    def _vantages_alone(cls, value: Any) -> Any:
        return {"from": value} if isinstance(value, (str, list)) else value


def _everything(value: Any) -> Any:
    """Return a rule; a word alone is about everything, but `allow:` alone is left unfinished.

    Raises:
        PydanticCustomError: it is no rule, and what was meant can be guessed.
    """
    if isinstance(value, dict) and len(value) == 1 and [*value.values()] in ([None], [{}]):
        (wants,) = value
        problem = "{wants} is about nothing: write {wants} alone, without a colon, for everything"
        raise PydanticCustomError("nothing", problem, {"wants": str(wants)[:60]})
    if isinstance(value, dict) and (outside := [*value.keys() & {"bind", "from", "to"}]):
        raise PydanticCustomError(
            "nesting", "{key} belongs below what is expected: indent it", {"key": outside[0]}
        )
    if not isinstance(value, str):
        return value
    word, colon, of = value.partition(":")
    if colon and WANTED.fullmatch(word.strip()) and of:
        said = {"right": f"{word}: {of}"[:60], "wants": repr(value)[:60]}
        raise PydanticCustomError("colon", "expected `{right}`, with a space; got {wants}", said)
    return {value: "*"}


def _check_wanted(wants: str) -> str:
    if WANTED.fullmatch(wants):
        return wants
    word, there = wants.partition(" (")[0], [ALLOW, DENY, *Verdict]
    said: dict[str, Any] = {"wants": repr(wants)[:60], "there": ", ".join(there)}
    if word not in [*Verdict]:
        said["hint"] = did_you_mean(word.lower(), there)
        raise PydanticCustomError("wanted", "no expectation is called {wants}{hint}: there is {there}", said)
    known = f"{word} ({DETAILS[Verdict(word)]})" if Verdict(word) in DETAILS else f"{word} alone"
    raise PydanticCustomError("detail", "expected {known}; got {wants}", said | {"known": known})


def _check_alone(rule: dict[str, SelectorSection]) -> dict[str, SelectorSection]:
    if len(rule) != 1:
        raise PydanticCustomError("rule", "a rule is one key and what it is about, such as `allow: peer`")
    return rule


def _rule_schema(schema: dict[str, Any]) -> None:
    """Say in the JSON Schema that a rule has one key, and which there are; or that it is such a word."""
    wants, of = f"^({WANTED.pattern})$", schema.pop("additionalProperties")
    schema.update(patternProperties={wants: of}, additionalProperties=False, minProperties=1, maxProperties=1)
    or_shorter({"type": "string", "pattern": wants})(schema)


# A rule: what is expected, and of which cells: `allow: peer`. The word alone, `deny`, is about all of them.
RuleSection = Annotated[
    dict[Annotated[str, AfterValidator(_check_wanted)], SelectorSection],
    BeforeValidator(_everything),
    AfterValidator(_check_alone),
    InSchema(_rule_schema),
]


class CheckFileSection(Section):
    """A whole file.

    Attributes:
        lab: the name of a lab that comes with netlab, the file of one, or a mapping: see `labs`. If nothing
            is said, `bind-address`; for an image `lan`, since containers don't forward.
        binds: by name; a list of addresses is short for binds that are called like them.
        vantages: who dials, and what, where not everybody should dial everything.
        groups: names for several vantages.
        expect: the rules; the last one that is about a cell decides. A cell that none is about should come
            out as predicted.
        patience_s: how long a dial waits for an answer, in seconds.
    """

    title: str = ""
    lab: Any = None
    service: CheckedServiceSection
    binds: Annotated[
        dict[str, CheckedBindSection],
        BeforeValidator(_addresses_as_binds),
        Field(min_length=1),
        InSchema(or_shorter(_TEXTS)),
    ] = Field(default_factory=lambda: {"any": CheckedBindSection(address="0.0.0.0")})
    vantages: Annotated[
        dict[str, VantageSection | None] | None,
        BeforeValidator(_names_as_keys),
        Field(min_length=1),
        InSchema(or_shorter(_TEXTS)),
    ] = None
    groups: dict[Label, Names] = Field(default_factory=dict)
    expect: Annotated[list[RuleSection], a_list("[deny, {allow: peer}]")] = Field(default_factory=list)
    patience_s: Annotated[float, Field(gt=0, le=60, strict=False)] = 5.0

"""The section `check` of a YAML file: a word, or a mapping with one key."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from netlab.checks import Banner, Check, Dns, Hftp, Http, SendExpect, Tcp, Tls
from netlab.errors import NetlabError
from netlab.textfile import read_text
from netlab.yamlfile import Path, Section, YamlFile, did_you_mean

# Checks that have nothing to say, or a default for everything.
_WORDS = ("hftp", "tcp", "http", "tls")
_EXAMPLE = "a mapping such as {http: {path: /health}}"


def _wrong(problem: str) -> PydanticCustomError:
    return PydanticCustomError("check", "{problem}", {"problem": problem})


def _unexpected(allowed: str, got: object, hint: str = "") -> PydanticCustomError:
    kind = "a list" if isinstance(got, list) else "nothing" if got is None else "something else"
    text = repr(got) if isinstance(got, (str, int, float)) else kind
    return _wrong(f"expected {allowed}; got {text if len(text) <= 60 else f'{text[:60]}...'}{hint}")


# --- What may stand in the texts --------------------------------------------------------------------------


def _allow(valid: Callable[[str], bool], allowed: str) -> AfterValidator:
    """Return what refuses a text that is not valid, and says what is allowed."""

    def check(value: str) -> str:
        if not valid(value):
            raise _unexpected(allowed, value)
        return value

    return AfterValidator(check)


def _is_visible(text: str) -> bool:
    """Whether it is visible ASCII characters only, and so can stand in a line of HTTP."""
    return bool(text) and all("!" <= character <= "~" for character in text)


def _is_path(text: str) -> bool:
    return text.startswith("/") and _is_visible(text)


def _is_name(text: str) -> bool:
    """Whether it can be asked of a DNS server (RFC 1035, 2.3.4)."""
    labels = text.removesuffix(".").split(".")
    return _is_visible(text) and len(text) <= 253 and all(0 < len(label) <= 63 for label in labels)


_Said = Annotated[str, Field(min_length=1)]
_HostName = Annotated[str, _allow(_is_name, "a name, such as www.example.test")]
_HostField = Annotated[str, _allow(_is_visible, "a host, such as www.example.test:8080")]
_UrlPath = Annotated[str, _allow(_is_path, "a path, such as /health?deep=1")]

_STATUS = "[1-5]([0-9]{2}|xx)"
_STATUS_SCHEMA = {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": f"^{_STATUS}$"}]}


def _statuses(value: Any) -> tuple[str, ...]:
    """Return status codes and classes, which may be said alone or in a list."""
    statuses = tuple(str(status) for status in (value if isinstance(value, (list, tuple)) else [value]))
    if not (statuses and all(re.fullmatch(_STATUS, status) for status in statuses)):
        raise _unexpected("a status such as 200, a class such as 2xx, or a list of them", value)
    return statuses


_Statuses = Annotated[
    tuple[str, ...],
    BeforeValidator(_statuses),
    WithJsonSchema({"anyOf": [*_STATUS_SCHEMA["anyOf"], {"type": "array", "items": _STATUS_SCHEMA}]}),
]


def _bytes(value: Any) -> bytes:
    """Return bytes that are written in hexadecimal, with or without spaces."""
    try:
        found = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        found = b""
    if not found:
        raise _unexpected('bytes in hexadecimal, in quotes, such as "00 00 ff"', value)
    return found


_Hex = Annotated[
    bytes,
    BeforeValidator(_bytes),
    WithJsonSchema({"type": "string", "pattern": "^( *[0-9A-Fa-f]{2})+ *$"}),
]


# --- The checks ------------------------------------------------------------------------------------------


class NothingSection(Section):
    """A check that has nothing to say."""


class TlsSection(Section):
    """TLS, and what the certificate has to be.

    Attributes:
        name: what it has to be for; what is dialled, if nothing is said.
        ca: a file of certificates that it has to chain to (PEM), relative to this file.
        verify: whether it has to chain to one that is trusted.
        days: for how many days it has still to be valid.
    """

    name: _HostName | None = None
    ca: str | None = None
    verify: bool = True
    days: Annotated[int, Field(ge=0, le=36525)] = 0


class HttpSection(Section):
    """HTTP.

    Attributes:
        path: what is asked for, by GET.
        status: what it has to be answered with: a code, a class, or a list of them.
        body: a text that has to be in the content; `{nonce}` in it is the run's.
        host: for the Host field; what is dialled, if nothing is said.
        tls: what the certificate has to be, if it is HTTP over TLS.
    """

    path: _UrlPath = "/"
    status: _Statuses = ("200",)
    body: str = ""
    host: _HostField | None = None
    tls: TlsSection | None = None


class SendExpectSection(Section):
    """What is sent, and what has to be in the answer: as texts, or as bytes in hexadecimal."""

    send: _Said | None = None
    send_hex: Annotated[_Hex | None, Field(alias="send-hex")] = None
    expect: _Said | None = None
    expect_hex: Annotated[_Hex | None, Field(alias="expect-hex")] = None

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.send is None) == (self.send_hex is None):
            raise _wrong("needs either send or send-hex")
        if (self.expect is None) == (self.expect_hex is None):
            raise _wrong("needs either expect or expect-hex")
        return self


class DnsSection(Section):
    """A question to a DNS server.

    Attributes:
        answer: what one of the records has to be; that there is one is enough, if nothing is said.
    """

    name: _HostName
    type: Literal["A", "AAAA", "CNAME", "MX", "NS", "PTR", "TXT"] = "A"
    answer: _Said | None = None

    @model_validator(mode="after")
    def _answer_fits(self) -> Self:
        forms = {"A": IPv4Address, "AAAA": IPv6Address}
        if self.answer is not None and self.type in forms:
            try:
                forms[self.type](self.answer)
            except ValueError:
                raise _wrong(f"{self.answer!r} is no answer of type {self.type}") from None
        return self


def _or_a_word(schema: dict[str, Any]) -> None:
    """Say in the JSON Schema that the section may be one word."""
    mapping = {**schema, "minProperties": 1, "maxProperties": 1}
    schema.clear()
    schema["anyOf"] = [{"enum": list(_WORDS)}, mapping]


class CheckSection(Section):
    """How the right server is recognised: one of the keys, or the bare word."""

    model_config = ConfigDict(json_schema_extra=_or_a_word)

    hftp: NothingSection | None = None
    tcp: NothingSection | None = None
    http: HttpSection | None = None
    tls: TlsSection | None = None
    banner: _Said | None = None
    send_expect: Annotated[SendExpectSection | None, Field(alias="send-expect")] = None
    dns: DnsSection | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_of_them(cls, value: Any) -> Any:
        known = [field.alias or name for name, field in cls.model_fields.items()]
        if isinstance(value, str) and value in _WORDS:
            return {value: {}}
        if isinstance(value, str) and value in known:
            raise _wrong(f"{value} has more to say: write {{{value}: ...}}")
        if not isinstance(value, dict):
            hint = did_you_mean(value, known) if isinstance(value, str) else ""
            raise _unexpected(f"{', '.join(_WORDS)}, or {_EXAMPLE}", value, hint)
        if len(value) != 1 and all(key in known for key in value):
            raise _wrong(f"expected one of {', '.join(known)}; got {' and '.join(value) or 'nothing'}")
        return value

    @property
    def kind(self) -> str:
        """The key that is there."""
        (name,) = self.model_fields_set
        return type(self).model_fields[name].alias or name


# --- What they mean --------------------------------------------------------------------------------------


def check_of(said: CheckSection, file: YamlFile, path: Path, folder: pathlib.Path) -> Check:
    """Return what a section means.

    Args:
        said: the section.
        file: where it stands, to point into.
        path: where it stands there: `("service", "check")`.
        folder: what files that it names are relative to.

    Raises:
        FileError: nothing is said, a file that it names can't be read, or it has no certificates.
    """
    if said.http is not None:
        http, secure = said.http, said.http.tls
        tls = _tls(secure, file, (*path, "http", "tls"), folder) if secure is not None else None
        return Http(http.path, http.status, http.body, http.host or "", tls)
    if said.tls is not None:
        return _tls(said.tls, file, (*path, "tls"), folder)
    if said.banner is not None:
        return Banner(said.banner)
    if said.send_expect is not None:
        talk = said.send_expect
        sent, expected = (talk.send or "").encode(), (talk.expect or "").encode()
        return SendExpect(talk.send_hex or sent, talk.expect_hex or expected)
    if said.dns is not None:
        return Dns(said.dns.name, said.dns.type, said.dns.answer or "")
    if said.hftp is None and said.tcp is None:
        raise file.error((*path, said.kind), "says nothing")
    return Hftp() if said.hftp is not None else Tcp()


def _tls(said: TlsSection, file: YamlFile, path: Path, folder: pathlib.Path) -> Tls:
    certificates = _certificates(folder / said.ca, file, (*path, "ca")) if said.ca is not None else ""
    return Tls(said.name or "", certificates, said.verify, said.days)


def _certificates(source: pathlib.Path, file: YamlFile, path: Path) -> str:
    import ssl  # takes its time, and few files name certificates

    try:
        text = read_text(source, "file of certificates")
        ssl.create_default_context(cadata=text)
    except ssl.SSLError:
        raise file.error(path, f"{source} has no certificates in PEM") from None
    except (NetlabError, ValueError) as error:
        raise file.error(path, str(error)) from None
    return text

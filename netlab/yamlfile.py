"""YAML files that people write: read, validated, and every error with its file, line and key.

`parse` gives a `YamlFile`: what was read, and for every path into it the line that it stands on. `validate`
holds it against a `Section`, a class whose fields are the keys that may be there.
"""

from __future__ import annotations

import difflib
import io
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedBase
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.representer import RoundTripRepresenter

from netlab.errors import FileError

Path = tuple[str | int, ...]

# A key that is longer than this is abridged in errors.
_LONGEST_KEY = 60


class Section(BaseModel):
    """A mapping with known keys; a key it does not know is an error that lists those that it does."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, value: Any) -> Any:
        if isinstance(value, dict):
            allowed = [field.alias or name for name, field in cls.model_fields.items()]
            for key in value:
                if key not in allowed:
                    raise PydanticCustomError("unknown_key", "{problem}", _unknown(key, allowed))
        return value


def a_list(example: str) -> BeforeValidator:
    """Return what refuses all but lists, and says by an example what they are of: `[python3, server.py]`."""

    def check(value: Any) -> Any:
        if not isinstance(value, list):
            problem = f"expected a list, such as {example}; got {_shown(value)}"
            raise PydanticCustomError("list", "{problem}", {"problem": problem})
        return value

    return BeforeValidator(check)


def or_shorter(*forms: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    """Return what adds to a JSON Schema the shorter forms that a validator makes the longer one of.

    Of a section it is the `json_schema_extra`; of another type it stands in an `InSchema`.
    """

    def add(schema: dict[str, Any]) -> None:
        longer = dict(schema)
        schema.clear()
        schema["anyOf"] = [*forms, longer]

    return add


@dataclass(frozen=True, eq=False)  # by identity: typing hashes what stands in `Annotated`
class InSchema:
    """In `Annotated`: changes what the JSON Schema says of a type, where validators say more than it does."""

    change: Callable[[dict[str, Any]], None]

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the changed schema."""
        schema = dict(handler(core))
        self.change(schema)
        return schema


def _unknown(key: object, allowed: list[str]) -> dict[str, Any]:
    return {
        "key": key,
        "problem": f"unknown key{did_you_mean(str(key), allowed)}; allowed here: {', '.join(allowed)}",
    }


def did_you_mean(word: str, known: Iterable[str], alike: float = 0.6) -> str:
    """Return ` (did you mean 'address'?)`, or nothing if no known word is close.

    Args:
        word: what is there.
        known: what may be there.
        alike: how close a word has to be: a share of their characters, 1 for all (`difflib`).
    """
    close = difflib.get_close_matches(word[:_LONGEST_KEY], [*map(str, known)], n=1, cutoff=alike)
    return f" (did you mean {close[0]!r}?)" if close else ""


Form = TypeVar("Form", bound=Section)


@dataclass(frozen=True)
class YamlFile:
    """A file's tree, and how to point into it.

    Attributes:
        name: what the user calls the file.
        tree: mappings, sequences and scalars that know their lines.
        kind: the error that this kind of file raises.
    """

    name: str
    tree: Any
    kind: type[FileError]

    def error(self, path: Path, problem: str) -> FileError:
        """Return the error that says that what stands at `path` can't be."""
        return self.kind(self.name, self.line(path), ".".join(map(_short, self._known(path))), problem)

    def validate(self, form: type[Form], whole: str, at: Path = ()) -> Form:
        """Return the file's values.

        Args:
            form: what they may be.
            whole: the same in words: "an experiment, with keys such as title".
            at: the path of the part that is meant, if not the whole file.

        Raises:
            FileError: they are not what `form` allows.
        """
        tree = self.tree
        for step in at:
            tree = tree[step]
        try:
            return form.model_validate(tree)
        except ValidationError as error:
            # The first one: the others often follow from it.
            first = error.errors(include_url=False)[0]
            path = _place(first)
            raise self.error((*at, *path), _problem(first, "" if path else whole)) from None

    def _known(self, path: Path) -> Path:
        """Return the path without its steps into a scalar, which was taken for a list of one."""
        tree = self.tree
        for depth, step in enumerate(path):
            if not isinstance(tree, CommentedBase):
                return path[:depth]
            try:
                tree = tree[step]  # type: ignore[index]
            except (KeyError, IndexError, TypeError):
                return path[: depth + 1]
        return path

    def line(self, path: Path) -> int:
        """Return the 1-based line of what stands at `path`, or of the nearest thing around it."""
        line, tree = 1, self.tree
        for step in path:
            if not isinstance(tree, CommentedBase):
                break
            positions = tree.lc.data or {}
            if step not in positions:
                break
            line = positions[step][0] + 1
            tree = tree[step]  # type: ignore[index]
        return line


def parse(name: str, text: str, kind: type[FileError]) -> YamlFile:
    """Read YAML 1.2.

    Args:
        name: what the user calls the file.
        text: its contents.
        kind: the error to raise.

    Raises:
        FileError: it is no YAML.
    """
    yaml = YAML(typ="rt")
    yaml.version = "1.2"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an anchor that is used twice
            return YamlFile(name, yaml.load(io.StringIO(text)), kind)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise kind(name, line, "", _in_own_words(error)) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise kind(
            name, line, "", f"not YAML: the character {_code(error.character)} is not allowed"
        ) from None
    except YAMLError as error:
        raise kind(name, 0, "", f"not YAML: {_one_line(error)}") from None
    except Exception as error:
        # What a tag asks for (`!!int x`), or nesting beyond all measure, fails in the library as it may.
        raise kind(name, 0, "", f"not YAML that can be read: {_one_line(error)}") from None


def _in_own_words(error: MarkedYAMLError) -> str:
    """Say what is no YAML, and in what it stands."""
    problem = str(error.problem or error.context)
    if isinstance(error, DuplicateKeyError):
        key = problem.removeprefix('found duplicate key "').partition('"')[0]
        return f"not YAML: {_short(key)!r} is there twice"
    if "'\\t'" in problem:
        return "not YAML: a tab, where only spaces may stand"
    if "another document" in problem:
        return "not YAML: a second document (---); a file has one"
    start = error.context_mark
    around = f"{error.context} that begins in line {start.line + 1}: " if error.context and start else ""
    return f"not YAML: {around}{problem}"


def _code(character: str | int) -> str:
    """Return a character's number as Unicode writes it: U+0000."""
    return f"U+{ord(character) if isinstance(character, str) else character:04X}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _short(word: object) -> str:
    text = str(word)
    return text if len(text) <= _LONGEST_KEY else text[: _LONGEST_KEY - 1] + "…"


def _place(error: ErrorDetails) -> Path:
    path = error["loc"]
    if error["type"] == "unknown_key":
        return (*path, error["ctx"]["key"])
    return path[:-1] if path and path[-1] == "[key]" else path


# What is allowed, by the type of pydantic's error; in braces what pydantic says of it.
_ALLOWED = {
    "string_type": "a text",
    "string_too_short": "a text that is not empty",
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


def _problem(error: ErrorDetails, whole: str) -> str:
    """Say what is wrong, what is allowed, and what is there instead."""
    kind = error["type"]
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind not in _ALLOWED:
        return error["msg"]
    if whole:
        return f"expected {whole}; got {_shown(error['input'])}"
    if kind == "string_type":
        return f"expected a text{_in_quotes(error['input'])}; got {_shown(error['input'])}"
    return f"expected {_ALLOWED[kind].format(**error.get('ctx', {}))}; got {_shown(error['input'])}"


def _in_quotes(value: Any) -> str:
    """Return what makes a text of what YAML takes for something else: 8000, true, {address}."""
    if isinstance(value, dict) and [*value.values()] == [None]:
        return f', in quotes: "{{{_short(next(iter(value)))}}}"'
    return f', in quotes: "{_shown(value)}"' if isinstance(value, (int, float)) else ""


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        kind = "mapping" if isinstance(value, dict) else "list"
        return f"a {kind}" if value else f"an empty {kind}"
    if not isinstance(value, (str, int, float)):
        return f"a {type(value).__name__}"
    # A number is shown as it stands there: 1.10, 0755.
    text = repr(str(value)) if isinstance(value, str) else RoundTripRepresenter().represent_data(value).value
    return text if len(text) <= 60 else f"{text[:60]}..."

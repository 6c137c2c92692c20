"""The JSON Schema of `netlab.yaml`, by which editors complete keys and mark mistakes.

It is made of the same classes that read the file. What they say of names, that a network or a rule's vantage
must be there, no JSON Schema can say: `netlab validate` does.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from pydantic.json_schema import models_json_schema

from netlab.expectations.labs import FORMS, shipped_labs
from netlab.expectations.schema import CheckFileSection
from netlab.yamlfile import Section

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DEFINITIONS = "#/$defs/{model}"


def json_schema() -> dict[str, Any]:
    """Return the schema, as JSON's own types."""
    models: tuple[type[Section], ...] = (CheckFileSection, *FORMS)
    _, said = models_json_schema([(model, "validation") for model in models], ref_template=_DEFINITIONS)
    definitions = said["$defs"]
    for model in _sections(CheckFileSection) | {found for form in FORMS for found in _sections(form)}:
        _describe(model, definitions.get(model.__name__, {}))
    whole = definitions.pop(CheckFileSection.__name__)
    _complete(whole)
    _complete(definitions)
    names = {"type": "string", "examples": [*shipped_labs()]}
    forms = [{"$ref": _DEFINITIONS.format(model=form.__name__)} for form in FORMS]
    description = whole["properties"]["lab"].get("description", "")
    whole["properties"]["lab"] = {"description": description, "anyOf": [names, *forms]}
    whole.update({"title": "netlab.yaml", "description": "Who should reach what: netlab check"})
    return {"$schema": _DIALECT, **whole, "$defs": definitions}


def _sections(model: type[Section]) -> set[type[Section]]:
    """Return a section and all those below it."""
    found = {model}
    for field in model.model_fields.values():
        for inner in _within(field.annotation):
            found |= _sections(inner) - found
    return found


def _within(annotation: Any) -> list[type[Section]]:
    if inspect.isclass(annotation) and issubclass(annotation, Section):
        return [annotation]
    return [found for part in getattr(annotation, "__args__", ()) for found in _within(part)]


def _describe(model: type[Section], schema: dict[str, Any]) -> None:
    """Give each key the words of its attribute in the docstring, and the whole those before them.

    What a section has from another one is described there.
    """
    summary, texts = _docstring(model)
    for base in model.__bases__:
        if issubclass(base, Section):
            texts = _docstring(base)[1] | texts
    schema["description"] = summary
    mapping = next((form for form in schema.get("anyOf", ()) if "properties" in form), schema)
    mapping.pop("description", None) if mapping is not schema else None
    for name, field in model.model_fields.items():
        key = mapping.get("properties", {}).get(field.alias or name)
        if key is None:
            continue
        key.pop("title", None)  # pydantic's: the key, in capitals
        if name in texts:
            key["description"] = texts[name]


def _docstring(model: type[Section]) -> tuple[str, dict[str, str]]:
    """Return a docstring's first line, and what it says of each attribute (Google style)."""
    summary, _, rest = (inspect.getdoc(model) or "").partition("\n")
    attributes = rest.partition("Attributes:\n")[2]
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", attributes, re.MULTILINE)
    return summary, {name: " ".join(text.split()) for name, text in found}


def _complete(schema: Any) -> None:
    """Add what pydantic sees to and does not say, or says in the wrong word.

    Keys that no pattern allows are refused; and how long a mapping has to be is not a text's length.
    """
    if isinstance(schema, list):
        for part in schema:
            _complete(part)
    if isinstance(schema, dict):
        if "patternProperties" in schema:
            schema["additionalProperties"] = False
        if schema.get("type") != "string" and "minLength" in schema:
            schema["minProperties"] = schema.pop("minLength")
        for part in schema.values():
            _complete(part)

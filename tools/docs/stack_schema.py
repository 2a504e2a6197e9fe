"""docs/reference/stack-settings.schema.json: what a stack's file may hold, for editors, from the models.

Owns: a JSON schema (draft 7) with the fields' descriptions, that takes all that the program takes. It knows
types, limits and names; what else is refused, only the program says.
Leaves to others: the fields (settings), their descriptions (settings_page.py).
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

import settings
from settings.server import Row
from tools.docs import settings_page

ENCRYPTED: dict[str, Any] = {
    "type": "object",
    "properties": {"secure": {"type": "string"}},
    "required": ["secure"],
    "additionalProperties": False,
    "description": "written by `pulumi config set --secret`",
}
TEXT: dict[str, Any] = {"type": "string"}
FURTHER: dict[str, dict[str, Any]] = {
    "username": {"anyOf": [TEXT, ENCRYPTED], "description": "of the SoftLayer account, else SL_USERNAME"},
    "apiKey": {**ENCRYPTED, "description": "of the SoftLayer account, encrypted; else SL_API_KEY"},
}
"""What only the SoftLayer provider reads."""
ROW = frozenset(field.name for field in dataclasses.fields(Row))
"""What a server's field says besides, and no schema."""
OURS = f"{settings.PROJECT}:"


class _AsYaml(GenerateJsonSchema):
    """What may stand in YAML, where the program reads numbers and switches as text."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        inner = super().function_before_schema(schema)
        return {**inner, "type": ["string", "number", "boolean"]} if inner.get("type") == "string" else inner


def text() -> str:
    """The whole file."""
    model = settings.Settings
    whole = model.model_json_schema(by_alias=True, schema_generator=_AsYaml)
    parts = whole.pop("$defs")
    for _, section in settings_page.sections(model):
        parts[section.__name__] = _described(section, parts[section.__name__])
    known = _described(model, whole)["properties"]
    keys = {f"{OURS}{key}": _stored(key, known[key]) for key in known}
    keys |= {f"{OURS}{key}": schema for key, schema in FURTHER.items()}
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": "Written by `python -m tools.docs`; change the models of the settings instead.",
        "title": f"A stack of {settings.PROJECT}",
        "type": "object",
        "properties": {
            "config": {
                "type": "object",
                "properties": keys,
                "propertyNames": {"anyOf": [{"enum": sorted(keys)}, {"not": {"pattern": f"^{OURS}"}}]},
                "required": [f"{OURS}{key}" for key in whole["required"]],
            }
        },
        "definitions": parts,
    }
    return json.dumps(_plain(schema), indent=1, ensure_ascii=False) + "\n"


def _described(model: type[BaseModel], schema: dict[str, Any]) -> dict[str, Any]:
    """A model's schema with what its docstrings say, and without what only the program reads."""
    said = settings_page.described(model)
    properties = {}
    for name, field in model.model_fields.items():
        key = field.alias or name
        own = {word: value for word, value in schema["properties"][key].items() if word not in ROW}
        if words := field.description or said.get(name):
            own["description"] = words
        properties[key] = own
    return {**schema, "description": settings_page.intro(model), "properties": properties}


def _stored(key: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A key as the stack's file has it: `pulumi config set` writes every single value as text."""
    if key == "rootPassword":
        return {**ENCRYPTED, "description": schema["description"]}
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    if schema.get("type") == "string":
        return schema
    kept: dict[str, Any] = {word: schema[word] for word in ("default", "description") if word in schema}
    rest = {word: value for word, value in schema.items() if word not in kept}
    return {"anyOf": [rest, TEXT], **kept}


def _plain(schema: Any) -> Any:
    """Without titles, which only repeat names; references lead to where draft 7 has them."""
    if isinstance(schema, dict):
        if schema.get("writeOnly"):  # only passwords and the like are
            return {**ENCRYPTED, "description": schema.get("description", ENCRYPTED["description"])}
        return {
            key: value.replace("#/$defs/", "#/definitions/") if key == "$ref" else _plain(value)
            for key, value in schema.items()
            if not (key == "title" and isinstance(value, str))
        }
    return [_plain(each) for each in schema] if isinstance(schema, list) else schema

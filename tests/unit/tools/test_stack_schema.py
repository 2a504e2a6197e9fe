"""The schema for editors takes what the program takes, and Pulumi.yaml declares what Pulumi can check."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import settings
from tests.unit.program import ROOT, SETTINGS
from tools.docs import project_file, stack_schema

pytestmark = pytest.mark.unit

SCHEMA: dict[str, Any] = json.loads(stack_schema.text())
KINDS: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}
ANNOTATIONS = {"$schema", "$comment", "description", "default", "definitions"}
BELOW = {"type", "items", "properties", "patternProperties", "additionalProperties", "propertyNames"}


def faults(value: Any, schema: dict[str, Any], at: str = "") -> list[str]:
    """Where a value is not what a schema of draft 7 says; KeyError for a keyword that ours does not have."""
    if "$ref" in schema:
        return faults(value, SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]], at)
    if not is_of(value, schema.get("type", list(KINDS))):
        return [f"{at}: type {schema['type']}"]
    found = [
        f"{at}: {word} {said}"
        for word, said in schema.items()
        if word not in ANNOTATIONS | BELOW and not HOLDS[word](value, said)
    ]
    if isinstance(value, list):
        for n, item in enumerate(value):
            found += faults(item, schema.get("items", {}), f"{at}.{n}")
    if isinstance(value, dict):
        for key, item in value.items():
            found += faults(key, schema.get("propertyNames", {}), f"{at}.{key} (its name)")
            below = below_of(schema, key)
            found += faults(item, below, f"{at}.{key}") if below is not None else [f"{at}.{key}: unknown"]
    return found


def below_of(schema: dict[str, Any], key: str) -> dict[str, Any] | None:
    """The schema of a property; None for one that must not be there."""
    if key in schema.get("properties", {}):
        named: dict[str, Any] = schema["properties"][key]
        return named
    for pattern, each in schema.get("patternProperties", {}).items():
        if re.search(pattern, key):
            matching: dict[str, Any] = each
            return matching
    further = schema.get("additionalProperties", True)
    return further if isinstance(further, dict) else {} if further else None


def is_of(value: Any, kinds: str | list[str]) -> bool:
    named = [kinds] if isinstance(kinds, str) else kinds
    if isinstance(value, bool):
        return "boolean" in named
    return any(isinstance(value, KINDS[kind]) for kind in named)


HOLDS: dict[str, Any] = {
    "anyOf": lambda value, said: any(not faults(value, each) for each in said),
    "not": lambda value, said: bool(faults(value, said)),
    "enum": lambda value, said: value in said,
    "const": lambda value, said: value == said,
    "pattern": lambda value, said: bool(re.search(said, value)),
    "minimum": lambda value, said: value >= said,
    "maximum": lambda value, said: value <= said,
    "exclusiveMinimum": lambda value, said: value > said,
    "minLength": lambda value, said: not isinstance(value, str) or len(value) >= said,
    "maxLength": lambda value, said: len(value) <= said,
    "maxItems": lambda value, said: len(value) <= said,
    "required": lambda value, said: set(said) <= set(value),
}


def stack(**changes: Any) -> dict[str, Any]:
    """A stack's file with the smallest settings, sections merged with `changes`."""
    values = {**SETTINGS, **{key: value for key, value in changes.items() if key not in SETTINGS}}
    for key in changes.keys() & SETTINGS.keys():
        both = isinstance(SETTINGS[key], dict) and isinstance(changes[key], dict)
        values[key] = {**SETTINGS[key], **changes[key]} if both else changes[key]
    return {"config": {f"swarm-galera:{key}": value for key, value in values.items()}}


@pytest.mark.parametrize("file", ["Pulumi.dev.yaml", "Pulumi.tor01.yaml", "Pulumi.own.yaml"])
def test_the_stack_files_of_the_checkout_fit_and_name_the_schema(file: str) -> None:
    written = (ROOT / file).read_text()
    assert faults(yaml.safe_load(written), SCHEMA) == []
    named = re.search(r"^# yaml-language-server: \$schema=(\S+)$", written, re.MULTILINE)
    assert named
    assert (ROOT / named[1]).is_file()


GOOD: list[dict[str, Any]] = [
    {},
    {"maxMonthlyCost": "500", "orderSettle": 30},
    {"username": "me", "apiKey": {"secure": "v1:x"}, "rootPassword": {"secure": "v1:x"}},
    {"servers": {"os": None, "image": "abc", "reloadToken": {"galera-1": 20261124}}},
    {
        "galera": {
            "config": {"max_connections": 300, "slow_query_log": True},
            "provider": {"gcs.fc_limit": 64},
        }
    },
    {"application": {"image": "wordpress:6.1", "env": {"LIMIT": 3}, "database": {"name": "blog"}}},
    {"engine": {"labels": {"rack": "7"}, "options": {"debug": True, "features": {"buildkit": True}}}},
]


@pytest.mark.parametrize("changes", GOOD)
def test_what_the_program_takes_fits(changes: dict[str, Any]) -> None:
    assert faults(stack(**changes), SCHEMA) == []
    told = {
        key: json.dumps(value) if isinstance(value, dict) else str(value)
        for key, value in {**SETTINGS, **changes}.items()
        if not (isinstance(value, dict) and "secure" in value)
    }
    merged = stack(**changes)["config"]
    told |= {key: json.dumps(merged[f"swarm-galera:{key}"]) for key in told if told[key].startswith("{")}
    settings.parse(told)


def test_secrets_of_an_application_may_be_encrypted_one_by_one_and_must_not_be_in_plain() -> None:
    encrypted = {"secure": "v1:x"}
    given = {"image": "a:1", "secrets": {"mail-key": encrypted}, "database": {"password": encrypted}}
    assert faults(stack(application=given), SCHEMA) == []
    for part in ({"secrets": {"mail-key": "plain"}}, {"database": {"password": "plain"}}):
        assert faults(stack(application={**given, **part}), SCHEMA)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"nettwork": {}}, "config.swarm-galera:nettwork (its name)"),
    ({"servers": {"manager": 3}}, "servers.manager: unknown"),
    ({"servers": {"managers": "three"}}, "servers.managers: type"),
    ({"servers": {"nicSpeed": 54}}, "servers.nicSpeed: enum"),
    ({"servers": {"cores": 65}}, "servers.cores: maximum"),
    ({"servers": {"disks": [25, 5]}}, "servers.disks.1: minimum"),
    ({"servers": "three"}, "servers: type object"),
    ({"galera": {"stopGrace": 5}}, "galera.stopGrace: minimum"),
    ({"ssh": {"address": "both"}}, "ssh.address: enum"),
    ({"apiKey": "in plain text"}, "apiKey: type object"),
    ({"rootPassword": "in plain text"}, "rootPassword: type object"),
]


@pytest.mark.parametrize(("changes", "told"), BAD, ids=[told for _, told in BAD])
def test_an_editor_sees_what_is_wrong(changes: dict[str, Any], told: str) -> None:
    found = faults(stack(**changes), SCHEMA)
    assert any(told in fault for fault in found), found


def test_other_projects_keys_are_not_ours_to_judge() -> None:
    file = stack()
    file["config"]["pulumi:disable-default-providers"] = ["docker"]
    file["encryptionsalt"] = "v1:x"
    assert faults(file, SCHEMA) == []


def test_every_key_has_its_words() -> None:
    parts = {
        f"{name}.{key}": each
        for name, part in SCHEMA["definitions"].items()
        for key, each in part["properties"].items()
    }
    assert len(parts) > 60
    assert [name for name, each in parts.items() if not each.get("description")] == []


def test_the_project_declares_every_section_with_a_default_that_means_nothing() -> None:
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    sections = {"ssh", "servers", "hosts", "engine", "network", "discovery", "galera"}
    assert sections <= set(declared)
    for name in sections:
        # Without a default Pulumi wants it in every stack's file; any other one would count as set.
        assert (declared[name]["type"], declared[name]["default"]) == ("object", {}), name
    assert all("default" in each for each in declared.values())
    # As Pulumi hands them over: what is a structure as JSON, all else as text.
    defaults = {key: each["default"] for key, each in declared.items() if key not in SETTINGS}
    optional = {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in defaults.items()
    }
    given = {key: json.dumps(value) if isinstance(value, dict) else value for key, value in SETTINGS.items()}
    assert settings.parse({**given, **optional}) == settings.parse(given)


def test_the_project_declares_what_is_no_section_where_pulumis_grammar_can_say_it() -> None:
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    single = {key: each for key, each in declared.items() if each["type"] != "object"}
    assert {key: (each["type"], each.get("items"), each["default"]) for key, each in single.items()} == {
        "deployUpTo": ("string", None, "application"),
        "takeDown": ("array", {"type": "string"}, []),
        "keepData": ("boolean", None, True),
    }
    assert single["deployUpTo"]["description"].startswith("The highest layer that the stack has: hosts")


def test_a_project_file_without_the_mark_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.yaml"
    file.write_text("name: x\n")
    with pytest.raises(ValueError, match=r"has no line .*Remedy: put it"):
        project_file.text(file)

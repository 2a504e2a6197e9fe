"""The component plugin: what it tells Pulumi of its components, and what it makes of what it is given.

Its process under the real `pulumi` is in tests/plugins/test_example_accounts.py.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.runtime import mocks as pulumi_mocks

from components.accounts import rights
from tests.unit.packaged import installed
from tests.unit.program import ROOT, holds_secret, plain

pytestmark = pytest.mark.unit

PLUGIN = ROOT / "plugin"
MODULES = ("account", "database", "cluster")
CLUSTER: dict[str, Any] = {
    "contractVersion": 2.0,
    "galera": {"service": "galera", "port": 3306.0, "members": ["db1"], "database": "app"},
    "ssh": {
        "user": "root",
        "privateKey": "PRIVATE KEY",
        "addresses": {"db1": "10.0.0.1"},
        "hostKeys": {"db1": "ssh-ed25519 AAAA"},
        "ports": {"db1": 2222.0},
    },
}


@pytest.fixture(autouse=True)
def part(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """The plugin's modules, as its process has them."""
    installed()
    monkeypatch.syspath_prepend(PLUGIN)
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield {name: importlib.import_module(name) for name in MODULES}
    for name in MODULES:
        del sys.modules[name]


class Recorder(pulumi_mocks.Mocks):
    """Notes what is made: inputs by name, and which of them are secret."""

    def __init__(self) -> None:
        self.made, self.secret = dict[str, dict[str, Any]](), dict[str, set[str]]()

    def new_resource(self, args: pulumi_mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        inputs = {key: value for key, value in args.inputs.items() if key != "__provider"}
        self.secret[args.name] = {key for key, value in inputs.items() if holds_secret(value)}
        self.made[args.name] = plain(inputs)
        drawn = {"value": f"value-of-{args.name}"} if "-password-" in args.name else {}
        return f"id-of-{args.name}", {**inputs, **drawn}

    def call(self, args: pulumi_mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        raise AssertionError(f"the plugin calls {args.token}")


def made(component: Any, name: str, given: dict[str, Any]) -> tuple[Recorder, dict[str, Any]]:
    """Have a component made as Pulumi has it: what it makes, and its outputs."""
    recorder, outputs = Recorder(), dict[str, Any]()
    pulumi.runtime.settings.ROOT.set(None)
    pulumi.runtime.set_mocks(recorder, project="shop", stack="test", preview=False)

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> pulumi.Output[Any]:
        one = component(name, given)
        told = {key: getattr(one, key) for key in component.__annotations__}
        return pulumi.Output.all(**told).apply(outputs.update)

    program()
    return recorder, outputs


def test_its_schema_has_the_components_with_their_inputs_and_outputs(part: dict[str, ModuleType]) -> None:
    provider = ComponentProvider([part["account"].Account, part["database"].Database], "swarm-galera")
    assert provider.schema is not None
    resources = json.loads(provider.schema)["resources"]
    told = {
        token.rpartition(":")[2]: (
            sorted(each["inputProperties"]),
            sorted(each["requiredInputs"]),
            sorted(each["properties"]),
        )
        for token, each in resources.items()
    }
    account = ["adopt", "cluster", "ended", "generation", "host", "locked", "requireTls", "rights", "user"]
    database = ["adopt", "allowDrop", "characterSet", "cluster", "collation", "name"]
    assert told == {
        "Account": (account, ["cluster", "rights", "user"], ["password", "user"]),
        "Database": (database, ["cluster", "name"], ["name"]),
    }
    for each in resources.values():
        assert each["isComponent"]
        assert all(given["description"] for given in each["inputProperties"].values())


def test_its_folder_says_that_it_is_python_and_what_it_needs() -> None:
    assert yaml.safe_load((PLUGIN / "PulumiPlugin.yaml").read_text())["runtime"]["name"] == "python"
    needs = [line for line in (PLUGIN / "requirements.txt").read_text().splitlines() if line[:1] != "#"]
    assert [(PLUGIN / line).resolve() for line in needs] == [ROOT]


def test_a_database_is_made_with_what_is_given_and_is_protected(part: dict[str, ModuleType]) -> None:
    given = {"cluster": pulumi.Output.secret(CLUSTER), "name": "wiki", "character_set": "utf8mb4"}
    found, outputs = made(part["database"].Database, "wiki", given)
    assert outputs == {"name": "wiki"}
    inputs = found.made["wiki-database"]
    assert (inputs["character_set"], inputs["allow_drop"], inputs["adopt"]) == ("utf8mb4", False, False)
    assert inputs["reach"]["hosts"][0]["port"] == 2222
    assert inputs["reach"]["taken"] == ["app"]
    assert "reach" in found.secret["wiki-database"]


def test_an_account_has_the_rights_that_are_said_and_passwords_by_generation(
    part: dict[str, ModuleType],
) -> None:
    wanted = [
        {"database": "wiki", "privileges": ["read", "LOCK TABLES", "SELECT"]},
        {"database": "wiki", "privileges": ["WRITE"], "table": "page"},
    ]
    given = {"cluster": CLUSTER, "user": "wiki_web", "rights": wanted, "generation": 2.0, "require_tls": True}
    found, outputs = made(part["account"].Account, "web", given)
    assert outputs == {"user": "wiki_web", "password": "value-of-web-password-2"}
    first, second = found.made["web-grants"]["rights"]
    assert first == {"database": "wiki", "table": "*", "privileges": [*rights.READ, "LOCK TABLES"]}
    assert (second["table"], second["privileges"]) == ("page", list(rights.WRITE))
    user = found.made["web-user"]
    assert (user["host"], user["require_tls"], len(user["hashes"])) == ("%", True, 2)
    found, _ = made(part["account"].Account, "web", {**given, "ended": 1.0})
    assert len(found.made["web-user"]["hashes"]) == 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"cluster": {**CLUSTER, "contractVersion": 3.0}},
            r"have contract version 3, and this plugin knows 2",
        ),
        ({"cluster": {}}, r"have no contractVersion.*Remedy: hand over all outputs"),
        ({"cluster": {"contractVersion": 2.0}}, r"have no database.*Remedy: run `up` there"),
        ({"generation": 1.5}, r"generation is 1\.5\. Remedy: give a whole number"),
    ],
)
def test_what_cannot_be_is_refused_with_a_remedy(
    part: dict[str, ModuleType], given: dict[str, Any], told: str
) -> None:
    whole = {"cluster": CLUSTER, "user": "wiki_web", "rights": [], **given}
    with pytest.raises(Exception, match=told):
        made(part["account"].Account, "web", whole)


def test_the_example_in_another_language_says_what_there_is_and_all_that_must_be_said(
    part: dict[str, ModuleType],
) -> None:
    provider = ComponentProvider([part["account"].Account, part["database"].Database], "swarm-galera")
    schema = json.loads(provider.schema or "")
    example = ROOT / "examples/any-language"
    project = yaml.safe_load((example / "Pulumi.yaml").read_text())
    assert (example / project["packages"]["swarm-galera"]).resolve() == PLUGIN
    used = {
        name: each for name, each in project["resources"].items() if each["type"].startswith("swarm-galera:")
    }
    assert len(used) == 3
    for each in used.values():
        known, given = schema["resources"][each["type"]], each["properties"].keys()
        assert set(known["requiredInputs"]) <= given <= known["inputProperties"].keys()
        for right in each["properties"].get("rights", ()):
            told = schema["types"]["swarm-galera:index:RightArgs"]
            assert set(told["required"]) <= right.keys() <= told["properties"].keys()
    for value in project["outputs"].values():
        name, _, key = value.removeprefix("${").removesuffix("}").partition(".")
        assert key in schema["resources"][project["resources"][name]["type"]]["properties"]

"""The example of a project with a database of its own, against the outputs that the program really has."""

from __future__ import annotations

import json
import runpy
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks as pulumi_mocks
from pulumi.runtime.config import set_all_config

from components.accounts import rights
from tests.unit.program import ROOT, holds_secret, patched, plain

pytestmark = pytest.mark.unit

BALANCER = {"service": "haproxy", "vip": "10.20.0.30", "writerPort": 6446.0, "readerPort": 6447.0}


class Cluster(pulumi_mocks.Mocks):
    """Answers the StackReference and notes what is made: inputs by name, and which of them are secret."""

    def __init__(self, outputs: dict[str, Any]) -> None:
        self.outputs, self.made, self.secret = outputs, dict[str, dict[str, Any]](), dict[str, set[str]]()

    def new_resource(self, args: pulumi_mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if args.typ == "pulumi:pulumi:StackReference":
            secret = [name for name in ("ssh", "passwords", "joinTokens") if name in self.outputs]
            return args.name, {"name": args.name, "outputs": self.outputs, "secretOutputNames": secret}
        inputs = {key: value for key, value in args.inputs.items() if key != "__provider"}
        self.secret[args.name] = {key for key, value in inputs.items() if holds_secret(value)}
        self.made[args.name] = plain(inputs)
        drawn = {"value": f"value-of-{args.name}"} if "-password-" in args.name else {}
        return f"id-of-{args.name}", {**inputs, **drawn}

    def call(self, args: pulumi_mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        raise AssertionError(f"the example calls {args.token}")


def serve(outputs: dict[str, Any], **config: Any) -> tuple[Cluster, dict[str, Any], set[str]]:
    """Run the example on a cluster with these outputs: what it makes, exports, and has secret of that."""
    found = Cluster(outputs)
    pulumi.runtime.set_mocks(found, project="swarm-galera-accounts", stack="test", preview=False)
    given = {"cluster": "organization/swarm-galera/dev", "database": "shop", **config}
    set_all_config({f"swarm-galera-accounts:{key}": value for key, value in given.items()})
    exports: dict[str, Any] = {}
    secret: set[str] = set()

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def example() -> pulumi.Output[Any]:
        told: dict[str, pulumi.Output[Any]] = {}
        with patched(
            pulumi, "export", lambda name, value: told.update({name: pulumi.Output.from_input(value)})
        ):
            runpy.run_path(str(ROOT / "examples/accounts/__main__.py"), run_name="__main__")
        marks: list[Any] = [value.is_secret() for value in told.values()]

        def note(known: list[Any]) -> None:
            exports.update(known[0])
            secret.update(name for name, mark in zip(told, known[1], strict=True) if mark)

        return pulumi.Output.all(pulumi.Output.all(**told), pulumi.Output.all(*marks)).apply(note)

    example()
    return found, exports, secret


def test_each_user_may_do_just_what_it_is_for_and_nothing_outside_of_the_shops_database(
    cluster: dict[str, Any],
) -> None:
    found, exports, secret = serve(cluster)
    for user, privileges in (("migrate", rights.OWN), ("web", rights.WRITE), ("reports", rights.READ)):
        (right,) = found.made[f"{user}-grants"]["rights"]
        assert right == {"database": "shop", "table": "*", "privileges": list(privileges)}
        assert exports[user] == {
            "host": "galera",
            "port": 3306,
            "database": "shop",
            "user": f"shop_{user}",
            "password": f"value-of-{user}-password-1",
        }
    assert secret == {"migrate", "web", "reports"}


def test_the_database_is_reached_as_the_stacks_outputs_say(cluster: dict[str, Any]) -> None:
    found, _, _ = serve(cluster)
    reach = found.made["database"]["reach"]
    assert [host["name"] for host in reach["hosts"]] == ["galera-1", "galera-2", "galera-3"]
    assert reach["hosts"][0]["address"] == "203.0.113.11"
    assert reach["hosts"][0]["host_key"] == "ssh-ed25519 AAAA"
    assert (reach["user"], reach["service"], reach["taken"]) == ("root", "galera", ["app"])
    assert all("reach" in found.secret[name] for name in ("database", "web-user", "web-grants"))


def test_with_a_load_balancer_clients_are_sent_through_it(cluster: dict[str, Any]) -> None:
    _, exports, _ = serve({**cluster, "loadBalancer": BALANCER})
    assert (exports["web"]["host"], exports["web"]["port"]) == ("haproxy", 6446)


def test_a_password_is_changed_by_two_settings(cluster: dict[str, Any]) -> None:
    found, exports, _ = serve(cluster, generation=json.dumps({"web": 2}))
    assert exports["web"]["password"] == "value-of-web-password-2"
    assert len(found.made["web-user"]["hashes"]) == 2
    assert len(found.made["reports-user"]["hashes"]) == 1
    found, _, _ = serve(cluster, generation=json.dumps({"web": 2}), ended=json.dumps({"web": 1}))
    assert len(found.made["web-user"]["hashes"]) == 1


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            {"generation": '{"webb": 2}'},
            r"generation has webb, which is no user here.*Remedy: use migrate, web",
        ),
        ({"ended": '{"web": 1}'}, r"account web has generation 1 and ended 1.*Remedy"),
    ],
)
def test_bad_settings_are_refused_with_a_remedy(
    cluster: dict[str, Any], config: dict[str, str], told: str
) -> None:
    with pytest.raises(pulumi.RunError, match=told):
        serve(cluster, **config)


@pytest.mark.parametrize(
    ("version", "told"),
    [(3.0, r"contract version 3, and this program knows 2"), (None, r"has no output contractVersion")],
)
def test_outputs_of_another_contract_are_refused(
    cluster: dict[str, Any], version: float | None, told: str
) -> None:
    outputs = {key: value for key, value in cluster.items() if key != "contractVersion"}
    with pytest.raises(pulumi.RunError, match=told):
        serve(outputs if version is None else {**outputs, "contractVersion": version})

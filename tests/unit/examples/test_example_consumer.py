"""The consumer's example against the outputs that the program really has."""

from __future__ import annotations

import runpy
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks as pulumi_mocks
from pulumi.runtime.config import set_all_config

from tests.unit.program import ROOT, patched

pytestmark = pytest.mark.unit


class Reference(pulumi_mocks.Mocks):
    """Answers a StackReference."""

    def __init__(self, outputs: dict[str, Any]) -> None:
        self.outputs, self.names = outputs, list[str]()

    def new_resource(self, args: pulumi_mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.names.append(args.name)
        return args.name, {"name": args.name, "outputs": self.outputs}

    def call(self, args: pulumi_mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        raise AssertionError(f"the example calls {args.token}")


def consume(outputs: dict[str, Any]) -> tuple[Reference, dict[str, Any]]:
    """Run the example beside a stack with these outputs: what it asked, and what it exports."""
    exports: dict[str, Any] = {}
    reference = Reference(outputs)
    pulumi.runtime.set_mocks(reference, project="consumer", stack="test", preview=False)
    set_all_config({"consumer:cluster": "organization/swarm-galera/dev"})

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def example() -> pulumi.Output[Any]:
        with patched(pulumi, "export", lambda name, value: exports.update({name: value})):
            runpy.run_path(str(ROOT / "examples/consumer/__main__.py"), run_name="__main__")
        return pulumi.Output.all(**exports).apply(exports.update)

    example()
    return reference, exports


def test_an_application_gets_all_it_needs_from_the_outputs(cluster: dict[str, Any]) -> None:
    reference, exports = consume(cluster)
    assert reference.names == ["organization/swarm-galera/dev"]
    assert exports["dsn"] == "mysql://app:value-of-galera-app-password@galera:3306/app"
    assert exports["members"] == ["galera-1", "galera-2", "galera-3"]
    assert exports["network"] == "galera"
    assert exports["store"]["address"] == "etcd:2381"
    assert exports["store"]["serverName"] == "etcd"
    assert exports["store"]["user"] == "consumer"
    assert exports["store"]["password"] == "value-of-etcd-consumer-password"
    assert exports["databaseCa"] == "CA"
    assert exports["vip"] == "stdout-of-galera-formed"
    assert exports["monthlyCost"] == 210


def test_with_a_load_balancer_an_application_writes_through_it(cluster: dict[str, Any]) -> None:
    balancer = {"service": "haproxy", "vip": "10.20.0.8", "writerPort": 6446.0, "readerPort": 6447.0}
    _, exports = consume({**cluster, "loadBalancer": balancer})
    assert exports["dsn"] == "mysql://app:value-of-galera-app-password@haproxy:6446/app"


def test_a_client_of_consul_is_told_whose_certificate_to_expect(cluster: dict[str, Any]) -> None:
    consul = {"kind": "consul", "address": "gateway", "port": 8501.0, "serverName": "localhost"}
    _, exports = consume({**cluster, "discovery": consul, "discoveryAccess": {"token": "t"}})
    assert exports["store"] == {"address": "gateway:8501", "serverName": "localhost", "token": "t"}


@pytest.mark.parametrize(
    ("version", "told"),
    [
        (3.0, r"Stack organization/swarm-galera/dev has outputs of contract version 3, and .* knows 2"),
        (None, r"Stack organization/swarm-galera/dev has no output contractVersion.*run `up` there"),
    ],
    ids=["a later one", "none"],
)
def test_outputs_of_another_contract_are_refused(
    cluster: dict[str, Any], version: float | None, told: str
) -> None:
    cluster = {key: value for key, value in cluster.items() if key not in ("contractVersion", "galera")}
    with pytest.raises(pulumi.RunError, match=told):
        consume(cluster if version is None else {**cluster, "contractVersion": version})

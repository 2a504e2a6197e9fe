"""The database on a port of every host (`galera.publish`), as the whole program declares it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import by_hand_services
from components import etcd, galera, swarm_ports
from settings import parse
from tests.unit.program import Recorded, run
from tests.unit.settings.test_settings import config

pytestmark = pytest.mark.unit

PUBLISHED = {"galera": {"publish": "vip"}}


@pytest.fixture(scope="module")
def made(home: Path) -> Recorded:
    return run(PUBLISHED)


def test_every_host_leads_its_port_to_the_nodes_and_containers_find_them_as_before(made: Recorded) -> None:
    service = made.resources["galera-service"].inputs
    assert service["endpointSpec"] == {
        "mode": "vip",
        "ports": [
            {"targetPort": 3306, "publishedPort": 3306, "protocol": "tcp", "publishMode": "ingress"},
        ],
    }
    assert made.outputs["galera"]["publishedPort"] == 3306
    assert made.outputs["galera"]["port"] == 3306
    assert made.outputs["galera"]["vip"] == "stdout-of-galera-formed"


def test_nothing_else_changes_and_none_is_what_every_stack_has(made: Recorded, home: Path) -> None:
    before, none = run(), run({"galera": {"publish": "none"}})
    assert {name: each.inputs for name, each in none.resources.items()} == {
        name: each.inputs for name, each in before.resources.items()
    }
    assert none.outputs == before.outputs
    assert "publishedPort" not in before.outputs["galera"]
    assert sorted(made.resources) == sorted(before.resources)
    differs = {name for name, each in made.resources.items() if each.inputs != before.resources[name].inputs}
    # The wait runs again, because of the service's change.
    assert differs == {"galera-service", "galera-formed"}
    formed = {**made.resources["galera-formed"].inputs, "triggers": []}
    assert formed == {**before.resources["galera-formed"].inputs, "triggers": []}


def test_hosts_open_the_port_to_one_another_and_to_everybody_only_if_it_is_said(home: Path) -> None:
    settings = parse(config(**PUBLISHED))
    services = [etcd.spec(settings), galera.spec(settings)]
    assert set(swarm_ports.opened(services)) - set(swarm_ports.SWARM) == {("tcp", 2380), ("tcp", 3306)}
    made = run({**PUBLISHED, "network": {"encrypted": False}})
    public, private = (made.resources[f"firewall-{side}"].inputs["rules"] for side in ("public", "private"))
    assert {rule["first_port"] for rule in public if rule["direction"] == "ingress"} == {22}
    inside = [
        rule
        for rule in private
        if rule["direction"] == "ingress" and rule.get("protocol") == "tcp" and rule["first_port"] <= 3306
    ]
    assert [rule["source"] for rule in inside if rule["last_port"] >= 3306] == ["self"]
    made = run({**PUBLISHED, "servers": {"publishedPorts": [3306]}})
    public = made.resources["firewall-public"].inputs["rules"]
    opened = [rule for rule in public if rule["direction"] == "ingress" and "source" not in rule]
    assert [(rule["first_port"], rule["last_port"]) for rule in opened] == [(3306, 3306)]


def test_the_line_that_is_typed_has_it_as_in_the_walk_through() -> None:
    line = by_hand_services.service(galera.spec(parse(config(**PUBLISHED))), "inside", {})
    assert "--publish mode=ingress,protocol=tcp,target=3306,published=3306" in line

"""Consul as the whole program declares it, on recording mocks."""

from __future__ import annotations

import base64
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from pulumi.dynamic import CheckFailure

from components import consul, etcd, swarm_ports
from components.host_scripts import host
from components.token import TokenProvider, drawn
from settings import parse
from settings.discovery import CONSUL_PORTS
from settings.ports import TAKEN_PORTS
from tests.unit import program
from tests.unit.program import Recorded, run
from tests.unit.settings.test_settings import config

pytestmark = pytest.mark.unit

IMAGE = "registry.lab:5000/consul:1.16-1"
WANTED: dict[str, Any] = {
    "discovery": {"kind": "consul", "image": IMAGE, "recursors": ["10.0.80.11", "10.0.80.12"]}
}
BALANCER = {"image": "registry.lab:5000/haproxy:2.6-1"}
SITE = {"image": "registry.lab:5000/wordpress:6.1-2", "port": 8080}
HOSTS = [f"galera-{number}" for number in (1, 2, 3, 4)]
SERVICE = "consul-service"


@pytest.fixture(scope="module")
def made(home: Path) -> Recorded:
    return run({**WANTED, "servers": {"workers": 1}})


def content(made: Recorded, name: str) -> str:
    """Of one of its Docker secrets or configs."""
    return base64.b64decode(made.resources[name].inputs["data"]).decode()


def test_it_has_a_member_on_every_host_on_the_hosts_own_network(made: Recorded) -> None:
    service = made.resources[SERVICE].inputs
    assert service["name"] == "consul"
    assert service["mode"] == {"global": True}
    task = service["taskSpec"]
    assert "placement" not in task
    assert task["networksAdvanceds"] == [{"id": "host"}]
    # A host's network has the host's sysctls, and nothing is published: its ports are there.
    assert "sysctl" not in task["containerSpec"]
    assert "ports" not in service["endpointSpec"]
    assert task["containerSpec"]["mounts"] == [
        {"type": "volume", "source": "consul-data", "target": "/var/lib/consul"}
    ]
    assert "taskSpec.networksAdvanceds" in made.ignored[SERVICE]
    assert "wanted=4" in made.resources["consul-running"].inputs["stdin"]
    assert not [name for name in made.resources if name.startswith("etcd")]


def test_members_are_changed_one_after_the_other(made: Recorded) -> None:
    update = made.resources[SERVICE].inputs["updateConfig"]
    assert (update["parallelism"], update["order"], update["delay"]) == (1, "stop-first", "20s")
    assert update["failureAction"] == "pause"
    health = made.resources[SERVICE].inputs["taskSpec"]["containerSpec"]["healthcheck"]
    assert health["tests"] == ["CMD", "consul-member", "health"]


def test_a_member_is_told_of_all_hosts_servers_first_and_whom_to_ask(made: Recorded) -> None:
    env = made.resources[SERVICE].inputs["taskSpec"]["containerSpec"]["env"]
    assert env == {
        "NODE_NAME": "{{.Node.Hostname}}",
        "CONSUL_HOSTS": ",".join(f"galera-{n}=10.144.12.{10 + n}" for n in (1, 2, 3, 4)),
        "CONSUL_SERVERS": "3",
        "CLUSTER_TOKEN": "swarm-galera/test/0123456789ab",
        "DATACENTER": "tor01",
        "RECURSORS": "10.0.80.11,10.0.80.12",
    }


def test_recursors_are_the_hosts_resolvers_where_none_are_named(home: Path) -> None:
    discovery = {"kind": "consul", "image": IMAGE}
    made = run({"discovery": discovery, "hosts": {"resolvers": ["10.0.80.21"]}, "servers": {"managers": 1}})
    env = made.resources[SERVICE].inputs["taskSpec"]["containerSpec"]["env"]
    assert (env["RECURSORS"], env["CONSUL_SERVERS"]) == ("10.0.80.21", "1")


def test_hosts_open_to_one_another_what_members_need_and_no_more() -> None:
    spec = consul.spec(parse(config(**WANTED)))
    assert spec.open_ports == [("tcp", 8300), ("tcp", 8301), ("udp", 8301)]
    assert set(spec.open_ports) <= set(swarm_ports.opened([spec]))
    # All of it, and DNS and HTTPS besides, is known to those who choose ports; nothing is anybody's else.
    assert {port for _, port in spec.open_ports} | {53, consul.HTTPS_PORT} == set(CONSUL_PORTS)
    assert not set(CONSUL_PORTS) & set(TAKEN_PORTS)


def test_without_encryption_the_firewall_has_its_ports(home: Path) -> None:
    def opened(settings: dict[str, Any]) -> set[tuple[str, int]]:
        made = run({**settings, "network": {"encrypted": False}}).resources["firewall-private"].inputs
        return {
            (rule["protocol"], port)
            for rule in made["rules"]
            if rule.get("source") == "self" and "first_port" in rule
            for port in range(int(rule["first_port"]), int(rule["last_port"]) + 1)
        }

    wanted = {("tcp", 8300), ("tcp", 8301), ("udp", 8301)}
    assert wanted <= opened(WANTED)
    assert not wanted & opened({})
    # A host's DNS and interface are its own.
    assert not {("udp", 53), ("tcp", 53), ("tcp", 8501)} & opened(WANTED)


def test_it_is_not_on_the_overlay_network(made: Recorded) -> None:
    assert "own=(galera)" in made.resources["network-free"].inputs["stdin"]


def test_its_image_is_on_workers_too(made: Recorded) -> None:
    for host_name in ("galera-1", "galera-4"):
        assert f"\n{IMAGE}@{program.DIGEST}\n" in made.resources[f"{host_name}-engine-images"].inputs["stdin"]


def test_a_host_that_leaves_gives_up_its_vote_and_is_taken_off_the_list_once_it_has_ended(
    made: Recorded,
) -> None:
    text = made.resources["swarm-galera-2-node"].inputs["stdin"]
    assert "voting=('consul consul-member forget')" in text
    assert "listing=('consul consul-member forget' 'galera galera-node forget')" in text


def test_its_secrets_are_drawn_once_and_each_is_one(made: Recorded) -> None:
    secrets = {name for name in made.of_type("docker:index/secret:Secret") if name.startswith("consul-")}
    assert secrets == {f"consul-{file}" for file in (*consul.FILES, *consul.TOKENS)}
    assert all(made.secret_inputs[name] == {"data"} for name in secrets)
    for file, whose in consul.TOKENS.items():
        assert content(made, f"consul-{file}") == f"value-of-consul-{whose}-token"
        assert made.resources[f"consul-{whose}-token"].inputs["form"] == "uuid"
    assert made.resources["consul-gossip-token"].inputs["form"] == "key"
    certificates = made.resources["consul-certificates"].inputs
    assert certificates["addresses"] == [
        *("server.tor01.consul", "localhost", "127.0.0.1"),
        *(f"10.144.12.{number}" for number in (11, 12, 13, 14)),
    ]


def test_tokens_and_keys_are_what_consul_takes() -> None:
    assert uuid.UUID(drawn("uuid")).version == 4
    assert len(base64.b64decode(drawn("key"))) == 32
    assert len({drawn("uuid") for _ in range(9)} | {drawn("key") for _ in range(9)}) == 18
    provider = TokenProvider()
    outs = provider.create({"form": "uuid", "value": None}).outs
    assert outs is not None
    assert uuid.UUID(outs["value"])
    assert not provider.diff("token", outs, {"form": "uuid", "value": None}).changes
    changed = provider.diff("token", outs, {"form": "key", "value": None})
    assert (changed.changes, changed.replaces) == (True, ["form"])
    assert provider.check({}, {"form": "uuid"}).failures == []
    (failure,) = provider.check({}, {"form": "word"}).failures
    assert isinstance(failure, CheckFailure)
    assert failure.property == "form"


def test_galera_is_led_to_the_agent_of_its_own_host_with_what_it_shows_and_knows(made: Recorded) -> None:
    env = made.resources["galera-service"].inputs["taskSpec"]["containerSpec"]["env"]
    assert (env["STORE"], env["DB_PORT"]) == ("consul://gateway:8501", "3306")
    assert content(made, "galera-store-token") == content(made, "consul-store-token")
    assert content(made, "galera-store-client.crt") == "CERTIFICATE"
    asked = {f"consul-asked-{name}" for name in HOSTS}
    changed = run(
        {**WANTED, "servers": {"workers": 1}}, former={"galera": {}, "discovery": {"kind": "consul"}}
    )
    assert {"consul-running", *asked} <= changed.depends_on["galera-service"]
    assert "DB_PORT" not in run().resources["galera-service"].inputs["taskSpec"]["containerSpec"]["env"]


@pytest.mark.parametrize(
    ("settings", "port"),
    [
        ({}, "3306"),
        ({"galera": {"publish": "vip"}}, "3306"),
        ({"loadBalancer": {**BALANCER, "readerPort": 3307}}, "3307"),
        ({"loadBalancer": BALANCER, "galera": {"publish": "vip"}}, "3306"),
    ],
)
def test_the_database_is_registered_at_the_port_by_which_hosts_have_it(
    home: Path, settings: dict[str, Any], port: str
) -> None:
    env = run({**WANTED, **settings}).resources["galera-service"].inputs["taskSpec"]["containerSpec"]["env"]
    assert env["DB_PORT"] == port


def test_every_host_registers_what_it_has_of_the_other_services_with_a_check(home: Path) -> None:
    made = run({**WANTED, "loadBalancer": BALANCER, "application": SITE})
    told = json.loads(content(made, "consul-consul-services"))
    assert [(each["name"], each["port"], each["check"]["tcp"]) for each in told] == [
        # Not at their own ports: a login that says nothing counts as a failed one.
        ("db-writer", 6446, "{address}:8404"),
        ("db-reader", 6447, "{address}:8404"),
        ("application", 8080, "{address}:8080"),
    ]
    assert {(each["check"]["interval"], each["check"]["timeout"]) for each in told} == {("10s", "5s")}
    below = run({**WANTED, "loadBalancer": BALANCER, "application": SITE, "deployUpTo": "data"})
    names = [each["name"] for each in json.loads(content(below, "consul-consul-services"))]
    assert names == ["db-writer", "db-reader"]
    place = made.resources[SERVICE].inputs["taskSpec"]["containerSpec"]["configs"][0]["fileName"]
    assert place == "/etc/consul-member/services.json"


def test_every_host_asks_it_for_names_once_it_runs_and_no_more_when_it_goes(made: Recorded) -> None:
    for name in HOSTS:
        step = made.resources[f"consul-asked-{name}"].inputs
        assert "consul-running" in made.depends_on[f"consul-asked-{name}"]
        assert host.AGENT_NOTE in step["stdin"]
        assert step["delete"].endswith("; run delete")
        assert 'rm -f "$agent_dropin"' in step["stdin"]
        # Triggers would replace it, for a moment without.
        assert "triggers" not in step
        # A person may: then the former one's `delete` must not run last.
        assert f"consul-asked-{name}" in made.deleted_first


def test_on_hosts_of_one_s_own_dhclient_is_looked_for(
    made: Recorded, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    names = [{"name": f"db{n}", "address": f"10.0.0.{n}"} for n in (1, 2, 3)]
    own = run({**WANTED, "servers": {"kind": "existing", "hosts": names}})
    assert "pidof dhclient" in own.resources["consul-asked-db1"].inputs["stdin"]
    assert "dhclient" not in made.resources["consul-asked-galera-1"].inputs["stdin"]


def test_hosts_are_told_again_when_the_settings_name_other_resolvers(made: Recorded, home: Path) -> None:
    other = run({**WANTED, "servers": {"workers": 1}, "hosts": {"resolvers": ["10.0.80.21"]}})
    for name in HOSTS:
        step = f"consul-asked-{name}"
        assert other.resources[step].inputs["stdin"] != made.resources[step].inputs["stdin"]
        # Behind the step that writes the same file.
        assert f"{name}-system-resolver" in other.resources


def test_what_consumers_are_given(made: Recorded) -> None:
    assert made.outputs["discovery"] == {
        "kind": "consul",
        "address": "gateway",
        "port": 8501,
        "serverName": "localhost",
        "service": "db.service.consul",
        "servers": HOSTS[:3],
        "datacenter": "tor01",
    }
    assert made.outputs["discoveryAccess"] == {
        "token": "value-of-consul-consumer-token",
        "caCertificate": "CA",
        "certificate": "CERTIFICATE",
        "privateKey": "PEER KEY",
    }
    assert "discoveryAccess" in made.secret_outputs


def test_engines_are_left_as_they_are(made: Recorded) -> None:
    """Their containers find Consul by themselves (docs/adr/0017-consul.md); a restart stops the database."""
    before = run({"servers": {"workers": 1}}).resources
    for name in HOSTS:
        step = f"{name}-engine-configured"
        assert made.resources[step].inputs == before[step].inputs


def test_another_server_count_changes_consul_alone(home: Path) -> None:
    three = run({"discovery": {**WANTED["discovery"], "servers": 3}, "servers": {"managers": 5}})
    five = run({**WANTED, "servers": {"managers": 5}})
    differ = {
        name
        for name, args in five.resources.items()
        if args.inputs != three.resources[name].inputs and not name.endswith("-running")
    }
    assert differ == {SERVICE}
    assert five.outputs["discovery"]["servers"] == [f"galera-{number}" for number in range(1, 6)]
    assert three.outputs["discovery"]["servers"] == HOSTS[:3]
    assert etcd.SERVICE not in {
        args.inputs.get("name") for args in five.of_type("docker:index/service:Service").values()
    }

"""The load balancer as the whole program declares it, on recording mocks."""

from __future__ import annotations

from pathlib import Path

import pytest

from components import etcd, galera, load_balancer, swarm_ports
from images.haproxy.haproxy_node import settings as image
from settings import parse
from tests.unit import program
from tests.unit.program import Recorded, run
from tests.unit.settings.test_settings import config

pytestmark = pytest.mark.unit

IMAGE = "registry.lab:5000/haproxy:2.6-1"
WANTED = {"loadBalancer": {"image": IMAGE}}
SERVICE = "haproxy-service"


@pytest.fixture(scope="module")
def made(home: Path) -> Recorded:
    return run({**WANTED, "servers": {"workers": 1}})


def test_it_has_a_task_on_every_node_with_the_ports_of_that_host(made: Recorded) -> None:
    service = made.resources[SERVICE].inputs
    assert service["mode"] == {"global": True}
    assert "placement" not in service["taskSpec"]
    ports = [(port["publishedPort"], port["targetPort"]) for port in service["endpointSpec"]["ports"]]
    assert ports == [(6446, 6446), (6447, 6447), (8404, 8404)]
    assert {port["publishMode"] for port in service["endpointSpec"]["ports"]} == {"host"}
    assert service["endpointSpec"]["mode"] == "vip"
    assert "wanted=4" in made.resources["haproxy-running"].inputs["stdin"]


def test_a_task_ends_before_its_successor_begins_and_has_the_time_that_sessions_get(made: Recorded) -> None:
    service = made.resources[SERVICE].inputs
    update = service["updateConfig"]
    assert (update["parallelism"], update["order"], update["failureAction"]) == (1, "stop-first", "pause")
    assert service["taskSpec"]["containerSpec"]["stopGracePeriod"] == "1m"
    text = (Path(image.__file__).parents[1] / "haproxy.cfg").read_text()
    assert "hard-stop-after 5s" in text


def test_the_image_takes_what_it_is_told(home: Path, tmp_path: Path) -> None:
    wanted = {**WANTED["loadBalancer"], "writerPort": 3306, "readerPort": 3307}
    made = run({"loadBalancer": wanted})
    env = made.resources[SERVICE].inputs["taskSpec"]["containerSpec"]["env"]
    assert env == {
        "NODE_NAME": "{{.Node.Hostname}}",
        "PEERS": "tasks.galera",
        "SERVERS": "8",
        "WRITER_PORT": "3306",
        "READER_PORT": "3307",
        "STATS_PORT": "8404",
    }
    (tmp_path / image.PASSWORD).write_text("secret")
    told = image.load({**env, "NODE_NAME": "galera-1", "SECRETS_DIR": str(tmp_path)})
    assert told.variables.items() >= {**env, "NODE_NAME": "galera-1"}.items()
    assert (load_balancer.PASSWORD, load_balancer.USER) == (image.PASSWORD, image.USER)


def test_its_image_is_on_all_hosts_before(made: Recorded) -> None:
    assert {f"galera-{n}-engine-images" for n in range(1, 5)} <= made.depends_on[SERVICE]
    on_worker = made.resources["galera-4-engine-images"].inputs["stdin"]
    assert f"\n{IMAGE}@{program.DIGEST}\n" in on_worker
    assert "registry.lab:5000/galera" not in on_worker
    on_manager = made.resources["galera-1-engine-images"].inputs["stdin"]
    assert f"\n{IMAGE}@{program.DIGEST}\n" in on_manager
    assert "own=(etcd galera haproxy)" in made.resources["network-free"].inputs["stdin"]


def test_outputs_say_where_to_connect_and_the_password_is_secret(made: Recorded, home: Path) -> None:
    assert made.outputs["loadBalancer"] == {
        "service": "haproxy",
        "vip": "stdout-of-haproxy-running",
        "writerPort": 6446,
        "readerPort": 6447,
        "statsPort": 8404,
        "user": "admin",
    }
    assert made.outputs["passwords"]["loadBalancer"] == "value-of-haproxy-stats-password"
    assert made.secret_outputs == {"joinTokens", "ssh", "passwords", "discoveryAccess"}
    secret = made.resources["haproxy-haproxy-stats-password"]
    assert made.secret_inputs[secret.name] == {"data"}
    assert "value-of" not in str(made.resources[SERVICE].inputs)
    without = run()
    assert "loadBalancer" not in without.outputs
    assert set(without.outputs["passwords"]) == {"root", "app"}
    assert not [name for name in without.resources if "haproxy" in name]


def test_hosts_open_its_ports_to_one_another_and_to_others_only_what_is_published(home: Path) -> None:
    settings = parse(config(**WANTED))
    services = [etcd.spec(settings), galera.spec(settings), *load_balancer.specs(settings)]
    assert set(swarm_ports.opened(services)) - set(swarm_ports.SWARM) == {
        ("tcp", port) for port in (2380, 6446, 6447, 8404)
    }
    made = run({**WANTED, "network": {"encrypted": False}, "servers": {"publishedPorts": [6446]}})
    public, private = (made.resources[f"firewall-{side}"].inputs["rules"] for side in ("public", "private"))
    opened = [rule for rule in public if rule["direction"] == "ingress" and "source" not in rule]
    assert [(rule["first_port"], rule["last_port"]) for rule in opened] == [(6446, 6446)]
    inside = [rule for rule in private if rule["direction"] == "ingress" and rule.get("protocol") == "tcp"]
    assert {rule["source"] for rule in inside if rule["first_port"] != 22} == {"self"}
    assert any(rule["first_port"] <= 6446 and rule["last_port"] >= 8404 for rule in inside)

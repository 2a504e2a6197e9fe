"""A service's spec, and all that is rendered from it: the docker resource, the wait, the line, the ports."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pulumi
import pulumi_docker as docker
import pytest
from pulumi import resource_hooks
from pulumi_command.remote import ConnectionArgs

from bench import by_hand_services, deploy
from components import etcd, galera, services, swarm_ports
from components.overlay_network import OverlayNetwork, OverlayNetworkArgs
from components.service_spec import ConfigFile, HealthCheck, Port, ServiceSpec, UpdatePolicy
from components.virtual_server import VirtualServer
from settings import Network, Settings
from tests.unit import third_service
from tests.unit.program import ROOT, SETTINGS, Monitor, Recorded, Recorder, hook_registered

pytestmark = pytest.mark.unit

mocked: Callable[[Callable[[], Any]], Callable[[], None]] = pulumi.runtime.test
CONNECTION = ConnectionArgs(host="10.144.12.11")
DIGEST = f"registry.lab:5000/web@sha256:{'a' * 64}"
SERVERS = [
    cast(VirtualServer, SimpleNamespace(hostname=name, guest_id=name, reboots=0, connection=CONNECTION))
    for name in ("galera-1", "galera-2", "galera-3")
]
BARE = ServiceSpec(
    name="bare", image="bare:1", health=HealthCheck(["true"], 0), update=UpdatePolicy(5), stop_grace=10
)
WEB = third_service.spec("registry.lab:5000/web:1")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    recorder = Recorder({})
    pulumi.runtime.set_mocks(recorder, "swarm-galera", "test", preview=False, monitor=Monitor(recorder))
    monkeypatch.setattr(resource_hooks, "register_resource_hook", hook_registered)
    return recorder.recorded


def placed(spec: ServiceSpec) -> services.ServiceArgs:
    network = OverlayNetwork(
        "network",
        OverlayNetworkArgs(Network(name="inside", subnet="10.20.0.0/24", encrypted=True), CONNECTION, [], []),
    )
    return services.ServiceArgs(spec, DIGEST, SERVERS, CONNECTION, network, [], [])


def declared(spec: ServiceSpec, recorded: Recorded) -> dict[str, Any]:
    """What `docker.Service` gets of a spec."""

    class Parent(pulumi.ComponentResource):
        def __init__(self) -> None:
            super().__init__("test:index:Any", "any")
            services.declare("any", placed(spec), self, dict.fromkeys(spec.secrets, "content"), {})

    mocked(Parent)()
    return dict(recorded.resources["any-service"].inputs)


def line(spec: ServiceSpec) -> list[str]:
    """The words after `docker service create`, options with their values."""
    words = shlex.split(by_hand_services.service(spec, "inside", {}))
    assert words[:3] == ["docker", "service", "create"]
    return [f"{one} {other}" for one, other in zip(words[6:-1:2], words[7::2], strict=False)]


def test_a_third_service_is_declared_from_its_spec(recorded: Recorded) -> None:
    mocked(lambda: third_service.Web("web", placed(WEB)))()
    made = recorded.resources["web-service"].inputs
    container = made["taskSpec"]["containerSpec"]
    assert made["mode"] == {"replicated": {"replicas": 2}}
    assert container["image"] == DIGEST
    assert container["env"] == {"DATABASE_HOST": "galera", "DATABASE_NAME": "app", "OWNER": "test"}
    assert [file["fileName"] for file in container["secrets"]] == ["web-session-key"]
    assert container["mounts"] == [{"type": "volume", "source": "web-uploads", "target": "/var/www/uploads"}]
    assert container["stopGracePeriod"] == "1m30s"
    assert container["healthcheck"] == {
        "tests": ["CMD", "curl", "-fsS", "http://127.0.0.1:8080/health check"],
        "interval": "10s", "timeout": "30s", "retries": 12, "startPeriod": "1m",
    }  # fmt: skip
    assert made["endpointSpec"] == {
        "mode": "vip",
        "ports": [{"targetPort": 8080, "publishedPort": 80, "protocol": "tcp", "publishMode": "ingress"}],
    }
    assert made["updateConfig"] == {
        "parallelism": 1, "delay": "10s", "monitor": "10s", "order": "start-first",
        "failureAction": "rollback", "maxFailureRatio": "0.0",
    }  # fmt: skip
    assert made["taskSpec"]["resources"] == {"limits": {"nanoCpus": 500_000_000, "memoryBytes": 256 << 20}}
    assert {recorded.parents[name] for name in ("web-service", "web-rollout", "web-running")} == {"web"}


def test_a_service_without_a_health_check_has_its_images_own(recorded: Recorded) -> None:
    plain = replace(BARE, health=None)
    assert "healthcheck" not in declared(plain, recorded)["taskSpec"]["containerSpec"]
    assert not [words for words in line(plain) if "--health" in words]
    assert "--health-cmd true" in line(BARE)


def test_a_replicated_service_is_waited_for_by_its_tasks_and_a_global_one_by_its_hosts(
    recorded: Recorded,
) -> None:
    for spec, wanted in ((WEB, 2), (BARE, 3)):
        declared(spec, recorded)
        assert f"\nwanted={wanted}\nnetwork=inside\n" in recorded.resources["any-running"].inputs["stdin"]


def test_a_person_would_type_the_same_service() -> None:
    words = line(WEB)
    assert {
        "--name web", "--replicas 2", "--network inside", "--endpoint-mode vip", "--stop-grace-period 1m30s",
        "--mount type=volume,source=web-uploads,target=/var/www/uploads",
        "--health-cmd curl -fsS 'http://127.0.0.1:8080/health check'", "--health-start-period 1m",
        "--update-order start-first", "--update-failure-action rollback", "--update-max-failure-ratio 0.0",
        "--publish mode=ingress,protocol=tcp,target=8080,published=80", "--limit-cpu 0.5",
        "--limit-memory 256M", "--secret source=web-session-key,target=web-session-key,mode=0444",
        "--env DATABASE_HOST=galera", "--restart-condition any", "--restart-delay 5s",
    } <= set(words)  # fmt: skip
    typed = by_hand_services.service(WEB, "inside", {"A": "b c"})
    assert " --env 'A=b c' --secret " in typed
    assert typed.endswith(",mode=0444 registry.lab:5000/web:1")


@pytest.mark.parametrize(
    ("change", "path", "sent", "typed"),
    [
        ({}, "mode", {"global": True}, "--mode global"),
        ({"replicas": 3}, "mode", {"replicated": {"replicas": 3}}, "--replicas 3"),
        ({"constraints": ["node.role==worker"]}, "taskSpec.placement", {"constraints": ["node.role==worker"]},
         "--constraint node.role==worker"),
        ({"endpoint": "vip"}, "endpointSpec", {"mode": "vip"}, "--endpoint-mode vip"),
        ({"stop_grace": 30}, "taskSpec.containerSpec.stopGracePeriod", "30s", "--stop-grace-period 30s"),
        ({"volumes": {"a": "/b"}}, "taskSpec.containerSpec.mounts",
         [{"type": "volume", "source": "a", "target": "/b"}], "--mount type=volume,source=a,target=/b"),
        ({"ports": [Port(53, protocol="udp")]}, "endpointSpec.ports",
         [{"targetPort": 53, "publishedPort": 53, "protocol": "udp", "publishMode": "host"}],
         "--publish mode=host,protocol=udp,target=53,published=53"),
        ({"update": UpdatePolicy(60)}, "updateConfig.monitor", "1m", "--update-monitor 1m"),
        ({"health": HealthCheck(["a", "b"], 5, retries=2)}, "taskSpec.containerSpec.healthcheck",
         {"tests": ["CMD", "a", "b"], "interval": "10s", "timeout": "30s", "retries": 2, "startPeriod": "5s"},
         "--health-cmd a b"),
    ],
)  # fmt: skip
def test_what_is_said_of_a_service_is_sent_and_typed(
    recorded: Recorded, change: dict[str, Any], path: str, sent: Any, typed: str
) -> None:
    spec = replace(BARE, **change)
    found: Any = declared(spec, recorded)
    for key in path.split("."):
        found = found[key]
    assert found == sent
    assert typed in line(spec)


def test_what_is_not_said_of_a_service_is_not_sent(recorded: Recorded) -> None:
    made = declared(BARE, recorded)
    assert set(made["taskSpec"]) == {"containerSpec", "networksAdvanceds", "restartPolicy"}
    container = {"image", "healthcheck", "stopGracePeriod", "sysctl"}
    assert set(made["taskSpec"]["containerSpec"]) == container


def test_configs_are_made_and_kept_as_the_spec_says(recorded: Recorded) -> None:
    files = [ConfigFile("a", "/a", "text"), ConfigFile("b", "/b", b"bytes", kept=True)]
    made = declared(replace(BARE, configs=files), recorded)
    configs = made["taskSpec"]["containerSpec"]["configs"]
    assert [(one["configName"], one["fileName"]) for one in configs] == [
        ("any-a-1a2b3c4", "/a"),
        ("any-b-1a2b3c4", "/b"),
    ]
    assert [recorded.ignored[f"any-{name}"] for name in "ab"] == [[], ["data"]]
    assert "--config source=b,target=/b,mode=0444" in line(replace(BARE, configs=files))


def test_a_service_on_the_host_network_publishes_nothing_and_keeps_the_hosts_sysctls(
    recorded: Recorded,
) -> None:
    spec = replace(BARE, network="host", ports=[Port(8300)])

    def made() -> None:
        sent = services.service_args("any", placed(spec), {}, {}, pulumi.ResourceOptions())
        docker.Service("any-service", **sent)

    mocked(made)()
    sent = recorded.resources["any-service"].inputs
    assert sent["taskSpec"]["networksAdvanceds"] == [{"id": "host"}]
    assert "sysctl" not in sent["taskSpec"]["containerSpec"]
    assert sent["endpointSpec"] == {"mode": "vip"}
    words = line(spec)
    assert "--network host" in words
    assert not [word for word in words if word.startswith(("--publish", "--sysctl"))]
    assert spec.host_ports == [("tcp", 8300)]


@pytest.mark.parametrize("change", [{"network": "host"}, {"endpoint": "dnsrr"}])
def test_of_a_service_without_a_virtual_ip_only_the_tasks_are_waited_for(
    recorded: Recorded, change: dict[str, Any]
) -> None:
    declared(replace(BARE, **change), recorded)
    text = recorded.resources["any-running"].inputs["stdin"]
    assert "\nwanted=3\n" in text
    assert "VirtualIPs" not in text


INGRESS = Port(80, mode="ingress")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": "host", "ports": [INGRESS]}, "bare: the ingress network reaches tasks by a virtual IP"),
        ({"endpoint": "dnsrr", "ports": [INGRESS]}, r"so it can't publish \[80\]. Remedy: mode host"),
        ({"update": UpdatePolicy(5, "start-first"), "ports": [Port(80)]}, "waits for host ports"),
        ({"replicas": 0}, "replicas must be >= 1"),
    ],
)
def test_what_does_not_go_together_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(BARE, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": "dnsrr", "ports": [Port(80)]},
        {"network": "host", "ports": [Port(80)]},
        {"update": UpdatePolicy(5, "start-first"), "ports": [INGRESS]},
    ],
)
def test_what_goes_together_is_not(change: dict[str, Any]) -> None:
    replace(BARE, **change)


def test_hosts_open_what_services_take_on_them_and_nothing_else() -> None:
    swarm = [("tcp", 2377), ("tcp", 7946), ("udp", 7946), ("udp", 4789)]
    assert swarm_ports.opened([]) == swarm
    assert swarm_ports.opened([WEB, BARE]) == swarm
    dns = replace(BARE, ports=[Port(53, 5353, protocol="udp"), Port(53, 5353), Port(7946)])
    settings = Settings.model_validate(SETTINGS)
    assert swarm_ports.opened([etcd.spec(settings), galera.spec(settings), dns]) == [
        *swarm,
        ("tcp", 2380),
        ("udp", 53),
        ("tcp", 53),
    ]


def test_the_bench_takes_a_check_that_is_typed_and_one_that_is_declared_for_the_same() -> None:
    def found(test: list[str]) -> Any:
        spec = {"TaskTemplate": {"ContainerSpec": {"Healthcheck": {"Test": test}}}}
        return deploy.comparable(spec)["ContainerSpec"]["Healthcheck"]

    declared, typed = ["CMD", "etcd-member", "health"], ["CMD-SHELL", "etcd-member health"]
    assert found(declared) == found(typed) == {"Test": ["etcd-member", "health"]}
    assert found(typed) != found(["CMD", "true"])


def test_a_spec_needs_no_pulumi() -> None:
    text = "import sys, components.swarm_ports; sys.exit('pulumi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", text], cwd=ROOT, check=False).returncode == 0


def test_the_members_of_etcd_find_each_other_at_the_hosts_private_addresses() -> None:
    assert etcd.initial_cluster({"a": "10.0.0.1", "b": "10.0.0.2"}) == (
        "a=https://10.0.0.1:2380,b=https://10.0.0.2:2380"
    )

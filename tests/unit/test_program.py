"""The whole program against recording mocks: what it declares, in which order, and what it hands out."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pulumi
import pytest
import tenacity
from pydantic.alias_generators import to_snake

from components import moved_steps, service_spec, services, swarm_files
from components.overlay_network import gateway
from components.replaced import REPLACED
from components.service_spec import HealthCheck, UpdatePolicy, duration
from components.softlayer import cost
from components.softlayer.errors import CostTooHigh
from components.softlayer.guest_seen import Guest
from components.turns import NOT_WELL
from lab.plugins.docker import durations
from settings import Servers
from tests.unit import declared, program
from tests.unit.program import ROOT, Recorded, run

pytestmark = pytest.mark.unit

HOSTS = ("galera-1", "galera-2", "galera-3")


@pytest.fixture(scope="module")
def dev(home: Path) -> Recorded:
    """The smallest stack."""
    return run()


def test_each_host_is_ordered_awaited_prepared_and_joined(dev: Recorded) -> None:
    for host in HOSTS:
        for step in (
            "guest",
            "ready",
            "system-packages",
            "disk-prepared",
            "engine-configured",
            "engine-images",
        ):
            assert f"{host}-{step}" in dev.resources
    assert "swarm-started" in dev.resources
    joined = {name for name in dev.resources if name.endswith("-joined")}
    assert joined == {f"swarm-{host}-joined" for host in HOSTS}


ANYWHERE = {
    *("swarm-started", "network-free", "network-left", "etcd-image-resolved", "galera-image-resolved"),
    *(f"swarm-{host}-node" for host in HOSTS),
    *("etcd-running", "galera-formed", "etcd-users", "galera-tls"),
}
"""Steps on a manager, whichever it is."""


def test_what_is_asked_of_the_swarm_names_no_host_and_takes_the_place_of_what_did(dev: Recorded) -> None:
    steps = dev.of_type("command:local:Command")
    assert set(steps) == ANYWHERE
    for name, step in steps.items():
        assert "connection" not in step.inputs, name
        assert step.inputs["interpreter"][-1].endswith('/swarm-galera-test/config any-manager "$0"'), name
        # In a state that an older version left, it was the first manager's. Replaced, it would run `delete`.
        (alias,) = dev.aliases[name]
        assert 'type: "command:remote:Command"' in alias, name
    assert "203.0.113." not in json.dumps([step.inputs for step in steps.values()])


def test_just_these_are_moved_in_a_state_that_an_older_version_made(
    dev: Recorded, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    names = {
        new.rpartition("::")[2]
        for new in moved_steps.former(f"x${moved_steps.FORMERLY}::{name}" for name in dev.resources).values()
    }
    assert names & {name for name, made in dev.resources.items() if made.typ in program.COMMANDS} == ANYWHERE
    for settings in declared.STACKS.values():
        made = run(settings).resources
        commands = {name: each.typ for name, each in made.items() if each.typ in program.COMMANDS}
        for name, kind in commands.items():
            urn = f"x${moved_steps.FORMERLY}::{name}"
            assert bool(moved_steps.former([urn])) == (kind == moved_steps.NOW), name


def test_a_stack_of_before_stays_as_it_is_with_plain_pulumi_until_its_state_was_moved(
    dev: Recorded, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warned.append)
    of_before = {**dev.outputs, "ssh": {**dev.outputs["ssh"]}}
    assert of_before["ssh"].pop("manager") == "any-manager"
    urn = f"urn:pulumi:test::swarm-galera::swarm-galera:swarm:Swarm${moved_steps.FORMERLY}::swarm-started"
    monkeypatch.setattr(program, "FORMER_URNS", [urn])
    made = run(former=of_before)
    assert made.of_type(moved_steps.NOW) == {}
    for name in ANYWHERE:
        assert made.resources[name].inputs["connection"]["host"] == "203.0.113.11", name
    assert made.resources["docker-provider"].inputs["host"] == "ssh://any-manager"
    assert "manager" not in made.outputs["ssh"]
    assert "`python -m operations up`, once" in warned[0]
    # Moved, by which the URNs are others: also while the outputs are still those of before.
    monkeypatch.setattr(program, "FORMER_URNS", list(moved_steps.former([urn]).values()))
    assert set(run(former=of_before).of_type(moved_steps.NOW)) == ANYWHERE


def test_another_address_of_a_manager_changes_no_step_that_any_manager_may_do(
    dev: Recorded, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced = {"public_ip": "203.0.113.99", "host_key": "ssh-ed25519 BBBB"}
    with monkeypatch.context() as patch:
        patch.setitem(program.OTHERWISE, "galera-1-ready", replaced)
        made = run()
    files = (home / "swarm-galera/ssh/swarm-galera-test/known_hosts").read_text()
    run()  # which leaves the files as other tests expect them
    changed = {name for name in dev.resources if made.resources[name].inputs != dev.resources[name].inputs}
    assert not {name for name in changed if not name.startswith("galera-1-")} - {"swarm-galera-1-joined"}
    assert "docker-provider" not in changed
    assert "any-manager,galera-1,203.0.113.99 ssh-ed25519 BBBB\n" in files


def test_every_command_checks_the_pinned_host_key(dev: Recorded) -> None:
    commands = dev.of_type("command:remote:Command")
    assert len(commands) > 15
    for name, command in commands.items():
        assert command.inputs["connection"]["hostKey"] == "ssh-ed25519 AAAA", name


def test_every_docker_resource_goes_through_any_manager(dev: Recorded) -> None:
    made = [args for args in dev.resources.values() if args.typ.startswith("docker:")]
    # Secrets of the peers, etcd's clients, Galera, its TLS, its way to etcd; a config; network and services.
    assert len(made) == (3 + 7 + 3 + 3 + 4) + 1 + (1 + 2)
    assert all(args.provider and "docker-provider" in args.provider for args in made)
    assert dev.resources["docker-provider"].inputs["host"] == "ssh://any-manager"


def test_the_ssh_programs_files_are_for_their_owner_only_and_pin_the_host(dev: Recorded, home: Path) -> None:
    folder = home / "swarm-galera/ssh/swarm-galera-test"
    assert (folder / "id").read_text() == "PRIVATE KEY\n"
    lines = [f"any-manager,galera-{n},203.0.113.1{n} ssh-ed25519 AAAA\n" for n in (1, 2, 3)]
    assert (folder / "known_hosts").read_text() == "".join(lines)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert json.loads(dev.resources["docker-provider"].inputs["sshOpts"]) == ["-F", str(folder / "config")]


def test_no_secret_stands_in_a_script_or_a_services_environment(dev: Recorded) -> None:
    marked = ("SWMTKN", "value-of-", "PRIVATE KEY", "PEER KEY", "AUTHORITY KEY", "marked-key")
    for name, args in dev.resources.items():
        shown = dict(args.inputs)
        if args.typ in program.COMMANDS:
            shown = {key: shown.get(key) for key in ("create", "update", "delete", "environment", "triggers")}
        elif args.typ == "docker:index/secret:Secret":
            shown = {"labels": shown["labels"]}
        shown = {key: value for key, value in shown.items() if key not in dev.secret_inputs[name]}
        text = json.dumps(shown, default=str)
        assert not [mark for mark in marked if mark in text], name


def test_the_join_tokens_stay_out_of_the_logs(dev: Recorded) -> None:
    assert dev.resources["swarm-started"].inputs["logging"] == "stderr"


def test_join_tokens_and_private_keys_go_to_hosts_as_secrets(dev: Recorded) -> None:
    assert "stdin" in dev.secret_inputs["swarm-galera-2-joined"]
    assert "stdin" not in dev.secret_inputs["swarm-galera-2-node"]
    for name in dev.of_type("command:remote:Command"):
        assert "connection" in dev.secret_inputs[name], name
    for name in dev.of_type("docker:index/secret:Secret"):
        assert dev.secret_inputs[name] == {"data"}, name


def test_the_authority_of_the_peers_hands_its_key_on_as_a_secret(dev: Recorded) -> None:
    assert dev.secret_inputs["etcd-certificates"] == {"authority_key"}


def test_host_scripts_run_again_in_place_and_get_no_previous_output(dev: Recorded) -> None:
    steps = {**dev.of_type("command:remote:Command"), **dev.of_type("command:local:Command")}
    for name, command in steps.items():
        assert command.inputs["update"] == command.inputs["create"], name
        assert command.inputs["addPreviousOutputInEnv"] is False, name


def test_nodes_other_than_the_first_leave_the_swarm_when_they_go(dev: Recorded) -> None:
    leaving = {
        name
        for name, args in dev.resources.items()
        if args.typ in program.COMMANDS and "delete" in args.inputs
    }
    assert leaving == {"swarm-galera-2-node", "swarm-galera-3-node", "network-left"}
    for name in leaving - {"network-left"}:
        command = dev.resources[name].inputs
        assert command["delete"].endswith("; run delete")
        assert "docker node demote" in command["stdin"]


def test_a_host_that_leaves_gives_up_etcds_seat_and_is_forgotten_by_galera(dev: Recorded) -> None:
    for name in ("swarm-galera-1-node", "swarm-galera-2-node"):
        text = dev.resources[name].inputs["stdin"]
        assert "voting=('etcd etcd-member forget')" in text
        assert "listing=('galera galera-node forget')" in text


def test_hosts_that_are_no_longer_in_the_settings_leave_before_services_are_touched(dev: Recorded) -> None:
    text = dev.resources["swarm-galera-1-node"].inputs["stdin"]
    assert "keep=(galera-1 galera-2 galera-3)" in text
    assert [name for name, args in dev.resources.items() if "keep=(" in str(args.inputs.get("stdin"))] == [
        "swarm-galera-1-node"
    ]


def test_managers_are_promoted_in_turn_and_the_first_ones_labels_wait_only_for_the_second(home: Path) -> None:
    waits = run({"servers": {"managers": 5, "workers": 1}}).depends_on
    of = "swarm-galera-{}-node".format
    before = {number: {of(n) for n in range(1, 7) if of(n) in waits[of(number)]} for number in range(1, 7)}
    assert before == {1: {of(2)}, 2: set(), 3: {of(2)}, 4: {of(3)}, 5: {of(4)}, 6: {of(5)}}
    assert {of(n) for n in range(1, 7)} <= waits["etcd-service"]


def test_the_swarms_start_knows_all_other_hosts_and_reads_the_tokens_again_when_one_comes_or_goes(
    dev: Recorded, home: Path
) -> None:
    started = dev.resources["swarm-started"].inputs["stdin"]
    managers = " ".join(f"galera-{n}=10.144.12.1{n}" for n in (1, 2, 3))
    assert f"\n{managers}\nEND-OF-VALUES" in started
    more = run({"servers": {"workers": 1}}).resources["swarm-started"].inputs["stdin"]
    assert f"\n{managers}\n10.144.12.14\n" in more


def test_a_host_joins_by_any_manager_and_the_first_one_too(dev: Recorded) -> None:
    for number in (1, 2, 3):
        values = f"SWMTKN-w 10.144.12.1{number} c\n10.144.12.11 10.144.12.12 10.144.12.13\nEND-OF-VALUES"
        step = dev.resources[f"swarm-galera-{number}-joined"]
        assert f"\n{values}" in step.inputs["stdin"]
        assert step.inputs["connection"]["host"] == f"203.0.113.1{number}"
        node = dev.resources[f"swarm-galera-{number}-node"].inputs["stdin"]
        assert f"\nstdout-of-swarm-galera-{number}-joined\nEND-OF-VALUES" in node


def test_services_are_waited_for_again_when_a_host_is_another_one_or_was_interrupted(
    dev: Recorded, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = ("etcd-running", "galera-formed")
    before = [dev.resources[wait].inputs["triggers"] for wait in waits]
    assert [run().resources[wait].inputs["triggers"] for wait in waits] == before
    for changed in ({"id": "4711"}, {"reboots": 1}):
        monkeypatch.setitem(program.OTHERWISE, "galera-2-guest", changed)
        made = run()
        assert not [wait for wait in waits if made.resources[wait].inputs["triggers"] in before]


def changed_everywhere(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """One more word in a part of every service that no setting names."""
    if what == "health check":
        options = HealthCheck(["health"], 7).options()
        monkeypatch.setattr(HealthCheck, "options", lambda _: options)
    elif what == "restart policy":
        monkeypatch.setattr(services, "RESTART", {"condition": "on-failure"})
    elif what == "update policy":
        policy = UpdatePolicy(7).options()
        monkeypatch.setattr(UpdatePolicy, "options", lambda _: policy)
    elif what == "label":
        monkeypatch.setattr(swarm_files, "stack", lambda: "another/stack")
    else:
        monkeypatch.setattr(service_spec, "KEEPALIVE", {"net.ipv4.tcp_keepalive_time": "1"})


@pytest.mark.parametrize("what", ["health check", "restart policy", "update policy", "label", "sysctl"])
def test_services_are_waited_for_again_whatever_is_said_of_them_changes(
    dev: Recorded, home: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    changed_everywhere(monkeypatch, what)
    made = run()
    for service, wait in (("etcd-service", "etcd-running"), ("galera-service", "galera-formed")):
        assert made.resources[service].inputs != dev.resources[service].inputs
        assert made.resources[wait].inputs["triggers"] != dev.resources[wait].inputs["triggers"]


def test_services_are_waited_for_again_when_they_changed_though_nothing_said_of_them_did(
    dev: Recorded, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count comes from a hook of Pulumi's engine; tests/plugins/test_cluster_stack.py has a real one."""
    monkeypatch.setitem(program.OTHERWISE, "etcd-rollout", {"changes": 1})
    made = run()
    assert made.resources["etcd-service"].inputs == dev.resources["etcd-service"].inputs
    assert (
        made.resources["etcd-running"].inputs["triggers"] != dev.resources["etcd-running"].inputs["triggers"]
    )
    assert (
        made.resources["galera-formed"].inputs["triggers"]
        == dev.resources["galera-formed"].inputs["triggers"]
    )


BALANCER = {"loadBalancer": {"image": "registry.lab:5000/haproxy:2.6-1"}}


def test_where_clients_may_be_no_two_services_are_changed_at_the_same_time(home: Path) -> None:
    made = run(BALANCER, former={"galera": {}})
    assert "etcd-running" in made.depends_on["galera-service"]
    assert "etcd-service" in made.depends_on["etcd-running"]
    assert "galera-formed" in made.depends_on["galera-tls"]
    assert "galera-tls" in made.depends_on["haproxy-service"]


def test_services_that_nobody_uses_yet_are_made_side_by_side(home: Path) -> None:
    made = run(BALANCER)
    assert "etcd-running" not in made.depends_on["galera-service"]
    assert "galera-formed" not in made.depends_on["haproxy-service"]
    for service in ("galera", "haproxy"):
        assert "galera-1-engine-images" in made.depends_on[f"{service}-service"]
        assert "galera-1-engine-current" in made.depends_on[f"{service}-service"]


def test_services_name_the_content_that_a_managers_engine_found(dev: Recorded) -> None:
    for service, image in (
        ("etcd", "registry.lab:5000/etcd:3.4-1"),
        ("galera", "registry.lab:5000/galera:10.11-1"),
    ):
        named = dev.resources[f"{service}-service"].inputs["taskSpec"]["containerSpec"]["image"]
        assert named == f"{image}@{program.DIGEST}"
        step = dev.resources[f"{service}-image-resolved"].inputs
        assert step["triggers"] == [image]
        assert f"reference={image}" in step["stdin"]
    assert "etcd-image-resolved" in dev.depends_on["galera-image-resolved"]


def test_every_manager_has_exactly_that_content_before_galera_is_touched(dev: Recorded) -> None:
    for host in HOSTS:
        words = dev.resources[f"{host}-engine-images"].inputs["stdin"]
        for image in ("etcd:3.4-1", "galera:10.11-1"):
            assert f"\nregistry.lab:5000/{image}@{program.DIGEST}\n" in words
        assert f"{host}-engine-images" in dev.depends_on["galera-service"]


def test_a_digest_in_the_settings_is_taken_as_it_is(home: Path) -> None:
    digest = f"sha256:{'f' * 64}"
    made = run({"galera": {"image": f"registry.lab:5000/galera@{digest}"}})
    named = made.resources["galera-service"].inputs["taskSpec"]["containerSpec"]["image"]
    assert named == f"registry.lab:5000/galera@{digest}"


def durations_in(value: Any) -> Iterator[str]:
    """All durations that a service is sent with."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key in ("interval", "timeout", "startPeriod", "stopGracePeriod", "delay", "monitor", "window"):
                yield item
            else:
                yield from durations_in(item)


def test_services_are_sent_as_the_docker_plugin_finds_them(dev: Recorded) -> None:
    """What is sent otherwise differs in every run, and every run would replace all tasks."""
    for service in ("etcd-service", "galera-service"):
        sent = dev.resources[service].inputs
        found = list(durations_in(sent))
        assert len(found) == 8
        assert [text for text in found if durations.render(durations.parse(text)) != text] == []
        assert sent["taskSpec"]["restartPolicy"]["window"] == "0s"
        assert sent["labels"] == [{"label": "swarm-galera.stack", "value": "swarm-galera/test"}]
        assert dev.ignored[service] == ["taskSpec.placement.platforms"]


def test_what_the_engine_adds_replaces_no_network_and_another_subnet_does(dev: Recorded, home: Path) -> None:
    assert dev.ignored["network-network"] == ["options", "ipamConfigs"]
    assert dev.replacement_triggers["network-network"] == "10.20.0.0/24"
    other = run({"network": {"subnet": "10.21.0.0/24"}})
    assert other.replacement_triggers["network-network"] == "10.21.0.0/24"
    assert "subnet=10.21.0.0/24" in other.resources["network-left"].inputs["stdin"]


def test_a_network_outlives_the_last_task_of_its_services(dev: Recorded) -> None:
    """Deleted are: the services, what they depend on, and only then the network."""
    for service in ("etcd-service", "galera-service"):
        assert "network-left" in dev.depends_on[service]
    left = dev.resources["network-left"].inputs
    assert "network-network" in dev.depends_on["network-left"]
    assert left["triggers"] == ["id-of-network-network"]
    assert left["delete"].endswith("run delete")
    assert "Remove" in left["stdin"]


@pytest.mark.parametrize(
    ("subnet", "expected"), [("10.20.0.0/24", "10.20.0.1"), ("172.16.4.0/22", "172.16.4.1")]
)
def test_the_gateway_is_the_one_that_the_engine_takes(subnet: str, expected: str) -> None:
    assert gateway(subnet) == expected


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0s"),
        (20, "20s"),
        (60, "1m"),
        (90, "1m30s"),
        (120, "2m"),
        (3600, "1h"),
        (3605, "1h0m5s"),
        (3660, "1h1m"),
    ],
)
def test_durations_are_written_as_the_docker_plugin_writes_them(seconds: int, written: str) -> None:
    assert duration(seconds) == written
    assert durations.parse(written) == seconds * 10**9
    assert durations.render(seconds * 10**9) == written


def test_galera_is_a_global_service_with_local_data_and_no_published_port(dev: Recorded) -> None:
    service = dev.resources["galera-service"].inputs
    container = service["taskSpec"]["containerSpec"]
    assert service["mode"] == {"global": True}
    assert service["endpointSpec"] == {"mode": "vip"}
    assert service["taskSpec"]["placement"] == {"constraints": ["node.labels.galera==true"]}
    assert container["mounts"] == [{"type": "volume", "source": "galera-data", "target": "/var/lib/mysql"}]
    assert container["env"] == {
        "NODE_NAME": "{{.Node.Hostname}}",
        "CLUSTER_NAME": "galera",
        "CLUSTER_SIZE": "3",
        "MEMBERS": "galera-1,galera-2,galera-3",
        "PEERS": "tasks.galera",
        "STORE": "etcd://etcd:2381",
        "SUBNET": "10.20.0.0/24",
        "DATABASE": "app",
        "START_PERIOD": "3600",
    }
    assert {secret["fileName"] for secret in container["secrets"]} == {
        "galera-root-password",
        "galera-monitor-password",
        "galera-app-password",
        *("galera-ca.crt", "galera-server.crt", "galera-server.key"),
        *("store-ca.crt", "store-client.crt", "store-client.key", "store-token"),
    }


def test_the_stores_clients_are_users_and_only_its_members_hold_what_makes_them(dev: Recorded) -> None:
    etcd, galera = (
        dev.resources[f"{name}-service"].inputs["taskSpec"]["containerSpec"] for name in ("etcd", "galera")
    )
    assert {secret["fileName"] for secret in etcd["secrets"]} == {
        *("etcd-peer-ca.crt", "etcd-peer.crt", "etcd-peer.key"),
        *("etcd-client-ca.crt", "etcd-server.crt", "etcd-server.key", "etcd-root.crt", "etcd-root.key"),
        *("etcd-galera-password", "etcd-consumer-password"),
    }
    assert not {secret["fileName"] for secret in galera["secrets"]} & {"etcd-root.crt", "etcd-root.key"}
    assert etcd["env"]["READABLE"] == "swarm-galera/galera/present/,swarm-galera/galera/writer"
    called = {
        name: (args.inputs["called"], args.inputs["user"])
        for name, args in dev.of_type("pulumi-python:dynamic/swarm-galera:ClientCertificate").items()
    }
    # With a name that is a user's, a certificate alone would be enough.
    assert called == {
        "etcd-root-certificate": ("root", True),
        "etcd-galera-certificate": ("galera", False),
        "etcd-consumer-certificate": ("consumer", False),
    }
    assert dev.resources["etcd-server-certificate"].inputs["addresses"] == ["etcd", "localhost", "127.0.0.1"]
    token = base64.b64decode(dev.resources["galera-store-token"].inputs["data"])
    assert token == base64.b64decode(dev.resources["etcd-etcd-galera-password"].inputs["data"])
    assert dev.outputs["discoveryAccess"] == {
        "user": "consumer",
        "password": "value-of-etcd-consumer-password",
        "caCertificate": "CA",
        "certificate": "CERTIFICATE",
        "privateKey": "PEER KEY",
    }


def test_users_are_turned_on_once_all_of_galera_has_come_over(dev: Recorded) -> None:
    step = dev.resources["etcd-users"].inputs
    assert "etcd-member secure" in step["stdin"]
    # After each change of either: a step that was interrupted, or a store that was formed anew.
    assert step["triggers"] == ["id-of-etcd-running", "id-of-galera-formed"]


def test_services_are_updated_one_node_at_a_time_and_stop_at_a_failure(dev: Recorded) -> None:
    for name in ("etcd-service", "galera-service"):
        update = dev.resources[name].inputs["updateConfig"]
        assert (update["parallelism"], update["order"], update["failureAction"]) == (1, "stop-first", "pause")


def test_the_next_node_is_left_alone_as_long_as_a_failure_of_the_one_before_counts(dev: Recorded) -> None:
    for name in ("etcd-service", "galera-service"):
        update = dev.resources[name].inputs["updateConfig"]
        assert durations.parse(update["delay"]) >= durations.parse(update["monitor"]) >= 20 * 10**9


def test_a_node_that_receives_its_data_holds_up_the_next_one_for_an_hour(dev: Recorded) -> None:
    container = dev.resources["galera-service"].inputs["taskSpec"]["containerSpec"]
    assert container["healthcheck"]["startPeriod"] == "1h"
    assert container["env"]["START_PERIOD"] == "3600"


def test_two_minutes_of_failed_health_checks_must_pass_before_a_task_is_ended(dev: Recorded) -> None:
    for name in ("etcd-service", "galera-service"):
        check = dev.resources[name].inputs["taskSpec"]["containerSpec"]["healthcheck"]
        assert int(check["interval"].removesuffix("s")) * check["retries"] >= 120
        assert int(check["timeout"].removesuffix("s")) >= 30


def test_connections_through_a_virtual_ip_are_probed_before_ipvs_forgets_them(dev: Recorded) -> None:
    for name in ("etcd-service", "galera-service"):
        sysctl = dev.resources[name].inputs["taskSpec"]["containerSpec"]["sysctl"]
        assert int(sysctl["net.ipv4.tcp_keepalive_time"]) < 900


def test_etcd_has_a_member_on_each_manager_and_publishes_only_its_peer_port(dev: Recorded) -> None:
    service = dev.resources["etcd-service"].inputs
    assert service["taskSpec"]["placement"] == {"constraints": ["node.role==manager"]}
    assert service["taskSpec"]["containerSpec"]["env"]["ETCD_INITIAL_CLUSTER"] == (
        "galera-1=https://10.144.12.11:2380,galera-2=https://10.144.12.12:2380,galera-3=https://10.144.12.13:2380"
    )
    (port,) = service["endpointSpec"]["ports"]
    assert (port["targetPort"], port["publishMode"]) == (2380, "host")


def test_the_overlay_is_encrypted_unless_the_settings_say_otherwise(dev: Recorded, home: Path) -> None:
    network = dev.resources["network-network"].inputs
    assert network["options"] == {"encrypted": ""}
    assert network["ipamConfigs"] == [{"subnet": "10.20.0.0/24", "gateway": "10.20.0.1"}]
    plain = run({"network": {"encrypted": False}}).resources["network-network"].inputs
    assert "encrypted" not in plain.get("options", {})
    assert plain["labels"] != network["labels"]


def test_a_network_that_changes_takes_its_services_with_it_unless_others_are_on_it(dev: Recorded) -> None:
    """By their names, which come through it: tests/plugins/test_plugin_pulumi.py shows that it works."""
    asked = dev.resources["network-free"].inputs["stdin"]
    assert "wanted='galera 10.20.0.0/24 true'" in asked
    assert "own=(etcd galera)" in asked
    for name in ("etcd-service", "galera-service"):
        assert dev.resources[name].inputs["name"] == name.removesuffix("-service")


def test_outputs_are_the_contract(dev: Recorded) -> None:
    assert set(dev.outputs) == {
        *("hosts", "managers", "workers", "joinTokens", "discovery", "network", "galera", "estimatedCost"),
        *("ssh", "passwords", "contractVersion", "discoveryAccess"),
    }
    assert dev.outputs["contractVersion"] == 2
    assert dev.outputs["hosts"][0] == {
        "name": "galera-1",
        "id": "id-of-galera-1-guest",
        "publicIp": "203.0.113.11",
        "privateIp": "10.144.12.11",
        "datacenter": "tor01",
        "role": "manager",
    }
    assert dev.outputs["managers"] == list(HOSTS)
    assert dev.outputs["discovery"] == {
        "kind": "etcd",
        "address": "etcd",
        "port": 2381,
        "vip": "stdout-of-etcd-running",
    }
    assert dev.outputs["galera"]["vip"] == "stdout-of-galera-formed"
    assert dev.outputs["galera"]["members"] == list(HOSTS)
    assert dev.outputs["joinTokens"] == {"manager": "SWMTKN-m", "worker": "SWMTKN-w"}


def test_tokens_keys_and_passwords_are_secret_outputs_and_nothing_else_is(dev: Recorded) -> None:
    assert dev.secret_outputs == {"joinTokens", "ssh", "passwords", "discoveryAccess"}


def test_two_runs_declare_the_same(dev: Recorded, home: Path) -> None:
    def told(recorded: Recorded) -> dict[str, Any]:
        return {name: (args.typ, args.inputs) for name, args in recorded.resources.items()}

    assert told(run()) == told(dev)


def test_all_join_as_workers_and_workers_bear_no_data(home: Path) -> None:
    made = run({"servers": {"workers": 2}})
    assert "SWMTKN-w" in made.resources["swarm-galera-5-joined"].inputs["stdin"]
    assert "SWMTKN-w" in made.resources["swarm-galera-3-joined"].inputs["stdin"]
    assert "wanted=manager" in made.resources["swarm-galera-3-node"].inputs["stdin"]
    assert "wanted=worker" in made.resources["swarm-galera-5-node"].inputs["stdin"]
    assert "galera=false" in made.resources["swarm-galera-5-node"].inputs["stdin"]
    assert "galera=true" in made.resources["swarm-galera-3-node"].inputs["stdin"]
    assert "galera-5-engine-images" not in made.resources
    assert made.outputs["galera"]["size"] == 3
    assert made.outputs["workers"] == ["galera-4", "galera-5"]


@pytest.mark.parametrize("token", ["docker:index/secret:Secret", "docker:index/serviceConfig:ServiceConfig"])
def test_secrets_and_configs_are_named_by_pulumi_so_that_an_old_one_is_never_in_the_way(
    dev: Recorded, token: str
) -> None:
    """Neither the one before it nor one of a killed run, that no state knows of."""
    made = dev.of_type(token)
    assert len(made) == {"docker:index/secret:Secret": 20}.get(token, 1)
    for name, args in made.items():
        assert "name" not in args.inputs
        assert len(name) + len("-1a2b3c4") <= 64, "the engine takes no longer name"
        assert args.inputs["labels"] == [{"label": "swarm-galera.stack", "value": "swarm-galera/test"}]
    used = dev.resources["galera-service"].inputs["taskSpec"]["containerSpec"]
    assert used["secrets"][0]["secretName"] == "galera-galera-root-password-1a2b3c4"


def configs(made: Recorded) -> dict[str, str]:
    """The text of Galera's Docker configs, by their place in the container."""
    used = made.resources["galera-service"].inputs["taskSpec"]["containerSpec"]["configs"]
    by_id = {
        f"id-of-{name}": args.inputs["data"] for name, args in made.resources.items() if "data" in args.inputs
    }
    return {
        config["fileName"]: base64.b64decode(by_id[config["configId"]]).decode(errors="replace")
        for config in used
    }


def test_options_of_server_and_library_become_configs(home: Path) -> None:
    wanted = {"max_connections": 300, "wsrep_sync_wait": 3}
    made = run({"galera": {"config": wanted, "provider": {"gcache.size": "2G"}, "strictReplication": False}})
    found = configs(made)
    assert list(found) == ["/etc/mysql/mariadb.conf.d/90-stack.cnf", "/etc/galera-node/provider.json"]
    text = found["/etc/mysql/mariadb.conf.d/90-stack.cnf"]
    assert "[mysqld]\nmax_connections = 300\nwsrep_sync_wait = 3\n" in text
    assert text.endswith("wsrep_mode =\n")
    assert json.loads(found["/etc/galera-node/provider.json"]) == {"gcache.size": "2G"}
    # Without them, the image's own settings count.
    (text,) = configs(run()).values()
    assert "wsrep_mode" not in text


def test_a_node_has_as_long_to_stop_as_is_set(home: Path) -> None:
    def grace(seconds: int) -> str:
        made = run({"galera": {"stopGrace": seconds}})
        found: str = made.resources["galera-service"].inputs["taskSpec"]["containerSpec"]["stopGracePeriod"]
        return found

    assert grace(60) == duration(60)
    assert grace(600) == duration(600)
    assert duration(60) != duration(600)


def test_initial_sql_is_one_config_and_stays_as_it_was_run(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warned.append)
    place = "/etc/galera-node/initdb.tar.gz"
    (tmp_path / "01-schema.sql").write_text("CREATE TABLE t (id INT PRIMARY KEY);")
    wanted = {"galera": {"initdb": str(tmp_path)}}
    first = run(wanted)
    assert place in configs(first)
    assert "data" not in first.ignored["galera-galera-initdb"]
    former = first.outputs
    assert former["galera"]["initdb"]

    # Nothing changed: nothing is said, and what the state has stays.
    assert run(wanted, former=former).ignored["galera-galera-initdb"] == ["data"]
    # A changed file, one more, none at all: the config stays the one that was run, so no task is replaced.
    (tmp_path / "02.sql").write_text("CREATE TABLE u (id INT PRIMARY KEY);")
    changed = run(wanted, former=former)
    assert place in configs(changed)
    assert changed.ignored["galera-galera-initdb"] == ["data"]
    assert changed.outputs["galera"]["initdb"] == former["galera"]["initdb"]
    assert place in configs(run(former=former))
    assert [text for text in warned if "is run at no other time" in text] == warned
    assert len(warned) == 1

    # Added to a cluster that has formed without: it is not shipped, and said to be no use.
    bare = run().outputs
    warned.clear()
    assert place not in configs(run(wanted, former=bare))
    assert len(warned) == 1


@pytest.mark.parametrize(("key", "value"), [("clusterName", "other"), ("database", "shop")])
def test_names_that_live_in_the_data_are_not_changed_later(home: Path, key: str, value: str) -> None:
    former = run().outputs
    assert run({"galera": {key: value}}).outputs["galera"][key] == value  # before there is anything
    with pytest.raises(
        pulumi.RunError, match=rf"galera\.{key}: {value} was .* when the cluster formed"
    ) as refused:
        run({"galera": {key: value}}, former=former)
    assert "Remedy: set it back" in str(refused.value)
    assert "nothing was ordered or changed" in str(refused.value)


def test_the_engines_networks_reach_its_configuration_and_the_swarm(home: Path) -> None:
    engine = {"bridge": "172.30.0.0/24", "addressPools": ["172.31.0.0/16"], "swarmPool": "192.168.0.0/16"}
    made = run({"engine": engine})
    configured = made.resources["galera-1-engine-configured"].inputs["stdin"]
    assert '"bip": "172.30.0.1/24"' in configured
    assert '"base": "172.31.0.0/16"' in configured
    assert "172.30.0.0/24=" in configured
    assert "--default-addr-pool 192.168.0.0/16" in made.resources["swarm-started"].inputs["stdin"]
    assert "--default-addr-pool" not in run().resources["swarm-started"].inputs["stdin"]


def test_without_a_firewall_no_group_is_made_or_bound(home: Path) -> None:
    made = run({"servers": {"firewall": False}, "ssh": {"allowedCidrs": []}})
    assert not made.of_type("pulumi-python:dynamic/softlayer:SecurityGroup")
    assert made.resources["galera-1-guest"].inputs["public_security_groups"] == []


def guest(hostname: str, cores: int = 1, **reported: Any) -> Guest:
    """A server of the stack as the account has it."""
    disks = [{"device": device, "diskImage": {"capacity": 25}} for device in ("0", "2")]
    raw = {"hostname": hostname, "startCpus": cores, "maxMemory": 2048, "blockDevices": disks}
    return Guest({**raw, "provisionDate": "2026-01-01T00:00:00+00:00", **reported})


def there(*hostnames: str, **reported: Any) -> dict[str, Guest]:
    return {hostname: guest(hostname, **reported) for hostname in hostnames}


def order(made: Recorded, *names: str) -> list[str]:
    """Those of the resources, in the order in which they were declared."""
    return [name for name in made.resources if name in names]


def test_servers_that_are_resized_are_changed_one_after_the_other_each_when_the_one_before_is_back(
    home: Path,
) -> None:
    made = run({"servers": {"cores": 2}}, there(*HOSTS))
    steps = [f"{host}-{step}" for host in HOSTS for step in ("guest", "engine-current")]
    assert order(made, *steps) == steps


def test_new_servers_and_those_that_stay_as_they_are_wait_for_nobody(home: Path) -> None:
    for now in ({}, there(*HOSTS), there(*HOSTS, cores=4, provisionDate=None)):
        made = run(guests=now)
        guests = [f"{host}-guest" for host in HOSTS]
        # They ask side by side, so among themselves they come in any order.
        assert set(order(made, *guests, "galera-1-ready")[:3]) == set(guests)
    grown = run({"servers": {"managers": 5, "cores": 2}}, there(*HOSTS))
    new = ["galera-4-guest", "galera-5-guest"]
    assert set(order(grown, *new, "galera-1-engine-current")[:2]) == set(new)


def test_taking_turns_leaves_no_edges_in_the_state(home: Path) -> None:
    resized, plain = run({"servers": {"cores": 2}}, there(*HOSTS)), run()
    guests = [f"{host}-guest" for host in HOSTS]
    assert [resized.depends_on[name] for name in guests] == [plain.depends_on[name] for name in guests]


def test_a_host_that_is_reloaded_takes_its_turn_among_those_that_are_resized(home: Path) -> None:
    made = run(
        {"servers": {"reloadToken": {"galera-2": "2026-11"}}},
        there("galera-1", "galera-2") | there("galera-3", cores=2),
    )
    assert made.resources["galera-2-guest"].inputs["reload_token"] == "2026-11"
    assert made.resources["galera-2-ready"].inputs["reload_token"] == "2026-11"
    assert made.resources["galera-1-guest"].inputs["reload_token"] == ""
    assert order(made, "galera-2-engine-current", "galera-3-guest") == [
        "galera-2-engine-current",
        "galera-3-guest",
    ]


def test_what_is_done_after_an_interruption_is_done_anew_after_each(dev: Recorded) -> None:
    assert dev.resources["galera-2-disk-prepared"].inputs["triggers"] == [25.0, 25.0]
    config, reboots = dev.resources["galera-2-engine-current"].inputs["triggers"]
    assert "storage-driver" in config
    assert reboots == 0


def test_only_hosts_that_are_named_may_be_replaced_and_lose_their_protection(home: Path) -> None:
    policies = {
        (): ["refuse", "refuse", "refuse"],
        ("galera-2",): ["keep", "replace", "keep"],
    }
    for named, policy in policies.items():
        made = run({"servers": {"replace": list(named)}})
        guests = [f"{host}-guest" for host in HOSTS]
        assert [made.resources[name].inputs["on_replacement"] for name in guests] == policy
        assert made.protected == {name for name in guests if name.removesuffix("-guest") not in named}
    assert not run({"servers": {"protect": False}}).protected


def policies(made: Recorded) -> dict[str, tuple[str, Any]]:
    """What may be done to each server, and the id of one that is to go."""
    inputs = {host: made.resources[f"{host}-guest"].inputs for host in HOSTS}
    return {host: (given["on_replacement"], given.get("replaces")) for host, given in inputs.items()}


def test_a_server_is_replaced_for_its_own_sake_while_it_is_the_one_that_was_named(home: Path) -> None:
    servers = {"servers": {"replaceServer": {"galera-2": 12}}}
    now = {host: guest(host, id=number) for number, host in enumerate(HOSTS, 11)}
    made = run(servers, now)
    assert policies(made) == {
        "galera-1": ("keep", None),
        "galera-2": ("replace", 12),
        "galera-3": ("keep", None),
    }
    assert made.protected == {"galera-1-guest", "galera-3-guest"}
    # Another server is there by now, or none: nobody is to go any more.
    for after in ({**now, "galera-2": guest("galera-2", id=99)}, {"galera-1": now["galera-1"]}):
        made = run(servers, after)
        assert set(policies(made).values()) == {("refuse", None)}
        assert "galera-2-guest" in made.protected


def test_several_servers_with_data_do_not_go_in_one_run_unless_operations_names_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = {"servers": {"replaceServer": {"galera-1": 11, "galera-2": 12}}}
    now = {host: guest(host, id=number) for number, host in enumerate(HOSTS, 11)}
    with pytest.raises(pulumi.RunError, match="galera-1, galera-2 would be cancelled in one run"):
        run(servers, now)
    monkeypatch.setenv(REPLACED, '{"galera-1": 11}')
    assert policies(run(servers, now))["galera-1"] == ("replace", 11)
    assert policies(run(servers, now))["galera-2"] == ("keep", None)
    monkeypatch.setenv(REPLACED, "{}")
    assert set(policies(run(servers, now)).values()) == {("refuse", None)}


def test_a_server_is_not_replaced_in_the_run_that_interrupts_others_or_while_they_are_not_well(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = {host: guest(host, id=number) for number, host in enumerate(HOSTS, 11)}
    with pytest.raises(pulumi.RunError, match="galera-2 may be replaced in the same run that reboots"):
        run({"servers": {"replaceServer": {"galera-2": 12}, "cores": 4}}, now)
    monkeypatch.setenv(NOT_WELL, '{"galera-3": "does not answer"}')
    with pytest.raises(pulumi.RunError, match="galera-2 would be interrupted"):
        run({"servers": {"replaceServer": {"galera-2": 12}}}, now)
    assert policies(run({"servers": {"replaceServer": {"galera-3": 13}}}, now))["galera-3"] == ("replace", 13)


def test_other_names_for_the_managers_are_refused_before_anything_is_declared(home: Path) -> None:
    with pytest.raises(
        pulumi.RunError, match="galera-1, galera-2, galera-3 would be given up with their data"
    ):
        run({"servers": {"prefix": "db"}}, there(*HOSTS))


SERVERS: list[tuple[str, Any, str, Any]] = [
    # setting, its value, property of the order, its value there
    ("domain", "example.org", "domain", "example.org"),
    ("datacenter", "dal13", "datacenter", "dal13"),
    ("cores", 4, "cores", 4),
    ("memory", 8192, "memory", 8192),
    ("disks", [100, 200], "disks", [100, 200]),
    ("localDisk", False, "local_disk", False),
    ("os", "DEBIAN_12_64", "os", "DEBIAN_12_64"),
    ("image", "aaaa-bbbb", "image", "aaaa-bbbb"),
    ("hourly", False, "hourly", False),
    ("transient", True, "transient", True),
    ("nicSpeed", 1000, "nic_speed", 1000),
    ("privateOnly", True, "private_only", True),
    ("publicVlan", 2263001, "public_vlan", 2263001),
    ("privateVlan", 2263002, "private_vlan", 2263002),
    ("publicSubnet", 9, "public_subnet", 9),
    ("privateSubnet", 10, "private_subnet", 10),
    ("placementGroup", 11, "placement_group", 11),
    ("tags", ["blue"], "tags", ["blue"]),
    ("notes", "for tests", "notes", "for tests"),
    ("encryptedDisk", True, "encrypted_disk", True),
    ("userData", "#cloud-config", "user_data", "#cloud-config"),
    ("postInstallUrl", "https://example.com/x", "post_install_url", "https://example.com/x"),
    ("adopt", {"galera-1": 4711}, "adopt", 4711),
]
TOGETHER: dict[str, dict[str, Any]] = {
    "image": {"os": None},
    "publicVlan": {"privateVlan": 2263002},
    "publicSubnet": {"publicVlan": 2263001, "privateVlan": 2263002},
    "privateSubnet": {"privateVlan": 2263002},
}


@pytest.mark.parametrize(("setting", "value", "key", "expected"), SERVERS, ids=lambda value: str(value)[:20])
def test_a_setting_of_the_servers_reaches_their_order(
    home: Path, monkeypatch: pytest.MonkeyPatch, setting: str, value: Any, key: str, expected: Any
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    ssh = {"address": "private" if setting == "privateOnly" else "public"}
    if setting == "adopt":
        ssh["publicKey"] = "ssh-ed25519 AAAA"
    made = run({"servers": {**TOGETHER.get(setting, {}), setting: value}, "ssh": ssh})
    assert made.resources["galera-1-guest"].inputs[key] == expected


def test_no_setting_of_the_servers_is_forgotten() -> None:
    """The others are about which servers there are, or what is around them; they have tests of their own."""
    around = {
        "kind",
        "hosts",
        "pools",
        "prefix",
        "managers",
        "workers",
        "firewall",
        "published_ports",
        "protect",
        "reload_token",
        "replace",
        "replace_server",
    }
    tested = {to_snake(setting) for setting, *_ in SERVERS}
    assert set(Servers.model_fields) == tested | around


def test_published_ports_are_open_on_the_public_side_only(home: Path) -> None:
    made = run({"servers": {"publishedPorts": [80, 443]}})
    public, private = (made.resources[f"firewall-{side}"].inputs["rules"] for side in ("public", "private"))
    opened = {
        rule["first_port"] for rule in public if rule["direction"] == "ingress" and "source" not in rule
    }
    assert opened == {80, 443}
    assert not any(rule.get("first_port") in (80, 443) for rule in private)


def test_label_and_notes_of_the_uploaded_key_are_settings(home: Path) -> None:
    made = run({"ssh": {"uploadLabel": "galera", "uploadNotes": "of the galera stack"}})
    key = made.resources["ssh-key"].inputs
    assert (key["label"], key["notes"]) == ("galera", "of the galera stack")


def test_the_price_is_asked_for_what_is_ordered_and_held_against_the_limit(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    made = run(
        {
            "maxMonthlyCost": 123.45,
            "servers": {"workers": 1, "cores": 4, "adopt": {"galera-2": 7}},
            "ssh": {"publicKey": "ssh-ed25519 AAAA"},
        }
    )
    (shapes, limit), (owner,) = made.estimated
    assert limit == Decimal("123.45")
    assert list(shapes) == ["galera-1", "galera-3", "galera-4"]
    assert {shape.cores for shape in shapes.values()} == {4}
    assert owner == "swarm-galera/test/0123456789ab"
    assert set(made.outputs["estimatedCost"]["hosts"]) == set(shapes)


def test_without_a_limit_none_is_asked_for(dev: Recorded) -> None:
    assert dev.estimated[0][1] is None


def test_a_plan_above_the_limit_ends_the_run_before_anything_is_declared(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise CostTooHigh("the plan costs too much")

    monkeypatch.setattr(program, "estimate_of", refuse)
    with pytest.raises(pulumi.RunError, match="the plan costs too much"):
        run({"maxMonthlyCost": 1})


def test_an_api_key_in_plain_text_is_refused_without_showing_it(home: Path) -> None:
    settings = {"username": "me", "apiKey": "marked-plain-key"}
    with pytest.raises(pulumi.RunError, match=r"plain text.*Remedy: make a new one.*--secret") as refused:
        run(settings)
    assert "marked-plain-key" not in str(refused.value)
    assert run(settings, secrets=["apiKey"]).resources


def test_a_password_of_root_in_plain_text_is_refused_without_showing_it(home: Path) -> None:
    settings = {"rootPassword": "marked-plain-password"}
    with pytest.raises(pulumi.RunError, match=r"plain text.*--secret swarm-galera:rootPassword") as refused:
        run(settings)
    assert "marked" not in str(refused.value)


def test_a_given_password_of_root_stands_for_the_drawn_one_and_is_a_secret_wherever_it_is(home: Path) -> None:
    made = run({"rootPassword": "marked-root-password"}, secrets=["rootPassword"])
    assert "galera-root-password" not in made.of_type("pulumi-python:dynamic/swarm-galera:Password")
    assert {"galera-monitor-password", "galera-app-password"} <= set(made.resources)
    assert made.outputs["passwords"]["root"] == "marked-root-password"
    assert "passwords" in made.secret_outputs
    (secret,) = [name for name in made.of_type("docker:index/secret:Secret") if "galera-root" in name]
    data = made.resources[secret].inputs["data"]
    assert base64.b64decode(data) == b"marked-root-password"
    assert "data" in made.secret_inputs[secret]
    holders = {
        (name, key)
        for name, each in made.resources.items()
        for key, value in each.inputs.items()
        if "marked-root-password" in json.dumps(value, default=str)
    }
    assert holders == set()


def test_what_is_said_of_the_hosts_systems_is_a_step_on_each_and_comes_before_packages(home: Path) -> None:
    hosts = {"resolvers": ["10.0.80.11"], "searchDomains": ["example.com"], "motd": "Ours."}
    made, plain = run({"hosts": hosts}), run()
    steps = {f"{host}-system-{step}" for host in HOSTS for step in ("resolver", "motd")}
    assert set(made.resources) - set(plain.resources) == steps
    for host in HOSTS:
        resolver, packages = f"{host}-system-resolver", f"{host}-system-packages"
        assert "resolvers=(10.0.80.11)" in made.resources[resolver].inputs["stdin"]
        assert "motd=Ours." in made.resources[f"{host}-system-motd"].inputs["stdin"]
        assert made.depends_on[packages] == plain.depends_on[packages] | {resolver}
        assert made.resources[packages].inputs == plain.resources[packages].inputs


def test_options_of_the_engine_are_in_every_engines_configuration(home: Path) -> None:
    made = run({"engine": {"options": {"debug": True}}})
    for host in HOSTS:
        assert '"debug": true' in made.resources[f"{host}-engine-configured"].inputs["stdin"]


def test_bad_settings_end_the_run_before_anything_is_declared(home: Path) -> None:
    with pytest.raises(pulumi.RunError, match="an even number of managers"):
        run({"servers": {"managers": 2}})


def test_a_bug_is_no_message_for_the_user_and_keeps_its_traceback(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: Any) -> None:
        raise ValueError("zip() argument 2 is shorter than argument 1")

    monkeypatch.setattr(program, "estimate_of", bug)
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        run()


def test_a_private_key_s_file_without_one_ends_the_run_with_a_remedy(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "key.pub"
    file.write_text("ssh-ed25519 AAAA")
    with pytest.raises(pulumi.RunError, match=r"ssh\.privateKeyFile: .* is not a private key; give the file"):
        run({"ssh": {"publicKey": "ssh-ed25519 AAAA", "privateKeyFile": str(file)}})


WITHOUT_THE_LAB = """
import importlib.abc, sys

class NoLab(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ("lab", "bench", "harness"):
            raise ModuleNotFoundError(f"{name} was deleted")

sys.meta_path.insert(0, NoLab())
from tests.unit.program import run
import operations.cli
made = run({"servers": {"workers": 1}})
operations.cli.build()
print(len(made.resources), "galera-service" in made.resources)
"""


def test_the_program_and_the_operations_do_without_the_lab(dev: Recorded, home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT_THE_LAB],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    count, there = done.stdout.split()
    assert int(count) > len(dev.resources)
    assert there == "True"


class Clock:
    """Time that passes only while somebody sleeps, in seconds."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_an_api_that_cannot_be_reached_is_tried_for_seconds_and_not_for_minutes(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(tenacity, "time", clock)
    monkeypatch.setattr(tenacity.nap, "time", clock)
    with pytest.raises(pulumi.RunError, match="subnets failed: nothing answers at the API's address"):
        run(asks_the_api=True)
    assert 0 < clock.now <= cost.PATIENCE


def test_with_a_load_balancer_the_node_that_takes_the_writes_is_changed_last(home: Path) -> None:
    balancer = {"loadBalancer": {"image": "registry.lab:5000/haproxy:2.6-1"}}
    for settings, held in ((balancer, True), ({}, False), ({**balancer, "servers": {"managers": 1}}, False)):
        made = run(settings)
        text = made.resources["galera-formed"].inputs["stdin"]
        assert ("--label-rm" in text) is held
        assert "--label-rm" not in made.resources["etcd-running"].inputs["stdin"]


def test_an_arbitrator_is_one_task_on_a_host_without_data_and_the_odd_vote_of_four_nodes(home: Path) -> None:
    pools = [{"name": "rows", "count": 1, "labels": {"galera": "true"}}]
    settings = {
        "servers": {"workers": 1, "pools": pools},
        "arbitrator": {"image": "registry.lab:5000/arbitrator:26.4-1"},
        "galera": {"provider": {"evs.suspect_timeout": "PT5S"}},
    }
    made = run(settings)
    service = made.resources["arbitrator-service"].inputs
    assert service["mode"] == {"replicated": {"replicas": 1}}
    assert service["taskSpec"]["placement"] == {"constraints": ["node.labels.galera==false"]}
    secrets = [each["fileName"] for each in service["taskSpec"]["containerSpec"]["secrets"]]
    assert {Path(each).name for each in secrets} == {
        "galera-ca.crt",
        "galera-server.crt",
        "galera-server.key",
    }
    formed = made.resources["galera-formed"].inputs["stdin"]
    assert "more=5" in formed
    assert '$seen != "$more nodes, Primary, Synced"' in formed
    assert made.outputs["galera"]["arbitrator"] is True
    plain = run()
    assert "arbitrator-service" not in plain.resources
    assert "more=" not in plain.resources["galera-formed"].inputs["stdin"]
    assert "arbitrator" not in plain.outputs["galera"]


def test_an_arbitrator_that_goes_is_in_the_group_until_the_run_ends(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pulumi deletes it last: three nodes that are waited for are four until then, each time."""
    urn = "urn:pulumi:test::swarm-galera::x$docker:index/service:Service::arbitrator-service"
    monkeypatch.setattr(program, "FORMER_URNS", [urn])
    going = run(former={"galera": {}})
    assert "arbitrator-service" not in going.resources
    assert "more=4" in going.resources["galera-formed"].inputs["stdin"]
    monkeypatch.setattr(program, "FORMER_URNS", [])
    assert "more=" not in run(former={"galera": {}}).resources["galera-formed"].inputs["stdin"]

"""The engine's script: its configuration, its start on its disk only, and when it may restart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from components.host_scripts import engine
from tests.unit.fake_host import FakeHost, Ran

pytestmark = pytest.mark.unit

CONFIG = engine.daemon_json({"datacenter": "tor01", "size": "1x2048"})
OTHER = engine.daemon_json({"datacenter": "tor01", "size": "1x2048"}, dns=["10.0.80.11"])


class Host(FakeHost):
    """A host with an engine that is not started yet."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.program(
            "systemctl",
            'case "$*" in *is-active*) [[ -e $host/active ]] ;; '
            '"start docker.service"|"restart docker.service") '
            '[[ ! -e $host/broken ]] && : >"$host/active" ;; esac',
        )
        self.program("journalctl", "echo 'failed to start daemon: bad option'")
        self.program(
            "docker",
            'case "$*" in *LocalNodeState*) cat "$host/node"; exit ;; esac; '
            'case "$*" in "node ls "*) cat "$host/nodes" 2>/dev/null || : ; exit ;; '
            '*Replicas*) cat "$host/replicas" 2>/dev/null || : ; exit ;; '
            '*Config.Labels*) cat "$host/service.${!#}" 2>/dev/null || echo galera; exit ;; '
            '"inspect "*) for each in ${@:4}; do [[ $each == ghost* ]] && echo false || echo true; done; '
            "exit ;; esac; "
            'case "$1 ${2:-}" in "info "*) echo "$(cat "$host/driver") 20.10.24" ;; '
            '"node ps") cat "$host/tasks" ;; '
            '"ps -q") cat "$host/containers" 2>/dev/null || : ;; '
            # Each look sees the next file: status, status.2, …; the last one stays.
            '"ps -a") cat "$host/status"; [[ ! -e $host/status.2 ]] || mv "$host/status.2" "$host/status" ;; '
            '"service ls") cat "$host/services" ;; esac',
        )
        self.program("ip", 'cat "$host/routes"')
        self.file("routes", "default via 10.144.12.1 dev eth0\n10.144.12.0/24 dev eth0 scope link\n")
        # Nobody waits in the tests.
        self.program("sleep")
        self.file("status", "")
        self.file("driver", "btrfs")
        self.places = engine.Places(
            daemon_json=str(folder / "docker/daemon.json"),
            dropin=str(folder / "docker.service.d/10-disk.conf"),
            wants=str(folder / "wants/docker.service"),
            state=str(folder / "state"),
        )

    def configure(self, config: str = CONFIG) -> Ran:
        return self.run(engine.configure("galera-1", config, self.places))

    def settle(
        self,
        *,
        manager: bool = True,
        interruptions: int = 0,
        patience: int = engine.PATIENCE,
        replicated: Sequence[str] = (),
    ) -> Ran:
        text = engine.settle("galera-1", manager=manager, replicated=replicated, places=self.places)
        text = text.replace(f"patience={engine.PATIENCE}", f"patience={patience}")
        return self.run(text, f"{interruptions}\n")


def actions(ran: Ran) -> list[str]:
    """What was done to the unit, without looking at it."""
    return [call for call in ran.called("systemctl") if "is-active" not in call]


def test_logs_labels_and_driver_are_as_the_cluster_needs_them() -> None:
    config = json.loads(engine.daemon_json({"size": "1x2048", "datacenter": "tor01"}))
    assert config["storage-driver"] == "btrfs"
    assert config["log-driver"] == "json-file"
    assert config["log-opts"] == {"max-size": "10m", "max-file": "10"}
    assert config["labels"] == ["datacenter=tor01", "size=1x2048"]


def test_swarm_mode_refuses_live_restore_so_it_is_never_set() -> None:
    assert "live-restore" not in CONFIG


def test_dns_mirrors_and_insecure_registries_appear_only_when_given() -> None:
    full = json.loads(engine.daemon_json({}, ["10.0.80.11"], ["https://mirror"], ["registry:5000"]))
    assert full["dns"] == ["10.0.80.11"]
    assert full["registry-mirrors"] == ["https://mirror"]
    assert full["insecure-registries"] == ["registry:5000"]
    assert not {"dns", "registry-mirrors", "insecure-registries"} & set(json.loads(CONFIG))


def test_further_options_stand_beside_what_the_program_sets_and_never_for_it() -> None:
    config = json.loads(engine.daemon_json({}, options={"debug": True, "storage-driver": "overlay2"}))
    assert config["debug"] is True
    assert config["storage-driver"] == "btrfs"
    assert engine.daemon_json({}, options={}) == engine.daemon_json({})


def test_the_engine_starts_only_while_its_disk_is_mounted(tmp_path: Path) -> None:
    host = Host(tmp_path / "host")
    ran = host.run(engine.bind_to_disk(host.places))
    assert ran.code == 0, ran.err
    dropin = Path(host.places.dropin).read_text()
    assert "RequiresMountsFor=/var/lib/docker\n" in dropin
    assert "ConditionPathIsMountPoint=/var/lib/docker\n" in dropin


def test_a_fresh_engine_is_configured_enabled_and_started(tmp_path: Path) -> None:
    host = Host(tmp_path / "host")
    ran = host.configure()
    assert ran.code == 0, ran.err
    assert ran.out == "20.10.24\n"
    assert actions(ran) == [
        "systemctl -q enable docker.service",
        "systemctl daemon-reload",
        "systemctl start docker.service",
    ]
    assert Path(host.places.daemon_json).read_text() == CONFIG + "\n"


MOVED = engine.daemon_json({}, bridge="172.30.0.0/24", address_pools=["172.31.0.0/16"])


def test_the_engines_own_networks_are_where_the_settings_put_them() -> None:
    config = json.loads(MOVED)
    assert config["bip"] == "172.30.0.1/24"
    assert config["default-address-pools"] == [{"base": "172.31.0.0/16", "size": 24}]
    assert engine.networks(MOVED) == {
        "172.30.0.0/24": "engine.bridge",
        "172.31.0.0/16": "engine.addressPools",
    }
    assert list(engine.networks(CONFIG)) == ["172.17.0.0/16", "172.18.0.0/16"]


@pytest.mark.parametrize(
    ("route", "setting"),
    [
        ("172.17.0.0/16 via 10.144.12.1 dev eth0", "engine.bridge"),
        ("172.18.5.0/24 via 10.144.12.1 dev eth0", "engine.addressPools"),
        ("172.17.0.9 dev tun0 scope link", "engine.bridge"),
        ("172.16.0.0/13 dev eth1 scope link", "engine.bridge"),
    ],
)
def test_an_engine_does_not_take_a_network_that_the_host_routes(
    tmp_path: Path, route: str, setting: str
) -> None:
    host = Host(tmp_path / "host")
    host.file("routes", f"default via 10.144.12.1 dev eth0\n{route}\n")
    ran = host.configure()
    assert ran.code == 1
    assert f"overlaps {route.split(maxsplit=1)[0]}, which galera-1 reaches by" in ran.err
    assert f"Remedy: set {setting} to" in ran.err
    assert actions(ran) == []
    assert not Path(host.places.daemon_json).exists()
    # With its networks elsewhere, it starts.
    assert host.configure(MOVED).code == 0


@pytest.mark.parametrize(
    "route",
    [
        "10.0.0.0/8 via 10.144.12.1 dev eth0",
        "172.16.0.0/12 via 10.144.12.1 dev eth0",  # wide, and not the host's own
        "172.17.0.0/16 dev docker0 scope link",
        "172.18.0.0/16 dev docker_gwbridge scope link",
    ],
)
def test_wide_routes_and_the_engines_own_bridges_are_in_nobodys_way(tmp_path: Path, route: str) -> None:
    host = Host(tmp_path / "host")
    host.file("routes", f"{route}\n")
    assert host.configure().code == 0


def test_a_running_engine_is_not_given_a_network_that_the_host_routes_however_often(tmp_path: Path) -> None:
    host = Host(tmp_path / "host")
    host.configure()
    host.file("routes", "172.30.0.0/24 via 10.144.12.1 dev eth0\n")
    for _ in range(2):
        assert "engine.bridge" in host.configure(MOVED).err
    assert Path(host.places.daemon_json).read_text() == CONFIG + "\n"


def test_a_second_run_leaves_a_running_engine_alone(tmp_path: Path) -> None:
    host = Host(tmp_path / "host")
    host.configure()
    host.file("wants/docker.service", "")
    ran = host.configure()
    assert ran.code == 0, ran.err
    assert actions(ran) == []


def test_a_changed_configuration_restarts_an_engine_without_containers(tmp_path: Path) -> None:
    host = Host(tmp_path / "host")
    host.configure()
    host.file("wants/docker.service", "")
    assert actions(host.configure(OTHER)) == ["systemctl restart docker.service"]


def test_a_changed_configuration_waits_for_its_turn_where_containers_run(tmp_path: Path) -> None:
    host = Host(tmp_path / "host")
    host.configure()
    host.file("wants/docker.service", "")
    host.file("containers", "c1\nc2\n")
    host.file("status", "galera|Up 3 seconds (healthy)\n|Up 2 seconds\n")
    assert actions(host.configure(OTHER)) == ["systemctl reload docker.service"]
    assert actions(host.settle()) == ["systemctl restart docker.service"]
    assert actions(host.settle()) == []


def test_a_host_that_restarted_its_engine_is_waited_for_until_as_many_containers_are_healthy(
    tmp_path: Path,
) -> None:
    host = Host(tmp_path / "host")
    host.file("state/engine.restart", "")
    host.file("containers", "c1\nc2\n")
    host.file("status", "|Up 1 second (health: starting)\n|Up 2 seconds\n")
    host.file("status.2", "|Up 9 seconds (healthy)\n|Up 9 seconds\n")
    ran = host.settle(manager=False)
    assert ran.code == 0, ran.err
    assert len(ran.called("sleep")) == 1


def test_a_host_without_containers_is_back_at_once(tmp_path: Path) -> None:
    ran = Host(tmp_path / "host").settle()
    assert ran.code == 0, ran.err
    assert len(ran.calls) == 1


@pytest.mark.parametrize(
    "status",
    [
        "galera|Exited (0) 2 minutes ago\netcd|Up 1 minute (healthy)\n",
        "galera|Exited (0) 2 minutes ago\ngalera|Up 1 minute (health: starting)\netcd|Up 9 minutes\n",
        "galera|Up 5 minutes (unhealthy)\netcd|Up 1 minute (healthy)\n",
        "galera|Created\netcd|Exited (137) 1 minute ago\n",
    ],
)
def test_after_a_reboot_every_global_service_that_ran_here_must_be_healthy_again(
    tmp_path: Path, status: str
) -> None:
    host = Host(tmp_path / "host")
    host.file("services", "etcd\ngalera\n")
    host.file("status", status)
    host.file(
        "status.2",
        "galera|Exited (0) 2 minutes ago\ngalera|Up 1 minute (healthy)\netcd|Up 2 minutes (healthy)\n",
    )
    ran = host.settle()
    assert ran.code == 0, ran.err
    assert len(ran.called("sleep")) == 1


def test_after_a_reload_what_the_swarm_ran_here_must_be_healthy_though_no_container_is_left(
    tmp_path: Path,
) -> None:
    host = Host(tmp_path / "host")
    host.file("services", "etcd\ngalera\n")
    host.file("node", "active")
    host.file("tasks", "galera.xzu826\n \\_ galera.xzu826\nshop.1\n")
    host.file("status.2", "galera|Up 2 seconds (healthy)\n")
    ran = host.settle(interruptions=1)
    assert ran.code == 0, ran.err
    assert len(ran.called("sleep")) == 1
    host.file("status", "")
    assert host.settle().called("sleep") == []
    host.file("node", "inactive")
    assert host.settle(interruptions=1).called("sleep") == []


def test_services_that_are_gone_or_may_run_elsewhere_are_not_waited_for(tmp_path: Path) -> None:
    host = Host(tmp_path / "host")
    host.file("services", "etcd\ngalera-backup\n")
    host.file(
        "status", "galera|Exited (0) 2 minutes ago\nshop|Exited (0) 1 hour ago\netcd|Up 1 hour (healthy)\n"
    )
    assert host.settle().called("sleep") == []
    host.file("status", "etcd|Exited (0) 2 minutes ago\n")
    assert host.settle(manager=False).called("sleep") == []


@pytest.mark.parametrize("away", ["ps -a", "service ls", "node ps"])
def test_an_engine_or_swarm_that_does_not_answer_yet_is_waited_for(tmp_path: Path, away: str) -> None:
    host = Host(tmp_path / "host")
    docker = host.bin / "docker"
    lines = docker.read_text().splitlines()
    once = f'[[ "$1 $2" != "{away}" || -e $host/asked ]] || {{ : >"$host/asked"; echo "no leader"; exit 1; }}'
    docker.write_text("\n".join([*lines[:3], once, *lines[3:]]))
    host.file("services", "etcd\n")
    host.file("node", "active")
    host.file("tasks", "etcd.xzu826\n")
    host.file("status", "etcd|Exited (0) 2 minutes ago\n")
    host.file("status.2", "etcd|Up 2 seconds (healthy)\n")
    ran = host.settle(interruptions=1)
    assert ran.code == 0, ran.err
    assert ran.called("sleep")


def test_a_host_that_does_not_come_back_ends_the_run_and_says_what_is_missing(tmp_path: Path) -> None:
    host = Host(tmp_path / "host")
    host.file("services", "etcd\ngalera\n")
    host.file("status", "galera|Up 15 minutes (unhealthy)\netcd|Up 1 minute (healthy)\n")
    ran = host.settle(patience=0)
    assert ran.code == 1
    assert "galera-1 is not back" in ran.err
    assert "not yet: galera)" in ran.err
    assert "no further host was interrupted" in ran.err


def test_an_engine_that_does_not_start_shows_its_last_words(tmp_path: Path) -> None:
    host = Host(tmp_path / "host")
    host.file("broken", "")
    ran = host.configure()
    assert ran.code == 1
    assert "bad option" in ran.err
    assert "the engine of galera-1 does not start" in ran.err


def test_an_engine_on_another_storage_driver_is_an_error(tmp_path: Path) -> None:
    host = Host(tmp_path / "host")
    host.file("driver", "overlay2")
    ran = host.configure()
    assert ran.code == 1
    assert "stores with 'overlay2' instead of btrfs" in ran.err


WELL = "true|galera-1|Ready|Leader\n"
WELL += "false|galera-2|Ready|Reachable\nfalse|galera-3|Ready|Reachable\nfalse|w|Ready|\n"


def ready_to_restart(host: Host, nodes: str = WELL, replicas: str = "etcd|3/3\ngalera|3/3\n") -> None:
    host.file("state/engine.restart", "")
    host.file("nodes", nodes)
    host.file("replicas", replicas)
    host.file("status", "galera|Up 3 seconds (healthy)\n")


def impatient(text: str) -> str:
    text = text.replace(f"others_within={engine.OTHERS_WITHIN}", "others_within=0")
    return text.replace(f"down_within={engine.DOWN_WITHIN}", "down_within=0")


@pytest.mark.parametrize(
    ("nodes", "replicas", "told"),
    [
        (WELL.replace("galera-3|Ready", "galera-3|Down"), "galera|2/2\n", "galera-3 is Down and Reachable"),
        (
            WELL.replace("-2|Ready|Reach", "-2|Ready|Unreach"),
            "",
            "galera-2 is Ready and Unreach",
        ),
        (WELL.replace("w|Ready", "w|Down"), "", "w is Down"),
        (WELL, "etcd|3/3\ngalera|2/3\n", "galera runs on 2/3 nodes"),
        (WELL, "etcd|2/3 (max 1 per node)\n", "etcd runs on 2/3 nodes"),
    ],
)
def test_no_engine_is_restarted_while_the_other_hosts_are_not_well(
    tmp_path: Path, nodes: str, replicas: str, told: str
) -> None:
    host = Host(tmp_path / "host")
    ready_to_restart(host, nodes, replicas)
    text = impatient(engine.settle("galera-1", manager=True, places=host.places))
    ran = host.run(text, "0\n")
    assert ran.code == 1
    assert told in ran.err
    assert "the engine of galera-1 is not restarted with its new configuration" in ran.err
    assert actions(ran) == []
    # The note stays: the next run goes on here.
    ready_to_restart(host)
    ran = host.run(text, "0\n")
    assert (ran.code, actions(ran)) == (0, ["systemctl restart docker.service"])


def test_a_swarm_that_does_not_answer_is_no_leave_to_restart(tmp_path: Path) -> None:
    host = Host(tmp_path / "host")
    ready_to_restart(host)
    (host.bin / "docker").write_text("#!/bin/bash\necho 'The swarm does not have a leader'; exit 1\n")
    ran = host.run(impatient(engine.settle("galera-1", manager=True, places=host.places)), "0\n")
    assert ran.code == 1
    assert "not well (the swarm does not answer: The swarm does not have a leader)" in ran.err
    assert actions(ran) == []


def test_others_that_are_not_well_are_waited_for(tmp_path: Path) -> None:
    host = Host(tmp_path / "host")
    ready_to_restart(host, replicas="galera|2/3\n")
    host.program("sleep", 'echo "galera|3/3" >"$host/replicas"')
    ran = host.settle()
    assert (ran.code, actions(ran)) == (0, ["systemctl restart docker.service"])
    assert ran.calls.index("sleep 2") < ran.calls.index("systemctl restart docker.service")


def test_whoever_has_asked_for_the_others_already_need_not_ask_an_engine_in_error(tmp_path: Path) -> None:
    host = Host(tmp_path / "host")
    ready_to_restart(host, nodes="Error response from daemon: This node is not a swarm manager.\n")
    ran = host.run(engine.settle("galera-1", manager=True, ask=False, places=host.places), "0\n")
    assert (ran.code, actions(ran)) == (0, ["systemctl restart docker.service"])


def test_a_host_without_a_new_configuration_asks_nobody(tmp_path: Path) -> None:
    host = Host(tmp_path / "host")
    host.file("nodes", WELL.replace("galera-3|Ready", "galera-3|Down"))
    ran = host.settle()
    assert ran.code == 0, ran.err
    assert not [call for call in ran.calls if call.startswith("docker node ls")]


def test_ghosts_of_containers_are_not_waited_for_after_the_restart(tmp_path: Path) -> None:
    host = Host(tmp_path / "host")
    ready_to_restart(host)
    host.file("containers", "c1\nghost1\nghost2\n")
    ran = host.settle(patience=0)
    assert ran.code == 0, ran.err
    assert "restarting the engine and its 1 containers" in ran.err


def test_a_container_that_may_come_back_on_another_host_is_not_waited_for(tmp_path: Path) -> None:
    host = Host(tmp_path / "host")
    host.file("state/engine.restart", "")
    host.file("containers", "c1\nc2\nc3\n")
    host.file("service.c2", "application\n")
    host.file("service.c3", "\n")  # one that somebody started by hand
    host.file("status", "galera|Up 1 minute (healthy)\n|Up 1 minute\n")
    ran = host.settle(replicated=["application"])
    assert ran.code == 0, ran.err
    assert "restarting the engine and its 2 containers" in ran.err
    assert ran.called("sleep") == []
    host.file("state/engine.restart", "")
    assert host.settle(patience=0).code == 1


def test_without_such_services_the_text_is_what_it_was() -> None:
    text = engine.settle("galera-1", manager=True)
    assert "< <(docker ps -q)\n" in text
    assert text == engine.settle("galera-1", manager=True, replicated=[])
    assert "stays" not in text

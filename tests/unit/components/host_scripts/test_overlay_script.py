"""What the swarm is asked before its network is replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.host_scripts import overlay
from tests.unit.fake_host import FakeHost, Ran

pytestmark = pytest.mark.unit

DOCKER = r"""
case "$1 $2" in
  "network ls") cat "$host/networks" ;;
  "network inspect") cat "$host/network" ;;
  "service ls") cut -d' ' -f1 "$host/services" ;;
  "service inspect") cat "$host/services" ;;
esac
"""
OWN = ("etcd", "galera")


def asked(folder: Path, network: str, *services: str) -> Ran:
    """What becomes of the wish for an encrypted network of 10.20.0.0/24 where there is `network`."""
    host = FakeHost(folder / "host")
    host.program("docker", DOCKER)
    host.file("networks", "net1\n" if network else "")
    host.file("network", f"{network}\n")
    host.file("services", "".join(f"{service}\n" for service in services))
    return host.run(overlay.free_of_others("galera", "10.20.0.0/24", True, OWN))


def test_where_there_is_no_network_nothing_stands_in_the_way(tmp_path: Path) -> None:
    ran = asked(tmp_path, "")
    assert (ran.code, ran.out) == (0, "")
    assert len(ran.calls) == 1


def test_a_network_as_wanted_may_serve_anybody(tmp_path: Path) -> None:
    assert asked(tmp_path, "galera 10.20.0.0/24 true", "app net1").code == 0


@pytest.mark.parametrize(
    "found", ["galera 10.21.0.0/24 true", "galera 10.20.0.0/24 false", "other 10.20.0.0/24 true"]
)
def test_one_that_has_to_be_replaced_may_serve_the_stacks_own_services(tmp_path: Path, found: str) -> None:
    assert asked(tmp_path, found, "etcd net1", "galera net1", "web net2", "alone").code == 0


@pytest.mark.parametrize("services", [["galera net1", "app net2 net1"], ["app galera"]])
def test_one_that_has_to_be_replaced_and_serves_others_is_refused(
    tmp_path: Path, services: list[str]
) -> None:
    ran = asked(tmp_path, "galera 10.21.0.0/24 true", *services)
    assert ran.code == 1
    assert "the network galera has to be replaced by (galera 10.20.0.0/24 true), but serves: app." in ran.err
    assert "docker service update --network-rm galera SERVICE" in ran.err


def test_a_swarm_without_services_is_asked_no_further(tmp_path: Path) -> None:
    ran = asked(tmp_path, "galera 10.21.0.0/24 true")
    assert ran.code == 0
    assert not [call for call in ran.calls if call.startswith("docker service inspect")]


TASKS = r"""
case "$1 $2" in
  "node ls") cat "$host/nodes" ;;
  "node ps")
    n=$(( $(cat "$host/turn" 2>/dev/null || echo 0) + 1 )); echo $n >"$host/turn"
    while [[ ! -e $host/tasks.$n ]]; do n=$((n - 1)); done
    cat "$host/tasks.$n" ;;
  "network inspect") cat "$host/network" ;;
esac
"""
RUNS, ENDS = "galera-1|Running|Running 3 minutes ago\n", "galera-2|Remove|Running 2 seconds ago\n"


def swarm_with(folder: Path, *tasks: str, nodes: str = "node-1\nnode-2\n\n") -> FakeHost:
    """A swarm whose third node is down; `tasks` by turn."""
    host = FakeHost(folder / "host")
    host.program("docker", TASKS)
    host.program("sleep")
    host.file("nodes", nodes)
    for turn, text in enumerate(tasks, 1):
        host.file(f"tasks.{turn}", text)
    return host


def test_tasks_of_removed_services_are_waited_for_on_nodes_that_are_up(tmp_path: Path) -> None:
    ran = swarm_with(tmp_path, RUNS + ENDS, RUNS + ENDS, RUNS).run(overlay.tasks_gone())
    assert ran.code == 0, ran.err
    asked = [call for call in ran.called("docker") if " ps " in call]
    assert len(asked) == 3
    assert all(call.endswith(" node-1 node-2") for call in asked)
    assert ran.err == "waiting for tasks of removed services to end: galera-2 Running 2 seconds ago\n"


def test_what_runs_holds_nobody_up(tmp_path: Path) -> None:
    ran = swarm_with(tmp_path, RUNS).run(overlay.tasks_gone())
    assert (ran.code, ran.err) == (0, "")


def test_where_no_node_is_up_nobody_is_waited_for(tmp_path: Path) -> None:
    ran = swarm_with(tmp_path, RUNS + ENDS, nodes="\n\n").run(overlay.tasks_gone())
    assert ran.code == 0
    assert not [call for call in ran.called("docker") if " ps " in call]


def test_tasks_that_do_not_end_are_named_with_their_hosts(tmp_path: Path) -> None:
    ran = swarm_with(tmp_path, RUNS + ENDS).run(overlay.tasks_gone(minutes=0))
    assert ran.code == 1
    assert "tasks of removed services do not end: galera-2 Running 2 seconds ago. Remedy: " in ran.err


@pytest.mark.parametrize(("found", "code"), [("10.20.0.0/24", 0), ("10.21.0.0/24", 1)])
def test_a_network_of_another_subnet_than_the_settings_is_an_error(
    tmp_path: Path, found: str, code: int
) -> None:
    host = swarm_with(tmp_path)
    host.file("network", f"{found}\n")
    ran = host.run(overlay.as_wanted("galera", "10.20.0.0/24"))
    assert ran.code == code
    if code:
        assert "has the subnet 10.21.0.0/24, not 10.20.0.0/24" in ran.err
        assert "Remedy: leave network.subnet as it was, 10.21.0.0/24; or take one that is neither" in ran.err

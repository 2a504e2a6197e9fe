"""Swarm scripts: nothing is done twice, what can't be right is refused, leaving keeps the quorum."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.commands import swarm
from tests.unit.fake_host import FakeHost, Ran

pytestmark = pytest.mark.unit

DOCKER = r"""
case "$1 $2" in
  "info --format")
    case $3 in
      *ControlAvailable*) cat "$host/state" ;;
      *Swarm.Error*) cat "$host/trouble" ;;
      *Cluster.ID*) echo "cluster1 node1 $(cat "$host/heartbeat" 2>/dev/null || echo 5s)" ;;
      *) cat "$host/state" ;;
    esac ;;
  "swarm init")
    if [[ $3 == --force-new-cluster ]]; then mv "$host/node.later" "$host/node"; exit; fi
    echo "active|true|10.0.0.1" >"$host/state"; echo "${10}" >"$host/heartbeat" ;;
  "swarm join") [[ ! -e $host/refuse ]] || { rm "$host/refuse"; echo "connection refused" >&2; exit 1; }
    echo "active|node2|10.0.0.1:2377 " >"$host/state" ;;
  "swarm update") echo "$4" >"$host/heartbeat" ;;
  "swarm leave") echo "inactive||" >"$host/state" ;;
  "swarm join-token") echo "SWMTKN-$4" ;;
  "node inspect")
    [[ -e $host/node ]] || exit 1
    read -r node <"$host/node"
    if [[ $4 == *Role* ]]; then echo "$node"; else echo "${node%%|*}"; fi ;;
  "node update")
    if [[ -e $host/stale ]]; then rm "$host/stale"; echo "update out of sequence" >&2; exit 1; fi
    if [[ $4 == manager ]]; then echo "ready|manager|reachable" >"$host/node"; fi ;;
  "node ps") cat "$host/tasks" 2>/dev/null || : ;;
  "node demote")
    if [[ -e $host/no-quorum ]]; then echo "The swarm does not have a leader" >&2; exit 1; fi
    echo "ready|worker|" >"$host/node" ;;
  "node rm") rm "$host/node" ;;
esac
"""


def host_with(folder: Path, state: str = "inactive||", node: str | None = None) -> FakeHost:
    host = FakeHost(folder)
    host.program("docker", DOCKER)
    host.file("state", state + "\n")
    if node is not None:
        host.file("node", node + "\n")
    return host


def changes(ran: Ran) -> list[str]:
    """Calls that change something."""
    looks = ("docker info", "docker swarm join-token", "docker node inspect", "docker node ps")
    return [call for call in ran.calls if not call.startswith(looks)]


START = "10.0.0.1\n"
JOIN = "SWMTKN-secret 10.0.0.2 10.0.0.1\n"


def test_the_first_manager_starts_a_swarm_on_its_private_address_only(tmp_path: Path) -> None:
    ran = host_with(tmp_path / "host").run(swarm.start("galera-1"), START)
    assert ran.code == 0, ran.err
    assert changes(ran) == [
        "docker swarm init --advertise-addr 10.0.0.1 --listen-addr 10.0.0.1:2377 --data-path-addr 10.0.0.1 "
        "--dispatcher-heartbeat 20s"
    ]
    assert json.loads(ran.out) == {
        "cluster": "cluster1",
        "node": "node1",
        "manager": "SWMTKN-manager",
        "worker": "SWMTKN-worker",
    }


def test_a_swarm_that_runs_is_not_started_again_and_has_the_same_tokens(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host")
    first, second = host.run(swarm.start("galera-1"), START), host.run(swarm.start("galera-1"), START)
    assert changes(second) == []
    assert second.out == first.out


def test_a_swarm_with_another_heartbeat_gets_ours_in_place(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", "active|true|10.0.0.1")
    assert changes(host.run(swarm.start("galera-1"), START)) == [
        "docker swarm update --dispatcher-heartbeat 20s"
    ]
    assert changes(host.run(swarm.start("galera-1"), START)) == []


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("active|false|10.0.0.1", "only a worker of some swarm"),
        ("active|true|192.0.2.1", "leads a swarm on 192.0.2.1"),
        ("locked|false|", "is 'locked'"),
    ],
)
def test_a_first_manager_in_another_swarm_is_refused(tmp_path: Path, state: str, said: str) -> None:
    ran = host_with(tmp_path / "host", state).run(swarm.start("galera-1"), START)
    assert ran.code == 1
    assert said in ran.err
    assert changes(ran) == []


def test_a_host_joins_over_the_private_network_and_says_its_node_id(tmp_path: Path) -> None:
    ran = host_with(tmp_path / "host").run(swarm.join("galera-2"), JOIN)
    assert ran.code == 0, ran.err
    assert ran.out == "node2\n"
    assert changes(ran) == [
        "docker swarm join --token SWMTKN-secret --advertise-addr 10.0.0.2 --listen-addr 10.0.0.2:2377 "
        "--data-path-addr 10.0.0.2 10.0.0.1:2377"
    ]


def test_the_token_is_in_no_script() -> None:
    assert "SWMTKN" not in swarm.join("galera-2") + swarm.start("galera-1")


def test_a_member_does_not_join_again(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", "active|node2|10.0.0.3:2377 10.0.0.1:2377 ")
    ran = host.run(swarm.join("galera-2"), JOIN)
    assert ran.out == "node2\n"
    assert changes(ran) == []


def test_a_refused_join_is_tried_again(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host")
    host.file("refuse", "")
    ran = host.run(swarm.join("galera-2"), JOIN)
    assert ran.code == 0, ran.err
    assert len(changes(ran)) == 2


def test_a_host_of_another_swarm_is_left_alone(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", "active|node9|192.0.2.7:2377 ")
    ran = host.run(swarm.join("galera-2"), JOIN)
    assert ran.code == 1
    assert "galera-2 belongs to another swarm (managers: 192.0.2.7:2377" in ran.err
    assert changes(ran) == []


def test_a_half_joined_host_leaves_before_it_joins(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", "error||")
    ran = host.run(swarm.join("galera-2"), JOIN)
    assert ran.code == 0, ran.err
    assert [call.split()[2] for call in changes(ran)] == ["leave", "join"]


def test_a_node_gets_its_role_and_labels_in_one_step(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", node="ready|manager|reachable")
    text = swarm.describe_node("galera-2", "manager", {"galera": "true", "datacenter": "tor01"})
    ran = host.run(text, "node2\n")
    assert ran.code == 0, ran.err
    assert changes(ran) == [
        "docker node update --role manager --availability active "
        "--label-add datacenter=tor01 --label-add galera=true node2"
    ]


def test_a_new_manager_is_waited_for_until_its_vote_counts(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", node="ready|worker|")
    ran = host.run(swarm.describe_node("galera-2", "manager", {"galera": "true"}), "node2\n")
    assert ran.code == 0, ran.err
    update = next(n for n, call in enumerate(ran.calls) if call.startswith("docker node update"))
    assert any("Reachability" in call for call in ran.calls[update + 1 :])


def test_a_worker_is_not_waited_for_to_vote(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", node="ready|worker|")
    assert host.run(swarm.describe_node("galera-4", "worker", {"galera": "false"}), "node4\n").code == 0


LOST = "rpc error: The swarm does not have a leader. It's possible that too few managers are online."


def leaderless(folder: Path, known: str, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """A first manager without a leader that knows the managers `known`, and promotes with little patience."""
    monkeypatch.setattr(swarm, "LONELY_FOR", 1)
    host = host_with(folder)
    host.file("trouble", f"{LOST}|10.0.0.1|{known}\n")
    host.file("node.later", "ready|worker|\n")
    text = swarm.describe_node("galera-2", "manager", {})
    assert "SECONDS + 300" in text
    return host.run(text.replace("SECONDS + 300", "SECONDS + 5"), "node2\n")


def test_a_first_manager_left_with_a_member_it_never_knew_goes_on_alone_and_promotes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = leaderless(tmp_path / "host", "10.0.0.1:2377 ", monkeypatch)
    assert ran.code == 0, ran.err
    assert "going on without it" in ran.err
    first, second = changes(ran)
    assert first.startswith("docker swarm init --force-new-cluster --advertise-addr 10.0.0.1 ")
    assert second.startswith("docker node update --role manager")


def test_a_manager_that_knows_others_never_goes_on_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = leaderless(tmp_path / "host", "10.0.0.1:2377 10.0.0.2:2377 ", monkeypatch)
    assert ran.code == 1
    assert "galera-2 is no manager of the swarm" in ran.err
    assert not [call for call in ran.calls if "--force-new-cluster" in call]


def test_labels_are_given_again_when_the_node_changed_in_between(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", node="ready|manager|reachable")
    host.file("stale", "")
    ran = host.run(swarm.describe_node("galera-2", "manager", {"galera": "true"}), "node2\n")
    assert ran.code == 0, ran.err
    assert len(changes(ran)) == 2


def test_a_leaving_manager_stops_its_containers_then_gives_up_its_vote_then_goes(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", node="ready|manager|reachable")
    ran = host.run(swarm.remove_node("galera-5"), "node5\n")
    assert ran.code == 0, ran.err
    assert changes(ran) == [
        "docker node update --availability drain node5",
        "docker node demote node5",
        "docker node rm --force node5",
    ]


def test_a_dead_manager_is_not_waited_for(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", node="down|manager|unreachable")
    host.file("tasks", "Running 3 hours ago\n")
    ran = host.run(swarm.remove_node("galera-5"), "node5\n")
    assert ran.code == 0, ran.err
    assert [call.split()[2] for call in changes(ran)] == ["demote", "rm"]


def test_a_leaving_worker_has_no_vote_to_give_up(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", node="ready|worker|")
    ran = host.run(swarm.remove_node("galera-5"), "node5\n")
    assert [call.split()[2] for call in changes(ran)] == ["update", "rm"]


def test_a_node_that_is_gone_needs_no_removal(tmp_path: Path) -> None:
    ran = host_with(tmp_path / "host").run(swarm.remove_node("galera-5"), "node5\n")
    assert ran.code == 0, ran.err
    assert changes(ran) == []


def test_a_manager_is_not_removed_while_the_swarm_has_no_quorum(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", node="down|manager|unreachable")
    host.file("no-quorum", "")
    ran = host.run(swarm.remove_node("galera-5"), "node5\n")
    assert ran.code == 1
    assert "does not have a leader" in ran.err
    assert "could not be demoted" in ran.err
    assert not [call for call in ran.calls if call.startswith("docker node rm")]

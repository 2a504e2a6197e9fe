"""Swarm scripts: nothing is done twice, what can't be right is refused, no second swarm, no dead votes."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from components import remote
from components.host_scripts import swarm, swarm_leaving
from components.host_scripts.swarm_leaving import Membership
from tests.unit.fake_host import FakeHost, Ran
from tests.unit.fake_swarm import changes, manager, service

pytestmark = pytest.mark.unit

START = "galera-1=10.0.0.1\n"
JOIN = "SWMTKN-secret 10.0.0.2 cluster1\n10.0.0.1 10.0.0.2\n"
OUTSIDE = "inactive||"


def test_the_first_manager_starts_a_swarm_on_its_private_address_only(tmp_path: Path) -> None:
    ran = manager(tmp_path / "host", OUTSIDE).run(swarm.start("galera-1"), START)
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


def test_a_swarm_takes_its_networks_from_the_pool_that_is_set(tmp_path: Path) -> None:
    ran = manager(tmp_path / "host", OUTSIDE).run(swarm.start("galera-1", "192.168.0.0/16"), START)
    assert ran.code == 0, ran.err
    started = changes(ran)[0]
    assert started.startswith(
        "docker swarm init --default-addr-pool 192.168.0.0/16 --default-addr-pool-mask-length 24 "
        "--advertise-addr"
    )
    # Without one, the script is what living clusters have had.
    assert "pool" not in swarm.start("galera-1")


def test_a_swarm_that_runs_is_not_started_again_and_has_the_same_tokens(tmp_path: Path) -> None:
    host = manager(tmp_path / "host", OUTSIDE)
    first, second = host.run(swarm.start("galera-1"), START), host.run(swarm.start("galera-1"), START)
    assert changes(second) == []
    assert second.out == first.out


def test_a_swarm_with_another_heartbeat_gets_ours_in_place(tmp_path: Path) -> None:
    host = manager(tmp_path / "host")
    assert changes(host.run(swarm.start("galera-1"), START)) == [
        "docker swarm update --dispatcher-heartbeat 20s"
    ]
    assert changes(host.run(swarm.start("galera-1"), START)) == []


def test_no_second_swarm_is_started_while_another_host_manages_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as answers:
        monkeypatch.setattr(swarm, "PORT", answers.getsockname()[1])
        # One is no manager (nothing listens there), the other one is.
        ran = manager(tmp_path / "host", OUTSIDE).run(
            swarm.start("galera-1"), "galera-1=10.0.0.1 galera-2=127.0.0.2\n127.0.0.1\n"
        )
    assert ran.code == 1
    assert "a manager of one answers on 127.0.0.1: a second swarm" in ran.err
    assert "have that host answer over SSH" in ran.err
    assert changes(ran) == []


def test_hosts_that_are_off_or_not_yet_there_keep_no_swarm_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        monkeypatch.setattr(swarm, "PORT", closed.getsockname()[1])
    ran = manager(tmp_path / "host", OUTSIDE).run(
        swarm.start("galera-1"), "galera-1=10.0.0.1 galera-2=127.0.0.1\n127.0.0.2\n"
    )
    assert ran.code == 0, ran.err
    assert changes(ran)[0].startswith("docker swarm init")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("active|false|10.0.0.1", "only a worker of some swarm"),
        ("active|true|192.0.2.1", "leads a swarm on 192.0.2.1"),
        ("locked|false|", "is 'locked'"),
    ],
)
def test_a_manager_in_another_swarm_is_refused(tmp_path: Path, state: str, said: str) -> None:
    ran = manager(tmp_path / "host", state).run(swarm.start("galera-1"), START)
    assert ran.code == 1
    assert said in ran.err
    assert changes(ran) == []


def test_only_the_first_manager_begins_a_swarm(tmp_path: Path) -> None:
    values = "galera-1=127.0.0.1 galera-2=127.0.0.2\n"
    host = manager(tmp_path / "host", OUTSIDE)
    host.name = "galera-2"
    host.program("timeout", "exit 1")
    ran = host.run(swarm.start("galera-1"), values)
    assert ran.code == 1
    assert "galera-1, on which a new swarm would begin, does not answer, and galera-2 is in none" in ran.err
    assert changes(ran) == []


def test_any_manager_tells_the_tokens_of_a_swarm_that_runs(tmp_path: Path) -> None:
    host = manager(tmp_path / "host", "active|true|10.0.0.2")
    host.name = "galera-2"
    host.file("heartbeat", "20s")
    ran = host.run(swarm.start("galera-1"), "galera-1=10.0.0.1 galera-2=10.0.0.2\n10.0.0.4\n")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["worker"] == "SWMTKN-worker"
    assert changes(ran) == []


def test_a_host_that_lost_its_name_is_told_so(tmp_path: Path) -> None:
    host = manager(tmp_path / "host", OUTSIDE)
    host.name = "localhost.localdomain"
    ran = host.run(swarm.start("galera-1"), START)
    assert ran.code == 1
    assert "this host is called localhost, and the managers are galera-1" in ran.err


def joining(folder: Path, state: str) -> FakeHost:
    """A host for whom every other one listens on the swarm's port, but for those in its file `deaf`."""
    host = manager(folder, state)
    host.program("timeout", 'grep -qx -- "${@: -2:1}" "$host/deaf" 2>/dev/null && exit 1 || :')
    return host


def test_a_host_joins_over_the_private_network_and_says_its_node_id(tmp_path: Path) -> None:
    ran = joining(tmp_path / "host", OUTSIDE).run(swarm.join("galera-2"), JOIN)
    assert ran.code == 0, ran.err
    assert ran.out == "node2\n"
    assert changes(ran) == [
        "docker swarm join --token SWMTKN-secret --advertise-addr 10.0.0.2 --listen-addr 10.0.0.2:2377 "
        "--data-path-addr 10.0.0.2 10.0.0.1:2377"
    ]


def test_the_token_is_in_no_script() -> None:
    assert "SWMTKN" not in swarm.join("galera-2") + swarm.start("galera-1")


def test_a_member_does_not_join_again(tmp_path: Path) -> None:
    host = joining(tmp_path / "host", "active|node2|10.0.0.3:2377 10.0.0.1:2377 ")
    ran = host.run(swarm.join("galera-2"), JOIN)
    assert ran.out == "node2\n"
    assert changes(ran) == []


def test_a_refused_join_is_tried_again(tmp_path: Path) -> None:
    host = joining(tmp_path / "host", OUTSIDE)
    host.file("refuse", "connection refused")
    ran = host.run(swarm.join("galera-2"), JOIN)
    assert ran.code == 0, ran.err
    assert len(changes(ran)) == 2


@pytest.mark.parametrize(
    "words",
    [
        "rpc error: code = InvalidArgument desc = A valid join token is necessary to join this cluster",
        "Error response from daemon: invalid join token",
        "Error response from daemon: remote CA does not match fingerprint. Expected: 2944b8970a9cfc7f",
    ],
)
def test_a_rotated_token_is_named_at_once_with_what_to_do(tmp_path: Path, words: str) -> None:
    host = joining(tmp_path / "host", OUTSIDE)
    host.file("refuse", words)
    ran = host.run(swarm.join("galera-2"), JOIN)
    assert ran.code == 1
    assert "it was rotated" in ran.err
    assert "--replace '**swarm-started'" in ran.err
    assert "SWMTKN" not in ran.err
    assert len(changes(ran)) == 1


def test_a_member_that_does_not_know_a_new_manager_yet_is_waited_for(tmp_path: Path) -> None:
    host = joining(tmp_path / "host", "active|node2|10.0.0.3:2377 ")
    host.program("sleep", 'echo "active|node2|10.0.0.3:2377 10.0.0.1:2377 " >"$host/state"')
    ran = host.run(swarm.join("galera-2"), JOIN)
    assert ran.out == "node2\n"
    assert [call for call in changes(ran) if call.startswith("docker")] == []


def test_a_host_of_another_swarm_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swarm, "NEWS_WITHIN", 1)
    host = joining(tmp_path / "host", "active|node9|192.0.2.7:2377 ")
    ran = host.run(swarm.join("galera-2"), JOIN)
    assert ran.code == 1
    assert "galera-2 belongs to another swarm (managers: 192.0.2.7:2377" in ran.err
    assert changes(ran) == []


def test_a_half_joined_host_leaves_before_it_joins(tmp_path: Path) -> None:
    host = joining(tmp_path / "host", "error||")
    ran = host.run(swarm.join("galera-2"), JOIN)
    assert ran.code == 0, ran.err
    assert [call.split()[2] for call in changes(ran)] == ["leave", "join"]


@pytest.mark.parametrize("state", ["error", "locked"])
def test_a_manager_whose_engine_cannot_take_part_now_is_not_made_to_leave(tmp_path: Path, state: str) -> None:
    host = joining(tmp_path / "host", f"{state}||")
    if state == "error":
        host.file("docker/swarm/raft/wal-v3-encrypted/0.wal", "")
    ran = host.run(swarm.join("galera-2"), JOIN)
    assert ran.code == 1
    assert f"cannot take part now ({state}: the engine's own words)" in ran.err
    assert changes(ran) == []


def test_a_host_joins_by_the_next_manager_when_one_does_not_listen(tmp_path: Path) -> None:
    host = joining(tmp_path / "host", OUTSIDE)
    host.file("deaf", "10.0.0.1\n")
    ran = host.run(swarm.join("galera-1"), "SWMTKN-secret 10.0.0.9 cluster1\n10.0.0.9 10.0.0.1 10.0.0.3\n")
    assert ran.code == 0, ran.err
    (joined,) = changes(ran)[-1:]
    assert joined.endswith(" 10.0.0.3:2377")
    assert "--advertise-addr 10.0.0.9" in joined


@pytest.mark.parametrize(("cluster", "code"), [("cluster1", 0), ("cluster2", 1)])
def test_a_manager_is_known_by_its_swarms_id_also_while_it_is_the_only_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: str, code: int
) -> None:
    monkeypatch.setattr(swarm, "NEWS_WITHIN", 1)
    host = joining(tmp_path / "host", "active|node1|10.0.0.1:2377 |cluster1")
    ran = host.run(swarm.join("galera-1"), f"SWMTKN-secret 10.0.0.1 {cluster}\n10.0.0.1 10.0.0.2\n")
    assert ran.code == code
    assert ran.out == ("" if code else "node1\n")
    assert changes(ran) == []


def test_a_lone_manager_without_a_swarm_has_none_to_join(tmp_path: Path) -> None:
    ran = joining(tmp_path / "host", OUTSIDE).run(swarm.join("galera-1"), "SWMTKN 10.0.0.1 c\n10.0.0.1\n")
    assert ran.code == 1
    assert "there is no other manager whose swarm it could join" in ran.err


def test_a_node_gets_its_role_and_labels_in_one_step(tmp_path: Path) -> None:
    host = manager(tmp_path / "host", nodes={"node2": "galera-2|ready|worker||"})
    text = swarm.describe_node("galera-2", "manager", {"galera": "true", "datacenter": "tor01"})
    ran = host.run(text, "node2\n")
    assert ran.code == 0, ran.err
    assert changes(ran) == [
        "docker node update --role manager --availability active --label-add datacenter=tor01 "
        "--label-add galera=true --label-add swarm-galera.member=true node2"
    ]


def test_a_new_manager_is_waited_for_until_its_vote_counts(tmp_path: Path) -> None:
    host = manager(tmp_path / "host", nodes={"node2": "galera-2|ready|worker||"})
    host.file("late", "")
    host.program("sleep", 'echo "galera-2|ready|manager|reachable|true" >"$host/nodes/node2"')
    ran = host.run(swarm.describe_node("galera-2", "manager", {"galera": "true"}), "node2\n")
    assert ran.code == 0, ran.err
    assert ran.called("sleep") == ["sleep 1"]
    assert len(changes(ran)) == 2


def test_a_worker_is_not_waited_for_to_vote(tmp_path: Path) -> None:
    host = manager(tmp_path / "host", nodes={"node4": "galera-4|ready|worker||"})
    assert host.run(swarm.describe_node("galera-4", "worker", {"galera": "false"}), "node4\n").code == 0


def test_a_replaced_managers_former_self_loses_its_vote_before_the_new_one_gets_one(tmp_path: Path) -> None:
    host = manager(
        tmp_path / "host",
        nodes={
            "node1": "galera-1|ready|manager|reachable|true",
            "old3": "galera-3|down|manager|unreachable|true",
            "new3": "galera-3|ready|worker||",
            # Down as well, and another host: none of this step's business.
            "node4": "galera-4|down|manager|unreachable|true",
        },
    )
    ran = host.run(swarm.describe_node("galera-3", "manager", {}), "new3\n")
    assert ran.code == 0, ran.err
    assert [" ".join(call.split()[2:]) for call in changes(ran)] == [
        "demote old3",
        "rm --force old3",
        "update --role manager --availability active --label-add swarm-galera.member=true new3",
    ]
    assert "galera-3 was another node before (old3), which is down" in ran.err


def test_another_node_of_the_same_name_that_answers_is_never_removed(tmp_path: Path) -> None:
    host = manager(
        tmp_path / "host",
        nodes={"old3": "galera-3|ready|manager|reachable|true", "new3": "galera-3|ready|worker||"},
    )
    ran = impatient(host, swarm.describe_node("galera-3", "manager", {}), "new3\n")
    assert ran.code == 1
    assert "two nodes of the swarm are called galera-3 and both answer: new3 and old3" in ran.err
    assert changes(ran) == []


def test_a_former_self_that_goes_down_late_is_waited_for(tmp_path: Path) -> None:
    host = manager(
        tmp_path / "host",
        nodes={"old3": "galera-3|ready|manager|unreachable|true", "new3": "galera-3|ready|worker||"},
    )
    # The first look finds it ready still.
    host.program("sleep", 'sed -i s/ready/down/ "$host/nodes/old3"')
    ran = host.run(swarm.describe_node("galera-3", "manager", {}), "new3\n")
    assert ran.code == 0, ran.err
    assert [call.split()[2] for call in changes(ran) if call.startswith("docker")] == [
        "demote",
        "rm",
        "update",
    ]


def test_a_manager_without_whose_vote_the_others_decide_nothing_becomes_no_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swarm_leaving, "PATIENCE", 0)
    nodes = {
        "node1": "galera-1|ready|manager|leader|true",
        "node2": "galera-2|ready|manager|reachable|true",
        "node3": "galera-3|down|manager|unreachable|true",
    }
    host = manager(tmp_path / "host", nodes=nodes)
    service(host, "etcd", "echo gone")
    memberships = [swarm_leaving.Membership("etcd", "etcd-member forget", votes=True)]
    ran = host.run(swarm.describe_node("galera-2", "worker", {}, memberships), "node2\n")
    assert ran.code == 1
    assert "galera-2 keeps its place in the swarm: managers are down" in ran.err
    assert changes(ran) == []


def test_a_manager_that_becomes_a_worker_gives_up_its_votes_first_and_is_forgotten_last(
    tmp_path: Path,
) -> None:
    host = manager(tmp_path / "host", nodes={"node4": "galera-4|ready|manager|reachable|true"})
    service(host, "etcd", "echo $3 gone")
    service(host, "galera", "echo $3 gone")
    memberships = [
        Membership("etcd", "etcd-member forget", votes=True),
        Membership("galera", "galera-node forget", votes=False),
    ]
    text = swarm.describe_node("galera-4", "worker", {}, memberships)
    ran = host.run(text, "node4\n")
    assert ran.code == 0, ran.err
    assert [" ".join(call.split()[1:4]) for call in changes(ran)] == [
        "exec c-etcd etcd-member",
        "node update --role",
        "exec c-galera galera-node",
    ]
    assert [call for call in changes(host.run(text, "node4\n")) if "exec" in call] == []


MEMBERSHIPS = [
    Membership("consul", "consul-member forget", votes=True, again=True),
    Membership("galera", "galera-node forget", votes=False),
]


def losing_its_data(folder: Path) -> FakeHost:
    """A manager, and a worker that has borne a node of the database, which still stops."""
    host = manager(
        folder, nodes={"node4": "galera-data-1|ready|worker||", "node1": "galera-1|ready|manager||"}
    )
    service(host, "consul", "echo $3 gone")
    service(host, "galera", "echo $3 is forgotten")
    host.file("labels/node4/galera", "true")
    host.file("tasks", "Running 3 days ago\n")
    host.program("sleep", ': >"$host/tasks"')
    return host


def without_data() -> str:
    return swarm.describe_node("galera-data-1", "worker", {"galera": "false"}, MEMBERSHIPS, bore="galera")


def told(ran: Ran) -> list[str]:
    return [call for call in changes(ran) if call.startswith("docker exec")]


def test_a_worker_that_loses_its_node_of_the_database_is_forgotten_once_that_has_stopped(
    tmp_path: Path,
) -> None:
    host = losing_its_data(tmp_path / "host")
    ran = host.run(without_data(), "node4\n")
    assert ran.code == 0, ran.err
    # Consul's agent stays, and who is told may not be asked before the task has ended.
    assert told(ran) == ["docker exec c-galera galera-node forget galera-data-1"]
    assert [call.split()[0] for call in ran.calls if call.startswith(("sleep", "docker exec"))] == [
        "sleep",
        "docker",
    ]
    assert not (host.folder / "labels/node4" / swarm.LEAVES).exists()
    # A host that has borne none is nobody's to forget, and what is done is done.
    assert told(host.run(without_data(), "node4\n")) == []


def test_a_worker_whose_label_went_in_a_run_that_was_killed_is_forgotten_by_the_next(tmp_path: Path) -> None:
    host = losing_its_data(tmp_path / "host")
    host.program("sleep", 'kill -9 "$PPID"')
    assert host.run(without_data(), "node4\n").code != 0
    assert (host.folder / "labels/node4/galera").read_text() == "false"
    host.program("sleep", ': >"$host/tasks"')
    ran = host.run(without_data(), "node4\n")
    assert ran.code == 0, ran.err
    assert told(ran) == ["docker exec c-galera galera-node forget galera-data-1"]


def test_who_cannot_be_told_of_a_worker_without_data_keeps_the_note_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swarm_leaving, "PATIENCE", 0)
    host = losing_its_data(tmp_path / "host")
    service(host, "galera", "echo the store says nothing; exit 1")
    ran = host.run(without_data(), "node4\n")
    assert ran.code == 0, ran.err
    assert "galera still counts on galera-data-1: the store says nothing" in ran.err
    assert "run 'galera-node forget galera-data-1' in a container of it" in ran.err
    assert (host.folder / "labels/node4" / swarm.LEAVES).read_text() == "true"


LOST = "rpc error: The swarm does not have a leader. It's possible that too few managers are online."


def impatient(host: FakeHost, text: str, stdin: str) -> Ran:
    """Run a script that describes a node with little patience."""
    assert "SECONDS + 300" in text
    return host.run(text.replace("SECONDS + 300", "SECONDS + 5"), stdin)


def leaderless(folder: Path, known: str, monkeypatch: pytest.MonkeyPatch, key: str | None = None) -> Ran:
    """A first manager without a leader that knows the managers `known`, and promotes with little patience.

    Args:
        key: of a stack with autolock, what the manager's key on its disk says.
    """
    monkeypatch.setattr(swarm, "LONELY_FOR", 1)
    host = manager(folder, nodes={"node2": "galera-2|ready|worker||"})
    host.file("silent", "")
    host.file("trouble", f"{LOST}|10.0.0.1|{known}\n")
    host.file("docker/swarm/certificates/swarm-node.key", key or "")
    text = swarm.describe_node("galera-2", "manager", {}, autolock=key is not None)
    return impatient(host, text, "node2\n")


def test_a_first_manager_left_with_a_member_it_never_knew_goes_on_alone_and_promotes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = leaderless(tmp_path / "host", "10.0.0.1:2377 ", monkeypatch)
    assert ran.code == 0, ran.err
    assert "going on without it" in ran.err
    first, second = changes(ran)
    assert first.startswith("docker swarm init --force-new-cluster --advertise-addr 10.0.0.1 ")
    assert second.startswith("docker node update --role manager")


def test_a_manager_that_breaks_off_in_its_promotion_is_promoted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swarm, "LONELY_FOR", 1)
    host = manager(tmp_path / "host", nodes={"node2": "galera-2|ready|worker||"})
    host.file("breaks", "")
    host.file("trouble", f"{LOST}|10.0.0.1|10.0.0.1:2377 \n")
    ran = impatient(host, swarm.describe_node("galera-2", "manager", {}), "node2\n")
    assert ran.code == 0, ran.err
    assert [" ".join(call.split()[1:3]) for call in changes(ran)] == [
        "node update",
        "swarm init",
        "node update",
    ]


def test_a_manager_that_knows_others_never_goes_on_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = leaderless(tmp_path / "host", "10.0.0.1:2377 10.0.0.2:2377 ", monkeypatch)
    assert ran.code == 1
    assert "galera-2 is no manager of the swarm" in ran.err
    assert not [call for call in ran.calls if "--force-new-cluster" in call]


def test_a_manager_whose_key_is_locked_never_goes_on_alone_and_one_of_a_swarm_that_will_have_autolock_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = leaderless(tmp_path / "locked", "10.0.0.1:2377 ", monkeypatch, "Proc-Type: 4,ENCRYPTED\n")
    assert ran.code == 1
    assert not [call for call in ran.calls if "--force-new-cluster" in call]
    ran = leaderless(tmp_path / "later", "10.0.0.1:2377 ", monkeypatch, "kek-version: 0\n")
    assert ran.code == 0, ran.err
    assert [call for call in ran.calls if "--force-new-cluster" in call]


def test_labels_are_given_again_when_the_node_changed_in_between(tmp_path: Path) -> None:
    host = manager(tmp_path / "host", nodes={"node2": "galera-2|ready|worker||"})
    host.file("stale", "")
    ran = host.run(swarm.describe_node("galera-2", "manager", {"galera": "true"}), "node2\n")
    assert ran.code == 0, ran.err
    assert len(changes(ran)) == 2


NASTY = {
    "tier": "web",
    "rack": "",
    "words": 'it\'s (a) "b" #c; d=e',
    "lines": "one\n)two",
    "path": "a/b:c,d@e%f+g",
}


def described(labels: Mapping[str, str], gone: Mapping[str, str] | None = None) -> str:
    return remote.steps(
        "swarm-db1-node", swarm.describe_node("db1", "worker", labels, MEMBERSHIPS, gone=gone or {}), None
    )


def left_over(before: str, wanted: dict[str, str]) -> dict[str, str]:
    return dict(swarm.labels_gone(before, wanted, lambda gone: described(wanted, gone)))


def in_state(script: str) -> str:
    """As a step has it in the state, with its values."""
    return remote.with_values(script, "node4\n")


def test_labels_that_a_step_has_set_and_that_nobody_wants_now_are_gone_whatever_they_say() -> None:
    before = in_state(described({**NASTY, "galera": "false"}))
    assert left_over(before, {"galera": "false"}) == NASTY
    assert left_over(before, {"galera": "false", **NASTY, "tier": "db"}) == {}
    assert left_over(before, {**NASTY}) == {"galera": "false"}
    # The mark of a member is always wanted, and a host that was never described has no labels of ours.
    assert left_over("", {"tier": "web"}) == {}


def test_a_label_that_is_gone_makes_no_step_run_again_and_is_forgotten_when_one_runs() -> None:
    wanted = {"galera": "false"}
    before = described({**wanted, "tier": "web", "rack": "7"})
    once = described(wanted, left_over(in_state(before), wanted))
    assert once != described(wanted)
    assert described(wanted, left_over(in_state(once), wanted)) == once
    # Something else changes: a person may have set `rack` meanwhile, and what was done is done.
    more = {**wanted, "zone": "a"}
    assert left_over(in_state(once), more) == {}
    # So it is where another label goes, or one of them is wanted again.
    assert left_over(in_state(described(more, {"tier": "web"})), wanted) == {"zone": "a"}
    assert left_over(in_state(once), {**wanted, "rack": "7"}) == {}


def test_a_label_goes_only_where_it_still_says_what_the_stack_has_set(tmp_path: Path) -> None:
    host = manager(tmp_path / "host", nodes={"node4": "db1|ready|worker||"})
    there = {"tier": "web", "rack": "8", "empty": "", "mine": "yes"}
    for name, value in there.items():
        host.file(f"labels/node4/{name}", value)
    gone = {"tier": "web", "rack": "7", "empty": "", "never": "was"}
    text = swarm.describe_node("db1", "worker", {"galera": "false"}, gone=gone)
    ran = host.run(text, "node4\n")
    assert ran.code == 0, ran.err
    labels = sorted(path.name for path in (host.folder / "labels/node4").iterdir())
    assert labels == ["galera", "mine", "rack", swarm_leaving.MARK]
    assert "db1 has the label tier=web no more" in ran.err
    again = host.run(text, "node4\n")
    assert again.code == 0
    assert not [call for call in changes(again) if "--label-rm" in call]


def test_a_label_that_cannot_be_taken_away_is_tried_again_and_then_named(tmp_path: Path) -> None:
    host = manager(tmp_path / "host", nodes={"node4": "db1|ready|worker||"})
    host.file("labels/node4/tier", "web")
    text = swarm.describe_node("db1", "worker", {}, gone={"tier": "web"})
    # What the swarm refuses first is the removal, and what it does not say is no answer either.
    host.program("sleep", ":")
    for fault, code in (("no-quorum", 1), ("silent", 1), ("stale", 0)):
        begins = f"labels_gone() {{\n  : >{host.folder}/{fault}"
        ran = host.run(text.replace("labels_gone() {", begins, 1), "node4\n")
        assert ran.code == code, ran.err
        assert ("the label tier=web, which the settings no longer have, stays on db1" in ran.err) == bool(
            code
        )
        assert (host.folder / "labels/node4/tier").exists() == bool(code)
        (host.folder / fault).unlink(missing_ok=True)
    assert "labels_gone" not in swarm.describe_node("db1", "worker", {})


def test_what_marks_a_member_is_what_is_looked_for_when_hosts_leave() -> None:
    assert f"{swarm_leaving.MARK}=true" in swarm.describe_node("galera-2", "manager", {})
    assert swarm_leaving.MARK in swarm_leaving.keep_only(["galera-1"], [])

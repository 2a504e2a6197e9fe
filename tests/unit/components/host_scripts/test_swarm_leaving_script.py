"""Leaving the swarm: votes first, then containers, then lists, then the node; and nothing on a guess."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.host_scripts import swarm_leaving
from components.host_scripts.swarm_leaving import Membership, keep_only, remove_node
from tests.unit.fake_host import FakeHost, Ran
from tests.unit.fake_swarm import changes, manager, service

pytestmark = pytest.mark.unit

ETCD = Membership("etcd", "etcd-member forget", votes=True)
GALERA = Membership("galera", "galera-node forget", votes=False)
LEAVING = "galera-5|ready|manager|reachable|true"


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swarm_leaving, "PATIENCE", 1)


def with_services(
    folder: Path, line: str = LEAVING, etcd: str = "echo gone", galera: str = "echo gone"
) -> FakeHost:
    host = manager(folder, nodes={"node5": line})
    service(host, "etcd", etcd)
    service(host, "galera", galera)
    return host


def steps(ran: Ran) -> list[str]:
    """What was changed, short."""
    return [" ".join(call.split()[1:]) for call in changes(ran)]


def test_a_leaving_manager_gives_up_its_votes_and_its_containers_and_its_place_in_this_order(
    tmp_path: Path,
) -> None:
    ran = with_services(tmp_path / "host").run(remove_node("galera-5", [ETCD, GALERA]), "node5\n")
    assert ran.code == 0, ran.err
    assert steps(ran) == [
        # etcd's seat while its member runs: with two members, the leaver's own vote is needed for it.
        "exec c-etcd etcd-member forget galera-5",
        "node update --availability drain node5",
        # Galera's record once its node has stopped: it is refused for one that runs.
        "exec c-galera galera-node forget galera-5",
        "node demote node5",
        "node rm --force node5",
    ]


def test_who_only_gives_up_its_vote_while_it_runs_is_taken_off_the_list_once_it_has_ended(
    tmp_path: Path,
) -> None:
    host = manager(tmp_path / "host", nodes={"node5": LEAVING})
    service(host, "consul", "echo gone")
    consul = Membership("consul", "consul-member forget", votes=True, again=True)
    ran = host.run(remove_node("galera-5", [consul]), "node5\n")
    assert ran.code == 0, ran.err
    assert steps(ran) == [
        "exec c-consul consul-member forget galera-5",
        "node update --availability drain node5",
        "exec c-consul consul-member forget galera-5",
        "node demote node5",
        "node rm --force node5",
    ]


def test_a_dead_manager_is_not_waited_for(tmp_path: Path) -> None:
    host = manager(tmp_path / "host", nodes={"node5": "galera-5|down|manager|unreachable|true"})
    host.file("tasks", "Running 3 hours ago\n")
    ran = host.run(remove_node("galera-5"), "node5\n")
    assert ran.code == 0, ran.err
    assert steps(ran) == ["node demote node5", "node rm --force node5"]


def test_a_leaving_worker_has_no_vote_to_give_up(tmp_path: Path) -> None:
    host = manager(tmp_path / "host", nodes={"node5": "galera-5|ready|worker||true"})
    ran = host.run(remove_node("galera-5"), "node5\n")
    assert steps(ran) == ["node update --availability drain node5", "node rm --force node5"]


def test_a_node_that_is_gone_needs_no_removal(tmp_path: Path) -> None:
    ran = manager(tmp_path / "host").run(remove_node("galera-5", [ETCD]), "node5\n")
    assert ran.code == 0, ran.err
    assert "no longer in the swarm" in ran.err
    assert steps(ran) == []


def test_a_swarm_that_does_not_say_is_no_swarm_without_the_node(tmp_path: Path) -> None:
    host = manager(tmp_path / "host", nodes={"node5": LEAVING})
    host.file("silent", "")
    for text in (remove_node("galera-5"), keep_only(["galera-1"], [])):
        ran = host.run(text, "node5\n")
        assert ran.code == 1
        assert "the swarm does not say which nodes it has" in ran.err
        assert "does not have a leader" in ran.err
        assert steps(ran) == []


def test_a_manager_is_not_removed_while_the_swarm_has_no_quorum(tmp_path: Path) -> None:
    host = manager(tmp_path / "host", nodes={"node5": "galera-5|down|manager|unreachable|true"})
    host.file("no-quorum", "")
    ran = host.run(remove_node("galera-5"), "node5\n")
    assert ran.code == 1
    assert "does not have a leader" in ran.err
    assert "could not be demoted" in ran.err
    assert not [step for step in steps(ran) if step.startswith("node rm")]


def test_a_host_whose_vote_is_not_let_go_stays_whole(tmp_path: Path) -> None:
    host = with_services(tmp_path / "host", etcd="echo 'no quorum' >&2; exit 1")
    ran = host.run(remove_node("galera-5", [ETCD, GALERA]), "node5\n")
    assert ran.code == 1
    assert "etcd does not let galera-5 go: no quorum" in ran.err
    assert {step.split()[0] for step in steps(ran)} == {"exec"}


def test_a_vote_that_is_let_go_late_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swarm_leaving, "PATIENCE", 30)
    busy = 'if [[ ! -e asked ]]; then touch asked; echo "unhealthy cluster" >&2; exit 1; fi; echo gone'
    ran = with_services(tmp_path / "host", etcd=busy).run(remove_node("galera-5", [ETCD]), "node5\n")
    assert ran.code == 0, ran.err
    assert steps(ran)[:3] == ["exec c-etcd etcd-member forget galera-5"] * 2 + [
        "node update --availability drain node5"
    ]


def test_a_list_that_cannot_be_changed_is_told_of_and_holds_nobody_back(tmp_path: Path) -> None:
    host = with_services(tmp_path / "host", galera="echo 'galera-5 runs (synced); stop it first' >&2; exit 1")
    ran = host.run(remove_node("galera-5", [ETCD, GALERA]), "node5\n")
    assert ran.code == 0, ran.err
    assert "galera still counts on galera-5: galera-5 runs (synced)" in ran.err
    assert "run 'galera-node forget galera-5' in a container of it" in ran.err
    assert steps(ran)[-1] == "node rm --force node5"


def test_a_host_that_is_on_no_list_leaves_at_once(tmp_path: Path) -> None:
    host = with_services(
        tmp_path / "host", galera="echo 'galera-5 is not a member; members: none' >&2; exit 1"
    )
    ran = host.run(remove_node("galera-5", [ETCD, GALERA]), "node5\n")
    assert ran.code == 0, ran.err
    assert "still counts on" not in ran.err


def test_services_that_are_not_there_are_not_asked_and_those_without_a_container_are_waited_for(
    tmp_path: Path,
) -> None:
    host = manager(tmp_path / "host", nodes={"node5": LEAVING})
    ran = host.run(remove_node("galera-5", [ETCD, GALERA]), "node5\n")
    assert ran.code == 0, ran.err
    assert not [step for step in steps(ran) if step.startswith("exec")]
    host = manager(tmp_path / "other", nodes={"node5": LEAVING})
    service(host, "etcd", "echo gone", running=False)
    ran = host.run(remove_node("galera-5", [ETCD]), "node5\n")
    assert ran.code == 1
    assert "no container of it runs on galera-1" in ran.err


NODES = {
    "node1": "galera-1|ready|manager|reachable|true",
    "node2": "galera-2|ready|manager|reachable|true",
    "node3": "galera-3|down|manager|unreachable|true",
    "node5": LEAVING,
    "node6": "galera-6|ready|worker||true",
    "guest": "somebody-else|ready|worker||",
}


def test_hosts_that_are_no_longer_wanted_leave_and_strangers_stay(tmp_path: Path) -> None:
    host = manager(tmp_path / "host", nodes=NODES)
    text = keep_only(["galera-1", "galera-2", "galera-3"], [])
    ran = host.run(text)
    assert ran.code == 0, ran.err
    assert steps(ran) == [
        "node update --availability drain node5",
        "node demote node5",
        "node rm --force node5",
        "node update --availability drain node6",
        "node rm --force node6",
    ]
    assert steps(host.run(text)) == []


def test_a_host_whose_name_only_begins_like_a_wanted_one_leaves(tmp_path: Path) -> None:
    host = manager(tmp_path / "host", nodes={"node1": "galera-1|ready|worker||true"})
    assert "node rm --force node1" in steps(host.run(keep_only(["galera-11", "galera-12"], [])))


def test_every_host_that_leaves_is_forgotten_by_name(tmp_path: Path) -> None:
    host = manager(tmp_path / "host", nodes=NODES)
    service(host, "etcd", 'cat >/dev/null; echo "$3 gone"')
    ran = host.run(keep_only(["galera-1", "galera-2", "galera-3"], [ETCD]))
    assert ran.code == 0, ran.err
    assert [step for step in steps(ran) if step.startswith("exec")] == [
        "exec c-etcd etcd-member forget galera-5",
        "exec c-etcd etcd-member forget galera-6",
    ]


def test_of_hosts_that_leave_those_that_are_down_go_first(tmp_path: Path) -> None:
    """Else the vote of a dead one would still count when the next one gives up its own."""
    nodes = {
        "node1": "galera-1|ready|manager|reachable|true",
        "node2": "galera-2|ready|manager|reachable|true",
        "node3": "galera-3|ready|manager|reachable|true",
        "node4": "galera-4|down|manager|unreachable|true",
        "node5": "galera-5|down|manager|unreachable|true",
    }
    ran = manager(tmp_path / "host", nodes=nodes).run(keep_only(["galera-2", "galera-3", "galera-4"], []))
    assert ran.code == 0, ran.err
    assert [step for step in steps(ran) if step.startswith("node rm")] == [
        "node rm --force node5",
        "node rm --force node1",
    ]


@pytest.mark.parametrize("wanted", [["galera-1", "galera-3"], ["galera-3"]])
def test_nobody_leaves_without_whose_vote_the_others_could_decide_nothing(
    tmp_path: Path, wanted: list[str]
) -> None:
    """Of three managers one is down. Told before its containers stop, and before the store is told."""
    nodes = {
        "node1": "galera-1|ready|manager|leader|true",
        "node3": "galera-3|down|manager|unreachable|true",
        "node5": LEAVING,
    }
    host = manager(tmp_path / "host", nodes=nodes)
    service(host, "etcd", "echo gone")
    for text in (keep_only(wanted, [ETCD]), remove_node("galera-5", [ETCD])):
        ran = host.run(text, "node5\n")
        assert ran.code == 1
        assert "keeps its place in the swarm: managers are down" in ran.err
        assert "Remedy: bring the managers back" in ran.err
        assert steps(ran) == []


# -- hosts that stay when the stack goes, and leave by themselves then


ASKED = {"node1": "galera-1|ready|manager|leader|true"}


def managers_of(folder: Path, *others: str) -> FakeHost:
    """The manager that is asked, one that is to leave, and others."""
    return manager(
        folder, nodes={**ASKED, "node5": LEAVING, **dict(zip(("node6", "node7"), others, strict=False))}
    )


def test_a_host_that_stays_is_taken_out_while_the_others_can_decide(tmp_path: Path) -> None:
    host = managers_of(tmp_path / "host", "galera-6|ready|manager|reachable|true")
    ran = host.run(remove_node("galera-5", stays=True), "node5\n")
    assert ran.code == 0, ran.err
    assert steps(ran)[-2:] == ["node demote node5", "node rm --force node5"]


def test_a_host_that_stays_keeps_its_vote_where_the_others_would_have_no_majority(tmp_path: Path) -> None:
    """As with the first manager down: of three, two decide, and of two, one does not."""
    host = managers_of(tmp_path / "host", "galera-6|down|manager|unreachable|true")
    ran = host.run(remove_node("galera-5", [ETCD], stays=True), "node5\n")
    assert ran.code == 0, ran.err
    assert steps(ran) == []
    assert "galera-5 stays in the swarm until it leaves by itself: without its vote" in ran.err


def test_a_worker_that_stays_has_no_vote_to_keep(tmp_path: Path) -> None:
    nodes = {
        **ASKED,
        "node5": "galera-5|ready|worker||true",
        "node6": "galera-6|down|manager|unreachable|true",
    }
    ran = manager(tmp_path / "host", nodes=nodes).run(remove_node("galera-5", stays=True), "node5\n")
    assert ran.code == 0, ran.err
    assert steps(ran)[-1] == "node rm --force node5"


@pytest.mark.parametrize("stays", [True, False])
def test_nobody_takes_himself_out(tmp_path: Path, stays: bool) -> None:
    host = managers_of(tmp_path / "host", "galera-6|ready|manager|reachable|true")
    text = remove_node("galera-5", [ETCD], stays=stays)
    ran = host.run(f"HOSTNAME=galera-5.example.com\n{text}", "node5\n")
    assert ran.code == 0, ran.err
    assert steps(ran) == []
    assert "it is the manager that is asked" in ran.err

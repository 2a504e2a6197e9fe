"""The swarm's scripts against real engines: what Docker answers is what they wait for and refuse.

Owned here: the moments in which a swarm can be lost: a replaced manager, a replaced first manager, a rotated
token, an engine that cannot take part. Left to others: the scripts' branches one by one
(tests/unit/components/host_scripts/test_swarm*.py), containers and services (tests/lab).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from components.host_scripts import swarm, swarm_leaving, taken_down, writer_last
from components.host_scripts.swarm_leaving import keep_only, remove_node
from harness.image_containers import run, wait_for
from tests.images.swarm_engines import Engine, Engines


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engines]:
    monkeypatch.setattr(swarm, "HEARTBEAT", 2)  # a dead host counts as down after three of them
    made = Engines()
    try:
        yield made
    finally:
        for engine in made.all:
            print(f"==== {engine.name} at {engine.address}\n{engine.log[-3000:]}")  # shown when a test fails
        made.remove()


def done(ran: subprocess.CompletedProcess[str]) -> str:
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def refused(ran: subprocess.CompletedProcess[str]) -> str:
    assert ran.returncode == 1, ran.stdout
    return ran.stderr


def start(first: Engine, *others: Engine) -> dict[str, str]:
    facts: dict[str, str] = json.loads(done(try_to_start(first, *others)))
    return facts


def try_to_start(
    first: Engine, *others: Engine, on: Engine | None = None
) -> subprocess.CompletedProcess[str]:
    """Args: on: the manager that is asked, if not the first one."""
    managers = " ".join(f"{each.name}={each.address}" for each in (first, *others))
    return (on or first).run(swarm.start(first.name), f"{managers}\n")


def join(
    host: Engine, facts: dict[str, str], *managers: Engine, token: str = ""
) -> subprocess.CompletedProcess[str]:
    """Args: managers: all of the swarm, `host` too if it is one."""
    addresses = " ".join(manager.address for manager in managers)
    values = f"{token or facts['worker']} {host.address} {facts['cluster']}\n{addresses}\n"
    return host.run(swarm.join(host.name), values)


def describe(first: Engine, host: Engine, node: str, role: swarm.Role = "manager") -> None:
    done(first.run(swarm.describe_node(host.name, role, {}), f"{node}\n"))


def bring_in(first: Engine, facts: dict[str, str], *hosts: Engine) -> list[str]:
    """Join and promote; the nodes' ids."""
    nodes = [done(join(host, facts, first, *hosts)) for host in hosts]
    for host, node in zip(hosts, nodes, strict=True):
        describe(first, host, node)
    return nodes


def decide_twice(first: Engine) -> None:
    """Two decisions of a swarm of two, after which both have on disk who its managers are.

    One counts as reachable a moment before that. Killed in that moment, the second of two knows nobody when
    it comes back, and the first gets no majority ever again.
    """
    for turn in ("1", "2"):
        done(first.docker("node", "update", "--label-add", f"turn={turn}", first.name))


def managers(seen_by: Engine) -> list[str]:
    """`NAME=ManagerStatus` of every node, workers without one; nothing while the swarm has no leader."""
    return sorted(seen_by.docker("node", "ls", "--format", "{{.Hostname}}={{.ManagerStatus}}").stdout.split())


def test_a_replaced_manager_takes_over_its_former_selfs_place_and_no_vote_of_the_dead_stays(
    engines: Engines,
) -> None:
    first, second, third = (engines.add(f"galera-{n}", 10 + n) for n in (1, 2, 3))
    facts = start(first, second, third)
    bring_in(first, facts, second, third)
    third.kill()
    again = engines.add("galera-3", 23)
    bring_in(first, facts, again)
    assert managers(first) == ["galera-1=Leader", "galera-2=Reachable", "galera-3=Reachable"]
    # Two of three are a majority, as they should be: with the dead one's vote they were two of four.
    again.kill()
    done(first.docker("node", "update", "--label-add", "still=works", "galera-2"))


def test_a_replaced_first_manager_starts_no_second_swarm_and_comes_back_through_any_other(
    engines: Engines,
) -> None:
    first, second, third = (engines.add(f"galera-{n}", 10 + n) for n in (1, 2, 3))
    facts = start(first, second, third)
    # The first one joins like the others, which changes nothing.
    assert done(join(first, facts, first, second, third)) == facts["node"]
    second_node, third_node = bring_in(first, facts, second, third)
    decide_twice(first)
    first.kill()
    again = engines.add("galera-1", 21)
    told = refused(try_to_start(again, second, third))
    assert all(
        other.address in told.partition("a manager of one answers on ")[2] for other in (second, third)
    )
    assert done(again.docker("info", "--format", "{{.Swarm.LocalNodeState}}")) == "inactive"
    wait_for(lambda: second.docker("node", "ls").returncode == 0, "a leader among two")
    # What `up` does: whoever answers tells the tokens, and the new host joins by one that listens.
    hosts = (again, second, third)
    after = json.loads(done(try_to_start(*hosts, on=third)))
    assert {key: after[key] for key in ("cluster", "worker")} == {
        key: facts[key] for key in ("cluster", "worker")
    }
    node = done(join(again, after, *hosts))
    for host, former in ((second, second_node), (third, third_node)):
        assert done(join(host, after, *hosts)) == former
    for host, its in ((second, second_node), (third, third_node), (again, node)):
        describe(second, host, its)
    seen = managers(again)
    assert [line.partition("=")[0] for line in seen] == ["galera-1", "galera-2", "galera-3"]
    assert {line.partition("=")[2] for line in seen} == {"Leader", "Reachable"}
    # Nothing of this is special to a run that replaces.
    assert done(join(again, after, *hosts)) == node
    assert json.loads(done(try_to_start(*hosts)))["node"] == node


def test_hosts_that_stay_leave_by_themselves_where_nobody_could_take_them_out(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a stack of one's own hosts, the first of which is dead; and of one that is whole."""
    first, second, third = (engines.add(f"db{n}", 10 + n) for n in (1, 2, 3))
    second_node, third_node = bring_in(first, start(first, second, third), second, third)
    first.kill()
    wait_for(lambda: "db1=Unreachable" in managers(second), "the loss to be seen", 60)
    # Two of three are left: without one of them, the other decides nothing.
    ran = second.run(remove_node("db3", stays=True), f"{third_node}\n")
    assert done(ran) == ""
    assert "db3 stays in the swarm until it leaves by itself: without its vote" in ran.stderr
    # And of hosts that are ordered none is taken out, with a reason, while it is whole.
    with monkeypatch.context() as hasty:
        hasty.setattr(swarm_leaving, "PATIENCE", 3)
        for text in (remove_node("db3"), keep_only(["db1", "db2"], [])):
            assert "db3 keeps its place in the swarm: managers are down" in refused(
                second.run(text, f"{third_node}\n")
            )
    assert "db3=Reachable" in managers(second) or "db3=Leader" in managers(second)
    first.start()
    wait_for(lambda: "db1=Unreachable" not in managers(second), "the first one's return", 60)
    done(second.run(remove_node("db3", stays=True), f"{third_node}\n"))
    assert [line.partition("=")[0] for line in managers(second)] == ["db1", "db2"]
    # Whoever is asked is still a manager afterwards.
    ran = second.run(remove_node("db2", stays=True), f"{second_node}\n")
    assert done(ran) == ""
    assert "db2 stays in the swarm until it leaves by itself: it is the manager that is asked" in ran.stderr
    for host in (first, second):
        done(host.docker("swarm", "leave", "--force"))
        assert done(host.docker("info", "--format", "{{.Swarm.LocalNodeState}}")) == "inactive"


def test_a_swarm_shrinks_to_the_hosts_that_are_wanted(engines: Engines) -> None:
    hosts = [engines.add(f"galera-{n}", 10 + n) for n in (1, 2, 3)]
    first, second, third = hosts
    facts = start(*hosts)
    describe(first, first, facts["node"])
    bring_in(first, facts, second, third)
    # From three managers to one: each takes its vote along while it can still be counted.
    done(first.run(keep_only(["galera-1"], [])))
    assert managers(first) == ["galera-1=Leader"]
    # What Pulumi deletes afterwards finds nothing to do.
    assert "no longer in the swarm" in first.run(remove_node("galera-3"), "gone\n").stderr


def test_a_swarm_is_taken_down_to_its_hosts_and_a_new_one_forms_on_them(engines: Engines) -> None:
    hosts = [engines.add(f"galera-{n}", 10 + n) for n in (1, 2, 3)]
    first, second, third = hosts
    facts = start(*hosts)
    describe(first, first, facts["node"])
    second_node, third_node = bring_in(first, facts, second, third)
    own = "swarm-galera.stack=swarm-galera/dev"
    service = ("service", "create", "--detach", "--no-resolve-image", "--constraint", "node.role==none")
    done(first.docker(*service, "--label", own, "--name", "galera", "image:1"))
    look = taken_down.look(own, swarm_stays=False)

    # What is there is somebody else's, too: nothing may be removed.
    done(first.docker(*service, "--name", "web", "image:1"))
    assert "runs what is not this stack's: web." in refused(first.run(look))
    assert done(first.run(taken_down.look(own, swarm_stays=True))) == "pending galera"
    done(first.docker("service", "rm", "web"))

    # The first run: Pulumi has yet to delete what it knows, and does.
    said = done(first.run(look))
    assert said == "pending galera 3 nodes"
    for host in hosts:
        assert done(host.run(taken_down.leave(host.name), f"{said}\n")) == said
    assert managers(first) == ["galera-1=Leader", "galera-2=Reachable", "galera-3=Reachable"]
    done(first.docker("service", "rm", "galera"))
    for host, node in ((third, third_node), (second, second_node)):
        done(first.run(remove_node(host.name), f"{node}\n"))

    # The second run.
    assert done(first.run(look)) == "clear"
    for host in (second, third, first):
        assert done(host.run(taken_down.leave(host.name), "clear\n")) == "clear"
    assert [done(host.docker("info", "--format", "{{.Swarm.LocalNodeState}}")) for host in hosts] == [
        "inactive"
    ] * 3
    assert done(first.run(look)) == "clear"

    # And up again, with the same engines.
    again = start(*hosts)
    assert again["cluster"] != facts["cluster"]
    describe(first, first, again["node"])
    bring_in(first, again, second, third)
    assert managers(first) == ["galera-1=Leader", "galera-2=Reachable", "galera-3=Reachable"]


def test_a_label_goes_only_where_it_still_says_what_the_stack_has_set(engines: Engines) -> None:
    """A pool's, by another run of the step that has set it (`labels_gone` says which)."""
    first = engines.add("galera-1", 11)
    node = start(first)["node"]
    labels = {"tier": "web", "words": "it's (a) b=c", "empty": "", "rack": "7"}

    def described(wanted: dict[str, str], gone: dict[str, str]) -> dict[str, str]:
        done(first.run(swarm.describe_node("galera-1", "manager", wanted, gone=gone), f"{node}\n"))
        there: dict[str, str] = json.loads(
            done(first.docker("node", "inspect", "--format", "{{json .Spec.Labels}}", node))
        )
        return there

    mark = {swarm_leaving.MARK: "true"}
    assert described(labels, {}) == {**labels, **mark}
    done(first.docker("node", "update", "--label-add", "rack=8", "--label-add", "own=yes", node))
    for _again in range(2):
        assert described({}, labels) == {"rack": "8", "own": "yes", **mark}


def test_a_rotated_token_is_recognised_in_dockers_own_words(engines: Engines) -> None:
    first, second = (engines.add(f"galera-{n}", 10 + n) for n in (1, 2))
    facts = start(first, second)
    done(first.docker("swarm", "join-token", "--rotate", "-q", "worker"))
    assert "it was rotated" in refused(join(second, facts, first))
    assert "it was rotated" in refused(join(second, facts, first, token="SWMTKN-1-nonsense"))
    of_another_swarm = facts["worker"].replace(facts["worker"].split("-")[2], "1" * 50)
    assert "it was rotated" in refused(join(second, facts, first, token=of_another_swarm))
    again = start(first, second)
    assert again["worker"] != facts["worker"]
    done(join(second, again, first))


def test_a_manager_whose_engine_cannot_take_part_keeps_its_vote(engines: Engines) -> None:
    first, second = (engines.add(f"galera-{n}", 10 + n) for n in (1, 2))
    facts = start(first, second)
    bring_in(first, facts, second)
    decide_twice(first)
    second.kill()
    run("ip", "-n", second.namespace, "addr", "del", f"{second.address}/24", "dev", "eth0")
    second.start()
    state = "{{.Swarm.LocalNodeState}}"
    wait_for(lambda: "error" in second.docker("info", "--format", state).stdout, "an engine in trouble", 60)
    assert "galera-2 is a manager of a swarm already" in refused(join(second, facts, first, second))
    second.kill()
    run("ip", "-n", second.namespace, "addr", "add", f"{second.address}/24", "dev", "eth0")
    second.start()
    wait_for(lambda: managers(first) == ["galera-1=Leader", "galera-2=Reachable"], "both votes", 60)


def tasks_on(first: Engine, node: str) -> set[str]:
    """Ids of all tasks that the service has or had on a node; no image is there to run, so they fail."""
    shown = first.docker("service", "ps", "--no-trunc", "--quiet", "--filter", f"node={node}", "galera")
    return set(shown.stdout.split())


def test_a_paused_node_is_left_out_of_a_change_and_changed_once_it_is_active(engines: Engines) -> None:
    """What components/host_scripts/writer_last.py rests on."""
    first, second = engines.add("galera-1", 11), engines.add("galera-2", 12)
    facts = start(first, second)
    bring_in(first, facts, second)
    create = ("service", "create", "--detach", "--no-resolve-image", "--name", "galera", "--mode", "global")
    done(first.docker(*create, "--restart-condition", "none", "nobody/has:1"))
    wait_for(lambda: all(tasks_on(first, f"galera-{n}") for n in (1, 2)), "a task on each")
    before = {n: tasks_on(first, f"galera-{n}") for n in (1, 2)}
    label = ("--label-add", f"{writer_last.LABEL}=galera")
    done(first.docker("node", "update", "--availability", "pause", *label, "galera-2"))
    done(
        first.docker(
            "service", "update", "--detach", "--no-resolve-image", "--image", "nobody/has:2", "galera"
        )
    )
    wait_for(lambda: tasks_on(first, "galera-1") > before[1], "the other one's change")
    assert tasks_on(first, "galera-2") == before[2]
    held = first.docker(
        "node", "ls", "--filter", f"node.label={writer_last.LABEL}=galera", "--format", "{{.Hostname}}"
    )
    assert held.stdout.split() == ["galera-2"]
    done(
        first.docker(
            "node", "update", "--availability", "active", "--label-rm", writer_last.LABEL, "galera-2"
        )
    )
    wait_for(lambda: tasks_on(first, "galera-2") > before[2], "its change")

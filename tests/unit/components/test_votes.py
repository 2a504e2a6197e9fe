"""Plans that take votes away: which are refused while somebody cannot vote, and what is told of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import votes
from components.own_hosts.facts import Facts
from components.softlayer.guest_seen import Guest
from components.votes import Voter, refusal
from tests.unit import program

pytestmark = pytest.mark.unit

DEAD = "does not answer"


def voters(count: int, *dead: int) -> list[Voter]:
    return [Voter(f"db{n}", DEAD if n in dead else "") for n in range(1, count + 1)]


def refused(now: list[Voter], stay: str, workers: str = "") -> str:
    """`stay`, `workers`: numbers of the hosts that are managers, and workers, in the plan."""
    managers = [f"db{n}" for n in stay]
    return refusal("the swarm", now, managers, [*managers, *(f"db{n}" for n in workers)])


@pytest.mark.parametrize(
    ("now", "stay", "workers"),
    [
        (voters(3), "123", ""),
        (voters(3), "1", ""),
        (voters(3), "1", "23"),
        (voters(3, 3), "123", ""),
        # The dead one goes, alone or before the other.
        (voters(3, 3), "12", ""),
        (voters(3, 3), "124", ""),
        (voters(3, 3), "1", ""),
        (voters(3, 3), "1", "3"),
        (voters(5, 4), "123", ""),
        (voters(5, 4, 5), "123", ""),
        (voters(5, 3, 4), "125", ""),
        (voters(5, 4), "124", ""),
    ],
)
def test_a_plan_that_leaves_a_majority_of_those_who_stay_may_be(
    now: list[Voter], stay: str, workers: str
) -> None:
    assert refused(now, stay, workers) == ""


@pytest.mark.parametrize(
    ("now", "stay", "workers"),
    [
        (voters(3, 3), "13", ""),
        (voters(3, 3), "3", ""),
        (voters(3, 1), "1", ""),
        (voters(3, 1), "134", ""),
        (voters(5, 4, 5), "1245", ""),
        (voters(7, 5, 6, 7), "123567", ""),
        # It may become a worker before the dead one has gone.
        (voters(3, 3), "1", "2"),
        # Former selves of hosts that were replaced still count.
        ([*voters(3), Voter("db3", DEAD), Voter("db1", DEAD)], "13", ""),
    ],
)
def test_a_plan_after_which_those_who_can_vote_are_no_majority_is_refused(
    now: list[Voter], stay: str, workers: str
) -> None:
    told = refused(now, stay, workers)
    assert "would give up its vote in the swarm" in told
    assert "That is no majority: the swarm would take no change any more. Nothing was changed." in told
    assert "Remedy: bring back who cannot vote, or give that host up first" in told


@pytest.mark.parametrize(
    ("now", "servers", "others", "allowed"),
    [
        (voters(5), "123", "45", True),
        (voters(5, 5), "123", "45", True),
        (voters(5, 3), "123", "45", False),
        # One becomes an agent: three of five are there meanwhile.
        (voters(5, 4), "1234", "5", True),
        (voters(5, 3, 4), "1234", "5", False),
        # Hosts that leave are taken off the list before anything of it changes.
        (voters(5, 3), "123", "", True),
        (voters(5, 3), "124", "5", True),
        (voters(3), "1", "23", True),
    ],
)
def test_servers_of_consul_become_agents_only_while_the_others_can_do_with_their_votes_counted(
    now: list[Voter], servers: str, others: str, allowed: bool
) -> None:
    stay = [f"db{n}" for n in servers]
    told = refusal("consul", now, stay, [*stay, *(f"db{n}" for n in others)])
    assert (told == "") is allowed
    # Who gives a vote up before it ends needs no such care.
    assert refusal("etcd", voters(5, 3), ["db1", "db2", "db3"], [f"db{n}" for n in range(1, 6)]) == ""


def test_who_goes_who_stays_and_who_cannot_vote_is_told() -> None:
    told = refused(voters(3, 3), "13")
    assert told.startswith(
        "db2 would give up its vote in the swarm, and of the 2 that then count only 1 can vote (db3: does "
        "not answer). That is no majority"
    )


# -- in the program


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials that must not be used, and an agent that holds the key."""
    monkeypatch.setenv("SL_USERNAME", "nobody")
    monkeypatch.setenv("SL_API_KEY", "marked-key")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")


GUESTS = {f"galera-{n}": Guest({"id": n, "hostname": f"galera-{n}"}) for n in range(1, 6)}
FIVE = [f"galera-{n}" for n in range(1, 6)]


def told(body: str, *dead: str) -> str:
    """What `operations` says of five managers."""
    return json.dumps({body: [[name, DEAD if name in dead else ""] for name in FIVE]})


@pytest.mark.parametrize("body", ["the swarm", "etcd", "the database"])
def test_ordered_managers_are_not_taken_out_while_those_who_stay_are_down(
    body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(votes.VOTERS, told(body, "galera-1", "galera-2"))
    with pytest.raises(pulumi.RunError, match=f"galera-4, galera-5 would give up its vote in {body}"):
        program.run({}, GUESTS)
    assert "swarm-started" in program.run({"servers": {"managers": 5}}, GUESTS).resources
    monkeypatch.setenv(votes.VOTERS, told(body, "galera-4", "galera-5"))
    assert "swarm-started" in program.run({}, GUESTS).resources


def test_what_is_not_deployed_needs_no_votes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Store and database go as a whole then."""
    dead = json.loads(told("etcd", "galera-1", "galera-2"))
    monkeypatch.setenv(votes.VOTERS, json.dumps({**dead, "the database": dead["etcd"]}))
    assert "swarm-started" in program.run({"deployUpTo": "swarm"}, GUESTS).resources


def test_of_consul_only_the_hosts_with_a_server_count(monkeypatch: pytest.MonkeyPatch) -> None:
    consul = {
        "kind": "consul",
        "image": "registry.lab:5000/consul:1",
        "recursors": ["10.0.80.11"],
        "servers": 3,
    }
    servers = [["galera-1", DEAD], ["galera-2", ""], ["galera-3", ""]]
    monkeypatch.setenv(votes.VOTERS, json.dumps({"consul": servers}))
    # Two managers without a server go.
    assert "swarm-started" in program.run({"discovery": consul}, GUESTS).resources
    with pytest.raises(pulumi.RunError, match=r"galera-2, galera-3 would give up its vote in consul"):
        program.run({"discovery": {**consul, "servers": None}, "servers": {"managers": 1}}, GUESTS)


def test_five_servers_of_consul_are_made_three_while_all_three_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    consul = {"kind": "consul", "image": "registry.lab:5000/consul:1", "recursors": ["10.0.80.11"]}
    settings = {"discovery": {**consul, "servers": 3}, "servers": {"managers": 5}}
    monkeypatch.setenv(votes.VOTERS, told("consul", "galera-3"))
    with pytest.raises(pulumi.RunError, match=r"galera-4, galera-5 .* of the 5 that then count only 2 can"):
        program.run(settings, GUESTS)
    monkeypatch.setenv(votes.VOTERS, told("consul", "galera-5"))
    assert "swarm-started" in program.run(settings, GUESTS).resources


def own(*numbers: int) -> dict[str, Any]:
    hosts = [{"name": f"db{n}", "address": f"10.0.0.{n}"} for n in numbers]
    return {"servers": {"kind": "existing", "hosts": hosts}}


def test_hosts_of_one_s_own_are_seen_by_the_program_itself() -> None:
    """With plain `pulumi preview`, too: which host that stays does not answer, it knows."""
    last = {
        "hosts": [{"name": f"db{n}", "hostKey": "ssh-ed25519 AAAA"} for n in (1, 2, 3)],
        "managers": ["db1", "db2", "db3"],
        "discovery": {"kind": "etcd"},
    }
    away = {"db1": Facts(refused="no SSH. Remedy: start it", unreachable=True)}
    assert "swarm-started" in program.run(own(1, 2, 3), seen=away, former=last).resources
    with pytest.raises(pulumi.RunError, match=r"db3 would give up its vote in the swarm, .*\(db1: does not"):
        program.run(own(1, 2, 4), seen=away, former=last)
    assert "swarm-started" in program.run(own(1, 2, 4), former=last).resources

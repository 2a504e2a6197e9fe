"""`survive`: when it is refused, what each part does on a host of fake programs, its waits."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from operations import outputs
from operations.cli import build
from operations.errors import OperationsError
from operations.outage import last_one
from operations.outage.last_one import Part, answering, carry_out, of, parts, refusal
from operations.outputs import Host, Outputs
from operations.remote_hosts import Answer
from tests.unit.fake_host import FakeHost

HOSTS = tuple(Host(f"galera-{n}", "manager", f"10.144.12.{n}", f"203.0.113.{n}", "key") for n in (1, 2, 3))
FOUND = Outputs(
    hosts=(*HOSTS, Host("galera-4", "worker", "10.144.12.4", "203.0.113.4", "key")),
    user="root",
    private_key=None,
    network="galera",
    encrypted=True,
    store="etcd",
    service="galera",
    vip="10.20.0.9",
    port=3306,
    size=4,
    members=("galera-1", "galera-2", "galera-3", "galera-4"),
    database="app",
    app_password="x",
)
LOST = ("galera-2", "galera-3")
UP, GONE = Answer("active|true\n"), Answer(error="no SSH at 203.0.113.2: timed out")


def test_the_survivor_is_a_manager_with_a_database() -> None:
    assert of(FOUND, "galera-2") is HOSTS[1]
    for name in ("galera-4", "galera-9"):
        with pytest.raises(OperationsError, match="One of: galera-1, galera-2, galera-3"):
            of(FOUND, name)
    with pytest.raises(OperationsError, match="galera-1"):
        of(replace(FOUND, members=("galera-2",)), "galera-1")


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        pytest.param((UP, GONE, GONE), "", id="one of three is left"),
        pytest.param((UP, Answer("inactive|false\n"), GONE), "", id="a reloaded host is in no swarm"),
        pytest.param((UP, Answer("no engine|false\n"), GONE), "", id="a host without an engine"),
        pytest.param(
            (UP, UP, GONE), "2 of 3 managers answer (galera-1 and galera-2)", id="a majority answers"
        ),
        pytest.param(
            (UP, Answer("error|true\n"), GONE), "2 of 3 managers", id="one is not well, yet it votes"
        ),
        pytest.param((GONE, UP, GONE), "galera-1 is not reached", id="the survivor itself is not there"),
    ],
)
def test_nothing_is_forced_while_a_majority_answers(answers: tuple[Answer, ...], words: str) -> None:
    said = {host.name: answer for host, answer in zip(HOSTS, answers, strict=True)}
    reason = refusal(FOUND, HOSTS[0], answering(FOUND, said))
    assert words in reason
    assert bool(reason) is bool(words)


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    made = FakeHost(tmp_path / "host")
    made.program("timeout", 'shift; exec "$@"')
    return made


@pytest.mark.parametrize(
    ("docker", "votes"),
    [
        pytest.param("echo 'active|true'", True, id="a manager"),
        pytest.param("echo 'inactive|false'", False, id="in no swarm"),
        pytest.param("echo 'Cannot connect to the Docker daemon' >&2; exit 1", False, id="no engine"),
    ],
)
def test_a_host_says_whether_it_can_vote(host: FakeHost, docker: str, votes: bool) -> None:
    host.program("docker", docker)
    ran = host.run(last_one.STATE)
    assert ran.code == 0
    said = {each.name: GONE for each in HOSTS} | {"galera-1": Answer(ran.out)}
    assert answering(FOUND, said) == (["galera-1"] if votes else [])


def outcome(host: FakeHost, number: int) -> str:
    ran = host.run(parts(FOUND, HOSTS[0], LOST)[number].text)
    assert ran.code == 0, ran.err
    return ran.out.splitlines()[-1].removeprefix(last_one.OUTCOME)


SWARM = """
case "$1 $2" in
  "node ls") [[ -e $host/leader ]] && cat "$host/nodes";;
  "swarm init") touch "$host/leader";;
  "node rm") sed -i "/^$4 /d" "$host/nodes";;
esac
"""


def test_the_swarm_is_forced_only_without_a_majority_and_the_lost_nodes_go(host: FakeHost) -> None:
    host.program("docker", SWARM)
    host.program("systemctl", "")
    nodes = host.file("nodes", "n1 galera-1\nn2 galera-2\nn3 galera-3\nn4 galera-4\nn22 galera-22\n")
    ran = host.run(parts(FOUND, HOSTS[0], LOST)[0].text)
    assert ran.out.splitlines()[-1] == "outcome=done"
    force = (
        "docker swarm init --force-new-cluster --advertise-addr 10.144.12.1 --listen-addr 10.144.12.1:2377"
    )
    assert [call for call in ran.called("docker") if "swarm init" in call] == [force]
    # The engine starts anew once all that is done, or its tasks get no networks.
    assert ran.called("systemctl") == ["systemctl restart docker"]
    assert ran.calls.index("systemctl restart docker") > max(
        number for number, call in enumerate(ran.calls) if "node rm" in call
    )
    # Without a vote they could not be demoted later; workers and others stay.
    assert nodes.read_text() == "n1 galera-1\nn4 galera-4\nn22 galera-22\n"
    ran = host.run(parts(FOUND, HOSTS[0], LOST)[0].text)
    assert not [call for call in ran.calls if "swarm init" in call or "node rm" in call]
    assert not ran.called("systemctl")
    assert ran.out.splitlines()[-1] == "outcome=done"


# A manager whose swarm has autolock, without a leader.
LOCKS = r"""
case "$*" in
  *DockerRootDir*) echo "$host/docker" ;;
  "node ls"*) exit 1 ;;
esac
"""


class OneHost:
    """Runs what `survive` runs, on a host of fake programs."""

    def __init__(self, host: FakeHost, key: str) -> None:
        host.program("docker", LOCKS)
        host.program("systemctl")
        host.program("sleep")
        host.file("docker/swarm/certificates/swarm-node.key", key)
        self.host = host

    async def run(self, _name: str, text: str, stdin: str = "") -> Answer:
        ran = self.host.run(text, stdin)
        return Answer(ran.out, ran.err if ran.code else "")


def test_a_manager_with_a_locked_key_is_never_forced_and_why_is_said(host: FakeHost) -> None:
    runs = OneHost(host, "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n")
    with pytest.raises(
        OperationsError, match=r"galera-1 has a locked key .* it would forget the swarm"
    ) as no:
        asyncio.run(last_one.refuse_locked_key(runs, "galera-1", LOST, "prod"))
    said = str(no.value)
    assert f"With the disk of any one of {', '.join(LOST)}, a majority can be had" in said
    assert "`python -m operations unlock --stack prod`" in said
    assert "swarm.autolock: false" in said
    # Nor by a part that begins before the loss of the majority is noticed.
    ran = host.run(parts(FOUND, HOSTS[0], LOST)[0].text)
    assert ran.out.strip() == "outcome=wait its key is locked (swarm.autolock), so it can't be forced"
    assert not [call for call in ran.calls if "swarm init" in call or "systemctl" in call]


def test_without_autolock_it_is_forced_as_ever(host: FakeHost) -> None:
    runs = OneHost(host, "-----BEGIN EC PRIVATE KEY-----\nkek-version: 0\n")
    asyncio.run(last_one.refuse_locked_key(runs, "galera-1", LOST, "prod"))
    assert [call for call in host.run(parts(FOUND, HOSTS[0], LOST)[0].text).calls if "swarm init" in call]


def test_managers_that_only_need_unlocking_are_not_given_up() -> None:
    said = {host.name: Answer("locked|false\n") for host in HOSTS}
    votes = answering(FOUND, said)
    reason = refusal(FOUND, HOSTS[0], votes, ["galera-1", "galera-2"])
    assert "of these galera-1, galera-2 only need unlocking: `python -m operations unlock`" in reason
    assert "restores itself" in refusal(FOUND, HOSTS[0], votes)


STORE = """
case $* in
  "ps "*) [[ ! -e $host/member ]] || echo c-etcd;;
  *"etcd-member health") [[ -e $host/alone ]];;
  *etcdctl*) [[ -e $host/alone ]];;
  *"test -e /var/lib/etcd/force-new-cluster") [[ -e $host/word ]];;
  *"cat /proc/1/comm") if [[ -e $host/forced ]]; then echo etcd-member; else echo etcd; fi;;
  *"etcd-member force-new-cluster") [[ ! -e $host/silent ]] || { echo 'cannot be asked'; exit 1; }
    touch "$host/word"; echo 'this member goes on alone';;
  kill*) rm "$host/word"; touch "$host/alone";;
esac
"""


def test_the_stores_member_is_told_once_and_started_anew(host: FakeHost) -> None:
    host.program("docker", STORE)
    assert outcome(host, 1) == "wait no container of etcd runs yet"
    host.file("member", "")
    host.file("silent", "")
    assert outcome(host, 1) == "wait cannot be asked"
    (host.folder / "silent").unlink()
    assert outcome(host, 1) == "wait its member starts anew, with all records"
    # It hears no signal while it waits for the others: the second look ends it.
    assert outcome(host, 1) == "wait its member starts anew"
    assert outcome(host, 1) == "nothing"


def test_the_stores_member_is_left_alone_while_it_makes_a_cluster_of_one(host: FakeHost) -> None:
    host.program("docker", STORE)
    for name in ("member", "word", "forced"):
        host.file(name, "")
    assert outcome(host, 1) == "wait its member makes a cluster of one"
    assert (host.folder / "word").exists()


DATABASE = """
case $* in
  "ps "*) [[ ! -e $host/node ]] || echo c-galera;; *"galera-node health") cat "$host/health"; [[
  $(<"$host/health") == Synced* ]];; *"galera-node status") cat "$host/status"; [[ -s $host/status ]];;
  *"recover-from galera-1") [[ ! -e $host/lease ]] || { echo 'galera-2 serves in a Primary component'; exit 1;
  }
    echo 'a person has said that the cluster restarts from the data of galera-1' >"$host/status";;
esac
"""


def test_the_database_is_told_once_the_leases_of_the_others_are_over(host: FakeHost) -> None:
    host.program("docker", DATABASE)
    assert outcome(host, 2) == "wait no container of galera runs yet"
    host.file("node", "")
    host.file("health", "waiting: neither the store nor any other node answers")
    host.file("status", "")
    assert outcome(host, 2).startswith("wait")
    host.file("status", "cluster 4090, formed, seed galera-1\ngalera-1: stopped at 10.20.0.3\n")
    host.file("lease", "")
    assert outcome(host, 2) == "wait galera-2 serves in a Primary component"
    (host.folder / "lease").unlink()
    assert outcome(host, 2).startswith("wait waiting:")
    calls = host.run(parts(FOUND, HOSTS[0], LOST)[2].text).calls
    assert not [call for call in calls if "recover-from" in call]
    # The word is taken, and the node has begun: it is not told again.
    host.file("status", "cluster 4090, formed, seed galera-1\ngalera-1: starting at 10.20.0.3\n")
    host.file("health", "not yet: mariadbd does not answer yet")
    ran = host.run(parts(FOUND, HOSTS[0], LOST)[2].text)
    assert not [call for call in ran.calls if "recover-from" in call]
    host.file("health", "Synced, Primary, 1 nodes")
    assert outcome(host, 2) == "done"


class Scripted:
    """Answers one after the other; the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)

    async def run(self, name: str, text: str, stdin: str = "") -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def test_a_part_is_repeated_until_it_is_done_and_says_what_it_waits_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = Scripted(
        Answer("outcome=wait no container\n"), Answer(error="the connection broke"), Answer("outcome=done\n")
    )
    asyncio.run(carry_out(steps, "galera-1", Part("store", "", 60.0), every=0.0))
    said = capsys.readouterr().out
    assert [word for word in ("no container", "the connection broke", "serves") if word not in said] == []
    with pytest.raises(OperationsError, match="does not come back within 0 s: no leader"):
        asyncio.run(
            carry_out(
                Scripted(Answer("outcome=wait no leader\n")), "galera-1", Part("store", "", 0.0), every=0.0
            )
        )


def test_the_command_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "of_stack", lambda stack: FOUND)
    done = CliRunner().invoke(build(), ["survive", "--host", "galera-4", "--yes"])
    assert isinstance(done.exception, OperationsError)
    assert "not a manager with a database" in str(done.exception)

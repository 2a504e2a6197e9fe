"""What `up` makes of hosts that are ill or away: what it says, leaves out, mends, and in which order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from components import votes
from components.layers import AWAY
from components.turns import NOT_WELL, refuse_while_others_are_not_well
from operations import outputs, outputs_of_state, remote_hosts
from operations.around_run import care, former_images, run_watch
from operations.around_run.care import Seen
from operations.around_run.former_images import removal
from operations.errors import OperationsError
from operations.facts.cluster import HostFacts, Manager
from operations.remote_hosts import Answer
from settings.errors import UserError
from tests.unit.fake_host import FakeHost
from tests.unit.operations.test_verify import NAMES, VALUES, facts, printed

pytestmark = pytest.mark.unit

FOUND = outputs.parse("dev", VALUES)


def seen(away: tuple[str, ...] = (), **changed: Callable[[HostFacts], HostFacts]) -> Seen:
    """A healthy stack, but for hosts that are away and those that are changed (`galera_2=…`)."""
    told = {name: host for name, host in facts().items() if name not in away}
    for name, change in changed.items():
        told[name.replace("_", "-")] = change(told[name.replace("_", "-")])
    return Seen(FOUND, told, dict.fromkeys(away, "no SSH at 203.0.113.9: timed out"))


def error(host: HostFacts) -> HostFacts:
    return replace(host, swarm="error")


def failed(host: HostFacts) -> HostFacts:
    """As a host answers whose engine could not start without room, four times in a minute."""
    return replace(host, engine="failed", driver="", swarm="", etcd_healthy=False, galera={})


def ghosts(host: HostFacts) -> HostFacts:
    return replace(host, ghosts=("etcd.n2.old",))


def without_database(host: HostFacts) -> HostFacts:
    return replace(host, galera={})


def full(host: HostFacts) -> HostFacts:
    return replace(host, space=replace(host.space, free=19_000_000))


def both(*changes: Callable[[HostFacts], HostFacts]) -> Callable[[HostFacts], HostFacts]:
    def changed(host: HostFacts) -> HostFacts:
        for change in changes:
            host = change(host)
        return host

    return changed


def test_a_healthy_stack_has_nobody_unwell() -> None:
    assert (seen().unwell, seen().ill) == ({}, [])
    assert care.environment(seen()) == {}
    assert care.environment(None) == {}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (error, "its engine is not active in the swarm (error)"),
        (ghosts, "its engine lists as running what has ended: etcd.n2.old"),
        (failed, "its engine has failed and was given up by systemd"),
        (without_database, "its database is not running, no answer"),
        (lambda host: replace(host, etcd_healthy=False), "etcd is not healthy there"),
        (
            lambda host: replace(host, galera={**host.galera, "wsrep_local_state_comment": "Joined"}),
            "Joined, Primary",
        ),
        (lambda host: HostFacts(error="no answer within 120 s"), "no answer within 120 s"),
    ],
)
def test_what_is_amiss_with_a_host_is_known(change: Callable[[HostFacts], HostFacts], told: str) -> None:
    unwell = seen(galera_2=change).unwell
    assert list(unwell) == ["galera-2"]
    assert told in unwell["galera-2"]
    assert json.loads(care.environment(seen(galera_2=change))[NOT_WELL]) == unwell


def test_who_does_not_answer_is_told() -> None:
    assert AWAY not in care.environment(seen(galera_2=error))
    assert json.loads(care.environment(seen(away=("galera-3",)))[AWAY]) == ["galera-3"]


def test_who_cannot_vote_is_told_and_only_where_there_is_somebody() -> None:
    assert votes.VOTERS not in care.environment(seen(galera_4=ghosts))
    broken = care.voters(seen(galera_2=without_database))
    assert broken["the database"][1] == ("galera-2", "its database is not running, no answer")
    assert {why for body in ("the swarm", "etcd") for _, why in broken[body]} == {""}
    dead = care.voters(seen(away=("galera-3",)))
    assert set(dead) == {"the swarm", "etcd", "the database"}
    for body in dead.values():
        assert body == [("galera-1", ""), ("galera-2", ""), ("galera-3", "does not answer")]
    assert json.loads(care.environment(seen(galera_2=error))[votes.VOTERS])["the swarm"][1] == [
        "galera-2",
        "its engine is not active in the swarm (error)",
    ]
    ill = care.voters(seen(galera_2=lambda host: replace(host, etcd_healthy=False)))
    assert [why for _, why in ill["the swarm"]] == ["", "", ""]
    assert ill["etcd"][1] == ("galera-2", "etcd is not healthy there")


def test_the_swarm_itself_tells_who_its_managers_are() -> None:
    """A former self counts, and one that the others do not hear, though it answers us."""
    former = (
        Manager("n1", "galera-1", "Leader"),
        Manager("n2", "galera-2", "Unreachable"),
        Manager("n3", "galera-3", "Reachable"),
        Manager("n0", "galera-3", "Unreachable"),
    )
    now = seen(galera_1=lambda host: replace(host, managers=former))
    unheard = "the other managers do not hear it"
    assert care.voters(now)["the swarm"] == [
        ("galera-1", ""),
        ("galera-2", unheard),
        ("galera-3", ""),
        ("galera-3", unheard),
    ]


def test_a_worker_has_neither_store_nor_database() -> None:
    assert seen(galera_4=both(without_database, lambda host: replace(host, etcd_healthy=False))).unwell == {}


# -- healing


class Restarts:
    """Engines that are mended by their restart, unless `stays` says that they are not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, now: Seen, stays: tuple[str, ...] = ()) -> None:
        self.now, self.stays, self.order = now, stays, list[str]()
        monkeypatch.setattr(care, "_restart", self._restart)

    async def _restart(self, found: outputs.Outputs, host: str) -> Seen:
        self.order.append(host)
        if host not in self.stays:
            self.now = replace(self.now, facts={**self.now.facts, host: facts()[host]})
        return self.now


def healed(
    monkeypatch: pytest.MonkeyPatch, now: Seen, stays: tuple[str, ...] = ()
) -> tuple[list[str], list[str], Seen]:
    restarts, said = Restarts(monkeypatch, now, stays), list[str]()
    monkeypatch.setattr(care, "say", said.append)
    after = care.heal(now)
    return restarts.order, said, after


def test_an_engine_in_error_is_restarted_once_and_the_host_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order, said, after = healed(monkeypatch, seen(galera_3=both(error, without_database)))
    assert order == ["galera-3"]
    assert after.unwell == {}
    assert said == [
        "galera-3: its engine is not active in the swarm (error). Restarting its engine …",
        "galera-3 is well again.",
    ]


def test_the_engine_of_a_host_that_is_being_replaced_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has left the swarm, which no restart mends: an `up` in between would wait for it in vain."""
    restarts = Restarts(monkeypatch, now := seen(galera_3=both(error, without_database)), ())
    assert care.heal(now, ["galera-3"]) is now
    assert restarts.order == []


def test_an_engine_that_systemd_gave_up_is_started_again_and_one_that_somebody_stopped_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order, said, after = healed(monkeypatch, seen(galera_3=failed))
    assert (order, after.unwell) == (["galera-3"], {})
    assert said[0] == "galera-3: its engine has failed and was given up by systemd. Restarting its engine …"
    order, said, _ = healed(monkeypatch, seen(galera_3=both(failed, lambda f: replace(f, engine="inactive"))))
    assert (order, said) == ([], [])


def test_a_restart_begins_with_systemds_pardon(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = list[str]()

    class Hosts:
        async def run(self, _host: str, script: str, *_: object) -> Answer:
            ran.append(script)
            return Answer(error="no")

    @contextlib.asynccontextmanager
    async def connected(_found: outputs.Outputs) -> AsyncIterator[Hosts]:
        yield Hosts()

    monkeypatch.setattr(remote_hosts, "connected", connected)
    with pytest.raises(OperationsError, match="galera-3 is not back after the restart of its engine: no"):
        care.heal(seen(galera_3=failed))
    assert ran[0].index("systemctl reset-failed docker.service") < ran[0].index("start_engine restart")


def test_of_several_ill_hosts_those_that_serve_no_database_come_first_and_one_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = seen(galera_1=error, galera_2=ghosts, galera_3=both(ghosts, without_database))
    order, _, after = healed(monkeypatch, now)
    assert order == ["galera-3", "galera-1", "galera-2"]
    assert after.unwell == {}


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (seen(galera_2=error, galera_3=without_database), "galera-3: its database is not running"),
        (seen(away=("galera-3",), galera_2=error), "galera-3: does not answer"),
        (
            seen(galera_2=both(error, full)),
            "its disk is full (0.0 of 26.8 GB free): make room first, in an emergency",
        ),
        (
            seen(galera_2=both(error, lambda host: replace(host, kept=True))),
            "it was there before this program, which never restarts it",
        ),
    ],
    ids=["another database down", "another host away", "full disk", "it is not the program's"],
)
def test_no_engine_is_restarted_while_that_would_make_it_worse_and_why_is_said(
    monkeypatch: pytest.MonkeyPatch, now: Seen, why: str
) -> None:
    order, said, after = healed(monkeypatch, now)
    assert order == []
    assert after is now
    (told,) = said
    assert told.startswith(
        "galera-2: its engine is not active in the swarm (error). Its engine is not restarted: "
    )
    assert why in told


def test_a_preview_promises_no_restart_of_an_engine_that_is_not_the_program_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = list[str]()
    monkeypatch.setattr(care, "say", said.append)
    care.tell(seen(galera_2=both(error, lambda host: replace(host, kept=True)), galera_3=ghosts))
    assert "never restarts it; do so yourself" in said[0]
    assert "`up` restarts its engine" in said[1]


def test_a_host_that_its_restart_does_not_mend_keeps_the_others_from_being_restarted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = seen(galera_2=both(ghosts, without_database), galera_3=ghosts)
    order, said, _ = healed(monkeypatch, now, stays=("galera-2",))
    assert order == ["galera-2"]
    assert "galera-2 must be repaired first" in said[-1]


def test_a_host_that_is_not_back_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    async def restart(*_: object) -> Seen:
        raise OperationsError("galera-3 is not back after the restart of its engine: not yet: galera")

    monkeypatch.setattr(care, "_restart", restart)
    with pytest.raises(OperationsError, match="not back"):
        care.heal(seen(galera_3=error))


# -- interruptions


def test_no_host_is_interrupted_while_another_one_is_not_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NOT_WELL, json.dumps({"galera-3": "its database is Joining, Primary"}))
    with pytest.raises(UserError, match=r"galera-1 would be interrupted.*galera-3: its database is Joining"):
        refuse_while_others_are_not_well(["galera-1", "galera-3"])
    # The one that is ill may be: a reload is what mends it.
    refuse_while_others_are_not_well(["galera-3"])
    refuse_while_others_are_not_well([])
    monkeypatch.delenv(NOT_WELL)
    refuse_while_others_are_not_well(["galera-1"])


# -- while a run goes on


def test_a_host_that_stops_answering_is_named_once_and_named_again_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run_watch, "EVERY", 0.01)
    monkeypatch.setattr(run_watch, "SILENT", 0.03)
    answers = {"203.0.113.1": True, "203.0.113.2": True, "203.0.113.3": True, "203.0.113.4": True}
    monkeypatch.setattr(run_watch, "answers", lambda address, port: answers[address])
    said: list[str] = []
    heard = threading.Semaphore(0)

    def say(text: str) -> None:
        said.append(text)
        heard.release()

    monkeypatch.setattr(run_watch, "say", say)
    with run_watch.watched(seen()):
        answers["203.0.113.2"] = False
        assert heard.acquire(timeout=30)
        answers["203.0.113.2"] = True
        assert heard.acquire(timeout=30)
    assert said[0].startswith("galera-2 has not answered for")
    assert said[1:] == ["galera-2 answers again."]


def test_whether_a_host_answers_is_asked_of_its_ssh_port(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    class Connection:
        def close(self) -> None:
            asked.append("closed")

    def connect(address: tuple[str, int], timeout: float) -> Connection:
        asked.append(address)
        if address[0] == "dead":
            raise TimeoutError
        return Connection()

    monkeypatch.setattr(socket, "create_connection", connect)
    assert run_watch.answers("alive", 22)
    assert not run_watch.answers("dead", 2222)
    assert asked == [("alive", 22), "closed", ("dead", 2222)]


# -- former images


def test_only_images_of_our_services_that_no_container_has_are_removed(tmp_path: Any) -> None:
    host = FakeHost(tmp_path / "host")
    host.program(
        "docker",
        r"""
case "$1 $2" in
  "ps -aq") printf 'c1\nc2\nc3\nc4\n' ;;
  "inspect --format") shift 3; for each; do case $each in
    c1) echo "sha256:g2|registry.lab:5000/swarm-galera/galera:2@sha256:aa|galera|true" ;;
    c2) echo "sha256:g1|registry.lab:5000/swarm-galera/galera:1|galera|false" ;;
    c3) echo "sha256:e2|registry.lab:5000/swarm-galera/etcd@sha256:bb|etcd|true" ;;
    c4) echo "sha256:m1|mine/galera:1||true" ;; esac; done ;;
  "images --no-trunc") printf '%s\n' "sha256:g2 registry.lab:5000/swarm-galera/galera 2" \
    "sha256:g1 registry.lab:5000/swarm-galera/galera 1" "sha256:g0 registry.lab:5000/swarm-galera/galera 0" \
    "sha256:e1 registry.lab:5000/swarm-galera/etcd <none>" "sha256:m0 mine/galera 0" "sha256:d1 debian 12" ;;
esac
""",
    )
    ran = host.run(removal(("galera", "etcd")))
    assert ran.code == 0, ran.err
    assert [call for call in ran.calls if call.startswith("docker image rm")] == [
        "docker image rm sha256:g0",
        "docker image rm sha256:e1",
    ]
    assert ran.out.splitlines() == [
        "held\tregistry.lab:5000/swarm-galera/galera:1",
        "removed\tregistry.lab:5000/swarm-galera/galera:0",
        "removed\tregistry.lab:5000/swarm-galera/etcd:<none>",
    ]


@pytest.mark.parametrize(
    ("away", "said", "none_left"),
    [
        ((), "removed\tgalera:0\n", True),
        ((), "", True),
        ((), "held\tgalera:1\nremoved\tgalera:0\n", False),
        (("galera-3",), "", False),
    ],
)
def test_images_are_asked_for_again_until_none_is_left_anywhere(
    monkeypatch: pytest.MonkeyPatch, away: tuple[str, ...], said: str, none_left: bool
) -> None:
    told: list[str] = []

    class Asked:
        reachable = tuple(name for name in NAMES if name not in away)

        async def run_all(self, texts: dict[str, str]) -> dict[str, Answer]:
            return {name: Answer(said) for name in texts}

    @contextlib.asynccontextmanager
    async def connected(_: object) -> AsyncIterator[Asked]:
        yield Asked()

    monkeypatch.setattr("operations.remote_hosts.connected", connected)
    monkeypatch.setattr(former_images, "say", told.append)
    assert former_images.remove(FOUND) is none_left
    assert all(line.endswith("any more: galera:0.") for line in told)
    assert bool(told) == ("removed" in said)


# -- looking


class Remote:
    """Hosts of which some are away; each other one says what `facts` has it say."""

    def __init__(self, said: list[str], away: tuple[str, ...]) -> None:
        self.unreachable = dict.fromkeys(away, "no SSH at 203.0.113.9: timed out")
        self.reachable = [name for name in NAMES if name not in away]
        self.said, self.said_before_asking = said, list[str]()

    async def run_all(self, texts: dict[str, str], stdin: str = "", limit: float = 0) -> dict[str, Answer]:
        self.said_before_asking = list(self.said)
        assert limit <= 90
        return {name: Answer(printed(NAMES.index(name) + 1, name != "galera-4")) for name in texts}


@pytest.mark.parametrize("away", [(), ("galera-3",), ("galera-1", "galera-4"), NAMES])
def test_who_does_not_answer_is_said_before_the_others_are_asked_anything(
    monkeypatch: pytest.MonkeyPatch, away: tuple[str, ...]
) -> None:
    said: list[str] = []
    remote = Remote(said, away)

    @contextlib.asynccontextmanager
    async def connected(_: object) -> AsyncIterator[Remote]:
        yield remote

    monkeypatch.setattr(outputs, "read", lambda *_: FOUND)
    monkeypatch.setattr("operations.remote_hosts.connected", connected)
    monkeypatch.setattr(care, "say", said.append)
    found = care.look(cast(Any, None))
    assert found is not None
    assert set(found.away) == set(away)
    assert set(found.facts) == set(NAMES) - set(away)
    told = [f"{name} does not answer: no SSH at 203.0.113.9: timed out." for name in away]
    assert sorted(remote.said_before_asking) == sorted(told)
    assert {name for name, why in found.unwell.items() if why == "does not answer"} == set(away)


class Answering:
    """Hosts that say what they are asked for, and nothing of who the nodes are or of the records if `silent`.

    `asked`: in each round, who was asked for the nodes, and who for the records.
    """

    def __init__(self, away: tuple[str, ...] = (), **silent: str) -> None:
        self.unreachable = dict.fromkeys(away, "no SSH at 203.0.113.9: timed out")
        self.reachable = [name for name in NAMES if name not in away]
        self.silent, self.asked = silent, list[dict[str, list[str]]]()

    async def run_all(self, texts: dict[str, str], stdin: str = "", limit: float = 0) -> dict[str, Answer]:
        marks = {"manager": "docker node ls", "status": "records=asked"}
        asked = {word: [name for name, text in texts.items() if mark in text] for word, mark in marks.items()}
        self.asked.append({"of": list(texts), **asked})
        return {name: self._said(name, asked) for name in texts}

    def _said(self, name: str, asked: dict[str, list[str]]) -> Answer:
        if (silent := self.silent.get(name.replace("-", "_"))) == "error":
            return Answer(error="no answer within 90 s")
        lines = printed(NAMES.index(name) + 1, name != "galera-4").splitlines()
        for word, names in asked.items():
            if name not in names or silent == word:
                lines = [line for line in lines if not line.startswith(f"{word}\t")]
        return Answer("\n".join(lines))


def looked_at(hosts: Answering, monkeypatch: pytest.MonkeyPatch) -> Seen:
    @contextlib.asynccontextmanager
    async def connected(_: object) -> AsyncIterator[Answering]:
        yield hosts

    monkeypatch.setattr("operations.remote_hosts.connected", connected)
    return asyncio.run(care.look_at(FOUND))


def known_of_all(now: Seen) -> tuple[list[str], list[str]]:
    """Whom the look found to be managers, and members of the database as the store knows them."""
    members = [sorted(told.node_status["members"]) for told in now.facts.values() if told.node_status]
    return [name for name, _ in care.bodies(now)[votes.SWARM]], members[0] if members else []


def test_what_is_one_thing_for_all_hosts_one_host_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hosts, one for each: a look takes as long as the host that has most to say."""
    hosts = Answering()
    now = looked_at(hosts, monkeypatch)
    assert hosts.asked == [{"of": list(NAMES), "manager": ["galera-1"], "status": ["galera-3"]}]
    assert now.unwell == {}
    assert known_of_all(now) == (list(NAMES[:3]), list(NAMES[:3]))


@pytest.mark.parametrize(
    ("hosts", "managers", "records"),
    [
        (Answering(galera_1="manager"), ["galera-2", "galera-3"], []),
        (Answering(galera_3="status"), [], ["galera-1", "galera-2"]),
        (Answering(galera_1="error"), ["galera-2", "galera-3"], []),
        (Answering(galera_3="error"), [], ["galera-1", "galera-2"]),
        (Answering(galera_1="manager", galera_2="error"), ["galera-3"], []),
        (Answering(galera_1="error", galera_3="error"), ["galera-2"], ["galera-2"]),
        (
            Answering(galera_1="manager", galera_3="status"),
            ["galera-2", "galera-3"],
            ["galera-1", "galera-2"],
        ),
        (Answering(("galera-3",), galera_1="manager", galera_2="status"), ["galera-2"], ["galera-1"]),
    ],
)
def test_where_the_one_that_is_asked_has_no_answer_all_others_that_could_have_one_are_asked(
    monkeypatch: pytest.MonkeyPatch, hosts: Answering, managers: list[str], records: list[str]
) -> None:
    now = looked_at(hosts, monkeypatch)
    assert len(hosts.asked) == 2
    assert (hosts.asked[1]["manager"], hosts.asked[1]["status"]) == (managers, records)
    assert hosts.asked[1]["of"] == sorted({*managers, *records})
    assert known_of_all(now) == (list(NAMES[:3]), list(NAMES[:3]))
    failing = {name.replace("_", "-") for name, silent in hosts.silent.items() if silent == "error"}
    assert set(now.unwell) == failing | set(hosts.unreachable)
    assert list(now.facts) == list(hosts.reachable)


def test_nobody_is_asked_anew_where_nobody_has_anything_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Answering((), **{name.replace("-", "_"): "error" for name in NAMES})
    assert set(looked_at(hosts, monkeypatch).unwell) == set(NAMES)
    assert len(hosts.asked) == 1


def plain(value: str) -> dict[str, str]:
    return {
        "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
        "plaintext": json.dumps(value),
    }


def state(*names: str) -> dict[str, Any]:
    """A state with the resources that a look needs, secrets in plain."""
    found = [
        {
            "type": "pulumi-python:dynamic/softlayer:GuestReady",
            "outputs": {
                "hostname": name,
                "private_ip": f"10.144.12.{n}",
                "public_ip": f"203.0.113.{n}",
                "host_key": "ssh-ed25519 AAAA",
                "ssh_address": "public",
            },
        }
        for n, name in enumerate(names, 1)
    ]
    found += [
        {"type": "pulumi-python:dynamic/softlayer:SshKeyPair", "outputs": {"private_key": plain("KEY")}},
        {"type": "docker:index/network:Network", "outputs": {"name": "galera"}},
        {"type": "docker:index/service:Service", "outputs": {"name": "etcd"}},
        {"type": "docker:index/service:Service", "outputs": {"name": "galera"}},
    ]
    return {"deployment": {"resources": found}}


def test_hosts_are_known_from_the_state_where_a_failed_run_has_left_no_outputs() -> None:
    found = outputs_of_state.from_state(
        state("galera-2", "galera-1", "galera-4"), ("galera-1", "galera-2"), None
    )
    assert found is not None
    assert [(host.name, host.role, host.address) for host in found.hosts] == [
        ("galera-1", "manager", "203.0.113.2"),
        ("galera-2", "manager", "203.0.113.1"),
        ("galera-4", "worker", "203.0.113.3"),
    ]
    assert (found.private_key, found.members, found.store) == ("KEY", ("galera-1", "galera-2"), "etcd")
    assert "KEY" not in repr(found)


def test_a_private_key_that_cannot_be_read_keeps_nobody_from_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulumi may need it no more than the check of the hosts that comes before; it says so itself."""
    monkeypatch.setattr(outputs, "read", lambda _: replace(FOUND, private_key="none"))
    assert care.look(cast(Any, None)) is None

    def bug(*_: Any) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(outputs, "read", bug)
    with pytest.raises(ValueError, match="a bug"):
        care.look(cast(Any, None))


def test_a_stack_that_never_had_its_services_has_no_hosts_to_look_at() -> None:
    young = state("galera-1")
    young["deployment"]["resources"] = young["deployment"]["resources"][:2]
    assert outputs_of_state.from_state(young, ("galera-1",), None) is None
    assert outputs_of_state.from_state({}, ("galera-1",), None) is None

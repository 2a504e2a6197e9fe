"""A host that is replaced: what is refused, at which part a call goes on, in which order, what it calls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer

from components.host_scripts import swarm_leaving
from operations import node_program, stack_settings, well
from operations.around_run import care, left_out
from operations.around_run.care import Seen
from operations.errors import OperationsError
from operations.notes import Note
from operations.remote_hosts import Answer
from operations.replace import by_setting as replaced_by_setting
from operations.replace import replacement
from operations.replace.replacement import Replaced, part, plan, refusal
from operations.session import StackSession
from tests.unit.fake_swarm import changes, manager, service
from tests.unit.operations.around_run.test_care import error, seen, without_database
from tests.unit.operations.test_well import in_maintenance

pytestmark = pytest.mark.unit

ORDERED = {f"galera-{n}": n for n in range(1, 5)}
GOES = Note("replaced", "ann@desk", "2026-11-30 04:00 UTC", "2")


def host(name: str = "galera-2", server: int | None = None, note: Note | None = None) -> Replaced:
    return Replaced(name, ORDERED.get(name, 0) if server is None else server, note)


def shown(now: Seen, **ids: str) -> Seen:
    """The same, with other servers in the outputs (`galera_2="99"`)."""
    told = tuple(
        replace(each, id=ids.get(each.name.replace("-", "_"), each.id)) for each in now.outputs.hosts
    )
    return replace(now, outputs=replace(now.outputs, hosts=told))


def with_outputs(**changed: Any) -> Seen:
    """A stack that is well, with other outputs."""
    return replace(seen(), outputs=replace(seen().outputs, **changed))


# -- what is next


@pytest.mark.parametrize(
    ("now", "which", "next_part"),
    [
        pytest.param(seen(), host(), "take away", id="nothing has begun"),
        pytest.param(
            seen(away=("galera-2",)), host(), "take away", id="it is dead, and still its old server"
        ),
        pytest.param(seen(), host(note=GOES), "take away", id="it was drained, no more"),
        pytest.param(seen(), host(note=Note(text="x")), "take away", id="in maintenance for another reason"),
        pytest.param(seen(), host(server=0), "bring in", id="its server has gone, and no other one is there"),
        pytest.param(
            seen(), host(server=99), "bring in", id="another one was ordered, and the run did not end"
        ),
        pytest.param(
            shown(seen(), galera_2=""), host(server=0, note=GOES), "bring in", id="no run ever ended"
        ),
        pytest.param(
            shown(seen(galera_2=without_database), galera_2="99"),
            host(server=99, note=GOES),
            "bring in",
            id="the run ended, and its node is not Synced",
        ),
        pytest.param(
            shown(seen(), galera_2="99"), host(server=99, note=GOES), "finish", id="only maintenance is left"
        ),
        pytest.param(
            shown(seen(), galera_2="99"),
            host(server=99),
            "take away",
            id="it was replaced once, and is again",
        ),
        pytest.param(seen(), host("galera-4", 44), "bring in", id="a worker has no note, and needs none"),
    ],
)
def test_where_it_is_is_seen_and_not_remembered(now: Seen, which: Replaced, next_part: str) -> None:
    assert part(now, which) == next_part


# -- what is refused


@pytest.mark.parametrize("name", list(ORDERED))
def test_any_host_of_a_stack_that_is_well_may_be_replaced_the_first_manager_too(name: str) -> None:
    assert refusal(seen(), host(name), ORDERED) == ""


@pytest.mark.parametrize(
    ("now", "which", "told"),
    [
        (seen(), host("galera-9", 9), "galera-9 is no host of this stack (galera-1, galera-2"),
        (seen(away=("galera-3",)), host(), "others are not well: galera-3: does not answer"),
        (seen(galera_1=without_database), host(), "galera-1: its database is not running"),
        (
            seen(galera_1=in_maintenance("galera-3", note=GOES.dumps())),
            host(),
            "galera-3 is being replaced. End that first: `python -m operations replace galera-3`",
        ),
        (seen(), replace(host(), adopted=True), "its server 2 was there before this stack"),
        (with_outputs(kept_on=("galera-2",)), host(), "galera-2 keeps data of a cluster that does not run"),
        (
            with_outputs(hosts=seen().outputs.hosts[:1], members=("galera-1",)),
            host("galera-1"),
            "galera-1 is the only manager",
        ),
        (
            with_outputs(hosts=tuple(replace(each, own=True, id="") for each in seen().outputs.hosts)),
            host(),
            "galera-2 is a host of your own",
        ),
    ],
)
def test_a_host_is_not_replaced_while_the_others_could_not_do_without_it(
    now: Seen, which: Replaced, told: str
) -> None:
    assert told in refusal(now, which, ORDERED)


def test_what_has_begun_goes_on_though_the_others_are_not_well() -> None:
    """The server has gone: to leave it at that would help nobody."""
    assert refusal(seen(away=("galera-3",)), host(server=0, note=GOES), {}) == ""


def test_the_writer_is_replaced_last_and_what_has_begun_first() -> None:
    now = seen(galera_1=in_maintenance(writer="galera-1"))
    hosts = [host("galera-1"), host("galera-2"), host("galera-3", note=GOES), host("galera-4")]
    assert [each.name for each in plan(now, hosts)] == ["galera-3", "galera-4", "galera-2", "galera-1"]


def test_the_state_says_which_server_a_host_has() -> None:
    guest = "pulumi-python:dynamic/softlayer:VirtualGuest"
    resources: list[dict[str, Any]] = [
        {"type": guest, "id": "12", "inputs": {"hostname": "galera-2"}},
        {"type": guest, "id": "11", "inputs": {"hostname": "galera-1"}, "delete": True},
        {"type": "pulumi-python:dynamic/softlayer:GuestReady", "id": "9", "inputs": {"hostname": "galera-3"}},
    ]
    assert replacement.servers({"deployment": {"resources": resources}}) == {"galera-2": 12}
    assert replacement.servers({}) == {}
    assert replacement.adopted({"deployment": {"resources": resources}}) == set()
    taken = [{**resources[0], "outputs": {"adopted": True}}]
    assert replacement.adopted({"deployment": {"resources": taken}}) == {"galera-2"}


# -- leaving

LEAVES = "galera-2|ready|manager|reachable|true"


@pytest.fixture
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swarm_leaving, "PATIENCE", 1)


def test_a_host_leaves_store_database_and_swarm_in_the_order_that_keeps_every_quorum(
    tmp_path: Path, little_patience: None
) -> None:
    made = manager(tmp_path / "host", nodes={"node2": LEAVES})
    for each in ("etcd", "galera"):
        service(made, each, "echo gone")
    ran = made.run(replacement.leaving(seen().outputs, "galera-2"))
    assert ran.code == 0, ran.err
    assert [" ".join(call.split()[1:]) for call in changes(ran)] == [
        "exec c-etcd etcd-member forget galera-2",
        "node update --availability drain node2",
        "exec c-galera galera-node forget galera-2",
        "node demote node2",
        "node rm --force node2",
    ]
    again = made.run(replacement.leaving(seen().outputs, "galera-2"))
    assert again.code == 0, again.err


def test_a_host_whose_node_somebody_took_out_still_leaves_the_lists(
    tmp_path: Path, little_patience: None
) -> None:
    made = manager(tmp_path / "host", nodes={})
    for each in ("etcd", "galera"):
        service(made, each, "echo gone")
    ran = made.run(replacement.leaving(seen().outputs, "galera-2"))
    assert ran.code == 0, ran.err
    assert [" ".join(call.split()[1:]) for call in changes(ran)] == [
        "exec c-etcd etcd-member forget galera-2",
        "exec c-galera galera-node forget galera-2",
    ]


# -- the whole


class Stack:
    """In place of Pulumi, hosts and account: what was done, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        self.state = dict(ORDERED)
        self.now = seen()
        self.fails = ""
        monkeypatch.setattr(care, "look", lambda _: self.now)
        monkeypatch.setattr(care, "look_at", self._look_at)
        monkeypatch.setattr(replacement, "servers", lambda _: dict(self.state))
        monkeypatch.setattr(replacement, "connected", self._connected)
        monkeypatch.setattr(node_program, "tell", self._tell)
        self.reachable = list(ORDERED)
        self.plan_fails = False
        self.lost = dict[str, str]()
        self.previews = list[tuple[str, ...]]()
        monkeypatch.setattr(left_out, "cancelled", lambda *_: self.lost)

    async def _look_at(self, _found: object) -> Seen:
        return self.now

    @contextlib.asynccontextmanager
    async def _connected(self, _found: object) -> AsyncIterator[Any]:
        yield self

    async def run(self, name: str, _text: str, limit: float) -> Answer:
        self.done.append(f"leave by {name}")
        return Answer(error=self.fails)

    async def _tell(self, _hosts: object, _found: object, by: str, *words: str) -> str:
        self.done.append(f"{' '.join(words[:3])} by {by}")
        kept = dict(well.maintained(self.now))
        kept.pop(words[2], None)
        if words[1] == "on":
            kept[words[2]] = words[4]
        facts = seen().facts
        told = facts["galera-1"]
        for name, note in kept.items():
            told = in_maintenance(name, note=note)(told)
        self.now = replace(self.now, facts={**facts, "galera-1": told})
        return ""

    def deployed(self, _session: StackSession, yes: bool, going: Mapping[str, int]) -> None:
        self.done.append(f"up {dict(going)}")
        for name in going:
            self.state[name] = 90 + ORDERED[name]
            self.now = shown(self.now, **{name.replace("-", "_"): str(self.state[name])})

    @property
    def session(self) -> StackSession:
        held = SimpleNamespace(name="dev", pulumi=SimpleNamespace(export=dict), confirm=self._confirm)
        held.replacing = lambda going: held
        held.informed = lambda seen: held
        held.run = self._preview
        return cast(StackSession, held)

    def _preview(self, *words: str) -> None:
        self.previews.append(words)
        if self.plan_fails:
            raise typer.Exit(255)

    def _confirm(self, yes: bool, question: str, *words: str) -> None:
        if not yes:
            self._preview(*words)
            self.done.append(question)

    def replace(self, *names: str, yes: bool = True) -> list[str]:
        self.done.clear()
        replacement.replace_all(self.session, names, yes, self.deployed)
        return self.done


def test_a_host_is_drained_leaves_goes_and_comes_back_into_the_endpoints(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Stack(monkeypatch)
    assert made.replace("galera-1", yes=False) == [
        "Replace galera-1?",
        "maintenance on galera-1 by galera-2",
        "leave by galera-2",
        "up {'galera-1': 1}",
        "maintenance off galera-1 by galera-1",
    ]
    assert well.maintained(made.now) == {}


def test_several_go_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Stack(monkeypatch)
    done = made.replace("galera-1", "galera-3", "galera-1")
    assert [each for each in done if each.startswith("up")] == ["up {'galera-1': 1}", "up {'galera-3': 3}"]
    assert done.index("maintenance off galera-1 by galera-1") < done.index(
        "maintenance on galera-3 by galera-1"
    )


def test_nothing_is_touched_if_any_of_several_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Stack(monkeypatch)
    with pytest.raises(OperationsError, match="galera-9 is no host of this stack"):
        made.replace("galera-1", "galera-9")
    assert made.done == []


def test_a_host_that_could_not_leave_keeps_its_server_and_the_next_call_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Stack(monkeypatch)
    made.fails = "etcd does not let galera-2 go"
    with pytest.raises(OperationsError, match="galera-2 could not leave: etcd does not let galera-2 go"):
        made.replace("galera-2")
    assert not any(each.startswith("up") for each in made.done)
    made.fails = ""
    assert [each.split()[0] for each in made.replace("galera-2")] == [
        "maintenance",
        "leave",
        "up",
        "maintenance",
    ]


def test_after_the_order_only_the_rest_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Stack(monkeypatch)
    asyncio.run(made._tell(None, None, "galera-1", "maintenance", "on", "galera-2", "--note", GOES.dumps()))
    made.state["galera-2"] = 92  # ordered, and the run was broken off
    assert made.replace("galera-2") == ["up {'galera-2': 2}", "maintenance off galera-2 by galera-1"]
    asyncio.run(made._tell(None, None, "galera-1", "maintenance", "on", "galera-2", "--note", GOES.dumps()))
    made.now = shown(made.now, galera_2="92")
    assert made.replace("galera-2") == ["maintenance off galera-2 by galera-1"]


@pytest.mark.parametrize("yes", [True, False])
def test_a_plan_that_pulumi_refuses_is_known_before_the_host_is_touched(
    monkeypatch: pytest.MonkeyPatch, yes: bool
) -> None:
    """A price above maxMonthlyCost, say: the host would have left, and nothing would come in its place."""
    made = Stack(monkeypatch)
    made.plan_fails = True
    with pytest.raises(typer.Exit):
        made.replace("galera-2", yes=yes)
    assert made.done == []
    made.plan_fails, made.lost = False, {"galera-2": "urn"}
    made.replace("galera-2", yes=yes)
    assert made.previews[-1] == ("preview", "--refresh"), "a server that the account has lost is missed"


def test_several_go_on_where_the_first_of_them_was_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """`the same command goes on`, also while the one that has begun is not well."""
    made = Stack(monkeypatch)
    note = replace(GOES, server="1").dumps()
    asyncio.run(made._tell(None, None, "galera-2", "maintenance", "on", "galera-1", "--note", note))
    made.state["galera-1"] = 91
    assert [each for each in made.replace("galera-3", "galera-1") if each.startswith("up")] == [
        "up {'galera-1': 1}",
        "up {'galera-3': 3}",
    ]


@pytest.mark.parametrize(
    ("now", "hosts", "told"),
    [
        (seen(away=("galera-2",)), [host(), host("galera-3")], ""),
        (seen(away=("galera-3",)), [host(), host("galera-3")], "galera-2 is not replaced: others are not"),
        (seen(away=("galera-2",)), [host(), host("galera-9")], "galera-9 is no host of this stack"),
        (seen(), [host("galera-4", 44), host("galera-3")], ""),
        (seen(galera_4=error), [host("galera-4"), host("galera-3")], ""),
    ],
    ids=["the dead one first", "the dead one last", "nobody's host", "ordered", "a worker that has left"],
)
def test_those_behind_one_that_is_ill_are_asked_again_in_their_turn(
    now: Seen, hosts: list[Replaced], told: str
) -> None:
    found = replacement.in_the_way(now, hosts, ORDERED)
    assert told in found
    assert bool(found) is bool(told)


def test_who_is_ill_is_replaced_before_others() -> None:
    now = seen(away=("galera-2",))
    assert [each.name for each in plan(now, [host("galera-4"), host("galera-3"), host()])] == [
        "galera-2",
        "galera-4",
        "galera-3",
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("galera-2", "load balancers send nobody to galera-2 yet, and the same command goes on"),
        ("galera-4", "nothing left to do, and a further one would replace the new server, too"),
    ],
)
def test_only_what_the_store_knows_of_is_gone_on_with_by_the_same_command(
    monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    """Of a worker there is no note: once its new server is in the outputs, it would be ordered twice."""
    monkeypatch.setattr(replacement, "WELL_WITHIN", 0.0)
    made = Stack(monkeypatch)
    made.now = seen(galera_3=without_database)
    with pytest.raises(OperationsError, match=words):
        asyncio.run(replacement._finished(made.now, name))


def test_maintenance_ends_too_where_no_node_says_who_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Stack(monkeypatch)
    silent = {name: replace(told, node_status={}) for name, told in made.now.facts.items()}
    made.now = replace(made.now, facts=silent)
    asyncio.run(replacement._finished(made.now, "galera-2"))
    assert made.done == ["maintenance off galera-2 by galera-1"]


def test_nobody_is_told_that_up_restarts_the_engine_of_a_host_that_is_being_replaced(
    capsys: pytest.CaptureFixture[str],
) -> None:
    care.tell(seen(galera_2=error, galera_3=error, galera_1=in_maintenance("galera-2", note=GOES.dumps())))
    said = capsys.readouterr().err
    assert "galera-2" not in said
    assert "galera-3: its engine is not active in the swarm (error). `up` restarts" in said


# -- by setting


def test_by_setting_those_are_due_whose_server_is_still_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = Stack(monkeypatch)
    file = tmp_path / "Pulumi.dev.yaml"
    monkeypatch.setattr(stack_settings, "stack_file", lambda _: file)
    replaced_by_setting.by_setting(made.session, True, made.deployed)
    assert made.done == []
    file.write_text(
        "config:\n  swarm-galera:servers:\n    replaceServer: {galera-1: 77, galera-2: 2, galera-3: 3}\n"
    )
    assert replaced_by_setting.first_by_setting(made.session) == {"galera-2": 2}
    replaced_by_setting.by_setting(made.session, True, made.deployed)
    assert [each for each in made.done if each.startswith("up")] == [
        "up {'galera-2': 2}",
        "up {'galera-3': 3}",
    ]
    made.done.clear()
    replaced_by_setting.by_setting(made.session, True, made.deployed)
    assert made.done == [], "another server is there by now"

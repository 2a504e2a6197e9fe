"""Whether the cluster can do without a host: each reason against it, alone."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from operations import maintenance, node_program, notes, well
from operations.around_run.care import Seen
from operations.errors import OperationsError
from operations.facts.cluster import HostFacts, Manager
from operations.maintenance import Word
from operations.notes import Note
from operations.outputs import Balancer
from operations.remote_hosts import Answer
from tests.unit.fake_host import FakeHost
from tests.unit.operations.around_run.test_care import error, seen, without_database

pytestmark = pytest.mark.unit


def in_maintenance(*names: str, note: str = "", writer: str = "") -> Callable[[HostFacts], HostFacts]:
    """What a node says of the others."""

    def changed(host: HostFacts) -> HostFacts:
        members: dict[str, Any] = dict(host.node_status["members"])
        for name in names:
            members[name] = {**members.get(name, {}), "maintenance": True, "note": note}
        told = {**host.node_status, "members": members, "writer": writer or None}
        return replace(host, node_status=told)

    return changed


def galera(state: str) -> Callable[[HostFacts], HostFacts]:
    return lambda host: replace(host, galera={**host.galera, "wsrep_local_state_comment": state})


def managers(**status: str) -> Callable[[HostFacts], HostFacts]:
    """What the swarm says of its managers (`galera_3="Unreachable"`); a former self is `galera_3_former`."""
    told = {"galera_1": "Leader", "galera_2": "Reachable", "galera_3": "Reachable", **status}
    made = tuple(
        Manager(f"n{at}", name.removesuffix("_former").replace("_", "-"), state)
        for at, (name, state) in enumerate(told.items())
    )
    return lambda host: replace(host, managers=made)


@pytest.mark.parametrize("absence", ["leaves", "returns"])
@pytest.mark.parametrize("host", ["galera-1", "galera-3", "galera-4"])
def test_of_three_that_are_well_any_one_can_be_done_without(host: str, absence: well.Absence) -> None:
    assert well.refusal(seen(), host, absence) == ""


def test_a_backup_that_keeps_a_host_from_going_is_named() -> None:
    def makes(host: HostFacts) -> HostFacts:
        told = {"archive": {"running": "full", "node": "galera-3"}}
        return replace(host, node_status={**host.node_status, "backup": told})

    now = seen(galera_1=makes, galera_3=lambda host: makes(galera("Donor/Desynced")(host)))
    assert "galera-3 is Donor/Desynced, for a backup: wait" in well.refusal(now, "galera-2", "returns")
    # Whoever waits for its end is told so only then; of a donor's copy nobody is.
    assert well.refusal(now, "galera-2", "returns", waits=True) == ""
    donor = seen(galera_1=makes, galera_3=makes, galera_2=galera("Donor/Desynced"))
    assert (
        well.refusal(donor, "galera-1", "leaves", waits=True) == "the database of galera-2 is Donor/Desynced"
    )


def test_a_host_that_is_itself_ill_or_away_can_be_done_without_where_that_may_be() -> None:
    for now in (seen(away=("galera-3",)), seen(galera_3=without_database), seen(galera_3=error)):
        assert well.refusal(now, "galera-3", "leaves") == ""
        assert "galera-3 itself is not well" in well.refusal(now, "galera-3", "returns", ill=False)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (seen(away=("galera-3",)), "others are not well: galera-3: does not answer"),
        (seen(away=("galera-4",)), "others are not well: galera-4: does not answer"),
        (seen(galera_3=without_database), "galera-3: its database is not running"),
        (seen(galera_3=error), "galera-3: its engine is not active in the swarm"),
        (seen(galera_3=lambda host: replace(host, etcd_healthy=False)), "galera-3: etcd is not healthy"),
        # A donor counts as well elsewhere: here the node that receives from it is not whole yet.
        (seen(galera_3=galera("Donor/Desynced")), "the database of galera-3 is Donor/Desynced"),
    ],
)
def test_nobody_goes_while_another_one_is_not_well(now: Seen, told: str) -> None:
    assert told in well.refusal(now, "galera-2", "leaves")
    assert told in well.refusal(now, "galera-2", "returns")


def test_a_former_self_that_still_votes_counts_among_the_dead() -> None:
    now = seen(galera_1=managers(galera_3_former="Unreachable"))
    # Four votes; without galera-2 two of three, and of four while it is to come back.
    assert well.refusal(now, "galera-2", "leaves") == ""
    told = well.refusal(now, "galera-2", "returns")
    assert told == (
        "without galera-2 only 2 of the 4 votes in the swarm can be given (galera-3: the other managers do "
        "not hear it), which is no majority"
    )
    two = seen(galera_1=managers(galera_3_former="Unreachable", galera_1_former="Unreachable"))
    assert "only 2 of the 4 votes in the swarm" in well.refusal(two, "galera-2", "leaves")


def test_a_swarm_that_says_nothing_is_known_before_anything_is_touched() -> None:
    """Each engine is active in it, and it takes no change: nobody could be drained, or leave."""

    def silent(host: HostFacts) -> HostFacts:
        return replace(host, managers=())

    now = seen(galera_1=silent, galera_2=silent, galera_3=silent)
    assert "no manager says who the swarm's nodes are" in well.refusal(now, "galera-2", "returns")
    without = replace(now, outputs=replace(now.outputs, layer="hosts"))
    assert well.refusal(without, "galera-4", "returns") == ""


def test_a_worker_has_no_vote_to_take_away() -> None:
    now = seen(galera_1=managers(galera_3_former="Unreachable"))
    assert well.refusal(now, "galera-4", "returns") == ""


def test_the_last_one_that_clients_are_sent_to_stays() -> None:
    one = seen(galera_1=in_maintenance("galera-1"))
    assert well.refusal(one, "galera-2", "returns") == ""
    both = seen(galera_1=in_maintenance("galera-1", "galera-3"))
    assert "load balancers send nobody to galera-1 and galera-3" in well.refusal(both, "galera-2", "returns")


def test_the_only_node_of_a_database_stays() -> None:
    now = seen()
    alone = replace(now, outputs=replace(now.outputs, members=("galera-2",), size=1))
    assert "galera-2 has the only node of the database" in well.refusal(alone, "galera-2", "leaves")


def test_who_takes_the_writes_and_who_is_in_maintenance_is_read_from_the_first_that_knows() -> None:
    now = seen(
        away=("galera-1",),
        galera_2=lambda host: replace(host, node_status={"cluster": None, "store": "does not answer"}),
        galera_3=in_maintenance("galera-3", note="by hand", writer="galera-2"),
    )
    assert well.writer(now) == "galera-2"
    assert well.maintained(now) == {"galera-3": "by hand"}
    assert well.writer(seen()) == ""
    assert well.maintained(seen()) == {}


def test_a_note_is_read_as_it_was_written_and_anything_else_is_a_person_s_text() -> None:
    note = Note("replaced", "ann@desk", "2026-11-30 04:00 UTC", "4711")
    assert notes.read(note.dumps()) == note
    assert "\n" not in note.dumps()
    assert note.told == "by ann@desk since 2026-11-30 04:00 UTC, its host is being replaced"
    for text in ("", "disk is noisy", '{"why": "sold"}', "[1]"):
        assert notes.read(text) == Note(text=text)


# -- the command `maintenance`


def test_maintenance_is_refused_where_the_others_could_not_do_without_the_node() -> None:
    assert maintenance.refusal(seen(), "galera-2", Word.on) == ""
    assert "hosts that have: galera-1" in maintenance.refusal(seen(), "galera-4", Word.on)
    dead = seen(away=("galera-3",))
    assert "others are not well" in maintenance.refusal(dead, "galera-2", Word.on)
    assert maintenance.refusal(dead, "galera-2", Word.off) == "", "it can always come back"


def test_maintenance_of_a_host_that_is_being_replaced_is_not_ended_by_hand() -> None:
    note = Note("replaced", server="2").dumps()
    now = seen(galera_1=in_maintenance("galera-2", note=note))
    assert "galera-2 is being replaced" in maintenance.refusal(now, "galera-2", Word.off)
    # A note in place of that one would have its new server replaced by the next `replace`.
    assert "galera-2 is being replaced" in maintenance.refusal(now, "galera-2", Word.on)
    begun = seen(galera_1=in_maintenance("galera-2", note=Note("upgraded").dumps()))
    assert "`python -m operations upgrade-hosts galera-2`" in maintenance.refusal(begun, "galera-2", Word.on)
    assert maintenance.refusal(begun, "galera-2", Word.off) == ""
    other = seen(galera_1=in_maintenance("galera-2", note=Note(text="noisy disk").dumps()))
    assert maintenance.refusal(other, "galera-2", Word.off) == ""


class Told:
    """In place of the hosts: what the node's program was told, and who takes the writes."""

    unreachable: ClassVar[dict[str, str]] = {}

    def __init__(self, monkeypatch: pytest.MonkeyPatch, now: Seen, writers: list[str]) -> None:
        self.told: list[str] = []
        self.writers, self.answer = writers, Answer()
        monkeypatch.setattr(node_program, "DRAINED", 0.0)
        monkeypatch.setattr(node_program, "MOVED_WITHIN", 0.2)
        monkeypatch.setattr(maintenance, "connected", self.connected)
        self.now = now

    @contextlib.asynccontextmanager
    async def connected(self, _found: object) -> AsyncIterator[Any]:
        yield self

    async def run(self, name: str, text: str) -> Answer:
        words = next(line for line in text.splitlines() if line.startswith("words="))
        if "status" in words:
            writer = self.writers.pop(0) if len(self.writers) > 1 else self.writers[0]
            return Answer(json.dumps({"cluster": {"uuid": "u"}, "writer": writer}) if writer else "")
        self.told.append(f"{name}: {words}")
        return self.answer

    def maintain(self, host: str, word: Word, because: str = "") -> None:
        async def look() -> Seen:
            return self.now

        asyncio.run(maintenance._maintain(look(), host, word, because))


def balanced(now: Seen) -> Seen:
    return replace(now, outputs=replace(now.outputs, balancer=Balancer("haproxy", "10.20.0.8", 6446, 6447)))


def test_a_node_is_taken_out_by_another_one_and_the_writes_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Told(monkeypatch, balanced(seen()), ["galera-1", "galera-2"])
    made.maintain("galera-1", Word.on, "noisy disk")
    (told,) = made.told
    assert told.startswith("galera-2: words=(maintenance on galera-1 --note ")
    assert '"text": "noisy disk"' in told
    assert '"by": "' in told
    assert made.writers == ["galera-2"]
    assert "galera-1 is in maintenance" in capsys.readouterr().err


def test_a_node_that_does_not_say_who_takes_the_writes_has_not_said_that_they_are_moved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Told(monkeypatch, balanced(seen()), ["", "galera-2"])
    made.maintain("galera-1", Word.on)
    assert made.writers == ["galera-2"]
    made.writers = [""]
    with pytest.raises(OperationsError, match="galera-2 does not say whether galera-1 takes the writes"):
        made.maintain("galera-1", Word.on)


def test_what_a_node_says_of_errors_is_no_part_of_what_it_answers(tmp_path: Path) -> None:
    """A warning beside the JSON would be taken for no answer."""
    made = FakeHost(tmp_path)
    said = 'exec) echo warning >&2; echo \'{"writer": "x"}\' ;;'
    made.program("docker", f"case $1 in ps) echo c1 ;; inspect) echo true ;; {said} esac")
    ran = made.run(node_program.text(seen().outputs, "status", "--json", errors=False))
    assert (ran.code, ran.out) == (0, '{"writer": "x"}\n'), ran.err
    assert "warning" in made.run(node_program.text(seen().outputs, "maintenance", "on", "galera-1")).out


def test_writes_that_stay_are_an_error_and_the_note_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Told(monkeypatch, balanced(seen()), ["galera-1"])
    with pytest.raises(OperationsError, match="galera-1 still takes the writes"):
        made.maintain("galera-1", Word.on)


def test_the_node_s_own_refusal_is_shown_and_an_older_image_named(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Told(monkeypatch, seen(), ["galera-1"])
    made.answer = Answer("no other node is Synced and not in maintenance\n", "exit code 1")
    with pytest.raises(OperationsError, match="galera-2: no other node is Synced and not in maintenance"):
        made.maintain("galera-1", Word.on)
    made.answer = Answer("usage: galera-node run …", "exit code 2")
    with pytest.raises(OperationsError, match="older than this command"):
        made.maintain("galera-1", Word.on)


def test_maintenance_ends_and_one_that_is_in_none_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Told(monkeypatch, seen(galera_1=in_maintenance("galera-2")), ["galera-1"])
    made.maintain("galera-2", Word.off)
    assert made.told == ["galera-1: words=(maintenance off galera-2)"]
    made.maintain("galera-3", Word.off)
    assert "galera-3 is not in maintenance" in capsys.readouterr().err
    assert len(made.told) == 1


def test_what_takes_long_says_that_it_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    async def slow() -> str:
        await asyncio.sleep(0.3)
        return "done"

    assert asyncio.run(node_program.telling("galera-2 is leaving", slow(), every=0.1)) == "done"
    assert capsys.readouterr().err.count("galera-2 is leaving: 0 s") >= 1

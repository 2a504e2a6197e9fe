"""A backup that is being made when a host is to go: told, waited for within a limit, or broken off."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from operations import backup_end, cli, session, well
from operations.around_run import care
from operations.around_run.care import Seen
from operations.errors import OperationsError
from operations.facts.cluster import HostFacts
from operations.replace import replacement
from operations.upgrade import refusals as upgrade_refusals
from tests.unit.operations.around_run.test_care import seen, without_database
from tests.unit.operations.replace.test_replacement import ORDERED, Stack, host
from tests.unit.operations.test_well import galera
from tests.unit.operations.upgrade.test_upgrade_hosts import KERNEL, Hosts

pytestmark = pytest.mark.unit

NAME = "20261130T010000Z-full"
TOLD = f"galera-2 makes a backup ({NAME}, since 2026-11-30 01:00:00 UTC, 12.3 GB so far)"


def makes(node: str, *, archiver: str = "", **changed: Any) -> Callable[[HostFacts], HostFacts]:
    """What the nodes say while one of them makes a backup."""
    archive = {"node": node, "running": NAME, "tried": "2026-11-30T01:00:00Z", "done": 12_300_000_000}
    told = {"archiver": archiver or node, "archive": {**archive, **changed}}
    return lambda each: replace(each, node_status={**each.node_status, "backup": told})


BACKS_UP = galera("Donor/Desynced")


def during(galera_2: Callable[[HostFacts], HostFacts] = BACKS_UP) -> Seen:
    """A healthy stack in which galera-2 makes a backup."""
    now = seen(galera_2=galera_2)
    return replace(now, facts={name: makes("galera-2")(each) for name, each in now.facts.items()})


# -- what there is


def test_a_backup_is_told_with_its_node_and_since_when() -> None:
    assert str(backup_end.running(during())) == TOLD
    # Right before and after the copy its node is in flow control.
    assert str(backup_end.running(during(galera_2=galera("Synced")))) == TOLD


@pytest.mark.parametrize(
    "now",
    [
        seen(),
        during(galera_2=without_database),
        replace(
            during(),
            facts={**during().facts, "galera-1": makes("galera-2", archiver="galera-3")(HostFacts())},
        ),
        replace(during(), facts={**during().facts, "galera-1": makes("galera-2", running="")(HostFacts())}),
    ],
    ids=["none is made", "its node has died", "another node archives", "it has ended"],
)
def test_what_is_over_is_waited_for_by_nobody(now: Seen) -> None:
    assert backup_end.running(now) is None


# -- what is said before


@pytest.mark.parametrize(
    ("hosts", "interrupt", "words"),
    [
        (["galera-2"], False, "Before galera-2 goes, its end is waited for, 2 hours at the most. With"),
        (["galera-2"], False, "nobody waits: it is then broken off, and another node makes it anew at once."),
        (["galera-3", "galera-4"], False, "Before galera-3 goes"),
        (["galera-3"], False, "nobody waits: it then goes on meanwhile."),
        (["galera-2"], True, "It is broken off when galera-2 goes, and another node makes it anew at once."),
        (["galera-3"], True, "Its end is not waited for."),
    ],
)
def test_what_becomes_of_it_is_said_before_a_person_is_asked(
    hosts: list[str], interrupt: bool, words: str
) -> None:
    said = backup_end.notice(during(), hosts, interrupt)
    assert said.startswith(TOLD)
    assert words in said


def test_nothing_is_said_where_none_is_made_or_only_workers_go() -> None:
    assert backup_end.notice(seen(), ["galera-2"], False) == ""
    assert backup_end.notice(during(), ["galera-4"], False) == ""


# -- the wait


class Looks:
    """One look at the hosts after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *looks: Seen) -> None:
        self.left = list(looks)
        monkeypatch.setattr(care, "look_at", self.look)
        monkeypatch.setattr(backup_end, "EVERY", 0.0)

    async def look(self, _found: object) -> Seen:
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]


def awaited(now: Seen, name: str, *, interrupt: bool = False, begun: bool = False) -> Seen:
    return asyncio.run(backup_end.awaited(now, name, interrupt=interrupt, begun=begun))


@pytest.mark.parametrize("name", ["galera-2", "galera-3"])
def test_its_end_is_waited_for_and_until_its_node_has_caught_up(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    after = seen()
    made = Looks(monkeypatch, during(), during(), seen(galera_2=galera("Joined")), after)
    assert awaited(during(), name) is after
    assert made.left == [after]
    said = capsys.readouterr().err
    assert f"waiting before {name} goes: {TOLD}" in said
    assert "galera-2 is Joined, behind the others" in said


def test_after_the_limit_it_is_an_error_and_nothing_was_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    Looks(monkeypatch, during())
    monkeypatch.setattr(backup_end, "WITHIN", 0.0)
    with pytest.raises(OperationsError, match=r"nothing of it was changed.*--interrupt-backup"):
        awaited(during(), "galera-2")


def test_nobody_waits_where_a_person_has_said_so_or_no_node_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    Looks(monkeypatch, seen())
    now = during()
    assert awaited(now, "galera-2", interrupt=True) is now
    assert awaited(now, "galera-3", interrupt=True) is now
    assert awaited(now, "galera-4") is now
    # A host that is out already is not kept away; its own backup goes on until it really leaves.
    assert awaited(now, "galera-3", begun=True) is now
    assert awaited(now, "galera-2", begun=True) is not now


def test_the_only_other_node_is_not_relied_on_while_it_makes_a_backup(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Looks(monkeypatch, seen())
    two = during()
    two = replace(two, outputs=replace(two.outputs, members=("galera-2", "galera-3"), size=2))
    assert awaited(two, "galera-3", interrupt=True) is not two


# -- who waits


def test_neither_command_refuses_a_host_for_a_backup_and_maintenance_does() -> None:
    for name in ("galera-2", "galera-3"):
        assert replacement.refusal(during(), host(name), ORDERED) == ""
        assert upgrade_refusals.refusal(during(), name) == ""
    assert "for a backup" in well.refusal(during(), "galera-3", "returns")


def test_a_host_is_replaced_once_its_backup_has_ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Stack(monkeypatch)
    made.now, looks = during(), list[bool]()

    async def look_at(_found: object) -> Seen:
        looks.append(bool(made.done))
        if len(looks) == 2:
            made.now = seen()
        return made.now

    monkeypatch.setattr(care, "look_at", look_at)
    monkeypatch.setattr(backup_end, "EVERY", 0.0)
    assert made.replace("galera-2")[0] == "maintenance on galera-2 by galera-1"
    assert looks[:3] == [False, False, True], "it was looked at until the backup had ended, and not touched"
    said = capsys.readouterr().err
    assert said.index("Before galera-2 goes") < said.index(f"waiting before galera-2 goes: {TOLD}")


def test_a_host_that_could_not_be_done_without_after_the_wait_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Stack(monkeypatch)
    made.now = during()

    async def look_at(_found: object) -> Seen:
        return seen(galera_3=without_database)

    monkeypatch.setattr(care, "look_at", look_at)
    monkeypatch.setattr(replacement, "WELL_WITHIN", 0.0)
    with pytest.raises(OperationsError, match="galera-2 is not replaced: others are not well"):
        made.replace("galera-2")
    assert made.done == []


def test_with_the_word_for_it_a_host_goes_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Stack(monkeypatch)
    made.now = during()
    replacement.replace_all(made.session, ["galera-2"], True, made.deployed, interrupt=True)
    assert made.done[0] == "maintenance on galera-2 by galera-1"
    assert f"galera-2: its backup {NAME} is broken off; another node" in capsys.readouterr().err


def test_replace_takes_that_word(monkeypatch: pytest.MonkeyPatch) -> None:
    done = list[Any]()

    @contextlib.contextmanager
    def opened(stack: str) -> Iterator[Any]:
        yield f"held {stack}"

    monkeypatch.setattr(session, "opened", opened)
    monkeypatch.setattr(replacement, "replace_all", lambda *words: done.append(words))
    ran = CliRunner().invoke(cli.build(), ["replace", "galera-2", "--interrupt-backup", "--yes"])
    assert ran.exit_code == 0, ran.output
    ((held, hosts, yes, _, interrupt),) = done
    assert (held, hosts, yes, interrupt) == ("held dev", ["galera-2"], True, True)


@pytest.mark.parametrize("interrupt", [False, True])
def test_a_host_is_upgraded_once_a_backup_has_ended_or_at_once(
    interrupt: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Hosts(monkeypatch, {"galera-2": KERNEL})
    looks = list[bool]()

    async def look_at(_found: object) -> Seen:
        looks.append(bool(made.done))
        return during() if len(looks) < 4 else made.now

    monkeypatch.setattr(care, "look_at", look_at)
    monkeypatch.setattr(backup_end, "EVERY", 0.0)
    made.upgrade("galera-2", interrupt=interrupt)
    assert made.done[:2] == ["maintenance on galera-2", "drain galera-2 by galera-1"]
    # The plan, the host's turn, and without the word two more before anything was done.
    assert looks.index(True) == (2 if interrupt else 4)
    assert TOLD in capsys.readouterr().err

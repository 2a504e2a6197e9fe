"""What `verify --deep` makes of the deep check's findings: who is named, what is to be done."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from operations import cli, outputs, verify
from operations.deep import check
from operations.deep import verify as deep_verify
from operations.deep.check import Odd, Outcome
from operations.deep.sessions import SessionLost
from operations.verify import Report
from tests.unit.operations.test_verify import VALUES, facts

pytestmark = pytest.mark.unit

FOUND = outputs.parse("dev", VALUES)
NODES = ("galera-1", "galera-2", "galera-3")
WHOLE = Outcome(NODES, tables=7, rows=1000, objects=12, positions=(40, 90), pauses=3, longest_pause=0.12)


def test_nodes_that_hold_the_same_are_one_check_that_says_what_was_compared() -> None:
    (told,) = deep_verify.of_outcome(FOUND, WHOLE)
    assert (told.ok, told.warns) == (True, False)
    assert told.found == (
        "7 tables with 1000 rows, 12 definitions, all accounts, on galera-1, galera-2, galera-3; "
        "at positions 40 to 90; 3 pauses of writes, 0.12 s at most"
    )


def test_a_database_without_tables_was_compared_at_no_position() -> None:
    (told,) = deep_verify.of_outcome(FOUND, Outcome(NODES, objects=1, pauses=1, longest_pause=0.1))
    assert told.found == (
        "0 tables with 0 rows, 1 definition, all accounts, on galera-1, galera-2, galera-3; "
        "1 pause of writes, 0.10 s at most"
    )


def test_one_node_against_two_is_named_with_the_commands_that_mend_it() -> None:
    odd = Odd(
        "rows of app.t", (("galera-1", "galera-3"), ("galera-2",)), "1 of 4 pieces differ, first at id > 6"
    )
    named, summary = deep_verify.of_outcome(FOUND, replace(WHOLE, odd=[odd]))
    assert (named.where, named.what, named.ok) == (
        "galera-2",
        "rows of app.t as on galera-1 and galera-3",
        False,
    )
    assert named.found == odd.how
    for command in (
        "docker node update --label-add galera=false galera-2",
        "find /var/lib/docker/volumes/galera-data/_data -mindepth 1 -delete",
        "docker node update --label-add galera=true galera-2",
    ):
        assert command in named.remedy
    assert not summary.ok


@pytest.mark.parametrize(
    "groups",
    [(("galera-1",), ("galera-2",), ("galera-3",)), (("galera-1",), ("galera-2",))],
    ids=["three", "two"],
)
def test_without_a_majority_nobody_is_blamed(groups: tuple[tuple[str, ...], ...]) -> None:
    named, _ = deep_verify.of_outcome(FOUND, replace(WHOLE, odd=[Odd("rows of app.t", groups, "all differ")]))
    assert (named.where, named.what) == ("cluster", "rows of app.t the same on every node")
    assert "no majority agrees" in named.remedy


def test_rows_that_are_not_replicated_have_another_remedy() -> None:
    odd = Odd(
        "rows of app.m", (("galera-2", "galera-3"), ("galera-1",)), "2 rows on galera-1", "MyISAM does not …"
    )
    named, _ = deep_verify.of_outcome(FOUND, replace(WHOLE, odd=[odd], loose=["app.m (MyISAM)"]))
    assert named.where == "cluster"
    assert "ENGINE=InnoDB" in named.remedy
    assert "--label-add" not in named.remedy


def test_a_table_that_kept_changing_was_not_compared_and_that_is_no_success() -> None:
    named, summary = deep_verify.of_outcome(FOUND, replace(WHOLE, changed=["app.t"]))
    assert (named.what, named.ok, summary.ok) == ("rows of app.t compared", False, False)


def test_a_node_that_was_not_compared_is_no_success() -> None:
    (summary,) = deep_verify.of_outcome(FOUND, replace(WHOLE, nodes=NODES[:2]))
    assert not summary.ok
    assert summary.found.endswith("not compared: galera-3")


def test_tables_that_could_not_be_read_in_pieces_or_are_not_replicated_are_named() -> None:
    seen = replace(WHOLE, whole=["app.log"], loose=["sys.sys_config (Aria)", "app.m (MyISAM)"])
    (summary,) = deep_verify.of_outcome(FOUND, seen)
    assert (summary.ok, summary.warns) == (True, True)
    assert "for want of a key that will do: app.log" in summary.found
    assert "engine of app.m (MyISAM)" in summary.found
    assert "sys_config" not in summary.found


def test_only_synced_nodes_of_one_cluster_are_compared() -> None:
    seen = facts()
    assert deep_verify.comparable(FOUND, seen) == list(NODES)
    seen["galera-1"] = replace(
        seen["galera-1"], galera={**seen["galera-1"].galera, "wsrep_cluster_status": "non"}
    )
    assert deep_verify.comparable(FOUND, seen) == ["galera-2", "galera-3"]
    seen["galera-3"] = replace(seen["galera-3"], galera={})
    (told,) = asyncio.run(deep_verify.checks(FOUND, seen, None))  # type: ignore[arg-type]
    assert (told.ok, told.found) == (False, "not compared: fewer than two nodes are Synced (galera-2)")


def test_a_node_that_goes_in_the_middle_is_a_finding_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    async def compare(*_: object) -> Outcome:
        raise SessionLost("galera-3", "Lost connection")

    monkeypatch.setattr(check, "compare", compare)
    (told,) = asyncio.run(deep_verify.checks(FOUND, facts(), None))  # type: ignore[arg-type]
    assert not told.ok
    assert "galera-3: the session with its database is lost: Lost connection" in told.found


@pytest.mark.parametrize(("options", "deep"), [([], False), (["--deep"], True)])
def test_the_deep_check_is_made_only_when_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, options: list[str], deep: bool
) -> None:
    asked: list[bool] = []

    async def looked(_found: object, report: Report, deep: bool) -> None:
        asked.append(deep)

    monkeypatch.setattr(outputs, "of_stack", lambda *_: FOUND)
    monkeypatch.setattr(verify, "_verify", looked)
    ran: Any = CliRunner().invoke(cli.build(), ["verify", *options])
    assert ran.exit_code == 1  # a report without checks holds nothing
    assert asked == [deep]

"""What `verify`, `backups` and `backup` say of backups."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest

from operations import backup
from operations.checks import backup as backup_checks
from operations.checks import galera as galera_checks
from operations.errors import OperationsError
from operations.facts.cluster import HostFacts
from operations.facts.galera_variables import LOGGED
from operations.outputs import Outputs, parse
from tests.unit.operations.test_verify import VALUES

pytestmark = pytest.mark.unit

SENTENCES = [
    {"what": "a full backup", "ok": True, "found": "young", "remedy": ""},
    {"what": "logs", "ok": False, "found": "8 min behind", "remedy": "look"},
]
ARCHIVE = {"node": "galera-2", "running": "", "done": 0, "asked": "x", "failed": "", "problem": ""}


def told(**changes: Any) -> dict[str, Any]:
    return {"archiver": "galera-2", "archive": ARCHIVE, "sentences": SENTENCES, "bases": [], **changes}


def outputs(**more: Any) -> Outputs:
    return parse("dev", {**VALUES, "galera": {**VALUES["galera"], "members": ["galera-1"]}, **more})


WITH = {"backup": {"bucket": "backups", "prefix": "prod/galera"}}


def facts(status: dict[str, Any], **galera: str) -> dict[str, HostFacts]:
    bare = {host["name"]: HostFacts() for host in VALUES["hosts"]}
    return {**bare, "galera-1": HostFacts(galera={**LOGGED, **galera}, node_status=status)}


def test_a_stack_without_backups_is_not_asked_for_them() -> None:
    assert outputs().backup == ""
    assert backup_checks.of_backup(outputs(), facts({})) == []


def test_what_the_nodes_say_becomes_checks_with_its_remedies() -> None:
    assert outputs(**WITH).backup == "backups/prod/galera"
    logged, full, logs = backup_checks.of_backup(outputs(**WITH), facts({"backup": told()}))
    assert logged.ok
    assert (full.ok, full.what, full.found) == (True, "a full backup", "young")
    assert (logs.ok, logs.remedy) == (False, "look")


def test_nodes_that_know_nothing_of_backups_are_red() -> None:
    (check,) = backup_checks.of_backup(outputs(**WITH), facts({"cluster": {"uuid": "x"}}))
    assert (check.ok, check.found) == (False, "the nodes know nothing of backups")
    (check,) = backup_checks.of_backup(outputs(**WITH), facts({}))
    assert check.found == "no answer from galera-1"


@pytest.mark.parametrize("name", list(LOGGED))
def test_a_node_whose_logs_are_not_fit_to_restore_from_is_red(name: str) -> None:
    logged, *_ = backup_checks.of_backup(outputs(**WITH), facts({"backup": told()}, **{name: "7"}))
    assert not logged.ok
    assert f"{name} is 7 on galera-1" in logged.found


def test_a_node_may_be_out_of_flow_control_only_while_it_makes_a_backup() -> None:
    running = told(archive={**ARCHIVE, "node": "galera-1", "running": "20261128T143210Z-full"})
    state = {"wsrep_local_state_comment": "Donor/Desynced"}
    for status, ok in (({"backup": running}, True), ({"backup": told()}, False), ({}, False)):
        seen = facts(
            status, **state, wsrep_cluster_size="3", wsrep_cluster_status="Primary", wsrep_ready="ON"
        )
        first = galera_checks.of_galera(outputs(), seen, backup_checks.making(outputs(), seen))[0]
        assert first.ok is ok, status


def test_a_report_is_read_and_other_words_are_explained() -> None:
    assert backup.read(json.dumps(told())) == told()
    for text in ("usage: galera-node run", "null", "[]", "{}"):
        with pytest.raises(OperationsError, match="know nothing of backups"):
            backup.read(text)


def test_who_waits_hears_how_far_it_is_and_why_nothing_begins() -> None:
    running = told(archive={**ARCHIVE, "running": "20261128T143210Z-full", "done": 5_300_000})
    assert backup.progress(running) == "galera-2 makes 20261128T143210Z-full: 5.3 MB so far …"
    assert backup.progress(told()) == "galera-2 archives; the backup has not begun …"
    assert "No node archives" in backup.waits(told(archiver=None))
    assert "no such bucket" in backup.waits(told(archive={**ARCHIVE, "problem": "no such bucket"}))


def test_the_table_has_what_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    base = {
        "name": "20261128T143210Z-full",
        "timeline": "u.0",
        "node": "galera-2",
        "ended": "2026-11-28T14:35:41Z",
        "gtid": 51288,
        "before": 5368709120,
        "stored": 1288490188,
        "sha256": "d2a84f4b" * 8,
        "schema": "42:9b1f",
    }
    former = {**base, "name": "20261101T143210Z-full", "timeline": "u.former"}
    backup.show(told(place="backups/prod/galera", timeline="u.0", bases=[former, base]), "dev")
    said = " ".join(capsys.readouterr().out.split())
    for word in ("51288", "1.3 GB", "FAILED", "Remedy: look", "42:9b1f"):
        assert word in said


def test_who_asked_hears_of_the_backup_that_was_made_for_it() -> None:
    """Not of the last one in the list: another clock, or timeline, may come behind it there."""
    made = {"name": "20261128T143210Z-full", "begun": "2026-11-28T14:32:10Z", "node": "galera-2"}
    sizes = {"before": 5_000_000, "stored": 1_000_000}
    later = {**made, **sizes, "name": "20270101T000000Z-full", "begun": "2027-01-01T00:00:00Z"}
    answered = told(archive={**ARCHIVE, "tried": made["begun"]}, bases=[{**made, **sizes}, later])
    assert backup.outcome(answered) == "20261128T143210Z-full is there: 5.0 MB, 1.0 MB stored, from galera-2."
    assert "not in the list yet" in backup.outcome({**answered, "bases": []})
    with pytest.raises(OperationsError, match="on galera-2: disk full"):
        backup.outcome(told(archive={**ARCHIVE, "failed": "disk full"}))


def test_a_backup_that_waits_for_another_one_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large one took longer than the patience for one that does not begin."""
    clock, said, looks = [0.0], list[str](), [0]

    async def on_any(_hosts: object, _found: object, *words: str) -> str:
        if words[0] == "backup":
            return "mine\n"
        looks[0] += 1
        clock[0] += 100.0
        running = "20261128T010000Z-full" if looks[0] < 6 else ""
        asked = "mine" if looks[0] > 6 else "before"
        return json.dumps(told(archive={**ARCHIVE, "running": running, "asked": asked}))

    async def at_once(_seconds: float) -> None:
        return None

    monkeypatch.setattr(backup, "_on_any", on_any)
    monkeypatch.setattr(backup, "connected", lambda _found: contextlib.nullcontext())
    monkeypatch.setattr("operations.backup.asyncio.sleep", at_once)
    monkeypatch.setattr("operations.backup.time.monotonic", lambda: clock[0])
    monkeypatch.setattr(backup, "say", said.append)
    asyncio.run(backup._make(outputs(**WITH), "full"))
    assert "not in the list yet" in said[-1]

"""The container of the drills: what it does once one is due; whatever goes wrong becomes a report."""

from __future__ import annotations

import hashlib
import importlib
import json
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from images.galera.galera_node.settings import Settings
from tests.support.age_key import AgeKey
from tests.unit.images.test_galera_node_commands import MemoryStore
from tests.unit.images.test_galera_node_restore_plan import PRESENT, WHOLE, minutes

pytestmark = pytest.mark.unit

PACKAGE = "images.galera.galera_node"
KEY = AgeKey.drawn().identity
SUMS = {"app.word": (3, 17)}


@pytest.fixture
def scheduled(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    client = types.ModuleType("pymysql")
    client.Error = Exception  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pymysql", client)
    gone = [name for name in sys.modules if name.startswith(PACKAGE)]
    kept = {name: sys.modules.pop(name) for name in gone}
    yield importlib.import_module(f"{PACKAGE}.restore.scheduled")
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]
    sys.modules.update(kept)


@pytest.fixture
def drills(scheduled: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """One, whose cluster, archive and scratch server are played."""
    module = importlib.import_module
    catalog = module(f"{PACKAGE}.restore.catalog").catalog(WHOLE)
    plan, tables = module(f"{PACKAGE}.restore.plan"), module(f"{PACKAGE}.restore.tables")
    records = module(f"{PACKAGE}.archive.records")
    store_module = module(f"{PACKAGE}.store")
    monkeypatch.setenv("DRILL_EVERY", "week")
    (tmp_path / "drill-identity").write_text(KEY)
    memory = MemoryStore()
    made = scheduled.Drills(settings, memory)
    made.played = types.SimpleNamespace(
        memory=memory, restored=dict(SUMS), number=100, made=[], killed=0, archive=records.Archive(last=120)
    )

    class Scratch:
        sql = object()

        def __init__(self, *words: object) -> None:
            made.played.folder = words[0]

        def make(self, plan: Any, _source: object, key: str) -> None:
            made.played.made.append((plan.number, key.strip()))
            # As the real one does, beside its folder: the log that is being replayed.
            (made.played.folder.parent / f"{made.played.folder.name}-log").write_text("rows")

        def kill(self) -> None:
            made.played.killed += 1

    now = plan.Present(PRESENT.now, PRESENT.timeline, None, "11.8")
    made.played.objects = {
        each.key: each.stored for line in catalog.timelines.values() for each in (*line.bases, *line.logs)
    }

    def sizes(folder: str) -> dict[str, int]:
        return {
            key.rpartition("/")[2]: size
            for key, size in made.played.objects.items()
            if key.rpartition("/")[0] == folder
        }

    look = types.SimpleNamespace(catalog=catalog, source=None, domain=1, sizes=sizes)
    monkeypatch.setattr(scheduled, "Scratch", Scratch)
    monkeypatch.setattr(scheduled, "check", lambda _sql: None)
    monkeypatch.setattr(scheduled, "RemoteSql", lambda *_: types.SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(scheduled.archived, "look", lambda _settings: look)
    monkeypatch.setattr(scheduled.archived, "present", lambda *_: now)
    monkeypatch.setattr(scheduled.archived.streams, "readable", lambda *_: None)
    monkeypatch.setattr(
        scheduled.tables, "of_cluster", lambda *_: tables.Sums(made.played.number, dict(SUMS))
    )
    monkeypatch.setattr(
        scheduled.tables, "of_scratch", lambda _sql, number, _tell: tables.Sums(number, made.played.restored)
    )
    monkeypatch.setattr(
        scheduled.records, "known", lambda _entries: records.Known(archive=made.played.archive)
    )
    for name in "ab":
        presence = store_module.Presence("synced", "u", 1, f"10.20.0.{ord(name)}")
        memory.put(f"present/{name}", store_module.dumps(presence))
    return made


def drilled(drills: Any) -> dict[str, Any]:
    drills.drill(drills.played.memory.read())
    found: dict[str, Any] = json.loads(drills.played.memory.read()["drill"].value)
    return found


def test_a_drill_by_schedule_restores_to_the_position_of_the_sums_and_reports(drills: Any) -> None:
    said = drilled(drills)
    assert drills.played.made == [(100, KEY)]
    assert (said["position"], said["by"], said["failed"], said["differs"]) == ("1-1-100", "schedule", "", [])
    assert (said["tables"], said["rows"], said["logs"]) == (1, 3, 2)
    assert drills.played.memory.read()["drill-good"].value == drills.played.memory.read()["drill"].value
    assert drills.played.killed == 1
    assert not drills.played.folder.exists()
    assert list(drills._settings.data_dir.iterdir()) == []
    assert KEY not in str(said)


def test_what_differs_or_fails_is_a_report_too(drills: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    drills.played.restored = {"app.word": (3, 18)}
    assert drilled(drills)["differs"] == ["app.word: rows differ"]
    drills.played.number = 130
    drills.played.archive = replace(drills.played.archive, last=140)
    assert "ends with 1-1-120" in drilled(drills)["failed"]
    assert "drill-good" not in drills.played.memory.read()
    drills._stop.set()
    drills.played.archive = replace(drills.played.archive, last=7)
    assert "stopped meanwhile" in drilled(drills)["failed"]
    # Its number would do, and is of another history.
    drills.played.archive = replace(drills.played.archive, last=140, timeline="former.0")
    assert "stopped meanwhile" in drilled(drills)["failed"]


def test_an_object_that_is_gone_is_seen_before_anything_is_restored(drills: Any) -> None:
    gone = next(key for key in drills.played.objects if "20261128T123500Z-full" in key)
    del drills.played.objects[gone]
    assert f"{gone} is not there" in drilled(drills)["failed"]
    assert drills.played.made == []


def test_a_drill_that_would_fill_the_disk_of_a_node_is_not_made(
    drills: Any, scheduled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = types.SimpleNamespace(free=7_000_000)
    monkeypatch.setattr(scheduled.shutil, "disk_usage", lambda _folder: usage)
    assert "7 MB are free on this host" in drilled(drills)["failed"]
    assert drills.played.made == []


def test_a_cadence_that_is_none_is_refused(
    scheduled: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRILL_EVERY", "never")
    with pytest.raises(Exception, match="must be a cadence"):
        scheduled.Drills(settings, MemoryStore())
    assert scheduled.wanted()
    monkeypatch.delenv("DRILL_EVERY")
    assert not scheduled.wanted()


# ---- a plan that reads a log


AGE = "#!/bin/bash\nexec cat\n"


def test_a_log_that_is_looked_through_for_a_moment_is_in_no_folder(
    scheduled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever kills the plan meanwhile leaves nothing that was encrypted."""
    archived, binlog = scheduled.archived, importlib.import_module(f"{PACKAGE}.archive.binlog")
    (tmp_path / "age").write_text(AGE)
    (tmp_path / "age").chmod(0o755)
    monkeypatch.setattr(archived.streams, "AGE", str(tmp_path / "age"))
    (temporary := tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(archived.streams, "readable", lambda *_: None)
    monkeypatch.setattr(archived.objects, "there", lambda *_: None)
    module = importlib.import_module
    catalog = module(f"{PACKAGE}.restore.catalog").catalog(WHOLE)
    target = module(f"{PACKAGE}.restore.target").Moment(minutes(35.5))
    now = module(f"{PACKAGE}.restore.plan").Present(PRESENT.now, PRESENT.timeline, None, "11.8")
    made = archived.plan(catalog, target, now, None)
    assert made.search is not None
    head = binlog.HEAD.pack(int(minutes(1).timestamp()), binlog.GTID, 1, binlog.HEAD.size + 13, 0, 0)
    content = binlog.MAGIC + head + binlog.GTID_HEAD.pack(made.search.last, 1, 0)
    stored = subprocess.run(["/usr/bin/zstd", "-qc"], input=content, capture_output=True, check=True).stdout
    search = replace(made.search, sha256=hashlib.sha256(stored).hexdigest())
    monkeypatch.setattr(archived, "plan", lambda *_: replace(made, search=search))
    seen: list[Any] = []

    def resolved(plan: Any, times: Any, *_: Any) -> Any:
        seen.extend([*times, list(temporary.rglob("*"))])
        return plan

    monkeypatch.setattr(archived, "resolved", resolved)
    source = types.SimpleNamespace(pieces=lambda _key: iter([stored]))
    archive = archived.Archive(catalog, source, 1, dict)
    archived.planned(archive, target, now, None, KEY)
    assert seen == [(made.search.last, minutes(1)), []]

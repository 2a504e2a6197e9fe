"""What the archiving process does: objects that are whole or not there, logs in order, one node at a time."""

from __future__ import annotations

import hashlib
import importlib
import json
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from images.galera.galera_node import archiving
from images.galera.galera_node.archive import (
    binlog,
    cadence,
    layout,
    manifest,
    own_logs,
    pipeline,
    plan,
    pruning,
    records,
)
from images.galera.galera_node.archive.bucket import BucketError
from images.galera.galera_node.archive.cadence import Rhythm
from images.galera.galera_node.archive.layout import Span
from images.galera.galera_node.archive.logs import Logs, Where
from images.galera.galera_node.archive.manifest import Base, Log, Reach
from images.galera.galera_node.archive.own_logs import OwnLogs
from images.galera.galera_node.archive.pipeline import Made, PipelineError
from images.galera.galera_node.archive.records import Archive, Backup
from images.galera.galera_node.archiving import Archiving
from images.galera.galera_node.settings import Settings
from images.galera.galera_node.store import Cluster, Entry, Presence, Put, SessionLost, StoreError, dumps
from tests.unit.images.folder_bucket import FolderBucket
from tests.unit.images.test_galera_node_archive import (
    HEADS,
    PLAN,
    TIMELINE,
    UUID,
    event,
    gtid_list,
    transaction,
)
from tests.unit.images.test_galera_node_archive import base as base_of

pytestmark = pytest.mark.unit

PACKAGE = "images.galera.galera_node.archive"

NOW = datetime(2026, 11, 28, 14, 32, 10, tzinfo=UTC)
FOUND = plan.of(PLAN, "galera")
WHERE = Where(TIMELINE, "b", "11.8.9-MariaDB")


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderBucket:
    monkeypatch.setattr(pipeline, "AGE", ("sh", "-c", "cat"))
    monkeypatch.setattr(pipeline, "ZSTD", ("zstd", "-q", "-c"))
    return FolderBucket(tmp_path / "bucket")


def unpacked(path: Path) -> bytes:
    return subprocess.run(["zstd", "-dc", str(path)], capture_output=True, check=True).stdout


# ---- the pipeline


def gives(*pieces: bytes) -> Callable[[Callable[[bytes], None]], None]:
    def source(to: Callable[[bytes], None]) -> None:
        for piece in pieces:
            to(piece)

    return source


def stored(bucket: FolderBucket, source: Any, upload: list[str] | None = None) -> Made:
    return pipeline.store(source, bucket, "a/b", ["age1abc"], upload=upload or ())  # type: ignore[arg-type]


def test_an_object_is_what_was_given_counted_and_summed_up(bucket: FolderBucket) -> None:
    made = stored(bucket, gives(b"one ", b"two" * 500_000))
    path = bucket.folder / "a/b"
    assert unpacked(path) == b"one " + b"two" * 500_000
    content = path.read_bytes()
    assert made == Made(1_500_004, len(content), hashlib.sha256(content).hexdigest())


def test_a_source_that_fails_leaves_no_object(bucket: FolderBucket) -> None:
    def source(to: Callable[[bytes], None]) -> None:
        to(b"x" * 3_000_000)
        raise OSError("mariadb-backup ended with 1")

    with pytest.raises(OSError, match="mariadb-backup ended with 1"):
        stored(bucket, source)
    time.sleep(0.3)
    assert not (bucket.folder / "a/b").exists()


@pytest.mark.parametrize("size", [10, 30_000_000])
def test_an_upload_that_is_cut_in_the_middle_is_told_and_leaves_no_object(
    bucket: FolderBucket, size: int
) -> None:
    noise = bytes(hashlib.sha256(str(size).encode()).digest()) * (size // 32 + 1)
    cut = ["sh", "-c", "head -c 5 >/dev/null; echo '2026 ERROR : a/b: connection reset' >&2; exit 3"]
    with pytest.raises(PipelineError, match="rclone ended with 3: a/b: connection reset"):
        stored(bucket, gives(*[noise] * 3), cut)
    assert not (bucket.folder / "a/b").exists()


SLOW = """
import pathlib, sys, time
def wait():
    for _ in range(400):
        if pathlib.Path(sys.argv[1]).exists():
            return
        time.sleep(0.05)
    sys.exit(3)
{first}
sys.stdin.buffer.read()
{then}
to = pathlib.Path(sys.argv[2])
to.parent.mkdir(parents=True, exist_ok=True)
to.write_text("")
"""
"""An upload that goes on once a file is there."""


def slow(go: Path, to: Path, *, at_once: bool = False) -> list[str]:
    """`at_once`: it takes all that comes, and has its time then."""
    first, then = ("", "wait()") if at_once else ("wait()", "")
    return [sys.executable, "-c", SLOW.format(first=first, then=then), str(go), str(to)]


@pytest.mark.parametrize("at_once", [False, True])
def test_who_waits_for_a_slow_store_is_called_meanwhile_and_may_end_it(
    bucket: FolderBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, at_once: bool
) -> None:
    monkeypatch.setattr(pipeline, "POLL", 0.05)
    monkeypatch.setattr(pipeline, "ZSTD", ("cat",))
    monkeypatch.setattr(pipeline, "AGE", ("cat",))
    go, to, called = tmp_path / "go", tmp_path / "to", list[float]()
    upload = slow(go, to, at_once=at_once)
    content = [b"x" * 1_000_000] * 3  # more than the pipes hold

    def store(waiting: Callable[[], object]) -> Made:
        return pipeline.store(gives(*content), bucket, "a/b", [], upload=upload, waiting=waiting)  # type: ignore[arg-type]

    def waiting() -> None:
        called.append(time.monotonic())
        if len(called) > 5:
            go.touch()

    assert store(waiting).before == 3_000_000
    assert to.exists()
    to.unlink()
    go.unlink()

    def ends() -> None:
        go.touch()
        raise SessionLost("the lease has expired")

    with pytest.raises(SessionLost):
        store(ends)
    assert not to.exists()


def test_a_wrong_key_leaves_no_object(bucket: FolderBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "AGE", ("sh", "-c", "echo 'age: error: malformed recipient' >&2; exit 1"))
    with pytest.raises(PipelineError, match="malformed recipient"):
        stored(bucket, gives(b"x" * 100))
    assert not (bucket.folder / "a/b").exists()


# ---- logs


class FakeSql:
    """mariadbd's answers about binary logs below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.position, self.said, self.behind = folder, 0, list[str](), False
        self.files: list[str] = []

    def log(self, name: str, content: bytes) -> None:
        (self.folder / name).write_bytes(content)
        self.files.append(name)

    def run(self, statement: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
        self.said.append(statement)
        if statement == "SHOW BINARY LOGS":
            return [(name, 1) for name in self.files]
        if "gtid_binlog_pos" in statement:
            waits = [said[-1] for said in self.said if "wsrep_sync_wait" in said]
            if self.behind and waits[-1:] == ["1"]:
                self.said.append("SET SESSION wsrep_sync_wait = 0")  # as on a connection that is new
                raise Exception("(1205, 'Lock wait timeout exceeded; try restarting transaction')")
            return [(f"1007-1-3,1-1-{self.position}" if self.position else "",)]
        if "wsrep_gtid_seq_no = " in statement:
            logged(self, int(statement.rpartition(" ")[2]), after=self.position)
        return []


def logged(sql: FakeSql, *numbers: int, after: int | None = None) -> None:
    """A closed file with these transactions, and an empty one after it. `after`: the last one before it."""
    if sql.files:
        sql.files.pop()
    last = numbers[0] - 1 if after is None else after
    before = {"d1": last} if last else {}
    body = b"".join(transaction(number, 1_764_340_000 + number % 1000) for number in numbers)
    sql.log(f"binlog.{len(sql.files) + 1:06d}", HEADS + gtid_list(**before) + body + event(binlog.ROTATE))
    sql.log(f"binlog.{len(sql.files) + 1:06d}", HEADS + gtid_list(d1=numbers[-1]))
    sql.position = numbers[-1]


@pytest.fixture
def sql(tmp_path: Path) -> FakeSql:
    (tmp_path / "own").mkdir()
    return FakeSql(tmp_path / "own")


def made(bucket: FolderBucket, sql: FakeSql, node: str = "b") -> Logs:
    own = OwnLogs(sql, sql.folder)
    return Logs(FOUND, bucket, own, replace(WHERE, node=node))  # type: ignore[arg-type]


def archive(each: Logs) -> None:
    each.archive(lambda: NOW, lambda: None)


def manifests(bucket: FolderBucket) -> list[Log]:
    folder = bucket.folder / FOUND.place.logs(TIMELINE)
    return [
        manifest.loads(Log, path.read_text())
        for path in sorted(folder.glob("*.json"))
        if path.name != layout.REACH
    ]


def reach(bucket: FolderBucket) -> Reach:
    path = bucket.folder / FOUND.place.logs(TIMELINE) / layout.REACH
    return manifest.loads(Reach, path.read_text())


def test_at_the_beginning_all_nodes_are_brought_to_one_number(bucket: FolderBucket, sql: FakeSql) -> None:
    sql.position = 7
    each = made(bucket, sql)
    each.begin(lambda: 33)
    number = (each.last or 0) + 1
    # Above an earlier one of these, too, of which no log may be left.
    assert abs(number - time.time() * 1000) < 60_000
    row = f"INSERT INTO {own_logs.TABLE} VALUES ({number})"
    at = [sql.said.index(words) for words in (f"SET SESSION wsrep_gtid_seq_no = {number}", row)]
    assert at == sorted(at)
    assert f"DROP TABLE {own_logs.TABLE}" in sql.said


def test_a_server_that_does_not_take_the_number_is_not_archived_from(
    bucket: FolderBucket, sql: FakeSql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "logged", lambda *_, **__: None)
    with pytest.raises(binlog.BinlogError, match="logs are at number 0, and should be at"):
        made(bucket, sql).begin(lambda: 33)


def test_no_number_is_given_twice_wherever_the_clock_is(
    sql: FakeSql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1.0)
    logged(sql, 50_000_000)
    assert OwnLogs(sql, sql.folder).align(33) == 50_000_000 + own_logs.LEAP
    assert OwnLogs(sql, sql.folder).align(90_000_000) == 90_000_000 + own_logs.LEAP


def test_logs_are_archived_in_their_order_with_what_they_hold(bucket: FolderBucket, sql: FakeSql) -> None:
    each = made(bucket, sql)
    each.last = 0
    logged(sql, 1, 2, 3)
    logged(sql, 4, 5)
    archive(each)
    first, second = manifests(bucket)
    assert (first.gtid, second.gtid) == (
        {"previous": None, "first": 1, "last": 3},
        {"previous": 3, "first": 4, "last": 5},
    )
    assert second.time == {"first": "2025-11-28T14:26:44Z", "last": "2025-11-28T14:26:45Z"}
    assert first.gap is second.gap is None
    data = bucket.folder / FOUND.place.logs(TIMELINE) / second.object
    assert unpacked(data) == (sql.folder / "binlog.000002").read_bytes()
    assert second.sha256 == hashlib.sha256(data.read_bytes()).hexdigest()
    assert (reach(bucket).last, reach(bucket).at) == (5, manifest.said(NOW))


def test_what_was_written_since_is_closed_first_and_nothing_is_if_nothing_was(
    bucket: FolderBucket, sql: FakeSql
) -> None:
    each = made(bucket, sql)
    each.last = 0
    archive(each)
    assert "FLUSH LOCAL BINARY LOGS" not in sql.said
    logged(sql, 1)
    archive(each)
    assert "FLUSH LOCAL BINARY LOGS" in sql.said


def test_the_archive_reaches_no_further_than_what_is_in_it(bucket: FolderBucket, sql: FakeSql) -> None:
    each = made(bucket, sql)
    each.last = 0
    logged(sql, 1, 2)
    sql.position = 3  # committed, and in a file that is not closed
    archive(each)
    assert each.last == 2
    assert each.reach == ""
    assert not (bucket.folder / FOUND.place.logs(TIMELINE) / layout.REACH).exists()


def test_what_others_have_committed_before_is_waited_for(bucket: FolderBucket, sql: FakeSql) -> None:
    each = made(bucket, sql)
    each.last = 0
    archive(each)
    waits = sql.said.index("SET SESSION wsrep_sync_wait = 1")
    assert waits < sql.said.index("SELECT @@GLOBAL.gtid_binlog_pos")


def test_a_node_that_is_behind_archives_what_it_has_and_says_so(bucket: FolderBucket, sql: FakeSql) -> None:
    """It makes a backup, say, out of flow control."""
    each = made(bucket, sql)
    each.last = 0
    logged(sql, 1, 2)
    archive(each)
    # Nothing else that is asked on this connection waits.
    assert [said for said in sql.said if "wsrep_sync_wait" in said][-1].endswith("= 0")
    reached = reach(bucket)
    sql.behind = True
    logged(sql, 3, 4)
    with pytest.raises(own_logs.Behind, match="is behind the others"):
        archive(each)
    assert [log.gtid["last"] for log in manifests(bucket)] == [2, 4]
    assert reach(bucket) == reached, "others may have committed more"
    sql.behind = False
    archive(each)
    assert reach(bucket).last == 4


def test_another_node_goes_on_with_the_file_that_has_what_is_missing(
    bucket: FolderBucket, sql: FakeSql, tmp_path: Path
) -> None:
    each = made(bucket, sql)
    each.last = 0
    logged(sql, 1, 2, 3)
    archive(each)
    (tmp_path / "other").mkdir()
    other = FakeSql(tmp_path / "other")
    logged(other, 1, 2)
    logged(other, 3, 4, 5)
    after = made(bucket, other, "c")
    after.begin(lambda: 0)
    assert after.last == 3
    archive(after)
    assert [(each.node, each.gtid["first"], each.gtid["last"]) for each in manifests(bucket)] == [
        ("b", 1, 3),
        ("c", 3, 5),
    ]
    assert after.chain.gaps == ()


def test_two_that_archive_the_same_numbers_at_once_leave_a_log_that_is_what_its_manifest_says(
    bucket: FolderBucket, sql: FakeSql, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has lost the right and does not know it yet: its manifest comes behind the other one's data."""
    (tmp_path / "other").mkdir()
    other = FakeSql(tmp_path / "other")
    logged(sql, 1, 2)
    logged(other, 1, 2)
    (other.folder / "binlog.000001").write_bytes((sql.folder / "binlog.000001").read_bytes() + b"x" * 50)
    one, two = made(bucket, sql), made(bucket, other, "c")
    one.last = two.last = 0
    put, meanwhile = bucket.put, [two]

    def late(key: str, text: str) -> None:
        if meanwhile:
            archive(meanwhile.pop())
        put(key, text)

    monkeypatch.setattr(bucket, "put", late)
    archive(one)
    (log,) = manifests(bucket)
    data = bucket.folder / FOUND.place.logs(TIMELINE) / log.object
    assert hashlib.sha256(data.read_bytes()).hexdigest() == log.sha256


def test_a_gap_is_noted_and_not_passed_over(bucket: FolderBucket, sql: FakeSql) -> None:
    each = made(bucket, sql)
    each.last = 0
    logged(sql, 1, 2)
    archive(each)
    sql.files.clear()
    logged(sql, 6, 7)
    archive(each)
    assert manifests(bucket)[-1].gap == {"first": 3, "last": 5}
    assert each.chain.gaps == (Span(3, 5),)
    again = made(bucket, sql)
    again.begin(lambda: 0)
    assert again.chain.gaps == (Span(3, 5),)


def test_an_interrupted_upload_is_made_again_and_nothing_is_said_to_be_there(
    bucket: FolderBucket, sql: FakeSql, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = made(bucket, sql)
    each.last = 0
    logged(sql, 1, 2)
    with monkeypatch.context() as patch:
        patch.setattr(bucket, "upload", lambda key, size=0: ["sh", "-c", "exit 1"])
        with pytest.raises(PipelineError):
            archive(each)
    assert manifests(bucket) == []
    assert (each.last, each.reach) == (0, "")
    archive(each)
    assert [each.gtid["last"] for each in manifests(bucket)] == [2]


def test_a_manifest_that_could_not_be_written_is_made_again(
    bucket: FolderBucket, sql: FakeSql, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = made(bucket, sql)
    each.last = 0
    logged(sql, 1, 2)

    def fails(*_: object) -> None:
        raise BucketError("no")

    with monkeypatch.context() as patch:
        patch.setattr(bucket, "put", fails)
        with pytest.raises(BucketError):
            archive(each)
    # The data object lies there; for a reader it does not exist, and it is made again.
    assert manifests(bucket) == []
    assert each.last == 0
    archive(each)
    assert [each.gtid["last"] for each in manifests(bucket)] == [2]


def test_numbers_from_before_all_nodes_were_brought_together_are_not_told(
    bucket: FolderBucket, sql: FakeSql
) -> None:
    each = made(bucket, sql)
    each.last = 1_000_000
    logged(sql, 3, 4, 1_000_001, 1_000_002)
    archive(each)
    assert [entry.gtid["first"] for entry in manifests(bucket)] == [1_000_001]
    assert each.chain.gaps == ()


def test_a_new_epoch_of_the_same_cluster_begins_where_the_node_is(bucket: FolderBucket, sql: FakeSql) -> None:
    bucket.put(f"{FOUND.place.logs(f'{UUID}.former')}/x.json", "{}")
    sql.position = 50
    each = made(bucket, sql)
    each.begin(lambda: 60)
    assert each.last == 50
    assert f"DROP TABLE {own_logs.TABLE}" not in sql.said


# ---- pruning


def keep(bucket: FolderBucket, base: Base) -> Backup:
    folder = FOUND.place.base(base.timeline, base.name)
    bucket.put(f"{folder}/{layout.DATA}", "x" * base.bytes["stored"])
    bucket.put(f"{folder}/{layout.MANIFEST}", manifest.dumps(base))
    return Backup.of(base)


def test_what_is_deleted_ceases_to_exist_before_its_data_goes(
    bucket: FolderBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = [NOW - timedelta(days=days) for days in (100, 50, 1)]
    for at in begun:
        keep(bucket, base_of(name=layout.base_name(at, "full"), begun=manifest.said(at)))
    for span in (Span(1, 20), Span(21, 40)):
        for key in FOUND.place.log(TIMELINE, span, "b"):
            bucket.put(key, "")
    gone: list[str] = []
    for name in ("delete", "purge"):
        monkeypatch.setattr(bucket, name, gone.append)
    monkeypatch.setattr(
        bucket, "delete_all", lambda folder, keys: gone.extend(f"{folder}/{key}" for key in keys)
    )
    pruning.prune(FOUND, bucket, [], TIMELINE, NOW)  # type: ignore[arg-type]
    folder = FOUND.place.base(TIMELINE, layout.base_name(begun[0], "full"))
    data, told = FOUND.place.log(TIMELINE, Span(1, 20), "b")
    assert gone == [f"{folder}/{layout.MANIFEST}", folder, told, data]


def test_the_retention_deletes_and_a_base_that_is_not_understood_stops_it(bucket: FolderBucket) -> None:
    begun = [NOW - timedelta(days=days) for days in (100, 50, 1)]
    bases = [
        base_of(name=layout.base_name(at, "full"), begun=manifest.said(at), gtid={"start": 0, "end": number})
        for at, number in zip(begun, (10, 20, 30), strict=True)
    ]
    known = [keep(bucket, base) for base in bases[:2]]
    keep(bucket, bases[2])  # which the store does not know
    for span in (Span(1, 20), Span(21, 40)):
        for key in FOUND.place.log(TIMELINE, span, "b"):
            bucket.put(key, "")
    gone = pruning.prune(FOUND, bucket, known, TIMELINE, NOW)  # type: ignore[arg-type]
    assert gone == [known[0]]
    names = {path.parent.name for path in bucket.folder.rglob(layout.DATA)}
    assert names == {bases[1].name, bases[2].name}
    left = {path.name for path in (bucket.folder / FOUND.place.logs(TIMELINE)).iterdir()}
    assert left == {key.rpartition("/")[2] for key in FOUND.place.log(TIMELINE, Span(21, 40), "b")}
    assert bucket.cleaned == [FOUND.place.timeline(TIMELINE)], "and not others' uploads in the same bucket"
    bucket.put(f"{FOUND.place.base(TIMELINE, '20260101T000000Z-full')}/{layout.MANIFEST}", "{}")
    with pytest.raises(manifest.ManifestError, match="nothing is deleted by the retention"):
        pruning.prune(FOUND, bucket, known[1:], TIMELINE, NOW)  # type: ignore[arg-type]


def test_a_timeline_whose_first_base_is_on_its_way_is_left_alone(bucket: FolderBucket) -> None:
    """Another cluster that begins in the same folder, or this one's next timeline."""
    keep(bucket, base_of(name=layout.base_name(NOW, "full"), begun=manifest.said(NOW)))
    for timeline, ended in (("new.0", NOW), ("old.0", NOW - timedelta(days=40))):
        log = Log(
            cluster="galera",
            timeline=timeline,
            node="b",
            server="11.8",
            begun=manifest.said(ended),
            ended=manifest.said(ended),
            domain=1,
            gtid={"previous": None, "first": 1, "last": 2},
            time={"first": manifest.said(ended), "last": manifest.said(ended)},
            gap=None,
            file="binlog.000001",
            object="x",
            bytes={"before": 1, "stored": 1},
            sha256="00",
            recipients=("age1abc",),
        )
        bucket.put(FOUND.place.log_manifest(timeline, Span(1, 2)), manifest.dumps(log))
    half = f"{FOUND.place.base('half.0', layout.base_name(NOW, 'full'))}/{layout.DATA}"
    bucket.put(half, "half of it")
    pruning.prune(FOUND, bucket, [], TIMELINE, NOW)  # type: ignore[arg-type]
    left = {path.name for path in (bucket.folder / FOUND.place.root).iterdir() if any(path.iterdir())}
    assert left == {TIMELINE, "new.0", "half.0"}


def reached(bucket: FolderBucket, timeline: str, at: datetime) -> None:
    """The last words of whoever archives there."""
    told = Reach(cluster="galera", timeline=timeline, node="x", at=manifest.said(at), last=1)
    bucket.put(f"{FOUND.place.logs(timeline)}/{layout.REACH}", manifest.dumps(told))


def test_nothing_is_deleted_where_another_cluster_archives_in_the_same_folder(bucket: FolderBucket) -> None:
    """A stack that was begun from this one's archive, say, with its section `backup` copied: what the one
    still needs is former, and old, to the other.
    """
    begun = [NOW - timedelta(days=days) for days in (100, 50, 1)]
    for at in begun:
        keep(bucket, base_of(name=layout.base_name(at, "full"), begun=manifest.said(at)))
    reached(bucket, "other.0", NOW - timedelta(minutes=2))
    reached(bucket, TIMELINE, NOW)
    with pytest.raises(pruning.Shared, match=r"other\.0 at 2026-11-28T14:30:10Z.*prefix"):
        pruning.prune(FOUND, bucket, [], TIMELINE, NOW)  # type: ignore[arg-type]
    assert len(list(bucket.folder.rglob(layout.DATA))) == 3
    # One that has ended is former.
    reached(bucket, "other.0", NOW - timedelta(minutes=20))
    pruning.prune(FOUND, bucket, [], TIMELINE, NOW)  # type: ignore[arg-type]
    assert len(list(bucket.folder.rglob(layout.DATA))) == 2


def test_the_timeline_that_ended_a_moment_ago_is_no_other_cluster_s(bucket: FolderBucket) -> None:
    at = NOW - timedelta(minutes=1)
    keep(bucket, base_of(name=layout.base_name(at, "full"), begun=manifest.said(at)))
    reached(bucket, "former.0", at - timedelta(minutes=1))
    assert pruning.prune(FOUND, bucket, [], TIMELINE, NOW) == []  # type: ignore[arg-type]


# ---- the process


class Store:
    """A `store.Store` in memory, for several nodes; `away`: it does not answer."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[str, int, object]] = {}
        self.revision, self.away = 0, False

    def node(self) -> Session:
        return Session(self)

    def put(self, key: str, value: str, owner: object = None) -> None:
        self.revision += 1
        self.entries[key] = (value, self.revision, owner)


class Session:
    """One node's connection to it."""

    def __init__(self, store: Store) -> None:
        self.store, self.open, self.lost = store, False, False

    def _there(self) -> None:
        if self.store.away:
            raise StoreError("etcd does not answer")
        if self.lost:
            self.open = self.lost = False
            self.end()
            raise SessionLost("the lease has expired")

    def end(self) -> None:
        """What follows from the end of its session."""
        entries = self.store.entries
        for key in [key for key, (_, _, owner) in entries.items() if owner is self]:
            del entries[key]

    def read(self) -> dict[str, Entry]:
        self._there()
        return {
            key: Entry(value, revision, own=owner is self)
            for key, (value, revision, owner) in self.store.entries.items()
        }

    def open_session(self, ttl: int) -> None:
        self._there()
        self.open = True

    def renew(self) -> None:
        self._there()

    def close_session(self) -> None:
        self.end()

    def commit(
        self, expect: Mapping[str, int], puts: Mapping[str, Put], deletes: tuple[str, ...] = ()
    ) -> bool:
        self._there()
        entries = self.store.entries
        if any(entries.get(key, ("", 0, None))[1] != revision for key, revision in expect.items()):
            return False
        for key, put in puts.items():
            self.store.put(key, put.value, self if put.bound else None)
        for key in deletes:
            entries.pop(key, None)
        return True


class ServerSql(FakeSql):
    """The whole server of a node that is Synced."""

    def status(self) -> Any:
        return types.SimpleNamespace(primary=True, ready=True, state=self.state, committed=33)

    state, domain = "Synced", plan.DOMAIN

    def run(self, statement: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
        if statement == "SELECT @@GLOBAL.version":
            return [("11.8.9-MariaDB",)]
        if statement == "SELECT @@GLOBAL.wsrep_gtid_domain_id":
            return [(self.domain,)]
        if statement.startswith("SET GLOBAL wsrep_gtid_domain_id = "):
            self.domain = int(statement.rpartition(" ")[2])
        if "log_bin" in statement:
            return [(1, 1)]
        return super().run(statement, parameters)


@pytest.fixture
def archiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module, with a stand-in for the database's client library."""
    client = types.ModuleType("pymysql")
    client.Error = Exception  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pymysql", client)
    names = [
        f"images.galera.galera_node.{name}"
        for name in ("sql", "archive.base", "archive.making", "archive.archiver")
    ]
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    found = [importlib.import_module(name) for name in names]
    yield found[-1]
    for name in names:
        sys.modules.pop(name, None)


class Nodes:
    """Three nodes that archive, on one store and one bucket; `a` takes the writes."""

    def __init__(self, archiver: Any, bucket: FolderBucket, folder: Path) -> None:
        self.module, self.bucket, self.store, self.folder = archiver, bucket, Store(), folder
        self.mark = sys.modules[f"{PACKAGE}.base"].data_mark
        self.now = NOW
        self.store.put("cluster", dumps(Cluster(UUID, "formed", "a")))
        self.store.put("writer", json.dumps({"node": "a"}))
        self.sql: dict[str, ServerSql] = {}
        self.sessions: dict[str, Session] = {}
        self.each = {name: self.add(name) for name in "abc"}
        self.makes: Callable[..., Base] = self.whole

    def add(self, name: str) -> Any:
        data, secrets = self.folder / name, self.folder / "secrets"
        for path in (data, secrets):
            path.mkdir(exist_ok=True)
        for key in (plan.ACCESS_KEY, plan.SECRET_KEY):
            (secrets / key).write_text("k\n")
        self.sql.setdefault(name, ServerSql(data))
        self.sessions[name] = self.store.node()
        self.store.put(f"present/{name}", dumps(Presence("synced", UUID, 1, "10.0.0.1")))
        settings = Settings(
            node=name, cluster="galera", size=3, peers="", store="", subnet=None,  # type: ignore[arg-type]
            database="app", data_dir=data, run_dir=data / "run", secrets=secrets,
        )  # fmt: skip
        made = self.module.Archiver(
            settings, FOUND, self.sessions[name], lambda: self.sql[name], lambda: self.now
        )
        made.bucket = made.making.bucket = self.bucket
        return made

    def look(self, *names: str) -> None:
        for name in names or tuple("abc"):
            self.each[name].look()
            if (thread := self.each[name].making.thread) is not None:
                thread.join()

    def soon(self, name: str) -> None:
        """The next look of this node archives logs."""
        self.each[name].logs_at = float("-inf")

    @property
    def known(self) -> records.Known:
        return records.known(self.store.node().read())

    def whole(self, where: Where, parent: Backup | None, now: Any, progress: Any) -> Base:
        progress(10)
        kind = "full" if parent is None else "incremental"
        made = base_of(
            name=layout.base_name(self.now, kind),
            kind=kind,
            parent=parent.name if parent else None,
            node=where.node,
            begun=manifest.said(self.now),
            timeline=where.timeline,
            data=self.mark(self.folder / where.node),
            gtid={"start": 0, "end": self.sql[where.node].position},
            recipients=self.each[where.node].making._plan.recipients,
        )
        keep(self.bucket, made)
        return made


@pytest.fixture
def nodes(archiver: Any, bucket: FolderBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nodes:
    made = Nodes(archiver, bucket, tmp_path)

    class Makes:
        def __init__(self, *_: object) -> None: ...

        def make(self, *args: Any) -> Base:
            return made.makes(*args)

    monkeypatch.setattr(sys.modules[f"{PACKAGE}.making"], "Bases", Makes)
    return made


def test_one_node_archives_and_it_is_not_the_writer(nodes: Nodes) -> None:
    nodes.look()
    nodes.look()
    assert nodes.known.archiver == "b"
    assert nodes.known.logging == frozenset("abc")


def test_nothing_begins_until_all_nodes_write_binary_logs(nodes: Nodes) -> None:
    nodes.look("b")
    nodes.look("b")
    assert nodes.known.archiver == "b"
    assert nodes.known.archive.problem == "waiting for binary logs of a, c"
    assert f"DROP TABLE {own_logs.TABLE}" not in nodes.sql["b"].said
    nodes.look()
    nodes.soon("b")
    nodes.look("b")
    assert nodes.known.archive.problem == ""
    assert f"DROP TABLE {own_logs.TABLE}" in nodes.sql["b"].said


def test_a_node_whose_donor_had_no_binary_logs_numbers_as_all_others_do_before_it_is_counted_in(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A joiner takes over its donor's domain, 0, and would never have a number of the cluster's."""
    nodes.sql["b"].domain = 0
    commit, domains = Session.commit, list[int]()

    def told(self: Session, expect: Any, puts: Any, deletes: Any = ()) -> bool:
        if "logging/b" in puts:
            domains.append(nodes.sql["b"].domain)
        return commit(self, expect, puts, deletes)

    monkeypatch.setattr(Session, "commit", told)
    nodes.look()
    assert domains == [plan.DOMAIN]
    assert not any("SET GLOBAL wsrep_gtid_domain_id" in said for said in nodes.sql["c"].said)


def begun(nodes: Nodes) -> None:
    """All of them, up to the first backup."""
    for _ in range(3):
        nodes.look()
        nodes.soon("b")


def test_the_first_thing_is_a_full_backup_which_is_told_in_the_store(nodes: Nodes) -> None:
    begun(nodes)
    (base,) = nodes.known.bases
    assert (base.node, base.kind, base.timeline) == ("b", "full", TIMELINE)
    archive = nodes.known.archive
    assert (archive.failed, archive.running, archive.tried) == ("", "", manifest.said(NOW))
    assert archive.reach == manifest.said(NOW)


def test_a_backup_waits_for_nodes_that_join_but_not_for_ever(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    joins = Presence("starting", UUID, -1, "10.0.0.4")
    nodes.store.put("present/d", dumps(joins))
    begun(nodes)
    assert nodes.known.archive.reach  # logs do not wait
    assert nodes.known.bases == ()
    nodes.store.put("backup-wanted", records.Wanted("asked", "full").dumps())
    nodes.look("b")
    assert len(nodes.known.bases) == 1  # a person does not wait either
    nodes.now = NOW + timedelta(days=8)
    nodes.look("b")
    assert len(nodes.known.bases) == 1
    monkeypatch.setattr(nodes.module, "JOINING", 0.0)
    nodes.look("b")
    assert len(nodes.known.bases) == 2


def test_a_day_later_an_incremental_follows_and_a_week_later_a_full_one(nodes: Nodes) -> None:
    begun(nodes)
    for days, kind in ((1, "incremental"), (7.1, "full")):
        nodes.now = NOW + timedelta(days=days)
        nodes.soon("b")
        nodes.look("b")
        assert nodes.known.bases[-1].kind == kind
    assert [base.parent for base in nodes.known.bases] == [None, nodes.known.bases[0].name, None]


def test_an_incremental_never_goes_on_from_other_data(nodes: Nodes) -> None:
    begun(nodes)
    (nodes.folder / "b" / "galera-node.data").unlink()  # as a full copy does
    nodes.now = NOW + timedelta(days=1)
    nodes.soon("b")
    nodes.look("b")
    assert [base.kind for base in nodes.known.bases] == ["full", "full"]


def test_an_incremental_never_goes_on_from_a_backup_for_other_keys(nodes: Nodes) -> None:
    """Whoever has the new key alone could not open what it goes on from."""
    begun(nodes)
    making = nodes.each["b"].making
    former = making._plan.recipients
    for days, recipients in ((1, (*former, "age1new")), (2.1, ("age1new", *former)), (3.2, ("age1new",))):
        making._plan = replace(making._plan, recipients=recipients)
        nodes.now = NOW + timedelta(days=days)
        nodes.soon("b")
        nodes.look("b")
    assert [base.kind for base in nodes.known.bases] == ["full", "full", "incremental", "full"]


def test_a_base_that_was_noted_before_keys_were_is_gone_on_from(nodes: Nodes) -> None:
    begun(nodes)
    (base,) = nodes.known.bases
    told = json.loads(records.dumps(base))
    assert told.pop("keys")
    nodes.store.put(records.key(base), json.dumps(told))
    nodes.now = NOW + timedelta(days=1)
    nodes.soon("b")
    nodes.look("b")
    assert [each.kind for each in nodes.known.bases] == ["full", "incremental"]


def test_a_backup_that_fails_is_told_and_tried_again_later(nodes: Nodes) -> None:
    def fails(*_: object) -> Base:
        raise PipelineError("rclone ended with 1: no space left on device")

    nodes.makes = fails
    begun(nodes)
    assert "no space left on device" in nodes.known.archive.failed
    assert nodes.known.bases == ()
    nodes.makes = nodes.whole
    nodes.look("b")
    assert nodes.known.bases == ()  # not at once
    nodes.each["b"].making.failed_at = float("-inf")
    nodes.look("b")
    assert len(nodes.known.bases) == 1
    assert nodes.known.archive.failed == ""


def test_what_a_person_asks_for_is_made_at_once_and_answered(nodes: Nodes) -> None:
    begun(nodes)
    nodes.now = NOW + timedelta(minutes=5)
    nodes.store.put("backup-wanted", records.Wanted("asked", "incremental").dumps())
    nodes.look("b")
    nodes.look("b")
    assert [base.kind for base in nodes.known.bases] == ["full", "incremental"]
    assert nodes.known.archive.asked == "asked"


def test_logs_go_on_while_the_store_is_away(nodes: Nodes, bucket: FolderBucket) -> None:
    begun(nodes)
    first = nodes.each["b"].logs.last + 1
    nodes.store.away = True
    logged(nodes.sql["b"], first, first + 1)
    nodes.soon("b")
    nodes.look("b")
    assert manifests(bucket)[-1].gtid["last"] == first + 1
    nodes.store.away = False
    nodes.soon("b")
    nodes.look("b")
    assert nodes.known.archive.last == first + 1


def test_a_holder_that_dies_is_followed_by_another_which_goes_on(nodes: Nodes, bucket: FolderBucket) -> None:
    begun(nodes)
    first = nodes.each["b"].logs.last + 1
    logged(nodes.sql["b"], first)
    nodes.soon("b")
    nodes.look("b")
    nodes.sessions["b"].end()
    del nodes.store.entries["present/b"]
    logged(nodes.sql["c"], first, first + 1)
    nodes.look("a", "c")
    nodes.look("a", "c")
    assert nodes.known.archiver == "c"
    told = [(each.node, each.gtid["last"]) for each in manifests(bucket)]
    assert told[-2:] == [("b", first), ("c", first + 1)]
    assert nodes.known.archive.gap is None


def test_a_backup_whose_node_died_is_told(nodes: Nodes) -> None:
    begun(nodes)
    archive = nodes.known.archive
    nodes.store.put("archive", replace(archive, running="20261128T150000Z-full").dumps())
    nodes.sessions["b"].end()
    del nodes.store.entries["present/b"]
    nodes.sql["c"].position = nodes.sql["b"].position
    told = list[str]()

    def makes(*args: Any) -> Base:
        told.append(nodes.known.archive.failed)
        return nodes.whole(*args)

    nodes.makes = makes
    nodes.look("c")
    nodes.look("c")
    assert told == ["20261128T150000Z-full of b did not come to its end"]
    assert nodes.known.archive.failed == ""


AT_NIGHT = Rhythm(timedelta(weeks=1), timedelta(days=1), cadence.window("14:00-15:00"))
"""A window that is open at `NOW`."""


def begun_at_night(nodes: Nodes) -> None:
    begun(nodes)
    for each in nodes.each.values():
        each.making._plan = replace(each.making._plan, rhythm=AT_NIGHT)
    nodes.now = NOW + timedelta(days=1)


def handed_to_c(nodes: Nodes) -> None:
    """Long after the window has closed, `b` is gone, as one whose host is upgraded."""
    nodes.now += timedelta(hours=3)
    nodes.sessions["b"].end()
    del nodes.store.entries["present/b"]
    nodes.sql["c"].position = nodes.sql["b"].position
    nodes.look("c")
    nodes.look("c")


@pytest.mark.parametrize("killed", [False, True])
def test_a_backup_whose_node_goes_is_made_anew_by_another_one_at_once(nodes: Nodes, killed: bool) -> None:
    """Not only in the next window: until then there would be none."""
    begun_at_night(nodes)
    cancelled = sys.modules[f"{PACKAGE}.base"].Cancelled

    def stops(*_: object) -> Base:
        raise cancelled("this node stops, or another one archives")

    nodes.makes = stops
    nodes.look("b")
    archive = nodes.known.archive
    assert (archive.failed, archive.broken) == (
        "broken off: this node stops, or another one archives",
        "incremental",
    )
    if killed:  # it had no time for that word
        night = layout.base_name(nodes.now, "incremental")
        nodes.store.put("archive", replace(archive, running=night, failed="", broken="").dumps())
    nodes.makes = nodes.whole
    handed_to_c(nodes)
    assert [(each.node, each.kind) for each in nodes.known.bases] == [("b", "full"), ("c", "full")]
    archive = nodes.known.archive
    assert (archive.failed, archive.running, archive.broken) == ("", "", "")
    nodes.now += timedelta(minutes=5)
    nodes.look("c")
    assert len(nodes.known.bases) == 2


def test_a_backup_that_failed_by_itself_waits_for_its_next_window(nodes: Nodes) -> None:
    begun_at_night(nodes)

    def fails(*_: object) -> Base:
        raise PipelineError("rclone ended with 1: no space left on device")

    nodes.makes = fails
    nodes.look("b")
    assert nodes.known.archive.failed
    nodes.makes = nodes.whole
    handed_to_c(nodes)
    assert [each.kind for each in nodes.known.bases] == ["full"]


def test_one_that_is_made_anew_and_fails_is_tried_as_any_other(nodes: Nodes) -> None:
    begun_at_night(nodes)
    archive = nodes.known.archive
    night = layout.base_name(nodes.now, "full")
    nodes.store.put("archive", replace(archive, running=night).dumps())

    def fails(*_: object) -> Base:
        raise PipelineError("rclone ended with 1: no space left on device")

    nodes.makes = fails
    handed_to_c(nodes)
    assert (nodes.known.archive.failed[-23:], nodes.known.archive.broken) == ("no space left on device", "")


def test_the_process_has_the_time_to_give_up_its_right(archiver: Any) -> None:
    """Killed before, nobody else would make the backup anew until its session has ended."""
    assert archiver.LAST < archiving.PATIENCE


def test_who_has_lost_the_right_writes_no_record(nodes: Nodes) -> None:
    begun(nodes)
    nodes.sessions["b"].end()
    del nodes.store.entries["present/b"]
    nodes.look("c")
    nodes.look("c")
    assert nodes.known.archive.node == "c"
    nodes.each["b"].ledger.note(problem="of somebody who has not heard")  # the key is another's by now
    nodes.each["b"].ledger.holds = False
    nodes.each["b"].ledger.note(problem="of somebody who has")
    assert nodes.known.archive.node == "c"
    nodes.each["b"].ledger._revision = nodes.store.entries["archiver"][1]
    nodes.each["b"].ledger.note(problem="of somebody who has, and knows the key")
    assert nodes.known.archive.problem == ""


def test_a_right_that_was_lost_while_logs_are_archived_ends_that(nodes: Nodes) -> None:
    """A long upload outlives the session, and another node archives by then."""
    begun(nodes)
    first = nodes.each["b"].logs.last + 1
    logged(nodes.sql["b"], first)
    logged(nodes.sql["b"], first + 1)
    upload, count = nodes.bucket.upload, []

    def slow(key: str, size: int = 0) -> list[str]:
        if key.endswith(".zst.age"):
            count.append(key)
            nodes.sessions["b"].lost = True
        return upload(key, size)

    nodes.bucket.upload = slow  # type: ignore[method-assign]
    nodes.soon("b")
    nodes.look("b")
    assert len(count) == 1
    assert not nodes.each["b"].ledger.holds
    assert nodes.each["b"].logs is None


@pytest.mark.parametrize("at_once", [False, True])
def test_a_session_lives_on_while_a_large_log_is_on_its_way(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, at_once: bool
) -> None:
    begun(nodes)
    first = nodes.each["b"].logs.last + 1
    logged(nodes.sql["b"], first)
    monkeypatch.setattr(pipeline, "POLL", 0.02)
    monkeypatch.setattr(nodes.module, "HEAR", 0.0)
    go, upload = tmp_path / "go", nodes.bucket.upload

    def slowly(key: str, size: int = 0) -> list[str]:
        if not key.endswith(".zst.age"):
            return upload(key, size)
        return slow(go, nodes.bucket.folder / key, at_once=at_once)

    nodes.bucket.upload = slowly  # type: ignore[method-assign]
    heard, lost_at, session = [0], [10**6], nodes.sessions["b"]
    renew = session.renew

    def counted() -> None:
        heard[0] += 1
        session.lost = heard[0] >= lost_at[0]
        renew()
        if heard[0] > 8:
            go.touch()

    monkeypatch.setattr(session, "renew", counted)
    nodes.soon("b")
    nodes.look("b")
    assert nodes.each["b"].logs.last == first
    assert heard[0] > 8
    # One that is lost meanwhile ends the upload, and nothing is there of it.
    go.unlink()
    logged(nodes.sql["b"], first + 1)
    heard[0], lost_at[0] = 0, 4
    nodes.soon("b")
    nodes.look("b")
    assert heard[0] == 4
    assert [log.gtid["last"] for log in manifests(nodes.bucket)][-1] == first
    assert not nodes.each["b"].ledger.holds


def test_nothing_is_deleted_while_the_store_is_away(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cluster may be in another timeline by then, of which this node has not heard."""
    begun(nodes)
    pruned: list[str] = []

    def prune(*words: Any) -> list[Backup]:
        pruned.append(words[3])
        return []

    monkeypatch.setattr(nodes.module, "prune", prune)
    each = nodes.each["b"]
    each._pruned_at = float("-inf")
    nodes.store.away = True
    nodes.look("b")
    assert pruned == []
    nodes.store.away = False
    nodes.look("b")
    assert pruned == [TIMELINE]


def test_a_retention_that_is_held_up_is_told_and_tried_again(nodes: Nodes) -> None:
    begun(nodes)
    nodes.now += timedelta(hours=1)
    reached(nodes.bucket, "other.0", nodes.now)
    each = nodes.each["b"]
    each._pruned_at = float("-inf")
    nodes.look("b")
    assert "another cluster archives in" in nodes.known.archive.kept
    assert each._pruned_at + nodes.module.PRUNE_EVERY < time.monotonic() + nodes.module.PRUNE_AGAIN + 1
    reached(nodes.bucket, "other.0", nodes.now - timedelta(hours=1))
    each._pruned_at = float("-inf")
    nodes.look("b")
    assert nodes.known.archive.kept == ""


def test_a_backup_whose_data_has_gone_from_the_store_is_none(nodes: Nodes) -> None:
    """A rule of the bucket's own, or a person, has deleted it: its manifest alone restores nothing."""
    begun(nodes)
    (base,) = nodes.known.bases
    nodes.now += timedelta(days=1, minutes=1)
    nodes.look("b")
    assert [each.kind for each in nodes.known.bases] == ["full", "incremental"]
    folder = FOUND.place.base(base.timeline, base.name)
    nodes.bucket.put(f"{folder}/{layout.DATA}", "less")
    nodes.each["b"]._pruned_at = float("-inf")
    nodes.look("b")
    assert not list(nodes.known.bases), "nor is what goes on from it"
    # There is none any more, so that one is due.
    nodes.now += timedelta(seconds=30)
    nodes.look("b")
    assert [each.kind for each in nodes.known.bases] == ["full"]


def test_whoever_becomes_the_writer_leaves_it_to_another(nodes: Nodes) -> None:
    begun(nodes)
    nodes.store.put("writer", json.dumps({"node": "b"}))
    nodes.look("b")
    assert nodes.known.archiver == ""
    nodes.look("a")
    assert nodes.known.archiver == "a"


def test_a_lost_session_ends_the_right_and_the_backup(nodes: Nodes) -> None:
    begun(nodes)
    nodes.sessions["b"].lost = True
    nodes.look("b")
    assert nodes.known.archiver == ""
    assert nodes.each["b"].making.cancel.is_set()


def test_the_store_s_records_are_made_anew_from_the_bucket(nodes: Nodes) -> None:
    begun(nodes)
    (base,) = nodes.known.bases
    for key in [key for key in nodes.store.entries if key.startswith(("backups/", "arch"))]:
        del nodes.store.entries[key]
    nodes.each["b"] = nodes.add("b")
    nodes.look()
    nodes.look()
    assert nodes.known.bases == (base,)


def test_every_node_removes_its_own_logs_once_they_are_archived(nodes: Nodes) -> None:
    begun(nodes)
    first = nodes.each["b"].logs.last + 1
    for name in "bc":
        logged(nodes.sql[name], first, first + 1)
        logged(nodes.sql[name], first + 2)
    nodes.soon("b")
    nodes.look("b")
    assert not any("PURGE" in words for words in nodes.sql["c"].said)
    for name in "bc":
        nodes.each[name].removed_at = float("-inf")
    nodes.store.put("archive", replace(nodes.known.archive, last=first + 1).dumps())
    nodes.look("c")
    assert "PURGE BINARY LOGS TO 'binlog.000002'" in nodes.sql["c"].said


def test_a_gap_is_followed_by_a_full_backup_at_once(nodes: Nodes) -> None:
    begun(nodes)
    first = nodes.each["b"].logs.last + 1
    logged(nodes.sql["b"], first)
    nodes.soon("b")
    nodes.look("b")
    nodes.sql["b"].files.clear()
    logged(nodes.sql["b"], first + 4)
    nodes.now = NOW + timedelta(minutes=9)
    nodes.soon("b")
    nodes.look("b")
    nodes.look("b")
    assert nodes.known.archive.gap == Span(first + 1, first + 3)
    assert [base.kind for base in nodes.known.bases] == ["full", "full"]
    nodes.now = NOW + timedelta(minutes=19)
    nodes.look("b")
    assert len(nodes.known.bases) == 2


def test_a_backup_from_which_no_log_goes_on_is_followed_by_another(nodes: Nodes) -> None:
    begun(nodes)
    nodes.each["b"].logs.chain = replace(nodes.each["b"].logs.chain, first=nodes.known.bases[0].gtid + 9)
    nodes.now = NOW + timedelta(minutes=9)
    nodes.look("b")
    assert [base.kind for base in nodes.known.bases] == ["full", "full"]


def test_a_bucket_that_does_not_answer_is_told_and_ends_nothing(nodes: Nodes, bucket: FolderBucket) -> None:
    begun(nodes)
    bucket.away = True
    nodes.soon("b")
    nodes.look("b")
    assert "has not answered" in nodes.known.archive.problem
    bucket.away = False
    nodes.soon("b")
    nodes.look("b")
    assert nodes.known.archive.problem == ""


def test_who_asks_for_a_backup_while_logs_are_not_archived_hears_what_comes_of_it(
    nodes: Nodes, bucket: FolderBucket
) -> None:
    """Each look may be one in which logs are due, and fail."""
    begun(nodes)

    def fails(*_: object) -> Base:
        raise PipelineError("rclone ended with 1: connection refused")

    nodes.makes, bucket.away = fails, True
    nodes.store.put("backup-wanted", records.Wanted("asked", "full").dumps())
    nodes.soon("b")
    nodes.look("b")
    assert "has not answered" in nodes.known.archive.problem
    assert nodes.known.archive.asked == "asked"
    assert "connection refused" in nodes.known.archive.failed


def test_a_bucket_that_answers_while_nodes_are_waited_for_does_not_end_the_word_that_nothing_is_archived(
    nodes: Nodes, bucket: FolderBucket, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.away = True
    nodes.look("b")
    nodes.look("b")
    bucket.away = False
    nodes.look("b")
    told = capsys.readouterr().err
    assert "logs are not archived" in told
    assert "archived again" not in told


def test_a_retention_that_the_bucket_did_not_answer_is_told_and_tried_again_once_it_does(
    nodes: Nodes, bucket: FolderBucket
) -> None:
    begun(nodes)
    each = nodes.each["b"]
    bucket.away, each._pruned_at = True, float("-inf")
    nodes.soon("b")
    nodes.look("b")
    assert "has not answered" in nodes.known.archive.kept
    assert each._pruned_at + nodes.module.PRUNE_EVERY < time.monotonic() + nodes.module.PRUNE_AGAIN + 1
    bucket.away = False
    nodes.soon("b")
    nodes.look("b")
    assert nodes.known.archive.kept == ""


def test_a_new_epoch_is_a_new_timeline_with_a_full_backup_of_its_own(nodes: Nodes) -> None:
    begun(nodes)
    nodes.store.put("cluster", dumps(Cluster(UUID, "formed", "a", "1-ab")))
    nodes.look("b")
    nodes.look("b")
    assert [base.timeline for base in nodes.known.bases] == [f"{UUID}.0", f"{UUID}.1-ab"]
    assert nodes.known.archive.timeline == f"{UUID}.1-ab"


def test_a_node_that_is_still_desynced_by_an_interrupted_backup_comes_back(nodes: Nodes) -> None:
    mark = nodes.folder / "c" / "run" / "backup-desynced"
    mark.parent.mkdir(exist_ok=True)
    mark.touch()
    nodes.look("c")
    assert "SET GLOBAL wsrep_desync = OFF" in nodes.sql["c"].said
    assert not mark.exists()


# ---- beside mariadbd


def test_the_process_is_started_again_and_ended_in_order(tmp_path: Path) -> None:
    ends = Archiving(True, ["true"])
    ends.look(0.0)
    assert ends._process is not None
    ends._process.wait()
    ends.look(1.0)
    ends.look(5.0)
    assert ends._process is None
    ends.look(11.0)
    assert ends._process is not None
    ends.stop()
    lasts = Archiving(True, ["sleep", "600"])
    lasts.look(0.0)
    process = lasts._process
    assert process is not None
    lasts.stop()
    assert process.poll() == -15
    lasts.stop()


def test_without_backups_nothing_is_started() -> None:
    off = Archiving(False, ["false"])
    off.look(0.0)
    assert off._process is None
    off.stop()


def test_the_record_is_whole_in_the_store() -> None:
    archive = Archive(timeline=TIMELINE, node="b", gap=Span(1, 2))
    assert records.known({"archive": Entry(archive.dumps(), 1)}).archive == archive

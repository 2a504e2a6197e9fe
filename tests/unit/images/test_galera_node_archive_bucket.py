"""What is deleted from an archive's bucket, and the program that asks it: slow, refusing, its own clock."""

from __future__ import annotations

import http.client
import http.server
import ssl
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from images.galera.galera_node.archive import bucket as buckets
from images.galera.galera_node.archive import (
    layout,
    manifest,
    pruning,
)
from images.galera.galera_node.archive.bucket import Bucket, BucketError
from tests.support.node_certificates import NodeCertificates
from tests.unit.images.folder_bucket import FolderBucket
from tests.unit.images.test_galera_node_archive import (
    TIMELINE,
)
from tests.unit.images.test_galera_node_archive import base as base_of
from tests.unit.images.test_galera_node_archiver import (
    FOUND,
    NOW,
    FakeSql,
    Nodes,
    archive,
    archiver,
    begun,
    bucket,
    keep,
    logged,
    made,
    nodes,
    reached,
    sql,
)

pytestmark = pytest.mark.unit

__all__ = ["archiver", "bucket", "nodes", "sql"]  # fixtures

# ---- deleting


def three(bucket: FolderBucket) -> list[str]:
    """Full backups of which the first goes; their names."""
    begun = [NOW - timedelta(days=days) for days in (100, 50, 1)]
    for at in begun:
        keep(bucket, base_of(name=layout.base_name(at, "full"), begun=manifest.said(at)))
    return [layout.base_name(at, "full") for at in begun]


def left(bucket: FolderBucket) -> set[str]:
    return {path.parent.name for path in bucket.folder.rglob(layout.DATA)}


@pytest.mark.parametrize("days", [-40, 40])
def test_a_clock_that_is_wrong_lets_nothing_go(bucket: FolderBucket, days: int) -> None:
    names = three(bucket)
    bucket.time = NOW - timedelta(days=days)
    with pytest.raises(pruning.Clock, match="chrony"):
        pruning.prune(FOUND, bucket, [], TIMELINE, NOW)  # type: ignore[arg-type]
    assert left(bucket) == set(names)
    bucket.time = NOW - timedelta(hours=1)
    pruning.prune(FOUND, bucket, [], TIMELINE, NOW)  # type: ignore[arg-type]
    assert left(bucket) == set(names[1:])


def test_the_last_backup_of_which_all_is_there_stays(bucket: FolderBucket) -> None:
    names = three(bucket)
    for name in names[1:]:
        (bucket.folder / FOUND.place.base(TIMELINE, name) / layout.DATA).write_text("less")
    pruning.prune(FOUND, bucket, [], TIMELINE, NOW)  # type: ignore[arg-type]
    assert left(bucket) == set(names)


def test_a_bucket_that_is_full_becomes_less_full(bucket: FolderBucket) -> None:
    """It takes no logs for days, and would not for ever."""
    names = three(bucket)
    bucket.time, bucket.former = NOW, NOW - timedelta(days=10)
    pruning.prune(FOUND, bucket, [], TIMELINE, NOW)  # type: ignore[arg-type]
    assert left(bucket) == set(names[1:])
    assert bucket.cleaned, "what uploads that were broken off have left takes room, too"


def test_a_bucket_that_two_clusters_have_filled_up_stays_as_it_is(bucket: FolderBucket) -> None:
    """While both archive there, neither deletes anything: so it fills up, and takes no word of either."""
    names = three(bucket)
    full = NOW - timedelta(days=10)
    bucket.time, bucket.former = NOW, full
    reached(bucket, TIMELINE, full)
    for before in (timedelta(minutes=2), timedelta(minutes=-2)):
        reached(bucket, "other.0", full - before)
        with pytest.raises(pruning.Shared, match=r"other\.0 .*prefix"):
            pruning.prune(FOUND, bucket, [], TIMELINE, NOW)  # type: ignore[arg-type]
    assert left(bucket) == set(names)
    reached(bucket, "other.0", full - timedelta(minutes=20))
    pruning.prune(FOUND, bucket, [], TIMELINE, NOW)  # type: ignore[arg-type]
    assert left(bucket) == set(names[1:])


def test_what_is_promised_stays_however_long_no_logs_are_archived(bucket: FolderBucket) -> None:
    """The newest one of before the days leads to all moments of the first of them."""
    begun = [NOW - timedelta(days=days) for days in (100, 60, 20)]
    for at in begun:
        keep(bucket, base_of(name=layout.base_name(at, "full"), begun=manifest.said(at)))
    bucket.time, bucket.former = NOW, NOW - timedelta(days=15)
    pruning.prune(FOUND, bucket, [], TIMELINE, NOW)  # type: ignore[arg-type]
    assert left(bucket) == {layout.base_name(at, "full") for at in begun[1:]}


def test_a_store_that_does_not_say_what_time_it_is_lets_nothing_go(
    bucket: FolderBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = three(bucket)
    bucket.former = NOW - timedelta(days=10)

    def silent() -> datetime:
        raise BucketError("the object store does not say what time it is")

    monkeypatch.setattr(bucket, "clock", silent)
    with pytest.raises(BucketError, match="what time it is"):
        pruning.prune(FOUND, bucket, [], TIMELINE, NOW)  # type: ignore[arg-type]
    assert left(bucket) == set(names)


def test_what_is_deleted_is_told_though_uploads_can_not_be_ended(
    bucket: FolderBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = NOW - timedelta(days=100)
    three(bucket)
    known = [keep(bucket, base_of(name=layout.base_name(at, "full"), begun=manifest.said(at)))]

    def fails(_folder: str) -> None:
        raise BucketError("AccessDenied")

    monkeypatch.setattr(bucket, "clean", fails)
    assert pruning.prune(FOUND, bucket, known, TIMELINE, NOW) == known  # type: ignore[arg-type]
    # And what an interrupted one has deleted before, the next one tells.
    assert pruning.prune(FOUND, bucket, known, TIMELINE, NOW) == known  # type: ignore[arg-type]


def test_what_failed_backups_have_left_goes_and_what_is_on_its_way_stays(bucket: FolderBucket) -> None:
    """Each try of one whose manifest could not be written leaves a whole copy of the data."""
    *_, newest = three(bucket)
    names = {days: layout.base_name(NOW - timedelta(days=days), "full") for days in (31, 3, 0)}
    for name in names.values():
        bucket.put(f"{FOUND.place.base(TIMELINE, name)}/{layout.DATA}", "x")
    pruning.prune(FOUND, bucket, [], TIMELINE, NOW)  # type: ignore[arg-type]
    assert names[31] not in left(bucket)
    assert {names[3], names[0], newest} <= left(bucket)


def test_a_bucket_that_lets_nothing_be_deleted_is_loud_and_tried_again(nodes: Nodes) -> None:
    begun(nodes)
    each = nodes.each["b"]

    def refuses(*_: object) -> None:
        raise BucketError("AccessDenied: a lock on its objects")

    nodes.module.prune, prune = refuses, nodes.module.prune
    each._pruned_at = float("-inf")
    nodes.look("b")
    nodes.module.prune = prune
    assert "a lock on its objects" in nodes.known.archive.kept
    assert each._pruned_at + nodes.module.PRUNE_EVERY < time.monotonic() + nodes.module.PRUNE_AGAIN + 1


def test_a_bucket_that_is_not_there_is_not_taken_for_an_empty_one(
    bucket: FolderBucket, sql: FakeSql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of both a store says that there is nothing. What the nodes have still belongs behind the archive."""
    each = made(bucket, sql)
    each.last = 0
    logged(sql, 1, 2)
    archive(each)
    logged(sql, 3, 4)

    def missing(*_: object) -> None:
        raise BucketError("NoSuchBucket")

    with monkeypatch.context() as patch:
        patch.setattr(bucket, "listed", lambda *_, **__: [])
        patch.setattr(bucket, "put", missing)
        with pytest.raises(BucketError, match="NoSuchBucket"):
            made(bucket, sql).begin(lambda: 0)
    after = made(bucket, sql)
    after.begin(lambda: 0)
    archive(after)
    assert (after.chain.gaps, after.last) == ((), 4)
    assert not any("wsrep_gtid_seq_no" in words for words in sql.said)


# ---- the bucket's program

RCLONE = """#!/bin/sh
last=
for word; do
  if [ "$last" = --files-from-raw ]; then cp "$word" {folder}/keys; fi
  last=$word
done
echo "$@" >> {folder}/said
{does}
"""


def program(folder: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> Bucket:
    """A bucket whose rclone is a script."""
    script = folder / "rclone"
    script.write_text(RCLONE.format(folder=folder, does=does))
    script.chmod(0o755)
    monkeypatch.setattr(buckets, "RCLONE", str(script))
    return Bucket(FOUND.target, "KEYID", "TOPSECRET", folder / "run")


def said(folder: Path) -> list[str]:
    return (folder / "said").read_text().splitlines()


def test_many_objects_are_deleted_by_one_program_manifests_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    does = (
        'case "$*" in *lsjson*) echo \'[{"Path": "a.zst.age", "Size": 1}, {"Path": "b.json", "Size": 1}]\';; '
        f"*) cat {tmp_path}/keys >> {tmp_path}/gone;; esac"
    )
    found = program(tmp_path, monkeypatch, does)
    found.purge("prod/galera/t")
    assert (tmp_path / "gone").read_text().split() == ["b.json", "a.zst.age"]
    assert len(said(tmp_path)) == 3
    assert "TOPSECRET" not in "".join(said(tmp_path))


def test_only_uploads_to_the_own_folder_are_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, "").clean("prod/galera")
    assert said(tmp_path)[0].endswith("backend cleanup -o max-age=24h archive:backups/prod/galera")


def test_the_store_s_own_clock_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    does = """echo '{"IsDir": false, "ModTime": "2026-11-28T14:32:10.000000000Z"}'"""
    assert program(tmp_path, monkeypatch, does).written("a") == datetime(2026, 11, 28, 14, 32, 10, tzinfo=UTC)
    with pytest.raises(BucketError, match="a is not there"):
        program(tmp_path, monkeypatch, """echo '{"IsDir": true, "ModTime": "2026"}'""").written("a")


class Refuses(http.server.BaseHTTPRequestHandler):
    """A store that lets nobody in. says: its head `Date`; without, it has none."""

    says: str | None = None

    def do_HEAD(self) -> None:
        self.send_response_only(403)
        if self.says is not None:
            self.send_header("Date", self.says)
        self.end_headers()


@pytest.mark.parametrize(
    ("says", "time"),
    [
        ("Sat, 28 Nov 2026 14:32:10 GMT", NOW.replace(day=28, hour=14, minute=32, second=10)),
        ("Sat, 28 Nov 2026 14:32:10 -0000", NOW.replace(day=28, hour=14, minute=32, second=10)),
        ("yesterday", None),
        (None, None),
    ],
)
def test_a_store_that_refuses_says_what_time_it_is(
    tmp_path: Path, says: str | None, time: datetime | None
) -> None:
    answers = type("Answers", (Refuses,), {"says": says})
    with http.server.HTTPServer(("127.0.0.1", 0), answers) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        target = replace(FOUND.target, endpoint=f"http://127.0.0.1:{server.server_port}")
        found = Bucket(target, "KEYID", "TOPSECRET", tmp_path)
        if time is not None:
            assert found.clock() == time
        else:
            with pytest.raises(BucketError, match="does not say what time it is"):
                found.clock()


def test_a_store_that_nobody_knows_is_not_asked_what_time_it_is(tmp_path: Path) -> None:
    """Whoever signs its certificate is the one that is trusted for all else."""
    certificates = NodeCertificates().files
    target = replace(FOUND.target, endpoint="https://localhost:1", authority=certificates["galera-ca.crt"])
    trust = Bucket(target, "KEYID", "TOPSECRET", tmp_path)._connection()
    assert isinstance(trust, http.client.HTTPSConnection)
    context: ssl.SSLContext = trust._context  # type: ignore[attr-defined]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1


def test_who_waits_for_a_slow_store_lives_and_may_end_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of many logs takes longer than a session lives unheard of."""
    monkeypatch.setattr(buckets, "POLL", 0.02)
    found = program(tmp_path, monkeypatch, f"while ! [ -e {tmp_path}/go ]; do sleep 0.02; done; cat")
    called: list[int] = []

    def waiting() -> None:
        called.append(1)
        if len(called) > 3:
            (tmp_path / "go").touch()

    found.waiting = waiting
    assert found._run(found.command("cat"), b"x" * 300_000) == b"x" * 300_000
    assert len(called) > 3
    (tmp_path / "go").unlink()

    def ends() -> None:
        raise BucketError("the right was lost")

    found.waiting = ends
    with pytest.raises(BucketError, match="the right was lost"):
        found.read("a")


def test_the_session_is_kept_while_the_bucket_is_waited_for_but_not_by_a_base(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_of: list[tuple[object, object]] = []
    making = nodes.module.Making

    def shown(*words: object) -> object:
        made_of.append((words[2], words[2].waiting))  # type: ignore[attr-defined]
        return making(*words)

    monkeypatch.setattr(nodes.module, "Making", shown)
    buckets_of: list[Bucket] = []

    def bucket_of(*words: object) -> Bucket:
        buckets_of.append(Bucket(*words))  # type: ignore[arg-type]
        return buckets_of[-1]

    monkeypatch.setattr(nodes.module, "Bucket", bucket_of)
    each = nodes.add("b")
    assert buckets_of[0].waiting == each._while_log
    ((of_base, waits),) = made_of
    assert of_base is not buckets_of[0]
    assert waits != each._while_log

"""What an archive must not lose in silence: records, numbers, what the retention needs, wrong clocks."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from images.galera.galera_node.archive import (
    binlog,
    judgement,
    layout,
    manifest,
    own_logs,
    retention,
)
from images.galera.galera_node.archive.cadence import Rhythm
from images.galera.galera_node.archive.layout import Span
from images.galera.galera_node.archive.manifest import Base
from images.galera.galera_node.archive.pipeline import PipelineError
from images.galera.galera_node.archive.retention import Keep
from tests.unit.images.folder_bucket import FolderBucket
from tests.unit.images.test_galera_node_archive import (
    HEADS,
    TIMELINE,
    event,
    gtid_list,
    known,
    old,
    read,
    transaction,
    wrong,
)
from tests.unit.images.test_galera_node_archive import base as base_of
from tests.unit.images.test_galera_node_archiver import (
    FOUND,
    NOW,
    PACKAGE,
    FakeSql,
    Nodes,
    archive,
    archiver,
    begun,
    bucket,
    keep,
    logged,
    made,
    manifests,
    nodes,
    reach,
    sql,
)

pytestmark = pytest.mark.unit

__all__ = ["archiver", "bucket", "nodes", "sql"]  # fixtures

# ---- what is told while the key-value store is away


def test_a_backup_that_failed_while_the_store_was_away_is_told_once_it_is_there(nodes: Nodes) -> None:
    begun(nodes)

    def fails(*_: object) -> Base:
        nodes.store.away = True
        raise PipelineError("rclone ended with 1: no space left on device")

    nodes.makes = fails
    nodes.now = NOW + timedelta(days=1)
    nodes.soon("b")
    nodes.look("b")
    assert nodes.each["b"].making.failed_at > 0
    nodes.store.away = False
    nodes.soon("b")
    nodes.look("b")
    archive = nodes.known.archive
    assert "no space left on device" in archive.failed
    assert archive.running == ""


def test_a_backup_that_ended_while_the_store_was_away_is_recorded_and_not_made_again(nodes: Nodes) -> None:
    def ends(*args: object) -> Base:
        made = nodes.whole(*args)  # type: ignore[arg-type]
        nodes.store.away = True
        return made

    nodes.makes = ends
    begun(nodes)
    nodes.store.away, nodes.makes = False, nodes.whole
    nodes.now += timedelta(minutes=1)
    nodes.look("b")
    nodes.look("b")
    (base,) = nodes.known.bases
    assert base.begun == manifest.said(NOW)


# ---- what the retention still needs


def test_a_base_that_began_before_the_days_and_ended_within_is_not_where_they_begin() -> None:
    """Only what is after its end can be reached from it: the days' first hours need the base before."""
    long = replace(old(30.1), ended=NOW - timedelta(days=29.8))
    stays = retention.kept([old(50), old(37), long, old(23)], Keep(30, 1), NOW)
    assert {name for _, name in stays} == {"37", "30.1", "23"}


# ---- numbers


@pytest.mark.parametrize(("end", "gap"), [(binlog.ROTATE, None), (binlog.STOP, Span(3, 3)), (0, Span(3, 3))])
def test_a_number_that_a_failed_statement_took_is_no_gap_and_what_a_start_left_out_is(
    bucket: FolderBucket, sql: FakeSql, end: int, gap: Span | None
) -> None:
    """`CREATE TABLE` of one that is there takes a number and is in no log. What the server did before a start
    without binary logs took numbers, too.
    """
    each = made(bucket, sql)
    each.last = 0
    sql.log("binlog.000001", HEADS + gtid_list() + transaction(1, 5) + transaction(2, 6) + event(end or 30))
    sql.log("binlog.000002", HEADS + gtid_list(d1=2) + transaction(4, 8) + event(binlog.ROTATE))
    sql.log("binlog.000003", HEADS + gtid_list(d1=4))
    sql.position = 4
    archive(each)
    last = manifests(bucket)[-1]
    assert last.gap == (None if gap is None else {"first": 3, "last": 3})
    assert each.chain.gaps == (() if gap is None else (gap,))
    # A reader goes by the names alone.
    again = made(bucket, sql)
    again.begin(lambda: 0)
    assert (again.chain.gaps, again.last) == (each.chain.gaps, 4)


def test_numbers_that_the_archive_has_already_are_not_taken_for_what_is_in_it(
    bucket: FolderBucket, sql: FakeSql
) -> None:
    """All nodes ran without binary logs for a while, and count from elsewhere since."""
    each = made(bucket, sql)
    each.last = 0
    logged(sql, 900, 901)
    archive(each)
    sql.files.clear()
    logged(sql, 3, 4)
    after = made(bucket, sql)
    after.begin(lambda: 33)
    assert after.last == 901
    archive(after)
    last = manifests(bucket)[-1]
    number = sql.position
    assert number > 1_000_000
    assert (last.gtid["first"], last.gap) == (number, {"first": 902, "last": number - 1})
    assert reach(bucket).last == number


def test_what_a_power_cut_left_as_zeros_holds_nothing_up() -> None:
    whole = HEADS + gtid_list(d1=6) + transaction(7, 100)
    assert read(whole + b"\0" * 4096).last == 7


def test_a_log_whose_data_has_gone_from_the_bucket_is_none(bucket: FolderBucket, sql: FakeSql) -> None:
    """By a rule of the bucket's own, or a person: its manifest alone restores nothing."""
    each = made(bucket, sql)
    each.last = 0
    for numbers in ((1, 2), (3, 4), (5, 6)):
        logged(sql, *numbers)
        archive(each)
    data, _ = FOUND.place.log(TIMELINE, Span(3, 4), "b")
    bucket.delete(data)
    again = made(bucket, sql)
    again.begin(lambda: 0)
    assert (again.chain.gaps, again.last) == ((Span(3, 4),), 6)


# ---- clocks that differ


def test_a_base_of_a_clock_that_was_ahead_holds_no_backup_up() -> None:
    rhythm = Rhythm(timedelta(days=7), timedelta(days=1))
    ahead, full = NOW + timedelta(days=300), NOW - timedelta(days=2)
    assert rhythm.due([ahead], [ahead], NOW) == "full"
    assert rhythm.due([full], [full, ahead], NOW) == "incremental"
    a_bit = NOW + timedelta(minutes=1)
    assert rhythm.due([a_bit], [a_bit], NOW) is None


def test_a_base_of_a_clock_that_was_ahead_is_not_young() -> None:
    at = NOW + timedelta(days=300)
    ahead = base_of(name=layout.base_name(at, "full"), begun=manifest.said(at))
    assert wrong(known(ahead)) == ["a full backup that is young enough", "a backup that is young enough"]
    (told, *_) = judgement.judge(FOUND, known(ahead), TIMELINE, NOW)
    assert f"{ahead.name} is of a clock that is ahead" in told.found
    assert wrong(known(ahead, base_of())) == []


def test_logs_that_reach_into_the_future_are_loud() -> None:
    """Else nobody would hear for hours that no logs are archived any more."""
    found = known(base_of(), reach=manifest.said(NOW + timedelta(hours=3)))
    assert wrong(found) == ["binary logs are archived as they are written"]
    assert wrong(known(base_of(), reach=manifest.said(NOW + timedelta(minutes=1)))) == []


def test_an_incremental_goes_on_from_the_newest_data_whatever_the_clocks_said(nodes: Nodes) -> None:
    begun(nodes)
    (full,) = nodes.known.bases
    back = NOW - timedelta(hours=3)
    made_late = base_of(
        name=layout.base_name(back, "incremental"),
        kind="incremental",
        parent=full.name,
        begun=manifest.said(back),
        node="b",
        data=full.data,
        gtid={"start": full.gtid, "end": full.gtid + 5},
    )
    late = keep(nodes.bucket, made_late)
    nodes.each["b"]._learn_bases(TIMELINE)
    assert late in nodes.known.bases, "its parent has a later name, and is there"
    parent_of = sys.modules[f"{PACKAGE}.base"].parent_of
    assert parent_of(list(nodes.known.bases), "b", full.data, late.keys) == late


# ---- one node's trouble


def test_the_archiving_process_of_one_node_that_is_gone_does_not_hold_up_the_logs_of_all(
    nodes: Nodes,
) -> None:
    begun(nodes)
    nodes.sessions["c"].end()
    nodes.look("b")
    first = nodes.each["b"].logs.last + 1
    logged(nodes.sql["b"], first)
    nodes.now += timedelta(minutes=2)
    nodes.soon("b")
    nodes.look("b")
    archive = nodes.known.archive
    assert (archive.last, archive.reach) == (first, manifest.said(nodes.now))
    assert archive.problem == "no word of binary logs of c"


def test_after_a_gap_all_nodes_are_brought_to_one_number_once_all_write_binary_logs(nodes: Nodes) -> None:
    """The section was left out, and is back: the nodes come to binary logs one by one again."""
    begun(nodes)
    sql_b, first = nodes.sql["b"], nodes.each["b"].logs.last + 1
    nodes.sessions["c"].end()
    nodes.look("b")
    sql_b.files.clear()
    logged(sql_b, first + 50)
    nodes.soon("b")
    nodes.look("b")
    assert nodes.known.archive.gap == Span(first, first + 49)
    assert sql_b.position == first + 50
    nodes.store.put("logging/c", "")
    nodes.look("b")
    nodes.soon("b")
    nodes.look("b")
    assert sql_b.position >= first + 50 + own_logs.LEAP
    for _ in range(2):
        nodes.soon("b")
        nodes.look("b")
    assert nodes.known.archive.last == sql_b.position
    assert nodes.known.archive.gap == Span(first, first + 49), "and that is no gap of its own"

"""What an archive must not lose in silence: records, numbers, what the retention needs, wrong clocks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from images.galera.galera_node.archive import binlog, manifest, retention
from images.galera.galera_node.archive.layout import Span
from images.galera.galera_node.archive.manifest import Base
from images.galera.galera_node.archive.pipeline import PipelineError
from images.galera.galera_node.archive.retention import Keep
from tests.unit.images.folder_bucket import FolderBucket
from tests.unit.images.test_galera_node_archive import HEADS, event, gtid_list, old, read, transaction
from tests.unit.images.test_galera_node_archiver import (
    NOW,
    FakeSql,
    Nodes,
    archive,
    archiver,
    begun,
    bucket,
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

"""What an archive must not lose in silence: records, numbers, what the retention needs, wrong clocks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from images.galera.galera_node.archive import manifest, retention
from images.galera.galera_node.archive.manifest import Base
from images.galera.galera_node.archive.pipeline import PipelineError
from images.galera.galera_node.archive.retention import Keep
from tests.unit.images.test_galera_node_archive import old
from tests.unit.images.test_galera_node_archiver import (
    NOW,
    Nodes,
    archiver,
    begun,
    bucket,
    nodes,
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

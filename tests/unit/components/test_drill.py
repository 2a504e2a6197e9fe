"""Drills by schedule: a service of its own with the section, nothing at all without it; when one is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from components import data_layer, drill, galera
from images.galera.galera_node.archive import records
from images.galera.galera_node.restore import report
from images.galera.galera_node.restore.schedule import due, node_of
from images.galera.galera_node.restore.tables import TablesError
from images.galera.galera_node.store import Cluster, Entry, Facts, Presence, dumps
from settings import parse
from tests.support.age_key import AgeKey
from tests.unit.settings.test_backup_settings import BACKUP
from tests.unit.settings.test_settings import config, problems

pytestmark = pytest.mark.unit

KEY = AgeKey.drawn().identity
WITH = {**BACKUP, "drill": {"every": "2 days", "identity": KEY}}
NOW = datetime(2026, 11, 30, 5, tzinfo=UTC)


def names(**sections: Any) -> list[str]:
    settings = parse(config(**sections))
    sql: Any = None
    return [spec.name for spec in data_layer.specs(settings, sql)]


def test_there_is_no_service_without_the_section() -> None:
    assert drill.SERVICE not in names()
    assert drill.SERVICE not in names(backup=BACKUP)
    assert drill.SERVICE in names(backup=WITH)


def test_nodes_have_neither_its_key_nor_a_change_for_it() -> None:
    without, made = (galera.spec(parse(config(backup=backup))) for backup in (BACKUP, WITH))
    assert made == without
    assert drill.IDENTITY not in made.secrets


def test_it_is_one_container_with_limits_that_knows_what_a_node_knows_and_its_key() -> None:
    (made,) = drill.specs(parse(config(backup=WITH)))
    assert (made.replicas, made.limits, made.ports) == (1, drill.LIMITS, ())
    assert made.env["DRILL_EVERY"] == "2 days"
    assert {drill.IDENTITY, "galera-root-password", "backup-access-key", "store-token"} <= set(made.secrets)
    # With the server's own key it could pass itself off as a node.
    assert "galera-server.key" not in made.secrets
    assert KEY not in str(made)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"every": "never"}, "leave the section drill out"),
        ({"every": "often"}, "no cadence"),
        ({"identity": BACKUP["recipients"][0]}, "no private key of age"),
    ],
)
def test_what_cant_be_is_refused(change: dict[str, Any], words: str) -> None:
    found = problems(backup={**BACKUP, "drill": {"identity": KEY, **change}})
    assert words in " ".join(found)
    assert KEY[:40] not in " ".join(found)


def entries(phase: str = "formed", bases: int = 1, others: dict[str, str] | None = None) -> dict[str, Entry]:
    at = "2026-11-28T12:00:00Z"
    base = records.Backup(
        "l", "20261128T120000Z-full", "full", None, "a", "d", at, at, 1, 1, 1, 1, "s", "1:x"
    )
    made = {"cluster": dumps(Cluster("u", phase, "a")), **(others or {})}
    if bases:
        made[records.key(base)] = records.dumps(base)
    return {key: Entry(value, 1) for key, value in made.items()}


def last(days: float, failed: str = "", differs: tuple[str, ...] = ()) -> dict[str, str]:
    made = report.made(
        {"base": "", "timeline": "", "position": "", "failed": failed}, differs, NOW - timedelta(days=days)
    )
    return {key: put.value for key, put in report.puts(made).items()}


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        pytest.param(entries(), True, id="never"),
        pytest.param(entries(bases=0), False, id="there is no backup yet"),
        pytest.param(entries("open"), False, id="the cluster forms"),
        pytest.param(entries(others=last(1)), False, id="young"),
        pytest.param(entries(others=last(2)), True, id="old"),
        pytest.param(entries(others=last(0.01, failed="the store has gone")), False, id="it has just failed"),
        pytest.param(
            entries(others=last(0.1, failed="the store has gone")), True, id="it failed a while ago"
        ),
        pytest.param(
            entries(others=last(0.1, differs=("app.t: rows differ",))), False, id="it was not equal"
        ),
        pytest.param({}, False, id="there is no cluster"),
    ],
)
def test_a_drill_is_due(stored: dict[str, Entry], wanted: bool) -> None:
    assert due(stored, timedelta(days=2), NOW) is wanted


def test_it_is_compared_with_a_node_that_does_not_take_the_writes() -> None:
    present = {name: Presence("synced", "u", 1, f"10.20.0.{at}") for at, name in enumerate("abc")}
    assert node_of(Facts(present=present, writer="a")) == ("b", "10.20.0.1")
    alone = {"a": present["a"], "b": Presence("stopped", "u", 1, "10.20.0.1")}
    assert node_of(Facts(present=alone, writer="a")) == ("a", "10.20.0.0")
    with pytest.raises(TablesError, match="no node is Synced"):
        node_of(Facts(present={"b": alone["b"]}))

"""A restore before anything is touched: targets, what the archive reaches, and every refusal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from images.galera.galera_node.restore import objects
from images.galera.galera_node.restore import plan as plans
from images.galera.galera_node.restore.catalog import Catalog, catalog
from images.galera.galera_node.restore.plan import Plan, Present, Unreachable, resolved
from images.galera.galera_node.restore.plan_words import told
from images.galera.galera_node.restore.target import Latest, Moment, Number, TargetError, parse, shown

pytestmark = pytest.mark.unit

LINE = "aaaaaaaa-0000-0000-0000-000000000001.0"
FORMER = "bbbbbbbb-0000-0000-0000-000000000002.0"
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
NOW = NOON + timedelta(hours=4)
PRESENT = Present(NOW, LINE, last=130, server="11.8")


def minutes(count: float) -> datetime:
    return NOON + timedelta(minutes=count)


def text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def base(end: int, at: float, parent: str | None = None, line: str = LINE, **other: Any) -> dict[str, Any]:
    """A base that ended so many minutes after noon, with all up to `end`."""
    kind = "incremental" if parent else "full"
    name = f"{minutes(at):%Y%m%dT%H%M%SZ}-{kind}"
    said = {
        "format": 1,
        "what": "base",
        "cluster": "galera",
        "timeline": line,
        "name": name,
        "kind": kind,
        "parent": parent,
        "node": "galera-2",
        "data": "5f1c0e9a7d3b4c21",
        "server": "11.8.9-MariaDB-deb13-log",
        "begun": text(minutes(at - 1)),
        "ended": text(minutes(at)),
        "domain": 1,
        "gtid": {"start": end - 2, "end": end},
        "object": "data.mbs.zst.age",
        "bytes": {"before": 1000, "stored": 100},
        "sha256": "d2a8",
        **other,
    }
    return {f"{line}/base/{name}/manifest.json": said}


def log(first: int, last: int, began: float, ended: float, line: str = LINE, **other: Any) -> dict[str, Any]:
    name = f"{first:020}-{last:020}"
    said = {
        "format": 1,
        "what": "log",
        "cluster": "galera",
        "timeline": line,
        "node": "galera-2",
        "server": "11.8.9-MariaDB-deb13-log",
        "domain": 1,
        "gtid": {"previous": first - 1, "first": first, "last": last},
        "time": {"first": text(minutes(began)), "last": text(minutes(ended))},
        "gap": None,
        "object": f"{name}.zst.age",
        "bytes": {"before": 500, "stored": 50},
        "sha256": "77a0",
        **other,
    }
    return {f"{line}/log/{name}.json": said}


def reach(last: int, at: float, line: str = LINE) -> dict[str, Any]:
    said = {"format": 1, "what": "reach", "timeline": line, "at": text(minutes(at)), "last": last}
    return {f"{line}/log/reach.json": said}


WHOLE = (
    base(50, 10)
    | log(45, 60, 8, 20)
    | log(61, 90, 21, 40)
    | base(80, 35)
    | log(91, 120, 42, 60)
    | reach(120, 90)
)


def made(target: Any, archive: dict[str, Any] = WHOLE, present: Present = PRESENT, **other: Any) -> Plan:
    return plans.plan(catalog(archive), target, present, **other)


def names(plan: Plan) -> tuple[list[int], list[tuple[int, int]]]:
    return [each.end for each in plan.chain], [(each.first, each.last) for each in plan.logs]


# ---- targets


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("latest", Latest()),
        (" LATEST ", Latest()),
        ("1-1-51288", Number(1, 1, 51288)),
        ("2026-11-28 14:32:10", Moment(datetime(2026, 11, 28, 14, 32, 10, tzinfo=UTC))),
        ("2026-11-28T14:32:10Z", Moment(datetime(2026, 11, 28, 14, 32, 10, tzinfo=UTC))),
        # The log's clock has whole seconds: what was at .7 would count as before .9, the DROP, too.
        ("2026-11-28 14:32:10.9", Moment(datetime(2026, 11, 28, 14, 32, 10, tzinfo=UTC))),
        ("2026-11-28 14:32", Moment(datetime(2026, 11, 28, 14, 32, tzinfo=UTC))),
        ("2026-11-28 16:32:10+02:00", Moment(datetime(2026, 11, 28, 14, 32, 10, tzinfo=UTC))),
        ("2026-11-28 08:32:10-06:00", Moment(datetime(2026, 11, 28, 14, 32, 10, tzinfo=UTC))),
    ],
)
def test_a_target_is_a_moment_in_utc_a_transaction_or_the_end(said: str, meant: object) -> None:
    assert parse(said, NOW) == meant


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("yesterday", "is no target"),
        ("", "is no target"),
        ("1-1", "is no target"),
        ("2026-13-28 14:00:00", "is no target"),
        ("2026-11-28", "which moment"),
        ("20261128", "which moment"),
        ("2026-W48-6", "which moment"),
        ("2026-11-28 16:00:01", "yet to come"),
        ("2026-11-28 14:00:00-06:00", "yet to come"),
    ],
)
def test_another_text_is_refused_with_what_would_be_one(said: str, words: str) -> None:
    with pytest.raises(TargetError, match=words) as raised:
        parse(said, NOW)
    assert "latest" in str(raised.value)
    assert "UTC" in str(raised.value)


def test_a_moment_is_shown_in_utc() -> None:
    assert shown(datetime(2026, 11, 28, 16, tzinfo=timezone(timedelta(hours=2)))) == "2026-11-28 14:00:00 UTC"


# ---- the way to a transaction


@pytest.mark.parametrize(
    ("number", "bases", "logs"),
    [
        pytest.param(50, [50], [], id="where the oldest base ends"),
        pytest.param(51, [50], [(45, 60)], id="the transaction after it"),
        pytest.param(60, [50], [(45, 60)], id="the last of a log"),
        pytest.param(79, [50], [(45, 60), (61, 90)], id="before the newer base"),
        pytest.param(80, [80], [], id="where that ends"),
        pytest.param(95, [80], [(61, 90), (91, 120)], id="a log that begins before the base"),
        pytest.param(120, [80], [(61, 90), (91, 120)], id="the last"),
    ],
)
def test_the_newest_base_before_a_transaction_and_the_logs_up_to_it(
    number: int, bases: list[int], logs: list[tuple[int, int]]
) -> None:
    plan = made(Number(1, 1, number))
    assert names(plan) == (bases, logs)
    assert plan.number == number
    assert plan.search is None


def test_latest_is_the_end_of_the_archive() -> None:
    plan = made(Latest())
    assert plan.number == 120
    assert plan.base.end == 80


def test_a_base_without_logs_reaches_its_own_end() -> None:
    assert made(Latest(), base(50, 10)).number == 50


def test_a_log_that_brings_nothing_new_is_left_out() -> None:
    archive = WHOLE | log(61, 75, 21, 30) | log(91, 95, 42, 43)
    assert names(made(Latest(), archive)) == ([80], [(61, 90), (91, 95), (91, 120)])


def test_incrementals_come_with_their_parents_oldest_first() -> None:
    full = base(50, 10)
    first = base(60, 20, parent="20261128T121000Z-full")
    second = base(70, 30, parent="20261128T122000Z-incremental")
    plan = made(Number(1, 1, 71), full | first | second | log(65, 80, 22, 40))
    assert names(plan) == ([50, 60, 70], [(65, 80)])
    assert [each.kind for each in plan.chain] == ["full", "incremental", "incremental"]
    # Between two of them, the elder one is the base.
    assert names(made(Number(1, 1, 65), full | first | second | log(55, 80, 12, 40))) == (
        [50, 60],
        [(55, 80)],
    )


def sizes_of(plan: Plan, changed: dict[str, int | None] | None = None) -> objects.Sizes:
    """All objects of a plan, but with these sizes; None for one that is gone."""
    known = {each.key: each.stored for each in plan.objects} | (changed or {})

    def sizes(folder: str) -> dict[str, int]:
        return {
            name: size
            for (where, _, name), size in ((key.rpartition("/"), size) for key, size in known.items())
            if where == folder and size is not None
        }

    return sizes


def test_all_that_a_plan_needs_must_be_in_the_store_as_its_manifest_says() -> None:
    plan = made(Latest())
    assert plan.logs
    objects.there(plan, sizes_of(plan))
    for each in (plan.chain[0], plan.logs[-1]):
        with pytest.raises(Unreachable, match=f"damaged: {each.key} is not there"):
            objects.there(plan, sizes_of(plan, {each.key: None}))
        with pytest.raises(Unreachable, match=f"{each.key} has 1 of {each.stored} bytes"):
            objects.there(plan, sizes_of(plan, {each.key: 1}))


def test_a_chain_with_a_link_missing_is_no_backup() -> None:
    full = base(50, 10)
    orphan = base(70, 30, parent="20261128T122000Z-incremental")
    plan = made(Number(1, 1, 75), full | orphan | log(45, 80, 8, 40))
    assert names(plan) == ([50], [(45, 80)])
    with pytest.raises(Unreachable, match="20261128T123000Z-incremental can't be taken"):
        made(Number(1, 1, 75), orphan | log(45, 80, 8, 40))


# ---- a moment


@pytest.mark.parametrize(
    ("minute", "number", "search", "bases"),
    [
        pytest.param(10, None, (45, 60), [50], id="when the base ended"),
        pytest.param(15, None, (45, 60), [50], id="within a log"),
        pytest.param(20.5, 60, None, [50], id="between two logs"),
        pytest.param(21, 60, None, [50], id="when the next one begins: it is not in"),
        pytest.param(36, None, (61, 90), [80], id="after the newer base"),
        pytest.param(60, None, (91, 120), [80], id="when the last began: it is not in"),
        pytest.param(61, 120, None, [80], id="after the last transaction, while nothing was written"),
        pytest.param(90, 120, None, [80], id="until when the archive is whole"),
    ],
)
def test_a_moment_is_a_position_or_a_log_to_be_read(
    minute: float, number: int | None, search: tuple[int, int] | None, bases: list[int]
) -> None:
    plan = made(Moment(minutes(minute)))
    assert plan.number == number
    assert (None if plan.search is None else (plan.search.first, plan.search.last)) == search
    assert [each.end for each in plan.chain] == bases


@pytest.mark.parametrize(
    ("times", "number"),
    [
        ([(91, 42.0), (92, 50.0), (93, 55.0), (94, 55.0)], 92),
        ([(91, 42.0), (92, 54.98), (93, 55.0)], 92),
        ([(91, 55.0)], 90),
        ([(91, 42.0), (92, 50.0)], 92),
        # One that began before it, but was committed after one that did not: no row without its past.
        ([(91, 42.0), (92, 56.0), (93, 43.0)], 91),
    ],
)
def test_all_before_the_moment_is_in_and_nothing_of_it(times: list[tuple[int, float]], number: int) -> None:
    found, line = made(Moment(minutes(55))), catalog(WHOLE).timelines[LINE]
    assert found.search is not None
    plan = resolved(found, [(each, minutes(at)) for each, at in times], line, PRESENT)
    assert plan.number == number
    assert plan.search is None
    assert plan.lost.undone == 130 - number
    assert plan.logs[-1].last >= number


def test_a_plan_with_its_position_is_left_as_it_is() -> None:
    found = made(Latest())
    assert resolved(found, [], catalog(WHOLE).timelines[LINE], PRESENT) is found


def test_a_base_that_turns_out_to_be_behind_the_position_is_not_taken() -> None:
    """The clocks of two hosts may differ: a base that had ended by its node's may have more."""
    archive = base(50, 10) | log(45, 120, 8, 60) | base(80, 35) | reach(120, 90)
    found = made(Moment(minutes(36)), archive)
    assert [each.end for each in found.chain] == [80]
    times = [(number, minutes(37)) for number in range(70, 121)]
    plan = resolved(
        found, [(45, minutes(8)), (69, minutes(20)), *times], catalog(archive).timelines[LINE], PRESENT
    )
    assert plan.number == 69
    assert [each.end for each in plan.chain] == [50]


# ---- refusals


@pytest.mark.parametrize(
    ("target", "archive", "words"),
    [
        pytest.param(Latest(), {}, "has no backup of this cluster", id="nothing at all"),
        pytest.param(Latest(), log(1, 9, 0, 5), "has no base backup", id="logs alone"),
        pytest.param(Number(1, 1, 49), WHOLE, "before the oldest base backup", id="too early"),
        pytest.param(Number(1, 1, 121), WHOLE, "ends with 1-1-120", id="not archived yet"),
        pytest.param(Number(7, 1, 60), WHOLE, "transactions have domain 1", id="of another domain"),
        pytest.param(Number(1, 7, 60), WHOLE, "transactions have server 1", id="of another server"),
        pytest.param(Moment(minutes(9)), WHOLE, "before the oldest base backup", id="a moment too early"),
        pytest.param(Moment(minutes(91)), WHOLE, "is not whole: it is until", id="a moment too late"),
        pytest.param(
            Number(1, 1, 95),
            base(50, 10) | log(45, 60, 8, 20) | log(71, 120, 42, 60),
            "1-1-61 to 1-1-70 are in no log",
            id="behind a gap",
        ),
        pytest.param(
            Latest(),
            base(50, 10) | log(52, 60, 12, 20),
            "1-1-51 to 1-1-51 are in no log",
            id="a gap after the base",
        ),
        pytest.param(
            Moment(minutes(45)),
            base(50, 10) | log(45, 60, 8, 20) | log(71, 120, 42, 60) | reach(120, 90),
            "are in no log",
            id="a moment behind a gap",
        ),
    ],
)
def test_what_cant_be_reached_is_refused(target: Any, archive: dict[str, Any], words: str) -> None:
    with pytest.raises(Unreachable, match=words):
        made(target, archive)


def test_a_refusal_says_what_can_be_reached() -> None:
    archive = base(50, 10) | log(45, 60, 8, 20) | log(71, 120, 42, 60) | base(80, 50) | reach(120, 90)
    with pytest.raises(Unreachable) as raised:
        made(Number(1, 1, 65), archive)
    assert "1-1-50 (2026-11-28 12:10:00 UTC) to 1-1-60 (2026-11-28 12:20:00 UTC)" in str(raised.value)
    assert "1-1-80 (2026-11-28 12:50:00 UTC) to 1-1-120 (2026-11-28 13:30:00 UTC)" in str(raised.value)
    # What is behind the gap can be reached from the base behind it.
    assert made(Number(1, 1, 119), archive).base.end == 80
    with pytest.raises(Unreachable) as raised:
        made(Latest(), base(50, 10) | log(52, 60, 12, 20))
    assert "to 1-1-50 (the end of the base)" in str(raised.value)


def test_a_superseded_timeline_is_taken_by_name_only() -> None:
    former = base(20, -60, line=FORMER) | log(15, 40, -70, -30, line=FORMER) | reach(40, -20, line=FORMER)
    with pytest.raises(Unreachable, match=f"TIMELINE={FORMER}"):
        made(Moment(minutes(-40)), WHOLE | former)
    with pytest.raises(Unreachable, match=f"TIMELINE={FORMER}"):
        made(Number(1, 1, 30), WHOLE | former)
    plan = made(Number(1, 1, 30), WHOLE | former, timeline=FORMER)
    assert (plan.timeline, plan.number) == (FORMER, 30)
    assert plan.lost == plans.Lost()
    assert f"lost: all that was committed on the cluster's present timeline, {LINE}" in "\n".join(
        told(plan, PRESENT)
    )
    with pytest.raises(Unreachable, match="has no timeline c"):
        made(Latest(), WHOLE, timeline="c")


def test_a_present_timeline_without_a_backup_is_no_reason_to_take_another() -> None:
    present = replace(PRESENT, timeline="cccccccc-0000-0000-0000-000000000003.0")
    with pytest.raises(Unreachable, match="nothing of the cluster's present timeline") as raised:
        made(Latest(), WHOLE, present)
    assert LINE in str(raised.value)


def test_where_no_cluster_is_the_timeline_that_was_last_written_to_counts() -> None:
    former = base(20, -60, line=FORMER) | log(15, 40, -70, -30, line=FORMER)
    plan = made(Latest(), former | WHOLE, Present(NOW, server="11.8"))
    assert plan.timeline == LINE
    assert "lost: nothing; there is no cluster" in told(plan, Present(NOW))


@pytest.mark.parametrize(
    ("own", "upgrade_to", "words"),
    [
        ("10.11", "", "cannot read it"),
        ("12.3", "", "would change it for good"),
        ("12.3", "12.3", ""),
        ("11.8", "", ""),
    ],
)
def test_a_backup_of_a_newer_server_is_refused_and_of_an_older_one_needs_a_word(
    own: str, upgrade_to: str, words: str
) -> None:
    present = replace(PRESENT, server=own, upgrade_to=upgrade_to)
    if not words:
        assert made(Latest(), WHOLE, present).number == 120
        return
    with pytest.raises(Unreachable, match=words):
        made(Latest(), WHOLE, present)


def test_logs_of_a_newer_server_than_the_bases_are_refused_too() -> None:
    archive = base(50, 10) | log(51, 60, 12, 20, server="12.3.3-MariaDB")
    with pytest.raises(Unreachable, match=r"of MariaDB 12\.3"):
        made(Latest(), archive)


# ---- what a person reads


def test_the_plan_says_what_is_lost() -> None:
    said = "\n".join(told(made(Number(1, 1, 100)), PRESENT))
    assert "position: 1-1-100, which is in it; none after it is" in said
    assert "undone: 30 transactions after that position" in said
    assert "lost: 10 of the cluster's transactions are not in the archive" in said
    assert "the archive was last whole 9000 s ago" in said  # 13:30 to 16:00
    assert "base 20261128T123500Z-full of galera-2" in said
    assert "2 logs from 1-1-81" in said


def test_nothing_is_said_to_be_lost_where_the_archive_has_all() -> None:
    full = replace(PRESENT, last=120)
    said = "\n".join(told(made(Latest(), present=full), full))
    assert "undone: 0 transactions" in said
    assert "lost: none for good" in said


def test_what_a_cluster_that_does_not_run_had_is_not_known() -> None:
    plan = made(Latest(), present=replace(PRESENT, last=None))
    assert plan.lost.unarchived is None
    assert "nobody runs who could say" in "\n".join(told(plan, replace(PRESENT, last=None)))


def test_the_room_is_that_of_all_that_is_unpacked() -> None:
    plan = made(Number(1, 1, 95))
    assert plan.room == 1000 + 2 * 500 + plans.SPARE
    assert plan.stored == 100 + 2 * 50
    # Two logs of new rows may make the data larger than the base was.
    assert plan.growth == 2 * 500
    assert any("up to 0.0 MB more" in line for line in told(plan, PRESENT))


# ---- manifests


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"format": 2}, "is of format 2"),
        ({"timeline": FORMER}, f"says that it is of timeline {FORMER}"),
        ({"kind": "half"}, "kind 'half'"),
        ({"object": "../data"}, "no name beside it"),
        ({"ended": "2026-11-28T12:00:00"}, "without its offset"),
        ({"ended": "noon"}, "noon"),
        ({"gtid": {}}, "no proper 'start'"),
    ],
)
def test_a_manifest_that_cant_be_read_is_named_and_left_out(broken: dict[str, Any], words: str) -> None:
    archive = WHOLE | base(50, 10, **broken) | base(80, 35, **broken)
    found = catalog(archive)
    assert len(found.odd) == 2
    assert words in found.odd[0]
    with pytest.raises(Unreachable, match="Not read: "):
        plans.plan(found, Latest(), PRESENT)


def test_other_objects_and_manifests_that_are_none_are_left_alone() -> None:
    other = {f"{LINE}/base/20261128T121000Z-full/data.mbs.zst.age": None, "README": None}
    assert catalog(other) == Catalog()
    assert catalog({f"{LINE}/log/reach.json": [1]}).odd

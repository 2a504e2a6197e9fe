"""The archive's rules: keys, manifests, chains, cadence, retention, who archives, what is said."""

from __future__ import annotations

import io
import json
import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from images.galera.galera_node import config
from images.galera.galera_node.archive import (
    backup_stream,
    binlog,
    bucket,
    cadence,
    chain,
    holder,
    judgement,
    layout,
    manifest,
    plan,
    records,
    retention,
)
from images.galera.galera_node.archive.binlog import BinlogError, Extent
from images.galera.galera_node.archive.cadence import Rhythm, Window
from images.galera.galera_node.archive.chain import Piece
from images.galera.galera_node.archive.holder import Do, Seen
from images.galera.galera_node.archive.layout import Place, Span
from images.galera.galera_node.archive.manifest import Base, Log, ManifestError
from images.galera.galera_node.archive.records import Archive, Backup, Known
from images.galera.galera_node.archive.retention import Keep, Kept
from images.galera.galera_node.settings import SettingsError
from images.galera.galera_node.store import Entry

UUID = "f25ef12b-60a1-4e80-b9f1-9e98a1b2c3d4"
TIMELINE = f"{UUID}.0"
NOW = datetime(2026, 11, 28, 14, 32, 10, tzinfo=UTC)
PLAN = {
    "endpoint": "https://s3.lab:7070",
    "bucket": "backups",
    "region": "lab",
    "prefix": "/prod/",
    "recipients": ["age1abc"],
    "full": "week",
    "incremental": "1 day",
    "logs": 60,
    "window": "",
    "days": 30,
    "fulls": 2,
    "image": "galera:11.8-2",
}


def base(**changes: object) -> Base:
    if "begun" in changes:
        changes = {"ended": changes["begun"], **changes}
    made = Base(
        cluster="galera",
        timeline=TIMELINE,
        name="20261128T143210Z-full",
        kind="full",
        parent=None,
        node="galera-2",
        data="5f1c",
        server="11.8.9-MariaDB",
        image="galera:11.8-2",
        begun="2026-11-28T14:32:10Z",
        ended="2026-11-28T14:35:41Z",
        domain=1,
        gtid={"start": 10, "end": 20},
        wsrep=f"{UUID}:33",
        lsn={"from": 0, "to": 777},
        schema={"tables": 2, "sha256": "ab" * 32},
        object=layout.DATA,
        bytes={"before": 100, "stored": 40},
        sha256="cd" * 32,
        recipients=("age1abc",),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


# ---- keys


def test_keys_are_as_the_reference_says() -> None:
    place = Place("/a/b/", "galera")
    assert place.root == "a/b/galera"
    assert Place("", "galera").root == "galera"
    assert (
        place.base(TIMELINE, "20261128T143210Z-full") == f"a/b/galera/{TIMELINE}/base/20261128T143210Z-full"
    )
    data, told = place.log(TIMELINE, Span(7, 12), "galera-2")
    assert data == f"a/b/galera/{TIMELINE}/log/00000000000000000007-00000000000000000012.galera-2.zst.age"
    assert told == f"a/b/galera/{TIMELINE}/log/00000000000000000007-00000000000000000012.json"


def test_the_first_epoch_which_has_no_name_is_0() -> None:
    assert layout.timeline(UUID, "") == f"{UUID}.0"
    assert layout.timeline(UUID, "1-9f3a02bc") == f"{UUID}.1-9f3a02bc"


def test_only_a_manifest_tells_of_a_log() -> None:
    stem = layout.log_name(1, 2)
    assert layout.span(f"{stem}.json") == Span(1, 2)
    assert layout.span(f"{stem}.galera-2.zst.age") is None
    assert layout.data_span(f"{stem}.galera-2.zst.age") == Span(1, 2)
    assert layout.data_span(f"{stem}.json") is None
    assert layout.span("reach.json") is None


def test_the_order_of_names_is_that_of_numbers() -> None:
    numbers = [1, 9, 10, 99, 100, 18446744073709551615]
    names = [layout.log_name(number, number) for number in numbers]
    assert names == sorted(names)


def test_a_name_says_when_a_base_began() -> None:
    name = layout.base_name(NOW, "incremental")
    assert name == "20261128T143210Z-incremental"
    assert layout.begun(name) == NOW
    assert layout.begun("20261128T143210Z-partial") is None


# ---- manifests


def test_a_manifest_comes_back_as_it_was_with_numbers_as_numbers() -> None:
    text = manifest.dumps(base())
    assert manifest.loads(Base, text) == base()
    assert json.loads(text)["gtid"] == {"start": 10, "end": 20}
    assert "secret" not in text


def test_fields_of_a_later_version_are_passed_over() -> None:
    values = json.loads(manifest.dumps(base())) | {"later": 1}
    assert manifest.loads(Base, json.dumps(values)) == base()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not JSON"),
        ("[]", "no manifest of a base"),
        (manifest.dumps(base()).replace('"format": 1', '"format": 2'), "format 2, and this version knows 1"),
        (manifest.dumps(base()).replace('"wsrep"', '"position"'), "it lacks"),
    ],
)
def test_a_manifest_that_is_not_understood_is_refused(text: str, why: str) -> None:
    with pytest.raises(ManifestError, match=why):
        manifest.loads(Base, text)


def test_a_manifest_of_something_else_is_refused() -> None:
    with pytest.raises(ManifestError, match="no manifest of a log"):
        manifest.loads(Log, manifest.dumps(base()))


# ---- binary logs


def event(kind: int, body: bytes = b"", time: int = 0) -> bytes:
    return binlog.HEAD.pack(time, kind, 1, binlog.HEAD.size + len(body), 0, 0) + body


def gtid_list(**domains: int) -> bytes:
    entries = b"".join(binlog.GTID_ENTRY.pack(int(name[1:]), 1, number) for name, number in domains.items())
    return event(binlog.GTID_LIST, struct.pack("<I", len(domains)) + entries)


def begins(number: int, time: int, domain: int = 1, flags: int = 0) -> bytes:
    return event(binlog.GTID, binlog.GTID_HEAD.pack(number, domain, flags) + b"\0" * 6, time)


def query(text: bytes, time: int = 0) -> bytes:
    return event(binlog.QUERY, struct.pack("<IIBHH", 1, 0, 3, 0, 120) + b"v" * 120 + b"app\0" + text, time)


def transaction(number: int, time: int, domain: int = 1) -> bytes:
    return begins(number, time, domain) + event(30, b"row") + event(binlog.XID, b"\0" * 8)


def ddl(number: int, time: int) -> bytes:
    return begins(number, time, flags=binlog.STANDALONE) + query(b"CREATE TABLE t (i INT)", time)


HEADS = binlog.MAGIC + event(binlog.FORMAT, b"\0" * 80)


def read(content: bytes) -> Extent:
    return binlog.extent(io.BytesIO(content), 1)


def test_a_log_says_which_transactions_it_has_and_when_they_were() -> None:
    log = HEADS + gtid_list(d1=6, d7=3) + transaction(7, 100) + ddl(8, 105) + event(binlog.ROTATE)
    assert read(log) == Extent(6, 7, 8, 100, 105, goes_on=True)


def test_a_long_transaction_at_the_end_does_not_hide_a_later_time_before_it() -> None:
    """Whoever looks for the moment of the DROP must find it in this log, and not behind it."""
    log = HEADS + gtid_list(d1=6) + transaction(7, 100) + ddl(8, 130) + transaction(9, 105)
    assert read(log) == Extent(6, 7, 9, 100, 130)


def test_transactions_of_other_domains_are_not_the_cluster_s() -> None:
    log = HEADS + gtid_list(d1=6) + transaction(50, 99, domain=7) + transaction(7, 100)
    assert read(log) == Extent(6, 7, 7, 100, 100)


@pytest.mark.parametrize("cut", [1, 9, 30])
def test_a_transaction_that_a_crash_has_cut_off_does_not_count(cut: int) -> None:
    whole = HEADS + gtid_list(d1=6) + transaction(7, 100) + transaction(8, 101)
    assert read(whole).last == 8
    assert read(whole[:-cut]).last == 7


def test_a_transaction_ends_with_a_commit_of_its_own_text_too() -> None:
    log = HEADS + gtid_list() + begins(1, 5) + query(b"INSERT INTO m VALUES (1)") + query(b"COMMIT")
    assert read(log) == Extent(None, 1, 1, 5, 5)
    assert read(log[: -len(query(b"COMMIT"))]).last is None


def test_a_log_without_anything_says_so() -> None:
    assert read(HEADS + gtid_list(d1=6) + event(binlog.STOP)) == Extent(before=6)


def test_what_is_no_binary_log_or_encrypted_by_the_server_is_refused() -> None:
    with pytest.raises(BinlogError, match="does not begin as a binary log does"):
        read(b"\x00" * 200)
    with pytest.raises(BinlogError, match="encrypted by the server"):
        read(HEADS + event(binlog.ENCRYPTION_EVENT, b"\0" * 20))


def test_the_state_before_a_file_is_read_from_its_head() -> None:
    log = HEADS + gtid_list(d1=6) + transaction(7, 100)
    assert binlog.state_before(io.BytesIO(log), 1) == 6
    assert binlog.state_before(io.BytesIO(log), 2) is None


# ---- mariadb-backup's stream


def chunk(path: str, payload: bytes, offset: int = 0) -> bytes:
    name = path.encode()
    head = backup_stream.HEAD.pack(backup_stream.MAGIC, 0, ord("P"), len(name)) + name
    return head + backup_stream.PAYLOAD.pack(len(payload), offset, 0) + payload


def end(path: str) -> bytes:
    return backup_stream.HEAD.pack(backup_stream.MAGIC, 0, ord("E"), len(path)) + path.encode()


STREAM = (
    chunk("ibdata1", b"\0" * 5000)
    + chunk("app/x_galera_info", b"no note: a table's")
    + chunk("mariadb_backup_galera_info", f"{UUID}:33 ".encode())
    + chunk("mariadb_backup_galera_info", b"1", 39)
    + end("mariadb_backup_galera_info")
    + chunk("mariadb_backup_binlog_info", b"binlog.000003\t1234\t1007-1-2,1-1-20\n")
    + chunk("mariadb_backup_checkpoints", b"backup_type = full-backuped\nfrom_lsn = 0\nto_lsn = 777\n")
)


@pytest.mark.parametrize("piece", [1, 7, 64, 100_000])
def test_the_notes_of_a_backup_are_taken_from_its_stream_however_that_is_cut(piece: int) -> None:
    notes = backup_stream.Notes()
    for at in range(0, len(STREAM), piece):
        notes.feed(STREAM[at : at + piece])
    found = backup_stream.position(notes, 1)
    assert found == backup_stream.Position(20, f"{UUID}:33", {"from": 0, "to": 777})


def test_a_backup_that_does_not_say_where_it_is_is_none() -> None:
    notes = backup_stream.Notes()
    notes.feed(chunk("mariadb_backup_binlog_info", b"binlog.000003\t1234\t1-1-20\n"))
    with pytest.raises(backup_stream.StreamError, match="does not say its position"):
        backup_stream.position(notes, 1)


def test_a_stream_of_another_form_is_refused() -> None:
    with pytest.raises(backup_stream.StreamError, match="not as this program knows it"):
        backup_stream.Notes().feed(b"something else altogether, and long enough")


# ---- chains


def test_logs_that_overlap_have_no_gap() -> None:
    found = chain.chain([Span(11, 20), Span(1, 10), Span(5, 15), Span(21, 30)])
    assert found == chain.Chain(1, 30)


def test_a_gap_is_seen_and_a_later_overlap_does_not_hide_it() -> None:
    found = chain.chain([Span(1, 10), Span(14, 20), Span(15, 30)])
    assert found == chain.Chain(1, 30, (Span(11, 13),))


def test_a_short_log_after_a_long_one_takes_nothing_back() -> None:
    assert chain.chain([Span(1, 100), Span(2, 3), Span(101, 110)]) == chain.Chain(1, 110)


PIECES = [Piece("binlog.000001", 10), Piece("binlog.000002", 10), Piece("binlog.000003", 25)]


def test_only_logs_with_something_new_are_archived() -> None:
    assert chain.wanted(PIECES, None) == PIECES
    assert [piece.file for piece in chain.wanted(PIECES, 10)] == ["binlog.000003"]
    assert chain.wanted(PIECES, 25) == []


@pytest.mark.parametrize(
    ("last", "until"),
    [(None, None), (5, None), (10, "binlog.000003"), (24, "binlog.000003"), (25, "binlog.000003")],
)
def test_no_log_is_removed_that_is_not_archived(last: int | None, until: str | None) -> None:
    # Once all is archived, as on the node that archives nearly always, only the newest one stays.
    assert chain.removable(PIECES, last) == until


def test_a_single_closed_log_stays() -> None:
    assert chain.removable(PIECES[:1], 10) is None
    assert chain.removable([], 10) is None


@pytest.mark.parametrize(
    ("oldest", "last", "covers"), [(0, None, True), (10, 10, True), (10, 9, False), (None, 3, True)]
)
def test_a_node_covers_the_archive_if_nothing_lies_between(
    oldest: int | None, last: int | None, covers: bool
) -> None:
    assert chain.covers(oldest, last) is covers


# ---- cadence


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "days"), [("week", 7), ("2 weeks", 14), ("1 day", 1), ("day", 1), ("6 hours", 0.25)]
)
def test_a_cadence_is_said_in_plain_words(text: str, days: float) -> None:
    assert cadence.every(text) == timedelta(days=days)


@pytest.mark.parametrize("text", ["", "0 days", "weekly", "1.5 days", "-1 day", "5 minutes"])
def test_what_is_no_cadence_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no cadence"):
        cadence.every(text)


def test_a_window_may_go_over_midnight() -> None:
    night = cadence.window("22:30-03:00")
    assert night == Window(22 * 60 + 30, 180)
    assert night is not None
    assert night.is_open(at("2026-11-28T23:00"))
    assert night.is_open(at("2026-11-29T02:59"))
    assert not night.is_open(at("2026-11-29T03:00"))
    assert not night.is_open(at("2026-11-28T22:29"))


def test_without_a_full_one_the_window_holds_nothing_up() -> None:
    rhythm = Rhythm(timedelta(days=7), timedelta(days=1), Window(60, 300))
    assert rhythm.due([], [], at("2026-11-28T14:00")) == "full"


def test_backups_do_not_creep_through_the_window() -> None:
    rhythm = Rhythm(timedelta(days=1), None, Window(60, 300))
    late = [at("2026-11-28T04:50")]
    assert rhythm.due(late, late, at("2026-11-29T00:59")) is None
    assert rhythm.due(late, late, at("2026-11-29T01:00")) == "full"


def test_an_incremental_is_due_between_two_full_ones() -> None:
    rhythm = Rhythm(timedelta(days=7), timedelta(days=1))
    full, last = [at("2026-11-22T01:00")], at("2026-11-27T01:00")
    assert rhythm.due(full, [*full, last], at("2026-11-28T00:59")) is None
    assert rhythm.due(full, [*full, last], at("2026-11-28T01:00")) == "incremental"
    assert rhythm.due(full, [*full, last], at("2026-11-29T01:00")) == "full"


def test_a_backup_is_late_with_some_patience() -> None:
    rhythm = Rhythm(timedelta(days=1))
    begun = at("2026-11-28T01:00")
    assert not rhythm.late(begun, at("2026-11-29T06:59"), full=True)
    assert rhythm.late(begun, at("2026-11-29T07:01"), full=True)
    window = Rhythm(timedelta(days=1), None, Window(60, 300))
    assert not window.late(begun, at("2026-11-30T00:59"), full=True)
    assert window.late(begun, at("2026-11-30T01:01"), full=True)


# ---- who archives

ALL = frozenset("abc")


@pytest.mark.parametrize(
    ("seen", "do"),
    [
        (Seen("b", synced=ALL, writer="a"), Do.CLAIM),
        (Seen("c", synced=ALL, writer="a", vacant=1), Do.NOTHING),
        (Seen("c", synced=ALL, writer="a", vacant=holder.TURN), Do.CLAIM),
        (Seen("a", synced=ALL, writer="a", vacant=30), Do.NOTHING),
        (Seen("a", synced=ALL, writer="a", vacant=holder.RELUCTANT), Do.CLAIM),
        (Seen("a", synced=frozenset("a"), writer="a"), Do.CLAIM),
        (Seen("b", synced=ALL, writer="a", covers=False), Do.NOTHING),
        (Seen("b", synced=ALL, writer="a", covers=False, vacant=holder.RELUCTANT), Do.CLAIM),
        (Seen("b", synced=frozenset("ac"), writer="a", vacant=999), Do.NOTHING),
        (Seen("b", synced=ALL, holder="c", vacant=999), Do.NOTHING),
        (Seen("b", holds=True, holder="b", synced=ALL, writer="a"), Do.NOTHING),
        (Seen("a", holds=True, holder="a", synced=ALL, writer="a"), Do.RELEASE),
        (Seen("a", holds=True, holder="a", synced=ALL, writer="a", busy=True), Do.NOTHING),
        (Seen("a", holds=True, holder="a", synced=frozenset("a"), writer="a"), Do.NOTHING),
        (Seen("b", holds=True, holder="b", synced=frozenset("ac")), Do.RELEASE),
    ],
)
def test_one_node_archives_and_not_the_writer_if_there_is_another(seen: Seen, do: Do) -> None:
    assert holder.decide(seen) is do


# ---- retention


def old(days: float, kind: str = "full", parent: str | None = None, timeline: str = "t") -> Kept:
    begun = NOW - timedelta(days=days)
    return Kept(timeline, f"{days}", kind, parent, begun, int(1000 - days * 10), begun)


def test_nothing_goes_that_a_kept_base_needs() -> None:
    bases = [
        old(40),
        old(33),
        old(32, "incremental", "33"),
        old(31, "incremental", "32"),
        old(29, "incremental", "31"),
        old(26),
    ]
    stays = retention.kept(bases, Keep(30, 1), NOW)
    # 29 days ago is asked for, so that all its parents stay; nothing needs the full one of 40 days.
    assert {name for _, name in stays} == {"33", "32", "31", "29", "26"}
    logs = [("t", Span(1, 669)), ("t", Span(670, 675)), ("t", Span(676, 990))]
    goes = retention.doomed(bases, logs, ["t"], "t", Keep(30, 1), NOW)
    assert goes.bases == (("t", "40"),)
    assert goes.logs == (("t", Span(1, 669)),)


def test_the_days_can_be_reached_from_their_first_moment_on() -> None:
    bases = [old(50), old(35), old(25)]
    assert {name for _, name in retention.kept(bases, Keep(30, 1), NOW)} == {"35", "25"}


def test_however_old_so_many_full_ones_stay() -> None:
    bases = [old(300), old(200), old(100)]
    assert {name for _, name in retention.kept(bases, Keep(7, 2), NOW)} == {"200", "100"}


def test_a_former_timeline_goes_as_a_whole_once_none_of_its_bases_is_kept() -> None:
    bases = [old(100, timeline="former"), old(40), old(1), old(2)]
    goes = retention.doomed(bases, [("former", Span(1, 2))], ["former", "t"], "t", Keep(30, 2), NOW)
    assert goes == retention.Doomed(timelines=("former",))


def test_the_days_of_a_former_timeline_can_be_reached_though_its_bases_are_older() -> None:
    """Backups far apart, and a restore yesterday: what was before that can still be asked for."""
    bases = [old(45, timeline="former"), old(35, timeline="former"), old(1)]
    logs = [("former", Span(640, 990))]
    goes = retention.doomed(bases, logs, ["former", "t"], "t", Keep(30, 1), NOW)
    assert goes == retention.Doomed(bases=(("former", "45"),))
    long_over = [old(50, timeline="former"), old(40), old(1)]
    goes = retention.doomed(long_over, [], ["former", "t"], "t", Keep(30, 1), NOW)
    assert goes.timelines == ("former",)


def test_a_base_whose_data_has_gone_takes_no_other_s_place() -> None:
    """A rule of the bucket's own, or a person, has deleted it: of it alone nothing can be restored."""
    bases = [old(50), old(45), replace(old(40), whole=False), old(35, "incremental"), old(20)]
    goes = retention.doomed(bases, [], ["t"], "t", Keep(30, 2), NOW)
    assert goes.bases == (("t", "50"),)
    without = [old(100), replace(old(35), whole=False), replace(old(20), whole=False)]
    goes = retention.doomed(without, [], ["t"], "t", Keep(30, 1), NOW)
    assert not goes, "the only one of which all is there"
    former = [old(100, timeline="former"), replace(old(1), whole=False)]
    assert not retention.doomed(former, [], ["former", "t"], "t", Keep(30, 1), NOW)


def test_the_newest_log_stays_for_it_says_how_far_the_archive_is() -> None:
    logs = [("t", Span(1, 5)), ("t", Span(6, 9))]
    goes = retention.doomed([old(1)], logs, ["t"], "t", Keep(30, 1), NOW)
    assert goes.logs == (("t", Span(1, 5)),)


def test_nothing_of_before_goes_until_the_present_timeline_has_a_base() -> None:
    bases = [old(100, timeline="former"), old(200, timeline="former")]
    assert not retention.doomed(bases, [], ["former", "t"], "t", Keep(1, 1), NOW)


# ---- what a node is told


def test_without_the_file_there_is_no_plan(tmp_path: Path) -> None:
    assert plan.read("galera", tmp_path / "backup.json") is None


def test_the_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "backup.json"
    file.write_text(json.dumps(PLAN))
    found = plan.read("galera", file)
    assert found is not None
    assert found.place.root == "prod/galera"
    assert found.rhythm == Rhythm(timedelta(days=7), timedelta(days=1))
    assert found.keep == Keep(30, 2)


@pytest.mark.parametrize(
    "text", ["{", "[]", json.dumps(PLAN | {"full": "never"}), json.dumps(PLAN | {"recipients": []}), "{}"]
)
def test_a_file_that_is_not_understood_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "backup.json"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"backup\.json is not what this image knows"):
        plan.read("galera", file)


def test_a_node_s_own_domain_follows_from_its_name_alone() -> None:
    assert plan.own_domain("galera-1") == plan.own_domain("galera-1") != plan.own_domain("galera-2")
    assert plan.LEAST_OWN_DOMAIN <= plan.own_domain("galera-1") < 1 << 32


def test_the_option_file_has_binary_logs_only_where_they_are_archived() -> None:
    node = config.NodeConfig("galera-1", "galera", "10.20.0.5")
    without, with_logs = config.render(node), config.render(replace(node, logs=True))
    assert "log_bin" not in without
    server = with_logs.partition("[mariabackup]")[0].splitlines()
    for line in ("log_bin = binlog", "sync_binlog = 1", "log_slave_updates = ON", "wsrep_gtid_mode = ON"):
        assert line in server
    # Never by time: what is not archived must not go.
    assert "binlog_expire_logs_seconds = 0" in server
    assert [line for line in with_logs.splitlines() if line not in server + without.splitlines()] == []


# ---- what is said

FOUND = plan.of(PLAN, "galera")


def known(*bases: Base, **archive: object) -> Known:
    made = Archive(timeline=TIMELINE, node="b", first=1, last=30, reach=manifest.said(NOW))
    return Known(
        archiver="b",
        archive=replace(made, **archive),  # type: ignore[arg-type]
        bases=tuple(Backup.of(each) for each in bases),
    )


def wrong(found: Known, now: datetime = NOW) -> list[str]:
    return [sentence.what for sentence in judgement.judge(FOUND, found, TIMELINE, now) if not sentence.ok]


def test_all_is_well_with_a_young_backup_and_logs() -> None:
    assert wrong(known(base())) == []


def test_a_missing_backup_is_loud() -> None:
    assert wrong(known()) == ["a full backup that is young enough", "a backup that is young enough"]


def test_a_backup_of_a_former_timeline_is_none_of_the_cluster_s() -> None:
    found = known(base(timeline=f"{UUID}.former"))
    assert "a full backup that is young enough" in wrong(found)
    (told, *_) = judgement.judge(FOUND, found, TIMELINE, NOW)
    assert told.found == "there is none of the cluster as it is; 1 of former timelines"
    assert told.remedy


def test_an_old_backup_is_loud() -> None:
    now = NOW + timedelta(days=2)
    assert wrong(known(base(), reach=manifest.said(now)), now) == ["a backup that is young enough"]
    now = NOW + timedelta(days=9)
    assert "a full backup that is young enough" in wrong(known(base(), reach=manifest.said(now)), now)


def test_a_failed_backup_is_loud_though_the_one_before_is_young() -> None:
    found = known(base(), tried=manifest.said(NOW), failed="disk full")
    assert wrong(found) == ["the last try of a backup succeeded"]


def test_one_that_is_made_after_another_has_failed_is_not_said_to_have_failed_itself() -> None:
    running = "20261128T143210Z-full"
    found = known(base(), tried=manifest.said(NOW), failed="broken off: this node stops", running=running)
    (told,) = [each for each in judgement.judge(FOUND, found, TIMELINE, NOW) if not each.ok]
    assert told.found == (
        "one failed: broken off: this node stops; another one is being made, since 2026-11-28T14:32:10Z"
    )
    assert "wait" in told.remedy


def test_logs_that_lag_behind_are_loud() -> None:
    late = manifest.said(NOW - timedelta(minutes=8))
    assert wrong(known(base(), reach=late)) == ["binary logs are archived as they are written"]
    assert wrong(known(base(), reach="")) == ["binary logs are archived as they are written"]


def test_a_gap_is_loud_until_a_backup_is_behind_it() -> None:
    gap = {"gap": Span(21, 24)}
    assert wrong(known(base(), **gap)) == ["no transaction is missing in the archive"]
    behind = base(name="20261128T150000Z-full", gtid={"start": 24, "end": 24})
    assert wrong(known(base(), behind, **gap)) == []


def test_a_retention_that_deletes_nothing_is_loud() -> None:
    assert wrong(known(base(), kept="another cluster")) == ["the retention lets go what need not be kept"]


def test_what_is_wrong_has_a_remedy() -> None:
    found = known(base(), tried="x", failed="y", reach="", gap=Span(21, 24), kept="z")
    sentences = judgement.judge(FOUND, found, TIMELINE, NOW + timedelta(days=9))
    assert [sentence.ok for sentence in sentences] == [False] * 6
    assert all(sentence.remedy for sentence in sentences)


# ---- records


def entry(value: str, own: bool = False) -> Entry:
    return Entry(value, 1, own)


def test_records_come_back_from_the_store() -> None:
    backup = Backup.of(base())
    archive = Archive(timeline=TIMELINE, node="b", last=30, gap=Span(3, 4))
    found = records.known(
        {
            records.key(backup): entry(records.dumps(backup)),
            "archive": entry(archive.dumps()),
            "archiver": entry("b", own=True),
            "backup-wanted": entry(records.Wanted("x", "full").dumps()),
            "logging/b": entry(""),
        }
    )
    assert found == Known("b", True, archive, (backup,), records.Wanted("x", "full"), frozenset("b"))


@pytest.mark.parametrize("text", ["", "[]", "{}", "\0", '{"name": 1}', '{"last": {}}'])
def test_a_damaged_record_ends_nothing(text: str) -> None:
    keys = ("archive", "backup-wanted", f"backups/{TIMELINE}/20261128T143210Z-full", "archiver")
    found = records.known({key: entry(text) for key in keys})
    assert found.bases == ()


@pytest.mark.parametrize(("size", "part"), [(0, 16), (10**9, 16), (10**12, 106), (5 * 10**12, 530)])
def test_a_large_backup_has_larger_parts_but_not_more_than_a_store_takes(
    tmp_path: Path, size: int, part: int
) -> None:
    made = bucket.Bucket(FOUND.target, "KEYID", "TOPSECRET", tmp_path / "run")
    words = made.upload("a/b", size)
    assert words[words.index("--s3-chunk-size") + 1] == f"{part}M"
    assert part * (1 << 20) * 10_000 > size
    assert not any("TOPSECRET" in word or "KEYID" in word for word in words)
    assert (tmp_path / "run" / "rclone.conf").stat().st_mode & 0o777 == 0o600


def test_rclone_s_reason_is_told_in_one_line() -> None:
    said = "2026/11/28 NOTICE: x\n2026/11/28 14:00:00 ERROR : a: AccessDenied: no\n"
    assert bucket.brief(said) == "a: AccessDenied: no"
    assert bucket.brief("") == "rclone has said nothing"
    said = (
        "age: error: malformed recipient\nage: report unexpected or unhelpful errors at https://age.example\n"
    )
    assert bucket.brief(said) == "age: error: malformed recipient"
    said = "2026/11/28 14:00:00 Failed to cat: RequestError: send failed\ncaused by: Get: x509: unknown\n"
    assert bucket.brief(said) == "Failed to cat: RequestError: send failed caused by: Get: x509: unknown"

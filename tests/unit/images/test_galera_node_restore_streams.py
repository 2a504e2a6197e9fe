"""Objects of the archive on their way: the key, checksums, programs that fail; and what is said of tables.

age is played by a script that takes one key; zstd is the machine's. Real ones are in tests/images.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from images.galera.galera_node import accounts
from images.galera.galera_node.restore import report, sources, streams, tables
from images.galera.galera_node.restore.catalog import Base, Log
from images.galera.galera_node.restore.people import as_now
from images.galera.galera_node.restore.plan import Lost, Plan
from images.galera.galera_node.restore.sources import Fetched, Framed, send
from images.galera.galera_node.restore.streams import StreamError
from images.galera.galera_node.restore.tables import Sums, TablesError
from images.galera.galera_node.restore.target import Latest
from images.galera.galera_node.settings import Settings
from images.galera.galera_node.store import Entry

pytestmark = pytest.mark.unit

KEY = "AGE-SECRET-KEY-1QQQQQ"
NOW = datetime(2026, 11, 30, 5, tzinfo=UTC)
AGE = """#!/bin/bash
# age --decrypt --identity FILE: the head of what it reads is the key it is for.
[[ $(<"$3") == *KEY* ]] || {{ echo "age: error: no identity matched any of the recipients" >&2; exit 1; }}
echo "$@" >> {folder}/arguments; env >> {folder}/environment
exec cat
"""


class Kept:
    """Objects in memory."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = objects

    def pieces(self, key: str) -> Generator[bytes, None, None]:
        data = self.objects[key]
        for at in range(0, len(data), 1000):
            yield data[at : at + 1000]


def log_of(stored: bytes, **other: Any) -> Log:
    sha256 = hashlib.sha256(stored).hexdigest()
    made = Log("key", "line", "11.8.9", 1, 51, 60, NOW, NOW, 10, len(stored), sha256)
    return replace(made, **other)


@pytest.fixture
def age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "age"
    program.write_text(AGE.format(folder=tmp_path).replace("KEY", KEY))
    program.chmod(0o755)
    monkeypatch.setattr(streams, "AGE", str(program))
    return tmp_path


def packed(content: bytes) -> bytes:
    return subprocess.run(["/usr/bin/zstd", "-qc"], input=content, capture_output=True, check=True).stdout


# ---- the private key


def test_an_identity_may_have_comments_and_more_than_one_line() -> None:
    assert streams.identity(f"# created: today\n# public key: age1x\n{KEY}\n\n") == f"{KEY}\n"
    assert streams.identity(f"{KEY}\n{KEY}2\n") == f"{KEY}\n{KEY}2\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "No private key was given"),
        ("# nothing but words\n", "No private key was given"),
        ("age1qqqq", "is no identity of age"),
        ("-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n", "must be decrypted first"),
        (f"{KEY}\n" * 4000, "longer than"),
    ],
)
def test_what_is_no_identity_is_refused_without_showing_it(text: str, words: str) -> None:
    with pytest.raises(StreamError, match=words) as raised:
        streams.identity(text)
    assert "QQQQ" not in str(raised.value)


def test_an_object_comes_through_and_the_key_is_seen_by_nobody_else(age: Path) -> None:
    content = b"binlog" * 100_000
    stored = packed(content)
    told: list[tuple[str, int, int]] = []
    streams.into_file(
        Kept(key=stored), log_of(stored), f"{KEY}\n", age / "out", lambda *said: told.append(said)
    )
    assert (age / "out").read_bytes() == content
    assert told[-1] == ("key", len(stored), len(stored))
    assert "--identity /dev/fd/" in (age / "arguments").read_text()
    assert KEY not in (age / "arguments").read_text() + (age / "environment").read_text()


@pytest.mark.parametrize(
    ("stored", "sha256", "key", "words"),
    [
        pytest.param(
            packed(b"x"), None, "AGE-SECRET-KEY-1OTHER\n", "encrypted for another key", id="wrong key"
        ),
        pytest.param(
            packed(b"x"), "0" * 64, f"{KEY}\n", "is damaged: its SHA-256 is", id="changed on its way"
        ),
        pytest.param(packed(b"x")[:-2], "0" * 64, f"{KEY}\n", "is damaged", id="cut off"),
        pytest.param(
            b"no zstd at all", None, f"{KEY}\n", "can't be unpacked: zstd ended with", id="not packed"
        ),
        pytest.param(b"", None, f"{KEY}\n", "can't be unpacked", id="empty"),
    ],
)
def test_an_object_that_is_not_what_it_should_be_is_one_clear_error(
    age: Path, stored: bytes, sha256: str | None, key: str, words: str
) -> None:
    log = log_of(stored, **({} if sha256 is None else {"sha256": sha256}))
    with pytest.raises(StreamError, match=words) as raised:
        streams.into_file(Kept(key=stored), log, key, age / "out")
    assert "QQQQ" not in str(raised.value)


def test_a_wrong_key_is_noticed_by_the_head_of_an_object_alone(age: Path) -> None:
    stored = packed(b"x" * 5_000_000)
    read: list[int] = []

    class Counted(Kept):
        def pieces(self, key: str) -> Generator[bytes, None, None]:
            for piece in super().pieces(key):
                read.append(len(piece))
                yield piece

    big = bytes(1_000_000)
    streams.readable(Counted(key=big), log_of(big), f"{KEY}\n")
    assert sum(read) < 400_000
    with pytest.raises(StreamError, match="for another key"):
        streams.readable(Kept(key=stored), log_of(stored), "AGE-SECRET-KEY-1OTHER\n")


def test_a_program_that_never_ends_with_the_key_is_an_error_and_no_traceback(
    age: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (age / "slow").write_text("#!/bin/bash\nexec sleep 60\n")
    (age / "slow").chmod(0o755)
    monkeypatch.setattr(streams, "AGE", str(age / "slow"))
    monkeypatch.setattr(streams, "PATIENCE", 0.2)
    stored = packed(b"x")
    with pytest.raises(StreamError, match="has not tried the key"):
        streams.readable(Kept(key=stored), log_of(stored), f"{KEY}\n")


def test_a_base_is_unpacked_where_it_is_to_be(age: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpack = age / "mbstream"
    unpack.write_text('#!/bin/bash\n[[ $1 == -x && $2 == -C ]] || exit 9\ncat > "$3/base"\n')
    unpack.chmod(0o755)
    monkeypatch.setattr(streams, "MBSTREAM", str(unpack))
    stored = packed(b"rows")
    streams.into_folder(Kept(key=stored), log_of(stored), f"{KEY}\n", age)
    assert (age / "base").read_bytes() == b"rows"
    unpack.write_text("#!/bin/bash\ncat >/dev/null\necho 'No space left on device' >&2\nexit 1\n")
    with pytest.raises(StreamError, match="does not fit on the disk"):
        streams.into_folder(Kept(key=stored), log_of(stored), f"{KEY}\n", age)


# ---- where objects come from


def test_a_store_that_does_not_answer_is_an_error_with_its_words() -> None:
    fails = Fetched(lambda key: ["/bin/sh", "-c", f"echo half; echo {key} refused >&2; exit 3"], str.strip)
    with pytest.raises(StreamError, match="a/b can't be fetched: a/b refused"):
        list(fails.pieces("a/b"))
    works = Fetched(lambda key: ["/bin/echo", key], str.strip)
    assert b"".join(works.pieces("a/b")) == b"a/b\n"


def test_objects_reach_a_server_without_a_network_in_the_order_of_the_plan() -> None:
    made = Base("base", "line", "n", "full", None, "a", "11.8.9", NOW, NOW, 1, 48, 50, 1000, 100, "d2")
    plan = Plan(Latest(), "line", 1, (made,), (log_of(b""),), 60, Lost())
    out = io.BytesIO()
    sources.head(out, plan, "[mysqld]\ninnodb_page_size = 8k\n")
    send(Kept(base=b"b" * 2500, key=b""), [each.key for each in plan.objects], out)
    stream = io.BytesIO(out.getvalue())
    assert sources.plan_from(stream) == (plan, "[mysqld]\ninnodb_page_size = 8k\n")
    framed = Framed(stream)
    assert b"".join(framed.pieces("base")) == b"b" * 2500
    assert b"".join(framed.pieces("key")) == b""


def test_a_sender_that_ends_early_or_fails_is_not_taken_for_the_end() -> None:
    out = io.BytesIO()
    send(Kept(base=b"b" * 2500), ["base"], out)
    for length in range(0, len(out.getvalue()), 97):
        with pytest.raises(StreamError):
            list(Framed(io.BytesIO(out.getvalue()[:length])).pieces("base"))
    with pytest.raises(StreamError, match="key was to come, and base came"):
        list(Framed(io.BytesIO(out.getvalue())).pieces("key"))

    class Broken:
        def pieces(self, key: str) -> Generator[bytes, None, None]:
            yield b"half"
            raise StreamError("the store has gone")

    out = io.BytesIO()
    with pytest.raises(StreamError):
        send(Broken(), ["base", "key"], out)
    with pytest.raises(StreamError, match="the store has gone"):
        list(Framed(io.BytesIO(out.getvalue())).pieces("base"))
    with pytest.raises(StreamError, match="is no plan"):
        sources.plan_from(io.BytesIO(sources.LENGTH.pack(2) + b"{}"))


# ---- accounts


def stored(settings: Settings, *left_out: str) -> list[tuple[str, str, str]]:
    """The stack's accounts with a former password, as `accounts.STORED` has them."""
    old = '{"authentication_string":"*' + "0" * 40 + '"}'
    every = [(each.user, each.host, old) for each in accounts.with_passwords(settings)]
    return [row for row in [*every, ("root", "%", "{}")] if row[0] not in left_out]


def test_restored_accounts_get_the_passwords_of_today(settings: Settings) -> None:
    said = as_now(settings, stored(settings))
    changed = [parameters[:2] for statement, parameters in said if statement.startswith("ALTER USER")]
    assert {user for user, _ in changed} == {"root", "monitor", "app"}
    assert not [statement for statement, _ in said if statement.startswith(("CREATE USER", "GRANT"))]
    assert said[-1][0].endswith("ACCOUNT UNLOCK")


def test_accounts_that_a_backup_lacks_are_made_with_their_rights(settings: Settings) -> None:
    said = as_now(settings, stored(settings, "monitor", "app"))
    made = {parameters[0] for statement, parameters in said if statement.startswith("CREATE USER")}
    granted = {parameters[0] for statement, parameters in said if statement.startswith("GRANT")}
    assert made == {"monitor", "app"}
    assert granted == {"app"}
    assert ("CREATE DATABASE IF NOT EXISTS `app`", ()) in said
    everybody = as_now(settings, [])
    created = [parameters[:2] for statement, parameters in everybody if statement.startswith("CREATE USER")]
    assert ("root", "localhost") in created
    assert len(created) == len(set(created)) == 5


# ---- tables and the report


def test_equal_tables_differ_in_nothing() -> None:
    sums = Sums(95, {"app.word": (3, 17), "app.empty": (0, 0)})
    assert tables.differences(sums, sums) == []
    assert sums.rows == 3
    assert tables.sums_from(json.loads(json.dumps(sums.as_json()))) == sums


@pytest.mark.parametrize(
    ("restored", "said"),
    [
        ({"app.word": (3, 18)}, ["app.word: rows differ"]),
        ({"app.word": (2, 11)}, ["app.word: 3 rows in the cluster, 2 restored"]),
        ({}, ["app.word: not in the restored data (3 rows in the cluster)"]),
        ({"app.word": (3, 17), "app.more": (1, 1)}, ["app.more: only in the restored data"]),
    ],
)
def test_each_difference_is_a_line(restored: dict[str, tuple[int, int]], said: list[str]) -> None:
    assert tables.differences(Sums(95, {"app.word": (3, 17)}), Sums(95, restored)) == said


def test_tables_at_two_positions_are_not_compared() -> None:
    assert tables.differences(Sums(95), Sums(96)) == ["compared at two positions, 95 and 96"]
    every: list[Any] = [{}, {"number": 1}, {"number": 1, "tables": {"a": [1]}}, [], None]
    for broken in every:
        with pytest.raises(TablesError):
            tables.sums_from(broken)


class Asked:
    """A node that answers by the beginning of what it is asked."""

    def __init__(self, **answers: list[tuple[Any, ...]]) -> None:
        self.answers, self.asked = answers, list[str]()

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        self.asked.append(statement)
        return next((rows for words, rows in self.answers.items() if words in statement), [])


PLACE = [("Binlog_snapshot_file", "binlog.000007"), ("Binlog_snapshot_position", "4711")]


def test_the_cluster_is_summed_up_from_one_snapshot_whose_position_is_known() -> None:
    node = Asked(
        binlog_snapshot=PLACE,
        BINLOG_GTID_POS=[("1-1-95,1007-1-3",)],
        TABLE_SCHEMA=[("app", "wo`rd"), ("swarm_galera_check_1f", "here")],
        CHECKSUM=[("app.wo`rd", 17)],
        COUNT=[(3,)],
    )
    assert tables.of_cluster(node, 1, lambda _text: None) == Sums(95, {"app.wo`rd": (3, 17)})
    assert "CHECKSUM TABLE `app`.`wo``rd` EXTENDED" in node.asked
    snapshot = node.asked.index("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    assert snapshot < min(at for at, said in enumerate(node.asked) if "CHECKSUM" in said)
    assert node.asked[-1] == "ROLLBACK"


def test_what_cant_be_summed_up_is_no_good_drill() -> None:
    with pytest.raises(TablesError, match="no binary logs"):
        tables.of_cluster(Asked(), 1, lambda _text: None)
    node = Asked(
        binlog_snapshot=PLACE,
        BINLOG_GTID_POS=[("1-1-95",)],
        TABLE_SCHEMA=[("app", "word")],
        CHECKSUM=[("app.word", None)],
    )
    with pytest.raises(TablesError, match=r"app\.word can't be read"):
        tables.of_cluster(node, 1, lambda _text: None)
    assert node.asked[-1] == "ROLLBACK"


VALUES = {
    "base": "20261128T120000Z-full",
    "timeline": "line",
    "position": "1-1-95",
    "logs": 2,
    "tables": 1,
    "rows": 3,
    "seconds": 61.0,
    "restoring": 40.0,
    "by": "a person",
    "later": "passed over",
}


def entries(made: report.Report) -> dict[str, Entry]:
    return {key: Entry(put.value, 1) for key, put in report.puts(made).items()}


def test_a_good_drill_is_the_last_one_and_the_last_good_one() -> None:
    good = report.made(VALUES, [], NOW)
    assert good.good
    assert "1 tables with 3 rows, equal" in good.told()
    known = report.known(entries(good))
    assert known["last"] == known["good"]
    assert known["last"] is not None
    assert known["last"]["equal"]


@pytest.mark.parametrize("failed", ["", "the store has gone"])
def test_one_that_is_not_leaves_the_last_good_one_as_it_was(failed: str) -> None:
    good = entries(report.made(VALUES, [], NOW))
    differs = [] if failed else ["app.word: rows differ"]
    bad = report.made({**VALUES, "failed": failed}, differs, NOW)
    assert not bad.good
    assert ("NOT equal: app.word: rows differ" in bad.told()) != bool(failed)
    known = report.known(good | entries(bad))
    assert known["last"] is not None
    assert not known["last"]["equal"]
    assert known["good"] is not None
    assert known["good"]["equal"]


def test_many_differences_are_counted() -> None:
    made = report.made(VALUES, [f"app.t{number}: rows differ" for number in range(50)], NOW)
    assert len(made.differs) == report.TOLD + 1
    assert made.differs[-1] == "and 30 more"


def test_without_a_drill_none_is_known() -> None:
    assert report.known({}) == {"last": None, "good": None}
    assert report.known({report.LAST: Entry("{}", 1)}) == {"last": None, "good": None}

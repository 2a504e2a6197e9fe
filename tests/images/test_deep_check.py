"""The deep check against real nodes, while clients write on each of them.

Owned here: that it finds every difference and none that is not there, that it gives way to changes of
definitions, and leaves nothing behind. Left to others: its SQL text (unit/operations/deep/test_deep_sums.py),
what `verify` makes of the findings (tests/unit/operations/deep/test_deep_verify.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import signal
import subprocess
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any

import pytest

from harness.image_containers import Container, wait_for
from harness.image_roots import image_root
from operations.deep import check, rows, sessions
from operations.deep.check import Outcome
from operations.deep.one_position import HELD, PREFIX, OnePosition
from operations.deep.sessions import CLIENT, LONGEST_LINE, Client, Opener, Session, SessionLost, SqlError
from operations.errors import OperationsError
from tests.images.galera_site import GaleraSite, formed, server_pid, sql, start

ACCOUNTS = 400
WRITERS = 6
TABLES = (
    """
CREATE TABLE app.account (
  id INT PRIMARY KEY, balance INT NOT NULL, owner VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_german1_ci);
CREATE TABLE app.journal (
  id BIGINT AUTO_INCREMENT PRIMARY KEY, writer INT, note VARCHAR(30), amount DECIMAL(12,4),
  at TIMESTAMP(6) DEFAULT NOW(6), KEY (writer));
CREATE TABLE app.keyless (n INT, word VARCHAR(20));
CREATE TABLE app.odd_types (
  region CHAR(2), code VARBINARY(8), part DATETIME(3),
  f FLOAT, d DOUBLE, b BIT(9), e ENUM('x','y','z'), s SET('p','q'), j JSON, g POINT, u UUID, i INET6, t TEXT,
  l LONGBLOB,
  y YEAR, twice INT AS (y * 2) VIRTUAL, stored INT AS (y * 2) STORED, hidden INT INVISIBLE DEFAULT 7,
  PRIMARY KEY (region, code, part), KEY (y));
CREATE TABLE app.by_enum (e ENUM('b','a') PRIMARY KEY, n INT);
CREATE TABLE app.kept (id INT PRIMARY KEY, n INT) WITH SYSTEM VERSIONING;
CREATE TABLE app.`a ``b//c` (id INT PRIMARY KEY);
CREATE SEQUENCE app.numbers START WITH 5 INCREMENT BY 0 CACHE 0;
CREATE VIEW app.rich AS SELECT * FROM app.account WHERE balance > 100;
CREATE PROCEDURE app.two() SELECT 1;
CREATE TRIGGER app.noted BEFORE INSERT ON app.by_enum FOR EACH ROW SET NEW.n = NEW.n;
CREATE VIEW app.broken AS SELECT * FROM app.by_enum;
CREATE EVENT app.never ON SCHEDULE AT '2037-01-01' DISABLE DO SELECT 1;
CREATE USER 'reader'@'%' IDENTIFIED BY 'secret';
GRANT SELECT (balance), INSERT ON app.account TO 'reader'@'%';
GRANT EXECUTE ON PROCEDURE app.two TO 'reader'@'%';
"""
    + "".join(
        f"INSERT INTO app.account SELECT seq, 100, CONCAT('Gru\\u00df ', seq) FROM seq_{n}_to_{n + 99};\n"
        for n in range(1, ACCOUNTS, 100)
    )
    + """
INSERT INTO app.keyless SELECT seq % 7, 'same' FROM seq_1_to_50;
INSERT INTO app.odd_types (region, code, part, f, d, b, e, s, j, g, u, i, t, l, y)
  SELECT ELT(1 + seq % 3, 'de', 'DK', ''), UNHEX(HEX(seq * 7919)), '2026-01-01' + INTERVAL seq HOUR, seq / 3,
    seq / 7, seq, 1 + seq % 3, 'p', JSON_OBJECT('n', seq), POINT(seq, 1),
    CONCAT('00000000-0000-0000-0000-', LPAD(seq, 12, '0')), CONCAT('fe80::', seq), REPEAT('x', seq),
    UNHEX('00ff27225c0a'), 2000 + seq % 50 FROM seq_1_to_300;
INSERT INTO app.by_enum VALUES ('a', 1), ('b', 2);
INSERT INTO app.kept SELECT seq, seq FROM seq_1_to_20;
UPDATE app.kept SET n = n + 1;
"""
)


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Container]]:
    with GaleraSite({name: image_root(name) for name in ("etcd", "galera")}) as site:
        site.start_store()
        made = start(site, 1, 2, 3)
        formed(made)
        for statement in TABLES.split(";\n"):
            if statement.strip():
                sql(made[0], f"USE app; {statement}")
        for node in made:
            wait_for(
                lambda node=node: sql(node, "SELECT COUNT(*) FROM app.kept WHERE n = id + 1") == "20",  # type: ignore[misc]
                "the tables",
            )
        yield made


def opener(nodes: list[Container]) -> Opener:
    """Clients as the system's user in the nodes' containers."""
    by_name = {node.name: node for node in nodes}

    async def opened(name: str) -> Client:
        node = by_name[name]
        process = await asyncio.create_subprocess_exec(
            *("nsenter", "--target", str(node.init_pid()), "--mount", "--pid", "--net"),
            *(
                "chroot",
                f"--userspec={node.user}",
                str(node.root),
                "/usr/bin/env",
                "-i",
                "PATH=/usr/bin:/bin",
            ),
            *("sh", "-c", f"exec {' '.join(CLIENT)} 2>&1"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
        )
        assert process.stdin is not None
        assert process.stdout is not None

        transport = process._transport  # type: ignore[attr-defined]
        started: subprocess.Popen[bytes] = transport.get_extra_info("subprocess")

        def end() -> None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            transport.close()
            # The loop may end before it has heard of the process's end.
            started.wait()

        return Client(process.stdin, process.stdout, end)

    return opened


async def writer(session: Session, seed: int, done: list[int]) -> None:
    """A client that never pauses: transfers, new rows, deleted rows.

    Mostly on rows of its own, else the nodes' clients would do little but end one another's transactions.
    """
    chance = random.Random(seed)
    # A scan then locks only the rows that it changes.
    await session.ask("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    while True:
        one, other = (seed + WRITERS * chance.randrange(ACCOUNTS // WRITERS) + 1 for _ in range(2))
        year = 2000 + seed + WRITERS * chance.randrange(50 // WRITERS)
        statements = [
            "START TRANSACTION",
            f"UPDATE app.account SET balance = balance - 1 WHERE id = {one}",
            f"UPDATE app.account SET balance = balance + 1 WHERE id = {other}",
            f"INSERT INTO app.journal (writer, note, amount) VALUES ({seed}, '{one} to {other}', RAND())",
            f"DELETE FROM app.journal WHERE writer = {seed} AND RAND() < 0.9 LIMIT 1",
            f"REPLACE INTO app.kept VALUES ({seed}, {one})",
            f"UPDATE app.odd_types SET f = RAND(), l = REPEAT('{one}', {other}) WHERE y = {year}",
            "COMMIT",
        ]
        if chance.random() < 0.05:  # without a key it locks all rows
            statements.insert(1, f"UPDATE app.keyless SET n = {chance.randrange(9)} ORDER BY RAND() LIMIT 1")
        try:
            await session.ask(*statements)
            done.append(seed)
        except SqlError:  # a conflict with another node's client
            await session.ask("ROLLBACK")


@contextlib.asynccontextmanager
async def clients(nodes: list[Container]) -> AsyncIterator[list[int]]:
    """Writers on every node; yields a list that grows with each transaction."""
    opened = opener(nodes)
    done: list[int] = []
    sessions = await asyncio.gather(
        *(Session.opened(nodes[seed % len(nodes)].name, opened) for seed in range(WRITERS))
    )
    tasks = [asyncio.create_task(writer(session, seed, done)) for seed, session in enumerate(sessions)]
    try:
        while len(set(done)) < len(tasks) and not any(task.done() for task in tasks):
            await asyncio.sleep(0.05)
        yield done
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for session in sessions:
            session.end()
        assert all(isinstance(how, asyncio.CancelledError) for how in ended), ended


said: list[str] = []


@pytest.fixture(autouse=True)
def heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user is told is in `said`, too."""

    def say(text: str) -> None:
        said.append(text)
        print(text, flush=True)

    monkeypatch.setattr(sessions, "say", say)


async def compared(nodes: list[Container]) -> Outcome:
    said.clear()
    return await check.compare([node.name for node in nodes], opener(nodes))


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def on_one(node: Container, *statements: str) -> None:
    """A change that only this node has."""
    sql(node, "; ".join(["SET SESSION wsrep_on = OFF", *statements]))


def nothing_left(nodes: list[Container]) -> None:
    for node in nodes:
        assert PREFIX not in sql(node, "SHOW DATABASES")
        waits = (
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for table meta%'"
        )
        assert sql(node, waits) == "0"


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many pieces and many common positions in little time."""
    monkeypatch.setattr(rows, "ROWS", 20)
    monkeypatch.setattr(rows, "MOST_ROWS", 60)
    monkeypatch.setattr("operations.deep.one_position.LONGEST_AGE", 0.0)


def test_there_is_no_alarm_however_much_is_written(nodes: list[Container], small_pieces: None) -> None:
    async def story() -> None:
        async with clients(nodes) as done:
            for _ in range(4):
                before = len(done)
                outcome = await compared(nodes)
                assert (outcome.odd, outcome.changed) == ([], [])
                assert outcome.tables >= 7
                assert outcome.rows > ACCOUNTS + 300 + 50
                assert outcome.whole == ["app.by_enum", "app.keyless"]
                # They wrote all the time, and it was looked at many positions.
                assert len(done) > before
                assert outcome.pauses >= 3
                assert outcome.positions[1] > outcome.positions[0]

    run(story())
    nothing_left(nodes)


def test_two_looks_at_the_same_moment_but_not_at_one_position_would_differ(nodes: list[Container]) -> None:
    """What the nodes' standing still is for: without it, the load of these tests gives false alarms."""

    async def story() -> None:
        async with clients(nodes), OnePosition([node.name for node in nodes], opener(nodes)) as at:
            query = "SELECT SUM(CRC32(CONCAT(id, balance))) FROM app.account"
            apart = together = 0
            for _ in range(12):
                await at.release()
                told = await at.ask_all("START TRANSACTION WITH CONSISTENT SNAPSHOT", query)
                apart += len({answer[1][0] for answer in told.values()}) > 1
                await at.stand_still()
                told = await at.ask_all(query)
                together += len({answer[0][0] for answer in told.values()}) > 1
            assert apart > 0
            assert together == 0

    run(story())


ALONE: dict[str, tuple[str, str, str]] = {
    # table: like which it is made, what one node does to it, what is said of where
    "value": (
        "account",
        "UPDATE app.{} SET balance = 101 WHERE id = 77",
        "pieces differ, first at id > 76 and id <= 77: 1 row on galera-1, 1 row on galera-2",
    ),
    "case_of_a_letter": (
        "account",
        "UPDATE app.{} SET owner = UPPER(owner) WHERE id = 78",
        "id > 77 and id <= 78",
    ),
    "missing": (
        "account",
        "DELETE FROM app.{} WHERE id = 1",
        "first at id <= 1: 1 row on galera-1, 0 rows on galera-2, 1 row on galera-3",
    ),
    "all_missing": (
        "account",
        "DELETE FROM app.{}",
        "first at id <= 1: 1 row on galera-1, 0 rows on galera-2",
    ),
    "behind_the_last": (
        "account",
        "INSERT INTO app.{} VALUES (9999, 1, NULL)",
        "id > 400: 0 rows on galera-1, 1 row on galera-2",
    ),
    "swapped": (
        "account",
        "UPDATE app.{} SET owner = CASE id WHEN 5 THEN 'Gruß 6' ELSE 'Gruß 5' END WHERE id IN (5, 6)",
        "id > 4 and id <= 5",
    ),
    "last_digits": (
        "odd_types",
        "UPDATE app.{} SET f = f + 0.00001 WHERE y = 2017 AND region = ''",
        "'', X'",
    ),
    "null": ("odd_types", "UPDATE app.{} SET t = NULL WHERE t = 'x'", "(region, code, part) > ('"),
    "empty_text": (
        "odd_types",
        "UPDATE app.{} SET hidden = NULL WHERE t = 'xxx'",
        "(region, code, part) > ('",
    ),
    "a_byte_of_a_blob": (
        "odd_types",
        "UPDATE app.{} SET l = UNHEX('00ff27225c0b') WHERE t = 'xx'",
        "first at (region",
    ),
    "a_bit": ("odd_types", "UPDATE app.{} SET b = b ^ 256 WHERE t = 'xx'", "first at (region"),
    "twins": (
        "keyless",
        "INSERT INTO app.{} VALUES (1, 'twice'), (1, 'twice')",
        "the whole table: 50 rows on galera-1, 52 rows on galera-2, 50 rows on galera-3",
    ),
    "former_rows": ("kept", "DELETE HISTORY FROM app.{}", "rows on galera-1, "),
}


def make_alike(nodes: list[Container]) -> None:
    """The tables of `ALONE`, equal on all nodes."""
    for name, (like, _, _) in ALONE.items():
        sql(nodes[0], f"USE app; DROP TABLE IF EXISTS app.{name}; CREATE TABLE app.{name} LIKE app.{like}")
        if like == "odd_types":
            columns = "region, code, part, f, d, b, e, s, j, g, u, i, t, l, y, hidden"
            sql(nodes[0], f"USE app; INSERT INTO app.{name} ({columns}) SELECT {columns} FROM app.{like}")
        elif like == "kept":
            sql(
                nodes[0],
                f"USE app; INSERT INTO app.{name} SELECT seq, 1 FROM seq_1_to_9; UPDATE app.{name} SET n = 2",
            )
        elif like == "account":
            rows = f"SELECT seq, 100, CONCAT('Gru\u00df ', seq) FROM seq_1_to_{ACCOUNTS}"
            sql(nodes[0], f"USE app; INSERT INTO app.{name} {rows}")
        else:
            sql(nodes[0], f"USE app; INSERT INTO app.{name} SELECT seq % 7, 'same' FROM seq_1_to_50")


def test_every_difference_is_named_and_gone_once_the_node_has_taken_a_full_copy(
    nodes: list[Container], small_pieces: None
) -> None:
    make_alike(nodes)
    second = nodes[1]

    async def busy() -> Outcome:
        async with clients(nodes):
            return await compared(nodes)

    assert run(busy()).odd == []
    for name, (_, change, _) in ALONE.items():
        on_one(second, change.format(name))
    on_one(second, "CREATE TABLE app.here_only (i INT PRIMARY KEY)", "DROP PROCEDURE app.two")
    on_one(second, "CREATE OR REPLACE VIEW app.rich AS SELECT 1", "CREATE INDEX more ON app.by_enum (n)")
    on_one(
        second,
        "SET PASSWORD FOR 'reader'@'%' = PASSWORD('another')",
        "REVOKE INSERT ON app.account FROM reader@'%'",
    )
    found = {odd.what: odd for odd in run(busy()).odd}
    # One node stands against the two others, and is named as that one.
    assert {odd.groups for odd in found.values()} == {(("galera-1", "galera-3"), ("galera-2",))}
    for name, (_, _, told) in ALONE.items():
        assert told in found.pop(f"rows of app.{name}").how
    assert {what: odd.how for what, odd in found.items() if not what.startswith("accounts")} == {
        "procedure app.two": "missing on galera-2",
        "table app.by_enum": "defined differently",
        "table app.here_only": "missing on galera-1 and galera-3",
        "view app.rich": "defined differently",
    }
    nothing_left(nodes)
    # What `verify --deep` says to do.
    assert second.stop() == 0
    second.lose_volume()
    second.start()
    formed(nodes)
    assert run(busy()).odd == []
    nothing_left(nodes)


async def changing(nodes: list[Container], done: list[str]) -> None:
    """A client that changes definitions all the time, on the third node."""
    session = await Session.opened(nodes[2].name, opener(nodes))
    try:
        for turn in itertools.count():
            for statement in (
                f"ALTER TABLE app.account ADD COLUMN c{turn} INT DEFAULT {turn}",
                f"CREATE TABLE app.passing{turn} (i INT PRIMARY KEY)",
                f"DROP TABLE app.passing{turn}",
                f"ALTER TABLE app.account DROP COLUMN c{turn}",
                "TRUNCATE TABLE app.by_enum",
            ):
                await session.ask(statement)
                done.append(statement)
                await asyncio.sleep(0.2)
    finally:
        session.end()


def test_changes_of_definitions_meanwhile_are_no_difference(
    nodes: list[Container], small_pieces: None
) -> None:
    async def story() -> None:
        done: list[str] = []
        task = asyncio.create_task(changing(nodes, done))
        try:
            async with clients(nodes):
                for _ in range(2):
                    before = len(done)
                    outcome = await compared(nodes)
                    assert outcome.odd == []
                    # What changed again and again is named, all else was compared.
                    assert all(title.startswith(("app.account", "app.passing")) for title in outcome.changed)
                    assert outcome.tables >= 6
                    assert len(done) > before
        finally:
            task.cancel()
            assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)
        # And once that is over, there is nothing left to be said.
        assert ((await compared(nodes)).odd, (await compared(nodes)).changed) == ([], [])

    run(story())
    nothing_left(nodes)


def test_a_check_that_is_interrupted_leaves_nothing_and_holds_nobody_up(nodes: list[Container]) -> None:
    async def story() -> None:
        async with clients(nodes) as done:
            for delay in (0.3, 0.8, 1.5):
                task = asyncio.create_task(compared(nodes))
                await asyncio.sleep(delay)
                task.cancel()
                assert isinstance(
                    (await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError
                )
                before = len(done)
                while len(done) < before + WRITERS:
                    await asyncio.sleep(0.05)

    run(story())
    nothing_left(nodes)


def test_a_check_that_was_killed_holds_nobody_up_for_long_and_the_next_one_clears_its_traces(
    nodes: list[Container],
) -> None:
    async def killed() -> None:
        names = [node.name for node in nodes]
        at = OnePosition(names, opener(nodes))
        await at.__aenter__()
        lock = await at._opened(names[1], "lock")
        await lock.ask(f"SET SESSION wait_timeout = {HELD}", f"LOCK TABLES {at._table} READ")
        client = await Session.opened(names[1], opener(nodes))
        try:
            await at._sessions[names[0], "change"].ask(f"ALTER TABLE {at._table} COMMENT 'x'")
            await asyncio.sleep(0.5)  # the change stands before the lock on the second node
            # As a host that lost its power: nobody says good-bye, so that the server alone can end the lock.
            begun = asyncio.get_running_loop().time()
            await asyncio.wait_for(
                client.ask("UPDATE app.account SET balance = balance + 1 WHERE id = 1"), 30
            )
            assert 1 < asyncio.get_running_loop().time() - begun < 2 * HELD + 5
        finally:
            for session in (client, *at._sessions.values()):
                session.end()

    run(killed())
    assert PREFIX in sql(nodes[0], "SHOW DATABASES")
    outcome = run(compared(nodes))
    assert outcome.odd == []
    assert any("Removed what an interrupted deep check left" in text for text in said)
    nothing_left(nodes)


def test_two_checks_at_a_time_are_refused(nodes: list[Container]) -> None:
    async def story() -> None:
        async with OnePosition([node.name for node in nodes], opener(nodes)):
            with pytest.raises(OperationsError, match="Another deep check is going on"):
                await compared(nodes)

    run(story())
    nothing_left(nodes)


def test_definitions_that_may_not_wait_are_refused_with_the_remedy(nodes: list[Container]) -> None:
    sql(nodes[1], "SET GLOBAL lock_wait_timeout = 5")
    try:
        with pytest.raises(
            OperationsError, match=r"lock_wait_timeout is 5 s on galera-2.*Remedy: SET GLOBAL"
        ):
            run(compared(nodes))
    finally:
        sql(nodes[1], "SET GLOBAL lock_wait_timeout = 86400")
    nothing_left(nodes)


def test_a_strict_cluster_is_compared_like_any_other(nodes: list[Container]) -> None:
    for node in nodes:
        sql(node, "SET GLOBAL wsrep_mode = 'STRICT_REPLICATION,REQUIRED_PRIMARY_KEY'")
    try:
        assert run(compared(nodes)).odd == []
    finally:
        for node in nodes:
            sql(node, "SET GLOBAL wsrep_mode = DEFAULT")


def test_rows_that_an_engine_does_not_replicate_are_named_with_it(nodes: list[Container]) -> None:
    sql(nodes[0], "CREATE TABLE app.here (i INT PRIMARY KEY) ENGINE=MyISAM")
    sql(nodes[0], "INSERT INTO app.here VALUES (1), (2)")
    try:
        outcome = run(compared(nodes))
    finally:
        sql(nodes[0], "DROP TABLE app.here")
    assert "app.here (MyISAM)" in outcome.loose
    (odd,) = outcome.odd
    assert odd.what == "rows of app.here"
    assert odd.how == "2 rows on galera-1, 0 rows on galera-2, 0 rows on galera-3"
    assert odd.why == "MyISAM does not replicate rows"


def test_a_node_that_goes_meanwhile_ends_the_check_with_its_name(nodes: list[Container]) -> None:
    async def story() -> None:
        names = [node.name for node in nodes]
        async with clients(nodes[:2]), OnePosition(names, opener(nodes)) as at:
            os.kill(server_pid(nodes[2]), signal.SIGKILL)
            with pytest.raises(SessionLost, match="galera-3"):
                await at.stand_still()

    run(story())
    wait_for(lambda: not nodes[2].running, "the container's end")
    nodes[2].start()  # as the engine does
    formed(nodes)
    nothing_left(nodes)

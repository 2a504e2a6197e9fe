"""The deep check's SQL text: which columns and keys it takes, and the pieces it cuts a table into."""

from __future__ import annotations

import asyncio

import pytest

from operations.deep.definitions import Thing, comparable, listed
from operations.deep.rows import groups
from operations.deep.sessions import Client, Session, SessionLost, SqlError
from operations.deep.sums import Column, Piece, Table, usable_key

pytestmark = pytest.mark.unit

ID = Column("id", "int")
NAME = Column("na`me", "varchar", "utf8mb4", 160)
RAW = Column("raw", "varbinary", "", 16)
DAY = Column("day", "date")
TABLE = Table("app", "t", "InnoDB", (ID, NAME), (ID,), "PRIMARY")


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (ID, "IFNULL(`id`, 'N')"),
        (NAME, "QUOTE(CAST(`na``me` AS BINARY))"),
        (Column("t", "varchar", "utf8mb4", 4000), "IFNULL(MD5(`t`), 'N')"),
        (Column("t", "longtext", "utf8mb4", 1 << 32), "IFNULL(MD5(`t`), 'N')"),
        (Column("b", "longblob"), "IFNULL(MD5(`b`), 'N')"),
        (Column("f", "float"), "IFNULL(CAST(`f` AS DOUBLE), 'N')"),
        (Column("d", "double"), "IFNULL(`d`, 'N')"),
        (Column("e", "enum"), "IFNULL(`e` + 0, 'N')"),
        (Column("b", "bit"), "IFNULL(`b` + 0, 'N')"),
        (Column("u", "uuid"), "IFNULL(CAST(`u` AS CHAR), 'N')"),
        (Column("p", "point"), "IFNULL(MD5(`p`), 'N')"),
    ],
)
def test_every_type_is_hashed_so_that_no_two_values_are_alike(column: Column, expected: str) -> None:
    assert column.hashed() == expected


def test_a_piece_is_cut_by_the_key() -> None:
    assert TABLE.sum_of(Piece()).endswith(" FROM `app`.`t` FORCE INDEX (`PRIMARY`)")
    assert TABLE.sum_of(Piece(("4",), None)).endswith(" WHERE `id` > 4")
    assert TABLE.sum_of(Piece(("4",), ("7",))).endswith(" WHERE `id` > 4 AND `id` <= 7")
    assert TABLE.end_of(Piece(("4",)), 100) == (
        "SELECT CAST(`id` AS CHAR) FROM `app`.`t` FORCE INDEX (`PRIMARY`) WHERE `id` > 4 "
        "ORDER BY `id` LIMIT 99, 1"
    )


def test_a_key_of_several_columns_is_compared_column_by_column() -> None:
    table = Table("app", "t", "InnoDB", (ID,), (DAY, NAME, RAW), "k")
    piece = Piece(("2026-01-01", "C3A9", "00FF"), ("2026-01-02", "", "01"))
    where = table.sum_of(piece).partition(" WHERE ")[2]
    low, high = where.split(" AND (`day` <= ")
    assert low == (
        "(`day` >= '2026-01-01' AND (`day` > '2026-01-01' OR (`day` = '2026-01-01' AND "
        "(`na``me` > _utf8mb4 X'C3A9' OR (`na``me` = _utf8mb4 X'C3A9' AND `raw` > X'00FF')))))"
    )
    assert high == (
        "'2026-01-02' AND (`day` < '2026-01-02' OR (`day` = '2026-01-02' AND "
        "(`na``me` < _utf8mb4 X'' OR (`na``me` = _utf8mb4 X'' AND `raw` <= X'01')))))"
    )
    assert table.shown(piece) == (
        "(day, na`me, raw) > ('2026-01-01', 'é', X'00FF') and (day, na`me, raw) <= ('2026-01-02', '', X'01')"
    )


@pytest.mark.parametrize(
    ("indexes", "expected"),
    [
        ([("PRIMARY", [ID])], "PRIMARY"),
        ([("other", [DAY]), ("PRIMARY", [ID, NAME])], "PRIMARY"),
        # An enum is sorted by its number and compared by its text; a float is never what it seems.
        ([("PRIMARY", [Column("e", "enum")]), ("wide", [ID, NAME]), ("narrow", [NAME])], "narrow"),
        ([("PRIMARY", [ID, Column("f", "float")])], ""),
        ([("PRIMARY", [Column("b", "bit")])], ""),
        ([], ""),
    ],
)
def test_a_table_is_read_by_the_key_that_will_do(
    indexes: list[tuple[str, list[Column]]], expected: str
) -> None:
    assert usable_key(indexes)[0] == expected


COLUMNS: list[tuple[str, ...]] = [
    ("app", "t", "id", "int", "", "0", ""),
    ("app", "t", "word", "varchar", "utf8mb4", "160", ""),
    ("app", "t", "twice", "int", "", "0", "VIRTUAL GENERATED"),
    ("app", "t", "kept", "int", "", "0", "STORED GENERATED"),
]


def tables(
    indexes: list[tuple[str, ...]], kind: str = "BASE TABLE", engine: str = "InnoDB"
) -> tuple[Table, ...]:
    return listed([[], [("app", "t", kind, engine, "70")], COLUMNS, indexes, [], [], []]).tables


def test_virtual_columns_are_not_stored_and_other_generated_ones_are() -> None:
    (table,) = tables([("app", "t", "PRIMARY", "id", "", "", "BTREE")])
    assert [column.name for column in table.columns] == ["id", "word", "kept"]
    assert (table.index, table.estimate, table.history) == ("PRIMARY", 70, False)
    assert tables([], "SYSTEM VERSIONED")[0].history


@pytest.mark.parametrize(
    "row",
    [
        ("app", "t", "PRIMARY", "word", "10", "", "BTREE"),  # only the first ten letters
        ("app", "t", "other", "id", "", "YES", "BTREE"),  # may be NULL
        ("app", "t", "other", "id", "", "", "HASH"),
        ("app", "t", "other", "twice", "", "", "BTREE"),  # not stored
    ],
)
def test_an_index_that_does_not_order_all_rows_is_not_read_by(row: tuple[str, ...]) -> None:
    (table,) = tables([row])
    assert (table.key, table.index) == ((), "")
    assert tables([row, ("app", "t", "whole", "id", "", "", "BTREE")])[0].index == "whole"


def test_views_sequences_and_tables_without_rows_of_their_own_have_no_rows_to_compare() -> None:
    assert tables([], "VIEW") == tables([], "SEQUENCE") == tables([], engine="MRG_MyISAM") == ()


def test_what_differs_between_nodes_by_nature_does_not_count() -> None:
    table, event = Thing("table", "app.t", ""), Thing("event", "app.e", "")
    rows = [
        [("t", f"CREATE TABLE `t` (…) ENGINE=InnoDB AUTO_INCREMENT={n} DEFAULT CHARSET=utf8mb4")]
        for n in (4, 7)
    ]
    assert len({comparable(table, row) for row in rows}) == 1
    kinds = ("ENABLE", "DISABLE ON SLAVE", "DISABLE")
    events = [
        [("e", f"CREATE EVENT `e` ON SCHEDULE EVERY 1 DAY {kind} DO SELECT 'ENABLE'")] for kind in kinds
    ]
    assert len({comparable(event, row) for row in events}) == 1
    assert comparable(event, [("e", "… ENABLE DO SELECT 1")]) != comparable(
        event, [("e", "… ENABLE DO SELECT 2")]
    )


def test_the_largest_group_of_nodes_comes_first() -> None:
    assert groups({"g1": (1, 5), "g2": (1, 6), "g3": (1, 5)}) == (("g1", "g3"), ("g2",))
    assert groups({"g1": 1, "g2": 2, "g3": 3}) == (("g1",), ("g2",), ("g3",))


class Played:
    """A client that is played: answers by line, and what it was told."""

    def __init__(self, *lines: bytes) -> None:
        self.lines, self.told, self.ended = list(lines), b"", 0

    def write(self, data: bytes) -> None:
        self.told += data

    async def drain(self) -> None:
        pass

    async def readline(self) -> bytes:
        return self.lines.pop(0) if self.lines else b""

    def session(self) -> Session:
        def end() -> None:
            self.ended += 1

        return Session("galera-2", Client(self, self, end))


def over(number: int) -> tuple[bytes, bytes]:
    """What the server says after a statement's answer."""
    return f"answered-{number}\n".encode(), f"answered-{number}, over\n".encode()


BROKEN_INTO = (
    b"ERROR 1213 (40001) at line 3: Deadlock found when trying to get lock; try restarting transaction\n"
)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param((BROKEN_INTO, *over(1)), id="in the statement"),
        pytest.param((b"1\n", BROKEN_INTO, over(1)[1]), id="right after it"),
        pytest.param((b"1\n", over(1)[0], BROKEN_INTO), id="before the last word"),
    ],
)
def test_a_transaction_that_is_ended_from_another_node_is_no_answer_and_the_session_goes_on(
    lines: tuple[bytes, ...],
) -> None:
    client = Played(*lines, b"2\n", *over(2))
    session = client.session()
    with pytest.raises(SqlError, match="ERROR 1213"):
        asyncio.run(session.ask("SELECT 1"))
    assert asyncio.run(session.ask("SELECT 2")) == [[("2",)]]
    assert client.ended == 0


def test_answers_are_told_apart_and_read_as_they_are() -> None:
    client = Played(b"a\\tb\tNULL\n", b"c\\\\n\n", *over(1), *over(2), b"7\n", *over(3))
    answers = asyncio.run(client.session().ask("SELECT 1", "DO 2", "SELECT 3"))
    assert answers == [[("a\tb", "NULL"), ("c\\n",)], [], [("7",)]]
    assert client.told.count(b"$over$") == 9


def test_an_error_is_that_of_its_statement_and_the_session_goes_on() -> None:
    client = Played(
        b"ERROR 1146 (42S02) at line 3: Table 'app.t' doesn't exist\n",
        *(*over(1), b"1\n", *over(2), b"2\n", *over(3)),
    )
    session = client.session()
    with pytest.raises(SqlError, match=r"galera-2: ERROR 1146: Table 'app.t' doesn't exist") as caught:
        asyncio.run(session.ask("SELECT 1", "SELECT 2"))
    assert caught.value.code == 1146
    assert asyncio.run(session.ask("SELECT 3")) == [[("2",)]]
    assert client.ended == 0


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"ERROR 2013 (HY000) at line 9: Lost connection to server during query\n", "Lost connection"),
        (
            b"ERROR 1047 (08S01) at line 2: WSREP has not yet prepared node for application use\n",
            "not yet prepared",
        ),
        (b"", "its client has ended"),
        (b"bash: mariadb: command not found", "command not found"),
    ],
)
def test_a_session_that_is_lost_says_whose_and_why_and_is_not_asked_again(line: bytes, why: str) -> None:
    client = Played(line)
    session = client.session()
    with pytest.raises(SessionLost, match=f"galera-2: the session with its database is lost.*{why}"):
        asyncio.run(session.ask("SELECT 1"))
    assert (client.ended, session.alive) == (1, False)
    with pytest.raises(SessionLost):
        asyncio.run(session.ask("SELECT 1"))

"""What the archive rests on, with two real servers: the numbers in binary logs, and mariadb-backup's notes.

Whole clusters that archive: test_galera_backup.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from harness.database_pair import USER, Pair, ask
from harness.image_containers import Container
from harness.image_roots import image_root
from images.galera.galera_node.archive import backup_stream, chain, plan
from images.galera.galera_node.archive.backup_stream import Notes, Position
from images.galera.galera_node.archive.layout import Span
from images.galera.galera_node.archive.own_logs import OwnLogs

pytestmark = pytest.mark.images

TABLE = "CREATE DATABASE app; CREATE TABLE app.word (id INT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(40))"
ROW = "INSERT INTO app.word (text) VALUES ('x')"


class Sql:
    """A node's program has one connection; this asks with the client, so that a session is one question."""

    def __init__(self, node: Container) -> None:
        self._node, self._session = node, ""

    def run(self, statement: str) -> list[tuple[object, ...]]:
        if statement.startswith("SET SESSION"):
            self._session = f"{statement}; "
            return []
        asked, self._session = f"{self._session}{statement}", ""
        return [tuple(line.split("\t")) for line in ask(self._node, asked).splitlines()]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Both write binary logs, and the joiner has come by a full copy."""
    with Pair(image_root("galera")) as made:
        made.seed()
        for node in (made.donor, made.joiner):
            made.options(node, "\n".join(plan.options(node.name)) + "\n")
        made.start_donor()
        ask(made.donor, f"{TABLE}; {ROW}; {ROW}")
        made.copy()
        yield made
        for node in (made.donor, made.joiner):
            print(f"==== {node.name}\n{node.log[-6000:]}")  # shown when a test fails


def logs(node: Container) -> OwnLogs:
    return OwnLogs(Sql(node), node.volume)


def numbers(pair: Pair) -> tuple[int, int]:
    return logs(pair.donor).position(), logs(pair.joiner).position()


def test_a_row_brings_its_number_to_all_nodes_and_a_statement_does_not(pair: Pair) -> None:
    first, same = numbers(pair)
    assert first == same > 0
    # As where nodes have come to binary logs one after the other: each counts from where it was.
    ask(pair.donor, "SET SESSION wsrep_gtid_seq_no = 5000; CREATE TABLE app.other (id INT PRIMARY KEY)")
    assert numbers(pair) == (5000, first + 1)
    number = logs(pair.donor).align(0)
    assert numbers(pair) == (number + 1, number + 1)  # with the end of the row's table
    for node in (pair.joiner, pair.donor):
        ask(node, ROW)
    assert numbers(pair) == (number + 3, number + 3)


def test_what_a_node_does_for_itself_has_a_number_of_its_own(pair: Pair) -> None:
    before = numbers(pair)
    ask(pair.donor, "SET SESSION wsrep_on = OFF; CREATE TABLE app.alone (id INT PRIMARY KEY)")
    assert numbers(pair) == before
    own = backup_stream.numbers(ask(pair.donor, "SELECT @@GLOBAL.gtid_binlog_pos"))
    assert own[plan.own_domain("donor")] == 1


def test_the_files_say_what_is_in_them_on_either_node(pair: Pair) -> None:
    begun = numbers(pair)[0]
    for _ in range(3):
        ask(pair.donor, f"{ROW}; FLUSH LOCAL BINARY LOGS")
        ask(pair.joiner, ROW)
    last = numbers(pair)[0]
    for node, begins in ((pair.donor, 0), (pair.joiner, begun)):
        own = logs(node)
        own.close()
        assert own.begins() == begins
        found = [own.extent(piece.file) for piece in own.closed()]
        assert all(extent.goes_on for extent in found)
        spans = [Span(extent.first, extent.last) for extent in found if extent.first and extent.last]
        assert chain.chain(spans) == chain.Chain(begins + 1, last)
        assert [piece.until for piece in own.closed()][-1] == last
        # Cut otherwise on each, and gone once they are archived, but never before.
        until = chain.removable(own.closed(), last - 1)
        if until is not None:
            own.remove(until)
        assert own.begins() <= last - 1
        assert own.names()[-1] == ask(node, "SHOW BINARY LOGS").splitlines()[-1].split("\t")[0]


def test_a_number_that_a_failed_statement_takes_is_known_not_to_be_lost(pair: Pair) -> None:
    """In the file that was begun just before, so that the one before does not have it either."""
    last = numbers(pair)[0]
    for node in (pair.donor, pair.joiner):
        logs(node).close()
    with pytest.raises(OSError, match="already exists"):
        ask(pair.donor, "CREATE TABLE app.word (id INT PRIMARY KEY)")
    assert numbers(pair) == (last, last)
    ask(pair.donor, ROW)
    for node in (pair.donor, pair.joiner):
        own = logs(node)
        own.close()
        piece = own.closed()[-1]
        assert own.extent(piece.file).first == last + 2
        assert own.follows(piece.file, last)


def backed_up(node: Container, name: str, since: int | None = None) -> Position:
    """A base of this node; where it is by its own notes."""
    folder = node.volume / "made"
    folder.mkdir(exist_ok=True)
    os.chown(folder, USER, USER)
    more = "" if since is None else f"--incremental-lsn={since}"
    done = node.run(
        *("/bin/sh", "-c"),
        "mariadb-backup --defaults-file=/etc/galera-node/my.cnf --backup --galera-info --stream=mbstream "
        f"--target-dir=/tmp/{name} {more} > /var/lib/mysql/made/{name}",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    notes = Notes()
    with (folder / name).open("rb") as stream:
        while data := stream.read(1 << 16):
            notes.feed(data)
    return backup_stream.position(notes, plan.DOMAIN)


def test_a_backup_of_a_desynced_node_says_where_it_is_and_another_goes_on_from_there(pair: Pair) -> None:
    ask(pair.joiner, "SET GLOBAL wsrep_desync = ON")
    full = backed_up(pair.joiner, "full")
    assert full.gtid == numbers(pair)[1]
    assert full.lsn["from"] == 0 < full.lsn["to"]
    committed = ask(pair.joiner, "SHOW GLOBAL STATUS LIKE 'wsrep_last_committed'").split("\t")[1]
    uuid = ask(pair.joiner, "SHOW GLOBAL STATUS LIKE 'wsrep_cluster_state_uuid'").split("\t")[1]
    assert full.wsrep == f"{uuid}:{committed}"
    ask(pair.donor, ROW)
    assert numbers(pair)[1] == full.gtid + 1
    after = backed_up(pair.joiner, "incremental", full.lsn["to"])
    assert (after.gtid, after.lsn["from"]) == (full.gtid + 1, full.lsn["to"])
    ask(pair.joiner, "SET GLOBAL wsrep_desync = OFF")

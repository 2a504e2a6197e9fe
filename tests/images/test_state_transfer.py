"""Full copies between two real servers whose options put a part of the data elsewhere.

Owned here: binary logs and undo tablespaces, with the image's own method. Left to others: full copies in a
cluster with the node's program (test_galera_processes.py), with TLS (test_galera_tls.py).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from harness.database_pair import USER, Pair, ask
from harness.image_containers import Container, wait_for
from harness.image_roots import image_root

pytestmark = pytest.mark.images

TABLE = "CREATE DATABASE app; CREATE TABLE app.word (id INT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(40))"
ROWS = "SELECT COUNT(*), SUM(CRC32(text)) FROM app.word"
LOGS = """log_slave_updates = ON
wsrep_gtid_mode = ON
wsrep_gtid_domain_id = 7
server_id = 1
gtid_strict_mode = ON
"""


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Pair(image_root("galera")) as made:
        made.seed()
        yield made
        for container in (made.donor, made.joiner):
            print(f"==== {container.name}\n{container.log[-6000:]}")  # shown when a test fails


def folder(container: Container, name: str) -> None:
    """One in the volume, as whoever sets such an option makes it."""
    (container.volume / name).mkdir()
    os.chown(container.volume / name, USER, USER)


@contextmanager
def writing(node: Container) -> Iterator[list[str]]:
    """A client that writes one row after the other; gives what was acknowledged so far."""
    taken: list[str] = []
    ends = threading.Event()

    def write() -> None:
        while not ends.wait(0.02):
            word = f"w{len(taken)}"
            ask(node, f"INSERT INTO app.word (text) VALUES ('{word}')")
            taken.append(word)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield taken
    finally:
        ends.set()
        thread.join()


def same(pair: Pair, question: str) -> bool:
    return ask(pair.donor, question) == ask(pair.joiner, question)


@pytest.mark.parametrize("log", ["changes", "logs/changes"])
def test_a_joiner_s_binary_log_goes_on_where_its_copy_ends(pair: Pair, log: str) -> None:
    options = f"log_bin = /var/lib/mysql/{log}\n{LOGS}"
    if "/" in log:
        folder(pair.donor, "logs")
    for container in (pair.donor, pair.joiner):
        pair.options(container, options)
    pair.start_donor()
    ask(pair.donor, TABLE)
    # The donor's file has another number than the joiner's will have.
    for _ in range(3):
        ask(pair.donor, "FLUSH BINARY LOGS; INSERT INTO app.word (text) VALUES ('before')")
    with writing(pair.donor) as taken:
        pair.copy()
        assert len(taken) > 5
    wait_for(lambda: same(pair, ROWS), "the same rows", 60)
    for variable in ("@@gtid_binlog_pos", "@@gtid_binlog_state", "@@wsrep_gtid_domain_id"):
        assert ask(pair.joiner, f"SELECT {variable}") == ask(pair.donor, f"SELECT {variable}"), variable
    assert "7-1-" in ask(pair.joiner, "SELECT @@gtid_binlog_pos")
    # Its files are its own: numbered from the first, none of the donor's beside them.
    own = [line.split("\t")[0] for line in ask(pair.joiner, "SHOW BINARY LOGS").splitlines()]
    files = {
        path.name for path in (pair.joiner.volume / log).parent.glob("changes.0*") if path.suffix != ".idx"
    }
    assert files == set(own)
    assert own[0] == "changes.000001"
    # It takes further writes, and is a donor's equal when it starts anew.
    ask(pair.joiner, "INSERT INTO app.word (text) VALUES ('by the joiner')")
    wait_for(lambda: same(pair, ROWS), "the same rows", 60)
    assert ask(pair.joiner, "SELECT @@gtid_binlog_pos") == ask(pair.donor, "SELECT @@gtid_binlog_pos")


def test_undo_tablespaces_of_their_own_folder_arrive_in_the_joiner_s(pair: Pair) -> None:
    options = "innodb_undo_directory = /var/lib/mysql/undo\ninnodb_undo_tablespaces = 3\n"
    folder(pair.donor, "undo")
    for file in pair.donor.volume.glob("undo00?"):
        file.rename(pair.donor.volume / "undo" / file.name)
    for container in (pair.donor, pair.joiner):
        pair.options(container, options)
    pair.start_donor()
    ask(pair.donor, TABLE)
    with writing(pair.donor) as taken:
        pair.copy()
        assert taken
    wait_for(lambda: same(pair, ROWS), "the same rows", 60)
    there = [f"undo/undo00{number}" for number in (1, 2, 3)]
    found = sorted(str(path.relative_to(pair.joiner.volume)) for path in pair.joiner.volume.rglob("undo0*"))
    assert found == there
    # The server finds them again.
    assert pair.joiner.stop() == 0
    before = pair.joiner.log.count("ready for connections")
    pair.joiner.start()
    wait_for(lambda: pair.joiner.log.count("ready for connections") > before, "the joiner again", 120)
    wait_for(lambda: same(pair, ROWS), "the same rows", 60)

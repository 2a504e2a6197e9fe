"""Backups with real processes: three nodes, etcd, an S3 server; and what breaks one of them in the middle.

The rules one by one: tests/unit/images/test_galera_node_archive.py, test_galera_node_archiver.py.
"""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from harness.image_containers import Container, wait_for
from harness.image_roots import image_root
from images.galera.galera_node.archive import chain, layout
from tests.images.backup_site import PLACE, BackupSite, number, told, wrong
from tests.images.galera_site import (
    add,
    checksums,
    copies,
    formed,
    processes,
    server_pid,
    sql,
    tell,
    until,
    uuids,
)

pytestmark = pytest.mark.images


@pytest.fixture
def site() -> Iterator[BackupSite]:
    with BackupSite({name: image_root(name) for name in ("etcd", "galera")}) as made:
        yield made


def whole(site: BackupSite) -> list[Container]:
    """Three nodes with backups, formed, with the first full one."""
    site.start_store()
    nodes = [site.add_node(number) for number in (1, 2, 3)]
    for node in nodes:
        node.start()
    formed(nodes)
    wait_for(lambda: told(nodes[0])["bases"], "the first backup", 120)
    return nodes


def archiver(nodes: list[Container]) -> Container:
    """That of these nodes which archives now. Raises OSError while none of them does."""
    running = next(node for node in nodes if node.running)
    name = told(running)["archiver"]
    for node in nodes:
        if node.name == name:
            return node
    raise OSError(f"{name or 'nobody'} archives")


def archived(site: BackupSite, node: Container, last: int, seconds: float = 60) -> None:
    """Waits until this number is in the archive, and says so."""
    wait_for(
        lambda: (told(node)["archive"]["last"] or 0) >= last and told(node)["archive"]["reach"],
        f"{last} archived",
        seconds,
    )


def unbroken(site: BackupSite) -> None:
    """The logs of the only timeline have no gap, each is what its manifest says, and all can be read."""
    (timeline,) = site.timelines()
    spans = site.spans(timeline)
    assert chain.chain(spans).gaps == ()
    for log, span in zip(site.logs(timeline), spans, strict=True):
        key = PLACE.log(timeline, span, log.node)[0]
        data = (site.bucket / key).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (log.sha256, log.bytes["stored"])
        content = site.content(key)
        assert content.startswith(b"\xfebin")
        assert len(content) == log.bytes["before"]


@contextmanager
def writing(node: Container) -> Iterator[list[str]]:
    """A client that writes one row after the other; gives those that were acknowledged so far."""
    taken: list[str] = []
    ends = threading.Event()

    def write() -> None:
        count = 0
        while not ends.wait(0.05):
            count += 1
            word = f"{node.name}-{os.getpid()}-{count}"
            try:
                add(node, word)
            except OSError:
                continue
            taken.append(word)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield taken
    finally:
        ends.set()
        thread.join()


def same_numbers(nodes: list[Container]) -> None:
    """Waits until the same transaction has the same number everywhere: each is asked once it has all."""
    wait_for(lambda: len({number(node) for node in nodes}) == 1, "one number on all nodes", 60)


def test_what_is_written_is_in_the_archive_and_can_be_read_with_the_private_key_alone(
    site: BackupSite,
) -> None:
    nodes = whole(site)
    holder = archiver(nodes)
    for node in nodes:
        for count in range(5):
            add(node, f"{node.name} {count}")
    sql(nodes[0], "CREATE TABLE app.more (id INT PRIMARY KEY)")
    same_numbers(nodes)
    # The first number of a file is one that a statement has taken in vain: nothing is lost with it.
    sql(holder, "FLUSH LOCAL BINARY LOGS")
    with pytest.raises(OSError, match="already exists"):
        sql(holder, "CREATE TABLE app.more (id INT PRIMARY KEY)")
    add(nodes[0], "after a statement that failed")
    same_numbers(nodes)
    archived(site, nodes[0], number(nodes[0]))
    unbroken(site)
    (timeline,) = site.timelines()
    assert timeline == f"{uuids(nodes).pop()}.0"
    keys = (f"{PLACE.logs(timeline)}/{log.object}" for log in site.logs(timeline))
    words = b"".join(map(site.content, keys))
    for node in nodes:
        assert f"{node.name} 4".encode() in words
    # Base backups: the full one, then what a person asks for.
    asked = tell(holder, "backup", "incremental")
    wait_for(lambda: told(holder)["archive"]["asked"] == asked, "the incremental", 120)
    assert told(holder)["archive"]["failed"] == ""
    full, incremental = site.bases(timeline)
    assert (full.kind, incremental.kind, incremental.parent) == ("full", "incremental", full.name)
    assert incremental.lsn["from"] == full.lsn["to"]
    assert full.node == incremental.node == holder.name
    assert full.schema["sha256"] != incremental.schema["sha256"]
    assert incremental.schema["tables"] == full.schema["tables"] + 1
    assert sql(holder, "SELECT @@wsrep_desync") == "0"
    base, delta = (site.unpacked(timeline, each, holder) for each in (full, incremental))
    for more in ("", f" --incremental-dir={delta}"):
        done = holder.run("/bin/sh", "-c", f"mariadb-backup --prepare --target-dir={base}{more} 2>&1")
        assert done.returncode == 0, done.stdout[-2000:]
    assert (holder.volume / ".unpacked" / full.name / "app" / "more.ibd").exists()
    wait_for(lambda: not wrong(nodes[0]), "all as it must be", 30)
    assert "secret" not in "".join(path.read_text() for path in site.bucket.rglob("*.json"))


def test_whoever_holds_the_right_and_dies_is_followed_without_a_gap(site: BackupSite) -> None:
    nodes = whole(site)
    holder = archiver(nodes)
    others = [node for node in nodes if node is not holder]
    with writing(others[0]) as taken:
        wait_for(lambda: len(taken) > 20, "some rows")
        holder.kill()
        wait_for(lambda: archiver(others), "another", 150)
        after = archiver(others)
        holder.start()
        formed(nodes)
    same_numbers(nodes)
    archived(site, after, number(after))
    unbroken(site)
    (timeline,) = site.timelines()
    assert {log.node for log in site.logs(timeline)} == {holder.name, after.name}
    wait_for(lambda: not wrong(after), "all as it must be", 60)


def test_a_bucket_that_goes_away_in_the_middle_is_told_and_made_up_for(site: BackupSite) -> None:
    nodes = whole(site)
    holder = archiver(nodes)
    with writing(nodes[0]) as taken:
        wait_for(lambda: len(taken) > 10, "some rows")
        site.stop_bucket()
        wait_for(lambda: told(nodes[0])["archive"]["problem"], "the problem told", 240)
        asked = tell(nodes[0], "backup", "full")
        wait_for(lambda: told(nodes[0])["archive"]["asked"] == asked, "the failure told", 300)
        assert told(nodes[0])["archive"]["failed"]
        assert any("the last try of a backup succeeded" in line for line in wrong(nodes[0]))
        before = len(taken)
        wait_for(lambda: len(taken) > before + 10, "writes go on")
        site.start_bucket()
    archived(site, nodes[0], number(nodes[0]), 240)
    unbroken(site)
    again = tell(nodes[0], "backup", "full")
    wait_for(lambda: told(nodes[0])["archive"]["asked"] == again, "a backup again", 120)
    assert told(nodes[0])["archive"]["failed"] == ""
    (timeline,) = site.timelines()
    # What was begun and never came to its end has no manifest, and is not listed.
    assert len(told(nodes[0])["bases"]) == len(site.bases(timeline)) == 2
    wait_for(lambda: not wrong(nodes[0]), "all as it must be", 60)
    assert holder.running


def test_the_archiving_process_killed_in_the_middle_of_a_backup_leaves_nothing_behind(
    site: BackupSite,
) -> None:
    nodes = whole(site)
    holder = archiver(nodes)
    sql(holder, "CREATE TABLE app.big (id INT PRIMARY KEY AUTO_INCREMENT, text LONGBLOB)")
    for _ in range(12):
        sql(holder, "INSERT INTO app.big (text) VALUES (RANDOM_BYTES(1024)), (REPEAT(MD5(RAND()), 60000))")
    tell(holder, "backup", "full")
    backup = wait_for(lambda: processes(holder, "mariadb-backup"), "mariadb-backup", 60)
    archiving = [pid for pid in processes(holder, "galera-node") if pid != holder.init_pid()]
    for pid in archiving:
        os.kill(pid, signal.SIGKILL)
    assert backup
    wait_for(lambda: not processes(holder, "mariadb-backup"), "mariadb-backup gone", 60)
    until(holder, "the process that archives has ended; it is started again")
    wait_for(lambda: sql(holder, "SELECT @@wsrep_desync") == "0", "the node in flow control again", 90)
    wait_for(lambda: not told(holder)["archive"]["running"], "nothing running", 120)
    add(nodes[0], "after that")
    archived(site, nodes[0], number(nodes[0]), 120)
    unbroken(site)


def test_logs_go_on_while_the_key_value_store_is_away(site: BackupSite) -> None:
    nodes = whole(site)
    for member in site.store_members():
        member.kill()
    add(nodes[0], "without a store")
    last = number(nodes[0])
    (timeline,) = site.timelines()
    wait_for(lambda: site.spans(timeline) and site.spans(timeline)[-1].last >= last, "archived", 90)
    unbroken(site)
    for member in site.store_members():
        member.start()
    archived(site, nodes[0], last, 120)


def test_numbers_survive_a_crash_a_full_copy_and_the_power_cut_of_all(site: BackupSite) -> None:
    nodes = whole(site)
    holder = archiver(nodes)
    others = [node for node in nodes if node is not holder]
    with writing(others[0]) as taken:
        wait_for(lambda: len(taken) > 20, "some rows")
        os.kill(server_pid(others[1]), signal.SIGKILL)
        formed(nodes)
        others[1].kill()
        others[1].lose_volume()
        before = copies(others[1])
        others[1].start()
        formed(nodes)
        assert copies(others[1]) == before + 1
    same_numbers(nodes)
    for node in nodes:
        node.kill()
    for node in nodes:
        node.start()
    formed(nodes)
    assert len(set(checksums(nodes))) == 1
    add(nodes[0], "after the power cut")
    same_numbers(nodes)
    archived(site, nodes[0], number(nodes[0]), 120)
    unbroken(site)
    assert site.timelines() == [f"{uuids(nodes).pop()}.0"]


def test_a_cluster_that_has_rows_already_comes_to_backups_node_by_node(site: BackupSite) -> None:
    site.start_store()
    nodes = [site.add_node(number, backups=False) for number in (1, 2, 3)]
    for node in nodes:
        node.start()
    formed(nodes)
    assert sql(nodes[0], "SELECT @@log_bin") == "0"
    with writing(nodes[0]) as taken:
        for node in (nodes[2], nodes[1]):
            wait_for(lambda: len(taken) > 5, "some rows")
            assert node.stop() == 0
            site.tell(node)
            node.start()
            formed(nodes)
            assert not site.timelines()  # nobody archives what others number otherwise
        waits = "waiting for binary logs of galera-1"
        wait_for(lambda: told(nodes[2])["archive"]["problem"] == waits, "who is waited for", 120)
        assert not site.timelines()
    assert nodes[0].stop() == 0
    site.tell(nodes[0])
    nodes[0].start()
    formed(nodes)
    wait_for(lambda: told(nodes[0])["bases"], "the first backup", 120)
    for node in nodes:
        add(node, f"after, on {node.name}")
    same_numbers(nodes)
    archived(site, nodes[0], number(nodes[0]))
    unbroken(site)
    wait_for(lambda: not wrong(nodes[0]), "all as it must be", 60)


def test_what_a_failed_backup_has_left_goes_and_the_store_s_own_clock_is_asked_before(
    site: BackupSite,
) -> None:
    """All that deleting asks of rclone, and a real store: many at once, a time, broken-off uploads."""
    nodes = whole(site)
    (timeline,) = site.timelines()
    half = site.bucket / PLACE.base(timeline, "20200101T000000Z-full") / layout.DATA
    half.parent.mkdir()
    half.write_bytes(b"half of it")
    holder = archiver(nodes)
    assert holder.stop() == 0
    left = next(node for node in nodes if node is not holder)
    wait_for(lambda: not half.exists(), "the half gone", 180)
    assert told(left)["archive"]["kept"] == ""
    assert not any("are not ended" in node.log for node in nodes)
    unbroken(site)


def test_a_wrong_key_and_a_missing_bucket_are_told_in_words(site: BackupSite) -> None:
    site.start_store()
    nodes = [site.add_node(number, bucket="no-such-bucket") for number in (1, 2, 3)]
    for node in nodes:
        node.start()
    formed(nodes)
    # Before that one, others may have to show that they write binary logs.
    wait_for(lambda: "NoSuchBucket" in told(nodes[0])["archive"]["problem"], "the problem told", 120)
    for node in nodes:
        assert node.stop() == 0
        site.tell(node)
        (node.here / "secrets" / "backup-secret-key").write_text("another")
        node.start()
        formed(nodes)
    problem = wait_for(
        lambda: (
            told(nodes[0])["archive"]["problem"]
            if "Signature" in told(nodes[0])["archive"]["problem"]
            else ""
        ),
        "the wrong key told",
        180,
    )
    assert "another" not in problem
    assert not any("another" in node.log for node in nodes)


def test_a_bucket_that_is_full_is_told_and_used_again_once_there_is_room(site: BackupSite) -> None:
    with site.small_disk(1):
        site.start_store()
        nodes = [site.add_node(number) for number in (1, 2, 3)]
        for node in nodes:
            node.start()
        formed(nodes)
        wait_for(lambda: told(nodes[0])["archive"]["failed"], "the failure told", 180)
        assert told(nodes[0])["bases"] == []
        assert any("the last try of a backup succeeded" in line for line in wrong(nodes[0]))
        add(nodes[0], "written all the same")
        site.grow_disk(200)
        asked = tell(nodes[0], "backup", "full")
        wait_for(lambda: told(nodes[0])["archive"]["asked"] == asked, "a backup", 120)
        archived(site, nodes[0], number(nodes[0]), 120)
        wait_for(lambda: not wrong(nodes[0]), "all as it must be", 60)
        unbroken(site)


def test_no_secret_is_in_a_command_line_or_an_environment(site: BackupSite) -> None:
    nodes = whole(site)
    holder = archiver(nodes)
    seen: set[str] = set()
    with writing(nodes[0]):
        tell(holder, "backup", "full")
        for _ in range(400):
            for pid in processes(holder, "rclone"):
                for part in ("cmdline", "environ"):
                    try:
                        with open(f"/proc/{pid}/{part}", "rb") as file:
                            seen.add(file.read().decode(errors="replace"))
                    except OSError:
                        continue
            if len(seen) > 4:
                break
            wait_for(lambda: True, "a moment", 1)
    assert seen
    assert not any("swarm-galera-lab-s3" in text for text in seen)
    assert layout.MANIFEST in "".join(seen) or "rcat" in "".join(seen)

"""Restores with real processes, three nodes, etcd, an S3 server: to a moment, undone, killed; drills.

The rules one by one: tests/unit/images/test_galera_node_restore_*.py; the order of the steps:
tests/unit/operations/restore/test_restore.py.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from harness.image_containers import Container, wait_for
from harness.image_roots import image_root
from images.galera.galera_node.local_state import ASIDE
from lab import object_store
from tests.images.backup_site import BackupSite, number, told, wrong
from tests.images.galera_site import (
    PASSWORDS,
    add,
    checksums,
    healthy,
    known,
    rows,
    server_pid,
    sql,
    synced,
    tell,
    until,
    uuids,
)
from tests.images.store_access import ETCDCTL
from tests.images.test_galera_backup import archived, same_numbers, whole
from tests.support.age_key import AgeKey

pytestmark = pytest.mark.images

NODE = "/usr/local/bin/galera-node"


@pytest.fixture
def site() -> Iterator[BackupSite]:
    with BackupSite({name: image_root(name) for name in ("etcd", "galera")}) as made:
        yield made


def step(node: Container, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A step of a restore on a node; whatever comes of it."""
    return node.run(NODE, *words, stdin=stdin)


def taken(node: Container, *words: str, stdin: str = "") -> Any:
    """The same, which must succeed; the JSON that it prints."""
    done = step(node, *words, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


def record(node: Container) -> dict[str, Any]:
    """Where the restore stands."""
    found: dict[str, Any] = taken(node, "restore", "status")
    return found


def second() -> str:
    """The next whole second, once it is there: the log's clock has no others."""
    time.sleep(1.1)
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"


def in_archive(site: BackupSite, nodes: list[Container]) -> int:
    """Waits until all that was written is archived; the last number."""
    same_numbers(nodes)
    last = number(nodes[0])
    archived(site, nodes[0], last)
    return last


def back(nodes: list[Container], phase: str = "") -> None:
    """Waits until all serve together. Containers that end are started again, as the engine does: one that has
    served ends before it takes a full copy.

    `phase`: in which the restore's record must be by then. Nodes that are to end may serve for a moment.
    """

    def serve() -> bool:
        for node in nodes:
            if not node.running:
                node.start()
        if not all(synced(node) and healthy(node) for node in nodes):
            return False
        told = step(nodes[0], "restore", "status")  # perhaps it ends just now
        return not phase or (told.returncode == 0 and json.loads(told.stdout)["record"]["phase"] == phase)

    wait_for(serve, f"all serve again {phase}")


def begun(site: BackupSite, node: Container, to: str, *timeline: str) -> dict[str, Any]:
    """From the plan to nodes that have all stopped."""
    plan: dict[str, Any] = taken(node, "restore", "plan", to, *timeline, stdin=site.key.identity)
    taken(node, "restore", "begin", stdin=json.dumps({**plan, "by": "a test"}))
    wait_for(lambda: not record(node)["runs"], "nobody runs")
    return plan


def restored(site: BackupSite, nodes: list[Container], to: str) -> dict[str, Any]:
    """A whole restore on the second node."""
    plan = begun(site, nodes[1], to)
    taken(nodes[1], "restore", "load", stdin=site.key.identity)
    back(nodes)
    wait_for(lambda: record(nodes[1])["formed"], "formed", 30)
    return plan


def test_a_dropped_table_comes_back_as_of_the_moment_before(site: BackupSite) -> None:
    """DROP TABLE is everywhere in milliseconds; the cluster of the moment before has all rows."""
    nodes = whole(site)
    for node in nodes:
        add(node, f"before {node.name}")
    sql(nodes[0], "CREATE TABLE app.more (id INT PRIMARY KEY); INSERT INTO app.more VALUES (1), (2), (3)")
    kept, sums = rows(nodes), checksums(nodes)
    moment = second()
    sql(nodes[2], "DROP TABLE app.word")
    sql(nodes[0], "INSERT INTO app.more VALUES (4)")
    in_archive(site, nodes)
    former = uuids(nodes)
    # The passwords of today, not those of the backup.
    for node in nodes:
        (node.here / "secrets" / "galera-app-password").write_text("app-another")
    plan = restored(site, nodes, moment)
    assert rows(nodes) == kept
    assert checksums(nodes) == sums
    assert {sql(node, "SELECT COUNT(*) FROM app.more") for node in nodes} == {"3"}
    assert uuids(nodes) != former
    assert len(uuids(nodes)) == 1
    assert known(nodes[0])["cluster"]["epoch"].startswith("1-")
    assert plan["lost"]["undone"] >= 2
    # No folder of the restore is taken for a database, and what is written now is replicated.
    assert "before" not in sql(nodes[1], "SHOW DATABASES")
    add(nodes[2], "after")
    same_numbers(nodes)
    login = nodes[0].run(
        "/usr/bin/mariadb", "--skip-ssl", "-h", nodes[1].address, "-uapp", "-papp-another", "app"
    )
    assert login.returncode == 0, login.stderr
    # The data of before is there until a person is content.
    assert all((node.volume / ASIDE / "data" / "ibdata1").exists() for node in nodes)
    taken(nodes[0], "restore", "done")
    wait_for(lambda: not any((node.volume / ASIDE).exists() for node in nodes), "nothing aside")
    # The archive goes on, on a timeline of its own.
    wait_for(lambda: len(site.timelines()) == 2, "another timeline")
    wait_for(lambda: [b for b in told(nodes[0])["bases"] if b["timeline"] not in former], "a full base", 120)
    in_archive(site, nodes)
    # Neither the private key nor a password is anywhere on the nodes.
    for node in nodes:
        words = [path for path in node.volume.rglob("*") if path.is_file() and path.stat().st_size < 1 << 20]
        assert not [path for path in words if site.key.identity.encode() in path.read_bytes()]
        assert site.key.identity not in node.log


def test_to_a_transaction_with_incrementals_and_back_again(site: BackupSite) -> None:
    nodes = whole(site)
    holder = next(node for node in nodes if node.name == told(nodes[0])["archiver"])
    add(nodes[0], "one")
    in_archive(site, nodes)
    asked = tell(holder, "backup", "incremental")
    wait_for(lambda: told(holder)["archive"]["asked"] == asked, "the incremental", 120)
    assert told(holder)["archive"]["failed"] == ""
    add(nodes[1], "two")
    same_numbers(nodes)
    target = number(nodes[0])
    add(nodes[2], "three")
    in_archive(site, nodes)
    former, before = uuids(nodes), rows(nodes)
    plan = restored(site, nodes, f"1-1-{target}")
    assert plan["base"].endswith("-incremental")
    assert [words.split(",") for words in rows(nodes)] == [["first", "one", "two"]] * 3
    add(nodes[0], "lost by the way back")
    taken(nodes[0], "restore", "undo")
    back(nodes, "undone")
    assert uuids(nodes) == former
    assert rows(nodes) == before
    add(nodes[1], "goes on")
    same_numbers(nodes)
    assert not any((node.volume / ASIDE).exists() for node in nodes)


def test_a_load_that_is_killed_is_gone_on_with_and_there_are_never_two_clusters(site: BackupSite) -> None:
    nodes = whole(site)
    for count in range(50):
        add(nodes[0], f"row {count}")
    in_archive(site, nodes)
    kept, former = rows(nodes), uuids(nodes)
    begun(site, nodes[1], "latest")
    # The way back before anything was loaded.
    taken(nodes[0], "restore", "undo")
    back(nodes, "undone")
    assert (uuids(nodes), rows(nodes)) == (former, kept)
    begun(site, nodes[1], "latest")
    for moment in ("base", "log 1"):
        loads = subprocess.Popen(
            nodes[1].inside(NODE, "restore", "load"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert loads.stdin is not None
        assert loads.stderr is not None
        loads.stdin.write(site.key.identity)
        loads.stdin.close()
        with loads.stderr as said:
            for line in said:
                if line.startswith(moment):
                    break
            # With the container: all of it ends, and the engine starts the node anew.
            nodes[1].kill()
            loads.wait()
        nodes[1].start()
        until(nodes[1], "restore: the cluster is being restored")
        for node in nodes:
            with pytest.raises(OSError, match="no mariadbd"):
                server_pid(node)
    wait_for(lambda: not record(nodes[1])["runs"], "nobody runs", 90)
    taken(nodes[1], "restore", "load", stdin=site.key.identity)
    back(nodes)
    assert rows(nodes) == kept
    assert uuids(nodes) != former


def test_what_cant_be_restored_is_refused_and_the_cluster_goes_on(site: BackupSite) -> None:
    nodes = whole(site)
    add(nodes[0], "one")
    last = in_archive(site, nodes)
    key = site.key.identity

    def refused(*words: str, stdin: str = key) -> str:
        done = step(nodes[1], "restore", "plan", *words, stdin=stdin)
        assert done.returncode == 1, done.stdout
        assert "Traceback" not in done.stderr
        assert site.key.identity not in done.stderr
        return done.stderr

    assert "before the oldest base backup" in refused("2020-01-01 00:00:00")
    assert "yet to come" in refused("2100-01-01 00:00:00")
    assert "is not archived" in refused(f"1-1-{last + 1000}")
    assert "is no target" in refused("tomorrow")
    assert "has no timeline x" in refused("latest", "x")
    assert "for another key" in refused("latest", stdin=AgeKey.drawn().identity)
    assert "no identity of age" in refused("latest", stdin="age1public")
    no_key = taken(nodes[1], "restore", "plan", "latest")
    assert no_key["number"] == last
    assert "no exact position" in step(nodes[1], "restore", "begin", stdin="{}").stderr
    # What is damaged in the archive is found before its content counts; the way back is there.
    (timeline,) = site.timelines()
    (base,) = site.bases(timeline)
    (data,) = site.bucket.rglob(f"{base.name}/data.mbs.zst.age")
    whole_object = data.read_bytes()
    begun(site, nodes[1], "latest")
    data.write_bytes(whole_object[:-100] + b"\0" * 100)
    damaged = step(nodes[1], "restore", "load", stdin=key)
    assert damaged.returncode == 1
    assert "is damaged: its SHA-256 is" in damaged.stderr
    data.write_bytes(whole_object)
    site.stop_bucket()
    away = step(nodes[1], "restore", "plan", "latest", stdin=key)
    assert away.returncode == 1
    assert "The archive can't be read" in away.stderr
    site.start_bucket()
    taken(nodes[0], "restore", "undo")
    back(nodes)
    assert rows(nodes) == ["first,one"] * 3
    # Who restarts first may leave the others out for a moment: a timeline of its own, with its first base.
    wait_for(lambda: wrong(nodes[0]) == [], "a whole archive again", 120)
    # A member that nobody sees could go on by itself.
    nodes[2].kill()
    wait_for(lambda: "galera-3: absent" in tell(nodes[0], "status"), "gone", 90)
    plan = taken(nodes[1], "restore", "plan", "latest", stdin=key)
    assert "galera-3 is not here" in step(nodes[1], "restore", "begin", stdin=json.dumps(plan)).stderr


def begins_with(site: BackupSite, node: Container, to: str) -> None:
    """Tells a node of the archive that a new cluster begins with: its own."""
    told = json.loads((node.here / "galera-node" / "backup.json").read_text())
    said = {key: told[key] for key in ("endpoint", "bucket", "prefix", "region", "authority")}
    (node.here / "galera-node" / "bootstrap.json").write_text(
        json.dumps({**said, "cluster": "galera", "to": to})
    )
    for name, value in (
        ("bootstrap-access-key", object_store.ACCESS_KEY),
        ("bootstrap-secret-key", object_store.SECRET_KEY),
        ("bootstrap-identity", site.key.identity),
    ):
        (node.here / "secrets" / name).write_text(value)


def test_a_stack_that_has_lost_everything_begins_again_with_its_own_archive(site: BackupSite) -> None:
    """`bootstrapFrom`, where the new cluster archives in the folder that it has come from."""
    nodes = whole(site)
    add(nodes[0], "one")
    in_archive(site, nodes)
    kept, former = rows(nodes), uuids(nodes)
    (timeline,) = site.timelines()
    (base,) = site.bases(timeline)
    for node in nodes:
        node.kill()
        node.lose_volume()
    gone = site.containers["etcd-1"].run(*ETCDCTL, "del", "--prefix", "swarm-galera/galera/")
    assert gone.returncode == 0, gone.stderr
    for node in nodes:
        begins_with(site, node, "latest")
        node.start()
    back(nodes)
    assert rows(nodes) == kept
    assert not uuids(nodes) & former
    new = uuids(nodes)
    wait_for(lambda: wrong(nodes[0]) == [], "an archive of the new one", 120)
    assert len(site.timelines()) == 2
    assert [each.name for each in site.bases(timeline)] == [base.name]
    wait_for(lambda: record(nodes[0])["record"]["phase"] == "done", "the restore has ended", 60)
    assert all(site.key.identity not in node.log for node in nodes)
    # Never again: what is written since stays over an outage of all nodes.
    add(nodes[1], "since")
    same_numbers(nodes)
    kept = rows(nodes)
    for node in nodes:
        node.kill()
    for node in nodes:
        node.start()
    back(nodes)
    assert (rows(nodes), uuids(nodes)) == (kept, new)


def scratch_of(site: BackupSite) -> Container:
    """A container of the image without a network, that does nothing by itself."""
    made = site.add(
        "scratch",
        "galera",
        60,
        user="999:999",
        volume_at="/var/lib/mysql",
        command=("/usr/bin/python3", "-c", "import time; time.sleep(100000)"),
        env={"SCRATCH_POOL": str(64 << 20)},
        secrets=PASSWORDS,
        hosts=site.hosts,
    )
    (made.here / "90-stack.cnf").write_text("[mysqld]\ninnodb_buffer_pool_size_max=256M\n")
    made.start()
    made.init_pid()
    site.network.cut(made.namespace)
    return made


def sent(
    site: BackupSite, node: Container, scratch: Container, plan: dict[str, Any], *words: str
) -> subprocess.CompletedProcess[bytes]:
    """The archive from a node's container to the scratch server's, as a host pipes it."""
    send = subprocess.Popen(
        node.inside(NODE, "restore", "send", plan["timeline"], str(plan["number"])), stdout=subprocess.PIPE
    )
    assert send.stdout is not None
    takes = subprocess.Popen(
        scratch.inside(NODE, "restore", "scratch", *words),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert takes.stdin is not None
    takes.stdin.write(f"{site.key.identity}\n\n".encode())
    takes.stdin.flush()
    with send.stdout as archive:
        while piece := archive.read(1 << 16):
            takes.stdin.write(piece)
    out, err = takes.communicate()
    assert send.wait() == 0
    return subprocess.CompletedProcess([], takes.returncode, out, err)


def test_a_drill_finds_the_archive_equal_while_clients_write_and_finds_what_is_not(site: BackupSite) -> None:
    nodes = whole(site)
    for count in range(20):
        add(nodes[0], f"row {count}")
    sql(
        nodes[0],
        "CREATE TABLE app.`odd %name` (a BLOB, b DOUBLE, PRIMARY KEY (b)); "
        "INSERT INTO app.`odd %name` VALUES (X'00FF', 1.5)",
    )
    same_numbers(nodes)
    cluster = taken(nodes[2], "drill", "sums")
    assert cluster["number"] == number(nodes[0])
    add(nodes[0], "written after the snapshot")
    in_archive(site, nodes)
    scratch = scratch_of(site)
    plan = taken(nodes[2], "restore", "plan", f"1-1-{cluster['number']}", stdin=site.key.identity)
    done = sent(site, nodes[2], scratch, plan, "drill")
    assert done.returncode == 0, done.stderr.decode()
    assert site.key.identity.encode() not in done.stderr + done.stdout
    back = json.loads(done.stdout)
    assert back["tables"] == cluster["tables"]
    assert back["tables"]["app.word"][0] == 21
    values = {"base": plan["base"], "timeline": plan["timeline"], "position": plan["position"]}
    good = taken(
        nodes[0],
        "drill",
        "report",
        stdin=json.dumps({"values": values, "cluster": cluster, "restored": back}),
    )
    assert good["equal"]
    back["tables"]["app.word"][1] += 1
    bad = taken(
        nodes[0],
        "drill",
        "report",
        stdin=json.dumps({"values": values, "cluster": cluster, "restored": back}),
    )
    assert bad["differs"] == ["app.word: rows differ"]
    drill = known(nodes[1])["backup"]["drill"]
    assert (drill["last"]["equal"], drill["good"]["equal"]) == (False, True)


def test_one_table_and_a_whole_database_come_back_beside_the_running_ones(site: BackupSite) -> None:
    nodes = whole(site)
    add(nodes[0], "kept")
    sql(nodes[0], "CREATE VIEW app.words AS SELECT text FROM app.word")
    sql(nodes[0], "ALTER DATABASE app CHARACTER SET latin1 COLLATE latin1_german2_ci")
    in_archive(site, nodes)
    plan = taken(nodes[1], "restore", "plan", "latest", stdin=site.key.identity)
    sql(nodes[0], "DELETE FROM app.word")
    scratch = scratch_of(site)
    for what, into, schema in (("app.word", "app.word_before", "app"), ("app", "earlier", "earlier")):
        done = sent(site, nodes[1], scratch, plan, "dump", what, into, str(1 << 30))
        assert done.returncode == 0, done.stderr.decode()
        sql(nodes[1], f"CREATE DATABASE IF NOT EXISTS {schema} COMMENT 'half of it'")
        loaded = nodes[1].run("/usr/bin/mariadb", "--binary-mode", schema, stdin=done.stdout.decode())
        assert loaded.returncode == 0, loaded.stderr
    assert "half of it" in sql(nodes[1], "SHOW CREATE DATABASE earlier")
    sql(nodes[1], "ALTER DATABASE earlier COMMENT ''")
    for node in nodes:
        assert sql(node, "SET SESSION wsrep_sync_wait = 1; SELECT COUNT(*) FROM app.word") == "0"
        for table in ("app.word_before", "earlier.word", "earlier.words"):
            assert sql(node, f"SELECT GROUP_CONCAT(text ORDER BY text) FROM {table}") == "first,kept"
        assert "latin1_german2_ci" in sql(node, "SHOW CREATE DATABASE earlier")
    # What was loaded is in the binary logs, and is replayed like all else.
    in_archive(site, nodes)
    later = taken(nodes[1], "restore", "plan", "latest", stdin=site.key.identity)
    replayed = sent(site, nodes[1], scratch, later, "dump", "earlier", "later", str(1 << 30))
    assert replayed.returncode == 0, replayed.stderr.decode()
    words = b"ALTER DATABASE `later` CHARACTER SET latin1 COLLATE latin1_german2_ci;"
    assert replayed.stdout.startswith(words)
    again = sent(site, nodes[1], scratch, plan, "dump", "app.word", "app.word", str(1 << 30))
    assert again.returncode == 0, again.stderr.decode()
    assert b"CREATE TABLE `word`" in again.stdout
    full = sent(site, nodes[1], scratch, plan, "dump", "app.word", "app.x", "1")
    assert full.returncode == 1
    assert b"the fullest one has room for 0 MB" in full.stderr
    gone = sent(site, nodes[1], scratch, plan, "dump", "app.nothing", "app.x", str(1 << 30))
    assert gone.returncode == 1
    assert b"there is no table app.nothing" in gone.stderr

"""From the images on one of Debian's releases to those on the next: what nodes and members do on the way.

Owned here: one after the other, as a rolling update does it, with the data of before. Left to others: what
each version is by itself (`--debian` runs the other files with the older one), the rules
(tests/unit/images/test_galera_node_data_version.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.image_containers import Container, wait_for
from harness.image_roots import FORMER, PRESENT, image_root
from images.galera.galera_node import data_version
from tests.images.galera_site import (
    SIZE,
    GaleraSite,
    add,
    copies,
    formed,
    healthy,
    rows,
    sql,
    start,
    synced,
    until,
    uuids,
)
from tests.images.store_access import ETCDCTL

pytestmark = pytest.mark.images
OLD, NEW = "10.11", "11.8"


@pytest.fixture
def site() -> Iterator[GaleraSite]:
    """Store and database on the older release."""
    with GaleraSite({name: image_root(name, FORMER[0]) for name in ("etcd", "galera")}) as made:
        yield made


def takes(node: Container, root: Path, **env: str) -> None:
    """Another image for the same container, as a rolling update brings it: stopped, and not yet started."""
    if node.running:
        assert node.stop() == 0
    node.root = root
    node.env = {**node.env, **env}


def version(node: Container) -> str:
    return ".".join(sql(node, "SELECT VERSION()").split(".")[:2])


def ended(node: Container) -> int:
    """The exit code of a container that ends by itself."""
    assert node.process is not None
    return node.process.wait(timeout=60)


def test_a_cluster_goes_to_the_next_mariadb_node_by_node_and_only_by_a_persons_word(site: GaleraSite) -> None:
    newer, older = image_root("galera", PRESENT), image_root("galera", FORMER[0])
    site.start_store()
    nodes = start(site, 1, 2, 3)
    formed(nodes)
    assert [version(node) for node in nodes] == [OLD] * SIZE
    (uuid,) = uuids(nodes)
    last = nodes[2]
    # Whoever was first has made the data, the others have taken a copy.
    began_with = [copies(node) for node in nodes]
    assert sorted(began_with) == [0, 1, 1]

    # Without the word the data stays what it is, and the engine sees a task that fails.
    takes(last, newer)
    before = (last.volume / "grastate.dat").read_text()
    last.start()
    assert ended(last) == 1
    assert f"refusing to start: the data is of MariaDB {OLD}, and this image has {NEW}" in last.log
    assert (last.volume / "grastate.dat").read_text() == before
    takes(last, older)
    last.start()
    formed(nodes)
    assert copies(last) == began_with[-1], "it came back by the write-sets that it lacked"

    # With it, one after the other, while both kinds of nodes take writes.
    for count, node in enumerate(reversed(nodes), 1):
        takes(node, newer, UPGRADE_TO=NEW)
        other = nodes[0] if node is not nodes[0] else last
        wait_for(lambda other=other: synced(other, SIZE - 1), "two nodes")  # type: ignore[misc]
        add(other, f"while-{count}")
        node.start()
        until(node, f"the system tables are those of MariaDB {NEW}")
        formed(nodes)
        for written, writer in enumerate(nodes):
            add(writer, f"after-{count}-{written}")
        assert len(set(rows(nodes))) == 1
    assert [version(node) for node in nodes] == [NEW] * SIZE
    assert [data_version.of_data(node.volume) for node in nodes] == [NEW] * SIZE
    came_with = [copies(node) for node in nodes]
    assert came_with == began_with, "each came back by the write-sets that it lacked"
    assert uuids(nodes) == {uuid}
    definitions = [
        sql(node, "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS "
            "WHERE TABLE_SCHEMA = 'mysql' ORDER BY 1, 2")
        for node in nodes
    ]  # fmt: skip
    assert len(set(definitions)) == 1

    # A start more does nothing of it again, the word or not.
    takes(last, newer, UPGRADE_TO="")
    last.start()
    formed(nodes)
    assert last.log.count("bringing the system tables") == 1

    # There is no way back, whoever says so; and a copy is refused as data is.
    takes(last, older, UPGRADE_TO=OLD)
    last.start()
    assert ended(last) == 1
    assert f"the data is of MariaDB {NEW}, and this image has {OLD}, which cannot read it" in last.log
    last.lose_volume()
    last.start()
    until(last, "what the donor has is not for this server")
    last.kill()
    last.lose_volume()
    takes(last, newer)
    last.start()
    formed(nodes)
    assert len(set(rows(nodes))) == 1


def test_a_newer_node_without_data_takes_a_copy_from_older_ones_only_by_a_persons_word(
    site: GaleraSite,
) -> None:
    newer = image_root("galera", PRESENT)
    site.start_store()
    nodes = start(site, 1, 2, 3)
    formed(nodes)
    last = nodes[2]
    takes(last, newer)
    last.lose_volume()
    last.start()
    until(last, "what the donor has is not for this server")
    last.kill()
    wait_for(lambda: synced(nodes[0], 2), "two nodes")
    takes(last, newer, UPGRADE_TO=NEW)
    last.start()
    formed(nodes)
    assert f"bringing the system tables from MariaDB {OLD} to {NEW}" in last.log
    add(last, "newer")
    assert rows(nodes) == ["first,newer"] * SIZE


def test_a_cluster_that_was_down_goes_to_the_next_mariadb_as_a_whole(site: GaleraSite) -> None:
    newer = image_root("galera", PRESENT)
    site.start_store()
    nodes = start(site, 1, 2, 3)
    formed(nodes)
    add(nodes[0], "second")
    for node in nodes:
        node.kill()  # a power cut: the positions are recovered by the newer server
    for node in nodes:
        takes(node, newer, UPGRADE_TO=NEW)
        node.start()
    formed(nodes)
    assert [version(node) for node in nodes] == [NEW] * SIZE
    assert rows(nodes) == ["first,second"] * SIZE


def test_a_store_goes_to_the_next_etcd_member_by_member(site: GaleraSite) -> None:
    newer = image_root("etcd", PRESENT)
    site.start_store()
    members = site.store_members()
    site.put("here", "before")

    def said(member: Container, *words: str) -> str:
        done = member.run(*ETCDCTL, *words)
        return done.stdout + done.stderr

    def versions(member: Container) -> list[str]:
        lines = said(member, "endpoint", "status", "--cluster").splitlines()
        return [line.split(", ")[2] for line in lines]

    assert [found[:3] for found in versions(members[0])] == ["3.4"] * SIZE
    for count, member in enumerate(members):
        takes(member, newer)
        member.start()
        wait_for(lambda member=member: healthy(member), f"{member.name} healthy")  # type: ignore[misc]
        site.put(f"while-{count}", "mixed")
        assert [said(each, "get", "--print-value-only", f"swarm-galera/galera/while-{count}").strip()
                for each in members] == ["mixed"] * SIZE  # fmt: skip
    assert [found[:3] for found in versions(members[0])] == ["3.5"] * SIZE
    assert "before" in said(members[2], "get", "swarm-galera/galera/here")
    # Users are what they were: nobody gets in without being one.
    assert members[0].run("/usr/local/bin/etcd-member", "clients").stdout.startswith("users")
    # One that has lost its disk takes its seat anew.
    members[1].kill()
    members[1].lose_volume()
    members[1].start()
    wait_for(lambda: healthy(members[1]), "a member without data healthy")
    assert "before" in said(members[1], "get", "swarm-galera/galera/here")

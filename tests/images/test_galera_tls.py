"""TLS between real nodes: what crosses the network, who is let in, how a cluster comes to it under writes.

Owned here: replication, both state transfers, clients. Left to others: the certificates themselves
(tests/unit/components/test_database_tls.py), the program's part (tests/lab/test_tls.py).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from components.certificates import VALID_FOR
from components.peer_certificates import ONE
from harness.image_containers import Container, wait_for
from tests.images.galera_site import (
    INITDB,
    PASSWORDS,
    GaleraSite,
    add,
    checksums,
    cluster,
    copies,
    formed,
    galera_address,
    healthy,
    known,
    rows,
    sql,
    start,
    synced,
    until,
)
from tests.images.wiretap import Wiretap, listening
from tests.support.node_certificates import NodeCertificates

SECRET = "nobody-is-to-read-this-0815"
ROWS = 400


def give(node: Container, files: Mapping[str, str]) -> None:
    """Other secrets, for the next start."""
    for name, text in files.items():
        (node.here / "secrets" / name).write_text(text)


def take(node: Container, files: Mapping[str, str]) -> None:
    for name in files:
        (node.here / "secrets" / name).unlink()


def with_tls(site: GaleraSite, files: Mapping[str, str], *numbers: int) -> list[Container]:
    nodes = [site.add_galera(number, INITDB) for number in numbers]
    for node in nodes:
        give(node, files)
        node.start()
    return nodes


def renew(node: Container) -> None:
    """What the service's new version does to this host's task: stop, start, wait."""
    node.stop()
    node.start()


def write_secret(node: Container, table: str) -> None:
    sql(node, f"CREATE TABLE app.{table} (id INT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(60))")
    values = ",".join(f"('{SECRET} {table}')" for _ in range(ROWS))
    sql(node, f"INSERT INTO app.{table} (text) VALUES {values}")


def secure(node: Container) -> subprocess.CompletedProcess[str]:
    return node.run("/usr/local/bin/galera-node", "secure")


def secured(nodes: list[Container]) -> None:
    """Says so until all is done; containers that end are started again, as the engine does."""

    def done() -> bool:
        for node in nodes:
            if not node.running:
                node.start()
        answer = secure(nodes[0])
        # Killed, or gone before it was asked: it was the container whose turn it was.
        gone = answer.returncode == -9 or answer.stderr.startswith("nsenter: ")
        assert gone or answer.returncode in (0, 75), answer.stderr + answer.stdout
        return answer.returncode == 0

    wait_for(done, "all nodes with TLS alone", 400)


def every_way(site: GaleraSite, nodes: list[Container], tap: Wiretap, table: str) -> None:
    """A row goes over the network by replication, by write-sets (IST) and in a full copy (SST)."""
    first, second, third = nodes
    assert second.stop() == 0
    write_secret(first, table)
    wait_for(lambda: synced(third, 2) and checksums([first, third], f"app.{table}"), "replication", 60)
    second.start()
    formed(nodes)
    assert third.stop() == 0
    third.lose_volume()
    before = copies(third)
    third.start()
    formed(nodes)
    assert copies(third) == before + 1
    assert len(set(checksums(nodes, f"app.{table}"))) == 1
    assert tap.size() > ROWS * len(SECRET)


def client(node: Container, *options: str, user: str = "app") -> subprocess.CompletedProcess[str]:
    """A client on the network, from a node's container; what it gets."""
    password = PASSWORDS[f"galera-{user}-password"]
    words = (
        "/usr/bin/mariadb",
        f"--host={galera_address(1)}",
        f"--user={user}",
        f"--password={password}",
        *options,
    )
    return node.run(*words, "-N", "-e", "SHOW SESSION STATUS LIKE 'Ssl_version'")


class Writer:
    """A client that writes one word after the other, to whichever node takes it, and tries again."""

    def __init__(self, nodes: list[Container]) -> None:
        self._nodes, self._ends = nodes, threading.Event()
        self.taken: list[str] = []
        self.longest = 0.0

    @contextlib.contextmanager
    def writes(self) -> Iterator[Writer]:
        thread = threading.Thread(target=self._write)
        thread.start()
        try:
            yield self
        finally:
            self._ends.set()
            thread.join()

    def _write(self) -> None:
        number, last = 0, dt.datetime.now(dt.UTC)
        while not self._ends.wait(0.1):
            number += 1
            for node in self._nodes:
                with contextlib.suppress(OSError):
                    self._add(node, f"w{number}")
                    self.taken.append(f"w{number}")
                    now = dt.datetime.now(dt.UTC)
                    self.longest, last = max(self.longest, (now - last).total_seconds()), now
                    break

    @staticmethod
    def _add(node: Container, word: str) -> None:
        """Raises OSError where it is not taken; waits for no container."""
        assert node.process is not None
        children = Path(f"/proc/{node.process.pid}/task/{node.process.pid}/children").read_text().split()
        statement = f"INSERT INTO app.word (text) VALUES ('{word}')"
        if not children or node.run("/usr/bin/mariadb", "-e", statement, pid=int(children[0])).returncode:
            raise OSError(node.name)

    def all_there(self, nodes: list[Container]) -> None:
        for node in nodes:
            there = set(sql(node, "SELECT text FROM app.word").split("\n"))
            assert not set(self.taken) - there, node.name


def test_a_new_cluster_speaks_tls_alone_and_nothing_crosses_the_network_in_plain(site: GaleraSite) -> None:
    site.start_store()
    made = NodeCertificates()
    with listening(site, "all") as tap:
        nodes = with_tls(site, made.files, 1, 2, 3)
        formed(nodes)
        first, second, third = nodes
        assert all(about["tls"] == "only" for about in known(first)["members"].values())
        assert secure(first).returncode == 0
        every_way(site, nodes, tap, "covered")
        assert not tap.heard(SECRET)
    # Clients may come with TLS, and root must.
    assert client(second, "--skip-ssl").stdout.split() == ["Ssl_version"]
    assert client(second, "--ssl").stdout.split() == ["Ssl_version", "TLSv1.3"]
    assert "Access denied" in client(second, "--skip-ssl", user="root").stderr
    assert client(second, "--ssl", user="root").stdout.split() == ["Ssl_version", "TLSv1.3"]
    # Whoever has no certificate, or one of somebody else, is no node: it is not let in, and the others serve.
    assert third.stop() == 0
    third.lose_volume()
    for wrong in ({}, NodeCertificates().files):
        take(third, made.files) if not wrong else give(third, wrong)
        third.start()
        until(third, "joining 10.77.0.2")
        with pytest.raises(TimeoutError):
            wait_for(lambda: synced(third), "a node that is let in", 25)
        assert not healthy(third)
        third.kill()
        add(first, f"still serves {len(wrong)}")
        assert synced(first, 2)
        assert synced(second, 2)
    give(third, made.files)
    third.start()
    formed(nodes)
    assert len(set(rows(nodes))) == 1


def test_a_cluster_of_before_comes_over_node_by_node_while_a_client_writes(site: GaleraSite) -> None:
    site.start_store()
    nodes = start(site, 1, 2, 3)
    formed(nodes)
    first, second, third = nodes
    with listening(site, "plain") as tap:
        every_way(site, nodes, tap, "open")
        assert tap.heard(f"{SECRET} open")  # the tap works
    made = NodeCertificates()
    with Writer(nodes).writes() as writer:
        give(third, made.files)
        renew(third)
        formed(nodes)
        # A node of before takes a full copy, perhaps of one with TLS; then one with TLS of whom there is.
        assert second.stop() == 0
        second.lose_volume()
        second.start()
        formed(nodes)
        answer = secure(first)
        assert answer.returncode == 1
        assert "galera-1 speaks no TLS" in answer.stderr
        give(second, made.files)
        assert second.stop() == 0
        second.lose_volume()
        second.start()
        formed(nodes)
        give(first, made.files)
        renew(first)
        formed(nodes)
        assert "lets in nodes without" in cluster(first)
        secured(nodes)
        formed(nodes)
        assert cluster(first).count("TLS alone") == 3
    writer.all_there(nodes)
    assert len(writer.taken) > 50
    assert writer.longest < 60
    with listening(site, "covered") as tap:
        every_way(site, nodes, tap, "covered")
        assert not tap.heard(SECRET)
    wait_for(
        lambda: "Access denied" in client(second, "--skip-ssl", user="root").stderr,
        "root with TLS alone",
        120,
    )
    # For good, also while the store is away; and a node of before is one no more.
    for member in site.store_members():
        member.kill()
    renew(second)
    wait_for(lambda: synced(second), "a node that joins without the store")
    assert known(second)["self"]["tls"]["mode"] == "only"
    assert third.stop() == 0
    take(third, made.files)
    third.start()
    with pytest.raises(TimeoutError):
        wait_for(lambda: synced(third), "a node of before", 25)
    assert synced(first, 2)


def test_another_authority_follows_while_a_client_writes_and_the_former_is_trusted_no_longer(
    site: GaleraSite,
) -> None:
    site.start_store()
    made = NodeCertificates()
    nodes = with_tls(site, made.files, 1, 2, 3)
    formed(nodes)
    first, second, third = nodes
    after = NodeCertificates(made)
    with Writer(nodes).writes() as writer:
        give(second, after.files)
        renew(second)
        formed(nodes)
        # Here the run was killed. Whoever starts anew meanwhile, also from nothing, is let in.
        answer = secure(first)
        assert answer.returncode == 75
        assert "different authorities" in answer.stdout
        for node in (first, second):
            assert node.stop() == 0
            node.lose_volume()
            node.start()
            formed(nodes)
        for node in (third, first):
            give(node, after.files)
            renew(node)
            formed(nodes)
        assert cluster(first).count("trusts a former authority, too") == 3
        secured(nodes)
        formed(nodes)
    writer.all_there(nodes)
    assert len(writer.taken) > 50
    assert "former authority" not in cluster(first)
    # A client that knows the former authority is served as one that knows the present: each is shown a word.
    for files in (made.files, after.files):
        (first.here / "secrets" / "known.crt").write_text(ONE.findall(files["galera-ca.crt"])[0])
        checked = client(
            first, "--ssl-ca=/run/secrets/known.crt", "--ssl-verify-server-cert", "--host=tasks.galera"
        )
        assert checked.stdout.split() == ["Ssl_version", "TLSv1.3"], checked.stderr
    # So is one that knows nobody: it checks by the password, or not at all.
    assert client(second).stdout.split() == ["Ssl_version", "TLSv1.3"]
    # But as a node, who has a certificate of the former is nobody.
    assert third.stop() == 0
    give(third, made.files)
    third.start()
    with pytest.raises(TimeoutError):
        wait_for(lambda: synced(third), "a node with a former certificate", 25)
    third.kill()
    give(third, after.files)
    third.start()
    formed(nodes)


def over_the_socket(node: Container, statement: str) -> str:
    """As an operator does it who must not ask for what a certificate is worth."""
    done = node.run("/usr/bin/mariadb", "--skip-ssl", "-N", "-e", statement)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_nodes_whose_authority_expires_serve_and_come_back_together_with_new_certificates(
    site: GaleraSite,
) -> None:
    site.start_store()
    life = dt.timedelta(seconds=90)
    expires = dt.datetime.now(dt.UTC) + life
    made = NodeCertificates(ago=VALID_FOR - life)
    nodes = with_tls(site, made.files, 1, 2, 3)
    formed(nodes)
    first, _, third = nodes
    wait_for(lambda: dt.datetime.now(dt.UTC) > expires + dt.timedelta(seconds=2), "the authority's end", 120)
    for number, node in enumerate(nodes):
        over_the_socket(node, f"INSERT INTO app.word (text) VALUES ('expired {number}')")
    # One that is changed alone can't come back: it is nobody to the others, and they to it.
    renewed = made.renewed()
    give(third, renewed)
    renew(third)
    with pytest.raises(TimeoutError):
        wait_for(lambda: synced(third), "a node among others whose certificates have expired", 25)
    over_the_socket(first, "INSERT INTO app.word (text) VALUES ('of two')")
    # So the engine replaces all at the same time.
    for node in nodes:
        give(node, renewed)
        os.kill(node.init_pid(), signal.SIGTERM)
    for node in nodes:
        assert node.process is not None
        node.process.wait(timeout=60)
    for node in nodes:
        node.start()
    formed(nodes)
    words = rows(nodes)
    assert len(set(words)) == 1
    assert {"expired 0", "expired 1", "expired 2", "of two"} <= set(words[0].split(","))
    secured(nodes)
    assert cluster(first).count("TLS alone") == 3


def test_certificates_that_can_not_work_are_refused_in_one_line_and_the_others_serve(
    site: GaleraSite,
) -> None:
    site.start_store()
    made = NodeCertificates()
    nodes = with_tls(site, made.files, 1, 2, 3)
    formed(nodes)
    first, second, third = nodes
    assert third.stop() == 0
    old = dt.timedelta(days=4000)
    for files, said in (
        (made.another(ago=old), "certificate has expired"),
        (made.another(name="somebody.example.com"), "Hostname mismatch"),
        (
            {**made.files, "galera-server.key": NodeCertificates().files["galera-server.key"]},
            "KEY_VALUES_MISMATCH",
        ),
    ):
        give(third, files)
        before = third.log
        third.start()
        assert third.process is not None
        assert third.process.wait(timeout=60) == 2
        lines = third.log.removeprefix(before).strip().splitlines()
        assert len(lines) == 1, lines
        assert said in lines[0]
        assert "Remedy: `pulumi up`" in lines[0]
        add(first, f"served {said}")
        assert synced(first, 2)
        assert synced(second, 2)
    give(third, made.files)
    third.start()
    formed(nodes)
    assert len(set(rows(nodes))) == 1


def test_where_it_is_required_nobody_comes_without_tls_and_nodes_go_on(site: GaleraSite) -> None:
    site.start_store()
    made = NodeCertificates()
    nodes = [site.add_galera(number, INITDB) for number in (1, 2, 3)]
    for node in nodes:
        give(node, made.files)
        stack = node.here / "90-stack.cnf"
        stack.write_text(f"{stack.read_text()}require_secure_transport = ON\n")
        node.start()
    formed(nodes)
    _, second, third = nodes
    # 10.11 says the one, 11.8 the other.
    refused = client(second, "--skip-ssl").stderr
    assert "Access denied" in refused or "ERROR 3159" in refused
    assert client(second, "--ssl").stdout.split() == ["Ssl_version", "TLSv1.3"]
    # The node itself, and the program for backups, come in over the socket.
    assert third.stop() == 0
    third.lose_volume()
    third.start()
    formed(nodes)
    assert copies(third) > 0

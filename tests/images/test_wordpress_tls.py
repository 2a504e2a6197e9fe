"""WordPress on a real node that lets nobody in without TLS: it comes with it, and checks who answers.

Owned here: the way from PHP to the database. Left to others: a site that is used
(tests/lab/test_application.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from components.peer_certificates import ONE
from harness.image_containers import Container, wait_for
from harness.image_roots import image_root
from tests.images.galera_site import PASSWORDS, GaleraSite, healthy, synced
from tests.images.test_galera_tls import give
from tests.support.node_certificates import NodeCertificates

ASK = """
import socket
with socket.create_connection(("10.77.0.40", 8080), 60) as stream:
    stream.sendall(b"GET /wp-admin/install.php HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n")
    answer = b""
    while part := stream.recv(4096):
        answer += part
print(answer.decode(errors="replace"))
"""


@pytest.fixture
def site() -> Iterator[GaleraSite]:
    with GaleraSite({name: image_root(name) for name in ("etcd", "galera", "wordpress")}) as made:
        yield made


def add(site: GaleraSite, authority: str) -> Container:
    return site.add(
        "site",
        "wordpress",
        40,
        user="996:996",
        volume_at="/srv/uploads",
        command=("/usr/local/bin/wordpress-node", "run"),
        env={
            "DATABASE_HOST": "tasks.galera",
            "DATABASE_PORT": "3306",
            "DATABASE_NAME": "app",
            "DATABASE_USER": "app",
            "DATABASE_CA": "/run/secrets/application-database-ca.crt",
        },
        secrets={
            "application-database-password": PASSWORDS["galera-app-password"],
            "application-salt": "salt-of-forty-characters-and-of-no-use-0",
            "application-database-ca.crt": authority,
        },
        hosts="10.77.0.21 tasks.galera\n",
    )


def test_a_site_comes_with_tls_and_to_nobody_else(site: GaleraSite) -> None:
    site.start_store(without=(2, 3))
    made = NodeCertificates()
    node = site.add_galera(1, {})
    give(node, made.files)
    stack = node.here / "90-stack.cnf"
    stack.write_text(f"{stack.read_text()}require_secure_transport = ON\n")
    node.start()
    wait_for(lambda: synced(node, 1) and healthy(node), "a node that serves")
    page = add(site, ONE.findall(made.files["galera-ca.crt"])[0])

    def answer() -> str:
        page.start()
        wait_for(lambda: page.run("/usr/local/bin/wordpress-node", "health").returncode == 0, "the site", 60)
        said = node.run("/usr/bin/python3", "-IS", "-c", ASK).stdout
        page.kill()
        return said

    assert "WordPress" in (said := answer())
    assert " 200 " in said.splitlines()[0], said
    # Who answers with a certificate of another authority is told no password.
    give(page, {"application-database-ca.crt": ONE.findall(NodeCertificates().files["galera-ca.crt"])[0]})
    assert "Error establishing a database connection" in answer()

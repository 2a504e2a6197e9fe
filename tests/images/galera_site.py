"""Three etcd members and three Galera nodes as containers, as the stack's services would run them.

Owns their environment, secrets and names, and questions to them. Leaves the machinery to `image_containers`.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from harness.image_containers import SUBNET, Container, Site, wait_for
from tests.images.store_access import ETCDCTL, READABLE, Access

SIZE = 3
INITDB = {
    "01-tables.sql": (
        "CREATE TABLE word (id INT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(40), UNIQUE (text));\n"
        "INSERT INTO word (text) VALUES ('first');\n"
    ),
    "02-routine.sql": "DELIMITER //\nCREATE PROCEDURE one() BEGIN SELECT 1; END//\nDELIMITER ;\n",
}
# Initial SQL that does not end by itself.
SLOW = {"01.sql": "CREATE TABLE word (id INT PRIMARY KEY, text VARCHAR(40));\nSELECT SLEEP(600);\n"}
PASSWORDS = {
    "galera-root-password": "root-7f3a'\"\\ #;",
    "galera-monitor-password": "monitor-55d0",
    "galera-app-password": "app-a1b2",
}
STACK = "[mysqld]\ninnodb_buffer_pool_size=64M\ninnodb_buffer_pool_size_max=256M\n"
# The default follows from the disk, and so many nodes share this one.
PROVIDER = '{"gcache.size": "128M"}'


def peer_certificates() -> dict[str, str]:
    """A CA and one certificate for all members, as the stack makes them."""
    now = datetime.datetime.now(datetime.UTC)
    addresses = [x509.IPAddress(ip_address(etcd_address(number))) for number in range(1, SIZE + 1)]

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def pem(certificate: x509.Certificate) -> str:
        return certificate.public_bytes(serialization.Encoding.PEM).decode()

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def build(subject: str, public: ec.EllipticCurvePublicKey, ca: bool) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("etcd peers"))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
            .sign(ca_key, hashes.SHA256())
        )

    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "etcd-peer-ca.crt": pem(build("etcd peers", ca_key.public_key(), True)),
        "etcd-peer.crt": pem(build("etcd-peer", key.public_key(), False)),
        "etcd-peer.key": private.decode(),
    }


on_both_stores = pytest.mark.parametrize("site", ["etcd", "consul"], indirect=True)
"""For the stories that rest on the store."""


def etcd_address(number: int) -> str:
    return f"10.77.0.{10 + number}"


def galera_address(number: int) -> str:
    return f"10.77.0.{20 + number}"


class GaleraSite(Site):
    """`etcd-1` … and `galera-1` …, added but not started."""

    def __init__(self, roots: Mapping[str, Path]) -> None:
        super().__init__(roots)
        self.access = Access()
        self.secrets = peer_certificates() | self.access.member
        self.hosts = "".join(f"{etcd_address(n)} etcd\n" for n in range(1, SIZE + 1)) + "".join(
            f"{galera_address(n)} tasks.galera\n" for n in range(1, SIZE + 1)
        )

    def add_etcd(self, number: int) -> Container:
        peers = ",".join(f"galera-{n}=https://{etcd_address(n)}:2380" for n in range(1, SIZE + 1))
        return self.add(
            f"etcd-{number}",
            "etcd",
            10 + number,
            user="998:998",
            volume_at="/var/lib/etcd",
            command=("/usr/local/bin/etcd-member", "run"),
            env={
                "NODE_NAME": f"galera-{number}",
                "ETCD_INITIAL_CLUSTER": peers,
                "CLUSTER_TOKEN": "test",
                "READABLE": READABLE,
            },
            secrets=self.secrets,
            hosts=self.hosts,
        )

    def add_galera(self, number: int, initdb: Mapping[str, str] | None = None) -> Container:
        container = self.add(
            f"galera-{number}",
            "galera",
            20 + number,
            user="999:999",
            volume_at="/var/lib/mysql",
            command=("/usr/local/bin/galera-node", "run"),
            env={
                "NODE_NAME": f"galera-{number}",
                "CLUSTER_NAME": "galera",
                "CLUSTER_SIZE": str(SIZE),
                "PEERS": "tasks.galera",
                "STORE": "etcd://etcd:2381",
                "SUBNET": SUBNET,
                "DATABASE": "app",
                "MEMBERS": ",".join(f"galera-{n}" for n in range(1, SIZE + 1)),
            },
            secrets=PASSWORDS | self.access.files("galera"),
            hosts=self.hosts,
        )
        (container.here / "90-stack.cnf").write_text(STACK)
        (container.here / "galera-node").mkdir()
        (container.here / "galera-node" / "provider.json").write_text(PROVIDER)
        (container.here / "initdb").mkdir()
        for name, text in (initdb or {}).items():
            (container.here / "initdb" / name).write_text(text)
        return container

    def start_store(self, without: Iterable[int] = ()) -> None:
        """All members, up to a leader. `without`: whom a cluster may form without, by a person's word."""
        members = [self.add_etcd(n) for n in range(1, SIZE + 1)]
        for member in members:
            member.start()
        for member in members:
            wait_for(lambda member=member: healthy(member), f"{member.name} healthy")  # type: ignore[misc]
        for number in without:
            self.put(f"forgotten/galera-{number}", "")

    def store_members(self) -> list[Container]:
        """The store's members, started or not."""
        return [self.containers[f"etcd-{number}"] for number in range(1, SIZE + 1)]

    def end_right_to_bootstrap(self) -> None:
        """What a hung host or a long cut from the store comes to."""
        member = self.containers["etcd-1"]
        right = member.run(*ETCDCTL, "get", "swarm-galera/galera/bootstrap", "--write-out=json")
        lease = json.loads(right.stdout)["kvs"][0]["lease"]
        assert member.run(*ETCDCTL, "lease", "revoke", f"{lease:x}").returncode == 0

    def put(self, key: str, value: str) -> None:
        """Writes a key of the cluster's."""
        done = self.containers["etcd-1"].run(*ETCDCTL, "put", f"swarm-galera/galera/{key}", "--", value)
        assert done.returncode == 0, done.stderr


def processes(container: Container, name: str) -> list[int]:
    """The ids of the container's processes of this name (15 characters of it), as the machine sees them."""
    space, found = os.readlink(f"/proc/{container.init_pid()}/ns/pid"), []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):  # it has ended meanwhile, or is nobody's
            if (
                os.readlink(entry / "ns" / "pid") == space
                and (entry / "comm").read_text().strip() == name[:15]
            ):
                found.append(int(entry.name))
    return found


def server_pid(container: Container) -> int:
    """mariadbd's process id, as the machine sees it. Raises OSError while it does not run."""
    for pid in processes(container, "mariadbd"):
        return pid
    raise OSError(f"no mariadbd in {container.name}")


def healthy(container: Container) -> bool:
    """The image's own health check, as an engine runs it."""
    command = "etcd-member" if container.name.startswith("etcd") else "galera-node"
    return container.run(f"/usr/local/bin/{command}", "health").returncode == 0


def sql(container: Container, statement: str) -> str:
    """Runs SQL as the system user over the socket; rows as tab-separated lines."""
    done = container.run("/usr/bin/mariadb", "-N", "-e", statement)
    if done.returncode != 0:
        raise OSError(done.stderr.strip())
    return done.stdout.strip()


def status(container: Container, name: str) -> str:
    """One wsrep status value."""
    return sql(container, f"SHOW GLOBAL STATUS LIKE '{name}'").partition("\t")[2]


def synced(container: Container, size: int = SIZE) -> bool:
    """Synced in a Primary component of `size` nodes."""
    return (
        status(container, "wsrep_local_state_comment") == "Synced"
        and status(container, "wsrep_cluster_status") == "Primary"
        and status(container, "wsrep_cluster_size") == str(size)
    )


def start(site: GaleraSite, *numbers: int) -> list[Container]:
    """Adds and starts `galera-NUMBER`."""
    nodes = [site.add_galera(number, INITDB) for number in numbers]
    for node in nodes:
        node.start()
    return nodes


def until(container: Container, what: str, seconds: float = 240) -> None:
    """Waits for words in the container's log."""
    wait_for(lambda: what in container.log, f"{container.name}: {what!r} in its log", seconds)


def says(node: Container) -> str:
    """The health check's words."""
    return node.run("/usr/local/bin/galera-node", "health").stdout


def cluster(node: Container) -> str:
    """What the store knows, as a person reads it."""
    return node.run("/usr/local/bin/galera-node", "status").stdout


def formed(nodes: list[Container], size: int = SIZE) -> None:
    """Waits until each is Synced in a component of `size` nodes, and healthy.

    A container that ends meanwhile is started again, as the engine does.
    """

    def serves(node: Container) -> bool:
        if not node.running:
            node.start()
        return synced(node, size) and healthy(node)

    for node in nodes:
        wait_for(lambda node=node: serves(node), f"{node.name} Synced of {size}")  # type: ignore[misc]


def settled(nodes: list[Container]) -> None:
    """Waits until all serve and have a vote each: the loss of one that has more stops the others."""
    formed(nodes)
    each = {str(len(nodes))}
    wait_for(lambda: {status(node, "wsrep_cluster_weight") for node in nodes} == each, "a vote each")


def rows(nodes: list[Container]) -> list[str]:
    """The words in the table of `INITDB`, as each node has them."""
    return [sql(node, "SELECT GROUP_CONCAT(text ORDER BY text) FROM app.word") for node in nodes]


def add(node: Container, word: str) -> None:
    sql(node, f"INSERT INTO app.word (text) VALUES ('{word}')")


def known(node: Container) -> dict[str, Any]:
    """The same as `cluster`, for machines."""
    found: dict[str, Any] = json.loads(node.run("/usr/local/bin/galera-node", "status", "--json").stdout)
    return found


def tell(node: Container, *words: str) -> str:
    """One of the commands for a person; what it says. Raises OSError when it refuses."""
    done = node.run("/usr/local/bin/galera-node", *words)
    if done.returncode != 0:
        raise OSError(done.stderr.strip())
    return done.stdout.strip()


def checksums(nodes: list[Container], table: str = "app.word") -> list[str]:
    """The table's checksum on each node."""
    return [sql(node, f"CHECKSUM TABLE {table}") for node in nodes]


def copies(node: Container) -> int:
    """How many full copies the node has received."""
    return node.log.count("joiner: received")


def uuids(nodes: list[Container]) -> set[str]:
    """The clusters that these nodes are in."""
    return {status(node, "wsrep_cluster_state_uuid") for node in nodes}

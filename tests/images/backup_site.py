"""Galera's site with backups: nodes that are told of a bucket, and a real S3 server beside them.

Owns: the server's process and its certificate, what nodes are told, reading what they have archived with the
private key, which they never see. Leaves to others: nodes and store (`galera_site`), what is expected.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.image_containers import Container, run, wait_for
from images.galera.galera_node.archive import layout, manifest
from images.galera.galera_node.archive.layout import Place, Span
from images.galera.galera_node.archive.manifest import Base, Log
from lab import ca, object_store, paths
from lab.toolchain import object_store as s3_server
from lab.toolchain.stages import Step, Terminal
from tests.images.galera_site import INITDB, GaleraSite, sql
from tests.support.age_key import AgeKey

ADDRESS = "10.77.0.40"
PLACE = Place("tests", "galera")
KEYS = {"backup-access-key": object_store.ACCESS_KEY, "backup-secret-key": object_store.SECRET_KEY}


class BackupSite(GaleraSite):
    """Its nodes know the bucket, whether they are told to use it or not."""

    def __init__(self, roots: Mapping[str, Path]) -> None:
        super().__init__(roots)
        self.key, self.store_folder = AgeKey.drawn(), self.folder / "s3"
        self.hosts += f"{ADDRESS} {object_store.HOST}\n"
        for part in (f"objects/{object_store.BUCKET}", "attributes"):
            (self.store_folder / part).mkdir(parents=True)
        self._authority = ca.ensure(self.folder / "ca")
        self._certificate, self._tls_key = self.store_folder / "server.crt", self.store_folder / "server.key"
        # The lab's authority may sign for names and addresses of a lab only.
        lab = object_store.ADDRESS
        ca.issue(self._authority, object_store.HOST, lab, self._certificate, self._tls_key)
        self._namespace = self.network.attach("s3", ADDRESS)
        cache = paths.cache("image-roots")
        cache.mkdir(parents=True, exist_ok=True)
        self._program = s3_server.ensure(Step("object store", cache / "build.log", Terminal(sys.stderr)))
        self._server: subprocess.Popen[bytes] | None = None
        self.start_bucket()

    @property
    def authority(self) -> str:
        """The certificate of who has signed the server's."""
        return self._authority.certificate.read_text()

    @property
    def bucket(self) -> Path:
        """What is in the bucket, as files."""
        return self.store_folder / "objects" / object_store.BUCKET

    def start_bucket(self) -> None:
        """The S3 server, until it answers."""
        words = object_store.serve(
            self._program, ADDRESS, self.store_folder, self._certificate, self._tls_key
        )
        with open(self.store_folder / "log", "ab") as log:
            self._server = subprocess.Popen(
                ["ip", "netns", "exec", self._namespace, *words],
                env={**os.environ, **object_store.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(self._answers, "the S3 server", 60)

    def _answers(self) -> bool:
        # From the server's own namespace: the machine is not on the site's network.
        check = (
            "import socket, ssl, sys; context = ssl.create_default_context(cafile=sys.argv[1]); "
            f"plain = socket.create_connection(('{ADDRESS}', {object_store.PORT}), 5); "
            f"asked = context.wrap_socket(plain, server_hostname='{object_store.HOST}'); "
            "asked.sendall(b'GET /health HTTP/1.0\\r\\n\\r\\n'); sys.exit(b' 200 ' not in asked.recv(64))"
        )
        words = [sys.executable, "-c", check, str(self._authority.certificate)]
        done = subprocess.run(
            ["ip", "netns", "exec", self._namespace, *words], capture_output=True, check=False
        )
        return done.returncode == 0

    def stop_bucket(self) -> None:
        """The sudden death of the S3 server."""
        if self._server is not None:
            self._server.send_signal(signal.SIGKILL)
            self._server.wait()
            self._server = None

    @contextmanager
    def small_disk(self, size: int) -> Iterator[None]:
        """A disk of so many MB for what is in the store, empty; see `grow_disk`."""
        objects = self.store_folder / "objects"
        self.stop_bucket()
        run("mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", str(objects))
        try:
            self.bucket.mkdir()
            self.start_bucket()
            yield
        finally:
            self.stop_bucket()
            run("umount", str(objects))

    def grow_disk(self, size: int) -> None:
        """In MB."""
        run("mount", "-o", f"remount,size={size}m", str(self.store_folder / "objects"))

    def remove(self) -> None:
        self.stop_bucket()
        super().remove()

    def add_node(self, number: int, *, backups: bool = True, **settings: object) -> Container:
        """`galera-NUMBER`, not started."""
        node = self.add_galera(number, INITDB)
        for name, value in KEYS.items():
            (node.here / "secrets" / name).write_text(value)
        if backups:
            self.tell(node, **settings)
        return node

    def tell(self, node: Container, **settings: object) -> None:
        """What a node is told of backups from its next start on."""
        told = {
            "endpoint": f"https://{object_store.HOST}:{object_store.PORT}",
            "bucket": object_store.BUCKET,
            "prefix": PLACE.prefix,
            "region": object_store.REGION,
            "authority": self.authority,
            "recipients": [self.key.recipient],
            "full": "week",
            "incremental": "1 day",
            "logs": 3,
            "window": "",
            "days": 30,
            "fulls": 2,
            "image": "galera:test",
        }
        (node.here / "galera-node" / "backup.json").write_text(json.dumps(told | settings))

    # ---- what is in the bucket

    def timelines(self) -> list[str]:
        """Their names."""
        folder = self.bucket / PLACE.root
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def bases(self, timeline: str) -> list[Base]:
        """In the order in which they were begun."""
        found = sorted((self.bucket / PLACE.bases(timeline)).glob(f"*/{layout.MANIFEST}"))
        return [manifest.loads(Base, path.read_text()) for path in found]

    def logs(self, timeline: str) -> list[Log]:
        """In their order."""
        found = sorted((self.bucket / PLACE.logs(timeline)).glob("*.json"))
        return [manifest.loads(Log, path.read_text()) for path in found if layout.span(path.name)]

    def spans(self, timeline: str) -> list[Span]:
        """The numbers in the logs, in their order."""
        return [Span(int(log.gtid["first"] or 0), int(log.gtid["last"] or 0)) for log in self.logs(timeline)]

    def content(self, key: str) -> bytes:
        """An object, decrypted and unpacked."""
        identity = self.folder / "key.txt"
        identity.write_text(self.key.identity + "\n")
        age = self.roots["galera"] / "usr/bin/age"
        plain = subprocess.run(
            [str(age), "--decrypt", "-i", str(identity), str(self.bucket / key)],
            capture_output=True,
            check=False,
        )
        assert plain.returncode == 0, plain.stderr.decode()
        done = subprocess.run(["zstd", "-dc"], input=plain.stdout, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def unpacked(self, timeline: str, base: Base, node: Container) -> Path:
        """A base, unpacked below the volume of `node`, whose programs are used; as the node sees it."""
        assert node.running
        target = node.volume / ".unpacked" / base.name
        target.mkdir(parents=True)
        stream = target.with_suffix(".mbs")
        stream.write_bytes(self.content(f"{PLACE.base(timeline, base.name)}/{layout.DATA}"))
        for path in (target.parent, target, stream):
            os.chown(path, 999, 999)
        inside = Path(node.volume_at) / ".unpacked" / base.name
        done = node.run("/bin/sh", "-c", f"mbstream -x -C {inside} < {inside}.mbs")
        assert done.returncode == 0, done.stderr
        return inside


def number(node: Container) -> int:
    """The node's last number of the cluster's."""
    gtids = sql(node, "SET SESSION wsrep_sync_wait = 15; SELECT @@GLOBAL.gtid_binlog_pos")
    return next((int(gtid.split("-")[2]) for gtid in gtids.split(",") if gtid.startswith("1-1-")), 0)


def told(node: Container) -> dict[str, Any]:
    """What a node says of backups. Raises OSError while it does not."""
    done = node.run("/usr/local/bin/galera-node", "backups", "--json")
    if done.returncode != 0:
        raise OSError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def wrong(node: Container) -> list[str]:
    """What is not as it must be."""
    return [f"{each['what']}: {each['found']}" for each in told(node)["sentences"] if not each["ok"]]

"""The lab's object store: an S3 server over a folder of the lab, at https://s3.lab:7070, for backups.

Owned here: its name, port, keys and bucket, its certificate and command line, who wants it. Left to others:
the program (`toolchain/object_store.py`), the process (`services.py`). Most stacks have no use for it, and
its program takes minutes to build: it is there only if a stack's file in this checkout names it.
"""

from __future__ import annotations

import http.client
from pathlib import Path

from lab import ca, https, network
from lab.paths import LabPaths
from lab.toolchain import places

HOST, PORT = "s3.lab", 7070
ADDRESS = str(network.PRIVATE.ip)
REGION, BUCKET = "lab", "backups"
ACCESS_KEY, SECRET_KEY = "lab", "swarm-galera-lab-s3"
"""What a stack of the lab has in its settings; no secret, as nothing in the lab is."""


def named(checkout: Path = places.CHECKOUT) -> bool:
    """Whether a stack's file in `checkout` (Pulumi.STACK.yaml) keeps its backups here."""
    return any(
        f"//{HOST}:{PORT}" in path.read_text(encoding="utf-8") for path in checkout.glob("Pulumi.*.yaml")
    )


def prepare(lab: LabPaths, authority: ca.Authority) -> tuple[Path, Path]:
    """The folder with its bucket and its certificate are made; the files of certificate and key."""
    for folder in (bucket(lab), lab.object_store / "attributes"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    certificate, key = lab.object_store / "server.crt", lab.object_store / "server.key"
    ca.issue(authority, HOST, ADDRESS, certificate, key)
    return certificate, key


def bucket(lab: LabPaths) -> Path:
    """What is in the bucket, as files."""
    return lab.object_store / "objects" / BUCKET


def argv(lab: LabPaths, program: Path, certificate: Path, key: Path) -> list[str]:
    """The command line of its process."""
    store = lab.object_store
    return [*network.enter(lab.namespace), *serve(program, ADDRESS, store, certificate, key)]


def serve(program: Path, address: str, folder: Path, certificate: Path, key: Path) -> list[str]:
    """The server's command line. `folder`: with `objects`, the buckets, and `attributes`, what it notes of
    objects: not every file system keeps it with them.
    """
    return [
        *(str(program), "--quiet", "--port", f"{address}:{PORT}", "--region", REGION, "--health", "/health"),
        *("--cert", str(certificate), "--key", str(key)),
        *("posix", "--sidecar", str(folder / "attributes"), str(folder / "objects")),
    ]


def environment() -> dict[str, str]:
    """What the server runs with besides."""
    return {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}


def answers(lab: LabPaths, authority: Path) -> bool:
    """Whether it answers with the lab's certificate."""
    connection = https.Connection(lab.namespace, authority, HOST, ADDRESS, PORT)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

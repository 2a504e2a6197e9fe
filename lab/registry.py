"""The lab's image registry: its configuration and what it has.

Owned here: the configuration file, TLS, asking for a tag's digest. Left to others: the process (`up.py`), the
images (`images.py`). Its storage is in the cache, shared by all labs; every lab serves it under the same
name.
"""

from __future__ import annotations

import http.client
import secrets
from pathlib import Path

import yaml

from lab import ca, https, network
from lab.paths import LabPaths

HOST = "registry.lab"
PORT = 5000
ADDRESS = str(network.PRIVATE.ip)
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


def configure(lab: LabPaths, authority: ca.Authority, storage: Path) -> Path:
    """Write the registry's configuration and certificate; returns the configuration's path."""
    lab.registry.mkdir(parents=True, exist_ok=True, mode=0o700)
    certificate, key = lab.registry / "registry.crt", lab.registry / "registry.key"
    ca.issue(authority, HOST, ADDRESS, certificate, key)
    storage.mkdir(parents=True, exist_ok=True)
    path = lab.registry / "config.yml"
    secret = (
        lab.registry / "http-secret"
    )  # only signs the state of uploads, but must stay the same over restarts
    if not secret.exists():
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_hex(32), encoding="ascii")
    config = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(storage)},
            "delete": {"enabled": True},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": {
            "addr": f"{ADDRESS}:{PORT}",
            "secret": secret.read_text(encoding="ascii"),
            "tls": {"certificate": str(certificate), "key": str(key)},
        },
    }
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    fresh.replace(path)
    return path


def argv(lab: LabPaths, config: Path) -> list[str]:
    """The command line of the registry's process."""
    return [*network.enter(lab.namespace), "docker-registry", "serve", str(config)]


def _get(lab: LabPaths, authority: Path, method: str, path: str) -> http.client.HTTPResponse:
    connection = https.Connection(lab.namespace, authority, HOST, ADDRESS, PORT)
    try:
        connection.request(method, path, headers={"Accept": ", ".join(MANIFESTS)})
        response = connection.getresponse()
        response.read()
        return response
    finally:
        connection.close()


def answers(lab: LabPaths, authority: Path) -> bool:
    """Whether the registry answers with the lab's certificate."""
    try:
        return _get(lab, authority, "GET", "/v2/").status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def digest(lab: LabPaths, authority: Path, repository: str, tag: str) -> str | None:
    """The digest of the manifest under a tag, e.g. `sha256:…`; None if the registry has no such tag."""
    response = _get(lab, authority, "HEAD", f"/v2/{repository}/manifests/{tag}")
    return response.getheader("Docker-Content-Digest") if response.status == http.HTTPStatus.OK else None

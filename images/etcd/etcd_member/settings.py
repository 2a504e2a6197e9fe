"""What a member is told from outside: environment and secret files.

Owns the reading and the refusal of wrong values. Leaves to others what is done with them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

CERTIFICATES = (
    *("etcd-peer-ca.crt", "etcd-peer.crt"),
    *("etcd-client-ca.crt", "etcd-server.crt", "etcd-root.crt"),
)
KEYS = ("etcd-peer.key", "etcd-server.key", "etcd-root.key")
USERS = ("galera", "consumer")
"""etcd's users with a password; its secret is `etcd-USER-password`."""
ATTACH = "Attach the secret of that name to the service, readable for that user (mode 0444 or its uid)."


class SettingsError(Exception):
    """A setting is missing or wrong; the message says what, why and the remedy."""


@dataclass(frozen=True)
class Settings:
    """One member's settings.

    `peers` maps each member's name to its peer URL. A host that the list does not name is not, or no longer,
    to be a member: a service runs on a new host before its environment can name it. `client_url` is where
    clients reach the cluster as a whole (any live member answers there), with TLS at `client_port`.
    `local_port`: the own member without TLS, on the loopback alone. `plain_port`: see `clients`. `readable`:
    what consumers may read; a `/` at the end stands for all below. Intervals are in milliseconds; for the
    defaults see docs/adr/0006-store-members.md.
    """

    name: str
    peers: Mapping[str, str]
    token: str
    client_url: str = "https://etcd:2381"
    client_port: int = 2381
    local_port: int = 2382
    plain_port: int = 2379
    readable: tuple[str, ...] = ()
    data_dir: Path = Path("/var/lib/etcd")
    secrets: Path = Path("/run/secrets")
    heartbeat_ms: int = 300
    election_ms: int = 3000
    listen: str = "0.0.0.0"
    extra: tuple[str, ...] = field(default=())

    @property
    def peer_url(self) -> str | None:
        """This member's own peer URL; None when the list does not name this host."""
        return self.peers.get(self.name)

    @property
    def peer_port(self) -> int:
        """The port of all peers."""
        return urlsplit(self.peer_url or next(iter(self.peers.values()))).port or 2380

    @property
    def loopback(self) -> str:
        """Where the own member is asked."""
        return self.listen.replace("0.0.0.0", "127.0.0.1")

    def password(self, user: str) -> str:
        """Of one of etcd's users. Raises SettingsError."""
        path = self.secrets / f"etcd-{user}-password"
        try:
            value = path.read_text().strip()
        except OSError as error:
            raise SettingsError(f"{path} cannot be read ({error.strerror}). {ATTACH}") from None
        if not value or len(value.split()) > 1:
            raise SettingsError(f"{path} must hold one word. Create the secret anew.")
        return value

    @property
    def ca_file(self) -> Path:
        return self.secrets / "etcd-peer-ca.crt"

    @property
    def cert_file(self) -> Path:
        return self.secrets / "etcd-peer.crt"

    @property
    def key_file(self) -> Path:
        return self.secrets / "etcd-peer.key"


def parse_peers(text: str) -> dict[str, str]:
    """Reads `name=https://address:port,…`; raises SettingsError with the offending part."""
    peers: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, url = part.partition("=")
        split = urlsplit(url)
        if not name or split.scheme != "https" or not split.hostname or not split.port:
            raise SettingsError(
                f"ETCD_INITIAL_CLUSTER: {part!r} is not name=https://address:port. "
                "Members speak mutual TLS with one another; give each an https URL with a port."
            )
        if name in peers:
            raise SettingsError(f"ETCD_INITIAL_CLUSTER names {name!r} twice. Give each member once.")
        peers[name] = url
    return peers


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the environment; raises SettingsError when one is missing or a secret is unreadable."""

    def need(key: str) -> str:
        value = environ.get(key, "").strip()
        if not value:
            raise SettingsError(f"{key} is not set. Set it in the service's environment.")
        return value

    def milliseconds(key: str, default: int) -> int:
        text = environ.get(key, str(default))
        if not text.isdigit() or int(text) == 0:
            raise SettingsError(f"{key}={text!r} is not a positive number of milliseconds.")
        return int(text)

    name, peers = need("NODE_NAME"), parse_peers(need("ETCD_INITIAL_CLUSTER"))
    heartbeat = milliseconds("HEARTBEAT_MS", 300)
    election = milliseconds("ELECTION_MS", 3000)
    if election < 5 * heartbeat:
        raise SettingsError(
            f"ELECTION_MS={election} is less than five times HEARTBEAT_MS={heartbeat}: members would hold "
            "elections without need. Raise the former."
        )
    settings = Settings(
        name=name,
        peers=peers,
        token=need("CLUSTER_TOKEN"),
        client_url=environ.get("CLIENT_URL", "https://etcd:2381").rstrip("/"),
        readable=tuple(filter(None, (key.strip() for key in environ.get("READABLE", "").split(",")))),
        data_dir=Path(environ.get("DATA_DIR", "/var/lib/etcd")),
        secrets=Path(environ.get("SECRETS_DIR", "/run/secrets")),
        listen=environ.get("LISTEN_ADDRESS", "0.0.0.0"),
        heartbeat_ms=heartbeat,
        election_ms=election,
    )
    for path in (settings.secrets / name for name in (*CERTIFICATES, *KEYS)):
        if not os.access(path, os.R_OK):
            raise SettingsError(
                f"{path} is missing or not readable for user id {os.getuid()} ({path.name}). {ATTACH}"
            )
    for user in USERS:
        settings.password(user)
    return settings

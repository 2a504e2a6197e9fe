"""TLS between the nodes and towards clients: the files, whom they trust, and what counts for a start.

Owns: reading the secrets and refusing those that can't work, the copies that mariadbd and the transfers use,
and which of two ways a node takes:

- `both`: this node speaks TLS and lets nodes in that don't (Galera's `socket.dynamic`). So a cluster of
  before comes over, node by node.
- `only`: nobody without TLS is let in.

The store's record `tls` says that all nodes have come over, and which authority they all trust; the node's
own note keeps that while the store is away. An authority of before, in the same file, is trusted until then.
Leaves to others: who writes the record (`securing`), when a node starts anew because of it (`one_by_one`).
"""

from __future__ import annotations

import hashlib
import re
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .settings import TLS_SECRETS, SettingsError
from .wire import valid_until

SECRETS = TLS_SECRETS
NAME = "galera"
"""That the certificate must bear, whichever others it has."""
FOLDER = "tls"
"""Below the folder in memory: the same three files, with those authorities alone that count."""
ONLY, BOTH = "only", "both"
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)


@dataclass(frozen=True)
class Way:
    """What counts for a start: `mode`, the authorities that are trusted as PEM, and where the files are."""

    mode: str
    authorities: str
    folder: Path

    @property
    def ca(self) -> Path:
        return self.folder / SECRETS[0]

    @property
    def certificate(self) -> Path:
        return self.folder / SECRETS[1]

    @property
    def key(self) -> Path:
        return self.folder / SECRETS[2]


@dataclass(frozen=True)
class Files:
    """The secrets of a node: whom to trust, what it shows, its key.

    Attributes:
        authorities: PEM, the present one first.
        certificate, key: PEM.
    """

    authorities: tuple[str, ...]
    certificate: str
    key: str

    @property
    def authority(self) -> str:
        """Tells the present authority from others."""
        return fingerprint(self.authorities[0])

    def way(self, agreed: str, run_dir: Path) -> Way:
        """What counts, where all nodes have agreed on this authority; empty while they have not on any."""
        mode = ONLY if agreed else BOTH
        trusted = self.authorities[:1] if agreed == self.authority else self.authorities
        return Way(mode, "".join(trusted), run_dir / FOLDER)

    def put(self, way: Way) -> None:
        """Writes the files that a start uses."""
        way.folder.mkdir(mode=0o700, exist_ok=True)
        texts = (way.authorities, self.certificate, self.key)
        for path, text in zip((way.ca, way.certificate, way.key), texts, strict=True):
            new = path.with_name(f"{path.name}.new")
            new.touch(mode=0o600)
            new.write_text(text)
            new.rename(path)
        (way.folder / "mode").write_text(way.mode)


def fingerprint(certificate: str) -> str:
    """A certificate's, 64 bits of it."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.strip())).hexdigest()[:16]


def files(secrets: Path) -> Files | None:
    """The node's files; None where it has none, and speaks without TLS. Raises SettingsError."""
    there = [name for name in SECRETS if (secrets / name).exists()]
    if not there:
        return None
    if missing := [name for name in SECRETS if name not in there]:
        raise SettingsError(
            f"TLS: {secrets} has {', '.join(there)} but not {', '.join(missing)}. Attach all three, or none."
        )
    try:
        ca, certificate, key = ((secrets / name).read_text() for name in SECRETS)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"TLS: the secrets can't be read: {error}. Make them readable (0444).") from None
    authorities = tuple(CERTIFICATE.findall(ca))
    if not authorities:
        raise SettingsError(f"TLS: {SECRETS[0]} holds no certificate. Remedy: `pulumi up` brings one.")
    check(secrets)
    return Files(authorities, certificate, key)


def check(secrets: Path) -> None:
    """Raises SettingsError unless the authority, the certificate and its key are good for each other now.

    By a handshake with itself: what OpenSSL would refuse later, in many places and other words, it refuses
    here.
    """
    ca, certificate, key = (secrets / name for name in SECRETS)
    remedy = "Other nodes go on. Remedy: `pulumi up` brings new ones; look at the clock of this host, too."
    try:
        ours, theirs = ssl.create_default_context(cafile=str(ca)), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        theirs.load_cert_chain(certificate, key)
        _handshake(ours, theirs)
    except ssl.SSLCertVerificationError as error:
        until = f"{certificate.name} until {_day(certificate)}, {ca.name} until {_day(ca)}"
        raise SettingsError(
            f"TLS: {certificate.name} is not good for a node named {NAME!r}: {error.verify_message} "
            f"({until}). {remedy}"
        ) from None
    except (ssl.SSLError, OSError, ValueError) as error:
        raise SettingsError(
            f"TLS: {', '.join(SECRETS)} do not go together: {getattr(error, 'reason', None) or error}. "
            f"{remedy}"
        ) from None


def _day(path: Path) -> str:
    until = valid_until(path)
    return "?" if until is None else f"{until:%Y-%m-%d}"


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    """Raises what the client has against the server."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(back, there, server_hostname=NAME),
        server.wrap_bio(there, back, server_side=True),
    )
    for _ in range(4):
        for end in ends:
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()


def context(folder: Path, server: bool) -> ssl.SSLContext:
    """For one side of a transfer: both must show a certificate of the authority. Raises OSError."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    found.check_hostname = False  # nodes come and go by address; who has a certificate is a node
    found.verify_mode = ssl.CERT_REQUIRED
    found.load_verify_locations(folder / SECRETS[0])
    found.load_cert_chain(folder / SECRETS[1], folder / SECRETS[2])
    return found


def mode(folder: Path) -> str:
    """Of the mariadbd that runs; empty without TLS."""
    try:
        return (folder / "mode").read_text()
    except OSError:
        return ""

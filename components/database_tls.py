"""TLS of the database: its authority, the nodes' certificate, and the step from one authority to the next.

Owns: the names in the certificate, which files the nodes get, that generations follow one another, and
whether nodes can still get new ones one after the other.
Leaves to others: signing (database_certificate.py), who is let in without TLS (images/galera, `tls`), that
all nodes have come over (host_scripts/database_tls.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components.database_certificate import DatabaseCertificate
from components.peer_authority import PeerAuthority, has_expired
from settings import SettingsError
from settings.database import versions
from settings.tls import Tls

FILES = ("galera-ca.crt", "galera-server.crt", "galera-server.key")
"""Secrets of the nodes."""
NAMES = ("galera", "tasks.galera", "haproxy", "localhost")
"""By which clients on the overlay network, or in a node's container, reach the database."""
FIRST = 12
"""Of our images with MariaDB 10.11, `swarm-galera/galera:10.11-N`, the first whose nodes speak TLS."""


@dataclass(frozen=True)
class DatabaseTls:
    """What the nodes show and trust.

    Attributes:
        authority: its certificate, PEM: whom clients trust.
        files: of a node, by the secrets' names.
    """

    authority: pulumi.Output[str]
    files: Mapping[str, pulumi.Input[str]]

    @classmethod
    def declare(cls, name: str, wanted: Tls, child: pulumi.ResourceOptions) -> DatabaseTls:
        """`child` brings the parent."""
        authority = drawn(name, wanted, child)
        names = [*NAMES, *wanted.names]
        made = DatabaseCertificate(f"{name}-certificate", names, authority, child)
        contents = (made.ca_certificate, made.certificate, made.private_key)
        return cls(authority.certificate, dict(zip(FILES, contents, strict=True)))


def drawn(name: str, wanted: Tls, child: pulumi.ResourceOptions) -> PeerAuthority:
    """The authority, which must stay while clients trust it."""
    return PeerAuthority(f"{name}-authority", child, generation=wanted.generation)


def refuse_an_image_without(image: str) -> None:
    """Raises SettingsError for one of ours whose nodes speak no TLS, before they start anew for nothing.

    Of another name or tag, the last step says so (host_scripts/database_tls.sh). `image`: as in the settings.
    """
    if least := versions.required_tag(image, {"10.11": FIRST}):
        raise SettingsError(
            [
                f"swarm-galera:galera.image: the nodes of {image} speak no TLS, which they must. Remedy: "
                f"name {least} or a later one (docs/how-to/tls.md)"
            ]
        )


def refuse_a_leap(wanted: Tls, outputs: Mapping[str, Any]) -> None:
    """Raises SettingsError for a step that comes before the one before has been gone over to.

    A node trusts two authorities at the most, and clients of before come without TLS. `outputs`: of the
    stack's last complete run.
    """
    galera = outputs.get("galera")
    if galera is None:
        return
    problems = []
    reached = int((galera.get("tls") or {}).get("generation", 0))
    if wanted.generation > reached + 1:
        over = "speak no TLS yet" if reached == 0 else f"have come to {reached}"
        problems.append(
            f"swarm-galera:galera.tls.generation: {wanted.generation} is too far: the nodes {over}, and "
            f"one that is two behind would trust nobody. Remedy: set it to {reached + 1}, run `up`, then "
            "raise it further"
        )
    if wanted.required and reached == 0:
        problems.append(
            "swarm-galera:galera.tls.required: the nodes speak no TLS yet, so all clients come without it, "
            "and would be refused. Remedy: leave it out, run `up`, have your clients come with TLS "
            "(docs/how-to/tls.md), then set it"
        )
    if problems:
        raise SettingsError(problems)


def have_expired(outputs: Mapping[str, Any]) -> bool:
    """Whether the certificates have expired by which the nodes know one another; then a warning says so.

    Such nodes go on with the connections that they have, but none lets in another one, whatever that shows:
    one that is given new certificates alone is parted from the rest, and the change stands still. So all must
    be given them at once. `outputs`: of the stack's last complete run, of which running nodes have theirs.
    """
    authority = ((outputs.get("galera") or {}).get("tls") or {}).get("caCertificate")
    return has_expired(
        authority,
        "the certificates of the database's nodes have expired: no node lets in another one any more. All "
        "get new ones at the same time, and start anew: clients wait for about a minute",
    )

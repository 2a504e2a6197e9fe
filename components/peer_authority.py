"""The authority behind the peers' mutual TLS: made once for a stack, and kept.

Owns: its key and certificate, and renewing the certificate in its last year.
Leaves to others: what it signs (peer_certificates.py).

Its key is a secret of the state: a peer that comes later must be signed by the authority that the others
already trust. Whoever can read the stack's secrets can add a peer; the passwords of the database are there,
too.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from components import certificates
from components.certificates import Signed


class PeerAuthorityProvider(ResourceProvider):
    """Makes the authority; touches nothing outside the state."""

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """A new key and its certificate."""
        made = certificates.new_authority(props["name"], _now())
        return CreateResult("peer-authority", {**props, **_outputs(made)})

    def diff(self, _id: str, olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Nothing but time changes it."""
        return DiffResult(changes=certificates.due(olds["certificate"], _now()))

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """New dates for the same key, so that nobody's trust changes."""
        renewed = certificates.renewed_authority(Signed(olds["certificate"], olds["private_key"]), _now())
        return UpdateResult({**news, **_outputs(renewed)})


class PeerAuthority(Resource, module="swarm-galera", name="PeerAuthority"):
    """An authority of the stack's own.

    Attributes:
        certificate: PEM, public.
        private_key: PEM; secret.

    Replaced (`pulumi up --replace URN`) after its key has become known, it is another authority. Peers go
    over to it one by one, see `PeerCertificates`.
    """

    certificate: pulumi.Output[str]
    private_key: pulumi.Output[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        secret = pulumi.ResourceOptions(additional_secret_outputs=["private_key"])
        super().__init__(
            PeerAuthorityProvider(),
            name,
            {"name": name, "certificate": None, "private_key": None},
            pulumi.ResourceOptions.merge(secret, opts),
        )


def _outputs(authority: Signed) -> dict[str, str]:
    return {"certificate": authority.certificate, "private_key": authority.private_key}


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)

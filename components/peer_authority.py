"""The authority behind the peers' mutual TLS: made once for a stack, and kept; or anew for a new generation.

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
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from components import certificates
from components.certificates import Signed


class PeerAuthorityProvider(ResourceProvider):
    """Makes the authority; touches nothing outside the state."""

    serialize_as_secret_always = False

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse to leave a generation out, or to go back: whoever is two behind would trust nobody."""
        before, wanted = olds.get("generation"), news.get("generation")
        if before is None or wanted in (before, before + 1):
            return CheckResult(news, [])
        before, wanted = int(before), int(wanted or 0)  # a property comes as a float
        reason = (
            f"{wanted} can't follow {before}: not all nodes trust what came in between, or what is gone. "
            f"Remedy: set it to {before + 1} for a new authority, or to {before} for none"
        )
        return CheckResult(news, [CheckFailure("generation", reason)])

    def create(self, props: dict[str, Any]) -> CreateResult:
        """A new key and its certificate."""
        made = certificates.new_authority(props["name"], _now())
        return CreateResult("peer-authority", {**props, **_outputs(made)})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Nothing but time changes it, and another generation."""
        another = olds.get("generation") != news.get("generation")
        return DiffResult(changes=another or certificates.due(olds["certificate"], _now()))

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """A new key for another generation; else new dates for the same, so that nobody's trust changes."""
        if olds.get("generation") != news.get("generation"):
            return UpdateResult({**news, **_outputs(certificates.new_authority(news["name"], _now()))})
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

    def __init__(
        self, name: str, opts: pulumi.ResourceOptions | None = None, *, generation: int | None = None
    ) -> None:
        """`generation`: one more makes another authority; None for one that is replaced by name alone."""
        asked = {"name": name} if generation is None else {"name": name, "generation": generation}
        secret = pulumi.ResourceOptions(additional_secret_outputs=["private_key"])
        super().__init__(
            PeerAuthorityProvider(),
            name,
            {**asked, "certificate": None, "private_key": None},
            pulumi.ResourceOptions.merge(secret, opts),
        )


def has_expired(authority: str | None, told: str) -> bool:
    """Whether an authority's certificate has expired; then a warning tells what that means.

    Args:
        authority: PEM; empty or None if there is none yet. What it has signed is good for longer.
    """
    if not authority or not certificates.expired(authority, _now()):
        return False
    pulumi.log.warn(told)
    return True


def _outputs(authority: Signed) -> dict[str, str]:
    return {"certificate": authority.certificate, "private_key": authority.private_key}


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)

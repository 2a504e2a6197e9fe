"""A client's certificate for the key-value store, signed by the stack's authority for clients.

Owns: signing it, again in its last year, and when its name or the authority is another.
Leaves to others: the authority (peer_authority.py), whom a name lets in (the store).

When the authority is another, both are trusted for a while, as with the peers (peer_certificates.py): a
client that has the new files and a server that does not yet accept one another, and the other way round.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, DiffResult, Resource

from components import certificates
from components.certificates import Signed
from components.dynamic import is_unknown
from components.peer_authority import PeerAuthority
from components.peer_certificates import PeerCertificatesProvider, signed_by, with_secrets


class ClientCertificateProvider(PeerCertificatesProvider):
    """Signs the certificate; touches nothing outside the state."""

    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse a certificate that names nobody."""
        if is_unknown(news["called"]) or news["called"]:
            return CheckResult(news, [])
        return CheckResult(news, [CheckFailure("called", "a client's certificate must name somebody")])

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Sign it."""
        made = super().create(props)
        return CreateResult("client-certificate", made.outs)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Another name or authority, another certificate; so does time."""
        changed = [key for key in ("called", "user") if olds.get(key) != news.get(key)]
        return DiffResult(changes=bool(changed) or super().diff(_id, olds, news).changes)

    def signed(self, props: dict[str, Any], authority: Signed, now: dt.datetime) -> Signed:
        """The certificate that `props` say."""
        return certificates.client_certificate(props["called"], authority, now, user=props["user"])


class ClientCertificate(Resource, module="swarm-galera", name="ClientCertificate"):
    """One client's certificate.

    Attributes:
        ca_certificate: PEM: whom the client trusts; two authorities while one follows the other.
        certificate: PEM; what the client shows.
        private_key: PEM (PKCS #8, P-256); secret.
    """

    ca_certificate: pulumi.Output[str]
    certificate: pulumi.Output[str]
    private_key: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        called: str,
        authority: PeerAuthority,
        opts: pulumi.ResourceOptions | None = None,
        *,
        user: bool = False,
        overlap: bool = False,
    ) -> None:
        """Signed when the resource is created, when one of these changes, and in the certificate's last year.

        Args:
            called: as what the client shows itself.
            authority: signs.
            user: whether the store knows a user by that name, whom the certificate alone lets in.
            overlap: as of `PeerCertificates`.
        """
        asked = {"called": called, "user": user, **({"overlap": True} if overlap else {})}
        super().__init__(ClientCertificateProvider(), name, signed_by(authority, asked), with_secrets(opts))

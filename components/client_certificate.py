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
from components.peer_certificates import PeerCertificatesProvider


class ClientCertificateProvider(PeerCertificatesProvider):
    """Signs the certificate; touches nothing outside the state."""

    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse a certificate that names nobody."""
        name = news["common_name"]
        if is_unknown(name) or name:
            return CheckResult(news, [])
        return CheckResult(news, [CheckFailure("common_name", "a client's certificate must name somebody")])

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Sign it."""
        made = super().create(props)
        return CreateResult("client-certificate", made.outs)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Another name or authority, another certificate; so does time."""
        due = super().diff(_id, olds, news).changes
        return DiffResult(changes=due or olds.get("common_name") != news.get("common_name"))

    def signed(self, props: dict[str, Any], authority: Signed, now: dt.datetime) -> Signed:
        """The certificate that `props` say."""
        return certificates.client_certificate(props["common_name"], authority, now)


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
        common_name: str,
        authority: PeerAuthority,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Signed when the resource is created, when one of these changes, and in the certificate's last year.

        Args:
            common_name: as whom the client shows itself.
            authority: signs.
        """
        key: pulumi.Output[str] = pulumi.Output.secret(authority.private_key)
        inputs = {"common_name": common_name, "authority": authority.certificate, "authority_key": key}
        secret = pulumi.ResourceOptions(additional_secret_outputs=["private_key", "authority_key"])
        super().__init__(
            ClientCertificateProvider(),
            name,
            {**inputs, **dict.fromkeys(("ca_certificate", "certificate", "private_key"))},
            pulumi.ResourceOptions.merge(secret, opts),
        )

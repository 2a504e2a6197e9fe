"""The certificate of one host's engine, which it shows to whoever comes to its API.

Owns: signing it, as `PeerCertificates` does: again for other addresses or another authority, and in its last
year. Leaves to others: the authority (peer_authority.py), which addresses it bears (engine_tls.py), bringing
it to the host (host_scripts/engine_tls.py).

Each host has its own, with a key of its own: another address of one host restarts no other's engine.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, Resource

from components import certificates
from components.certificates import Signed
from components.peer_authority import PeerAuthority
from components.peer_certificates import PeerCertificatesProvider, signed_by, with_secrets


class EngineCertificateProvider(PeerCertificatesProvider):
    """Signs the certificate; touches nothing outside the state."""

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Sign it."""
        return CreateResult("engine-certificate", super().create(props).outs)

    def signed(self, props: dict[str, Any], authority: Signed, now: dt.datetime) -> Signed:
        """The certificate that `props` say."""
        return certificates.server_certificate(props["name"], props["addresses"], authority, now)


class EngineCertificate(Resource, module="swarm-galera", name="EngineCertificate"):
    """One engine's certificate.

    Attributes:
        ca_certificate: PEM: whose clients it lets in; two authorities while one follows the other.
        certificate: PEM; what it shows, with the word of the authority before if there is one.
        private_key: PEM (PKCS #8, P-256); secret.
    """

    ca_certificate: pulumi.Output[str]
    certificate: pulumi.Output[str]
    private_key: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        addresses: pulumi.Input[Sequence[pulumi.Input[str]]],
        authority: PeerAuthority,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Signed when the resource is created, when one of these changes, and in the certificate's last year.

        Args:
            addresses: IP addresses and host names by which clients may know the engine, in any order.
            authority: signs.
        """
        asked = {"name": name, "addresses": addresses}
        super().__init__(EngineCertificateProvider(), name, signed_by(authority, asked), with_secrets(opts))

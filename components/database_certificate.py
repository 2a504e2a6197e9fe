"""The certificate of the database's nodes, for one another and for clients, signed by the stack's authority.

Owns: signing it as `PeerCertificates` does, and keeping the authority of before in it.
Leaves to others: the authority (peer_authority.py), which names it bears (database_tls.py), when nodes trust
the former authority no longer (images/galera, `tls`).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, Resource, UpdateResult

from components import certificates
from components.peer_authority import PeerAuthority
from components.peer_certificates import PeerCertificatesProvider, signed_by, with_secrets

ONE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", re.DOTALL)


class DatabaseCertificateProvider(PeerCertificatesProvider):
    """Signs the certificate; touches nothing outside the state.

    What is signed anew for other names or by time keeps the former authority and its word, until there is yet
    another: whether all nodes had gone over is not known here, and they drop it by themselves.
    """

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Sign it."""
        return CreateResult("database-certificate", super().create(props).outs)

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Sign it anew."""
        made = dict(super().update(_id, olds, news).outs or {})
        if certificates.same_key(olds["authority"], news["authority"]):
            now = dt.datetime.now(dt.UTC)
            for part in ("ca_certificate", "certificate"):
                kept = ONE.findall(olds[part])[1:]
                made[part] += "".join(each for each in kept if not certificates.expired(each, now))
        return UpdateResult(made)


class DatabaseCertificate(Resource, module="swarm-galera", name="DatabaseCertificate"):
    """One certificate for all nodes.

    Attributes:
        ca_certificate: PEM: whom nodes trust; behind the authority, the one of before if there was one.
        certificate: PEM; what a node shows, with the word of the authority before if there was one.
        private_key: PEM (PKCS #8, P-256); secret.
    """

    ca_certificate: pulumi.Output[str]
    certificate: pulumi.Output[str]
    private_key: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        names: Sequence[str],
        authority: PeerAuthority,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Signed when the resource is created, when one of these changes, and in the certificate's last year.

        Args:
            names: that clients may know a node by, in any order.
            authority: signs.
        """
        asked = {"name": name, "addresses": list(names)}
        super().__init__(DatabaseCertificateProvider(), name, signed_by(authority, asked), with_secrets(opts))

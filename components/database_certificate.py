"""The certificate of the database's nodes, for one another and for clients, signed by the stack's authority.

Owns: signing it as `PeerCertificates` does, and keeping the authority of before in it.
Leaves to others: the authority (peer_authority.py), which names it bears (database_tls.py), when nodes trust
the former authority no longer (images/galera, `tls`).

What a node shows ends with an authority that has signed itself, always. By that alone do MariaDB's clients,
from 11.4 on and where nobody has told them whom to trust, tell a stack's own authority from a chain that is
broken: with the first they go on, over a node's socket at once and elsewhere if the password proves it, the
second they refuse ("unable to get local issuer certificate"). To a certificate that stands alone mariadbd
adds its authority, as OpenSSL does; to one that brings a word along it adds nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

from components import certificates
from components.peer_authority import PeerAuthority
from components.peer_certificates import ONE, PeerCertificatesProvider, signed_by, with_secrets


class DatabaseCertificateProvider(PeerCertificatesProvider):
    """Signs the certificate; touches nothing outside the state.

    The former authority and its word are kept as those of peers are; nodes drop them by themselves.
    """

    serialize_as_secret_always = False

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """As of peers; and when the former authority, which is shown along, has expired, or is not shown."""
        *_, last = ONE.findall(olds["certificate"])
        former = ONE.findall(olds["ca_certificate"])[1:]
        changed = bool(former) and (last not in former or certificates.expired(last, _now()))
        return DiffResult(changes=changed or bool(super().diff(_id, olds, news).changes))

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Sign it."""
        return CreateResult("database-certificate", super().create(props).outs)

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Sign it anew."""
        made = dict(super().update(_id, olds, news).outs or {})
        made["certificate"] += "".join(ONE.findall(made["ca_certificate"])[1:])
        return UpdateResult(made)


class DatabaseCertificate(Resource, module="swarm-galera", name="DatabaseCertificate"):
    """One certificate for all nodes.

    Attributes:
        ca_certificate: PEM: whom nodes trust; behind the authority, the one of before if there was one.
        certificate: PEM; what a node shows; with the word of the authority before, and that authority's own
            certificate, if there was one.
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


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)

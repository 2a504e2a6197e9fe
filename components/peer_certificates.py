"""Mutual TLS between the key-value store's peers: one certificate, signed by the stack's authority.

Owns: signing it, again whenever the addresses change, in its last year, and when the authority is another.
Leaves to others: the authority (peer_authority.py), bringing the files to the peers as Docker secrets.

One certificate serves all peers: it names every manager's private address and is good for both ends of a
connection. Peers get a new one by one, so at every moment some show the new and some the old one, and each
must accept both. That holds because both are of one authority. When the authority is another, the old one
vouches for it: peers that have the new files trust both, and they show the old one's word along with their
certificate to peers that do not. What is signed anew for other addresses or by time keeps both, until there
is yet another authority, or the former one has expired, or its end is said (`overlap`), or the certificate is
replaced by name: whether all peers had gone over is not known here, and where a run was killed in the middle,
some trust the former alone.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
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
from components.dynamic import is_unknown
from components.peer_authority import PeerAuthority

ONE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", re.DOTALL)
"""One certificate of several in a text."""


class PeerCertificatesProvider(ResourceProvider):
    """Signs the certificate; touches nothing outside the state."""

    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse a certificate that names nobody; sort, so that the order of managers means nothing."""
        addresses = news["addresses"]
        if is_unknown(addresses):
            return CheckResult(news, [])
        if not addresses:
            reason = "a peer certificate must name at least one address; give the managers' private addresses"
            return CheckResult(news, [CheckFailure("addresses", reason)])
        return CheckResult({**news, "addresses": sorted(set(addresses))}, [])

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Sign it."""
        return CreateResult("peer-certificates", {**props, **self.files(props, _now())})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Other addresses, another certificate; so does another authority, and time."""
        asked = ("addresses", "authority", "overlap")
        changed = [key for key in asked if olds.get(key) != news.get(key)]
        return DiffResult(changes=bool(changed) or certificates.due(olds["certificate"], _now()))

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Sign it anew; the former authority, if there was another one, goes on to be trusted, unless the
        settings said that (`overlap`) and do no longer: it has ended.
        """
        now = _now()
        made = self.files(news, now)
        former, word = self.former(olds, news, now)
        if former and not certificates.expired(former, now):
            made["certificate"] += word
            made["ca_certificate"] += former
        return UpdateResult({**news, **made})

    def former(self, olds: dict[str, Any], news: dict[str, Any], now: dt.datetime) -> tuple[str, str]:
        """The authority before the present one, and its word for that; empty where there was none."""
        if certificates.same_key(olds["authority"], news["authority"]):
            if olds.get("overlap") and not news.get("overlap"):
                return "", ""
            kept, said = ONE.findall(olds["ca_certificate"])[1:2], ONE.findall(olds["certificate"])[1:2]
            return "".join(kept), "".join(said)
        before = Signed(olds["authority"], olds["authority_key"])
        return before.certificate, certificates.vouched_for(news["authority"], before, now)

    def signed(self, props: dict[str, Any], authority: Signed, now: dt.datetime) -> Signed:
        """The certificate that `props` say."""
        user = props.get("user", True)
        return certificates.peer_certificate(props["name"], props["addresses"], authority, now, user=user)

    def files(self, props: dict[str, Any], now: dt.datetime) -> dict[str, str]:
        """What is handed on."""
        authority = Signed(props["authority"], props["authority_key"])
        made = self.signed(props, authority, now)
        return {
            "ca_certificate": authority.certificate,
            "certificate": made.certificate,
            "private_key": made.private_key,
        }


class PeerCertificates(Resource, module="swarm-galera", name="PeerCertificates"):
    """One certificate for all peers.

    Attributes:
        ca_certificate: PEM: whom peers trust; behind the authority, the one of before if there was one.
        certificate: PEM; what a peer shows, with the word of the authority before if there is one.
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
        *,
        user: bool = True,
        overlap: bool = False,
    ) -> None:
        """Signed when the resource is created, when one of these changes, and in the certificate's last year.

        Replaced (`pulumi up --replace URN`), it trusts the present authority alone.

        Args:
            addresses: private IP addresses (or host names) of all peers, in any order.
            authority: signs.
            user: whether the certificate has a common name; see `certificates.peer_certificate`.
            overlap: an authority before this one goes on to be trusted; it ends once that is said no longer.
        """
        # Certificates of before say nothing of `user` and `overlap`, and are not to be made anew.
        asked = {"name": name, "addresses": addresses, **({} if user else {"user": False})}
        asked |= {"overlap": True} if overlap else {}
        super().__init__(PeerCertificatesProvider(), name, signed_by(authority, asked), with_secrets(opts))


def signed_by(authority: PeerAuthority, asked: Mapping[str, Any]) -> dict[str, Any]:
    """All properties of a certificate. Args: asked: what it is to say."""
    key: pulumi.Output[str] = pulumi.Output.secret(authority.private_key)
    made = dict.fromkeys(("ca_certificate", "certificate", "private_key"))
    return {**asked, "authority": authority.certificate, "authority_key": key, **made}


def with_secrets(opts: pulumi.ResourceOptions | None) -> pulumi.ResourceOptions:
    """`opts`, and which of a certificate's properties are secret."""
    secret = pulumi.ResourceOptions(additional_secret_outputs=["private_key", "authority_key"])
    return pulumi.ResourceOptions.merge(secret, opts)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)

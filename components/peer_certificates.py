"""Mutual TLS between the key-value store's peers: an authority of the stack's own and one certificate.

Owns: making both, once. Leaves to others: bringing them to the peers as Docker secrets.

One certificate serves all peers: it names every manager's private address, is good for both ends of a
connection, and is replaced when the addresses change. The authority's key signs once and is then forgotten,
so nobody can add a peer with what is in the state.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from typing import Any

import pulumi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, DiffResult, Resource, ResourceProvider

from components.softlayer.provider import is_unknown

VALID_FOR = dt.timedelta(days=3650)
"""Ten years: a certificate that expires stops the store, and replacing this resource renews it any time."""
CLOCK_SKEW = dt.timedelta(hours=1)


def make_certificates(name: str, addresses: Sequence[str], now: dt.datetime) -> dict[str, str]:
    """A new authority and one peer certificate that it signed.

    Args:
        name: goes into the subjects, for people who look at them.
        addresses: IP addresses or host names of all peers.
        now: the time from which they are valid (an hour earlier, for clocks that are behind).

    Returns:
        PEM texts: `ca_certificate`, `certificate`, `private_key`.
    """
    ca_key = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} authority")])
    ca = (
        _unsigned(ca_name, ca_name, ca_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} peer")])
    certificate = (
        _unsigned(subject, ca_name, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
        .add_extension(x509.SubjectAlternativeName([_alternative(a) for a in addresses]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    return {
        "ca_certificate": ca.public_bytes(serialization.Encoding.PEM).decode(),
        "certificate": certificate.public_bytes(serialization.Encoding.PEM).decode(),
        "private_key": key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    }


def _unsigned(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + VALID_FOR)
    )


def _usage(
    digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


class PeerCertificatesProvider(ResourceProvider):
    """Makes the certificates; touches nothing outside the state."""

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
        """Make them."""
        made = make_certificates(props["name"], props["addresses"], dt.datetime.now(dt.UTC))
        return CreateResult("peer-certificates", {**props, **made})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Other addresses, another certificate."""
        changed = [key for key in ("addresses", "name") if olds.get(key) != news.get(key)]
        return DiffResult(changes=bool(changed), replaces=changed)


class PeerCertificates(Resource, module="swarm-galera", name="PeerCertificates"):
    """An authority and one certificate for all peers.

    Attributes:
        ca_certificate: PEM, public.
        certificate: PEM, public.
        private_key: PEM (PKCS #8, P-256); secret.
    """

    ca_certificate: pulumi.Output[str]
    certificate: pulumi.Output[str]
    private_key: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        addresses: pulumi.Input[Sequence[pulumi.Input[str]]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """
        Args:
            addresses: private IP addresses (or host names) of all peers, in any order.
        """
        outputs = ("ca_certificate", "certificate", "private_key")
        secret = pulumi.ResourceOptions(additional_secret_outputs=["private_key"])
        super().__init__(
            PeerCertificatesProvider(),
            name,
            {"name": name, "addresses": addresses, **dict.fromkeys(outputs)},
            pulumi.ResourceOptions.merge(secret, opts),
        )

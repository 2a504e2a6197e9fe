"""X.509 of the stack's own: an authority, what it signs, and the step from one to the next.

Owns: the texts. Imports no Pulumi. Leaves to others: keeping them (peer_authority.py,
peer_certificates.py, client_certificate.py).
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_FOR = dt.timedelta(days=3650)
"""Ten years: a certificate that expires stops the store."""
RENEWED_BEFORE = dt.timedelta(days=365)
"""In its last year a certificate is renewed by the next `up`."""
CLOCK_SKEW = dt.timedelta(hours=1)
"""Certificates are valid that much earlier, for clocks that are behind."""


@dataclass(frozen=True)
class Signed:
    """A certificate and its private key, as PEM texts (the key PKCS #8, P-256)."""

    certificate: str
    private_key: str


def new_authority(name: str, now: dt.datetime) -> Signed:
    """An authority with a new key, valid from `now`; `name` is for people who look at it."""
    # No two authorities have one name: whoever trusts both for a while must be able to tell them apart.
    subject = _named(f"{name} {secrets.token_hex(4)}")
    return _self_signed(subject, ec.generate_private_key(ec.SECP256R1()), now)


def renewed_authority(authority: Signed, now: dt.datetime) -> Signed:
    """The same authority, name and key, with new dates: nobody who trusts it notices."""
    return _self_signed(_read(authority.certificate).subject, _key(authority), now)


def peer_certificate(
    name: str, addresses: Sequence[str], authority: Signed, now: dt.datetime, *, user: bool = True
) -> Signed:
    """A certificate with a new key for all peers at `addresses` (IP addresses or host names).

    It is good for both ends of a connection.

    Args:
        user: as in `client_certificate`. etcd's JSON gateway shows the server's certificate to etcd itself,
            and who asks it without a token would be whom that names.
    """
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    names = x509.SubjectAlternativeName([_alternative(address) for address in addresses])
    return _signed(_called(name, user), purposes, names, authority, now)


def server_certificate(name: str, addresses: Sequence[str], authority: Signed, now: dt.datetime) -> Signed:
    """A certificate with a new key for a server at `addresses` (IP addresses or host names).

    It lets nobody in anywhere: whoever takes it from the server is no client.

    Args:
        name: for people who look at it.
    """
    names = x509.SubjectAlternativeName([_alternative(address) for address in addresses])
    return _signed(_called(name, user=False), [ExtendedKeyUsageOID.SERVER_AUTH], names, authority, now)


def client_certificate(name: str, authority: Signed, now: dt.datetime, *, user: bool = False) -> Signed:
    """A certificate with a new key for a client that is called `name`, wherever it connects from.

    It is of no use to a server. It names no address: etcd would compare that with where the client is.

    Args:
        user: whether the name is one by which the store knows whoever shows this. If not, the certificate has
            no common name: etcd would take it for a user's, and its JSON gateway refuses any.
    """
    return _signed(_called(name, user), [ExtendedKeyUsageOID.CLIENT_AUTH], None, authority, now)


def vouched_for(newcomer: str, by: Signed, now: dt.datetime) -> str:
    """A certificate in which authority `by` vouches for another one, given by its own certificate.

    Shown along with what the newcomer has signed, it satisfies those who trust only `by`.
    """
    other = _read(newcomer)
    public_key = other.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    certificate = (
        _unsigned(other.subject, _read(by.certificate).subject, public_key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(_issuer_key(by), critical=False)
        .sign(_key(by), hashes.SHA256())
    )
    return _pem(certificate)


def each(bundle: str) -> list[str]:
    """The certificates of a text that has one or more, as they stand there."""
    end = "-----END CERTIFICATE-----\n"
    return [f"{part}{end}" for part in bundle.split(end) if part.strip()]


def same_key(one: str, other: str) -> bool:
    """Whether two certificates are of the same key: one authority with two dates, for example."""
    return _read(one).public_key() == _read(other).public_key()


def due(certificate: str, now: dt.datetime) -> bool:
    """Whether it is time for a new one."""
    return _read(certificate).not_valid_after_utc - now < RENEWED_BEFORE


def expired(certificate: str, now: dt.datetime) -> bool:
    """Whether it is good for nothing any more."""
    return ends(certificate) <= now


def ends(certificate: str) -> dt.datetime:
    """When it is no longer good."""
    return _read(certificate).not_valid_after_utc


def _signed(
    subject: x509.Name,
    purposes: Sequence[x509.ObjectIdentifier],
    names: x509.SubjectAlternativeName | None,
    authority: Signed,
    now: dt.datetime,
) -> Signed:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _unsigned(subject, _read(authority.certificate).subject, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    )
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    certificate = builder.add_extension(_issuer_key(authority), critical=False).sign(
        _key(authority), hashes.SHA256()
    )
    return Signed(_pem(certificate), _key_pem(key))


def _self_signed(subject: x509.Name, key: ec.EllipticCurvePrivateKey, now: dt.datetime) -> Signed:
    certificate = (
        _unsigned(subject, subject, key.public_key(), now)
        # One level of authorities below it: the one that follows it, see `vouched_for`.
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Signed(_pem(certificate), _key_pem(key))


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


def _called(name: str, user: bool) -> x509.Name:
    """With a common name only if that is a user's."""
    return _named(name) if user else x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)])


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _issuer_key(authority: Signed) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(_key(authority).public_key())


def _read(certificate: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(certificate.encode())


def _key(signed: Signed) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(signed.private_key.encode(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()

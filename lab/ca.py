"""The lab's certificate authority and the certificates it signs.

Owned here: one authority for all labs of a user, kept in the cache, and server certificates. Left to others:
who trusts it (the hosts' root file system) and who serves with it (`registry.py`). It signs for names under
`.lab` only, which nobody owns on the internet, and says so in its own certificate (which trustme cannot).
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

YEARS = 10  # an authority's life; a lab is never that old
LEAF_DAYS = 800  # a server certificate's life; made anew for every lab
SKEW = dt.timedelta(days=1)  # the machine's clock may have been wrong


@dataclass(frozen=True)
class Authority:
    """Where the authority's certificate and its private key (0600) are."""

    certificate: Path
    key: Path


def ensure(folder: Path) -> Authority:
    """The authority in `folder`, made if it is not there or has less than a year to live."""
    authority = Authority(folder / "ca.crt", folder / "ca.key")
    if authority.key.is_file() and authority.certificate.is_file():
        certificate = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
        if certificate.not_valid_after_utc - _now() > dt.timedelta(days=365):
            return authority
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "swarm-galera lab")])
    permitted = [x509.DNSName("lab"), x509.IPAddress(ipaddress.ip_network("10.144.12.0/24"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - SKEW)
        .not_valid_after(_now() + dt.timedelta(days=365 * YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_key_usage(signs=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(authority.key, _pem(key))
    _write(authority.certificate, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return authority


def issue(authority: Authority, name: str, address: str, certificate: Path, key: Path) -> None:
    """Write a server certificate for `name` and `address` (dotted quad), and its key (0600).

    Existing ones that the authority signed and that live another week are kept.
    """
    issuer = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    if key.is_file() and certificate.is_file() and _still_good(certificate, issuer):
        return
    issuer_key = serialization.load_pem_private_key(authority.key.read_bytes(), None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    own = ec.generate_private_key(ec.SECP256R1())
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(address))]
    signed = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer.subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - SKEW)
        .not_valid_after(_now() + dt.timedelta(days=LEAF_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .sign(issuer_key, hashes.SHA256())
    )
    _write(key, _pem(own))
    _write(certificate, signed.public_bytes(serialization.Encoding.PEM), 0o644)


def _still_good(certificate: Path, issuer: x509.Certificate) -> bool:
    present = x509.load_pem_x509_certificate(certificate.read_bytes())
    try:
        present.verify_directly_issued_by(issuer)
    except Exception:  # a signature of another authority: InvalidSignature, ValueError or TypeError
        return False
    return present.not_valid_after_utc - _now() > dt.timedelta(days=7)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file of that mode in one step: a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(file, "wb") as out:
        out.write(content)
    fresh.replace(path)

"""Passwords, peer certificates and key pairs: drawn once, of the right form, and secret."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
import string
import subprocess
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from cryptography import x509
from pulumi.runtime import rpc

from components.password import PasswordProvider
from components.peer_certificates import PeerCertificatesProvider, make_certificates
from components.softlayer.ssh_key import SshKeyPairProvider
from components.ssh_access import read_private_key

NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
PEERS = ["10.144.12.10", "10.144.12.11", "etcd-3.example.com"]


def drawn(length: float = 32.0) -> str:
    return str((PasswordProvider().create({"length": length}).outs or {})["value"])


def test_a_password_has_its_length_and_needs_no_quoting() -> None:
    assert len(drawn()) == 32
    assert set(drawn()) <= set(string.ascii_letters + string.digits)


def test_no_two_passwords_are_alike() -> None:
    assert len({drawn() for _ in range(50)}) == 50


def test_a_short_password_is_refused() -> None:
    (failure,) = PasswordProvider().check({}, {"length": 8.0}).failures
    assert "at least 16" in failure.reason


def test_a_password_changes_only_with_its_length() -> None:
    provider = PasswordProvider()
    assert provider.diff("x", {"length": 32.0, "value": "v"}, {"length": 32.0}).changes is False
    assert provider.diff("x", {"length": 32.0}, {"length": 40.0}).replaces == ["length"]


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return make_certificates("etcd", PEERS, NOW)


def test_the_peers_certificate_names_every_peer(made: dict[str, str]) -> None:
    certificate = x509.load_pem_x509_certificate(made["certificate"].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address(p) for p in PEERS[:2]]
    assert names.get_values_for_type(x509.DNSName) == PEERS[2:]


def test_it_is_good_for_both_ends_of_a_connection_and_signed_by_the_authority(
    made: dict[str, str], tmp_path: Path
) -> None:
    for name, text in made.items():
        (tmp_path / name).write_text(text)
    when = ("-attime", str(int(NOW.timestamp())))
    files = ("-CAfile", tmp_path / "ca_certificate", tmp_path / "certificate")
    for purpose in ("sslserver", "sslclient"):
        done = subprocess.run(
            ["openssl", "verify", "-purpose", purpose, *when, *files],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_two_peers_shake_hands_with_it_and_a_stranger_does_not(tmp_path: Path) -> None:
    ours = make_certificates("etcd", PEERS, dt.datetime.now(dt.UTC))
    theirs = make_certificates("etcd", PEERS, dt.datetime.now(dt.UTC))

    def context(made: dict[str, str], *, server: bool) -> ssl.SSLContext:
        folder = tmp_path / f"{id(made)}-{server}"
        folder.mkdir(exist_ok=True)
        for name, text in made.items():
            (folder / name).write_text(text)
        side = ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT
        one = ssl.SSLContext(side)
        one.load_verify_locations(folder / "ca_certificate")
        one.load_cert_chain(folder / "certificate", folder / "private_key")
        one.verify_mode = ssl.CERT_REQUIRED
        return one

    assert shaken(context(ours, server=True), context(ours, server=False))
    with pytest.raises(ssl.SSLError):
        shaken(context(ours, server=True), context(theirs, server=False))


def shaken(server: ssl.SSLContext, client: ssl.SSLContext) -> bool:
    """Whether both ends end their handshake; in memory, no sockets."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=PEERS[0]),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    open_ends = list(ends)
    for _ in range(10):
        for end in list(open_ends):
            try:
                end.do_handshake()
                open_ends.remove(end)
            except ssl.SSLWantReadError:
                continue
    return not open_ends


def test_it_is_valid_a_little_earlier_for_clocks_that_are_behind(made: dict[str, str]) -> None:
    certificate = x509.load_pem_x509_certificate(made["certificate"].encode())
    assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc
    assert certificate.not_valid_after_utc - NOW > dt.timedelta(days=3000)


def test_nobody_can_sign_more_with_what_is_in_the_state(made: dict[str, str]) -> None:
    assert set(made) == {"ca_certificate", "certificate", "private_key"}
    authority = x509.load_pem_x509_certificate(made["ca_certificate"].encode())
    certificate = x509.load_pem_x509_certificate(made["certificate"].encode())
    assert authority.public_key() != certificate.public_key()
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_certificates_are_replaced_when_the_peers_change_and_not_when_their_order_does() -> None:
    provider = PeerCertificatesProvider()

    def checked(addresses: Any) -> dict[str, Any]:
        return provider.check({}, {"name": "etcd", "addresses": addresses}).inputs

    before = checked(PEERS)
    assert provider.diff("x", before, checked(PEERS[::-1])).changes is False
    assert provider.diff("x", before, checked(PEERS[:2])).replaces == ["addresses"]
    assert provider.diff("x", before, checked(rpc.UNKNOWN)).replaces == ["addresses"]


def test_a_certificate_for_nobody_is_refused() -> None:
    (failure,) = PeerCertificatesProvider().check({}, {"name": "etcd", "addresses": []}).failures
    assert "at least one address" in failure.reason


def test_a_key_pair_s_halves_belong_together() -> None:
    pair = SshKeyPairProvider().create({}).outs or {}
    private = asyncssh.import_private_key(pair["private_key"])
    assert private.export_public_key().decode().split()[:2] == pair["public_key"].split()[:2]


def test_a_private_key_s_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(str((SshKeyPairProvider().create({}).outs or {})["private_key"]))
    assert read_private_key(str(file)) == file.read_text()


def test_a_private_key_that_cannot_be_used_is_refused_with_a_remedy(tmp_path: Path) -> None:
    locked, public = tmp_path / "locked", tmp_path / "key.pub"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", locked], check=True)
    public.write_text(Path(f"{locked}.pub").read_text())
    for file, words in (
        (tmp_path / "absent", "cannot be read"),
        (locked, "ssh-add"),
        (public, "without `.pub`"),
    ):
        with pytest.raises(ValueError, match=words):
            read_private_key(str(file))

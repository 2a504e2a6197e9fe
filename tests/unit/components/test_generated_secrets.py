"""Passwords, peer certificates and key pairs: drawn once, of the right form, and secret."""

from __future__ import annotations

import datetime as dt
import ssl
import string
import subprocess
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from pulumi.runtime import rpc

from components import certificates
from components.password import PasswordProvider
from components.peer_authority import PeerAuthorityProvider
from components.peer_certificates import PeerCertificatesProvider
from components.softlayer.ssh_key import SshKeyPairProvider
from components.ssh_access import read_private_key
from settings.errors import UserError

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


SECOND = [*PEERS, "10.144.12.13"]


def authority_state(now: dt.datetime = NOW) -> dict[str, str]:
    """What the state holds of an authority."""
    made = certificates.new_authority("etcd", now)
    return {"name": "etcd", "certificate": made.certificate, "private_key": made.private_key}


def peers(addresses: Any, authority: dict[str, str]) -> dict[str, Any]:
    """Checked inputs of the peers' certificate."""
    given = {
        "name": "etcd",
        "addresses": addresses,
        "authority": authority["certificate"],
        "authority_key": authority["private_key"],
    }
    checked: dict[str, Any] = PeerCertificatesProvider().check({}, given).inputs
    return checked


def created(inputs: dict[str, Any]) -> dict[str, Any]:
    return PeerCertificatesProvider().create(inputs).outs or {}


def updated(olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
    return PeerCertificatesProvider().update("x", olds, news).outs or {}


def differs(olds: dict[str, Any], news: dict[str, Any]) -> bool | None:
    return PeerCertificatesProvider().diff("x", olds, news).changes


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return created(peers(PEERS, authority_state()))


def test_the_peers_certificate_names_every_peer(made: dict[str, Any]) -> None:
    certificate = x509.load_pem_x509_certificate(made["certificate"].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(address) for address in names.get_values_for_type(x509.IPAddress)} == set(PEERS[:2])
    assert names.get_values_for_type(x509.DNSName) == PEERS[2:]


def test_it_is_good_for_both_ends_of_a_connection_and_signed_by_the_authority(
    made: dict[str, Any], tmp_path: Path
) -> None:
    for name in ("ca_certificate", "certificate"):
        (tmp_path / name).write_text(made[name])
    when = ("-attime", str(int(dt.datetime.now(dt.UTC).timestamp())))
    files = ("-CAfile", tmp_path / "ca_certificate", tmp_path / "certificate")
    for purpose in ("sslserver", "sslclient"):
        done = subprocess.run(
            ["openssl", "verify", "-purpose", purpose, *when, *files],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def shake_hands(one: dict[str, Any], other: dict[str, Any], folder: Path) -> bool:
    """Whether two peers with these files accept one another, whichever of them calls."""

    def context(made: dict[str, Any], side: int) -> ssl.SSLContext:
        for name in ("ca_certificate", "certificate", "private_key"):
            (folder / name).write_text(made[name])
        one = ssl.SSLContext(side)
        one.load_verify_locations(folder / "ca_certificate")
        one.load_cert_chain(folder / "certificate", folder / "private_key")
        one.verify_mode = ssl.CERT_REQUIRED
        return one

    try:
        return all(
            shaken(context(server, ssl.PROTOCOL_TLS_SERVER), context(client, ssl.PROTOCOL_TLS_CLIENT))
            for server, client in ((one, other), (other, one))
        )
    except ssl.SSLError:
        return False


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


def test_two_peers_shake_hands_with_it_and_a_stranger_does_not(tmp_path: Path, made: dict[str, Any]) -> None:
    assert shake_hands(made, made, tmp_path)
    assert not shake_hands(made, created(peers(PEERS, authority_state())), tmp_path)


def test_peers_that_have_the_new_addresses_and_peers_that_do_not_accept_one_another(tmp_path: Path) -> None:
    authority = authority_state()
    before = created(peers(PEERS, authority))
    assert differs(before, peers(SECOND, authority))
    after = updated(before, peers(SECOND, authority))
    assert after["certificate"] != before["certificate"]
    assert after["ca_certificate"] == before["ca_certificate"]
    assert shake_hands(before, after, tmp_path)


def test_a_replaced_authority_is_gone_over_to_without_a_break(tmp_path: Path) -> None:
    authorities = [authority_state() for _ in range(3)]
    states = [created(peers(PEERS, authorities[0]))]
    for authority in authorities[1:]:
        assert differs(states[-1], peers(PEERS, authority))
        states.append(updated(states[-1], peers(PEERS, authority)))
    first, second, third = states
    assert shake_hands(first, second, tmp_path)
    assert shake_hands(second, third, tmp_path)
    # Each trusts the one before it, and none that is two behind.
    assert not shake_hands(first, third, tmp_path)
    # Whether all have gone over is not known when anything else changes: a run may have ended in the middle.
    fourth = updated(third, peers(SECOND, authorities[2]))
    fifth = updated(fourth, peers(PEERS, authorities[2]))
    for later in (fourth, fifth):
        assert shake_hands(second, later, tmp_path)
        assert shake_hands(third, later, tmp_path)
        assert not shake_hands(first, later, tmp_path)
    # What is replaced by name ends the trust in the one before, and so does another authority.
    ended = created(peers(SECOND, authorities[2]))
    assert ended["ca_certificate"] == authorities[2]["certificate"]
    assert shake_hands(fifth, ended, tmp_path)
    assert not shake_hands(second, ended, tmp_path)
    assert not shake_hands(second, updated(fifth, peers(SECOND, authority_state())), tmp_path)


def test_a_former_authority_of_peers_that_has_expired_is_kept_no_longer(tmp_path: Path) -> None:
    expired = authority_state(dt.datetime.now(dt.UTC) - dt.timedelta(days=3700))
    authority = authority_state()
    state = updated(created(peers(PEERS, expired)), peers(PEERS, authority))
    assert state["ca_certificate"] == authority["certificate"]
    assert state["certificate"].count("BEGIN CERTIFICATE") == 1


def test_a_former_authority_is_trusted_until_that_is_ended_whatever_changes_meanwhile(tmp_path: Path) -> None:
    """A host that joins between two runs of a rotation must not end what its second run is to end."""
    old, new = authority_state(), authority_state()
    first = created(peers(PEERS, old))
    overlap = {"overlap": True}
    assert differs(first, {**peers(PEERS, new), **overlap})
    second = updated(first, {**peers(PEERS, new), **overlap})
    joined = updated(second, {**peers(SECOND, new), **overlap})
    for each in (second, joined):
        assert len(certificates.each(each["ca_certificate"])) == 2
        assert shake_hands(first, each, tmp_path)
    assert not differs(joined, {**peers(SECOND, new), **overlap})
    assert differs(joined, peers(SECOND, new))
    ended = updated(joined, peers(SECOND, new))
    assert ended["ca_certificate"] == new["certificate"]
    assert shake_hands(joined, ended, tmp_path)
    assert not shake_hands(first, ended, tmp_path)


def test_a_stack_that_never_rotated_its_stores_certificates_signs_nothing_anew() -> None:
    authority = authority_state()
    made = created(peers(PEERS, authority))
    assert differs(made, peers(PEERS, authority)) is False
    # The first generation that is said is the one after the one that never was.
    provider = PeerAuthorityProvider()
    assert provider.diff("x", authority, {"name": "etcd"}).changes is False
    assert provider.diff("x", authority, {"name": "etcd", "generation": 2}).changes is True
    assert provider.check(authority, {"name": "etcd", "generation": 2}).failures == []
    after = provider.update("x", authority, {"name": "etcd", "generation": 2}).outs or {}
    assert after["certificate"] != authority["certificate"]


def test_certificates_are_renewed_in_their_last_year_and_nobody_s_trust_changes(tmp_path: Path) -> None:
    provider = PeerAuthorityProvider()
    now = dt.datetime.now(dt.UTC)
    long_ago = now - dt.timedelta(days=3300)
    young, old = authority_state(now - dt.timedelta(days=3000)), authority_state(long_ago)
    assert provider.diff("x", young, {"name": "etcd"}).changes is False
    assert provider.diff("x", old, {"name": "etcd"}).changes is True
    renewed = provider.update("x", old, {"name": "etcd"}).outs or {}
    assert provider.diff("x", renewed, {"name": "etcd"}).changes is False
    before = created(peers(PEERS, old))
    after = updated(before, peers(PEERS, renewed))
    assert shake_hands(before, after, tmp_path)
    assert after["ca_certificate"] == renewed["certificate"]
    aged = certificates.peer_certificate(
        "etcd",
        PEERS,
        certificates.Signed(old["certificate"], old["private_key"]),
        long_ago,
    )
    assert differs({**before, "certificate": aged.certificate}, peers(PEERS, old))


def test_it_is_valid_a_little_earlier_for_clocks_that_are_behind() -> None:
    authority = certificates.new_authority("etcd", NOW)
    for text in (
        authority.certificate,
        certificates.peer_certificate("etcd", PEERS, authority, NOW).certificate,
    ):
        certificate = x509.load_pem_x509_certificate(text.encode())
        assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc
        assert certificate.not_valid_after_utc - NOW > dt.timedelta(days=3000)


def test_peers_get_nothing_that_signs(made: dict[str, Any]) -> None:
    certificate = x509.load_pem_x509_certificate(made["certificate"].encode())
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    key = serialization.load_pem_private_key(made["private_key"].encode(), None)
    authority = x509.load_pem_x509_certificate(made["ca_certificate"].encode())
    assert authority.public_key() != key.public_key()


def test_the_certificate_changes_with_the_peers_and_not_with_their_order(made: dict[str, Any]) -> None:
    authority = {"certificate": made["authority"], "private_key": made["authority_key"]}
    assert differs(made, peers(PEERS[::-1], authority)) is False
    assert differs(made, peers(PEERS[:2], authority)) is True
    assert differs(made, peers(rpc.UNKNOWN, authority)) is True
    assert PeerCertificatesProvider().diff("x", made, peers(PEERS[:2], authority)).replaces is None


def test_a_certificate_for_nobody_is_refused() -> None:
    given = {"name": "etcd", "addresses": [], "authority": "", "authority_key": ""}
    (failure,) = PeerCertificatesProvider().check({}, given).failures
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
        with pytest.raises(UserError, match=words):
            read_private_key(str(file))

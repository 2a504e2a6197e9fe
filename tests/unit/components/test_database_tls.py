"""The database's authority and certificate: what nodes and clients accept from one generation to the next."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path
from typing import Any

import pulumi
import pytest
from cryptography import x509

from components import certificates, database_tls, galera
from components.database_certificate import DatabaseCertificateProvider
from components.host_scripts import database_tls as tls_script
from components.peer_authority import PeerAuthorityProvider
from components.peer_certificates import ONE
from settings import SettingsError
from settings.tls import Tls
from tests.support.node_certificates import NodeCertificates
from tests.unit.program import ROOT, run

pytestmark = pytest.mark.unit

CA, CERTIFICATE, KEY = database_tls.FILES


SELF_SIGNED_IN_CHAIN = 19
"""OpenSSL's word for a chain that is whole, but whose end is nobody whom the client knows."""


def objection(client: str, node: dict[str, str], folder: Path, name: str = "haproxy") -> int | None:
    """What a client that knows this authority (empty: none) has against a node under this name, by OpenSSL's
    number; None where it accepts the node.
    """
    for file, text in {**node, "known.crt": client}.items():
        (folder / file).write_text(text)
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if client:
        ours.load_verify_locations(folder / "known.crt")
    # As mariadbd: from whom it trusts, it adds what a certificate that stands alone lacks.
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_verify_locations(folder / CA)
    theirs.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = ours.wrap_bio(back, there, server_hostname=name), theirs.wrap_bio(there, back, server_side=True)
    try:
        for _ in range(3):
            for end in ends:
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue
    except ssl.SSLCertVerificationError as error:
        return error.verify_code
    return None


def accepts(client: str, node: dict[str, str], folder: Path, name: str = "haproxy") -> bool:
    """Whether a client that knows this authority accepts a node under this name."""
    return objection(client, node, folder, name) is None


def shown(state: dict[str, Any]) -> dict[str, str]:
    """The files of nodes with this certificate."""
    return {CA: state["ca_certificate"], CERTIFICATE: state["certificate"], KEY: state["private_key"]}


def own(made: NodeCertificates) -> str:
    """An authority alone, as the output has it."""
    return str(made.authority["certificate"])


def test_clients_of_either_generation_accept_nodes_that_have_gone_over(tmp_path: Path) -> None:
    made = NodeCertificates()
    after = NodeCertificates(made)
    assert own(made) != own(after)
    for name in database_tls.NAMES:
        assert accepts(own(made), made.files, tmp_path, name)
        assert accepts(own(made), after.files, tmp_path, name)
        assert accepts(own(after), after.files, tmp_path, name)
    assert not accepts(own(after), made.files, tmp_path)
    assert not accepts(own(NodeCertificates()), made.files, tmp_path)
    assert not accepts(own(made), made.files, tmp_path, "db.example.com")
    # The third generation has nothing to do with the first.
    third = NodeCertificates(after)
    assert len(ONE.findall(third.files[CA])) == 2
    assert not accepts(own(made), third.files, tmp_path)


def test_clients_that_know_nobody_find_a_whole_chain_in_every_generation(tmp_path: Path) -> None:
    """MariaDB's from 11.4 on go on from that alone, over a node's own socket, too; else they refuse."""
    made = NodeCertificates()
    after = NodeCertificates(made)
    names = {"addresses": [*after.state["addresses"], "db.example.com"]}
    for generation in (made.state, after.state, signed_again(after.state, **names)):
        files = shown(generation)
        assert objection("", files, tmp_path) == SELF_SIGNED_IN_CHAIN
        # Once nodes have gone over, they trust the present authority alone, and show the same.
        assert objection("", {**files, CA: ONE.findall(files[CA])[0]}, tmp_path) == SELF_SIGNED_IN_CHAIN


def test_a_former_authority_that_has_expired_is_shown_no_longer(tmp_path: Path) -> None:
    provider = DatabaseCertificateProvider()
    made = NodeCertificates()
    state = NodeCertificates(made).state
    assert not provider.diff("x", state, state).changes
    ago = dt.timedelta(days=3700)
    expired = own(NodeCertificates(ago=ago))
    word = ONE.findall(state["certificate"])[:2]
    dead = {
        **state,
        "certificate": "".join(word) + expired,
        "ca_certificate": ONE.findall(state["ca_certificate"])[0] + expired,
    }
    assert provider.diff("x", dead, dead).changes
    # As it was before the former authority was shown at all.
    assert provider.diff("x", {**state, "certificate": "".join(word)}, state).changes
    for before in (dead, NodeCertificates(NodeCertificates(ago=ago)).state):
        again = signed_again(before)
        assert len(ONE.findall(again["certificate"])) == len(ONE.findall(again["ca_certificate"])) == 1
        assert objection("", shown(again), tmp_path) == SELF_SIGNED_IN_CHAIN
        assert accepts(again["ca_certificate"], shown(again), tmp_path)
        assert not provider.diff("x", again, again).changes


def signed_again(before: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return DatabaseCertificateProvider().update("x", before, {**before, **changed}).outs or {}


def test_other_names_do_not_make_nodes_forget_the_authority_that_some_still_show() -> None:
    made = NodeCertificates()
    after = NodeCertificates(made)
    state = after.state
    again = signed_again(state, addresses=[*state["addresses"], "db.example.com"])
    assert ONE.findall(again["ca_certificate"]) == ONE.findall(after.files[CA])
    assert ONE.findall(again["certificate"])[1:] == ONE.findall(after.files[CERTIFICATE])[1:]
    assert again["private_key"] != state["private_key"]
    # What has expired is of no use to anybody.
    old = NodeCertificates(ago=dt.timedelta(days=3700))
    dead = signed_again({**state, "ca_certificate": own(after) + own(old)})
    assert ONE.findall(dead["ca_certificate"]) == [own(after)]
    assert certificates.expired(own(old), dt.datetime.now(dt.UTC))


def test_an_authority_follows_by_one_more_and_in_no_other_way() -> None:
    provider = PeerAuthorityProvider()
    state = provider.create({"name": "galera", "generation": 2.0}).outs or {}

    def news(generation: float) -> dict[str, Any]:
        return {"name": "galera", "generation": generation}

    for generation in (1.0, 4.0):
        (failure,) = provider.check(state, news(generation)).failures
        assert f"{generation:.0f} can't follow 2" in failure.reason
        assert "set it to 3 for a new authority, or to 2 for none" in failure.reason
    for generation in (2.0, 3.0):
        assert not provider.check(state, news(generation)).failures
    assert not provider.check({}, news(7.0)).failures
    assert not provider.diff("x", state, news(2.0)).changes
    assert provider.diff("x", state, news(3.0)).changes
    after = provider.update("x", state, news(3.0)).outs or {}
    assert not certificates.same_key(state["certificate"], after["certificate"])
    # The authorities of the stores have no generation, and stay as they are.
    plain = provider.create({"name": "etcd"}).outs or {}
    assert "generation" not in plain
    assert not provider.check(plain, {"name": "etcd"}).failures
    assert not provider.diff("x", plain, {"name": "etcd"}).changes


@pytest.mark.parametrize(
    ("outputs", "allowed"),
    [
        ({}, 9),
        ({"galera": {}}, 1),
        ({"galera": {"tls": {"generation": 1}}}, 2),
        ({"galera": {"tls": {"generation": 4.0}}}, 5),
    ],
)
def test_a_generation_waits_for_the_one_before_to_be_gone_over_to(
    outputs: dict[str, Any], allowed: int
) -> None:
    database_tls.refuse_a_leap(Tls.model_validate({"generation": allowed}), outputs)
    if outputs:
        with pytest.raises(SettingsError, match=rf"{allowed + 1} is too far.*Remedy: set it to {allowed}"):
            database_tls.refuse_a_leap(Tls.model_validate({"generation": allowed + 1}), outputs)


def test_nothing_is_required_of_clients_before_they_can_come_with_it() -> None:
    required = Tls.model_validate({"required": True})
    with pytest.raises(SettingsError, match=r"required: the nodes speak no TLS yet.*Remedy: leave it out"):
        database_tls.refuse_a_leap(required, {"galera": {"vip": "10.20.0.2"}})
    for outputs in ({}, {"galera": {"tls": {"generation": 1}}}):
        database_tls.refuse_a_leap(required, outputs)


def test_what_is_required_of_clients_is_an_option_of_the_server() -> None:
    for required in (False, True):
        cnf, *_ = galera.config_files({}, {}, True, required)
        assert ("require_secure_transport = ON\n" in str(cnf.content)) is required


def test_the_program_hands_on_names_and_generation(home: Path) -> None:
    tls = {"names": ["db.example.com"], "generation": 3, "required": True}
    made = run({"galera": {"tls": tls}})
    names = [*database_tls.NAMES, "db.example.com"]
    assert made.resources["galera-certificate"].inputs["addresses"] == names
    assert made.resources["galera-authority"].inputs["generation"] == 3
    assert made.outputs["galera"]["tls"] == {
        "caCertificate": "CA",
        "required": True,
        "generation": 3,
        "names": names,
    }


def test_nodes_whose_certificates_have_expired_get_new_ones_at_the_same_time(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They let nobody in: one that changed alone would be parted from the rest, and nothing would move."""
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: said.append(text))

    def at_once(outputs: dict[str, Any]) -> int:
        made = run(former=outputs)
        return int(made.resources["galera-service"].inputs["updateConfig"]["parallelism"])

    def known(authority: str) -> dict[str, Any]:
        return {"galera": {"tls": {"generation": 1, "caCertificate": authority}}}

    last_year = known(own(NodeCertificates(ago=dt.timedelta(days=3640))))
    assert [at_once({}), at_once({"galera": {}}), at_once(last_year)] == [1, 1, 1]
    assert not said
    assert at_once(known(own(NodeCertificates(ago=dt.timedelta(days=3651))))) == 3
    assert "have expired" in said[0]
    assert "clients wait for about a minute" in said[0]


def test_members_of_the_store_whose_certificates_have_expired_get_new_ones_at_the_same_time(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database's would not get theirs otherwise: it is changed once the store is whole."""
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: said.append(text))

    def at_once(days: int) -> list[int]:
        authority = own(NodeCertificates(ago=dt.timedelta(days=days)))
        made = run(former={"discoveryAccess": {"caCertificate": authority}})
        names = ("etcd-service", "galera-service")
        return [int(made.resources[name].inputs["updateConfig"]["parallelism"]) for name in names]

    assert at_once(3640) == [1, 1]
    assert not said
    assert at_once(3651) == [3, 1]
    assert "the certificates of the store's members have expired" in said[0]


def test_nodes_take_a_renewal_one_after_the_other(tmp_path: Path) -> None:
    made = NodeCertificates(ago=dt.timedelta(days=3400))
    files = made.renewed()
    assert files[CA] != own(made)
    assert accepts(own(made), files, tmp_path)
    assert accepts(files[CA], made.files, tmp_path)
    # Too late for that: who has the former ones has nobody, and nobody has it.
    made = NodeCertificates(ago=dt.timedelta(days=3651))
    assert not accepts(own(made), made.renewed(), tmp_path)
    assert accepts(made.renewed()[CA], made.renewed(), tmp_path)


def test_what_the_authority_has_signed_outlives_it() -> None:
    """By the authority alone is seen whether nodes still let one another in."""
    made = NodeCertificates()
    state = made.state
    again = signed_again(state, addresses=[*state["addresses"], "db.example.com"])
    for each in (state, NodeCertificates(made).state, again):
        ends = [
            x509.load_pem_x509_certificate(each[what].encode()).not_valid_after_utc
            for what in ("authority", "certificate")
        ]
        assert ends == sorted(ends)


@pytest.mark.parametrize(
    ("image", "speaks"),
    [
        ("registry.lab:5000/swarm-galera/galera:10.11-11", False),
        ("swarm-galera/galera:10.11-3@sha256:" + "0" * 64, False),
        ("registry.lab:5000/swarm-galera/galera:10.11-12", True),
        ("registry.lab:5000/swarm-galera/galera:11.8-1", True),
        ("registry.lab:5000/galera:10.11-3", True),  # somebody else's: not known
        ("registry.lab:5000/swarm-galera/galera:10.11-3-ours", True),
    ],
)
def test_an_image_of_before_is_refused_before_a_node_starts_anew_for_it(
    image: str, speaks: bool, home: Path
) -> None:
    settings = {"galera": {"image": image}}
    if speaks:
        database_tls.refuse_an_image_without(image)
        return
    with pytest.raises(pulumi.RunError, match=r"galera.image: .* speak no TLS.*Remedy: name 10.11-12"):
        run(settings)
    run({**settings, "deployUpTo": "swarm"})


def test_the_first_image_with_tls_is_the_present_one_or_one_before_it() -> None:
    tag = (ROOT / "images" / "galera" / "TAG-bookworm").read_text().strip()
    assert int(tag.removeprefix("10.11-")) >= database_tls.FIRST
    assert f"10.11-{database_tls.FIRST}" in tls_script.only("galera")

"""What a changed property means, for every property of every resource."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import dill  # type: ignore[import-untyped]
import pytest
from pulumi.dynamic import Config, ConfigureRequest
from pulumi.runtime import rpc

from components.dynamic import is_unknown
from components.softlayer.errors import SettingInvalid, SoftLayerFailed
from components.softlayer.guest_ready import GuestReadyArgs
from components.softlayer.guest_ready_provider import GuestReadyProvider
from components.softlayer.provider import SoftLayerProvider
from components.softlayer.security_group import SecurityGroupArgs
from components.softlayer.security_group_provider import SecurityGroupProvider
from components.softlayer.ssh_key import SshKeyArgs
from components.softlayer.ssh_key_provider import SshKeyProvider
from components.softlayer.virtual_guest import VirtualGuestArgs
from components.softlayer.virtual_guest_provider import VirtualGuestProvider
from settings.server import Server
from tests.unit.components.softlayer.test_softlayer_guest_spec import PROPS

GUEST = VirtualGuestArgs(
    "demo/dev/0123456789ab", "galera-1", Server.of(domain="example.com", datacenter="tor01")
)
RESOURCES: list[tuple[type[SoftLayerProvider], set[str]]] = [
    (VirtualGuestProvider, {"resource", *GUEST.props()}),
    (GuestReadyProvider, {field.name for field in fields(GuestReadyArgs)}),
    (SshKeyProvider, {field.name for field in fields(SshKeyArgs)}),
    (SecurityGroupProvider, {field.name for field in fields(SecurityGroupArgs)}),
]


@pytest.mark.parametrize(("provider", "properties"), RESOURCES)
def test_every_property_is_declared_exactly_once(
    provider: type[SoftLayerProvider], properties: set[str]
) -> None:
    tables = [*provider.REPLACE, *provider.UPDATE, *provider.IGNORE]
    assert sorted(tables) == sorted({*tables})
    assert properties <= set(tables)


def test_every_property_of_a_guest_is_sent() -> None:
    tables = VirtualGuestProvider.REPLACE | VirtualGuestProvider.UPDATE | VirtualGuestProvider.IGNORE
    assert {"resource", *GUEST.props()} == tables


@pytest.mark.parametrize(("provider", "_arguments"), RESOURCES)
def test_a_provider_is_pickled_by_reference(provider: type[SoftLayerProvider], _arguments: Any) -> None:
    pickled = dill.dumps(provider(), recurse=True)
    assert provider.__name__.encode() in pickled
    assert len(pickled) < 250


@pytest.mark.parametrize(("provider", "_arguments"), RESOURCES)
def test_a_provider_is_stateless_until_it_is_configured(
    provider: type[SoftLayerProvider], _arguments: Any
) -> None:
    assert vars(provider()) == {}


CHANGES = {
    "datacenter": "dal13",
    "os": "UBUNTU_LATEST",
    "image": "aaaa",
    "hourly": False,
    "encrypted_disk": True,
    "local_disk": False,
    "transient": True,
    "private_only": True,
    "public_vlan": 1.0,
    "private_vlan": 1.0,
    "public_subnet": 1.0,
    "private_subnet": 1.0,
    "placement_group": 1.0,
    "hostname": "other",
    "domain": "example.org",
    "cores": 4.0,
    "memory": 8192.0,
    "disks": [100.0, 100.0],
    "nic_speed": 1000.0,
    "public_security_groups": ["1"],
    "private_security_groups": ["1"],
    "tags": ["other"],
    "notes": "other",
    "user_data": "other",
    "reload_token": "other",
    "ssh_key_ids": ["1"],
    "post_install_url": "https://example.com/x",
    "owner": "other",
    "resource": "other",
    "adopt": 1.0,
    "on_replacement": "refuse",
}
BASE = {
    **PROPS,
    "hourly": True,
    "local_disk": True,
    "private_only": False,
    "nic_speed": 100.0,
    **dict.fromkeys(("public_vlan", "private_vlan", "public_subnet", "private_subnet"), 7001.0),
}


@pytest.mark.parametrize("key", sorted(CHANGES))
def test_a_guest_s_property_replaces_updates_or_is_ignored_as_declared(key: str) -> None:
    provider = VirtualGuestProvider()
    result = provider.diff("1", BASE, {**BASE, key: CHANGES[key]})
    assert result.replaces == ([key] if key in provider.REPLACE else [])
    assert result.changes is (key not in provider.IGNORE)
    assert result.delete_before_replace is True


FIXED = sorted(VirtualGuestProvider.REPLACE)


@pytest.mark.parametrize("key", FIXED)
def test_a_replacement_that_nobody_named_is_refused_before_anything_is_done(key: str) -> None:
    provider = VirtualGuestProvider()
    with pytest.raises(
        SoftLayerFailed, match=rf"{key} \(.* to .*\) replaces the server.*nothing was changed"
    ):
        provider.diff("1", BASE, {**BASE, key: CHANGES[key], "on_replacement": "refuse"})
    assert provider.diff("1", BASE, {**BASE, "on_replacement": "refuse"}).changes is False
    assert provider.diff("1", BASE, {**BASE, "notes": "x", "on_replacement": "refuse"}).replaces == []


@pytest.mark.parametrize("key", FIXED)
def test_a_server_that_is_kept_is_not_replaced_and_that_is_said(
    key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    provider = VirtualGuestProvider()
    changed = {**BASE, key: CHANGES[key], "on_replacement": "keep"}
    result = provider.diff("1", BASE, changed)
    assert (result.changes, result.replaces) == (False, [])
    assert f"stays as it is; servers.replace must name it for a change of {key} (" in capsys.readouterr().out
    result = provider.diff("1", BASE, {**changed, "cores": 4.0})
    assert (result.changes, result.replaces) == (True, [])


def test_a_server_that_stays_may_not_have_smaller_disks() -> None:
    smaller = {**BASE, "disks": [25.0], "datacenter": "dal13", "on_replacement": "keep"}
    assert [failure.property for failure in VirtualGuestProvider().check(BASE, smaller).failures] == ["disks"]


@pytest.mark.parametrize("provider", [VirtualGuestProvider, GuestReadyProvider])
def test_a_reload_token_that_is_taken_away_reloads_nothing(provider: type[SoftLayerProvider]) -> None:
    before = {**BASE, "guest_id": "1", "ssh_address": "public", "ssh_port": 22.0, "reload_token": "2026-11"}
    for token in ("", None):
        assert provider().diff("1", before, {**before, "reload_token": token}).changes is False
    assert provider().diff("1", before, {**before, "reload_token": "2026-12"}).changes is True


def test_nothing_changes_when_nothing_changed() -> None:
    assert VirtualGuestProvider().diff("1", BASE, dict(BASE)).changes is False


@pytest.mark.parametrize(
    ("key", "old", "new"),
    [
        ("public_vlan", 7001.0, None),
        ("private_subnet", 7001.0, None),
        ("tags", ["A", "b"], ["b", "a"]),
        ("private_security_groups", ["2", "1"], ["1", "2"]),
        ("ssh_key_ids", [12.0], ["12"]),
        ("cores", 2, 2.0),
        ("disks", [25, 100], [25.0, 100.0]),
        ("notes", None, ""),
        ("user_data", "a\n", "a"),
        ("public_vlan", None, None),
    ],
)
def test_the_same_in_other_words_is_no_change(key: str, old: Any, new: Any) -> None:
    assert VirtualGuestProvider().diff("1", {**BASE, key: old}, {**BASE, key: new}).changes is False


@pytest.mark.parametrize("old", [7001.0, None])
def test_an_unknown_value_counts_as_a_change(old: Any) -> None:
    olds = {**BASE, "private_vlan": old}
    result = VirtualGuestProvider().diff("1", olds, {**olds, "private_vlan": rpc.UNKNOWN})
    assert result.replaces == ["private_vlan"]


@pytest.mark.parametrize("value", ["soon", "", 0, -1, 3601, "nan"])
def test_a_time_to_look_for_orders_that_is_none_is_refused(value: Any) -> None:
    provider = VirtualGuestProvider()
    provider.configure(ConfigureRequest(Config({"swarm-galera:orderSettle": value}, "swarm-galera")))
    with pytest.raises(SettingInvalid, match=r"orderSettle: .*up to 3600; leave it out for 60"):
        provider.settle()


def test_a_time_to_look_for_orders_may_be_text_or_left_out() -> None:
    provider = VirtualGuestProvider()
    assert provider.settle() == 60
    provider.configure(ConfigureRequest(Config({"swarm-galera:orderSettle": "90"}, "swarm-galera")))
    assert provider.settle() == 90


def test_the_disks_of_a_server_that_is_only_pinned_may_not_shrink() -> None:
    unpinned = {**BASE, "private_vlan": None}
    found = VirtualGuestProvider().check(unpinned, {**BASE, "disks": [25.0]}).failures
    assert [failure.property for failure in found] == ["disks"]


def test_a_guest_without_its_tags_is_updated() -> None:
    assert VirtualGuestProvider().diff("1", {**BASE, "labelled": False}, BASE).changes is True


def test_a_replaced_guest_may_have_smaller_disks() -> None:
    provider = VirtualGuestProvider()
    smaller = {**BASE, "disks": [25.0]}
    assert [failure.property for failure in provider.check(BASE, smaller).failures] == ["disks"]
    assert provider.check(BASE, {**smaller, "datacenter": "dal13"}).failures == []


RECEIVED = rpc.deserialize_property(rpc.UNKNOWN, keep_unknowns=True)
"""An unknown as the SDK hands it to a dynamic provider."""


@pytest.mark.parametrize(
    ("value", "unknown"),
    [
        (RECEIVED, True),
        ({"a": [RECEIVED]}, True),
        (rpc.UNKNOWN, True),
        ([1, rpc.UNKNOWN], True),
        ({"a": rpc.UNKNOWN}, True),
        ("a", False),
        (None, False),
    ],
)
def test_an_unknown_is_found_at_any_depth(value: Any, unknown: bool) -> None:
    assert is_unknown(value) is unknown


def test_a_changed_guest_is_waited_for_anew_and_a_reloaded_one_again() -> None:
    provider = GuestReadyProvider()
    base = {"guest_id": "1", "reload_token": "", "ssh_address": "public", "ssh_port": 22.0}
    # Never replaced: all that has the host's address would be replaced along with it, before the guest is.
    for other in ("2", rpc.UNKNOWN):
        result = provider.diff("1", base, {**base, "guest_id": other})
        assert (result.changes, result.replaces) == (True, [])
    reloaded = provider.diff("1", base, {**base, "reload_token": "1"})
    assert (reloaded.changes, reloaded.replaces) == (True, [])


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFCYBefbyOFCB+cgFa4qsOCiqajmKNN4kQO6uz/FVBi5"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "PRIVATE key"),
        ("hello", "not an OpenSSH public key"),
        ("ssh-dss AAAA", "not an OpenSSH public key"),
        (KEY[:40] + "!", "damaged"),
        (KEY.replace("ssh-ed25519", "ssh-rsa"), "another type"),
    ],
)
def test_what_is_no_public_key_is_refused(text: str, words: str) -> None:
    (failure,) = SshKeyProvider().check({}, {"public_key": text}).failures
    assert words in failure.reason


def test_a_key_or_a_label_is_needed() -> None:
    assert SshKeyProvider().check({}, {}).failures[0].property == "public_key"
    assert SshKeyProvider().check({}, {"label": "mine"}).failures == []
    assert SshKeyProvider().check({}, {"public_key": rpc.UNKNOWN}).failures == []


def test_a_key_s_comment_means_nothing_and_its_text_everything() -> None:
    provider = SshKeyProvider()
    assert provider.diff("1", {"public_key": KEY}, {"public_key": f"{KEY}  me@home\n"}).changes is False
    other = KEY.replace("FCY", "FCZ")
    assert provider.diff("1", {"public_key": KEY}, {"public_key": other}).replaces == ["public_key"]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"direction": "in"}, "ingress or egress"),
        ({"direction": "ingress", "protocol": "esp"}, "tcp, udp, icmp"),
        ({"direction": "ingress", "protocol": "tcp", "first_port": 22.0}, "give both"),
        ({"direction": "ingress", "first_port": 22.0, "last_port": 22.0}, "without tcp or udp"),
        (
            {"direction": "ingress", "protocol": "tcp", "first_port": 9.0, "last_port": 8.0},
            "within 1 to 65535",
        ),
        ({"direction": "ingress", "source": "10.0.0.1/8"}, "host bits"),
        ({"direction": "ingress", "source": "10.0.0.0/8", "ethertype": "IPv6"}, "not IPv6"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(rule: dict[str, Any], words: str) -> None:
    (failure,) = SecurityGroupProvider().check({}, {"rules": [rule]}).failures
    assert words in failure.reason


def test_the_order_of_rules_means_nothing() -> None:
    rules = [{"direction": "ingress", "protocol": "tcp"}, {"direction": "egress"}]
    provider = SecurityGroupProvider()
    assert provider.diff("1", {"rules": rules}, {"rules": rules[::-1]}).changes is False
    assert provider.diff("1", {"rules": rules}, {"rules": rules[:1]}).changes is True


@pytest.mark.parametrize("key", ["provision_timeout", "ssh_timeout"])
def test_a_time_limit_of_nothing_is_refused(key: str) -> None:
    props = {"ssh_address": "public", "provision_timeout": 1.0, "ssh_timeout": 1.0, key: 0.0}
    assert [failure.property for failure in GuestReadyProvider().check({}, props).failures] == [key]


def test_a_side_that_a_server_does_not_have_is_refused() -> None:
    props = {"ssh_address": "left", "provision_timeout": 1.0, "ssh_timeout": 1.0}
    assert "`public` or `private`" in GuestReadyProvider().check({}, props).failures[0].reason


# -- a server that is to go


@pytest.mark.parametrize("named", [4711, 4711.0, "4711"])
@pytest.mark.parametrize("policy", ["replace", "keep"])
def test_the_server_whose_id_is_named_is_replaced_and_goes_first(named: Any, policy: str) -> None:
    news = {**PROPS, "replaces": named, "on_replacement": policy}
    found = VirtualGuestProvider().diff("4711", PROPS, news)
    assert (found.changes, found.replaces, found.delete_before_replace) == (True, ["replaces"], True)


@pytest.mark.parametrize("named", [4712, None, "", rpc.UNKNOWN])
def test_another_server_stays_and_so_does_the_one_that_came_in_its_place(named: Any) -> None:
    for before in (PROPS, {**PROPS, "replaces": 4710.0}):
        found = VirtualGuestProvider().diff("4711", before, {**PROPS, "replaces": named})
        assert (found.changes, found.replaces) == (False, [])


def test_a_server_that_comes_in_the_place_of_another_one_may_have_smaller_disks() -> None:
    before, news = {**PROPS, "disks": [25.0, 100.0]}, {**PROPS, "disks": [25.0, 25.0]}
    assert VirtualGuestProvider().check(before, {**news, "on_replacement": "keep"}).failures
    assert not VirtualGuestProvider().check(before, {**news, "replaces": 4711}).failures

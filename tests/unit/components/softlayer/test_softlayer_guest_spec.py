"""A virtual server as declared: types, limits, the order made of it, and what is read back."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.runtime import rpc

from components.softlayer.guest_check import failures
from components.softlayer.guest_seen import Guest
from components.softlayer.guest_spec import parse

PROPS: dict[str, Any] = {
    "owner": "demo/dev/0123456789ab",
    "resource": "galera-1-guest",
    "hostname": "galera-1",
    "domain": "example.com",
    "datacenter": "tor01",
    "cores": 2.0,
    "memory": 4096.0,
    "disks": [25.0, 100.0],
    "os": "DEBIAN_LATEST",
    "tags": ["dockerhost"],
}


def test_integers_arrive_as_floats_and_leave_as_integers() -> None:
    spec = parse({**PROPS, "public_vlan": 7.0, "ssh_key_ids": ["12", 13.0]})
    template = spec.template()
    assert (spec.cores, spec.memory, spec.disks, spec.public_vlan) == (2, 4096, (25, 100), 7)
    assert template["sshKeys"] == [{"id": 12}, {"id": 13}]
    assert all(type(template[key]) is int for key in ("startCpus", "maxMemory"))


def test_the_second_disk_is_device_two_because_one_is_swap() -> None:
    devices = parse({**PROPS, "disks": [25, 100, 200]}).template()["blockDevices"]
    assert [device["device"] for device in devices] == ["0", "2", "3"]


def test_the_order_itself_carries_the_identity() -> None:
    value = parse({**PROPS, "user_data": "#!/bin/sh\n"}).template()["userData"][0]["value"]
    assert value == "#!/bin/sh\n# swarm-galera-identity: demo/dev/0123456789ab/galera-1-guest"


def test_vlans_subnets_and_groups_of_a_side_go_together() -> None:
    spec = parse({**PROPS, "private_vlan": 1, "private_subnet": 2, "private_security_groups": ["3"]})
    assert spec.template()["primaryBackendNetworkComponent"] == {
        "networkVlan": {"id": 1, "primarySubnet": {"id": 2}},
        "securityGroupBindings": [{"securityGroup": {"id": 3}}],
    }
    assert "primaryNetworkComponent" not in spec.template()


def test_an_image_takes_the_place_of_the_operating_system() -> None:
    template = parse({**PROPS, "os": None, "image": "aaaa-bbbb"}).template()
    assert template["blockDeviceTemplateGroup"] == {"globalIdentifier": "aaaa-bbbb"}
    assert "operatingSystemReferenceCode" not in template


def test_private_only_is_said_only_when_it_is_meant() -> None:
    assert "privateNetworkOnlyFlag" not in parse(PROPS).template()
    assert parse({**PROPS, "private_only": True}).template()["privateNetworkOnlyFlag"] is True


def test_a_good_declaration_is_not_refused() -> None:
    assert failures({}, PROPS) == []


REFUSED = [
    ("hostname", {"hostname": ""}, "no host name"),
    ("hostname", {"hostname": "-galera"}, "no host name"),
    ("hostname", {"hostname": "galera_1"}, "no host name"),
    ("hostname", {"hostname": "g" * 64}, "no host name"),
    ("domain", {"domain": "example"}, "no domain name"),
    ("domain", {"domain": "exa mple.com"}, "no domain"),
    ("cores", {"cores": 0.0}, "greater than or equal to 1"),
    ("cores", {"cores": 1.5}, "valid integer"),
    ("memory", {"memory": 512.0}, "at least 1024 MB"),
    ("memory", {"memory": 1500.0}, "whole GB"),
    ("disks", {"disks": []}, "one to five"),
    ("disks", {"disks": [25.0] * 6, "local_disk": False}, "one to five"),
    ("disks", {"disks": [25.0] * 3, "local_disk": True}, "two local disks"),
    ("disks", {"disks": [25.0, -1.0]}, "greater than or equal to 10"),
    ("disks", {"disks": [2.5]}, "valid integer"),
    ("nic_speed", {"nic_speed": 99.0}, "10, 100 or 1000"),
    ("os", {"os": None}, "exactly one of"),
    ("os", {"image": "aaaa"}, "exactly one of"),
    ("public_subnet", {"public_subnet": 5.0}, "set publicVlan"),
    ("private_subnet", {"private_subnet": 5.0}, "set privateVlan"),
    ("public_security_groups", {"public_security_groups": ["1"] * 6}, "at most 5"),
    ("private_only", {"private_only": True, "public_vlan": 5001.0}, "no public VLAN"),
    ("public_vlan", {"public_vlan": 7.0}, "a VLAN's number"),
    ("public_vlan", {"public_vlan": 5001.0}, "together with the private one"),
    ("public_security_groups", {"private_only": True, "public_security_groups": ["1"]}, "no public"),
    ("transient", {"transient": True, "hourly": False}, "billed by the hour"),
    ("tags", {"tags": ["a,b"]}, "letters, digits"),
    ("tags", {"tags": ["ümlaut"]}, "letters, digits"),
    ("tags", {"tags": [".a"]}, "letters, digits"),
    ("post_install_url", {"post_install_url": "http://example.com/x"}, "https"),
    ("user_data", {"user_data": "# swarm-galera-identity: x"}, "identity"),
    ("user_data", {"user_data": '{"swarm-galera-identity": "x"}'}, "identity"),
    ("user_data", {"user_data": "[1, 2]"}, "an object"),
]


@pytest.mark.parametrize(("key", "change", "words"), REFUSED)
def test_what_cannot_work_is_refused_with_a_remedy(key: str, change: dict[str, Any], words: str) -> None:
    found = dict(failures({}, {**PROPS, **change}))
    assert words in found[key]
    assert "Remedy: " in found[key]


def test_unknown_values_pass_until_they_are_known() -> None:
    unknown = dict.fromkeys(PROPS, rpc.UNKNOWN)
    assert failures({}, unknown) == []
    assert failures({}, {**PROPS, "disks": [25.0, rpc.UNKNOWN], "tags": [rpc.UNKNOWN]}) == []


@pytest.mark.parametrize("disks", [[25.0], [25.0, 50.0]])
def test_a_disk_is_never_removed_or_shrunk(disks: list[float]) -> None:
    (found,) = failures(PROPS, {**PROPS, "disks": disks})
    assert found[0] == "disks"
    assert "destroy --target" in found[1]


def test_a_server_that_the_stack_has_is_not_silently_exchanged_for_an_adopted_one() -> None:
    (found,) = failures(PROPS, {**PROPS, "adopt": 7.0})
    assert found[0] == "adopt"
    assert "7 cannot be adopted in its place" in found[1]
    assert failures({}, {**PROPS, "adopt": 7.0}) == []
    assert failures({**PROPS, "adopt": 7.0}, {**PROPS, "adopt": 7.0}) == []
    assert failures({**PROPS, "adopt": 7.0}, PROPS) == []


def test_a_disk_may_grow_and_one_may_be_added() -> None:
    san = {**PROPS, "local_disk": False}
    assert failures(san, {**san, "disks": [100.0, 100.0, 10.0]}) == []


RAW: dict[str, Any] = {
    "id": 4711,
    "hostname": "galera-1",
    "domain": "example.com",
    "startCpus": 2,
    "maxMemory": 4096,
    "datacenter": {"name": "tor01"},
    "hourlyBillingFlag": True,
    "localDiskFlag": True,
    "privateNetworkOnlyFlag": False,
    "notes": "ordered by swarm-galera as demo/dev/0123456789ab/galera-1-guest",
    "userData": [{"value": "# swarm-galera-identity: demo/dev/0123456789ab/galera-1-guest"}],
    "tagReferences": [
        {"tag": {"name": name}}
        for name in ("Dockerhost", "swarm-galera", "swarm-galera-demo-dev-0123456789ab")
    ],
    "blockDevices": [
        {"device": "2", "diskImage": {"capacity": "100"}},
        {"device": "1", "diskImage": {"capacity": 2}},
        {"device": "0", "diskImage": {"capacity": 25}},
        {"device": "3"},
    ],
    "primaryNetworkComponent": {"id": 2, "maxSpeed": 100, "networkVlan": {"id": 9}},
    "primaryBackendNetworkComponent": {"id": 1, "maxSpeed": 100, "networkVlan": {"id": 8}},
}


def test_what_was_left_to_softlayer_is_no_drift() -> None:
    seen = Guest(RAW).observed(PROPS)
    assert "public_vlan" not in seen
    assert seen["disks"] == [25, 100]
    assert seen["notes"] == ""
    assert seen["user_data"] == ""


NOT_ORDERED: list[dict[str, Any]] = [
    {"device": "7", "mountType": "Disk", "diskImage": {"capacity": 64, "units": "MB", "metadataFlag": True}},
    {"device": "7", "diskImage": {"capacity": 64, "units": "MB"}},
    {"device": "7", "diskImage": {"capacity": 64, "metadataFlag": True}},
    {"device": "3", "mountType": "CD", "diskImage": {"capacity": 4, "units": "GB"}},
    {"device": "3", "diskImage": {"capacity": 2, "units": "GB", "type": {"keyName": "SWAP"}}},
]


@pytest.mark.parametrize("device", NOT_ORDERED)
def test_what_the_guest_has_besides_its_disks_is_no_drift(device: dict[str, Any]) -> None:
    raw = {**RAW, "blockDevices": [*RAW["blockDevices"], device]}
    assert Guest(raw).observed(PROPS)["disks"] == [25, 100]


def test_a_change_by_hand_is_drift() -> None:
    changed = {**RAW, "startCpus": 4, "notes": "mine", "tagReferences": [{"tag": {"name": "other"}}]}
    seen = Guest(changed).observed({**PROPS, "private_vlan": 7.0})
    assert (seen["cores"], seen["notes"], seen["tags"], seen["private_vlan"]) == (4, "mine", ["other"], 8)


def test_a_guest_that_was_cancelled_is_told_by_its_transaction() -> None:
    reclaimed = {**RAW, "activeTransaction": {"transactionStatus": {"name": "CLOUD_RECLAIM"}}}
    provisioned = {**RAW, "activeTransaction": {"transactionStatus": {"name": "POWER_ON"}}}
    assert Guest(reclaimed).reclaiming
    assert not Guest(provisioned).reclaiming
    assert Guest(provisioned).transaction == "POWER_ON"
    assert Guest({**RAW, "activeTransaction": {}}).transaction is None

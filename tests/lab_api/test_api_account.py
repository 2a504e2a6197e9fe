"""SSH keys, security groups, placement groups, tags and networks, with the SDK's own managers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import SoftLayer
from SoftLayer import SoftLayerAPIError
from SoftLayer.managers.tags import TagManager

from harness.lab_api import LabApi

pytestmark = pytest.mark.provider

Template = Callable[..., dict[str, Any]]
ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJVz7u4C1yYbO0xQOqPUo1hqWc9s1x9S5v3yV2vQ0l0a"


def _refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(SoftLayerAPIError) as refused:
        call()
    return str(refused.value.faultCode), str(refused.value.faultString)


def test_a_key_is_on_the_account_once_whatever_its_label_or_comment(client: Any) -> None:
    manager = SoftLayer.SshKeyManager(client)
    made = manager.add_key(f"{ED25519} me", "one", notes="n")
    assert made["fingerprint"].count(":") == 15
    assert (
        _refused(lambda: manager.add_key(f"{ED25519} somebody else", "two"))[1] == "SSH key already exists."
    )
    assert [key["label"] for key in manager.list_keys()] == ["one"]
    assert [key["id"] for key in manager.list_keys("one")] == [made["id"]]
    assert manager.list_keys("two") == []


def test_a_keys_label_and_notes_change_its_text_and_fingerprint_do_not(client: Any) -> None:
    manager = SoftLayer.SshKeyManager(client)
    made = manager.add_key(f"{ED25519} me", "one")
    assert manager.edit_key(made["id"], label="two", notes="n") is True
    changed = manager.get_key(made["id"])
    assert (changed["label"], changed["notes"]) == ("two", "n")
    for change in ({"fingerprint": "00:11"}, {"key": "ssh-rsa AAAA"}):
        code, _ = _refused(partial(client["Security_Ssh_Key"].editObject, change, id=made["id"]))
        assert code == "SoftLayer_Exception_InvalidValue"
    assert manager.get_key(made["id"])["key"] == f"{ED25519} me"
    assert manager.delete_key(made["id"]) is True
    assert _refused(lambda: manager.delete_key(made["id"]))[0] == "SoftLayer_Exception_ObjectNotFound"


@pytest.mark.parametrize(
    "text", ["", "nonsense", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-rsa AAAAC3NzaC1lZDI1NTE5"]
)
def test_what_is_no_public_key_is_refused(client: Any, text: str) -> None:
    code, _ = _refused(lambda: SoftLayer.SshKeyManager(client).add_key(text, "label"))
    assert code in {"SoftLayer_Exception_InvalidValue", "SoftLayer_Exception_MissingCreationProperty"}


def test_rules_are_added_edited_and_removed(client: Any) -> None:
    manager = SoftLayer.NetworkManager(client)
    group = manager.create_securitygroup("web", "d")["id"]
    added = manager.add_securitygroup_rules(
        group,
        [
            {"direction": "ingress", "protocol": "tcp", "portRangeMin": 80, "portRangeMax": 80},
            {"direction": "egress"},
            {"direction": "ingress", "remoteGroupId": group},
        ],
    )
    assert added["requestId"]
    first = added["rules"][0]["id"]
    assert manager.edit_securitygroup_rule(group, first, port_min=443, port_max=443)["requestId"]
    rules = {rule["id"]: rule for rule in manager.list_securitygroup_rules(group)}
    assert (rules[first]["portRangeMin"], rules[first]["ethertype"]) == (443, "IPv4")
    manager.remove_securitygroup_rules(group, list(rules))
    assert manager.list_securitygroup_rules(group) == []
    assert manager.edit_securitygroup(group, name="other") is True
    assert [entry["name"] for entry in manager.list_securitygroups()] == ["other"]


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"direction": "sideways"},
        {"direction": "ingress", "ethertype": "IPX"},
        {"direction": "ingress", "protocol": "esp"},
        {"direction": "ingress", "protocol": "tcp", "portRangeMin": 0, "portRangeMax": 80},
        {"direction": "ingress", "protocol": "tcp", "portRangeMin": 90, "portRangeMax": 80},
        {"direction": "ingress", "protocol": "tcp", "portRangeMin": 80},
        {"direction": "ingress", "portRangeMin": 80, "portRangeMax": 80},
        {"direction": "ingress", "remoteIp": "nowhere"},
        {"direction": "ingress", "ethertype": "IPv4", "remoteIp": "2001:db8::/32"},
        {"direction": "ingress", "protocol": "vrrp", "portRangeMin": 1, "portRangeMax": 1},
        {"direction": "ingress", "protocol": "icmp", "portRangeMax": 0},
        {"direction": "ingress", "remoteIp": "192.0.2.1", "remoteGroupId": 1},
        {"direction": "ingress", "remoteGroupId": 4711},
    ],
    ids=str,
)
def test_a_bad_rule_is_refused_with_all_that_came_with_it(client: Any, rule: dict[str, Any]) -> None:
    manager = SoftLayer.NetworkManager(client)
    group = manager.create_securitygroup("web")["id"]
    _refused(lambda: manager.add_securitygroup_rules(group, [{"direction": "egress"}, rule]))
    assert manager.list_securitygroup_rules(group) == []


def test_a_rule_cannot_be_there_twice(client: Any) -> None:
    manager = SoftLayer.NetworkManager(client)
    group = manager.create_securitygroup("web")["id"]
    manager.add_securitygroup_rule(group, direction="egress")
    assert "same rule" in _refused(lambda: manager.add_securitygroup_rule(group, direction="egress"))[1]


def test_groups_are_bound_at_order_time_or_later_and_deleted_only_when_free(
    client: Any, lab_api: LabApi, template: Template
) -> None:
    manager = SoftLayer.NetworkManager(client)
    first, second = manager.create_securitygroup("one")["id"], manager.create_securitygroup("two")["id"]
    number = client["Virtual_Guest"].createObject(
        template(primaryNetworkComponent={"securityGroupBindings": [{"securityGroup": {"id": first}}]})
    )["id"]
    mask = "networkComponents[id,port,securityGroupBindings[securityGroup[id,name]]]"
    private, public = client["Virtual_Guest"].getObject(id=number, mask=mask)["networkComponents"]
    assert [binding["securityGroup"]["name"] for binding in public["securityGroupBindings"]] == ["one"]
    assert private["securityGroupBindings"] == []
    manager.attach_securitygroup_component(second, private["id"])
    bindings = manager.get_securitygroup(second)["networkComponentBindings"]
    assert bindings[0]["networkComponent"]["guest"]["id"] == number
    assert "in use" in _refused(lambda: manager.delete_securitygroup(second))[1]
    manager.detach_securitygroup_component(second, private["id"])
    manager.add_securitygroup_rule(first, remote_group=second, direction="ingress")
    assert "referenced" in _refused(lambda: manager.delete_securitygroup(second))[1]
    lab_api.wait_idle(number)
    client["Virtual_Guest"].deleteObject(id=number)
    lab_api.wait_idle(number)
    assert manager.delete_securitygroup(first) is True
    assert manager.delete_securitygroup(second) is True


def test_a_card_takes_five_groups_and_no_more(client: Any, template: Template) -> None:
    groups = [client["Network_SecurityGroup"].createObject({"name": str(index)})["id"] for index in range(6)]
    bindings = [{"securityGroup": {"id": group}} for group in groups]
    number = client["Virtual_Guest"].createObject(
        template(primaryNetworkComponent={"securityGroupBindings": bindings[:5]})
    )["id"]
    six = template(primaryNetworkComponent={"securityGroupBindings": bindings})
    assert "at most 5" in _refused(lambda: client["Virtual_Guest"].createObject(six))[1]
    public = client["Virtual_Guest"].getObject(id=number, mask="networkComponents[id]")["networkComponents"][
        1
    ]["id"]
    attach: Callable[..., Any] = SoftLayer.NetworkManager(client).attach_securitygroup_component
    assert "at most 5" in _refused(lambda: attach(groups[5], public))[1]


def test_tags_are_listed_with_what_carries_them(client: Any, template: Template) -> None:
    number = client["Virtual_Guest"].createObject(template())["id"]
    SoftLayer.VSManager(client).set_tags("red,blue", guest_id=number)
    manager = TagManager(client)
    attached = manager.list_tags()["attached"]
    assert [(tag["name"], tag["referenceCount"]) for tag in attached] == [("blue", 1), ("red", 1)]
    references = manager.get_tag_references(attached[0]["id"])
    assert [entry["resourceTableId"] for entry in references] == [number]
    manager.set_tags("green", "GUEST", number)
    assert [tag["name"] for tag in manager.get_tag_by_name("green")] == ["green"]
    assert manager.get_tag_by_name("red") == []


def test_networks_are_listed_by_datacenter_with_their_guests(client: Any, template: Template) -> None:
    number = client["Virtual_Guest"].createObject(template())["id"]
    manager = SoftLayer.NetworkManager(client)
    vlans = manager.list_vlans(datacenter="tor01")
    assert [vlan["virtualGuestCount"] for vlan in vlans] == [1, 1, 0, 0]
    detail = manager.get_vlan(vlans[0]["id"])
    assert detail["virtualGuests"][0]["id"] == number
    subnets = manager.list_subnets(datacenter="tor01", network_space="PUBLIC")
    assert {subnet["networkIdentifier"] for subnet in subnets} == {"203.0.113.0"}
    assert manager.resolve_subnet_ids("203.0.113.0/24")
    assert manager.edit(vlans[0]["id"], name="mine", tags="a") is True
    assert [vlan["id"] for vlan in manager.list_vlans(name="mine")] == [vlans[0]["id"]]


def test_placement_groups_come_and_go(client: Any) -> None:
    manager = SoftLayer.managers.PlacementManager(client)
    router = manager.get_backend_router_id_from_hostname("bcr01a.tor01")[0]
    made = manager.create(
        {"name": "pg", "backendRouterId": router, "ruleId": manager.get_rule_id_from_name("spread")[0]}
    )
    (listed,) = manager.list()
    assert (listed["name"], listed["guestCount"], listed["rule"]["keyName"]) == ("pg", 0, "SPREAD")
    assert manager.delete(made["id"]) is True
    assert manager.list() == []

"""Security groups: what the hosts' cards let through, as the account changes, and the limits of groups.

Owned here: which filters the API gives to the hosts, and when. That packets go by them is shown elsewhere
(tests/lab/test_packets.py, and on hosts test_security_groups.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import SoftLayer
from SoftLayer import SoftLayerAPIError

from harness.lab_api import LabApi
from lab.hosts.backend import CardFilter, FilterRule

pytestmark = pytest.mark.provider

Template = Callable[..., dict[str, Any]]
WEB = {"direction": "ingress", "protocol": "tcp", "portRangeMin": 80, "portRangeMax": 81}


def _group(client: Any, *rules: dict[str, Any]) -> int:
    group = int(client["Network_SecurityGroup"].createObject({"name": "group"})["id"])
    if rules:
        client["Network_SecurityGroup"].addRules(list(rules), id=group)
    return group


def _bound(*groups: int) -> dict[str, Any]:
    return {"securityGroupBindings": [{"securityGroup": {"id": group}} for group in groups]}


def _filter(lab_api: LabApi, host: int, network: str = "private") -> tuple[FilterRule, ...] | None:
    """What the card lets through; None if it is open."""
    for card in lab_api.backend.filters:
        if (card.host_id, card.network) == (host, network):
            return card.rules
    return None


@pytest.fixture
def guarded(client: Any, lab_api: LabApi, template: Template) -> tuple[int, int, int]:
    """A running guest, the group of its private card, and that card's id."""
    group = _group(client, WEB)
    number = client["Virtual_Guest"].createObject(template(primaryBackendNetworkComponent=_bound(group)))[
        "id"
    ]
    lab_api.wait_idle(number)
    return number, group, lab_api.guest(number).private.id


def test_groups_of_an_order_are_in_force_before_its_machine_exists(
    client: Any, lab_api: LabApi, template: Template
) -> None:
    lab_api.fault("stuck", step="ASSIGN_HOST")
    group, empty = _group(client, WEB), _group(client)
    number = client["Virtual_Guest"].createObject(
        template(primaryBackendNetworkComponent=_bound(group), primaryNetworkComponent=_bound(empty))
    )["id"]
    assert lab_api.backend.filters == [
        CardFilter(number, "private", (FilterRule("ingress", "IPv4", "tcp", 80, 81),)),
        CardFilter(number, "public", ()),
    ]


def test_a_card_without_a_group_is_open(client: Any, lab_api: LabApi, guarded: tuple[int, int, int]) -> None:
    assert _filter(lab_api, guarded[0], "public") is None


def test_a_change_of_rules_is_in_force_when_the_call_is_answered(
    client: Any, lab_api: LabApi, guarded: tuple[int, int, int]
) -> None:
    host, group, _ = guarded
    service = client["Network_SecurityGroup"]
    (rule,) = service.getRules(id=group)
    service.addRules([{"direction": "egress", "remoteIp": "10.144.12.7/24"}], id=group)
    web = FilterRule("ingress", "IPv4", "tcp", 80, 81)
    assert _filter(lab_api, host) == (web, FilterRule("egress", "IPv4", remotes=("10.144.12.0/24",)))
    service.editRules([{"id": rule["id"], "portRangeMin": 81}], id=group)
    assert _filter(lab_api, host)[0] == FilterRule("ingress", "IPv4", "tcp", 81, 81)  # type: ignore[index]
    service.removeRules([rule["id"]], id=group)
    assert _filter(lab_api, host) == (FilterRule("egress", "IPv4", remotes=("10.144.12.0/24",)),)


def test_a_refused_change_changes_no_filter(
    client: Any, lab_api: LabApi, guarded: tuple[int, int, int]
) -> None:
    before = lab_api.backend.filters
    with pytest.raises(SoftLayerAPIError):
        client["Network_SecurityGroup"].addRules([{"direction": "egress"}, {}], id=guarded[1])
    assert lab_api.backend.filters == before


def test_a_rule_for_a_group_lets_its_members_addresses_through(
    client: Any, lab_api: LabApi, template: Template, guarded: tuple[int, int, int]
) -> None:
    host, group, _ = guarded
    service = client["Network_SecurityGroup"]
    service.addRules(
        [
            {"direction": "ingress", "remoteGroupId": group},
            {"direction": "ingress", "ethertype": "IPv6", "remoteGroupId": group},
        ],
        id=group,
    )
    own = lab_api.guest(host).private.address
    assert _filter(lab_api, host)[1].remotes == (own,)  # type: ignore[index]
    second = client["Virtual_Guest"].createObject(template(primaryBackendNetworkComponent=_bound(group)))[
        "id"
    ]
    other = lab_api.guest(second).private.address
    assert _filter(lab_api, host)[1].remotes == (own, other)  # type: ignore[index]
    assert _filter(lab_api, host)[2].remotes == (), "no server has an IPv6 address"  # type: ignore[index]
    lab_api.wait_idle(second)
    client["Virtual_Guest"].deleteObject(id=second)
    lab_api.wait_until(
        lambda: _filter(lab_api, host)[1].remotes == (own,),  # type: ignore[index]
        "the address to go with its server",
    )


def test_the_first_group_of_a_card_is_in_force_after_a_restart_every_other_one_at_once(
    client: Any, lab_api: LabApi, template: Template
) -> None:
    number = client["Virtual_Guest"].createObject(template())["id"]
    lab_api.wait_idle(number)
    card = lab_api.guest(number).private.id
    first, second = _group(client, WEB), _group(client, {"direction": "egress"})
    service = client["Network_SecurityGroup"]
    service.attachNetworkComponents([card], id=first)
    assert _filter(lab_api, number) is None
    client["Virtual_Guest"].rebootSoft(id=number)
    lab_api.wait_idle(number)
    web = FilterRule("ingress", "IPv4", "tcp", 80, 81)
    assert _filter(lab_api, number) == (web,)
    service.attachNetworkComponents([card], id=second)
    assert _filter(lab_api, number) == (web, FilterRule("egress", "IPv4"))
    service.detachNetworkComponents([card], id=first)
    service.detachNetworkComponents([card], id=second)
    assert _filter(lab_api, number) is None, "a card without groups is open"
    service.attachNetworkComponents([card], id=first)
    assert _filter(lab_api, number) == (web,)


def test_filters_go_with_their_server(client: Any, lab_api: LabApi, guarded: tuple[int, int, int]) -> None:
    client["Virtual_Guest"].deleteObject(id=guarded[0])
    lab_api.wait_until(lambda: lab_api.backend.filters == [], "the filters to go with their server")


def test_a_restart_of_the_api_sets_the_filters_again(lab_api: LabApi, guarded: tuple[int, int, int]) -> None:
    before = lab_api.backend.filters
    lab_api.backend.filters = []
    lab_api.restart()
    assert lab_api.backend.filters == before != []


def test_filters_that_cannot_be_set_are_an_error_of_the_labs_and_set_with_the_next_change(
    client: Any, lab_api: LabApi, guarded: tuple[int, int, int]
) -> None:
    host, group, _ = guarded
    lab_api.backend.fail("set_filters", "no nft")
    client["Network_SecurityGroup"].addRules([{"direction": "egress"}], id=group)
    assert "not in force" in lab_api.server.internal_errors[0]
    assert "no nft" in lab_api.server.internal_errors[0]
    lab_api.backend.fail("set_filters", None)
    lab_api.server.internal_errors.clear()
    client["Virtual_Guest"].editObject({"notes": "x"}, id=host)
    assert len(_filter(lab_api, host) or ()) == 2


def _refused(client: Any, method: str, *arguments: Any, **options: Any) -> tuple[Any, Any]:
    with pytest.raises(SoftLayerAPIError) as refused:
        client.call("Network_SecurityGroup", method, *arguments, **options)
    return refused.value.faultCode, refused.value.faultString


def test_a_group_takes_50_rules_and_5_that_name_a_group(client: Any) -> None:
    ports = [{**WEB, "portRangeMin": port, "portRangeMax": port} for port in range(1, 52)]
    group = _group(client, *ports[:50])
    code = "SoftLayer_Exception_Public"
    assert _refused(client, "addRules", ports[50:], id=group) == (
        code,
        "Exceeded limit of rules per security group (the limit is 50 rules per security group).",
    )
    other = _group(client)
    remote = [{**rule, "remoteGroupId": other} for rule in ports]
    text = (
        "Exceeded limit of remote rules per security group (the limit is 5 remote rules per security group)."
    )
    assert _refused(client, "addRules", remote[:6], id=other) == (code, text)
    client["Network_SecurityGroup"].addRules([*remote[:5], ports[0]], id=other)
    plain = client["Network_SecurityGroup"].getRules(id=other)[-1]["id"]
    edited = [{"id": plain, "portRangeMin": 7, "portRangeMax": 7, "remoteGroupId": other}]
    assert _refused(client, "editRules", edited, id=other) == (code, text)


def test_icmp_rules_take_a_type_and_a_code_and_vrrp_is_a_protocol(
    client: Any, lab_api: LabApi, guarded: tuple[int, int, int]
) -> None:
    host, group, _ = guarded
    manager = SoftLayer.NetworkManager(client)
    manager.add_securitygroup_rules(
        group,
        [
            {"direction": "ingress", "protocol": "icmp"},
            {"direction": "ingress", "protocol": "icmp", "portRangeMin": 8},
            {"direction": "ingress", "protocol": "icmp", "portRangeMin": 8, "portRangeMax": 0},
            {"direction": "ingress", "protocol": "vrrp"},
            {"direction": "ingress", "remoteIp": "2001:db8::/32"},
        ],
    )
    assert _filter(lab_api, host)[1:] == (  # type: ignore[index]
        FilterRule("ingress", "IPv4", "icmp"),
        FilterRule("ingress", "IPv4", "icmp", 8),
        FilterRule("ingress", "IPv4", "icmp", 8, 0),
        FilterRule("ingress", "IPv4", "vrrp"),
        FilterRule("ingress", "IPv6", remotes=("2001:db8::/32",)),
    )

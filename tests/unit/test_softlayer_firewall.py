"""The hosts' port table as rules."""

from __future__ import annotations

import pytest

from components.softlayer.firewall import MAX_REMOTE_RULES, SELF, Rule, private_rules, public_rules


def opened(protocol: str) -> set[int]:
    """Ports that the private rules open to the group itself by number."""
    return {
        port
        for rule in private_rules(encrypted_overlay=False)
        if rule.protocol == protocol and rule.source == SELF and rule.first_port and rule.last_port
        for port in range(rule.first_port, rule.last_port + 1)
    }


def test_hosts_open_to_one_another_what_swarm_and_etcd_need() -> None:
    assert {2377, 2379, 2380, 7946} <= opened("tcp") <= {*range(2377, 2381), 7946}
    assert opened("udp") == {7946, 4789}


@pytest.mark.parametrize("encrypted", [True, False])
def test_no_more_rules_name_the_group_than_softlayer_takes(encrypted: bool) -> None:
    rules = private_rules(["10.0.0.0/8", "192.168.0.0/16"], encrypted)
    assert 0 < len([rule for rule in rules if rule.source == SELF]) <= MAX_REMOTE_RULES


def test_nothing_of_it_is_open_to_anybody_else() -> None:
    ingress = [rule for rule in private_rules() if rule.direction == "ingress"]
    assert {rule.source for rule in ingress} == {SELF}


def test_an_encrypted_overlay_needs_any_protocol_between_hosts() -> None:
    own = [rule for rule in private_rules() if rule.source == SELF]
    assert own == [Rule("ingress", source=SELF)]
    assert not [r for r in private_rules(encrypted_overlay=False) if r.protocol is None and r.source == SELF]


def test_the_public_side_opens_ssh_to_admins_and_published_ports_to_all() -> None:
    ingress = [rule for rule in public_rules(["198.51.100.0/24"], [443]) if rule.direction == "ingress"]
    assert {(rule.first_port, rule.source) for rule in ingress} == {(22, "198.51.100.0/24"), (443, None)}


def test_without_admins_nobody_reaches_ssh() -> None:
    assert [rule for rule in public_rules() if rule.direction == "ingress"] == []


def test_what_hosts_send_gets_out() -> None:
    for rules in (private_rules(), public_rules()):
        assert {rule.ethertype for rule in rules if rule.direction == "egress"} == {"IPv4", "IPv6"}


def test_an_ipv6_admin_gets_an_ipv6_rule() -> None:
    (rule,) = (rule for rule in public_rules(["2001:db8::/32"]) if rule.direction == "ingress")
    assert rule.ethertype == "IPv6"


def test_the_same_admin_named_twice_gets_one_rule() -> None:
    assert public_rules(["10.0.0.0/8", "10.0.0.0/8"]) == public_rules(["10.0.0.0/8"])

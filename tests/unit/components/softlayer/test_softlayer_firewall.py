"""The hosts' port table as rules."""

from __future__ import annotations

import pytest

from components.softlayer.firewall import MAX_REMOTE_RULES, SELF, Rule, private_rules, public_rules

SWARM = [("tcp", 2377), ("tcp", 7946), ("udp", 7946), ("udp", 4789)]


def opened(*ports: tuple[str, int]) -> str:
    """What the private rules open to the group itself by number."""
    rules = [rule for rule in private_rules(ports=ports) if rule.source == SELF and rule.protocol != "icmp"]
    return ", ".join(
        f"{rule.protocol} {rule.first_port}"
        + ("" if rule.first_port == rule.last_port else f"-{rule.last_port}")
        for rule in rules
    )


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        (SWARM, "tcp 2377, tcp 7946, udp 7946, udp 4789"),
        ([("tcp", 80), ("tcp", 81)], "tcp 80, tcp 81"),
        ([*SWARM, ("tcp", 2380)], "tcp 2377-2380, tcp 7946, udp 7946, udp 4789"),
        ([*SWARM, ("tcp", 80), ("tcp", 443)], "tcp 80-2377, tcp 7946, udp 7946, udp 4789"),
        ([*SWARM, ("tcp", 7000), ("udp", 8000)], "tcp 2377, tcp 7000-7946, udp 7946-8000, udp 4789"),
    ],
)
def test_hosts_open_to_one_another_what_is_given_and_the_nearest_ports_are_joined_if_they_are_too_many(
    ports: list[tuple[str, int]], expected: str
) -> None:
    assert opened(*ports) == expected


@pytest.mark.parametrize("ports", [None, SWARM, [*SWARM, *(("udp", port) for port in range(8300, 8310))]])
def test_no_more_rules_name_the_group_than_softlayer_takes(ports: list[tuple[str, int]] | None) -> None:
    rules = private_rules(["10.0.0.0/8", "192.168.0.0/16"], ports)
    assert 0 < len([rule for rule in rules if rule.source == SELF]) <= MAX_REMOTE_RULES


def test_nothing_of_it_is_open_to_anybody_else() -> None:
    ingress = [rule for rule in private_rules() if rule.direction == "ingress"]
    assert {rule.source for rule in ingress} == {SELF}


def test_an_encrypted_overlay_needs_any_protocol_between_hosts() -> None:
    own = [rule for rule in private_rules() if rule.source == SELF]
    assert own == [Rule("ingress", source=SELF)]
    assert not [r for r in private_rules(ports=SWARM) if r.protocol is None and r.source == SELF]


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

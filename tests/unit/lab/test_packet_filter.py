"""Security groups and cuts as packet filters: their text, and whether a machine can have them.

That packets pass or not is shown by tests/lab/test_packets.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import packet_filter
from lab.errors import LabError
from lab.hosts.backend import CardFilter, FilterRule
from lab.packet_filter import Cut, Enforcement

pytestmark = pytest.mark.unit


def chain(text: str, name: str) -> list[str]:
    """The lines of a chain."""
    body = text.split(f"  chain {name} {{\n")[1].split("\n  }", maxsplit=1)[0]
    return [line.strip() for line in body.splitlines()]


RULES = [
    (FilterRule("ingress", "IPv4"), "ether type ip return"),
    (FilterRule("ingress", "IPv6"), "ether type ip6 return"),
    (FilterRule("ingress", "IPv4", "tcp"), "ether type ip meta l4proto tcp return"),
    (FilterRule("ingress", "IPv4", "tcp", 2377, 2380), "ether type ip tcp dport 2377-2380 return"),
    (FilterRule("ingress", "IPv4", "udp", 53, 53), "ether type ip udp dport 53-53 return"),
    (FilterRule("ingress", "IPv4", "vrrp"), "ether type ip meta l4proto 112 return"),
    (FilterRule("ingress", "IPv4", "icmp"), "ether type ip meta l4proto icmp return"),
    (FilterRule("ingress", "IPv4", "icmp", 8), "ether type ip icmp type 8 return"),
    (FilterRule("ingress", "IPv4", "icmp", 8, 0), "ether type ip icmp type 8 icmp code 0 return"),
    (FilterRule("ingress", "IPv6", "icmp"), "ether type ip6 meta l4proto ipv6-icmp return"),
    (FilterRule("ingress", "IPv6", "icmp", 128, 0), "ether type ip6 icmpv6 type 128 icmpv6 code 0 return"),
    (
        FilterRule("ingress", "IPv4", "tcp", 22, 22, ("198.51.100.0/24",)),
        "ether type ip ip saddr { 198.51.100.0/24 } tcp dport 22-22 return",
    ),
    (
        FilterRule("ingress", "IPv4", remotes=("10.144.12.11", "10.144.12.12")),
        "ether type ip ip saddr { 10.144.12.11, 10.144.12.12 } return",
    ),
    (
        FilterRule("ingress", "IPv6", remotes=("2001:db8::/32",)),
        "ether type ip6 ip6 saddr { 2001:db8::/32 } return",
    ),
    (FilterRule("ingress", "IPv4", remotes=()), None),
]


@pytest.mark.parametrize(("rule", "line"), RULES, ids=[str(line) for _, line in RULES])
def test_a_rule_is_one_line_of_the_filter(rule: FilterRule, line: str | None) -> None:
    text = packet_filter.groups_text([CardFilter(11, "private", (rule,))])
    assert chain(text, "pr11_in") == [*([line] if line else []), "counter drop"]
    assert chain(text, "pr11_out") == ["counter drop"]


def test_what_is_sent_is_judged_by_where_it_goes() -> None:
    rule = FilterRule("egress", "IPv4", "tcp", 5000, 5000, ("10.144.12.1",))
    text = packet_filter.groups_text([CardFilter(11, "public", (rule,))])
    assert chain(text, "pu11_out")[0] == "ether type ip ip daddr { 10.144.12.1 } tcp dport 5000-5000 return"
    assert chain(text, "pu11_in") == ["counter drop"]


def test_packets_between_hosts_pass_the_senders_filter_and_then_the_receivers() -> None:
    cards = [CardFilter(12, "private", ()), CardFilter(11, "public", ())]
    assert chain(packet_filter.groups_text(cards), "forward")[-2:] == [
        'iifname vmap { "pu11" : jump pu11_out, "pr12" : jump pr12_out }',
        'oifname vmap { "pu11" : jump pu11_in, "pr12" : jump pr12_in }',
    ]


def test_a_lab_without_groups_filters_nothing() -> None:
    text = packet_filter.groups_text([])
    assert "drop" not in text
    assert "jump" not in text


def test_a_cut_is_two_directions_of_a_tap() -> None:
    text = packet_filter.cuts_text([Cut(11), Cut(12, 13, "in", "public", 50)])
    assert chain(text, "forward")[1:] == [
        'iifname "pr11" drop',
        'oifname "pr11" drop',
        'iifname "pu13" oifname "pu12" ether type != arp numgen random mod 1000 < 50 drop',
    ]
    assert chain(text, "input")[-1] == 'iifname "pr11" drop'
    assert chain(text, "output")[-1] == 'oifname "pr11" drop'
    assert "pu12" not in "".join(chain(text, "input") + chain(text, "output"))


@pytest.mark.parametrize("direction", ["in", "out"])
def test_a_cut_of_one_direction_leaves_the_other(direction: packet_filter.Direction) -> None:
    ours = {"in": "output", "out": "input"}
    text = packet_filter.cuts_text([Cut(11, direction=direction)])
    assert len(chain(text, "forward")) == 2
    assert len(chain(text, ours[direction])) == 4
    other = ours["out" if direction == "in" else "in"]
    assert len(chain(text, other)) == 3


def test_a_machine_without_nft_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match="apt-get install nftables"):
        packet_filter.prepare("nowhere", tmp_path / "record")


def test_a_kernel_that_cannot_filter_bridges_leaves_a_lab_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(namespace: str, text: str) -> None:
        raise LabError("Operation not supported")

    monkeypatch.setattr(packet_filter, "load", refused)
    monkeypatch.setattr(packet_filter, "_passes_ip_families", lambda namespace: False)
    record = tmp_path / "record"
    found = packet_filter.prepare("nowhere", record)
    assert found == packet_filter.recorded(record)
    assert found.tracking is None
    assert found.described().startswith("NOT enforced: this machine's kernel cannot filter between bridge")


def test_a_kernel_that_tracks_on_bridges_is_used_where_br_netfilter_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []
    monkeypatch.setattr(packet_filter, "load", lambda namespace, text: texts.append(text))
    monkeypatch.setattr(packet_filter, "_passes_ip_families", lambda namespace: False)
    found = packet_filter.prepare("nowhere", tmp_path / "record")
    assert found == Enforcement(tracking="nf_conntrack_bridge")
    assert "table bridge lab_tracking {\n  chain prerouting" in texts[0]


def test_a_lab_of_before_is_told_to_come_up_again(tmp_path: Path) -> None:
    assert "run `lab up`" in packet_filter.recorded(tmp_path / "record").described()

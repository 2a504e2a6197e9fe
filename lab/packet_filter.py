"""What passes between a lab's hosts: security groups and cuts, as packet filters on the lab's bridges.

Owned here: the filters' text for nftables, and loading it into the lab's namespace. Left to others: which
rules a card has (`lab/api/card_filters.py`), which hosts are cut from which (`cuts.py`).

Filters match by the names of taps, so they hold over a host's reboots and for taps that are yet to come. The
bridge family of nftables knows nothing of connections unless the kernel has `nf_conntrack_bridge`. Where
`br_netfilter` is there, the bridges' packets pass the tracking of connections that the IP families have. Both
ways end in a mark on packets that belong to an accepted connection, and all filters go by that mark.

Whether a filter lets a packet through, in this order: packets of the lab's console and address resolution
always; packets of accepted connections always; then the sender's egress rules and the receiver's ingress
rules must both allow it. A card without a filter allows everything.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab import network
from lab.errors import LabError
from lab.hosts.backend import CardFilter, FilterRule
from lab.hosts.machine import tap

Direction = Literal["both", "in", "out"]
Network = Literal["private", "public"]
Tracking = Literal["br_netfilter", "nf_conntrack_bridge"]

NETWORKS: tuple[Network, ...] = ("private", "public")
ACCEPTED = "0x6c6162"
"""Mark of packets that belong to a connection which a filter has let through, or that answer one."""
WHOLE = 1000
"""`Cut.loss` of a cut that loses every packet."""
_TRACKING, _GROUPS, _CUTS = "lab_tracking", "lab_groups", "lab_cuts"
_RESOLUTION = "133, 134, 135, 136, 143"
"""Types of ICMPv6 by which neighbours find each other: what ARP is for IPv4."""
_PROTOCOLS = {"tcp": "tcp", "udp": "udp", "vrrp": "112"}


@dataclass(frozen=True)
class Cut:
    """Host `host_id` cannot reach (`out`), is not reached from (`in`), or both.

    `peer_id` is the one host at the other end, None for everybody. `loss`: packets lost of a thousand.
    """

    host_id: int
    peer_id: int | None = None
    direction: Direction = "both"
    network: Network = "private"
    loss: int = WHOLE


def groups_text(filters: Iterable[CardFilter]) -> str:
    """The table of security groups, in place of the one before."""
    cards = sorted(filters, key=lambda card: (card.host_id, card.network))
    names = [tap(card.host_id, card.network) for card in cards]
    leaving = _jumps("iifname", names, "out")
    arriving = _jumps("oifname", names, "in")
    chains = [
        _base("forward", 0, [*_always(), *leaving, *arriving]),
        _base("input", 0, [*_console("input"), *_always(), *leaving]),
        _base("output", 0, [*_console("output"), *_always(), *arriving]),
    ]
    for card, name in zip(cards, names, strict=True):
        for direction, end in (("egress", "out"), ("ingress", "in")):
            matches = [_match(rule) for rule in card.rules if rule.direction == direction]
            chains.append(_chain(f"{name}_{end}", [*(f"{m} return" for m in matches if m), "counter drop"]))
    return _table("bridge", _GROUPS, chains)


def cuts_text(cuts: Iterable[Cut]) -> str:
    """The table of cuts, in place of the one before. The lab's console passes every cut."""
    forward: list[str] = []
    ours: dict[str, list[str]] = {"input": [], "output": []}
    for cut in cuts:
        name = tap(cut.host_id, cut.network)
        peer = tap(cut.peer_id, cut.network) if cut.peer_id is not None else None
        lost = "drop"
        if cut.loss < WHOLE:
            lost = f"ether type != arp numgen random mod {WHOLE} < {cut.loss} drop"
        elif cut.direction != "both":  # without addresses, nothing would go the other way either
            lost = "ether type != arp drop"
        if cut.direction in ("both", "out"):
            forward.append(f'iifname "{name}" {_other("oifname", peer)}{lost}')
            if peer is None:
                ours["input"].append(f'iifname "{name}" {lost}')
        if cut.direction in ("both", "in"):
            forward.append(f'{_other("iifname", peer)}oifname "{name}" {lost}')
            if peer is None:
                ours["output"].append(f'oifname "{name}" {lost}')
    chains = [_base("forward", -10, forward)]
    # Who asks the gateway's kernel for a host's address is not always the console, so all may.
    resolution = "ether type arp accept"
    chains += [_base(hook, -10, [*_console(hook), resolution, *lines]) for hook, lines in ours.items()]
    return _table("bridge", _CUTS, chains)


def tracking_text(tracking: Tracking) -> str:
    """The table that marks packets of accepted connections.

    What the lab itself sends is known to the IP families only; what crosses the bridges, where it is tracked.
    """
    mark = f"ct state established,related meta mark set {ACCEPTED}"
    after_tracking = -150
    output = _base("output", after_tracking, [mark])
    prerouting = _base("prerouting", after_tracking, [mark])
    if tracking == "br_netfilter":
        return _table("inet", _TRACKING, [prerouting, output])
    return _table("inet", _TRACKING, [output]) + _table("bridge", _TRACKING, [prerouting])


def _table(family: str, name: str, chains: Sequence[str]) -> str:
    # The empty one first: a table that is not there cannot be deleted. All of it is loaded at once.
    body = "\n".join(chains)
    return f"table {family} {name}\ndelete table {family} {name}\ntable {family} {name} {{\n{body}\n}}\n"


def _base(hook: str, priority: int, lines: Iterable[str]) -> str:
    return _chain(hook, [f"type filter hook {hook} priority {priority}; policy accept;", *lines])


def _chain(name: str, lines: Iterable[str]) -> str:
    return "\n".join([f"  chain {name} {{", *(f"    {line}" for line in lines), "  }"])


def _always() -> list[str]:
    return [
        f"meta mark {ACCEPTED} accept",
        "ether type arp accept",
        f"icmpv6 type {{ {_RESOLUTION} }} accept",
    ]


def _console(hook: str) -> list[str]:
    """The lab's console, which no host can be: only the lab sends from its address by way of `output`."""
    end, port = ("saddr", "dport") if hook == "output" else ("daddr", "sport")
    return [f"ip {end} {network.CONSOLE} tcp {port} 22 accept"]


def _jumps(card: str, names: Sequence[str], end: str) -> list[str]:
    if not names:
        return []
    cases = ", ".join(f'"{name}" : jump {name}_{end}' for name in names)
    return [f"{card} vmap {{ {cases} }}"]


def _other(card: str, name: str | None) -> str:
    return f'{card} "{name}" ' if name is not None else ""


def _match(rule: FilterRule) -> str | None:
    """What a packet must be to be allowed by the rule; None if no packet can be."""
    if rule.remotes is not None and not rule.remotes:
        return None
    version = "ip" if rule.ethertype == "IPv4" else "ip6"
    words = [f"ether type {version}"]
    if rule.remotes is not None:
        end = "saddr" if rule.direction == "ingress" else "daddr"
        words.append(f"{version} {end} {{ {', '.join(rule.remotes)} }}")
    if rule.protocol == "icmp":
        words += _icmp(rule, "icmp" if version == "ip" else "icmpv6")
    elif rule.protocol is not None and rule.first is not None:
        words.append(f"{rule.protocol} dport {rule.first}-{rule.last}")
    elif rule.protocol is not None:
        words.append(f"meta l4proto {_PROTOCOLS[rule.protocol]}")
    return " ".join(words)


def _icmp(rule: FilterRule, protocol: str) -> list[str]:
    if rule.first is None:
        return [f"meta l4proto {'icmp' if protocol == 'icmp' else 'ipv6-icmp'}"]
    words = [f"{protocol} type {rule.first}"]
    return [*words, f"{protocol} code {rule.last}"] if rule.last is not None else words


@dataclass(frozen=True)
class Enforcement:
    """Whether security groups are enforced in a lab: `tracking` says how, or `problem` why not."""

    tracking: Tracking | None = None
    problem: str | None = None

    def described(self) -> str:
        """One line for people."""
        if self.tracking is None:
            return f"NOT enforced: {self.problem}"
        return f"enforced (connections tracked by {self.tracking})"


def prepare(namespace: str, record: Path) -> Enforcement:
    """Make the namespace track connections by whichever way the kernel has; remembered in `record`.

    A kernel that has none leaves the lab usable, with every card open; the answer says so. LabError if
    nftables is not installed.
    """
    if shutil.which("nft") is None:
        raise LabError("nftables is not installed: `apt-get install nftables`, then repeat the command.")
    if not _passes_ip_families(namespace) and shutil.which("modprobe"):
        subprocess.run(["modprobe", "--quiet", "br_netfilter"], capture_output=True, check=False)
    ways: list[Tracking] = ["nf_conntrack_bridge"]
    if _passes_ip_families(namespace):
        for bridge in network.BRIDGES:
            network.track(namespace, bridge)
        ways.insert(0, "br_netfilter")
    found = Enforcement(problem=None)
    for tracking in ways:
        try:
            load(namespace, tracking_text(tracking) + groups_text([]))
        except LabError as error:
            found = Enforcement(problem=f"this machine's kernel cannot filter between bridge ports. {error}")
        else:
            found = Enforcement(tracking=tracking)
            break
    record.write_text(json.dumps({"tracking": found.tracking, "problem": found.problem}), encoding="utf-8")
    return found


def recorded(record: Path) -> Enforcement:
    """What `prepare` found."""
    try:
        return Enforcement(**json.loads(record.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Enforcement(problem="this lab was brought up without packet filters: run `lab up`")


def loaded(namespace: str) -> bool:
    """Whether the tables are in the namespace now."""
    return all(
        _nft(namespace, ["list", "table", "bridge", table], "").returncode == 0 for table in (_GROUPS, _CUTS)
    )


def load(namespace: str, text: str) -> None:
    """Load tables, all or nothing. LabError with the kernel's words."""
    done = _nft(namespace, ["-f", "-"], text)
    if done.returncode != 0:
        raise LabError(
            f"`nft` in namespace {namespace}: {done.stderr.strip().splitlines()[0] if done.stderr else done}"
        )


def _nft(namespace: str, words: Sequence[str], text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*network.enter(namespace), "nft", *words], input=text, capture_output=True, text=True, check=False
    )


def _passes_ip_families(namespace: str) -> bool:
    """Whether the kernel can pass what bridges forward through the IP families (`br_netfilter`)."""
    words = [*network.enter(namespace), "test", "-e", "/proc/sys/net/bridge/bridge-nf-call-iptables"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0

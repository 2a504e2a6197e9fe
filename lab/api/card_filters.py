"""From security groups to what each network card lets through, and keeping the hosts at that.

Owned here: what groups and their bindings mean. Left to others: the packets (`set_filters` of the backend).
As IBM's documentation of security groups has it: a card with groups lets through what a rule of any of them
allows; a group without rules allows nothing; a card without groups is open. The first group that a card is
given comes into force with the next start of its server. Connections that are there are not touched by a
change. ARP has no rules and passes, and so does what IPv6 has in its place.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable, Iterable
from typing import Any

from lab.api.records import Guest, Nic, Rule, SecurityGroup
from lab.api.store import Store
from lab.hosts.backend import CardFilter, FilterRule, HostBackend


def card_filters(guests: Iterable[Guest], groups: Iterable[SecurityGroup]) -> list[CardFilter]:
    """The filter of every card that has one."""
    guests = list(guests)
    rules = {group.id: group.rules for group in groups}
    members: dict[int, list[str]] = {}
    for guest in guests:
        for nic in guest.nics:
            for group in nic.security_groups:
                members.setdefault(group, []).append(nic.address)
    return [
        CardFilter(
            guest.id,
            "public" if nic.port else "private",
            tuple(_filter_rule(rule, members) for group in nic.security_groups for rule in rules[group]),
        )
        for guest in guests
        for nic in guest.nics
        if in_force(nic)
    ]


def in_force(nic: Nic) -> bool:
    """Whether the card's security groups filter its packets."""
    return nic.filtered and bool(nic.security_groups)


def _filter_rule(rule: Rule, members: dict[int, list[str]]) -> FilterRule:
    version: Any = "IPv4" if rule.ethertype.lower() == "ipv4" else "IPv6"
    direction: Any = rule.direction
    remotes: tuple[str, ...] | None = None
    if rule.remote_group is not None:
        # Servers have IPv4 addresses only.
        remotes = tuple(members.get(rule.remote_group, ())) if version == "IPv4" else ()
    elif rule.remote_ip is not None:
        network = ipaddress.ip_network(rule.remote_ip, strict=False)
        remotes = (str(network),) if network.prefixlen else None
    return FilterRule(direction, version, rule.protocol, rule.port_min, rule.port_max, remotes)


class Guard:
    """Tells the backend of every change of what the cards let through, before the call that made it is
    answered.
    """

    def __init__(self, store: Store, backend: HostBackend, internal_error: Callable[[str], None]) -> None:
        """`internal_error` is told, while the exception is handled, that the filters could not be set."""
        self._store = store
        self._backend = backend
        self._internal_error = internal_error
        self._lock = threading.Lock()
        self._last: list[CardFilter] | None = None
        store.listen(self._written)

    def start(self) -> None:
        """Set the filters as the store has them: whatever the hosts had before."""
        with self._lock:
            self._last = None
        self._set()

    def _written(self, tables: frozenset[str]) -> None:
        if tables & {Guest.table, SecurityGroup.table}:
            self._set()

    def _set(self) -> None:
        with self._lock:
            wanted = card_filters(self._store.all(Guest), self._store.all(SecurityGroup))
            if wanted == self._last:
                return
            self._last = None  # if it fails, the next change tries again
            try:
                self._backend.set_filters(wanted)
            except Exception:
                self._internal_error("the security groups are not in force as they are on the account")
                return
            self._last = wanted

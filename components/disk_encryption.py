"""Whose data disk is encrypted in this run: who is prepared anew as the settings say, all others as they are.

Owns: that rule, refusing a setting that would change nothing, and what is said of hosts that stay in plain.
Leaves to others: the disk (docker_disk.py), refusing or replacing ordered servers
(softlayer/virtual_guest_provider.py: `encrypted_disk` is a property that replaces).

A disk with data is never formatted anew. So what a host was prepared with holds until it is replaced: of an
ordered one its server's property in the state says so, of one's own the outputs of the last complete run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

from settings import Settings, SettingsError
from settings.planned import PlannedHost

GUEST = "-guest"
"""Ends the name of the resource of an ordered server."""
OUTPUT = "encrypted"
"""In the output `hosts`, of a host whose data disk is."""
KEYS = "diskKeys"
"""The output with their keys, by host name; secret."""


@dataclass(frozen=True)
class Disks:
    """The data disks of a run, by their hosts' names.

    Attributes:
        encrypted: whose is encrypted.
        plain: whose is not, though it is asked for: it was prepared before.
    """

    encrypted: frozenset[str] = frozenset()
    plain: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        settings: Settings,
        last: Mapping[str, Any],
        resources: Callable[[], Any],
        anew: Collection[str] = (),
    ) -> Disks:
        """As settings, outputs and state have it. Raises SettingsError.

        Args:
            last: outputs of the last complete run.
            resources: the state's, by URN; asked only where any disk is encrypted, or is to be.
            anew: names of hosts that get another server in this run, besides those in servers.replace.
        """
        hosts = [host for host in settings.servers.planned if has_disk(host)]
        known = {host["name"]: bool(host.get(OUTPUT)) for host in last.get("hosts") or ()}
        if not any(host.encrypted for host in hosts) and not any(known.values()):
            return cls()
        guests = _guests(resources() if last else {})
        replaced = {*settings.servers.replace, *anew}
        were = {
            host.name: guests.get(host.name) if host.ordered else known.get(host.name)
            for host in hosts
            if host.name not in replaced
        }
        wanted = {host.name: host.encrypted for host in hosts}
        encrypted = {name for name in wanted if (wanted[name] if were.get(name) is None else were[name])}
        plain = [name for name in wanted if wanted[name] and name not in encrypted]
        own = {host.name for host in hosts if host.own}
        if plain and not encrypted and set(plain) <= own:
            raise SettingsError([refusal(plain)])
        return cls(frozenset(encrypted), plain)

    def tell(self) -> None:
        """Warn of hosts that stay in plain."""
        if self.plain:
            pulumi.log.warn(
                f"the data disk of {', '.join(self.plain)} is not encrypted, although the settings say so "
                "(servers.encryptedDisk): it was prepared before, and a disk with data is never formatted "
                "anew. Have these hosts replaced one after the other (docs/how-to/encryption-at-rest.md)"
            )


def refusal(plain: list[str]) -> str:
    """Of a setting that would change nothing."""
    return (
        f"swarm-galera:servers.encryptedDisk: the data disks of {', '.join(plain)} were prepared without "
        "encryption, and a disk with data is never formatted anew. Remedy: one host after the other: take it "
        "out of servers.hosts, `up`, clear its disk, name it again, `up`, wait until `verify` holds; or "
        "leave the setting out (docs/how-to/encryption-at-rest.md)"
    )


def has_disk(host: PlannedHost) -> bool:
    """Whether the engine's data is on a disk that the program prepares."""
    return host.own is None or host.own.disk is not None


def _guests(resources: Mapping[str, Any]) -> dict[str, bool]:
    """Whether they were ordered with an encrypted disk, of servers in the state, by host name."""
    found = {}
    for urn, told in resources.items():
        name = urn.rpartition("::")[2]
        if ":VirtualGuest::" in urn and name.endswith(GUEST):
            found[name.removesuffix(GUEST)] = bool((told.get("outputs") or {}).get("encrypted_disk"))
    return found

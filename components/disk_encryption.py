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
PREPARED = "-disk-prepared"
"""Ends the name of a disk's step (docker_disk.py)."""
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
        seen: Collection[str] = (),
    ) -> Disks:
        """As settings, outputs and state have it. Raises SettingsError.

        Args:
            last: outputs of the last complete run.
            resources: the state's, by URN; not asked before the first complete run, when there may be none.
            anew: names of hosts that get another server in this run, besides those in servers.replace.
            seen: names of one's own on which an encrypted disk is open: its key is in the state of a first
                run that came to no end, or nowhere, which the disk's step then says.
        """
        hosts = [host for host in settings.servers.planned if has_disk(host)]
        state = resources() if last else {}
        own = {host.name for host in hosts if host.own}
        guests, known = _guests(state), {**_told(last), **_prepared(state, own), **dict.fromkeys(seen, True)}
        if not any((*known.values(), *guests.values(), *(host.encrypted for host in hosts))):
            return cls()
        replaced = {*settings.servers.replace, *anew}
        were = {
            host.name: guests.get(host.name) if host.ordered else known.get(host.name)
            for host in hosts
            if host.name not in replaced
        }
        wanted = {host.name: host.encrypted for host in hosts}
        encrypted = {name for name in wanted if (wanted[name] if were.get(name) is None else were[name])}
        plain = [name for name in wanted if wanted[name] and name not in encrypted]
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


def _told(last: Mapping[str, Any]) -> dict[str, bool]:
    """Whose disk is encrypted, by the outputs of the last complete run."""
    return {host["name"]: bool(host.get(OUTPUT)) for host in last.get("hosts") or ()}


def _prepared(resources: Mapping[str, Any], own: Collection[str]) -> dict[str, bool]:
    """Those of `own` whose disk was prepared as an encrypted one, by the state: a run that comes to no
    end leaves the outputs as they are. The step has the reboots as a trigger, and none in plain.
    """
    found = {}
    for urn, told in resources.items():
        name = urn.rpartition("::")[2].removesuffix(PREPARED)
        if name in own and urn.endswith(PREPARED) and (told.get("outputs") or {}).get("triggers"):
            found[name] = True
    return found


def _guests(resources: Mapping[str, Any]) -> dict[str, bool]:
    """Whether they were ordered with an encrypted disk, of servers in the state, by host name."""
    found = {}
    for urn, told in resources.items():
        name = urn.rpartition("::")[2]
        if ":VirtualGuest::" in urn and name.endswith(GUEST):
            found[name.removesuffix(GUEST)] = bool((told.get("outputs") or {}).get("encrypted_disk"))
    return found

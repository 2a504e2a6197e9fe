"""Data disks that are locked since their hosts have booted (`servers.encryptedDisk`): opened by `unlock`, and
by `up` when it meets some.

Owns: whose keys the state has, who is locked, opening all of them side by side, and what is said. Leaves to
others: what is done on a host (components/host_scripts/disk_crypt.py), managers that are locked in their
swarm (locked.py), waiting for what runs there (back_again.py).

It needs the state and SSH alone: where a disk is locked no engine runs, and after a power cut none does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import typer

from components.host_scripts import disk_crypt
from operations import outputs, outputs_of_state, remote_hosts
from operations.around_run.care import Seen
from operations.errors import OperationsError
from operations.messages import say
from operations.outputs import Host, Outputs
from operations.pulumi_cli import Pulumi
from operations.remote_hosts import Answer
from operations.stack_settings import StackSettings
from operations.unlock import back_again
from operations.unlock.keys import plain
from settings.errors import UserError
from settings.servers import names_of

KEY = "-disk-key"
"""Ends the name of the resource with a host's key."""
LIMIT = 240.0
"""Seconds for a host to open its disk and start its engine."""


def keys_of(exported: Mapping[str, Any]) -> dict[str, str]:
    """The keys, by host name. Args: exported: the state, with its secrets in plain."""
    found = {}
    for each in (exported.get("deployment") or {}).get("resources") or ():
        name = str(each.get("urn")).rpartition("::")[2]
        if each.get("delete"):  # of a former server, which a run that was cut off has not taken out
            continue
        if str(each.get("type")).endswith(":Token") and name.endswith(KEY):
            value = str(plain(each.get("outputs") or {}).get("value") or "")
            if value:
                found[name.removesuffix(KEY)] = value
    return found


class StillLocked(OperationsError):
    """Disks that could not be opened. Attributes: why: by the hosts' names."""

    def __init__(self, why: Mapping[str, str]) -> None:
        super().__init__(f"Still locked: {'; '.join(f'{name}: {each}' for name, each in why.items())}")
        self.why = why


@dataclass(frozen=True)
class Reached:
    """Hosts, and how SSH gets there; as `remote_hosts.connected` takes them."""

    hosts: tuple[Host, ...]
    private_key: str | None = field(repr=False)


def all_opened(pulumi: Pulumi, exported: Mapping[str, Any]) -> list[str]:
    """Open the disks that are locked; names of their hosts. Raises OperationsError if one stays locked."""
    keys = keys_of(exported)
    if not keys:
        return []
    found = asyncio.run(_opened(_reached(pulumi, exported, keys), keys))
    if found:
        say(f"The disk of {', '.join(found)} is open, and the engine runs; its containers come back.")
    return found


async def unlocked(found: Outputs) -> None:
    """Open the disks that are locked, with the keys that the outputs have. Raises OperationsError."""
    hosts = tuple(host for host in found.hosts if host.name in found.disk_keys)
    await _opened(Reached(hosts, found.private_key), found.disk_keys)


async def require_key(found: Outputs, name: str) -> None:
    """For before a host boots. Raises OperationsError if the outputs have no key that opens its disk."""
    hosts = tuple(host for host in found.hosts if host.name == name and host.encrypted)
    if not hosts:
        return
    key = found.disk_keys.get(name, "")
    async with remote_hosts.connected(Reached(hosts, found.private_key)) as reached:
        answer = await reached.run(name, disk_crypt.state(name), f"{key}\n")
    if not key or answer.text.strip() == disk_crypt.STRANGER:
        raise OperationsError(
            f"{name} is not rebooted: its data disk is encrypted, and the stack has no key that opens it, so "
            "its data would be lost. Nothing was changed. Remedy: bring back the state, or the copy of the "
            "keys, that it was made with; or have it replaced (docs/how-to/encryption-at-rest.md)"
        )


def _reached(pulumi: Pulumi, exported: Mapping[str, Any], names: Mapping[str, Any]) -> Reached:
    """These hosts by the state, which knows those of a run that came to no end; else by the outputs."""
    hosts: tuple[Host, ...] = ()
    with suppress(UserError):  # above all a private key that can't be read here
        settings = StackSettings.of(pulumi)
        managers = names_of(settings.section("swarm-galera:servers"))[0]
        key_file = settings.section("swarm-galera:ssh").get("privateKeyFile")
        hosts, key = outputs_of_state.hosts_of_state(exported, managers, key_file)
    if not hosts:
        found = outputs.read(pulumi)
        hosts, key = found.hosts, found.private_key
    return Reached(tuple(host for host in hosts if host.name in names), key)


async def _opened(reached: Reached, keys: Mapping[str, str]) -> list[str]:
    async with remote_hosts.connected(reached) as hosts:
        for name, why in hosts.unreachable.items():
            say(f"{name} could not be asked: {why}.")
        asked = {name: disk_crypt.state(name) for name in hosts.reachable}
        locked = _waiting(await hosts.run_all(asked))
        if not locked:
            return []
        say(f"Opening the disk of {', '.join(locked)} …")
        runs = (hosts.run(name, disk_crypt.unlock(name), f"{keys[name]}\n", LIMIT) for name in locked)
        done = dict(zip(locked, await asyncio.gather(*runs), strict=True))
    if refused := {name: answer.error for name, answer in done.items() if answer.error}:
        raise StillLocked(refused)
    return locked


def _waiting(answers: Mapping[str, Answer]) -> list[str]:
    """Whose disk is to be opened, or whose engine waits since then; says of whom that is not known."""
    found = []
    for name, answer in answers.items():
        state = answer.text.strip()
        if answer.error:
            say(f"{name} does not say how its disk is: {answer.error}.")
        elif state == disk_crypt.NEW:
            say(f"{name}: its disk is not prepared yet, or not since its system was made anew: `up` does it.")
        elif state == disk_crypt.BESIDE:
            say(f"{name}: what is mounted is not on its encrypted disk, and in plain: see `lsblk` on it.")
        elif state in (disk_crypt.LOCKED, disk_crypt.CLOSED, disk_crypt.WAITING):
            found.append(name)
    return found


# -- met by `up` and `preview` -------------------------------------------------------------------------------


def suspects(seen: Seen | None) -> list[str]:
    """Hosts that answer, and whose engine does not run: as those whose disk is locked."""
    facts = {} if seen is None else seen.facts
    return [name for name, told in facts.items() if not told.error and told.engine == "inactive"]


def told(seen: Seen | None, stack: str) -> None:
    """Say whose disk may be locked, of hosts that have an encrypted one."""
    if seen is None:
        return
    encrypted = {host.name for host in seen.outputs.hosts if host.encrypted}
    if found := [name for name in suspects(seen) if name in encrypted]:
        say(
            f"{', '.join(found)}: no engine runs, and the data disk is encrypted: it is locked since the "
            f"host's last boot. `up` opens it, as `python -m operations unlock --stack {stack}` does."
        )


def opened(pulumi: Pulumi, seen: Seen | None, yes: bool, going: Collection[str] = ()) -> Seen | None:
    """Open the disks that `up` has met locked, asking first unless `yes`; the hosts after it.

    What is not back in time is said and left (back_again.py). Raises OperationsError if one
    stays so that is not to be replaced: without its key, another server is all that helps.

    Args:
        going: hosts whose servers are replaced in this run, besides those in servers.replace.
    """
    if seen is None or not suspects(seen):
        return seen
    exported = pulumi.export(show_secrets=True) or {}
    keys = {name: key for name, key in keys_of(exported).items() if name in suspects(seen)}
    if not keys:
        return seen
    say(
        f"{', '.join(keys)}: no engine runs, and the data disk is encrypted: it may be locked since the "
        "host's last boot (servers.encryptedDisk)."
    )
    if not yes and not typer.confirm("Open it, if so, and start the engine?"):
        say("Nothing was changed.")
        raise typer.Exit(1)
    hosts = tuple(host for host in seen.outputs.hosts if host.name in keys)
    try:
        found = asyncio.run(_opened(Reached(hosts, seen.outputs.private_key), keys))
    except StillLocked as error:
        if not error.why.keys() <= {*going, *_replaced(pulumi)}:
            raise
        say(f"{error}. Going on: {', '.join(error.why)} will be another server.")
        found = [name for name in keys if name not in error.why]
    # Managers that are locked now are another's matter.
    return back_again.until_well(pulumi, seen, found, "Open", lambda facts: facts.swarm == "locked")[0]


def _replaced(pulumi: Pulumi) -> set[str]:
    """The hosts that the settings have replaced."""
    return set(StackSettings.of(pulumi).section("swarm-galera:servers").get("replace") or ())

"""What is locked: `unlock`, and what `up`, `preview` and `refresh` do when they meet some.

Owned here: who is locked, unlocking all of them side by side, progress, and what is said where the swarm
can't be asked before. Left to others: data disks that are locked (locked_disks.py), without which no engine
runs and which come first; the keys (keys.py), what is run on a host
(components/host_scripts/autolock.py), waiting for what runs there (back_again.py).

Side by side, because an engine answers the key that fits only once the swarm has a leader, for which after a
power cut of all hosts a majority must have been unlocked. `unlock` needs the state and SSH, and no swarm; nor
does it wait for an `up` that goes on: that one may be waiting for just this.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import typer

from components.host_scripts import autolock
from components.manager_choice import LEADS, PROBE, rank
from operations import outputs, outputs_of_state, passphrase, remote_hosts
from operations.around_run.care import Seen
from operations.around_run.swarm_leftovers import Managers
from operations.errors import OperationsError
from operations.messages import say
from operations.options import StackOption
from operations.pulumi_cli import Pulumi, no_such
from operations.remote_hosts import RemoteHosts
from operations.stack_settings import StackSettings
from operations.unlock import back_again, locked_disks
from operations.unlock import keys as unlock_keys
from settings.servers import names_of

EVERY = 2.0
"""Seconds between looks."""
TELL = 10.0
"""Seconds between lines of progress."""
LIMIT = 400.0
"""Seconds for a host to try all keys."""
LED_WITHIN = 120.0
"""Seconds for the swarm to have a leader once a majority of its managers is unlocked."""
BY_HAND = "Remedy: `docker swarm unlock` on each, with the key from whoever turned autolock on"


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(unlock)


def unlock(stack: StackOption = "dev") -> None:
    """Open encrypted data disks of hosts that have booted, and unlock managers that are locked since then."""
    secret = passphrase.given()
    pulumi = Pulumi(stack, {} if secret is None else {passphrase.VARIABLE: secret})
    exported = pulumi.export(show_secrets=True)
    if exported is None:
        raise no_such(stack)
    # A manager's engine runs only once its disk is there.
    opened = locked_disks.all_opened(pulumi, exported)
    found = asyncio.run(_unlocked(_reached(pulumi), unlock_keys.of_state(exported)))
    for name, why in found.away.items():
        say(f"{name} could not be asked: {why}.")
    if not found.locked:
        say("No manager that answers is locked." if not opened else "No manager's swarm is locked.")
        return
    found.require_leader()
    say(f"{_names(found.locked)} unlocked, and the swarm has a leader. What ran there comes back by itself.")


@dataclass(frozen=True)
class Unlocked:
    """What was found and done.

    Attributes:
        locked: who was locked. away: why a manager could not be asked, by its name.
        refused: why one is still locked, by its name.
        led: whether the swarm has a leader.
    """

    locked: Sequence[str]
    away: Mapping[str, str]
    refused: Mapping[str, str]
    led: bool

    def require_leader(self) -> None:
        """Raises OperationsError for any that is still locked, and for a swarm without a leader."""
        if self.refused:
            told = "; ".join(f"{name}: {why}" for name, why in self.refused.items())
            raise OperationsError(
                f"Still locked: {told}. Remedy: a key that somebody has rotated by hand is told by any "
                "manager that is not locked (`docker swarm unlock-key`); `docker swarm unlock` takes it"
            )
        if not self.led:
            away = f" ({', '.join(self.away)})" if self.away else ""
            raise OperationsError(
                f"{_names(self.locked)} unlocked, and the swarm has no leader: it needs a majority of its "
                f"managers. Remedy: bring those back that do not answer{away}, then repeat"
            )


def _names(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"


async def unlocked(found: outputs.Outputs) -> None:
    """Unlock the managers that are locked, with the keys that the outputs have. Raises OperationsError."""
    done = await _unlocked(Managers(found.managers, found.private_key), found.unlock_keys)
    done.require_leader()


def _reached(pulumi: Pulumi) -> Managers:
    """The managers by the stack's outputs, or by its state where no run has come to its end."""
    try:
        found = outputs.read(pulumi)
        return Managers(found.managers, found.private_key)
    except OperationsError as error:
        exported = pulumi.export(show_secrets=True) or {}
        settings = StackSettings.of(pulumi)
        managers = names_of(settings.section("swarm-galera:servers"))[0]
        key_file = settings.section("swarm-galera:ssh").get("privateKeyFile")
        hosts, key = outputs_of_state.hosts_of_state(exported, managers, key_file)
        if not hosts:
            raise OperationsError(f"{error} Its state knows no hosts either.") from None
        return Managers(tuple(host for host in hosts if host.role == "manager"), key)


async def _unlocked(managers: Managers, keys: Sequence[str]) -> Unlocked:
    """Unlock those that are locked, side by side; wait for a leader. Raises OperationsError without a key."""
    async with remote_hosts.connected(managers) as hosts:
        answers = await hosts.run_all(dict.fromkeys(hosts.reachable, autolock.STATE))
        locked = [name for name, answer in answers.items() if answer.text.strip() == "locked"]
        if not locked:
            return Unlocked([], dict(hosts.unreachable), {}, led=True)
        if not keys:
            raise OperationsError(
                f"{_names(locked)} locked, and the stack's state has no unlock key: autolock was turned on "
                f"in another way than by swarm.autolock. {BY_HAND}"
            )
        say(f"Unlocking {', '.join(locked)} …")
        texts = {name: autolock.unlock(name) for name in locked}
        tried = await hosts.run_all(texts, "".join(f"{key}\n" for key in keys), LIMIT)
        refused = {name: answer.error for name, answer in tried.items() if answer.error}
        opened = [name for name in hosts.reachable if name not in refused]
        led = bool(opened) and await _led(hosts, opened)
        return Unlocked(locked, dict(hosts.unreachable), refused, led)


async def _led(hosts: RemoteHosts, names: Sequence[str]) -> bool:
    """Wait until one of these managers is in a swarm that has a leader."""
    began = told = time.monotonic()
    while True:
        answers = await hosts.run_all(dict.fromkeys(names, PROBE))
        if any(rank(answer.text) == LEADS for answer in answers.values()):
            return True
        now = time.monotonic()
        if now - began >= LED_WITHIN:
            return False
        if now - told >= TELL:
            told = now
            said = ", ".join(
                f"{name} {answer.text.strip() or 'no answer'}" for name, answer in answers.items()
            )
            say(f"waiting for the swarm's leader: {said}")
        await asyncio.sleep(EVERY)


# -- met by `up`, `preview` and `refresh` --------------------------------------------------------------------


def names(seen: Seen) -> list[str]:
    """Managers that are locked."""
    return [name for name, facts in seen.facts.items() if facts.swarm == "locked"]


def _leaderless(seen: Seen) -> bool:
    """Whether no manager says who the swarm's nodes are."""
    return not any(facts.managers for facts in seen.facts.values())


def told(seen: Seen | None, stack: str) -> Seen | None:
    """Say who is locked. Raises OperationsError if the swarm can't be asked without them."""
    locked_disks.told(seen, stack)
    if seen is None or not (found := names(seen)):
        return seen
    unlocks = f"`python -m operations unlock --stack {stack}`"
    if _leaderless(seen):
        raise OperationsError(
            f"{_names(found)} locked (swarm.autolock: engine or host has restarted), and without them the "
            f"swarm can't be asked. Nothing was changed. Remedy: {unlocks}, then repeat"
        )
    say(f"{_names(found)} locked since engine or host has restarted. `up` unlocks them, as {unlocks} does.")
    return seen


def opened(pulumi: Pulumi, seen: Seen | None, yes: bool, going: Collection[str] = ()) -> Seen | None:
    """Unlock what `up` has met locked, asking first unless `yes`: disks, then managers; the hosts after it.

    What is not back in time is said and left (back_again.py). Raises OperationsError if one stays so.

    Args:
        going: hosts whose servers are replaced in this run.
    """
    seen = locked_disks.opened(pulumi, seen, yes, going)
    if seen is None or not (found := names(seen)):
        return seen
    say(f"{_names(found)} locked since engine or host has restarted (swarm.autolock).")
    if not yes and not typer.confirm("Unlock them?"):
        say("Nothing was changed.")
        raise typer.Exit(1)
    keys = unlock_keys.of_state(pulumi.export(show_secrets=True) or {})
    asyncio.run(_unlocked(Managers(seen.outputs.managers, seen.outputs.private_key), keys)).require_leader()
    seen, well = back_again.until_well(pulumi, seen, found, "Unlocked")
    if well:
        say(f"{_names(found)} unlocked and well again.")
    return seen

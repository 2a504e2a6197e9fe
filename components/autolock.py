"""Autolock of the swarm: managers whose engine or host has restarted stay locked until they get a key.

Owns: turning it on and off, rotating the key, and that this comes after all else that restarts engines.
Leaves to others: the scripts (host_scripts/autolock.py), which keys are kept (unlock_keys.py), unlocking a
manager that this program has restarted (docker_engine.py, unlocking.py) or has met locked
(operations/unlock/locked.py).

The swarm draws its key by itself, so it is in the state only a moment after it counts: should all managers
lose their power in that moment, before the state is written, nobody has it. As long as one manager is not
locked, the next run reads it again.

For the same reason it is turned off before its keys go from the state. Pulumi deletes what depends on another
thing first: so what turns it off depends on the keys (`-off`, which does nothing else), though they come of
what turns it on. `-on` turns it off as well, where a run has ended between the two, or it is replaced.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components import remote
from components.host_scripts import autolock as scripts
from components.unlock_keys import UnlockKeys
from settings import Settings, SettingsError
from settings import Swarm as SwarmSettings

OUTPUT = "unlockKey"
"""The stack's output: `generation`, `key` and `former`, the last two secret."""


@dataclass(frozen=True)
class AutolockArgs:
    """Autolock.

    Attributes:
        wanted: generation of the key, and which former ones are kept.
        manager: any of them.
        after: the nodes with their roles, and engines with their configuration: an engine that is restarted
            has to be unlocked by the key that it was locked with.
    """

    wanted: SwarmSettings
    manager: remote.Where
    after: Sequence[pulumi.Resource]


class Autolock(pulumi.ComponentResource):
    """A swarm whose managers are locked when their engine starts. Removed, they are not any more.

    Attributes:
        keys: what unlocks them.
    """

    def __init__(self, name: str, args: AutolockArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("swarm-galera:autolock:Autolock", name, None, opts)
        generation = args.wanted.unlock_key_generation
        goes_with = None if opts is None else opts.deleted_with
        turned_on = remote.run(
            f"{name}-on",
            args.manager,
            scripts.on(),
            # Replaced, it must not be turned off last.
            pulumi.ResourceOptions(
                parent=self,
                depends_on=list(args.after),
                deleted_with=goes_with,
                delete_before_replace=True,
            ),
            delete=scripts.off(),
        )
        told = remote.run(
            f"{name}-key",
            args.manager,
            scripts.key(rotate=generation > 1),
            pulumi.ResourceOptions(parent=self, depends_on=[turned_on], deleted_with=goes_with),
            # Only another generation rotates, whatever else has this step run again.
            update=scripts.key(rotate=False),
            triggers=[generation, turned_on.id],
            secret_output=True,
        )
        facts: pulumi.Output[dict[str, str]] = told.stdout.apply(json.loads)
        self.keys = UnlockKeys(
            f"{name}-keys",
            pulumi.Output.secret(facts.apply(lambda said: said["key"])),
            pulumi.Output.secret(facts.apply(lambda said: said["replaced"])),
            generation,
            args.wanted.oldest_unlock_key,
            pulumi.ResourceOptions(parent=self, deleted_with=goes_with),
        )
        remote.run(
            f"{name}-off",
            args.manager,
            ":",
            pulumi.ResourceOptions(
                parent=self,
                depends_on=[self.keys],
                deleted_with=goes_with,
                delete_before_replace=True,
            ),
            delete=scripts.off(),
        )
        self.register_outputs({})

    def as_output(self, wanted: SwarmSettings) -> dict[str, Any]:
        """For the stack's outputs."""
        return {
            "generation": wanted.unlock_key_generation,
            "key": pulumi.Output.secret(self.keys.key),
            "former": pulumi.Output.secret(self.keys.former),
        }


def counts(settings: Settings, outputs: Mapping[str, Any]) -> bool:
    """Whether a manager whose engine restarts in this run may be locked then: there is autolock, or was in
    the last complete run. It is turned off last of all, so whatever restarts an engine before that has to
    unlock it.

    `outputs`: of the last complete run.
    """
    return (settings.swarm.autolock and settings.deploys("swarm")) or bool(outputs.get(OUTPUT))


def refuse_going_back(wanted: SwarmSettings, outputs: Mapping[str, Any]) -> None:
    """Raises SettingsError for a generation of the key before the one in use.

    `outputs`: of the stack's last complete run.
    """
    reached = int((outputs.get(OUTPUT) or {}).get("generation", 0))
    if wanted.autolock and wanted.unlock_key_generation < reached:
        raise SettingsError(
            [
                f"swarm-galera:swarm.unlockKeyGeneration: {wanted.unlock_key_generation} was before, and the "
                f"swarm has the key of generation {reached}: a former key does not come back. Remedy: set it "
                f"to {reached}, or to {reached + 1} for a new key"
            ]
        )

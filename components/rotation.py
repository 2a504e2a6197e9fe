"""Which step of a rotation a run may take, by what the last complete run has come to.

Owns: the rule, its words, and what the outputs say of it. Imports no Pulumi. Leaves to others: what can be
said (settings/rotation.py), the rotations themselves (galera.py, etcd.py, consul.py, swarm.py).

Whoever has to be told of something new (a client of a password, a member of an authority) is told between two
runs. So what was the newest in the last run must still count in this one, and only the one before it may be
dropped. By this rule alone neither a forgotten `ended` nor a generation that is left out locks anybody out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from settings import Settings, SettingsError
from settings.database import versions
from settings.rotation import Certificates, Rotation

PASSWORDS = "passwords"
"""In the output `galera`: the generation of the passwords, once that was ever raised."""
CERTIFICATES = "certificates"
"""In the output `discovery`, likewise."""
GOSSIP_KEY = "gossipKey"
"""In the output `discovery`: the generation of Consul's key, likewise."""
GENERATION = "generation"
"""In the output `joinTokens`, likewise."""
FIRST = {"10.11": 13, "11.8": 2}
"""Of our images `swarm-galera/galera:VERSION-N`, the first whose nodes know two passwords for an account."""


@dataclass(frozen=True)
class Reached:
    """What the last complete run has come to. generation: 0 where there is nothing yet that could count."""

    generation: int
    ended: int = 0

    @classmethod
    def of(cls, section: Mapping[str, Any] | None, key: str) -> Reached:
        """From the output that it is in; None where there is no such output."""
        if section is None:
            return cls(0)
        told = section.get(key) or {}
        return cls(int(told.get("generation", 1)), int(told.get("ended", 0)))


def problems(wanted: Rotation, reached: Reached, whose: str) -> Iterable[str]:
    """Why this run can't take the step, with the remedy. Args: whose: in words, like `the passwords`."""
    path, now = f"swarm-galera:{wanted.title}", reached.generation
    if not now:
        return
    if wanted.generation < now:
        yield (
            f"{path}.generation: {wanted.generation} was before, and {whose} are of generation {now}: what "
            f"was drawn does not come back. Remedy: set it to {now}, or to {now + 1} for new ones"
        )
    elif wanted.generation > now + 1:
        yield (
            f"{path}.generation: {wanted.generation} is too far: {whose} are of generation {now}, and would "
            f"be refused at once. Remedy: set it to {now + 1}, run `up`, then raise it further"
        )
    elif wanted.ended >= now:
        yield (
            f"{path}.ended: {wanted.ended} would end {whose} of generation {now}, which are in use: whoever "
            f"has them would be refused at once. Remedy: set it to {now - 1} at the most, run `up`, give "
            f"everybody the new ones, then end the former by ended: {now}"
        )
    elif wanted.ended < reached.ended:
        yield (
            f"{path}.ended: {wanted.ended}, and {reached.ended} have ended: they do not come back. Remedy: "
            f"set it to {reached.ended}"
        )


def refuse_a_leap(settings: Settings, outputs: Mapping[str, Any]) -> None:
    """Raises SettingsError for steps that this run can't take.

    `outputs`: of the stack's last complete run; below the layer `data`, what is kept of them.
    """
    galera = outputs.get("galera") or outputs.get("keptData")
    found = [*problems(settings.galera.passwords, Reached.of(galera, PASSWORDS), "the passwords")]
    site, told_site = settings.application, (outputs.get("application") or {}).get("database")
    if site is not None and site.database is not None:
        reached = Reached.of(told_site, PASSWORDS)
        found += problems(site.database.passwords, reached, "the application's passwords")
    store, discovery = outputs.get("discovery"), settings.discovery
    if store and store["kind"] == discovery.kind:  # another store has nothing of the former one's
        reached = Reached.of(store, CERTIFICATES)
        found += problems(discovery.certificates, reached, "the store's certificates")
        key, told = discovery.gossip_key_generation, store.get(GOSSIP_KEY)
        found += _counted("discovery.gossipKeyGeneration", key, told, "Consul's key")
    tokens = settings.swarm.join_token_generation
    found += _counted("swarm.joinTokenGeneration", tokens, outputs.get("joinTokens"), "the join tokens")
    if found:
        raise SettingsError(found)


def _counted(setting: str, wanted: int, told: Mapping[str, Any] | None, whose: str) -> Iterable[str]:
    """Of what has no second one that counts beside it: it may leap, and can't go back."""
    now = int((told or {}).get(GENERATION, 1))
    if wanted < now:
        yield (
            f"swarm-galera:{setting}: {wanted} was before, and generation {now} of {whose} is in use: a "
            f"former one does not come back. Remedy: set it to {now}, or to {now + 1} for another"
        )


def refuse_an_image_without(settings: Settings) -> None:
    """Raises SettingsError for an image of ours whose nodes know no second password, before they start anew
    for nothing. Of another name or tag the step that waits for them says so (host_scripts/passwords.sh).
    """
    wanted, image = settings.galera.passwords, settings.galera.image
    if not wanted.rotated or not settings.deploys("data"):
        return
    if least := versions.required_tag(image, FIRST):
        raise SettingsError(
            [
                f"swarm-galera:galera.passwords.generation: the nodes of {image} know one password for an "
                f"account, so that clients would be refused from one moment to the next. Remedy: name "
                f"{least} or a later one (galera.image), run `up`, then raise it"
            ]
        )


def shown(wanted: Rotation, key: str) -> dict[str, Any]:
    """For an output; nothing of what never was rotated."""
    if not wanted.rotated:
        return {}
    return {key: {"generation": wanted.generation, "ended": wanted.ended}}


def generation_shown(generation: int) -> dict[str, int]:
    """For an output; nothing of the first."""
    return {GENERATION: generation} if generation > 1 else {}


def of_authority(wanted: Certificates) -> int | None:
    """The generation of a `PeerAuthority`, which says none before the first rotation."""
    return wanted.generation if wanted.generation > 1 else None


def numbered(name: str, generation: int) -> str:
    """A resource's name: the first one's is as it was before there were generations."""
    return name if generation == 1 else f"{name}-{generation}"
